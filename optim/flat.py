"""All parameters in one vector, so that an update is a few calls on one array instead of many on small ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Named = dict[str, Any]


def named_parameters(parameters: Any) -> Named:
    """A dict from names to parameters, of ``layer.parameters()`` or of an iterable of parameters, which get numbers.

    Raises
    ------
    TypeError
        If an item has no `value` and `grad`.
    ValueError
        If there are none.
    """
    if isinstance(parameters, Mapping):
        named = dict(parameters)
    elif isinstance(parameters, Iterable):
        named = {str(i): parameter for i, parameter in enumerate(parameters)}
    else:
        raise TypeError(f"parameters must be a dict such as model.parameters(); got {type(parameters).__name__}")
    for name, parameter in named.items():
        if not (hasattr(parameter, "value") and hasattr(parameter, "grad")):
            raise TypeError(
                f"parameters[{name!r}] must be a Parameter, with value and grad; got {type(parameter).__name__}. "
                "Pass model.parameters()"
            )
    if not named:
        raise ValueError("parameters must hold at least one parameter; got none. Pass model.parameters()")
    return named


class Flat:
    """The parameters of one dtype as two vectors, `values` and `grads`; each parameter is a view into both.

    Those that decay come first, so that weight decay is one operation on the first `decayed` entries. Parameters that
    already lie side by side, because another optimizer put them there, stay where they are and are shared.

    Parameters
    ----------
    named : dict of str to Parameter
        Of one dtype.
    """

    def __init__(self, named: Named) -> None:
        self.named = dict(sorted(named.items(), key=lambda item: not item[1].decay))  # a stable sort
        parameters = list(self.named.values())
        self.decayed = sum(p.value.size for p in parameters if p.decay)
        stops = np.cumsum([p.value.size for p in parameters])
        self.slices = {name: slice(int(stop) - p.value.size, int(stop)) for (name, p), stop in zip(self.named.items(), stops)}
        shared = _side_by_side([p.value for p in parameters]), _side_by_side([p.grad for p in parameters])
        if shared[0] is not None and shared[1] is not None:
            self.values, self.grads = shared
        else:
            self.values, self.grads = (np.empty(int(stops[-1]), parameters[0].value.dtype) for _ in range(2))
            for p, at in zip(parameters, self.slices.values()):
                p.move_to(self.values[at].reshape(p.value.shape), self.grads[at].reshape(p.value.shape))
        self._views = [(p, p.value) for p in parameters]

    def is_stale(self) -> bool:
        """Whether a parameter has moved elsewhere; settles the gradients that never came, which count as zero."""
        for parameter, view in self._views:
            if parameter.value is not view:
                return True
            parameter.grad  # noqa: B018  reading it writes the zeros
        return False


def flatten(named: Named) -> list[Flat]:
    """The parameters as vectors, one `Flat` a dtype."""
    dtypes = dict.fromkeys(p.value.dtype for p in named.values())
    return [Flat({name: p for name, p in named.items() if p.value.dtype == dtype}) for dtype in dtypes]


def _side_by_side(arrays: list[np.ndarray]) -> np.ndarray | None:
    """The stretch of one vector that these arrays are, in this order; None if they are not."""
    owner = arrays[0].base
    if not isinstance(owner, np.ndarray) or owner.ndim != 1 or owner.dtype != arrays[0].dtype:
        return None
    start = address = arrays[0].__array_interface__["data"][0]
    for array in arrays:
        if array.base is not owner or not array.flags.c_contiguous or array.__array_interface__["data"][0] != address:
            return None
        address += array.nbytes
    first = (start - owner.__array_interface__["data"][0]) // owner.itemsize
    return owner[first : first + (address - start) // owner.itemsize]
