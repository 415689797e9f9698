"""Elementwise non-linearities, and softmax over the last axis.

Each is one formula forward and its derivative backward; all are stable from -1e4 to 1e4 in float32.
"""

import math

import numpy as np

from . import _formulas
from ._checks import check_range
from ._sums import row_sum
from ._threads import elementwise
from .base import Layer


def stable_sigmoid(x):
    """1 / (1 + exp(-x)); where exp overflows to infinity the quotient is 0, as it should be."""
    with np.errstate(over="ignore"):
        out = np.exp(-x)
    out += 1
    return np.reciprocal(out)


def row_max(x):
    """Maximum over the last axis, kept with size 1; 0 for rows of no classes, which have none."""
    classes = x.shape[-1]
    if not classes:
        return 0
    # NumPy starts a loop a row: of a few classes, columns are up to ten times as fast
    return (np.asfortranarray(x) if classes <= 32 else x).max(axis=-1, keepdims=True)


class ReLU(Layer):
    r"""Rectified linear unit: :math:`\max(0, x)`, with slope 0 at 0.

    Examples
    --------
    >>> ReLU().forward(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """

    def forward(self, x):
        out = np.empty_like(x)
        out.fill(0)
        np.maximum(x, out, out=out)  # of two arrays: with a number NumPy takes twice as long
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout * (out > 0)


class LeakyReLU(Layer):
    r"""Leaky rectifier: x where x > 0, else slope * x.

    Parameters
    ----------
    slope : float in [0, 1), default 0.01
        Derivative on the negative side, and at 0.

    References
    ----------
    .. [1] Maas, Hannun and Ng (2013), "Rectifier Nonlinearities Improve Neural Network Acoustic Models"
    """

    def __init__(self, slope=0.01):
        self.slope = check_range("slope", slope, 0, 1)

    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dout):
        x = self.cache
        return np.where(x > 0, dout, self.slope * dout)


class ELU(Layer):
    r"""Exponential linear unit: x where x > 0, else :math:`\alpha (e^x - 1)`.

    Parameters
    ----------
    alpha : float > 0, default 1.0
        Minus the value towards which the negative side saturates.

    References
    ----------
    .. [1] Clevert, Unterthiner and Hochreiter (2015), eq. 16, https://arxiv.org/abs/1511.07289
    """

    def __init__(self, alpha=1.0):
        self.alpha = check_range("alpha", alpha, 0, math.inf, closed="neither")

    def forward(self, x):
        out = np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout * np.where(out > 0, 1, out + self.alpha)  # alpha e^x = out + alpha


class Sigmoid(Layer):
    r"""Logistic sigmoid: :math:`\sigma(x) = 1 / (1 + e^{-x})`, whose derivative is :math:`\sigma (1 - \sigma)`."""

    def forward(self, x):
        out = stable_sigmoid(x)
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout * out * (1 - out)


class Tanh(Layer):
    r"""Hyperbolic tangent, whose derivative is :math:`1 - \tanh^2 x`."""

    def forward(self, x):
        out = np.tanh(x)
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout * (1 - out * out)


class Softplus(Layer):
    r"""Smooth ReLU: :math:`\log(1 + e^x)`, whose derivative is the sigmoid."""

    def forward(self, x):
        self.cache = x
        return np.logaddexp(x, 0)

    def backward(self, dout):
        x = self.cache
        return dout * stable_sigmoid(x)


class SiLU(Layer):
    r"""Sigmoid linear unit, or swish: :math:`x \sigma(x)`.

    References
    ----------
    .. [1] Elfwing, Uchibe and Doya (2017), https://arxiv.org/abs/1702.03118
    """

    def forward(self, x):
        s = stable_sigmoid(x)
        self.cache = x, s
        return x * s

    def backward(self, dout):
        x, s = self.cache
        return dout * s * (1 + x * (1 - s))


class GELU(Layer):
    r"""Gaussian error linear unit: :math:`x \Phi(x)`, with :math:`\Phi` the normal distribution function.

    Parameters
    ----------
    approximate : {"none", "tanh"}, default "none"
        "tanh" is the faster :math:`\tfrac12 x (1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715 x^3)))`, within 5e-4 of the exact.

    References
    ----------
    .. [1] Hendrycks and Gimpel (2016), eq. 2, https://arxiv.org/abs/1606.08415
    """

    def __init__(self, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh"; got {approximate!r}')
        self.approximate = approximate

    def forward(self, x):
        if self.approximate == "tanh":
            x = np.asarray(x, np.result_type(x, 1.0))
            self.cache = x
            return elementwise(_formulas.fastest(x).gelu_tanh, x)
        phi = _normal_cdf(x)
        self.cache = x, phi
        return x * phi

    def backward(self, dout):
        if self.approximate == "tanh":
            return elementwise(_formulas.fastest(self.cache).gelu_tanh_backward, self.cache, dout)
        x, phi = self.cache
        return dout * (phi + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi)))


def _normal_cdf(x):
    from scipy.special import ndtr  # here, because importing SciPy costs more than all of `layers`

    return ndtr(x)


class Softmax(Layer):
    r"""Softmax over the last axis: :math:`s_i = e^{x_i} / \sum_j e^{x_j}`.

    Its Jacobian is :math:`\operatorname{diag}(s) - s s^T`, so that backward needs one sum a row, never the matrix.
    """

    def forward(self, x):
        out = np.exp(x - row_max(x))  # exp overflows above 709, in float32 above 88
        out /= row_sum(out)
        self.cache = out
        return out

    def backward(self, dout):
        s = self.cache
        return s * (dout - row_sum(dout * s))


class LogSoftmax(Layer):
    r"""Logarithm of the softmax over the last axis: :math:`x_i - \log \sum_j e^{x_j}`."""

    def forward(self, x):
        shifted = x - row_max(x)
        out = shifted - np.log(row_sum(np.exp(shifted)))
        self.cache = out
        return out

    def backward(self, dout):
        out = self.cache
        return dout - np.exp(out) * row_sum(dout)
