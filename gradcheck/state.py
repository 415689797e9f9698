"""What lies outside of the arguments: generators, caches, shared memory; how to hold it still and see it change."""

from __future__ import annotations

import copy
import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Restore = Callable[[], None]


def snapshot_generators(functions: list[Any]) -> Restore:
    """Note the state of every generator that functions can reach without an argument; calling the result restores it.

    These are NumPy's and Python's global ones, and those in the functions' module globals, closures and defaults.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002  checked code draws from it
    setters = [_setter(generator) for generator in _reachable(functions)]

    def restore() -> None:
        np.random.set_state(numpy_state)  # noqa: NPY002  checked code draws from it
        random.setstate(python_state)
        for setter in setters:
            setter()

    return restore


@contextmanager
def replaying(functions: list[Any]) -> Iterator[Restore]:
    """Yields a function that sets all generators back to their state at entry; so does the exit."""
    rewind = snapshot_generators(functions)
    try:
        yield rewind
    finally:
        rewind()


@contextmanager
def seeded() -> Iterator[None]:
    """NumPy's global generator in one state, whatever it was in, for code that draws its weights from it."""
    with replaying([]):
        np.random.set_state(np.random.RandomState(0).get_state())  # noqa: NPY002  checked code draws from it
        yield


def _reachable(functions: list[Any]) -> list[Any]:
    found: dict[int, Any] = {}
    for function in functions:
        if isinstance(function, functools.partial):
            function = function.func
        function = inspect.unwrap(getattr(function, "__func__", function))
        cells = [_contents(cell) for cell in getattr(function, "__closure__", None) or ()]
        defaults = [*(getattr(function, "__defaults__", None) or ()),
                    *(getattr(function, "__kwdefaults__", None) or {}).values()]  # fmt: skip
        for value in [*getattr(function, "__globals__", {}).values(), *cells, *defaults]:
            if isinstance(value, (np.random.Generator, np.random.RandomState, random.Random)):
                found[id(value)] = value
    return list(found.values())


def _setter(generator: Any) -> Restore:
    if isinstance(generator, np.random.Generator):
        state = generator.bit_generator.state
        return lambda: setattr(generator.bit_generator, "state", state)
    if isinstance(generator, np.random.RandomState):
        old = generator.get_state()
        return lambda: generator.set_state(old)
    inner = generator.getstate()
    return lambda: generator.setstate(inner)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def copied(value: Any) -> Any:
    """A deep copy, or the thing itself where it cannot be copied (a module, a file, a lock)."""
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def poison(arrays: Iterable[np.ndarray], blocks: int = 6) -> None:
    """Leave NaN in the memory that the next ``np.empty`` of these shapes gets, so that one not filled shows.

    Left alone, that memory often holds an earlier, right gradient.
    """
    for array in arrays:
        if array.size <= 10_000:
            _ = [np.full(array.shape, np.nan, dtype) for dtype in (np.float64, np.float32) for _ in range(blocks)]


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


def arrays_in(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """All arrays in a cache of any form, with the way to each: ``[0]``, ``['x']``, ``.mask``."""
    stack, seen = [(path, value)], set[int]()
    while stack:
        path, value = stack.pop()
        if isinstance(value, np.ndarray):
            yield path, value
        elif id(value) in seen or isinstance(value, (str, bytes, type)):
            continue
        elif isinstance(value, dict):
            stack += [(f"{path}[{key!r}]", item) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            stack += [(f"{path}[{i}]", item) for i, item in enumerate(value)]
        elif inspect.isfunction(value):
            cells = zip(value.__code__.co_freevars, value.__closure__ or ())
            stack += [(f"{path}.{name}", _contents(cell)) for name, cell in cells]
        elif hasattr(value, "__dict__") and not inspect.ismodule(value):
            stack += [(f"{path}.{name}", item) for name, item in vars(value).items()]
        seen.add(id(value))


class Cache:
    """A cache as it was: tells later which of its arrays have changed or gone."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._before = {path: (array, array.copy()) for path, array in arrays_in(value)}

    def changed(self) -> list[str]:
        """The ways to the arrays that no longer hold, or are no longer, what they were; new ones do not count."""
        now = dict(arrays_in(self._value))
        return sorted(
            path for path, (_, old) in self._before.items() if path not in now or not same(old, now[path])
        )  # fmt: skip

    def shares(self, array: np.ndarray) -> bool:
        """Whether `array` is a view of one in the cache."""
        return any(overlap(array, old) for old, _ in self._before.values())


def overlap(a: Any, b: Any) -> bool:
    """Whether a write into one array can be seen in the other."""
    both = isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.size and b.size
    return bool(both) and np.may_share_memory(a, b)
