"""A function rebuilt from its source so that every assignment can be watched, or nudged."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import linecache
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .load import parse, read

Watch = Callable[[str, int, bool, Any], Any]  # name, line, if only a part was assigned, value -> what to go on with
HOOK = "__assigned__"


def watched(function: Any, watch: Watch, *, helpers: bool = False) -> Callable[..., Any]:
    """The same function, which calls ``watch(name, line, in_part, value)`` after each assignment to a name.

    What `watch` returns takes the value's place. Arguments and return values are not assignments. With `helpers`, the
    functions of the same file that it calls are rebuilt as well.

    Raises
    ------
    ValueError
        If there is no source, as of a lambda or a function of C.
    """
    function = inspect.unwrap(function)
    code: Any = getattr(function, "__code__", None)
    definition = definition_of(code.co_filename, function.__name__, code.co_firstlineno) if code else None
    if definition is None:
        raise ValueError(f"function must have its source in a file; got {function!r}")
    namespace = dict(function.__globals__)
    wanted = [definition]
    if helpers:
        wanted = [*_called(definition, code.co_filename), definition]
    for node in wanted:
        _execute(_Hooks().visit(_copied(node)), code.co_filename, namespace)
    namespace[HOOK] = watch
    made = namespace[function.__name__]
    wrapped: Callable[..., Any] = functools.wraps(function)(made)
    return wrapped


def tree_of(path: str) -> ast.Module:
    """The syntax tree of a file's sound parts."""
    return _parsed(_text(path), path)


@functools.lru_cache(maxsize=64)
def _parsed(text: str, path: str) -> ast.Module:
    return parse(text, path)[0]


def _text(path: str) -> str:
    """The source of a file, or of a notebook's cell."""
    return read(Path(path)) if Path(path).is_file() else "".join(linecache.getlines(path))


def definition_of(path: str, name: str, line: int | None = None) -> ast.FunctionDef | None:
    """The definition of a function: the one at this line, or the last of its name."""
    tree = tree_of(path)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    exact = [node for node in found if line in (node.lineno, *(d.lineno for d in node.decorator_list))]
    chosen = exact or found
    return chosen[-1] if chosen else None


def statement_at(path: str, line: int) -> str:
    """The text of a line, without its indent."""
    lines = _text(path).split("\n")
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


def _copied(node: ast.FunctionDef) -> ast.FunctionDef:
    fresh = copy.deepcopy(node)
    fresh.decorator_list = []
    return fresh


def _execute(definition: ast.stmt, path: str, namespace: dict[str, Any]) -> None:
    module = ast.fix_missing_locations(ast.Module([definition], []))
    exec(compile(module, path, "exec", dont_inherit=True), namespace)


def _called(definition: ast.FunctionDef, path: str) -> Iterator[ast.FunctionDef]:
    """The definitions, in the same file, of the functions that one calls, and those that these call."""
    seen, todo = {definition.name}, [definition]
    while todo:
        for node in ast.walk(todo.pop()):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in seen:
                seen.add(node.func.id)
                helper = definition_of(path, node.func.id)
                if helper is not None:
                    todo.append(helper)
                    yield helper


class _Hooks(ast.NodeTransformer):
    """``x = expression`` becomes ``x = expression; x = watch("x", line, False, x)``."""

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        targets = [name for target in node.targets for name in _names(target)]
        at = node.value if node.targets[0].end_lineno != node.lineno else node  # the line of the =
        return [node, *(_hook(name, at, in_part) for name, in_part in targets)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        return [node, *(_hook(name, node, in_part) for name, in_part in _names(node.target) if node.value)]

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        return [node, *(_hook(name, node, True) for name, _ in _names(node.target))]

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        return node


def _names(target: ast.expr) -> Iterator[tuple[str, bool]]:
    """The names that an assignment stores into, and whether only into a part of what they hold."""
    if isinstance(target, ast.Name):
        yield target.id, False
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _names(element)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)
    elif isinstance(target, ast.Subscript):
        inner = target.value
        while isinstance(inner, ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name):
            yield inner.id, True


def _hook(name: str, at: ast.stmt | ast.expr, in_part: bool) -> ast.stmt:
    call = ast.Call(
        ast.Name(HOOK, ast.Load()),
        [ast.Constant(name), ast.Constant(at.lineno), ast.Constant(in_part), ast.Name(name, ast.Load())],
        [],
    )
    return ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], call), at)
