"""U-Net: down to few pixels, which know what is there, and up again, past what knows where; the denoiser of images."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from data._checks import check_count
from layers import Affine, Conv2D, Embedding, GroupNorm, Layer, SiLU, Upsample
from layers._images import as_images
from layers._sequence_checks import check_indices
from layers.initializers import normal, xavier_normal

from .containers import Sequential
from .convnets import as_widths
from .diffusion import check_even, embed_times


class UNet(Layer):
    r"""Images to images of the same shape, at a time t and, if there are classes, of a class y.

    On the way down each level has residual blocks, then a convolution that halves the image; on the way up the image is
    doubled, joined by what the level of its size left on the way down, and goes through residual blocks again. Each
    block is told the context, an embedding of t plus one of y, which scales and shifts its channels.

    ``forward(x, t, y=None)`` takes images (N, C, H, W), a whole number t for each, (N,), and labels y (N,) in 0..K-1,
    or K for an image of no class in particular; all are so unless given. It returns (N, C, H, W). Neither t nor y has
    a gradient.

    Parameters
    ----------
    channels : int
        C.
    widths : sequence of int, default (32, 64)
        Channels of each level; H and W must be multiples of 2 to the power of their number less one.
    blocks : int, default 1
        Residual blocks of a level, each way.
    classes : int, optional
        K; none if not given.
    context_dim : even int, default 64
        Width of the context.
    rng : numpy.random.Generator or int, optional
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If `x` has other channels or a size that cannot be halved so often, or `t` or `y` does not fit it.

    Notes
    -----
    It predicts the noise of `GaussianDiffusion`, as `Denoiser` does for points. With some labels, say a tenth, replaced
    by K in training it learns what any class and what one class looks like at once, for the guidance [3]_ of
    ``GaussianDiffusion.sample``. CS231n's ``UNet`` takes the embedding of a text in place of y, and its ``cfg_forward``
    is the guidance.

    References
    ----------
    .. [1] Ronneberger, Fischer and Brox (2015), "U-Net", https://arxiv.org/abs/1505.04597
    .. [2] Ho, Jain and Abbeel (2020), "Denoising Diffusion Probabilistic Models", appendix B,
       https://arxiv.org/abs/2006.11239
    .. [3] Ho and Salimans (2022), "Classifier-Free Diffusion Guidance", https://arxiv.org/abs/2207.12598

    Examples
    --------
    >>> model = UNet(1, (8, 16), classes=10, rng=0)
    >>> x, t = np.zeros((3, 1, 8, 8), np.float32), np.array([0, 5, 9])
    >>> model.forward(x, t).shape, model.forward(x, t, np.array([7, 7, 2])).shape
    ((3, 1, 8, 8), (3, 1, 8, 8))
    """

    def __init__(
        self,
        channels: int,
        widths: Any = (32, 64),
        *,
        blocks: int = 1,
        classes: int | None = None,
        context_dim: int = 64,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        own = {"rng": np.random.default_rng(rng), "dtype": dtype}
        self.channels, self.context_dim = check_count("channels", channels), check_even("context_dim", context_dim)
        widths = as_widths("widths", widths)
        if not widths:
            raise ValueError("widths must hold at least one level; got none")
        self.classes = None if classes is None else check_count("classes", classes)

        def level(in_channels: int, out_channels: int) -> ContextBlocks:
            return ContextBlocks(in_channels, out_channels, self.context_dim, blocks, **own)

        self.time = Sequential(
            Affine(self.context_dim, self.context_dim, **own),
            SiLU(),
            Affine(self.context_dim, self.context_dim, init=xavier_normal, **own),
        )
        self.label = None if self.classes is None else Embedding(self.classes + 1, self.context_dim, **own)
        pairs = list(itertools.pairwise(widths))
        self.first = Conv2D(self.channels, widths[0], 3, padding=1, **own)
        self.down = [level(wide, wide) for wide, _ in pairs]
        self.shrink = [Conv2D(wide, deep, 3, stride=2, padding=1, **own) for wide, deep in pairs]
        self.middle = level(widths[-1], widths[-1])
        self.grow = [Sequential(Upsample(2), Conv2D(deep, wide, 3, padding=1, **own)) for wide, deep in pairs[::-1]]
        self.up = [level(2 * wide, wide) for wide, _ in pairs[::-1]]
        self.last = Conv2D(widths[0], self.channels, 3, padding=1, init=normal(1e-2), **own)  # starts near no noise

    def forward(self, x, t, y=None):
        x = as_images(x, self.channels, self.last.W.value.dtype)
        multiple = 2 ** len(self.down)
        if x.shape[2] % multiple or x.shape[3] % multiple:
            raise ValueError(
                f"x must have a height and a width that are multiples of {multiple}, to be halved {len(self.down)} "
                f"times; got {x.shape}. Pad the images, or use fewer widths"
            )
        context, skips = self._context(x, t, y), []
        h = self.first.forward(x)
        for level, shrink in zip(self.down, self.shrink):
            skips.append(level.forward(h, context))
            h = shrink.forward(skips[-1])
        h = self.middle.forward(h, context)
        for level, grow in zip(self.up, self.grow):
            h = level.forward(np.concatenate([grow.forward(h), skips.pop()], axis=1), context)
        return self.last.forward(h)

    def backward(self, dout):
        dh, dskips, dcontext = self.last.backward(dout), [], 0.0
        for level, grow in reversed(list(zip(self.up, self.grow))):
            dboth, d = level.backward(dh)
            dgrown, dskip = np.split(dboth, 2, axis=1)
            dh, dcontext = grow.backward(dgrown), dcontext + d  # all levels are told the context: gradients add
            dskips.append(dskip)
        dh, d = self.middle.backward(dh)
        dcontext = dcontext + d
        for level, shrink in reversed(list(zip(self.down, self.shrink))):
            dh, d = level.backward(shrink.backward(dh) + dskips.pop())  # went down and across: gradients add
            dcontext = dcontext + d
        self.time.add_grads(dcontext)
        if self.label is not None:
            self.label.backward(dcontext)
        return self.first.backward(dh)

    def _context(self, x, t, y):
        context = self.time.forward(embed_times(t, x, self.context_dim))
        if self.label is None:
            if y is not None:
                raise ValueError("y must be left out of a model without classes. Make it with UNet(..., classes=K)")
            return context
        y = np.full(len(x), self.classes) if y is None else check_indices("y", y, len(self.label.W.value))
        if y.shape != (len(x),):
            raise ValueError(f"y must have shape ({len(x)},), one label an image of x; got {y.shape}")
        return context + self.label.forward(y)


class ContextBlocks(Layer):
    """`ContextBlock` after `ContextBlock`, all told the same."""

    def __init__(self, in_channels: int, out_channels: int, context_dim: int, blocks: int, **own: Any) -> None:
        inputs = [in_channels, *[out_channels] * (check_count("blocks", blocks) - 1)]
        self.blocks = [ContextBlock(channels, out_channels, context_dim, **own) for channels in inputs]

    def forward(self, x, context):
        for block in self.blocks:
            x = block.forward(x, context)
        return x

    def backward(self, dout):
        dcontext = 0.0
        for block in reversed(self.blocks):
            dout, d = block.backward(dout)
            dcontext = dcontext + d
        return dout, dcontext


class ContextBlock(Layer):
    r"""A residual block whose channels a context, (N, E), scales and shifts between its two convolutions.

    .. math:: \text{out} = \text{second}(\text{first}(x) \odot (1 + s) + b) + \text{shortcut}(x), \qquad
              [s, b] = \text{told}(\text{context})
    """

    def __init__(self, in_channels: int, out_channels: int, context_dim: int, *, rng: Any, dtype: Any) -> None:
        own = {"rng": rng, "dtype": dtype}

        def conv(channels: int) -> list[Layer]:
            norm = GroupNorm(math.gcd(8, out_channels), out_channels, dtype=dtype)
            return [Conv2D(channels, out_channels, 3, padding=1, **own), norm]

        self.first = Sequential(*conv(in_channels))
        self.told = Sequential(SiLU(), Affine(context_dim, 2 * out_channels, init=xavier_normal, **own))
        self.second = Sequential(SiLU(), *conv(out_channels), SiLU())
        self.shortcut = Conv2D(in_channels, out_channels, 1, **own) if in_channels != out_channels else None

    def forward(self, x, context):
        h, told = self.first.forward(x), self.told.forward(context)
        scale, shift = np.split(told[:, :, None, None], 2, axis=1)  # (N, F, 1, 1) each
        self.cache = h, scale
        out = self.second.forward(h * (1 + scale) + shift)
        return out + (x if self.shortcut is None else self.shortcut.forward(x))

    def backward(self, dout):
        h, scale = self.cache
        dh = self.second.backward(dout)
        dtold = np.concatenate([(dh * h).sum(axis=(2, 3)), dh.sum(axis=(2, 3))], axis=1)  # were broadcast over pixels
        dx = self.first.backward(dh * (1 + scale))
        dx = dx + (dout if self.shortcut is None else self.shortcut.backward(dout))  # x was used twice: gradients add
        return dx, self.told.backward(dtold)
