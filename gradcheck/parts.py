"""The part of a layer made of layers that is itself wrong, with the inputs that it got there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from .check import check_layer
from .parameters import owners_in
from .report import Report

WRONG = ("fail", "contract", "kink")


def failing_part(layer: Any, inputs: Sequence[Any]) -> tuple[Any, tuple[Any, ...], Report] | None:
    """The first part that a check on its own accuses, the innermost and the last first; with its inputs and report.

    Those that forward does not call, or calls with keywords, are not looked at.
    """
    (top, *watched), (_, *parts) = ([part for _, part in owners_in(copy.deepcopy(layer))] for _ in range(2))
    given = dict[int, tuple[Any, ...]]()
    for i, part in enumerate(watched):
        _note(part, i, given)
    try:
        top.forward(*copy.deepcopy(list(inputs)))
    except Exception:  # as the check has told
        return None
    for i in sorted(given, reverse=True):
        report = check_layer(parts[i], *given[i], why=False)
        if report.verdict in WRONG:
            return parts[i], given[i], report
    return None


def _note(part: Any, i: int, given: dict[int, tuple[Any, ...]]) -> None:
    forward = part.forward

    def noting(*inputs: Any, **options: Any) -> Any:
        if not options:
            given.setdefault(i, copy.deepcopy(inputs))
        return forward(*inputs, **options)

    part.forward = noting
