"""What is checked in a file: a forward with its backward, or a loss, brought to the form that `check` takes."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .check import check, check_loss
from .report import Report
from .standins import Lacking

Function = Callable[..., Any]
CACHE = re.compile(r"cache|ctx|context|saved|memo|meta", re.IGNORECASE)
OUTPUT = {"out", "output", "y", "a"}


@dataclass(frozen=True)
class Pair:
    """A forward and its backward, or a loss that returns its own gradient.

    Parameters
    ----------
    name : str
        The functions' common name, infix kept: ``conv_naive`` of conv_forward_naive; a loss's own name.
    forward, backward : callable
        ``forward(*arguments) -> out, cache`` and ``backward(dout, cache) -> gradients``; `backward` is None for a
        loss, ``forward(x, y) -> loss, dx``, whose gradient is that of its first argument.
    file : str
        Where both are written.
    """

    name: str
    forward: Function
    backward: Function | None
    file: str

    @property
    def line(self) -> int:
        """The line of the backward's, or the loss's, definition."""
        return line_of_definition(self.backward or self.forward)

    @property
    def names(self) -> tuple[str, str | None]:
        """The names of both functions."""
        return self.forward.__name__, self.backward.__name__ if self.backward else None

    @property
    def is_loss(self) -> bool:
        """Whether one function returns the loss and its gradient."""
        return self.backward is None

    def functions(self) -> tuple[Function, Function | None]:
        """Both in one form: ``forward(*arguments) -> (*outputs, cache)`` and ``backward(*douts, cache)``."""
        if self.backward is None:
            return _loss_form(self.forward), None
        return _forward_form(self.forward, self.backward), _backward_form(self.forward, self.backward)

    def outputs(self, *arguments: Any) -> tuple[Any, ...]:
        """What forward computes, without the cache; the loss of a loss."""
        result: tuple[Any, ...] = self.functions()[0](*arguments)
        return result[:-1]

    def gradients(self, *arguments: Any) -> tuple[Any, ...]:
        """What backward returns for a dout of ones; a bare array as a tuple of one."""
        forward, backward = self.functions()
        *outs, last = forward(*arguments)
        found = backward(*map(np.ones_like, outs), last) if backward else last
        return tuple(found) if isinstance(found, (tuple, list)) else (found,)

    def check(self, arguments: tuple[Any, ...], **options: Any) -> Report:
        """Check the gradients at these arguments, without looking for the cause."""
        forward, backward = self.functions()
        if backward is None:
            return check_loss(forward, *arguments, why=False, **options)
        return check(forward, backward, *arguments, why=False, **options)


def line_of_definition(function: Any) -> int:
    """Where a function begins, 0 if it is not Python's."""
    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    return code.co_firstlineno if code else 0


def _loss_form(function: Function) -> Function:
    """A loss of which nothing is written yet returns None, which cannot be unpacked."""

    @functools.wraps(function)
    def loss(*arguments: Any) -> Any:
        result = function(*arguments)
        return (None, None) if result is None else result

    return loss


def _forward_form(forward: Function, backward: Function) -> Function:
    """Forward with as many outputs as backward takes douts, then one cache; whatever follows is left out."""
    roles = backward_roles(forward, backward)
    count = max(1, roles.count("dout"))
    parameters = list(inspect.signature(forward).parameters)

    @functools.wraps(forward)
    def wrapped(*arguments: Any) -> Any:
        result = forward(*arguments)
        if isinstance(result, tuple):
            outs, cache = result[:count], result[count] if len(result) > count else None
        else:  # of sigmoid(z) -> a and sigmoid_backward(da, cache) the cache is z
            outs, cache = (result,), arguments[0] if len(arguments) == 1 else arguments
        if set(roles) <= {"dout", "cache"}:
            return (*outs, cache)
        values = result if isinstance(result, tuple) else ()
        named = {**dict(zip(parameters, arguments)), **dict(zip(returned_names(forward), values))}
        named |= {str(i): value for i, value in enumerate(values or arguments)}
        return (*outs, {**named, "cache": cache, "out": outs[0]})

    return wrapped


def _backward_form(forward: Function, backward: Function) -> Function:
    """Backward that takes the douts, then the cache."""
    roles = backward_roles(forward, backward)
    if roles == [*["dout"] * (len(roles) - 1), "cache"]:
        return backward
    plain = set(roles) <= {"dout", "cache"}

    @functools.wraps(backward)
    def wrapped(*arguments: Any) -> Any:
        *douts, cache = arguments
        known = {"cache": cache} if plain else cache
        rest = iter(douts)
        if not set(roles) - {"dout"} <= set(known):
            raise Lacking("arguments that forward neither takes nor returns")
        return backward(*[next(rest) if role == "dout" else known[role] for role in roles])

    return wrapped


def required(function: Function) -> list[str]:
    """The names of the positional parameters without a default."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind in positional]


@functools.cache
def returned_names(function: Function) -> list[str]:
    """What a function calls the values that it returns, "" where that is no name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return []
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    values = returned[-1].elts if returned and isinstance(returned[-1], ast.Tuple) else []
    return [value.id if isinstance(value, ast.Name) else "" for value in values]


def backward_roles(forward: Function, backward: Function) -> list[str]:
    """What each parameter of backward is: ``dout``, ``cache``, ``out``, or what forward takes or returns by that name.

    The last of several parameters is the cache unless a name says otherwise, as in ``relu_backward(dout, x)``. A number
    is the place of a value that forward returns, ``unit_backward(dunit, unit, norm)``, or takes, if it returns but one.
    """
    given = {*inspect.signature(forward).parameters, *returned_names(forward)}
    names = required(backward)
    roles = ["cache" if CACHE.search(name) else name if name in given else "" for name in names]
    if len(roles) > 2 and not any(roles) and not any(name.lower().startswith(("d", "g")) for name in names[1:]):
        return ["dout", *map(str, range(len(roles) - 1))]
    if len(roles) > 1 and not any(roles):
        roles[-1] = "out" if names[-1].lower() in OUTPUT else "cache"
    return [
        role or ("out" if i and name.lower() in OUTPUT else "dout") for i, (role, name) in enumerate(zip(roles, names))
    ]
