"""Stochastic gradient descent, plain, with momentum, and with Nesterov's."""

from __future__ import annotations

import numpy as np

from ._checks import check_number
from .base import Optimizer
from .flat import Parameters


class SGD(Optimizer):
    r"""Stochastic gradient descent.

    .. math:: v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v

    with :math:`w \leftarrow w - \eta (g + \mu v)` by Nesterov, and :math:`w \leftarrow w - \eta g` without momentum.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    learning_rate : float >= 0
        :math:`\eta`.
    momentum : float in [0, 1), default 0.0
        :math:`\mu`, the share of the velocity that is kept. An optimizer made with 0 keeps no velocity.
    nesterov : bool, default False
        Look ahead along the velocity; needs momentum.
    weight_decay : float >= 0, default 0.0
        Decoupled, as in `Optimizer`.
    threads : int, default 1
        As in `Optimizer`.

    Raises
    ------
    ValueError
        If an option is out of its range, or `nesterov` comes without momentum.

    Notes
    -----
    The velocity excludes the rate, as in PyTorch: a lower rate slows the next step at once. CS231n's and Sutskever's
    velocity :math:`v \leftarrow \mu v - \eta g` includes it; the two take the same path while the rate is constant.
    PyTorch's ``weight_decay`` is an L2 penalty.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep
       learning", eqs. 1 to 4

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0]))
    >>> optimizer = SGD({"w": w}, learning_rate=0.1, momentum=0.5)
    >>> w.add_grad(np.array([2.0]))
    >>> optimizer.step()  # v = 2
    >>> optimizer.step()  # v = 0.5 * 2 + 2
    >>> w.value.round(12)
    array([0.5])
    """

    numbers = (*Optimizer.numbers, "momentum", "nesterov")

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        threads: int = 1,
    ) -> None:
        self.momentum = check_number("momentum", momentum, 0, 1)
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError(
                "nesterov needs momentum above 0, to look ahead along it; got momentum=0. Try momentum=0.9"
            )
        state = ("velocity",) if self.momentum else ()
        super().__init__(
            parameters, learning_rate=learning_rate, weight_decay=weight_decay, threads=threads, state=state
        )

    def update(self, w: np.ndarray, g: np.ndarray, scratch: np.ndarray, velocity: np.ndarray | None = None) -> None:
        """One step on one block, in place."""
        if velocity is None:
            np.multiply(g, self.learning_rate, out=scratch)
        else:
            velocity *= self.momentum
            velocity += g
            if self.nesterov:
                np.multiply(velocity, self.momentum, out=scratch)
                scratch += g
                scratch *= self.learning_rate
            else:
                np.multiply(velocity, self.learning_rate, out=scratch)
        w -= scratch
