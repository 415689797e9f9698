"""The pairs, losses and layer classes in a file, found by the names and signatures that people give them."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import styles
from .instances import instances_of
from .load import Problem, load
from .pairs import Pair, required

FORWARD = {"forward", "forwards", "fwd", "fprop"}
BACKWARD = {"backward", "backwards", "bwd", "bprop", "backprop", "grad", "gradient"}
HALVES = {"forward": "backward", "Forward": "Backward", "fwd": "bwd", "Fwd": "Bwd", "fprop": "bprop"}
HALVES |= {backward: forward for forward, backward in HALVES.items()}
HALF = re.compile("|".join(HALVES))
LOSSES = {"loss", "entropy", "crossentropy", "mse", "hinge", "nll"}
NUMERICAL = {"numerical", "numeric", "check", "checking", "eval"}  # of functions that are no layer's


@dataclass
class Discovery:
    """What a file holds: pairs, of functions and of classes, in the order of their lines, and what is unsound."""

    pairs: list[Pair] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def discover(
    path: Path, *, without: Collection[str] = (), trying: Callable[[str], None] = lambda name: None
) -> Discovery:
    """Load a file and pair its functions; enter `load.sandboxed` first, and stay in it to call them.

    Parameters
    ----------
    path : Path
        A Python file.
    without : collection of str
        Names of classes to leave alone.
    trying : callable
        Called with the name of each class before an object of it is made and its forward run, which may never end.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    module, problems = load(path)
    file = str(module.__file__)
    functions = dict(_functions(module, file))
    pairs, alone = pair_up(functions, file)
    problems += _unpaired(functions, pairs, alone)
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    classes = [value for value in dict.fromkeys(filter(inspect.isclass, own)) if _is_differentiable(value)]
    for cls in classes:
        if cls.__name__ not in without:
            trying(cls.__name__)
            pairs += instances_of(cls, file, is_base=any(cls in other.__mro__[1:] for other in classes))
    return Discovery(sorted(pairs, key=lambda pair: pair.line), problems)


def _functions(module: types.ModuleType, file: str) -> Iterator[tuple[str, types.FunctionType]]:
    """The functions written in a file, by name; a second name is no second function."""
    for name, value in [*vars(module).items()]:
        function = _plain(name, value)
        if isinstance(function, types.FunctionType) and inspect.unwrap(function).__code__.co_filename == file:
            if function.__name__ not in vars(module):  # of a lambda, or of what a decorator has within
                function.__name__ = name
            if function.__name__ == name:
                yield name, function


def _plain(name: str, value: Any) -> Any:
    """A function, of which a decorator may have made another, or an object.

    One that does not use ``functools.wraps`` keeps it in its closure, or in an attribute of the object.
    """
    if hasattr(value, "__wrapped__") or getattr(value, "__name__", "") == name:
        return value if isinstance(value, types.FunctionType) else inspect.unwrap(value)
    cells = (cell.cell_contents for cell in getattr(value, "__closure__", None) or ())
    held = [*cells, *getattr(value, "__dict__", {}).values()]
    own = next((part for part in held if isinstance(part, types.FunctionType) and part.__name__ == name), None)
    if own is None or not isinstance(value, types.FunctionType):
        return own or value
    return functools.update_wrapper(value, own)


def pair_up(functions: Mapping[str, Callable[..., Any]], file: str) -> tuple[list[Pair], list[Callable[..., Any]]]:
    """Pairs and losses among functions by name, and the backwards that found no forward."""
    forwards = {split[1]: name for name in functions if (split := _split(name)) and split[0] == "forward"}
    pairs, alone = [], []
    for name, function in functions.items():
        direction, words = _split(name) or ("", ())
        if direction == "backward":
            forward = _forward_of(words, forwards, functions)
            if forward is not None:
                pairs.append(Pair("_".join(words) or Path(file).stem, functions[forward], function, file))
            elif len(inspect.signature(function).parameters) > 1 and not NUMERICAL & set(_words(name)):
                alone.append(function)
        elif not direction and _is_loss(name, function):
            pairs.append(Pair(name, function, None, file))
    return pairs, alone


def _unpaired(
    functions: Mapping[str, types.FunctionType], pairs: list[Pair], alone: list[Callable[..., Any]]
) -> Iterator[Problem]:
    """The backwards that found no forward, and each half of a pair whose other half is perhaps misspelt."""
    paired = {name for pair in pairs for name in pair.names}
    directions = {name: (_split(name) or ("",))[0] for name in functions if name not in paired}
    for name, direction in directions.items():
        meant = HALF.sub(lambda half: HALVES[half[0]], name)
        others = [o for o in directions if direction and directions[o] not in (direction, "backward")]
        guess = difflib.get_close_matches(meant, others, 1, 0.85)
        if guess or functions[name] in alone:
            other = "backward" if direction == "forward" else "forward"
            hint = f"; {guess[0]}: did you mean {meant}?" if guess else ""
            code = functions[name].__code__
            yield Problem(code.co_filename, f"{name} has no {other}{hint}", code.co_firstlineno)


def _words(name: str) -> tuple[str, ...]:
    """The words of a name in snake_case or camelCase, in lower case."""
    return tuple(word.lower() for word in re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).split("_") if word)


def _split(name: str) -> tuple[str, tuple[str, ...]] | None:
    """``("forward", ("conv", "naive"))`` of conv_forward_naive; None if the name has no direction, or both."""
    words = _words(name)
    if {"loss", "and"} <= set(words):  # loss_and_gradient
        return None
    for direction, synonyms in (("forward", FORWARD), ("backward", BACKWARD)):
        for i, word in enumerate(words):
            if word in synonyms:
                return direction, words[:i] + words[i + 1 :]
    return None


def _forward_of(
    words: tuple[str, ...], forwards: dict[tuple[str, ...], str], functions: Mapping[str, Callable[..., Any]]
) -> str | None:
    """The forward of the same name, else the longest whose words all occur (batchnorm of batchnorm_alt)."""
    if words in forwards:
        return forwards[words]
    bare = {_words(name): name for name in functions if not _split(name)}  # sigmoid(z) of sigmoid_backward(da, cache)
    if words in bare:
        return bare[words]
    within = [key for key in forwards if key and key == words[: len(key)]]
    return forwards[max(within, key=len)] if within else None


def _is_loss(name: str, function: Callable[..., Any]) -> bool:
    """Whether a function is called a loss and returns a pair, as far as its source tells; some names must show it."""
    words = set(_words(name))
    if not words & LOSSES or len(required(function)) < 2:
        return False
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    except (OSError, SyntaxError):
        return "loss" in words
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    if not returned or not isinstance(returned[-1], ast.Tuple):
        return "loss" in words
    return len(returned[-1].elts) == 2


def _is_differentiable(cls: type) -> bool:
    both = styles.method_of(cls, styles.FORWARD) and styles.method_of(cls, styles.BACKWARD)
    return bool(both) or callable(getattr(cls, "loss", None))
