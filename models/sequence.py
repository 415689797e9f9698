"""Language models: what comes next, one token at a time, by a recurrent net or a transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from data._checks import check_count
from layers import GRU, LSTM, RNN, Embedding, EncoderLayer, Layer, LayerNorm, LearnedEncoding, TemporalAffine
from layers._checks import check_range

from ._checks import check_tokens
from .containers import Sequential, evaluating

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class LanguageModel(Sequential):
    """A chain that takes tokens (N, T), numbered 0..V-1."""

    def __init__(self, vocabulary: int, *layers: Layer) -> None:
        super().__init__(*layers)
        self.vocabulary = vocabulary

    def forward(self, x):
        return super().forward(check_tokens("x", x, self.vocabulary))


class RecurrentLM(LanguageModel):
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

    Raises
    ------
    ValueError
        If the tokens do not have shape (N, T), or one is not in 0..V-1.
    TypeError
        If the tokens are not integers.

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
            vocabulary,
            Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype),
            CELLS[cell](embed_dim, hidden_size, num_layers=num_layers, rng=rng, dtype=dtype),
            TemporalAffine(hidden_size, vocabulary, rng=rng, dtype=dtype),
        )

    def step(self, x: Any, state: Any = None) -> tuple[np.ndarray, Any]:
        """Scores (N, V) after one more token each, (N,), and the state to go on from; keeps no cache."""
        cell: Any
        embedding, cell, scores = self.layers
        out, state = cell.step(embedding.forward(x), state)
        return scores.forward(out), state


class TransformerLM(LanguageModel):
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

    Raises
    ------
    ValueError
        If the tokens do not have shape (N, T), one is not in 0..V-1, or T is above `max_len`.
    TypeError
        If the tokens are not integers.

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
        self.max_len = max_len
        rng = np.random.default_rng(rng)
        own = {"causal": True, "dropout": dropout, "rng": rng, "dtype": dtype}
        super().__init__(
            vocabulary,
            Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype),
            LearnedEncoding(max_len, embed_dim, rng=rng, dtype=dtype),
            *[EncoderLayer(embed_dim, num_heads, **own) for _ in range(check_count("num_layers", num_layers))],
            LayerNorm(embed_dim, dtype=dtype),
            TemporalAffine(embed_dim, vocabulary, rng=rng, dtype=dtype),
        )


def generate(
    model: Layer, start: Any, length: int, *, context: int | None = None, temperature: float = 1.0, rng: Any = None
) -> np.ndarray:
    """Go on from `start`, drawing each next token from the model's distribution, in evaluation mode.

    Parameters
    ----------
    model : Layer
        Scores (N, T, V) of tokens (N, T), such as `RecurrentLM` or `TransformerLM`.
    start : array_like of int, shape (T,) with T of at least 1
    length : int
        Tokens to add.
    context : int, optional
        How many of the last tokens the model is shown. If not given, a `RecurrentLM` sees all, each read but once, a
        `TransformerLM` its `max_len`, and any other model all.
    temperature : float >= 0, default 1.0
        Divides the scores; 0 takes the likeliest token each time.
    rng : numpy.random.Generator or int, optional

    Returns
    -------
    ndarray of int, shape (T + length,)

    Raises
    ------
    ValueError
        If `start` is empty or not one sequence, or `length`, `context` or `temperature` is out of its range.
    TypeError
        If `start` does not hold integers.

    Examples
    --------
    >>> generate(RecurrentLM(27, rng=0), [3, 1], 4, temperature=0.5, rng=0).shape
    (6,)
    """
    rng, start = np.random.default_rng(rng), np.asarray(start)
    if start.ndim > 1 or start.size == 0:
        raise ValueError(f"start must hold at least one token, shape (T,); got {start.shape}")
    if start.dtype.kind not in "iu":
        raise TypeError(f"start must hold integers, the numbers of tokens; got dtype {start.dtype}. Encode text first")
    temperature = check_range("temperature", temperature, 0, np.inf)
    tokens = start.reshape(-1).tolist()
    with evaluating(model):
        after = _in_steps(model) if context is None and isinstance(model, RecurrentLM) else _anew(model, context)
        for _ in range(check_count("length", length, 0)):
            scores = after(tokens).astype(np.float64)  # (V,)
            if temperature:
                # The Gumbel-max trick: the argmax of scores plus Gumbel noise is a draw from their softmax.
                scores = scores / temperature + rng.gumbel(size=scores.shape)
            tokens.append(int(scores.argmax()))
    return np.array(tokens)


def _anew(model: Layer, context: int | None) -> Callable[[list[int]], np.ndarray]:
    """The scores after the last `context` tokens, all of which are read again for each."""
    context = getattr(model, "max_len", None) if context is None else check_count("context", context)
    return lambda tokens: model.forward(np.array([tokens[-context:] if context else tokens]))[0, -1]


def _in_steps(model: RecurrentLM) -> Callable[[list[int]], np.ndarray]:
    """The scores after all tokens, of which only those that were added since are read."""
    state, seen = None, 0

    def after(tokens: list[int]) -> np.ndarray:
        nonlocal state, seen
        for token in tokens[seen:]:
            scores, state = model.step(np.array([token]), state)
        seen = len(tokens)
        return scores[0]

    return after
