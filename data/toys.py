"""Toy classification in the plane: two features, a few hundred points, classes that overlap a little."""

from __future__ import annotations

import numpy as np

from ._checks import check_count, generator
from .dataset import Dataset


def spirals(n: int = 300, *, noise: float = 0.2, seed: int = 0) -> Dataset:
    r"""Three arms that wind about each other, from CS231n's case study.

    .. math:: x = (r \sin t, r \cos t), \quad r \in [0, 1], \quad t \in [4 j, 4 (j + 1)] + \text{noise}

    Parameters
    ----------
    n : int, default 300
        Points; the first arms get one more where 3 does not divide it.
    noise : float, default 0.2
        Standard deviation of the angle t, radians.
    seed : int, default 0
        Decides the noise.

    References
    ----------
    .. [1] CS231n, "Putting it together", https://cs231n.github.io/neural-networks-case-study/

    Examples
    --------
    >>> spirals()
    Dataset('spirals', classification, X (300, 2), 3 classes)
    """
    rng = generator("spirals", seed)
    y = _even_labels(n, 3)
    sizes = np.bincount(y)
    r = np.concatenate([np.linspace(0, 1, size) for size in sizes])
    t = np.concatenate([np.linspace(4 * j, 4 * (j + 1), size) for j, size in enumerate(sizes)])
    t += noise * rng.standard_normal(n)
    return _planar("spirals", np.stack([r * np.sin(t), r * np.cos(t)], axis=1), y)


def xor(n: int = 400, *, noise: float = 0.4, seed: int = 0) -> Dataset:
    """Clusters at the corners (±1, ±1); the class is whether the signs of the two coordinates differ.

    Parameters
    ----------
    n : int, default 400
        Points.
    noise : float, default 0.4
        Standard deviation of each coordinate; at 0.4 no classifier gets more than 98.8 % right on average.
    seed : int, default 0
        Decides the noise.

    Examples
    --------
    >>> xor(4, noise=0).X
    array([[-1., -1.], [ 1.,  1.], [-1.,  1.], [ 1., -1.]], dtype=float32)
    """
    corners = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])
    corner = _even_labels(n, 4)
    X = corners[corner] + noise * generator("xor", seed).standard_normal((n, 2))
    return _planar("xor", X, corner // 2)


def moons(n: int = 500, *, noise: float = 0.2, seed: int = 0) -> Dataset:
    """Two interleaving half circles of radius 1: scikit-learn's ``make_moons`` of `n` points.

    `noise` is the standard deviation of each coordinate, and `seed` decides it and the order.
    """
    from sklearn.datasets import make_moons  # here, because importing scikit-learn takes most of a second

    n, seed = check_count("n", n, 2), check_count("seed", seed, 0)
    return _planar("moons", *make_moons(n, noise=noise, random_state=seed))


def circles(n: int = 500, *, noise: float = 0.1, seed: int = 0) -> Dataset:
    """A circle of radius 0.5 within one of radius 1: scikit-learn's ``make_circles`` of `n` points.

    `noise` is the standard deviation of each coordinate, and `seed` decides it and the order.
    """
    from sklearn.datasets import make_circles

    n, seed = check_count("n", n, 2), check_count("seed", seed, 0)
    return _planar("circles", *make_circles(n, factor=0.5, noise=noise, random_state=seed))


def blobs(n: int = 500, *, noise: float = 1.0, seed: int = 0) -> Dataset:
    """Three round clusters, which lines nearly separate: scikit-learn's ``make_blobs`` of `n` points.

    `noise` is the standard deviation of each coordinate, and `seed` decides it and the order.
    """
    from sklearn.datasets import make_blobs

    centers = [(-2.0, 0.0), (2.0, 0.0), (0.0, 3.5)]
    n, seed = check_count("n", n, len(centers)), check_count("seed", seed, 0)
    X, y, *_ = make_blobs(n, centers=centers, cluster_std=noise, random_state=seed)
    return _planar("blobs", X, y)


def _even_labels(n: int, C: int) -> np.ndarray:
    """0 ... 0 1 ... 1 up to C - 1: n labels in all, the first classes one larger where C does not divide n."""
    return np.sort(np.arange(check_count("n", n, C)) % C)


def _planar(name: str, X: np.ndarray, y: np.ndarray) -> Dataset:
    y = y.astype(np.int64)
    return Dataset(X.astype(np.float32), y, tuple(map(str, range(y.max() + 1))), name)
