"""What the doors of the models check: the shapes of images, the tokens of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from data._checks import check_count
from layers._sequence_checks import check_indices


def check_image_shape(image_shape: Any) -> tuple[int, int, int]:
    """Channels, height and width, each at least 1."""
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(f"image_shape must be (C, H, W): channels, height, width; got {image_shape!r}")
    channels, height, width = (check_count(f"image_shape[{i}]", size) for i, size in enumerate(image_shape))
    return channels, height, width


def check_tokens(name: str, tokens: Any, vocabulary: int) -> np.ndarray:
    """Whole numbers of shape (N, T), each in 0..vocabulary-1."""
    tokens = np.asarray(tokens)
    if tokens.ndim != 2:
        raise ValueError(
            f"{name} must have shape (N, T): examples, steps; got {tokens.shape}. One sequence alone is {name}[None]"
        )
    return check_indices(name, tokens, vocabulary)


def check_as_many(name: str, array: Any, other_name: str, other: Any) -> None:
    """As many examples in one as in the other."""
    if len(array) != len(other):
        raise ValueError(f"{name} must have {len(other)} rows, one an example of {other_name}; got {len(array)}")
