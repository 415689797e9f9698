"""Update rules, schedules, clipping and averaging. They know arrays, no layer and no model."""

from . import schedules
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .averaging import EMA
from .base import Optimizer
from .clipping import clip_by_global_norm, clip_by_value
from .lbfgs import LBFGS
from .rmsprop import RMSProp
from .schedules import Plateau
from .sgd import SGD

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "EMA",
    "LBFGS",
    "Optimizer",
    "Plateau",
    "RMSProp",
    "SGD",
    "clip_by_global_norm",
    "clip_by_value",
    "schedules",
]
