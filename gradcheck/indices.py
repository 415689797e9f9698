"""Mistakes of indices and names, undone: one for another, two exchanged, a stride or a direction forgotten."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .place import Change, Place, called, is_number, is_whole
from .rewrite import heads

SIZED = {"range", "xrange", "zeros", "ones", "empty", "reshape", "arange"}  # calls that take sizes


def looped(place: Place) -> Iterator[Change]:
    """A loop run backwards, or forwards."""
    for s in place.statements:
        if isinstance(s, ast.For) and isinstance(s.iter, ast.Call):
            if called(s.iter) == "reversed" and s.iter.args:
                yield place.put("loop", None, (s.iter, place.text.of(s.iter.args[0])))
            elif called(s.iter) in ("range", "xrange"):
                yield place.around("loop", None, s.iter, "reversed(", ")")


def exchanged(place: Place) -> Iterator[Change]:
    """Two names of a statement, or two indices, each in the other's place."""
    for s in place.statements:
        names = [node for head in heads(s) for node in ast.walk(head) if isinstance(node, ast.Name)]
        alike: dict[str, list[ast.Name]] = {}
        for name in names:
            if isinstance(name.ctx, ast.Load) and is_whole(place.values.get(name.id)):
                alike.setdefault(name.id, []).append(name)
        for a, b in itertools.combinations(alike, 2):
            splits = any(isinstance(node, ast.Call) and called(node) == "unravel_index" for node in ast.walk(s))
            cause: str | None = "wrong-index" if splits else _cause_of_indices(place, a, b)
            for first, second in itertools.product(alike[a], alike[b]):
                yield place.put("exchange", cause, (first, b), (second, a))
            yield place.put("exchange", cause, *((n, b) for n in alike[a]), *((n, a) for n in alike[b]))
    for node in place.nodes:
        if isinstance(node, (ast.Subscript, ast.Call)):
            several = node.args if isinstance(node, ast.Call) else getattr(node.slice, "elts", [])
            for one, other in itertools.combinations(several, 2):
                cause = "wrong-index" if isinstance(node, ast.Subscript) else None
                yield place.put("exchange", cause, (one, place.text.of(other)), (other, place.text.of(one)))


def renamed(place: Place) -> Iterator[Change]:
    """One name for another of its kind."""
    for node in place.nodes:
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or node.id not in place.values:
            continue
        whole = is_whole(place.values[node.id])
        names = [name for name in place.scalars if whole and ".shape[" in name]
        names += [name for name, value in place.values.items() if _are_alike(place.values[node.id], value)]
        for name in names:
            if name != node.id:
                cause = _cause_of_whole(place, node, name) if whole else "wrong-term"
                yield place.put("rename", cause, (node, name))


def _cause_of_indices(place: Place, *names: str) -> str:
    """Of one taken for the other: two sizes, which is right where they are equal, or indices."""
    return "config-hardcoded" if set(names) <= set(place.scalars) else "wrong-index"


def _cause_of_whole(place: Place, node: ast.Name, name: str) -> str:
    """What it is to take one whole number for another: as an index, or as the size of something."""
    for outer in place.body.around(node):
        if isinstance(outer, (ast.Subscript, ast.Slice)):
            return _cause_of_indices(place, node.id, name)
        if isinstance(outer, ast.Call) and called(outer) in SIZED:
            return "config-hardcoded"
        if isinstance(outer, ast.Assign) and place.text.of(outer.targets[0]) in place.scalars:
            return "config-hardcoded"
    return "wrong-term"


def unstrided(place: Place) -> Iterator[Change]:
    """The number of a window in place of where it starts."""
    loops = {node.id for s in place.body.statements if isinstance(s, ast.For) for node in ast.walk(s.target)
             if isinstance(node, ast.Name)}  # fmt: skip
    factors = [name for name in place.scalars if is_whole(place.values.get(name, 0))]
    for factor in sorted(factors, key=lambda name: "s" not in name.lower()):
        everywhere: list[tuple[Any, str]] = []
        for s in place.statements:
            slices = [node for head in heads(s) for node in ast.walk(head) if isinstance(node, ast.Slice)]
            names = [node for part in slices for node in ast.walk(part) if isinstance(node, ast.Name)]
            parts = [(node, f"{node.id} * {factor}") for node in names if node.id in loops]
            everywhere += parts
            if parts:
                yield place.put("stride", "wrong-index", *parts)
        if everywhere:
            yield place.put("stride", "wrong-index", *everywhere)


def strided(place: Place) -> Iterator[Change]:
    """An index times or plus a number in scope."""
    for node in place.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and is_whole(place.values.get(node.id)):
            if not any(isinstance(outer, ast.Subscript) for outer in place.body.around(node)):
                continue
            for name in place.scalars:
                if is_whole(place.values.get(name, 0)) and name != node.id:
                    yield place.wrapped("stride", "wrong-index", node, f" * {name}")
                    yield place.wrapped("stride", "wrong-index", node, f" + {name}")


def _are_alike(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.ndim == b.ndim
    return (is_number(a) and is_number(b)) or type(a) is type(b)
