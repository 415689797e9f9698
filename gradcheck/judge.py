"""The values of a gradient: directions first, then, where these disagree, what is wrong and why that may be excused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import kinks, shapes
from .against import compare_entries
from .directional import CLEAN, Line, compare, precision_of
from .localize import ENTRIES, ONE_FACTOR, locate
from .report import ArgumentResult, Finding
from .subjects import Run

MANY = 8  # with more arguments than these, one direction is an argument's own and the others are shared by all
DISTURBANCE = 1e-5  # of one entry, which a self-test must find
HUGE = 1e150  # no true gradient of code that one would check; some hundred such entries and their norm overflows


class Point(NamedTuple):
    """Arguments, and what forward and backward made of them."""

    arrays: Sequence[np.ndarray]
    outs: tuple[Any, ...]
    gradients: list[Any]


class Judge:
    """Judges the gradients of one subject at one point, argument by argument.

    `gradients_at` maps arrays to the outputs and gradients of a fresh forward and backward; `references` are another
    engine's gradients, if differences are not wanted.
    """

    def __init__(
        self,
        subject: Any,
        forward: Callable[[Sequence[np.ndarray]], Run],
        point: Point,
        douts: list[Any],
        gradients_at: Callable[[Sequence[np.ndarray]], Point],
        rng: np.random.Generator,
        directions: int,
    ) -> None:
        self.names, self.n_inputs, self.forward, self.douts = subject.names, subject.n_inputs, forward, douts
        self.arrays, self.outs, self.gradients = point
        self.gradients_at, self.rng, self.directions = gradients_at, rng, directions
        self.own_directions = directions if len(self.names) <= MANY else 1
        self.references: list[Any] | None = None
        self.selftest = False
        self.entries = ENTRIES
        self.rounding: Callable[[], tuple[dict[str, float], float]] = lambda: ({}, 0.0)  # see contract.rounding_of

    def argument(self, k: int) -> ArgumentResult:
        """The verdict on argument k."""
        name, x, gradient = self.names[k], self.arrays[k], self.gradients[k]
        result = ArgumentResult(name, "fail", cause="missing-gradient")
        if gradient is None and self._is_right(k, np.zeros_like(x)):
            result = ArgumentResult(name, "vacuous", notes=["no gradient, and none needed: nothing depends on it"])
        elif gradient is None:
            result.notes.append("backward gave no gradient (None)")
        elif gradient.dtype.kind not in "fiub":
            result.cause = "wrong-dtype"
            result.notes.append(f"the gradient must be an array of numbers; got dtype {gradient.dtype}")
        elif gradient.shape != x.shape:
            result.notes.append(f"the gradient must have the shape {x.shape} of {name}; got {gradient.shape}")
            result.cause, text = shapes.name_shape(gradient, x.shape, lambda values: self._is_right(k, values))
            result.notes += [text] if text else []
        else:
            result = self._judge_values(k, gradient)
            if result.verdict == "fail" and gradient.dtype.kind in "iub" and ONE_FACTOR not in result.notes:
                result.cause = "wrong-dtype"
                result.notes.append(f"returned as {gradient.dtype}, which cannot hold fractions")
        return result

    def _is_right(self, k: int, gradient: np.ndarray) -> bool:
        """Whether other values than those returned would be right for argument k."""
        line = self._line(k, self.arrays, self.outs)
        us = [np.asarray(self.rng.standard_normal(gradient.shape)) for _ in range(self.directions)]
        return _is_finite(gradient) and compare(line, gradient, us).verdict in ("pass", "vacuous")

    def _judge_values(self, k: int, gradient: np.ndarray) -> ArgumentResult:
        name = self.names[k]
        line = self._line(k, self.arrays, self.outs)
        if gradient.size == 0:
            return ArgumentResult(name, "vacuous", notes=["has no entries here"])
        if not _is_finite(gradient):
            return _judge_non_finite(name, line, gradient)
        precision = precision_of(gradient)
        gradient = gradient.astype(np.float64)
        if self.references is not None:
            return compare_entries(name, gradient, self.references[k])
        result = self._by_directions(name, line, gradient, precision)
        if result.worst is not None and result.worst.gap <= 100 * self.rounding()[0].get(name, 0.0):
            note = "of the returned gradient, which is the rounding of larger terms that cancel"
            return ArgumentResult(name, "inconclusive", 0.0, checked=result.checked, notes=[note])
        if result.excused:  # any slope will do on a kink, so look beside it as well
            return self._judge_beside(k, result)
        if result.verdict == "inconclusive" and self._sits_on_kinks(line):
            return self._judge_beside(k, result)
        if self.selftest and result.verdict == "pass":
            self._disturb(result, line, gradient, precision)
        return result

    def _line(self, k: int, arrays: Sequence[np.ndarray], outs: Any) -> Line:
        return Line(lambda tried: self.forward(tried).outs, arrays, k, outs, self.douts)

    def _by_directions(self, name: str, line: Line, gradient: np.ndarray, precision: float) -> ArgumentResult:
        us = [np.asarray(self.rng.standard_normal(gradient.shape)) for _ in range(self.own_directions)]
        outcome = compare(line, gradient, us, precision)
        result = ArgumentResult(name, outcome.verdict, outcome.digits, checked=gradient.size)
        if outcome.verdict == "vacuous":
            result.notes.append("its gradient is zero at these inputs")
        elif outcome.verdict == "inconclusive":
            result.notes.append("of the numeric side: saturation, cancellation or noise")
        elif outcome.verdict == "suspect" and outcome.estimate is not None:
            precision_of_dout = self.rounding()[1]
            if precision < precision_of_dout:  # backward works in float32, whatever dtype its gradient has
                return self._by_directions(name, line, gradient, precision_of_dout)
            return locate(name, line, gradient, outcome.estimate, self.rng, precision, self.entries)
        return result

    def _sits_on_kinks(self, line: Line) -> bool:
        return line.is_bent(np.asarray(self.rng.standard_normal(line.x.shape)), line.rounding)

    def _judge_beside(self, k: int, result: ArgumentResult) -> ArgumentResult:
        """What sits on kinks is judged where all arguments are moved a little aside, unless it is wrong already."""
        if result.verdict in ("fail", "kink"):
            return result
        arrays = [kinks.beside(x, min(1.0, _size(x) or 1.0), self.rng) for x in self.arrays]
        try:
            point = self.gradients_at(arrays)
        except Exception:  # outside of the function's domain
            return result
        gradient = point.gradients[k]
        if list(map(np.shape, point.outs)) != list(map(np.shape, self.outs)) or not _is_finite(gradient):
            return result
        here = self._by_directions(result.name, self._line(k, arrays, point.outs), gradient.astype(np.float64), 0.0)
        here.notes = [*result.notes[: bool(result.excused)], "at kinks or ties; checked beside them", *here.notes]
        here.excused = 0
        return here if here.verdict in ("pass", "fail") else result

    def _disturb(self, result: ArgumentResult, line: Line, gradient: np.ndarray, precision: float) -> None:
        """The self-test: with one entry off by 1e-5 the same check must fail."""
        disturbed = gradient.copy()
        disturbed.flat[np.abs(gradient).argmax()] *= 1 + DISTURBANCE
        if self._by_directions(result.name, line, disturbed, precision).verdict != "fail":
            result.verdict = "inconclusive"
            result.notes.append(f"self-test: one entry off by {DISTURBANCE:g} of itself goes unseen here")

    def _name_swaps(self, results: list[ArgumentResult]) -> None:
        """Two wrong gradients that are right for each other's arguments."""
        wrong = [k for k, result in enumerate(results[: self.n_inputs]) if result.verdict == "fail"]
        for i in wrong:
            for j in (j for j in wrong if j > i):
                if self._fits(i, j) and self._fits(j, i):
                    for k, other in ((i, j), (j, i)):
                        results[k].cause = "swapped-gradients"
                        results[k].notes.append(f"it is the gradient of {self.names[other]}")

    def _fits(self, i: int, j: int) -> bool:
        """Whether what came for argument j is right for argument i."""
        gradient = self.gradients[j]
        return gradient is not None and gradient.shape == self.arrays[i].shape and self._is_right(i, gradient)

    def arguments(self) -> list[ArgumentResult]:
        """The verdicts on all arguments; of a brief check, all at once unless they disagree with the numbers."""
        here = Point(self.arrays, self.outs, self.gradients)
        shared = self.directions - self.own_directions
        if self.own_directions == 0:
            results = [ArgumentResult(name, "pass") for name in self.names]
        else:
            results = [self.argument(k) for k in range(len(self.names))]
        fine = all(result.verdict in ("pass", "vacuous") for result in results)
        if shared and fine and not all(self._agrees(here) is True for _ in range(shared)):
            self.own_directions = self.directions
            results = [self.argument(k) for k in range(len(self.names))]
        self._name_swaps(results)
        return results

    def elsewhere(self, point: Point) -> Finding | None:
        """Gradients that are right at the first point must be right at the next as well."""
        if self._agrees(point) is not False:
            return None
        for k, name in enumerate(self.names):
            line, gradient = self._line(k, point.arrays, point.outs), point.gradients[k]
            found = self._by_directions(name, line, np.asarray(gradient, np.float64), precision_of(gradient))
            if found.verdict == "fail":
                text = f"the gradient of {name} is right at the first inputs and not at the next ones"
                return Finding("contract", "stale-cache", f"{text}: backward uses what an earlier forward left")
        return None

    def _agrees(self, point: Point) -> bool | None:
        """Whether numbers and gradients agree along one direction of all arguments; None where that cannot be tried."""
        fits = [g is not None and g.shape == x.shape and _is_finite(g) for g, x in zip(point.gradients, point.arrays)]
        if list(map(np.shape, point.outs)) != list(map(np.shape, self.outs)) or not all(fits):
            return None
        lines = [self._line(k, point.arrays, point.outs) for k in range(len(self.names))]
        us = [np.asarray(line.scale * self.rng.standard_normal(line.x.shape)) for line in lines]
        size = CLEAN * float(np.linalg.norm([x.scale * np.linalg.norm(g) for x, g in zip(lines, point.gradients)]))
        analytic = sum(float(np.vdot(g, u)) for g, u in zip(point.gradients, us))
        h = min(line.h / line.scale for line in lines)
        try:
            return any(abs(self._slope(point, us, step) - analytic) <= size for step in (h, h / 16))
        except (ValueError, ArithmeticError):
            return None

    def _slope(self, point: Point, us: list[np.ndarray], h: float) -> float:
        """The central difference with every argument moved along its part of `us`."""
        ends = [[np.asarray(x + s * h * u) for x, u in zip(point.arrays, us)] for s in (1, -1)]
        up, down = ([np.array(out) for out in self.forward(end).outs] for end in ends)
        rises = [float((d * np.subtract(a, b)).sum()) for d, a, b in zip(self.douts, up, down) if d is not None]
        return sum(rises) / (2 * h)


def _size(x: np.ndarray) -> float:
    return float(np.linalg.norm(x)) / max(1, x.size) ** 0.5


def _is_finite(gradient: np.ndarray) -> bool:
    """Whether its norm is: the squares of entries beyond 1e154 are not, and beside infinity all numbers agree."""
    return bool(np.isfinite(np.linalg.norm(gradient)))


def _judge_non_finite(name: str, line: Line, gradient: np.ndarray) -> ArgumentResult:
    wrong = ~(np.abs(gradient) <= HUGE)
    numbers = line.sweep(np.where(wrong, 1.0, 0.0))
    finite = np.isfinite(numbers.error) and abs(numbers.value) <= HUGE
    result = ArgumentResult(name, "fail" if finite else "inconclusive", checked=gradient.size)
    result.cause, result.wrong = "non-finite", int(wrong.sum())
    first = [int(i) for i in np.argwhere(wrong)[0]]
    what = "NaN or infinite" if not np.isfinite(gradient).all() else f"beyond {HUGE:g}"
    result.notes.append(f"{result.wrong} of {gradient.size} entries are {what}, the first at {first}")
    return result
