"""Multilayer perceptron: affine, norm, activation, dropout, and again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import layers
from layers import Affine, BatchNorm, Dropout, Layer, LayerNorm
from layers.initializers import he_normal, xavier_normal

from .containers import Sequential

ACTIVATIONS = {
    "relu": layers.ReLU,
    "leaky_relu": layers.LeakyReLU,
    "elu": layers.ELU,
    "gelu": layers.GELU,
    "silu": layers.SiLU,
    "sigmoid": layers.Sigmoid,
    "tanh": layers.Tanh,
    "softplus": layers.Softplus,
}
NORMS = {"batch": BatchNorm, "layer": LayerNorm}


class MLP(Sequential):
    r"""Fully connected net: {affine - [norm] - activation - [dropout]} x L - affine, CS231n's ``FullyConnectedNet``.

    Parameters
    ----------
    in_features : int
        Features D of one example; further axes are flattened into them.
    hidden : iterable of int
        Width of each hidden layer; empty for a linear model.
    out_features : int
        Classes C, or outputs of a regression.
    activation : str, default "relu"
        One of `ACTIVATIONS`.
    norm : {"none", "batch", "layer"}, default "none"
        Normalisation before each activation.
    dropout : float in [0, 1), default 0.0
        Probability that a hidden unit is zeroed.
    init : callable, optional
        Of the weights; by default He's for the ReLU family and Xavier's for tanh, sigmoid and the last layer.
    rng : numpy.random.Generator or int, optional
        Source of the initial weights and of dropout.
    dtype : dtype, default float32

    Examples
    --------
    >>> MLP(64, [32], 10, rng=0)
    MLP(
      (0) Affine(W: (64, 32), b: (32,))
      (1) ReLU()
      (2) Affine(W: (32, 10), b: (10,))
    )
    """

    def __init__(
        self,
        in_features: int,
        hidden: Iterable[int],
        out_features: int,
        *,
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
        init: Any = None,
        rng: Any = None,
        dtype: Any = np.float32,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        if norm not in ("none", *NORMS):
            raise ValueError(f"norm must be one of none, {', '.join(NORMS)}; got {norm!r}")
        rng = np.random.default_rng(rng)
        last = init or xavier_normal  # no ReLU follows to halve the variance: He's factor would make loud first guesses
        init = init or (xavier_normal if activation in ("sigmoid", "tanh") else he_normal)
        chain: list[Layer] = []
        for width in hidden:
            chain.append(Affine(in_features, width, init=init, rng=rng, dtype=dtype))
            if norm != "none":
                chain.append(NORMS[norm](width, dtype=dtype))
            chain.append(ACTIVATIONS[activation]())
            if dropout:
                chain.append(Dropout(dropout, rng=rng))
            in_features = width
        super().__init__(*chain, Affine(in_features, out_features, init=last, rng=rng, dtype=dtype))
