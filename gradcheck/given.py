"""A user's own inputs: a file with, for each pair, its forward's arguments or a function that draws them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .inputs import Setting, Values
from .load import execute_plainly


def given_settings(path: str) -> dict[str, list[Setting]]:
    """Settings by the name of a pair, or of its forward, from a file such as::

        import numpy as np

        def affine(rng):                      # arguments of affine_forward, by position or as a dict
            return rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), np.zeros(2)

        conv_naive = [{"x": ..., "w": ..., "b": ..., "conv_param": {"stride": 1, "pad": 1}}, ...]   # several settings

    Raises
    ------
    Exception
        Whatever the file raises.
    """
    module = execute_plainly(Path(path))
    settings = {}
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            settings[name] = [Setting(f"{name} of {Path(path).name}", _drawn_by(value))]
        elif isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
            each = value if isinstance(value, list) else [value]
            settings[name] = [
                Setting(f"{name}[{i}]" if len(each) > 1 else name, _constant(arguments))
                for i, arguments in enumerate(each)
                if isinstance(arguments, (tuple, dict))
            ]
    return settings


def _drawn_by(function: Callable[..., Any]) -> Callable[[np.random.Generator], Values]:
    takes_rng = bool(inspect.signature(function).parameters)
    return lambda rng: _by_name(function(rng) if takes_rng else function())


def _constant(arguments: Any) -> Callable[[np.random.Generator], Values]:
    return lambda rng: copy.deepcopy(_by_name(arguments))


def _by_name(arguments: Any) -> Values:
    """Arguments by position get numbers for names, which no parameter bears, so that their order stands."""
    if isinstance(arguments, dict):
        return arguments
    several = arguments if isinstance(arguments, tuple) else (arguments,)
    return {str(i): argument for i, argument in enumerate(several)}
