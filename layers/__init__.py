"""Differentiable things: each an object with `forward` and `backward`."""

from .activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .affine import Affine
from .attention import MultiHeadAttention, ScaledDotProductAttention
from .base import Layer, Parameter
from .conv import Conv1D, Conv2D, ConvTranspose2D
from .dropout import Dropout, Dropout2D
from .embedding import Embedding
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
from .gru import GRU
from .losses import HuberLoss, L1Loss, LogisticLoss, MSELoss, SoftmaxLoss, SVMLoss
from .lstm import LSTM
from .normalization import BatchNorm, LayerNorm
from .penalties import L1Penalty, L2Penalty
from .pooling import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .positions import LearnedEncoding, RotaryEncoding, SinusoidalEncoding
from .recurrent import RNN
from .resampling import AdaptiveAvgPool2D, Upsample, UpsampleBilinear
from .rms_norm import RMSNorm
from .shape import Flatten
from .temporal import TemporalAffine, TemporalSoftmaxLoss
from .transformer import DecoderLayer, EncoderLayer, FeedForward, NormedResidual, PatchEmbedding

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
    "DecoderLayer",
    "Dropout",
    "Dropout2D",
    "ELU",
    "Embedding",
    "EncoderLayer",
    "Exp",
    "FeedForward",
    "Flatten",
    "GELU",
    "GRU",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "HuberLoss",
    "InstanceNorm",
    "L1Loss",
    "L1Penalty",
    "L2Penalty",
    "LSTM",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LearnedEncoding",
    "Log",
    "LogSoftmax",
    "LogisticLoss",
    "MSELoss",
    "MatMul",
    "MaxPool2D",
    "Maximum",
    "Mean",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Negate",
    "NormedResidual",
    "Parameter",
    "PatchEmbedding",
    "Power",
    "RMSNorm",
    "RNN",
    "ReLU",
    "Reshape",
    "RotaryEncoding",
    "SVMLoss",
    "ScaledDotProductAttention",
    "SiLU",
    "Sigmoid",
    "SinusoidalEncoding",
    "Softmax",
    "SoftmaxLoss",
    "Softplus",
    "Sum",
    "Tanh",
    "TemporalAffine",
    "TemporalSoftmaxLoss",
    "Transpose",
    "Upsample",
    "UpsampleBilinear",
]
