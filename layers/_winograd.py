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

import numpy as np

from ._tiles import count, fastest

_LEAST = 1 << 21  # products at one tap, below which the steps themselves cost more than they save
_G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_G2 = np.kron(_G, _G)  # (36, 9), for both axes


def pays(filters, out, stride, dilation):
    """Whether to prefer it: 3 x 3 filters at stride 1, tiles that are mostly full, and products that are worth it."""
    (G, F, C, *kernel_size), (OH, OW, N) = filters.shape, out.shape[:3]
    fits = G == 1 and kernel_size == [3, 3] and stride == dilation == (1, 1) and out.dtype == np.float32
    full = 16 * count(OH) * count(OW) <= 2 * OH * OW
    return fits and full and min(C, F) >= 8 and OH * OW * N * C * F >= _LEAST


def correlate(x, filters, out, padding, bias=None):
    """Write into `out` (OH, OW, N, F) the products of all windows of `x` (H, W, N, C) with `filters` (F, C, 3, 3)."""
    bias = np.zeros(len(filters), out.dtype) if bias is None else bias.ravel()
    fastest().correlate(x, _points_of(filters.swapaxes(0, 1)), bias, out, padding)


def gradients(x, dout, filters, padding, dx=None):
    """The gradient (F, C, 3, 3) of the filters; that of `x`, (H, W, N, C), is written into `dx` if it is given."""
    dU = fastest().gradients(x, dout, _points_of(filters), dx, padding)
    return (dU.reshape(36, -1).T @ _G2.astype(dU.dtype)).reshape(filters.shape)


def _points_of(filters):
    """G g G^T: (A, B, 3, 3) -> (36, A, B)."""
    A, B = filters.shape[:2]
    return (_G2.astype(filters.dtype) @ filters.reshape(A * B, 9).T).reshape(36, A, B)
