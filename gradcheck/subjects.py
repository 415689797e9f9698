"""Functions that can be checked, brought to one form: arrays in, outputs out, and a backward that returns one each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .state import copied, guarded, same


class Run(NamedTuple):
    """One forward, and what follows from it."""

    outs: tuple[Any, ...]
    backward: Callable[[list[Any]], list[Any]]  # one dout per output -> what came back, one per argument
    changed: Callable[[], list[str]]  # names of the inputs that no longer hold what was passed
    cache: Any = None  # what forward left for backward, where that is told apart from the rest
    again: Callable[..., list[Any]] | None = None  # (douts, forget): both anew, of the same object


class Inputs:
    """The values of a call: those to differentiate as float64 arrays, the others passed as they are.

    `wrt` names the values to differentiate. Without it these are the floating arrays, or, where there is no array at
    all, the plain floats: ``f(x, w, 1e-5)`` has a setting, ``f(-2.0, 5.0, -4.0)`` has arguments.
    """

    def __init__(self, forward: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        self.values = list(values)
        self.all_names = names_of(forward, len(values))
        if wrt is not None:
            unknown = set(wrt) - set(self.all_names)
            if unknown:
                raise ValueError(f"wrt must name inputs among {self.all_names}; got {sorted(unknown)}")
            self.active = [i for i, name in enumerate(self.all_names) if name in wrt]
        else:
            self.active = [i for i, value in enumerate(values) if is_floating(value)]
            if not any(isinstance(value, np.ndarray) for value in values):
                self.active = [i for i, value in enumerate(values) if isinstance(value, (float, np.floating))]
        self.chosen = wrt is not None
        self.names = [self.all_names[i] for i in self.active]
        self.arrays = [np.array(values[i], dtype=np.float64) for i in self.active]

    def fill(self, arrays: Sequence[np.ndarray], *, writable: bool) -> tuple[list[Any], Callable[[], list[str]]]:
        """The arguments of one call with `arrays` in their places, and a function that names those changed since."""
        chosen = dict(zip(self.active, arrays))
        filled: list[Any] = []
        originals: list[Any] = []
        for i, value in enumerate(self.values):
            if i in chosen:
                value = chosen[i]
            if isinstance(value, np.ndarray):
                originals.append(value)
                filled.append(guarded(value, writable)[()] if value.ndim == 0 else guarded(value, writable))
            else:
                originals.append(None)
                filled.append(copied(value))  # settings that forward updates, generators that it draws from

        def changed() -> list[str]:
            pairs = zip(self.all_names, originals, filled)
            return [name for name, old, new in pairs if old is not None and not same(old, new)]

        return filled, changed

    def notes(self, forward: Callable[..., Any]) -> list[str]:
        """That the first input holds integers, where forward takes any number there: indices and labels do not."""
        first = self.values[0] if self.values and not self.chosen and 0 not in self.active else None
        if not (isinstance(first, np.ndarray) and first.dtype.kind in "iu"):
            return []
        found = []
        for shift in (0.0, 0.25):
            filled, _ = self.fill(self.arrays, writable=True)
            try:
                out = forward(first + shift, *filled[1:])
            except Exception:
                return []
            found.append(out[0] if isinstance(out, tuple) else out)
        text = f"{self.all_names[0]} holds integers: not differentiated; pass floats to check it"
        return [] if same(*found) else [text]

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and copies of all values, those to differentiate as float64 arrays."""
        values = [copied(value) for value in self.values]
        for i, array in zip(self.active, self.arrays):
            values[i] = array.copy()
        return list(self.all_names), values

    def pick(self, returned: Any) -> list[Any]:
        """One gradient per differentiated input, if their number fits; None at the others may be given or left out."""
        if isinstance(returned, dict):
            return by_name(returned, self.names)
        gradients = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if len(gradients) == len(self.values) != len(self.active):
            others = [g for i, g in enumerate(gradients) if i not in self.active]
            if all(g is None for g in others):
                gradients = [gradients[i] for i in self.active]
        return gradients


