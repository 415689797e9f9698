"""Clipping gradients, in place: by value, or by their norm as one vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._checks import check_number


def clip_by_value(grads: Any, limit: float) -> None:
    """Force every entry into [-limit, limit].

    Parameters
    ----------
    grads : Optimizer or list of ndarray
        Changed in place.
    limit : float > 0
        In the units of the gradient.
    """
    limit = check_number("limit", limit, open_low=True)
    for grad in _arrays(grads):
        np.clip(grad, -limit, limit, out=grad)


def clip_by_global_norm(grads: Any, max_norm: float) -> float:
    r"""Scale all gradients by one factor so that their norm :math:`\sqrt{\sum g^2}` is at most `max_norm`.

    Parameters
    ----------
    grads : Optimizer or list of ndarray
        Changed in place.
    max_norm : float > 0
        In the units of the gradient.

    Returns
    -------
    float
        The norm before. NaN or infinity if a gradient is; then nothing is scaled, as no factor would help.

    References
    ----------
    .. [1] Pascanu, Mikolov and Bengio (2012), algorithm 1, https://arxiv.org/abs/1211.5063

    Examples
    --------
    >>> grad = np.array([3.0, 4.0])
    >>> clip_by_global_norm([grad], 1.0)
    5.0
    >>> grad
    array([0.6, 0.8])
    """
    max_norm = check_number("max_norm", max_norm, open_low=True)
    arrays = _arrays(grads)
    norm = math.hypot(*(_norm(grad) for grad in arrays))
    if max_norm < norm < math.inf:
        for grad in arrays:
            grad *= max_norm / norm
    return norm


def _norm(grad: np.ndarray) -> float:
    squares = float(np.vdot(grad, grad))
    if 1e-30 < squares < 1e30:
        return math.sqrt(squares)
    largest = float(np.abs(grad).max(initial=0.0))  # squares leave float32: scale them first
    return largest * float(np.linalg.norm(grad / largest)) if 0 < largest < math.inf else largest


def _arrays(grads: Any) -> list[np.ndarray]:
    return list(getattr(grads, "grads", grads))
