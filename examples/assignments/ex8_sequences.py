"""Sequences: a step, then the loop over time, where gradients add.

Check with ``python -m gradcheck examples/assignments/ex8_sequences.py``; an unfinished function may wait.
"""

import numpy as np  # noqa: F401, for the solution


def word_embedding_forward(x, W):
    """Row x[n, t] of W for each word.

    Inputs:
    - x: words of shape (N, T), integers 0 <= x < V
    - W: one row for each word, of shape (V, D)

    Returns a tuple of:
    - out: array of shape (N, T, D)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def word_embedding_backward(dout, cache):
    """Gradients of the loss with respect to the inputs of word_embedding_forward.

    Inputs:
    - dout: gradient of out, of its shape
    - cache: what forward returned as cache

    Returns dW: of shape (V, D); a word that occurs twice adds twice
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    """next_h = tanh(x @ Wx + prev_h @ Wh + b).

    Inputs:
    - x: of shape (N, D)
    - prev_h: of shape (N, H)
    - Wx: of shape (D, H)
    - Wh: of shape (H, H)
    - b: of shape (H,)

    Returns a tuple of:
    - next_h: of shape (N, H)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def rnn_step_backward(dnext_h, cache):
    """Gradients of the loss with respect to the inputs of rnn_step_forward.

    Inputs:
    - dnext_h: gradient of next_h, of shape (N, H)
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dprev_h, dWx, dWh, db
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def rnn_forward(x, h0, Wx, Wh, b):
    """The step, over all of a sequence.

    Inputs:
    - x: of shape (N, T, D)
    - h0: of shape (N, H)
    - Wx: of shape (D, H)
    - Wh: of shape (H, H)
    - b: of shape (H,)

    Returns a tuple of:
    - h: of shape (N, T, H)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def rnn_backward(dh, cache):
    """Gradients of the loss with respect to the inputs of rnn_forward.

    Inputs:
    - dh: gradients of h, of all steps, of shape (N, T, H)
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dh0, dWx, dWh, db
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    """Gates i, f, o, g, in this order, from x @ Wx + prev_h @ Wh + b; next_c = f * prev_c + i * g.

    Inputs:
    - x: of shape (N, D)
    - prev_h, prev_c: of shape (N, H)
    - Wx: of shape (D, 4H)
    - Wh: of shape (H, 4H)
    - b: of shape (4H,)

    Returns a tuple of:
    - next_h: o * tanh(next_c), of shape (N, H)
    - next_c: of shape (N, H)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def lstm_step_backward(dnext_h, dnext_c, cache):
    """Gradients of the loss with respect to the inputs of lstm_step_forward.

    Inputs:
    - dnext_h, dnext_c: gradients of next_h and next_c, each of shape (N, H)
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dprev_h, dprev_c, dWx, dWh, db
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def lstm_forward(x, h0, Wx, Wh, b):
    """The step, over all of a sequence; the first c is 0.

    Inputs:
    - x: of shape (N, T, D)
    - h0: of shape (N, H)
    - Wx: of shape (D, 4H)
    - Wh: of shape (H, 4H)
    - b: of shape (4H,)

    Returns a tuple of:
    - h: of shape (N, T, H)
    - cache: whatever backward needs
    """
    raise NotImplementedError  # YOUR CODE, in place of this line


def lstm_backward(dh, cache):
    """Gradients of the loss with respect to the inputs of lstm_forward.

    Inputs:
    - dh: gradients of h, of all steps, of shape (N, T, H)
    - cache: what forward returned as cache

    Returns a tuple of:
    - dx, dh0, dWx, dWh, db
    """
    raise NotImplementedError  # YOUR CODE, in place of this line
