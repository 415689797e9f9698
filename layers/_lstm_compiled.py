"""`LSTM`'s scans over time, compiled by Numba: a step is a product and one pass over memory, with no Python between.

So parts of the batch can go side by side on threads, which the interpreter's lock forbids to scans in Python. A step's
inputs, the state before it and a 1 lie side by side, (N, D + H + 1): one product with Wx, Wh and b gives all of z, and
backward one product over all steps all of their gradients.

OpenBLAS multiplies matrices of N K w <= 10**6 as they lie, without packing them first, in two thirds of the time. So
weights come in blocks of w columns, and so do the products: (H, N) numbers of a gate are in the order (H / w, N, w).
"""

import numpy as np
from numba import njit
from scipy.linalg import cython_blas  # noqa: F401  compiled products call it: `_threads.py` is to know

from ._formulas_compiled import ONE, sigmoid, tanh
from ._numba import options


def scan(inputs, state, Wx, Wh, b):
    """As `LSTM._scan`."""
    (T, D, N), H, dtype = inputs.shape, len(Wh), inputs.dtype
    steps = np.ones((T + 1, N, D + H + 1), dtype)  # x_t, h_{t-1}, 1
    steps[:-1, :, :D], steps[0, :, D:-1] = inputs.swapaxes(1, 2), state[0].T
    w = _width(N, D + H + 1, H)
    c, tanh_c, gates = (np.empty(shape, dtype) for shape in ((T + 1, H * N), (T, H * N), (T, 4, H * N)))
    c[0] = _blocks(state[1].T, w).ravel()
    _scan(steps, _blocks(np.concatenate([Wx, Wh, b[None]]), w), gates, c, tanh_c)
    h, end_c = steps[1:, :, D:-1].swapaxes(1, 2), c[-1].reshape(H // w, N, w).swapaxes(1, 2).reshape(H, N)
    return h, [h[-1], end_c], (steps, gates, c, tanh_c)


def scan_backward(dout, dstate, cache, parameters, need_dx):
    """As `LSTM._scan_backward`, of the parameters Wx, Wh and b."""
    Wx, Wh = (parameter.value for parameter in parameters[:2])
    steps, gates, c, tanh_c = cache
    (T, H, N), K = dout.shape, steps.shape[2]
    w = _width(N, K, H)
    dout = _blocks(dout.swapaxes(1, 2), w).reshape(T, H * N)
    dh, dc = (_blocks(d.T, w).copy() for d in dstate)  # of one example the blocks lie as they came
    dz = np.empty((T, N, 4 * H), dout.dtype)
    _scan_backward(dout, gates, c, tanh_c, _blocks(Wh.T, _width(N, 4 * H, H)), dh, dc.reshape(H * N), dz)
    rows = dz.reshape(T * N, 4 * H)
    dinputs = (rows @ Wx.T).reshape(T, N, len(Wx)).swapaxes(1, 2) if need_dx else None
    grads = np.split(steps[:-1].reshape(T * N, K).T @ rows, [len(Wx), -1])
    dstate = [d.swapaxes(1, 2).reshape(H, N) for d in (dh, dc)]
    return dinputs, dstate, [(p, grad.reshape(p.value.shape)) for p, grad in zip(parameters, grads)]


def _width(N, K, H):
    """Of the blocks of columns in a product of (N, K) with as many as there are in H, or a multiple of it."""
    return next((w for w in (64, 32, 16) if H % w == 0 and N * K * w <= 10**6), H)


def _blocks(rows, w):
    """(..., R, columns) -> (..., columns / w, R, w)."""
    return np.ascontiguousarray(rows.reshape(*rows.shape[:-1], rows.shape[-1] // w, w).swapaxes(-3, -2))


@njit(**options)
def _scan(steps, weights, gates, c, tanh_c):
    N, K = steps.shape[1:]
    z = np.empty((len(weights), N, weights.shape[2]), steps.dtype)
    h = np.empty((len(weights) // 4, N, weights.shape[2]), steps.dtype)
    columns = slice(K - 1 - len(h) * h.shape[2], K - 1)
    for t in range(len(gates)):
        for k in range(len(weights)):
            np.dot(steps[t], weights[k], z[k])
        _step(z.reshape(gates[t].shape), gates[t], c[t], c[t + 1], tanh_c[t], h.reshape(c[t].shape))
        _write_rows(h, steps[t + 1, :, columns])


@njit(**options)
def _scan_backward(dout, gates, c, tanh_c, weights, dh, dc, dz):
    dgates = np.empty((4 * len(dh), *dh.shape[1:]), dz.dtype)
    product = np.empty((len(weights), dh.shape[1], weights.shape[2]), dz.dtype)
    dh_rows = np.empty((dh.shape[1], weights.shape[0] * weights.shape[2]), dz.dtype)
    for t in range(len(gates) - 1, -1, -1):
        _step_backward(dout[t], gates[t], c[t], tanh_c[t], dh.reshape(dc.shape), dc, dgates.reshape(gates[t].shape))
        _write_rows(dgates, dz[t])
        for k in range(len(weights)):
            np.dot(dz[t], weights[k], product[k])
        _write_rows(product, dh_rows)
        _write_blocks(dh_rows, dh)


@njit(**options)
def _write_rows(blocks, rows):
    """(columns / w, N, w) -> (N, columns)."""
    w = blocks.shape[2]
    for k in range(len(blocks)):
        for n in range(len(rows)):
            for i in range(w):
                rows[n, k * w + i] = blocks[k, n, i]


@njit(**options)
def _write_blocks(rows, blocks):
    w = blocks.shape[2]
    for k in range(len(blocks)):
        for n in range(len(rows)):
            for i in range(w):
                blocks[k, n, i] = rows[n, k * w + i]


@njit(**options)
def _step(z, gates, c_before, c, tanh_c, h):
    for k in range(len(c)):
        i, f, o, g = sigmoid(z[0, k]), sigmoid(z[1, k]), sigmoid(z[2, k]), tanh(z[3, k])
        gates[0, k], gates[1, k], gates[2, k], gates[3, k] = i, f, o, g
        c[k] = f * c_before[k] + i * g
        tanh_c[k] = tanh(c[k])
        h[k] = o * tanh_c[k]


@njit(**options)
def _step_backward(dout, gates, c_before, tanh_c, dh, dc, dz):
    for k in range(len(dc)):
        i, f, o, g = gates[0, k], gates[1, k], gates[2, k], gates[3, k]
        dh_k = dh[k] + dout[k]  # h_t goes to the output and to the next step: gradients add
        dc_k = dc[k] + dh_k * o * (ONE - tanh_c[k] * tanh_c[k])
        dz[0, k] = dc_k * g * i * (ONE - i)
        dz[1, k] = dc_k * c_before[k] * f * (ONE - f)
        dz[2, k] = dh_k * tanh_c[k] * o * (ONE - o)
        dz[3, k] = dc_k * i * (ONE - g * g)
        dc[k] = dc_k * f
