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
    """Entries of an array that a statement wrote at one of its visits, and the way to the array."""

    visit: int
    path: str
    entries: np.ndarray


After = Callable[[Statement | None, Any, dict[str, Any]], None]


def accused(sample: Sample, suspect: tuple[str, int] | None = None) -> tuple[str, int] | None:
    """File and line of the statement whose reach is most like what is wrong; None if none reaches any of it.

    Of several alike it is the suspect, or else the middle one in the function that has most of them, a caller
    rather than what it calls.
    """
    if sum(sample.x[k].size for k in sample.wrong) > LARGE:
        return None
    wrong = np.concatenate([_is_wrong(sample, k) for k in range(len(sample.names))])
    alike = {statement: (moved & wrong).sum() / (moved | wrong).sum() for statement, moved in reaches(sample).items()}
    best = max(alike.values(), default=0.0)
    chosen = [statement for statement, likeness in alike.items() if likeness == best > 0]
    if not chosen or suspect in {statement[:2] for statement in chosen}:
        return suspect
    many = Counter(statement.function for statement in chosen)
    home = min(many, key=lambda function: (-many[function], function))
    inside = sorted(statement for statement in chosen if statement.function == home)
    return inside[len(inside) // 2][:2]


def reaches(sample: Sample) -> dict[Statement, np.ndarray]:
    """Of each statement that backward runs, which entries of all gradients move with the arrays that it writes."""
    functions = functions_of(sample)
    followed = {function.definition.name for function in functions}
    lines = {
        (function.file, line): statement
        for number, function in enumerate(functions)
        for statement, line in _statements(function.file, number, function.definition, followed)
    }
    returned = _flat(sample, sample.returned)
    slack = MOVED * np.abs(returned).max(initial=0, where=np.isfinite(returned))
    found = {}
    for statement, writes in _written(sample, lines).items():
        with suppress(Exception):  # of code that gets numbers that it does not expect
            moved = _flat(sample, _nudged(sample, lines, statement, writes))
            found[statement] = ~((np.abs(moved - returned) <= slack) | (np.isnan(moved) & np.isnan(returned)))
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

    def note(statement: Statement | None, frame: Any, made: dict[str, Any]) -> None:
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
                written.setdefault(statement, []).append(_Write(visits[statement], path, entries))
        before[frame] = now
        visits[statement] += 1

    _followed(sample, lines, note)
    return written


def _nudged(
    sample: Sample, lines: dict[tuple[str, int], Statement], nudged: Statement, writes: Sequence[_Write]
) -> list[Any]:
    """The gradients with what a statement writes moved as soon as it is written."""
    rng, visits = np.random.default_rng(0), iter(range(10**9))

    def nudge(statement: Statement | None, frame: Any, made: dict[str, Any]) -> None:
        if statement == nudged:
            visit = next(visits)
            due = {write.path: write.entries for write in writes if write.visit == visit}
            for path, array in _arrays(frame, made) if due else ():
                if path in due and array.flags.writeable:
                    size = np.abs(array).max(initial=0, where=np.isfinite(array)) or 1.0
                    array[due[path]] += size * rng.uniform(0.1, 1, int(due[path].sum()))

    return _followed(sample, lines, nudge)


def _followed(sample: Sample, lines: dict[tuple[str, int], Statement], after: After) -> list[Any]:
    """Run backward, and call ``after(statement, frame, made)`` after each line, at first with None for a statement.

    `made` is what a statement has made that no name of the frame holds: what it returns, or gives to a function.
    """
    files = {file for file, _ in lines}
    running: dict[Any, Statement | None] = {}  # of each frame, the statement whose line has just run

    def on_line(frame: Any, event: str, arg: Any) -> Any:
        if event in ("line", "return"):
            after(running[frame], frame, {"return": arg})
            running[frame] = lines.get((frame.f_code.co_filename, frame.f_lineno))
        return on_line

    def on_call(frame: Any, event: str, arg: Any) -> Any:
        code, caller = frame.f_code, frame.f_back
        if not is_theirs(code.co_filename):
            return None
        if frame not in running and caller in running:
            given = {name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount]}
            after(lines.get((caller.f_code.co_filename, caller.f_lineno)), caller, given)
        running.setdefault(frame, None)
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
