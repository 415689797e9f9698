"""Losses: layers whose output is one float, a mean, and whose `backward` starts the chain.

``forward(scores, y) -> loss`` takes the net's output and the truth, ``backward(dout=1.0) -> dscores`` returns the
gradient of the scores alone: `y` is data, nothing flows into it. The loss of an empty batch is 0.
"""

import functools
import math

import numpy as np

from ._checks import check_labels, check_range
from ._sums import row_sum
from .activations import row_max, stable_sigmoid
from .base import Layer

_KEPT = 1 << 12  # rows of a batch for which it is kept where each starts


class SoftmaxLoss(Layer):
    r"""Cross-entropy of the softmax of the scores: the mean over the rows of :math:`-\sum_c t_{nc} \log s_{nc}`.

    .. math:: s_{nc} = e^{x_{nc}} / \sum_j e^{x_{nj}}, \qquad
              \frac{\partial}{\partial x_{nc}} = \frac1N \Big( s_{nc} \sum_j t_{nj} - t_{nc} \Big)

    The truth `y` is integer labels of shape (N,), then t is 1 at the label and 0 elsewhere; or t itself, probabilities
    of shape (N, C).

    Parameters
    ----------
    label_smoothing : float in [0, 1), default 0.0
        Share of each row's probability that is spread evenly over the C classes: t becomes (1 - share) t + share / C.
    class_weights : sequence of C floats >= 0, optional
        Factor on the terms of each class. With labels the mean is weighted: the sum is divided by the sum of the
        weights of the labels. With probabilities it is divided by N.
    ignore_index : int, optional
        Label of rows that count for nothing, neither in the sum nor in the mean; need not be a class. Labels only.

    Raises
    ------
    ValueError
        If `y` fits neither form, holds a label outside 0..C-1, or `class_weights` has not C entries.
    TypeError
        If labels are not integers.

    Notes
    -----
    The options are those of PyTorch's ``CrossEntropyLoss``, where `ignore_index` is -100 unless given. Where all rows
    are ignored, or all weights 0, the loss is 0 here and NaN there. CS231n's ``softmax_loss`` is the plain case.

    References
    ----------
    .. [1] CS231n, "Linear Classification", https://cs231n.github.io/linear-classify/#softmax
    .. [2] Szegedy et al. (2015), "Rethinking the Inception Architecture", section 7, https://arxiv.org/abs/1512.00567

    Examples
    --------
    >>> loss = SoftmaxLoss()
    >>> round(loss.forward(np.array([[0.0, 0.0], [3.0, 3.0]]), np.array([0, 1])), 4)  # log 2
    0.6931
    >>> loss.backward()
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """

    def __init__(self, *, label_smoothing=0.0, class_weights=None, ignore_index=None):
        self.label_smoothing = check_range("label_smoothing", label_smoothing, 0, 1)
        self.class_weights = None if class_weights is None else _check_weights(class_weights)
        if not (ignore_index is None or isinstance(ignore_index, (int, np.integer))):
            raise TypeError(f"ignore_index must be an integer label or None; got {ignore_index!r}")
        self.ignore_index = ignore_index

    def forward(self, scores, y):
        scores, y = _as_scores(scores), np.asarray(y)
        if y.ndim == 1:
            index, weights = self._labels(scores, y)
            count = len(scores) if weights is None else float(weights.sum())
            targets = self._smoothed(scores, y, index) if self.label_smoothing else None
        else:
            index, weights, count, targets = None, None, len(scores), self._probabilities(scores, y)
        shifted = scores - row_max(scores)  # exp overflows above 709, in float32 above 88
        exp = np.exp(shifted)
        total = row_sum(exp)  # (N, 1)
        count = count or 1
        self.cache = exp, total, index, weights, targets, count
        # -log s = log total - shifted: two terms that are never negative, so nothing cancels in their sum
        if targets is not None:
            return float((targets * (np.log(total) - shifted)).sum()) / count
        losses = np.log(total) - shifted.reshape(-1)[index]  # (N, 1)
        return float((losses if weights is None else losses * weights).sum()) / count

    def backward(self, dout=1.0):
        exp, total, index, weights, targets, count = self.cache
        scale = float(dout) / count
        if targets is not None:
            return (exp * (targets.sum(axis=1, keepdims=True) / total) - targets) * scale
        scale = scale if weights is None else scale * weights  # (N, 1)
        dscores = exp * (scale / total)
        dscores.reshape(-1)[index] -= scale
        return dscores

    def _labels(self, scores, y):
        """Where the labels' scores are in the flattened scores, and the weights of the rows or None, both (N, 1)."""
        valid = None if self.ignore_index is None else y != self.ignore_index
        y = check_labels(y if valid is None else np.where(valid, y, 0), scores)
        weights = None if self.class_weights is None else _weights_like(scores, self.class_weights)[y, None]
        if valid is not None:
            kept = valid[:, None].astype(scores.dtype)
            weights = kept if weights is None else weights * kept
        return _flat_index(scores, y), weights

    def _smoothed(self, scores, y, index):
        """The targets t of labels, (N, C), smoothed, weighted, and 0 in ignored rows."""
        targets = np.zeros_like(scores)
        targets.reshape(-1)[index] = 1
        targets = self._smooth_and_weigh(targets)
        if self.ignore_index is not None:
            targets[y == self.ignore_index] = 0
        return targets

    def _probabilities(self, scores, y):
        """The targets t of probabilities, (N, C), smoothed and weighted."""
        if y.shape != scores.shape:
            raise ValueError(
                f"y must have shape ({len(scores)},), integer labels, or {scores.shape}, probabilities of the classes; "
                f"got {y.shape}. A column of labels becomes a row with y.ravel()"
            )
        if self.ignore_index is not None:
            raise ValueError(
                f"y must hold integer labels where ignore_index is set; got probabilities of shape {y.shape}"
            )
        return self._smooth_and_weigh(y.astype(scores.dtype))

    def _smooth_and_weigh(self, targets):
        if self.label_smoothing:
            targets *= 1 - self.label_smoothing
            targets += self.label_smoothing / targets.shape[1]
        if self.class_weights is not None:
            targets *= _weights_like(targets, self.class_weights)
        return targets


