"""Winograd's convolution by tiles of 2 x 2 outputs, F(2x2, 3x3), compiled by Numba: for one image, or few pixels.

There the filters may be more than the pixels. At the 36 points of `_tiles.py` they are four times as many numbers, and
to write and read these costs more than the products save; here they are 16/9 as many, for 4/9 of the products. The
points are 0, 1, -1 and infinity. `_correlate.correlate` is the same without Numba.
"""

import numpy as np
from numba import njit

from ._numba import options
from ._threads import each, parts_of
from ._tiles_compiled import _cut, _flat

HALF = np.float32(0.5)  # compiled code would make doubles of a plain number


@njit(**options)
def BT(d0, d1, d2, d3):
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


@njit(**options)
def AT(m0, m1, m2, m3):
    return m0 + m1 + m2, m1 - m2 - m3


@njit(**options)
def G(g0, g1, g2):
    even, odd = HALF * (g0 + g2), HALF * g1
    return g0, even + odd, even - odd, g2


def correlate(x, filters, bias, out, padding):
    """Write into `out` (OH, OW, N, F) what windows of `x` (H, W, N, C) give, for filters (F, C, 3, 3) and bias (F,).

    Threads take some of the filters each, and all of the image.
    """
    F, C = filters.shape[:2]  # a filter and a channel: 9 numbers read, 16 written and read again
    args = _flat(np.ascontiguousarray(x)), np.ascontiguousarray(filters).reshape(F, C, 9), bias, out, *padding
    each(lambda part: _correlate(*args, part.start, part.stop), parts_of(F, 40 * F * C))


@njit(**options)
def _correlate(x, filters, bias, out, top, left, start, stop):
    (height, width, N, _), C, F = out.shape, filters.shape[1], stop - start
    rows, columns = (height + 1) // 2, (width + 1) // 2
    U, frame = np.empty((16, C, F), x.dtype), np.empty((2 * rows + 2, 2 * columns + 2, N * C), x.dtype)
    v, m = np.empty((4, 4, rows, columns, N * C), x.dtype), np.empty((4, 4, rows, columns, N, F), x.dtype)
    points, products = v.reshape(16, rows * columns * N, C), m.reshape(16, rows * columns * N, F)
    _filters_to_points(filters[start:stop], U)
    _cut(x, -top, -left, frame)
    _to_points(frame, v)
    for k in range(16):
        np.dot(points[k], U[k], products[k])
    products[5] += bias[start:stop]  # A^T takes 1 at the second point to 1 at all outputs, along both axes
    _from_points(m, out, start)


@njit(**options)
def _filters_to_points(g, U):
    """G g G^T: (F, C, 9) -> (16, C, F)."""
    F, C, _ = g.shape
    t = np.empty((4, 3, F), g.dtype)
    for c in range(C):
        for i in range(F):
            for k in range(3):
                t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i] = G(g[i, c, k], g[i, c, 3 + k], g[i, c, 6 + k])
        for k in range(4):
            for i in range(F):
                p = G(t[k, 0, i], t[k, 1, i], t[k, 2, i])
                U[4 * k, c, i], U[4 * k + 1, c, i], U[4 * k + 2, c, i], U[4 * k + 3, c, i] = p


@njit(**options)
def _to_points(x, v):
    """B^T d B: (2 R + 2, 2 columns + 2, N C) -> (4, 4, R, columns, N C)."""
    _, _, rows, columns, NC = v.shape
    t = np.empty((4, 4, NC), x.dtype)
    for r in range(rows):
        for c in range(columns):
            for k in range(4):
                y, z = 2 * r, 2 * c + k
                for i in range(NC):
                    p = BT(x[y, z, i], x[y + 1, z, i], x[y + 2, z, i], x[y + 3, z, i])
                    t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i] = p
            for k in range(4):
                for i in range(NC):
                    p = BT(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i])
                    v[k, 0, r, c, i], v[k, 1, r, c, i], v[k, 2, r, c, i], v[k, 3, r, c, i] = p


@njit(**options)
def _from_points(m, out, start):
    """A^T m A: (4, 4, R, columns, N, some F) into those of `out` (OH, OW, N, F) from `start` on, as far as it goes."""
    _, _, rows, columns, N, F = m.shape
    t, y = np.empty((2, 4, F), m.dtype), np.empty((2, 2, F), m.dtype)
    for r in range(rows):
        for c in range(columns):
            for n in range(N):
                for k in range(4):
                    for i in range(F):
                        p = AT(m[0, k, r, c, n, i], m[1, k, r, c, n, i], m[2, k, r, c, n, i], m[3, k, r, c, n, i])
                        t[0, k, i], t[1, k, i] = p
                for k in range(2):
                    for i in range(F):
                        y[k, 0, i], y[k, 1, i] = AT(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i])
                for k in range(min(2, out.shape[0] - 2 * r)):
                    for j in range(min(2, out.shape[1] - 2 * c)):
                        for i in range(F):
                            out[2 * r + k, 2 * c + j, n, start + i] = y[k, j, i]
