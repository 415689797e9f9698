"""Gradients that are wrong only where a property of the arguments says: signs, masks, labels, steps in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .amend import loops
from .reading import Reading, mended, tested
from .residuals import differing
from .samples import Sample
from .transforms import close


def supports(s: Sample, k: int) -> Iterator[Reading]:
    """Wrong entries exactly where a property of the arguments says."""
    name, shape = s.names[k], s.x[k].shape
    wrong = differing(s, k)
    if wrong is None or not shape or not wrong.any():
        return
    labels = [key for key, value in s.values.items() if _is_labels(value, shape)]
    for key in labels:
        if np.array_equal(wrong | _at_labels(s.values[key], shape), _at_labels(s.values[key], shape)):
            yield tested(
                "scale-sign",
                f"the gradient of {name} has + 1 where it should have - 1, at the labels {key}",
                f"subtract 1 at [arange(N), {key}], do not add it",
                lambda t, key: _adds_labels(t, k, _at_labels(t.values[key], t.x[k].shape)),
                key,
            )
            yield tested(
                "missing-one-hot",
                f"the gradient of {name} is wrong only at the entries of the labels {key}",
                f"subtract 1 at [arange(N), {key}], before dividing by N",
                lambda t, key: _lacks_ones(t, k, _at_labels(t.values[key], t.x[k].shape)),
                key,
            )
        yield tested(
            "missing-one-hot",
            f"the gradient of {name} is zero at the labels {key}, and elsewhere off by one factor",
            f"subtract what belongs to the right class at [arange(N), {key}]",
            lambda t, key: _lacks_labels(t.returned[k], t.true(k), _at_labels(t.values[key], t.x[k].shape)),
            key,
        )
        yield mended(
            "wrong-term",
            f"the gradient of {name} is wrong only at the labels {key}, which lack the others of their row",
            f"at [arange(N), {key}] it is minus the sum of the row's other entries",
            k,
            lambda t, g, key: np.where(
                found := _at_labels(t.values[key], g.shape), -(g * ~found).sum(axis=-1, keepdims=True), g
            ),
            key,
        )
    if wrong.all():
        return
    for key, value in s.values.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "b" and value.shape == shape[: value.ndim]:
            yield tested(
                "wrong-mask",
                f"the gradient of {name} is wrong only where {key} is False",
                f"multiply it by {key}",
                lambda t, key: _only_at(t, k, _spread(~t.values[key], t.x[k].shape)),
                key,
            )
    for text, test in _signs(s, k):
        yield tested(
            "wrong-mask",
            f"the gradient of {name} is wrong exactly where {text}",
            f"check the mask: {text}",
            _is_exactly,
            k,
            test,
        )
    if len(shape) == 3 and loops(s):
        for place, text in ((0, "first"), (-1, "last")):
            yield tested(
                "missing-timestep",
                f"the gradient of {name} is wrong only at the {text} time step",
                f"check what is added at the {text} step",
                lambda t, place: _only_at(t, k, _step(t.x[k].shape, place)),
                place,
            )


def _adds_labels(t: Sample, k: int, labels: np.ndarray) -> bool | None:
    """Whether (p + 1) * c is returned where (p - 1) * c is due: then the loss is the sum of -log(p) * c."""
    if not _only_at(t, k, labels):
        return None
    a, n = t.returned[k][labels], t.true(k)[labels]
    c = (a - n) / 2
    used = np.abs(c) > 0
    p = a[used] / c[used] - 1
    return bool(np.all(p > 0)) and bool(np.isclose(t.out, -np.sum(c[used] * np.log(p)), rtol=1e-6))


def _lacks_ones(t: Sample, k: int, labels: np.ndarray) -> bool | None:
    """Whether one number is to be subtracted at the labels, or at some of them, and all else is right."""
    if not _only_at(t, k, labels):
        return _only_at(t, k, labels)
    off = (t.returned[k] - t.true(k))[labels & differing(t, k)]
    return bool(np.ptp(off) < 1e-6 * np.abs(off).max() and off[0] > 0)


def _lacks_labels(a: np.ndarray, n: np.ndarray, labels: np.ndarray) -> bool:
    a, n = np.broadcast_to(a, n.shape), n
    if np.any(a[labels]) or not np.any(n[labels]) or not np.any(n[~labels]):
        return False
    factor = float(np.vdot(a[~labels], n[~labels]) / np.vdot(n[~labels], n[~labels]))
    return close(a[~labels], factor * n[~labels]) and factor != 0


# --- a linear classifier: its W seen through X


def through_scores(s: Sample, k: int) -> Iterator[Reading]:
    """The gradient of the scores, which that of W gives away where there are fewer examples than features."""
    if s.subject.takes_dout or _scores(s, k, s.returned[k]) is None:
        return
    key = next((key for key, v in s.values.items() if isinstance(v, np.ndarray) and v.dtype.kind in "iu"), None)
    if key is None:
        return
    yield Reading(
        "missing-one-hot",
        f"seen through X, the gradient of the scores is wrong only at the labels {key}",
        f"subtract 1 at [arange(N), {key}], before dividing by N",
        lambda t: _at_scores(t, k, key, _lacks_ones_at),
    )
    yield Reading(
        "missing-one-hot",
        f"seen through X, the gradient of the scores is zero at the labels {key}",
        f"subtract what belongs to the right class at [arange(N), {key}]",
        lambda t: _at_scores(t, k, key, _lacks_labels),
    )
    yield Reading(
        "wrong-mask",
        "seen through X, scores below the margin get a gradient: there the loss is flat",
        "let only the margins above 0 through",
        lambda t: _at_scores(t, k, key, _wrong_at_flat),
    )


def _at_scores(t: Sample, k: int, key: str, test: Callable[..., bool]) -> bool | None:
    if t.returned[k].shape != t.x[k].shape:
        return None
    a, n = _scores(t, k, t.returned[k]), _scores(t, k, t.true(k))
    return None if a is None or n is None else test(a, n, _at_labels(t.values[key], n.shape))


def _scores(t: Sample, k: int, gradient: np.ndarray) -> np.ndarray | None:
    """R of dW = X.T @ R (or R.T of the transposed form), less the L2 term, which no scores can give."""
    W = t.x[k]
    X = next(
        (
            v
            for key, v in t.values.items()
            if isinstance(v, np.ndarray) and v.ndim == 2 and key != t.names[k] and v.dtype.kind == "f"
        ),
        None,
    )
    if X is None or W.ndim != 2 or gradient.shape != W.shape:
        return None
    turned = X.shape[1] != W.shape[0]
    if turned:
        X, W, gradient = X.T, W.T, gradient.T
    if X.shape[1] != W.shape[0] or len(X) >= X.shape[1]:
        return None
    off = np.eye(len(W)) - np.linalg.pinv(X) @ X  # onto what no X.T @ R reaches: there W alone is seen
    beside = off @ W
    l2 = float(np.vdot(off @ gradient, beside) / np.vdot(beside, beside))
    found = np.linalg.lstsq(X.T, gradient - l2 * W, rcond=None)[0]
    return found if close(X.T @ found, gradient - l2 * W) else None


def _lacks_ones_at(a: np.ndarray, n: np.ndarray, labels: np.ndarray) -> bool:
    off = a[labels] - n[labels]
    return close(a[~labels], n[~labels]) and not close(a[labels], n[labels]) and close(off, np.full_like(off, off[0]))


def _wrong_at_flat(a: np.ndarray, n: np.ndarray, labels: np.ndarray) -> bool:
    flat = ~labels & (np.abs(n) < 1e-9 * np.abs(n).max())
    rest = ~labels & ~flat
    return bool(flat.any() and np.all(np.abs(a[flat]) > 1e-9) and close(a[rest], n[rest]))


def _is_exactly(t: Sample, k: int, test: Callable[[Sample, int], np.ndarray]) -> bool | None:
    wrong, there = differing(t, k), test(t, k)
    return np.array_equal(wrong, there) if wrong is not None and there.shape == wrong.shape else None


def _signs(s: Sample, k: int) -> Iterator[tuple[str, Any]]:
    for text, test in (
        ("x < 0", lambda t, i: t.x[i] < 0),
        ("x > 0", lambda t, i: t.x[i] > 0),
        ("out is 0", lambda t, i: t.out == 0),
        ("out is not 0", lambda t, i: t.out != 0),
    ):
        if s.x[k].shape == s.out.shape:
            yield text.replace("x ", f"{s.names[k]} "), test


def _is_labels(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.shape == shape[:-1] and value.size > 0


def _at_labels(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(shape[-1]) == np.asarray(y)[..., None]


def _spread(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)), shape)


def _step(shape: tuple[int, ...], place: int) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[:, place] = True
    return mask


def _only_at(t: Sample, k: int, mask: np.ndarray) -> bool | None:
    wrong = differing(t, k)
    if wrong is None or not wrong.any() or mask.all():
        return None
    return not np.any(wrong & ~mask)
