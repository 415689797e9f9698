"""Norms of images that look at one example at a time: group and instance normalization."""

import math

import numpy as np

from ._checks import check_positive, check_range
from ._images import as_images, channels_first, pixels_first
from .base import Layer, Parameter


class GroupNorm(Layer):
    r"""Normalize groups of channels of each image; the same in training and evaluation.

    .. math:: \text{out}_{nchw} = \gamma_c \hat x_{nchw} + \beta_c, \qquad
              \hat x_{nchw} = (x_{nchw} - \mu_{ng}) / \sqrt{\sigma^2_{ng} + \text{eps}}

    with the mean :math:`\mu_{ng}` and (biased) variance :math:`\sigma^2_{ng}` of the pixels of all C/G channels of
    group g, so that with :math:`d\hat x = dout\,\gamma` and means over the same pixels

    .. math:: dx = \frac{1}{\sqrt{\sigma^2 + \text{eps}}} \Big( d\hat x - \overline{d\hat x}
              - \hat x \, \overline{d\hat x\,\hat x} \Big)

    Parameters
    ----------
    num_groups : int
        Groups G, a divisor of `num_channels`. One group is layer normalization of a whole image.
    num_channels : int
        Channels C of an input (N, C, H, W).
    eps : float > 0, default 1e-5
        Added to the variance, in its units.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `num_groups` does not divide `num_channels`, or `x` does not have shape (N, `num_channels`, H, W).

    Notes
    -----
    PyTorch's ``GroupNorm``. CS231n's ``spatial_groupnorm_forward`` keeps gamma and beta as (1, C, 1, 1).

    References
    ----------
    .. [1] Wu and He (2018), "Group Normalization", https://arxiv.org/abs/1803.08494

    Examples
    --------
    >>> GroupNorm(1, 2).forward(np.array([[[[1.0]], [[3.0]]]])).round(3)
    array([[[[-1.]],
            [[ 1.]]]], dtype=float32)
    """

    def __init__(self, num_groups, num_channels, *, eps=1e-5, dtype=np.float32):
        C = check_positive("num_channels", num_channels)
        self.num_groups = check_positive("num_groups", num_groups)
        if C % self.num_groups:
            raise ValueError(f"num_groups must divide num_channels = {C}; got {num_groups}. Choose a divisor")
        self.eps = check_range("eps", eps, 0, math.inf, closed="neither")
        self.gamma = Parameter(np.ones(C, dtype), decay=False)
        self.beta = Parameter(np.zeros(C, dtype), decay=False)

    def forward(self, x):
        gamma = self.gamma.value
        x = as_images(x, len(gamma), gamma.dtype)
        x_hat = _pixels(x)
        x_hat = x_hat - self._means(x_hat)
        x_hat -= self._means(x_hat)  # the error of the first mean, not small far from 0 in float32
        inv_std = 1 / np.sqrt(self._means(x_hat * x_hat) + self.eps)  # (N, C)
        x_hat *= inv_std
        self.cache = x_hat, inv_std
        out = x_hat * gamma
        out += self.beta.value
        return _images(out, x.shape)

    def backward(self, dout):
        x_hat, inv_std = self.cache
        shape, dout = dout.shape, _pixels(dout)
        self.gamma.add_grad((dout * x_hat).sum(axis=(0, 1)))  # gamma and beta were broadcast over images and pixels
        self.beta.add_grad(dout.sum(axis=(0, 1)))
        dx_hat = dout * self.gamma.value
        dx = x_hat * -self._means(dx_hat * x_hat)  # through the variance
        dx -= self._means(dx_hat)  # through the mean
        dx += dx_hat
        dx *= inv_std
        return _images(dx, shape)

    def _means(self, pixels):
        """(H W, N, C) -> (N, C): at each channel the mean over the pixels of its group; 0 where there are none."""
        P, N, C = pixels.shape
        G = self.num_groups
        means = pixels.sum(axis=0).reshape(N, G, C // G).sum(axis=2) / max(1, P * C // G)
        return np.repeat(means, C // G, axis=1)


class InstanceNorm(GroupNorm):
    r"""Normalize each channel of each image over its pixels: `GroupNorm` with one channel a group.

    Parameters
    ----------
    num_channels : int
        Channels C of an input (N, C, H, W).
    eps : float > 0, default 1e-5
        Added to the variance, in its units.
    dtype : dtype, default float32
        Of the parameters, the outputs and the gradients.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, `num_channels`, H, W).

    Notes
    -----
    PyTorch's ``InstanceNorm2d`` has gamma and beta only with ``affine=True``, and refuses images of one pixel, whose
    output is beta here.

    References
    ----------
    .. [1] Ulyanov, Vedaldi and Lempitsky (2016), "Instance Normalization", https://arxiv.org/abs/1607.08022

    Examples
    --------
    >>> InstanceNorm(1).forward(np.array([[[[1.0, 3.0]]]])).round(3)
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    def __init__(self, num_channels, *, eps=1e-5, dtype=np.float32):
        super().__init__(num_channels, num_channels, eps=eps, dtype=dtype)


def _pixels(images):
    """(N, C, H, W) -> (H W, N, C)."""
    N, C, H, W = images.shape
    return pixels_first(images).reshape(H * W, N, C)


def _images(pixels, shape):
    """(H W, N, C) -> (N, C, H, W), the given shape."""
    N, C, H, W = shape
    return channels_first(pixels.reshape(H, W, N, C))
