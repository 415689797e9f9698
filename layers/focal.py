"""Focal loss: cross-entropy that turns away from what is already right."""

import math

import numpy as np

from ._checks import check_labels, check_range
from .activations import row_max
from .base import Layer
from .losses import _as_scores


class FocalLoss(Layer):
    r"""Cross-entropy of the softmax, weighted by how wrong a row still is; the mean over N.

    .. math:: L_n = -\alpha_y (1 - p)^\gamma \log p, \qquad p = s_{ny} = e^{x_{ny}} / \sum_j e^{x_{nj}}

    .. math:: \frac{\partial L_n}{\partial x_{nc}} = \alpha_y (1 - p)^\gamma
              \Big( \gamma \, p \, \frac{\log p}{1 - p} - 1 \Big) ([c = y] - s_{nc})

    ``forward(scores, y)`` takes scores (N, C) and integer labels (N,).

    Parameters
    ----------
    gamma : float >= 0, default 2.0
        How fast the weight of a row falls as it becomes right; 0 is the cross-entropy.
    alpha : sequence of C floats >= 0, optional
        Factor on the rows of each class, 1 unless given.

    Raises
    ------
    ValueError
        If `y` does not have shape (N,) or holds a label outside 0..C-1, or `alpha` has not C entries.
    TypeError
        If the labels are not integers.

    Notes
    -----
    The sum is divided by N whatever `alpha` is, while `class_weights` of `SoftmaxLoss` make a weighted mean. PyTorch
    has none; torchvision's ``sigmoid_focal_loss`` is the binary one. 1 - p is summed from the other classes, so a row
    that is right to the last digit keeps an exact gradient, also where gamma is below 1.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He and Dollar (2017), "Focal Loss for Dense Object Detection", equation 5,
       https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> scores, y = np.array([[0.0, 0.0], [9.0, 0.0]]), np.array([0, 0])
    >>> round(FocalLoss(gamma=2.0).forward(scores, y), 4)  # 0.5**2 * log(2) / 2: the second row is right already
    0.0866
    """

    def __init__(self, gamma=2.0, *, alpha=None):
        self.gamma = check_range("gamma", gamma, 0, math.inf)
        self.alpha = None if alpha is None else _check_alpha(alpha)

    def forward(self, scores, y):
        scores = _as_scores(scores)
        y = check_labels(y, scores)
        is_label = y[:, None] == np.arange(scores.shape[1])  # (N, C), one True a row
        shifted = scores - row_max(scores)
        exp = np.exp(shifted)
        total = exp.sum(axis=1, keepdims=True)  # (N, 1), as all below
        rest = np.where(is_label, 0, exp).sum(axis=1, keepdims=True) / total  # 1 - p, without the cancellation
        log_p = np.where(rest < 0.5, np.log1p(-np.minimum(rest, 0.5)), shifted[is_label][:, None] - np.log(total))
        weights = rest**self.gamma
        if self.alpha is not None:
            weights *= _alpha_like(scores, self.alpha)[y, None]
        self.cache = is_label, exp / total, rest, log_p, weights
        return float((weights * -log_p).sum()) / max(1, len(scores))

    def backward(self, dout=1.0):
        is_label, probabilities, rest, log_p, weights = self.cache
        ratio = np.divide(log_p, rest, out=np.zeros_like(rest), where=rest != 0)  # at p = 1 weights or gamma are 0
        dlog_p = weights * (self.gamma * np.exp(log_p) * ratio - 1) * (float(dout) / max(1, len(rest)))
        return dlog_p * np.where(is_label, rest, -probabilities)


def _check_alpha(alpha):
    weights = np.array(alpha, np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"alpha must be C finite numbers of at least 0, one a class; got {alpha!r}")
    return weights


def _alpha_like(scores, alpha):
    classes = scores.shape[1]
    if len(alpha) != classes:
        raise ValueError(f"alpha must have {classes} entries, one a column of scores; got {len(alpha)}")
    return alpha.astype(scores.dtype)
