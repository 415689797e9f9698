"""Where a backward stops being linear in dout: the first statement whose value neither keeps nor follows its size."""

from __future__ import annotations

import itertools
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TIMES = 64.0  # by which dout is larger the second time: far enough for what clips it
SAME = 1e-9  # of the largest entry
LIBRARIES = (*{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, str(Path(__file__).parent))


class _Moment(NamedTuple):
    """What the names of a function held after one of its lines."""

    file: str
    line: int
    values: dict[str, np.ndarray]


def first_unlinear(
    forward: Callable[[], Callable[[Sequence[Any]], Any]], douts: Sequence[np.ndarray]
) -> tuple[str, int] | None:
    """File and line of the first statement of a backward, or of what it calls, that is not linear in dout.

    `forward` returns a backward, which is run with dout, once more, and with a multiple of it. What a statement leaves
    may be as large as before, as a number of the cache is, or larger in proportion; None if all is. What is not the
    same at two equal runs is memory that has not been filled yet.
    """
    one, again, more = (_moments(forward(), [scale * d for d in douts]) for scale in (1.0, 1.0, TIMES))
    for a, b, c in zip(one, again, more):
        if (a.file, a.line) != (c.file, c.line):  # dout decides which way to go
            return a.file, a.line
        for name, value in a.values.items():
            filled = name in b.values and np.array_equal(value, b.values[name], equal_nan=True)
            if filled and name in c.values and not _is_linear(value, c.values[name]):
                return a.file, a.line
    return None


def is_theirs(file: str) -> bool:
    """Whether a file is neither of a library nor of this package."""
    return file.endswith(".py") and not file.startswith(LIBRARIES)


def _moments(backward: Callable[[Sequence[Any]], Any], douts: Sequence[np.ndarray]) -> list[_Moment]:
    moments: list[_Moment] = []
    places: dict[int, tuple[str, int]] = {}  # of each frame, the line that has just run

    def on_line(frame: Any, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            values = {**frame.f_locals, **({"return": arg} if event == "return" else {})}
            moments.append(_Moment(*places[id(frame)], dict(_arrays(values))))
            places[id(frame)] = frame.f_code.co_filename, frame.f_lineno
        return on_line

    def on_call(frame: Any, event: str, arg: Any) -> Any:
        if not is_theirs(frame.f_code.co_filename):
            return None
        caller = frame.f_back
        at = caller if caller is not None and is_theirs(caller.f_code.co_filename) else frame
        places[id(frame)] = at.f_code.co_filename, at.f_lineno  # what a function is given, its caller has made
        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        backward(douts)
    finally:
        sys.settrace(before)
    return moments


def _arrays(values: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in values.items():
        parts = value if isinstance(value, (tuple, list)) else [value]
        for i, part in zip(itertools.count(), parts):
            if isinstance(part, (np.ndarray, float, np.floating)) and np.asarray(part).dtype.kind == "f":
                yield f"{name} {i}", np.array(part)


def _is_linear(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether each entry is the same, or as many times as large as dout."""
    if a.shape != b.shape or not a.size:
        return a.shape == b.shape
    finite = np.isfinite(a) & np.isfinite(b)  # what has not been filled yet is NaN
    slack = SAME * np.abs(a).max(initial=0, where=finite)
    with np.errstate(invalid="ignore"):
        kept, followed = np.abs(b - a) <= slack, np.abs(b - TIMES * a) <= TIMES * slack
    return bool((kept | followed | ~finite).all())
