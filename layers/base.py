"""What every layer is: a forward, a backward, parameters, and a cache between the two."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np

Shape = tuple[int, ...]
Found = TypeVar("Found")


class Parameter:
    """A trained array and the gradient of the loss with respect to it.

    Parameters
    ----------
    value : ndarray
        The initial value; kept in its dtype.
    decay : bool, default True
        Whether weight decay and L2 regularisation apply (they leave out biases and norms).

    Notes
    -----
    `backward` *adds* to `grad`, because gradients add at branches. After `zero_grad` the first contribution is
    written instead of added, so nothing is cleared in vain.

    Examples
    --------
    >>> w = Parameter(np.ones(2))
    >>> w.add_grad(np.array([1.0, 2.0]))
    >>> w.add_grad(np.array([1.0, 2.0]))
    >>> w.grad
    array([2., 4.])
    """

    __slots__ = ("_empty", "_grad", "_value", "decay")

    def __init__(self, value: Any, *, decay: bool = True) -> None:
        self._value = np.asarray(value)
        self._grad = np.zeros_like(self._value)
        self._empty = True  # no gradient has come since zero_grad: `_grad` may hold an old one
        self.decay = decay

    @property
    def value(self) -> np.ndarray:
        """The array itself; assigning copies in, so views of it stay true."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._value[...] = self._matching("value", value)

    @property
    def grad(self) -> np.ndarray:
        """The gradient summed since `zero_grad`, of the shape and dtype of `value`."""
        if self._empty:
            self._grad[...] = 0
            self._empty = False
        return self._grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        self._grad[...] = self._matching("grad", grad)
        self._empty = False

    def _matching(self, name: str, array: Any) -> np.ndarray:
        array = np.asarray(array)
        if array.shape != self._value.shape:
            raise ValueError(
                f"{name} must have the shape {self._value.shape} of the parameter; got {array.shape}. "
                "A parameter keeps its shape for life: make a new layer to change it"
            )
        return array

    def zero_grad(self) -> None:
        """Forget the gradient; the next contribution is written, not added."""
        self._empty = True

    def add_grad(self, grad: np.ndarray) -> None:
        """Add one consumer's contribution, an array of the parameter's shape."""
        grad = self._matching("grad", grad)
        if self._empty:
            self._grad[...] = grad
            self._empty = False
        else:
            self._grad += grad

    def add_grad_matmul(self, a: np.ndarray, b: np.ndarray) -> None:
        """Add ``a @ b``; the first product since `zero_grad` goes straight into the gradient, without a copy."""
        if self._empty and (*a.shape[:-1], b.shape[-1]) == self._value.shape and a.dtype == self._grad.dtype == b.dtype:
            np.matmul(a, b, out=self._grad)
            self._empty = False
        else:
            self.add_grad(a @ b)

    def move_to(self, value: np.ndarray, grad: np.ndarray) -> None:
        """Go on living in other memory, such as a stretch of an optimizer's flat vector; contents are copied there."""
        value[...] = self._value
        grad[...] = self.grad
        self._value, self._grad = value, grad

    def astype(self, dtype: Any) -> None:
        """Convert `value` and `grad` to another dtype, in memory of their own."""
        self._value, self._grad = self._value.astype(dtype), self.grad.astype(dtype)

    def __repr__(self) -> str:
        return f"Parameter(shape={self._value.shape}, dtype={self._value.dtype})"


