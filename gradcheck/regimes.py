"""Settings at which a pair fails and others at which it is right: what tells the first from the second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .factors import settings_of
from .samples import Sample


def telling(failing: Sequence[Sample], passing: Sequence[Sample]) -> str:
    """The plainest property that all failing samples have and no passing one; "" if none is found."""
    if not failing or not passing:
        return ""
    tables = [dict(properties(s)) for s in failing]
    others = [dict(properties(s)) for s in passing]
    for text in tables[0]:
        if all(table.get(text) for table in tables) and not any(table.get(text) for table in others):
            return text
    return ""


def properties(s: Sample) -> Iterator[tuple[str, bool]]:
    """What can be said of a setting: of pads, strides, windows and sizes."""
    numbers = settings_of(s)
    for name, value in numbers.items():
        if name.startswith("pad"):
            yield f"{name} = 0", value == 0
            yield f"{name} is not 1", value != 1
            yield f"{name} > 1", isinstance(value, (int, float)) and value > 1
        elif name.startswith("stride"):
            yield f"{name} > 1", isinstance(value, (int, float)) and value > 1
    images = [(name, v) for name, v in s.values.items() if isinstance(v, np.ndarray) and v.ndim == 4]
    for name, image in images:
        yield f"{name} is not square", image.shape[2] != image.shape[3]
    if s.out.ndim == 4:
        yield "the output is not square", s.out.shape[2] != s.out.shape[3]
    window = _window(numbers)
    if window:
        yield "the window is not square", window[0] != window[1]
        yield "windows overlap", max(window) > numbers.get("stride", max(window))
    yield from _sizes(s)
    for name, value in numbers.items():
        if not isinstance(value, float):
            yield f"{name} = {value!r}", True


def _window(numbers: dict[str, Any]) -> tuple[int, int] | None:
    height, width = numbers.get("pool_height"), numbers.get("pool_width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def _sizes(s: Sample) -> Iterator[tuple[str, bool]]:
    for name, value in s.values.items():
        if isinstance(value, np.ndarray):
            yield f"{name} is given", True
            for axis, size in enumerate(value.shape):
                yield f"{name}.shape[{axis}] = 1", size == 1
            yield f"{name} has {value.ndim} axes", True
            yield f"{name} has more than 2 axes", value.ndim > 2
        elif isinstance(value, int) and name.isupper():
            yield f"{name} = 1", value == 1
    x = s.x[0] if s.x else s.out
    if x.ndim == 2 and s.out.ndim == 2:
        yield "fewer rows than columns", x.shape[0] < x.shape[1]
        yield "more rows than columns", x.shape[0] > x.shape[1]
