"""Dataset: examples, their labels or targets, and what the labels are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """N examples and what is to be learnt about each; made by `load` or `from_arrays`, which check what they take.

    Attributes
    ----------
    X : ndarray, first axis N
        Features, (N, D), float32; images of bytes, (N, C, H, W), uint8 in memory and float32 in 0..1 in a batch;
        windows of a text, (N, T), int64.
    y : ndarray
        Classification: int64 labels 0..C-1, shape (N,), of a text (N, T). Regression: float32 targets, shape (N, M),
        the shape of a net's output.
    classes : tuple of str, or None
        The names of the C classes; None for regression.
    name : str
        What the dataset is called.
    image_shape : (C, H, W), or None
        For images: how an example of X reads as channels, rows and columns; see `as_images`.
    test : Dataset, or None
        The test part that the set was published with; `split` gives it as it is.

    Examples
    --------
    >>> dataset = from_arrays([[0.0], [1.0], [2.0]], ["low", "high", "high"])
    >>> dataset
    Dataset('arrays', classification, X (3, 1), 2 classes)
    >>> dataset.y, dataset.classes
    (array([1, 0, 0]), ('high', 'low'))
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] | None
    name: str
    image_shape: tuple[int, int, int] | None = None
    test: Dataset | None = None

    @property
    def task(self) -> str:
        """Either "classification" or "regression"."""
        return "regression" if self.classes is None else "classification"

    @property
    def num_classes(self) -> int:
        """The number C of classes; 0 for regression."""
        return len(self.classes or ())

    @property
    def num_outputs(self) -> int:
        """How many outputs a net needs: one a class, or one a target."""
        return self.num_classes or int(self.y.shape[1])

    def take(self, rows: np.ndarray) -> Dataset:
        """A dataset of these rows, copied, without the published test part."""
        return replace(self, X=self.X.take(rows, axis=0), y=self.y.take(rows, axis=0), test=None)

    def as_images(self) -> Dataset:
        """The same examples with X of shape (N, C, H, W), as convolutions and augmentation need it."""
        if self.image_shape is None:
            raise ValueError(f"{self.name} must hold images; got X {self.X.shape} without an image_shape")
        test = None if self.test is None else self.test.as_images()
        return replace(self, X=self.X.reshape(len(self), *self.image_shape), test=test)

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        what = f"{self.num_classes} classes" if self.classes else f"y {self.y.shape}"
        test = "" if self.test is None else f", {len(self.test)} more to test"
        return f"Dataset({self.name!r}, {self.task}, X {self.X.shape}, {what}{test})"


def from_arrays(
    X: Any, y: Any, *, classes: Sequence[str] | None = None, name: str = "arrays", task: str | None = None
) -> Dataset:
    """Check arrays of one's own and make a dataset of them.

    Parameters
    ----------
    X : array_like, shape (N, D)
        Numbers, all finite; kept as float32.
    y : array_like, shape (N,), for regression also (N, M)
        Text and whole-number types are labels, floating-point types are targets. Text is numbered in alphabetical
        order; whole numbers must be 0..C-1 as they are.
    classes : sequence of str, optional
        Names of the classes 0..C-1; by default the labels themselves.
    name : str, default "arrays"
        Begins the error messages.
    task : {"classification", "regression"}, optional
        Overrides what the type of `y` says.

    Raises
    ------
    ValueError
        If the shapes do not fit, X or targets are not finite numbers, or labels are not 0..C-1; the message says where.

    Examples
    --------
    >>> from_arrays([[0.0], [1.0], [2.0]], [0, 1, 2], task="regression")
    Dataset('arrays', regression, X (3, 1), y (3, 1))
    >>> from_arrays([[0.0], [1.0]], [1, 2])
    Traceback (most recent call last):
    ValueError: arrays: y must hold every label of 0..C-1; got 1, 2. Number the classes 0..C-1 or name
    them in text; if they are amounts, the task is regression
    """
    check_task(task)
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"{name}: X must have shape (N, D), one row an example, neither of them 0; got {X.shape}")
    if y.ndim == 0 or len(y) != len(X):
        raise ValueError(f"{name}: y must have one entry for each of the {len(X)} rows of X; got shape {y.shape}")
    X = _finite(name, "X", X)
    if task == "regression" or (task is None and y.dtype.kind == "f"):
        y = _finite(name, "y", y[:, np.newaxis] if y.ndim == 1 else y)
        if y.ndim != 2 or y.shape[1] == 0:
            raise ValueError(f"{name}: targets y must have shape (N,) or (N, M) with M of at least 1; got {y.shape}")
        return Dataset(X, y, None, name)
    if y.ndim != 1:
        raise ValueError(
            f"{name}: labels y must have shape (N,); got {y.shape}. Columns of 0 and 1 become y.argmax(axis=1)"
        )
    y, found = _labels(name, y, None if classes is None else len(classes))
    return Dataset(X, y, tuple(map(str, found if classes is None else classes)), name)


