"""Differentiable things: each an object with `forward` and `backward`."""

from .activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .affine import Affine
from .base import Layer, Parameter
from .conv import Conv1D, Conv2D, ConvTranspose2D
from .dropout import Dropout, Dropout2D
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
from .group_norm import GroupNorm, InstanceNorm
from .losses import HuberLoss, L1Loss, LogisticLoss, MSELoss, SoftmaxLoss, SVMLoss
from .normalization import BatchNorm, LayerNorm
from .penalties import L1Penalty, L2Penalty
from .pooling import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .resampling import AdaptiveAvgPool2D, Upsample, UpsampleBilinear
from .rms_norm import RMSNorm
from .shape import Flatten

__all__ = [
    "AdaptiveAvgPool2D",
    "Add",
    "Affine",
    "AvgPool2D",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Copy",
    "Dropout",
    "Dropout2D",
    "ELU",
    "Exp",
    "Flatten",
    "GELU",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "HuberLoss",
    "InstanceNorm",
    "L1Loss",
    "L1Penalty",
    "L2Penalty",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Log",
    "LogSoftmax",
    "LogisticLoss",
    "MSELoss",
    "MatMul",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "Multiply",
    "Negate",
    "Parameter",
    "Power",
    "RMSNorm",
    "ReLU",
    "Reshape",
    "SVMLoss",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxLoss",
    "Softplus",
    "Sum",
    "Tanh",
    "Transpose",
    "Upsample",
    "UpsampleBilinear",
]
