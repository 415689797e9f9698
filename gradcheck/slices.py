"""Which statements a returned gradient is made of: what all wrong ones share, and no right one, is suspect."""

from __future__ import annotations

import ast
from collections.abc import Iterable

Slice = set[ast.stmt]


def suspects(definition: ast.FunctionDef, wrong: list[ast.expr], right: list[ast.expr]) -> list[ast.stmt]:
    """The statements that every wrong expression is made of and no right one is, in their order.

    Those that dout flows through; if there are none, those that compute something else, such as a rebuilt x-hat.

    Parameters
    ----------
    definition : FunctionDef
        Of a backward.
    wrong, right : list of expr
        Of its return statement.
    """
    assignments = _assignments(definition)
    shared = set.intersection(*(_slice(e, assignments) for e in wrong)) if wrong else set()
    innocent = set().union(*(_slice(e, assignments) for e in right))
    douts = {argument.arg for argument in definition.args.args[:-1]}
    suspected = shared - innocent
    gradients = [node for node in suspected if _reaches(node, douts, assignments)]
    return sorted(gradients or filter(_computes, suspected), key=lambda statement: statement.lineno)


def _computes(statement: ast.stmt) -> bool:
    """Whether a statement does arithmetic, and not only on sizes."""
    value = getattr(statement, "value", statement)
    calls = {ast.unparse(node.func).rpartition(".")[2] for node in ast.walk(value) if isinstance(node, ast.Call)}
    allocates = any(name.startswith(("zeros", "ones", "empty", "full")) for name in calls)
    return not allocates and any(isinstance(node, ast.BinOp) for node in ast.walk(value))


def _reaches(statement: ast.stmt, names: set[str], assignments: dict[str, list[ast.stmt]]) -> bool:
    """Whether what a statement assigns depends on one of these names."""
    made_of = {statement, *_slice(statement, assignments)}
    return any(names & set(_used(node)) for node in made_of)


def _assignments(definition: ast.FunctionDef) -> dict[str, list[ast.stmt]]:
    """The statements that assign to each name, those that only unpack an argument left out."""
    arguments = {argument.arg for argument in definition.args.args}
    found: dict[str, list[ast.stmt]] = {}
    for node in ast.walk(definition):
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and node.value is not None:
            if isinstance(node.value, ast.Name) and node.value.id in arguments:
                continue
            for name in assigned(node):
                found.setdefault(name, []).append(node)
    return found


def _slice(expression: ast.AST, assignments: dict[str, list[ast.stmt]]) -> Slice:
    """All statements that an expression depends on, whatever their order: in a loop the later feeds the earlier."""
    seen: Slice = set()
    todo: list[ast.AST] = [expression]
    while todo:
        for name in _used(todo.pop()):
            new = [statement for statement in assignments.get(name, []) if statement not in seen]
            seen.update(new)
            todo += new
    return seen


def _used(node: ast.AST) -> Iterable[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def assigned(node: ast.stmt) -> set[str]:
    """The names that an assignment stores into, wholly or in part."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
    names = set()
    for target in targets:
        for element in ast.walk(target):
            if isinstance(element, ast.Name) and isinstance(element.ctx, ast.Store):
                names.add(element.id)
            elif isinstance(element, ast.Subscript) and isinstance(element.ctx, ast.Store):
                inner: ast.expr = element.value
                while isinstance(inner, ast.Subscript):
                    inner = inner.value
                if isinstance(inner, ast.Name):
                    names.add(inner.id)
    return names
