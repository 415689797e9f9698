"""A sigmoid in stages: 1 / (1 + exp(-x)) is four gates in a row, and backward walks through them from the end.

Check with ``python -m gradcheck examples/assignments/02_sigmoid.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def staged_sigmoid_forward(x):
    """Compute out = 1 / (1 + exp(-x)). Name each stage, and each stage's gradient after it: da of a.

    Inputs:
    - x: array of shape (N, D)

    Returns a tuple of:
    - out: array
    - cache: the stages that backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def staged_sigmoid_backward(dout, cache):
    """Gradients of the loss with respect to what forward took.

    Inputs:
    - dout: gradient of each output, of its shape
    - cache: what forward left

    Returns
    -------
    - dx: gradient of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
