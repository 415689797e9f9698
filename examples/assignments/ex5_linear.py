"""Linear classifiers, loss and gradient in one function: with loops, then without.

Check with ``python -m gradcheck examples/assignments/ex5_linear.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def softmax_loss_naive(W, X, y, reg):
    """Softmax loss of the scores X @ W, with loops over examples and classes.

    Inputs:
    - W: weights of shape (D, C)
    - X: examples of shape (N, D)
    - y: labels of shape (N,), 0 <= y[i] < C
    - reg: strength of the regularization

    Returns a tuple of:
    - loss: a number, with reg * sum(W * W) added
    - dW: gradient of W
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def softmax_loss_vectorized(W, X, y, reg):
    """The same without a loop.

    Inputs:
    - W: weights of shape (D, C)
    - X: examples of shape (N, D)
    - y: labels of shape (N,), 0 <= y[i] < C
    - reg: strength of the regularization

    Returns a tuple of:
    - loss: a number, with reg * sum(W * W) added
    - dW: gradient of W
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def svm_loss_naive(W, X, y, reg):
    """Hinge loss of the scores X @ W with margin 1, with loops over examples and classes.

    Inputs:
    - W: weights of shape (D, C)
    - X: examples of shape (N, D)
    - y: labels of shape (N,), 0 <= y[i] < C
    - reg: strength of the regularization

    Returns a tuple of:
    - loss: a number, with reg * sum(W * W) added
    - dW: gradient of W
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def svm_loss_vectorized(W, X, y, reg):
    """The same without a loop.

    Inputs:
    - W: weights of shape (D, C)
    - X: examples of shape (N, D)
    - y: labels of shape (N,), 0 <= y[i] < C
    - reg: strength of the regularization

    Returns a tuple of:
    - loss: a number, with reg * sum(W * W) added
    - dW: gradient of W
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
