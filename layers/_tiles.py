"""The tiles of Winograd's convolution, see `_winograd.py`: their transforms, and the way through them.

The four formulas for one axis hold for arrays as for numbers. NumPy runs them on all tiles at once, an operation at a
time; where Numba is installed (``pip install '.[fast]'``) `_tiles_compiled.py` reads and writes a tile once.
"""

from __future__ import annotations

import sys
import types

import numpy as np

from ._correlate import overlap
from ._numba import compiled
from ._threads import in_parts

BLOCK = 1 << 18  # elements of the points made at a time, a megabyte in float32

# Compiled code would make doubles of plain numbers.
TWO, FOUR, FIVE = np.float32(2), np.float32(4), np.float32(5)


def BT(d0, d1, d2, d3, d4, d5):
    """B^T d: six pixels at the points infinity, 1, -1, 2, -2, 0 of the polynomials."""
    even, odd = d4 - d2, TWO * (d3 - d1)
    p, q = d4 - FOUR * d2, d3 - FOUR * d1
    return even - FOUR * (d2 - d0), p + q, p - q, even + odd, even - odd, d5 - d3 - TWO * odd


def B(v0, v1, v2, v3, v4, v5):
    """B v, the transpose of `BT`: what each pixel gets back from the points."""
    s, d, t, e = v1 + v2, v1 - v2, v3 + v4, TWO * (v3 - v4)
    return FOUR * v0, FOUR * (v5 - d) - e, -FIVE * v0 - FOUR * s - t, d + e - FIVE * v5, v0 + s + t, v5


def AT(m0, m1, m2, m3, m4, m5):
    """A^T m: four outputs from the products at six points."""
    s, d, t, e = m1 + m2, m1 - m2, m3 + m4, TWO * (m3 - m4)
    return m0 + s + t, d + e, s + FOUR * t, d + FOUR * e + m5


def A(y0, y1, y2, y3):
    """A y, the transpose of `AT`: what each product gets back from the outputs."""
    s, d, t, e = y0 + y2, y1 + y3, y0 + FOUR * y2, TWO * (y1 + FOUR * y3)
    return y0, s + d, s - d, t + e, t - e, y3


# --- all tiles of some examples


