"""Adam, and Adam with weight decay."""

from __future__ import annotations

import math

import numpy as np

from ._checks import check_number
from .base import Optimizer
from .flat import Parameters


class Adam(Optimizer):
    r"""Adaptive moments: a running mean of the gradient, divided by its running root mean square.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2

        w \leftarrow w - \eta \frac{\hat m}{\sqrt{\hat v} + \epsilon}, \qquad
        \hat m = \frac{m}{1 - \beta_1^t}, \quad \hat v = \frac{v}{1 - \beta_2^t}

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``.
    learning_rate : float >= 0, default 0.001
        :math:`\eta`; near the largest change of a weight in one step.
    betas : tuple of two floats in [0, 1), default (0.9, 0.999)
        :math:`\beta_1, \beta_2`, the weights of the old means.
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
    The weight decay is decoupled, so that this is PyTorch's ``AdamW`` with another default; the ``weight_decay`` of
    PyTorch's ``Adam`` is an L2 penalty. The state holds :math:`m / (1 - \beta_1)` and :math:`v / (1 - \beta_2)`.

    References
    ----------
    .. [1] Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", algorithm 1,
       https://arxiv.org/abs/1412.6980

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0, 1.0]))
    >>> optimizer = Adam({"w": w}, learning_rate=0.1)
    >>> w.add_grad(np.array([3.0, -0.01]))
    >>> optimizer.step()
    >>> w.value.round(6)
    array([0.9, 1.1])
    """

    numbers = (*Optimizer.numbers, "betas", "eps")

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        threads: int = 1,
    ) -> None:
        if np.shape(betas) != (2,):
            raise ValueError(f"betas must be two numbers (beta1, beta2); got {betas!r}")
        self.betas = check_number("betas[0]", betas[0], 0, 1), check_number("betas[1]", betas[1], 0, 1)
        self.eps = check_number("eps", eps, 0, open_low=True)
        super().__init__(
            parameters, learning_rate=learning_rate, weight_decay=weight_decay, threads=threads, state=("m", "v")
        )

    def update(self, w: np.ndarray, g: np.ndarray, scratch: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
        """One step on one block, in place; `m` and `v` are kept as sums, which saves a pass."""
        beta1, beta2 = self.betas
        m_scale = (1 - beta1) / (1 - beta1**self.steps)  # times m is m hat
        v_scale = math.sqrt((1 - beta2) / (1 - beta2**self.steps))  # times root of v is root of v hat
        m *= beta1
        m += g
        v *= beta2
        np.multiply(g, g, out=scratch)
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += self.eps / v_scale
        np.divide(m, scratch, out=scratch)
        scratch *= self.learning_rate * m_scale / v_scale
        w -= scratch


class AdamW(Adam):
    r"""Adam whose weights decay, :math:`w \leftarrow (1 - \eta \lambda) w`, before each step.

    `Adam` with another default: ``weight_decay=0.01``. All else is as there.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", algorithm 2,
       https://arxiv.org/abs/1711.05101

    Examples
    --------
    >>> import numpy as np
    >>> from layers import Parameter
    >>> w = Parameter(np.array([100.0]))
    >>> optimizer = AdamW({"w": w}, learning_rate=0.5)
    >>> optimizer.step()  # no gradient: only the decay, by 0.5 * 0.01
    >>> w.value
    array([99.5])
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        threads: int = 1,
    ) -> None:
        super().__init__(
            parameters, learning_rate=learning_rate, betas=betas, eps=eps, weight_decay=weight_decay, threads=threads
        )
