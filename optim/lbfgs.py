"""Limited-memory BFGS, by SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._checks import check_count, check_number
from .base import Optimizer
from .flat import Parameters


class LBFGS(Optimizer):
    r"""Quasi-Newton steps with a line search, for full batches.

    Each step moves along :math:`-H g`, where the inverse Hessian H is estimated from the last `history_size` changes
    of w and g, as far as the strong Wolfe conditions allow.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    max_iter : int, default 20
        Iterations of one `step`, each of which calls the closure once or a few times.
    history_size : int, default 10
        Changes that are remembered, within one `step`.
    tolerance_grad : float >= 0, default 1e-7
        A step ends when no component of the gradient is larger.
    tolerance_change : float >= 0, default 1e-9
        A step ends when an iteration lowers the loss by less than this, relative to the larger of loss and 1.

    Raises
    ------
    ValueError
        If an option is out of its range, `step` gets no closure, or `learning_rate` is set to another number than 1.

    Notes
    -----
    The closure must compute the same function whenever it is called within one step: one batch, best the whole
    training set, without dropout. The search runs in float64, whatever the parameters' dtype, in which each trial point
    is rounded; in float32 it ends when rounding hides the descent. PyTorch's ``LBFGS`` has a fixed rate, a history
    that lasts over its steps, and no line search unless asked; here the line search finds the rate, so that there is
    no schedule, and weight decay belongs into the closure as an L2 penalty.

    References
    ----------
    .. [1] Byrd, Lu, Nocedal and Zhu (1995), "A Limited Memory Algorithm for Bound Constrained Optimization"

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([3.0, -2.0]))
    >>> optimizer = LBFGS({"w": w})
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     w.add_grad(np.array([2.0, 200.0]) * (w.value - 1))
    ...     return float(np.array([1.0, 100.0]) @ (w.value - 1) ** 2)
    >>> round(optimizer.step(closure), 6)
    0.0
    >>> w.value.round(6)
    array([1., 1.])
    """

    numbers = ("max_iter", "history_size", "tolerance_grad", "tolerance_change", "steps")
    needs_closure = True

    def __init__(
        self,
        parameters: Parameters,
        *,
        max_iter: int = 20,
        history_size: int = 10,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
    ) -> None:
        self.max_iter = check_count("max_iter", max_iter)
        self.history_size = check_count("history_size", history_size)
        self.tolerance_grad = check_number("tolerance_grad", tolerance_grad, 0)
        self.tolerance_change = check_number("tolerance_change", tolerance_change, 0)
        super().__init__(parameters, learning_rate=1.0)

    @property
    def learning_rate(self) -> float:
        """Always 1: the line search finds the length of each step."""
        return 1.0

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if rate != 1:
            raise ValueError(
                f"learning_rate of LBFGS must be 1, its line search finds the rate; got {rate!r}. Use no schedule"
            )

    def step(self, closure: Callable[[], float] | None = None) -> float:
        """Run up to `max_iter` iterations; if the closure raises, the parameters are put back.

        Parameters
        ----------
        closure : callable
            ``closure() -> loss`` clears the gradients, runs forward and backward.

        Returns
        -------
        loss : float
            At the point reached. The gradients may be those of another trial point.
        """
        from scipy.optimize import minimize  # here, because importing SciPy costs more than all of `optim`

        if closure is None:
            raise ValueError(
                "LBFGS.step needs a closure that clears the gradients, runs forward and backward, returns the loss"
            )

        def loss_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
            self._put(x)
            loss = float(closure())
            return loss, np.concatenate(self.grads, dtype=np.float64)

        start = np.concatenate(self.values, dtype=np.float64)
        options = {
            "maxiter": self.max_iter,
            "maxfun": math.inf,
            "maxcor": self.history_size,
            "gtol": self.tolerance_grad,
            "ftol": self.tolerance_change,
        }
        try:
            found = minimize(loss_and_gradient, start, method="L-BFGS-B", jac=True, options=options)
        except BaseException:
            self._put(start)
            raise
        self._put(found.x)
        self.steps += 1
        return float(found.fun)

    def _put(self, x: np.ndarray) -> None:
        """Copy the vector into the parameters, in their dtypes."""
        end = 0
        for values in self.values:
            start, end = end, end + values.size
            values[...] = x[start:end]
