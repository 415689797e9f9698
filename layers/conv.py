"""Convolution of images and signals, and its transpose.

A convolution layer is the linear map `correlate` of `_correlate.py` and its two gradients. `ConvTranspose2D` is the
same map with forward and backward exchanged.
"""

import numpy as np

from . import _winograd
from ._checks import check_positive
from ._correlate import correlate, correlate_filters, correlate_transposed
from ._images import as_images, as_pair, channels_first, pixels_first, window_positions
from ._sums import column_sums
from ._threads import in_parts
from .base import Layer, Parameter
from .initializers import he_normal


class _Convolution(Layer):
    """What the three share: the arguments, the filters, their gradients."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        *,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        init=he_normal,
        rng=None,
        dtype=np.float32,
    ):
        self.in_channels = check_positive("in_channels", in_channels)
        self.out_channels = check_positive("out_channels", out_channels)
        self.groups = _check_groups(groups, self.in_channels, self.out_channels)
        self.kernel_size, self.stride = as_pair("kernel_size", kernel_size), as_pair("stride", stride)
        self.padding, self.dilation = as_pair("padding", padding, low=0), as_pair("dilation", dilation)
        self.W = Parameter(init(rng, (out_channels, in_channels // groups, *self.kernel_size), dtype))
        self.b = Parameter(np.zeros(out_channels, dtype), decay=False) if bias else None

    def _filters(self):
        """(F, C/G, HH, WW) -> (G, F/G, C/G, HH, WW)."""
        W = self.W.value
        return W.reshape(self.groups, len(W) // self.groups, W.shape[1], *self.kernel_size)

    def _bias(self):
        return None if self.b is None else self.b.value.reshape(self.groups, -1)

    def _grouped(self, images):
        """(N, C, H, W) -> (H, W, N, G, C/G); one image is not copied here: whoever reads it copies it anyway."""
        pixels = pixels_first(images) if len(images) > 1 else images.transpose(2, 3, 0, 1)
        return pixels.reshape(*pixels.shape[:3], self.groups, pixels.shape[3] // self.groups)

    def _add_parameter_grads(self, dfilters, dout):
        self.W.add_grad(dfilters.reshape(self.W.value.shape))
        if self.b is not None:
            rows = dout.reshape(-1, self.out_channels)
            sums = in_parts(lambda part: column_sums(rows[part]), len(rows), rows.size, product=rows.size)
            self.b.add_grad(sum(sums))  # b was broadcast over images and pixels


def _check_groups(groups, in_channels, out_channels):
    check_positive("groups", groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide in_channels and out_channels; got groups = {groups}, in_channels = {in_channels}, "
            f"out_channels = {out_channels}. Choose a common divisor"
        )
    return int(groups)


def _ungrouped(grouped):
    """(H, W, N, G, C/G) -> (N, C, H, W)."""
    return channels_first(grouped.reshape(*grouped.shape[:3], grouped.shape[3] * grouped.shape[4]))


class Conv2D(_Convolution):
    r"""Convolution of images with a bank of filters (the correlation that deep learning calls so).

    .. math:: \text{out}_{nfij} = b_f + \sum_{c,u,v} W_{fcuv} \,
              x_{n,\,c,\,i s + u d - p,\,j s + v d - p}

    with stride s, padding p, dilation d, and x = 0 outside of the image. A filter was used at every position, so its
    gradient sums over positions; a pixel was met by several windows, so its gradient sums over these:

    .. math:: dW_{fcuv} = \sum_{n,i,j} dout_{nfij} \, x_{n,\,c,\,i s + u d - p,\,j s + v d - p}, \qquad
              dx_{ncyx} = \sum_{f,u,v} W_{fcuv} \, dout_{nf,\,(y + p - u d)/s,\,(x + p - v d)/s}

    where the quotients are whole and inside of the output.

    Parameters
    ----------
    in_channels : int
        Channels C of an input (N, C, H, W).
    out_channels : int
        Filters F, the channels of the output (N, F, OH, OW) with OH = (H + 2 p - d (HH - 1) - 1) // s + 1.
    kernel_size : int or (int, int)
        Height HH and width WW of a filter.
    stride, padding, dilation : int or (int, int), default 1, 0, 1
        Pixels between windows; zeros added on each side; pixels between the taps of a filter.
    groups : int, default 1
        Groups G: the g-th F/G filters see the g-th C/G channels only, so that `W` has shape (F, C/G, HH, WW). G = C is
        the depthwise convolution.
    bias : bool, default True
        Whether `b` (F,) is added.
    init : callable, default he_normal
        ``init(rng, shape, dtype) -> ndarray`` for `W`; `b` starts at zero.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `in_channels`, H, W), if the filter is larger than the padded image, or if
        `groups` does not divide both channel numbers.

    Notes
    -----
    PyTorch's ``Conv2d`` and CS231n's ``conv_forward_naive`` use the same shapes, formula and rounding of OH.

    In float32 many products with 3 x 3 filters at stride 1 go Winograd's way [3]_, by tiles of 4 x 4 outputs: the
    rounding error is some 5e-6 of the largest output, and nan or inf in a pixel makes nan of its tiles, not of its
    windows alone. Where pixels are few, tiles are 2 x 2, which round as windows do. In float64 all goes by the formula.

    References
    ----------
    .. [1] CS231n, "Convolutional Networks", https://cs231n.github.io/convolutional-networks/
    .. [2] Dumoulin and Visin (2016), "A guide to convolution arithmetic", https://arxiv.org/abs/1603.07285
    .. [3] Lavin and Gray (2015), "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308

    Examples
    --------
    >>> layer = Conv2D(3, 8, kernel_size=3, padding=1, stride=2, rng=0)
    >>> layer.forward(np.ones((2, 3, 7, 5))).shape
    (2, 8, 4, 3)
    """

    def forward(self, x):
        return self._forward(as_images(x, self.in_channels, self.W.value.dtype))

    def backward(self, dout):
        return self._backward(dout)

    def add_grads(self, dout):
        self._add_grads(self._grouped(dout))

    def _forward(self, x):
        size = window_positions(x.shape[2:], self.kernel_size, self.stride, self.padding, self.dilation)
        x, filters = self._grouped(x), self._filters()
        out = np.empty((*size, x.shape[2], self.groups, filters.shape[1]), x.dtype)
        winograd = _winograd.forward_way(filters, out, self.stride, self.dilation)
        if winograd:
            bias = np.zeros(len(filters[0]), out.dtype) if self.b is None else self.b.value
            winograd(x[..., 0, :], filters[0], bias, out[..., 0, :], self.padding)
        else:
            correlate(x, filters, out, self.stride, self.padding, self.dilation, self._bias())
        self.cache = x
        return _ungrouped(out)

    def _backward(self, dout):
        x, dout = self.cache, self._grouped(dout)
        dx = np.empty(x.shape, x.dtype)
        if self._winograd(dout):
            self._add_grads(dout, dx)
        else:
            self._add_grads(dout)
            correlate_transposed(dout, self._filters(), dx, self.stride, self.padding, self.dilation)
        return _ungrouped(dx)

    def _add_grads(self, dout, dx=None):
        """Add the gradients of the parameters; Winograd's way, also write that of `x` into `dx`."""
        x = self.cache
        if self._winograd(dout):
            into = None if dx is None else dx[..., 0, :]
            dfilters = _winograd.gradients(x[..., 0, :], dout[..., 0, :], self._filters()[0], self.padding, into)
        else:
            dfilters = correlate_filters(x, dout, self.kernel_size, self.stride, self.padding, self.dilation)
        self._add_parameter_grads(dfilters, dout)

    def _winograd(self, out):
        return _winograd.pays(self._filters(), out, self.stride, self.dilation)


