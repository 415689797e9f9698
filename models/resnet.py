"""ResNet for small images: blocks that learn what to add to their input."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import Affine, BatchNorm, Conv2D, GlobalAvgPool2D, Layer, ReLU
from layers.initializers import he_normal, xavier_normal

from ._checks import check_image_shape
from .containers import Residual, Sequential


class ResNet(Sequential):
    r"""He et al.'s net for CIFAR-10: a convolution, three stages of residual blocks, the mean over the pixels, scores.

    A block is conv - norm - relu - conv - norm around a shortcut, and a relu after the sum; all filters are 3x3. The
    second and the third stage halve height and width, rounded up, and double the channels.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels C, height H and width W.
    out_features : int
        Classes M.
    depth : int, default 20
        Layers with weights on the long way: 6 n + 2 for stages of n blocks, such as 8, 14, 20, 32, 44, 56, 110.
    width : int, default 16
        Channels of the first stage.
    shortcut : {"pad", "projection"}, default "pad"
        Where the channels double: "pad" takes every second pixel and adds channels of zeros, without a parameter, as
        the paper does for small images (its option A); "projection" is a 1x1 convolution of stride 2 and a norm
        (option B).
    init : callable, optional
        Of the weights; by default He's, and Xavier's for the last layer.
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If `depth` is not 6 n + 2, or `shortcut` is unknown.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun (2015), "Deep Residual Learning for Image Recognition", section 4.2,
       https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> model = ResNet((3, 32, 32), 10, depth=20, rng=0)
    >>> sum(parameter.value.size for parameter in model.parameters().values())  # table 6: 0.27 M
    269722
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_features: int,
        *,
        depth: int = 20,
        width: int = 16,
        shortcut: str = "pad",
        init: Any = None,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        channels, *_ = check_image_shape(image_shape)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth must be 6 n + 2, such as 8, 14, 20, 32; got {depth}")
        if shortcut not in ("pad", "projection"):
            raise ValueError(f"shortcut must be one of pad, projection; got {shortcut!r}")
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}

        def conv(channels: int, filters: int, kernel_size: int = 3, stride: int = 1) -> list[Layer]:
            """A convolution that keeps the size, or halves it, and its norm, whose beta is the bias."""
            options = {"stride": stride, "padding": kernel_size // 2, "bias": False, "init": init or he_normal}
            return [Conv2D(channels, filters, kernel_size, **options, **own), BatchNorm(filters, dtype=dtype)]

        def block(channels: int, filters: int) -> list[Layer]:
            grows = filters > channels
            body = Sequential(*conv(channels, filters, stride=1 + grows), ReLU(), *conv(filters, filters))
            if not grows:
                return [Residual(body), ReLU()]
            if shortcut == "projection":
                return [Residual(body, Sequential(*conv(channels, filters, 1, stride=2))), ReLU()]
            return [Residual(body, PadShortcut(channels, filters)), ReLU()]

        chain = [*conv(channels, width), ReLU()]
        channels = width
        for filters in (width, 2 * width, 4 * width):
            for _ in range((depth - 2) // 6):
                chain += block(channels, filters)
                channels = filters
        last = Affine(channels, out_features, init=init or xavier_normal, **own)
        super().__init__(*chain, GlobalAvgPool2D(), last)


class PadShortcut(Layer):
    r"""Every second pixel, and channels of zeros behind the given ones: (N, C, H, W) -> (N, F, ceil(H/2), ceil(W/2)).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels C of `x` and F >= C of the output.

    Examples
    --------
    >>> PadShortcut(1, 2).forward(np.array([[[[1.0, 2.0, 3.0]]]]))
    array([[[[1., 3.]],
    <BLANKLINE>
            [[0., 0.]]]])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        if out_channels < in_channels:
            raise ValueError(f"out_channels must be at least the {in_channels} of the input; got {out_channels}")
        self.in_channels, self.out_channels = in_channels, out_channels

    def forward(self, x):
        x = np.asarray(x)
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"x must have shape (N, {self.in_channels}, H, W), channels before pixels; got {x.shape}. "
                "Make the layer with the channels of its input"
            )
        self.cache = x.shape
        kept = x[:, :, ::2, ::2]
        out = np.zeros_like(kept, shape=(len(x), self.out_channels, *kept.shape[2:]))
        out[:, : self.in_channels] = kept
        return out

    def backward(self, dout):
        dx = np.zeros_like(dout, shape=self.cache)
        dx[:, :, ::2, ::2] = dout[:, : self.in_channels]  # pixels and channels left out, and the zeros, get none
        return dx
