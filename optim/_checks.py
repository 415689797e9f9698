"""The errors of the optimizers' door."""

from __future__ import annotations

import math
from typing import Any


def check_number(name: str, value: Any, low: float = 0.0, high: float = math.inf, *, open_low: bool = False) -> float:
    """`value`, a finite number from `low` (left out if `open_low`) to below `high`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not ((low < number if open_low else low <= number) and number < high):
        bounds = f"{'above' if open_low else 'at least'} {low:g}" + (f" and below {high:g}" if high < math.inf else "")
        raise ValueError(f"{name} must be a finite number, {bounds}; got {value!r}")
    return number
