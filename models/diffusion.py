"""Denoising diffusion: examples drowned in noise step by step, and a net that learns the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from data._checks import check_count
from layers import Layer
from layers._checks import check_range, check_same_shape

from .containers import evaluating
from .mlp import MLP


class Denoiser(Layer):
    r"""An MLP that sees an example and its time: :math:`\text{out} = \text{body}([x, \text{embedding}(t)])`.

    The embedding has sines and cosines of t at frequencies from 1 down to 1 / 10000, as positions in a sequence have.

    Parameters
    ----------
    features : int
        Columns D of `x` (N, D), and of the output.
    hidden : sequence of int, default (128, 128, 128)
        Units of the hidden layers.
    embed_dim : even int, default 32
        Numbers that tell the time.
    activation : str, default "silu"
        As of `MLP`.
    rng, dtype
        As of `MLP`.

    Raises
    ------
    ValueError
        If `x` or `t` has another shape, or `embed_dim` is odd.

    Notes
    -----
    ``forward(x, t)`` takes one whole number t for each row of `x`; times have no gradient.

    Examples
    --------
    >>> model = Denoiser(2, [16], rng=0)
    >>> model.forward(np.zeros((3, 2)), np.array([0, 5, 9])).shape
    (3, 2)
    """

    def __init__(
        self,
        features: int,
        hidden: Any = (128, 128, 128),
        *,
        embed_dim: int = 32,
        activation: str = "silu",
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        self.features, self.embed_dim = features, check_even("embed_dim", embed_dim)
        self.body = MLP(features + embed_dim, hidden, features, activation=activation, rng=rng, dtype=dtype)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """`body`."""
        yield "body", self.body

    def forward(self, x, t):
        x = _as_floats(x)
        if x.ndim != 2 or x.shape[1] != self.features:
            raise ValueError(f"x must have shape (N, {self.features}); got {x.shape}")
        return self.body.forward(np.concatenate([x, embed_times(t, x, self.embed_dim)], axis=1))

    def backward(self, dout):
        return self.body.backward(dout)[:, : self.features]

    def add_grads(self, dout):
        self.body.add_grads(dout)


class GaussianDiffusion:
    r"""The forward process, which adds noise in `steps` steps, and the reverse one, which a net takes back.

    .. math::

        q(x_t | x_0) = N(\sqrt{\bar\alpha_t}\, x_0,\ 1 - \bar\alpha_t), \qquad
        \bar\alpha_t = \prod_{s \le t} (1 - \beta_s)

    Parameters
    ----------
    steps : int >= 1, default 100
        T; times are 0 to T - 1, of which the last is nearly pure noise.
    schedule : {"cosine", "linear"}, default "cosine"
        Of the betas: of the cosine the sum of what is left falls evenly [2]_; the linear one is that of [1]_, made to
        end at the same noise whatever T.
    rng : numpy.random.Generator or int, optional
        Source of times and noise.

    Attributes
    ----------
    betas, alphas_bar : ndarray (T,)
        The variance that each step adds, and the share of the example's that is left after it.

    Raises
    ------
    ValueError
        If a time is not in 0..T-1, or arrays that belong together have two shapes.

    Notes
    -----
    CS231n's names: `q_sample`, `predict_start_from_noise`, `predict_noise_from_start`, `p_sample`. Train a model with
    ``loss.forward(model.forward(xt, t), noise)`` on ``xt, t, noise = diffusion.noised(x)``, with `layers.MSELoss`.

    References
    ----------
    .. [1] Ho, Jain and Abbeel (2020), "Denoising Diffusion Probabilistic Models", https://arxiv.org/abs/2006.11239
    .. [2] Nichol and Dhariwal (2021), "Improved Denoising Diffusion Models", https://arxiv.org/abs/2102.09672
    .. [3] Ho and Salimans (2022), "Classifier-Free Diffusion Guidance", https://arxiv.org/abs/2207.12598

    Examples
    --------
    >>> diffusion = GaussianDiffusion(steps=50, rng=0)
    >>> xt, t, noise = diffusion.noised(np.ones((4, 2)))
    >>> np.allclose(diffusion.predict_start_from_noise(xt, t, noise), 1)
    True
    """

    def __init__(self, steps: int = 100, *, schedule: str = "cosine", rng: Any = None) -> None:
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(map(repr, SCHEDULES))}; got {schedule!r}")
        self.steps = check_count("steps", steps)
        self.betas = SCHEDULES[schedule](self.steps)
        self.alphas_bar = np.cumprod(1 - self.betas)
        self.rng = np.random.default_rng(rng)

    def noised(self, x: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Examples at random times: ``(xt, t, noise)``, of which the noise is what a model is to predict."""
        x = _as_floats(x)
        t = self.rng.integers(0, self.steps, len(x))
        noise = self.rng.standard_normal(x.shape, dtype=np.float32).astype(x.dtype)
        return self.q_sample(x, t, noise), t, noise

    def q_sample(self, x: Any, t: Any, noise: Any) -> np.ndarray:
        """Examples at times t: sqrt(alphas_bar) x + sqrt(1 - alphas_bar) noise."""
        x, noise, signal, spread = self._mixed("x", x, t, "noise", noise)
        return signal * x + spread * noise

    def predict_start_from_noise(self, xt: Any, t: Any, noise: Any) -> np.ndarray:
        """The example that `q_sample` made `xt` of with this noise."""
        xt, noise, signal, spread = self._mixed("xt", xt, t, "noise", noise)
        return (xt - spread * noise) / signal

    def predict_noise_from_start(self, xt: Any, t: Any, x: Any) -> np.ndarray:
        """The noise with which `q_sample` made `xt` of `x`."""
        xt, x, signal, spread = self._mixed("xt", xt, t, "x", x)
        return (xt - signal * x) / spread

    def posterior(self, x: Any, xt: Any, t: Any) -> tuple[np.ndarray, np.ndarray]:
        r"""Mean and variance of :math:`q(x_{t-1} | x_t, x_0)`: the step back, if the example were known."""
        xt = _as_floats(xt)
        t = self._times(xt, t)
        before = np.where(t > 0, self.alphas_bar[t - 1], 1.0)
        now, beta = self.alphas_bar[t], self.betas[t]
        first = np.sqrt(before) * beta / (1 - now)
        second = np.sqrt(1 - beta) * (1 - before) / (1 - now)
        variance = beta * (1 - before) / (1 - now)
        first, second, variance = (_columns(a, xt) for a in (first, second, variance))
        return first * x + second * xt, variance

    def p_sample(
        self,
        model: Layer,
        xt: np.ndarray,
        t: int,
        *,
        y: Any = None,
        guidance: float = 0.0,
        clip: float | None = None,
    ) -> np.ndarray:
        """One step back from time t, by the model's noise; at t = 0 nothing is added any more.

        `clip` keeps the predicted example within [-clip, clip], which the first steps back leave otherwise. For `y` and
        `guidance` see `sample`.
        """
        times = np.full(len(xt), t)
        predicted = model.forward(xt, times) if y is None else model.forward(xt, times, y)
        if guidance:
            predicted = predicted + guidance * (predicted - model.forward(xt, times))
        start = self.predict_start_from_noise(xt, times, predicted)
        if clip is not None:
            start = np.clip(start, -clip, clip)
        mean, variance = self.posterior(start, xt, times)
        noise = self.rng.standard_normal(xt.shape, dtype=np.float32).astype(xt.dtype)
        return mean + np.sqrt(variance) * noise if t > 0 else mean

    def sample(
        self,
        model: Layer,
        shape: tuple[int, ...],
        *,
        y: Any = None,
        guidance: float = 0.0,
        clip: float | None = None,
    ) -> Iterator[np.ndarray]:
        """From pure noise to examples: yields the noise, then what each step back leaves; the last are the samples.

        Parameters
        ----------
        model : Layer
            ``forward(xt, t)`` -> noise, or with labels ``forward(xt, t, y)``; called in evaluation mode.
        shape : tuple of int
            (N, D) or whatever the model takes.
        y : ndarray of int (N,), optional
            A label for each example, for a model that takes them, such as `UNet`.
        guidance : float >= 0, default 0.0
            How far to go beyond the label's noise, away from that of no label: more like the class, less like each
            other [3]_.
        clip : float, optional
            See `p_sample`.
        """
        guidance = check_range("guidance", guidance, 0, np.inf)
        if guidance and y is None:
            raise ValueError(f"y must be given where guidance is, {guidance:g}: towards which class?")
        with evaluating(model):
            x = self.rng.standard_normal(shape, dtype=np.float32)
            yield x
            for t in reversed(range(self.steps)):
                x = self.p_sample(model, x, t, y=y, guidance=guidance, clip=clip)
                yield x

    def _mixed(self, name: str, x: Any, t: Any, other_name: str, other: Any) -> tuple[np.ndarray, ...]:
        """Two arrays of one shape, and how much of an example and of noise there is at times t, in columns for them."""
        x = _as_floats(x)
        other = np.asarray(other, x.dtype)
        check_same_shape(other_name, other, name, x)
        left = self.alphas_bar[self._times(x, t)]
        return x, other, _columns(np.sqrt(left), x), _columns(np.sqrt(1 - left), x)

    def _times(self, x: Any, t: Any) -> np.ndarray:
        t = np.asarray(t)
        if t.shape != np.shape(x)[:1] or t.dtype.kind not in "iu":
            raise ValueError(f"t must hold one whole number for each of the {len(x)} rows; got {t.dtype} {t.shape}")
        if t.size and not 0 <= t.min() <= t.max() < self.steps:
            raise ValueError(f"t must be within 0 to {self.steps - 1}; got {t.min()} to {t.max()}")
        return t


