"""What every optimizer is: a rule for one block of the vector of all parameters, and the state that goes with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._checks import check_number
from .flat import Flat, flatten, named_parameters

BLOCK = 1 << 14  # entries updated at a time: five float32 arrays of this length stay in a core's second-level cache


class Block(NamedTuple):
    """Views of one stretch of the parameters, and memory to work in."""

    w: np.ndarray  # values
    g: np.ndarray  # gradients
    state: tuple[np.ndarray, ...]  # one array for each of the rule's `state_names`
    scratch: np.ndarray
    decayed: np.ndarray  # the part of w that weight decay applies to


class Optimizer:
    r"""Base of the update rules: subclasses write `update`, for one block, in place.

    Values and gradients of all parameters are views into one vector each. The vectors are laid out when the optimizer is
    made, shared with other optimizers over the same parameters, and laid out again if the parameters move (as by
    ``model.astype``).

    Weight decay is decoupled: before each update :math:`w \leftarrow w - \text{learning\_rate} \cdot \text{weight\_decay}
    \cdot w`, for the parameters whose `decay` is true, and apart from the gradient [1]_. An L2 term in the loss is
    another thing: `layers.L2Penalty`.

    Parameters
    ----------
    parameters : dict of str to Parameter, or iterable of Parameter
        ``model.parameters()``.
    learning_rate : float >= 0
        May be assigned between steps.
    weight_decay : float >= 0, default 0.0
        Fraction of the weights lost per step and unit of learning rate.

    Attributes
    ----------
    steps : int
        Updates made.
    values, grads : list of ndarray
        The vectors, one a dtype.

    References
    ----------
    .. [1] Loshchilov and Hutter (2017), "Decoupled Weight Decay Regularization", https://arxiv.org/abs/1711.05101
    """

    state_names: tuple[str, ...] = ()
    hyper_names: tuple[str, ...] = ("learning_rate", "weight_decay")
    needs_closure = False

    def __init__(self, parameters: Any, *, learning_rate: float, weight_decay: float = 0.0) -> None:
        self.learning_rate = check_number("learning_rate", learning_rate)
        self.weight_decay = check_number("weight_decay", weight_decay)
        self.parameters = named_parameters(parameters)
        self.steps = 0
        self._lay_out()

    def update(self, block: Block) -> None:
        """One step of the rule on one block, in place."""
        raise TypeError(f"{type(self).__name__} must define update(block)")

    def step(self) -> None:
        """Update every parameter from its gradient."""
        self._settle()
        self.steps += 1
        shrink = 1 - self.learning_rate * self.weight_decay
        for block in self._blocks:
            if shrink != 1:
                np.multiply(block.decayed, shrink, out=block.decayed)
            self.update(block)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self._all:
            parameter.zero_grad()

    @property
    def values(self) -> list[np.ndarray]:
        """The values of all parameters, one vector a dtype."""
        self._settle()
        return [flat.values for flat in self._flats]

    @property
    def grads(self) -> list[np.ndarray]:
        """The gradients of all parameters, one vector a dtype; writing into them changes the parameters' `grad`."""
        self._settle()
        return [flat.grads for flat in self._flats]

    def state_dict(self) -> dict[str, Any]:
        """Hyper-parameters, the number of steps, and copies of the state of each parameter by name."""
        state: dict[str, Any] = {name: getattr(self, name) for name in (*self.hyper_names, "steps")}
        for flat, vectors in zip(self._flats, self._state):
            for kind, vector in zip(self.state_names, vectors):
                for name, at in flat.slices.items():
                    state[f"{kind}.{name}"] = vector[at].reshape(self.parameters[name].value.shape).copy()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up the state of an optimizer of the same kind over parameters of the same names and shapes.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape differs; nothing is changed then.
        """
        own = self.state_dict()
        if own.keys() != state.keys():
            raise ValueError(
                f"state must be of {type(self).__name__} over the same parameters; missing {sorted(own.keys() - state.keys())}, "
                f"unknown {sorted(state.keys() - own.keys())}"
            )
        for name, array in own.items():
            if np.shape(state[name]) != np.shape(array):
                raise ValueError(f"state[{name!r}] must have shape {np.shape(array)}; got {np.shape(state[name])}")
        for name in (*self.hyper_names, "steps"):
            setattr(self, name, state[name])
        for flat, vectors in zip(self._flats, self._state):
            for kind, vector in zip(self.state_names, vectors):
                for name, at in flat.slices.items():
                    vector[at] = np.ravel(state[f"{kind}.{name}"])

    def _settle(self) -> None:
        """Make the vectors true: lay them out anew if a parameter has moved, and count gradients that never came as 0."""
        if any([flat.is_stale() for flat in self._flats]):  # a list: each has its gradients to settle
            state = self.state_dict()
            self._lay_out()
            self.load_state_dict(state)
            self._settle()

    def _lay_out(self) -> None:
        self._flats = flatten(self.parameters)
        self._all = list(self.parameters.values())
        self._state = [tuple(np.zeros_like(flat.values) for _ in self.state_names) for flat in self._flats]
        self._blocks = [block for flat, state in zip(self._flats, self._state) for block in _blocks(flat, state)]

    def __repr__(self) -> str:
        hyper = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.hyper_names)
        return f"{type(self).__name__}({hyper}; {sum(flat.values.size for flat in self._flats):,} parameters)"


def _blocks(flat: Flat, state: tuple[np.ndarray, ...]) -> list[Block]:
    scratch = np.empty(min(BLOCK, flat.values.size), flat.values.dtype)
    blocks = []
    for start in range(0, flat.values.size, BLOCK):
        at = slice(start, start + BLOCK)
        w = flat.values[at]
        parts = tuple(vector[at] for vector in state)
        blocks.append(Block(w, flat.grads[at], parts, scratch[: w.size], w[: max(0, flat.decayed - start)]))
    return blocks
