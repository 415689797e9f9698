"""How far a diagonal Gaussian is from the standard one: the second half of a VAE's loss."""

import numpy as np

from ._checks import check_same_shape
from .base import Layer


class GaussianKL(Layer):
    r"""Kullback-Leibler divergence of :math:`N(\mu, e^{\text{logvar}})` from :math:`N(0, 1)`.

    .. math:: L = \frac1N \sum_{nz} \tfrac12 (\mu_{nz}^2 + e^{\text{logvar}_{nz}} - 1 - \text{logvar}_{nz}), \qquad
              \frac{\partial L}{\partial \mu} = \frac{\mu}{N}, \quad
              \frac{\partial L}{\partial \text{logvar}} = \frac{e^{\text{logvar}} - 1}{2 N}

    In nats, summed over the latent dimensions, mean over N. ``forward(mu, logvar)`` takes two arrays of one shape (N,
    Z) or (N, ...), `backward` returns both gradients. A weight beta on this half (beta-VAE) is
    ``beta * loss.forward(...)`` and ``loss.backward(beta)``.

    Raises
    ------
    ValueError
        If `logvar` does not have the shape of `mu`, or that has no axis of examples.

    Notes
    -----
    The KL half of CS231n's VAE ``loss_function``. In PyTorch it is ``torch.distributions.kl_divergence``, by element,
    of ``Normal(mu, exp(logvar / 2))`` and ``Normal(0, 1)``. A `logvar` above 709 (float32: 88) is a variance that no
    float holds: loss and gradient are inf.

    References
    ----------
    .. [1] Kingma and Welling (2014), "Auto-Encoding Variational Bayes", appendix B, https://arxiv.org/abs/1312.6114

    Examples
    --------
    >>> loss = GaussianKL()
    >>> loss.forward(np.array([[0.0, 2.0]]), np.zeros((1, 2)))  # half the squared distance of the means
    2.0
    >>> dmu, dlogvar = loss.backward()
    >>> dmu
    array([[0., 2.]])
    """

    def forward(self, mu, logvar):
        mu = np.asarray(mu)
        mu = mu if mu.dtype.kind == "f" else mu.astype(np.float64)
        logvar = np.asarray(logvar, mu.dtype)
        if mu.ndim == 0:
            raise ValueError("mu must have shape (N, Z) or (N, ...), examples first; got ()")
        check_same_shape("logvar", logvar, "mu", mu)
        with np.errstate(over="ignore"):
            excess = np.expm1(logvar)  # variance - 1, exact near a variance of 1
            self.cache = mu, excess
            return 0.5 * float((mu * mu + (excess - logvar)).sum()) / max(1, len(mu))

    def backward(self, dout=1.0):
        mu, excess = self.cache
        scale = float(dout) / max(1, len(mu))
        return mu * scale, excess * (0.5 * scale)
