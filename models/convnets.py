"""Convolutional nets: the course's three layers, and VGG's stages of small filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from data._checks import check_count
from layers import Affine, BatchNorm, Conv2D, Dropout, Flatten, Layer, MaxPool2D, ReLU
from layers.initializers import he_normal, xavier_normal

from ._checks import check_image_shape
from .containers import Sequential


class ImageChain(Sequential):
    """A chain for images of one shape, (C, H, W)."""

    def __init__(self, image_shape: tuple[int, int, int], *layers: Layer) -> None:
        super().__init__(*layers)
        self.image_shape = image_shape

    def forward(self, x):
        if np.ndim(x) != 4 or np.shape(x)[1:] != self.image_shape:
            expected = ", ".join(map(str, ("N", *self.image_shape)))
            raise ValueError(
                f"x must have shape ({expected}), image_shape behind the examples; got {np.shape(x)}. "
                "Make the model for images of this shape, or crop or pad them"
            )
        return super().forward(x)


class ThreeLayerConvNet(ImageChain):
    r"""CS231n's ``ThreeLayerConvNet``: conv - relu - 2x2 max pool - affine - relu - affine.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels C, height H and width W, of at least 2 x 2 pixels.
    out_features : int
        Classes M.
    filters : int, default 32
        Channels of the convolution.
    kernel_size : int, default 7
        Height and width of a filter, odd; padding keeps the size of the image.
    hidden : int, default 100
        Width of the hidden affine layer.
    init : callable, optional
        Of the weights; by default He's, and Xavier's for the last layer.
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If `kernel_size` is even, or the image smaller than the pool.

    Notes
    -----
    The course draws all weights with a standard deviation of 1e-3, which it calls `weight_scale`:
    ``init=layers.initializers.normal(1e-3)``.

    Examples
    --------
    >>> ThreeLayerConvNet((3, 32, 32), 10, rng=0)
    ThreeLayerConvNet(
      (0) Conv2D(in_channels=3, out_channels=32, groups=1, W: (32, 3, 7, 7), b: (32,))
      (1) ReLU()
      (2) MaxPool2D()
      (3) Flatten()
      (4) Affine(W: (8192, 100), b: (100,))
      (5) ReLU()
      (6) Affine(W: (100, 10), b: (10,))
    )
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_features: int,
        *,
        filters: int = 32,
        kernel_size: int = 7,
        hidden: int = 100,
        init: Any = None,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        image_shape = channels, height, width = check_poolable(image_shape, 1)
        if check_count("kernel_size", kernel_size) % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that padding keeps the image's size; got {kernel_size}")
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}
        super().__init__(
            image_shape,
            Conv2D(channels, filters, kernel_size, padding=kernel_size // 2, init=init or he_normal, **own),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Affine(filters * (height // 2) * (width // 2), hidden, init=init or he_normal, **own),
            ReLU(),
            Affine(hidden, out_features, init=init or xavier_normal, **own),
        )


class VGG(ImageChain):
    r"""A small VGG: stages of {3x3 conv - [batch norm] - relu} and a 2x2 max pool; then dropout and affine layers.

    Two convolutions of 3x3 see the pixels of one of 5x5, with fewer weights and one ReLU more.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels C, height H and width W; each stage halves H and W, rounded down.
    out_features : int
        Classes M.
    widths : iterable of int, default (32, 64)
        Channels of each stage.
    convolutions : int, default 2
        Of each stage.
    hidden : iterable of int, default (128,)
        Width of each hidden affine layer.
    norm : {"none", "batch"}, default "batch"
        Normalisation before each ReLU; the paper came before it, and has none.
    dropout : float in [0, 1), default 0.5
        Probability that an input of an affine layer is zeroed.
    init : callable, optional
        Of the weights; by default He's, and Xavier's for the last layer.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights and of dropout.
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If the image is too small to be halved by every stage.

    References
    ----------
    .. [1] Simonyan and Zisserman (2014), "Very Deep Convolutional Networks for Large-Scale Image Recognition",
       https://arxiv.org/abs/1409.1556

    Examples
    --------
    >>> model = VGG((1, 8, 8), 10, rng=0)
    >>> model.forward(np.zeros((5, 1, 8, 8), np.float32)).shape
    (5, 10)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_features: int,
        *,
        widths: Iterable[int] = (32, 64),
        convolutions: int = 2,
        hidden: Iterable[int] = (128,),
        norm: str = "batch",
        dropout: float = 0.5,
        init: Any = None,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        widths, hidden = as_widths("widths", widths), as_widths("hidden", hidden)
        image_shape = channels, height, width = check_poolable(image_shape, len(widths))
        check_count("convolutions", convolutions)
        if norm not in ("none", "batch"):
            raise ValueError(f"norm must be one of none, batch; got {norm!r}")
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}

        def normed(features: int) -> list[Layer]:
            return [BatchNorm(features, dtype=dtype)] if norm == "batch" else []

        chain: list[Layer] = []
        for filters in widths:
            for _ in range(convolutions):
                conv = Conv2D(channels, filters, 3, padding=1, bias=norm == "none", init=init or he_normal, **own)
                chain += [conv, *normed(filters), ReLU()]
                channels = filters
            chain.append(MaxPool2D(2))
        features = channels * (height >> len(widths)) * (width >> len(widths))
        chain.append(Flatten())
        for units in hidden:
            chain += [*dropped(dropout, own["rng"]), Affine(features, units, init=init or he_normal, **own)]
            chain += [*normed(units), ReLU()]
            features = units
        last = Affine(features, out_features, init=init or xavier_normal, **own)
        super().__init__(image_shape, *chain, *dropped(dropout, own["rng"]), last)


def dropped(rate: float, rng: Any) -> list[Layer]:
    """A dropout layer, or none at rate 0."""
    return [Dropout(rate, rng=rng)] if rate else []


def as_widths(name: str, widths: Any) -> tuple[int, ...]:
    """Several sizes, each at least 1."""
    if not isinstance(widths, Iterable):
        raise TypeError(f"{name} must be several whole numbers, such as ({widths!r},); got {widths!r}")
    return tuple(check_count(name, width) for width in widths)


def check_poolable(image_shape: Any, pools: int) -> tuple[int, int, int]:
    """The shape of an image that can be halved so often."""
    image_shape = check_image_shape(image_shape)
    if min(image_shape[1:]) < 2**pools:
        raise ValueError(
            f"image_shape must have at least {2**pools} x {2**pools} pixels, to be halved {pools} times; "
            f"got {image_shape[1]} x {image_shape[2]}. Use fewer stages, or larger images"
        )
    return image_shape
