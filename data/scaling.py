"""Features, and targets, brought to a common scale by figures of the training part alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .dataset import Dataset


def _standard(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)


def _minmax(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low = X.min(axis=0).astype(np.float64)
    return low, X.max(axis=0) - low


def _none(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(X.shape[1:]), np.ones(X.shape[1:])


# how -> (zero, unit) of each feature, (D,): the value that becomes 0, and the length that becomes 1
SCALINGS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "standard": _standard,
    "minmax": _minmax,
    "none": _none,
}


def scale(train: Dataset, *others: Dataset, how: str = "standard") -> tuple[Dataset, ...]:
    """Shift and stretch each feature, by figures fitted on the training part and applied to all.

    Parameters
    ----------
    train : Dataset
        Decides the figures; it must not be empty.
    *others : Dataset
        Further parts, such as validation and test, which get the same treatment; they may be empty.
    how : {"standard", "minmax", "none"}, default "standard"
        Mean 0 and standard deviation 1; from 0 to 1; or as they are. A constant feature is only shifted, to 0.
        Bytes of images are from 0 to 1 in any batch, so minmax and none leave them as they are; tokens of a text take
        none.

    Returns
    -------
    tuple of Dataset
        The parts in the order given, X in its dtype, y shared.

    Raises
    ------
    ValueError
        If `how` is unknown, the training part empty, or X holds whole numbers that have no such scale.

    Examples
    --------
    >>> from data import from_arrays
    >>> train, test = from_arrays([[0], [4]], [0, 1]), from_arrays([[1], [6]], [0, 1])
    >>> for part in scale(train, test, how="minmax"):
    ...     print(part.X.ravel())
    [0. 1.]
    [0.25 1.5 ]
    """
    if how not in SCALINGS:
        raise ValueError(f"how must be one of {', '.join(SCALINGS)}; got {how!r}")
    if train.X.dtype.kind != "f":
        allowed = ("minmax", "none") if train.image_shape else ("none",)
        if how not in allowed:
            raise ValueError(f"{train.name}: how must be {' or '.join(allowed)} for X of {train.X.dtype}; got {how!r}")
        return (train, *others)
    _check_not_empty(train)
    zero, unit = SCALINGS[how](train.X)
    return tuple(replace(part, X=_rescale(part.X, zero, unit)) for part in (train, *others))


def scale_targets(train: Dataset, *others: Dataset) -> tuple[Dataset, ...]:
    """Standardise the targets of a regression: mean 0 and standard deviation 1 over the training part.

    All parts are shifted and stretched alike, so R² is what it is on the original scale. To get predictions there, use
    ``out * train.y.std(axis=0) + train.y.mean(axis=0)`` with the original `train`.

    Raises
    ------
    ValueError
        If the dataset is a classification, whose labels have no scale.

    Examples
    --------
    >>> from data import from_arrays
    >>> train, test = from_arrays([[0], [0]], [1.0, 3.0]), from_arrays([[0]], [4.0])
    >>> for part in scale_targets(train, test):
    ...     print(part.y.ravel())
    [-1.  1.]
    [2.]
    """
    if train.task != "regression":
        raise ValueError(f"{train.name} must be a regression to have its targets scaled; got class labels")
    _check_not_empty(train)
    zero, unit = _standard(train.y)
    return tuple(replace(part, y=_rescale(part.y, zero, unit)) for part in (train, *others))


def _rescale(array: np.ndarray, zero: np.ndarray, unit: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (array - zero) / np.where(unit > 0, unit, 1)  # in float64: close numbers far from 0 stay apart
    return scaled.astype(array.dtype)


def _check_not_empty(train: Dataset) -> None:
    if not len(train):
        raise ValueError(f"{train.name}: the training part must hold examples to fit the scaling on; got none")
