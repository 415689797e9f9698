"""Gated recurrent unit."""

import numpy as np

from .base import Parameter
from .recurrent import Recurrent, hold


class GRU(Recurrent):
    r"""Gated recurrent unit: the state is a weighted mean of itself and of a candidate `n`.

    .. math::

        r &= \sigma(x_t W_x^r + h_{t-1} W_h^r + b^r) \\
        u &= \sigma(x_t W_x^u + h_{t-1} W_h^u + b^u) \\
        n &= \tanh(x_t W_x^n + b^n + r \odot (h_{t-1} W_h^n + b_h)) \\
        h_t &= (1 - u) \odot n + u \odot h_{t-1}

    Parameters are those of `Recurrent`, here with three gates, the columns of `Wx`, `Wh` and `b` in the order r, u, n
    (reset, update, candidate), and one more, `bh` (H,), inside the reset.

    ``forward(x, h0=None, lengths=None)``, its outputs and `backward` are those of `RNN`.

    Raises
    ------
    ValueError
        If `x`, `h0`, `lengths` or a `dout` has another shape, or a length is not in 0..T.

    Notes
    -----
    The reset acts after the product with `Wh`, as in PyTorch (whose z is this u) and cuDNN; in the first paper [1]_
    it acts before, on the state itself. PyTorch keeps the weights transposed, and for r and u a second bias too,
    which only ever acts as their sum.

    References
    ----------
    .. [1] Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", eq. 5-8,
       https://arxiv.org/abs/1406.1078

    Examples
    --------
    >>> import numpy as np
    >>> gru = GRU(3, 5, num_layers=2, bidirectional=True, return_state=True, rng=0)
    >>> out, h = gru.forward(np.ones((2, 4, 3)))
    >>> out.shape, h.shape
    ((2, 4, 10), (2, 4, 5))
    """

    gates = 3
    scales = (0.5, 0.5, 1.0)

    def _make_parameters(self, suffix, width, init, rng, dtype):
        super()._make_parameters(suffix, width, init, rng, dtype)
        setattr(self, f"bh{suffix}", Parameter(np.zeros(self.hidden_size, dtype), decay=False))

    def forward(self, x, h0=None, lengths=None):
        return self._forward(x, (h0,), lengths)

    def _scan(self, inputs, state, pad, suffix):
        z = self._product(inputs, suffix)
        WhT, bh = self._scaled("Wh", suffix), getattr(self, f"bh{suffix}").value[:, None]
        T, (H, N) = len(z), state[0].shape
        h = np.empty((T + 1, H, N), z.dtype)  # h[t] is the state before step t
        h[0] = state[0]
        inner = np.empty((T, H, N), z.dtype)  # W_h^n h_{t-1} + b_h
        r, u, n = np.split(z, 3, axis=1)
        ru = z[:, : 2 * H]
        product, reset = np.empty((3 * H, N), z.dtype), np.empty((H, N), z.dtype)
        for t in range(T):
            np.matmul(WhT, h[t], out=product)
            ru[t] += product[: 2 * H]
            np.tanh(ru[t], out=ru[t])
            ru[t] *= 0.5
            ru[t] += 0.5  # sigmoid(z) = (1 + tanh(z / 2)) / 2, and `scales` has halved z
            np.add(product[2 * H :], bh, out=inner[t])
            n[t] += np.multiply(r[t], inner[t], out=reset)
            np.tanh(n[t], out=n[t])
            np.subtract(h[t], n[t], out=h[t + 1])  # h_t = n + u (h_{t-1} - n)
            h[t + 1] *= u[t]
            h[t + 1] += n[t]
            if pad is not None:
                hold(h[t + 1], h[t], pad[t])
        return h[1:], [h[-1]], (inputs, z, h, inner)

    def _scan_backward(self, dout, dstate, pad, cache, suffix, need_dx):
        Wh, bh = getattr(self, f"Wh{suffix}").value, getattr(self, f"bh{suffix}")
        inputs, gates, h, inner = cache
        H = h.shape[1]
        dz = np.empty_like(gates)  # of Wx^T x + b
        dproduct = np.empty_like(gates)  # of Wh^T h: the same but for n, where r comes between
        r, u, n = np.split(gates, 3, axis=1)
        dr, du, dn = np.split(dz, 3, axis=1)
        ru, dru = gates[:, : 2 * H], dz[:, : 2 * H]
        slope, slopes = np.empty_like(h[0]), np.empty((2 * H, h.shape[2]), h.dtype)
        dh = dstate[0].copy()
        for t in reversed(range(len(dz))):
            dh += dout[t]  # h_t goes to the output and to the next step: gradients add
            np.subtract(h[t], n[t], out=du[t])
            du[t] *= dh
            np.subtract(1, u[t], out=dn[t])
            dn[t] *= dh
            np.multiply(n[t], n[t], out=slope)
            np.subtract(1, slope, out=slope)
            dn[t] *= slope
            np.multiply(dn[t], inner[t], out=dr[t])
            np.subtract(1, ru[t], out=slopes)
            slopes *= ru[t]
            dru[t] *= slopes
            if pad is not None:
                dz[t][:, pad[t]] = 0
            dproduct[t, : 2 * H] = dru[t]
            np.multiply(dn[t], r[t], out=dproduct[t, 2 * H :])
            direct = np.multiply(dh, u[t], out=slope)
            held = None if pad is None else dh.copy()
            np.matmul(Wh, dproduct[t], out=dh)
            dh += direct
            if held is not None:
                hold(dh, held, pad[t])
        dinputs, grads = self._product_backward(inputs, h[:-1], dz, dproduct, suffix, need_dx)
        return dinputs, [dh], [*grads, (bh, dproduct[:, 2 * H :].sum(axis=(0, 2)))]
