"""A function to be edited: its source, and what is known of its failing run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .rewrite import Body, Span, Text, heads

EPS = re.compile(r"eps", re.IGNORECASE)
REDUCTIONS = {"sum", "mean", "max", "min", "var", "std", "argmax", "prod"}


class Change(NamedTuple):
    """An edit of a text: its kind, the cause that this kind proves, the words to put in place of others."""

    kind: str
    cause: str | None
    spans: tuple[Span, ...]


@dataclass
class Place:
    """A function to be edited, and what is known of its failing run.

    Attributes
    ----------
    text : Text
        Of the file.
    body : Body
        The function.
    values : dict
        Its local names as it left them.
    wrong : list of tuple
        Number, name, true and returned shape (None if there is none) of each wrong gradient.
    total : int
        How many gradients there are.
    error : Exception or None
        What it raised, on `error_line`.
    forward : Place or None
        The forward, where the function is the backward.
    is_loss : bool
        Whether it returns the loss before its gradient.
    role : str
        "main" for what returns the gradients, "helper" for what that calls, "forward" for the forward of a backward.
    """

    text: Text
    body: Body
    values: dict[str, Any]
    wrong: list[tuple[int, str, tuple[int, ...], tuple[int, ...] | None]] = field(default_factory=list)
    total: int = 0
    error: Exception | None = None
    error_line: int | None = None
    forward: Place | None = None
    is_loss: bool = False
    role: str = "main"

    def __post_init__(self) -> None:
        self.statements = [s for s in self.body.statements if s in self._relevant() and heads(s)]
        self.nodes = [node for s in self.statements for head in heads(s) for node in ast.walk(head)]
        self.scalars = list(self._scalars())
        self.arrays = [name for name, value in self.values.items() if isinstance(value, np.ndarray) and value.ndim]

    def returned(self, k: int) -> list[ast.expr]:
        """The expressions that are returned as gradient k."""
        found = []
        for statement in self.body.returns:
            value = statement.value
            if isinstance(value, ast.Tuple):
                i = k + self.is_loss
                found += value.elts[i : i + 1]
            elif value is not None and self.total == 1 and not self.is_loss:
                found.append(value)
        return found

    def results(self, k: int) -> list[ast.expr]:
        """Where gradient k is made: the right-hand sides of the name returned, the last first, and what is returned.

        In a dict of gradients it is made where it is put in: ``grads["W1"] = ...``.
        """
        name = next((name for number, name, *_ in self.wrong if number == k), None)
        found = [s.value for s in self.statements if isinstance(s, ast.Assign) and self._puts(s.targets[0], name)]
        for returned in self.returned(k):
            if isinstance(returned, ast.Name):
                found += [
                    s.value for s in reversed(self.body.statements)
                    if isinstance(s, (ast.Assign, ast.AugAssign)) and not isinstance(s.value, ast.Tuple)
                    and self.text.of(s.targets[0] if isinstance(s, ast.Assign) else s.target) == returned.id
                ]  # fmt: skip
            found.append(returned)

        def is_looped(node: ast.AST) -> bool:
            return any(isinstance(outer, (ast.For, ast.While)) for outer in self.body.around(node))

        return sorted(found, key=is_looped)

    def _puts(self, target: ast.expr, name: str | None) -> bool:
        """Whether something is put into a dict, under a name or a computed one."""
        if not isinstance(target, ast.Subscript) or not isinstance(self.values.get(self.text.of(target.value)), dict):
            return False
        return not isinstance(target.slice, ast.Constant) or target.slice.value == name

    def _relevant(self) -> set[ast.stmt]:
        """The statements that what is wrong may come from."""
        every = set(self.body.statements)
        if self.error is not None:
            at = [s for s in every if self.error_line and s.lineno <= self.error_line <= (s.end_lineno or s.lineno)]
            at = sorted(at, key=lambda s: s.lineno)[-1:]
            names = {node.id for s in at for head in heads(s) for node in ast.walk(head) if isinstance(node, ast.Name)}
            return {s for s in self.body.flowing_into(names) | set(at) if s.lineno <= (self.error_line or s.lineno)}
        if self.role != "main":
            return every
        sources = [expression for k, *_ in self.wrong for expression in self.returned(k)]
        if not sources:
            return every
        names = {node.id for source in sources for node in ast.walk(source) if isinstance(node, ast.Name)}
        return self.body.flowing_into(names) | set(self.body.returns)

    def _scalars(self) -> Iterator[str]:
        """Numbers in scope that may be a factor or a term: names, entries of dicts, sizes, the likeliest first."""
        loops = {node.id for s in self.body.statements if isinstance(s, ast.For) for node in ast.walk(s.target)
                 if isinstance(node, ast.Name)}  # fmt: skip
        for name, value in self.values.items():
            if is_number(value) and name not in loops:
                yield name
        for name, value in self.values.items():
            if isinstance(value, dict):
                yield from (f"{name}['{key}']" for key, entry in value.items() if is_number(entry))
            elif name == "self":
                yield from (f"self.{key}" for key, entry in vars(value).items() if is_number(entry))
        seen = {value for value in self.values.values() if is_number(value)}
        for name, value in self.values.items():
            if isinstance(value, np.ndarray) and name in self.body_names:
                for axis, size in enumerate(value.shape):
                    if size > 1 and size not in seen:
                        seen.add(size)
                        yield f"{name}.shape[{axis}]"

    @property
    def first(self) -> str:
        """The name of the first parameter: of a backward dout."""
        arguments = self.body.function.args.args
        return arguments[0].arg if arguments else ""

    @property
    def body_names(self) -> set[str]:
        """The names that occur in the function."""
        return {node.id for node in ast.walk(self.body.function) if isinstance(node, ast.Name)} | {
            argument.arg for argument in self.body.function.args.args
        }

    def size(self, name: str, axis: int) -> str:
        """The length of an array's axis: the name that the function gave to it, else ``x.shape[axis]``."""
        for s in self.body.statements:
            target = s.targets[0] if isinstance(s, ast.Assign) else None
            if (
                isinstance(target, ast.Tuple)
                and len(target.elts) > axis
                and self.text.of(s).endswith(f"= {name}.shape")
            ):
                return self.text.of(target.elts[axis])
        return f"{name}.shape[{axis}]"

    def put(self, kind: str, cause: str | None, *parts: tuple[Any, str]) -> Change:
        """The change that writes something in place of each of some nodes."""
        return Change(kind, cause, tuple((*self.text.span(node), new) for node, new in parts))

    def around(self, kind: str, cause: str | None, node: Any, before: str, after: str) -> Change:
        """The change that writes something on both sides of a node."""
        start, end = self.text.span(node)
        return Change(kind, cause, ((start, start, before), (end, end, after)))

    def wrapped(self, kind: str, cause: str | None, node: Any, after: str, before: str = "") -> Change:
        """The change that goes on from a node, in parentheses where they are needed."""
        tight = is_tight(node)
        tight = tight or (after.startswith((" *", " /")) and isinstance(node, ast.BinOp)
                          and isinstance(node.op, (ast.Mult, ast.Div)))  # fmt: skip
        tight = tight or (after.startswith((" +", " -")) and isinstance(node, ast.BinOp))
        outer = isinstance(self.body.parent.get(node), (ast.BinOp, ast.UnaryOp, ast.Attribute, ast.Compare))
        opening, closing = ("", "") if tight else ("(", ")")
        left, right = ("(", ")") if outer and not after.startswith((".", "[")) else ("", "")
        return self.around(kind, cause, node, left + before + opening, closing + after + right)


def is_tight(node: ast.AST) -> bool:
    """Whether a node needs no parentheses anywhere."""
    return isinstance(node, (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.Constant))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_))


def is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
