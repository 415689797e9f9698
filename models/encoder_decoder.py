"""From one sequence to another: an encoder reads it, a decoder attends to what was read while it writes."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import DecoderLayer, Embedding, EncoderLayer, Layer, LayerNorm, LearnedEncoding, TemporalAffine

from .containers import Sequential, predict


class EncoderDecoder(Layer):
    r"""Transformer for pairs of sequences: ``forward(source, target) -> scores``, (N, T, V), of the next tokens.

    The encoder sees the whole source; the decoder sees the target up to each step and what the encoder made of the
    source, its memory.

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
        rng = np.random.default_rng(rng)
        own = {"rng": rng, "dtype": dtype}
        self.encoder = Sequential(
            Embedding(source_vocabulary, embed_dim, **own),
            LearnedEncoding(max_len, embed_dim, **own),
            *[EncoderLayer(embed_dim, num_heads, dropout=dropout, **own) for _ in range(num_layers)],
            LayerNorm(embed_dim, dtype=dtype),
        )
        self.embedding = Sequential(
            Embedding(target_vocabulary, embed_dim, **own), LearnedEncoding(max_len, embed_dim, **own)
        )
        self.decoder = [
            DecoderLayer(embed_dim, num_heads, causal=True, dropout=dropout, **own) for _ in range(num_layers)
        ]
        self.scores = Sequential(LayerNorm(embed_dim, dtype=dtype), TemporalAffine(embed_dim, target_vocabulary, **own))

    def forward(self, source, target):
        return self.decode(self.encoder.forward(source), target)

    def decode(self, memory: Any, target: Any) -> Any:
        """Scores of the target's next tokens, given what the encoder made of the source."""
        x = self.embedding.forward(target)
        for layer in self.decoder:
            x = layer.forward(x, memory)
        return self.scores.forward(x)

    def backward(self, dout):
        dx, dmemory = self.scores.backward(dout), 0.0
        for layer in reversed(self.decoder):
            dx, d = layer.backward(dx)
            dmemory = dmemory + d  # every decoder layer reads the memory: gradients add
        self.embedding.backward(dx)
        self.encoder.backward(dmemory)

    def translate(self, source: Any, start: int, length: int) -> np.ndarray:
        """The likeliest target, a token at a time, (N, length), after the token `start`; in evaluation mode."""
        memory = predict(self.encoder, source)
        training = self.training
        self.eval()
        target = np.full((len(memory), 1), start)
        for _ in range(length):
            following = self.decode(memory, target)[:, -1:].argmax(axis=2)
            target = np.concatenate([target, following], axis=1)
        self.train(training).drop_cache()
        return target[:, 1:]
