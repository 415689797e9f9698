r"""Winograd's convolution F(4x4, 3x3): 36 products where 4 x 4 outputs of a 3 x 3 filter take 144.

Along one axis, four outputs y of a filter g of three taps, from six pixels d, are

.. math:: y = A^T \big( (G g) \odot (B^T d) \big)

since they are coefficients of a product of polynomials, which is known by its values at the points 0, 1, -1, 2, -2 and
infinity. In two axes d is a tile of 6 x 6 pixels, tiles overlap by two, and with C channels each of the 36 products is
a matrix product (tiles, C) (C, F). Each step is linear, so backward goes through them in reverse, transposed.

Its rounding error is some ten times that of the plain sum, which stays for float64 (see `Conv2D`).

References
----------
.. [1] Lavin and Gray (2015), "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308
"""

import functools

import numpy as np

from . import _tiles as tiles
from ._correlate import overlap
from ._threads import in_parts

_LEAST = 1 << 21  # products at one tap, below which the steps themselves cost more than they save
_BLOCK = 1 << 18  # elements of the points made at a time, a megabyte in float32
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_G2 = np.kron(_G, _G)  # (36, 9), for both axes


def pays(filters, out, stride, dilation):
    """Whether to prefer it: 3 x 3 filters at stride 1, tiles that are mostly full, and products that are worth it."""
    (G, F, C, *kernel_size), (OH, OW, N) = filters.shape, out.shape[:3]
    fits = G == 1 and kernel_size == [3, 3] and stride == dilation == (1, 1) and out.dtype == np.float32
    full = 16 * _tiles(OH) * _tiles(OW) <= 2 * OH * OW
    return fits and full and min(C, F) >= 8 and OH * OW * N * C * F >= _LEAST


def correlate(x, filters, out, padding, bias=None):
    """Write into `out` (OH, OW, N, F) the products of all windows of `x` (H, W, N, C) with `filters` (F, C, 3, 3)."""
    U = _points_of(filters).swapaxes(1, 2)

    def write(part):
        for rows, V in _points(x, out.shape, padding, part):
            block = out[rows, :, part]
            y = tiles.from_points((_matrices(V) @ U).reshape(*V.shape[:-1], len(filters)))
            np.add(y[: len(block), : out.shape[1]], 0 if bias is None else bias, out=block)

    if compiled := _compiled():
        b = np.zeros(len(filters), out.dtype) if bias is None else bias.ravel()
        write = functools.partial(compiled.correlate, x, np.ascontiguousarray(U), b, out, padding)
    in_parts(write, out.shape[2], 9 * out.size, multiplies=True)


def gradients(x, dout, filters, padding, dx=None):
    """The gradient (F, C, 3, 3) of the filters; that of `x`, (H, W, N, C), is written into `dx` if it is given."""
    (H, W, _, C), (OH, OW, N, F) = x.shape, dout.shape
    height, width = 4 * _tiles(OH), 4 * _tiles(OW)
    U = None if dx is None else _points_of(filters)

    def backward(part):
        n = part.stop - part.start
        dU = np.zeros((36, F, C), dout.dtype)
        dframe = np.zeros((height + 2, width + 2, n, C), dout.dtype) if dx is not None else None
        for rows, V in _points(x, dout.shape, padding, part):
            dy = dout[rows, :, part]
            missing = 4 * V.shape[2] - len(dy), width - OW  # in tiles that are not full
            if any(missing):
                dy = np.pad(dy, [(0, missing[0]), (0, missing[1]), (0, 0), (0, 0)])
            dM = _matrices(tiles.from_outputs(dy))
            dU += dM.swapaxes(1, 2) @ _matrices(V)
            if dframe is not None:
                tiles.add_to_frame((dM @ U).reshape(V.shape), dframe[rows.start : rows.start + 4 * V.shape[2] + 2])
        if dframe is not None:
            dx[:, :, part] = dframe[padding[0] : padding[0] + H, padding[1] : padding[1] + W]
        return dU

    if compiled := _compiled():
        U = np.zeros((36, F, C), dout.dtype) if U is None else U
        backward = functools.partial(compiled.gradients, x, dout, U, dx, padding)
    dU = sum(in_parts(backward, N, 9 * dout.size, multiplies=True))
    return (dU.reshape(36, F * C).T @ _G2.astype(dU.dtype)).reshape(F, C, 3, 3)


def _points(x, out_shape, padding, part):
    """Yield (rows of the output, B^T d B of their tiles (6, 6, R, Wt, n, C)), R rows of tiles at a time."""
    (H, W, _, C), (OH, OW) = x.shape, out_shape[:2]
    Ht, Wt, n = _tiles(OH), _tiles(OW), part.stop - part.start
    R = max(1, min(Ht, _BLOCK // (36 * Wt * n * C)))
    frame = np.zeros((4 * R + 2, 4 * Wt + 2, n, C), x.dtype)
    for first in range(0, 4 * Ht, 4 * R):
        rows, from_rows = overlap(padding[0] - first, H, len(frame))
        frame[: rows.start] = 0
        frame[rows.stop :] = 0
        frame[rows, padding[1] : padding[1] + W] = x[from_rows, :, part]
        yield slice(first, first + 4 * R), tiles.to_points(frame[: 4 * min(R, Ht - first // 4) + 2])


def _matrices(points):
    """(6, 6, R, Wt, N, C) -> (36, R Wt N, C)."""
    return points.reshape(36, -1, points.shape[-1])


def _tiles(size):
    return -(-size // 4)


def _points_of(filters):
    """G g G^T: (F, C, 3, 3) -> (36, F, C)."""
    F, C = filters.shape[:2]
    return (_G2.astype(filters.dtype) @ filters.reshape(F * C, 9).T).reshape(36, F, C)


@functools.cache
def _compiled():
    """What a thread does with its part of the examples, compiled; None without Numba."""
    try:
        from . import _winograd_compiled
    except ImportError:  # no Numba
        return None
    return _winograd_compiled
