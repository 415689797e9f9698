"""Why the check of a layer failed: the part at fault, the cause, the line in its class, and an edit that mends it."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .amend import amend, functions_of
from .check import check_layer
from .diagnose import explain as diagnose_subject
from .instrument import statement_at
from .linearity import first_unlinear
from .meanings import MEANINGS
from .methods import line_due, line_in
from .modes import NAMES, in_other_mode
from .objects import LayerObject
from .parts import failing_part
from .reach import accused
from .repair import OPEN
from .report import Report, Why
from .rewrite import Body
from .samples import Deadline, Sample, TimeUp
from .why import LARGE, NEARBY, WRONG, accepted, entries_of, like

UNLINEAR = ("nonlinear-in-dout", "ignores-dout")
SECONDS = 20.0


def of_layer(report: Report, layer: Any, inputs: Sequence[Any], wrt: Sequence[str] | None) -> Why | None:
    """The reason for what was found in a layer: the cause by numbers, the line by an edit that mends it.

    Of a layer made of layers it is that of the part at fault. Where no edit mends it the line is that of the statement
    that goes into just what is wrong, or beside which the gradient of a parameter is due.
    """
    is_breach = report.verdict == "contract"  # whose cause and line the check itself has told
    if not (is_breach or report.verdict in WRONG) or entries_of(inputs) > LARGE:
        return None
    if any(name in part.notes for part in report.arguments for name in NAMES.values()):
        layer = in_other_mode(layer)

    def make(arguments: tuple[Any, ...], edit: Any) -> LayerObject:
        return LayerObject(layer, arguments, wrt)

    def draw(seed: int) -> list[tuple[str, tuple[Any, ...] | None]]:
        active = sample.subject.active  # targets stay as they are: moved, they may be none
        return [(text, like(inputs, np.random.default_rng(seed), cut, active)) for text, cut in NEARBY]

    inner = failing_part(layer, inputs)
    if inner is not None:
        part, given, its = inner
        why = of_layer(its, part, given, None)
        if why is not None:
            said = why.evidence or MEANINGS.get(why.cause, "")
            home, file = _home(layer), why.file or Path(_home(part)).name
            return dataclasses.replace(
                why,
                evidence=f"in {type(part).__name__}, which it calls: {said}",
                file="" if file == Path(home).name else file,
            )
    sample = Sample(make, tuple(inputs), 0, Deadline(SECONDS))
    try:
        found = diagnose_subject(make, draw) if not is_breach else None
    except Exception:  # code that raises now and then
        found = None
    cause = found.cause if found is not None else "unknown"
    wrong = [part.name for part in report.arguments if part.verdict == "fail"]
    place = None
    if cause in UNLINEAR and sample.error is None:
        place = first_unlinear(lambda: sample.subject.run(sample.x).backward, sample.douts)
    certain = place is not None
    if cause == "unfinished" and wrong and not set(wrong) & set(sample.names[: sample.subject.n_inputs]):
        place = _where_due(sample, wrong[0])
    if place is None and _home(layer):
        line = line_in(layer, sample.names[: sample.subject.n_inputs], wrong) or report.line
        place = (_home(layer), line) if line else None
    mended, ran_out = None, False
    if sample.error is None:
        others = accepted(sample, draw)

        def passes() -> bool:
            reports = (check_layer(layer, *values, wrt=wrt, why=False) for values in (inputs, *others))
            return all(report.verdict in OPEN for report in reports)

        try:
            mended = amend(sample, passes, suspect=place, certain=certain, contract=is_breach)
        except TimeUp:
            ran_out = True
    if mended is not None:
        place = mended.file, mended.edits[0].line
    elif sample.error is None and not is_breach:
        with contextlib.suppress(TimeUp):
            place = accused(sample, place if certain else None, no_dout=cause == "ignores-dout") or place
    if cause in ("unknown", "raises"):  # near inputs may be out of a layer's domain: the given ones are not
        told = report.cause if report.cause != "shape-cropped" else None  # which the numbers would have told
        cause = told or (mended and mended.cause) or ("wrong-term" if place else "unknown")
    file, line = place or ("", None)
    return Why(
        cause,
        evidence=found.evidence if found else report.message if is_breach else "",
        suggestion=found.suggestion if found else "",
        line=line,
        statement=statement_at(file, line) if line else "",
        file=Path(file).name if file not in ("", _home(layer)) else "",
        edits=[edit._asdict() for edit in mended.edits] if mended else [],
        ran_out=ran_out,
    )


def _where_due(sample: Sample, parameter: str) -> tuple[str, int] | None:
    """Where in a backward, or in what it calls, the gradient of a parameter that gets none should be added.

    If nothing tells, at the end of a method that gets dout and returns nothing: it has something else to do.
    """
    ran = [f for f in functions_of(sample)[::-1] if "self" in f.values]
    parameters = [name.rpartition(".")[2] for name in sample.names[sample.subject.n_inputs :]]
    missing = parameter.rpartition(".")[2]
    if not ran:
        return None
    adding = [f for f in ran if f.arguments & ran[-1].arguments and not Body(f.definition).returns]
    lines = ((f.file, line_due(f.definition, parameters, missing)) for f in ran)
    ends = ((f.file, f.definition.body[-1].lineno) for f in (*adding, *ran[-1:]))
    return next(((file, line) for file, line in (*lines, *ends) if line), None)


def _home(layer: Any) -> str:
    """The file of a layer's backward; "" if there is none."""
    code = getattr(inspect.unwrap(type(layer).backward), "__code__", None)
    return code.co_filename if code else ""
