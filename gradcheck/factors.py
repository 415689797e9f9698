"""One factor on all entries of a gradient, and the number that it is: a count, a setting, or a constant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .reading import Reading
from .samples import Sample


def counts(s: Sample) -> Iterator[tuple[str, str, float]]:
    """Numbers that a factor may be: the cause, the number in the reader's names, its value."""
    arrays = {name: value for name, value in s.values.items() if isinstance(value, np.ndarray)}
    sizes: dict[str, float] = {}
    for name, value in {**arrays, "out": s.out}.items():
        for axis, size in enumerate(value.shape):
            sizes.setdefault(f"{name}.shape[{axis}]", size)
        if value.ndim > 2:
            sizes[f"prod({name}.shape[2:])"] = math.prod(value.shape[2:])
            sizes[f"prod({name}.shape[1:])"] = math.prod(value.shape[1:])
        if value.ndim > 1:
            sizes[f"{name}.size"] = value.size
            sizes[f"{name}.size / {name}.shape[1]"] = value.size / (value.shape[1] or 1)
    batch = _examples(s)
    N = sizes.get(f"{batch}.shape[0]", 0)
    if N > 0:
        yield "scale-batch", f"N = {batch}.shape[0]", N
    for text, size in sizes.items():
        if text != f"{batch}.shape[0]" and size > 0:
            yield "scale-count", text, size
    for (one, p), (two, q) in itertools.permutations(sizes.items(), 2):
        if p > 0 and q > 0 and "size" not in one + two:
            yield "scale-count", f"{one} / {two}", p / q
    for text, size in sizes.items():
        if size > 1 and "/" not in text:
            yield "scale-factor", f"sqrt({text})", math.sqrt(size)
    for text, value in settings_of(s).items():
        if isinstance(value, float) and 0 < value < 1:
            yield "scale-keep", text, value
            yield "scale-keep", f"1 - {text}", 1 - value
            yield "scale-keep", f"{text} / (1 - {text})", value / (1 - value)


def _examples(s: Sample) -> str:
    """The argument whose first axis counts the examples: x, X, or the first array."""
    arrays = [name for name, value in s.values.items() if isinstance(value, np.ndarray) and value.ndim]
    return next((name for name in arrays if name in ("x", "X", "inputs", "input")), arrays[0] if arrays else "")


def settings_of(s: Sample) -> dict[str, Any]:
    """The numbers and words among the arguments, also inside of dicts, by name."""
    found: dict[str, Any] = {}
    for name, value in s.values.items():
        for inner, setting in value.items() if isinstance(value, dict) else ((name, value),):
            if isinstance(setting, (int, float, str, bool)):
                found[str(inner)] = setting
    return found


def scale(s: Sample, k: int, witnesses: Sequence[Sample], other: Any = None) -> Reading | None:
    """One factor on all entries, told apart from the others by sizes; `other` is a term that is not multiplied."""

    def factor(t: Sample) -> float | None:
        a = t.returned[k] if k < len(t.returned) else None
        if a is None or a.shape != t.x[k].shape or a.dtype.kind != "f" or not np.any(a):
            return None
        terms = [a] if other is None else [a, other(t)]
        found = t.fit(k, terms)
        return float(found[0]) if found is not None else math.nan

    factors = [(t, c) for t in witnesses if (c := factor(t)) is not None]
    if len(factors) < 2 or factors[0][0] is not s or any(math.isnan(c) for _, c in factors):
        return None
    values = [c for _, c in factors]
    name = s.names[k]
    if all(abs(c - 1) < 1e-7 for c in values):
        return None
    seen = f"returned / true = {1 / values[0]:.6g}" if values[0] else "returned is infinite"
    found = list(_explanations(factors))
    if np.ptp(values) < 1e-6 * abs(values[0]) and _sizes_differ(factors):
        if abs(values[0] + 1) < 1e-7:
            return always(
                "scale-sign", f"{seen} for {name}, at every size tried", f"change the sign of the gradient of {name}"
            )
        if not found:
            return always("scale-factor", f"{seen} for {name}, at every size tried", f"multiply it by {values[0]:.6g}")
        if not {cause for cause, *_ in found} <= {"scale-keep", "scale-factor"}:
            return None  # a constant, or a count that is the same at all these sizes
    if len({cause for cause, *_ in found}) != 1 and not (
        found and found[0][0] == "scale-batch" and _sizes_differ(factors)
    ):
        return None
    cause, text, multiplied = found[0]
    t, c = next(((t, c) for t, c in factors if abs(c - values[0]) > 1e-6 * abs(c)), (s, values[0]))
    elsewhere = f"; at {t.text or 'another size'} it is {1 / c:.6g}" if t is not s else ""
    return always(
        cause,
        f"{seen} = {'1 / (' + text + ')' if multiplied else text} for {name}{elsewhere}",
        f"{'multiply' if multiplied else 'divide'} the gradient of {name} by {text}",
    )


def always(cause: str, evidence: str, suggestion: str) -> Reading:
    return Reading(cause, evidence, suggestion, lambda t: True)


def _sizes_differ(factors: Sequence[tuple[Sample, float]]) -> bool:
    """Whether the first axis, and some other size, is seen at two sizes."""
    shapes = {tuple(np.shape(x) for x in (*t.x, *t.arguments)) for t, _ in factors}
    return len(shapes) > 1


def _explanations(factors: Sequence[tuple[Sample, float]]) -> Iterator[tuple[str, str, bool]]:
    """Counts that are the factor, or one over it, at every sample: cause, count, whether to multiply by it."""
    tables = [({text: (cause, value) for cause, text, value in counts(t)}, c) for t, c in factors]
    for text, (cause, _) in tables[0][0].items():
        for sign in (1, -1):
            if all(text in table and abs(abs(c) - table[text][1] ** sign) < 1e-6 * abs(c) for table, c in tables):
                yield cause, text, sign == 1
