"""Fully connected layer."""

import numpy as np

from ._checks import check_positive, feature_rows
from ._sums import column_sums
from .base import Layer, Parameter
from .initializers import he_normal


class Affine(Layer):
    r"""Affine transform of a minibatch.

    .. math:: \text{out}_{nm} = \sum_d x_{nd} W_{dm} + b_m

    Parameters
    ----------
    in_features : int
        Features D of one example; further axes of `x` are flattened into them.
    out_features : int
        Outputs M.
    init : callable, default he_normal
        ``init(rng, shape, dtype) -> ndarray`` for `W`; `b` starts at zero.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have `in_features` features, or `dout` not the shape of `out`.

    Notes
    -----
    PyTorch's ``Linear`` keeps W as (M, D); CS231n's ``affine_forward`` as (D, M), as here.

    References
    ----------
    .. [1] CS231n, "Backpropagation, Intuitions", https://cs231n.github.io/optimization-2/

    Examples
    --------
    >>> layer = Affine(2, 3, rng=0)
    >>> layer.forward(np.ones((4, 2))).shape
    (4, 3)
    """

    def __init__(self, in_features, out_features, *, init=he_normal, rng=None, dtype=np.float32):
        shape = check_positive("in_features", in_features), check_positive("out_features", out_features)
        self.W = Parameter(init(rng, shape, dtype))
        self.b = Parameter(np.zeros(out_features, dtype), decay=False)

    def forward(self, x):
        W = self.W.value
        self.cache = _, rows = feature_rows("x", x, len(W), W.dtype)  # (N, d1, ..., dk) -> (N, D)
        out = rows.dot(W)  # of few rows, half the overhead of @
        out += self.b.value[None]  # (1, M): one row is added at once, without broadcasting
        return out

    def backward(self, dout):
        self.add_grads(dout)
        x_shape, _ = self.cache
        return (dout @ self.W.value.T).reshape(x_shape)

    def add_grads(self, dout):
        _, rows = self.cache
        self.W.add_grad_matmul(rows.T, dout)
        self.b.add_grad(column_sums(dout))  # b was broadcast over the rows
