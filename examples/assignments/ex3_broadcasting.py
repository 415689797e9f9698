"""Broadcasting: what forward copies, backward sums.

Check with ``python -m gradcheck examples/assignments/ex3_broadcasting.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def scale_and_shift_forward(x, gamma, beta):
    """Compute out = gamma * x + beta, where each row of x meets the same gamma and beta.

    Inputs:
    - x: array of shape (N, D)
    - gamma: array of shape (D,)
    - beta: array of shape (D,)

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def scale_and_shift_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of scale_and_shift_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dgamma, dbeta: gradients, each of the shape of what it is of
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def outer_sum_forward(x, y):
    """out[i, j] = x[i] + y[j].

    Inputs:
    - x: array of shape (N,)
    - y: array of shape (D,)

    Returns a tuple of:
    - out: array of shape (N, D)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def outer_sum_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of outer_sum_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dy: gradients of x and y
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
