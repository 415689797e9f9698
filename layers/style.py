"""What an image shows and how it is painted, as losses of features: content, style, and smoothness.

Style transfer descends the sum of the three, each with a weight, with respect to an image. All are sums, not means, as
in CS231n: their weights are per squared unit.
"""

import numpy as np

from ._checks import check_range, check_same_shape
from ._images import as_images
from .base import Layer


class GramMatrix(Layer):
    r"""Which channels light up together: :math:`G_{ncd} = \frac{1}{CHW} \sum_{hw} x_{nchw} x_{ndhw}`.

    From (N, C, H, W) to (N, C, C). Where in the image is summed away; what is left is called style [1]_. As each x
    stands once on the left and once on the right,

    .. math:: dx_{nchw} = \frac{1}{CHW} \sum_d (dG_{ncd} + dG_{ndc}) \, x_{ndhw}

    Parameters
    ----------
    normalize : bool, default True
        Whether the sum is divided by C H W, so that layers of all sizes have Gram matrices of one size.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W).
    TypeError
        If `x` does not hold floats.

    Notes
    -----
    CS231n's ``gram_matrix``, with its option of the same name. The paper has the bare sum, and divides its loss by
    4 C^2 (H W)^2: a quarter of `StyleLoss`.

    References
    ----------
    .. [1] Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural Networks", eqs. 3 to 6

    Examples
    --------
    >>> GramMatrix().forward(np.array([[[[1.0, 2.0]], [[0.0, 3.0]]]]))
    array([[[1.25, 1.5 ],
            [1.5 , 2.25]]])
    """

    def __init__(self, *, normalize=True):
        self.normalize = bool(normalize)

    def forward(self, x):
        x = as_images(x)
        N, C, H, W = x.shape
        flat = x.reshape(N, C, H * W)
        scale = 1 / max(1, C * H * W) if self.normalize else 1.0
        self.cache = flat, scale, x.shape
        return flat @ flat.transpose(0, 2, 1) * scale

    def backward(self, dout):
        flat, scale, shape = self.cache
        return ((dout + dout.transpose(0, 2, 1)) @ flat * scale).reshape(shape)


class ContentLoss(Layer):
    r"""How far features are from those of another image: :math:`w \sum (x - y)^2`, with the slope :math:`2 w (x - y)`.

    ``forward(x, y)`` takes two arrays of one shape; `y` is data, nothing flows into it.

    Parameters
    ----------
    weight : float >= 0, default 1.0
        w, of this loss among others.

    Raises
    ------
    ValueError
        If `y` has another shape than `x`; they are never broadcast.

    Notes
    -----
    CS231n's ``content_loss``; the paper [1]_ has a factor 1/2. `MSELoss` is the mean.

    References
    ----------
    .. [1] Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural Networks", eq. 1

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
        x = np.asarray(x)
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        y = np.asarray(y, x.dtype)
        check_same_shape("y", y, "x", x)
        diff = x - y
        self.cache = diff
        return self.weight * float(np.vdot(diff, diff))

    def backward(self, dout=1.0):
        diff = self.cache
        return diff * (2 * self.weight * float(dout))


class StyleLoss(Layer):
    r"""How far the style of features is from another's: :math:`w \sum (G(x) - G)^2`, with `GramMatrix`.

    ``forward(x, gram)`` takes features (N, C, H, W) and the Gram matrices (N, C, C) to come near to, which may be of
    images of other sizes. Backward is that of `ContentLoss`, then that of `GramMatrix`.

    Parameters
    ----------
    weight : float >= 0, default 1.0
        w, of this layer of features among others.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W), or `gram` not (N, C, C).
    TypeError
        If `x` does not hold floats.

    Notes
    -----
    CS231n's ``style_loss`` is the sum of these over some layers of a net.

    References
    ----------
    .. [1] Gatys, Ecker and Bethge (2016), "Image Style Transfer Using Convolutional Neural Networks", eqs. 4 and 5

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
        own, gram = self.gram.forward(x), np.asarray(gram)
        if gram.shape != own.shape:
            raise ValueError(
                f"gram must have shape {own.shape}, (N, C, C) for the C channels of x; got {gram.shape}. "
                "Make it with GramMatrix, of features of the same layer of the net"
            )
        return self.distance.forward(own, gram)

    def backward(self, dout=1.0):
        return self.gram.backward(self.distance.backward(dout))


class TotalVariationLoss(Layer):
    r"""How rough an image is: :math:`w \sum (x_{h+1,w} - x_{hw})^2 + (x_{h,w+1} - x_{hw})^2`, over images and channels.

    Each difference pushes its two pixels towards each other: :math:`dx_{h+1,w} \mathrel{+}= 2 w (x_{h+1,w} - x_{hw})`,
    and :math:`dx_{hw}` gets the same with a minus.

    Parameters
    ----------
    weight : float >= 0, default 1.0
        w, of this loss among others.

    Raises
    ------
    ValueError
        If `x` does not have shape (N, C, H, W).
    TypeError
        If `x` does not hold floats.

    Notes
    -----
    CS231n's ``tv_loss``. Total variation in the strict sense sums absolute differences; squares are smooth.

    References
    ----------
    .. [1] Mahendran and Vedaldi (2015), "Understanding Deep Image Representations by Inverting Them", section 2 with
       beta = 2, https://arxiv.org/abs/1412.0035

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
        x = as_images(x)
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
        dx *= 2 * self.weight * float(dout)
        return dx
