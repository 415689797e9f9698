"""Which entries of a suspect gradient are wrong, and whether a kink explains them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from . import kinks
from .directional import CLEAN, CLEAR, Line
from .numeric import EPS, Estimate
from .report import ArgumentResult, Worst
from .where import where

ENTRIES = 600  # gradients up to this size are compared entry by entry
SHARE = 5  # of a larger one, that number over this is drawn at random, beside the entries found by bisection
DESCENTS = 8
ONE_FACTOR = "all wrong by one factor"


@dataclass(frozen=True)
class Entry:
    """One entry's gradient by differences."""

    index: int
    analytic: float
    numeric: float
    wrong: bool
    sides: kinks.Sides | None  # where the function has a kink or a jump

    @property
    def excused(self) -> bool:
        """At a kink, with a value that lies between the slopes on both sides."""
        return self.sides is not None and self.sides.admit(self.analytic)


def locate(
    name: str,
    line: Line,
    gradient: np.ndarray,
    estimate: Estimate,
    rng: np.random.Generator,
    precision: float = EPS,
    most: int = ENTRIES,
) -> ArgumentResult:
    """Compare entry by entry; a gradient is accused only if one entry is shown to be wrong."""
    flat = gradient.ravel()
    rounding = 16 * precision * float(np.abs(flat).max())
    h = min(estimate.h, 3 * line.h) if estimate.noise < 1e3 * line.rounding else estimate.h
    every = flat.size <= most
    indices = range(flat.size) if every else _suspects(line, flat, h, rng, most // SHARE)
    entries = [_entry(line, i, float(flat[i]), h, estimate.noise, rounding) for i in indices]
    accused = [entry for entry in entries if entry.wrong and not entry.excused]
    excused = sum(entry.excused for entry in entries)
    notes = [f"{excused} of {len(entries)} entries sit on a kink, where any slope between both sides will do"]
    result = ArgumentResult(name, "pass", checked=len(entries), notes=notes if excused else [])
    result.excused = excused
    worst = _confirmed(line, accused, gradient.shape, rounding)
    if worst is not None:
        result.worst, result.wrong = worst, len(accused)
        _describe(result, accused)
        result.where = where(_mask(line, accused), _mask(line, entries), line.x, name) if len(accused) > 1 else ""
    elif accused or not excused:
        result.verdict = "inconclusive"
        result.notes.append("directions disagree, but no single entry could be shown to be wrong")
    return result


def _entry(line: Line, index: int, analytic: float, h: float, noise: float, rounding: float) -> Entry:
    step = h * _basis(line, index)
    up, down = line.rise(step), line.rise(-step)
    if abs((up - down) / (2 * h) - analytic) <= CLEAN * abs(analytic):
        return Entry(index, analytic, analytic, False, None)
    half_up, half_down = line.rise(step / 2), line.rise(-step / 2)
    wide, narrow = (up - down) / (2 * h), (half_up - half_down) / h
    numeric = (4 * narrow - wide) / 3
    error = abs(narrow - wide) + noise / h
    gap = abs(analytic - numeric)
    kink = kinks.bends(up + down, half_up + half_down, noise)
    sides = kinks.sides(half_up, half_down, h, noise) if kink else None
    wrong = gap > CLEAR * error + CLEAN * max(abs(analytic), abs(numeric)) + rounding
    return Entry(index, analytic, numeric, bool(wrong) or (sides is not None and gap > sides.slack), sides)


def _basis(line: Line, index: int) -> np.ndarray:
    basis = np.zeros(line.x.size)
    basis[index] = 1
    return basis.reshape(line.x.shape)


def _mask(line: Line, entries: list[Entry]) -> np.ndarray:
    mask = np.zeros(line.x.size, bool)
    mask[[entry.index for entry in entries]] = True
    return mask.reshape(line.x.shape)


def _confirmed(line: Line, accused: list[Entry], shape: tuple[int, ...], rounding: float) -> Worst | None:
    """The entry with the largest error that a sweep of steps confirms."""
    for entry in sorted(accused, key=lambda entry: -abs(entry.analytic - entry.numeric))[:3]:
        basis, size = _basis(line, entry.index), abs(float(line.x.flat[entry.index]))
        value, error, _, _ = line.best_sweep(basis, 0.0, abs(entry.analytic))
        if 0 < size < 1e-2 and _vindicated(entry, line.sweep(basis, size)):
            continue  # log(x) at 1e-8 bends within the shortest of the usual steps
        if abs(entry.analytic - value) > CLEAR * error + CLEAN * abs(entry.analytic) + rounding:
            at = tuple(int(i) for i in np.unravel_index(entry.index, shape))
            return Worst(at, entry.analytic, value)
    return None


def _vindicated(entry: Entry, estimate: Estimate) -> bool:
    return abs(entry.analytic - estimate.value) <= CLEAR * estimate.error <= 0.01 * abs(entry.analytic)


def _describe(result: ArgumentResult, accused: list[Entry]) -> None:
    """A fail or, if all wrong entries sit on kinks, a kink; and whether all are wrong by one factor."""
    result.verdict = "fail"
    sides = [entry.sides for entry in accused if entry.sides is not None]
    if len(sides) == len(accused):
        result.verdict = "kink"
        text = f"such as {sides[0].low:.6g} to {sides[0].high:.6g}"
        result.notes.append(f"at a kink any slope between both sides will do, {text}")
        return
    ratios = np.array([entry.analytic / entry.numeric for entry in accused if entry.numeric])
    if len(ratios) == len(accused) > 1 and np.ptp(ratios) < 1e-4 * abs(ratios.mean()) and ratios.mean():
        result.notes.append(ONE_FACTOR)


def _suspects(line: Line, gradient: np.ndarray, h: float, rng: np.random.Generator, sample: int) -> Iterable[int]:
    """Entries of a large gradient that bisection finds, and a random sample to tell how many are like them."""
    found = {_bisect(line, gradient, h, rng.standard_normal(gradient.size)) for _ in range(DESCENTS)}
    return sorted(found.union(rng.choice(gradient.size, sample, replace=False).tolist()))


def _bisect(line: Line, gradient: np.ndarray, h: float, u: np.ndarray) -> int:
    """Halve the range of entries and follow the half whose slope is further off: 2 forwards for each halving."""

    def gap(low: int, high: int) -> float:
        part = np.zeros_like(u)
        part[low:high] = u[low:high]
        step = h * part.reshape(line.x.shape)
        return line.rise(step, -step) / (2 * h) - float(np.vdot(gradient, part))

    low, high = 0, u.size
    total = gap(low, high)
    while high - low > 1:
        middle = (low + high) // 2
        left = gap(low, middle)
        right = total - left  # slopes add
        if abs(left) >= abs(right):
            high, total = middle, left
        else:
            low, total = middle, right
    return low
