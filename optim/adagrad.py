"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import check_number
from .base import Block, Optimizer


class Adagrad(Optimizer):
    r"""Adaptive gradient: each entry's rate falls with the sum of its squared gradients.

    .. math:: s \leftarrow s + g^2, \qquad w \leftarrow w - \text{learning\_rate} \cdot g / (\sqrt{s} + \text{eps})

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    learning_rate : float >= 0, default 0.01
    eps : float > 0, default 1e-10
        In the units of the gradient.
    weight_decay : float >= 0, default 0.0
        Decoupled from the gradient.

    References
    ----------
    .. [1] Duchi, Hazan and Singer (2011), "Adaptive Subgradient Methods", https://jmlr.org/papers/v12/duchi11a.html
    """

    state_names = ("square_sum",)
    hyper_names = (*Optimizer.hyper_names, "eps")

    def __init__(
        self, parameters: Any, *, learning_rate: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        self.eps = check_number("eps", eps, open_low=True)
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)

    def update(self, block: Block) -> None:
        w, g, (s,), scratch, _ = block
        s += np.multiply(g, g, out=scratch)
        np.sqrt(s, out=scratch)
        scratch += self.eps
        np.divide(g, scratch, out=scratch)
        scratch *= self.learning_rate
        w -= scratch
