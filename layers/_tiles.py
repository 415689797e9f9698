"""The transforms of Winograd's tiles, see `_winograd.py`: each along rows and then along columns.

The four formulas for one axis hold for arrays as for numbers. NumPy runs them on all tiles at once, an operation at a
time; where Numba is installed (``pip install '.[fast]'``) `_winograd_compiled.py` reads and writes a tile once.
"""

import numpy as np

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
