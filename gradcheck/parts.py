"""The part of a layer made of layers that is itself wrong, with the inputs that it got there."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .check import check_layer
from .report import Report

WRONG = ("fail", "contract", "kink")


def failing_part(layer: Any, inputs: Sequence[Any]) -> tuple[Any, tuple[Any, ...], Report] | None:
    """The first part, the innermost first, that a check on its own accuses; with its inputs and its report.

    Parts are attributes that have forward and backward, or stand in a list. Those that forward does not call, or calls
    with keywords, are not looked at.
    """
    watched, parts = list(_parts(copy.deepcopy(layer))), list(_parts(copy.deepcopy(layer)))
    top, given = watched[-1], dict[int, tuple[Any, ...]]()
    for i, part in enumerate(watched[:-1]):
        _note(part, i, given)
    try:
        top.forward(*copy.deepcopy(list(inputs)))
    except Exception:  # as the check has told
        return None
    for i, part in enumerate(parts[:-1]):
        if i in given:
            report = check_layer(part, *given[i], why=False)
            if report.verdict in WRONG:
                return part, given[i], report
    return None


def _note(part: Any, i: int, given: dict[int, tuple[Any, ...]]) -> None:
    forward = part.forward

    def noting(*inputs: Any, **options: Any) -> Any:
        if not options:
            given.setdefault(i, copy.deepcopy(inputs))
        return forward(*inputs, **options)

    part.forward = noting


def _parts(layer: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """A layer's parts, each once and after its own, and at last itself."""
    seen = set() if seen is None else seen
    for value in getattr(layer, "__dict__", {}).values():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            is_layer = callable(getattr(part, "forward", None)) and callable(getattr(part, "backward", None))
            if is_layer and not isinstance(part, (type, np.ndarray)) and id(part) not in seen:
                seen.add(id(part))
                yield from _parts(part, seen)
    yield layer
