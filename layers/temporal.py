"""The affine layer and the softmax loss for sequences: the same at every step."""

import numpy as np

from ._checks import check_positive
from ._sequence_checks import check_indices, check_mask
from ._sums import column_sums
from .base import Layer, Parameter
from .initializers import xavier_uniform
from .losses import SoftmaxLoss


class TemporalAffine(Layer):
    r"""Affine transform of the last axis, the same for every step.

    .. math:: \text{out}_{ntm} = \sum_d x_{ntd} W_{dm} + b_m

    Parameters
    ----------
    in_features : int
        Features D of one step of `x` (N, T, D), or of the last axis of any (..., D).
    out_features : int
        Outputs M of one step.
    bias : bool, default True
        Whether `b` (M,) is added.
    init : callable, default xavier_uniform
        ``init(rng, shape, dtype) -> ndarray`` for `W` (D, M); `b` starts at zero.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If the last axis of `x` does not have `in_features` entries.

    Notes
    -----
    CS231n's ``temporal_affine_forward``. PyTorch's ``Linear`` is this layer too; `Affine` flattens an example instead.

    Examples
    --------
    >>> TemporalAffine(3, 2, rng=0).forward(np.ones((4, 5, 3))).shape
    (4, 5, 2)
    """

    def __init__(self, in_features, out_features, *, bias=True, init=xavier_uniform, rng=None, dtype=np.float32):
        shape = check_positive("in_features", in_features), check_positive("out_features", out_features)
        self.W = Parameter(init(rng, shape, dtype))
        self.b = Parameter(np.zeros(out_features, dtype), decay=False) if bias else None

    def forward(self, x):
        W = self.W.value
        x = np.asarray(x, W.dtype)
        if x.ndim < 2 or x.shape[-1] != len(W):
            raise ValueError(
                f"x must have shape (N, ..., {len(W)}), {len(W)} features a step; got {x.shape}. "
                "Make the layer with the width of its input"
            )
        rows = x.reshape(-1, len(W)) if x.size else x.reshape(0, len(W))  # (N, T, D) -> (N * T, D), one product
        self.cache = rows
        out = rows.dot(W)
        if self.b is not None:
            out += self.b.value
        return out.reshape(*x.shape[:-1], W.shape[1])

    def backward(self, dout):
        self.add_grads(dout)
        W = self.W.value
        return (self._rows(dout) @ W.T).reshape(*dout.shape[:-1], len(W))

    def add_grads(self, dout):
        rows, drows = self.cache, self._rows(dout)
        self.W.add_grad_matmul(rows.T, drows)
        if self.b is not None:
            self.b.add_grad(column_sums(drows))  # b was broadcast over examples and steps

    def _rows(self, dout):
        return dout.reshape(len(self.cache), dout.shape[-1])


class TemporalSoftmaxLoss(Layer):
    r"""Cross-entropy of the softmax of each step's scores, over the steps that the mask keeps.

    .. math:: L = \frac{1}{K} \sum_{nt} m_{nt} \big(-\log s_{nt,y_{nt}}\big), \qquad
              \frac{\partial L}{\partial x_{ntv}} = \frac{m_{nt}}{K} (s_{ntv} - [v = y_{nt}])

    ``forward(scores, y, mask=None)`` takes scores (N, T, V), integer labels `y` (N, T) in 0..V-1, and a bool mask (N,
    T), True where a step counts; under False the label may be anything.

    Parameters
    ----------
    mean_over : {"steps", "examples"}, default "steps"
        K: the number of steps that count, so that exp(loss) is the perplexity; or N, so that an example's steps add up.
    ignore_index : int, optional
        Label of steps that do not count: the mask for those who have only scores and labels, such as `Solver`.

    Raises
    ------
    ValueError
        If `y` or `mask` does not have shape (N, T), or a label that counts is not in 0..V-1.
    TypeError
        If `y` does not hold integers, or `mask` not bools.

    Notes
    -----
    PyTorch's ``cross_entropy`` means over "steps", with its classes on axis 1. CS231n's ``temporal_softmax_loss`` is
    "examples"; it takes the logarithm of the probability, which can be -inf, where this one is exact. Where no step
    counts the loss is 0.

    Examples
    --------
    >>> scores, y = np.zeros((2, 3, 4)), np.zeros((2, 3), int)
    >>> mask = np.array([[True, True, True], [True, False, False]])
    >>> round(TemporalSoftmaxLoss().forward(scores, y, mask), 4)  # log 4
    1.3863
    >>> round(TemporalSoftmaxLoss(mean_over="examples").forward(scores, y, mask), 4)  # 4 steps of log 4, 2 examples
    2.7726
    """

    def __init__(self, *, mean_over="steps", ignore_index=None):
        if mean_over not in ("steps", "examples"):
            raise ValueError(f"mean_over must be 'steps' or 'examples'; got {mean_over!r}")
        self.mean_over = mean_over
        self.ignore_index = ignore_index
        self.rows = SoftmaxLoss(ignore_index=-1)

    def forward(self, scores, y, mask=None):
        scores, y = np.asarray(scores), np.asarray(y)
        if scores.ndim != 3:
            raise ValueError(f"scores must have shape (N, T, V): examples, steps, vocabulary; got {scores.shape}")
        N, T, V = scores.shape
        if y.shape != (N, T):
            raise ValueError(f"y must have shape ({N}, {T}), one label a step of scores; got {y.shape}")
        counts = np.ones((N, T), bool) if self.ignore_index is None else y != self.ignore_index
        if mask is not None:
            counts &= check_mask("mask", mask, (N, T), "True where a step counts")
        check_indices("y", y[counts], V)
        loss = self.rows.forward(scores.reshape(N * T, V), np.where(counts, y, -1).reshape(N * T))
        scale = 1.0 if self.mean_over == "steps" else float(counts.sum()) / max(1, N)  # the rows' K over this one
        self.cache = scores.shape, scale
        return scale * loss

    def backward(self, dout=1.0):
        shape, scale = self.cache
        return self.rows.backward(dout * scale).reshape(shape)
