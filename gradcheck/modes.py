"""Training and evaluation, of an object that has both: by methods, or by attributes of itself and of layers within."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np

from .literals import words_of
from .parameters import owners_in

MODES = re.compile(
    r"(is_?)?(train|test|eval|infer)(ing|uation|ence)?(_?(flg|flag|mode|time))?|mode|phase", re.IGNORECASE
)
WORD = re.compile(r"train(ing)?|test(ing)?|eval(uation)?|infer(ence)?|predict(ion)?|val(idation)?", re.IGNORECASE)
NAMES = {True: "in training mode", False: "in evaluation mode"}


class Mode:
    """The mode of an object, such as a batch norm.

    Attributes
    ----------
    has_methods : bool
        Whether it has ``train()`` and ``eval()``, and not attributes alone, of which nobody may have thought.
    other : bool or None
        The mode that it was not in, True for training; None if it has none.
    """

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        training = getattr(thing, "training", None)
        methods = all(callable(getattr(thing, name, None)) for name in ("train", "eval"))
        self.has_methods = methods and isinstance(training, (bool, np.bool_))
        flags = [] if self.has_methods else [
            (owner, name, value, other)
            for _, owner in owners_in(thing)
            for name, value in getattr(owner, "__dict__", {}).items()
            if (other := other_mode(type(owner), name, value)) is not None
        ]  # fmt: skip
        self._flags = flags
        if not flags:
            self.other = not training if self.has_methods else None
            return
        _, name, value, _ = flags[0]
        self.other = (
            "train" not in value.lower() if isinstance(value, str) else bool(value) != ("train" in name.lower())
        )

    def set(self, training: bool) -> None:
        """To training or evaluation."""
        if self.has_methods:
            (self._thing.train if training else self._thing.eval)()
        for owner, name, value, other in self._flags:
            setattr(owner, name, other if training == self.other else value)


def other_mode(thing: Any, name: str, value: Any) -> Any:
    """What an option or attribute is in evaluation that is `value` in training, or the other way round.

    None if its name is none of a mode's.
    """
    if not MODES.fullmatch(name):
        return None
    if isinstance(value, str) and WORD.fullmatch(value):
        return next((word for word in words_of(thing, name) if word != value), "test")
    return not value if isinstance(value, (bool, np.bool_)) else None


def in_other_mode(layer: Any) -> Any:
    """A copy of a layer in the mode that it is not in."""
    copied = copy.deepcopy(layer)
    mode = Mode(copied)
    if mode.other is not None:
        mode.set(mode.other)
    return copied
