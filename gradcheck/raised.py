"""What the code under test raised: on which of its lines, and why where that is plain."""

from __future__ import annotations

import ast
import inspect
import re
import sysconfig
import textwrap
import traceback
from pathlib import Path
from typing import Any

from .report import Finding
from .standins import Lacking

_FOREIGN = (str(Path(__file__).parent), *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib")))


def describe(stage: str, error: BaseException, functions: list[Any], of: str = "") -> Finding:
    """Verdict, cause, text, file and line for an exception; `of` is what forward or backward belongs to."""
    file, line, statement = _place(error, functions, stage)
    message = (str(error).splitlines() or [""])[0]
    where = f" ({Path(file).name}, line {line})" if file else ""
    text = f"{of}{stage} raises {type(error).__name__}: {message}{where}"
    if isinstance(error, Lacking):
        return Finding("vacuous", "", f"{of}cannot be checked here: {stage} needs {message}{where}", line, file)
    if isinstance(error, AttributeError) and error.obj is None and error.name in ("forward", "backward"):
        return Finding(
            "vacuous", "", f"{of}cannot be checked alone: {stage} needs a layer or a loss{where}", line, file
        )
    if isinstance(error, NotImplementedError):
        text = f"{of}{stage} is not written yet{where}{f': {message}' if message else ''}"
        return Finding("not_implemented", "unfinished", text, line, file)
    empty = _left_none(error)
    if empty:
        text = f"{of}{stage} is not written yet: {empty} is still None{where}"
        return Finding("not_implemented", "unfinished", text, line, file)
    cause = "raises"
    if isinstance(error, NameError):  # UnboundLocalError is one
        cause = "undefined-name"
    elif stage == "backward" and _is_about_cache(error, statement, functions):
        cause = "wrong-cache"
    elif re.search(r"cast ufunc '\w+' output from dtype\('float\d+'\)", message):
        cause = "wrong-dtype"
    elif stage == "backward" and re.search(r"from shape \((.*\b)?0\b.*\) into shape", message):
        cause = "shape-cropped"  # x[pad:-pad] is empty where pad is 0
    return Finding("error", cause, text, line, file)


def line_of(error: BaseException, functions: list[Any]) -> tuple[str | None, int | None]:
    """File and line of the last statement of the code under test that an exception came through."""
    return _place(error, functions, "")[:2]


def is_refusal(error: BaseException) -> bool:
    """Whether the code under test says by a ``raise`` of its own that it does not take what it was given."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    own = not frame.filename.startswith(_FOREIGN) and (frame.line or "").startswith("raise ")
    return own and not isinstance(error, NotImplementedError)


def _place(error: BaseException, functions: list[Any], stage: str) -> tuple[str | None, int | None, str]:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_FOREIGN, "<__array")):
            return frame.filename, frame.lineno, frame.line or ""
    called = functions[-1] if stage == "backward" else functions[0]  # it could not even be called
    code = getattr(inspect.unwrap(getattr(called, "__func__", called)), "__code__", None)
    return (code.co_filename, code.co_firstlineno, "") if code else (None, None, "")


def _left_none(error: BaseException) -> str:
    """The name that an assignment to itself, ``out = out.astype(dtype)``, finds None, as nothing else was put in it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    if "NoneType" not in str(error) or not frames:
        return ""
    code = frames[-1].f_code
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, SyntaxError):
        return ""
    here = lines[-1] - code.co_firstlineno + 1
    bindings = [node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AugAssign))]
    last = next((node.targets[0] for node in bindings if isinstance(node, ast.Assign) and node.lineno == here), None)
    if not isinstance(last, ast.Name) or frames[-1].f_locals.get(last.id, error) is not None:
        return ""
    others = [node for node in bindings if node.lineno != here and last.id in _written(node)]
    return last.id if all(is_none(node.value) for node in others) else ""


def _written(node: ast.Assign | ast.AugAssign) -> set[str]:
    """The names that an assignment binds or writes into."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def is_none(value: ast.expr | None) -> bool:
    """Whether an expression is None, or a tuple of nothing else."""
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(isinstance(part, ast.Constant) and part.value is None for part in parts)


def _is_about_cache(error: BaseException, statement: str, functions: list[Any]) -> bool:
    """Whether unpacking the cache, or looking something up in it, is what failed."""
    try:
        parameters = list(inspect.signature(functions[-1]).parameters)
    except (TypeError, ValueError):
        return False
    mentions = bool(parameters) and re.search(rf"\b({re.escape(parameters[-1])}|cache)\b", statement)
    lookups = r"unpack|subscript|not iterable|indices must be|out of range"
    return bool(mentions) and (isinstance(error, KeyError) or bool(re.search(lookups, str(error))))
