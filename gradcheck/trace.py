"""One run of a pair with every assignment watched, and ways to run it again with one of them moved."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .case import Case
from .instrument import watched
from .state import replaying


class Assigned(NamedTuple):
    """One assignment as it happened: which one it was in the run, and what the name then held."""

    number: int
    name: str
    line: int
    in_part: bool
    value: np.ndarray


@dataclasses.dataclass
class Trace:
    """The assignments of one forward and backward, and a way to nudge those of forward.

    ``slope(at, u)`` is how fast the loss, the outputs times dout, rises as the variable assigned there moves along u;
    ``replaced(at, value)`` are the gradients with another value of backward's variable assigned there.
    """

    forward: list[Assigned]
    backward: list[Assigned]
    slope: Callable[[Assigned, np.ndarray], float]
    replaced: Callable[[Assigned, np.ndarray], list[Any]]

    def gradient_at(self, site: Assigned) -> np.ndarray:
        """The gradient of a variable of forward where it is assigned."""
        units = np.eye(site.value.size).reshape(-1, *site.value.shape)
        return np.array([self.slope(site, unit) for unit in units]).reshape(site.value.shape)


def trace_of(case: Case) -> Trace:
    """Run a case with every assignment watched.

    Raises
    ------
    ValueError
        If the functions have no source, or do not run as they did.
    """
    pair, forward_events, backward_events = case.pair, list[Assigned](), list[Assigned]()

    def recorder(events: list[Assigned], kinds: str) -> Callable[[str, int, bool, Any], Any]:
        count = iter(range(10**9))

        def watch(name: str, line: int, in_part: bool, value: Any) -> Any:
            number = next(count)
            if isinstance(value, (float, np.floating)) or (isinstance(value, np.ndarray) and value.dtype.kind in kinds):
                events.append(Assigned(number, name, line, in_part, np.array(value, dtype=np.float64)))
            return value

        return watch

    def functions(forward_watch: Any, backward_watch: Any = None) -> Any:
        forward = watched(pair.forward, forward_watch)
        backward = pair.backward and (watched(pair.backward, backward_watch) if backward_watch else pair.backward)
        return dataclasses.replace(pair, forward=forward, backward=backward).functions()

    instrumented = functions(recorder(forward_events, "f"), recorder(backward_events, "fib"))
    try:
        case.backward(functions=instrumented)
    except Exception as error:
        if case.error is None:
            raise ValueError(f"the instrumented functions raise {error!r}") from error
    if pair.is_loss:
        backward_events = forward_events

    nudge: dict[str, Any] = {}
    calls = [0]

    def nudging(name: str, line: int, in_part: bool, value: Any) -> Any:
        calls[0] += 1
        if calls[0] - 1 != nudge["number"]:
            return value
        if in_part and isinstance(value, np.ndarray):  # others may hold views of it
            value += nudge["by"]
            return value
        return value + nudge["by"]

    nudged = functions(nudging)[0]

    def slope(at: Assigned, u: np.ndarray) -> float:
        h = 1e-5 * max(float(np.sqrt(np.mean(at.value**2))), 1e-3)
        ends = []
        for sign in (1, -1):
            nudge.update(number=at.number, by=sign * h * u)
            calls[0] = 0
            with replaying([f for f in (pair.forward, pair.backward) if f]), np.errstate(all="ignore"):
                *outs, _ = nudged(*copy.deepcopy(case.arguments))
            ends.append([np.asarray(np.ma.filled(np.asanyarray(out), 0), dtype=np.float64) for out in outs])
        return sum(float(np.sum((a - b) * dout)) for a, b, dout in zip(*ends, case.douts)) / (2 * h)

    def replaced(at: Assigned, value: np.ndarray) -> list[Any]:
        numbers = iter(range(10**9))

        def replacing(name: str, line: int, in_part: bool, old: Any) -> Any:
            if next(numbers) != at.number:
                return old
            if in_part and isinstance(old, np.ndarray):  # others may hold views of it
                old[...] = value
                return old
            return np.array(value)[()]

        def unwatched(name: str, line: int, in_part: bool, value: Any) -> Any:
            return value

        try:
            return case.backward(functions=functions(replacing if pair.is_loss else unwatched, replacing))
        except Exception:  # a value that backward does not survive
            return []

    return Trace(forward_events, backward_events, slope, replaced)
