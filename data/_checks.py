"""What every door of the package checks, and the generator behind every draw."""

from __future__ import annotations

from typing import Any

import numpy as np


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """`value`, a whole number of at least `minimum`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < minimum:
        kind = ValueError if whole else TypeError
        raise kind(f"{name} must be a whole number of at least {minimum}; got {value!r}")
    return int(value)


def generator(purpose: str, seed: int) -> np.random.Generator:
    """A generator for one purpose: under one seed, noise, splits and limits have streams of their own."""
    return np.random.default_rng((check_count("seed", seed, 0), *purpose.encode()))
