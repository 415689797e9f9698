"""A pair at one setting: what went in, what came out, and the true gradients, entry by entry."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .inputs import Setting
from .numeric import vjp
from .pairs import Pair
from .state import replaying
from .subjects import names_of

Gradients = list["np.ndarray | None"]


@dataclass(frozen=True)
class Case:
    """A pair's forward and backward at drawn arguments, beside the numbers; all that a diagnosis may look at.

    Attributes
    ----------
    pair, setting, seed
        What was run, where, and from which draw.
    arguments : tuple
        Of forward, as drawn; to be copied before they are passed on.
    names : list of str
        Those of the arguments that have a gradient; of a loss the first.
    outs, douts : tuple of ndarray
        The outputs of forward, and the Gaussian gradient given to backward for each; that of a loss is 1.
    true : list of ndarray
        The numerical gradient for each of `names`.
    returned : list of ndarray or None
        What backward returned for each of `names`; shorter or longer if it returned another number of gradients, empty
        if it raised.
    error : Exception or None
        What backward raised.
    """

    pair: Pair
    setting: Setting
    seed: int
    arguments: tuple[Any, ...]
    names: list[str]
    outs: tuple[np.ndarray, ...]
    douts: tuple[np.ndarray, ...]
    true: list[np.ndarray]
    returned: Gradients
    error: Exception | None = None

    @property
    def arrays(self) -> dict[str, Any]:
        """All arguments by name."""
        return dict(zip(names_of(self.pair.forward, len(self.arguments)), self.arguments))

    def is_right(self, gradients: Sequence[Any], k: int, tolerance: float = 1e-6) -> bool:
        """Whether the k-th of these gradients is the true one, to `tolerance` of the largest entry."""
        if k >= len(gradients) or gradients[k] is None:
            return False
        return agree(gradients[k], self.true[k], tolerance)

    @property
    def wrong(self) -> list[int]:
        """The numbers of the arguments whose returned gradient is not the true one."""
        return [k for k in range(len(self.names)) if not self.is_right(self.returned, k)]

    def backward(self, douts: Sequence[Any] | None = None, *, functions: Any = None) -> Gradients:
        """What backward returns at the arguments, after a forward of its own; for other douts, or of other functions.

        Raises
        ------
        Exception
            What forward or backward raises.
        """
        forward, backward = functions or self.pair.functions()
        with replaying([f for f in (self.pair.forward, self.pair.backward) if f]), np.errstate(all="ignore"):
            *_, last = forward(*copy.deepcopy(self.arguments))
            if backward is None:
                return _listed(last)
            given = self.douts if douts is None else douts
            return _listed(backward(*(np.array(dout)[()] for dout in given), last))


def agree(gradient: Any, true: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Whether two gradients have one shape and differ by at most `tolerance` of the largest true entry."""
    gradient = np.asarray(gradient)
    if gradient.shape != true.shape or gradient.dtype.kind not in "fiub" or not np.isfinite(gradient).all():
        return False
    size = float(np.abs(true).max(initial=0))
    return bool(np.abs(gradient - true).max(initial=0) <= tolerance * size + 1e-300)


def case_of(pair: Pair, setting: Setting, seed: int = 0) -> Case:
    """Run a pair at a setting, and its forward as often as the true gradients need.

    Raises
    ------
    Exception
        What forward raises; what backward raises is kept in `error`.
    """
    pair = setting.pair or pair
    arguments = setting.arguments(pair, seed)
    if arguments is None:
        raise ValueError(f"the setting must have the parameters of {pair.names[0]}; got {setting.text}")
    forward, _ = pair.functions()
    active = [i for i, value in enumerate(arguments) if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    active = active[:1] if pair.is_loss else active
    names = [names_of(pair.forward, len(arguments))[i] for i in active]
    with replaying([f for f in (pair.forward, pair.backward) if f]) as rewind, np.errstate(all="ignore"):

        def outputs(values: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
            rewind()
            *outs, _ = forward(*copy.deepcopy(values))
            return tuple(np.array(np.ma.filled(np.asanyarray(out), 0), dtype=np.float64) for out in outs)

        outs = outputs(arguments)
        rng = np.random.default_rng((seed, *b"dout"))
        douts = tuple(np.ones(()) if pair.is_loss else rng.standard_normal(out.shape).round(2) for out in outs)
        true = [vjp(_moving(outputs, arguments, i), arguments[i], _flat(douts), method="five-point") for i in active]
    case = Case(pair, setting, seed, arguments, names, outs, douts, true, [])
    try:
        returned = _only(case.backward(), active, arguments)
    except Exception as error:
        return Case(pair, setting, seed, arguments, names, outs, douts, true, [], error)
    return Case(pair, setting, seed, arguments, names, outs, douts, true, returned)


def _moving(
    outputs: Callable[[tuple[Any, ...]], tuple[np.ndarray, ...]], arguments: tuple[Any, ...], i: int
) -> Callable[[np.ndarray], np.ndarray]:
    """All outputs, flattened into one, as a function of one argument."""
    return lambda x: _flat(outputs((*arguments[:i], x, *arguments[i + 1 :])))


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays])


def _listed(returned: Any) -> Gradients:
    """Gradients as a list of arrays and None."""
    several = returned if isinstance(returned, (tuple, list)) else [returned]
    return [None if g is None else np.array(np.ma.filled(np.asanyarray(g), 0)) for g in several]


def _only(gradients: Gradients, active: list[int], arguments: tuple[Any, ...]) -> Gradients:
    """The gradients of the floating arguments, where None was returned for the others as well."""
    if len(gradients) == len(arguments) != len(active):
        others = [g for i, g in enumerate(gradients) if i not in active]
        if all(g is None for g in others):
            return [gradients[i] for i in active]
    return gradients
