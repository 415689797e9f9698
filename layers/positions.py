"""Positional encodings: attention alone does not see the order of its steps."""

import numpy as np

from ._checks import check_positive, check_range
from ._sequence_checks import as_steps
from .base import Layer, Parameter
from .initializers import normal

_SMALL = normal(0.02)  # GPT-2's


class SinusoidalEncoding(Layer):
    r"""Add to step t waves of lengths from :math:`2\pi` to :math:`2\pi \cdot` `base`.

    .. math:: \text{out}_{nt,2i} = x_{nt,2i} + \sin(t\,\text{base}^{-2i/D}), \qquad
              \text{out}_{nt,2i+1} = x_{nt,2i+1} + \cos(t\,\text{base}^{-2i/D})

    Parameters
    ----------
    embed_dim : int
        Features D of one step of `x` (N, T, D).
    base : float > 1, default 10000
        Ratio of the longest to the shortest wave.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, T, `embed_dim`).

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", section 3.5, https://arxiv.org/abs/1706.03762

    Examples
    --------
    >>> SinusoidalEncoding(4).forward(np.zeros((1, 2, 4))).round(4)
    array([[[0.    , 1.    , 0.    , 1.    ],
            [0.8415, 0.5403, 0.01  , 1.    ]]])
    """

    def __init__(self, embed_dim, *, base=10000.0):
        self.embed_dim = check_positive("embed_dim", embed_dim)
        self.base = check_range("base", base, 1, np.inf, closed="neither")

    def forward(self, x):
        x = as_steps("x", x, self.embed_dim, None)
        angles = _angles(x.shape[1], self.embed_dim, self.base)
        encoding = np.empty(x.shape[1:], np.result_type(x, 1.0))  # of integers too a float
        encoding[:, 0::2] = np.sin(angles)
        encoding[:, 1::2] = np.cos(angles[:, : self.embed_dim // 2])  # an odd D has one sine more
        return x + encoding

    def backward(self, dout):
        return dout


class LearnedEncoding(Layer):
    r"""Add a trained vector to each step: :math:`\text{out}_{nt} = x_{nt} + W_t`.

    Parameters
    ----------
    max_len : int
        Steps that there are vectors for.
    embed_dim : int
        Features D of one step of `x` (N, T, D).
    init : callable, default normal(0.02)
        ``init(rng, shape, dtype) -> ndarray`` for `W` (max_len, D).
    rng : numpy.random.Generator or int, optional
        Source of the initial vectors.
    dtype : dtype, default float32
        Of `W`, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, T, `embed_dim`), or T is above `max_len`.

    References
    ----------
    .. [1] Gehring et al. (2017), "Convolutional Sequence to Sequence Learning", https://arxiv.org/abs/1705.03122

    Examples
    --------
    >>> LearnedEncoding(8, 4, rng=0).forward(np.zeros((2, 5, 4))).shape
    (2, 5, 4)
    """

    def __init__(self, max_len, embed_dim, *, init=_SMALL, rng=None, dtype=np.float32):
        shape = check_positive("max_len", max_len), check_positive("embed_dim", embed_dim)
        self.W = Parameter(init(rng, shape, dtype))

    def forward(self, x):
        W = self.W.value
        x = as_steps("x", x, W.shape[1], W.dtype)
        if x.shape[1] > len(W):
            raise ValueError(
                f"x must have at most max_len = {len(W)} steps; got {x.shape[1]}. "
                "Make the layer longer or cut the sequence"
            )
        return x + W[: x.shape[1]]

    def backward(self, dout):
        self.add_grads(dout)
        return dout

    def add_grads(self, dout):
        dW = np.zeros_like(self.W.value)
        dout.sum(axis=0, out=dW[: dout.shape[1]])  # W was broadcast over the examples
        self.W.add_grad(dW)


class RotaryEncoding(Layer):
    r"""Turn pairs of features by an angle proportional to the step, so that a query meets a key by their distance
    alone.

    .. math::

        \begin{pmatrix} \text{out}_{ti} \\ \text{out}_{t,i+D/2} \end{pmatrix} =
        \begin{pmatrix} \cos\theta_{ti} & -\sin\theta_{ti} \\ \sin\theta_{ti} & \cos\theta_{ti} \end{pmatrix}
        \begin{pmatrix} x_{ti} \\ x_{t,i+D/2} \end{pmatrix}, \qquad \theta_{ti} = t\,\text{base}^{-2i/D}

    Backward turns by the opposite angle. Apply it to queries and keys, not to values: `MultiHeadAttention` does so
    with ``rotary=True``.

    Parameters
    ----------
    embed_dim : int
        Features D of one step of `x` (..., T, D), even.
    base : float > 1, default 10000
        Ratio of the fastest to the slowest turn.

    Raises
    ------
    ValueError
        If `embed_dim` is odd, or `x` does not have shape (..., T, `embed_dim`).

    Notes
    -----
    The paper pairs the features 2i and 2i + 1; pairing i with i + D/2, as GPT-NeoX and LLaMA in Hugging Face do, is the
    same up to the order of the features, which training is free to choose, and contiguous in memory.

    References
    ----------
    .. [1] Su et al. (2021), "RoFormer", eq. 15, https://arxiv.org/abs/2104.09864

    Examples
    --------
    >>> RotaryEncoding(2).forward(np.array([[1.0, 0.0], [1.0, 0.0]])).round(4)  # by 0 and by 1 radian
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """

    def __init__(self, embed_dim, *, base=10000.0):
        self.embed_dim = check_positive("embed_dim", embed_dim)
        if self.embed_dim % 2:
            raise ValueError(f"embed_dim must be even, features turn in pairs; got {embed_dim}")
        self.base = check_range("base", base, 1, np.inf, closed="neither")

    def forward(self, x):
        x = np.asarray(x)
        if x.ndim < 2 or x.shape[-1] != self.embed_dim:
            raise ValueError(
                f"x must have shape (..., T, {self.embed_dim}); got {x.shape}. embed_dim is one head's width"
            )
        angles = _angles(x.shape[-2], self.embed_dim, self.base)
        cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)  # (T, D/2)
        self.cache = cos, sin
        return _turn(x, cos, sin)

    def backward(self, dout):
        cos, sin = self.cache
        return _turn(dout, cos, -sin)


def _angles(T, D, base):
    """Angles t * base**(-2 i / D) for every step t and pair of features i, (T, ceil(D / 2))."""
    return np.arange(T)[:, None] * base ** (-np.arange(0, D, 2) / D)


def _turn(x, cos, sin):
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
