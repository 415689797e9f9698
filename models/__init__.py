"""Layers chained: containers, networks and the loop that trains them."""

from .captioning import CaptioningRNN
from .containers import Concat, Residual, Sequential, predict
from .encoder_decoder import EncoderDecoder
from .graph import Graph, Input
from .linear import LinearRegression, LinearSVM, SoftmaxClassifier
from .metrics import accuracy, r2
from .mlp import MLP
from .sequence import RecurrentLM, TransformerLM, generate
from .solver import Diverged, Solver
from .summary import summary
from .vit import VisionTransformer

__all__ = [
    "CaptioningRNN",
    "Concat",
    "Diverged",
    "EncoderDecoder",
    "Graph",
    "Input",
    "LinearRegression",
    "LinearSVM",
    "MLP",
    "RecurrentLM",
    "Residual",
    "Sequential",
    "SoftmaxClassifier",
    "Solver",
    "TransformerLM",
    "VisionTransformer",
    "accuracy",
    "generate",
    "predict",
    "r2",
    "summary",
]
