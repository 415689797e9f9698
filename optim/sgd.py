"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import check_number
from .base import Block, Optimizer


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's look ahead.

    .. math:: v \leftarrow \mu v + g, \qquad w \leftarrow w - \text{learning\_rate} \cdot
              \begin{cases} v & \text{momentum} \\ g + \mu v & \text{Nesterov} \end{cases}

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    learning_rate : float >= 0
    momentum : float in [0, 1), default 0.0
        Fraction mu of the velocity v that survives a step.
    nesterov : bool, default False
        Whether to take the gradient's step ahead of the velocity; needs momentum.
    weight_decay : float >= 0, default 0.0
        Decoupled from the gradient.

    Notes
    -----
    The velocity does not contain the learning rate, as in PyTorch; in CS231n's ``sgd_momentum`` it does,
    :math:`v \leftarrow \mu v - \text{learning\_rate} \cdot g`, which differs only while the rate changes.

    References
    ----------
    .. [1] Polyak (1964), "Some methods of speeding up the convergence of iteration methods"
    .. [2] Sutskever et al. (2013), "On the importance of initialization and momentum in deep learning"

    Examples
    --------
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0, 2.0]))
    >>> optimizer = SGD([w], learning_rate=0.1)
    >>> w.add_grad(np.array([10.0, 0.0]))
    >>> optimizer.step()
    >>> w.value
    array([0., 2.])
    """

    hyper_names = (*Optimizer.hyper_names, "momentum", "nesterov")

    def __init__(
        self,
        parameters: Any,
        *,
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.nesterov = bool(nesterov)
        if nesterov and not momentum:
            raise ValueError("nesterov needs momentum above 0; got momentum=0. Pass momentum=0.9")
        self.state_names = ("velocity",) if momentum else ()
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)

    def update(self, block: Block) -> None:
        w, g, state, scratch, _ = block
        direction = g
        if state:
            (v,) = state
            v *= self.momentum
            v += g
            direction = v
        if self.nesterov:
            direction = np.multiply(v, self.momentum, out=scratch)
            direction += g
        w -= np.multiply(direction, self.learning_rate, out=scratch)
