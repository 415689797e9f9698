"""`_tiles.py`, compiled by Numba: six numbers in, six out, with nothing written in between.

Several times as fast as NumPy's operations one after the other, each of which goes over memory; and a thread goes
through its rows of tiles without once asking for the interpreter's lock. Compiling takes some seconds, once: the result
is kept beside this file.

Images (H, W, N, C) come as (H, W, N C), and so do the tiles.
"""

import numpy as np
from numba import njit
from scipy.linalg import cython_blas  # noqa: F401  compiled products call it: `_threads.py` is to know

from . import _tiles
from ._numba import options
from ._threads import each, parts_of

BLOCK = 1 << 17  # elements of the points made at a time, half a megabyte

A, AT, B, BT = (njit(**options)(formula) for formula in (_tiles.A, _tiles.AT, _tiles.B, _tiles.BT))


def correlate(x, U, bias, out, padding):
    """As `_tiles.correlate`."""
    args = _flat(np.ascontiguousarray(x)), U, bias, _flat(out), *padding

    def write(part):
        _correlate(*args, part.start, part.stop)

    each(write, parts_of(_tiles.count(len(out)), 9 * out.size))


def gradients(x, dout, U, dx, padding):
    """As `_tiles.gradients`; neighbouring parts share two rows of `dx`, which are added at the end."""
    (top, left), flat_dx = padding, _flat(np.empty_like(x[:0]) if dx is None else dx)
    x, dout = np.ascontiguousarray(x), np.ascontiguousarray(dout)
    args = _flat(x), _flat(dout), U, flat_dx, dx is not None, top, left

    parts = parts_of(_tiles.count(len(dout)), 9 * dout.size)
    dUs = np.zeros((len(parts), *U.shape), U.dtype)
    shared = each(lambda dU, part: _gradients(*args, dU, part.start, part.stop), dUs, parts)
    for part, rows in zip(parts[:-1], shared):
        for y, row in enumerate(rows, 4 * part.stop - top):
            if 0 <= y < len(flat_dx):
                flat_dx[y] += row[left : left + flat_dx.shape[1]]
    return dUs.sum(axis=0)


def _flat(images):
    """A view, of contiguous images."""
    return images.reshape(*images.shape[:2], images.shape[2] * images.shape[3])


@njit(**options)
def _correlate(x, U, bias, out, top, left, start, stop):
    (_, C, F), (height, width, _) = U.shape, out.shape
    n = x.shape[2] // C
    columns, R = -(-width // 4), _rows_at_a_time(stop - start, -(-width // 4), n * C)
    frame, v = np.zeros((4 * R + 2, 4 * columns + 2, n * C), x.dtype), np.empty((6, 6, R, columns, n * C), x.dtype)
    m, y = np.empty((6, 6, R, columns, n * F), x.dtype), np.empty((4 * R, 4 * columns, n * F), x.dtype)
    points, products = v.reshape(36, R * columns * n, C), m.reshape(36, R * columns * n, F)
    for first in range(4 * start, 4 * stop, 4 * R):
        _cut(x, first - top, -left, frame)
        _to_points(frame, v)
        for k in range(36):
            np.dot(points[k], U[k], products[k])
        products[7] += bias  # A^T takes 1 at the second point to 1 at all outputs, along both axes
        if height % 4 == width % 4 == 0:
            _from_points(m, out[first : first + 4 * R])
        else:  # tiles that are not full
            _from_points(m, y)
            _paste(y, out, first, 0)


@njit(**options)
def _gradients(x, dout, U, dx, wanted, top, left, dU, start, stop):
    (_, F, C), (height, width, _) = U.shape, dout.shape
    n = x.shape[2] // C
    columns, R = -(-width // 4), _rows_at_a_time(stop - start, -(-width // 4), n * C)
    frame, v = np.zeros((4 * R + 2, 4 * columns + 2, n * C), x.dtype), np.empty((6, 6, R, columns, n * C), x.dtype)
    dy, dm = np.empty((4 * R, 4 * columns, n * F), x.dtype), np.empty((6, 6, R, columns, n * F), x.dtype)
    points, dproducts = v.reshape(36, R * columns * n, C), dm.reshape(36, R * columns * n, F)
    share, dframe = np.empty((F, C), x.dtype), np.zeros_like(frame)
    for first in range(4 * start, 4 * stop, 4 * R):
        _cut(x, first - top, -left, frame)
        _to_points(frame, v)
        if height % 4 == width % 4 == 0:
            _from_outputs(dout[first : first + 4 * R], dm)
        else:
            _cut(dout, first, 0, dy)
            _from_outputs(dy, dm)
        for k in range(36):
            np.dot(dproducts[k].T, points[k], share)
            for f in range(F):
                for c in range(C):
                    dU[k, f, c] += share[f, c]
            if wanted:
                np.dot(dproducts[k], U[k], points[k])
        if wanted:
            _add_to_frame(v, dframe)
            _paste(dframe[: 4 * R], dx, first - top, -left)
            dframe[:2] = dframe[4 * R :]  # which the next rows of tiles share
            dframe[2:] = 0
    if wanted and 4 * stop >= height:
        _paste(dframe[:2], dx, 4 * stop - top, -left)
    return dframe[:2]


@njit(**options)
def _rows_at_a_time(rows, columns, NC):
    """How many rows of tiles to take at a time, a divisor."""
    R = rows
    while R > 1 and (rows % R or 36 * R * columns * NC > BLOCK):
        R -= 1
    return R


@njit(**options)
def _paste(frame, images, top, left):
    """Write what lies in the images of a frame whose first pixel is (top, left)."""
    for r in range(max(0, -top), min(frame.shape[0], images.shape[0] - top)):
        for c in range(max(0, -left), min(frame.shape[1], images.shape[1] - left)):
            for i in range(frame.shape[2]):
                images[top + r, left + c, i] = frame[r, c, i]


@njit(**options)
def _cut(images, top, left, frame):
    """The reverse: into the frame, with zeros outside of the images."""
    for r in range(frame.shape[0]):
        for c in range(frame.shape[1]):
            y, z = top + r, left + c
            if 0 <= y < images.shape[0] and 0 <= z < images.shape[1]:
                for i in range(frame.shape[2]):
                    frame[r, c, i] = images[y, z, i]
            else:
                for i in range(frame.shape[2]):
                    frame[r, c, i] = 0


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
