"""Edits that may mend a wrong backward, likeliest kinds first: each of one mistake that people make."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from . import caches, formulas, indices, slips, sums
from .place import Change, Place

Kind = Callable[[Place], Iterator[Change]]
KINDS: list[Kind] = [
    slips.misnamed, slips.calls, slips.kept, slips.dtypes, caches.cache_order, caches.from_forward, caches.recomputed,
    slips.keepdims, slips.reshaped, slips.accumulated, slips.cropped, formulas.eps_added, slips.returned_order,
    slips.unwrapped, slips.copied, indices.unstrided, formulas.undone, formulas.reductions, formulas.scaled,
    sums.counted, sums.left_out, formulas.operators, slips.axes, formulas.transposed, formulas.compared,
    formulas.signs, indices.looped, formulas.moved_inside, formulas.constants, formulas.conditions, formulas.dropped,
    indices.exchanged, formulas.one_hot, indices.renamed,
]  # fmt: skip
ANYWHERE: list[Kind] = [  # many on every line
    indices.strided, formulas.derived, formulas.termed, formulas.replaced_operand, formulas.multiplied,
]  # fmt: skip
LATE = 20  # ranks that these come later, so that likelier ones on other lines come first
CONTRACT: list[Kind] = [slips.copied, slips.accumulated, indices.renamed]


def changes(place: Place, *, contract: bool = False) -> Iterator[tuple[int, Change]]:
    """All edits to try in a function, each with the rank of its kind; where only the contract is broken, copies."""
    for rank, kind in enumerate(CONTRACT if contract else [*KINDS, *ANYWHERE]):
        rank = rank + LATE * (kind in ANYWHERE)
        if place.role == "forward" and kind is not slips.copied:
            continue
        found = list(kind(place))
        yield from ((rank, change) for change in found)
        yield from ((rank, change) for change in _everywhere(found, place.text.text))


def _everywhere(found: list[Change], text: str) -> Iterator[Change]:
    """The same edit at all its places at once; of what is only put in, all places with the same words between."""
    groups: dict[Any, list[Change]] = {}
    for change in found:
        edit = tuple((text[start:end], new) for start, end, new in change.spans)
        between = "" if any(old for old, _ in edit) else text[change.spans[0][0] : change.spans[-1][1]]
        groups.setdefault((between, edit), []).append(change)
    for group in groups.values():
        spans = sorted({span for change in group for span in change.spans})
        apart = all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        if len(group) > 1 and apart:
            yield Change(group[0].kind, group[0].cause, tuple(spans))
