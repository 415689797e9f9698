"""Autoencoders: a code for each example, from which it can be made again; with chance in the middle, a VAE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from data._checks import check_count
from layers import GaussianSample, Layer

from .containers import Container, predict


class Autoencoder(Container):
    r"""Through a narrow code and back: :math:`\text{out} = \text{decoder}(\text{encoder}(x))`.

    Parameters
    ----------
    encoder : Layer
        (N, ...) to codes (N, Z), such as an `MLP`, or convolutions, `Flatten` and an `Affine`.
    decoder : Layer
        (N, Z) to the shape of what is to be reconstructed.

    Raises
    ------
    ValueError
        By `interpolate`, if its ends have two shapes or `steps` is below 2.

    Notes
    -----
    Train it with `x` as the truth: ``Solver(model, MSELoss(), optimizer, metric="r2").fit(X, X)``. A linear one finds
    the plane of PCA [1]_.

    References
    ----------
    .. [1] Baldi and Hornik (1989), "Neural Networks and Principal Component Analysis", Neural Networks 2(1)
    .. [2] Hinton and Salakhutdinov (2006), "Reducing the Dimensionality of Data with Neural Networks", Science 313

    Examples
    --------
    >>> from models import MLP
    >>> model = Autoencoder(MLP(64, [32], 2, rng=0), MLP(2, [32], 64, rng=1))
    >>> x = np.ones((5, 64))
    >>> model.forward(x).shape, model.encode(x).shape
    ((5, 64), (5, 2))
    """

    def __init__(self, encoder: Layer, decoder: Layer) -> None:
        super().__init__(encoder, decoder)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """`encoder` and `decoder`."""
        yield from zip(("encoder", "decoder"), self.layers)

    @property
    def encoder(self) -> Layer:
        """From examples to codes."""
        return self.layers[0]

    @property
    def decoder(self) -> Layer:
        """From codes to examples."""
        return self.layers[1]

    def forward(self, x):
        return self.decoder.forward(self.encoder.forward(x))

    def backward(self, dout):
        return self.encoder.backward(self.decoder.backward(dout))

    def add_grads(self, dout):
        self.encoder.add_grads(self.decoder.backward(dout))

    def encode(self, x: Any) -> np.ndarray:
        """Codes (N, Z) of examples, in evaluation mode."""
        return predict(self.encoder, x)

    def decode(self, z: Any) -> np.ndarray:
        """What the decoder makes of codes (N, Z), in evaluation mode."""
        return predict(self.decoder, z)

    def reconstruct(self, x: Any) -> np.ndarray:
        """What is left of examples after their way through the code, in evaluation mode."""
        return self.decode(self.encode(x))

    def interpolate(self, start: Any, end: Any, steps: int = 8) -> np.ndarray:
        """What lies between two examples, (steps, ...): decoded from points on the line from code to code.

        Parameters
        ----------
        start, end : array_like of one shape
            One example each, without the axis N.
        steps : int >= 2, default 8
            Points, both ends among them.
        """
        if np.shape(start) != np.shape(end):
            raise ValueError(f"end must have the shape {np.shape(start)} of start; got {np.shape(end)}")
        first, last = self.encode(np.stack([start, end]))
        return self.decode(np.linspace(first, last, check_count("steps", steps, 2)))


class VAE(Autoencoder):
    r"""Variational autoencoder: the code of an example is a Gaussian, and the decoder sees a draw from it.

    .. math:: (\mu, \text{logvar}) = \text{encoder}(x), \quad
              z = \mu + e^{\text{logvar} / 2} \epsilon, \ \epsilon \sim N(0, 1), \quad \text{scores} = \text{decoder}(z)

    ``forward(x) -> (scores, mu, logvar)`` is what `layers.ELBOLoss` takes, ``backward(dscores, dmu, dlogvar) -> dx``
    what it gives. In evaluation mode z is mu.

    Parameters
    ----------
    encoder : Layer
        (N, ...) to (N, 2 Z): mu, then logvar.
    decoder : Layer
        (N, Z) to scores in the shape of `x`: the logits of pixels in [0, 1], or their means; see `layers.ELBOLoss`.
    latent : int
        Dimensions Z of the code.
    rng : numpy.random.Generator or int, optional
        Source of epsilon, and of the codes of `sample`.

    Raises
    ------
    ValueError
        If the encoder does not return 2 Z numbers an example.

    Notes
    -----
    CS231n's VAE has one hidden net and two affine layers on it, one for mu and one for logvar: that is one affine layer
    of twice the width, which `encoder` ends with.

    References
    ----------
    .. [1] Kingma and Welling (2014), "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114

    Examples
    --------
    >>> from layers import ELBOLoss
    >>> from models import MLP
    >>> model = VAE(MLP(64, [32], 2 * 3, rng=0), MLP(3, [32], 64, rng=1), latent=3, rng=2)
    >>> loss, x = ELBOLoss(), np.zeros((5, 64))
    >>> value = loss.forward(*model.forward(x), x)
    >>> model.backward(*loss.backward()).shape
    (5, 64)
    >>> model.sample(4).shape
    (4, 64)
    """

    def __init__(self, encoder: Layer, decoder: Layer, *, latent: int, rng: Any = None) -> None:
        super().__init__(encoder, decoder)
        self.latent = check_count("latent", latent)
        self.sampler = GaussianSample(rng=rng)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """`encoder`, `decoder` and `sampler`."""
        yield from super().children()
        yield "sampler", self.sampler

    def forward(self, x):
        mu, logvar = self._halves(self.encoder.forward(x))
        scores = self.decoder.forward(self.sampler.forward(mu, logvar))
        self.cache = scores.shape, scores.dtype
        return scores, mu, logvar

    def backward(self, dscores, dmu=None, dlogvar=None):
        return self.encoder.backward(self._dcode(dscores, dmu, dlogvar))

    def add_grads(self, dscores, dmu=None, dlogvar=None):
        self.encoder.add_grads(self._dcode(dscores, dmu, dlogvar))

    def predict(self, x: Any, batch_size: int = 1024) -> np.ndarray:
        """Scores alone, `reconstruct`."""
        return self.reconstruct(x)

    def encode(self, x: Any) -> np.ndarray:
        """The means mu, (N, Z), of the codes of examples, in evaluation mode."""
        return self._halves(predict(self.encoder, x))[0]

    def sample(self, n: int, *, rng: Any = None) -> np.ndarray:
        """Scores of `n` new examples, decoded from draws of N(0, 1), in evaluation mode.

        Parameters
        ----------
        n : int >= 0
        rng : numpy.random.Generator or int, optional
            Source of the codes instead of the model's own generator.
        """
        rng = self.sampler.rng if rng is None else np.random.default_rng(rng)
        return self.decode(rng.standard_normal((check_count("n", n, 0), self.latent)))

    def _halves(self, code):
        """Mu and logvar, (N, Z) each, of what the encoder returned."""
        if code.ndim != 2 or code.shape[1] != 2 * self.latent:
            raise ValueError(
                f"encoder must return shape (N, {2 * self.latent}), mu and logvar of latent = {self.latent} each; "
                f"got {code.shape}. End it with Affine(..., {2 * self.latent})"
            )
        return code[:, : self.latent], code[:, self.latent :]

    def _dcode(self, dscores, dmu, dlogvar):
        """Gradient of the encoder's output: mu and logvar went through the draw and out directly; gradients add."""
        if dscores is None:
            shape, dtype = self.cache
            dscores = np.zeros(shape, dtype)
        through = self.sampler.backward(self.decoder.backward(dscores))
        halves = [d if direct is None else d + direct for d, direct in zip(through, (dmu, dlogvar))]
        return np.concatenate(halves, axis=1)
