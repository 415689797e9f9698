"""Correlation of images with filters, and the two maps that belong to it: everything that convolution layers compute.

`correlate` slides filters over images. It is linear in the images and in the filters, so it has two transposes, its
gradients: `correlate_transposed` takes `dout` back to the images, `correlate_filters` takes it to the filters.

Here images are (H, W, N, G, C/G) and filters (G, F/G, C/G, HH, WW), for G groups of channels. With pixels first, all
that one tap of the filters meets is a shifted image: a few long runs of memory, and the taps one below the other times
the filters are one large matrix product.
"""

import math

import numpy as np

from ._threads import in_parts

_BLOCK = 1 << 18  # elements of the columns made at a time, 1 MB in float32: what a core's cache holds


def correlate(x, filters, out, stride, before, dilation, bias=None):
    """Write into `out` (OH, OW, N, G, F/G) the products of all windows of `x` with `filters`, plus any `bias`.

    The first window starts `before` pixels above and left of the image; pixels outside of the image are 0.
    """
    G, F, C, HH, WW = filters.shape
    matrix = filters.reshape(G, F, C * HH * WW).swapaxes(1, 2)

    def write_one(_):
        rows, taps = _windows_and_taps(x[:, :, 0, 0], filters[0], out.shape[:2], stride, before, dilation)
        product = np.matmul(rows, taps, out=out.reshape(-1, F))
        if bias is not None:
            product += bias.reshape(F)

    def write(part):
        for rows, columns in _columns(x, (HH, WW), out.shape[:2], part, stride, before, dilation):
            block = out[rows]
            if G == 1 and block.flags.c_contiguous:
                product = np.matmul(columns[0].T, matrix[0], out=block.reshape(-1, F))
                if bias is not None:
                    product += bias.reshape(F)
                continue
            product = (columns.swapaxes(1, 2) @ matrix).reshape(G, *block.shape[:3], F)
            np.add(product.transpose(1, 2, 3, 0, 4), 0 if bias is None else bias, out=block)

    size = out[..., :1].size * HH * WW * C
    one = x.shape[2] == G == 1 and size <= _BLOCK
    in_parts(write_one if one else write, len(out), size, product=size // G * F)


def correlate_transposed(dout, filters, dx, stride, padding, dilation, bias=None):
    """Write into `dx` (H, W, N, G, C/G) what its pixels get back from `dout` (OH, OW, N, G, F/G), plus any `bias`.

    A tap of the filters met every stride-th pixel, from its own place on: there it adds its share of `dout`.
    """
    G, F, C, HH, WW = filters.shape
    (H, W), (OH, OW) = dx.shape[:2], dout.shape[:2]
    taps = np.ascontiguousarray(filters.transpose(3, 4, 0, 1, 2))  # (HH, WW, G, F/G, C/G)
    height, width = ((o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip((OH, OW), stride, dilation, (HH, WW)))
    rows, from_rows = overlap(-padding[0], height, H)
    cols, from_cols = overlap(-padding[1], width, W)
    N = dout.shape[2]

    def write(part):
        images = np.ascontiguousarray(dout[:, :, part])
        n = part.stop - part.start
        frame = np.zeros((height, width, n, G, C), dx.dtype)
        step = max(1, _BLOCK // max(1, OW * n * G * (F + C)))
        for start in range(0, OH, step):
            block = images[start : start + step]
            douts = block.reshape(-1, G, F).transpose(1, 0, 2)
            for u in range(HH):
                top = start * stride[0] + u * dilation[0]
                down = frame[top : top + len(block) * stride[0] : stride[0]]
                for v in range(WW):
                    if F == 1:  # a filter a group, as in the depthwise convolution: a product of numbers
                        shares = block * taps[u, v, :, 0]
                    else:
                        shares = (douts @ taps[u, v]).transpose(1, 0, 2).reshape(len(block), OW, n, G, C)
                    down[:, v * dilation[1] :: stride[1]][:, :OW] += shares
        if (rows, cols) != (slice(0, H), slice(0, W)):  # pixels behind the last window
            dx[:, :, part] = 0 if bias is None else bias
        np.add(frame[from_rows, from_cols], 0 if bias is None else bias, out=dx[rows, cols, part])

    in_parts(write, N, dx.size * HH * WW, product=dout.size * C)


def correlate_filters(x, dout, kernel_size, stride, padding, dilation):
    """The gradient (G, F/G, C/G, HH, WW) of the filters: each tap sums the pixels it has met times their `dout`."""
    (G, C), F = x.shape[3:], dout.shape[4]
    taps = math.prod(kernel_size)

    def summed(part):
        dmatrix = np.zeros((G, C * taps, F), x.dtype)
        for rows, columns in _columns(x, kernel_size, dout.shape[:2], part, stride, padding, dilation):
            dmatrix += columns @ dout[rows].reshape(-1, G, F).swapaxes(0, 1)  # turned round, twice the time
        return dmatrix

    dmatrix = sum(in_parts(summed, len(dout), dout[..., :1].size * taps * C, product=dout.size // G * taps * C))
    return dmatrix.swapaxes(1, 2).reshape(G, F, C, *kernel_size)


def _columns(x, kernel_size, size, part, stride, before, dilation):
    """Yield (rows of the output, what their windows hold: (G, C/G * HH * WW, rows * OW * N)), some rows at a time.

    All windows at once are HH * WW times as large as the images: they would leave the cache, and then fill the memory.
    Each block overwrites the one before; to make them again in backward costs less than to keep them.
    """
    (H, W, N, G, C), (HH, WW), width = x.shape, kernel_size, size[1]
    if kernel_size == stride == (1, 1) and before == (0, 0) and size == (H, W):  # the windows are the pixels
        yield part, x[part].reshape(-1, G, C).transpose(1, 2, 0)
        return
    top, left = before[0] - part.start * stride[0], before[1]
    n = max(1, min(part.stop - part.start, _BLOCK // max(1, HH * WW * G * C * width * N)))
    reach = (n - 1) * stride[0] + dilation[0] * (HH - 1) + 1
    frame = np.zeros((G, C, reach, (width - 1) * stride[1] + dilation[1] * (WW - 1) + 1, N), x.dtype)
    columns = np.empty((G, C, HH, WW, n, width, N), x.dtype)
    group, channel, down, right, one = frame.strides
    strides = (group, channel, dilation[0] * down, dilation[1] * right, stride[0] * down, stride[1] * right, one)
    windows = np.ndarray(columns.shape, x.dtype, frame, strides=strides)  # a view, held to the frame's memory
    cols, from_cols = overlap(left, W, frame.shape[3])
    for start in range(part.start, part.stop, n):
        rows, from_rows = overlap(top, H, reach)
        frame[:, :, : rows.start] = 0
        frame[:, :, rows.stop :] = 0
        frame[:, :, rows, cols] = x[from_rows, from_cols].transpose(3, 4, 0, 1, 2)
        count = min(n, part.stop - start)
        columns[:, :, :, :, :count] = windows[:, :, :, :, :count]
        yield slice(start, start + count), columns[:, :, :, :, :count].reshape(G, C * HH * WW, count * width * N)
        top -= n * stride[0]


def _windows_and_taps(x, filters, size, stride, before, dilation):
    """What the windows of one image (H, W, C) hold, (OH * OW, K), and filters (F, C, HH, WW) in that order, (K, F).

    They are read along the longer runs: of many channels a row of a window, of few what a tap meets in a row of x.
    """
    (H, W, C), (F, _, HH, WW) = x.shape, filters.shape
    reach = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(size, stride, dilation, (HH, WW))]
    (rows, from_rows), (cols, from_cols) = (overlap(*axis) for axis in zip(before, (H, W), reach))
    by_windows = size[1] <= WW * C
    frame = np.zeros((*reach, C) if by_windows else (C, *reach), x.dtype)
    pixels = frame if by_windows else frame.transpose(1, 2, 0)
    pixels[rows, cols] = x[from_rows, from_cols]
    down, right, one = pixels.strides
    strides = (stride[0] * down, stride[1] * right, dilation[0] * down, dilation[1] * right, one)
    windows = np.ndarray((*size, HH, WW, C), x.dtype, frame, strides=strides)  # a view, held to the frame's memory
    count, K = math.prod(size), HH * WW * C
    if by_windows:
        return windows.reshape(count, K), filters.transpose(2, 3, 1, 0).reshape(K, F)
    return windows.transpose(4, 2, 3, 0, 1).reshape(K, count).T, filters.reshape(F, K).T


def overlap(before, size, extent):
    """Where an image lies in a frame that starts `before` it, as a slice of the frame and one of the image."""
    start = min(max(0, before), extent)
    stop = max(start, min(extent, before + size))
    return slice(start, stop), slice(start - before, stop - before)
