"""Options of a forward, or of a constructor, at other values: a backward may be right for the defaults alone."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .inputs import FITS, Kind, Setting, documented_kind, fit_of, value_of
from .instances import Instance
from .literals import is_used, words_of
from .modes import MODES, other_mode
from .pairs import Pair

WINDOW = re.compile(r"(kernel|filter|pool|window)(_size)?=|size=", re.IGNORECASE)
# What to try for a whole number, or None, by its name and value; for a tuple, all of it.
NUMBERS: dict[str, tuple[int, ...]] = {
    r"(?!.*(idx|index|value|mode)).*pad.*=": (0, 1, 2), r".*strides?=": (1, 2), r".*dilat.*=": (1, 2),
    r"(.*_)?groups?=": (1, 2), r"(kernel|filter)(_size)?=": (1, 3), r"((pool|window)(_size)?|size)=": (2, 3),
    r".*heads?=": (1, 3, 2), r"axis=|dim=-": (0, 1, -1),
}  # fmt: skip
# What changes no value, or asks for less than all gradients.
OTHERS = re.compile(r"verbose|debug|print|plot|trainable|froz|freez|requires|update|in_?place|dtype|rng|seed|name")
FORWARD_ONLY = 1  # how well arguments fit at which backward raises
MOST = 10  # settings that differ in their options


class Varied(NamedTuple):
    """Settings at other options, and the names of the options for which there is none."""

    settings: list[Setting]
    untried: list[str]


class _Drawn(NamedTuple):
    """An array in the place of None."""

    kind: Kind

    def __str__(self) -> str:
        return str(self.kind[1])


def at_other_options(pair: Pair, setting: Setting, seed: int = 0) -> tuple[list[Setting], list[str]]:
    """The same setting with options changed, as far as forward takes that; and a note for each that could not be.

    All fractions are changed at once, 0.01 of a slope and an eps; numbers such as a stride, flags, words that the
    source compares the option with, and a documented mask one by one. Those of an object's constructor as well.
    """
    drawn = setting.draw(np.random.default_rng(seed))
    defaults = {name: value for name, value in _defaults(pair.forward).items() if name not in drawn}
    numbers = {name: value for name, value in drawn.items() if isinstance(value, (bool, int, str))}
    masks = {name: kind for name in defaults if (kind := documented_kind(pair, name)) and kind[0] == "bool"}

    def called(changes: dict[str, Any]) -> Setting:
        return _changed(setting, changes, usual=False)

    def fit(changed: Setting) -> int:
        return fit_of(changed.pair or pair, changed.arguments(pair, seed))

    found = _varied(pair.forward, numbers | defaults, numbers | defaults, called, fit, masks)
    notes = _told(found.untried, numbers | defaults, "give some with --inputs")
    if not isinstance(pair, Instance):
        return found.settings, notes
    of_class = _defaults(pair.cls)
    # A fraction of 0, such as a weight decay, stays: what it would add is no part of the gradient.
    values = {name: v for name, v in (of_class | pair.values).items() if type(v) is not float or v}

    def made(changes: dict[str, Any]) -> Setting:
        return dataclasses.replace(setting, usual=False, pair=pair.remade(**changes))

    others = _varied(pair.cls, values, of_class, made, fit, {})
    notes += _told(others.untried, of_class | pair.values, f"make a {pair.name} with some, and call check_layer")
    return [*found.settings, *others.settings], notes


def in_training(pair: Pair, settings: list[Setting], seed: int = 0) -> list[Setting]:
    """The settings in the mode for which backward is written: ``forward(x, training=False)`` may keep nothing."""
    if fit_of(pair, settings[0].arguments(pair, seed)) != FORWARD_ONLY:
        return settings
    modes = {name: mode for name, v in _defaults(pair.forward).items() if (mode := other_mode(pair.forward, name, v))}
    for name, mode in modes.items():
        others = [_changed(setting, {name: mode}) for setting in settings]
        if fit_of(pair, others[0].arguments(pair, seed)) == FITS:
            return others
    return settings


def _changed(setting: Setting, changes: dict[str, Any], *, usual: bool = True) -> Setting:
    """A setting with some arguments changed."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        new = {name: value_of(v.kind, rng) if isinstance(v, _Drawn) else v for name, v in changes.items()}
        return {**setting.draw(rng), **new}

    texts = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in changes.items()]
    return Setting(", ".join([setting.text, *texts]), draw, usual=usual)


def _varied(
    thing: Any,
    values: dict[str, Any],
    defaults: dict[str, Any],
    make: Callable[[dict[str, Any]], Setting],
    fit: Callable[[Setting], int],
    masks: dict[str, Kind],
) -> Varied:
    found: list[Setting] = []
    tried: set[str] = set()
    for changes in _changes(thing, values, defaults, masks):
        with contextlib.suppress(Exception):  # these do not fit together
            setting = make(changes)
            if len(found) < MOST and fit(setting) >= max(map(_least_fit, changes, changes.values())):
                found.append(setting)
                tried.update(changes)
    untried = [name for name in defaults if name not in tried and not OTHERS.search(name) and is_used(thing, name)]
    return Varied(found, untried)


def _least_fit(name: str, value: Any) -> int:
    """How well arguments have to fit at an option's value: it may ask for less than all."""
    if isinstance(value, bool) or MODES.fullmatch(name):
        return FITS  # without a flag, or in evaluation, there may be no backward, or not all gradients
    return 2 if WINDOW.match(f"{name}=") else 1  # a window may have to fit the image, for backward to run


def _changes(
    thing: Any, values: dict[str, Any], defaults: dict[str, Any], masks: dict[str, Kind]
) -> Iterator[dict[str, Any]]:
    fractions = {name: 0.7 * value or 0.3 for name, value in values.items() if type(value) is float}
    if fractions:
        yield fractions
    for name, value in values.items():
        if name in masks:
            yield {name: _Drawn(masks[name])}
        elif not OTHERS.search(name):
            yield from ({name: other} for other in _others(thing, name, value, defaults.get(name, value)))


def _others(thing: Any, name: str, value: Any, default: Any) -> list[Any]:
    """What an option may be besides its value."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        words = [word for word in words_of(thing, name) if word != value]
        return words or [mode for mode in [other_mode(thing, name, value)] if mode]
    first = value[0] if isinstance(value, tuple) and value else value
    numbers = next((n for pattern, n in NUMBERS.items() if re.match(pattern, f"{name.lower()}={first}")), ())
    if isinstance(value, tuple):
        return [other for n in numbers if (other := (n,) * len(value)) != value]
    usable = value is None or isinstance(value, int)
    return [n for n in dict.fromkeys([default, *numbers]) if n != value] if numbers and usable else []


def _defaults(function: Any) -> dict[str, Any]:
    """The parameters that need not be given, with their values."""
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.default is not p.empty]
    keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, *[inspect.Parameter.KEYWORD_ONLY] * isinstance(function, type))
    return {p.name: p.default for p in named if p.kind in keyword}


def _told(untried: list[str], values: dict[str, Any], remedy: str) -> list[str]:
    """A note of the options that were tried at one value only."""
    plain = (type(None), bool, int, float, str, tuple)
    texts = [f"{name}={values[name]!r}" if isinstance(values[name], plain) else name for name in untried]
    return [f"not checked at other options than {', '.join(texts)}: {remedy}"] if texts else []
