"""How good predictions are: figures for people, not for gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray], float]


def accuracy(scores: np.ndarray, y: np.ndarray) -> float:
    """Fraction in [0, 1] of the labels `y`, (N,) or of sequences (N, T), where `scores` has its largest entry.

    Parameters
    ----------
    scores : ndarray, shape (N, C) or (N, T, V)
    y : ndarray of int, shape (N,) or (N, T)

    Raises
    ------
    ValueError
        If `y` does not have the shape of `scores` without its last axis.

    Examples
    --------
    >>> accuracy(np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([1, 1]))
    0.5
    """
    if np.shape(y) != scores.shape[:-1]:
        raise ValueError(f"y must have shape {scores.shape[:-1]}, one label a row of scores; got {np.shape(y)}")
    return float(np.mean(scores.argmax(axis=-1) == y))


def r2(out: np.ndarray, y: np.ndarray) -> float:
    """Coefficient of determination, 1 - residual / total sum of squares: 1 is perfect, 0 is as good as the mean.

    Examples
    --------
    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]))
    1.0
    """
    y = np.asarray(y, np.float64)
    residual = ((y - np.reshape(out, y.shape)) ** 2).sum()
    total = ((y - y.mean(axis=0)) ** 2).sum()
    return float(1 - residual / total) if total else float(residual == 0)


METRICS: dict[str, Metric] = {"accuracy": accuracy, "r2": r2}
