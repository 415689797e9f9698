"""What is missing from a gradient, or too much in it: a whole term, or a sum over other axes than the right ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from .reading import Reading, mended, tested
from .samples import Sample
from .transforms import close

Axes = tuple[int, ...]
Source = Callable[[Sample], "np.ndarray | None"]
SOME = 1e-7  # of the largest entry: what counts as a difference


def residual(s: Sample, k: int) -> np.ndarray | None:
    """True less returned; None where the shapes differ."""
    a = s.returned[k] if k < len(s.returned) else None
    return s.true(k) - a if a is not None and a.shape == s.x[k].shape else None


def differing(s: Sample, k: int) -> np.ndarray | None:
    """Where the returned gradient is wrong."""
    r = residual(s, k)
    return None if r is None else np.abs(r) > SOME * float(np.abs(s.true(k)).max(initial=0))


def terms(s: Sample, k: int) -> Iterator[Reading]:
    """One term with a simple coefficient: dout itself, another gradient, the weights."""
    name, shape = s.names[k], s.x[k].shape
    if s.returned[k].shape != shape:
        return
    if not s.subject.takes_dout and np.any(s.x[k]):
        coefficient = s.fit(k, [s.x[k]], s.returned[k])
        if coefficient is not None:
            yield Reading(
                "regularization",
                f"true - returned = {coefficient[0]:.6g} * {name}: the gradient of the L2 term",
                f"make its factor match the loss: d/d{name} of c * sum({name}**2) is 2 * c * {name}",
                lambda t: t.fit(k, [t.x[k]], t.returned[k]) is not None,
            )
        return
    for j, d in enumerate(s.douts):
        if d.shape == shape:
            for c in (1, -1):
                yield mended(
                    "missing-branch",
                    f"true - returned = {'' if c > 0 else '-'}dout: the path straight to the output",
                    f"add dout to the gradient of {name}" if c > 0 else f"add dout to the gradient of {name} only once",
                    k,
                    lambda t, g, j, c: g + c * t.douts[j],
                    j,
                    c,
                )
    for j, other in enumerate(s.returned):
        if j != k and other is not None and other.shape == shape:
            yield mended(
                "missing-branch",
                f"true - returned is what is returned for {s.names[j]}",
                f"add it to the gradient of {name}: both paths count",
                k,
                lambda t, g, other: g + t.returned[other],
                j,
            )


def sums(s: Sample, k: int) -> Iterator[Reading]:
    """A sum of dout, or of dout times something seen, over other axes than the right ones."""
    name = s.names[k]
    a = s.returned[k]
    for text, source in _sources(s):
        S = source(s)
        if S is None or S.ndim < 2:
            continue
        reduced = list(_reductions(S.ndim))
        right = next(
            (
                axes
                for axes in reduced
                if S.sum(axis=axes).size == s.x[k].size and s.agrees(k, S.sum(axis=axes).reshape(s.x[k].shape))
            ),
            None,
        )
        if right is None:
            continue
        for axes, way in itertools.product(reduced, ("sum", "mean")):
            found = getattr(S, way)(axis=axes)
            if axes != right and found.size == a.size and close(found.reshape(a.shape), a):
                yield tested(
                    "wrong-axis",
                    f"the gradient of {name} is {text} summed over axis {axes_text(axes)}, not {axes_text(right)}",
                    f"sum over axis {axes_text(right)}",
                    _is_sum,
                    k,
                    source,
                    axes,
                    way,
                )


def _is_sum(t: Sample, k: int, source: Source, axes: Axes, way: str) -> bool | None:
    S = source(t)
    if S is None or k >= len(t.returned) or t.returned[k] is None:
        return None
    found = getattr(S, way)(axis=axes)
    return found.size == t.returned[k].size and close(found.reshape(t.returned[k].shape), t.returned[k])


def _sources(s: Sample) -> Iterator[tuple[str, Source]]:
    yield "dout", lambda t: t.d
    for i, x in enumerate(s.x):
        if x.shape == s.d.shape:
            yield f"dout * {s.names[i]}", _product(i)
            for axes in _reductions(x.ndim):
                yield (
                    f"dout * {s.names[i]} normalised over axis {axes_text(axes)}",
                    _product(i, axes),
                )


def _product(i: int, axes: Axes | None = None) -> Source:
    return lambda t: t.d * (t.x[i] if axes is None else normalised(t.x[i], axes))


def _reductions(ndim: int) -> Iterator[Axes]:
    for size in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), size)


def axes_text(axes: Axes) -> str:
    return ", ".join(map(str, axes))


def normalised(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Zero mean, unit variance."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + 1e-300)
