"""What may have been done to a right gradient: its form, and the order of its entries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .reading import Reading, mended, tested
from .samples import Sample
from .shapes import hint_of_padding, summed_axes


def forms(s: Sample, k: int) -> Iterator[Reading]:
    """Shapes and types: nothing of the values need be wrong."""
    name, a, shape = s.names[k], s.returned[k], s.x[k].shape
    target = f"{name}.shape"
    if a.shape == shape:
        if a.dtype.kind in "iub":
            yield Reading(
                "wrong-dtype",
                f"the gradient of {name} comes back as {a.dtype}: no fractions",
                f"allocate it with dtype {name}.dtype",
                lambda t: t.returned[k].dtype.kind in "iub",
            )
            return
        yield Reading(
            "wrong-dtype",
            f"the gradient of {name} is the true one without its fractions",
            f"allocate it as np.zeros_like({name}), of a floating {name}",
            lambda t: _is_truncated(t, k),
        )
        yield Reading(
            "wrong-dtype",
            f"the gradient of {name} is right to float32's 7 digits only",
            f"keep the dtype of {name}; no astype(np.float32)",
            lambda t: _is_float32(t, k),
        )
        return
    got = f"has shape {a.shape}, {name} has {shape}; its values are right"
    if _bare(a.shape) == _bare(shape):
        if a.ndim > len(shape):
            cause, suggestion = "shape-keepdims", f"drop keepdims=True, or reshape to {target}"
        elif a.ndim < len(shape):
            cause, suggestion = "shape-squeezed", "no squeeze(); keep the axis of size 1"
        else:
            cause, suggestion = "shape-transposed", f"transpose it to {shape}"
        yield mended(cause, got, suggestion, k, lambda t, g: g.reshape(t.x[k].shape))
    for perm in _orders(a.ndim):
        if a.transpose(perm).shape == shape:
            yield mended("shape-transposed", got, f"return it transposed by {perm}", k, _transposing(perm))
    if summed_axes(a.shape, shape):
        axes = ", ".join(map(str, summed_axes(a.shape, shape)))
        yield mended(
            "shape-not-summed",
            f"summed over axis {axes} it is right",
            f"forward broadcast {name} along axis {axes}: sum over it",
            k,
            lambda t, g: _sum_to(g, t.x[k].shape),
        )
    if a.size == s.x[k].size:  # last: every other form of the same size has a name of its own
        yield mended("shape-not-restored", got, f"reshape it to {target}", k, lambda t, g: g.reshape(t.x[k].shape))
    if a.ndim == len(shape) and all(m <= n for m, n in zip(a.shape, shape)):
        yield Reading(
            "shape-cropped",
            f"the gradient of {name} has shape {a.shape}, cut short from {shape}",
            hint_of_padding(shape).removeprefix("; ") or f"return all of {target}",
            lambda t: _is_cut(t, k),
        )
    if a.ndim == len(shape) and all(m >= n for m, n in zip(a.shape, shape)):
        yield Reading(
            "wrong-cache",
            f"the gradient of {name} has shape {a.shape}, as an array in the cache that is not {name}",
            f"keep {name} itself in the cache, as backward expects",
            lambda t: _is_of_cached(t, k),
        )


def _is_cut(t: Sample, k: int) -> bool | None:
    """Whether the gradient is a stretch of the true one, or nothing at all."""
    got, shape = t.returned[k].shape, t.x[k].shape
    if got == shape:
        return None
    if len(got) != len(shape) or any(m > n for m, n in zip(got, shape)):
        return False
    starts = itertools.product(*(range(n - m + 1) for m, n in zip(got, shape)))
    stretches = (t.true(k)[tuple(slice(i, i + m) for i, m in zip(start, got))] for start in starts)
    return 0 in got or any(close(t.returned[k], stretch) for stretch in stretches)


def _is_of_cached(t: Sample, k: int) -> bool | None:
    """Whether the gradient is larger than its argument, as a cached array is, and right but for where it begins."""
    a, x = t.returned[k], t.x[k]
    if a.ndim != x.ndim or not all(m > n or m == n for m, n in zip(a.shape, x.shape)) or a.shape == x.shape:
        return None
    if a.shape not in [array.shape for _, array in t.cached()]:
        return False
    spare = [m - n for m, n in zip(a.shape, x.shape)]
    middle = tuple(slice(m // 2, m // 2 + n) for m, n in zip(spare, x.shape))
    start = tuple(slice(0, n) for n in x.shape)
    return t.agrees(k, a[start]) and not t.agrees(k, a[middle])


def _bare(shape: Sequence[int]) -> list[int]:
    return [n for n in shape if n != 1]


def _sum_to(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    axes = summed_axes(g.shape, shape)
    return g.sum(axis=axes).reshape(shape) if axes else None


def _transposing(perm: Sequence[int]) -> Any:
    return lambda t, g: g.transpose(perm)


def _orders(ndim: int) -> Iterator[tuple[int, ...]]:
    """All orders of up to five axes but the given one."""
    return itertools.islice(itertools.permutations(range(ndim)), 1, None) if 1 < ndim < 6 else iter(())


def _is_truncated(t: Sample, k: int) -> bool:
    a = t.returned[k]
    return bool(np.any(a) and np.array_equal(a, np.trunc(a)) and np.array_equal(a, np.trunc(t.true(k))))


def _is_float32(t: Sample, k: int) -> bool:
    a = t.returned[k]
    short = a.dtype == np.float32 or np.array_equal(a, a.astype(np.float32))
    return bool(short and np.any(a) and np.allclose(a, t.true(k), rtol=1e-4, atol=1e-5 * np.abs(a).max()))


# --- the order of the entries, or of the gradients


def orders(s: Sample, k: int) -> Iterator[Reading]:
    """Swaps with another gradient, and entries at the wrong places."""
    name, a, shape = s.names[k], s.returned[k], s.x[k].shape
    for j, other in enumerate(s.returned):
        if j != k and other is not None and other.shape == shape and j < len(s.names):
            yield mended(
                "swapped-gradients",
                f"what is returned for {s.names[j]} is the gradient of {name}",
                f"return the gradients in the order {', '.join(s.names)}",
                k,
                lambda t, g, other: t.returned[other],
                j,
            )
    if a.shape != shape or a.ndim == 0:
        return
    is_kernel = a.ndim >= 3 and name.lower().startswith(("w", "k", "f"))
    for perm in _orders(a.ndim):
        cause = "not-flipped" if is_kernel and perm[:-2] == tuple(range(a.ndim - 2)) else "transposed"
        if a.transpose(perm).shape == shape:
            yield mended(
                cause,
                f"with its axes in the order {perm} the gradient of {name} is right",
                f"transpose it by {perm}",
                k,
                _transposing(perm),
            )
    for axes in _subsets(a.ndim):
        yield mended(
            "not-flipped",
            f"flipped along axis {', '.join(map(str, axes))} the gradient of {name} is right",
            f"flip it along axis {', '.join(map(str, axes))}",
            k,
            _flipping(axes),
        )
    for axis in range(a.ndim):
        for shift in {1, -1, 2, -2} if shape[axis] > 2 else ():
            cause = "off-by-one" if abs(shift) == 1 else "wrong-index"
            yield Reading(
                cause,
                f"moved by {shift} along axis {axis} the gradient of {name} is right, but at the border",
                f"check the index along axis {axis}: it is off by {-shift}",
                _rolled(k, axis, shift),
            )
    for perm in _orders(a.ndim):
        yield mended(
            "permuted",
            f"its entries are those of the gradient with axes in the order {perm}, reshaped back unordered",
            "transpose before reshape (reshape does not move axes)",
            k,
            _unscrambling(perm),
        )


def _subsets(ndim: int) -> Iterator[tuple[int, ...]]:
    axes = range(ndim)
    return itertools.chain.from_iterable(itertools.combinations(axes, size) for size in range(1, min(ndim, 4) + 1))


def _flipping(axes: tuple[int, ...]) -> Any:
    return lambda t, g: np.flip(g, axes)


def _unscrambling(perm: Sequence[int]) -> Any:
    def mend(t: Sample, g: np.ndarray) -> np.ndarray | None:
        shape = [g.shape[i] for i in perm]
        return g.reshape(shape).transpose(np.argsort(perm))

    return mend


def _rolled(k: int, axis: int, shift: int) -> Any:
    def holds(t: Sample) -> bool | None:
        a = t.returned[k]
        if a.shape != t.x[k].shape or a.shape[axis] < 3:
            return None
        keep = slice(shift, None) if shift > 0 else slice(None, shift)
        where = tuple(keep if i == axis else slice(None) for i in range(a.ndim))
        moved, n = np.roll(a, shift, axis)[where], t.true(k)[where]
        return close(moved, n) and bool(np.any(n))

    return holds


def places(s: Sample, k: int) -> Iterator[Reading]:
    """Right values in wrong cells; needs the true gradient entry by entry."""
    a, name = s.returned[k], s.names[k]
    if a.shape != s.x[k].shape or a.ndim == 0:
        return
    n = s.true(k)
    for axis in range(a.ndim):
        order = _matching(np.moveaxis(a, axis, 0), np.moveaxis(n, axis, 0))
        if order is not None:
            yield tested(
                "permuted",
                f"along axis {axis} the slices of the gradient of {name} are in another order: {order}",
                f"bring axis {axis} into the order that forward uses",
                _is_reordered,
                k,
                axis,
            )
    yield Reading(
        "wrong-index",
        f"the gradient of {name} holds the right values in the wrong cells",
        "check how a flat index is split, and which loop variable is which",
        lambda t: _is_misplaced(t, k),
    )


def _matching(a: np.ndarray, n: np.ndarray) -> list[int] | None:
    """The order in which the slices of `a` make `n`; None if there is none, or it is the order they have."""
    if len(a) < 2 or len(a) > 64:
        return None
    rows, goal = a.reshape(len(a), -1), n.reshape(len(n), -1)
    size = float(np.abs(goal).max(initial=0))
    gaps = np.abs(rows[None] - goal[:, None]).max(axis=2)
    order = gaps.argmin(axis=1)
    if len(set(order.tolist())) < len(a) or gaps.min(axis=1).max() > 1e-7 * size or not size:
        return None
    found = [int(i) for i in order]
    return None if found == list(range(len(a))) else found


def _is_reordered(t: Sample, k: int, axis: int) -> bool | None:
    if t.returned[k].shape != t.x[k].shape:
        return None
    return _matching(np.moveaxis(t.returned[k], axis, 0), np.moveaxis(t.true(k), axis, 0)) is not None


def _is_misplaced(t: Sample, k: int) -> bool | None:
    """The same multiset of entries, or the same sums over each image, with something moved."""
    a, n = t.returned[k], t.true(k)
    if a.shape != n.shape or close(a, n):
        return None
    if np.count_nonzero(a) > 1 and close(np.sort(a, axis=None), np.sort(n, axis=None)):
        return True
    if a.ndim < 3 or np.count_nonzero(n) > 0.9 * n.size:
        return False
    axes = tuple(range(2, a.ndim))
    return close(a.sum(axis=axes), n.sum(axis=axes)) and bool(np.any(n.sum(axis=axes)))


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-7) -> bool:
    """Whether two arrays differ by rounding only."""
    size = float(np.abs(b).max(initial=0))
    return a.shape == b.shape and bool(np.abs(np.subtract(a, b, dtype=float)).max(initial=0) <= tolerance * size)