class Conv1D(Conv2D):
    r"""Convolution of signals (N, C, T): `Conv2D` on images of height 1.

    .. math:: \text{out}_{nfi} = b_f + \sum_{c,u} W_{fcu} \, x_{n,\,c,\,i s + u d - p}

    Parameters
    ----------
    in_channels, out_channels : int
        Channels C of an input (N, C, T) and F of the output (N, F, OT), OT = (T + 2 p - d (K - 1) - 1) // s + 1.
    kernel_size : int
        Steps K of a filter; `W` has shape (F, C/G, K).
    stride, padding, dilation : int, default 1, 0, 1
        Steps between windows; zeros added at each end; steps between the taps of a filter.
    groups, bias, init, rng, dtype
        As in `Conv2D`.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `in_channels`, T), if the filter is larger than the padded signal, or if `groups`
        does not divide both channel numbers.

    Examples
    --------
    >>> layer = Conv1D(1, 1, kernel_size=3, init=lambda rng, shape, dtype: np.ones(shape, dtype))
    >>> layer.forward(np.array([[[1.0, 2.0, 3.0, 4.0]]]))
    array([[[6., 9.]]], dtype=float32)
    """

    def __init__(self, in_channels, out_channels, kernel_size, *, stride=1, padding=0, dilation=1, **options):
        kernel_size, stride = check_positive("kernel_size", kernel_size), check_positive("stride", stride)
        super().__init__(
            in_channels,
            out_channels,
            (1, kernel_size),
            stride=(1, stride),
            padding=(0, check_positive("padding", padding, low=0)),
            dilation=(1, check_positive("dilation", dilation)),
            **options,
        )
        self.W = Parameter(self.W.value[:, :, 0])

    def forward(self, x):
        return self._forward(as_images(x, self.in_channels, self.W.value.dtype, axes="T")[:, :, None])[:, :, 0]

    def backward(self, dout):
        return self._backward(dout[:, :, None])[:, :, 0]

    def add_grads(self, dout):
        self._add_grads(self._grouped(dout[:, :, None]))


