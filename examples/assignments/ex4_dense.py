"""The dense net: affine, ReLU, and two losses.

Check with ``python -m gradcheck examples/assignments/ex4_dense.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def affine_forward(x, w, b):
    """Each example, as one row, times w, plus b.

    Inputs:
    - x: input of shape (N, d_1, ..., d_k)
    - w: weights of shape (D, M), D = d_1 * ... * d_k
    - b: biases of shape (M,)

    Returns a tuple of:
    - out: array of shape (N, M)
    - cache: (x, w, b)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def affine_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of affine_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx: of the shape of x
    - dw: of the shape of w
    - db: of shape (M,)
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def relu_forward(x):
    """Compute out = max(x, 0), entry by entry.

    Inputs:
    - x: input of any shape

    Returns a tuple of:
    - out: array
    - cache: x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def relu_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of relu_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dx: gradient of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def softmax_loss(x, y):
    """The mean over the examples of -log of the label's softmax probability, and its gradient.

    Subtract each row's largest score first: exp(1000) is infinite.

    Inputs:
    - x: scores of shape (N, C)
    - y: labels of shape (N,), 0 <= y[i] < C

    Returns a tuple of:
    - loss: a number
    - dx: gradient of the scores
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def svm_loss(x, y):
    """The mean over the examples of sum_j max(0, x_j - x_y + 1), j not the label, and its gradient.

    Inputs:
    - x: scores of shape (N, C)
    - y: labels of shape (N,), 0 <= y[i] < C

    Returns a tuple of:
    - loss: a number
    - dx: gradient of the scores
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
