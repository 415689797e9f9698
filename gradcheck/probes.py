"""Behaviour: backward run again with another dout, cache, mode, scale, and what it does then."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .contract import handed_out, kept
from .factors import settings_of
from .reading import Reading, mended
from .samples import Sample
from .state import arrays_in, poison, replaying, snapshot_generators
from .transforms import close


def ignored(s: Sample, k: int) -> Iterator[Reading]:
    """Another dout, and nothing changes."""
    if s.subject.takes_dout:
        yield Reading(
            "ignores-dout",
            f"the gradient of {s.names[k]} does not change with dout",
            "multiply by dout: the chain rule",
            lambda t: _is_fixed(t, k),
        )


def linearity(s: Sample, k: int) -> Iterator[Reading]:
    """Dout scaled, dout zero."""
    if not s.subject.takes_dout:
        return
    name = s.names[k]
    yield Reading(
        "ignores-dout",
        f"the gradient of {name} is not zero where dout is zero: a term is not multiplied by dout",
        "multiply every term by dout",
        lambda t: _survives(t, k),
    )
    yield Reading(
        "nonlinear-in-dout",
        f"backward(2 * dout) is not 2 * backward(dout) for {name}",
        "dout enters each term once, as a factor",
        lambda t: _bends(t, k),
    )


def _is_fixed(t: Sample, k: int) -> bool:
    a, b = t.returned[k], t.tried(k, [3 * d + 1 for d in t.douts])
    return b is not None and bool(np.any(a)) and close(a, b, 1e-12)


def _survives(t: Sample, k: int) -> bool:
    b = t.tried(k, [np.zeros_like(d) for d in t.douts])
    return b is not None and bool(np.abs(b).max(initial=0) > 1e-9 * np.abs(t.returned[k]).max(initial=0))


def _bends(t: Sample, k: int) -> bool:
    for p in (-2.0, 2.0**11):  # powers of two, which float32 rounds to themselves
        b = t.tried(k, [p * d for d in t.douts])
        if b is not None and b.dtype.kind == "f" and not close(p * t.returned[k], b, 1e-9):
            return True
    return False


def state(s: Sample, k: int) -> Iterator[Reading]:
    """A second backward from the same cache."""
    name = s.names[k]
    yield Reading(
        "accumulates",
        f"the gradient of {name} is right at the first call and twice that at the second",
        "start from zeros in every call",
        lambda t: _second(t, k) == "twice",
    )
    yield Reading(
        "random-redrawn",
        f"two calls with one cache and one dout give two gradients of {name}",
        "draw in forward, keep what was drawn in the cache",
        lambda t: _second(t, k) == "redrawn",
    )
    yield Reading(
        "not-repeatable",
        f"two calls with one cache and one dout give two gradients of {name}, and no generator is at play: an array of "
        "np.empty that is not filled?",
        "make it with np.zeros",
        lambda t: _second(t, k) == "differs",
    )


def _second(t: Sample, k: int) -> str:
    t._deadline.check()
    with replaying(t.subject.functions), np.errstate(all="ignore"):
        run = t.subject.run(t.x)
        before = [array.copy() for _, array in arrays_in(run.cache)]
        rewind = snapshot_generators(t.subject.functions)

        def backward() -> Any:
            poison(t.x)
            return kept(run.backward(handed_out(list(t.douts), True)))[k]

        try:
            first, second = backward(), backward()
            rewind()
            replayed = backward()
        except Exception:
            return "raises"
        changed = any(not np.array_equal(a, b, equal_nan=True) for a, (_, b) in zip(before, arrays_in(run.cache)))
    if first is None or second is None or first.shape != second.shape or close(first, second, 1e-12):
        return ""
    if close(2 * first, second, 1e-12):
        return "twice"
    if changed:
        return "changed"
    return "redrawn" if replayed is not None and close(first, replayed, 1e-12) else "differs"


def corruption(s: Sample, k: int) -> Iterator[Reading]:
    """A cache that backward overwrites while it still needs it."""
    yield Reading(
        "mutates-cache",
        f"backward writes into its cache; the gradient of {s.names[k]} is wrong at the first call",
        "work on a copy of what the cache holds",
        lambda t: _second(t, k) == "changed",
    )


# --- the same, with another factor of dout


def factors_of_dout(s: Sample, k: int) -> Iterator[Reading]:
    """A per-channel argument (gamma) that is missing, or stands outside of a sum that it belongs into."""
    if not s.subject.takes_dout or len(s.douts) > 1:
        return
    for key, v in s.values.items():
        if (
            key == s.names[k]
            or not isinstance(v, np.ndarray)
            or v.dtype.kind != "f"
            or not 0 < v.size <= max(s.d.shape, default=0)
        ):
            continue
        if not any(n == v.size for n in s.d.shape) or not np.all(v):
            continue
        for axis in (axis for axis, n in enumerate(s.d.shape) if n == v.size):
            for text, suggestion, mend in (
                (f"without the factor {key}", f"multiply dout by {key}", lambda t, v: t.tried(k, (t.d * v,))),
                (f"with the factor {key} twice", f"multiply by {key} once", lambda t, v: t.tried(k, (t.d / v,))),
                (
                    f"multiplied by {key} after the sums",
                    f"multiply dout by {key} before the sums over it",
                    lambda t, v: _over(t.tried(k, (t.d * v,)), v),
                ),
            ):
                yield mended(
                    "scale-per-channel",
                    f"the gradient of {s.names[k]} is computed {text}",
                    suggestion,
                    k,
                    lambda t, g, key, axis, mend: mend(t, _along(t.values[key], t.d, axis)),
                    key,
                    axis,
                    mend,
                )


def per_channel(s: Sample, k: int) -> Iterator[Reading]:
    """A factor that is another argument, or one over it, along one axis."""
    a = s.returned[k]
    if a.shape != s.x[k].shape or a.ndim == 0:
        return
    for key, v in s.values.items():
        if key == s.names[k] or not isinstance(v, np.ndarray) or v.dtype.kind != "f" or v.size < 2 or not np.all(v):
            continue
        for axis in (axis for axis, n in enumerate(a.shape) if n == v.size):
            for power, word in ((1, "multiply"), (-1, "divide")):
                yield mended(
                    "scale-per-channel",
                    f"{'true / returned' if power > 0 else 'returned / true'} is {key}, axis {axis}",
                    f"{word} the gradient of {s.names[k]} by {key}",
                    k,
                    lambda t, g, key, axis, power: g * _along(t.values[key], g, axis) ** power,
                    key,
                    axis,
                    power,
                )


def _along(v: np.ndarray, like: np.ndarray, axis: int) -> np.ndarray:
    return v.reshape([-1 if i == axis else 1 for i in range(like.ndim)])


def _over(g: np.ndarray | None, v: np.ndarray) -> np.ndarray | None:
    return None if g is None else g / v


# --- another mode, another eps


def other_mode(s: Sample, k: int) -> Iterator[Reading]:
    """The true gradient in the other mode."""
    mode = settings_of(s).get("mode")
    if mode in ("train", "test"):
        other = "test" if mode == "train" else "train"
        yield Reading(
            "train-eval-mismatch",
            f"in mode {mode} backward returns the gradient of mode {other} for {s.names[k]}",
            "branch on the mode in backward as in forward",
            lambda t: _is_of_mode(t, k),
        )


def _is_of_mode(t: Sample, k: int) -> bool | None:
    mode = settings_of(t).get("mode")
    other = {"train": "test", "test": "train"}.get(str(mode))
    if other is None:
        return None
    there = t.at(_replaced(t.arguments, "mode", other))
    return there.outs[0].shape == t.outs[0].shape and there.agrees(k, t.returned[k], t.douts)


def _replaced(arguments: tuple[Any, ...], key: str, value: Any) -> tuple[Any, ...]:
    return tuple({**a, key: value} if isinstance(a, dict) and key in a else a for a in copy.deepcopy(arguments))


def eps(s: Sample, k: int) -> Iterator[Reading]:
    """An error that goes as the square of the input's size, where forward itself hardly changes with that size."""
    yield Reading(
        "wrong-eps",
        f"the error of the gradient of {s.names[k]} vanishes as the variance grows",
        "use sqrt(var + eps), with forward's eps, wherever backward divides by the standard deviation",
        lambda t: _fades(t, k),
    )