def correlate(x, U, bias, out, padding):
    """Write into `out` (OH, OW, N, F) what windows of `x` (H, W, N, C) give, for U (36, C, F) and bias (F,)."""

    def write(part):
        for rows, V in _points(x, out.shape, padding, part):
            block = out[rows, :, part]
            y = from_points((_matrices(V) @ U).reshape(*V.shape[:-1], len(bias)))
            np.add(y[: len(block), : out.shape[1]], bias, out=block)

    in_parts(write, out.shape[2], 9 * out.size, product=out.size * x.shape[3] // 16)


def gradients(x, dout, U, dx, padding):
    """The gradient of U, as (36, F, C); that of `x` is written into `dx`, if it is given."""
    (H, W, _, C), (OH, OW, N, F) = x.shape, dout.shape
    height, width = 4 * count(OH), 4 * count(OW)

    def backward(part):
        n = part.stop - part.start
        dU = np.zeros((36, F, C), dout.dtype)
        dframe = np.zeros((height + 2, width + 2, n, C), dout.dtype) if dx is not None else None
        for rows, V in _points(x, dout.shape, padding, part):
            dy = dout[rows, :, part]
            missing = 4 * V.shape[2] - len(dy), width - OW  # in tiles that are not full
            if any(missing):
                dy = np.pad(dy, [(0, missing[0]), (0, missing[1]), (0, 0), (0, 0)])
            dM = _matrices(from_outputs(dy))
            dU += dM.swapaxes(1, 2) @ _matrices(V)
            if dframe is not None:
                add_to_frame((dM @ U).reshape(V.shape), dframe[rows.start : rows.start + 4 * V.shape[2] + 2])
        if dframe is not None:
            dx[:, :, part] = dframe[padding[0] : padding[0] + H, padding[1] : padding[1] + W]
        return dU

    return sum(in_parts(backward, N, 9 * dout.size, product=dout.size * x.shape[3] // 16))


def _points(x, out_shape, padding, part):
    """Yield (rows of the output, B^T d B of their tiles (6, 6, R, Wt, n, C)), R rows of tiles at a time."""
    (H, W, _, C), (OH, OW) = x.shape, out_shape[:2]
    Ht, Wt, n = count(OH), count(OW), part.stop - part.start
    R = max(1, min(Ht, BLOCK // (36 * Wt * n * C)))
    frame = np.zeros((4 * R + 2, 4 * Wt + 2, n, C), x.dtype)
    for first in range(0, 4 * Ht, 4 * R):
        rows, from_rows = overlap(padding[0] - first, H, len(frame))
        frame[: rows.start] = 0
        frame[rows.stop :] = 0
        frame[rows, padding[1] : padding[1] + W] = x[from_rows, :, part]
        yield slice(first, first + 4 * R), to_points(frame[: 4 * min(R, Ht - first // 4) + 2])


def _matrices(points):
    """(6, 6, R, Wt, N, C) -> (36, R Wt N, C)."""
    return points.reshape(36, -1, points.shape[-1])


def count(size):
    """Of the tiles that cover `size` outputs."""
    return -(-size // 4)


# --- along both axes of all tiles


def to_points(frame):
    """B^T d B: (4 R + 2, 4 Wt + 2, N, C) -> (6, 6, R, Wt, N, C)."""
    R, Wt = len(frame) // 4, frame.shape[1] // 4
    rows = np.empty((6, R, *frame.shape[1:]), frame.dtype)
    _write(rows, BT(*(frame[k : k + 4 * R - 3 : 4] for k in range(6))))
    points = np.empty((6, 6, R, Wt, *frame.shape[2:]), frame.dtype)
    _write(points.swapaxes(0, 1), BT(*(rows[:, :, k : k + 4 * Wt - 3 : 4] for k in range(6))))
    return points


def add_to_frame(dpoints, dframe):
    """The transpose of `to_points`: add B dv B^T of all tiles, (6, 6, R, Wt, N, C), to dframe, where they overlap."""
    R, Wt = dpoints.shape[2:4]
    drows = np.zeros((6, R, *dframe.shape[1:]), dframe.dtype)
    for k, column in enumerate(B(*dpoints.swapaxes(0, 1))):
        drows[:, :, k : k + 4 * Wt - 3 : 4] += column
    for k, row in enumerate(B(*drows)):
        dframe[k : k + 4 * R - 3 : 4] += row


def from_points(points):
    """A^T m A: (6, 6, R, Wt, N, F) -> (4 R, 4 Wt, N, F)."""
    R, Wt, N, F = points.shape[2:]
    rows = np.empty((4, *points.shape[1:]), points.dtype)
    _write(rows, AT(*points))
    y = np.empty((R, 4, Wt, 4, N, F), points.dtype)
    _write(y.transpose(3, 1, 0, 2, 4, 5), AT(*rows.swapaxes(0, 1)))
    return y.reshape(4 * R, 4 * Wt, N, F)


def from_outputs(dy):
    """The transpose of `from_points`, A dy A^T: (4 R, 4 Wt, N, F) -> (6, 6, R, Wt, N, F)."""
    R, Wt = len(dy) // 4, dy.shape[1] // 4
    rows = np.empty((6, R, *dy.shape[1:]), dy.dtype)
    _write(rows, A(*(dy[k::4] for k in range(4))))
    points = np.empty((6, 6, R, Wt, *dy.shape[2:]), dy.dtype)
    _write(points.swapaxes(0, 1), A(*(rows[:, :, k::4] for k in range(4))))
    return points


def _write(out, values):
    for part, value in zip(out, values):
        part[...] = value


def fastest() -> types.ModuleType:
    """The module whose `correlate` and `gradients` to use: compiled, or this one."""
    return compiled("_tiles") or sys.modules[__name__]
