"""A user's own inputs: a file with, for each pair, its forward's arguments or a function that draws them."""

from __future__ import annotations

import contextlib
import copy
import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .inputs import Setting, Values
from .load import execute_plainly
from .pairs import Pair


class BadInputs(Exception):
    """What a file of inputs says cannot be used: wrong usage, in one line."""


def given_settings(path: str) -> dict[str, list[Setting]]:
    """Settings by the name of a pair, or of its forward, from a file such as::

        import numpy as np

        def affine(rng):                      # arguments of affine_forward, by position or as a dict
            return rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), np.zeros(2)

        conv_naive = [{"x": ..., "w": ..., "b": ..., "conv_param": {"stride": 1, "pad": 1}}, ...]   # several settings

    Raises
    ------
    BadInputs
        If the file raises; later, a setting's `draw` if its function does.
    """
    with _blaming(path):
        module = execute_plainly(Path(path))
    settings = {}
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            settings[name] = [Setting(f"{name} of {Path(path).name}", _drawn_by(value, path))]
        elif isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            each = value if isinstance(value, list) else [value]
            settings[name] = [
                Setting(f"{name}[{i}]" if len(each) > 1 else name, _constant(arguments))
                for i, arguments in enumerate(each)
                if isinstance(arguments, (tuple, dict))
            ]
    return settings


def taken(pair: Pair, settings: list[Setting], path: str) -> list[Setting]:
    """The settings given for a pair, if its forward takes them.

    Raises
    ------
    BadInputs
        If it has other parameters.
    """
    for setting in settings:
        if setting.arguments(pair) is None:
            values = setting.draw(np.random.default_rng(0))
            given = ", ".join(values) if any(map(str.isidentifier, values)) else f"{len(values)} by position"
            takes = inspect.signature(pair.forward)
            raise BadInputs(f"{path}: {setting.text} gives {given}; {pair.names[0]} takes {takes}")
    return settings


@contextlib.contextmanager
def _blaming(path: str) -> Iterator[None]:
    """What the file raises, named with its line."""
    try:
        yield
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = max((frame.lineno or 0 for frame in frames if frame.filename == str(Path(path))), default=0)
        message = (str(error).splitlines() or [""])[0]
        if isinstance(error, SyntaxError):
            line, message = error.lineno or 0, error.msg
        raise BadInputs(f"{path}{f', line {line}' if line else ''}: {type(error).__name__}: {message}") from error


def _drawn_by(function: Callable[..., Any], path: str) -> Callable[[np.random.Generator], Values]:
    takes_rng = bool(inspect.signature(function).parameters)

    def draw(rng: np.random.Generator) -> Values:
        with _blaming(path):
            return _by_name(function(rng) if takes_rng else function())

    return draw


def _constant(arguments: Any) -> Callable[[np.random.Generator], Values]:
    return lambda rng: copy.deepcopy(_by_name(arguments))


def _by_name(arguments: Any) -> Values:
    """Arguments by position get numbers for names, which no parameter bears, so that their order stands."""
    if isinstance(arguments, dict):
        return arguments
    several = arguments if isinstance(arguments, tuple) else (arguments,)
    return {str(i): argument for i, argument in enumerate(several)}