def _fades(t: Sample, k: int) -> bool | None:
    """Whether the relative error falls by 100 when the first argument grows tenfold; a small one, eps/std, by 10.

    It grows from a standard deviation of 1: below, errors that go as 1/std and as 1/variance may cancel.
    """
    first = next((i for i, value in enumerate(t.arguments) if isinstance(value, np.ndarray)), None)
    if first is None or t.arguments[first].dtype.kind != "f" or t.arguments[first].ndim < 2:
        return None
    errors = []
    unit = 1 / (float(t.arguments[first].std()) or 1.0)
    for size in (unit, 10 * unit, 100 * unit):
        arguments = copy.deepcopy(t.arguments)
        there = t.at((*arguments[:first], size * arguments[first], *arguments[first + 1 :]))
        if there.error is not None or there.returned[k].shape != there.x[k].shape:
            return False
        if not np.allclose(there.out, t.out, rtol=0.5, atol=0.5 * np.abs(t.out).max()):
            return False
        us, slopes = there.slopes(k)
        norm = float(np.linalg.norm(slopes))
        gaps = [float(np.vdot(there.returned[k], u)) - slope for u, slope in zip(us, slopes)]
        errors.append(float(np.linalg.norm(gaps)) / norm if norm else math.nan)
    first_error, second, third = errors
    if not 1e-9 < first_error < 0.5:
        return None if first_error < 0.5 else False
    eps = settings_of(t).get("eps", 1e-5)
    if first_error < 100 * eps and second < first_error:  # eps beside the root: its share falls as 1 / std in the end
        return third < max(0.15 * second, 1e-8)
    return second < 0.05 * first_error and third < max(0.05 * second, 1e-8)


