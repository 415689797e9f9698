"""Looking inside: gradients of scores with respect to the input, which show what a trained model goes by.

All work on a copy in evaluation mode: the model's gradients, mode and cache stay as they are.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from layers import Layer


def saliency_map(model: Layer, X: Any, y: Any) -> np.ndarray:
    r"""How strongly the score of the label depends on each pixel: :math:`|\partial \text{scores}_y / \partial x|`.

    Parameters
    ----------
    model : Layer
        ``forward(X)`` -> scores (N, C).
    X : array_like (N, D) or (N, C, H, W)
    y : array_like of int (N,)
        The class of each example to look at.

    Returns
    -------
    ndarray (N, D), or (N, H, W): of an image's channels the largest

    References
    ----------
    .. [1] Simonyan, Vedaldi and Zisserman (2014), "Deep Inside Convolutional Networks", https://arxiv.org/abs/1312.6034

    Examples
    --------
    >>> from layers import Affine
    >>> model = Affine(2, 3, rng=0)
    >>> y = np.array([2])
    >>> np.allclose(saliency_map(model, [[5.0, 1.0]], y), abs(model.W.value.T[y]))
    True
    """
    gradient = np.abs(_gradient(_probe(model), *_examples(model, X, y)))
    return gradient.max(axis=1) if gradient.ndim == 4 else gradient


def fooling_image(
    model: Layer, x: Any, target: int, *, learning_rate: float = 0.1, max_steps: int = 200
) -> tuple[np.ndarray, int]:
    """An example that the model takes for another class, after as few steps as climbing towards it takes.

    Each step is along the gradient of the target's score minus that of the class it is taken for; CS231n climbs the
    target's alone.

    Parameters
    ----------
    model : Layer
        ``forward(X)`` -> scores (N, C).
    x : array_like
        One example, without the axis N.
    target : int
        The class to be taken for.
    learning_rate : float > 0, default 0.1
        Length of one step, in units of the length of `x`'s root mean square.
    max_steps : int >= 1, default 200

    Returns
    -------
    image, steps : ndarray, int
        What it became, and after how many steps; `max_steps` if it is still taken for something else.

    References
    ----------
    .. [1] Szegedy et al. (2014), "Intriguing Properties of Neural Networks", https://arxiv.org/abs/1312.6199
    """
    probe = _probe(model)
    X, y = _examples(model, np.asarray(x)[None], [target])
    step = learning_rate * max(float(np.sqrt(np.mean(X**2))), 1e-8) * np.sqrt(X.size)
    for n in range(max_steps):
        taken_for = probe.forward(X).argmax(axis=1)
        if taken_for[0] == target:
            return X[0], n
        gradient = _gradient(probe, X, y) - _gradient(probe, X, taken_for)
        X = X + float(step) * gradient / max(float(np.linalg.norm(gradient)), 1e-12)
    return X[0], max_steps


def class_visualization(
    model: Layer,
    shape: tuple[int, ...],
    target: int,
    *,
    steps: int = 200,
    learning_rate: float = 0.05,
    reg: float = 1e-2,
    jitter: int = 1,
    blur: float = 0.5,
    rng: Any = None,
) -> np.ndarray:
    r"""The image that a class would be: climbs :math:`\text{scores}_y(x) - \text{reg} \|x\|^2` from noise.

    Parameters
    ----------
    model : Layer
        ``forward(X)`` -> scores (N, C).
    shape : tuple of int
        Of one example: (D,) or (C, H, W).
    target : int
        The class.
    steps : int >= 1, default 200
    learning_rate : float > 0, default 0.05
        Length of one step, in units of sqrt(number of pixels).
    reg : float >= 0, default 0.01
        Pull towards 0, without which single pixels run away.
    jitter : int >= 0, default 1
        Pixels by which an image is shifted at random before each step, and back after it.
    blur : float >= 0, default 0.5
        Standard deviation, in pixels, of the Gaussian by which an image is smoothed every tenth step.
    rng : numpy.random.Generator or int, optional
        Source of the noise and the shifts.

    References
    ----------
    .. [1] Yosinski et al. (2015), "Understanding Neural Networks Through Deep Visualization", https://arxiv.org/abs/1506.06579
    """
    from scipy.ndimage import gaussian_filter

    rng, probe = np.random.default_rng(rng), _probe(model)
    X, y = _examples(model, 0.1 * rng.standard_normal((1, *shape)), [target])
    image = X.ndim == 4
    for n in range(steps):
        shift = tuple(rng.integers(-jitter, jitter + 1, 2)) if image else ()
        X = np.roll(X, shift, (2, 3)) if image else X
        gradient = _gradient(probe, X, y) - 2 * reg * X
        X = X + learning_rate * float(np.sqrt(X.size)) * gradient / max(float(np.linalg.norm(gradient)), 1e-12)
        if image:
            X = np.roll(X, tuple(-s for s in shift), (2, 3))
            if blur and n % 10 == 9 and n < steps - 1:
                X = gaussian_filter(X, (0, 0, blur, blur))
    out: np.ndarray = X[0]
    return out


def _probe(model: Layer) -> Layer:
    """A copy in evaluation mode, whose gradients are nobody's."""
    probe = copy.deepcopy(model)
    probe.drop_cache()
    return probe.eval()


def _examples(model: Layer, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    parameters = list(model.parameters().values())
    X, y = np.asarray(X, parameters[0].value.dtype if parameters else None), np.asarray(y)
    if y.shape != X.shape[:1] or y.dtype.kind not in "iu":
        raise ValueError(
            f"y must hold one class, a whole number, for each of {len(X)} examples; got {y.dtype} {y.shape}"
        )
    return X, y


def _gradient(probe: Layer, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of the score of each example's class, with respect to the example."""
    scores = probe.forward(X)
    if y.size and not 0 <= y.min() <= y.max() < scores.shape[1]:
        raise ValueError(f"classes must be within 0 to {scores.shape[1] - 1}; got {y.min()} to {y.max()}")
    dscores = np.zeros_like(scores)
    dscores[np.arange(len(y)), y] = 1
    dX: np.ndarray = probe.backward(dscores)
    return dX
