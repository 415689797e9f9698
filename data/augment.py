"""Augmentation: a batch of images changed at random, so that no epoch shows quite the same ones.

Each is a callable ``(X, rng) -> X`` of a batch (N, C, H, W) and a generator: every image draws its own change, X is not
written into, and the dtype stays. `batches` makes the generator from (seed, epoch, batch).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._checks import check_count
from .batching import Augment


@dataclass(frozen=True)
class Flip:
    """Mirror images left to right.

    Parameters
    ----------
    probability : float in [0, 1], default 0.5
        That an image is mirrored. Right for photographs; a mirrored digit is another sign.

    Examples
    --------
    >>> Flip(probability=1.0)(np.array([[[[1, 2, 3]]]]), np.random.default_rng(0))
    array([[[[3, 2, 1]]]])
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be in [0, 1]; got {self.probability!r}")

    def __call__(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check_images(X)
        mirrored = rng.random(len(X)) < self.probability
        return np.where(mirrored[:, None, None, None], X[..., ::-1], X)


@dataclass(frozen=True)
class Crop:
    """Shift images: pad them with zeros, then cut out a window of the old size anywhere.

    Parameters
    ----------
    padding : int, optional
        Pixels added on each side, so the largest shift; by default an eighth of the height: 4 of 32, as usual for
        CIFAR-10.

    References
    ----------
    .. [1] He, Zhang, Ren, Sun (2016), "Deep Residual Learning for Image Recognition", section 4.2,
       https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> Crop(padding=1)(np.array([[[[1, 2, 3]]]]), np.random.default_rng(0))
    array([[[[0, 0, 0]]]])
    """

    padding: int | None = None

    def __post_init__(self) -> None:
        if self.padding is not None:
            check_count("padding", self.padding)

    def __call__(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, _, H, W = _check_images(X)
        pad = self.padding or max(1, H // 8)
        padded = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (H, W), axis=(2, 3))  # (N, C, tops, lefts, H, W)
        top, left = rng.integers(2 * pad + 1, size=(2, N))
        return windows[np.arange(N), :, top, left]


@dataclass(frozen=True)
class Cutout:
    """Black out a square of each image, the same in all channels; its centre is anywhere, so it may hang over an edge.

    Parameters
    ----------
    size : int, optional
        Side of the square, pixels; by default half the height, as published for CIFAR-10.

    References
    ----------
    .. [1] DeVries, Taylor (2017), "Improved Regularization of Convolutional Neural Networks with Cutout",
       https://arxiv.org/abs/1708.04552

    Examples
    --------
    >>> Cutout(size=1)(np.ones((1, 1, 2, 3)), np.random.default_rng(0))
    array([[[[1., 1., 1.], [1., 0., 1.]]]])
    """

    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            check_count("size", self.size)

    def __call__(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        N, _, H, W = _check_images(X)
        size = self.size or max(1, H // 2)
        top = rng.integers(H, size=(N, 1)) - size // 2
        left = rng.integers(W, size=(N, 1)) - size // 2
        rows = (np.arange(H) >= top) & (np.arange(H) < top + size)  # (N, H)
        columns = (np.arange(W) >= left) & (np.arange(W) < left + size)  # (N, W)
        square = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
        return np.where(square, X.dtype.type(0), X)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise to every pixel; values may leave 0..1.

    Parameters
    ----------
    deviation : float of at least 0, default 0.05
        Standard deviation, in the units of X.

    Examples
    --------
    >>> Noise(deviation=0.1)(np.zeros((1, 1, 1, 2)), np.random.default_rng(0)).round(2)
    array([[[[ 0.01, -0.01]]]])
    """

    deviation: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.deviation < np.inf:
            raise ValueError(f"deviation must be a finite number of at least 0; got {self.deviation!r}")

    def __call__(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _check_images(X)
        if X.dtype not in (np.float32, np.float64):
            raise TypeError(f"X must be float32 or float64 to take noise; got {X.dtype}. Convert by as_floats(X)")
        noise = rng.standard_normal(X.shape, dtype=X.dtype.type)
        noise *= self.deviation
        noise += X
        return noise


class Compose:
    """Several augmentations, one after the other.

    Examples
    --------
    >>> augment = Compose(Flip(), Crop(padding=2))
    >>> augment(np.ones((5, 3, 8, 8)), np.random.default_rng(0)).shape
    (5, 3, 8, 8)
    """

    def __init__(self, *augmentations: Augment) -> None:
        self.augmentations = augmentations

    def __call__(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for augment in self.augmentations:
            X = augment(X, rng)
        return X

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.augmentations))})"


AUGMENTATIONS: dict[str, type[Flip] | type[Crop] | type[Cutout] | type[Noise]] = {
    "flip": Flip,
    "crop": Crop,
    "cutout": Cutout,
    "noise": Noise,
}


def _check_images(X: np.ndarray) -> tuple[int, int, int, int]:
    """The shape (N, C, H, W) of X."""
    if not isinstance(X, np.ndarray) or X.ndim != 4:
        raise ValueError(
            f"X must hold images, an array (N, C, H, W); got {np.shape(X)}. Reshape it, or dataset.as_images()"
        )
    N, C, H, W = X.shape
    return N, C, H, W
