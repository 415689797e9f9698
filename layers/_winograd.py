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

import math

import numpy as np

from ._numba import compiled
from ._tiles import count, fastest

# Products at one tap from which on the steps save more than they cost, compiled and in NumPy; and pixels of all images,
# with fewer of which the points of the filters cost more than the products save.
_LEAST, _LEAST_PLAIN = 1 << 17, 1 << 21
_FEW, _FEW_PLAIN = 640, 1 << 11
_SMALL = 1 << 10  # pixels below which tiles of 2 x 2 are faster than those of 4 x 4
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_G2 = np.kron(_G, _G)  # (36, 9), for both axes


def pays(filters, out, stride, dilation):
    """Whether to prefer it: 3 x 3 filters at stride 1, tiles that are mostly full, and products that are worth it.

    Where pixels are few, the filters at the 36 points are more numbers than the products save.
    """
    pixels, products = _amounts(filters, out, stride, dilation)
    OH, OW = out.shape[:2]
    if products < _LEAST or 16 * count(OH) * count(OW) > 2 * OH * OW:
        return False
    if compiled("_tiles"):
        return pixels >= min(_FEW, products // pixels // 32)  # small filters are small at the points
    return products >= _LEAST_PLAIN and pixels >= _FEW_PLAIN


def forward_way(filters, out, stride, dilation):
    """What to call for the outputs, as `correlate` is called; None where the windows themselves are as fast.

    Few pixels go by tiles of 2 x 2, which are compiled or not at all.
    """
    pixels, products = _amounts(filters, out, stride, dilation)
    small = compiled("_small_tiles") if products >= _LEAST and pixels < _SMALL else None
    if small:
        return small.correlate
    return correlate if pays(filters, out, stride, dilation) else None


def _amounts(filters, out, stride, dilation):
    """(pixels, products at one tap) of what this module can do, (0, 0) of other convolutions."""
    G, F, C, *kernel_size = filters.shape
    if G > 1 or kernel_size != [3, 3] or not stride == dilation == (1, 1) or min(C, F) < 8 or out.dtype != np.float32:
        return 0, 0
    pixels = math.prod(out.shape[:3])
    return pixels, pixels * C * F


def correlate(x, filters, bias, out, padding):
    """Write into `out` (OH, OW, N, F) what windows of `x` (H, W, N, C) give, for filters (F, C, 3, 3), bias (F,)."""
    fastest().correlate(x, _points_of(filters.swapaxes(0, 1)), bias, out, padding)


def gradients(x, dout, filters, padding, dx=None):
    """The gradient (F, C, 3, 3) of the filters; that of `x`, (H, W, N, C), is written into `dx` if it is given."""
    dU = fastest().gradients(x, dout, _points_of(filters), dx, padding)
    return (dU.reshape(36, -1).T @ _G2.astype(dU.dtype)).reshape(filters.shape)


def _points_of(filters):
    """G g G^T: (A, B, 3, 3) -> (36, A, B)."""
    A, B = filters.shape[:2]
    return (_G2.astype(filters.dtype) @ filters.reshape(A * B, 9).T).reshape(36, A, B)
