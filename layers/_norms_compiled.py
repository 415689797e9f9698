"""The passes of `_norms.py`, compiled by Numba: nothing is written that only the next operation would read."""

import numpy as np
from numba import njit

from ._norms import repeated, total

options = {"cache": True, "nogil": True, "fastmath": {"contract"}}


def centre(rows, mean):
    return rows, mean


def moments(rows, D):
    n, N = max(1, rows.size // D), rows.shape[1] // D
    mean = (total(lambda part: [_sums(rows[part])], rows, D)[0] / n).astype(rows.dtype)
    shift = repeated(mean, N)
    var = total(lambda part: [_squares(rows[part], shift)], rows, D)[0] / n
    return rows, shift, mean, var.astype(rows.dtype)


def products(dout, stored, shift):
    return [sums.astype(dout.dtype) for sums in _products(dout, stored, shift)]


# Sums are in float64: over a thousand rows float32 would lose digits that NumPy's sums, which go pairwise, keep.


@njit(**options)
def _sums(rows):
    sums = np.zeros(rows.shape[1])
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            sums[d] += rows[r, d]
    return sums


@njit(**options)
def _squares(rows, shift):
    sums = np.zeros(rows.shape[1])
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            sums[d] += (rows[r, d] - shift[d]) ** 2
    return sums


@njit(**options)
def _products(dout, rows, shift):
    dots, sums = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            dots[d] += dout[r, d] * (rows[r, d] - shift[d])
            sums[d] += dout[r, d]
    return dots, sums


@njit(**options)
def scale(rows, shift, factor, offset, out):
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            out[r, d] = (rows[r, d] - shift[d]) * factor[d] + offset[d]


@njit(**options)
def scale_back(dout, rows, shift, slope, offset, factor, dx):
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            dx[r, d] = (dout[r, d] + (rows[r, d] - shift[d]) * slope[d] + offset[d]) * factor[d]
