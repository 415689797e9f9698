"""Where a known cause is written: the statement that makes what a later one stumbles over."""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from .adjoints import core
from .case import Case
from .instrument import definition_of, watched
from .pairs import Pair
from .place import EPS, called
from .rewrite import Body, heads
from .slices import assigned

ALLOCATORS = ("zeros", "ones", "empty", "full", "array")
PURE = {"sum", "mean", "dot", "matmul", "reshape", "transpose", "multiply", "add", "subtract", "divide", "where"}
ROOTS = {-0.5, 0.5, -1.5, 1.5}  # exponents


def origin(cause: str, pair: Pair, case: Case | None, line: int | None, cleared: list[str]) -> int | None:
    """The line at which a cause is written, by the text of forward and backward; None if several lines may be, or none.

    Parameters
    ----------
    cause : str
        A code.
    pair : Pair
        Whose gradients are wrong.
    case : Case or None
        Where that shows.
    line : int or None
        The statement at which it shows.
    cleared : list of str
        The names of backward that hold right gradients before that.
    """
    functions: list[Any] = [pair.forward, pair.backward or pair.forward]
    forward, backward = (definition_of(pair.file, f.__name__, f.__code__.co_firstlineno) for f in functions)
    if forward is None or backward is None:
        return None
    found: Sequence[ast.stmt]
    if cause == "wrong-dtype":
        found = _allocations(backward, line)
    elif cause == "wrong-cache":
        found = [*_empty_caches(case, forward)] or [*_unpackings(backward)]
    elif cause == "wrong-eps":
        found = [*_without_eps(forward, backward)]
    elif cause == "forward-mismatch":
        found = _assignments(forward, cleared[-1:])
    elif cause == "config-hardcoded":
        found = [*_squares(backward)]
    elif cause in ("unfinished", "missing-gradient"):
        found = [*_idle(backward)][:1]
    elif cause in ("mutates-cache", "mutates-dout"):
        found = [*_writes(backward)][:1]
    else:
        return None
    lines = {node.lineno for node in found}
    return None if line in lines or len(lines) != 1 else lines.pop()


def _allocations(function: ast.FunctionDef, line: int | None) -> Sequence[ast.stmt]:
    """Where the array that a statement writes into was made."""
    statements = Body(function).statements
    names = {name for s in statements if s.lineno == line for name in assigned(s)}
    made = [s for s in statements if isinstance(s, ast.Assign) and assigned(s) & names and s.lineno < (line or 0)]
    return [s for s in made if isinstance(s.value, ast.Call) and called(s.value).startswith(ALLOCATORS)][-1:]


def _empty_caches(case: Case | None, forward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Where the cache is None: the statement that makes it so, or the one that should be followed by its packing."""
    if case is None:
        return
    seen: list[tuple[str, int]] = []

    def watch(name: str, line: int, in_part: bool, value: Any) -> Any:
        seen.append((name, line))
        return value

    made = dataclasses.replace(case.pair, forward=watched(case.pair.forward, watch))
    *_, cache = made.functions()[0](*copy.deepcopy(case.arguments))
    if cache is None:
        values = [s.value for s in Body(forward).returns]
        names = [element.id for value in values if isinstance(value, ast.Tuple) for element in value.elts[:2]
                 if isinstance(element, ast.Name)]  # fmt: skip
        lines = [line for name, line in seen if name in names]
        yield from (s for s in Body(forward).statements if lines and s.lineno == lines[-1])


def _unpackings(backward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Where the cache is unpacked into names."""
    cache = backward.args.args[-1].arg if backward.args.args else ""
    for s in Body(backward).statements:
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Name) and s.value.id == cache:
            yield s


def _without_eps(forward: ast.FunctionDef, backward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Roots of what has no eps in it, in backward and in the cache; another eps than forward's, or a number packed."""
    statements = Body(backward).statements
    with_eps = _names_with_eps(statements)
    for s in statements:
        yield from (s for head in heads(s) if _is_root_without_eps(head, with_eps))
        if isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant) and EPS.search(ast.unparse(s)):
            yield s
    statements = Body(forward).statements
    with_eps = _names_with_eps(statements)
    for s in statements:
        for element in s.value.elts if isinstance(s, ast.Assign) and isinstance(s.value, ast.Tuple) else []:
            is_number = isinstance(element, ast.Constant) and type(element.value) is float
            if is_number or _is_root_without_eps(element, with_eps):
                yield s


def _names_with_eps(statements: Sequence[ast.stmt]) -> set[str]:
    """Names into which an eps goes where they are assigned."""
    assignments = [s for s in statements if isinstance(s, (ast.Assign, ast.AugAssign))]
    return {name for s in assignments if EPS.search(ast.unparse(s)) for name in assigned(s)}


def _is_root_without_eps(expression: ast.AST, with_eps: set[str]) -> bool:
    """Whether there is a root of something, be it one over it, into which no eps goes."""
    for node in ast.walk(expression):
        inside: ast.AST | None = None
        if isinstance(node, ast.Call) and called(node) == "sqrt" and node.args:
            inside = node.args[0]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _number(node.right) in ROOTS:
            inside = node.left
        names = {n.id for n in ast.walk(inside) if isinstance(n, ast.Name)} if inside else set()
        if inside and not names & with_eps and not EPS.search(ast.unparse(inside)):
            return True
    return False


def _squares(backward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Sizes of arrays with one name for height and width."""
    for s in Body(backward).statements:
        for node in (node for head in heads(s) for node in ast.walk(head)):
            if isinstance(node, ast.Call) and called(node).startswith((*ALLOCATORS, "reshape")):
                sizes = [part for part in ast.walk(node) if isinstance(part, ast.Tuple) and len(part.elts) > 2]
                if any(ast.dump(part.elts[-1]) == ast.dump(part.elts[-2]) for part in sizes):
                    yield s


def _idle(backward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Loops that do nothing, and results that are computed and let go."""
    body = Body(backward)
    for s in body.statements:
        value = s.value if isinstance(s, ast.Expr) else None
        let_go = isinstance(value, ast.BinOp) or (isinstance(value, ast.Call) and called(value) in PURE)
        if let_go or (isinstance(s, ast.Pass) and isinstance(body.parent[s], ast.For)):
            yield s


def _writes(backward: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Statements that write into what was handed to a function, or into a view of it."""
    views = {argument.arg for argument in backward.args.args}
    for s in Body(backward).statements:
        if not isinstance(s, (ast.Assign, ast.AugAssign)):
            continue
        target = s.targets[0] if isinstance(s, ast.Assign) else s.target
        if isinstance(s, ast.Assign) and isinstance(target, (ast.Name, ast.Tuple)):
            base = s.value
            while isinstance(base, (ast.Subscript, ast.Attribute)):
                base = base.value
            views = views | assigned(s) if isinstance(base, ast.Name) and base.id in views else views - assigned(s)
        elif assigned(s) & views:
            yield s


def _assignments(function: ast.FunctionDef, names: list[str]) -> Sequence[ast.stmt]:
    """The last assignment to the variable that one of backward's gradients is of."""
    cores = {core(name) for name in names}
    statements = [s for s in Body(function).statements if isinstance(s, (ast.Assign, ast.AugAssign))]
    return [s for s in statements if {core(name, gradient=False) for name in assigned(s)} & cores][-1:]


def _number(node: ast.expr) -> float | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return float(value) if isinstance(value, (int, float)) else None
