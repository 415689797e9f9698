"""What a model is made of, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import Layer


def summary(model: Layer, x: Any) -> str:
    """Every layer of `model` with the shape of its output, its parameters and the bytes it caches for the input `x`.

    Shared parameters and shared arrays count once, where they come first.

    Examples
    --------
    >>> from layers import Affine, ReLU
    >>> from models import Sequential
    >>> print(summary(Sequential(Affine(4, 8, rng=0), ReLU()), np.ones((2, 4), np.float32)))
    layer       output  parameters  cache bytes
    0 Affine    (2, 8)          40           32
    1 ReLU      (2, 8)           0           64
    total                       40           96
    """
    model.forward(x)
    seen = {id(parameter.value) for parameter in model.parameters().values()}
    counted: set[int] = set()
    rows = []
    for name, layer in model.walk():
        if any(layer.children()):
            continue
        parameters = [p for p in layer.parameters().values() if id(p) not in counted]
        counted |= {id(p) for p in parameters}
        size = sum(p.value.size for p in parameters)
        shape = str(getattr(layer, "_out_shape", ()))
        rows.append(
            (f"{name} {type(layer).__name__}".strip(), shape, size, _bytes(getattr(layer, "cache", None), seen))
        )
    model.drop_cache()
    rows.append(("total", "", sum(row[2] for row in rows), sum(row[3] for row in rows)))
    names, shapes = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
    lines = [f"{'layer':{names}}  {'output':{shapes}}  parameters  cache bytes"]
    lines += [f"{row[0]:{names}}  {row[1]:{shapes}}  {row[2]:10,}  {row[3]:11,}" for row in rows]
    return "\n".join(lines)


def _bytes(cache: Any, seen: set[int]) -> int:
    if isinstance(cache, np.ndarray):
        owner = cache if cache.base is None else cache.base
        if id(owner) in seen:
            return 0
        seen.add(id(owner))
        return cache.nbytes
    if isinstance(cache, dict):
        cache = tuple(cache.values())
    return sum(_bytes(part, seen) for part in cache) if isinstance(cache, (tuple, list)) else 0
