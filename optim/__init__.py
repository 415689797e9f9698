"""Update rules, schedules, clipping and averaging; they know arrays and parameters, no layer and no model."""

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .averaging import EMA
from .base import Optimizer
from .clipping import clip_by_global_norm, clip_by_value
from .lbfgs import LBFGS
from .rmsprop import RMSProp
from .schedules import Constant, CosineDecay, ExponentialDecay, OneCycle, Plateau, StepDecay, Warmup
from .sgd import SGD

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "Constant",
    "CosineDecay",
    "EMA",
    "ExponentialDecay",
    "LBFGS",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "RMSProp",
    "SGD",
    "StepDecay",
    "Warmup",
    "clip_by_global_norm",
    "clip_by_value",
]
