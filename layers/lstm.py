"""Long short-term memory."""

from __future__ import annotations

import itertools

import numpy as np

from ._numba import compiled
from ._threads import parts_of
from .recurrent import Recurrent, hold

LEAST = 1 << 12  # gates of one example, over all steps, for which the compiled scans are worth the import of Numba


class LSTM(Recurrent):
    r"""Long short-term memory: a memory `c` beside the state `h`, and gates that write, keep and read it.

    .. math::

        (z_i, z_f, z_o, z_g) &= x_t W_x + h_{t-1} W_h + b \\
        i, f, o, g &= \sigma(z_i), \sigma(z_f), \sigma(z_o), \tanh(z_g) \\
        c_t &= f \odot c_{t-1} + i \odot g \\
        h_t &= o \odot \tanh(c_t)

    Parameters are those of `Recurrent`, here with four gates, the columns of `Wx`, `Wh` and `b` in the order i, f, o,
    g.

    ``forward(x, h0=None, c0=None, lengths=None)`` takes `x` of shape (N, T, D), initial states (N, H), zero if not
    given, and the number of real steps of each example, `lengths` (N,): later steps hold the state and their output
    is 0. It returns ``out`` (N, T, H), with ``return_state`` ``out, h, c`` where `h` and `c` (N, H) are the states
    after the last real step. With k = layers times directions above 1 states have the shape (N, k, H), and `out` (N,
    T, directions * H). `backward` takes one gradient an output and returns ``dx``, then those of the initial states
    given.

    Parameters
    ----------
    in_features, hidden_size, **options
        See `Recurrent`.
    forget_bias : float, default 1.0
        Where the bias of f starts, so that an untrained memory keeps what it holds [2]_.

    Raises
    ------
    ValueError
        If `x`, a state, `lengths` or a `dout` has another shape, or a length is not in 0..T.

    Notes
    -----
    The order i, f, o, g and the shapes are those of CS231n's ``lstm_forward``, whose forget bias starts at 0. PyTorch
    orders i, f, g, o, keeps the weights transposed, and two biases that only ever act as their sum.

    References
    ----------
    .. [1] Hochreiter and Schmidhuber (1997), "Long Short-Term Memory"
    .. [2] Gers, Schmidhuber and Cummins (2000), "Learning to Forget"; Jozefowicz, Zaremba and Sutskever (2015), "An
       Empirical Exploration of Recurrent Network Architectures"

    Examples
    --------
    >>> import numpy as np
    >>> lstm = LSTM(3, 5, return_state=True, rng=0)
    >>> out, h, c = lstm.forward(np.ones((2, 4, 3)))
    >>> out.shape, h.shape, c.shape
    ((2, 4, 5), (2, 5), (2, 5))

    Sampling goes step by step:

    >>> state = None
    >>> for x in np.ones((4, 2, 3)):
    ...     last, state = lstm.step(x, state)
    >>> bool(np.allclose(last, h, atol=1e-6))
    True
    """

    gates = 4
    scales = (0.5, 0.5, 0.5, 1.0)
    state_names = ("h", "c")

    def __init__(self, in_features, hidden_size, *, forget_bias=1.0, **options):
        super().__init__(in_features, hidden_size, **options)
        for suffix in itertools.chain(*self._suffixes()):
            getattr(self, f"b{suffix}").value[hidden_size : 2 * hidden_size] = forget_bias

    def forward(self, x, h0=None, c0=None, lengths=None):
        return self._forward(x, (h0, c0), lengths)

    def _parts(self, N, T):
        return parts_of(N, 16 * N * T * self.hidden_size) if self._compiled(T) else super()._parts(N, T)

    def _compiled(self, T, pad=None):
        """The compiled scans, where they are to run: for float32 without padding, and worth the import of Numba."""
        fits = pad is None and self.Wx.value.dtype == np.float32
        return compiled("_lstm") if fits and 4 * T * self.hidden_size >= LEAST else None

    def _weights(self, suffix):
        return [getattr(self, f"{name}{suffix}") for name in ("Wx", "Wh", "b")]

    def _scan(self, inputs, state, pad, suffix):
        if fast := self._compiled(len(inputs), pad):
            return fast.scan(inputs, state, *(weight.value for weight in self._weights(suffix)))
        z, WhT = self._product(inputs, suffix), self._scaled("Wh", suffix)
        T, (H, N) = len(z), state[0].shape
        h, c = np.empty((2, T + 1, H, N), z.dtype)  # h[t] and c[t] are the state before step t
        tanh_c = np.empty((T, H, N), z.dtype)
        h[0], c[0] = state
        i, f, o, g = np.split(z, 4, axis=1)
        ifo = z[:, : 3 * H]
        product, gain = np.empty((4 * H, N), z.dtype), np.empty((H, N), z.dtype)
        for t in range(T):
            z[t] += np.matmul(WhT, h[t], out=product)
            np.tanh(z[t], out=z[t])
            ifo[t] *= 0.5
            ifo[t] += 0.5  # sigmoid(z) = (1 + tanh(z / 2)) / 2, and `scales` has halved z
            np.multiply(f[t], c[t], out=c[t + 1])
            c[t + 1] += np.multiply(i[t], g[t], out=gain)
            np.tanh(c[t + 1], out=tanh_c[t])
            np.multiply(o[t], tanh_c[t], out=h[t + 1])
            if pad is not None:
                hold(h[t + 1], h[t], pad[t])
                hold(c[t + 1], c[t], pad[t])
        return h[1:], [h[-1], c[-1]], (inputs, z, h, c, tanh_c)

    def _scan_backward(self, dout, dstate, pad, cache, suffix, need_dx):
        if fast := self._compiled(len(dout), pad):
            return fast.scan_backward(dout, dstate, cache, self._weights(suffix), need_dx)
        Wh = getattr(self, f"Wh{suffix}").value
        inputs, gates, h, c, tanh_c = cache
        H = h.shape[1]
        dz = np.empty_like(gates)
        dh, dc = (d.copy() for d in dstate)
        i, f, o, g = np.split(gates, 4, axis=1)
        di, df, do, dg = np.split(dz, 4, axis=1)
        ifo, difo = gates[:, : 3 * H], dz[:, : 3 * H]
        slope, slopes = np.empty_like(h[0]), np.empty((3 * H, h.shape[2]), h.dtype)
        for t in reversed(range(len(dz))):
            dh += dout[t]  # h_t goes to the output and to the next step: gradients add
            held = None if pad is None else (dh.copy(), dc.copy())
            np.multiply(tanh_c[t], tanh_c[t], out=slope)
            np.subtract(1, slope, out=slope)
            slope *= o[t]
            slope *= dh
            dc += slope
            np.multiply(dc, g[t], out=di[t])
            np.multiply(dc, c[t], out=df[t])
            np.multiply(dh, tanh_c[t], out=do[t])
            np.multiply(dc, i[t], out=dg[t])
            np.subtract(1, ifo[t], out=slopes)
            slopes *= ifo[t]
            difo[t] *= slopes
            np.multiply(g[t], g[t], out=slope)
            np.subtract(1, slope, out=slope)
            dg[t] *= slope
            if held is not None:
                dz[t][:, pad[t]] = 0
            np.matmul(Wh, dz[t], out=dh)
            dc *= f[t]
            if held is not None:
                hold(dh, held[0], pad[t])
                hold(dc, held[1], pad[t])
        dinputs, grads = self._product_backward(inputs, h[:-1], dz, dz, suffix, need_dx)
        return dinputs, [dh, dc], grads
