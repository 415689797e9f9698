"""Drawing from a Gaussian so that gradients flow through the draw: the middle of a VAE."""

import numpy as np

from ._checks import check_same_shape
from .base import Layer


class GaussianSample(Layer):
    r"""A draw from :math:`N(\mu, e^{\text{logvar}})`, written as a function of its mean and its logarithmic variance.

    .. math:: z = \mu + e^{\text{logvar} / 2} \epsilon, \quad \epsilon \sim N(0, 1), \qquad
              \frac{\partial z}{\partial \mu} = 1, \quad
              \frac{\partial z}{\partial \text{logvar}} = \tfrac12 e^{\text{logvar} / 2} \epsilon

    The chance is all in :math:`\epsilon`, which depends on nothing, so that backward goes around it: the
    reparameterisation trick. ``forward(mu, logvar)`` takes two arrays of one shape, such as (N, Z); `backward` returns
    both gradients. In evaluation mode the draw is its mean, :math:`z = \mu`.

    Parameters
    ----------
    rng : numpy.random.Generator or int, optional
        Source of :math:`\epsilon`.

    Raises
    ------
    ValueError
        If `logvar` does not have the shape of `mu`.

    Notes
    -----
    The ``reparametrize`` of CS231n's VAE, and ``rsample`` of PyTorch's ``Normal(mu, exp(logvar / 2))``; both draw in
    evaluation as well.

    References
    ----------
    .. [1] Kingma and Welling (2014), "Auto-Encoding Variational Bayes", section 2.4, https://arxiv.org/abs/1312.6114

    Examples
    --------
    >>> layer = GaussianSample(rng=0)
    >>> layer.forward(np.array([[1.0, 1.0]]), np.array([[0.0, -20.0]])).round(4)  # variances 1 and 2e-9
    array([[1.1257, 1.    ]])
    >>> layer.eval().forward(np.array([[1.0, 1.0]]), np.zeros((1, 2)))
    array([[1., 1.]])
    """

    def __init__(self, *, rng=None):
        self.rng = np.random.default_rng(rng)

    def forward(self, mu, logvar):
        mu = np.asarray(mu)
        mu = mu if mu.dtype.kind == "f" else mu.astype(np.float64)
        logvar = np.asarray(logvar, mu.dtype)
        check_same_shape("logvar", logvar, "mu", mu)
        if not self.training:
            self.cache = None
            return mu
        noise = np.exp(0.5 * logvar)
        noise *= self.rng.standard_normal(mu.shape)  # drawn in float64, so that every dtype sees the same
        self.cache = noise
        return mu + noise

    def backward(self, dout):
        noise = self.cache
        if noise is None:
            return dout, np.zeros_like(dout)
        return dout, dout * (0.5 * noise)
