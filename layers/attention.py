"""Attention: every query takes a weighted mean of the values, weighted by how well their keys match it."""

import math

import numpy as np

from . import _formulas
from ._checks import check_positive
from ._sequence_checks import as_steps, check_mask
from ._threads import over_blocks
from .base import Layer
from .dropout import Dropout
from .initializers import xavier_uniform
from .positions import RotaryEncoding
from .temporal import TemporalAffine


class ScaledDotProductAttention(Layer):
    r"""Weighted means of values.

    .. math:: W = \operatorname{softmax}(q k^T / \sqrt d), \qquad \text{out} = W v

    over the last two axes; leading axes (examples, heads) go along. Backward, with :math:`dW = dout\, v^T`,

    .. math:: dv = W^T dout, \quad ds = W \odot \Big( dW - \sum_d dout_d\,\text{out}_d \Big), \quad
              dq = ds\, k / \sqrt d, \quad dk = ds^T q / \sqrt d

    where the sum is the softmax's row sum of :math:`W \odot dW`, taken over d features rather than S keys.

    ``forward(q, k, v, mask=None)`` takes queries (..., T, d), keys (..., S, d), values (..., S, d') and a bool mask
    that broadcasts to (..., T, S), True where a query may attend to a key. It returns (..., T, d'); a query that may
    attend to no key gets 0.

    Parameters
    ----------
    causal : bool, default False
        Whether query t may attend to the keys 0..t only.
    dropout : float in [0, 1), default 0.0
        Probability that a weight is zeroed in training.
    rng : numpy.random.Generator or int, optional
        Source of the dropout masks.

    Raises
    ------
    ValueError
        If `q`, `k`, `v` do not fit each other, or `mask` does not fit them.
    TypeError
        If `mask` is not bool.

    Notes
    -----
    True means "may attend", as in PyTorch's ``scaled_dot_product_attention`` and CS231n; in PyTorch's
    ``MultiheadAttention`` it means the opposite. A query without any key gets NaN in most of them. PyTorch takes
    float masks too, which are added to the scores.

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", section 3.2.1, https://arxiv.org/abs/1706.03762
    .. [2] Dao et al. (2022), "FlashAttention", appendix B.2 for the row sum, https://arxiv.org/abs/2205.14135

    Examples
    --------
    >>> q, k, v = np.zeros((1, 2)), np.ones((3, 2)), np.array([[1.0], [2.0], [6.0]])
    >>> attention = ScaledDotProductAttention()
    >>> attention.forward(q, k, v)  # all keys match alike: the mean
    array([[3.]])
    >>> attention.forward(q, k, v, mask=np.array([[True, True, False]]))
    array([[1.5]])
    """

    def __init__(self, *, causal=False, dropout=0.0, rng=None):
        self.causal = bool(causal)
        self.dropout = Dropout(dropout, rng=rng)

    def forward(self, q, k, v, mask=None):
        dtype = np.result_type(q, k, v, 1.0)
        q, k, v = np.asarray(q, dtype), np.asarray(k, dtype), np.asarray(v, dtype)
        _check_attention(q, k, v)
        q = q * (1 / math.sqrt(q.shape[-1]))  # cheaper on q than on the scores
        # (..., T, S), in memory (..., S, T): the maximum over the keys is thrice as fast along rows of queries
        weights = np.empty((*q.shape[:-2], k.shape[-2], q.shape[-2]), dtype).mT
        out = np.empty_like(q, shape=(*q.shape[:-1], v.shape[-1]))  # in memory as q, so that heads merge as they split
        mask, noise = self._mask(mask, weights.shape), self._noise(weights)

        def attend(block):
            own = np.matmul(q[block], k[block].mT, out=weights[block])  # the scores, in place the weights
            if mask is not None:
                np.copyto(own, -math.inf, where=~mask[block])
            _softmax(own)
            np.matmul(own if noise is None else own * noise[block], v[block], out=out[block])

        _over_examples(attend, weights, v.shape[-1])
        self.cache = q, k, v, weights, noise, out
        return out

    def backward(self, dout):
        q, k, v, weights, noise, out = self.cache
        dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)

        def through(block):
            own, d = weights[block], dout[block]
            np.matmul((own if noise is None else own * noise[block]).mT, d, out=dv[block])
            dscores = np.matmul(d, v[block].mT, out=np.empty_like(own))
            if noise is not None:
                dscores *= noise[block]
            dscores -= np.einsum("...d,...d->...", d, out[block])[..., None]
            dscores *= own
            np.matmul(dscores, k[block], out=dq[block])
            dq[block] *= 1 / math.sqrt(q.shape[-1])
            np.matmul(dscores.mT, q[block], out=dk[block])  # q is scaled already

        _over_examples(through, weights, v.shape[-1])
        return dq, dk, dv

    def _noise(self, weights):
        """What dropout multiplies each weight by, or None."""
        ones = np.ones(weights.shape, weights.dtype) if self.dropout.training and self.dropout.rate else None
        return ones if ones is None else self.dropout.forward(ones)

    def _mask(self, mask, shape):
        if mask is not None:
            mask = np.asarray(mask)
            padded = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)  # NumPy's broadcasting
            mask = check_mask("mask", padded, shape, "True where a query (axis -2) may attend to a key (axis -1)")
        if self.causal:
            past = np.tril(np.ones(shape[-2:], bool))
            mask = past if mask is None else mask & past
        return mask if mask is None else np.broadcast_to(mask, shape)