def from_images(X: Any, y: Any, *, classes: Sequence[str], name: str = "images") -> Dataset:
    """Check images of bytes and their labels and make a dataset of them; they stay bytes until they are in a batch.

    Parameters
    ----------
    X : ndarray, shape (N, C, H, W), uint8
        Pixels 0..255; kept without a copy. Channels come first: ``X.transpose(0, 3, 1, 2)`` brings them there.
    y : array_like, shape (N,)
        Whole-number labels 0..len(classes)-1.
    classes : sequence of str
        Names of the classes.
    name : str, default "images"
        Begins the error messages.

    Raises
    ------
    ValueError
        If the shapes or types do not fit, or a label names no class.

    Examples
    --------
    >>> from_images(np.zeros((2, 3, 4, 5), np.uint8), [0, 1], classes=["cat", "dog"])
    Dataset('images', classification, X (2, 3, 4, 5), 2 classes)
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.dtype != np.uint8 or X.ndim != 4 or 0 in X.shape:
        raise ValueError(f"{name}: X must hold uint8 pixels, (N, C, H, W), none of them 0; got {X.dtype} {X.shape}")
    if y.shape != (len(X),):
        raise ValueError(f"{name}: y must have one label for each of the {len(X)} images; got shape {y.shape}")
    y, _ = _labels(name, y, len(classes))
    return Dataset(X, y, tuple(classes), name, X.shape[1:])


def check_task(task: str | None) -> None:
    """`task` is one of the two, or None."""
    if task not in (None, "classification", "regression"):
        raise ValueError(f'task must be "classification", "regression" or None; got {task!r}')


def as_float32(array: np.ndarray) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """A float32 copy, and the index of its first element that is NaN or infinite, or None."""
    with np.errstate(over="ignore"):  # a float64 beyond 3.4e38 becomes infinite, and is found
        array = array.astype(np.float32, order="C")
    finite = np.isfinite(array)
    return array, None if finite.all() else tuple(map(int, np.argwhere(~finite)[0]))


def _finite(name: str, argument: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: {argument} must hold numbers; got dtype {array.dtype}. Encode text as numbers first")
    floats, at = as_float32(array)
    if at is not None:
        raise ValueError(
            f"{name}: {argument} must be finite and within float32's 3.4e38; got {array[at]} at row {at[0]}, "
            f"column {at[1]}, counted from 0. Fill or drop such rows"
        )
    return floats


def _labels(name: str, y: np.ndarray, C: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels 0..C-1 as int64, and what stands in `y` for each that occurs."""
    if y.dtype.kind == "U":
        if C is not None:
            raise ValueError(f"{name}: classes name whole-number labels; these are text, which names itself")
        found, y = np.unique(y, return_inverse=True)
    elif y.dtype.kind in "biu" or (y.dtype.kind == "f" and (y == np.round(y)).all()):
        y = y.astype(np.int64)
        found = np.unique(y)
    else:
        odd = y[y != np.round(y)][0] if y.dtype.kind == "f" else f"dtype {y.dtype}"
        raise ValueError(
            f"{name}: labels y must be whole numbers or text; got {odd}. If they are amounts, the task is regression"
        )
    given = np.unique(y)
    if C is None and not np.array_equal(given, np.arange(len(given))):
        shown = ", ".join(map(str, given[:8])) + (", ..." if len(given) > 8 else "")
        raise ValueError(
            f"{name}: y must hold every label of 0..C-1; got {shown}. Number the classes 0..C-1 or name "
            "them in text; if they are amounts, the task is regression"
        )
    if C is not None and not 0 <= given.min() <= given.max() < C:
        raise ValueError(f"{name}: y must hold labels 0..{C - 1}, for the {C} classes; got {given[0]}..{given[-1]}")
    if (C or len(given)) < 2:
        raise ValueError(f"{name}: y must hold at least 2 classes; every label is {found[0]}")
    return y, found
