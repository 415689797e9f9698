"""Why the check of a net failed, whose ``loss(X, y)`` returns the loss and a dict of gradients."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .amend import amend
from .check import check_loss
from .diagnose import explain
from .instrument import statement_at
from .methods import line_in
from .objects import Net
from .repair import OPEN
from .report import Report, Why
from .samples import Deadline, Sample, TimeUp
from .why import LARGE, NEARBY, WRONG, accepted, entries_of, like

SECONDS = 20.0


def of_net(report: Report, net: Any, inputs: Sequence[Any]) -> Why | None:
    """The reason for what was found in a net: the cause by an edit that mends it, or by numbers; and the line.

    Where no edit mends it the line is the last that the wrong gradients share.
    """
    if report.verdict not in WRONG or entries_of([*inputs, *Net(net, inputs).arrays]) > LARGE:
        return None

    def make(arguments: tuple[Any, ...], edit: Any) -> Net:
        return Net(net, arguments)

    def draw(seed: int) -> list[tuple[str, tuple[Any, ...] | None]]:
        rng = np.random.default_rng(seed)
        return [(text, like(inputs, rng, cut)) for text, cut in NEARBY]

    sample = Sample(make, tuple(inputs), 0, Deadline(SECONDS))
    others = accepted(sample, draw)

    def passes() -> bool:
        return all(check_loss(net, *values, why=False).verdict in OPEN for values in (inputs, *others))

    try:
        found = explain(make, draw)
    except Exception:  # code that raises now and then
        found = None
    code = getattr(inspect.unwrap(net.loss), "__code__", None)
    file = code.co_filename if code else ""
    line = line_in(net, [], [part.name for part in report.arguments if part.verdict == "fail"]) or report.line
    mended, ran_out = None, False
    try:
        mended = amend(sample, passes, suspect=(file, line) if line else None)
    except TimeUp:
        ran_out = True
    place, line = (mended.file, mended.edits[0].line) if mended else (file, line)
    cause = found.cause if found is not None and found.cause not in ("unknown", "raises") else ""
    proven = mended.cause if mended and mended.cause != "wrong-term" else None
    told = found if found is not None and (proven or cause) in (found.cause, "") else None
    return Why(
        proven or cause or report.cause or "wrong-term",
        evidence=told.evidence if told else "",
        suggestion=told.suggestion if told else "",
        line=line,
        statement=statement_at(place, line) if line else "",
        file=Path(place).name if place != file else "",
        edits=[edit._asdict() for edit in mended.edits] if mended else [],
        ran_out=ran_out,
    )