# --- another cache


def caches(s: Sample, k: int) -> Iterator[Reading]:
    """The cache with two entries exchanged, or an argument in place of what is there."""
    if s.subject.takes_dout is False or len(getattr(s.subject, "functions", ())) < 2:
        return
    paths = s.cached()
    name = s.names[k]
    for i, (one, p) in enumerate(paths):
        for other, q in paths[i + 1 :]:
            if (p.shape == q.shape or s.error is not None) and not _alike(p, q):
                yield _by_cache(
                    s,
                    k,
                    "wrong-cache",
                    f"cache{one} and cache{other} are taken for each other",
                    "unpack the cache in the order in which forward packs it",
                    _swap(one, other),
                )
        if p.ndim == 2 and p.shape[0] == p.shape[1]:
            yield _by_cache(
                s,
                k,
                "transposed",
                f"cache{one} is used where its transpose belongs, for {name}",
                f"transpose cache{one}",
                _put(one, lambda t, v: v.T),
            )
        for key, value in s.values.items():
            if (
                isinstance(value, np.ndarray)
                and value.dtype.kind == "f"
                and value.ndim == p.ndim
                and not _alike(value, p)
            ):
                shared = any(np.shares_memory(p, q) for other, q in paths if other != one and q.size > p.size)
                shared = shared or _is_view(s, one)
                cause = "aliases" if shared and value.shape == p.shape else "wrong-cache"
                why = ", a view of an array that is overwritten later" if cause == "aliases" else ""
                yield _by_cache(
                    s,
                    k,
                    cause,
                    f"with {key} in place of cache{one}{why}, the gradient of {name} is right",
                    f"keep {key}{'.copy()' if why else ' itself'} in the cache",
                    _put(one, _argument(key)),
                )


def _is_view(s: Sample, path: str) -> bool:
    with replaying(s.subject.functions), np.errstate(all="ignore"):
        run = s.subject.run(s.x)
        array = dict(arrays_in(run.cache)).get(path)
        return any(
            isinstance(out, np.ndarray) and array is not None and array.size < out.size and np.shares_memory(out, array)
            for out in run.outs
        )


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def _by_cache(s: Sample, k: int, cause: str, evidence: str, suggestion: str, edit: Callable[[Sample], Any]) -> Reading:
    def holds(t: Sample) -> bool:
        found = t.tried(k, t.douts, edit(t))
        return found is not None and t.agrees(k, found)

    return Reading(cause, evidence, suggestion, holds)


def _swap(one: str, other: str) -> Callable[[Sample], Any]:
    def edit(cache: Any) -> Any:
        at = dict(arrays_in(cache))
        if one not in at or other not in at:
            return cache
        return _with(_with(cache, one, at[other]), other, at[one])

    return lambda t: edit


def _argument(key: str) -> Callable[[Sample, np.ndarray], np.ndarray]:
    return lambda t, _: t.values[key]


def _put(path: str, value: Callable[[Sample, np.ndarray], np.ndarray]) -> Callable[[Sample], Any]:
    def of(t: Sample) -> Any:
        def edit(cache: Any) -> Any:
            at = dict(arrays_in(cache))
            return _with(cache, path, np.array(value(t, at[path]))) if path in at else cache

        return edit

    return of


def _with(cache: Any, path: str, value: np.ndarray, prefix: str = "") -> Any:
    """The cache, of tuples, lists and dicts, with another array at a path."""
    if prefix == path:
        return value
    if not path.startswith(prefix):
        return cache
    if isinstance(cache, dict):
        return {key: _with(item, path, value, f"{prefix}[{key!r}]") for key, item in cache.items()}
    if isinstance(cache, (list, tuple)):
        items = [_with(item, path, value, f"{prefix}[{i}]") for i, item in enumerate(cache)]
        return type(cache)(*items) if hasattr(cache, "_fields") else type(cache)(items)
    return cache
