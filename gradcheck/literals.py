"""What the source says of an option: the words that it is compared with, and whether anything reads it."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from typing import Any

from .instrument import definition_of, tree_of


def words_of(thing: Any, name: str) -> list[str]:
    """The strings that a function, or a class's methods, compare an option with: ``if self.activation == "relu"``."""
    found: dict[str, None] = {}
    for node, names in _read(thing, name):
        if isinstance(node, ast.Compare) and _names(node.left) & names:
            constants = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
            found |= dict.fromkeys(word for word in constants if isinstance(word, str))
    return list(found)


def is_used(thing: Any, name: str) -> bool:
    """Whether a function, or a method but the constructor, reads an option."""
    return any(isinstance(getattr(node, "ctx", None), ast.Load) and _names(node) & names
               for node, names in _read(thing, name, but="__init__"))  # fmt: skip


def _read(thing: Any, name: str, but: str = "") -> Iterator[tuple[ast.AST, set[str]]]:
    """The nodes of a function's or class's source, with all names that an option goes by there."""
    definitions = list(_definitions(thing))
    names = {name}
    assigned = [n for definition in definitions for n in ast.walk(definition) if isinstance(n, ast.Assign)]
    for target, value in (pair for node in assigned for pair in _assigned(node)):
        if isinstance(target, ast.Attribute) and _names(value) == {name}:  # self.act = activation
            names.add(target.attr)
    for definition in definitions:
        parts = definition.body if isinstance(definition, ast.ClassDef) else [definition]
        for part in parts:
            if getattr(part, "name", None) != but:
                yield from ((node, names) for node in ast.walk(part))


def _assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Each target with its value, also of ``a, b = x, y``."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts)
        else:
            yield target, node.value


def _names(node: ast.AST) -> set[str]:
    """The names and attributes of ``activation``, ``self.activation``, ``self.activation.lower()``."""
    return {getattr(part, "attr", getattr(part, "id", "")) for part in ast.walk(node)} - {"self", "", "lower"}


def _definitions(thing: Any) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    if not isinstance(thing, type):
        function = inspect.unwrap(getattr(thing, "__func__", thing))
        code = getattr(function, "__code__", None)
        found = definition_of(code.co_filename, code.co_name, code.co_firstlineno) if code else None
        if found is not None:
            yield found
        return
    for cls in thing.__mro__:
        methods = (inspect.unwrap(value) for value in vars(cls).values() if isinstance(value, types.FunctionType))
        file = next((method.__code__.co_filename for method in methods), None)
        nodes = ast.walk(tree_of(file)) if file else ()
        yield from (node for node in nodes if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
