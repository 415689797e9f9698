"""The blocks of a transformer: feed-forward, encoder and decoder layers, patch embedding."""

import numpy as np

from ._checks import check_positive
from ._sequence_checks import check_mask
from .activations import GELU
from .attention import MultiHeadAttention
from .base import Layer
from .dropout import Dropout
from .normalization import LayerNorm
from .temporal import TemporalAffine


class FeedForward(Layer):
    r"""Two affine layers with a non-linearity between, the same for every step: :math:`\phi(x W_1 + b_1) W_2 + b_2`.

    Parameters
    ----------
    embed_dim : int
        Features D in and out.
    hidden_dim : int, optional
        Features between; 4 D if not given.
    activation : Layer, optional
        The non-linearity; ``GELU(approximate="tanh")`` if not given.
    dropout : float in [0, 1), default 0.0
        Probability that a hidden feature is zeroed in training.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights and of the dropout masks.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    TypeError
        If `activation` is not a layer.
    ValueError
        If `x` does not have shape (N, T, `embed_dim`).

    Examples
    --------
    >>> FeedForward(4, rng=0).forward(np.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, embed_dim, hidden_dim=None, *, activation=None, dropout=0.0, rng=None, dtype=np.float32):
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        rng = np.random.default_rng(rng)
        self.up = TemporalAffine(embed_dim, hidden_dim, rng=rng, dtype=dtype)
        self.activation = GELU(approximate="tanh") if activation is None else activation
        if not isinstance(self.activation, Layer):
            raise TypeError(f"activation must be a layer, such as ReLU(); got {activation!r}")
        self.dropout = Dropout(dropout, rng=rng)
        self.down = TemporalAffine(hidden_dim, embed_dim, rng=rng, dtype=dtype)

    def forward(self, x):
        return self.down.forward(self.dropout.forward(self.activation.forward(self.up.forward(x))))

    def backward(self, dout):
        return self.up.backward(self.activation.backward(self.dropout.backward(self.down.backward(dout))))


class NormedResidual(Layer):
    r"""A shortcut around a body, with layer normalization before the body or after the sum.

    .. math:: x + \text{drop}(\text{body}(\text{norm}(x))) \quad \text{(pre-norm)}, \qquad
              \text{norm}(x + \text{drop}(\text{body}(x))) \quad \text{(post-norm)}

    Further inputs of the body, such as a decoder's memory, go to it as they are; `backward` returns their gradients
    after dx.

    Parameters
    ----------
    body : Layer
        Keeps the shape of its first input.
    embed_dim : int
        Features D of the last axis.
    pre_norm : bool, default True
        Which of the two. Pre-norm trains without warm-up of the learning rate [1]_.
    dropout : float in [0, 1), default 0.0
        Probability that a feature of the body's output is zeroed in training.
    rng : numpy.random.Generator or int, optional
        Source of the dropout masks.
    dtype : dtype, default float32
        Of the norm's parameters.

    References
    ----------
    .. [1] Xiong et al. (2020), "On Layer Normalization in the Transformer Architecture",
    https://arxiv.org/abs/2002.04745

    Examples
    --------
    >>> NormedResidual(FeedForward(4, rng=0), 4).forward(np.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, body, embed_dim, *, pre_norm=True, dropout=0.0, rng=None, dtype=np.float32):
        self.norm = LayerNorm(embed_dim, dtype=dtype)
        self.body = body
        self.dropout = Dropout(dropout, rng=rng)
        self.pre_norm = bool(pre_norm)

    def forward(self, x, *others, **options):
        x = np.asarray(x, self.norm.gamma.value.dtype)
        if self.pre_norm:
            return x + self.dropout.forward(self.body.forward(self.norm.forward(x), *others, **options))
        return self.norm.forward(x + self.dropout.forward(self.body.forward(x, *others, **options)))

    def backward(self, dout):
        dsum = dout if self.pre_norm else self.norm.backward(dout)
        dbody = self.body.backward(self.dropout.backward(dsum))
        dbody, *dothers = dbody if isinstance(dbody, tuple) else (dbody,)
        dx = dsum + (self.norm.backward(dbody) if self.pre_norm else dbody)  # x was used twice: gradients add
        return (dx, *dothers) if dothers else dx