class Layer:
    """Base of all layers: subclasses write `forward` and `backward`, this class does the bookkeeping.

    ``forward(*inputs) -> out`` leaves in ``self.cache`` what ``backward(dout) -> dx`` needs. With several inputs
    `backward` returns a tuple, one gradient per differentiable input; with several outputs it takes one `dout` each,
    None for an output that nobody used. Attributes that are a `Parameter`, a `Layer`, or a list or dict of such are
    found by `parameters`; arrays named in the class attribute `buffers` are saved with them but not trained.

    Raises
    ------
    ValueError
        By `backward`, before any `forward`, or with a `dout` whose shape is not that of `out`.

    Examples
    --------
    >>> class Square(Layer):
    ...     def forward(self, x):
    ...         self.cache = x
    ...         return x * x
    ...
    ...     def backward(self, dout):
    ...         x = self.cache
    ...         return dout * 2 * x
    >>> layer = Square()
    >>> layer.forward(np.array([1.0, 3.0]))
    array([1., 9.])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([2., 6.])
    """

    # The slots belong to one use of the layer; all else lives in __dict__, which a tied twin shares.
    __slots__ = ("__dict__", "__weakref__", "_out_shape", "cache")

    buffers: tuple[str, ...] = ()
    forward: Any
    backward: Any
    _out_shape: Any
    cache: Any

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in cls.__dict__:
            cls.forward = _remembering(cls.__dict__["forward"])
        if "backward" in cls.__dict__:
            cls.backward = _checking(cls.__dict__["backward"])

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """``layer(x)`` is ``layer.forward(x)``; on nodes of a graph it is a new node, which the node builds itself."""
        for x in inputs:
            if hasattr(x, "apply_layer"):
                return x.apply_layer(self, *inputs, **options)
        return self.forward(*inputs, **options)

    def add_grads(self, dout: Any) -> None:
        """Backward for the parameters alone: what the first layer of a net needs. Override to save the work of dx."""
        self.backward(dout)

    # --- what it is made of

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Direct sublayers with their names, in the order in which they were assigned."""
        for name, value in vars(self).items():
            yield from _found_in(name, value, Layer)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """The layer and all below it, with dotted names; the layer itself has the name given as `prefix`."""
        yield prefix, self
        for name, child in self.children():
            yield from child.walk(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> dict[str, Parameter]:
        """All parameters by dotted name, each once, by identity."""
        found: dict[int, tuple[str, Parameter]] = {}
        for prefix, layer in self.walk():
            for name, value in vars(layer).items():
                for path, parameter in _found_in(name, value, Parameter):
                    found.setdefault(id(parameter), (f"{prefix}.{path}" if prefix else path, parameter))
        return dict(found.values())

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters().values():
            parameter.zero_grad()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers by dotted name."""
        return {name: array.copy() for name, array in self._state().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Copy parameters and buffers in; nothing changes unless every name and shape fits.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has another shape.
        """
        own = self._state()
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise ValueError(
                f"state must have the names of this model; missing {sorted(missing)}, unknown {sorted(unknown)}. "
                "Build the model with the arguments it was saved with"
            )
        for name, array in own.items():
            if np.shape(state[name]) != array.shape:
                raise ValueError(
                    f"state[{name!r}] must have shape {array.shape}; got {np.shape(state[name])}. "
                    "Build the model with the arguments it was saved with"
                )
        for name, array in own.items():
            array[...] = state[name]

    def _state(self) -> dict[str, np.ndarray]:
        state = {name: parameter.value for name, parameter in self.parameters().items()}
        seen: set[int] = set()
        for prefix, layer in self.walk():
            for name in layer.buffers:
                array = getattr(layer, name)
                if id(array) not in seen:
                    state[f"{prefix}.{name}" if prefix else name] = array
                    seen.add(id(array))
        return state

    def astype(self, dtype: Any) -> Layer:
        """Convert parameters and buffers to `dtype`; returns the layer."""
        for parameter in self.parameters().values():
            parameter.astype(dtype)
        for _, layer in self.walk():
            for name in layer.buffers:
                setattr(layer, name, getattr(layer, name).astype(dtype, copy=False))
        return self

    # --- how it behaves

    @property
    def training(self) -> bool:
        """Whether the layer is in training mode (the default) or in evaluation mode."""
        mode: list[bool] = vars(self).get("_mode", _TRAIN)
        return mode[0]

    def train(self, training: bool = True) -> Layer:
        """Set training mode, here and in all sublayers; returns the layer."""
        for _, layer in self.walk():
            vars(layer).setdefault("_mode", [True])[0] = training
        return self

    def eval(self) -> Layer:
        """Set evaluation mode, here and in all sublayers; returns the layer."""
        return self.train(False)

    def reseed(self, *key: int) -> None:
        """Draw anew from `key` (such as seed, epoch, batch): every random layer gets a generator of its own."""
        for i, (_, layer) in enumerate(self.walk()):
            if hasattr(layer, "rng"):
                layer.rng = np.random.default_rng((*key, i))

    def drop_cache(self) -> None:
        """Forget what forward left, here and in all sublayers; `backward` needs a new forward then."""
        for _, layer in self.walk():
            for name in ("cache", "_out_shape"):
                if hasattr(layer, name):
                    delattr(layer, name)

    def tied(self) -> Layer:
        """A second layer that shares everything but the cache, for a layer used twice before its backward."""
        vars(self).setdefault("_mode", [True])
        twin = object.__new__(type(self))
        twins = {name: _tied(value) for name, value in vars(self).items() if _has_layers(value)}
        twin.__dict__ = {**vars(self), **twins} if twins else vars(self)
        return twin

    def __repr__(self) -> str:
        parts = []
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                parts.append(f"{name}: {value.value.shape}")
            elif not name.startswith("_") and (value is None or isinstance(value, (bool, int, float, str))):
                parts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


_TRAIN = [True]


def _found_in(name: str, value: Any, kind: type[Found]) -> Iterator[tuple[str, Found]]:
    """A layer or parameter, or those in a list, tuple or dict, however deep, with dotted names."""
    if isinstance(value, kind):
        yield name, value
    elif isinstance(value, (list, tuple, dict)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _found_in(f"{name}.{key}", item, kind)


def _has_layers(value: Any) -> bool:
    return next(_found_in("", value, Layer), None) is not None


def _tied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_tied(item) for item in value)
    return value.tied() if isinstance(value, Layer) else value


def _shape_of(out: Any) -> Any:
    return tuple(map(np.shape, out)) if isinstance(out, tuple) else np.shape(out)


def _remembering(forward: Any) -> Any:
    """`forward`, which also notes the shape of its output: some hundred nanoseconds, fewer where it takes x alone."""

    def note(self: Any, out: Any) -> Any:
        try:
            self._out_shape = out.shape
        except AttributeError:  # several outputs, or the float of a loss
            self._out_shape = _shape_of(out)
        return out

    def of_x(self: Any, x: Any) -> Any:  # `note` written out, a call less
        out = forward(self, x)
        try:
            self._out_shape = out.shape
        except AttributeError:
            self._out_shape = _shape_of(out)
        return out

    def of_any(self: Any, *inputs: Any, **options: Any) -> Any:
        return note(self, forward(self, *inputs, **options))

    x_alone = list(inspect.signature(forward).parameters) == ["self", "x"]
    return functools.wraps(forward)(of_x if x_alone else of_any)


def _checking(backward: Any) -> Any:
    """`backward`, refused before any forward and with a dout that is not of the shape of out."""

    @functools.wraps(backward)
    def checking(self: Any, *douts: Any, **options: Any) -> Any:
        try:
            if douts:
                shape = () if type(douts[0]) is float else douts[0].shape
                fits = len(douts) == 1 and shape == self._out_shape
            else:
                fits = self._out_shape == ()  # a loss, whose dout is 1 unless given
        except AttributeError:  # no forward yet, or a dout that is a plain number or None
            fits = False
        if not fits:
            _check_douts(self, backward, douts, options)
        return backward(self, *douts, **options)

    return checking


def _check_douts(layer: Layer, backward: Any, douts: tuple[Any, ...], options: dict[str, Any]) -> None:
    """The slow road: explain what is wrong, or let pass what the quick comparison could not judge."""
    if type(layer).backward.__wrapped__ is not backward:
        return  # called through super() by a subclass, whose own backward has been checked
    name = type(layer).__name__
    if not hasattr(layer, "_out_shape"):
        raise ValueError(
            f"{name}.backward was called before forward; call forward first, it caches what backward needs"
        )
    inspect.signature(backward).bind(layer, *douts, **options)
    shapes = layer._out_shape
    if not (shapes and isinstance(shapes[0], tuple)):
        shapes = (shapes,)
    for dout, shape in zip(douts, shapes):
        if dout is not None and np.shape(dout) != shape:
            raise ValueError(
                f"dout of {name}.backward must have the shape {shape} of forward's output; got {np.shape(dout)}. "
                "Pass the gradient of the loss with respect to that output"
            )
