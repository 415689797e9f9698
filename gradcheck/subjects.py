"""What can be checked, brought to one form: arrays in, outputs out, and a backward that returns one gradient each."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np


class Run(NamedTuple):
    """One forward, and what follows from it."""

    outs: tuple[Any, ...]
    backward: Callable[[list[Any]], list[Any]]  # one dout per output -> what came back, one per argument
    changed: Callable[[], list[str]]  # names of the inputs that no longer hold what was passed


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
            self.active = [i for i, value in enumerate(values) if isinstance(value, np.ndarray) and _is_floating(value)]
            if not any(isinstance(value, np.ndarray) for value in values):
                self.active = [i for i, value in enumerate(values) if isinstance(value, (float, np.floating))]
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
                filled.append(copy.deepcopy(value))  # settings that forward updates, generators that it draws from

        def changed() -> list[str]:
            pairs = zip(self.all_names, originals, filled)
            return [name for name, old, new in pairs if old is not None and not same(old, new)]

        return filled, changed

    def pick(self, returned: Any) -> list[Any]:
        """One gradient per differentiated input, if their number fits; None at the others may be given or left out."""
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
        return Run(outs, lambda douts: self._inputs.pick(backward(*douts, *rest)), changed)


class LossFunction:
    """A function that returns both: ``f(x, y) -> (loss, dx)``."""

    takes_dout = False
    keeps_cache = True

    def __init__(self, function: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        self._function = function
        first = names_of(function, len(values))[:1]
        self._inputs = Inputs(function, values, first if wrt is None else wrt)
        self.title = getattr(function, "__name__", type(function).__name__)
        self.names, self.arrays = self._inputs.names, self._inputs.arrays
        self.n_inputs = len(self.names)
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Loss and gradient at `arrays`."""
        filled, changed = self._inputs.fill(arrays, writable=self.writable)
        loss, gradients = self._function(*filled)
        return Run((loss,), lambda douts: self._inputs.pick(gradients), changed)


class LayerObject:
    """An object with forward and backward, and with parameters as a dict of things that have value and grad.

    The object is copied once, converted to float64, and copied again for each forward, so that generators, running
    statistics and the cache begin every forward alike. Parameters are not copied: the new copy gets the arrays that
    are to be tried in their places.
    """

    keeps_cache = True

    def __init__(self, layer: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        if not (callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None))):
            raise TypeError(f"layer must be an object with forward and backward; got {type(layer).__name__}")
        self._layer = copy.deepcopy(layer)
        if hasattr(self._layer, "drop_cache"):
            self._layer.drop_cache()
        if hasattr(self._layer, "astype"):
            self._layer.astype(np.float64)
        if wrt is None and _is_loss(layer):
            wrt = names_of(layer.forward, min(1, len(values)))  # the scores; what follows are targets
        self._inputs = Inputs(layer.forward, values, wrt)
        parameters = _parameters(self._layer)
        self._originals = [parameter.value for parameter in parameters.values()]
        self._grads = [np.zeros(np.shape(value), np.float64) for value in self._originals]
        self._old_grads = [parameter.grad for parameter in parameters.values()]
        self.title = type(layer).__name__
        self.n_inputs = len(self._inputs.names)
        self.names = [*self._inputs.names, *parameters]
        self.arrays = [*self._inputs.arrays, *(np.array(value, dtype=np.float64) for value in self._originals)]
        self.takes_dout = _takes_argument(layer.backward)
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Forward of a fresh copy at `arrays`."""
        values = [guarded(value, self.writable) for value in arrays[self.n_inputs :]]
        layer = self._copy(values)
        filled, changed_inputs = self._inputs.fill(arrays[: self.n_inputs], writable=self.writable)
        out = layer.forward(*filled)

        def backward(douts: list[Any]) -> list[Any]:
            parameters = _parameters(layer).values()
            for parameter in parameters:
                _forget_grad(parameter)
            returned = layer.backward(*(douts if self.takes_dout else ()))
            gradients = self._inputs.pick(returned) if self.n_inputs else []
            return [*gradients, *(parameter.grad for parameter in parameters)]

        def changed() -> list[str]:
            names = self.names[self.n_inputs :]
            pairs = zip(names, arrays[self.n_inputs :], values)
            return changed_inputs() + [name for name, old, new in pairs if not same(old, new)]

        return Run(out if isinstance(out, tuple) else (out,), backward, changed)

    def _copy(self, values: list[np.ndarray]) -> Any:
        memo = {id(old): new for old, new in zip(self._originals, values)}
        memo.update((id(old), new) for old, new in zip(self._old_grads, self._grads) if old is not None)
        layer = copy.deepcopy(self._layer, memo)  # what is in `memo` is put in place of the original, not copied
        for parameter, value in zip(_parameters(layer).values(), values):
            if parameter.value is not value:  # a property that builds its array anew at each look
                parameter.value = value
        return layer


class _Entry:
    """A parameter of a layer that keeps its arrays in the dicts `params` and `grads`."""

    def __init__(self, layer: Any, name: str) -> None:
        self._layer, self._name = layer, name

    @property
    def value(self) -> Any:
        return self._layer.params[self._name]

    @value.setter
    def value(self, value: np.ndarray) -> None:
        self._layer.params[self._name] = value

    @property
    def grad(self) -> Any:
        return getattr(self._layer, "grads", {}).get(self._name)


def _parameters(layer: Any) -> dict[str, Any]:
    if callable(getattr(layer, "parameters", None)):
        return dict(layer.parameters())
    return {name: _Entry(layer, name) for name in getattr(layer, "params", {})}


def _forget_grad(parameter: Any) -> None:
    if hasattr(parameter, "zero_grad"):
        parameter.zero_grad()
    elif isinstance(parameter.grad, np.ndarray):
        parameter.grad[...] = 0


@contextmanager
def replaying() -> Iterator[Callable[[], None]]:
    """Yields a function that sets NumPy's global generator back to its state at entry; so does the exit."""
    state = np.random.get_state()  # noqa: NPY002  (the code under test may draw from it)

    def rewind() -> None:
        np.random.set_state(state)  # noqa: NPY002

    try:
        yield rewind
    finally:
        rewind()


def guarded(array: np.ndarray, writable: bool) -> np.ndarray:
    """A copy that may be written, or a view that raises on the line that writes it."""
    if writable:
        return array.copy()
    view = array.view()
    view.flags.writeable = False
    return view


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bytes, NaN included."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _is_floating(value: Any) -> bool:
    return np.issubdtype(value.dtype, np.floating)


def _is_loss(layer: Any) -> bool:
    """Whether the chain rule can begin here: ``backward()`` needs no dout."""
    parameters = inspect.signature(layer.backward).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return all(p.default is not p.empty for p in named) and len(named) == len(parameters)


def _takes_argument(function: Any) -> bool:
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
