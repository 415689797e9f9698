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

from typing import Any, NamedTuple

import numpy as np

from ._correlate import overlap
from ._threads import each, in_parts
from ._tiles import fastest

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


class Tiles(NamedTuple):
    """What forward leaves for backward: B^T d B of all tiles, and where they lie."""

    parts: list[Any]  # (part of the batch, [points (6, 6, R, Wt, N, C) of R rows of tiles]) for each thread
    x_shape: tuple[int, ...]
    padding: tuple[int, int]


def correlate(x, filters, out, padding, bias=None):
    """Write into `out` (OH, OW, N, F) the products of all windows of `x` (H, W, N, C) with `filters` (F, C, 3, 3)."""
    (H, W, N, C), (OH, OW, _, F) = x.shape, out.shape
    Ht, Wt = _tiles(OH), _tiles(OW)
    transforms = fastest()
    U = _points_of(filters)
    cols = slice(padding[1], padding[1] + W)

    def write(part):
        n = part.stop - part.start
        R = max(1, min(Ht, _BLOCK // (36 * Wt * n * C)))
        frame = np.zeros((4 * R + 2, 4 * Wt + 2, n, C), x.dtype)
        blocks = []
        for first in range(0, 4 * Ht, 4 * R):
            rows, from_rows = overlap(padding[0] - first, H, len(frame))
            frame[: rows.start] = 0
            frame[rows.stop :] = 0
            frame[rows, cols] = x[from_rows, :, part]
            V = transforms.to_points(frame[: 4 * min(R, Ht - first // 4) + 2])
            blocks.append(V)
            M = V.reshape(36, -1, C) @ U.swapaxes(1, 2)
            block = out[first : first + 4 * R, :, part]
            y = transforms.from_points(M.reshape(*V.shape[:-1], F))
            np.add(y[: len(block), :OW], 0 if bias is None else bias, out=block)
        return part, blocks

    return Tiles(in_parts(write, N, 9 * out.size), x.shape, padding)


def gradients(tiles, dout, filters=None):
    """The gradient (F, C, 3, 3) of the filters; and of `x`, (H, W, N, C), if `filters` are given."""
    (H, W, _, C), (OH, OW, _, F) = tiles.x_shape, dout.shape
    Ht, Wt = _tiles(OH), _tiles(OW)
    transforms = fastest()
    dx: Any = None if filters is None else np.empty(tiles.x_shape, dout.dtype)
    U = None if filters is None else _points_of(filters)

    def backward(part_and_blocks):
        part, blocks = part_and_blocks
        n = part.stop - part.start
        dU = np.zeros((36, F, C), dout.dtype)
        dframe: Any = None if dx is None else np.zeros((4 * Ht + 2, 4 * Wt + 2, n, C), dout.dtype)
        first = 0
        for V in blocks:
            rows = 4 * V.shape[2]
            dy = dout[first : first + rows, :, part]
            if dy.shape[:2] != (rows, 4 * Wt):  # the last tiles are not full
                dy = np.pad(dy, ((0, rows - len(dy)), (0, 4 * Wt - OW), (0, 0), (0, 0)))
            dM = transforms.from_outputs(dy).reshape(36, -1, F)
            dU += dM.swapaxes(1, 2) @ V.reshape(36, -1, C)
            if dx is not None:
                transforms.add_to_frame((dM @ U).reshape(V.shape), dframe[first : first + rows + 2])
            first += rows
        if dx is not None:
            top, left = tiles.padding
            dx[:, :, part] = dframe[top : top + H, left : left + W]
        return dU

    dU = sum(each(backward, tiles.parts))
    return (dU.reshape(36, F * C).T @ _G2.astype(dU.dtype)).reshape(F, C, 3, 3), dx


def _tiles(size):
    return -(-size // 4)


def _points_of(filters):
    """G g G^T: (F, C, 3, 3) -> (36, F, C)."""
    F, C = filters.shape[:2]
    return (_G2.astype(filters.dtype) @ filters.reshape(F * C, 9).T).reshape(36, F, C)
