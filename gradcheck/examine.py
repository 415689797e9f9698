"""The order of work of one check: the contract first, then every argument's directions, then what is wrong."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import contract
from .directional import Line, compare
from .localize import locate
from .report import ArgumentResult, Finding, Report
from .subjects import Run, replaying, same


def examine(subject: Any, rng: np.random.Generator | int, directions: int) -> Report:
    """Check one subject (see `subjects`) at its point."""
    if not isinstance(rng, np.random.Generator):
        # A stream of its own: from default_rng(0) itself dout would equal an x drawn there, which batch norm cancels.
        rng = np.random.default_rng((rng, *b"gradcheck"))
    report = Report(subject.title)
    with replaying() as rewind, np.errstate(all="ignore"):

        def forward(arrays: Sequence[np.ndarray]) -> Run:
            rewind()
            return subject.run(arrays)

        try:
            if not subject.arrays:
                raise _Stopped("vacuous", "", "nothing to check: no floating-point input and no parameter")
            _Examination(subject, forward, rng, report).run(directions)
        except _Stopped as stopped:
            report.findings.append(stopped.finding)
    return report


class _Stopped(Exception):  # noqa: N818  (not an error of ours)
    """No further test makes sense; carries what was found."""

    def __init__(self, verdict: str, cause: str, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(verdict, cause, text)


class _Examination:
    """One subject at one point: contract first, then the directions of each argument."""

    def __init__(self, subject: Any, forward: Callable[..., Run], rng: np.random.Generator, report: Report) -> None:
        self.subject, self.forward, self.rng, self.report = subject, forward, rng, report

    def run(self, directions: int) -> None:
        self._first_pass()
        finding = contract.check_count(self.subject, self.gradients)
        if finding:
            self.report.findings.append(finding)
            return
        self._probe_contract()
        for k in range(len(self.subject.names)):
            self.report.arguments.append(self._judge(k, directions))

    def _first_pass(self) -> None:
        """Outputs, dout and gradients, read-only if the code can stand it."""
        subject = self.subject
        run = self._try_forward()
        self.outs = tuple(np.array(out) for out in run.outs)
        if not any(out.dtype.kind == "f" for out in self.outs) or any(
            out.dtype.kind not in "fiub" for out in self.outs
        ):
            kinds = ", ".join(str(out.dtype) for out in self.outs)
            raise _Stopped("error", "raises", f"forward must return floating-point outputs; got dtype {kinds}")
        if not all(np.isfinite(out).all() for out in self.outs):
            raise _Stopped("inconclusive", "", "forward is not finite at these inputs")
        draw = self.rng.standard_normal if subject.takes_dout else np.ones
        self.douts = [np.asarray(draw(out.shape)) if out.dtype.kind == "f" else None for out in self.outs]
        again = self.forward(subject.arrays)
        if not all(map(same, self.outs, again.outs)):
            text = "forward gives another output for the same input; pass it a seed or a generator that can be copied"
            raise _Stopped("inconclusive", "", text)
        self.gradients = self._try_backward(run)
        if all(gradient is None for gradient in self.gradients):
            raise _Stopped("not_implemented", "unfinished", "backward returned no gradient (None)")

    def _try_forward(self) -> Run:
        try:
            return self.forward(self.subject.arrays)
        except Exception as error:
            if not self.subject.writable and "read-only" in str(error):
                self.subject.writable = True
                return self._try_forward()
            raise _Stopped(*_describe("forward", error)) from error

    def _try_backward(self, run: Run) -> list[Any]:
        passed = contract.handed_out(self.douts, self.subject.writable)
        try:
            gradients = contract.copied(run.backward(passed))
        except Exception as error:
            if not self.subject.writable and "read-only" in str(error):
                self.subject.writable = True
                return self._try_backward(self._try_forward())
            raise _Stopped(*_describe("backward", error)) from error
        self.report.findings += contract.check_mutation(self.subject, run, self.douts, passed)
        self.run_of_gradients = run
        return gradients

    def _probe_contract(self) -> None:
        subject, run, first = self.subject, self.run_of_gradients, self.gradients
        products = [np.linalg.norm(out * dout) for out, dout in zip(self.outs, self.douts) if dout is not None]
        floor = 1e-13 * float(np.linalg.norm(products))  # where the true gradient is 0, all that comes is rounding
        found = list(contract.check_repeatable(subject, run, self.douts, first, floor))
        try:
            if subject.keeps_cache and not found:
                run = self.forward(subject.arrays)
                self.forward([np.asarray(0.999 * x) for x in subject.arrays])
                found += contract.check_isolation(subject, run, self.douts, first, floor)
            if subject.takes_dout:
                found += contract.check_linear(subject, self._fresh_gradients, self.douts, first, floor, self.rng)
        except Exception as error:
            raise _Stopped(*_describe("a second call", error)) from error
        self.report.findings += found

    def _fresh_gradients(self, arrays: Sequence[np.ndarray], douts: list[Any]) -> list[Any]:
        run = self.forward(arrays)
        return contract.copied(run.backward(contract.handed_out(douts, self.subject.writable)))

    def _judge(self, k: int, directions: int) -> ArgumentResult:
        """The verdict on argument k."""
        name, x, gradient = self.subject.names[k], self.subject.arrays[k], self.gradients[k]
        result = contract.check_form(name, gradient, x)
        if result is None:
            return self._judge_values(name, k, gradient, directions)
        if gradient is not None and gradient.size == x.size and gradient.dtype.kind in "fiub":
            values = self._judge_values(name, k, gradient.reshape(x.shape), directions)
            right = values.verdict in ("pass", "vacuous")
            result.notes.append("its values are right" if right else "its values, reshaped, are wrong too")
        return result

    def _judge_values(self, name: str, k: int, gradient: np.ndarray, directions: int) -> ArgumentResult:
        line = Line(lambda arrays: self.forward(arrays).outs, self.subject.arrays, k, self.outs, self.douts)
        if gradient.size == 0:
            return ArgumentResult(name, "vacuous", notes=["has no entries here"])
        if not np.isfinite(gradient).all():
            return self._judge_non_finite(name, line, gradient)
        gradient = gradient.astype(np.float64)
        us = [self.rng.standard_normal(gradient.shape) for _ in range(directions)]
        outcome = compare(line, gradient, [np.asarray(u) for u in us])
        result = ArgumentResult(name, outcome.verdict, outcome.digits, checked=gradient.size)
        if outcome.verdict == "vacuous":
            result.notes.append("its gradient is zero at these inputs")
        elif outcome.verdict == "inconclusive":
            result.notes.append("of the numeric side: saturation, cancellation or noise")
        elif outcome.verdict == "suspect" and outcome.estimate is not None:
            return locate(name, line, gradient, outcome.estimate, self.rng)
        return result

    def _judge_non_finite(self, name: str, line: Line, gradient: np.ndarray) -> ArgumentResult:
        wrong = ~np.isfinite(gradient)
        finite_numbers = np.isfinite(line.sweep(np.where(wrong, 1.0, 0.0)).error)
        result = ArgumentResult(name, "fail" if finite_numbers else "inconclusive", checked=gradient.size)
        result.cause, result.wrong = "non-finite", int(wrong.sum())
        first = [int(i) for i in np.argwhere(wrong)[0]]
        result.notes.append(f"{result.wrong} of {gradient.size} entries are NaN or infinite, the first at {first}")
        return result


def _describe(stage: str, error: Exception) -> tuple[str, str, str]:
    """Verdict, cause and text for what the code under test raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = (str(error).splitlines() or [""])[0]
    text = f"{stage} raises {type(error).__name__}: {message} ({Path(frame.filename).name}, line {frame.lineno})"
    if isinstance(error, NotImplementedError):
        return "not_implemented", "unfinished", text
    return "error", "undefined-name" if isinstance(error, NameError) else "raises", text
