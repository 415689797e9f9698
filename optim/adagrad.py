"""Adagrad."""

from __future__ import annotations

import numpy as np

from ._checks import check_number
from .base import Optimizer
from .flat import Parameters


class Adagrad(Optimizer):
    r"""A rate for each weight, that falls as its squared gradients add up.

    .. math:: v \leftarrow v + g^2, \qquad w \leftarrow w - \eta \frac{g}{\sqrt v + \epsilon}

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    learning_rate : float >= 0, default 0.01
        :math:`\eta`; near the size of the first step of every weight.
    eps : float > 0, default 1e-10
        :math:`\epsilon`, in the units of a gradient.
    weight_decay : float >= 0, default 0.0
        Decoupled, as in `Optimizer`.
    threads : int, default 1
        As in `Optimizer`.

    Raises
    ------
    ValueError
        If an option is out of its range.

    Notes
    -----
    The defaults are PyTorch's; CS231n shows :math:`\epsilon` from 1e-4 to 1e-8.

    References
    ----------
    .. [1] Duchi, Hazan and Singer (2011), "Adaptive Subgradient Methods for Online Learning and Stochastic
       Optimization", https://jmlr.org/papers/v12/duchi11a.html

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Adagrad({"w": w}, learning_rate=0.1)
    >>> w.add_grad(np.array([3.0, -0.01]))
    >>> optimizer.step()
    >>> w.value.round(6)
    array([0.9, 1.1])
    """

    numbers = (*Optimizer.numbers, "eps")

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float = 0.01,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        threads: int = 1,
    ) -> None:
        self.eps = check_number("eps", eps, 0, open_low=True)
        super().__init__(
            parameters, learning_rate=learning_rate, weight_decay=weight_decay, threads=threads, state=("v",)
        )

    def update(self, w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray) -> None:
        """One step on one block, in place."""
        np.multiply(g, g, out=scratch)
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += self.eps
        np.divide(g, scratch, out=scratch)
        scratch *= self.learning_rate
        w -= scratch
