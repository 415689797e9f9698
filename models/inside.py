"""Looking inside: gradients of scores with respect to the input, which show what a trained model goes by.

All work on a copy in evaluation mode: the model's gradients, mode, cache and generators stay as they are.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from layers import Layer
from layers._checks import check_positive, check_range

Limits = tuple[float, float]


def saliency_map(model: Layer, X: Any, y: Any) -> np.ndarray:
    r"""How strongly the score of the label depends on each pixel: :math:`|\partial \text{scores}_y / \partial x|`.

    Parameters
    ----------
    model : Layer
        ``forward(X) -> scores`` (N, C), and its `backward`.
    X : array_like (N, D) or (N, C, H, W)
        Examples.
    y : array_like of int (N,)
        The class of each example to look at, usually its label.

    Returns
    -------
    ndarray (N, D), or (N, H, W)
        Scores per unit of the input, in the model's dtype; of an image's channels the largest.

    Raises
    ------
    ValueError
        If `y` does not hold one class of the model for each example.
    TypeError
        If `y` does not hold whole numbers.

    Notes
    -----
    CS231n's ``compute_saliency_maps``.

    References
    ----------
    .. [1] Simonyan, Vedaldi and Zisserman (2014), "Deep Inside Convolutional Networks", section 3,
       https://arxiv.org/abs/1312.6034

    Examples
    --------
    >>> from layers import Affine
    >>> model = Affine(2, 3, rng=0)
    >>> y = np.array([2])
    >>> np.allclose(saliency_map(model, [[5.0, 1.0]], y), abs(model.W.value.T[y]))
    True
    """
    probe = _probe(model)
    X, y = _as_input(model, X), np.asarray(y)
    gradient = np.abs(_gradient(probe, X, y, "y"))
    return gradient.max(axis=1) if gradient.ndim == 4 else gradient


def fooling_image(
    model: Layer,
    x: Any,
    target: int,
    *,
    learning_rate: float = 0.1,
    max_steps: int = 200,
    limits: Limits | None = None,
) -> tuple[np.ndarray, int]:
    """An example that the model takes for another class, after as few steps as climbing towards it takes.

    Each step is along the gradient of the target's score minus that of the class it is taken for.

    Parameters
    ----------
    model : Layer
        ``forward(X) -> scores`` (N, C), and its `backward`.
    x : array_like (D,) or (C, H, W)
        One example, without the axis N.
    target : int
        The class to be taken for.
    learning_rate : float > 0, default 0.1
        Length of one step, as a share of the length of `x`; of sqrt(D) where `x` is 0.
    max_steps : int >= 1, default 200
        After which it gives up.
    limits : (float, float), optional
        Lowest and highest value of a pixel, to which each step is clipped.

    Returns
    -------
    image : ndarray of the shape of `x`
        What it became, in the model's dtype.
    steps : int
        After how many steps: 0 if `x` is taken for the target as it is. With `max_steps` the model may not be fooled.

    Raises
    ------
    ValueError
        If `target` is no class of the model, or an option is out of its range.
    TypeError
        If `target` or `max_steps` is no whole number.

    Notes
    -----
    CS231n's ``make_fooling_image`` climbs the target's score alone, in steps of length 1.

    References
    ----------
    .. [1] Szegedy et al. (2014), "Intriguing Properties of Neural Networks", https://arxiv.org/abs/1312.6199

    Examples
    --------
    >>> from layers import Affine
    >>> model = Affine(2, 2, rng=0)
    >>> model.W.value = np.eye(2)  # the larger entry wins
    >>> image, steps = fooling_image(model, [1.0, 0.8], 1)
    >>> image.round(2), steps
    (array([0.82, 0.98], dtype=float32), 2)
    >>> fooling_image(model, [1.0, 0.8], 0)[1]
    0
    """
    max_steps = check_positive("max_steps", max_steps)
    learning_rate = check_range("learning_rate", learning_rate, 0, np.inf, closed="neither")
    _check_limits(limits)
    probe = _probe(model)
    X, y = _as_input(model, x)[None], np.asarray([target])
    length = float(np.linalg.norm(X)) or float(np.sqrt(X.size))
    for n in range(max_steps + 1):
        taken_for = probe.forward(X).argmax(axis=1)
        if n == max_steps or taken_for[0] == target:
            break
        gradient = _gradient(probe, X, y, "target") - _gradient(probe, X, taken_for, "target")
        X = _clipped(X + _of_length(gradient, learning_rate * length), limits)
    return X[0], n


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
    limits: Limits | None = None,
    rng: Any = None,
) -> np.ndarray:
    r"""The image that a class would be: climbs :math:`\text{scores}_y(x) - \text{reg} \sum x^2` from noise.

    Parameters
    ----------
    model : Layer
        ``forward(X) -> scores`` (N, C), and its `backward`.
    shape : tuple of int
        Of one example: (D,) or (C, H, W). Only images are shifted and blurred.
    target : int
        The class.
    steps : int >= 1, default 200
        Gradient steps.
    learning_rate : float > 0, default 0.05
        Root mean square by which one step changes the pixels, in their units.
    reg : float >= 0, default 0.01
        Pull towards 0, without which single pixels run away.
    jitter : int >= 0, default 1
        Pixels by which an image is shifted at random before each step, at most, and back after it.
    blur : float >= 0, default 0.5
        Standard deviation, in pixels, of the Gaussian by which an image is smoothed after every tenth step but the
        last.
    limits : (float, float), optional
        Lowest and highest value of a pixel, to which each step is clipped.
    rng : numpy.random.Generator or int, optional
        Source of the noise, of standard deviation 0.1, and of the shifts.

    Returns
    -------
    ndarray of the given shape
        In the model's dtype.

    Raises
    ------
    ValueError
        If `target` is no class of the model, or an option is out of its range.
    TypeError
        If `target` or `steps` is no whole number.

    Notes
    -----
    CS231n's ``class_visualization_update_step`` and the loop around it, which clips to the pixels' range. Its step is
    the rate times the gradient, whatever its length, and its values are for photographs: a jitter of 16 pixels of 224
    is half a pixel of the digits' 8.

    References
    ----------
    .. [1] Simonyan, Vedaldi and Zisserman (2014), section 2, https://arxiv.org/abs/1312.6034
    .. [2] Yosinski et al. (2015), "Understanding Neural Networks Through Deep Visualization",
       https://arxiv.org/abs/1506.06579

    Examples
    --------
    >>> from layers import Affine
    >>> model = Affine(2, 2, rng=0)
    >>> model.W.value = np.array([[1.0, 3.0], [1.0, -1.0]])
    >>> class_visualization(model, (2,), 1, limits=(0, 1), rng=0)  # as far as it may, where the weight is positive
    array([1., 0.], dtype=float32)
    """
    from scipy.ndimage import gaussian_filter

    steps = check_positive("steps", steps)
    if not isinstance(jitter, (int, np.integer)) or jitter < 0:
        raise ValueError(f"jitter must be a whole number of pixels, at least 0; got {jitter!r}")
    learning_rate = check_range("learning_rate", learning_rate, 0, np.inf, closed="neither")
    reg, blur = check_range("reg", reg, 0, np.inf), check_range("blur", blur, 0, np.inf)
    _check_limits(limits)
    rng, probe = np.random.default_rng(rng), _probe(model)
    X, y = _as_input(model, 0.1 * rng.standard_normal((1, *shape))), np.asarray([target])
    is_image = X.ndim == 4
    for n in range(steps):
        shift = rng.integers(-jitter, jitter + 1, 2) if is_image else np.zeros(0, int)
        axes = (2, 3)[: len(shift)]
        X = np.roll(X, shift, axes)
        gradient = _gradient(probe, X, y, "target") - 2 * reg * X
        X = X + _of_length(gradient, learning_rate * float(np.sqrt(X.size)))
        X = _clipped(np.roll(X, -shift, axes), limits)
        if is_image and blur and n % 10 == 9 and n < steps - 1:
            X = gaussian_filter(X, (0, 0, blur, blur))
    image: np.ndarray = X[0]
    return image


def _probe(model: Layer) -> Layer:
    """A copy in evaluation mode, whose gradients are nobody's."""
    return copy.deepcopy(model).eval()


