"""Captions of images: a recurrent net that starts from the image's features."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import LSTM, RNN, Affine, Embedding, Layer, TemporalAffine
from layers.initializers import xavier_normal

CELLS = {"rnn": RNN, "lstm": LSTM}


class CaptioningRNN(Layer):
    r"""CS231n's captioning net: ``forward(features, captions) -> scores`` of the next words, (N, T, V).

    An affine layer makes the initial state of the features; embedding, recurrent layer and a temporal affine layer do
    the rest.

    Parameters
    ----------
    vocabulary : int
        Words V, numbered 0..V-1.
    in_features : int, default 512
        Features of an image.
    embed_dim : int, default 128
        CS231n's ``wordvec_dim``.
    hidden_size : int, default 128
    cell : {"rnn", "lstm"}, default "rnn"
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Notes
    -----
    Train it under ``TemporalSoftmaxLoss(mean_over="examples")``, the course's, with ``captions[:, :-1]`` as input,
    ``captions[:, 1:]`` as labels, and ``captions[:, 1:] != null`` as mask.

    References
    ----------
    .. [1] Vinyals et al. (2014), "Show and Tell", https://arxiv.org/abs/1411.4555

    Examples
    --------
    >>> model = CaptioningRNN(9, in_features=4, rng=0)
    >>> model.forward(np.ones((2, 4)), np.zeros((2, 5), int)).shape
    (2, 5, 9)
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        in_features: int = 512,
        embed_dim: int = 128,
        hidden_size: int = 128,
        cell: str = "rnn",
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}; got {cell!r}")
        rng = np.random.default_rng(rng)
        self.start = Affine(in_features, hidden_size, init=xavier_normal, rng=rng, dtype=dtype)
        self.embedding = Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype)
        self.cell = CELLS[cell](embed_dim, hidden_size, rng=rng, dtype=dtype)
        self.scores = TemporalAffine(hidden_size, vocabulary, rng=rng, dtype=dtype)

    def forward(self, features, captions):
        h0 = self.start.forward(features)
        return self.scores.forward(self.cell.forward(self.embedding.forward(captions), h0))

    def backward(self, dout):
        dwords, dh0 = self.cell.backward(self.scores.backward(dout))
        self.embedding.backward(dwords)
        return self.start.backward(dh0)

    def sample(self, features: Any, start: int, length: int) -> np.ndarray:
        """The likeliest words, (N, length), one after the other, after the word `start`."""
        h0 = self.start.forward(features)
        state = (h0, np.zeros_like(h0)) if isinstance(self.cell, LSTM) else (h0,)
        words = [np.full(len(h0), start)]
        for _ in range(length):
            out, state = self.cell.step(self.embedding.forward(words[-1]), state)
            words.append(self.scores.forward(out[:, None])[:, 0].argmax(axis=1))
        self.drop_cache()
        return np.stack(words[1:], axis=1)
