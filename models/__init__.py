"""Layers chained: containers, networks and the loop that trains them."""

from .containers import Concat, Residual, Sequential, predict
from .graph import Graph, Input
from .linear import LinearRegression, LinearSVM, SoftmaxClassifier
from .metrics import accuracy, r2
from .mlp import MLP
from .sequence import RecurrentLM, TransformerLM, generate
from .solver import Diverged, Solver
from .summary import summary

__all__ = [
    "Concat",
    "Diverged",
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
    "accuracy",
    "generate",
    "predict",
    "r2",
    "summary",
]
