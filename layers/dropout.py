"""Dropout."""

import numpy as np

from ._checks import check_range
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
        words = self.rng.integers(0, 1 << 16, np.shape(x), np.uint16)
        keep = words >= round(self.rate * (1 << 16))
        self.cache = keep
        return self._masked(x, keep)

    def backward(self, dout):
        keep = self.cache
        return dout if keep is None else self._masked(dout, keep)

    def _masked(self, x, keep):
        out = x * (1 / (1 - self.rate))
        out *= keep
        return out
