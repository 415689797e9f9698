"""Cosine loss of pairs that belong together or not."""

import numpy as np

from ._checks import check_range
from ._directions import as_rows, unit_rows, unit_rows_backward
from .base import Layer


class CosineLoss(Layer):
    r"""The angle of two vectors, small where they belong together; the mean over N.

    .. math:: 1 - \cos(l, r) \text{ where } y = 1, \qquad \max(0, \cos(l, r) - \text{margin}) \text{ where } y = -1

    With unit vectors u of l and v of r, :math:`\partial \cos / \partial l = (v - u \cos) / |l|`: across l, for along
    itself a vector turns nothing. ``forward(left, right, y)`` takes vectors (N, D) and `y` (N,) of 1 and -1;
    `backward` returns the gradients of `left` and `right`. A hinge at exactly 0 has slope 0.

    Parameters
    ----------
    margin : float in [-1, 1], default 0.0
        The cosine up to which vectors that do not belong together cost nothing.

    Raises
    ------
    ValueError
        If `left` and `right` do not have one shape (N, D), `y` has not shape (N,), or holds others than 1 and -1.

    Notes
    -----
    PyTorch's ``CosineEmbeddingLoss``, which adds 1e-12 to the squared lengths. A vector of zeros has no direction: its
    cosine is 0 in both, its gradient 0 here and up to 1e6 there.

    Examples
    --------
    >>> loss = CosineLoss()
    >>> left, right = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 2.0], [6.0, 8.0]])
    >>> loss.forward(left, right, np.array([1, -1]))  # at right angles, but together: 1; the same way, but apart: 1
    1.0
    >>> dleft, dright = loss.backward()
    >>> dright[0]  # descending, it turns towards its partner; the longer, the slower
    array([-0.25, -0. ])
    """

    def __init__(self, margin=0.0):
        self.margin = check_range("margin", margin, -1, 1, closed="both")

    def forward(self, left, right, y):
        left, right = as_rows(left=left, right=right)
        y = np.asarray(y)
        if y.shape != (len(left),):
            raise ValueError(f"y must have shape ({len(left)},), one label a pair; got {y.shape}")
        together = y == 1
        if not (together | (y == -1)).all():
            raise ValueError(f"y must hold 1 and -1; got {np.unique(y)}. Labels 0 and 1 become 2 * y - 1")
        left, left_norms = unit_rows(left)
        right, right_norms = unit_rows(right)
        cosines = (left * right).sum(axis=1)  # (N,)
        losses = np.where(together, 1 - cosines, np.maximum(cosines - self.margin, 0))
        slopes = np.where(together, -1, losses > 0).astype(left.dtype)[:, None]  # (N, 1), of loss by cosine
        self.cache = left, left_norms, right, right_norms, slopes
        return float(losses.sum()) / max(1, len(losses))

    def backward(self, dout=1.0):
        left, left_norms, right, right_norms, slopes = self.cache
        dcosines = slopes * (float(dout) / max(1, len(left)))  # (N, 1)
        dleft = unit_rows_backward(dcosines * right, left, left_norms)
        dright = unit_rows_backward(dcosines * left, right, right_norms)
        return dleft, dright
