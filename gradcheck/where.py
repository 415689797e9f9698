"""Where the wrong entries of a gradient are, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def where(wrong: np.ndarray, checked: np.ndarray, x: np.ndarray, name: str) -> str:
    """The plainest property that all wrong entries have, and no other entry that was compared.

    "" if none is found, or if all are wrong. `wrong` and `checked` are masks of the shape of `x`, the argument `name`.
    """
    if np.array_equal(wrong, checked):
        return ""
    for text, there in _properties(x, name):
        if np.array_equal(there & checked, wrong):
            return text
    for text, there in _properties(x, name):  # wrong there only, though not everywhere
        if not np.any(wrong & ~there) and there.sum() <= there.size / 2:
            return f"all {text}"
    return ""


def _properties(x: np.ndarray, name: str) -> Iterator[tuple[str, np.ndarray]]:
    yield f"where {name} < 0", x < 0
    yield f"where {name} > 0", x > 0
    yield f"where {name} = 0", x == 0
    for axis, size in enumerate(x.shape):
        if size < 2:
            continue
        places = np.arange(size).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        for i in dict.fromkeys((0, size - 1, *range(min(size, 16)))):
            yield f"at {_at(axis, i, x.ndim)}", np.broadcast_to(places == i, x.shape)
        if size > 2:
            yield f"at {_at(axis, '1:', x.ndim)}", np.broadcast_to(places > 0, x.shape)
            yield f"at {_at(axis, ':-1', x.ndim)}", np.broadcast_to(places < size - 1, x.shape)
    if x.ndim == 2 and x.shape[0] == x.shape[1] > 1:
        yield "on the diagonal", np.eye(len(x), dtype=bool)
        yield "off the diagonal", ~np.eye(len(x), dtype=bool)


def _at(axis: int, place: int | str, ndim: int) -> str:
    return f"[{', '.join(str(place) if i == axis else ':' for i in range(ndim))}]"
