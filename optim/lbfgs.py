"""L-BFGS, by SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._checks import check_number
from .base import Optimizer


class LBFGS(Optimizer):
    r"""Limited-memory BFGS with SciPy's line search: a quasi-Newton method for the whole data at once, not for batches.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    max_iter : int >= 1, default 20
        Iterations of one `step`, each with one or a few evaluations of the closure.
    history : int >= 1, default 10
        Pairs of steps and gradient differences that approximate the Hessian.
    tolerance : float >= 0, default 1e-9
        A step ends early when the loss falls by less than this fraction, or no entry of the gradient is larger.

    Notes
    -----
    The line search chooses the length of each step, so `learning_rate` is 1 and not used. Works in float64 inside. Each
    call of `step` starts its Hessian anew.

    References
    ----------
    .. [1] Liu and Nocedal (1989), "On the limited memory BFGS method for large scale optimization"

    Examples
    --------
    >>> from layers import Parameter
    >>> w = Parameter(np.array([3.0, -2.0]))
    >>> optimizer = LBFGS([w])
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     w.add_grad(2 * (w.value - 1))
    ...     return float(((w.value - 1) ** 2).sum())
    >>> optimizer.step(closure) < 1e-12
    True
    >>> w.value.round(6)
    array([1., 1.])
    """

    hyper_names = (*Optimizer.hyper_names, "max_iter", "history", "tolerance")
    needs_closure = True

    def __init__(self, parameters: Any, *, max_iter: int = 20, history: int = 10, tolerance: float = 1e-9) -> None:
        self.max_iter = int(check_number("max_iter", max_iter, 1))
        self.history = int(check_number("history", history, 1))
        self.tolerance = check_number("tolerance", tolerance)
        super().__init__(parameters, learning_rate=1.0)

    def step(self, closure: Callable[[], float] | None = None) -> float:  # type: ignore[override]
        """Up to `max_iter` iterations; returns the loss.

        Parameters
        ----------
        closure : callable
            Clears the gradients, runs forward and backward, and returns the loss.
        """
        if closure is None:
            raise TypeError("LBFGS.step needs a closure that runs zero_grad, forward and backward and returns the loss")
        from scipy.optimize import minimize  # here, because importing it costs more than all of `optim`

        def loss_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
            self._write(w)
            return float(closure()), np.concatenate(self.grads, dtype=np.float64)

        start = np.concatenate(self.values, dtype=np.float64)
        options = {"maxiter": self.max_iter, "maxcor": self.history, "ftol": self.tolerance, "gtol": self.tolerance}
        result = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
        self._write(result.x)
        self.steps += 1
        return float(result.fun)

    def _write(self, w: np.ndarray) -> None:
        start = 0
        for values in self.values:
            values[:] = w[start : start + values.size]
            start += values.size
