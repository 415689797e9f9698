"""Language models: what comes next, one token at a time, by a recurrent net or a transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import GRU, LSTM, RNN, Embedding, EncoderLayer, Layer, LayerNorm, LearnedEncoding, TemporalAffine

from .containers import Sequential, predict

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class RecurrentLM(Sequential):
    r"""Embedding, recurrent layers, scores of the next token at each step: :math:`(N, T) \to (N, T, V)`.

    Parameters
    ----------
    vocabulary : int
        Tokens V, numbered 0..V-1.
    embed_dim : int, default 32
        Width D of the embedding.
    hidden_size : int, default 128
        Width H of the recurrent layers.
    cell : {"rnn", "lstm", "gru"}, default "lstm"
    num_layers : int, default 1
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Notes
    -----
    Train it under `layers.TemporalSoftmaxLoss`, with the input shifted by one step as the labels.

    References
    ----------
    .. [1] Karpathy (2015), "The Unreasonable Effectiveness of Recurrent Neural Networks",
       https://karpathy.github.io/2015/05/21/rnn-effectiveness/

    Examples
    --------
    >>> model = RecurrentLM(27, rng=0)
    >>> model.forward(np.zeros((2, 5), int)).shape
    (2, 5, 27)
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        embed_dim: int = 32,
        hidden_size: int = 128,
        cell: str = "lstm",
        num_layers: int = 1,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}; got {cell!r}")
        rng = np.random.default_rng(rng)
        super().__init__(
            Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype),
            CELLS[cell](embed_dim, hidden_size, num_layers=num_layers, rng=rng, dtype=dtype),
            TemporalAffine(hidden_size, vocabulary, rng=rng, dtype=dtype),
        )


class TransformerLM(Sequential):
    r"""Embedding, learned positions, causal encoder layers, scores of the next token: :math:`(N, T) \to (N, T, V)`.

    Parameters
    ----------
    vocabulary : int
        Tokens V, numbered 0..V-1.
    max_len : int
        Longest sequence T.
    embed_dim : int, default 64
        Width D.
    num_heads : int, default 4
        Must divide `embed_dim`.
    num_layers : int, default 2
    dropout : float in [0, 1), default 0.0
        Probability that an attention weight or a feature of a body is zeroed.
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Notes
    -----
    GPT's order: the norms stand before their bodies, and one more before the scores.

    References
    ----------
    .. [1] Radford et al. (2019), "Language Models are Unsupervised Multitask Learners"

    Examples
    --------
    >>> model = TransformerLM(27, max_len=8, rng=0)
    >>> model.forward(np.zeros((2, 5), int)).shape
    (2, 5, 27)
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        max_len: int,
        embed_dim: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        dropout: float = 0.0,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        rng = np.random.default_rng(rng)
        own = {"causal": True, "dropout": dropout, "rng": rng, "dtype": dtype}
        super().__init__(
            Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype),
            LearnedEncoding(max_len, embed_dim, rng=rng, dtype=dtype),
            *[EncoderLayer(embed_dim, num_heads, **own) for _ in range(num_layers)],
            LayerNorm(embed_dim, dtype=dtype),
            TemporalAffine(embed_dim, vocabulary, rng=rng, dtype=dtype),
        )


def generate(
    model: Layer, start: Any, length: int, *, context: int | None = None, temperature: float = 1.0, rng: Any = None
) -> np.ndarray:
    """Go on from `start`, drawing each next token from the model's distribution.

    Parameters
    ----------
    model : Layer
        Scores (N, T, V) of tokens (N, T), such as `RecurrentLM` or `TransformerLM`.
    start : array_like of int, shape (T,) with T of at least 1
    length : int
        Tokens to add.
    context : int, optional
        How many of the last tokens the model is shown, at most a transformer's `max_len`; all if not given.
    temperature : float >= 0, default 1.0
        Divides the scores; 0 takes the likeliest token each time.
    rng : numpy.random.Generator or int, optional

    Returns
    -------
    ndarray of int, shape (T + length,)
    """
    rng = np.random.default_rng(rng)
    tokens = [int(token) for token in np.atleast_1d(start)]
    if not tokens:
        raise ValueError("start must hold at least one token; got none")
    for _ in range(length):
        shown = np.array(tokens[-context:] if context else tokens)
        scores = predict(model, shown[None])[0, -1].astype(np.float64)  # (V,)
        if temperature == 0:
            tokens.append(int(scores.argmax()))
            continue
        # The Gumbel-max trick: the argmax of scores plus Gumbel noise is a draw from their softmax.
        tokens.append(int((scores / temperature + rng.gumbel(size=scores.shape)).argmax()))
    return np.array(tokens)
