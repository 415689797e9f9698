"""RMSProp."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import check_number
from .base import Block, Optimizer


class RMSProp(Optimizer):
    r"""Each gradient divided by a running root mean square of itself.

    .. math:: s \leftarrow \rho s + (1 - \rho) g^2, \qquad
              w \leftarrow w - \text{learning\_rate} \cdot g / (\sqrt{s} + \text{eps})

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    learning_rate : float >= 0, default 1e-3
    decay_rate : float in [0, 1), default 0.99
        Weight rho of the old mean square; CS231n's name and default, PyTorch's ``alpha``.
    eps : float > 0, default 1e-8
        In the units of the gradient, outside the root, as in PyTorch and CS231n; TensorFlow has it inside.
    weight_decay : float >= 0, default 0.0
        Decoupled from the gradient.

    References
    ----------
    .. [1] Tieleman and Hinton (2012), "Lecture 6.5, RMSProp", COURSERA: Neural Networks for Machine Learning
    """

    state_names = ("square_mean",)
    hyper_names = (*Optimizer.hyper_names, "decay_rate", "eps")

    def __init__(
        self,
        parameters: Any,
        *,
        learning_rate: float = 1e-3,
        decay_rate: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.decay_rate = check_number("decay_rate", decay_rate, 0, 1)
        self.eps = check_number("eps", eps, open_low=True)
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)

    def update(self, block: Block) -> None:
        w, g, (s,), scratch, _ = block
        s *= self.decay_rate
        np.multiply(g, g, out=scratch)
        scratch *= 1 - self.decay_rate
        s += scratch
        np.sqrt(s, out=scratch)
        scratch += self.eps
        np.divide(g, scratch, out=scratch)
        scratch *= self.learning_rate
        w -= scratch
