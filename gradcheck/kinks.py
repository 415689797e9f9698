"""Kinks: where the slopes on both sides differ, and any value between the two is a valid gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SMOOTH, KINK, JUMP = 0.25, 0.5, 1.0  # D(h / 2) / D(h) of the second difference D(h) = f(x + h) - 2 f(x) + f(x - h)
BESIDE = 1e-2  # how far to step aside from a kink, in units of the size of x


class Sides(NamedTuple):
    """The slopes to the left and to the right of a kink, the lower one first."""

    low: float
    high: float
    slack: float  # what a value may lie outside of them by rounding

    def admit(self, slope: float) -> bool:
        """Whether a slope lies between both sides."""
        return self.low - self.slack <= slope <= self.high + self.slack


def bends(second: float, half_second: float, noise: float) -> bool:
    """Whether second differences D(h) and D(h/2) tell of a kink or a jump, and not of curvature.

    They shrink to a quarter with half the step where f is smooth, to a half at a kink, to 0.707 at the cusp of a
    square root, and not at all at a jump. Differences within the noise tell nothing.
    """
    return abs(second) > 20 * noise and half_second / second > 0.4


def sides(half_up: float, half_down: float, h: float, noise: float) -> Sides:
    """Both slopes from the rises of f by steps of h/2 up and down."""
    low, high = sorted((-half_down / (h / 2), half_up / (h / 2)))
    return Sides(low, high, 1e-3 * (high - low) + 10 * noise / h)


def beside(x: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """`x` with every entry moved a little, each by another step that is not near 0: off its kinks and ties."""
    steps = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    return np.asarray(x + BESIDE * scale * steps)
