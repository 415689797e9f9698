"""The order of work of one check: the contract first, then every argument's directions, then what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import contract, kinks, shapes
from .against import compare_entries, engine_of, outputs_differ
from .directional import Line, compare, precision_of
from .localize import locate
from .raised import describe, line_of
from .report import VERDICTS, ArgumentResult, Finding, Report
from .state import Cache, replaying, same, snapshot_generators
from .subjects import Run

DISTURBANCE = 1e-5  # of one entry, which a self-test must find


class Options(NamedTuple):
    """How to check."""

    rng: np.random.Generator | int = 0
    directions: int = 3
    against: Any = None
    selftest: bool = False


def examine(subject: Any, options: Options) -> Report:
    """Check one subject (see `subjects` and `objects`) at its point, and a layer in its other mode if that differs."""
    started = time.perf_counter()
    rng = options.rng
    if not isinstance(rng, np.random.Generator):
        # A stream of its own: from default_rng(0) itself dout would equal an x drawn there, which batch norm cancels.
        rng = np.random.default_rng((rng, *b"gradcheck"))
    report = Report(subject.title)
    with replaying(subject.functions) as rewind, np.errstate(all="ignore"):

        def forward(arrays: Sequence[np.ndarray]) -> Run:
            rewind()
            return subject.run(arrays)

        try:
            if not subject.arrays:
                raise _Stopped(
                    Finding("vacuous", "", "nothing to check: no floating-point input and no parameter")
                )  # fmt: skip
            examination = _Examination(subject, forward, rng, report, options)
            examination.run()
            _check_other_mode(subject, forward, rng, report, options, examination.outs)
        except _Stopped as stopped:
            report.findings.append(stopped.finding)
    report.seconds = time.perf_counter() - started
    return report


def _check_other_mode(
    subject: Any, forward: Callable[..., Run], rng: np.random.Generator, report: Report, options: Options, outs: Any
) -> None:
    """A layer that computes something else in evaluation (or training) mode is checked there as well."""
    mode = getattr(getattr(subject, "own", None), "other_mode", None)
    if mode is None or options.against is not None:
        return
    name = "training" if mode else "evaluation"
    subject.own.set_mode(mode)
    try:
        if all(map(same, outs, map(np.array, forward(subject.arrays).outs))):
            return
        other = Report(subject.title)
        _Examination(subject, forward, rng, other, options).run()
    except _Stopped as stopped:
        finding = stopped.finding
        report.findings.append(finding._replace(text=f"in {name} mode: {finding.text}"))
        return
    except Exception as error:
        report.findings.append(describe("forward", error, subject.functions, f"in {name} mode "))
        return
    finally:
        subject.own.set_mode(not mode)
    known = {finding.cause for finding in report.findings}
    for finding in other.findings:
        if finding.cause not in known:
            report.findings.append(finding._replace(text=f"in {name} mode: {finding.text}"))
    for i, (usual, here) in enumerate(zip(report.arguments, other.arguments)):
        if VERDICTS.index(here.verdict) < min(VERDICTS.index(usual.verdict), VERDICTS.index("inconclusive")):
            here.notes.insert(0, f"in {name} mode")
            report.arguments[i] = here


class _Stopped(Exception):
    """No further test makes sense; carries what was found."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class _Examination:
    """One subject at one point: contract first, then the directions of each argument."""

    def __init__(
        self, subject: Any, forward: Callable[..., Run], rng: np.random.Generator, report: Report, options: Options
    ) -> None:
        self.subject, self.forward, self.rng, self.report, self.options = subject, forward, rng, report, options
        self.write: Any = None  # file and line of the first write into what was read-only
        self.references: list[Any] | None = None

    def run(self) -> None:
        self._first_pass()
        finding = contract.check_count(self.subject, self.gradients)
        if finding:
            self.report.findings.append(finding)
            return
        self._probe_contract()
        if self.options.against is not None:
            self._ask_the_engine()
        self.report.arguments += [self._judge(k) for k in range(len(self.subject.names))]
        self._look_for_swaps()

    # --- the first forward and backward

    def _first_pass(self) -> None:
        """Outputs, dout and gradients, read-only if the code can stand it."""
        subject = self.subject
        run = self._try_forward()
        self.outs = tuple(np.array(out) for out in run.outs)
        self._check_outputs()
        draw = self.rng.standard_normal if subject.takes_dout else np.ones
        self.douts = [np.asarray(draw(out.shape)) if out.dtype.kind == "f" else None for out in self.outs]
        again = self.forward(subject.arrays)
        if not all(map(same, self.outs, again.outs)):
            text = "forward gives another output for the same input; pass it a seed or a generator that can be copied"
            raise _Stopped(Finding("inconclusive", "", text))
        self._try_backward(run)
        if all(gradient is None for gradient in self.gradients):
            raise _Stopped(Finding("not_implemented", "unfinished", "backward returned no gradient (None)"))

    def _check_outputs(self) -> None:
        if all(out.dtype == object and out.ndim == 0 and out[()] is None for out in self.outs):
            raise _Stopped(Finding("not_implemented", "unfinished", "forward returned no output (None)"))
        kinds = [out.dtype.kind for out in self.outs]
        if "f" not in kinds or not set(kinds) <= set("fiub"):
            got = ", ".join(str(out.dtype) for out in self.outs)
            raise _Stopped(Finding("error", "raises", f"forward must return floating-point outputs; got dtype {got}"))
        if not all(np.isfinite(out).all() for out in self.outs):
            raise _Stopped(Finding("inconclusive", "", "forward is not finite at these inputs"))

    def _try_forward(self) -> Run:
        try:
            return self.forward(self.subject.arrays)
        except Exception as error:
            if self._may_write(error):
                return self._try_forward()
            raise _Stopped(describe("forward", error, self.subject.functions)) from error

    def _try_backward(self, run: Run) -> None:
        subject, passed = self.subject, contract.handed_out(self.douts, self.subject.writable)
        self.cache = Cache(run.cache)
        self.generators = snapshot_generators(subject.functions)
        try:
            self.raw = run.backward(passed)
            self.gradients = contract.kept(self.raw)
        except Exception as error:
            if self._may_write(error):
                return self._try_backward(self._try_forward())
            raise _Stopped(describe("backward", error, subject.functions)) from error
        self.run_of_gradients = run
        self.report.findings += contract.check_mutation(subject, run, self.douts, passed, self.write)
        shared = [
            f"the gradient of {name} {how}" for name, how in contract.sharing(subject, self.raw, passed, self.cache)
        ]
        self.report.notes += [note for note in shared if note not in self.report.notes]
        return None

    def _may_write(self, error: Exception) -> bool:
        """Whether the code failed only for want of arrays that it may write into; from now on it gets such."""
        if self.subject.writable or "read-only" not in str(error):
            return False
        self.subject.writable = True
        self.write = line_of(error, self.subject.functions)
        return True

    # --- the contract

    def _probe_contract(self) -> None:
        subject, run, first = self.subject, self.run_of_gradients, self.gradients
        products = [np.linalg.norm(out * dout) for out, dout in zip(self.outs, self.douts) if dout is not None]
        floor = 1e-13 * float(np.linalg.norm(products))  # where the true gradient is 0, all that comes is rounding
        found = [*contract.check_repeatable(subject, run, self.cache, self.douts, first, floor, self.generators)]
        try:
            if subject.keeps_cache and not found:
                later = self.forward(subject.arrays)
                self.forward([np.asarray(0.999 * x) for x in subject.arrays])
                found += contract.check_isolation(subject, later, self.douts, first, floor)
            if subject.takes_dout:
                found += contract.check_linear(subject, self._fresh_gradients, self.douts, first, floor, self.rng)
        except Exception as error:
            raise _Stopped(describe("a second call", error, subject.functions)) from error
        if not found and not self.report.findings:
            found += contract.check_buffers(subject, self.raw, first, run, self.outs)
        self.report.findings += found

    def _fresh_gradients(self, arrays: Sequence[np.ndarray], douts: list[Any]) -> list[Any]:
        run = self.forward(arrays)
        return contract.kept(run.backward(contract.handed_out(douts, self.subject.writable)))

    def _ask_the_engine(self) -> None:
        names, values = self.subject.everything()
        outs, gradients = engine_of(self.options.against, names)(values, self.douts)
        self.report.forward_matches_reference = not outputs_differ(self.outs, outs)
        found = dict(zip(names, gradients))
        self.references = [found.get(name) for name in self.subject.names]

    # --- the values

    def _judge(self, k: int) -> ArgumentResult:
        """The verdict on argument k."""
        name, x, gradient = self.subject.names[k], self.subject.arrays[k], self.gradients[k]
        result = ArgumentResult(name, "fail", cause="missing-gradient")
        if gradient is None:
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
            if result.verdict == "fail" and gradient.dtype.kind in "iub":
                result.cause = "wrong-dtype"
                result.notes.append(f"returned as {gradient.dtype}, which cannot hold fractions")
        return result

    def _is_right(self, k: int, gradient: np.ndarray) -> bool:
        """Whether other values than those returned would be right for argument k."""
        line = self._line(k, self.subject.arrays, self.outs)
        us = [np.asarray(self.rng.standard_normal(gradient.shape)) for _ in range(self.options.directions)]
        return bool(np.isfinite(gradient).all()) and compare(line, gradient, us).verdict in ("pass", "vacuous")

    def _judge_values(self, k: int, gradient: np.ndarray) -> ArgumentResult:
        name = self.subject.names[k]
        line = self._line(k, self.subject.arrays, self.outs)
        if gradient.size == 0:
            return ArgumentResult(name, "vacuous", notes=["has no entries here"])
        if not np.isfinite(gradient).all():
            return _judge_non_finite(name, line, gradient)
        precision = precision_of(gradient)
        gradient = gradient.astype(np.float64)
        if self.references is not None:
            return compare_entries(name, gradient, self.references[k])
        result = self._by_directions(name, line, gradient, precision)
        if result.excused:  # any slope will do on a kink, so look beside it as well
            return self._judge_beside(k, result)
        if result.verdict == "inconclusive" and self._sits_on_kinks(line):
            return self._judge_beside(k, result)
        if self.options.selftest and result.verdict == "pass":
            self._disturb(result, line, gradient, precision)
        return result

    def _line(self, k: int, arrays: Sequence[np.ndarray], outs: Any) -> Line:
        return Line(lambda tried: self.forward(tried).outs, arrays, k, outs, self.douts)

    def _by_directions(self, name: str, line: Line, gradient: np.ndarray, precision: float) -> ArgumentResult:
        us = [np.asarray(self.rng.standard_normal(gradient.shape)) for _ in range(self.options.directions)]
        outcome = compare(line, gradient, us, precision)
        result = ArgumentResult(name, outcome.verdict, outcome.digits, checked=gradient.size)
        if outcome.verdict == "vacuous":
            result.notes.append("its gradient is zero at these inputs")
        elif outcome.verdict == "inconclusive":
            result.notes.append("of the numeric side: saturation, cancellation or noise")
        elif outcome.verdict == "suspect" and outcome.estimate is not None:
            return locate(name, line, gradient, outcome.estimate, self.rng, precision)
        return result

    def _sits_on_kinks(self, line: Line) -> bool:
        return line.is_bent(np.asarray(self.rng.standard_normal(line.x.shape)), line.rounding)

    def _judge_beside(self, k: int, result: ArgumentResult) -> ArgumentResult:
        """What sits on kinks is judged where all arguments are moved a little aside, unless it is wrong already."""
        if result.verdict in ("fail", "kink"):
            return result
        arrays = [kinks.beside(x, min(1.0, _size(x) or 1.0), self.rng) for x in self.subject.arrays]
        try:
            outs = tuple(np.array(out) for out in self.forward(arrays).outs)
            gradient = self._fresh_gradients(arrays, self.douts)[k]
        except Exception:  # outside of the function's domain
            return result
        if [out.shape for out in outs] != [out.shape for out in self.outs] or not np.isfinite(gradient).all():
            return result
        here = self._by_directions(result.name, self._line(k, arrays, outs), gradient.astype(np.float64), 0.0)
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

    def _look_for_swaps(self) -> None:
        """Two wrong gradients that are right for each other's arguments."""
        wrong = [
            k for k, result in enumerate(self.report.arguments[: self.subject.n_inputs]) if result.verdict == "fail"
        ]
        for i in wrong:
            for j in (j for j in wrong if j > i):
                a, b = self.gradients[i], self.gradients[j]
                fits = a is not None and b is not None and a.shape == self.subject.arrays[j].shape
                if fits and b.shape == self.subject.arrays[i].shape and self._is_right(i, b) and self._is_right(j, a):
                    for k, other in ((i, j), (j, i)):
                        self.report.arguments[k].cause = "swapped-gradients"
                        self.report.arguments[k].notes.append(f"it is the gradient of {self.subject.names[other]}")


def _size(x: np.ndarray) -> float:
    return float(np.linalg.norm(x)) / max(1, x.size) ** 0.5


def _judge_non_finite(name: str, line: Line, gradient: np.ndarray) -> ArgumentResult:
    wrong = ~np.isfinite(gradient)
    finite_numbers = np.isfinite(line.sweep(np.where(wrong, 1.0, 0.0)).error)
    result = ArgumentResult(name, "fail" if finite_numbers else "inconclusive", checked=gradient.size)
    result.cause, result.wrong = "non-finite", int(wrong.sum())
    first = [int(i) for i in np.argwhere(wrong)[0]]
    result.notes.append(f"{result.wrong} of {gradient.size} entries are NaN or infinite, the first at {first}")
    return result
