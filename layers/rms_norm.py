"""Root-mean-square normalization."""

import math

import numpy as np

from ._checks import check_positive, check_range
from .base import Layer, Parameter


class RMSNorm(Layer):
    r"""Divide each example by the root mean square of its features, the last axis; no mean is taken off.

    .. math:: \text{out} = \gamma \hat x, \qquad \hat x = x / r, \qquad r = \sqrt{\overline{x^2} + \text{eps}}

    so that with :math:`d\hat x = dout\,\gamma`

    .. math:: dx = \frac{1}{r} \Big( d\hat x - \hat x \, \overline{d\hat x\,\hat x} \Big)

    Parameters
    ----------
    num_features : int
        Features D of an input (..., D), with any leading axes.
    eps : float > 0, default 1e-5
        Added to the mean square, in its units.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If the last axis of `x` does not have `num_features` entries.

    Notes
    -----
    PyTorch's ``RMSNorm`` has the machine epsilon of the dtype as its default `eps`.

    References
    ----------
    .. [1] Zhang and Sennrich (2019), eq. 4, https://arxiv.org/abs/1910.07467

    Examples
    --------
    >>> RMSNorm(2).forward(np.array([[1.0, 7.0]])).round(3)
    array([[0.2, 1.4]], dtype=float32)
    """

    def __init__(self, num_features, *, eps=1e-5, dtype=np.float32):
        D = check_positive("num_features", num_features)
        self.eps = check_range("eps", eps, 0, math.inf, closed="neither")
        self.gamma = Parameter(np.ones(D, dtype), decay=False)

    def forward(self, x):
        gamma = self.gamma.value
        x = np.asarray(x, gamma.dtype)
        if x.ndim < 1 or x.shape[-1] != len(gamma):
            raise ValueError(
                f"x must have shape (..., {len(gamma)}); got {x.shape}. Make num_features the width of the layer before"
            )
        inv_rms = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)  # (..., 1)
        x_hat = x * inv_rms
        self.cache = x_hat, inv_rms
        return x_hat * gamma

    def backward(self, dout):
        x_hat, inv_rms = self.cache
        self.gamma.add_grad((dout * x_hat).sum(axis=tuple(range(dout.ndim - 1))))  # gamma was broadcast over these axes
        dx_hat = dout * self.gamma.value
        dx = x_hat * -(dx_hat * x_hat).mean(axis=-1, keepdims=True)
        dx += dx_hat
        dx *= inv_rms
        return dx
