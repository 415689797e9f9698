"""Differentiable things: each an object with `forward` and `backward`."""

from . import _idle as _idle  # first, before NumPy is imported
from .activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .affine import Affine
from .attention import MultiHeadAttention, ScaledDotProductAttention
from .base import Layer, Parameter
from .contrastive import NTXentLoss
from .conv import Conv1D, Conv2D, ConvTranspose2D
from .cosine import CosineLoss
from .ctc import CTCLoss
from .dropout import Dropout, Dropout2D
from .elbo import ELBOLoss
from .embedding import Embedding
from .focal import FocalLoss
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
from .gaussian_kl import GaussianKL
from .gaussian_sample import GaussianSample
from .group_norm import GroupNorm, InstanceNorm
from .gru import GRU
from .losses import HuberLoss, L1Loss, LogisticLoss, MSELoss, SoftmaxLoss, SVMLoss
from .lstm import LSTM
from .normalization import BatchNorm, LayerNorm
from .penalties import L1Penalty, L2Penalty
from .pooling import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from .positions import LearnedEncoding, RotaryEncoding, SinusoidalEncoding
from .recurrent import RNN
from .resampling import AdaptiveAvgPool2D, AdaptiveMaxPool2D, Upsample, UpsampleBilinear
from .rms_norm import RMSNorm
from .shape import Flatten
from .style import ContentLoss, GramMatrix, StyleLoss, TotalVariationLoss
from .temporal import TemporalAffine, TemporalSoftmaxLoss
from .transformer import DecoderLayer, EncoderLayer, FeedForward, NormedResidual, PatchEmbedding
from .triplet import TripletLoss

__all__ = [
    "AdaptiveAvgPool2D",
    "AdaptiveMaxPool2D",
    "Add",
    "Affine",
    "AvgPool2D",
    "BatchNorm",
    "CTCLoss",
    "ContentLoss",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "Copy",
    "CosineLoss",
    "DecoderLayer",
    "Dropout",
    "Dropout2D",
    "ELBOLoss",
    "ELU",
    "Embedding",
    "EncoderLayer",
    "Exp",
    "FeedForward",
    "Flatten",
    "FocalLoss",
    "GELU",
    "GRU",
    "GaussianKL",
    "GaussianSample",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GramMatrix",
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
    "NTXentLoss",
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
    "StyleLoss",
    "Sum",
    "Tanh",
    "TemporalAffine",
    "TemporalSoftmaxLoss",
    "TotalVariationLoss",
    "Transpose",
    "TripletLoss",
    "Upsample",
    "UpsampleBilinear",
]
