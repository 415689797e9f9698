"""Formulas of many passes over memory; `_formulas_compiled.py` has the same with fewer."""

from __future__ import annotations

import math
import sys
import types

import numpy as np

from ._numba import compiled

LEAST = 1 << 12  # elements of float32 for which the compiled formulas are, in training, worth the import of Numba

ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBIC = 0.044715 * ROOT_2_OVER_PI


def gelu_tanh(x, out):
    """Into `out`: x (1 + tanh u) / 2 with u = x (a + b x^2); never x**3, a float32 power is a hundred times slower."""
    u = x * (ROOT_2_OVER_PI + CUBIC * (x * x))
    np.multiply(0.5 * x, 1 + np.tanh(u, out=u), out=out)


def gelu_tanh_backward(x, dout, dx):
    """Into `dx`: dout (1 + t) (1 + (1 - t) x u') / 2, where t = tanh u is worked out again rather than kept."""
    square = CUBIC * (x * x)
    t = np.tanh(x * (ROOT_2_OVER_PI + square))
    slope = x * (ROOT_2_OVER_PI + 3 * square)  # x u'
    np.multiply(0.5 * dout, (1 + t) * (1 + (1 - t) * slope), out=dx)


def below_largest(scores):
    """In place, over keys: scores (B, S, T) less the largest of each query; -inf stays where a query has no key."""
    largest = scores.max(axis=1, keepdims=True, initial=-math.inf)
    largest[largest == -math.inf] = 0  # exp(-inf - 0) = 0 all along
    scores -= largest


def share(weights):
    """In place, over keys: weights (B, S, T) divided by their sum; a query without any key keeps weights 0."""
    total = weights.sum(axis=1, keepdims=True)
    total[total == 0] = 1
    weights /= total


def fastest(x: np.ndarray) -> types.ModuleType:
    """The module of these functions to use for `x`."""
    fits = x.dtype == np.float32 and x.size >= LEAST
    return (compiled("_formulas") if fits else None) or sys.modules[__name__]
