"""Elementwise functions, whose local derivative can be read off the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .reading import Reading
from .residuals import SOME
from .samples import Sample
from .transforms import close


def elementwise(s: Sample, k: int) -> Iterator[Reading]:
    """Each output depends on its own input only: the local derivative can be read off."""
    shape, name = s.x[k].shape, s.names[k]
    if s.out.shape != shape or s.returned[k].shape != shape or len(s.outs) > 1 or s.x[k].size < 2:
        return
    J = s.jacobian(k)
    right = np.diag(J).reshape(shape)
    if not close(J, np.diag(np.diag(J))) or len({round(v, 9) for v in right.flat}) < 2:
        return
    local = s.returned[k] / s.d
    constant = len({round(v, 9) for v in right[~close_entries(local, right)].flat}) == 1
    ours = len({round(v, 9) for v in local[~close_entries(local, right)].flat}) == 1
    what = (
        "wrong-mask" if constant and ours and len({round(v, 9) for v in right.flat}) == 2 and _slope_free(right) else ""
    )
    known = next((text for text, f in DERIVATIVES if _fits(local, f, s, k)), "")
    due = next((text for text, f in DERIVATIVES if _fits(right, f, s, k)), "")
    evidence = f"the local derivative of {name} is {known or 'another one'}; forward's is {due or 'not that'}"
    if not what:
        yield Reading(
            "wrong-local-derivative",
            evidence,
            f"d{name} = dout * ({due})" if due else "derive forward once more",
            lambda t: _is_local(t, k),
        )


def masks(s: Sample, k: int) -> Iterator[Reading]:
    """The right two slopes, as of a ReLU or a maximum, at the wrong entries."""
    if s.out.shape == s.x[k].shape == s.returned[k].shape and s.x[k].size > 1:
        yield Reading(
            "wrong-mask",
            f"the slopes of {s.names[k]} are forward's two, but at other entries than in forward",
            "use forward's own comparison, on the values that forward compared",
            lambda t: _is_masked(t, k),
        )


def filled(s: Sample, k: int) -> Iterator[Reading]:
    """Where no output depends on the argument, another number than 0."""
    if s.subject.takes_dout and s.returned[k].shape == s.x[k].shape:
        yield Reading(
            "wrong-mask",
            f"the gradient of {s.names[k]} is one number, whatever dout is, where forward's slope is zero",
            "write 0 there",
            lambda t: _fills(t, k),
        )


def _fills(t: Sample, k: int) -> bool | None:
    """Whether all that is left without dout is one number, at entries on which no output depends."""
    b = t.tried(k, [np.zeros_like(d) for d in t.douts])
    if b is None or b.shape != t.x[k].shape or not b.any():
        return False
    flat = ~t.jacobian(k).any(axis=0).reshape(b.shape)
    return not b[~flat].any() and len(np.unique(b[b != 0])) == 1


def _is_masked(t: Sample, k: int) -> bool:
    J = t.jacobian(k)[: t.out.size]
    right, local = np.diag(J), (t.returned[k] / t.d).ravel()
    if not close(J, np.diag(right)):
        return False
    slopes = sorted({round(float(v), 7) + 0.0 for v in right})
    return len(slopes) == 2 and 0.0 in slopes and {round(float(v), 7) + 0.0 for v in local} <= set(slopes)


def close_entries(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays differ by rounding only."""
    return np.abs(a - b) <= SOME * float(np.abs(b).max(initial=0))


def _slope_free(right: np.ndarray) -> bool:
    return bool(np.any(right == 0) or np.any(np.abs(right) < 1e-9))


def _is_local(t: Sample, k: int) -> bool | None:
    """Whether the returned gradient is dout times something that does not depend on dout."""
    other = -0.5 + np.flip(t.d)
    again = t.tried(k, (other,))
    if again is None or t.returned[k].shape != t.d.shape or again.shape != t.d.shape:
        return None
    return close(t.returned[k] * other, again * t.d, 1e-9)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


DERIVATIVES: list[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = [
    ("1", lambda x, out: np.ones_like(x)),
    ("1 - out**2", lambda x, out: 1 - out**2),
    ("out * (1 - out)", lambda x, out: out * (1 - out)),
    ("1 - tanh(out)**2", lambda x, out: 1 - np.tanh(out) ** 2),
    ("sigmoid(out) * (1 - sigmoid(out))", lambda x, out: _sigmoid(out) * (1 - _sigmoid(out))),
    ("1 - x**2", lambda x, out: 1 - x**2),
    ("x * (1 - x)", lambda x, out: x * (1 - x)),
    ("out", lambda x, out: out),
    ("1 - out", lambda x, out: 1 - out),
    ("x", lambda x, out: x),
    ("2 * x", lambda x, out: 2 * x),
    ("1 / x", lambda x, out: 1 / x),
    ("exp(x)", lambda x, out: np.exp(x)),
    ("cos(x)", lambda x, out: np.cos(x)),
    ("sigmoid(x)", lambda x, out: _sigmoid(x)),
    ("x > 0", lambda x, out: (x > 0).astype(float)),
    ("1 - out", lambda x, out: 1 - out),
    ("1 / (2 * out)", lambda x, out: 1 / (2 * out)),
]


def _fits(local: np.ndarray, f: Any, s: Sample, k: int) -> bool:
    with np.errstate(all="ignore"):
        guess = f(s.x[k], s.out)
    return bool(np.isfinite(guess).all()) and close(local, guess)
