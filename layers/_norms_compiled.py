"""The passes of `_norms.py`, compiled by Numba: nothing is written that only the next operation would read."""

import numpy as np
from numba import njit

from ._norms import repeated, total
from ._numba import options


def centre(rows, mean):
    return rows, mean


def moments(rows, D):
    n, N = max(1, rows.size // D), rows.shape[1] // D
    first = rows[0, :D]  # an x like any other: with it taken off, sums and squares of one pass do not cancel
    sums, squares = total(lambda part: _sums(rows[part], repeated(first, N)), rows, D)
    mean = first + sums / n
    var = squares / n - (sums / n) ** 2
    return rows, repeated(mean.astype(rows.dtype), N), mean.astype(rows.dtype), np.maximum(var, 0).astype(rows.dtype)


def products(dout, stored, shift):
    return [sums.astype(dout.dtype) for sums in _products(dout, stored, shift)]


# Sums are in float64: over a thousand rows float32 would lose digits that NumPy's sums, which go pairwise, keep. Four
# rows are added up before, since it is the way from one precision to the other that takes the time.


@njit(**options)
def _sums(rows, shift):
    """Sums of x - shift, and of its squares."""
    sums, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    whole = len(rows) // 4 * 4
    for r in range(0, whole, 4):
        for d in range(rows.shape[1]):
            a, b, c, e = (
                rows[r, d] - shift[d],
                rows[r + 1, d] - shift[d],
                rows[r + 2, d] - shift[d],
                rows[r + 3, d] - shift[d],
            )
            sums[d] += (a + b) + (c + e)
            squares[d] += (a * a + b * b) + (c * c + e * e)
    for r in range(whole, len(rows)):
        for d in range(rows.shape[1]):
            a = rows[r, d] - shift[d]
            sums[d] += a
            squares[d] += a * a
    return sums, squares


@njit(**options)
def _products(dout, rows, shift):
    """Sums of dout (x - shift), and of dout."""
    dots, sums = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    whole = len(rows) // 4 * 4
    for r in range(0, whole, 4):
        for d in range(rows.shape[1]):
            a, b, c, e = dout[r, d], dout[r + 1, d], dout[r + 2, d], dout[r + 3, d]
            sums[d] += (a + b) + (c + e)
            dots[d] += (a * (rows[r, d] - shift[d]) + b * (rows[r + 1, d] - shift[d])) + (
                c * (rows[r + 2, d] - shift[d]) + e * (rows[r + 3, d] - shift[d])
            )
    for r in range(whole, len(rows)):
        for d in range(rows.shape[1]):
            sums[d] += dout[r, d]
            dots[d] += dout[r, d] * (rows[r, d] - shift[d])
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
