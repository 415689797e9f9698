"""Layers that only rearrange."""

import math

import numpy as np

from ._images import rearrange
from .base import Layer


class Flatten(Layer):
    """One row an example: (N, d1, ..., dk) becomes (N, D) with D = d1 * ... * dk.

    Raises
    ------
    ValueError
        If `x` has no axis N.

    Notes
    -----
    `out` is a view of `x` where its memory allows one. (N,) becomes (N, 1); PyTorch's ``Flatten`` leaves it (N,).

    Examples
    --------
    >>> Flatten().forward(np.zeros((4, 3, 2, 2))).shape
    (4, 12)
    """

    def forward(self, x):
        x = np.asarray(x)
        if x.ndim < 1:
            raise ValueError(
                f"x must have shape (N, d1, ..., dk); got {x.shape}. Add the axis of examples with x[None]"
            )
        self.cache = x
        if x.ndim > 2 and not x[:1].flags.c_contiguous:
            x = np.empty(x.shape, x.dtype)
            rearrange(self.cache, x)
        return x.reshape(len(x), math.prod(x.shape[1:]))  # never -1, which is undecided where N = 0

    def backward(self, dout):
        x = self.cache
        dx = dout.reshape(x.shape)
        if x.flags.c_contiguous:
            return dx
        out = np.empty_like(x, dtype=dx.dtype)  # in the order of memory of `x`, as the layers below work fastest
        rearrange(dx, out)
        return out