class ConvTranspose2D(_Convolution):
    r"""Transposed convolution: each pixel of `x` paints its filter, scaled, into a larger image.

    .. math:: \text{out}_{nf,\,i s + u d - p,\,j s + v d - p} \mathrel{+}= W_{cfuv} \, x_{ncij}

    As a linear map it is the transpose of `Conv2D` with the same filters and the channels exchanged: its forward is
    that layer's backward, and its backward that layer's forward.

    Parameters
    ----------
    in_channels : int
        Channels C of an input (N, C, H, W).
    out_channels : int
        Channels F of the output (N, F, OH, OW) with OH = (H - 1) s - 2 p + d (HH - 1) + 1 + `output_padding`.
    kernel_size : int or (int, int)
        Height HH and width WW of a filter; `W` has shape (C, F/G, HH, WW).
    stride, padding, dilation : int or (int, int), default 1, 0, 1
        Pixels between the places of neighbours; pixels cut off at each side; pixels between the taps of a filter.
    output_padding : int or (int, int), default 0
        Rows and columns added below and right, less than stride or dilation: it chooses one of the sizes that
        `Conv2D` would map onto H, W.
    groups, bias, init, rng, dtype
        As in `Conv2D`; `init` is asked for filters (F, C/G, HH, WW), so that a fan-in counts the channels of the input.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `in_channels`, H, W), if nothing is left of the output, or if `groups` does not
        divide both channel numbers.

    References
    ----------
    .. [1] Dumoulin and Visin (2016), "A guide to convolution arithmetic", chapter 4, https://arxiv.org/abs/1603.07285

    Examples
    --------
    >>> layer = ConvTranspose2D(3, 8, kernel_size=4, stride=2, padding=1, rng=0)
    >>> layer.forward(np.ones((2, 3, 5, 7))).shape
    (2, 8, 10, 14)
    """

    def __init__(self, in_channels, out_channels, kernel_size, *, output_padding=0, **options):
        super().__init__(in_channels, out_channels, kernel_size, **options)
        self.output_padding = as_pair("output_padding", output_padding, low=0)
        if any(o >= max(s, d) for o, s, d in zip(self.output_padding, self.stride, self.dilation)):
            raise ValueError(
                f"output_padding must be less than stride {self.stride} or dilation {self.dilation}; "
                f"got {self.output_padding}. It chooses among the sizes that the stride rounds off"
            )
        G, W = self.groups, self.W.value
        grouped = W.reshape(G, -1, *W.shape[1:]).swapaxes(1, 2)  # (G, C/G, F/G, HH, WW)
        self.W = Parameter(grouped.reshape(in_channels, -1, *self.kernel_size))

    def forward(self, x):
        x = as_images(x, self.in_channels, self.W.value.dtype)
        height, width = (
            (n - 1) * s - 2 * p + d * (k - 1) + 1 + o
            for n, s, p, d, k, o in zip(
                x.shape[2:], self.stride, self.padding, self.dilation, self.kernel_size, self.output_padding
            )
        )
        if height < 1 or width < 1:
            raise ValueError(
                f"padding must leave something of the output; got {(height, width)} for x {x.shape}, "
                f"kernel_size {self.kernel_size}, padding {self.padding}. Pad less, or give a larger image"
            )
        x = self._grouped(x)
        out = np.empty((height, width, x.shape[2], self.groups, self.out_channels // self.groups), x.dtype)
        correlate_transposed(x, self._filters(), out, self.stride, self.padding, self.dilation, self._bias())
        self.cache = x
        return _ungrouped(out)

    def backward(self, dout):
        x, dout = self.cache, self._grouped(dout)
        self._add_grads(dout)
        dx = np.empty(x.shape, x.dtype)
        correlate(dout, self._filters(), dx, self.stride, self.padding, self.dilation)
        return _ungrouped(dx)

    def add_grads(self, dout):
        self._add_grads(self._grouped(dout))

    def _add_grads(self, dout):
        x = self.cache
        self._add_parameter_grads(
            correlate_filters(dout, x, self.kernel_size, self.stride, self.padding, self.dilation), dout
        )
