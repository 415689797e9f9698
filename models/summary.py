"""What a model is made of, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from layers import Layer, Parameter


def summary(model: Layer, *inputs: Any) -> str:
    """Every layer of `model` with the shape of its output, its parameters and the bytes it caches for these inputs.

    Shared parameters and shared arrays count once, where they come first. Of layers made of layers only those are
    listed that keep something themselves. Running statistics stay as they were.

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
    state = model.state_dict()
    model.forward(*inputs)
    seen = {id(parameter.value) for parameter in model.parameters().values()}
    counted: set[int] = set()
    rows = []
    for name, layer in model.walk():
        own = {id(p): p.value.size for p in vars(layer).values() if isinstance(p, Parameter) and id(p) not in counted}
        counted |= own.keys()
        size, cached = sum(own.values()), _bytes(getattr(layer, "cache", None), seen)
        if size or cached or not any(layer.children()):
            rows.append((f"{name} {type(layer).__name__}".strip(), str(getattr(layer, "_out_shape", ())), size, cached))
    model.drop_cache()
    model.load_state_dict(state)
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
