"""RMSProp."""

from __future__ import annotations

import math

import numpy as np

from ._checks import check_number
from .base import Optimizer
from .flat import Parameters


class RMSProp(Optimizer):
    r"""Gradients divided by a running root mean square of themselves.

    .. math:: v \leftarrow \rho v + (1 - \rho) g^2, \qquad w \leftarrow w - \eta \frac{g}{\sqrt v + \epsilon}

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    learning_rate : float >= 0, default 0.01
        :math:`\eta`.
    decay : float in [0, 1), default 0.99
        :math:`\rho`, the weight of the old mean square.
    eps : float > 0, default 1e-8
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
    Formula and defaults are PyTorch's, whose ``alpha`` is `decay`; TensorFlow puts :math:`\epsilon` under the root. As
    v starts at zero and is not corrected for it, the first steps are :math:`1 / \sqrt{1 - \rho}` times too long.

    References
    ----------
    .. [1] Tieleman and Hinton (2012), "Lecture 6.5 - rmsprop", Coursera: Neural Networks for Machine Learning

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = RMSProp({"w": w}, learning_rate=0.01)
    >>> w.add_grad(np.array([3.0, -0.01]))
    >>> optimizer.step()
    >>> w.value.round(4)
    array([0.9, 1.1])
    """

    numbers = (*Optimizer.numbers, "decay", "eps")

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float = 0.01,
        decay: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        threads: int = 1,
    ) -> None:
        self.decay = check_number("decay", decay, 0, 1)
        self.eps = check_number("eps", eps, 0, open_low=True)
        super().__init__(
            parameters, learning_rate=learning_rate, weight_decay=weight_decay, threads=threads, state=("v",)
        )

    def update(self, w: np.ndarray, g: np.ndarray, scratch: np.ndarray, v: np.ndarray) -> None:
        """One step on one block, in place; `v` is kept divided by 1 - decay, which saves a pass."""
        root = math.sqrt(1 - self.decay)
        v *= self.decay
        np.multiply(g, g, out=scratch)
        v += scratch
        np.sqrt(v, out=scratch)  # root times this is the root of the mean square
        scratch += self.eps / root
        np.divide(g, scratch, out=scratch)
        scratch *= self.learning_rate / root
        w -= scratch
