"""From one sequence to another: an encoder reads it, a decoder attends to what was read while it writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from data._checks import check_count
from layers import DecoderLayer, Embedding, EncoderLayer, Layer, LayerNorm, LearnedEncoding, TemporalAffine
from layers._sequence_checks import check_indices, check_mask

from ._checks import check_as_many, check_tokens
from .containers import Sequential, evaluating


class EncoderDecoder(Layer):
    r"""Transformer for pairs of sequences: ``forward(source, target) -> scores``, (N, T, V), of the next tokens.

    The encoder sees the whole source; the decoder sees the target up to each step and what the encoder made of the
    source, its memory. ``forward(source, target, source_mask=None)`` takes tokens (N, S) and (N, T), and a bool mask
    (N, S), True where a source token is real: padding behind shorter sources is then seen by nobody. A target's
    padding needs no mask, as it stands behind what is real: leave it out of the loss.

    Parameters
    ----------
    source_vocabulary, target_vocabulary : int
        Tokens of either side, numbered from 0; V is the target's.
    max_len : int
        Longest sequence on either side.
    embed_dim : int, default 64
    num_heads : int, default 4
        Must divide `embed_dim`.
    num_layers : int, default 1
        Of the encoder and of the decoder.
    dropout : float in [0, 1), default 0.0
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If source, target or mask have another shape, a token is not in its vocabulary, or a sequence is longer than
        `max_len`.
    TypeError
        If tokens are not integers, or the mask not bool.

    References
    ----------
    .. [1] Vaswani et al. (2017), "Attention Is All You Need", figure 1, https://arxiv.org/abs/1706.03762

    Examples
    --------
    >>> model = EncoderDecoder(5, 7, max_len=6, rng=0)
    >>> model.forward(np.zeros((2, 6), int), np.zeros((2, 4), int)).shape
    (2, 4, 7)
    """

    def __init__(
        self,
        source_vocabulary: int,
        target_vocabulary: int,
        *,
        max_len: int,
        embed_dim: int = 64,
        num_heads: int = 4,
        num_layers: int = 1,
        dropout: float = 0.0,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}
        self.source_vocabulary = source_vocabulary
        self.embedding = embedded(source_vocabulary, max_len, embed_dim, **own)
        self.encoder = [
            EncoderLayer(embed_dim, num_heads, dropout=dropout, **own)
            for _ in range(check_count("num_layers", num_layers))
        ]
        self.memory = LayerNorm(embed_dim, dtype=dtype)
        self.decoder = Decoder(
            target_vocabulary,
            max_len=max_len,
            embed_dim=embed_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            dropout=dropout,
            **own,
        )

    def forward(self, source, target, source_mask=None):
        source = check_tokens("source", source, self.source_vocabulary)
        check_as_many("target", target, "source", source)
        return self.decoder.forward(target, *self._encode(source, source_mask))

    def backward(self, dout):
        dx = self.memory.backward(self.decoder.backward(dout))
        for layer in reversed(self.encoder):
            dx = layer.backward(dx)
        self.embedding.add_grads(dx)

    def translate(self, source: Any, start: int, length: int, source_mask: Any = None) -> np.ndarray:
        """The likeliest target, a token at a time, (N, length), after the token `start`; in evaluation mode."""
        source = check_tokens("source", source, self.source_vocabulary)
        with evaluating(self):
            return self.decoder.write(start, length, *self._encode(source, source_mask))

    def _encode(self, source, mask):
        """The memory, (N, S, D), and the mask that is for everybody who attends to it, (N, 1, S)."""
        if mask is not None:
            mask = check_mask("source_mask", mask, source.shape, "True where a source token is real")[:, None]
        x = self.embedding.forward(source)
        for layer in self.encoder:
            x = layer.forward(x, mask)
        return self.memory.forward(x), mask


class Decoder(Layer):
    """The half that writes: ``forward(target, memory, memory_mask=None) -> scores`` (N, T, V) of the next tokens.

    Every layer attends to the memory (N, S, D); `backward` returns its gradient. For the rest see `EncoderDecoder`.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        max_len: int,
        embed_dim: int,
        num_heads: int,
        num_layers: int,
        dropout: float,
        rng: Any,
        dtype: Any,
    ) -> None:
        own = {"rng": rng, "dtype": dtype}
        self.vocabulary, self.max_len = vocabulary, max_len
        self.embedding = embedded(vocabulary, max_len, embed_dim, **own)
        self.layers = [
            DecoderLayer(embed_dim, num_heads, dropout=dropout, **own)
            for _ in range(check_count("num_layers", num_layers))
        ]
        self.scores = Sequential(LayerNorm(embed_dim, dtype=dtype), TemporalAffine(embed_dim, vocabulary, **own))

    def forward(self, target, memory, memory_mask=None):
        x = self.embedding.forward(check_tokens("target", target, self.vocabulary))
        for layer in self.layers:
            x = layer.forward(x, memory, memory_mask=memory_mask)
        return self.scores.forward(x)

    def backward(self, dout):
        dx, dmemory = self.scores.backward(dout), 0.0
        for layer in reversed(self.layers):
            dx, d = layer.backward(dx)
            dmemory = dmemory + d  # every layer reads the memory: gradients add
        self.embedding.add_grads(dx)
        return dmemory

    def write(self, start: int, length: int, memory: Any, memory_mask: Any = None) -> np.ndarray:
        """The likeliest tokens, (N, length), one after the other, after the token `start`."""
        if check_count("length", length, 0) > self.max_len:
            raise ValueError(f"length must be at most max_len = {self.max_len}; got {length}. Make the model longer")
        tokens = np.full((len(memory), 1), check_indices("start", start, self.vocabulary))
        for _ in range(length):
            following = self.forward(tokens, memory, memory_mask)[:, -1:].argmax(axis=2)
            tokens = np.concatenate([tokens, following], axis=1)
        return tokens[:, 1:]


def embedded(vocabulary: int, max_len: int, embed_dim: int, **own: Any) -> Sequential:
    """Tokens as vectors that know their positions, (N, T) -> (N, T, D)."""
    return Sequential(Embedding(vocabulary, embed_dim, **own), LearnedEncoding(max_len, embed_dim, **own))
