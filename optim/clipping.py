"""Gradients kept within bounds, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ._checks import check_number


def clip_by_value(grads: Any, limit: float) -> None:
    r"""Clip every component to :math:`[-\text{limit}, \text{limit}]`, in place; NaN stays NaN.

    Parameters
    ----------
    grads : Optimizer, dict or iterable of Parameter, ndarray, or iterable of ndarray
        Whose gradients; arrays are the gradients themselves.
    limit : float > 0
        Largest absolute value.

    Examples
    --------
    >>> import numpy as np
    >>> grad = np.array([-3.0, 0.5])
    >>> clip_by_value(grad, 1.0)
    >>> grad
    array([-1. ,  0.5])
    """
    check_number("limit", limit, 0, open_low=True)
    for grad in _arrays(grads):
        np.clip(grad, -limit, limit, out=grad)


def clip_by_global_norm(grads: Any, max_norm: float) -> float:
    r"""Scale all gradients by one factor, in place, so that their joint norm is at most `max_norm`.

    .. math:: g \leftarrow g \min(1, \text{max\_norm} / \lVert g \rVert), \qquad
        \lVert g \rVert = \sqrt{\textstyle\sum_i g_i^2} \text{ over all parameters}

    Parameters
    ----------
    grads : Optimizer, dict or iterable of Parameter, ndarray, or iterable of ndarray
        Whose gradients; arrays are the gradients themselves.
    max_norm : float > 0
        Largest norm.

    Returns
    -------
    norm : float
        Before the clipping; right also where the squares leave the range of float32. NaN or infinite if a gradient
        is; nothing is clipped then, so that the fault stays in sight.

    Notes
    -----
    PyTorch adds 1e-6 to the norm in the quotient, and turns all gradients into NaN where one is.

    References
    ----------
    .. [1] Pascanu, Mikolov and Bengio (2013), algorithm 1, https://arxiv.org/abs/1211.5063

    Examples
    --------
    >>> import numpy as np
    >>> grads = [np.array([3.0]), np.array([0.0, 4.0])]
    >>> clip_by_global_norm(grads, 2.5)
    5.0
    >>> grads
    [array([1.5]), array([0., 2.])]
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be a number above 0; got {max_norm!r}")
    arrays = _arrays(grads)
    norm = math.hypot(*map(_norm, arrays))
    if max_norm < norm < math.inf:
        for grad in arrays:
            grad *= max_norm / norm
    return norm


def _norm(grad: np.ndarray) -> float:
    flat = grad.reshape(-1)
    blocks = (flat[start : start + 2**14] for start in range(0, flat.size, 2**14))  # float32 sums stay short
    with np.errstate(all="ignore"):
        squares = sum(float(np.dot(block, block)) for block in blocks)
    if 1e-30 < squares < math.inf:
        return math.sqrt(squares)
    peak = float(np.abs(flat).max(initial=0))  # too small or too large to be squared; or not finite
    return peak * math.sqrt(np.sum((flat / peak) ** 2)) if 0 < peak < math.inf else peak


def _arrays(grads: Any) -> list[np.ndarray]:
    """The gradient arrays of an optimizer, of parameters, or themselves."""
    if isinstance(grads, np.ndarray):
        return [grads]
    if hasattr(grads, "grads"):
        return list(grads.grads)
    if not isinstance(grads, Iterable):
        raise TypeError(f"grads must be an optimizer, parameters or arrays; got {type(grads).__name__}")
    items = grads.values() if isinstance(grads, Mapping) else grads
    return [item if isinstance(item, np.ndarray) else item.grad for item in items]
