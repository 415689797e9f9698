"""Sums over rows and columns, as products with ones: where either are few, up to twenty times as fast as ``sum``."""

from __future__ import annotations

import functools

import numpy as np

_KEPT = 1 << 12  # ones: to make them again takes as long as a small product


def column_sums(rows: np.ndarray) -> np.ndarray:
    """(R, D) -> (D,)."""
    sums: np.ndarray = _ones(len(rows), rows.dtype).dot(rows)
    return sums


def row_sum(x: np.ndarray) -> np.ndarray:
    """Sum over the last axis, kept with size 1."""
    sums: np.ndarray = x @ _ones(x.shape[-1], x.dtype)[:, None]
    return sums


def _ones(count, dtype):
    return _kept(count, dtype) if count <= _KEPT else np.ones(count, dtype)


@functools.lru_cache(maxsize=64)
def _kept(count, dtype):
    ones = np.ones(count, dtype)
    ones.flags.writeable = False
    return ones
