"""Objects that can be checked: layers and nets, of ours and of other makes, with parameters kept in many ways."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from .modes import Mode
from .parameters import gradient_of, keys_of, own_parameters, owners_in, parameters_of
from .state import arrays_in, guarded, replaying, same
from .subjects import Inputs, Run, by_name, is_floating, is_numbers, names_of, outputs, takes_argument

MOST = 12  # arrays that are no parameters and are looked at
Find = Callable[[Any], dict[str, Any]]


class _Parametrised:
    """A private copy of an object, which can be copied again with other arrays as its parameters.

    The object is copied once, converted to float64, and copied again for each forward, so that generators, running
    statistics and the cache begin every forward alike. Parameters are not copied: the new copy gets the arrays that
    are to be tried in their places. `find` lists the parameters, and `without` names those not to be taken for any.
    """

    def __init__(
        self, thing: Any, rng: np.random.Generator, find: Find = parameters_of, without: Collection[str] = ()
    ) -> None:
        self.find = find
        self._thing = copy.deepcopy(thing)
        if hasattr(self._thing, "drop_cache"):
            self._thing.drop_cache()
        if hasattr(self._thing, "astype"):
            self._thing.astype(np.float64)
        parameters = {name: p for name, p in find(self._thing).items() if name not in without}
        self._originals = [parameter.value for parameter in parameters.values()]
        self._grads = [np.zeros(np.shape(value), np.float64) for value in self._originals]
        self._old_grads = [parameter.grad for parameter in parameters.values()]
        self.parameter_names = list(parameters)
        again = find(self._thing)  # of a property that builds its array anew at each look it is another
        self._rebuilt = [name for name, parameter in parameters.items() if again[name].value is not parameter.value]
        self.adding = [name for name, parameter in parameters.items() if hasattr(parameter, "zero_grad")]
        self.mode = Mode(self._thing)
        self.values = [_moved(np.array(value, dtype=np.float64), rng) for value in self._originals]

    def copy(self, values: list[np.ndarray]) -> Any:
        """A fresh object with `values` as its parameters."""
        memo = {id(old): new for old, new in zip(self._originals, values)}
        memo.update((id(old), new) for old, new in zip(self._old_grads, self._grads) if old is not None)
        thing = copy.deepcopy(self._thing, memo)  # what is in `memo` is put in place of the original, not copied
        if self._rebuilt:
            parameters = self.find(thing)
            for name, value in zip(self.parameter_names, values):
                if name in self._rebuilt:
                    parameters[name].value = value
        return thing


class LayerObject:
    """An object with forward and backward, with or without parameters."""

    keeps_cache = True

    def __init__(self, layer: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        if isinstance(layer, type):
            raise TypeError(f"layer must be an object; got the class {layer.__name__}. Make one: {layer.__name__}(...)")
        if not (callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None))):
            raise TypeError(f"layer must be an object with forward and backward; got {type(layer).__name__}")
        if values and is_numbers(values[0]):
            name, kind = names_of(layer.forward, 1)[0], type(values[0]).__name__
            raise TypeError(f"{name} must be an array; got a {kind}. Pass np.array({name}, dtype=float)")
        if wrt is None and is_loss(layer):
            scores = names_of(layer.forward, _gradients_of(layer, values))  # what follows are targets
            wrt = [name for name, value in zip(scores, values) if np.asarray(value).dtype.kind == "f"]
        self._inputs = Inputs(layer.forward, values, wrt)
        used, without = _as_used(layer, values)
        self.own = _Parametrised(used, np.random.default_rng(0), without=without)
        self.title = type(layer).__name__
        self.functions = [layer.forward, layer.backward]
        self.n_inputs = len(self._inputs.names)
        self.active = self._inputs.active  # which of the values have a gradient
        self.names = [*self._inputs.names, *self.own.parameter_names]
        self.arrays = [*self._inputs.arrays, *self.own.values]
        self.adding = self.own.adding
        self._is_end = is_loss(layer) and not hasattr(layer, "parameters") and _ignores_dout(layer, values)
        self.takes_dout = takes_argument(layer.backward) and not self._is_end
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Forward of a fresh copy at `arrays`."""
        values = [guarded(value, self.writable) for value in arrays[self.n_inputs :]]
        layer = self.own.copy(values)
        filled, changed_inputs = self._inputs.fill(arrays[: self.n_inputs], writable=self.writable)
        out = layer.forward(*filled)

        def backward(douts: list[Any], forget: bool = True) -> list[Any]:
            before = parameters_of(layer)  # a kept x with its dx looks like one, and is none of them
            for name in self.own.parameter_names if forget else []:
                forget_grad(before[name])
            returned = layer.backward(*(douts if self.takes_dout else ()))
            gradients = self._inputs.pick(returned) if self.n_inputs else []
            parameters = parameters_of(layer)
            return [*gradients, *(parameters[name].grad for name in self.own.parameter_names)]

        def again(douts: list[Any], forget: bool) -> list[Any]:
            layer.forward(*filled)
            return backward(douts, forget)

        def changed() -> list[str]:
            pairs = zip(self.own.parameter_names, arrays[self.n_inputs :], values)
            return changed_inputs() + [name for name, old, new in pairs if not same(old, new)]

        return Run(outputs(*(out if isinstance(out, tuple) else (out,))), backward, changed, again=again)

    def notes(self) -> list[str]:
        """What could not be checked: arrays that forward uses and that have no gradient, and integers."""
        layer = self.own.copy(self.own.values)
        known = {id(value) for value in self.own.values}
        buffers = {id(getattr(owner, name)) for _, owner in owners_in(layer) for name in getattr(owner, "buffers", ())}
        how = "that parameters() does not return" if hasattr(layer, "parameters") else "that has no gradient"
        unknown = [path for path, array in arrays_in(layer) if is_floating(array) and id(array) not in known | buffers]
        texts = ["backward ignores dout: it is right where the loss is the end, and dout 1"] if self._is_end else []
        _, values = self._inputs.everything()
        for path in unknown[:MOST]:
            with contextlib.suppress(Exception):  # at values beyond its domain
                if _matters(layer, values, partial(_at, path)):
                    texts.append(f"{path.lstrip('.')} is an array {how}: not checked")
        return texts + self._inputs.notes(lambda *values: layer.forward(*values))

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and values of all inputs and parameters."""
        names, values = self._inputs.everything()
        return [*names, *self.own.parameter_names], [*values, *(value.copy() for value in self.own.values)]


class Net:
    """An object whose ``loss(X, y)`` returns the loss and a dict of gradients, one for each of its parameters."""

    takes_dout = False
    keeps_cache = True

    def __init__(self, net: Any, values: Sequence[Any]) -> None:
        self.own = _Parametrised(net, np.random.default_rng(0), own_parameters)
        self._inputs = Inputs(net.loss, values, [])
        self.title = type(net).__name__
        self.unfinished = f"{self.title} has no parameters yet"  # of no use where it has
        self.functions = [net.loss]
        self.names, self.arrays = self.own.parameter_names, self.own.values
        self.n_inputs = 0
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Loss and gradients of a fresh copy with `arrays` as its parameters."""
        values = [guarded(value, self.writable) for value in arrays]
        net = self.own.copy(values)
        filled, changed_inputs = self._inputs.fill([], writable=self.writable)
        loss, gradients = net.loss(*filled)

        def changed() -> list[str]:
            pairs = zip(self.names, arrays, values)
            return changed_inputs() + [name for name, old, new in pairs if not same(old, new)]

        return Run(outputs(loss), lambda douts: by_name(gradients, self.names), changed)

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and values of all inputs and parameters."""
        names, values = self._inputs.everything()
        return [*names, *self.names], [*values, *(value.copy() for value in self.own.values)]


def _gradients_of(loss: Any, values: Sequence[Any]) -> int:
    """How many of its first inputs a loss has a gradient for: one, or as many as its backward returns."""
    trial = copy.deepcopy(loss)
    try:
        trial.forward(*copy.deepcopy(list(values)))
        returned = trial.backward()
    except Exception:  # the check itself says what it raises
        return min(1, len(values))
    return min(len(returned) if isinstance(returned, tuple) else 1, len(values))


def _ignores_dout(loss: Any, values: Sequence[Any]) -> bool:
    """Whether a loss takes dout in name only: its gradient is the same for any."""
    if not takes_argument(loss.backward):
        return False
    found = []
    for dout in (1.0, -2.0):
        trial = copy.deepcopy(loss)
        try:
            trial.forward(*copy.deepcopy(list(values)))
            found.append(trial.backward(dout))
        except Exception:  # the check itself says what it raises
            return False
    return all(isinstance(gradient, np.ndarray) and np.any(gradient) for gradient in found) and same(*found)


def _as_used(layer: Any, values: Sequence[Any]) -> tuple[Any, set[str]]:
    """A copy whose every W has its dW from the start, not from its first backward on; and the names of what is no W.

    What an earlier forward left, its input with the gradient of that, forward itself puts another array in place of.
    A number W becomes an array, where backward gives it a dW.
    """
    trial, copied = copy.deepcopy(layer), copy.deepcopy(layer)
    owners = [(prefix, owner, _arrays_of(owner)) for prefix, owner in owners_in(trial)]
    several = [{name: value for name, value in vars(owner).items() if keys_of(value)} for _, owner, _ in owners]
    if not any(several) and not any(arrays or _numbers_of(owner) for _, owner, arrays in owners):
        return layer, set()
    left: set[str] = set()
    with replaying([layer.forward, layer.backward]):
        try:
            out = trial.forward(*copy.deepcopy(list(values)))
            for i, (prefix, owner, arrays) in enumerate(owners):
                for name in [name for name, array in arrays.items() if vars(owner).get(name) is not array]:
                    if not _matters(layer, values, partial(_of_owner, i, name)):
                        left.add(f"{prefix}.{name}" if prefix else name)
                for name in [name for name, value in several[i].items() if vars(owner).get(name) is not value]:
                    path = f"{prefix}.{name}" if prefix else name
                    left |= {f"{path}[{key!r}]" for key in keys_of(several[i][name])}
            outs = out if isinstance(out, tuple) else (out,)
            trial.backward(*(map(np.ones_like, outs) if takes_argument(layer.backward) else ()))
        except Exception:  # the check itself says what it raises
            return layer, left
    for (_, owner, arrays), lists, (_, own) in zip(owners, several, owners_in(copied)):
        for name, value in (arrays | lists).items():
            gradient = gradient_of(owner, name)
            if gradient and not hasattr(own, gradient):
                setattr(own, gradient, _zeros_like(value))
        for name, number in _numbers_of(own).items():
            gradient = gradient_of(owner, name)
            if gradient is None or vars(owner).get(name) is not number:
                continue
            found = getattr(owner, gradient)
            if _is_number(found) and found is not getattr(own, gradient, None):
                setattr(own, name, np.array(number))
                setattr(own, gradient, np.zeros(()))
    return copied, left


def _zeros_like(value: Any) -> Any:
    """Zeros in the form of an array, or of a list or dict of arrays."""
    if isinstance(value, dict):
        return {key: np.zeros_like(array) for key, array in value.items()}
    return [*map(np.zeros_like, value)] if isinstance(value, list) else np.zeros_like(value)


def _numbers_of(owner: Any) -> dict[str, Any]:
    """Attributes that are plain floats and may be parameters."""
    return {name: value for name, value in getattr(owner, "__dict__", {}).items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (float, np.floating))


def _arrays_of(owner: Any) -> dict[str, np.ndarray]:
    """Attributes that are floating arrays and may be parameters."""
    buffers = getattr(owner, "buffers", ())
    return {name: value for name, value in getattr(owner, "__dict__", {}).items()
            if is_floating(value) and name not in buffers}  # fmt: skip


def _at(path: str, layer: Any) -> np.ndarray:
    return dict(arrays_in(layer))[path]


def _of_owner(i: int, name: str, layer: Any) -> np.ndarray:
    array: np.ndarray = vars([*owners_in(layer)][i][1])[name]
    return array


def _matters(layer: Any, values: Sequence[Any], pick: Callable[[Any], np.ndarray]) -> bool:
    """Whether what forward computes depends on the array that `pick` finds in a layer."""
    found = []
    with replaying([layer.forward]) as rewind:
        for factor in (1.0, 1.25):
            trial = copy.deepcopy(layer)
            array = pick(trial)
            array *= factor
            array += (factor - 1) * (array == 0)
            rewind()
            found.append(trial.forward(*copy.deepcopy(list(values))))
    first, second = (out if isinstance(out, tuple) else (out,) for out in found)
    return not all(map(same, first, second))


def is_loss(layer: Any) -> bool:
    """Whether the chain rule can begin here: ``backward()`` needs no dout."""
    parameters = inspect.signature(layer.backward).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return all(p.default is not p.empty for p in named) and len(named) == len(parameters)


def _moved(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A parameter as it starts, such as gamma = 1 or b = 0, hides mistakes: one that is constant is moved off."""
    constant = value.size > 0 and value.min() == value.max()
    if constant and (value.size > 1 or value.flat[0] in (0, 1)):
        return np.asarray(value + (abs(value) + (value == 0)) * rng.uniform(-0.5, 0.5, value.shape))
    return value


def forget_grad(parameter: Any) -> None:
    if hasattr(parameter, "zero_grad"):
        parameter.zero_grad()
    elif isinstance(parameter.grad, np.ndarray):
        parameter.grad[...] = 0
