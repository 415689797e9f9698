"""What every optimizer is: parameters in one vector, a rule that updates it, a state to save."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ._checks import check_number
from .flat import FlatParameters, Parameters, Stateful


class Optimizer(Stateful):
    r"""Base of all optimizers: subclasses write the rule, this class does the rest.

    A step first decays the weights, :math:`w \leftarrow (1 - \eta \lambda) w`, where the rate is :math:`\eta` and the
    weight decay :math:`\lambda`, then calls ``update(w, g, scratch, *state)``, which changes `w` and the state in
    place. All are 1-D arrays of one size; the rule has to be elementwise, since long vectors come in blocks.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        As by ``layer.parameters()``. They are moved into one vector, in which they go on living.
    learning_rate : float >= 0
        May be set at any time.
    weight_decay : float >= 0, default 0.0
        Decoupled: applied to the weights, never to the gradient, and not to parameters with ``decay=False``, which
        are biases and norms.
    threads : int, default 1
        Threads of one update; more than one is used for vectors of more than 131072 elements a thread.
    state : sequence of str
        For subclasses: names of the vectors that the rule keeps.

    Attributes
    ----------
    steps : int
        Steps taken.
    needs_closure : bool
        Whether `step` must be given a closure.

    Raises
    ------
    ValueError
        If there are no parameters, or an option is out of its range.
    TypeError
        If something else than parameters is given, or they are neither float32 nor float64.

    Notes
    -----
    A parameter without a gradient since `zero_grad` counts as one with gradient 0; PyTorch leaves it out of the step.
    PyTorch's ``weight_decay`` is added to the gradient except in ``AdamW``; that is the L2 penalty here.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", https://arxiv.org/abs/1711.05101

    Examples
    --------
    A rule of one's own, the sign of the gradient:

    >>> import numpy as np
    >>> from layers import Parameter
    >>> class SignDescent(Optimizer):
    ...     def update(self, w, g, scratch):
    ...         np.sign(g, out=scratch)
    ...         scratch *= self.learning_rate
    ...         w -= scratch
    >>> w = Parameter(np.array([1.0, 2.0]))
    >>> optimizer = SignDescent({"w": w}, learning_rate=0.25)
    >>> w.add_grad(np.array([30.0, -0.1]))
    >>> optimizer.step()
    >>> w.value
    array([0.75, 2.25])
    """

    numbers: tuple[str, ...] = ("learning_rate", "weight_decay", "steps")
    needs_closure = False
    update: Any

    def __init__(
        self,
        parameters: Parameters,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        threads: int = 1,
        state: Iterable[str] = (),
    ) -> None:
        self.learning_rate = learning_rate
        self.weight_decay = check_number("weight_decay", weight_decay, 0)
        self.steps = 0
        self.flat = FlatParameters(parameters, state, threads)

    @property
    def learning_rate(self) -> float:
        """The step size."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._learning_rate = check_number("learning_rate", rate, 0)

    @property
    def values(self) -> list[np.ndarray]:
        """The vectors of all values, one a dtype; writing into them changes the parameters."""
        self.flat.refresh()
        return self.flat.values

    @property
    def grads(self) -> list[np.ndarray]:
        """The vectors of all gradients, in the order of `values`; writing into them changes the gradients."""
        self.flat.refresh()
        return self.flat.grads

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.flat.parameters.values():
            parameter.zero_grad()

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update all parameters from their gradients.

        Parameters
        ----------
        closure : callable, optional
            Called first: ``closure() -> loss`` clears the gradients, runs forward and backward.

        Returns
        -------
        loss : float or None
            That of the closure.
        """
        loss = None if closure is None else closure()
        self.flat.refresh()
        self.steps += 1
        if self.weight_decay:
            for w in self.flat.decaying:
                w *= 1 - self.learning_rate * self.weight_decay
        self.flat.each(self.update)
        return loss

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.numbers)
        return f"{type(self).__name__}({options})"
