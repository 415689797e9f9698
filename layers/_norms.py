"""The passes over memory of which batch and layer norm consist; `_norms_compiled.py` has the same with fewer."""

from __future__ import annotations

import sys
import types

import numpy as np

from ._numba import compiled
from ._sums import column_sums
from ._threads import in_parts

LEAST_BATCH = 1 << 17  # elements of a batch norm for which the compiled passes are worth the import of Numba
LEAST_LAYER = 1 << 11  # of a layer norm, which takes NumPy ten operations each way, in training

# --- `BatchNorm`: rows are (R, N D), for D features side by side N times: of images (N, D, H, W) the R = H W pixels. So
# are the vectors that go with them, (N D,). What forward leaves is `stored` and `shift`: x less its mean is their
# difference.


def centre(rows, mean):
    """(stored, shift), so that stored - shift is ``rows - mean``."""
    stored = np.empty_like(rows)
    in_parts(lambda part: np.subtract(rows[part], mean, out=stored[part]), len(rows), rows.size)
    return stored, np.zeros_like(mean)


def moments(rows, D):
    """(stored, shift, mean (D,), biased variance (D,)); mean and variance of nothing are 0.

    Stored is x less the mean of a sample. What is left of the mean becomes the shift; to take it off would be one more
    pass. And never E[x**2] - E[x]**2, which cancels.
    """
    n, N, near = max(1, rows.size // D), rows.shape[1] // D, mean_of_sample(rows, D)
    stored, _ = centre(rows, repeated(near, N))
    rest, squares = (
        sums / n for sums in total(lambda part: (column_sums(stored[part]), _dots(stored[part], stored[part])), rows, D)
    )
    return stored, repeated(rest, N), near + rest, np.maximum(squares - rest * rest, 0)


def mean_of_sample(rows, D):
    """Of every 64th row, (D,): no more than 8 standard deviations from the mean of all, whatever they are."""
    some = rows[::64].reshape(-1, D)
    return column_sums(some) / max(1, len(some))


def scale(stored, shift, factor, offset, out):
    """Into `out`: (stored - shift) factor + offset."""
    np.multiply(stored, factor, out=out)
    out += offset - shift * factor


def products(dout, stored, shift):
    """Sums over the rows of dout (stored - shift), and of dout."""
    sums = column_sums(dout)
    return _dots(dout, stored) - shift * sums, sums


def scale_back(dout, stored, shift, slope, offset, factor, dx):
    """Into `dx`: (dout + (stored - shift) slope + offset) factor."""
    np.multiply(stored, slope, out=dx)
    dx += dout
    dx += offset - shift * slope
    dx *= factor


def total(terms, rows, D):
    """What ``terms(part)`` sums up, over all parts of the rows and all N; each (N D,) -> (D,)."""
    sums = [sum(part) for part in zip(*in_parts(terms, len(rows), rows.size))]
    return sums if rows.shape[1] == D else [each.reshape(-1, D).sum(axis=0) for each in sums]


def repeated(vector, N):
    """(D,) -> (N D,)."""
    return vector if N == 1 else np.tile(vector, N)


def _dots(a, b):
    """Sums over rows of ``a * b``, (R, D) -> (D,): some rows at a time, which stay in the cache and round less."""
    step = min(256, max(1, (1 << 16) // max(1, a.shape[1])))
    return sum(column_sums(a[i : i + step] * b[i : i + step]) for i in range(0, max(1, len(a)), step))


# --- `LayerNorm`: rows (R, D) are examples, each with a mean of its own


def normalize(rows, gamma, beta, eps):
    """(x_hat, inv_std (R, 1), out): each row less its mean, over its standard deviation; then scaled and shifted.

    What is left of the mean, which is itself rounded, is taken off once more.
    """
    D = rows.shape[1]
    average = np.full((D, 1), 1 / D, rows.dtype)
    x_hat = rows - rows @ average
    x_hat -= x_hat @ average
    inv_std = 1 / np.sqrt(np.einsum("rd,rd->r", x_hat, x_hat)[:, None] / D + eps)
    x_hat *= inv_std
    out = x_hat * gamma
    out += beta
    return x_hat, inv_std, out


def normalize_back(dout, x_hat, inv_std, gamma):
    """(dx, dgamma, dbeta)."""
    D, product = len(gamma), dout * x_hat
    dgamma, dbeta = column_sums(product), column_sums(dout)  # gamma and beta were broadcast over the rows
    slope, mean = product @ gamma / -D, dout @ gamma / D  # of dx_hat = dout * gamma, which need not be there yet
    dx = np.multiply(x_hat, slope[:, None], out=product)  # through the variance
    dx -= mean[:, None]  # through the mean
    dx += dout * gamma
    dx *= inv_std
    return dx, dgamma, dbeta


def fastest(rows, least=LEAST_BATCH) -> types.ModuleType:
    """The module of these functions to use for such rows."""
    fits = rows.dtype == np.float32 and rows.size >= least
    return (compiled("_norms") if fits else None) or sys.modules[__name__]
