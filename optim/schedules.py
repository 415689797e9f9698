"""Learning-rate schedules: ``schedule(step) -> factor`` on the learning rate, with steps counted from 0.

Examples
--------
>>> schedule = warmup(10, cosine(100))
>>> [round(schedule(step), 3) for step in (0, 9, 10, 60, 110)]
[0.1, 1.0, 1.0, 0.5, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ._checks import check_number

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Factor 1 at every step."""
    return lambda step: 1.0


def step_decay(every: int, factor: float = 0.1) -> Schedule:
    r""":math:`\text{factor}^{\lfloor \text{step} / \text{every} \rfloor}`: a drop every so many steps.

    Parameters
    ----------
    every : int >= 1
        Steps between drops.
    factor : float > 0, default 0.1
        Of each drop.
    """
    every, factor = int(check_number("every", every, 1)), check_number("factor", factor, open_low=True)
    return lambda step: factor ** (step // every)


def exponential(decay: float) -> Schedule:
    r""":math:`\text{decay}^{\text{step}}`.

    Parameters
    ----------
    decay : float > 0
        Factor from one step to the next, such as 0.999.
    """
    decay = check_number("decay", decay, open_low=True)
    return lambda step: decay**step


def cosine(total: int, floor: float = 0.0) -> Schedule:
    r"""Half a cosine from 1 to `floor`: :math:`f + (1 - f) \frac12 (1 + \cos(\pi\,\text{step} / \text{total}))`.

    Parameters
    ----------
    total : int >= 1
        Steps until the floor is reached; it stays there.
    floor : float >= 0, default 0.0
        Last factor.

    References
    ----------
    .. [1] Loshchilov and Hutter (2016), eq. 5, without restarts, https://arxiv.org/abs/1608.03983
    """
    total, floor = int(check_number("total", total, 1)), check_number("floor", floor)
    return lambda step: floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(step / total, 1)))


def warmup(steps: int, then: Schedule) -> Schedule:
    r"""A linear rise over the first steps, :math:`(\text{step} + 1) / \text{steps}`, then another schedule from its start.

    Parameters
    ----------
    steps : int >= 0
        Length of the rise; the factor is 1 in its last step.
    then : callable
        Schedule that follows; its step 0 is the first after the rise.
    """
    steps = int(check_number("steps", steps))
    return lambda step: (step + 1) / steps * then(0) if step < steps else then(step - steps)


def one_cycle(total: int, rise: float = 0.3, start: float = 0.04, floor: float = 4e-6) -> Schedule:
    """Up from `start` to 1 and down to `floor`, both along half a cosine.

    Parameters
    ----------
    total : int >= 1
        Steps of the whole cycle.
    rise : float in [0, 1), default 0.3
        Fraction of the steps that go up.
    start, floor : float >= 0
        First and last factor; the defaults are those of PyTorch's ``OneCycleLR``.

    References
    ----------
    .. [1] Smith and Topin (2017), "Super-Convergence", https://arxiv.org/abs/1708.07120
    """
    total = int(check_number("total", total, 1))
    peak = check_number("rise", rise, 0, 1) * total
    start, floor = check_number("start", start), check_number("floor", floor)

    def between(a: float, b: float, t: float) -> float:
        return b + (a - b) * 0.5 * (1 + math.cos(math.pi * min(t, 1)))

    return lambda step: between(start, 1, step / peak) if step < peak else between(1, floor, (step - peak) / (total - peak))


class Plateau:
    """Drops the rate when a figure has stopped improving; `observe` is told the figure after each epoch.

    Parameters
    ----------
    factor : float in (0, 1), default 0.1
        Of each drop.
    patience : int >= 0, default 10
        Observations without improvement that are borne; the next one drops the rate.
    floor : float >= 0, default 0.0
        Smallest factor.

    Examples
    --------
    >>> schedule = Plateau(factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.observe(loss)
    >>> schedule(100)
    0.5
    """

    def __init__(self, factor: float = 0.1, patience: int = 10, floor: float = 0.0) -> None:
        self.drop = check_number("factor", factor, 0, 1, open_low=True)
        self.patience = int(check_number("patience", patience))
        self.floor = check_number("floor", floor)
        self.factor, self.best, self.bad = 1.0, math.inf, 0

    def __call__(self, step: int) -> float:
        return self.factor

    def observe(self, loss: float) -> None:
        """Take note of a figure, the smaller the better."""
        if loss < self.best:
            self.best, self.bad = loss, 0
            return
        self.bad += 1
        if self.bad > self.patience:
            self.factor, self.bad = max(self.floor, self.factor * self.drop), 0

    def state_dict(self) -> dict[str, Any]:
        """What `observe` has learnt so far."""
        return {"factor": self.factor, "best": self.best, "bad": self.bad}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.factor, self.best, self.bad = state["factor"], state["best"], state["bad"]
