"""Nearest neighbours: the course's first classifier, which has no gradient and no training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from data._checks import check_count

BLOCK = 2**22  # numbers in an array of the computation: 32 MB


class KNearestNeighbor:
    r"""Label an example as most of the k training examples nearest to it are labelled.

    Near is the Euclidean distance, all pairs at once by one matrix product instead of N M D differences:

    .. math:: \lVert x_n - z_m \rVert^2 = \lVert x_n \rVert^2 - 2 \, x_n \cdot z_m + \lVert z_m \rVert^2

    Parameters
    ----------
    k : int, default 1
        Neighbours that vote. Of training examples equally far the first count, and of classes with as many votes the
        smallest wins.

    Attributes
    ----------
    classes_ : ndarray, shape (C,)
        The labels that occur, in order.

    Raises
    ------
    ValueError
        If an array has another shape, holds NaN or infinity, or if there are fewer than `k` training examples.

    Notes
    -----
    It computes in float64, where the squared distances of images of bytes are exact, in blocks of 32 MB: images may
    stay bytes. CS231n's ``train`` is `fit`, as in scikit-learn; its ``compute_distances_no_loops`` and
    ``predict_labels`` are `compute_distances` and `predict_labels`. Of equally far examples at the k-th place
    scikit-learn's choice is not specified.

    References
    ----------
    .. [1] CS231n, "Image Classification", https://cs231n.github.io/classification/

    Examples
    --------
    >>> model = KNearestNeighbor(k=1).fit([[0.0, 0.0], [3.0, 4.0]], ["near", "far"])
    >>> model.compute_distances([[0.0, 0.0]])
    array([[0., 5.]])
    >>> model.predict([[1.0, 1.0], [4.0, 4.0]])
    array(['near', 'far'], dtype='<U4')
    """

    classes_: np.ndarray

    def __init__(self, k: int = 1) -> None:
        self.k = check_count("k", k)

    def fit(self, X: Any, y: Any) -> KNearestNeighbor:
        """Keep the examples X, (M, D) or (M, C, H, W), uncopied, and their labels y, (M,); returns the classifier."""
        X, y = _as_rows(X), np.asarray(y)
        if y.shape != (len(X),):
            raise ValueError(f"y must have shape ({len(X)},), one label an example of X; got {y.shape}")
        if len(X) < self.k:
            raise ValueError(f"X must have at least k = {self.k} examples, who are to vote; got {len(X)}")
        self.classes_, self._labels = np.unique(y, return_inverse=True)
        self._X = X
        return self

    def compute_distances(self, X: Any) -> np.ndarray:
        """Euclidean distances, (N, M), of the examples X from those of `fit`."""
        X, Z = _as_rows(X), self._fitted()
        if X.shape[1] != Z.shape[1]:
            raise ValueError(f"X must have {Z.shape[1]} features an example, as in fit; got {X.shape[1]}")
        squares = np.empty((len(X), len(Z)))
        rows = max(1, BLOCK // Z.shape[1])
        X = X.astype(np.float64)
        norms = np.einsum("nd,nd->n", X, X)[:, None]
        for start in range(0, len(Z), rows):
            z = Z[start : start + rows].astype(np.float64)
            block = squares[:, start : start + rows]
            np.matmul(X, z.T, out=block)
            block *= -2
            block += norms
            block += np.einsum("md,md->m", z, z)
        np.maximum(squares, 0, out=squares)  # rounding may leave a hair less
        return np.sqrt(squares, out=squares)

    def predict_labels(self, distances: Any) -> np.ndarray:
        """Labels (N,) by a vote of the k nearest, given `distances` (N, M) from the examples of `fit`."""
        distances = np.asarray(distances)
        M = len(self._fitted())
        if distances.ndim != 2 or distances.shape[1] != M:
            raise ValueError(f"distances must have shape (N, {M}), as of compute_distances; got {distances.shape}")
        N, C = len(distances), len(self.classes_)
        kth = np.partition(distances, self.k - 1, axis=1)[:, self.k - 1 : self.k]
        nearer, equal = distances < kth, distances == kth
        equal &= equal.cumsum(axis=1) <= self.k - nearer.sum(axis=1, keepdims=True)  # the first of those equally far
        row, neighbour = np.nonzero(nearer | equal)
        votes = np.bincount(row * C + self._labels[neighbour], minlength=N * C).reshape(N, C)
        return self.classes_[votes.argmax(axis=1)]  # the first maximum: the smallest class

    def predict(self, X: Any) -> np.ndarray:
        """Labels (N,) of the examples X, in blocks that bound the memory."""
        X, rows = _as_rows(X), max(1, BLOCK // max(1, len(self._fitted())))
        blocks = range(0, max(1, len(X)), rows)
        return np.concatenate([self.predict_labels(self.compute_distances(X[i : i + rows])) for i in blocks])

    def score(self, X: Any, y: Any) -> float:
        """The fraction in [0, 1] of the examples X whose label is predicted as in y."""
        labels, y = self.predict(X), np.asarray(y)
        if y.shape != labels.shape:
            raise ValueError(f"y must have shape {labels.shape}, one label an example of X; got {y.shape}")
        return float(np.mean(labels == y))

    def _fitted(self) -> np.ndarray:
        if not hasattr(self, "_X"):
            raise ValueError("KNearestNeighbor must be fitted first: call fit(X, y)")
        return self._X

    def __repr__(self) -> str:
        return f"KNearestNeighbor(k={self.k})"


def _as_rows(X: Any) -> np.ndarray:
    """Finite numbers as (N, D), in the dtype in which they are kept."""
    X = np.asarray(X)
    if X.ndim < 2 or math.prod(X.shape[1:]) == 0:
        raise ValueError(f"X must have shape (N, D), one row an example, or (N, C, H, W); got {X.shape}")
    if X.dtype.kind not in "biuf" or not np.isfinite(X).all():
        raise ValueError(f"X must hold finite numbers; got dtype {X.dtype}. Fill or drop what is missing")
    return X.reshape(len(X), math.prod(X.shape[1:]))
