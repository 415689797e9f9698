"""Normalization and dropout.

Check with ``python -m gradcheck examples/assignments/ex6_normalization.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def batchnorm_forward(x, gamma, beta, bn_param):
    """Normalize each column by its mean and its biased variance, scale by gamma, shift by beta.

    In training the running mean and variance, kept in bn_param, follow those of the batch: running = momentum * running
    + (1 - momentum) * batch. In test mode they take the batch's place. The checker looks at training only.

    Inputs:
    - x: input of shape (N, D)
    - gamma: scale of shape (D,)
    - beta: shift of shape (D,)
    - bn_param: dict with mode 'train' or 'test', and maybe eps (1e-5), momentum (0.9), running_mean, running_var

    Returns a tuple of:
    - out: array of shape (N, D)
    - cache: whatever backward needs, of training mode
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def batchnorm_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of batchnorm_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx: of shape (N, D)
    - dgamma, dbeta: of shape (D,)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def batchnorm_backward_alt(dout, cache):
    """The same gradients in closed form: simplify on paper first.

    Inputs and returns are those of batchnorm_backward.
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def layernorm_forward(x, gamma, beta, ln_param):
    """Normalize each row by its mean and its biased variance, scale by gamma, shift by beta.

    Inputs:
    - x: input of shape (N, D)
    - gamma: scale of shape (D,)
    - beta: shift of shape (D,)
    - ln_param: dict, maybe with eps (1e-5)

    Returns a tuple of:
    - out: array of shape (N, D)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def layernorm_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of layernorm_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx: of shape (N, D)
    - dgamma, dbeta: of shape (D,)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def dropout_forward(x, dropout_param):
    """Inverted dropout: in training keep each entry with probability p and divide it by p; else do nothing.

    Inputs:
    - x: input of any shape
    - dropout_param: dict with p, the probability to keep, mode 'train' or 'test', and maybe seed

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def dropout_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of dropout_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dx: gradient of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
