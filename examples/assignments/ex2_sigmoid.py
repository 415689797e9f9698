"""A sigmoid in stages: 1 / (1 + exp(-x)) is four gates in a row, and backward walks through them from the end.

Check with ``python -m gradcheck examples/assignments/ex2_sigmoid.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def sigmoid_forward(x):
    """Compute out = 1 / (1 + exp(-x)) in four stages: a = -x, b = exp(a), c = 1 + b, out = 1 / c.

    Inputs:
    - x: array of shape (N, D)

    Returns a tuple of:
    - out: array
    - cache: those of the stages that backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def sigmoid_backward(dout, cache):
    """Gradients of the loss with respect to the input of sigmoid_forward, a stage at a time: dc, db, da, dx.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dx: gradient of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
