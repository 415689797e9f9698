"""A pair's functions made from an edited text of their file, on a clock that no loop of theirs outlives."""

from __future__ import annotations

import ast
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

from .instrument import definition_of
from .load import read
from .pairs import Pair
from .rewrite import Body, Span, Text, passage

TICK = "__tick__"


class TimeUp(BaseException):
    """A candidate, or the search, has taken too long; no Exception, that the code under test does not catch it."""


class Clock:
    """Stops what runs too long, from within its loops.

    It counts the processor's time: what is found does not depend on what else the machine does. `ran_out` is whether a
    search has ended for want of it.
    """

    def __init__(self, seconds: float) -> None:
        self.end = self._limit = time.thread_time() + seconds
        self.ran_out = False

    def tick(self, turns: Iterable[Any] | None = None) -> Any:
        """The turns of a loop, each after a look at the clock; True where there are none."""
        if time.thread_time() > self._limit:
            raise TimeUp
        return True if turns is None else self._each(turns)

    def _each(self, turns: Iterable[Any]) -> Iterator[Any]:
        for turn in turns:
            if time.thread_time() > self._limit:
                raise TimeUp
            yield turn

    @property
    def left(self) -> float:
        return self.end - time.thread_time()

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        before = self._limit
        self._limit = min(before, time.thread_time() + seconds)
        try:
            yield
        finally:
            self._limit = before


class Program:
    """A pair's functions, and those of the same file that they call, made from any text of as many lines."""

    def __init__(self, pair: Pair, tick: Callable[..., Any]) -> None:
        self.original, self._tick = pair, tick
        self.path = pair.forward.__code__.co_filename
        self.text = read(Path(self.path))
        self.lines: dict[str, tuple[int, int]] = {}
        todo = [(f.__name__, f.__code__.co_firstlineno) for f in (pair.backward, pair.forward) if f]
        while todo:
            name, first = todo.pop(0)
            node = definition_of(self.path, name, first)
            if node is None or name in self.lines:
                continue
            self.lines[name] = node.lineno, node.end_lineno or node.lineno
            called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
            todo += [(helper, 0) for helper in sorted(called - {name})]
        self._codes: dict[str, CodeType] = {}

    def bodies(self, text: Text) -> dict[str, Body]:
        """The functions as they stand in a text."""
        return {name: Body(text.function(lines)) for name, lines in self.lines.items()}

    def ticks(self, text: Text) -> list[Span]:
        """What makes every loop of a text look at the clock."""
        spans = []
        for body in self.bodies(text).values():
            for node in ast.walk(body.function):
                if isinstance(node, ast.For) and not isinstance(node.iter, ast.Tuple):
                    start, end = text.span(node.iter)
                    spans += [(start, start, f"{TICK}("), (end, end, ")")]
                elif isinstance(node, ast.While):
                    start, end = text.span(node.test)
                    spans += [(start, start, f"{TICK}() and ("), (end, end, ")")]
        return spans

    def pair(self, text: str) -> Pair:
        """The pair as a text has it.

        Raises
        ------
        SyntaxError
            If it is not Python.
        """
        rows = text.split("\n")
        namespace = {**self.original.forward.__globals__, TICK: self._tick}
        for lines in self.lines.values():
            part = passage(rows, lines)
            if part not in self._codes:
                self._codes[part] = compile(part, self.path, "exec", dont_inherit=True)
            exec(self._codes[part], namespace)
        forward, backward = self.original.names
        made = namespace[backward] if backward else None
        return replace(self.original, forward=namespace[forward], backward=made)
