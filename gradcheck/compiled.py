"""The course's compiled functions in NumPy, for folders in which nobody has run ``setup.py build_ext --inplace``."""

from __future__ import annotations

import numpy as np


def im2col_cython(x: np.ndarray, HH: int, WW: int, pad: int, stride: int) -> np.ndarray:
    """Windows of x (N, C, H, W) as columns, (C * HH * WW, H' * W' * N)."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (HH, WW), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.ascontiguousarray(windows.transpose(1, 4, 5, 2, 3, 0)).reshape(x.shape[1] * HH * WW, -1)


def col2im_6d_cython(
    cols: np.ndarray, N: int, C: int, H: int, W: int, HH: int, WW: int, pad: int, stride: int
) -> np.ndarray:
    """Columns (C, HH, WW, N, H', W') added up at their places in an image (N, C, H, W)."""
    padded = np.zeros((N, C, H + 2 * pad, W + 2 * pad), cols.dtype)
    out_h, out_w = cols.shape[4:]
    for i in range(HH):
        for j in range(WW):
            place = padded[:, :, i : i + stride * out_h : stride, j : j + stride * out_w : stride]
            place += cols[:, i, j].transpose(1, 0, 2, 3)
    return padded[:, :, pad : pad + H, pad : pad + W]


def col2im_cython(
    cols: np.ndarray, N: int, C: int, H: int, W: int, HH: int, WW: int, pad: int, stride: int
) -> np.ndarray:
    """Columns as those of `im2col_cython` added up at their places in an image (N, C, H, W)."""
    out_h, out_w = (H + 2 * pad - HH) // stride + 1, (W + 2 * pad - WW) // stride + 1
    six = cols.reshape(C, HH, WW, out_h, out_w, N).transpose(0, 1, 2, 5, 3, 4)
    return col2im_6d_cython(six, N, C, H, W, HH, WW, pad, stride)
