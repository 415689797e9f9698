"""Images (N, C, H, W) and the windows that slide over them: what convolution, pooling and image norms share.

The arrays that these layers return have the shape (N, C, H, W) but lie in memory as (H, W, N, C): shifted by a pixel,
an image is a stretch of the same memory, which N C numbers share, so that windows, taps and tiles are long runs; and a
bias or a norm meets its channels in the innermost loop. NumPy's elementwise functions keep that order, so a net
rearranges its images once, at the first layer.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

Pair = tuple[int, int]


def as_images(x: Any, channels: int | None = None, dtype: Any = None, axes: str = "HW") -> np.ndarray:
    """`x` in `dtype`, of shape (N, C, H, W); with `axes` "T" of shape (N, C, T)."""
    x = np.asarray(x, dtype)
    if x.ndim != 2 + len(axes) or channels not in (None, x.shape[1]):
        expected = ", ".join(("N", "C" if channels is None else str(channels), *axes))
        raise ValueError(
            f"x must have shape ({expected}), channels before pixels; got {x.shape}. "
            "Make the layer with the channels of its input, or move the axes of the input with x.transpose"
        )
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats; got dtype {x.dtype}. Convert with x.astype(np.float32)")
    return x


def as_pair(name: str, value: Any, low: int = 1) -> Pair:
    """(height, width), whole numbers of at least `low`; one number stands for both."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    wanted = f"{name} must be a whole number of at least {low}, or a pair of them for height and width; got {value!r}"
    if len(pair) != 2:
        raise ValueError(wanted)
    if any(isinstance(v, bool) or not isinstance(v, (int, np.integer)) for v in pair):
        raise TypeError(wanted)
    if min(pair) < low:
        raise ValueError(wanted)
    return int(pair[0]), int(pair[1])


def check_some_pixel(x: np.ndarray) -> None:
    """Images that have pixels: there is no mean and no maximum of none."""
    if 0 in x.shape[2:]:
        raise ValueError(f"x must have at least one pixel a channel; got shape {x.shape}. Pool less before")


@functools.cache
def window_positions(x_size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """How many windows fit below each other and side by side: (size + 2 padding - extent) // stride + 1."""
    padded = [size + 2 * p for size, p in zip(x_size, padding)]
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(extent > size for extent, size in zip(extents, padded)):
        raise ValueError(
            f"kernel_size must not exceed the padded image: expected at most {tuple(padded)} pixels of an image "
            f"{tuple(x_size)} with padding {padding}; got {tuple(extents)}, dilation counted. "
            "Use a smaller window, more padding, or pool less before"
        )
    rows, columns = ((size - extent) // s + 1 for size, extent, s in zip(padded, extents, stride))
    return rows, columns


def pixels_first(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> contiguous (H, W, N, C); a view where the memory lies so already."""
    pixels = x.transpose(2, 3, 0, 1)
    if pixels.flags.c_contiguous:
        return pixels
    out = np.empty(pixels.shape, x.dtype)
    rearrange(x, channels_first(out))
    return out


def rearrange(x: np.ndarray, out: np.ndarray) -> None:
    """Copy `x` into `out`, both (N, ...), whose memory is in another order: large examples one at a time.

    All at once, the steps through the memory of one of the two are as long as the batch; as powers of two they meet the
    same few places of the cache, which takes four times as long.
    """
    if len(x) == 1 or math.prod(x.shape[1:]) < 1024:
        out[...] = x
        return
    for example, own in zip(x, out):
        own[...] = example if example.flags.c_contiguous else example.copy(order="K")


def channels_first(x: np.ndarray) -> np.ndarray:
    """(H, W, N, C) -> (N, C, H, W), a view."""
    return x.transpose(2, 3, 0, 1)
