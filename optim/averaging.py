"""Running averages of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._checks import check_number
from .flat import flatten, named_parameters


class EMA:
    r"""Exponential moving average of the parameters: :math:`a \leftarrow d_t a + (1 - d_t) w`.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``. Buffers, such as running statistics, are averages already and are left as they are.
    decay : float in [0, 1), default 0.999
        Largest weight d of the old average; early on it is (1 + t) / (10 + t) after t updates, so that the average does not
        cling to the initial weights (TensorFlow's rule).

    References
    ----------
    .. [1] Polyak and Juditsky (1992), "Acceleration of stochastic approximation by averaging"

    Examples
    --------
    >>> from layers import Parameter
    >>> w = Parameter(np.zeros(1))
    >>> average = EMA([w], decay=0.5)
    >>> w.value = [1.0]
    >>> average.update()
    >>> with average.applied():
    ...     print(w.value)
    [0.81818182]
    >>> w.value
    array([1.])
    """

    def __init__(self, parameters: Any, decay: float = 0.999) -> None:
        self.decay = check_number("decay", decay, 0, 1)
        self.parameters = named_parameters(parameters)
        self.updates = 0
        self._flats = flatten(self.parameters)
        self._averages = [flat.values.copy() for flat in self._flats]

    def update(self) -> None:
        """Take the present values into the average."""
        self._settle()
        self.updates += 1
        weight = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for flat, average in zip(self._flats, self._averages):
            average += weight * (flat.values - average)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the parameters hold their averages, and afterwards their own values again."""
        self._settle()
        own = [flat.values.copy() for flat in self._flats]
        for flat, average in zip(self._flats, self._averages):
            flat.values[:] = average
        try:
            yield
        finally:
            for flat, values in zip(self._flats, own):
                flat.values[:] = values

    def state_dict(self) -> dict[str, Any]:
        """Number of updates, and a copy of the average of each parameter by name."""
        state: dict[str, Any] = {"updates": self.updates}
        for flat, average in zip(self._flats, self._averages):
            state |= {name: average[at].reshape(flat.named[name].value.shape).copy() for name, at in flat.slices.items()}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict` of the same parameters."""
        if state.keys() != self.state_dict().keys():
            raise ValueError(f"state must have the names {sorted(self.state_dict())}; got {sorted(state)}")
        self.updates = state["updates"]
        for flat, average in zip(self._flats, self._averages):
            for name, at in flat.slices.items():
                average[at] = np.ravel(state[name])

    def _settle(self) -> None:
        if any([flat.is_stale() for flat in self._flats]):  # the parameters have moved, perhaps to another dtype
            state = self.state_dict()
            self._flats = flatten(self.parameters)
            self._averages = [flat.values.copy() for flat in self._flats]
            self.load_state_dict(state)
