"""Which outputs a gradient counts: each entry is a sum over the outputs that the argument's entry reaches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .amend import loops
from .factors import settings_of
from .reading import Reading, tested
from .residuals import differing
from .samples import Sample
from .transforms import close

MOST = 4_000_000  # entries of a Jacobian


def overwritten(s: Sample, k: int) -> Iterator[Reading]:
    """``=`` in a loop where ``+=`` is due: of the contributions to an entry only the last is left."""
    if s.returned[k].shape != s.x[k].shape or s.x[k].size * s.out.size > MOST:
        return
    name = s.names[k]
    shape = s.out.shape
    if len(s.outs) == 1 and s.out.ndim:
        for axis, place in itertools.product(range(s.out.ndim), (-1, 0)):
            if shape[axis] > 1:
                what = ("last" if place else "first") + (" sample" if axis == 0 else f" index along axis {axis}")
                cause = "last-sample-only" if axis == 0 else "overwritten"
                summed = s.x[k].shape == shape[1:] and s.agrees(k, s.d.sum(axis=0))
                total = f"d{name} = dout.sum(axis=0)" if summed else "sum over all samples"
                adding = f"use += where d{name} is assigned"
                adding = adding if axis else total if place == 0 or summed else f"{adding}, or {total}"
                yield tested(
                    cause,
                    f"the gradient of {name} has one part of dout only: the {what}",
                    adding,
                    _counts_only,
                    k,
                    axis,
                    place,
                )
    if s.out.ndim == 4 and s.x[k].ndim == 4:
        yield Reading(
            "overwritten",
            f"where windows overlap the gradient of {name} has only what the last window left",
            "use += in place of = where the window of the gradient is assigned",
            lambda t: _is_last_window(t, k),
        )
    yield Reading(
        "overwritten",
        f"entries of {name} that are used more than once have only their last contribution: {_tally(s, k)}",
        "use += in place of = where windows overlap or indices repeat",
        lambda t: _keeps_one(t, k),
    )


def _counts_only(t: Sample, k: int, axis: int, place: int) -> bool | None:
    """Whether the gradient is what one slice of dout along an axis contributes."""
    if t.out.ndim <= axis or t.out.shape[axis] < 2 or t.returned[k].shape != t.x[k].shape:
        return None
    only = np.zeros_like(t.d)
    where = tuple(place if i == axis else slice(None) for i in range(t.d.ndim))
    only[where] = t.d[where]
    return t.agrees(k, t.returned[k], (only,)) and bool(np.any(t.returned[k]))


def _keeps_one(t: Sample, k: int) -> bool | None:
    """Every wrong entry holds the last (or always the first) of several contributions, or nothing at all."""
    wrong = differing(t, k)
    if wrong is None or t.x[k].size * t.out.size > MOST:
        return False
    if not wrong.any():
        return None
    J = t.jacobian(k)[: t.out.size]
    for loop in _loops(t.out.ndim):
        for backwards in (False, True):
            kept = _kept(J, t.d, loop, backwards)
            if kept is not None and _explains(t.returned[k].ravel(), kept, wrong.ravel()):
                return True
    return False


def _is_last_window(t: Sample, k: int) -> bool | None:
    """Whether each pixel has just the contribution of the last window that covers it, or of the last channel in it."""
    geometry = _geometry(t)
    if geometry is None or t.x[k].ndim != 4 or t.x[k].size * t.out.size > MOST:
        return None
    (height, width), stride, pad = geometry
    H, W = t.x[k].shape[2:]
    rows, columns = (_last(n, size, out, stride, pad) for n, size, out in zip((H, W), (height, width), t.out.shape[2:]))
    J = t.jacobian(k)[: t.out.size].reshape(*t.out.shape, *t.x[k].shape)
    i, j = np.arange(H)[:, None], np.arange(W)[None]
    covered = (rows >= 0)[:, None] & (columns >= 0)[None]
    parts = J * t.d.reshape(*t.d.shape, 1, 1, 1, 1)
    last = parts[:, :, np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None], :, :, i, j]  # (H, W, n, f, N, C)
    last = np.moveaxis(last * covered[..., None, None, None, None], (0, 1), (4, 5)).sum(axis=0)  # (f, N, C, H, W)
    return any(close(t.returned[k], found) for found in (last.sum(axis=0), last[-1]))


def _geometry(t: Sample) -> tuple[tuple[int, int], int, int] | None:
    """Window, stride and pad, from the settings and the filters."""
    numbers = settings_of(t)
    window = numbers.get("pool_height"), numbers.get("pool_width")
    filters = [x.shape[2:] for name, x in zip(t.names, t.x) if x.ndim == 4 and name.lower().startswith("w")]
    if None in window and not filters:
        return None
    height, width = filters[0] if None in window else window
    return (int(height), int(width)), int(numbers.get("stride", 1)), int(numbers.get("pad", 0))


def _last(n: int, size: int, out: int, stride: int, pad: int) -> np.ndarray:
    """For each of n places the last window that covers it; -1 if none does."""
    place = np.arange(n) + pad
    last = np.minimum(place // stride, out - 1)
    return np.where(place < last * stride + size, last, -1)


def _loops(ndim: int) -> Iterator[tuple[int, ...]]:
    """The axes of dout that the loop around the assignment runs over: all, images and places, places only."""
    if ndim == 4:
        yield from [(0, 1, 2, 3), (0, 2, 3), (2, 3), (2,), (3,)]
    else:
        yield from [tuple(range(ndim)), tuple(range(ndim - 1))]


def _kept(J: np.ndarray, d: np.ndarray, loop: tuple[int, ...], backwards: bool) -> list[np.ndarray] | None:
    """For each entry of the argument the sums of contributions, in the order of the loop, those that are not zero."""
    if not loop:
        return None
    parts = (J * d.reshape(-1, 1)).reshape(*d.shape, -1)
    rest = tuple(axis for axis in range(d.ndim) if axis not in loop)
    summed = parts.sum(axis=rest).reshape(-1, parts.shape[-1])
    if backwards:
        summed = summed[::-1]
    return [
        column[column != 0] for column in np.where(np.abs(summed) > 1e-11 * np.abs(summed).max(initial=0), summed, 0).T
    ]


def _explains(a: np.ndarray, kept: list[np.ndarray], wrong: np.ndarray) -> bool:
    """Whether all wrong entries are the last contribution, or zero, and right ones have but one."""
    size = float(np.abs(a).max(initial=0))
    seen = several = 0
    for i in np.flatnonzero(wrong):
        if abs(a[i]) <= 1e-9 * size:
            continue
        if not len(kept[i]) or abs(a[i] - kept[i][-1]) > 1e-7 * size:
            return False
        seen += 1
    for i in np.flatnonzero(~wrong):
        several += len(kept[i]) > 1
    return seen > 0 and several <= seen


def _tally(s: Sample, k: int) -> str:
    wrong = differing(s, k)
    return f"{int(wrong.sum())} of {wrong.size} entries wrong" if wrong is not None else ""


def slices(s: Sample, k: int) -> Iterator[Reading]:
    """Right for dout in some places only: the first or last step, the border, one sample."""
    name = s.names[k]
    if s.returned[k].shape != s.x[k].shape or not s.subject.takes_dout or s.out.ndim < 2:
        return
    for axis, size in enumerate(s.out.shape[:-1] if s.out.ndim == 2 else s.out.shape):
        if not 2 < size < 16:
            continue
        right = _right_at(s, k, axis)
        if all(right) or not any(right):
            continue
        wrong = [i for i in range(size) if not right[i]]
        time = s.out.ndim == 3 and axis == 1 and loops(s)
        where = f"at index {', '.join(map(str, wrong))} of axis {axis}"
        if time:
            cause = "missing-timestep"
        elif wrong in ([0], [size - 1]):
            cause = "off-by-one"
        elif len(wrong) == size - 1 and axis == 0:
            cause = "last-sample-only"
        else:
            continue
        yield tested(
            cause,
            f"the gradient of {name} is wrong only for dout {where}",
            f"check the loop over axis {axis}",
            _is_wrong_at,
            k,
            axis,
            right,
        )


def _is_wrong_at(t: Sample, k: int, axis: int, right: list[bool]) -> bool | None:
    if t.out.shape[axis] != len(right):
        return None
    return _right_at(t, k, axis) == right and (axis != 1 or t.out.ndim != 3 or _is_cut_off(t))


def _is_cut_off(t: Sample) -> bool:
    """Whether what each step of dout gives a sequence is right or nothing at each of its steps, not wrong."""
    T = t.out.shape[1]
    for j, x in enumerate(t.x):
        if x.ndim == 3 and x.shape[1] == T and x.size * t.out.size <= MOST:
            J = t.jacobian(j)[: t.out.size]
            for i in range(T):
                only = np.zeros_like(t.d)
                only[:, i] = t.d[:, i]
                found, true = t.tried(j, (only, *map(np.zeros_like, t.douts[1:]))), (only.ravel() @ J).reshape(x.shape)
                size = 1e-6 * np.abs(true).max()
                if found is None or found.shape != x.shape:
                    return False
                off, there = (np.abs(a).max(axis=(0, 2)) > size for a in (found - true, found))
                if (off & there).any():
                    return False
    return True


def _right_at(t: Sample, k: int, axis: int) -> list[bool]:
    """For each slice of dout along an axis, whether its contribution to the gradient is right."""
    right = []
    for i in range(t.out.shape[axis]):
        only = np.zeros_like(t.d)
        where = tuple(i if j == axis else slice(None) for j in range(t.d.ndim))
        only[where] = t.d[where]
        found = t.tried(k, (only, *map(np.zeros_like, t.douts[1:])))
        given = (only, *map(np.zeros_like, t.douts[1:]))
        right.append(found is not None and (t.agrees(k, found, given)))
    return right


def outputs(s: Sample, k: int) -> Iterator[Reading]:
    """Of several outputs, one whose gradient is not passed on."""
    if len(s.douts) < 2 or s.returned[k].shape != s.x[k].shape:
        return

    def only(t: Sample, j: int) -> tuple[np.ndarray, ...]:
        return tuple(d if i == j else np.zeros_like(d) for i, d in enumerate(t.douts))

    for j in range(len(s.douts)):

        def holds(t: Sample, j: int = j) -> bool | None:
            alone = t.tried(k, only(t, j))
            others = tuple(np.zeros_like(d) if i == j else d for i, d in enumerate(t.douts))
            rest = t.tried(k, others)
            if alone is None or rest is None or alone.shape != t.x[k].shape:
                return False
            missing = not np.any(alone) and not t.agrees(k, alone, only(t, j))
            return missing and t.agrees(k, rest, others)

        yield Reading(
            "missing-branch",
            f"what comes through output {j} does not reach the gradient of {s.names[k]}",
            f"add the path from output {j} to it",
            holds,
        )


def close_to_nothing(s: Sample, k: int) -> bool:
    """Whether nothing at all was written into a gradient that has something to hold."""
    return not np.any(s.returned[k]) and s.is_wrong(k) and not close(s.returned[k], s.true(k))


def is_nothing(t: Sample, k: int) -> bool | None:
    """Whether the gradient is zero, or, of a loss, a multiple of its argument."""
    a, x = t.returned[k], t.x[k]
    if a.shape != x.shape or not t.is_wrong(k):
        return None
    if not np.any(a):
        return True
    return not t.subject.takes_dout and close(a, x * float(np.vdot(a, x) / np.vdot(x, x)))
