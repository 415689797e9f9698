"""The errors of the public door: the argument's name, what was expected, what came."""

from __future__ import annotations

import math
from typing import Any


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, open_low: bool = False) -> float:
    """`value` as a float from `low` to below `high`; `low` itself is left out if `open_low`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r}") from None
    if not (low < number < high if open_low else low <= number < high):
        bound = f"above {low:g}" if open_low else f"of at least {low:g}"
        below = f" and below {high:g}" if high < math.inf else ", and finite"
        raise ValueError(f"{name} must be a number {bound}{below}; got {value!r}")
    return number


def check_count(name: str, value: Any, minimum: int = 1) -> int:
    """`value` as an int, a whole number of at least `minimum`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number; got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}; got {value!r}")
    return int(value)
