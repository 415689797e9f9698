"""The errors of the public door: the argument's name, what was expected, what came, the usual fix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def feature_rows(name: str, x: Any, features: int, dtype: Any) -> tuple[tuple[int, ...], np.ndarray]:
    """The shape of `x`, (N, d1, ..., dk), and `x` in `dtype` as rows (N, `features`), d1 * ... * dk of them."""
    x = np.asarray(x, dtype)
    if x.ndim == 2 and x.shape[1] == features:
        return x.shape, x
    if x.ndim < 2 or math.prod(x.shape[1:]) != features:
        raise ValueError(
            f"{name} must have shape (N, {features}), {features} features an example; got {x.shape}. "
            "Make the layer with the width of its input, or reshape the input to one row an example"
        )
    return x.shape, x.reshape(len(x), features)  # N may be 0


def check_positive(name: str, value: Any, low: int = 1) -> Any:
    """`value`, a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number of at least {low}; got {value!r}")
    if value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}; got {value!r}")
    return int(value)


def check_range(name: str, value: Any, low: float, high: float, *, closed: str = "left") -> float:
    """`value`, a number between `low` and `high`; `closed` names the ends that belong: left, right, both, neither."""
    left, right = closed in ("left", "both"), closed in ("right", "both")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not ((low <= number if left else low < number) and (number <= high if right else number < high)):
        interval = f"{'[' if left else '('}{low}, {high}{']' if right else ')'}"
        raise ValueError(f"{name} must be a number in {interval}; got {value!r}")
    return number


def check_labels(y: Any, scores: np.ndarray) -> np.ndarray:
    """Integer labels of shape (N,), each in 0..C-1."""
    y = np.asarray(y)
    n, classes = scores.shape
    if y.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one label a row of scores; got {y.shape}")
    if y.dtype.kind not in "iu":
        raise TypeError(f"y must hold integer labels 0..{classes - 1}; got dtype {y.dtype}. Convert with y.astype(int)")
    if n and not (y.min() >= 0 and y.max() < classes):
        raise ValueError(
            f"y must hold labels 0..{classes - 1}, for the C = {classes} columns of scores; got {y.min()}..{y.max()}. "
            "Number the classes from 0, or give the last layer one output a class"
        )
    return y


def check_same_shape(name: str, array: np.ndarray, other_name: str, other: np.ndarray) -> None:
    """Both arrays have one shape."""
    if array.shape != other.shape:
        raise ValueError(f"{name} must have the shape {other.shape} of {other_name}; got {array.shape}")
