"""The smallest case that still fails: axes halved and numbers rounded while the same gradients stay wrong."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import Case, case_of
from .inputs import Setting, Values
from .pairs import Pair

Arguments = tuple[Any, ...]


def shrink(case: Case, *, seconds: float = 5.0) -> Case:
    """A case of the same pair with the same wrong gradients, as small and as round as can be found.

    Axes of one size shrink together, and so do multiples of that size (the 4 H of an LSTM), so that shapes go on
    fitting. Labels and indices stay within the new sizes.

    Parameters
    ----------
    case : Case
        One that is wrong, or raises.
    seconds : float, default 5
        Of the processor's time, after which the smallest so far is returned.
    """
    if not case.wrong and case.error is None:
        return case
    started = time.thread_time()
    smallest, improved = case, True
    while improved:
        improved = False
        for arguments in (*_smaller(smallest.arguments), *_rounder(smallest.arguments)):
            if time.thread_time() - started > seconds:
                return smallest
            tried = _same_failure(case, arguments)
            if tried is not None:
                smallest, improved = tried, True
                break
    return smallest


def _same_failure(case: Case, arguments: Arguments) -> Case | None:
    """A case at these arguments, if it fails as the given one does."""
    try:
        tried = at(case.pair, arguments, seed=case.seed)
    except Exception:
        return None
    if tried.wrong != case.wrong or type(tried.error) is not type(case.error):
        return None
    finite = all(np.isfinite(out).all() for out in (*tried.outs, *tried.true))
    plain = [np.abs(tried.true[k]).max(initial=0) > 1e-3 * np.abs(case.true[k]).max(initial=0) for k in tried.wrong]
    same_shapes = [_rank(case, k) == _rank(tried, k) for k in range(len(case.returned))]
    return tried if finite and any(plain) and all(same_shapes) else None


def _rank(case: Case, k: int) -> int | None:
    gradient = case.returned[k] if k < len(case.returned) else None
    return None if gradient is None else gradient.ndim


def at(pair: Pair, arguments: Arguments, *, seed: int = 0) -> Case:
    """The case of a pair at given arguments.

    Raises
    ------
    Exception
        What forward raises.
    """

    def draw(rng: np.random.Generator) -> Values:
        return {f"#{i}": copy.deepcopy(value) for i, value in enumerate(arguments)}  # by position

    return case_of(pair, Setting("the smallest case", draw), seed)


def _smaller(arguments: Arguments) -> Iterator[Arguments]:
    """The arguments with the axes of one size cut to half, or by one; not to 1, which hides sums.

    Cuts that keep unlike axes unlike come first: N = D hides a sum over the wrong one. A multiple of another size stays
    one: 7 in place of 4 H would go through many a slice.
    """
    sizes = sorted({size for value in arguments if isinstance(value, np.ndarray) for size in value.shape}, reverse=True)
    cuts = [(size, new) for size in sizes for new in dict.fromkeys((size // 2, size - 1)) if new >= 2]
    cuts = [(size, new) for size, new in cuts if all(size % n or not new % n for n in sizes if 1 < n < size)]
    cuts = [(size, new) for size, new in cuts if size > 3 or new not in sizes]
    for size, new in sorted(cuts, key=lambda cut: cut[1] in sizes):
        yield tuple(_cut(value, size, new) for value in arguments)


def _cut(value: Any, size: int, new: int) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    lengths = [n // size * new if size > 1 and n % size == 0 else n for n in value.shape]
    cut = value[tuple(slice(n) for n in lengths)]
    if value.dtype.kind in "iu" and value.max(initial=0) >= new:
        cut = cut % new  # labels of the classes that are left
    return cut.copy()


def _rounder(arguments: Arguments) -> Iterator[Arguments]:
    """The arguments with one digit after the point, or two; no entry becomes 0 or 1, and few become equal."""
    finest = max(map(_decimals, arguments), default=0)
    for decimals in (1, 2):
        if decimals < finest:
            rounded = tuple(_rounded(value, decimals) for value in arguments)
            if all(_distinct(new) >= 0.75 * _distinct(old) for new, old in zip(rounded, arguments)):
                yield rounded


def _rounded(value: Any, decimals: int) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    rounded = np.round(value, decimals)
    telling = np.where(np.isin(rounded, (0, 1)), rounded + 10.0**-decimals, rounded)
    return np.round(telling, decimals)


def _distinct(value: Any) -> int:
    return len(np.unique(value)) if isinstance(value, np.ndarray) else 0


def _decimals(value: Any) -> int:
    """Digits after the point that an argument needs; 3 for more than two."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return 0
    return next((d for d in (0, 1, 2) if np.array_equal(np.round(value, d), value)), 3)


def as_test(case: Case) -> str:
    """A test to paste: the case's arguments, and the check."""
    pair = case.pair
    module = pair.file.rsplit("/", 1)[-1].removesuffix(".py")
    functions = [name for name in pair.names if name]
    lines = ["import numpy as np", f"from gradcheck import {'check_loss' if pair.is_loss else 'check'}"]
    lines += [f"from {module} import {', '.join(functions)}", "", "", f"def test_{pair.name}():"]
    lines += [f"    {name} = {_literal(value)}" for name, value in case.arrays.items()]
    call = f"check{'_loss' if pair.is_loss else ''}({', '.join([*functions, *case.arrays])})"
    return "\n".join([*lines, f"    report = {call}", "    assert report, report"])


def _literal(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    numbers = np.array2string(
        value, separator=", ", threshold=10**6, max_line_width=10**6, formatter={"float_kind": str}
    )
    return f"np.array({' '.join(numbers.split())})"
