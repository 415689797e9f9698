"""Initial weights: ``init(rng, shape, dtype) -> ndarray``.

A weight of shape (D, M) has fan-in D and fan-out M; a filter of shape (F, C, HH, WW) has fan-in C * HH * WW and fan-out
F * HH * WW. The variance of the activations stays put over the layers where the variance of the weights is about
1 / fan-in [1]_, or 2 / fan-in under a ReLU, which silences half of them [2]_.

References
----------
.. [1] Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks",
   https://proceedings.mlr.press/v9/glorot10a.html
.. [2] He et al. (2015), "Delving Deep into Rectifiers", https://arxiv.org/abs/1502.01852
.. [3] LeCun et al. (1998), "Efficient BackProp"
.. [4] Saxe, McClelland and Ganguli (2013), "Exact solutions to the nonlinear dynamics of learning in deep linear
   neural networks", https://arxiv.org/abs/1312.6120
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

Initializer = Callable[[Any, tuple[int, ...], Any], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan-in, fan-out) of a weight (D, M), a filter (F, C, ...) or a vector (D,)."""
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    if len(shape) == 2:
        return shape[0], shape[1]
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def he_normal(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / fan-in), for ReLU [2]_."""
    return _normal(rng, shape, dtype, scale=math.sqrt(2 / max(1, fans(shape)[0])))


def he_uniform(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Uniform in +-sqrt(6 / fan-in), for ReLU [2]_."""
    return _uniform(rng, shape, dtype, bound=math.sqrt(6 / max(1, fans(shape)[0])))


def xavier_normal(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Normal with standard deviation sqrt(2 / (fan-in + fan-out)), for tanh and sigmoid [1]_."""
    return _normal(rng, shape, dtype, scale=math.sqrt(2 / max(1, sum(fans(shape)))))


def xavier_uniform(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Uniform in +-sqrt(6 / (fan-in + fan-out)), for tanh and sigmoid [1]_."""
    return _uniform(rng, shape, dtype, bound=math.sqrt(6 / max(1, sum(fans(shape)))))


glorot_normal = xavier_normal
glorot_uniform = xavier_uniform


def lecun_normal(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Normal with standard deviation sqrt(1 / fan-in), for linear units and SELU [3]_."""
    return _normal(rng, shape, dtype, scale=math.sqrt(1 / max(1, fans(shape)[0])))


def lecun_uniform(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Uniform in +-sqrt(3 / fan-in), for linear units and SELU [3]_."""
    return _uniform(rng, shape, dtype, bound=math.sqrt(3 / max(1, fans(shape)[0])))


def normal(scale: float = 1e-2) -> Initializer:
    """Normal with standard deviation `scale`, CS231n's ``weight_scale``, whatever the fans.

    Examples
    --------
    >>> normal(0.1)(0, (2, 3), np.float32).shape
    (2, 3)
    """
    return functools.partial(_normal, scale=scale)


def uniform(bound: float = 1e-2) -> Initializer:
    """Uniform in +-`bound`, whatever the fans."""
    return functools.partial(_uniform, bound=bound)


def orthogonal(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Orthonormal columns, or rows where they are fewer: the Q of a normal matrix, its signs made unique [4]_."""
    rows = shape[0]
    columns = math.prod(shape[1:])
    tall = np.random.default_rng(rng).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.where(np.diag(r) < 0, -1, 1)  # QR leaves the signs open; this makes Q uniform
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype)


def zeros(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """All zeros: right for biases and for a linear classifier; in a deeper net all units would stay equal."""
    return np.zeros(shape, dtype)


def _normal(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32, *, scale: float) -> np.ndarray:
    return (np.random.default_rng(rng).standard_normal(shape) * scale).astype(dtype)


def _uniform(rng: Any, shape: tuple[int, ...], dtype: Any = np.float32, *, bound: float) -> np.ndarray:
    return np.random.default_rng(rng).uniform(-bound, bound, shape).astype(dtype)
