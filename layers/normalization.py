"""Batch and layer normalization: each feature, or each example, to mean 0 and variance 1, then scaled and shifted."""

import math

import numpy as np

from . import _norms
from ._checks import check_positive, check_range
from ._images import channels_first, pixels_first
from ._threads import in_parts
from .base import Layer, Parameter


class BatchNorm(Layer):
    r"""Normalize each feature over the batch, or each channel over the batch and its pixels.

    .. math:: \text{out}_{nd} = \gamma_d \hat x_{nd} + \beta_d, \qquad
              \hat x_{nd} = (x_{nd} - \mu_d) / \sqrt{\sigma^2_d + \text{eps}}

    In training :math:`\mu` and :math:`\sigma^2` are the mean and (biased) variance of the batch, so that

    .. math:: dx = \frac{\gamma}{\sqrt{\sigma^2 + \text{eps}}} \Big( dout - \frac1N \sum_n dout_n
              - \hat x \, \frac1N \sum_n dout_n \hat x_n \Big)

    In evaluation they are the running statistics, constants, and only the factor stays. Of images (N, D, H, W) each
    pixel is an example with D features, so that the means are over N H W of them.

    Parameters
    ----------
    num_features : int
        Features D of an input (N, D), or channels of one (N, D, H, W).
    eps : float > 0, default 1e-5
        Added to the variance, in its units.
    running_decay : float in [0, 1], default 0.9
        Weight of the *old* running statistics at each training step.
    dtype : dtype, default float32
        Of the parameters, the statistics, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `num_features`) or (N, `num_features`, H, W).

    Notes
    -----
    `running_mean` starts at 0, `running_var` at 1; `running_var` follows the unbiased variance, as in PyTorch, while
    CS231n starts at 0 with the biased one. `running_decay` is CS231n's `momentum`, and 1 - PyTorch's `momentum`.
    A training batch of one example has no spread: out is beta, `running_var` keeps its value, and dx is 0; PyTorch
    refuses it. An empty batch leaves the statistics alone. On images this is PyTorch's ``BatchNorm2d``.

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), algorithms 1 and 2, https://arxiv.org/abs/1502.03167

    Examples
    --------
    >>> layer = BatchNorm(2, dtype=np.float64)
    >>> layer.forward(np.array([[1.0, 10.0], [3.0, 30.0]])).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean, layer.running_var
    (array([0.2, 2. ]), array([ 1.1, 20.9]))
    """

    buffers = ("running_mean", "running_var")

    def __init__(self, num_features, *, eps=1e-5, running_decay=0.9, dtype=np.float32):
        D = check_positive("num_features", num_features)
        self.eps = check_range("eps", eps, 0, math.inf, closed="neither")
        self.running_decay = check_range("running_decay", running_decay, 0, 1, closed="both")
        self.gamma = Parameter(np.ones(D, dtype), decay=False)
        self.beta = Parameter(np.zeros(D, dtype), decay=False)
        self.running_mean = np.zeros(D, dtype)
        self.running_var = np.ones(D, dtype)

    def forward(self, x):
        gamma = self.gamma.value
        x = np.asarray(x, gamma.dtype)
        if x.ndim not in (2, 4) or x.shape[1] != len(gamma):
            raise ValueError(_wrong_shape(f"(N, {len(gamma)}) or (N, {len(gamma)}, H, W)", x))
        rows, N = _as_rows(x)
        passes = _norms.fastest(rows)
        if self.training:
            stored, shift, mean, var = passes.moments(rows, len(gamma))
            self._update_running(mean, var, x.size // len(gamma))
        else:
            (stored, shift), var = passes.centre(rows, _norms.repeated(self.running_mean, N)), self.running_var
        inv_std = 1 / np.sqrt(var + self.eps)  # (D,)
        self.cache = stored, shift, inv_std, self.training  # x_hat = (stored - shift) inv_std
        factor, beta, out = (
            _norms.repeated(gamma * inv_std, N),
            _norms.repeated(self.beta.value, N),
            np.empty_like(rows),
        )
        in_parts(lambda part: passes.scale(stored[part], shift, factor, beta, out[part]), len(rows), rows.size)
        return _from_rows(out, x.shape)

    def backward(self, dout):
        stored, shift, inv_std, training = self.cache
        shape, D, (dout, N) = dout.shape, len(inv_std), _as_rows(np.asarray(dout, inv_std.dtype))
        passes = _norms.fastest(dout)
        dgamma, dbeta = _norms.total(lambda part: passes.products(dout[part], stored[part], shift), dout, D)
        dgamma *= inv_std  # gamma and beta were broadcast over the rows
        self.gamma.add_grad(dgamma)
        self.beta.add_grad(dbeta)
        factor, n = self.gamma.value * inv_std, max(1, dout.size // D)
        if not training:
            return _from_rows(dout * _norms.repeated(factor, N), shape)
        slope, offset = inv_std * dgamma / -n, dbeta / -n  # through the variance, through the mean
        slope, offset, factor = (_norms.repeated(vector, N) for vector in (slope, offset, factor))
        dx = np.empty_like(dout)

        def write(part):
            passes.scale_back(dout[part], stored[part], shift, slope, offset, factor, dx[part])

        in_parts(write, len(dx), dx.size)
        return _from_rows(dx, shape)

    def _update_running(self, mean, var, n):
        # In place: tied twins share the arrays. One example says nothing of the variance, none says nothing at all.
        new = 1 - self.running_decay
        if n > 0:
            self.running_mean += new * (mean - self.running_mean)
        if n > 1:
            self.running_var += new * (var * (n / (n - 1)) - self.running_var)


class LayerNorm(Layer):
    r"""Normalize each example over its features, the last axis; the same in training and evaluation.

    .. math:: \text{out} = \gamma \hat x + \beta, \qquad \hat x = (x - \mu) / \sqrt{\sigma^2 + \text{eps}}

    with the mean :math:`\mu` and (biased) variance :math:`\sigma^2` of the D features of one example, so that with
    :math:`d\hat x = dout\,\gamma`

    .. math:: dx = \frac{1}{\sqrt{\sigma^2 + \text{eps}}} \Big( d\hat x - \overline{d\hat x}
              - \hat x \, \overline{d\hat x\,\hat x} \Big)

    Parameters
    ----------
    num_features : int
        Features D of an input (..., D), with any leading axes.
    eps : float > 0, default 1e-5
        Added to the variance, in its units.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If the last axis of `x` does not have `num_features` entries.

    References
    ----------
    .. [1] Ba, Kiros and Hinton (2016), https://arxiv.org/abs/1607.06450

    Examples
    --------
    >>> LayerNorm(2).forward(np.array([[1.0, 3.0], [50.0, 10.0]])).round(3)
    array([[-1.,  1.],
           [ 1., -1.]], dtype=float32)
    """

    def __init__(self, num_features, *, eps=1e-5, dtype=np.float32):
        D = check_positive("num_features", num_features)
        self.eps = check_range("eps", eps, 0, math.inf, closed="neither")
        self.gamma = Parameter(np.ones(D, dtype), decay=False)
        self.beta = Parameter(np.zeros(D, dtype), decay=False)

    def forward(self, x):
        gamma = self.gamma.value
        x = np.asarray(x, gamma.dtype)
        if x.ndim < 1 or x.shape[-1] != len(gamma):
            raise ValueError(_wrong_shape(f"(..., {len(gamma)})", x))
        rows = x.reshape(-1, len(gamma))  # (..., D) -> (R, D), one example a row
        passes = _norms.fastest(rows, _norms.LEAST_LAYER)
        x_hat, inv_std, out = passes.normalize(rows, gamma, self.beta.value, self.eps)
        self.cache = x_hat, inv_std
        return out.reshape(x.shape)

    def backward(self, dout):
        x_hat, inv_std = self.cache
        rows = np.asarray(dout, x_hat.dtype).reshape(x_hat.shape)
        passes = _norms.fastest(x_hat, _norms.LEAST_LAYER)
        dx, dgamma, dbeta = passes.normalize_back(rows, x_hat, inv_std, self.gamma.value)
        self.gamma.add_grad(dgamma)
        self.beta.add_grad(dbeta)
        return dx.reshape(dout.shape)


def _as_rows(x):
    """(N, D) as it is, with 1; (N, D, H, W) -> (H W, N D), with N: each row holds all features N times."""
    if x.ndim == 2:
        return x, 1
    N, D, H, W = x.shape
    return pixels_first(x).reshape(H * W, N * D), N


def _from_rows(rows, shape):
    """The rows of `_as_rows` in the given shape again."""
    if len(shape) == 2:
        return rows
    N, C, H, W = shape
    return channels_first(rows.reshape(H, W, N, C))


def _wrong_shape(expected, x):
    return f"x must have shape {expected}; got {x.shape}. Make num_features the width of the layer before"
