"""The passes of `_norms.py`, compiled by Numba: nothing is written that only the next operation would read.

`stored` are the rows themselves, and `shift` is a pair, whose sum is their mean: it takes two numbers in float32 to
come as near to it as the rows far from 0 do to each other.
"""

import numpy as np
from numba import njit

from ._norms import mean_of_sample, repeated, total
from ._numba import options
from ._threads import in_parts

BLOCK = 64  # rows whose sums are in float32
ONE = np.float32(1)
# The sum of a row becomes vector instructions where the compiler may choose its order.
any_order = {**options, "fastmath": {"reassoc"}}


def centre(rows, mean):
    return rows, (mean, np.zeros_like(mean))


def moments(rows, D):
    n, N, near = max(1, rows.size // D), rows.shape[1] // D, mean_of_sample(rows, D)
    sums, squares = total(lambda part: _sums(rows[part], repeated(near, N)), rows, D)
    rest, var = sums / n, np.maximum(squares / n - (sums / n) ** 2, 0)
    shift = repeated(near, N), repeated(rest.astype(rows.dtype), N)
    return rows, shift, (near + rest).astype(rows.dtype), var.astype(rows.dtype)


def scale(stored, shift, factor, offset, out):
    near, rest = shift
    _scale(stored, near, factor, offset - rest * factor, out)


def products(dout, stored, shift):
    near, rest = shift
    dots, sums = _products(dout, stored, near)
    return (dots - rest * sums).astype(dout.dtype), sums.astype(dout.dtype)


def scale_back(dout, stored, shift, slope, offset, factor, dx):
    near, rest = shift
    _scale_back(dout, stored, near, slope, offset - rest * slope, factor, dx)


def normalize(rows, gamma, beta, eps):
    rows, eps = np.ascontiguousarray(rows), np.float32(eps)
    x_hat, inv_std, out = np.empty_like(rows), np.empty((len(rows), 1), rows.dtype), np.empty_like(rows)

    def write(part):
        _normalize(rows[part], gamma, beta, eps, x_hat[part], inv_std[part], out[part])

    in_parts(write, len(rows), rows.size)
    return x_hat, inv_std, out


def normalize_back(dout, x_hat, inv_std, gamma):
    dout = np.ascontiguousarray(dout)
    dx = np.empty_like(dout)

    def write(part):
        return _normalize_back(dout[part], x_hat[part], inv_std[part], gamma, dx[part])

    dgamma, dbeta = (sum(parts).astype(dx.dtype) for parts in zip(*in_parts(write, len(dout), dout.size)))
    return dx, dgamma, dbeta


# Sums are in float64: over a thousand rows float32 would lose digits that NumPy's sums, which go pairwise, keep. Four
# rows are added up before, since it is the way from one precision to the other that takes the time.


@njit(**options)
def _sums(rows, shift):
    """Sums of x - shift, and of its squares."""
    sums, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    whole = len(rows) // 4 * 4
    for r in range(0, whole, 4):
        for d in range(rows.shape[1]):
            a, b, c, e = (
                rows[r, d] - shift[d],
                rows[r + 1, d] - shift[d],
                rows[r + 2, d] - shift[d],
                rows[r + 3, d] - shift[d],
            )
            sums[d] += (a + b) + (c + e)
            squares[d] += (a * a + b * b) + (c * c + e * e)
    for r in range(whole, len(rows)):
        for d in range(rows.shape[1]):
            a = rows[r, d] - shift[d]
            sums[d] += a
            squares[d] += a * a
    return sums, squares


@njit(**options)
def _products(dout, rows, shift):
    """Sums of dout (x - shift), and of dout."""
    dots, sums = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    whole = len(rows) // 4 * 4
    for r in range(0, whole, 4):
        for d in range(rows.shape[1]):
            a, b, c, e = dout[r, d], dout[r + 1, d], dout[r + 2, d], dout[r + 3, d]
            sums[d] += (a + b) + (c + e)
            dots[d] += (a * (rows[r, d] - shift[d]) + b * (rows[r + 1, d] - shift[d])) + (
                c * (rows[r + 2, d] - shift[d]) + e * (rows[r + 3, d] - shift[d])
            )
    for r in range(whole, len(rows)):
        for d in range(rows.shape[1]):
            sums[d] += dout[r, d]
            dots[d] += dout[r, d] * (rows[r, d] - shift[d])
    return dots, sums


@njit(**options)
def _scale(rows, shift, factor, offset, out):
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            out[r, d] = (rows[r, d] - shift[d]) * factor[d] + offset[d]


@njit(**options)
def _scale_back(dout, rows, shift, slope, offset, factor, dx):
    for r in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            dx[r, d] = (dout[r, d] + (rows[r, d] - shift[d]) * slope[d] + offset[d]) * factor[d]


@njit(**any_order)
def _normalize(rows, gamma, beta, eps, x_hat, inv_std, out):
    R, D = rows.shape
    share = ONE / np.float32(max(1, D))
    for r in range(R):
        mean = rest = squares = np.float32(0)
        for d in range(D):
            mean += rows[r, d] * share  # before the sum, which might overflow
        for d in range(D):
            x_hat[r, d] = rows[r, d] - mean
            rest += x_hat[r, d] * share
        for d in range(D):
            x_hat[r, d] -= rest
            squares += x_hat[r, d] * x_hat[r, d]
        inv_std[r, 0] = ONE / np.sqrt(squares * share + eps)
        for d in range(D):
            x_hat[r, d] *= inv_std[r, 0]
            out[r, d] = x_hat[r, d] * gamma[d] + beta[d]


@njit(**any_order)
def _normalize_back(dout, x_hat, inv_std, gamma, dx):
    R, D = dout.shape
    share = ONE / np.float32(max(1, D))
    dgamma, dbeta = np.zeros(D), np.zeros(D)
    for first in range(0, R, BLOCK):
        products, sums = np.zeros(D, dx.dtype), np.zeros(D, dx.dtype)
        for r in range(first, min(R, first + BLOCK)):
            slope = mean = np.float32(0)
            for d in range(D):
                product = dout[r, d] * x_hat[r, d]
                products[d] += product
                sums[d] += dout[r, d]
                slope += product * gamma[d]
                mean += dout[r, d] * gamma[d]
            slope *= share
            mean *= share
            for d in range(D):
                dx[r, d] = (dout[r, d] * gamma[d] - mean - x_hat[r, d] * slope) * inv_std[r, 0]
        dgamma += products
        dbeta += sums
    return dgamma, dbeta
