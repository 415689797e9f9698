"""What an image shows and how it is painted, as losses of features: content, style, and smoothness."""

import numpy as np

from ._checks import check_range, check_same_shape
from .base import Layer


class GramMatrix(Layer):
    r"""Which channels light up together: :math:`G_{ncd} = \frac{1}{CHW} \sum_{hw} x_{nchw} x_{ndhw}`.

    From (N, C, H, W) to (N, C, C). Where in the image is summed away; what is left is called style [1]_. With
    ``normalize=False`` it is the bare sum.

    Notes
    -----
    CS231n divides by C H W, as here; the paper divides the loss.

    References
    ----------
    .. [1] Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural Networks"

    Examples
    --------
    >>> GramMatrix().forward(np.array([[[[1.0, 2.0]], [[0.0, 3.0]]]]))
    array([[[1.25, 1.5 ],
            [1.5 , 2.25]]])
    """

    def __init__(self, *, normalize=True):
        self.normalize = normalize

    def forward(self, x):
        N, C, H, W = _as_images(x).shape
        flat = np.reshape(x, (N, C, H * W))
        scale = 1 / max(1, C * H * W) if self.normalize else 1.0
        self.cache = flat, scale, np.shape(x)
        return flat @ flat.transpose(0, 2, 1) * scale

    def backward(self, dout):
        flat, scale, shape = self.cache
        return ((dout + dout.transpose(0, 2, 1)) @ flat * scale).reshape(shape)


class ContentLoss(Layer):
    r"""How far features are from those of another image: :math:`w \sum (x - y)^2`.

    Parameters
    ----------
    weight : float >= 0, default 1
        w, of this loss among others.

    Examples
    --------
    >>> loss = ContentLoss(0.5)
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.0
    >>> loss.backward()
    array([[ 0., -2.]])
    """

    def __init__(self, weight=1.0):
        self.weight = check_range("weight", weight, 0, np.inf)

    def forward(self, x, y):
        x = _as_float(x)
        y = np.asarray(y, x.dtype)
        check_same_shape("y", y, "x", x)
        self.cache = x - y
        return self.weight * float(np.vdot(self.cache, self.cache))

    def backward(self, dout=1.0):
        return self.cache * (2 * self.weight * float(dout))


class StyleLoss(Layer):
    r"""How far the style of features is from another's: :math:`w \sum (G(x) - G)^2`, of `GramMatrix`.

    ``forward(x, gram)`` takes features (N, C, H, W) and the Gram matrices (N, C, C) to come near to.

    Parameters
    ----------
    weight : float >= 0, default 1
        w, of this loss among others.

    Examples
    --------
    >>> loss, x = StyleLoss(), np.array([[[[1.0, 2.0]], [[0.0, 3.0]]]])
    >>> loss.forward(x, GramMatrix().forward(x[..., ::-1]))  # turned round, it is painted alike
    0.0
    """

    def __init__(self, weight=1.0):
        self.gram = GramMatrix()
        self.distance = ContentLoss(weight)

    def forward(self, x, gram):
        return self.distance.forward(self.gram.forward(x), gram)

    def backward(self, dout=1.0):
        return self.gram.backward(self.distance.backward(dout))


class TotalVariationLoss(Layer):
    r"""How rough an image is: :math:`w \sum (x_{h+1,w} - x_{hw})^2 + (x_{h,w+1} - x_{hw})^2`.

    Parameters
    ----------
    weight : float >= 0, default 1
        w, of this loss among others.

    Examples
    --------
    >>> loss = TotalVariationLoss()
    >>> loss.forward(np.array([[[[1.0, 1.0, 4.0]]]]))
    9.0
    >>> loss.backward()
    array([[[[ 0., -6.,  6.]]]])
    """

    def __init__(self, weight=1.0):
        self.weight = check_range("weight", weight, 0, np.inf)

    def forward(self, x):
        x = _as_float(_as_images(x))
        down, right = np.diff(x, axis=2), np.diff(x, axis=3)
        self.cache = down, right, x.shape
        return self.weight * (float(np.vdot(down, down)) + float(np.vdot(right, right)))

    def backward(self, dout=1.0):
        down, right, shape = self.cache
        dx = np.zeros(shape, down.dtype)
        dx[:, :, 1:] += down
        dx[:, :, :-1] -= down
        dx[:, :, :, 1:] += right
        dx[:, :, :, :-1] -= right
        return dx * (2 * self.weight * float(dout))


def _as_images(x):
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"x must have shape (N, C, H, W); got {x.shape}")
    return x


def _as_float(x):
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)