class EncoderLayer(Layer):
    r"""Self-attention, then feed-forward, each in a `NormedResidual`: the block of encoders and, causal, of GPT.

    ``forward(x, mask=None)`` takes `x` (N, T, D) and returns the same shape; for the mask see `MultiHeadAttention`.

    Parameters
    ----------
    embed_dim, num_heads : int
        Features D, and heads, which must divide them.
    ff_dim : int, optional
        Hidden features of the feed-forward; 4 D if not given.
    causal : bool, default False
        Whether step t may attend to the steps 0..t only.
    dropout : float in [0, 1), default 0.0
        Of attention weights, hidden features and the outputs of both bodies.
    pre_norm : bool, default True
        Normalization before attention and feed-forward, or after the sums. The output of a stack of pre-norm layers is
        not normalized: put a `LayerNorm` after it.
    activation : Layer, optional
        Of the feed-forward; ``GELU(approximate="tanh")`` if not given.
    rotary : bool, default False
        Whether queries and keys are turned by their position.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights and of the dropout masks.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Notes
    -----
    PyTorch's ``TransformerEncoderLayer`` is post-norm with ReLU and 2048 hidden features unless told otherwise, as
    is CS231n's.

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", section 3.1, https://arxiv.org/abs/1706.03762

    Examples
    --------
    >>> EncoderLayer(8, 2, causal=True, rng=0).forward(np.ones((2, 3, 8))).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        ff_dim=None,
        *,
        causal=False,
        dropout=0.0,
        pre_norm=True,
        activation=None,
        rotary=False,
        rng=None,
        dtype=np.float32,
    ):
        rng = np.random.default_rng(rng)
        attention = MultiHeadAttention(
            embed_dim, num_heads, causal=causal, dropout=dropout, rotary=rotary, rng=rng, dtype=dtype
        )
        feed_forward = FeedForward(embed_dim, ff_dim, activation=activation, dropout=dropout, rng=rng, dtype=dtype)
        options = {"pre_norm": pre_norm, "dropout": dropout, "rng": rng, "dtype": dtype}
        self.attention = NormedResidual(attention, embed_dim, **options)
        self.feed_forward = NormedResidual(feed_forward, embed_dim, **options)

    def forward(self, x, mask=None):
        return self.feed_forward.forward(self.attention.forward(x, mask=mask))

    def backward(self, dout):
        return self.attention.backward(self.feed_forward.backward(dout))


class DecoderLayer(Layer):
    r"""Causal self-attention, attention to a memory, then feed-forward, each in a `NormedResidual`.

    ``forward(x, memory, mask=None, memory_mask=None)`` takes `x` (N, T, D) and the encoder's output `memory` (N, S,
    D) and returns (N, T, D); `backward` returns ``dx, dmemory``. The masks are those of `MultiHeadAttention`, (N, T,
    T) and (N, T, S).

    Parameters
    ----------
    embed_dim, num_heads, ff_dim, dropout, pre_norm, activation, rotary, rng, dtype
        See `EncoderLayer`; `rotary` turns in the self-attention only.
    causal : bool, default True
        Whether step t may attend to the steps 0..t only, in the self-attention.

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", section 3.1, https://arxiv.org/abs/1706.03762

    Examples
    --------
    >>> DecoderLayer(8, 2, rng=0).forward(np.ones((2, 3, 8)), np.ones((2, 5, 8))).shape
    (2, 3, 8)
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        ff_dim=None,
        *,
        causal=True,
        dropout=0.0,
        pre_norm=True,
        activation=None,
        rotary=False,
        rng=None,
        dtype=np.float32,
    ):
        rng = np.random.default_rng(rng)
        attention = MultiHeadAttention(
            embed_dim, num_heads, causal=causal, dropout=dropout, rotary=rotary, rng=rng, dtype=dtype
        )
        cross_attention = MultiHeadAttention(embed_dim, num_heads, dropout=dropout, rng=rng, dtype=dtype)
        feed_forward = FeedForward(embed_dim, ff_dim, activation=activation, dropout=dropout, rng=rng, dtype=dtype)
        options = {"pre_norm": pre_norm, "dropout": dropout, "rng": rng, "dtype": dtype}
        self.attention = NormedResidual(attention, embed_dim, **options)
        self.cross_attention = NormedResidual(cross_attention, embed_dim, **options)
        self.feed_forward = NormedResidual(feed_forward, embed_dim, **options)

    def forward(self, x, memory, mask=None, memory_mask=None):
        if memory_mask is not None:
            shape = (len(x), np.shape(x)[1], np.shape(memory)[1])
            memory_mask = check_mask("memory_mask", memory_mask, shape, "True where a step of x may attend to memory")
        x = self.attention.forward(x, mask=mask)
        x = self.cross_attention.forward(x, memory, mask=memory_mask)
        return self.feed_forward.forward(x)

    def backward(self, dout):
        dx = self.feed_forward.backward(dout)
        dx, dmemory = self.cross_attention.backward(dx)
        return self.attention.backward(dx), dmemory


