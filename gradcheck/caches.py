"""Mistakes about the cache, undone: another order, a name not packed, a value computed anew and otherwise."""

from __future__ import annotations

import ast
import builtins
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .place import Change, Place
from .rewrite import Body, Text, heads


def cache_order(place: Place) -> Iterator[Change]:
    """The cache unpacked as it was packed; or packed as it is unpacked."""
    forward = place.forward
    if forward is None:
        return
    packed = [value for value in _packed(forward.body) if value is not None]
    names = {argument.arg for argument in place.body.function.args.args[-1:]}
    for statement in place.body.statements:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Tuple):
            continue
        target, value = statement.targets[0], statement.value
        if not {node.id for node in ast.walk(value) if isinstance(node, ast.Name)} & names:
            continue
        mine = [place.text.of(element) for element in target.elts]
        if not isinstance(value, ast.Name):
            for name in sorted(names):
                yield place.put("cache-order", "wrong-cache", (value, name))
        for line in packed:
            if isinstance(line, ast.Tuple):
                for element in line.elts:  # 1e-8 packed where eps belongs
                    if isinstance(element, ast.Constant):
                        for name in forward.scalars:
                            yield place.put("cache-order", "wrong-cache", (element, name))
                theirs = _aligned(place.text, line, mine)
                if theirs != mine:
                    yield place.put("cache-order", "wrong-cache", (target, ", ".join(theirs)))
                if len(theirs) == len(mine):
                    for i in range(len(mine)):
                        if theirs[i] != mine[i] and theirs[i] != "_":
                            yield place.put("cache-order", "wrong-cache", (target.elts[i], theirs[i]))
            if all(name in forward.values for name in mine):
                yield place.put("cache-order", "wrong-cache", (line, f"({', '.join(mine)})"))
        if all(name in forward.values for name in mine):
            yield from _packing(forward, mine)
        for i, j in itertools.combinations(range(len(mine)), 2):
            yield place.put("cache-order", "wrong-cache", (target.elts[i], mine[j]), (target.elts[j], mine[i]))


def _packing(forward: Place, names: list[str]) -> Iterator[Change]:
    """A cache packed after the output, where none was."""
    for statement in forward.body.returns:
        if isinstance(statement.value, ast.Tuple) and isinstance(statement.value.elts[0], ast.Name):
            out = statement.value.elts[0].id
            for s in reversed(forward.body.statements):
                if isinstance(s, ast.Assign) and forward.text.of(s.targets[0]) == out:
                    end = forward.text.span(s)[1]
                    yield Change("cache-order", "wrong-cache", ((end, end, f"; cache = ({', '.join(names)})"),))


def from_forward(place: Place) -> Iterator[Change]:
    """A name that only forward has, put into the cache and taken out of it; the cache itself, where it is not read."""
    forward = place.forward
    if forward is None:
        return
    missing = [node.id for node in place.nodes if isinstance(node, ast.Name) and node.id not in place.values]
    wanted = [name for name in dict.fromkeys(missing) if name in forward.values and not hasattr(builtins, name)]
    lines = [line for line in _packed(forward.body) if isinstance(line, ast.Tuple) and line.elts]
    arguments = place.body.function.args.args
    unpacked = [s.targets[0] for s in place.body.statements if isinstance(s, ast.Assign)
                and isinstance(s.targets[0], ast.Tuple) and arguments
                and place.text.of(s.value) == arguments[-1].arg]  # fmt: skip
    for name, target in itertools.product(wanted, unpacked):
        ends = {forward.text.end(line.elts[-1]) for line in lines} | {place.text.end(target.elts[-1])}
        yield Change("cached", "undefined-name", tuple((end, end, f", {name}") for end in ends))
    if wanted and not unpacked and arguments:
        first = next((s for s in place.body.statements if place.error_line and s.lineno <= place.error_line
                      and not isinstance(s, ast.Expr) and heads(s)), None)  # fmt: skip
        for line in lines:
            if first is not None and all(isinstance(element, ast.Name) for element in line.elts):
                start = place.text.span(first)[0]
                names = ", ".join(forward.text.of(element) for element in line.elts)
                yield Change("cached", "undefined-name", ((start, start, f"{names} = {arguments[-1].arg}; "),))


def recomputed(place: Place) -> Iterator[Change]:
    """A name that is not there, for an entry of the cache, or computed from entries as forward does it."""
    if place.forward is None or not isinstance(place.error, NameError):
        return
    entries = {f"{name}[{key!r}]": value for name, d in place.values.items() if isinstance(d, dict) for key, value
               in d.items() if isinstance(value, np.ndarray)}  # fmt: skip
    entries.update({name: place.values[name] for name in place.arrays})
    forward = place.forward
    written: dict[str, str] = {}
    for s in forward.body.statements:
        if isinstance(s, ast.Assign) and isinstance(s.targets[0], ast.Name):
            names = [node for node in ast.walk(s.value) if isinstance(node, ast.Name) and node.id != "np"]
            found = {node.id: _entry_of(entries, forward.values.get(node.id)) for node in names}
            if names and all(found.values()):
                start = forward.text.span(s.value)[0]
                spans = [(*forward.text.span(node), found[node.id] or "") for node in names]
                inner = Text(forward.text.of(s.value))
                moved = [(a - start, b - start, new) for a, b, new in spans]
                written[s.targets[0].id] = f"({inner.replaced(moved)})"
    for node in place.nodes:
        if isinstance(node, ast.Name) and node.id not in place.values and not hasattr(builtins, node.id):
            for expression in [*entries, *written.values()]:
                if "\n" not in expression:
                    yield place.put("cached", "undefined-name", (node, expression))


def _entry_of(entries: dict[str, Any], value: Any) -> str | None:
    """What in the cache is this very array, or one of the same numbers."""
    if not isinstance(value, np.ndarray):
        return None
    same = (text for text, entry in entries.items() if entry.shape == value.shape and np.array_equal(entry, value))
    return next(same, None)


def _packed(body: Body) -> Iterator[ast.expr]:
    """What forward may return as its cache: the right-hand sides of what it returns last."""
    for statement in body.returns:
        if not isinstance(statement.value, ast.Tuple) or len(statement.value.elts) < 2:
            continue
        last = statement.value.elts[-1]
        if not isinstance(last, ast.Name):
            yield last
            continue
        for s in body.statements:
            if isinstance(s, ast.Assign) and any(isinstance(t, ast.Name) and t.id == last.id for t in s.targets):
                yield s.value


def _aligned(text: Text, line: ast.Tuple, mine: list[str]) -> list[str]:
    """Names for what was packed: those it had, and for what had none the unpacked names that are left."""
    named = [text.of(element) if isinstance(element, ast.Name) else None for element in line.elts]
    left = [name for name in mine if name not in named]
    return [name or (left.pop(0) if left else "_") for name in named]
