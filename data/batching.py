"""Minibatches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ._checks import check_count

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def batches(
    X: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    augment: Augment | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch of minibatches: every example once, in an order that (seed, epoch) decides and nothing else.

    Parameters
    ----------
    X, y : ndarray, first axis N
        Examples, and their labels or targets. Images of bytes become float32 in 0..1, a batch at a time; see
        `as_floats`.
    batch_size : int, from 1 to N
        Examples a batch; the last one has the remainder, if any.
    seed, epoch : int, default 0
        The order is ``np.random.default_rng((seed, epoch)).permutation(N)``, so a resumed run goes on where it was.
    shuffle : bool, default True
        False keeps the order of X; the batches are views then, otherwise copies that no later batch overwrites.
    drop_last : bool, default False
        Leave out a last batch that is smaller.
    augment : callable, optional
        ``augment(x, rng) -> x`` changes each batch at random, such as `Flip`; ``rng`` is a function of (seed, epoch,
        batch) and nothing else.

    Raises
    ------
    ValueError
        At once, not at the first batch: if X and y differ in length, or `batch_size` is not in 1..N.

    Notes
    -----
    CS231n's Solver draws each batch with replacement, so that an epoch misses a third of the examples.

    Examples
    --------
    >>> X, y = np.arange(5.0).reshape(5, 1), np.arange(5)
    >>> [labels.tolist() for _, labels in batches(X, y, 2, shuffle=False)]
    [[0, 1], [2, 3], [4]]
    """
    n = len(X)
    if len(y) != n:
        raise ValueError(f"y must have one entry for each of the {n} examples of X; got {len(y)}")
    if check_count("batch_size", batch_size) > n:
        raise ValueError(f"batch_size must be at most the {n} examples; got {batch_size}. Make it smaller")
    end = n - n % batch_size if drop_last else n
    starts = range(0, end, batch_size)
    key = check_count("seed", seed, 0), check_count("epoch", epoch, 0)
    if shuffle:
        rows = np.random.default_rng(key).permutation(n)
        X, y = np.ascontiguousarray(X), np.ascontiguousarray(y)  # `take` would copy all of a strided array, each time
        pairs = ((X.take(rows[i : i + batch_size], axis=0), y.take(rows[i : i + batch_size], axis=0)) for i in starts)
    else:
        pairs = ((X[i : i + batch_size], y[i : i + batch_size]) for i in starts)
    return ((_prepare(x, augment, (*key, batch)), labels) for batch, (x, labels) in enumerate(pairs))


def as_floats(X: np.ndarray) -> np.ndarray:
    """Images of bytes, (N, C, H, W) uint8, as float32 in 0..1; any other array as it is.

    Examples
    --------
    >>> as_floats(np.full((1, 1, 1, 2), 51, np.uint8))
    array([[[[0.2, 0.2]]]], dtype=float32)
    """
    return X / np.float32(255) if X.dtype == np.uint8 and X.ndim == 4 else X


def _prepare(x: np.ndarray, augment: Augment | None, key: tuple[int, ...]) -> np.ndarray:
    x = as_floats(x)
    # The word keeps the stream apart from dropout's, whose key is (seed, epoch, batch, layer).
    return x if augment is None else augment(x, np.random.default_rng((*key, *b"augment")))
