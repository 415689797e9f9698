"""The test itself: slopes of the loss along random directions, of the numbers against the returned gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import kinks
from .numeric import EPS, Estimate, fit, size_of, sweep

CLEAN = 1e-8  # a gap below this share of the gradient's norm is no mistake
CLEAR = 10  # a mistake is a gap of more than this many estimated errors
RESOLVED = 1e-3  # fewer digits than three on the numeric side decide nothing

Forward = Callable[[Sequence[np.ndarray]], tuple[Any, ...]]


class Line:
    r"""The loss :math:`\langle \text{dout}, \text{forward}(\ldots, x + s, \ldots) \rangle` for steps s of one argument.

    Outputs are subtracted before they meet dout; where forward raises, or is not finite, the loss is NaN.
    """

    def __init__(self, forward: Forward, arrays: Sequence[np.ndarray], k: int, outs: Any, douts: Any) -> None:
        self._forward, self._arrays, self._k = forward, list(arrays), k
        self._outs, self._douts = outs, [0.0 if dout is None else dout for dout in douts]
        self.x = arrays[k]
        self.scale = size_of(self.x)
        self.precision = max([EPS, *(precision_of(out) for out in outs)])
        self.h = self.precision ** (1 / 3) * self.scale  # where truncation and rounding meet, if all is of size 1
        products = [np.linalg.norm(np.asarray(out, np.float64) * dout) for out, dout in zip(outs, self._douts)]
        self.rounding = self.precision * float(np.linalg.norm(products))
        self.quantum = 64 * float(np.finfo(np.float32).eps * np.linalg.norm(products))

    def outputs(self, step: np.ndarray) -> Any:
        """Forward at x + step."""
        arrays = [*self._arrays]
        arrays[self._k] = np.asarray(self.x + step)
        try:
            return self._forward(arrays)
        except (ValueError, ArithmeticError):  # outside of the function's domain
            return [np.full(np.shape(out), np.nan) for out in self._outs]

    def rise(self, to: np.ndarray, start: np.ndarray | None = None) -> float:
        """The loss at x + to less the loss at x + start, or at x."""
        before = self._outs if start is None else [np.array(out) for out in self.outputs(start)]  # may be a buffer
        after = self.outputs(to)
        with np.errstate(all="ignore"):
            return sum(
                float((d * np.subtract(b, a, dtype=np.float64)).sum()) for d, a, b in zip(self._douts, before, after)
            )

    def slope(self, u: np.ndarray, h: float) -> float:
        """The central difference, one step: two forwards."""
        return self.rise(h * u, -h * u) / (2 * h)

    def sweep(self, u: np.ndarray, scale: float | None = None) -> Estimate:
        """The slope with an estimate of its error: 36 forwards, at steps of up to a thirtieth of `scale`."""
        return sweep(
            lambda h: self.rise(h * u, -h * u), rounding=self.rounding, scale=scale or self.scale, quantum=self.quantum
        )

    def best_sweep(self, u: np.ndarray, size: float, norm: float) -> Estimate:
        """The slope by a sweep and, where that is too uncertain beside `norm`, by shorter and by longer steps.

        Those of an x of `size` near 0 meet no kink that is as near; long ones rise above the rounding of float32.
        """
        best = self.sweep(u)
        if 0 < size < 1e-2 and not resolved(best, norm):
            best = min(best, self.sweep(u, size), key=lambda found: found.error)
        noisy = self.precision > EPS or best.noise > 1e3 * self.rounding
        if noisy and not resolved(best, norm / 100):
            long = fit(lambda h: self.rise(h * u, -h * u), rounding=self.rounding, scale=self.scale)
            best = min(best, long, key=lambda found: found.error)
        return best

    def is_bent(self, u: np.ndarray, noise: float) -> bool:
        """Whether x sits on a kink or a tie: two steps that differ much see a bend which is no curvature."""
        return all(
            kinks.bends(
                self.rise(h * u) + self.rise(-h * u),
                self.rise(h / 2 * u) + self.rise(-h / 2 * u),
                noise,
            )
            for h in (30 * self.h, self.h)
        )


class Outcome(NamedTuple):
    """What the directions say: "pass", "suspect", "inconclusive" or "vacuous"."""

    verdict: str
    digits: float | None = None
    estimate: Estimate | None = None


def compare(line: Line, gradient: np.ndarray, directions: Sequence[np.ndarray], precision: float = EPS) -> Outcome:
    """Judge one argument's gradient; only a gap that is clearly beyond the estimated error is suspect.

    `precision` is that of the arithmetic which made the gradient.
    """
    norm = float(np.linalg.norm(gradient))
    outcomes = [_compare_along(line, gradient, norm, u, precision) for u in directions]
    for verdict in ("suspect", "inconclusive", "pass"):
        found = [outcome for outcome in outcomes if outcome.verdict == verdict]
        if found:
            return min(found, key=lambda outcome: outcome.digits or 0.0)
    return Outcome("vacuous")


def resolved(estimate: Estimate, norm: float) -> bool:
    """Whether the numeric side has the three digits that it takes to decide."""
    return CLEAR * estimate.error <= RESOLVED * max(norm, abs(estimate.value))


def _compare_along(line: Line, gradient: np.ndarray, norm: float, u: np.ndarray, precision: float) -> Outcome:
    analytic = float(np.vdot(gradient, u))
    for h in (line.h, line.h / 16):  # a short step passes by most kinks
        numeric = line.slope(u, h)
        if numeric == norm == 0:
            return Outcome("vacuous")
        if abs(numeric - analytic) <= CLEAN * norm:
            return Outcome("pass", digits(abs(numeric - analytic), norm))
    if norm * line.scale <= 100 * line.rounding:  # rounding, or zero: is the function as flat over a long step?
        long = line.scale / 32
        if abs(line.rise(long * u, -long * u)) <= 100 * line.rounding:
            return Outcome("vacuous")
    estimate = line.best_sweep(u, float(np.linalg.norm(line.x)) / line.x.size**0.5, norm)
    gap, size = abs(estimate.value - analytic), max(norm, abs(estimate.value))
    error = estimate.error + max(line.precision, precision) * norm
    if not np.isfinite(estimate.error):
        return Outcome("inconclusive", 0.0, estimate)
    if gap > CLEAR * error + CLEAN * norm:
        return Outcome("suspect", digits(gap, size), estimate)
    if abs(estimate.value) <= CLEAR * error and norm * line.scale <= 100 * line.rounding:
        return Outcome("vacuous")  # to the rounding of out, the function does not depend on the argument
    if not resolved(estimate, norm):
        return Outcome("inconclusive", digits(CLEAR * error, size), estimate)
    return Outcome("pass", digits(max(gap, error), size), estimate)


def digits(gap: float, size: float) -> float:
    """Decimal digits to which two numbers of this size agree."""
    if size == 0 or not np.isfinite(gap):
        return 0.0
    return float(np.clip(-np.log10(max(gap / size, EPS)), 0, None))


def precision_of(array: Any) -> float:
    """Machine epsilon of a floating array, 0 for others."""
    dtype = np.asarray(array).dtype
    return float(np.finfo(dtype).eps) if np.issubdtype(dtype, np.floating) else 0.0