class Pair:
    """Functions: ``forward(*inputs) -> (out, cache)`` and ``backward(dout, cache)``, or ``backward(dout)`` alone."""

    takes_dout = True

    def __init__(self, forward: Any, backward: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        self._forward, self._backward = forward, backward
        self._inputs = Inputs(forward, values, wrt)
        self.title = getattr(forward, "__name__", type(forward).__name__)
        self.functions = [forward] if backward is None else [forward, backward]
        self.names, self.arrays = self._inputs.names, self._inputs.arrays
        self.n_inputs = len(self.names)
        self.writable = False
        self.keeps_cache = True  # a second forward leaves the cache of the first alone

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Forward at `arrays`."""
        filled, changed = self._inputs.fill(arrays, writable=self.writable)
        result = self._forward(*filled)
        outs, rest = (result[:-1], result[-1:]) if isinstance(result, tuple) else ((result,), ())
        backward = self._backward
        if backward is None and rest:
            backward, rest = rest[0], ()
        self.keeps_cache = bool(rest) or self._backward is None
        cache = rest[0] if rest else None
        return Run(outputs(*outs), lambda douts: self._inputs.pick(backward(*douts, *rest)), changed, cache)

    def notes(self) -> list[str]:
        """What is not checked, and should perhaps be."""
        return self._inputs.notes(self._forward)

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and values of all that the function depends on."""
        return self._inputs.everything()


class LossFunction:
    """A function that returns both, ``f(x, y) -> (loss, dx)``; or two, ``f(x) -> loss`` and ``gradient(x) -> dx``.

    Where the first argument is a dict of arrays, as in ``f(params, X, y) -> (loss, grads)``, its entries are
    differentiated, and the gradients come back as a dict with the same names.
    """

    takes_dout = False
    keeps_cache = True

    def __init__(self, function: Any, values: Sequence[Any], wrt: Sequence[str] | None, gradient: Any = None) -> None:
        self._function, self._gradient = function, gradient
        self._params = list(values[0]) if values and is_parameters(values[0]) else None
        self.title = getattr(function, "__name__", type(function).__name__)
        self.functions = [function] if gradient is None else [function, gradient]
        if self._params is not None:
            self._inputs = Inputs(None, [*values[0].values(), *values[1:]], None)
            self._inputs.active = list(range(len(self._params)))
            self.names = self._params
            self.arrays = [np.array(value, dtype=np.float64) for value in values[0].values()]
        else:
            first = names_of(function, len(values))[: 1 if gradient is None else len(values)]
            self._inputs = Inputs(function, values, wrt if wrt is not None or gradient is not None else first)
            self.names, self.arrays = self._inputs.names, self._inputs.arrays
        self.n_inputs = len(self.names)
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Loss and gradient at `arrays`."""
        filled, changed = self._inputs.fill(arrays, writable=self.writable)
        if self._params is not None:
            n = len(self._params)
            filled = [dict(zip(self._params, filled[:n])), *filled[n:]]
        if self._gradient is not None:
            return Run(
                outputs(self._function(*filled)),
                lambda douts: self._inputs.pick(self._gradient(*filled)),
                changed,
            )
        loss, gradients = self._function(*filled)
        if self._params is not None:
            gradients = by_name(gradients, self._params)
        return Run(outputs(loss), lambda douts: self._inputs.pick(gradients), changed)

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and values of all that the function depends on."""
        if self._params is None:
            return self._inputs.everything()
        n = len(self._params)
        return [*self._params, *self._inputs.all_names[n:]], [
            *(a.copy() for a in self.arrays),
            *self._inputs.values[n:],
        ]


def outputs(*outs: Any) -> tuple[Any, ...]:
    """What forward returned, each an array or a number; the masked entries of a masked array are zeros."""
    return tuple(np.ma.filled(out, 0) if isinstance(out, np.ma.MaskedArray) else out for out in outs)


def by_name(gradients: Any, names: Sequence[str]) -> list[Any]:
    """The gradients of a dict, under the names of the arguments or d + these; None where there is none."""
    return [gradients.get(name, gradients.get(f"d{name}")) for name in names]


def is_floating(value: Any) -> bool:
    """Whether a value is an array of floating-point numbers."""
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)


def is_numbers(value: Any) -> bool:
    """Whether a value is a list or tuple of numbers, or of such, where an array is meant."""
    several = isinstance(value, (list, tuple)) and bool(value)
    return several and all(isinstance(item, (int, float)) or is_numbers(item) for item in value)


def is_parameters(value: Any) -> bool:
    """Whether a value is a dict of arrays to be trained."""
    return isinstance(value, dict) and bool(value) and all(map(is_floating, value.values()))


def takes_argument(function: Any) -> bool:
    """Whether a function can be given a positional argument."""
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    return bool(kinds & {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
                         inspect.Parameter.VAR_POSITIONAL})  # fmt: skip


def names_of(function: Any, count: int) -> list[str]:
    """Names of the first `count` positional arguments; those of ``*args`` are numbered."""
    try:
        parameters = list(inspect.signature(function).parameters.values())  # follows __wrapped__
    except (TypeError, ValueError):  # a function of C
        parameters = []
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}[{i}]" for i in range(count - len(names))]
        elif parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    return [*names, *(f"input {i}" for i in range(len(names), count))][:count]