def _as_input(model: Layer, X: Any) -> np.ndarray:
    """`X` in the dtype of the model's parameters."""
    for parameter in model.parameters().values():
        return np.asarray(X, parameter.value.dtype)
    return np.asarray(X, np.float64)


def _gradient(probe: Layer, X: np.ndarray, y: np.ndarray, name: str) -> np.ndarray:
    """Of the score of each example's class with respect to the example; `name` is that of `y` outside."""
    scores = probe.forward(X)
    N, C = scores.shape
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} must be of whole numbers 0..{C - 1}, the classes of the model; got {y.dtype}")
    if y.shape != (N,):
        raise ValueError(f"{name} must have shape ({N},), one class an example of X; got {y.shape}")
    if N and not 0 <= y.min() <= y.max() < C:
        raise ValueError(f"{name} must be within 0..{C - 1}, the classes of the model; got {y.min()}..{y.max()}")
    dscores = np.zeros_like(scores)
    dscores[np.arange(N), y] = 1  # each example is alone in evaluation mode: one backward serves all
    dX: np.ndarray = probe.backward(dscores)
    return dX


def _of_length(gradient: np.ndarray, length: float) -> np.ndarray:
    norm = float(np.linalg.norm(gradient))
    return gradient * (length / norm) if norm else gradient


def _clipped(X: np.ndarray, limits: Limits | None) -> np.ndarray:
    return X if limits is None else np.clip(X, *limits)


def _check_limits(limits: Limits | None) -> None:
    if limits is not None and not (len(limits) == 2 and limits[0] < limits[1]):
        raise ValueError(f"limits must be the lowest and the highest value of a pixel, such as (0, 1); got {limits!r}")
