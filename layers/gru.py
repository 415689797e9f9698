"""Gated recurrent unit."""

import numpy as np

from .activations import stable_sigmoid
from .base import Parameter
from .recurrent import Recurrent, blocks


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

    def _make_parameters(self, suffix, width, init, rng, dtype):
        super()._make_parameters(suffix, width, init, rng, dtype)
        setattr(self, f"bh{suffix}", Parameter(np.zeros(self.hidden_size, dtype), decay=False))

    def forward(self, x, h0=None, lengths=None):
        return self._forward(x, (h0,), lengths)

    def _scan(self, z, state, pad, suffix):
        Wh, bh = getattr(self, f"Wh{suffix}").value, getattr(self, f"bh{suffix}").value
        T, (N, H) = len(z), state[0].shape
        h = np.empty((T + 1, N, H), z.dtype)  # h[t] is the state before step t
        h[0] = state[0]
        inner = np.empty((T, N, H), z.dtype)  # h_{t-1} W_h^n + b_h
        r, u, n = blocks(z, 3)
        ru = z[:, :, : 2 * H]
        product = np.empty((N, 3 * H), z.dtype)
        for t in range(T):
            np.matmul(h[t], Wh, out=product)
            ru[t] = stable_sigmoid(ru[t] + product[:, : 2 * H])
            np.add(product[:, 2 * H :], bh, out=inner[t])
            np.tanh(n[t] + r[t] * inner[t], out=n[t])
            np.subtract(h[t], n[t], out=h[t + 1])  # h_t = n + u (h_{t-1} - n)
            h[t + 1] *= u[t]
            h[t + 1] += n[t]
            if pad is not None:
                h[t + 1, pad[t]] = h[t, pad[t]]
        return h[1:], [h[-1]], (z, h, inner)

    def _scan_backward(self, dout, dstate, pad, cache, suffix):
        Wh, bh = getattr(self, f"Wh{suffix}"), getattr(self, f"bh{suffix}")
        gates, h, inner = cache
        T, _, H = inner.shape
        dz = np.empty_like(gates)  # of x Wx + b
        dproduct = np.empty_like(gates)  # of h Wh: the same but for n, where r comes between
        r, u, n = blocks(gates, 3)
        dr, du, dn = blocks(dz, 3)
        ru, dru = gates[:, :, : 2 * H], dz[:, :, : 2 * H]
        WhT = np.ascontiguousarray(Wh.value.T)  # once: the product of a few rows with a transposed view is half as fast
        dh = dstate[0]
        for t in reversed(range(T)):
            dh = dh + dout[t]  # h_t goes to the output and to the next step: gradients add
            np.multiply(dh, h[t] - n[t], out=du[t])
            np.multiply(dh * (1 - u[t]), 1 - n[t] * n[t], out=dn[t])
            np.multiply(dn[t], inner[t], out=dr[t])
            dru[t] *= ru[t] * (1 - ru[t])
            if pad is not None:
                dz[t, pad[t]] = 0
            dproduct[t, :, : 2 * H] = dru[t]
            np.multiply(dn[t], r[t], out=dproduct[t, :, 2 * H :])
            dprevious = dproduct[t] @ WhT
            dprevious += dh * u[t]
            if pad is not None:
                dprevious[pad[t]] = dh[pad[t]]
            dh = dprevious
        rows = dproduct.reshape(-1, 3 * H)
        Wh.add_grad_matmul(h[:-1].reshape(-1, H).T, rows)
        bh.add_grad(rows[:, 2 * H :].sum(axis=0))
        return dz, [dh]
