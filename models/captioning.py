"""Captions of images: a recurrent net that starts from the image's features, a transformer that attends to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from data._checks import check_count
from layers import LSTM, RNN, Affine, Embedding, Layer, TemporalAffine
from layers._sequence_checks import check_indices
from layers.initializers import xavier_normal

from ._checks import check_as_many, check_tokens
from .containers import evaluating
from .encoder_decoder import Decoder

CELLS = {"rnn": RNN, "lstm": LSTM}


class CaptioningRNN(Layer):
    r"""CS231n's captioning net: ``forward(features, captions) -> scores`` of the next words, (N, T, V).

    An affine layer makes the initial state of the features (N, D); embedding, recurrent layer and a temporal affine
    layer do the rest.

    Parameters
    ----------
    vocabulary : int
        Words V, numbered 0..V-1.
    in_features : int, default 512
        Features D of an image.
    embed_dim : int, default 128
        CS231n's ``wordvec_dim``.
    hidden_size : int, default 128
    cell : {"rnn", "lstm"}, default "rnn"
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If features or captions have another shape, or a word is not in 0..V-1.
    TypeError
        If the words are not integers.

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
        self.vocabulary = vocabulary
        self.start = Affine(in_features, hidden_size, init=xavier_normal, rng=rng, dtype=dtype)
        self.embedding = Embedding(vocabulary, embed_dim, rng=rng, dtype=dtype)
        self.cell = CELLS[cell](embed_dim, hidden_size, rng=rng, dtype=dtype)
        self.scores = TemporalAffine(hidden_size, vocabulary, rng=rng, dtype=dtype)

    def forward(self, features, captions):
        h0, captions = self.start.forward(features), check_tokens("captions", captions, self.vocabulary)
        check_as_many("captions", captions, "features", h0)
        return self.scores.forward(self.cell.forward(self.embedding.forward(captions), h0))

    def backward(self, dout):
        dwords, dh0 = self.cell.backward(self.scores.backward(dout))
        self.embedding.backward(dwords)
        return self.start.backward(dh0)

    def sample(self, features: Any, start: int, length: int) -> np.ndarray:
        """The likeliest words, (N, length), one after the other, after the word `start`."""
        with evaluating(self):
            h0 = self.start.forward(features)
            state = (h0, np.zeros_like(h0)) if isinstance(self.cell, LSTM) else (h0,)
            words = np.full((len(h0), 1), check_indices("start", start, self.vocabulary))
            for _ in range(check_count("length", length, 0)):
                out, state = self.cell.step(self.embedding.forward(words[:, -1]), state)
                following = self.scores.forward(out).argmax(axis=1)
                words = np.concatenate([words, following[:, None]], axis=1)
        return words[:, 1:]


class CaptioningTransformer(Layer):
    r"""CS231n's captioning transformer: ``forward(features, captions) -> scores`` of the next words, (N, T, V).

    An affine layer makes the decoder's memory of the features: one vector of features (N, D), or one for each of S
    places in the image, (N, S, D), among which each word can choose.

    Parameters
    ----------
    vocabulary : int
        Words V, numbered 0..V-1.
    max_len : int
        Longest caption.
    in_features : int, default 512
        Features D of an image, or of a place in it.
    embed_dim : int, default 128
        CS231n's ``wordvec_dim``.
    num_heads : int, default 4
        Must divide `embed_dim`.
    num_layers : int, default 2
    dropout : float in [0, 1), default 0.0
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If features or captions have another shape, a word is not in 0..V-1, or a caption is longer than `max_len`.
    TypeError
        If the words are not integers.

    Notes
    -----
    Places are seen in no order: where one is has to be among its features. CS231n's adds sines and cosines of the
    words' positions and normalises after the sums; here positions are learned and norms stand before their bodies. It
    trains as `CaptioningRNN` does.

    References
    ----------
    .. [1] Xu et al. (2015), "Show, Attend and Tell", https://arxiv.org/abs/1502.03044

    Examples
    --------
    >>> model = CaptioningTransformer(9, max_len=5, in_features=4, rng=0)
    >>> model.forward(np.ones((2, 4)), np.zeros((2, 5), int)).shape
    (2, 5, 9)
    >>> model.sample(np.ones((2, 6, 4)), start=0, length=3).shape
    (2, 3)
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        max_len: int,
        in_features: int = 512,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 2,
        dropout: float = 0.0,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}
        self.memory = TemporalAffine(in_features, embed_dim, **own)
        self.decoder = Decoder(
            vocabulary,
            max_len=max_len,
            embed_dim=embed_dim,
            num_heads=num_heads,
            num_layers=num_layers,
            dropout=dropout,
            **own,
        )

    def forward(self, features, captions):
        captions = check_tokens("captions", captions, self.decoder.vocabulary)
        check_as_many("captions", captions, "features", features)
        return self.decoder.forward(captions, self._remember(features))

    def backward(self, dout):
        dmemory = self.decoder.backward(dout)
        return self.memory.backward(dmemory.reshape(self.cache))

    def sample(self, features: Any, start: int, length: int) -> np.ndarray:
        """The likeliest words, (N, length), one after the other, after the word `start`; in evaluation mode."""
        with evaluating(self):
            return self.decoder.write(start, length, self._remember(features))

    def _remember(self, features):
        """The memory (N, S, D); of one vector an image it has one place."""
        memory = self.memory.forward(features)
        self.cache = memory.shape
        return memory.reshape(len(memory), math.prod(memory.shape[1:-1]), memory.shape[-1])
