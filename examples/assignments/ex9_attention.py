"""Attention: every query looks at every key, and takes of their values what fits.

Check with ``python -m gradcheck examples/assignments/ex9_attention.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def attention_forward(q, k, v):
    """softmax(q @ k^T / sqrt(D)) @ v, for each example.

    Inputs:
    - q: queries of shape (N, T, D)
    - k: keys of shape (N, S, D)
    - v: values of shape (N, S, M)

    Returns a tuple of:
    - out: array of shape (N, T, M)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def attention_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of attention_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns a tuple of:
    - dq, dk, dv: of the shapes of q, k and v
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
