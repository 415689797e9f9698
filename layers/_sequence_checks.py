"""The errors of the public door for sequences: steps, lengths, masks and indices."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_steps(name: str, x: Any, features: int, dtype: Any) -> np.ndarray:
    """`x` in `dtype`, of shape (N, T, features)."""
    x = np.asarray(x, dtype)
    if x.ndim != 3 or x.shape[2] != features:
        raise ValueError(
            f"{name} must have shape (N, T, {features}): examples, steps, features of a step; got {x.shape}. "
            "Make the layer with the width of its input; one sequence alone is x[None]"
        )
    return x


def check_indices(name: str, indices: Any, count: int) -> np.ndarray:
    """Integers, each in 0..count-1."""
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must hold integers 0..{count - 1}; got dtype {indices.dtype}. Convert with {name}.astype(int)"
        )
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        raise ValueError(
            f"{name} must hold integers 0..{count - 1}; got {indices.min()}..{indices.max()}. "
            "Count from 0, or make the layer with a larger vocabulary"
        )
    return indices


def check_lengths(lengths: Any, N: int, T: int) -> np.ndarray:
    """Whole numbers of shape (N,), each in 0..T."""
    lengths = np.asarray(lengths)
    if lengths.shape != (N,):
        raise ValueError(f"lengths must have shape ({N},), the real steps of each example; got {lengths.shape}")
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"lengths must hold integers 0..{T}; got dtype {lengths.dtype}")
    if N and (lengths.min() < 0 or lengths.max() > T):
        raise ValueError(f"lengths must be in 0..{T}, x having T = {T} steps; got {lengths.min()}..{lengths.max()}")
    return lengths


def check_mask(name: str, mask: Any, shape: tuple[int, ...], hint: str) -> np.ndarray:
    """A bool array that broadcasts to `shape`; `hint` says what True means and how to get there."""
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"{name} must be a bool array; got dtype {mask.dtype}. {hint}")
    fits = mask.ndim == len(shape) and all(have in (1, want) for have, want in zip(mask.shape, shape))
    if not fits:
        raise ValueError(f"{name} must have shape {shape}, or 1 in place of an axis; got {mask.shape}. {hint}")
    return mask
