"""Penalties on the size of weights, added to a loss."""

import numpy as np

from ._checks import check_range
from .base import Layer


class _Penalty(Layer):
    def __init__(self, parameters, reg):
        if not isinstance(parameters, dict):
            raise TypeError(f"parameters must be a dict, as model.parameters() gives; got {type(parameters).__name__}")
        self.weights = [parameter for parameter in parameters.values() if parameter.decay]
        self.reg = check_range("reg", reg, 0, np.inf)


class L2Penalty(_Penalty):
    r"""Half the sum of squared weights, times `reg`: :math:`\tfrac12 \text{reg} \sum_w w^2`.

    Parameters
    ----------
    parameters : dict of str to Parameter
        As by ``model.parameters()``; those with ``decay=False``, biases and norms, are left out.
    reg : float >= 0
        Strength, in the units of the loss per squared weight.

    Raises
    ------
    ValueError
        If `reg` is negative.
    TypeError
        If `parameters` is not a dict.

    Notes
    -----
    `forward` takes nothing and returns a float; `backward` adds ``reg * W * dout`` to each gradient and returns None.
    The factor 1/2 is that of CS231n's assignments; its lecture notes leave it out. Under plain SGD this is PyTorch's
    ``weight_decay=reg``; under Adam it is not AdamW's, which decays the weights past the moments.

    Examples
    --------
    >>> from layers import Parameter
    >>> w = Parameter(np.array([1.0, -2.0]))
    >>> penalty = L2Penalty({"w": w}, reg=0.1)
    >>> penalty.forward()
    0.25
    >>> penalty.backward()
    >>> w.grad
    array([ 0.1, -0.2])
    """

    def forward(self):
        return 0.5 * self.reg * sum(float(np.vdot(w.value, w.value)) for w in self.weights)

    def backward(self, dout=1.0):
        for w in self.weights:
            w.add_grad(w.value * (self.reg * float(dout)))


class L1Penalty(_Penalty):
    r"""Sum of absolute weights, times `reg`: :math:`\text{reg} \sum_w |w|`, with slope 0 at 0.

    Parameters
    ----------
    parameters : dict of str to Parameter
        As by ``model.parameters()``; those with ``decay=False``, biases and norms, are left out.
    reg : float >= 0
        Strength, in the units of the loss per unit of weight.

    Raises
    ------
    ValueError
        If `reg` is negative.
    TypeError
        If `parameters` is not a dict.

    Notes
    -----
    `backward` adds ``reg * sign(W) * dout`` to each gradient and returns None.

    Examples
    --------
    >>> from layers import Parameter
    >>> L1Penalty({"w": Parameter(np.array([1.0, -2.0]))}, reg=0.5).forward()
    1.5
    """

    def forward(self):
        return self.reg * sum(float(np.abs(w.value).sum()) for w in self.weights)

    def backward(self, dout=1.0):
        for w in self.weights:
            w.add_grad(np.sign(w.value) * (self.reg * float(dout)))