class SVMLoss(Layer):
    r"""Multiclass hinge loss: the mean over the rows of :math:`\sum_{j \ne y} \max(0, x_j - x_y + \text{margin})`.

    A term at exactly 0 has slope 0.

    Parameters
    ----------
    margin : float >= 0, default 1.0
        By how much the label's score should lead, in the units of the scores.

    Raises
    ------
    ValueError
        If `y` does not have shape (N,) or holds a label outside 0..C-1.
    TypeError
        If the labels are not integers.

    Notes
    -----
    As in CS231n; PyTorch's ``MultiMarginLoss`` also divides by C.

    References
    ----------
    .. [1] Weston and Watkins (1999), "Support Vector Machines for Multi-Class Pattern Recognition"
    .. [2] CS231n, "Linear Classification", https://cs231n.github.io/linear-classify/#svm

    Examples
    --------
    >>> loss = SVMLoss()
    >>> loss.forward(np.array([[3.0, 2.5, 1.0]]), np.array([0]))  # max(0, 2.5 - 3 + 1) + max(0, 1 - 3 + 1)
    0.5
    >>> loss.backward()
    array([[-1.,  1.,  0.]])
    """

    def __init__(self, margin=1.0):
        self.margin = check_range("margin", margin, 0, math.inf)

    def forward(self, scores, y):
        scores = _as_scores(scores)
        index = _flat_index(scores, check_labels(y, scores))
        hinges = scores - scores.reshape(-1)[index]
        hinges += self.margin
        np.maximum(hinges, 0, out=hinges)
        hinges.reshape(-1)[index] = 0  # the label is not compared with itself
        self.cache = hinges, index
        return float(hinges.sum()) / max(1, len(scores))

    def backward(self, dout=1.0):
        hinges, index = self.cache
        dscores = (hinges > 0).astype(hinges.dtype)
        dscores.reshape(-1)[index] = -dscores.sum(
            axis=1, keepdims=True
        )  # the label's score is in each of the row's terms
        dscores *= float(dout) / max(1, len(hinges))
        return dscores


class LogisticLoss(Layer):
    r"""Binary cross-entropy of the sigmoid of the scores (logits), the mean over all elements.

    .. math:: -y \log \sigma(x) - (1 - y) \log (1 - \sigma(x)) = \max(x, 0) - x y + \log(1 + e^{-|x|})

    Its derivative is :math:`\sigma(x) - y`. The truth `y` has the shape of the scores and values in [0, 1].

    Raises
    ------
    ValueError
        If `y` has another shape than the scores, or values outside [0, 1], such as labels -1.

    Notes
    -----
    PyTorch's ``BCEWithLogitsLoss``.

    Examples
    --------
    >>> loss = LogisticLoss()
    >>> round(loss.forward(np.array([0.0, 1000.0]), np.array([1, 1])), 4)  # (log 2 + 0) / 2
    0.3466
    >>> loss.backward()
    array([-0.25,  0.  ])
    """

    def forward(self, scores, y):
        scores, y = _as_pair(scores, y)
        if y.size and not (y.min() >= 0 and y.max() <= 1):
            raise ValueError(f"y must lie in [0, 1]; got {y.min()}..{y.max()}. Labels -1 and 1 become (y + 1) / 2")
        self.cache = scores, y
        losses = np.maximum(scores, 0) - scores * y + np.log1p(np.exp(-np.abs(scores)))
        return float(losses.sum()) / max(1, losses.size)

    def backward(self, dout=1.0):
        scores, y = self.cache
        return (stable_sigmoid(scores) - y) * (float(dout) / max(1, scores.size))


