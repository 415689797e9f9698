"""Contrastive loss of SimCLR: each view finds its partner among all others."""

import math

import numpy as np

from ._checks import check_range
from ._directions import as_rows, unit_rows, unit_rows_backward
from .base import Layer
from .losses import SoftmaxLoss


class NTXentLoss(Layer):
    r"""Normalised temperature-scaled cross-entropy, the contrastive loss of SimCLR; the mean over all 2N views.

    .. math:: L = \frac{1}{2N} \sum_i -\log
                  \frac{e^{u_i \cdot u_{p(i)} / \tau}}{\sum_{k \ne i} e^{u_i \cdot u_k / \tau}}, \qquad
              u_i = \frac{z_i}{|z_i|}

    ``forward(left, right)`` takes embeddings (N, D) of two views of N examples; z is both in a column, (2N, D), and
    p(i) the other view of the same example. With scores :math:`u_i \cdot u_k / \tau` it is the softmax loss of 2N
    rows whose labels are p(i), so :math:`du = (ds + ds^T) u / \tau`: each u is once a row, once a column.
    `backward` returns the gradients of both.

    Parameters
    ----------
    temperature : float > 0, default 0.5
        The tau that divides the cosines; the smaller, the more the nearest wrong candidates count.

    Raises
    ------
    ValueError
        If `left` and `right` do not have one shape (N, D).

    Notes
    -----
    CS231n's ``simclr_loss_vectorized``; PyTorch has none. One example alone has no wrong candidates: the loss is 0. A
    row of zeros has no direction: all its cosines are 0, and its gradient is 0. Memory grows as (2N)^2.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi and Hinton (2020), "A Simple Framework for Contrastive Learning of Visual
       Representations", equation 1, https://arxiv.org/abs/2002.05709

    Examples
    --------
    >>> loss = NTXentLoss(temperature=0.5)
    >>> views = np.array([[1.0, 0.0], [0.0, 3.0]])
    >>> round(loss.forward(views, 2 * views), 4)  # log(1 + 2 exp(-1 / 0.5)): one right candidate, two at right angles
    0.2395
    >>> dleft, dright = loss.backward()
    >>> dleft.shape
    (2, 2)
    """

    def __init__(self, temperature=0.5):
        self.temperature = check_range("temperature", temperature, 0, math.inf, closed="neither")
        self.rows = SoftmaxLoss()

    def forward(self, left, right):
        left, right = as_rows(left=left, right=right)
        units, norms = unit_rows(np.concatenate([left, right]))  # (2N, D), (2N, 1)
        self.cache = units, norms
        scores = units @ units.T / self.temperature
        np.fill_diagonal(scores, -np.inf)  # no view is its own candidate
        partners = np.roll(np.arange(len(units)), len(left))
        return self.rows.forward(scores, partners)

    def backward(self, dout=1.0):
        units, norms = self.cache
        dscores = self.rows.backward(dout)
        dunits = (dscores + dscores.T) @ units / self.temperature
        dleft, dright = np.split(unit_rows_backward(dunits, units, norms), 2)
        return dleft, dright
