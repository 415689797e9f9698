"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._checks import check_number
from .base import Block, Optimizer


class Adam(Optimizer):
    r"""Adaptive moments: momentum over a running root mean square, both corrected for their start at zero.

    .. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2

    .. math:: w \leftarrow w - \text{learning\_rate} \cdot \hat m / (\sqrt{\hat v} + \text{eps}), \qquad
              \hat m = m / (1 - \beta_1^t), \quad \hat v = v / (1 - \beta_2^t)

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    learning_rate : float >= 0, default 1e-3
        About the largest change of an entry in one step.
    betas : (float, float), each in [0, 1), default (0.9, 0.999)
        Weights of the old moments.
    eps : float > 0, default 1e-8
        In the units of the gradient.
    weight_decay : float >= 0, default 0.0
        Decoupled from the gradient, in `Adam` as in `AdamW`.

    Notes
    -----
    PyTorch's ``Adam`` adds its weight decay to the gradient; for that use `layers.L2Penalty`.

    References
    ----------
    .. [1] Kingma and Ba (2014), algorithm 1, https://arxiv.org/abs/1412.6980
    """

    state_names = ("mean", "square_mean")
    hyper_names = (*Optimizer.hyper_names, "betas", "eps")

    def __init__(
        self,
        parameters: Any,
        *,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        try:
            beta1, beta2 = betas
        except (TypeError, ValueError):
            raise ValueError(f"betas must be two numbers in [0, 1); got {betas!r}") from None
        self.betas = check_number("betas[0]", beta1, 0, 1), check_number("betas[1]", beta2, 0, 1)
        self.eps = check_number("eps", eps, open_low=True)
        super().__init__(parameters, learning_rate=learning_rate, weight_decay=weight_decay)

    def update(self, block: Block) -> None:
        w, g, (m, v), scratch, _ = block
        beta1, beta2 = self.betas
        m *= beta1
        m += np.multiply(g, 1 - beta1, out=scratch)
        v *= beta2
        np.multiply(g, g, out=scratch)
        scratch *= 1 - beta2
        v += scratch
        # m_hat / (sqrt(v_hat) + eps) = m / (sqrt(v) + eps * root) * root / correction: the corrections are numbers
        correction, root = 1 - beta1**self.steps, math.sqrt(1 - beta2**self.steps)
        np.sqrt(v, out=scratch)
        scratch += self.eps * root
        np.divide(m, scratch, out=scratch)
        scratch *= self.learning_rate * root / correction
        w -= scratch


class AdamW(Adam):
    """`Adam` with the weight decay that it is known for, 0.01 unless given.

    Parameters
    ----------
    parameters, learning_rate, betas, eps
        As in `Adam`.
    weight_decay : float >= 0, default 0.01
        Decoupled from the gradient; biases and norms are left out, unlike PyTorch's ``AdamW`` on one group.

    References
    ----------
    .. [1] Loshchilov and Hutter (2017), algorithm 2, https://arxiv.org/abs/1711.05101
    """

    def __init__(
        self,
        parameters: Any,
        *,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, learning_rate=learning_rate, betas=betas, eps=eps, weight_decay=weight_decay)
