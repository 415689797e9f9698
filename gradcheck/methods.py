"""The line of a wrong gradient in a layer's own backward: the statement that makes it, or that all wrong ones share."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from typing import Any

from .instrument import definition_of
from .slices import assigned, suspects


def line_in(layer: Any, inputs: Sequence[str], wrong: Sequence[str]) -> int | None:
    """The line in the class's backward that the wrong gradients point at; None if they are made elsewhere.

    Parameters
    ----------
    layer : object
        With a method ``backward(self, dout)``.
    inputs : sequence of str
        The names of the inputs that have a gradient, in the order of what backward returns.
    wrong : sequence of str
        Those of them, and of the parameters, whose gradient is wrong.
    """
    written = [_definition(layer, name) for name in ("backward", "add_grads", "loss") if hasattr(type(layer), name)]
    definitions = [found for found in written if found]
    for definition in definitions:
        made = _parameters(definition)
        if definition.name == "backward":
            made |= _returned(definition, inputs)
        accused = [made[name] for name in wrong if name in made]
        if accused:
            shared = suspects(definition, accused, [made[name] for name in made if name not in wrong])
            return shared[-1].lineno if shared else accused[0].lineno
    return None


def line_due(definition: ast.FunctionDef, parameters: Sequence[str], missing: str) -> int | None:
    """The line beside which a parameter that gets no gradient should get it; None if nothing tells.

    That is the end of what is only done where there is such a parameter, or the line that gives another its gradient:
    the first of these for the first parameter, and so on; or the end of a function that works out what it never uses.

    Parameters
    ----------
    definition : FunctionDef
        Of a backward, or of what it calls.
    parameters : sequence of str
        The names of all, in their order.
    missing : str
        The one without a gradient.
    """
    nodes = list(ast.walk(definition))
    asking = [node for node in nodes if isinstance(node, ast.If) and missing in _named(node.test)]
    if asking:
        return asking[-1].body[-1].lineno
    others = sorted(node.lineno for node in _parameters(definition).values())
    if others:
        return others[min(parameters.index(missing), len(others) - 1)]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    made = [assigned(node) for node in nodes if isinstance(node, ast.Assign)]
    left = any(missing in names - read or names.isdisjoint(read) for names in made if names)
    return definition.body[-1].lineno if left else None


def _named(node: ast.AST) -> set[str]:
    """The names and attributes in it."""
    names = (getattr(part, "id", getattr(part, "attr", None)) for part in ast.walk(node))
    return {name for name in names if name}


def _definition(layer: Any, name: str) -> ast.FunctionDef | None:
    method: Any = inspect.unwrap(getattr(type(layer), name))
    code = getattr(method, "__code__", None)
    return definition_of(code.co_filename, method.__name__, code.co_firstlineno) if code else None


def _returned(definition: ast.FunctionDef, inputs: Sequence[str]) -> dict[str, ast.expr]:
    """What the last return statement gives for each input."""
    returns = [node for node in ast.walk(definition) if isinstance(node, ast.Return) and node.value is not None]
    if not returns:
        return {}
    value = max(returns, key=lambda node: node.lineno).value
    elements = value.elts if isinstance(value, ast.Tuple) else [value]
    return {name: element for name, element in zip(inputs, elements) if element is not None}


def _parameters(definition: ast.FunctionDef) -> dict[str, ast.expr]:
    """What is added to each parameter: by ``self.W.add_grad(...)``, ``self.W.grad += ...`` or ``self.dW = ...``."""
    made: dict[str, ast.expr] = {}
    for node in ast.walk(definition):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.startswith("add_grad")
        ):
            made |= dict.fromkeys(_named(node.func.value) - {"self"}, node)
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Attribute):
                owner = target.value
                if target.attr == "grad" and isinstance(owner, ast.Attribute):
                    made[owner.attr] = node.value
                elif target.attr.startswith("d"):
                    made[target.attr[1:]] = node.value
            elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                made[str(target.slice.value)] = node.value
    return made
