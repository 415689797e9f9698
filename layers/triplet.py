"""Triplet loss: like nearer than unlike."""

import math

import numpy as np

from ._checks import check_range
from ._directions import as_rows, unit_rows
from .base import Layer


class TripletLoss(Layer):
    r"""Hinge on two distances: the mean over N of :math:`\max(0, |a - p| - |a - n| + \text{margin})`.

    .. math:: \frac{\partial}{\partial a} = u_{ap} - u_{an}, \quad \frac{\partial}{\partial p} = -u_{ap}, \quad
              \frac{\partial}{\partial n} = u_{an}, \qquad u_{ap} = \frac{a - p}{|a - p|}

    where the hinge is above 0, over N. ``forward(anchor, positive, negative)`` takes embeddings (N, D), `backward`
    returns three gradients. A hinge at exactly 0 has slope 0, as has a distance of 0.

    Parameters
    ----------
    margin : float >= 0, default 1.0
        By how much the negative should be farther than the positive, in the units of the embeddings.

    Raises
    ------
    ValueError
        If the three do not have one shape (N, D).

    Notes
    -----
    PyTorch's ``TripletMarginLoss`` with p = 2, which adds ``eps=1e-6`` to each entry of the differences; here the
    distance is exact, so it agrees with ``eps=0``. FaceNet squares the distances. A net that maps all to one point
    stays there: each hinge is the margin and each gradient 0.

    References
    ----------
    .. [1] Schroff, Kalenichenko and Philbin (2015), "FaceNet", equation 3, https://arxiv.org/abs/1503.03832

    Examples
    --------
    >>> loss = TripletLoss(margin=2.0)
    >>> anchor, positive, negative = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[6.0, 0.0]])
    >>> loss.forward(anchor, positive, negative)  # 5 - 6 + 2
    1.0
    >>> danchor, dpositive, dnegative = loss.backward()
    >>> danchor
    array([[ 0.4, -0.8]])
    """

    def __init__(self, margin=1.0):
        self.margin = check_range("margin", margin, 0, math.inf)

    def forward(self, anchor, positive, negative):
        anchor, positive, negative = as_rows(anchor=anchor, positive=positive, negative=negative)
        to_positive, near = unit_rows(anchor - positive)  # directions (N, D), distances (N, 1)
        to_negative, far = unit_rows(anchor - negative)
        hinges = np.maximum(near - far + self.margin, 0)
        self.cache = to_positive, to_negative, hinges
        return float(hinges.sum()) / max(1, len(hinges))

    def backward(self, dout=1.0):
        to_positive, to_negative, hinges = self.cache
        active = np.sign(hinges) * (float(dout) / max(1, len(hinges)))  # (N, 1)
        return active * (to_positive - to_negative), -active * to_positive, active * to_negative
