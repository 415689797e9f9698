"""Schedules of the learning rate: ``schedule(step)`` is the factor on the base rate at a step.

Steps count from 0, and each is one update. A schedule is a plain function of the step, so that a resumed run needs no
state; any function will do, such as ``lambda step: 1 / (1 + 0.01 * step)``. Only `Plateau` depends on what happened.

    optimizer.learning_rate = base_rate * schedule(step)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ._checks import check_count, check_number

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The base rate throughout: 1.

    Examples
    --------
    >>> Constant()(1000)
    1.0
    """

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    r"""A drop every so often: :math:`\gamma^{\lfloor t / \text{every} \rfloor}`.

    Parameters
    ----------
    every : int
        Steps between drops.
    factor : float in (0, 1], default 0.1
        :math:`\gamma`.
    minimum : float >= 0, default 0.0
        The factor never falls below.

    Examples
    --------
    >>> [StepDecay(every=2, factor=0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    every: int
    factor: float = 0.1
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_count("every", self.every)
        _check_factor("factor", self.factor)
        check_number("minimum", self.minimum, 0)

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        return max(self.minimum, self.factor ** (step // self.every))


@dataclass(frozen=True)
class ExponentialDecay:
    r"""A steady fall: :math:`\gamma^{t / \text{every}}`.

    Parameters
    ----------
    every : int
        Steps in which the rate falls to `factor` of what it was, such as the steps of an epoch.
    factor : float in (0, 1], default 0.95
        :math:`\gamma`.
    minimum : float >= 0, default 0.0
        The factor never falls below.

    Examples
    --------
    >>> round(ExponentialDecay(every=2, factor=0.25)(1), 12)
    0.5
    """

    every: int
    factor: float = 0.95
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_count("every", self.every)
        _check_factor("factor", self.factor)
        check_number("minimum", self.minimum, 0)

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        return float(max(self.minimum, self.factor ** (step / self.every)))


@dataclass(frozen=True)
class CosineDecay:
    r"""Half a cosine from 1 to the minimum: :math:`m + (1 - m) \tfrac12 (1 + \cos(\pi t / T))`.

    Parameters
    ----------
    total_steps : int
        T; from then on the factor stays at the minimum.
    minimum : float in [0, 1], default 0.0
        m, the lowest rate divided by the base rate.

    References
    ----------
    .. [1] Loshchilov and Hutter (2017), "SGDR", eq. 5, without restarts, https://arxiv.org/abs/1608.03983

    Examples
    --------
    >>> [round(CosineDecay(total_steps=4)(t), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    total_steps: int
    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_count("total_steps", self.total_steps)
        _check_share("minimum", self.minimum)

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        return _cosine(1.0, self.minimum, step / self.total_steps)


@dataclass(frozen=True)
class Warmup:
    r"""A linear rise before another schedule: :math:`\tfrac{t + 1}{W} s(0)` for t < W, then :math:`s(t - W)`.

    Parameters
    ----------
    warmup_steps : int
        W; 0 for none.
    after : callable, default Constant()
        The schedule s, whose steps count from the end of the warm-up.

    References
    ----------
    .. [1] Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 2.2, https://arxiv.org/abs/1706.02677

    Examples
    --------
    >>> [Warmup(4, StepDecay(every=2))(t) for t in range(7)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.1]
    """

    warmup_steps: int
    after: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        check_count("warmup_steps", self.warmup_steps, 0)
        if not callable(self.after):
            raise TypeError(f"after must be a schedule, a function of the step; got {self.after!r}")

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps * self.after(0)
        return self.after(step - self.warmup_steps)


@dataclass(frozen=True)
class OneCycle:
    """Half a cosine up to the base rate, half a cosine down to almost nothing.

    From ``1 / div_factor`` at step 0 to 1 at step ``pct_start * total_steps - 1``, and from there to
    ``1 / (div_factor * final_div_factor)`` at the last step, ``total_steps - 1``.

    Parameters
    ----------
    total_steps : int
        Steps of the whole training; beyond them the factor stays.
    pct_start : float in (0, 1), default 0.3
        The share (not the percentage) of the steps that the rise takes.
    div_factor : float >= 1, default 25.0
        The base rate, which is the highest, divided by the first.
    final_div_factor : float >= 1, default 1e4
        The first rate divided by the last.

    Notes
    -----
    PyTorch's ``OneCycleLR``, for the rate alone: it cycles the momentum as well, unless told not to.

    References
    ----------
    .. [1] Smith and Topin (2018), "Super-Convergence", https://arxiv.org/abs/1708.07120

    Examples
    --------
    >>> [round(OneCycle(total_steps=10, pct_start=0.5)(t), 3) for t in range(10)]
    [0.04, 0.181, 0.52, 0.859, 1.0, 0.905, 0.655, 0.345, 0.095, 0.0]
    """

    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        check_count("total_steps", self.total_steps)
        check_number("pct_start", self.pct_start, 0, 1, open_low=True)
        check_number("div_factor", self.div_factor, 1)
        check_number("final_div_factor", self.final_div_factor, 1)

    def __call__(self, step: int) -> float:
        """The factor at `step`."""
        first = 1 / self.div_factor
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step < top:
            return _cosine(first, 1.0, step / top)
        return _cosine(1.0, first / self.final_div_factor, (step - top) / (last - top))


@dataclass
class Plateau:
    """A drop whenever a metric has stopped getting better.

    ``update(metric)`` is to be called after each epoch; ``plateau(step)`` is the factor since then, whatever the step.

    Parameters
    ----------
    factor : float in (0, 1], default 0.1
        Of each drop.
    patience : int, default 10
        Epochs without a better metric that are let pass; one more, and the rate drops.
    mode : {"min", "max"}, default "min"
        Whether the smaller metric is the better, as for a loss, or the larger, as for an accuracy.
    threshold : float in [0, 1), default 1e-4
        A metric is better if it differs from the best by more than this share of the best. A metric that is NaN is not.
    minimum : float >= 0, default 0.0
        The factor never falls below.

    Notes
    -----
    PyTorch's ``ReduceLROnPlateau`` without its cooldown; for negative metrics, where its relative threshold takes the
    slightly worse for better, ours does not.

    Examples
    --------
    >>> plateau = Plateau(factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.0, 2.5]:
    ...     plateau.update(loss)
    >>> plateau(0)
    0.5
    """

    factor: float = 0.1
    patience: int = 10
    mode: str = "min"
    threshold: float = 1e-4
    minimum: float = 0.0
    current: float = field(default=1.0, init=False)
    best: float = field(default=math.nan, init=False)  # NaN before the first metric
    bad_epochs: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _check_factor("factor", self.factor)
        check_count("patience", self.patience, 0)
        check_number("threshold", self.threshold, 0, 1)
        check_number("minimum", self.minimum, 0)
        if self.mode not in ("min", "max"):
            raise ValueError(f'mode must be "min" or "max"; got {self.mode!r}')

    def __call__(self, step: int) -> float:
        """The factor now, whatever the `step`."""
        return self.current

    def update(self, metric: float) -> None:
        """Take note of the metric of one more epoch."""
        gain = self.best - metric if self.mode == "min" else metric - self.best
        if gain > self.threshold * abs(self.best) or (math.isnan(self.best) and not math.isnan(metric)):
            self.best, self.bad_epochs = float(metric), 0
        else:
            self.bad_epochs += 1
        if self.bad_epochs > self.patience:
            self.current, self.bad_epochs = max(self.minimum, self.current * self.factor), 0

    def state_dict(self) -> dict[str, float]:
        """What `update` has gathered."""
        return {"current": self.current, "best": self.best, "bad_epochs": self.bad_epochs}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Take over what `state_dict` returned."""
        if state.keys() != self.state_dict().keys():
            raise ValueError(f"state must have the keys {sorted(self.state_dict())} of Plateau; got {sorted(state)}")
        self.current, self.best = float(state["current"]), float(state["best"])
        self.bad_epochs = int(state["bad_epochs"])


def _cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine from `start`, at progress 0, to `end`, at progress 1 and beyond."""
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _check_factor(name: str, value: float) -> None:
    if check_number(name, value, 0, open_low=True) > 1:
        raise ValueError(f"{name} must be a number above 0, at most 1; got {value!r}")


def _check_share(name: str, value: float) -> None:
    if check_number(name, value, 0) > 1:
        raise ValueError(
            f"{name} must be a number from 0 to 1; got {value!r}. It is the lowest rate divided by the base rate"
        )
