"""The transforms of `_tiles.py`, compiled by Numba: six numbers in, six out, with nothing written in between.

Several times as fast as NumPy's operations one after the other, each of which goes over memory. Compiling takes some
seconds, once: the result is kept beside this file.
"""

import numpy as np
from numba import njit

from . import _tiles

options = {"cache": True, "nogil": True, "fastmath": {"contract"}}  # a product and a sum at once; NaN stays NaN
A, AT, B, BT = (njit(**options)(formula) for formula in (_tiles.A, _tiles.AT, _tiles.B, _tiles.BT))


def to_points(frame):
    (rows, columns), NC = (size // 4 for size in frame.shape[:2]), frame[0, 0].size
    points = np.empty((6, 6, rows, columns, *frame.shape[2:]), frame.dtype)
    _to_points(frame.reshape(*frame.shape[:2], NC), points.reshape(6, 6, rows, columns, NC))
    return points


def add_to_frame(dpoints, dframe):
    NC = dframe[0, 0].size
    _add_to_frame(dpoints.reshape(*dpoints.shape[:4], NC), dframe.reshape(*dframe.shape[:2], NC))


def from_points(points):
    rows, columns, N, F = points.shape[2:]
    y = np.empty((4 * rows, 4 * columns, N, F), points.dtype)
    _from_points(points.reshape(*points.shape[:4], N * F), y.reshape(*y.shape[:2], N * F))
    return y


def from_outputs(dy):
    (rows, columns), (N, F) = (size // 4 for size in dy.shape[:2]), dy.shape[2:]
    points = np.empty((6, 6, rows, columns, N, F), dy.dtype)
    _from_outputs(np.ascontiguousarray(dy).reshape(*dy.shape[:2], N * F), points.reshape(6, 6, rows, columns, N * F))
    return points


# Each loop: first down the columns of a tile into `t`, then along its rows. The innermost one runs over all channels of
# all examples; with plain indices the compiler makes vector instructions of it.


@njit(**options)
def _to_points(x, v):
    _, _, rows, columns, NC = v.shape
    t = np.empty((6, 6, NC), x.dtype)
    for r in range(rows):
        for c in range(columns):
            for k in range(6):
                y, z = 4 * r, 4 * c + k
                for i in range(NC):
                    p = BT(x[y, z, i], x[y + 1, z, i], x[y + 2, z, i], x[y + 3, z, i], x[y + 4, z, i], x[y + 5, z, i])
                    t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i], t[4, k, i], t[5, k, i] = p
            for k in range(6):
                for i in range(NC):
                    p = BT(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i], t[k, 4, i], t[k, 5, i])
                    v[k, 0, r, c, i], v[k, 1, r, c, i], v[k, 2, r, c, i] = p[:3]
                    v[k, 3, r, c, i], v[k, 4, r, c, i], v[k, 5, r, c, i] = p[3:]


@njit(**options)
def _add_to_frame(v, x):
    _, _, rows, columns, NC = v.shape
    t, u = np.empty((6, 6, NC), x.dtype), np.empty((6, NC), x.dtype)
    for r in range(rows):
        for c in range(columns):
            for k in range(6):
                for i in range(NC):
                    d = B(v[0, k, r, c, i], v[1, k, r, c, i], v[2, k, r, c, i],
                          v[3, k, r, c, i], v[4, k, r, c, i], v[5, k, r, c, i])  # fmt: skip
                    t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i], t[4, k, i], t[5, k, i] = d
            for k in range(6):
                y, z = 4 * r + k, 4 * c
                for i in range(NC):
                    d = B(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i], t[k, 4, i], t[k, 5, i])
                    u[0, i], u[1, i], u[2, i], u[3, i], u[4, i], u[5, i] = d
                for j in range(6):  # on their own, since tiles overlap
                    for i in range(NC):
                        x[y, z + j, i] += u[j, i]


@njit(**options)
def _from_points(m, out):
    _, _, rows, columns, NF = m.shape
    t = np.empty((4, 6, NF), out.dtype)
    for r in range(rows):
        for c in range(columns):
            for k in range(6):
                for i in range(NF):
                    p = AT(m[0, k, r, c, i], m[1, k, r, c, i], m[2, k, r, c, i],
                           m[3, k, r, c, i], m[4, k, r, c, i], m[5, k, r, c, i])  # fmt: skip
                    t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i] = p
            for k in range(4):
                y, z = 4 * r + k, 4 * c
                for i in range(NF):
                    p = AT(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i], t[k, 4, i], t[k, 5, i])
                    out[y, z, i], out[y, z + 1, i], out[y, z + 2, i], out[y, z + 3, i] = p


@njit(**options)
def _from_outputs(out, m):
    _, _, rows, columns, NF = m.shape
    t = np.empty((6, 4, NF), out.dtype)
    for r in range(rows):
        for c in range(columns):
            for k in range(4):
                y, z = 4 * r, 4 * c + k
                for i in range(NF):
                    p = A(out[y, z, i], out[y + 1, z, i], out[y + 2, z, i], out[y + 3, z, i])
                    t[0, k, i], t[1, k, i], t[2, k, i], t[3, k, i], t[4, k, i], t[5, k, i] = p
            for k in range(6):
                for i in range(NF):
                    p = A(t[k, 0, i], t[k, 1, i], t[k, 2, i], t[k, 3, i])
                    m[k, 0, r, c, i], m[k, 1, r, c, i], m[k, 2, r, c, i] = p[:3]
                    m[k, 3, r, c, i], m[k, 4, r, c, i], m[k, 5, r, c, i] = p[3:]
