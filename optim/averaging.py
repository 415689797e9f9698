"""Weights averaged over the steps of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ._checks import check_number
from .flat import FlatParameters, Parameters, Stateful


class EMA(Stateful):
    r"""Exponential moving average of the parameters, to evaluate with instead of the last ones.

    .. math:: a \leftarrow d_t a + (1 - d_t) w, \qquad d_t = \min\left(d, \frac{1 + t}{10 + t}\right)

    with the average a, which starts as w, and t the updates before this one.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    decay : float in [0, 1), default 0.999
        d; the average looks back over some 1 / (1 - d) updates.
    warmup : bool, default True
        Whether the decay rises to d; without it :math:`d_t = d`, and the initial weights keep their share
        :math:`d^t`, most of the average before 1 / (1 - d) updates.

    Raises
    ------
    ValueError
        If `decay` is out of its range, or there are no parameters.

    Notes
    -----
    TensorFlow's ``ExponentialMovingAverage`` warms up in this way if given the number of updates; PyTorch's
    ``AveragedModel`` does not warm up. Buffers, such as the running statistics of batch normalization, are not
    averaged: the model keeps its last ones.

    References
    ----------
    .. [1] Polyak and Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging"

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([0.0]))
    >>> average = EMA({"w": w}, decay=0.5, warmup=False)
    >>> w.value = np.array([8.0])
    >>> average.update()
    >>> with average.applied():
    ...     print(w.value)
    [4.]
    >>> w.value
    array([8.])
    """

    numbers = ("decay", "warmup", "updates")

    def __init__(self, parameters: Parameters, decay: float = 0.999, *, warmup: bool = True) -> None:
        self.decay = check_number("decay", decay, 0, 1)
        self.warmup = bool(warmup)
        self.updates = 0
        self.flat = FlatParameters(parameters, state=("average",))
        for average, values in zip(self.flat.state["average"], self.flat.values):
            average[...] = values

    def update(self) -> None:
        """Move the average towards the parameters; to be called after each step of the optimizer."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1

        def move(w: np.ndarray, g: np.ndarray, scratch: np.ndarray, average: np.ndarray) -> None:
            np.subtract(w, average, out=scratch)
            scratch *= 1 - decay
            average += scratch

        self.flat.refresh()
        self.flat.each(move)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within the ``with`` block the parameters are the averages; after it they are what they were before."""
        self.flat.refresh()
        before = {name: parameter.value.copy() for name, parameter in self.flat.parameters.items()}
        for values, average in zip(self.flat.values, self.flat.state["average"]):
            values[...] = average
        try:
            yield
        finally:
            for name, parameter in self.flat.parameters.items():
                parameter.value[...] = before[name]
