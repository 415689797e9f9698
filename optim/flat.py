"""All parameters of a model as one vector, so that an update is a few calls whatever their number."""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from ._checks import check_count

BLOCK = 2**17  # elements: five float32 arrays of a block lie in a second- or third-level cache, and few calls are made


class ParameterLike(Protocol):
    """What this package knows of a parameter."""

    decay: bool

    @property
    def value(self) -> np.ndarray: ...

    @property
    def grad(self) -> np.ndarray: ...

    def zero_grad(self) -> None: ...

    def move_to(self, value: np.ndarray, grad: np.ndarray) -> None: ...


Parameters = Mapping[str, ParameterLike] | Iterable[ParameterLike]


class FlatParameters:
    """Parameters moved into one vector of values and one of gradients for each dtype, decaying ones first.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``; each is taken once, by identity.
    state : sequence of str
        Names of further vectors to keep beside them, zero at first, such as a velocity.
    threads : int, default 1
        Workers of `each`, used for vectors of more than one block a thread.

    Attributes
    ----------
    values, grads, decaying : list of ndarray, shape (P,)
        One entry a dtype; `decaying` are the stretches of `values` to which weight decay applies.
    state : dict of str to list of ndarray
        The further vectors.

    Notes
    -----
    Parameters that already lie one after another in one vector, in this order, stay where they are, and both owners
    share it. Otherwise they are moved, and the former owner sees at its next `refresh` that they have left: two
    owners of overlapping but different sets so move them to and fro, which is right but slow.
    """

    def __init__(self, parameters: Parameters, state: Iterable[str] = (), threads: int = 1) -> None:
        self.parameters = _named(parameters)
        self.threads = check_count("threads", threads)
        self.state: dict[str, list[np.ndarray]] = {key: [] for key in state}
        self._places: dict[str, tuple[int, slice]] = {}  # name -> number of the vector, stretch of it
        self._lay_out()

    def refresh(self) -> None:
        """Make the vectors true: gather parameters that have moved or changed dtype, and settle pending zeros."""
        for parameter, value, grad in self._views:
            if parameter.value is not value or parameter.grad is not grad:
                self._lay_out()
                return

    def each(self, function: Callable[..., None]) -> None:
        """Call ``function(w, g, scratch, *state)`` on every block of the vectors; it works in place on 1-D views."""
        first, *others = self._shares
        futures = [_pool(os.getpid(), self.threads).submit(_run, function, share) for share in others]
        _run(function, first)
        for future in futures:
            future.result()

    def split(self, vectors: list[np.ndarray]) -> dict[str, np.ndarray]:
        """Views of vectors laid out like `values`, by parameter name and in the parameters' shapes."""
        shapes = {name: parameter.value.shape for name, parameter in self.parameters.items()}
        return {name: vectors[i][where].reshape(shapes[name]) for name, (i, where) in self._places.items()}

    def _lay_out(self) -> None:
        kept = {key: self.split(vectors) for key, vectors in self.state.items()}
        self.values: list[np.ndarray] = []
        self.grads: list[np.ndarray] = []
        self.decaying: list[np.ndarray] = []
        self._places = {}
        by_dtype: dict[np.dtype, list[str]] = {}
        for name in sorted(self.parameters, key=lambda name: not self.parameters[name].decay):  # stable
            by_dtype.setdefault(self.parameters[name].value.dtype, []).append(name)
        for names in by_dtype.values():
            self._lay_out_vector([self.parameters[name] for name in names], names)
        self._views = [(p, p.value, p.grad) for p in self.parameters.values()]
        for key, arrays in kept.items():
            self.state[key] = [np.zeros_like(values) for values in self.values]
            for name, view in self.split(self.state[key]).items():
                view[...] = arrays.get(name, 0)
        self._cut()

    def _lay_out_vector(self, parameters: list[ParameterLike], names: list[str]) -> None:
        ends = np.cumsum([0, *(p.value.size for p in parameters)]).tolist()
        places = [slice(*pair) for pair in itertools.pairwise(ends)]
        values = _shared_vector([p.value for p in parameters])
        grads = _shared_vector([p.grad for p in parameters])
        if values is None or grads is None:
            values, grads = (np.empty(ends[-1], parameters[0].value.dtype) for _ in range(2))
            for p, where in zip(parameters, places):
                p.move_to(values[where].reshape(p.value.shape), grads[where].reshape(p.value.shape))
        self._places |= {name: (len(self.values), where) for name, where in zip(names, places)}
        self.values.append(values)
        self.grads.append(grads)
        self.decaying.append(values[: sum(p.value.size for p in parameters if p.decay)])

    def _cut(self) -> None:
        """Views of all vectors, block by block, dealt to the threads; each thread has a scratch array of its own."""
        shares: list[list[tuple[np.ndarray, ...]]] = [[] for _ in range(self.threads)]
        for i, values in enumerate(self.values):
            workers = max(1, min(self.threads, values.size // BLOCK))
            blocks = workers * math.ceil(max(1, values.size) / (workers * BLOCK))  # as many for each
            size = max(1, math.ceil(values.size / blocks))
            scratch = [np.empty(size, values.dtype) for _ in range(workers)]
            vectors = [values, self.grads[i], *(state[i] for state in self.state.values())]
            for n, start in enumerate(range(0, values.size, size)):
                w, g, *state = (vector[start : start + size] for vector in vectors)
                shares[n % workers].append((w, g, scratch[n % workers][: w.size], *state))
        self._shares = [shares[0], *filter(None, shares[1:])]

    def __getstate__(self) -> dict[str, Any]:
        # A copy's vectors would not be the memory of the copied parameters: it lays out anew.
        return {name: vars(self)[name] for name in ("parameters", "threads", "state", "_places")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lay_out()


class Stateful:
    """Saves and restores the numbers and vectors that an object keeps about its parameters."""

    flat: FlatParameters
    numbers: tuple[str, ...] = ()  # names of the attributes to save

    def state_dict(self) -> dict[str, Any]:
        """Numbers by attribute name, and copies of the state of each parameter as ``"<state>.<parameter>"``."""
        state: dict[str, Any] = {name: getattr(self, name) for name in self.numbers}
        for key, vectors in self.flat.state.items():
            state |= {f"{key}.{name}": array.copy() for name, array in self.flat.split(vectors).items()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; nothing changes unless every name and shape fits.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or an array has another shape.
        """
        own = self.state_dict()
        kind = type(self).__name__
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        if missing or unknown:
            raise ValueError(
                f"state must be that of {kind} over parameters of these names; missing {sorted(missing)}, "
                f"unknown {sorted(unknown)}. Make it over the same model, with the options it was saved with"
            )
        for name, value in own.items():
            if np.shape(state[name]) != np.shape(value):
                raise ValueError(
                    f"state[{name!r}] of {kind} must have shape {np.shape(value)}; got {np.shape(state[name])}. "
                    "Build the model with the arguments it was saved with"
                )
        for name in self.numbers:
            value = np.asarray(state[name]).tolist()  # plain numbers, also from the 0-d arrays of an .npz file
            setattr(self, name, tuple(value) if isinstance(value, list) else type(own[name])(value))
        self.flat.refresh()
        for key, vectors in self.flat.state.items():
            for name, array in self.flat.split(vectors).items():
                array[...] = state[f"{key}.{name}"]


def _named(parameters: Parameters) -> dict[str, ParameterLike]:
    """The parameters by name (by number if they come without), each once."""
    if not isinstance(parameters, Iterable):
        raise TypeError(f"parameters must be a dict such as layer.parameters(); got {type(parameters).__name__}")
    named = parameters if isinstance(parameters, Mapping) else {str(i): p for i, p in enumerate(parameters)}
    unique: dict[int, tuple[str, ParameterLike]] = {}
    for name, parameter in named.items():
        if not hasattr(parameter, "move_to"):
            raise TypeError(
                f"parameters[{name!r}] must be a Parameter; got {type(parameter).__name__}. Pass layer.parameters()"
            )
        dtype = parameter.value.dtype
        if dtype.kind != "f" or dtype.itemsize < 4:
            raise TypeError(f"parameters[{name!r}] must be float32 or float64 to be trained; got {dtype}")
        unique.setdefault(id(parameter), (name, parameter))
    if not unique:
        raise ValueError(
            "parameters is empty: there is nothing to train. Pass layer.parameters() of a layer that has some"
        )
    return dict(unique.values())


def _shared_vector(arrays: list[np.ndarray]) -> np.ndarray | None:
    """The stretch of one vector that the arrays fill one after another, or None if they do not."""
    owner = arrays[0].base
    if not isinstance(owner, np.ndarray) or owner.ndim != 1 or owner.dtype != arrays[0].dtype:
        return None
    first = end = arrays[0].ctypes.data
    for array in arrays:
        if array.base is not owner or not array.flags.c_contiguous or array.ctypes.data != end:
            return None
        end += array.nbytes
    start = (first - owner.ctypes.data) // owner.itemsize
    return owner[start : start + (end - first) // owner.itemsize]


def _run(function: Callable[..., None], blocks: list[tuple[np.ndarray, ...]]) -> None:
    for block in blocks:
        function(*block)


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Worker threads; a forked process, which inherits none, gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="optim")
