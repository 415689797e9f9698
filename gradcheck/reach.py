"""The statement that a wrong gradient comes from, as its reach tells: what it wrote goes into all that is wrong.

Each statement of a backward, and of what that calls, is nudged in turn: what it wrote is moved while backward runs. If
it is at fault, then just the entries that move are wrong.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from .amend import functions_of
from .linearity import is_theirs
from .origin import ALLOCATORS
from .place import called
from .rewrite import Body, heads
from .samples import Sample
from .state import arrays_in

LARGE = 1000  # entries of the wrong gradients, beyond which their true values take too long
MOVED = 1e-9  # of the largest entry of all gradients


class Statement(NamedTuple):
    """A statement that computes something: its file, its line, the number of its function, 0 for backward itself."""

    file: str
    line: int
    function: int


class _Write(NamedTuple):
    """Entries of an array that a statement wrote at one of its visits.

    `way` is that to the array: a line, how many calls it had made by then, a name.
    """

    visit: int
    way: tuple[int, int, str]
    entries: np.ndarray


After = Callable[[Statement | None, Any, dict[str, Any], tuple[int, int]], None]


def accused(sample: Sample, suspect: tuple[str, int] | None = None, *, no_dout: bool = False) -> tuple[str, int] | None:
    """File and line of the statement whose reach is most like what is wrong; None if none reaches any of it.

    Of several alike it is one of which a single array is enough: a helper that is called for two gradients, rather than
    both of its calls. Then it is the suspect, or else the middle one in the function that has most of them, a caller
    rather than what it calls. If the gradient has `no_dout` in it, it is in a function that gets dout.
    """
    if sum(sample.x[k].size for k in sample.wrong) > LARGE:
        return None
    wrong = np.concatenate([_is_wrong(sample, k) for k in range(len(sample.names))])

    def likeness(moved: np.ndarray) -> float:
        return float((moved & wrong).sum() / max(1, (moved | wrong).sum()))

    alike = {
        statement: max((likeness(moved), single) for single, moved in found)
        for statement, found in reaches(sample).items()
    }
    best = max(alike.values(), default=(0.0, False))
    chosen = [statement for statement, found in alike.items() if found == best > (0.0, True)]
    if not chosen or suspect in {statement[:2] for statement in chosen}:
        return suspect
    if no_dout:
        backward, *others = functions_of(sample)
        gets_dout = {0, *(n for n, other in enumerate(others, 1) if other.arguments & backward.arguments)}
        chosen = [statement for statement in chosen if statement.function in gets_dout] or chosen
    many = Counter(statement.function for statement in chosen)
    home = min(many, key=lambda function: (-many[function], function))
    inside = sorted(statement for statement in chosen if statement.function == home)
    return inside[len(inside) // 2][:2]


def reaches(sample: Sample) -> dict[Statement, list[tuple[bool, np.ndarray]]]:
    """Of each statement that backward runs, which entries of all gradients move with what it writes.

    With each single array (True), and with all of them (False).
    """
    functions = functions_of(sample)
    followed = {function.definition.name for function in functions}
    lines = {
        (function.file, line): statement
        for number, function in enumerate(functions)
        for statement, line in _statements(function.file, number, function.definition, followed)
    }
    returned = _flat(sample, sample.returned)
    slack = MOVED * np.abs(returned).max(initial=0, where=np.isfinite(returned))
    found: dict[Statement, list[tuple[bool, np.ndarray]]] = {}
    for statement, written in _written(sample, lines).items():
        ways = {write.way for write in written}
        singles = [[write for write in written if write.way == way] for way in ways]
        for writes in singles if len(ways) == 1 else [*singles, written]:
            with suppress(Exception):  # of code that gets numbers that it does not expect
                moved = _flat(sample, _nudged(sample, lines, statement, writes))
                still = (np.abs(moved - returned) <= slack) | (np.isnan(moved) & np.isnan(returned))
                found.setdefault(statement, []).append((writes is not written, ~still))
    return found


def _is_wrong(sample: Sample, k: int) -> np.ndarray:
    """Which entries of a gradient are wrong; all, if it does not have the shape of its argument."""
    size = sample.x[k].size
    if k not in sample.wrong:
        return np.zeros(size, bool)
    returned = sample.returned[k] if k < len(sample.returned) else None
    if returned is None or returned.shape != sample.x[k].shape:
        return np.ones(size, bool)
    true = sample.true(k)
    return ~(np.abs(true - returned) <= 1e-7 * np.abs(true).max(initial=0)).ravel()


def _flat(sample: Sample, gradients: Sequence[Any]) -> np.ndarray:
    """All gradients in a row, each of as many entries as its argument."""
    parts = []
    for k, x in enumerate(sample.x):
        given = gradients[k] if k < len(gradients) and gradients[k] is not None else 0.0
        parts.append(np.broadcast_to(given if np.shape(given) == x.shape else np.sum(given), x.shape).ravel())
    return np.concatenate(parts)


def _statements(
    file: str, number: int, definition: ast.FunctionDef, followed: set[str]
) -> Iterator[tuple[Statement, int]]:
    """The statements of a function that compute something themselves, and not in what is followed; each of their lines.

    To name things, or to make room for them, is none.
    """
    for node in Body(definition).statements:
        parts = [part for head in heads(node) for part in ast.walk(head)]
        calls = {called(part) for part in parts if isinstance(part, ast.Call)}
        operates = any(isinstance(part, (ast.BinOp, ast.UnaryOp, ast.AugAssign)) for part in parts)
        value: Any = getattr(node, "value", None)
        made = value.elts if isinstance(value, ast.Tuple) else [value]
        allocates = all(isinstance(part, ast.Call) and called(part).startswith(ALLOCATORS) for part in made)
        if (operates or calls - followed) and not allocates:
            for line in range(node.lineno, max(getattr(part, "end_lineno", 0) for part in parts) + 1):
                yield Statement(file, node.lineno, number), line


def _written(sample: Sample, lines: dict[tuple[str, int], Statement]) -> dict[Statement, list[_Write]]:
    """What each statement writes, at each of its visits."""
    visits = Counter[Statement | None]()
    written: dict[Statement, list[_Write]] = {}
    before: dict[Any, dict[int, tuple[np.ndarray, np.ndarray]]] = {}  # of each frame, arrays as they were

    def note(statement: Statement | None, frame: Any, made: dict[str, Any], at: tuple[int, int]) -> None:
        old, now = before.get(frame, {}), dict[int, tuple[np.ndarray, np.ndarray]]()
        mine = list[np.ndarray]()
        for path, array in _arrays(frame, made):
            entries = np.ones(array.shape, bool)
            if id(array) in old:
                was = old[id(array)][1]
                entries = ~((was == array) | (np.isnan(was) & np.isnan(array)))
            now[id(array)] = array, array.copy()
            if statement and entries.any() and not any(np.shares_memory(array, other) for other in mine):
                mine.append(array)
                written.setdefault(statement, []).append(_Write(visits[statement], (*at, path), entries))
        before[frame] = now
        visits[statement] += 1

    _followed(sample, lines, note)
    return written


def _nudged(
    sample: Sample, lines: dict[tuple[str, int], Statement], nudged: Statement, writes: Sequence[_Write]
) -> list[Any]:
    """The gradients with what a statement writes moved as soon as it is written."""
    rng, visits = np.random.default_rng(0), iter(range(10**9))

    def nudge(statement: Statement | None, frame: Any, made: dict[str, Any], at: tuple[int, int]) -> None:
        if statement == nudged:
            visit = next(visits)
            due = {write.way[2]: write.entries for write in writes if write.visit == visit}
            for path, array in _arrays(frame, made) if due else ():
                if path in due and array.flags.writeable:
                    size = np.abs(array).max(initial=0, where=np.isfinite(array)) or 1.0
                    array[due[path]] += size * rng.uniform(0.1, 1, int(due[path].sum()))

    return _followed(sample, lines, nudge)


def _followed(sample: Sample, lines: dict[tuple[str, int], Statement], after: After) -> list[Any]:
    """Run backward, and call ``after(statement, frame, made, at)`` after each line, at first with None for a statement.

    `made` is what a statement has made that no name of the frame holds: what it returns, or gives to a function; `at`
    its line, and the how manieth call of this it is, 0 at the end.
    """
    files = {file for file, _ in lines}
    running: dict[Any, tuple[Statement | None, int]] = {}  # of each frame, the statement and line that have just run
    calls = Counter[Any]()  # of each frame, by this line

    def on_line(frame: Any, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            statement, line = running[frame]
            after(statement, frame, {"return": arg}, (line, 0))
            running[frame] = lines.get((frame.f_code.co_filename, frame.f_lineno)), frame.f_lineno
            calls[frame] = 0
        return on_line

    def on_call(frame: Any, event: str, arg: Any) -> Any:
        code, caller = frame.f_code, frame.f_back
        if not is_theirs(code.co_filename):
            return None
        if frame not in running and caller in running:
            given = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
            calls[caller] += 1
            statement = lines.get((caller.f_code.co_filename, caller.f_lineno))
            after(statement, caller, given, (caller.f_lineno, calls[caller]))
        running.setdefault(frame, (None, 0))
        return on_line if code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        return sample.backward(sample.douts)
    finally:
        sys.settrace(before)


def _arrays(frame: Any, made: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    for path, array in arrays_in([made, frame.f_locals]):
        if array.dtype.kind == "f" and array.size:
            yield path, array
