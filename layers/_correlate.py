"""Correlation of images with filters, and the two maps that belong to it: everything that convolution layers compute.

`correlate` slides filters over images. It is linear in the images and in the filters, so it has two transposes, its
gradients: `correlate_transposed` takes `dout` back to the images, `correlate_filters` takes it to the filters.

Here images are (N, H, W, G, C/G) and filters (G, HH, WW, C/G, F/G), for G groups of channels. Channels are last, since
then a window is a few long runs of memory, and the windows times the filters are one large matrix product.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ._threads import over_batch

_BLOCK = 1 << 19  # elements of the columns made at a time, 2 MB in float32: what a core's cache holds


def correlate(x, filters, out, stride, before, dilation, bias=None):
    """Write into `out` (N, OH, OW, G, F/G) the products of all windows of `x` with `filters`, plus any `bias`.

    The first window starts `before` pixels above and left of the image; pixels outside of the image are 0.
    """
    G, HH, WW, C, F = filters.shape
    matrix = filters.reshape(G, HH * WW * C, F)

    def write(part):
        for images, columns in _columns(x[part], (HH, WW), out.shape[1:3], stride, before, dilation):
            block = out[part][images]
            if G == 1 and block.flags.c_contiguous:
                rows = block.reshape(-1, F)
                np.matmul(columns[0], matrix[0], out=rows)
                if bias is not None:
                    rows += bias.reshape(F)
                continue
            product = (columns @ matrix).reshape(G, *block.shape[:3], F)
            np.add(product.transpose(1, 2, 3, 0, 4), 0 if bias is None else bias, out=block)

    over_batch(write, len(x), out[..., :1].size * HH * WW * C)


def correlate_transposed(dout, filters, dx, stride, padding, dilation, bias=None):
    """Write into `dx` (N, H, W, G, C/G) what its pixels get back from `dout` (N, OH, OW, G, F/G), plus any `bias`.

    Rows of the image with one remainder modulo the stride have met the same taps of the filter, at outputs that go up
    by one from each such row to the next. So each of these phases of `dx` is itself a correlation with stride 1, of
    `dout` with these taps, last one first; with stride 1 there is but one phase, and all taps.
    """
    back = filters.swapaxes(3, 4)  # (G, HH, WW, F/G, C/G)
    for i in range(stride[0]):
        rows, top, row_step = _phase(i, back.shape[1], stride[0], padding[0], dilation[0])
        for j in range(stride[1]):
            columns, left, column_step = _phase(j, back.shape[2], stride[1], padding[1], dilation[1])
            phase = dx[:, i :: stride[0], j :: stride[1]]
            if not (rows and columns):  # these pixels lie between the windows
                phase[...] = 0 if bias is None else bias
            elif phase.size:
                met = back[:, rows][:, :, columns]
                correlate(dout, met, phase, (1, 1), (top, left), (row_step, column_step), bias)


def _phase(remainder, taps, stride, padding, dilation):
    """The taps that rows remainder + k stride have met, last one first; where the first output lies before k; the step.

    Tap u of output i meets row i stride + u dilation - padding, so i = k + (remainder + padding - u dilation) / stride.
    """
    distances = {u: remainder + padding - u * dilation for u in reversed(range(taps))}
    outputs = {u: distance // stride for u, distance in distances.items() if distance % stride == 0}
    met, at = list(outputs), list(outputs.values())
    return met, -at[0] if at else 0, at[1] - at[0] if len(at) > 1 else 1


def correlate_filters(x, dout, kernel_size, stride, padding, dilation):
    """The gradient (G, HH, WW, C/G, F/G) of the filters: each tap sums the pixels it has met times their `dout`."""
    (G, C), F = x.shape[3:], dout.shape[4]
    taps = math.prod(kernel_size)

    def summed(part):
        dmatrix = np.zeros((G, taps * C, F), x.dtype)
        for images, columns in _columns(x[part], kernel_size, dout.shape[1:3], stride, padding, dilation):
            rows = dout[part][images].reshape(-1, G, F).transpose(1, 0, 2)
            dmatrix += columns.transpose(0, 2, 1) @ rows
        return dmatrix

    return sum(over_batch(summed, len(x), dout[..., :1].size * taps * C)).reshape(G, *kernel_size, C, F)


def _columns(x, kernel_size, size, stride, before, dilation):
    """Yield (slice of images, their windows as rows (G, n * OH * OW, HH * WW * C/G)), a few images at a time.

    All windows at once are HH * WW times as large as the images: they would leave the cache, and then fill the memory.
    Each block overwrites the one before; to make them again in backward costs less than to keep them.
    """
    N, H, W, G, C = x.shape
    reach = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
    height, width = ((o - 1) * s + r for o, s, r in zip(size, stride, reach))
    n = max(1, min(N, _BLOCK // (math.prod(size) * math.prod(kernel_size) * G * C)))
    padded = np.zeros((n, height, width, G, C), x.dtype)
    windows = sliding_window_view(padded, reach, axis=(1, 2))  # (n, OH, OW, G, C/G, HH, WW) at stride and dilation 1
    windows = windows[:, :: stride[0], :: stride[1], ..., :: dilation[0], :: dilation[1]]
    windows = windows.transpose(3, 0, 1, 2, 5, 6, 4)  # (G, n, OH, OW, HH, WW, C/G)
    columns = np.empty(windows.shape, x.dtype)
    rows, from_rows = _overlap(before[0], H, height)
    cols, from_cols = _overlap(before[1], W, width)
    for start in range(0, N, n):
        images = x[start : start + n]
        padded[: len(images), rows, cols] = images[:, from_rows, from_cols]
        columns[:, : len(images)] = windows[:, : len(images)]
        yield slice(start, start + n), columns[:, : len(images)].reshape(G, -1, math.prod(kernel_size) * C)


def _overlap(before, size, extent):
    """Where an image lies in a frame that starts `before` it, as a slice of the frame and one of the image."""
    start = max(0, before)
    stop = max(start, min(extent, before + size))
    return slice(start, stop), slice(start - before, stop - before)
