"""Objects that can be checked: layers and nets, of ours and of other makes, with parameters kept in many ways."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from .state import guarded, same
from .subjects import Inputs, Run, by_name, is_floating, names_of, outputs, takes_argument

VALUES = ("value", "val", "data")  # of a parameter that has a `grad`


class _Parametrised:
    """A private copy of an object, which can be copied again with other arrays as its parameters.

    The object is copied once, converted to float64, and copied again for each forward, so that generators, running
    statistics and the cache begin every forward alike. Parameters are not copied: the new copy gets the arrays that
    are to be tried in their places.
    """

    def __init__(self, thing: Any, rng: np.random.Generator) -> None:
        self._thing = copy.deepcopy(thing)
        if hasattr(self._thing, "drop_cache"):
            self._thing.drop_cache()
        if hasattr(self._thing, "astype"):
            self._thing.astype(np.float64)
        parameters = parameters_of(self._thing)
        self._originals = [parameter.value for parameter in parameters.values()]
        self._grads = [np.zeros(np.shape(value), np.float64) for value in self._originals]
        self._old_grads = [parameter.grad for parameter in parameters.values()]
        self.parameter_names = list(parameters)
        self.values = [_moved(np.array(value, dtype=np.float64), rng) for value in self._originals]

    def copy(self, values: list[np.ndarray]) -> Any:
        """A fresh object with `values` as its parameters."""
        memo = {id(old): new for old, new in zip(self._originals, values)}
        memo.update((id(old), new) for old, new in zip(self._old_grads, self._grads) if old is not None)
        thing = copy.deepcopy(self._thing, memo)  # what is in `memo` is put in place of the original, not copied
        for parameter, value in zip(parameters_of(thing).values(), values):
            if parameter.value is not value:  # a property that builds its array anew at each look
                parameter.value = value
        return thing

    def set_mode(self, training: bool) -> None:
        """To training or evaluation mode."""
        self._thing.train() if training else self._thing.eval()

    @property
    def other_mode(self) -> bool | None:
        """The mode that it is not in; None if it has none."""
        training = getattr(self._thing, "training", None)
        has_modes = all(callable(getattr(self._thing, name, None)) for name in ("train", "eval"))
        return not training if has_modes and isinstance(training, (bool, np.bool_)) else None


class LayerObject:
    """An object with forward and backward, with or without parameters."""

    keeps_cache = True

    def __init__(self, layer: Any, values: Sequence[Any], wrt: Sequence[str] | None) -> None:
        if not (callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None))):
            raise TypeError(f"layer must be an object with forward and backward; got {type(layer).__name__}")
        if wrt is None and is_loss(layer):
            scores = names_of(layer.forward, _gradients_of(layer, values))  # what follows are targets
            wrt = [name for name, value in zip(scores, values) if np.asarray(value).dtype.kind == "f"]
        self._inputs = Inputs(layer.forward, values, wrt)
        self.own = _Parametrised(_with_gradients(layer, values), np.random.default_rng(0))
        self.title = type(layer).__name__
        self.functions = [layer.forward, layer.backward]
        self.n_inputs = len(self._inputs.names)
        self.active = self._inputs.active  # which of the values have a gradient
        self.names = [*self._inputs.names, *self.own.parameter_names]
        self.arrays = [*self._inputs.arrays, *self.own.values]
        self.takes_dout = takes_argument(layer.backward)
        self.writable = False

    def run(self, arrays: Sequence[np.ndarray]) -> Run:
        """Forward of a fresh copy at `arrays`."""
        values = [guarded(value, self.writable) for value in arrays[self.n_inputs :]]
        layer = self.own.copy(values)
        filled, changed_inputs = self._inputs.fill(arrays[: self.n_inputs], writable=self.writable)
        out = layer.forward(*filled)

        def backward(douts: list[Any]) -> list[Any]:
            before = parameters_of(layer)  # a kept x with its dx looks like one, and is none of them
            for name in self.own.parameter_names:
                _forget_grad(before[name])
            returned = layer.backward(*(douts if self.takes_dout else ()))
            gradients = self._inputs.pick(returned) if self.n_inputs else []
            parameters = parameters_of(layer)
            return [*gradients, *(parameters[name].grad for name in self.own.parameter_names)]

        def changed() -> list[str]:
            pairs = zip(self.own.parameter_names, arrays[self.n_inputs :], values)
            return changed_inputs() + [name for name, old, new in pairs if not same(old, new)]

        return Run(outputs(*(out if isinstance(out, tuple) else (out,))), backward, changed)

    def everything(self) -> tuple[list[str], list[Any]]:
        """Names and values of all inputs and parameters."""
        names, values = self._inputs.everything()
        return [*names, *self.own.parameter_names], [*values, *(value.copy() for value in self.own.values)]


class Net:
    """An object whose ``loss(X, y)`` returns the loss and a dict of gradients, one for each of its parameters."""

    takes_dout = False
    keeps_cache = True

    def __init__(self, net: Any, values: Sequence[Any]) -> None:
        self.own = _Parametrised(net, np.random.default_rng(0))
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


class _Item:
    """A parameter in a dict or list `params` of its owner, its gradient at the same place in `grads`."""

    def __init__(self, owner: Any, key: Any) -> None:
        self._owner, self._key = owner, key

    @property
    def value(self) -> Any:
        return self._owner.params[self._key]

    @value.setter
    def value(self, value: np.ndarray) -> None:
        self._owner.params[self._key] = value

    @property
    def grad(self) -> Any:
        grads = getattr(self._owner, "grads", None)
        for key in (self._key, *_names_of_gradient(str(self._key))):
            with contextlib.suppress(KeyError, IndexError, TypeError):
                return grads[key]  # type: ignore[index]
        return None


class _Boxed:
    """A parameter that is an attribute with a value and a gradient of its own: ``{"val": W, "grad": dW}``."""

    def __init__(self, owner: Any, name: str) -> None:
        box = getattr(owner, name)
        self._box = box if isinstance(box, dict) else vars(box)
        self._key = next(key for key in VALUES if key in self._box)

    @property
    def value(self) -> Any:
        return self._box[self._key]

    @value.setter
    def value(self, value: np.ndarray) -> None:
        self._box[self._key] = value

    @property
    def grad(self) -> Any:
        return self._box["grad"]


class _Attribute:
    """A parameter that is an attribute W of its owner, its gradient in the attribute dW, or one of a name like it."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name

    @property
    def value(self) -> Any:
        return getattr(self._owner, self._name)

    @value.setter
    def value(self, value: np.ndarray) -> None:
        setattr(self._owner, self._name, value)

    @property
    def grad(self) -> Any:
        return getattr(self._owner, _gradient_of(self._owner, self._name) or "", None)


