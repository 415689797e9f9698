"""Sums over the examples, undone: one left out, or the wrong number of what it runs over."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .place import Change, Place, is_whole

AXES = {2: ("0", "1"), 4: ("(0, 2, 3)",)}  # those that a normalisation takes its mean over, by the number of all


def left_out(place: Place) -> Iterator[Change]:
    """A right-hand side without its sum: ``dmu = -dxc`` for ``dmu = np.sum(-dxc, axis=0)``."""
    for s in place.statements:
        if isinstance(s, ast.Assign) and not isinstance(s.value, ast.Tuple):
            for axes in AXES.get(getattr(place.values.get(place.text.of(s.targets[0])), "ndim", 0), ()):
                for kept in ("", ", keepdims=True"):
                    yield place.around("sum", "shape-not-summed", s.value, "np.sum(", f", axis={axes}{kept})")


def counted(place: Place) -> Iterator[Change]:
    """The number of images where that of all their pixels is due: ``N * H * W`` for ``N``."""
    images = [name for name in place.arrays if place.values[name].ndim == 4]
    pixels = {" * ".join(place.size(x, axis) for axis in (0, 2, 3)): len(place.values[x]) for x in images}
    for text, N in pixels.items():
        for node in place.nodes:
            if isinstance(node, ast.Name) and isinstance(place.body.parent.get(node), ast.BinOp):
                value = place.values.get(node.id)
                if is_whole(value) and value == N:
                    yield place.put("count", "scale-count", (node, f"({text})"))
