"""Layer classes in the styles of others, brought to ``forward(*inputs) -> out`` and ``backward(dout) -> gradients``."""

from __future__ import annotations

import copy
import functools
import inspect
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from .pairs import CACHE, required, returned_names
from .parameters import parameters_of
from .standins import Lacking
from .subjects import is_floating

FORWARD = (
    "forward", "forward_pass", "forward_propagation", "forward_prop", "feedforward", "feed_forward", "fprop",
    "__call__",
)  # fmt: skip
BACKWARD = (
    "backward", "backward_pass", "backward_propagation", "backward_prop", "back_propagation", "backpropagation",
    "backprop", "bprop",
)  # fmt: skip
OUTPUT = ("output", "outputs", "out")  # where a forward leaves what it does not return
GRADIENT = ("dinputs", "dinput", "dx", "dX", "grad_input", "input_grad", "input_gradient")
RATE = re.compile(r"(learning_?)?rate|lr|eta|alpha", re.IGNORECASE)
LOSS = re.compile(r"loss|entropy|cost|error|mse|nll", re.IGNORECASE)


def method_of(cls: type, names: tuple[str, ...]) -> str | None:
    """The first of these names that a class has a method of."""
    own = [name for name in names if any(name in vars(c) for c in cls.__mro__)]  # every class can be called itself
    return next((name for name in own if callable(getattr(cls, name))), None)


def uniform(cls: type) -> type:
    """A subclass of the same name with a plain forward and backward; the class itself if it has these.

    Known are results left in attributes (``output``, ``dinputs``), a ``__call__`` that keeps the cache or is the
    forward, static methods, one loss for each example, and a backward that takes its inputs again, returns the
    gradients of parameters as well, or takes a learning rate and updates its parameters itself.
    """
    names = method_of(cls, FORWARD), method_of(cls, BACKWARD)
    if names[0] is None or names[1] is None or (names == ("forward", "backward") and hasattr(cls, "parameters")):
        return cls
    forward, backward = _method(cls, names[0]), _method(cls, names[1])
    inputs, taken = required(forward)[1:], required(backward)[1:]
    roles = [_role(name, inputs) for name in taken]
    several = len(returned_names(forward))
    if several > 1 and roles[:several] == [""] * several:
        roles[:several] = [f"dout {i}" for i in range(several)]
    is_loss = LOSS.search(cls.__name__) is not None and len(taken) == len(inputs) > 1
    if is_loss:
        roles = list(inputs)  # loss.backward(y_pred, y_true), whatever it calls them
    elif {"", "rate"} & set(roles) and "dout 0" not in roles:
        roles[roles.index("" if "" in roles else "rate")] = "dout"
    caller = next((vars(c)["__call__"] for c in cls.__mro__ if "__call__" in vars(c)), None)
    if "forward" not in getattr(getattr(caller, "__code__", None), "co_names", ()):
        caller = None
    members = {
        "forward": _forward(forward, caller, "cache" in roles, is_loss),
        "backward": _backward(backward, inputs, taken, roles),
        "__module__": cls.__module__,
    }
    return type(cls.__name__, (cls,), members)


def _method(cls: type, name: str) -> Callable[..., Any]:
    """A method that takes the object first; a static one does not, unless it calls that its context."""
    method: Callable[..., Any] = getattr(cls, name)
    takes_object = isinstance(inspect.getattr_static(cls, name), types.FunctionType)
    if takes_object or CACHE.search((required(method) or [""])[0]):
        return method

    @functools.wraps(method)
    def of_object(_: Any, *arguments: Any, **options: Any) -> Any:
        return method(*arguments, **options)

    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    own = inspect.signature(method)
    vars(of_object)["__signature__"] = own.replace(parameters=[first, *own.parameters.values()])
    return of_object


class _Call:
    """One call of a forward: what it was given and returned, and the attributes there were before."""

    def __init__(self, layer: Any, arguments: tuple[Any, ...]) -> None:
        self.arguments, self.cache, self.names = arguments, None, set(vars(layer))
        self.parameters = [name for name, value in vars(layer).items() if is_floating(value)]