class PatchEmbedding(Layer):
    r"""Cut images into square patches and project each to a vector, the steps of a Vision Transformer.

    ``forward(x)`` takes (N, C, H, W) and returns (N, T, D), T = H W / patch_size**2 patches row by row.

    Parameters
    ----------
    in_channels : int
        Channels C.
    embed_dim : int
        Features D of a step.
    patch_size : int
        Height and width of a patch, in pixels; must divide H and W.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `in_channels`, H, W), or the patches do not tile it.

    Notes
    -----
    It is a convolution whose stride is its window: the rows of `proj.W` are ordered (C, height, width), as a filter is.

    References
    ----------
    .. [1] Dosovitskiy et al. (2020), "An Image is Worth 16x16 Words", eq. 1, https://arxiv.org/abs/2010.11929

    Examples
    --------
    >>> PatchEmbedding(3, 5, 4, rng=0).forward(np.ones((2, 3, 8, 12))).shape
    (2, 6, 5)
    """

    def __init__(self, in_channels, embed_dim, patch_size, *, rng=None, dtype=np.float32):
        self.in_channels = check_positive("in_channels", in_channels)
        self.patch_size = check_positive("patch_size", patch_size)
        self.proj = TemporalAffine(in_channels * patch_size**2, embed_dim, rng=rng, dtype=dtype)

    def forward(self, x):
        x, C, p = np.asarray(x), self.in_channels, self.patch_size
        if x.ndim != 4 or x.shape[1] != C or x.shape[2] % p or x.shape[3] % p:
            raise ValueError(
                f"x must have shape (N, {C}, H, W) with H and W multiples of patch_size = {p}; got {x.shape}. "
                "Crop or pad the images"
            )
        N, _, H, W = x.shape
        grid = x.reshape(N, C, H // p, p, W // p, p).transpose(0, 2, 4, 1, 3, 5)  # (N, rows, columns, C, p, p)
        self.cache = grid.shape
        return self.proj.forward(grid.reshape(N, (H // p) * (W // p), C * p * p))

    def backward(self, dout):
        N, rows, columns, C, p, _ = self.cache
        dgrid = self.proj.backward(dout).reshape(self.cache).transpose(0, 3, 1, 4, 2, 5)  # (N, C, rows, p, columns, p)
        return dgrid.reshape(N, C, rows * p, columns * p)

    def add_grads(self, dout):
        self.proj.add_grads(dout)
