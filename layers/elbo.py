"""The loss of a VAE: how badly it reconstructs, and how much its code says."""

import math

import numpy as np

from ._checks import check_range
from .base import Layer
from .gaussian_kl import GaussianKL
from .losses import LogisticLoss, MSELoss


class ELBOLoss(Layer):
    r"""Negative evidence lower bound: reconstruction plus Kullback-Leibler divergence, in nats, the mean over N.

    .. math:: L = \frac1N \sum_n \Big( -\log p(y_n | z_n)
              + \beta \, \mathrm{KL} \big( N(\mu_n, e^{\text{logvar}_n}) \,\|\, N(0, 1) \big) \Big)

    Both terms are *sums* over what an example has, its D pixels and its Z latent dimensions; a mean in their place
    weighs them by D / Z against each other. With beta 1 the loss is, in expectation over the draws z, never below
    :math:`-\log p(y)`. ``forward(scores, mu, logvar, y)`` takes the outputs of `models.VAE` and the data, `backward`
    returns the gradients of the first three.

    Parameters
    ----------
    likelihood : {"bernoulli", "gaussian"}, default "bernoulli"
        What the scores say of an element of y. "bernoulli": its logit, for y in [0, 1]; the reconstruction is the sum
        of `LogisticLoss`. "gaussian": its mean, with variance 1 and the constant left out, so
        :math:`\tfrac12 \sum_d (\text{scores}_d - y_d)^2`.
    beta : float >= 0, default 1.0
        Weight of the divergence. Under "gaussian" a variance of beta, with the loss multiplied by it, is the same.

    Raises
    ------
    ValueError
        If shapes do not agree, or y leaves [0, 1] under "bernoulli".

    Notes
    -----
    CS231n's VAE ``loss_function`` is "bernoulli" with beta 1.

    References
    ----------
    .. [1] Kingma and Welling (2014), "Auto-Encoding Variational Bayes", eq. 10, https://arxiv.org/abs/1312.6114
    .. [2] Higgins et al. (2017), "beta-VAE", https://openreview.net/forum?id=Sy2fzU9gl

    Examples
    --------
    >>> loss = ELBOLoss("gaussian", beta=0.5)
    >>> scores, mu, y = np.array([[1.0, 2.0]]), np.array([[2.0]]), np.array([[1.0, 5.0]])
    >>> loss.forward(scores, mu, np.zeros((1, 1)), y)  # 9 / 2 + 0.5 * 4 / 2
    5.5
    >>> loss.terms
    (4.5, 2.0)
    >>> loss.backward()
    (array([[ 0., -3.]]), array([[1.]]), array([[0.]]))
    """

    def __init__(self, likelihood="bernoulli", *, beta=1.0):
        if likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f'likelihood must be "bernoulli" or "gaussian"; got {likelihood!r}')
        self.likelihood = likelihood
        self.beta = check_range("beta", beta, 0, math.inf)
        self.reconstruction = LogisticLoss() if likelihood == "bernoulli" else MSELoss()
        self.kl = GaussianKL()

    @property
    def terms(self):
        """Reconstruction and divergence of the last forward, (float, float): the loss without beta."""
        reconstruction, kl, _ = self.cache
        return reconstruction, kl

    def forward(self, scores, mu, logvar, y):
        elements = math.prod(np.shape(scores)[1:])
        scale = elements if self.likelihood == "bernoulli" else 0.5 * elements  # of a mean over N * D elements
        reconstruction, kl = scale * self.reconstruction.forward(scores, y), self.kl.forward(mu, logvar)
        if np.shape(mu)[0] != np.shape(scores)[0]:
            raise ValueError(
                f"mu must have {np.shape(scores)[0]} rows, one an example of scores; got {np.shape(mu)[0]}"
            )
        self.cache = reconstruction, kl, scale
        return reconstruction + self.beta * kl

    def backward(self, dout=1.0):
        _, _, scale = self.cache
        dout = float(dout)
        return self.reconstruction.backward(dout * scale), *self.kl.backward(dout * self.beta)