def _forward(forward: Any, caller: Any, returns_cache: bool, is_loss: bool) -> Callable[..., Any]:
    @functools.wraps(forward)
    def wrapped(self: Any, *arguments: Any, **options: Any) -> Any:
        if vars(self).get("_called"):  # by the class's own __call__
            return forward(self, *arguments, **options)
        call = self.__dict__["_call"] = _Call(self, arguments)
        self.__dict__["_called"] = caller is not None
        try:
            out = (caller or forward)(self, *arguments, **options)
        except Exception:
            if caller is None:
                raise
            out = forward(self, *arguments, **options)  # a __call__ that was never finished
        finally:
            self.__dict__["_called"] = False
        if returns_cache:
            out, call.cache = out
        if not is_loss:
            return _left(self, OUTPUT) if out is None else out
        kept = _left(self, OUTPUT)
        if kept is not None and np.shape(kept) == np.shape(arguments[0]):
            call.arguments = (kept, *arguments[1:])  # a softmax with its loss: backward takes the probabilities
        return np.mean(out) if np.ndim(out) == 1 else out  # one loss for each example

    return wrapped


def _backward(
    backward: Callable[..., Any], inputs: list[str], taken: list[str], roles: list[str]
) -> Callable[..., Any]:
    @functools.wraps(backward)
    def wrapped(self: Any, *douts: Any) -> Any:
        call = self.__dict__["_call"]
        known = {**dict(zip(inputs, call.arguments)), "cache": call.cache, "rate": 0.0}
        known.update(zip(filter(_is_dout, roles), douts))
        for role, name in zip(roles, taken):
            if role not in known:
                raise Lacking(f"{name}, which forward does not know")
        if "rate" in roles:
            _note_updates(self, backward, [{**known, "rate": 1.0}[role] for role in roles])
        returned = backward(self, *[known[role] for role in roles], *([] if any(map(_is_dout, roles)) else douts))
        if returned is None:
            return _left(self, GRADIENT)
        return _without_parameters(self, returned, call)

    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)]
    for role in filter(_is_dout, roles):
        parameters.append(inspect.Parameter(role.replace(" ", ""), inspect.Parameter.POSITIONAL_OR_KEYWORD))
    if not taken:
        return wrapped
    vars(wrapped)["__signature__"] = inspect.Signature(parameters)
    return wrapped


def _is_dout(role: str) -> bool:
    return role.startswith("dout")


def _role(name: str, inputs: list[str]) -> str:
    """What a backward's parameter is: an input of forward, "cache", "rate", or "" where the name does not say it."""
    if name in inputs:
        return name
    if name.lower() in ("x", "input", "inputs") and inputs:
        return inputs[0]
    return "cache" if CACHE.search(name) else "rate" if RATE.fullmatch(name) else ""


def _left(layer: Any, names: tuple[str, ...]) -> Any:
    return next((vars(layer)[name] for name in names if isinstance(vars(layer).get(name), np.ndarray)), None)


def _note_updates(layer: Any, backward: Callable[..., Any], arguments: list[Any]) -> None:
    """The gradient of a parameter that backward updates itself, as ``dW``: what a step of rate 1 takes off ``W``."""
    trial = copy.deepcopy(layer)
    backward(trial, *copy.deepcopy(arguments))
    for name in layer.__dict__["_call"].parameters:
        before, after = vars(layer)[name], vars(trial).get(name)
        if np.shape(after) == before.shape and not np.array_equal(before, after):
            setattr(layer, f"d{name}", before - after)


def _without_parameters(layer: Any, returned: Any, call: _Call) -> Any:
    """The gradients of the inputs; those of parameters that follow are kept as attributes, by their shapes."""
    count = max(1, sum(map(is_floating, call.arguments)))
    if not isinstance(returned, tuple) or len(returned) <= count:
        return returned
    inputs = returned[:count] if count > 1 else returned[0]
    found: dict[str, Any] = {}
    for gradient in returned[count:]:
        free = (name for name in call.parameters if name not in found)
        name = next((name for name in free if np.shape(vars(layer)[name]) == np.shape(gradient)), None)
        if name is None:
            known = call.names.intersection(parameters_of(layer))  # these have their gradients already
            return inputs if len(returned) - count <= len(known) else returned
        found[name] = gradient
    for name, gradient in found.items():
        setattr(layer, f"d{name}", gradient)
    return inputs