def check_even(name: str, value: Any) -> int:
    """`value`, an even number: as many sines as cosines."""
    if check_count(name, value, 2) % 2:
        raise ValueError(f"{name} must be even, as many sines as cosines; got {value}")
    return int(value)


def embed_times(t: Any, x: np.ndarray, dim: int) -> np.ndarray:
    """Sines and cosines, (N, dim), of a time for each of the N examples `x`, in their dtype."""
    t = np.asarray(t)
    if t.shape != x.shape[:1]:
        raise ValueError(f"t must have shape {x.shape[:1]}, one time for each row of x; got {t.shape}")
    angles = t[:, None] * 10000.0 ** (-np.arange(0, dim, 2) / dim)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(x.dtype)


def _as_floats(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _columns(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(N,) as (N, 1, ...) in the dtype of `x`."""
    return a.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))


def _linear(steps: int) -> np.ndarray:
    """From 1e-4 to 0.02 at a thousand steps; with fewer each is larger, up to 0.999."""
    return np.minimum(np.linspace(1e-4, 0.02, steps) * 1000 / steps, 0.999)


def _cosine(steps: int) -> np.ndarray:
    at = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.minimum(1 - at[1:] / at[:-1], 0.999)


SCHEDULES = {"cosine": _cosine, "linear": _linear}
