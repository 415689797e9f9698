"""A backward that returns nothing: not begun, or finished but for its ``return``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from typing import Any

from .instrument import definition_of
from .raised import is_none
from .report import Finding
from .rewrite import Body
from .slices import assigned


def nothing_returned(function: Any, names: Sequence[str]) -> Finding:
    """What is to be said of a backward that returned no gradient of the arguments `names`.

    It is wrong if it computes one, a ``dx`` of x, and has no ``return``; else it is not written yet.
    """
    code: Any = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
    definition = definition_of(code.co_filename, code.co_name, code.co_firstlineno) if code else None
    computed = _computed(definition, {f"d{name}" for name in names}) if definition else {}
    if not computed:
        return Finding("not_implemented", "unfinished", "backward returned no gradient (None)")
    text = f"backward computes {', '.join(computed)} and has no return"
    return Finding("fail", "missing-gradient", text, max(computed.values()), code.co_filename)


def _computed(function: ast.FunctionDef, gradients: set[str]) -> dict[str, int]:
    """The gradients that a function without any ``return`` of a value assigns, with the last line that does."""
    body = Body(function)
    if any(not is_none(statement.value) for statement in body.returns):
        return {}
    plain = {name.replace("_", "").lower() for name in (*gradients, "grad", "gradient")}
    lines = {}
    for statement in body.statements:
        if isinstance(statement, (ast.Assign, ast.AugAssign)) and not is_none(statement.value):
            known = [name for name in assigned(statement) if name.replace("_", "").lower() in plain]
            lines.update(dict.fromkeys(sorted(known), statement.lineno))
    return lines
