"""Models by name: what `train.py --model NAME` builds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from layers import HuberLoss, L1Loss, Layer, MSELoss, SoftmaxLoss, SVMLoss

from .convnets import VGG, ThreeLayerConvNet
from .linear import LinearRegression, LinearSVM, SoftmaxClassifier
from .mlp import MLP
from .resnet import ResNet


class Entry(NamedTuple):
    """How a model is made: ``make(input, out_features, **options)``."""

    make: Callable[..., Layer]
    options: tuple[str, ...] = ()  # that it takes beside init, rng and dtype
    tasks: tuple[str, ...] = ("classification",)
    takes_images: bool = False  # then `input` is the shape (C, H, W) of one, else the number of features


def _mlp(in_features: int, out_features: int, *, hidden: Any = (128,), **options: Any) -> Layer:
    return MLP(in_features, hidden, out_features, **options)


MODELS = {
    "mlp": Entry(_mlp, ("hidden", "activation", "norm", "dropout"), ("classification", "regression")),
    "softmax": Entry(SoftmaxClassifier),
    "svm": Entry(LinearSVM),
    "linear": Entry(LinearRegression, tasks=("regression",)),
    "cnn": Entry(VGG, ("hidden", "norm", "dropout"), takes_images=True),
    "three_layer_cnn": Entry(ThreeLayerConvNet, takes_images=True),
    "resnet": Entry(ResNet, takes_images=True),
}

LOSSES = {
    "classification": {"softmax": SoftmaxLoss, "svm": SVMLoss},
    "regression": {"mse": MSELoss, "l1": L1Loss, "huber": HuberLoss},
}


def build(
    name: str,
    input_shape: tuple[int, ...],
    out_features: int,
    *,
    task: str = "classification",
    init: Any = None,
    rng: Any = None,
    dtype: Any = np.float32,
    **options: Any,
) -> Layer:
    """A model by its name in `MODELS`, with its own defaults where nothing else is said.

    Parameters
    ----------
    name : str
        Such as "mlp", "softmax", "cnn" (a small `VGG`), "resnet".
    input_shape : tuple of int
        Shape of one example: (D,), or (C, H, W) for an image.
    out_features : int
        Classes C, or targets of a regression.
    task : {"classification", "regression"}, default "classification"
    init, rng, dtype
        Of the weights; see `MLP`.
    **options
        ``hidden``, ``activation``, ``norm``, ``dropout``, for the models that take them.

    Raises
    ------
    ValueError
        If the model is unknown, does not fit the task or the input, or takes no such option.

    Examples
    --------
    >>> build("softmax", (4,), 3, rng=0)
    SoftmaxClassifier(
      (0) Affine(W: (4, 3), b: (3,))
    )
    >>> build("cnn", (4,), 3)
    Traceback (most recent call last):
    ValueError: cnn needs images, examples of shape (C, H, W); got (4,). Models for such data: mlp, softmax, svm
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}; got {name!r}")
    entry = MODELS[name]
    fitting = [other for other, its in MODELS.items() if task in its.tasks]
    if name not in fitting:
        raise ValueError(f"{name} does not fit {task}; use {' or '.join(fitting)}")
    if entry.takes_images and len(input_shape) != 3:
        flat = ", ".join(other for other in fitting if not MODELS[other].takes_images)
        raise ValueError(
            f"{name} needs images, examples of shape (C, H, W); got {input_shape}. Models for such data: {flat}"
        )
    for option in options:
        if option not in entry.options:
            raise ValueError(f"{name} takes no {option}; its options: {', '.join(entry.options) or 'none'}")
    first = input_shape if entry.takes_images else int(np.prod(input_shape))
    try:
        return entry.make(first, out_features, init=init, rng=rng, dtype=dtype, **options)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
