"""Differentiable things: each an object with `forward` and `backward`."""

from .activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .affine import Affine
from .base import Layer, Parameter
from .dropout import Dropout
from .gates import (
    Add,
    Copy,
    Exp,
    Log,
    MatMul,
    Maximum,
    Mean,
    Minimum,
    Multiply,
    Negate,
    Power,
    Reshape,
    Sum,
    Transpose,
)
from .losses import HuberLoss, L1Loss, LogisticLoss, MSELoss, SoftmaxLoss, SVMLoss
from .normalization import BatchNorm, LayerNorm
from .penalties import L1Penalty, L2Penalty
from .shape import Flatten

__all__ = [
    "Add",
    "Copy",
    "Exp",
    "Log",
    "MatMul",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Negate",
    "Power",
    "Reshape",
    "Sum",
    "Transpose",
    "Affine",
    "BatchNorm",
    "Dropout",
    "ELU",
    "Flatten",
    "GELU",
    "HuberLoss",
    "L1Loss",
    "L1Penalty",
    "L2Penalty",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LogisticLoss",
    "LogSoftmax",
    "MSELoss",
    "Parameter",
    "ReLU",
    "Sigmoid",
    "SiLU",
    "Softmax",
    "SoftmaxLoss",
    "Softplus",
    "SVMLoss",
    "Tanh",
]