class MSELoss(Layer):
    r"""Mean squared error: the mean over all elements of :math:`(x - y)^2`, whose derivative is :math:`2 (x - y)`.

    The truth `y` has the shape of the scores.

    Raises
    ------
    ValueError
        If `y` has another shape than the scores; they are never broadcast.

    Notes
    -----
    PyTorch's ``MSELoss``. Half of it is the loss of scikit-learn's ``MLPRegressor`` and of many textbooks, which also
    sum over the outputs of an example; so the same learning rate goes twice as far here.

    Examples
    --------
    >>> loss = MSELoss()
    >>> loss.forward(np.array([[1.0], [2.0]]), np.array([[1.0], [5.0]]))
    4.5
    >>> loss.backward()
    array([[ 0.],
           [-3.]])
    """

    def forward(self, scores, y):
        scores, y = _as_pair(scores, y)
        diff = scores - y
        self.cache = diff
        return float(np.vdot(diff, diff)) / max(1, diff.size)

    def backward(self, dout=1.0):
        diff = self.cache
        return diff * (2 * float(dout) / max(1, diff.size))


class L1Loss(Layer):
    r"""Mean absolute error: the mean over all elements of :math:`|x - y|`, with slope 0 where they are equal.

    The truth `y` has the shape of the scores.

    Raises
    ------
    ValueError
        If `y` has another shape than the scores; they are never broadcast.

    Examples
    --------
    >>> L1Loss().forward(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    1.5
    """

    def forward(self, scores, y):
        scores, y = _as_pair(scores, y)
        diff = scores - y
        self.cache = diff
        return float(np.abs(diff).sum()) / max(1, diff.size)

    def backward(self, dout=1.0):
        diff = self.cache
        return np.sign(diff) * (float(dout) / max(1, diff.size))


class HuberLoss(Layer):
    r"""Squared near the truth, linear far from it; the mean over all elements.

    .. math:: \tfrac12 (x - y)^2 \text{ where } |x - y| \le \delta, \text{ else } \delta (|x - y| - \tfrac12 \delta)

    Its derivative is x - y, clipped to :math:`\pm\delta`. The truth `y` has the shape of the scores.

    Parameters
    ----------
    delta : float > 0, default 1.0
        Where the parabola ends, in the units of `y`.

    Raises
    ------
    ValueError
        If `y` has another shape than the scores; they are never broadcast.

    Notes
    -----
    PyTorch's ``HuberLoss``; its ``SmoothL1Loss`` is this divided by `delta`.

    References
    ----------
    .. [1] Huber (1964), "Robust Estimation of a Location Parameter"

    Examples
    --------
    >>> HuberLoss(delta=1.0).forward(np.array([0.5, 3.0]), np.array([0.0, 0.0]))  # (0.125 + 2.5) / 2
    1.3125
    """

    def __init__(self, delta=1.0):
        self.delta = check_range("delta", delta, 0, math.inf, closed="neither")

    def forward(self, scores, y):
        scores, y = _as_pair(scores, y)
        diff = scores - y
        slope = np.clip(diff, -self.delta, self.delta)
        self.cache = slope
        return float(np.vdot(slope, diff - 0.5 * slope)) / max(1, diff.size)  # both pieces of the formula in one

    def backward(self, dout=1.0):
        slope = self.cache
        return slope * (float(dout) / max(1, slope.size))


def _as_scores(scores):
    """`scores` as floats of shape (N, C), contiguous so that they can be indexed flat, which is the fastest."""
    scores = np.asarray(scores, order="C")
    if scores.ndim != 2:
        raise ValueError(
            f"scores must have shape (N, C), one column a class; got {scores.shape}. Reshape them to two axes"
        )
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def _as_pair(scores, y):
    """`scores` as floats, and `y` in their dtype, of one shape."""
    scores = np.asarray(scores)
    scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
    y = np.asarray(y, scores.dtype)
    if y.shape != scores.shape:
        raise ValueError(
            f"y must have the shape {scores.shape} of scores; got {y.shape}. Where the sizes agree use "
            "y.reshape(scores.shape); broadcasting would compare each score with every y"
        )
    return scores, y


def _flat_index(scores, y):
    """Positions of the labels' scores, scores[n, y[n]], in the flattened scores, as a column (N, 1)."""
    n, classes = scores.shape
    starts = _kept_starts(n, classes) if n <= _KEPT else np.arange(n) * classes
    return (starts + y.astype(np.intp, copy=False))[:, None]  # uint64 + int64 would be float64


@functools.lru_cache(maxsize=8)  # most batches are of one shape
def _kept_starts(n, classes):
    starts = np.arange(n) * classes
    starts.flags.writeable = False
    return starts


def _check_weights(class_weights):
    weights = np.array(class_weights, np.float64)
    if weights.ndim != 1 or not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"class_weights must be C finite numbers of at least 0, one a class; got {class_weights!r}")
    return weights


def _weights_like(scores, weights):
    classes = scores.shape[1]
    if len(weights) != classes:
        raise ValueError(f"class_weights must have {classes} entries, one a column of scores; got {len(weights)}")
    return weights.astype(scores.dtype)
