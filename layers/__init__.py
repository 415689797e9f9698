"""Differentiable things: each an object with `forward` and `backward`."""

from .activations import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from .affine import Affine
from .base import Layer, Parameter

__all__ = [
    "Affine",
    "ELU",
    "GELU",
    "Layer",
    "LeakyReLU",
    "LogSoftmax",
    "Parameter",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]
