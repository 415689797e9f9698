"""Generative adversarial nets: one makes examples, the other tells them from real ones, and each trains the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from data._checks import check_count
from layers import Layer, LogisticLoss, MSELoss

from .containers import Container, predict

LOSSES = {"logistic": LogisticLoss, "least-squares": MSELoss}


class GAN(Container):
    r"""A generator G from noise to examples, and a discriminator D from examples to scores of being real.

    .. math::

        L_D = \ell(D(x), 1) + \ell(D(G(z)), 0), \qquad L_G = \ell(D(G(z)), 1), \qquad z \sim N(0, 1)

    Parameters
    ----------
    generator : Layer
        (N, Z) to examples.
    discriminator : Layer
        Examples to scores (N, 1); no sigmoid at its end.
    latent : int
        Dimensions Z of the noise.
    loss : {"logistic", "least-squares"}, default "logistic"
        l: the cross-entropy of a sigmoid, or the squared distance to 0 and 1 [2]_.
    rng : numpy.random.Generator or int, optional
        Source of the noise.

    Raises
    ------
    ValueError
        If `latent` or a number of examples is no count, or `loss` is unknown.

    Notes
    -----
    G minimises -log D(G(z)), not log(1 - D(G(z))): that has the same fixed point, and a gradient where D is sure, which
    is at the start [1]_. Each of the two steps leaves gradients in its own net's parameters and zeros in the other's,
    so that two optimizers, one for each net, take turns::

        real_loss = gan.discriminator_step(x); d_optimizer.step()
        fake_loss = gan.generator_step(len(x)); g_optimizer.step()

    References
    ----------
    .. [1] Goodfellow et al. (2014), "Generative Adversarial Nets", https://arxiv.org/abs/1406.2661
    .. [2] Mao et al. (2017), "Least Squares Generative Adversarial Networks", https://arxiv.org/abs/1611.04076

    Examples
    --------
    >>> from models import MLP
    >>> gan = GAN(MLP(2, [8], 3, rng=0), MLP(3, [8], 1, rng=1), latent=2, rng=2)
    >>> round(gan.discriminator_step(np.ones((4, 3))), 1) > 0
    True
    >>> gan.sample(5).shape
    (5, 3)
    """

    def __init__(
        self, generator: Layer, discriminator: Layer, *, latent: int, loss: str = "logistic", rng: Any = None
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}; got {loss!r}")
        super().__init__(generator, discriminator)
        self.latent, self.loss = check_count("latent", latent), LOSSES[loss]()
        self.rng = np.random.default_rng(rng)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """`generator` and `discriminator`."""
        yield from zip(("generator", "discriminator"), self.layers)

    @property
    def generator(self) -> Layer:
        """From noise to examples."""
        return self.layers[0]

    @property
    def discriminator(self) -> Layer:
        """From examples to scores."""
        return self.layers[1]

    def forward(self, z):
        """The scores of what is made of noise z (N, Z)."""
        return self.discriminator.forward(self.generator.forward(z))

    def backward(self, dout):
        return self.generator.backward(self.discriminator.backward(dout))

    def discriminator_step(self, x: Any) -> float:
        """The discriminator's loss on real examples and as many made ones; its gradients are left in its parameters."""
        fake = self.generator.forward(self._noise(len(x)))
        self.zero_grad()
        return sum(self._judged(np.asarray(examples), truth) for examples, truth in ((x, 1.0), (fake, 0.0)))

    def generator_step(self, n: int) -> float:
        """The generator's loss on `n` made examples; its gradients are left in its parameters."""
        self.zero_grad()
        scores = self.forward(self._noise(n))
        loss: float = self.loss.forward(scores, np.ones_like(scores))
        self.backward(self.loss.backward())
        self.discriminator.zero_grad()  # which the gradient only passed through
        return loss

    def sample(self, n: int, *, rng: Any = None) -> np.ndarray:
        """`n` new examples, in evaluation mode; from the model's own noise, or from `rng`."""
        return predict(self.generator, self._noise(n, rng))

    def _judged(self, examples: np.ndarray, truth: float) -> float:
        scores = self.discriminator.forward(examples)
        loss: float = self.loss.forward(scores, np.full_like(scores, truth))
        self.discriminator.add_grads(self.loss.backward())
        return loss

    def _noise(self, n: int, rng: Any = None) -> np.ndarray:
        rng = self.rng if rng is None else np.random.default_rng(rng)
        return rng.standard_normal((check_count("n", n, 0), self.latent), dtype=np.float32)
