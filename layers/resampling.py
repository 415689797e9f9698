"""Images at another size: adaptive pooling and upsampling."""

import numpy as np

from ._images import as_images, as_pair, check_some_pixel
from .base import Layer


class _Resample2D(Layer):
    """A linear map along the height and one along the width: out = A x B^T, so dx = A^T dout B."""

    def _matrices(self, height, width):
        """A (OH, height) and B (OW, width)."""
        raise NotImplementedError(f"{type(self).__name__} has to define _matrices")

    def forward(self, x):
        x = np.ascontiguousarray(as_images(x))  # the products are over rows and columns
        check_some_pixel(x)
        A, B = (matrix.astype(x.dtype) for matrix in self._matrices(*x.shape[2:]))
        self.cache = A, B
        return A @ x @ B.T

    def backward(self, dout):
        A, B = self.cache
        return A.T @ np.ascontiguousarray(dout) @ B


class AdaptiveAvgPool2D(_Resample2D):
    r"""Means over a grid of bins that cover the image, whatever its size: (N, C, H, W) -> (N, C, OH, OW).

    Bin i holds the rows from :math:`\lfloor i H / OH \rfloor` to below :math:`\lceil (i + 1) H / OH \rceil`, so that
    neighbours overlap where OH does not divide H. Means over bins are products with matrices of shares:

    .. math:: \text{out}_{nc} = A x_{nc} B^T, \qquad dx_{nc} = A^T dout_{nc} B

    Parameters
    ----------
    out_size : int or (int, int)
        Rows OH and columns OW of the output.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W), or no pixel.

    Examples
    --------
    >>> AdaptiveAvgPool2D((1, 2)).forward(np.array([[[[1.0, 2.0, 6.0]]]]))
    array([[[[1.5, 4. ]]]])
    """

    def __init__(self, out_size):
        self.out_size = as_pair("out_size", out_size)

    def _matrices(self, height, width):
        return _bin_means(height, self.out_size[0]), _bin_means(width, self.out_size[1])


def _bin_ends(size, bins):
    """The first pixel of each bin, and the first behind it."""
    i = np.arange(bins)
    return i * size // bins, -(-(i + 1) * size // bins)


def _bin_means(size, bins):
    """(bins, size): row i holds 1 / count at the pixels of bin i."""
    (start, end), y = _bin_ends(size, bins), np.arange(size)
    inside = (y >= start[:, None]) & (y < end[:, None])
    return inside / inside.sum(axis=1, keepdims=True)


class AdaptiveMaxPool2D(Layer):
    r"""The largest pixel of each bin of a grid that covers the image: (N, C, H, W) -> (N, C, OH, OW).

    .. math:: \text{out}_{ncij} = \max_{y \in \text{bin}_i,\, z \in \text{bin}_j} x_{ncyz}

    The bins are those of `AdaptiveAvgPool2D`. Backward hands each `dout` to the *first* maximum of its bin, row by row;
    bins that overlap add up.

    Parameters
    ----------
    out_size : int or (int, int)
        Rows OH and columns OW of the output.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W), or no pixel.

    Examples
    --------
    >>> layer = AdaptiveMaxPool2D((1, 2))
    >>> layer.forward(np.array([[[[1.0, 5.0, 2.0]]]]))  # the middle one is in both bins
    array([[[[5., 5.]]]])
    >>> layer.backward(np.array([[[[10.0, 1.0]]]]))
    array([[[[ 0., 11.,  0.]]]])
    """

    def __init__(self, out_size):
        self.out_size = as_pair("out_size", out_size)

    def forward(self, x):
        x = as_images(x)
        check_some_pixel(x)
        wide, column = _largest_in_bins(x, self.out_size[1])  # (N, C, H, OW), first of each row
        out, row = _largest_in_bins(wide.swapaxes(2, 3), self.out_size[0])  # (N, C, OW, OH), of the first such row
        out, row = out.swapaxes(2, 3), row.swapaxes(2, 3)
        self.cache = x.shape, row * x.shape[3] + np.take_along_axis(column, row, axis=2)
        return out

    def backward(self, dout):
        (N, C, H, W), pixel = self.cache
        image = np.arange(N * C).reshape(N, C, 1, 1) * (H * W)
        dx = np.bincount((image + pixel).ravel(), dout.ravel(), N * C * H * W)  # bins may share a pixel: sums
        return dx.astype(dout.dtype).reshape(N, C, H, W)


def _largest_in_bins(x, bins):
    """The first largest of the last axis in each bin, and where it is."""
    start, end = _bin_ends(x.shape[-1], bins)
    places = np.minimum(
        start[:, None] + np.arange((end - start).max()), end[:, None] - 1
    )  # a short bin: its last again
    inside = x[..., places]  # (..., bins, longest)
    first = inside.argmax(axis=-1)[..., None]
    return np.take_along_axis(inside, first, axis=-1)[..., 0], start + first[..., 0]


class Upsample(Layer):
    r"""Each pixel repeated into a block of `scale` by `scale`: (N, C, H, W) -> (N, C, scale H, scale W).

    .. math:: \text{out}_{ncij} = x_{n,\,c,\,\lfloor i / s \rfloor,\,\lfloor j / s \rfloor}

    Parameters
    ----------
    scale : int or (int, int)
        Height and width of the block.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W).

    Examples
    --------
    >>> Upsample(2).forward(np.array([[[[1.0, 2.0]]]]))
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """

    def __init__(self, scale):
        self.scale = as_pair("scale", scale)

    def forward(self, x):
        x = as_images(x)
        height, width = (size * s for size, s in zip(x.shape[2:], self.scale))
        out = np.empty_like(x, shape=(*x.shape[:2], height, width))
        for tap in self._taps():
            out[tap] = x
        self.cache = x.shape
        return out

    def backward(self, dout):
        dx = np.zeros_like(dout, shape=self.cache)
        for tap in self._taps():
            dx += dout[tap]  # a copy forward is a sum backward
        return dx

    def _taps(self):
        rows, columns = self.scale
        return [(..., slice(u, None, rows), slice(v, None, columns)) for u in range(rows) for v in range(columns)]


class UpsampleBilinear(_Resample2D):
    r"""Linear interpolation between the centres of pixels: (N, C, H, W) -> (N, C, scale H, scale W).

    Output row i lies at :math:`y = (i + \tfrac12) / s - \tfrac12` of the input, between two rows with weights
    that fall linearly from 1 to 0 over the distance of one row; beyond the outermost centres the image stays constant.
    As these weights make a matrix for each axis,

    .. math:: \text{out}_{nc} = A x_{nc} B^T, \qquad dx_{nc} = A^T dout_{nc} B

    Parameters
    ----------
    scale : int or (int, int)
        How many rows and columns each becomes.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W).

    Notes
    -----
    PyTorch's ``interpolate(mode="bilinear", align_corners=False)``.

    Examples
    --------
    >>> UpsampleBilinear((1, 2)).forward(np.array([[[[0.0, 4.0]]]]))
    array([[[[0., 1., 3., 4.]]]])
    """

    def __init__(self, scale):
        self.scale = as_pair("scale", scale)

    def _matrices(self, height, width):
        return _interpolation(height, self.scale[0]), _interpolation(width, self.scale[1])


def _interpolation(size, scale):
    """(scale size, size): row i holds the weights of the two pixels around output i."""
    y = np.clip((np.arange(scale * size) + 0.5) / scale - 0.5, 0, size - 1)[:, None]
    return np.maximum(0, 1 - np.abs(y - np.arange(size)))  # a tent around each pixel
