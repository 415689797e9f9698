"""Pooling of images: the largest pixel or the mean of a window that moves over them, or of all pixels.

Windows are visited tap by tap: the k-th pixel of every window at once, a strided slice of the image. So there is no
loop over pixels and no copy of the windows, and what padding adds is never looked at.
"""

import functools
import math

import numpy as np

from ._images import as_images, as_pair, channels_first, check_some_pixel, pixels_first, window_positions
from ._threads import in_parts
from .base import Layer


class _Pool2D(Layer):
    """What the two share: the window, and the walk over its taps."""

    def __init__(self, kernel_size, *, stride=None, padding=0):
        self.kernel_size = as_pair("kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else as_pair("stride", stride)
        self.padding = as_pair("padding", padding, low=0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size)):
            raise ValueError(
                f"padding must be at most half of kernel_size {self.kernel_size}, so that every window sees the image; "
                f"got {self.padding}. Pad less, or pool with a larger window"
            )

    def _positions(self, x_size):
        return window_positions(x_size, self.kernel_size, self.stride, self.padding)

    def _taps(self, x_size, out_size):
        """For each tap, row by row: where the outputs are whose tap lies in the image, and where its pixels are."""
        rows, columns = (
            [_tap(u, *axis) for u in range(k)]
            for k, *axis in zip(self.kernel_size, x_size, out_size, self.stride, self.padding)
        )
        for out_rows, x_rows in rows:
            for out_columns, x_columns in columns:
                yield (..., out_rows, out_columns), (..., x_rows, x_columns)


