"""The parameters of an object, in whatever way it keeps them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .subjects import is_floating

VALUES = ("value", "val", "data")  # of a parameter that has a `grad`


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
        grads: Any = getattr(self._owner, "grads", None)
        for key in (self._key, *_names_of_gradient(str(self._key))):
            with contextlib.suppress(KeyError, IndexError, TypeError):
                return grads[key]
        return None


class _Boxed:
    """A parameter with a value and a gradient of its own: ``{"val": W, "grad": dW}``, or an object with such."""

    def __init__(self, box: Any) -> None:
        self._box = box
        self._key = next(key for key in VALUES if is_floating(_part(box, key)))

    @property
    def value(self) -> Any:
        return _part(self._box, self._key)

    @value.setter
    def value(self, value: np.ndarray) -> None:
        if isinstance(self._box, dict):
            self._box[self._key] = value
        else:
            setattr(self._box, self._key, value)

    @property
    def grad(self) -> Any:
        return _part(self._box, "grad")


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
        return getattr(self._owner, gradient_of(self._owner, self._name) or "", None)


class _Element:
    """A parameter in a list or dict W of its owner, its gradient at the same place of dW."""

    def __init__(self, owner: Any, name: str, key: Any) -> None:
        self._owner, self._name, self._key = owner, name, key

    @property
    def value(self) -> Any:
        return getattr(self._owner, self._name)[self._key]

    @value.setter
    def value(self, value: np.ndarray) -> None:
        getattr(self._owner, self._name)[self._key] = value

    @property
    def grad(self) -> Any:
        grads: Any = getattr(self._owner, gradient_of(self._owner, self._name) or "", None)
        shapes = _shapes(getattr(self._owner, self._name))
        if isinstance(grads, list) and _shapes(grads) != shapes == _shapes(grads[::-1]):
            grads = grads[::-1]  # appended on the way back
        with contextlib.suppress(KeyError, IndexError, TypeError):
            return grads[self._key]
        return None


def own_parameters(thing: Any) -> dict[str, Any]:
    """What has `value` and `grad` in the object itself, and what its ``parameters()`` returns, by name."""
    returned = _returned(thing)
    if returned is not None:
        return returned | _pairs(thing)  # Parameters that it leaves out are left out on purpose
    boxes: dict[str, Any] = {}
    for name, value in getattr(thing, "__dict__", {}).items():
        boxes.update({path: _boxed(box) for path, box in _within(name, value) if _is_box(box)})
    return _items(thing) or boxes | _pairs(thing)


def parameters_of(thing: Any) -> dict[str, Any]:
    """What has `value` and `grad`, by dotted name: in the object and in all layers within, each array once."""
    found: dict[str, Any] = {}
    seen: dict[int, Any] = {}
    ours = _returned(thing) is not None
    for prefix, owner in owners_in(thing):
        inner = prefix and ours  # its Parameters have come with the outermost
        for name, parameter in (_pairs(owner) if inner else own_parameters(owner)).items():
            value = parameter.value
            if id(value) not in seen:
                seen[id(value)] = value
                found[f"{prefix}.{name}" if prefix else name] = parameter
    return found


def owners_in(thing: Any, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """The object and all within it that have a forward and a backward of their own, with dotted names."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    yield prefix, thing
    for name, value in getattr(thing, "__dict__", {}).items():
        for path, item in _within(f"{prefix}.{name}" if prefix else name, value):
            if hasattr(type(item), "forward") and hasattr(type(item), "backward"):
                yield from owners_in(item, path, seen)


def gradient_of(thing: Any, name: str) -> str | None:
    """The attribute that holds the gradient of the attribute `name`."""
    return next((gradient for gradient in _names_of_gradient(name) if hasattr(thing, gradient)), None)


def _returned(thing: Any) -> dict[str, Any] | None:
    """What ``parameters()`` returns, if these are things with a value and a gradient by name."""
    found = thing.parameters() if callable(getattr(thing, "parameters", None)) else None
    fits = isinstance(found, dict) and all(hasattr(p, "value") and hasattr(p, "grad") for p in found.values())
    return dict(found) if fits and found is not None else None


def _pairs(thing: Any) -> dict[str, Any]:
    """Items of `params` and `grads`, and attributes W with their dW, which may be lists or dicts of arrays."""
    names = [name for name in getattr(thing, "__dict__", {}) if gradient_of(thing, name)]
    arrays = {name: _Attribute(thing, name) for name in names if is_floating(getattr(thing, name))}
    elements = {
        f"{name}[{key!r}]": _Element(thing, name, key) for name in names for key in keys_of(getattr(thing, name))
    }
    return _items(thing) | arrays | elements


def keys_of(value: Any) -> list[Any]:
    """The keys of a list or dict in which all are floating arrays; none of anything else."""
    keys = [*value] if isinstance(value, dict) else [*range(len(value))] if isinstance(value, list) else []
    return keys if all(is_floating(value[key]) for key in keys) else []


def _shapes(arrays: Any) -> list[tuple[int, ...]]:
    return [np.shape(array) for array in arrays]


def _items(thing: Any) -> dict[str, Any]:
    params = getattr(thing, "params", None)
    if isinstance(params, dict):
        return {str(key): _Item(thing, key) for key, value in params.items() if is_floating(value)}
    if isinstance(params, list):
        return {f"params[{i}]": _Item(thing, i) for i, value in enumerate(params) if is_floating(value)}
    return {}


def _within(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A value, or those in a list, tuple or dict, however deep, with dotted names; a parameter is no dict."""
    if isinstance(value, (list, tuple, dict)) and not _is_box(value):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _within(f"{path}.{key}", item)
    else:
        yield path, value


def _names_of_gradient(name: str) -> list[str]:
    """What people call the gradient of a parameter."""
    forms = ("d{}", "grad_{}", "{}_grad", "d_{}", "grad{}", "{}_gradient", "{}_gradients", "gradient_{}", "delta_{}",
             "g{}")  # fmt: skip
    return [form.format(name) for form in forms] + [f"d{name.lower()}"] * (name != name.lower())


def _is_box(value: Any) -> bool:
    """Whether a value is a parameter with its gradient: a dict or an object with an array and a `grad`."""
    has_grad = "grad" in value if isinstance(value, dict) else hasattr(value, "grad")
    return has_grad and any(is_floating(_part(value, key)) for key in VALUES)


def _boxed(box: Any) -> Any:
    """The box itself, if it is a Parameter like ours."""
    return box if not isinstance(box, dict) and is_floating(_part(box, "value")) else _Boxed(box)


def _part(box: Any, key: str) -> Any:
    return box.get(key) if isinstance(box, dict) else getattr(box, key, None)
