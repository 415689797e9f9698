"""Text by character: a vocabulary, tokens, and windows of them to predict the next character in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._checks import check_count, generator
from .dataset import Dataset

WINDOW = 64  # characters a window has as a dataset


class Text:
    """A text as tokens, each the number of a character in a vocabulary.

    Parameters
    ----------
    text : str
        At least one character.
    vocabulary : sequence of str, optional
        The V different characters that tokens number; by default those of `text`, sorted.

    Attributes
    ----------
    tokens : ndarray, shape (n,), int64
        The text, encoded.
    vocabulary : tuple of str
        Character of each token 0..V-1.

    Examples
    --------
    >>> text = Text("banana")
    >>> text.vocabulary, text.tokens
    (('a', 'b', 'n'), array([1, 0, 2, 0, 2, 0]))
    >>> text.decode([1, 0, 2])
    'ban'
    """

    def __init__(self, text: str, vocabulary: Sequence[str] | None = None) -> None:
        if not isinstance(text, str):
            raise TypeError(f"text must be a str; got {type(text).__name__}. Decode bytes, join lists")
        if not text:
            raise ValueError("text must hold at least one character; it is empty")
        self.vocabulary = tuple(sorted(set(text)) if vocabulary is None else vocabulary)
        if len(set(self.vocabulary)) < len(self.vocabulary) or any(len(c) != 1 for c in self.vocabulary):
            raise ValueError("vocabulary must hold single characters, each once")
        self._numbers = {character: token for token, character in enumerate(self.vocabulary)}
        self.tokens = self.encode(text)

    def encode(self, text: str) -> np.ndarray:
        """The tokens of `text`, shape (n,), int64; a ValueError names a character outside the vocabulary."""
        try:
            return np.array([self._numbers[character] for character in text], np.int64)
        except KeyError as error:
            unknown = error.args[0]
            raise ValueError(
                f"text must hold characters of the vocabulary of {len(self.vocabulary)}; got {unknown!r} at "
                f"{text.index(unknown)}, counted from 0"
            ) from None

    def decode(self, tokens: Any) -> str:
        """The text of `tokens`, whole numbers 0..V-1 of shape (n,)."""
        tokens, V = np.asarray(tokens), len(self.vocabulary)
        if tokens.ndim != 1 or (tokens.size and tokens.dtype.kind not in "iu"):
            raise ValueError(f"tokens must be whole numbers of shape (n,); got {tokens.dtype} {tokens.shape}")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < V:
            raise ValueError(
                f"tokens must be 0..{V - 1}, for the vocabulary of {V}; got {tokens.min()}..{tokens.max()}"
            )
        return "".join(self.vocabulary[token] for token in tokens)

    def windows(self, length: int, *, stride: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Stretches of the text, and the same one character later: what a model reads, and what it predicts.

        Parameters
        ----------
        length : int
            Characters T of a window, less than the text has.
        stride : int, optional
            Characters from one window's start to the next one's; by default T, so that none is predicted twice. What
            does not fill a last window is left out.

        Returns
        -------
        x, y : ndarray, shape (N, T), int64

        Examples
        --------
        >>> text = Text("abcdefg")
        >>> x, y = text.windows(3)
        >>> [text.decode(row) for row in x], [text.decode(row) for row in y]
        (['abc', 'def'], ['bcd', 'efg'])
        """
        if check_count("length", length) >= len(self):
            raise ValueError(f"length must be less than the {len(self)} characters of the text; got {length}")
        stride = length if stride is None else check_count("stride", stride)
        windows = np.lib.stride_tricks.sliding_window_view(self.tokens, length + 1)[::stride]  # (N, T + 1)
        return np.ascontiguousarray(windows[:, :-1]), np.ascontiguousarray(windows[:, 1:])

    def cut(self, val: float = 0.1) -> tuple[Text, Text]:
        """The text in two, cut in time: its last part, the fraction `val` in (0, 1), is for validation.

        Both know the vocabulary of the whole.
        """
        at = round((1 - val) * len(self)) if 0 < val < 1 else 0
        if not 0 < at < len(self):
            raise ValueError(f"val must be a fraction in (0, 1) that leaves two texts; got {val!r} of {len(self)}")
        text = self.decode(self.tokens)
        return Text(text[:at], self.vocabulary), Text(text[at:], self.vocabulary)

    def as_dataset(self, length: int = WINDOW, *, name: str = "text") -> Dataset:
        """The windows as examples, the vocabulary as classes; `split` cuts it in time."""
        if len(self) <= check_count("length", length) or len(self.vocabulary) < 2:
            raise ValueError(
                f"{name} must have more than {length} characters, at least 2 of them different; got {len(self)}, "
                f"{len(self.vocabulary)} different"
            )
        return Dataset(*self.windows(length), self.vocabulary, name)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Text({len(self)} characters, {len(self.vocabulary)} different)"


def read_text(path: str | Path) -> Text:
    """Read a file of UTF-8 text, with or without a byte order mark; line ends become newlines.

    Raises
    ------
    ValueError
        If the file is empty or not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text; byte {error.start} is not. Save it in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty; it must hold text")
    return Text(text)


def toy_text(n: int = 40_000, *, seed: int = 0) -> str:
    """A text of about `n` characters to learn from: sentences of a small grammar, and sums.

    Verbs agree with their subjects, and sums are right, which a table of pairs of characters cannot know.

    Parameters
    ----------
    n : int, default 40000
        Characters at least; the last line is finished.
    seed : int, default 0
        Decides the sentences.

    Examples
    --------
    >>> print(toy_text(100), end="")
    Every stone draws the tired cloud.
    19 + 18 = 37.
    The farmers remember the old clouds near the sea.
    The gardens follow the garden at night.
    """
    rng = generator("text", seed)
    check_count("n", n)
    lines: list[str] = []
    length = 0
    while length < n:
        lines.append(_sum(rng) if rng.random() < 0.25 else _sentence(rng))
        length += len(lines[-1])
    return "".join(lines)


NOUNS = ("cat", "dog", "bird", "farmer", "sailor", "robot", "king", "painter", "river", "cloud", "stone", "garden")
ADJECTIVES = ("small", "old", "red", "quiet", "clever", "golden", "tired", "happy")
VERBS = ("see", "follow", "find", "draw", "paint", "remember", "answer", "hear")
PLACES = ("in the morning", "near the sea", "under the bridge", "behind the house", "after the rain", "at night")


def _sentence(rng: np.random.Generator) -> str:
    """Such as "The old sailors hear every bird near the sea."."""
    plural = rng.random() < 0.5
    words = [_nouns(rng, plural), str(rng.choice(VERBS)) + ("" if plural else "s"), _nouns(rng, rng.random() < 0.5)]
    if rng.random() < 0.5:
        words.append(str(rng.choice(PLACES)))
    return " ".join(words).capitalize() + ".\n"


def _nouns(rng: np.random.Generator, plural: bool) -> str:
    article = "the" if plural or rng.random() < 0.5 else "every"
    adjective = f"{rng.choice(ADJECTIVES)} " if rng.random() < 0.5 else ""
    return f"{article} {adjective}{rng.choice(NOUNS)}{'s' if plural else ''}"


def _sum(rng: np.random.Generator) -> str:
    """Such as "7 + 15 = 22."."""
    a, b = rng.integers(20, size=2)
    return f"{a} + {b} = {a + b}.\n"
