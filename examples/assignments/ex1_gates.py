"""Gates: the atoms of every net. Each knows its own local derivative, and nothing of the others.

Check with ``python -m gradcheck examples/assignments/ex1_gates.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def add_forward(x, y):
    """Compute out = x + y, entry by entry.

    Inputs:
    - x: array of shape (N, D)
    - y: array of shape (N, D)

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def add_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of add_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dy: gradients of x and y
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def multiply_forward(x, y):
    """Compute out = x * y, entry by entry: each input's gradient needs the other input.

    Inputs:
    - x: array of shape (N, D)
    - y: array of shape (N, D)

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def multiply_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of multiply_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dy: gradients of x and y
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def maximum_forward(x, y):
    """Compute out = max(x, y), entry by entry: the gradient goes to the larger one.

    Inputs:
    - x: array of shape (N, D)
    - y: array of shape (N, D)

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def maximum_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of maximum_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dy: gradients of x and y
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def power_forward(x, exponent=3):
    """Compute out = x ** exponent, entry by entry, for a whole exponent.

    Inputs:
    - x: array of shape (N, D)
    - exponent: a whole number

    Returns a tuple of:
    - out: array
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def power_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of power_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dx: gradient of x
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