@functools.cache
def _tap(u, size, out_size, stride, padding):
    """Outputs i and pixels i stride + u - padding, where these are in [0, size), as two slices."""
    first = max(0, -((u - padding) // stride))  # rounded up
    last = min(out_size - 1, (size - 1 + padding - u) // stride)
    count = max(0, last + 1 - first)
    start = first * stride + u - padding
    return slice(first, first + count), slice(start, start + count * stride, stride) if count else slice(0, 0)


def _largest(x, axis, size, kernel, stride, padding, out):
    """Write into `out` the largest pixel of each window along one axis."""
    before = (slice(None),) * axis
    taps = [_tap(u, x.shape[axis], size, stride, padding) for u in range(kernel)]
    if padding:  # no tap lies in every window
        out[...] = -math.inf
        largest = out
    else:
        largest, taps = x[(*before, taps[0][1])], taps[1:] or taps
    for there, here in taps:
        np.maximum(largest[(*before, there)], x[(*before, here)], out=out[(*before, there)])
        largest = out


class MaxPool2D(_Pool2D):
    r"""The largest pixel of each window, channel by channel.

    .. math:: \text{out}_{ncij} = \max_{u,v} x_{n,\,c,\,i s + u - p,\,j s + v - p}

    Backward hands each `dout` to the *first* maximum of its window, row by row; windows that overlap add up.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), default `kernel_size`
        Pixels between windows.
    padding : int or (int, int), default 0
        Pixels added on each side, at most half of the window; they never win.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W), or the window is larger than the padded image.

    Notes
    -----
    As PyTorch's ``MaxPool2d``, ties included. CS231n's fast version divides `dout` among all maxima of a window.

    Examples
    --------
    >>> layer = MaxPool2D(2)
    >>> layer.forward(np.array([[[[1.0, 2.0], [2.0, 0.0]]]]))
    array([[[[2.]]]])
    >>> layer.backward(np.array([[[[5.0]]]]))
    array([[[[0., 5.],
             [0., 0.]]]])
    """

    def forward(self, x):
        x = as_images(x)
        size = self._positions(x.shape[2:])
        down, across = zip((2, 3), size, self.kernel_size, self.stride, self.padding)
        out = np.empty_like(x, shape=(*x.shape[:2], *size))

        def pool(part):
            images = x[part]
            columns = np.empty_like(images, shape=(*images.shape[:2], size[0], x.shape[3]))
            _largest(images, *down, out=columns)
            _largest(columns, *across, out=out[part])

        in_parts(pool, len(x), x.size)
        self.cache = x, out
        return out

    def backward(self, dout):
        x, out = self.cache
        dx = np.zeros_like(x, dtype=dout.dtype)
        free = np.ones_like(out, dtype=bool)  # windows whose maximum has not been met
        apart = all(s >= k for s, k in zip(self.stride, self.kernel_size))  # no pixel lies in two windows

        def share_out(part):
            for there, here in self._taps(x.shape[2:], out.shape[2:]):
                met = x[part][here] == out[part][there]
                met &= free[part][there]
                free[part][there] ^= met
                if apart:
                    np.multiply(dout[part][there], met, out=dx[part][here])
                else:
                    dx[part][here] += dout[part][there] * met

        in_parts(share_out, len(x), x.size)
        return dx


class AvgPool2D(_Pool2D):
    r"""The mean of each window, channel by channel.

    .. math:: \text{out}_{ncij} = \frac{1}{K} \sum_{u,v} x_{n,\,c,\,i s + u - p,\,j s + v - p}

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), default `kernel_size`
        Pixels between windows.
    padding : int or (int, int), default 0
        Zeros added on each side, at most half of the window.
    count_include_pad : bool, default True
        Whether K counts all pixels of the window, the padded ones too, or only those inside of the image.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W), or the window is larger than the padded image.

    Notes
    -----
    The defaults are those of PyTorch's ``AvgPool2d``.

    Examples
    --------
    >>> AvgPool2D(2).forward(np.array([[[[1.0, 2.0], [2.0, 0.0]]]]))
    array([[[[1.25]]]])
    """

    def __init__(self, kernel_size, *, stride=None, padding=0, count_include_pad=True):
        super().__init__(kernel_size, stride=stride, padding=padding)
        self.count_include_pad = count_include_pad

    def forward(self, x):
        x = as_images(x)
        size = self._positions(x.shape[2:])
        out = np.zeros_like(x, shape=(*x.shape[:2], *size))
        for there, here in self._taps(x.shape[2:], size):
            out[there] += x[here]
        share = self._share(x, size)
        out *= share
        self.cache = x.shape, share
        return out

    def backward(self, dout):
        x_shape, share = self.cache
        dout = dout * share
        dx = np.zeros_like(dout, shape=x_shape)
        for there, here in self._taps(x_shape[2:], dout.shape[2:]):
            dx[here] += dout[there]  # a pixel was read by every window over it
        return dx

    def _share(self, x, size):
        """1 / K, of shape (OH, OW) in the dtype of `x`."""
        if self.count_include_pad:
            return np.full(size, 1 / math.prod(self.kernel_size), x.dtype)
        count = np.zeros(size, x.dtype)
        for there, _ in self._taps(x.shape[2:], size):
            count[there] += 1
        return 1 / count


class GlobalAvgPool2D(Layer):
    r"""The mean of each channel: (N, C, H, W) -> (N, C).

    Examples
    --------
    >>> GlobalAvgPool2D().forward(np.ones((2, 3, 5, 7))).shape
    (2, 3)
    """

    def forward(self, x):
        x = as_images(x)
        check_some_pixel(x)
        self.cache = x.shape
        return x.mean(axis=(2, 3))

    def backward(self, dout):
        N, C, H, W = self.cache
        dx = np.empty((H, W, N, C), dout.dtype)
        dx[...] = dout / (H * W)
        return channels_first(dx)


class GlobalMaxPool2D(Layer):
    r"""The largest pixel of each channel: (N, C, H, W) -> (N, C); `dout` goes to the first, row by row.

    Examples
    --------
    >>> GlobalMaxPool2D().forward(np.array([[[[1.0, 3.0], [2.0, 3.0]]]]))
    array([[3.]])
    """

    def forward(self, x):
        x = as_images(x)
        check_some_pixel(x)
        pixels = pixels_first(x).reshape(x.shape[2] * x.shape[3], *x.shape[:2])  # (H W, N, C)
        first = pixels.argmax(axis=0)[None]
        self.cache = x.shape, first
        return np.take_along_axis(pixels, first, axis=0)[0]

    def backward(self, dout):
        (N, C, H, W), first = self.cache
        dx = np.zeros((H * W, N, C), dout.dtype)
        np.put_along_axis(dx, first, dout[None], axis=0)
        return channels_first(dx.reshape(H, W, N, C))
