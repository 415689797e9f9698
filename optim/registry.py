"""Update rules and schedules by name: what `train.py --opt NAME --sched NAME` builds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .adagrad import Adagrad
from .adam import Adam, AdamW
from .lbfgs import LBFGS
from .rmsprop import RMSProp
from .schedules import Constant, CosineDecay, ExponentialDecay, OneCycle, Plateau, StepDecay
from .sgd import SGD

OPTIMIZERS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {  # and the flags that each takes
    "sgd": (SGD, ("lr", "weight_decay")),
    "momentum": (functools.partial(SGD, momentum=0.9), ("lr", "weight_decay", "momentum")),
    "nesterov": (functools.partial(SGD, momentum=0.9, nesterov=True), ("lr", "weight_decay", "momentum")),
    "adagrad": (Adagrad, ("lr", "weight_decay")),
    "rmsprop": (RMSProp, ("lr", "weight_decay")),
    "adam": (Adam, ("lr", "weight_decay")),
    "adamw": (AdamW, ("lr", "weight_decay")),
    "lbfgs": (LBFGS, ()),
}
RATES = {"sgd": 0.1, "momentum": 0.03, "nesterov": 0.03, "adagrad": 0.03, "rmsprop": 1e-3, "adam": 3e-3, "adamw": 3e-3}
# (steps in all, lowest factor) -> schedule
SCHEDULES: dict[str, Callable[[int, float], Any]] = {
    "none": lambda total, floor: Constant(),
    "step": lambda total, floor: StepDecay(every=max(1, total // 3), minimum=floor),
    "exp": lambda total, floor: ExponentialDecay(every=total, factor=0.01, minimum=floor),
    "cosine": lambda total, floor: CosineDecay(total, minimum=floor),
    "plateau": lambda total, floor: Plateau(factor=0.5, patience=5, minimum=floor),
    "onecycle": lambda total, floor: OneCycle(total),
}
