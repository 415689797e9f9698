"""Images: convolution, pooling, and norms over them.

Check with ``python -m gradcheck examples/assignments/ex7_images.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def conv_forward_naive(x, w, b, conv_param):
    """Slide each filter over each padded image; there is no flip.

    Inputs:
    - x: images of shape (N, C, H, W)
    - w: filters of shape (F, C, HH, WW)
    - b: biases of shape (F,)
    - conv_param: dict with stride, and pad, the zeros on each side

    Returns a tuple of:
    - out: array of shape (N, F, H', W'), H' = 1 + (H + 2 * pad - HH) // stride
    - cache: (x, w, b, conv_param)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def conv_backward_naive(dout, cache):
    """Gradients of the loss with respect to the inputs of conv_forward_naive.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dw, db: of the shapes of x, w and b
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def max_pool_forward_naive(x, pool_param):
    """The largest entry of each window; windows may overlap.

    Inputs:
    - x: images of shape (N, C, H, W)
    - pool_param: dict with pool_height, pool_width, stride

    Returns a tuple of:
    - out: array of shape (N, C, H', W'), H' = 1 + (H - pool_height) // stride
    - cache: (x, pool_param)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def max_pool_backward_naive(dout, cache):
    """Gradients of the loss with respect to the inputs of max_pool_forward_naive.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dx: of the shape of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    """Batch norm with one mean and variance for each channel, over N, H and W: batchnorm, after a reshape.

    Inputs:
    - x: images of shape (N, C, H, W)
    - gamma: scale of shape (C,)
    - beta: shift of shape (C,)
    - bn_param: dict as of batchnorm

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def spatial_batchnorm_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of spatial_batchnorm_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dgamma, dbeta: of the shapes of x, gamma and beta
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    """Normalize each example's channels in G groups, each over its C / G channels, H and W.

    Inputs:
    - x: images of shape (N, C, H, W)
    - gamma: scale of shape (1, C, 1, 1)
    - beta: shift of shape (1, C, 1, 1)
    - G: number of groups, a divisor of C
    - gn_param: dict, maybe with eps (1e-5)

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def spatial_groupnorm_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of spatial_groupnorm_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dgamma, dbeta: of the shapes of x, gamma and beta
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
