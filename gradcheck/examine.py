"""The order of work of one check: the contract first, then every argument's directions, then what is wrong."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import contract
from .against import engine_of, outputs_differ
from .judge import Judge, Point
from .localize import ENTRIES
from .modes import NAMES
from .raised import describe, line_of
from .report import SHARED, VERDICTS, Finding, Report
from .state import Cache, poison, replaying, same, snapshot_generators
from .subjects import Run
from .unreturned import nothing_returned


class Options(NamedTuple):
    """How to check."""

    rng: np.random.Generator | int = 0
    directions: int = 3
    against: Any = None
    selftest: bool = False
    entries: int = ENTRIES


def examine(subject: Any, options: Options) -> Report:
    """Check one subject (see `subjects` and `objects`) at its point, and a layer in its other mode if that differs."""
    started = time.perf_counter()
    _check_options(options)
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
                raise _Stopped(_nothing(subject))
            examination = _Examination(subject, forward, rng, report, options)
            examination.run()
            _check_other_mode(subject, forward, rng, report, options, examination.outs)
        except _Stopped as stopped:
            report.findings.append(stopped.finding)
        if report.verdict in ("pass", "vacuous") and hasattr(subject, "notes"):
            report.notes += subject.notes()
    report.seconds = time.perf_counter() - started
    return report


def _check_options(options: Options) -> None:
    if not isinstance(options.rng, (int, np.integer, np.random.Generator)):
        raise TypeError(f"rng must be a numpy.random.Generator or a seed, such as 0; got {options.rng!r}")
    for name, least in (("directions", 1), ("entries", 5)):
        value = getattr(options, name)
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}")


def _check_other_mode(
    subject: Any, forward: Callable[..., Run], rng: np.random.Generator, report: Report, options: Options, outs: Any
) -> None:
    """A layer that computes something else in evaluation (or training) mode is checked there as well."""
    mode = getattr(getattr(subject, "own", None), "mode", None)
    if mode is None or mode.other is None or options.against is not None:
        return
    name = NAMES[mode.other]
    mode.set(mode.other)
    try:
        if all(map(same, outs, map(np.array, forward(subject.arrays).outs))):
            return
        other = Report(subject.title)
        _Examination(subject, forward, rng, other, options).run(brief=True)
    except Exception as error:
        described = error.finding if isinstance(error, _Stopped) else describe("forward", error, subject.functions)
        if mode.has_methods:
            report.findings.append(described._replace(text=f"{name}: {described.text}"))
        else:
            report.notes.append(f"not checked {name}: {described.text}")
        return
    finally:
        mode.set(not mode.other)
    known = {finding.cause for finding in report.findings}
    for finding in other.findings:
        if finding.cause not in known:
            report.findings.append(finding._replace(text=f"{name}: {finding.text}"))
    for i, (usual, here) in enumerate(zip(report.arguments, other.arguments)):
        if VERDICTS.index(here.verdict) < min(VERDICTS.index(usual.verdict), VERDICTS.index("inconclusive")):
            here.notes.insert(0, name)
            report.arguments[i] = here


def _nothing(subject: Any) -> Finding:
    """What is to be said of a subject without arrays."""
    unfinished = getattr(subject, "unfinished", "")
    if unfinished:
        return Finding("not_implemented", "unfinished", unfinished)
    text = "nothing to check: no floating-point input and no parameter"
    given = [f"{name} is {_kind(value)}" for name, value in zip(*subject.everything())]
    hint = f" ({', '.join(given)}): pass arrays of floats" if given else ""
    return Finding("vacuous", "", text + hint)


def _kind(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"


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
        self.next_point: Point | None = None

    def run(self, *, brief: bool = False) -> None:
        self._first_pass()
        finding = contract.check_count(self.subject, self.gradients)
        if finding:
            self.report.findings.append(finding)
            return
        self._probe_contract()
        judge = Judge(
            self.subject,
            self.forward,
            Point(self.subject.arrays, self.outs, self.gradients),
            self.douts,
            self._point_at,
            self.rng,
            self.options.directions,
        )
        judge.selftest, judge.entries = self.options.selftest, self.options.entries
        if brief:
            judge.own_directions = 0
        judge.rounding = functools.cache(
            lambda: contract.rounding_of(self.subject, self._fresh_gradients, self.douts, self.gradients, self.rng)
        )
        if self.options.against is not None:
            judge.references = self._ask_the_engine()
        self.report.arguments += judge.arguments()
        if self.next_point is not None and judge.references is None and self.report.verdict == "pass":
            finding = judge.elsewhere(self.next_point)
            self.report.findings += [finding] if finding else []

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
            raise _Stopped(nothing_returned(subject.functions[-1], subject.names))

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
        poison(subject.arrays)
        try:
            self.raw = run.backward(passed)
            self.gradients = contract.kept(self.raw)
        except Exception as error:
            if self._may_write(error):
                return self._try_backward(self._try_forward())
            raise _Stopped(describe("backward", error, subject.functions)) from error
        self.run_of_gradients = run
        self.report.findings += contract.check_mutation(subject, run, self.douts, passed, self.write)
        ways: dict[str, list[str]] = {}
        for name, how in contract.sharing(subject, self.raw, passed, self.cache):
            ways.setdefault(how, []).append(name)
        shared = [
            f"the gradient of {names[0]} {how} ({SHARED})" if len(names) == 1
            else f"the gradients of {', '.join(names)} {how.replace('shares', 'share', 1)} ({SHARED})"
            for how, names in ways.items()
        ]  # fmt: skip
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
                arrays = [np.asarray(0.999 * x) for x in subject.arrays]
                after = self.forward(arrays)
                found += contract.check_outputs(run, self.outs)
                found += contract.check_isolation(subject, later, self.douts, first, floor)
                self.next_point = self._point_of(arrays, after)
            if getattr(subject, "adding", None) and not found:
                found += contract.check_adding(subject, self.forward, self.douts, first, floor)
            if subject.takes_dout:
                found += contract.check_linear(subject, self._fresh_gradients, self.douts, first, floor, self.rng)
        except Exception as error:
            raise _Stopped(describe("a second call", error, subject.functions)) from error
        if not found and not self.report.findings:
            found += contract.check_buffers(subject, self.raw, first)
        self.report.findings += found

    def _fresh_gradients(self, arrays: Sequence[np.ndarray], douts: list[Any]) -> list[Any]:
        run = self.forward(arrays)
        poison(arrays)
        return contract.kept(run.backward(contract.handed_out(douts, self.subject.writable)))

    def _point_at(self, arrays: Sequence[np.ndarray]) -> Point:
        return self._point_of(arrays, self.forward(arrays))

    def _point_of(self, arrays: Sequence[np.ndarray], run: Run) -> Point:
        outs = tuple(np.array(out) for out in run.outs)
        return Point(arrays, outs, contract.kept(run.backward(contract.handed_out(self.douts, self.subject.writable))))

    def _ask_the_engine(self) -> list[Any]:
        names, values = self.subject.everything()
        outs, gradients = engine_of(self.options.against, names)(values, self.douts)
        self.report.forward_matches_reference = not outputs_differ(self.outs, outs)
        found = dict(zip(names, gradients))
        return [found.get(name) for name in self.subject.names]
