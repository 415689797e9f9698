"""Rows as directions: checked, divided by their lengths, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import check_same_shape


def as_rows(**arrays: Any) -> list[np.ndarray]:
    """All `arrays`, by name, as floats of one shape (N, D), in the dtype of the first."""
    name, first = next(iter(arrays.items()))
    first = np.asarray(first)
    if first.ndim != 2:
        raise ValueError(f"{name} must have shape (N, D), one row an example; got {first.shape}")
    dtype = first.dtype if first.dtype.kind == "f" else np.float64
    for other_name, other in arrays.items():
        check_same_shape(other_name, np.asarray(other), name, first)
    return [np.asarray(array, dtype) for array in arrays.values()]


def unit_rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``x / |x|`` of each row, (N, D), and ``|x|``, (N, 1); a row of zeros has no direction and stays zeros."""
    largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
    scaled = np.divide(x, largest, out=np.zeros_like(x), where=largest != 0)  # squares neither overflow nor vanish
    lengths = np.sqrt((scaled * scaled).sum(axis=1, keepdims=True))  # 1 to sqrt(D), or 0
    return scaled / np.maximum(lengths, 1), largest * lengths


def unit_rows_backward(dunits: np.ndarray, units: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """The part of `dunits` across each row over its length: along itself a row can grow, but not turn."""
    across = dunits - units * (dunits * units).sum(axis=1, keepdims=True)
    return np.divide(across, norms, out=np.zeros_like(across), where=norms != 0)
