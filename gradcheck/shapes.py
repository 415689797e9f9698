"""A gradient of the wrong shape: what was done to it, told by what puts it right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np


class Reshaping(NamedTuple):
    """A gradient brought to the shape of its argument."""

    cause: str
    gradient: np.ndarray
    text: str  # what is to be done to the returned one


def name_shape(
    gradient: np.ndarray, shape: tuple[int, ...], is_right: Callable[[np.ndarray], bool]
) -> tuple[str | None, str]:
    """The cause of a wrong shape and what to say of the values; the first reading whose values are right decides."""
    readings = list(_readings(gradient, shape))
    for reading in readings:
        if is_right(reading.gradient):
            return reading.cause, f"its values are right: {reading.text}"
    if _is_cropped(gradient.shape, shape):
        return "shape-cropped", f"an axis is cut short{hint_of_padding(shape)}"
    for reading in readings[:1]:
        return reading.cause, "its values, reshaped, are wrong too"
    return None, ""


def hint_of_padding(shape: tuple[int, ...]) -> str:
    """What cuts images short, which alone are padded."""
    return "; slice pad:pad + H, which is right for pad = 0 as well as pad:-pad is for others" if len(shape) > 3 else ""


def _readings(gradient: np.ndarray, shape: tuple[int, ...]) -> Iterator[Reshaping]:
    got = gradient.shape
    if tuple(n for n in got if n != 1) == tuple(n for n in shape if n != 1):
        if gradient.ndim > len(shape):
            yield Reshaping("shape-keepdims", gradient.reshape(shape), "drop keepdims=True, or reshape")
        elif gradient.ndim < len(shape):
            yield Reshaping("shape-squeezed", gradient.reshape(shape), "keep the axis of size 1")
        else:
            yield Reshaping("shape-transposed", gradient.reshape(shape), "the axes are in another order; transpose")
        return
    if gradient.ndim > 1 and got[::-1] == shape:
        yield Reshaping("shape-transposed", gradient.T, "transpose it")
    axes = summed_axes(got, shape)
    if axes:
        text = f"sum over axis {', '.join(map(str, axes))}, which forward broadcast"
        yield Reshaping("shape-not-summed", gradient.sum(axis=axes).reshape(shape), text)
    if gradient.size == np.prod(shape, dtype=int):
        yield Reshaping("shape-not-restored", gradient.reshape(shape), f"reshape it to {shape}")


def summed_axes(got: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes to sum over that an array of shape `got` was broadcast along from `shape`; () if it was not."""
    extra = len(got) - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, got[extra:])):
        return ()
    stretched = [extra + i for i, n in enumerate(shape) if n == 1 != got[extra + i]]
    return (*range(extra), *stretched)


def _is_cropped(got: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(got) == len(shape) and got != shape and all(m <= n for m, n in zip(got, shape))
