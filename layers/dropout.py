"""Dropout: of elements, or of whole channels."""

import math

import numpy as np

from ._checks import check_range
from ._images import as_images
from .base import Layer


class Dropout(Layer):
    r"""Inverted dropout: zero each element with probability `rate`, and scale the others so that the mean stays.

    .. math:: \text{out}_i = m_i x_i / (1 - \text{rate}), \quad m_i \sim \text{Bernoulli}(1 - \text{rate})

    In evaluation mode it is the identity.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability that an element is zeroed.
    rng : numpy.random.Generator or int, optional
        Source of the masks.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1).

    Notes
    -----
    `rate` is the `p` of PyTorch's ``Dropout``; CS231n's `p` is the probability that an element is *kept*. The drawn
    probability is `rate` to the nearest 2**-16, because 16 random bits an element are drawn twice as fast as a float.

    References
    ----------
    .. [1] Srivastava et al. (2014), "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
       https://jmlr.org/papers/v15/srivastava14a.html

    Examples
    --------
    >>> layer = Dropout(0.5, rng=1)
    >>> layer.forward(np.ones((2, 4)))
    array([[2., 0., 2., 2.],
           [2., 2., 2., 2.]])
    >>> layer.eval().forward(np.ones((1, 4)))
    array([[1., 1., 1., 1.]])
    """

    def __init__(self, rate, *, rng=None):
        self.rate = check_range("rate", rate, 0, 1)
        self.rng = np.random.default_rng(rng)

    def forward(self, x):
        if not self.training or self.rate == 0:
            self.cache = None
            return x
        shape = self._mask_shape(x)
        size = math.prod(shape)
        drawn = self.rng.integers(0, 1 << 64, math.ceil(size / 4), np.uint64)  # of 16 bits each: half as fast
        keep = drawn.view(np.uint16)[:size].reshape(shape) >= round(self.rate * (1 << 16))
        self.cache = keep
        return self._masked(x, keep)

    def backward(self, dout):
        keep = self.cache
        return dout if keep is None else self._masked(dout, keep)

    def _mask_shape(self, x):
        return np.shape(x)

    def _masked(self, x, keep):
        out = x * (1 / (1 - self.rate))
        out *= keep
        return out


class Dropout2D(Dropout):
    r"""Spatial dropout: zero each channel of each image with probability `rate`, and scale the others.

    .. math:: \text{out}_{nchw} = m_{nc} x_{nchw} / (1 - \text{rate}), \quad
              m_{nc} \sim \text{Bernoulli}(1 - \text{rate})

    The pixels of a channel resemble their neighbours, so that zeroing some of them takes little away; a channel is the
    unit that others can come to lean on. In evaluation mode it is the identity.

    Parameters
    ----------
    rate : float in [0, 1)
        Probability that a channel is zeroed.
    rng : numpy.random.Generator or int, optional
        Source of the masks.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1), or `x` does not have shape (N, C, H, W).

    References
    ----------
    .. [1] Tompson et al. (2014), "Efficient Object Localization Using Convolutional Networks", section 3.2,
       https://arxiv.org/abs/1411.4280

    Examples
    --------
    >>> Dropout2D(0.5, rng=1).forward(np.ones((1, 3, 1, 2)))
    array([[[[2., 2.]],
            [[0., 0.]],
            [[2., 2.]]]])
    """

    def forward(self, x):
        return super().forward(as_images(x))

    def _mask_shape(self, x):
        return (*x.shape[:2], 1, 1)