def parameters_of(thing: Any) -> dict[str, Any]:
    """What has `value` and `grad`, by name, in whatever way the object keeps it."""
    if callable(getattr(thing, "parameters", None)):
        return dict(thing.parameters())
    params = getattr(thing, "params", None)
    if isinstance(params, dict):
        return {str(key): _Item(thing, key) for key, value in params.items() if is_floating(value)}
    if isinstance(params, list) and params:
        return {f"params[{i}]": _Item(thing, i) for i, value in enumerate(params) if is_floating(value)}
    attributes = getattr(thing, "__dict__", {})
    boxed = {name: _Boxed(thing, name) for name, value in attributes.items() if _is_box(value)}
    return boxed | {name: _Attribute(thing, name) for name in attributes if _has_gradient(thing, name)}


def _gradients_of(loss: Any, values: Sequence[Any]) -> int:
    """How many of its first inputs a loss has a gradient for: one, or as many as its backward returns."""
    trial = copy.deepcopy(loss)
    try:
        trial.forward(*copy.deepcopy(list(values)))
        returned = trial.backward()
    except Exception:  # the check itself says what it raises
        return min(1, len(values))
    return min(len(returned) if isinstance(returned, tuple) else 1, len(values))


def _with_gradients(layer: Any, values: Sequence[Any]) -> Any:
    """A copy of a layer with attributes W that has its dW from the start, and not from its first backward on."""
    arrays = [name for name, value in getattr(layer, "__dict__", {}).items() if is_floating(value)]
    if not arrays or parameters_of(layer):
        return layer
    trial, copied = copy.deepcopy(layer), copy.deepcopy(layer)
    try:
        out = trial.forward(*copy.deepcopy(list(values)))
        trial.backward(*([np.ones_like(out)] if takes_argument(layer.backward) else []))
    except Exception:  # the check itself says what it raises
        return layer
    for name in arrays:
        gradient = _gradient_of(trial, name)
        if gradient:
            setattr(copied, gradient, np.zeros_like(getattr(copied, name)))
    return copied


def is_loss(layer: Any) -> bool:
    """Whether the chain rule can begin here: ``backward()`` needs no dout."""
    parameters = inspect.signature(layer.backward).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return all(p.default is not p.empty for p in named) and len(named) == len(parameters)


def _has_gradient(thing: Any, name: str) -> bool:
    return is_floating(getattr(thing, name)) and _gradient_of(thing, name) is not None


def _gradient_of(thing: Any, name: str) -> str | None:
    """The attribute that holds the gradient of the attribute `name`."""
    return next((gradient for gradient in _names_of_gradient(name) if hasattr(thing, gradient)), None)


def _names_of_gradient(name: str) -> list[str]:
    """What people call the gradient of a parameter."""
    forms = ("d{}", "grad_{}", "{}_grad", "d_{}", "grad{}", "{}_gradient", "{}_gradients", "gradient_{}", "delta_{}")
    return [form.format(name) for form in forms] + [f"d{name.lower()}"] * (name != name.lower())


def _is_box(value: Any) -> bool:
    """Whether an attribute is a parameter with its gradient: a dict or an object with an array and a `grad`."""
    box = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return "grad" in box and any(is_floating(box.get(key)) for key in VALUES)


def _moved(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A parameter as it starts, such as gamma = 1 or b = 0, hides mistakes: one that is constant is moved off."""
    constant = value.size > 0 and value.min() == value.max()
    if constant and (value.size > 1 or value.flat[0] in (0, 1)):
        return np.asarray(value + (abs(value) + (value == 0)) * rng.uniform(-0.5, 0.5, value.shape))
    return value


def _forget_grad(parameter: Any) -> None:
    if hasattr(parameter, "zero_grad"):
        parameter.zero_grad()
    elif isinstance(parameter.grad, np.ndarray):
        parameter.grad[...] = 0