class MultiHeadAttention(Layer):
    r"""Attention of several heads, each on its own projection of the features.

    .. math:: \text{out} = [\text{head}_1, \dots, \text{head}_h] W^O, \qquad
              \text{head}_i = \operatorname{Attention}(x W^Q_i, y W^K_i, z W^V_i)

    ``forward(query, key=None, value=None, mask=None)`` takes `query` (N, T, D), `key` and `value` (N, S, D). Without
    `key` it is self-attention, key and value are the query; without `value` it is the key, as in cross-attention to a
    memory. It returns (N, T, D), and `backward` one gradient for each array given: ``dquery``, ``dquery, dkey`` or
    all three. The bool mask (N, T, S), with 1 for an axis along which it is the same, is True where a query may
    attend to a key: a padding mask (N, S), True at real steps, comes as ``real[:, None, :]``, one (T, S) for all
    examples as ``allowed[None]``.

    Parameters
    ----------
    embed_dim : int
        Features D.
    num_heads : int
        Heads h; must divide D.
    causal : bool, default False
        Whether query t may attend to the keys 0..t only.
    dropout : float in [0, 1), default 0.0
        Probability that a weight is zeroed in training.
    rotary : bool, default False
        Whether queries and keys are turned by their position, see `RotaryEncoding`.
    init : callable, default xavier_uniform
        ``init(rng, shape, dtype) -> ndarray`` for the four weights; biases start at zero.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights and of the dropout masks.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `num_heads` does not divide D, or an input or the mask has another shape.
    TypeError
        If `mask` is not bool.

    Notes
    -----
    The projections are four layers, `query`, `key`, `value` and `proj`, named as in CS231n. PyTorch packs the first
    three into one weight, and its bool masks are True where attention is *forbidden*.

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", section 3.2.2, https://arxiv.org/abs/1706.03762

    Examples
    --------
    >>> attention = MultiHeadAttention(6, 2, rng=0)
    >>> x, real = np.ones((2, 4, 6)), np.array([[True] * 4, [True, True, False, False]])
    >>> attention.forward(x, mask=real[:, None, :]).shape
    (2, 4, 6)
    >>> attention.forward(x, np.ones((2, 3, 6))).shape
    (2, 4, 6)
    >>> dx, dmemory = attention.backward(np.ones((2, 4, 6)))
    >>> dmemory.shape
    (2, 3, 6)
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        *,
        causal=False,
        dropout=0.0,
        rotary=False,
        init=xavier_uniform,
        rng=None,
        dtype=np.float32,
    ):
        self.embed_dim = check_positive("embed_dim", embed_dim)
        self.num_heads = check_positive("num_heads", num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"num_heads must divide embed_dim = {embed_dim}; got {num_heads}")
        rng = np.random.default_rng(rng)
        self.query, self.key, self.value, self.proj = (
            TemporalAffine(embed_dim, embed_dim, init=init, rng=rng, dtype=dtype) for _ in range(4)
        )
        self.attend = ScaledDotProductAttention(causal=causal, dropout=dropout, rng=rng)
        self.turns = [RotaryEncoding(embed_dim // num_heads) for _ in "qk"] if rotary else []

    def forward(self, query, key=None, value=None, mask=None):
        self.cache = key is not None, value is not None
        key = query if key is None else key
        value = key if value is None else value
        dtype = self.proj.W.value.dtype
        query, key, value = (
            as_steps(name, x, self.embed_dim, dtype) for name, x in (("query", query), ("key", key), ("value", value))
        )
        N, T, _ = query.shape
        if key.shape != value.shape or len(key) != N:
            raise ValueError(
                f"key and value must have shape ({N}, S, {self.embed_dim}), the N of query and one S; "
                f"got {key.shape} and {value.shape}"
            )
        if mask is not None:
            hint = "True where a query may attend to a key; pass padding (N, S) as mask[:, None], (T, S) as mask[None]"
            mask = check_mask("mask", mask, (N, T, key.shape[1]), hint)[:, None]  # the same for all heads
        q, k = self._split(self.query.forward(query)), self._split(self.key.forward(key))
        if self.turns:
            q, k = (turn.forward(heads) for turn, heads in zip(self.turns, (q, k)))
        heads = self.attend.forward(q, k, self._split(self.value.forward(value)), mask)
        return self.proj.forward(self._merge(heads))

    def backward(self, dout):
        key_given, value_given = self.cache
        dq, dk, dv = self.attend.backward(self._split(self.proj.backward(dout)))
        if self.turns:
            dq, dk = (turn.backward(dheads) for turn, dheads in zip(self.turns, (dq, dk)))
        dquery = self.query.backward(self._merge(dq))
        dkey = self.key.backward(self._merge(dk))
        dvalue = self.value.backward(self._merge(dv))
        if not value_given:
            dkey += dvalue  # one array was key and value: gradients add
        if not key_given:
            dquery += dkey
        gradients = [dquery] + [dkey] * key_given + [dvalue] * value_given
        return tuple(gradients) if len(gradients) > 1 else dquery

    def _split(self, x):
        """(N, T, D) -> (N, h, T, D / h), a view."""
        N, T, D = x.shape
        return x.reshape(N, T, self.num_heads, D // self.num_heads).transpose(0, 2, 1, 3)

    def _merge(self, heads):
        """(N, h, T, D / h) -> (N, T, D), a view where they lie in memory as `_split` leaves them."""
        N, _, T, _ = heads.shape
        return heads.transpose(0, 2, 1, 3).reshape(N, T, self.embed_dim)


def _over_examples(function, weights, features):
    """``function(block)`` for blocks of the leading axis of `weights` (..., T, S); where there is none, for all."""
    if weights.ndim == 2:
        function(...)
    else:
        over_blocks(function, len(weights), weights.size, product=math.prod(weights.shape[-2:]) * features)


def _softmax(scores):
    """In place, over the last axis, of scores (..., T, S) that lie as (..., S, T) in memory.

    A query without any key, or with -inf at all of them, gets weights 0.
    """
    *many, T, S = scores.shape
    keys_first = scores.mT.reshape(math.prod(many), S, T)  # a view
    passes = _formulas.fastest(scores)
    passes.below_largest(keys_first)
    np.exp(scores, out=scores)
    passes.share(keys_first)


def _check_attention(q, k, v):
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            "q, k and v must have shapes (..., T, d), (..., S, d) and (..., S, d'), one value a key, keys as wide as "
            f"queries; got {q.shape}, {k.shape} and {v.shape}"
        )
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        raise ValueError(f"q, k and v must have the same leading axes; got {q.shape}, {k.shape} and {v.shape}")
