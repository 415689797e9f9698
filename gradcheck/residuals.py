"""What is missing from a gradient, or too much in it: a term, a mask, the contributions of some outputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .reading import Reading, mended, tested
from .samples import Sample
from .transforms import close

Axes = tuple[int, ...]
Source = Callable[[Sample], "np.ndarray | None"]
SOME = 1e-7  # of the largest entry: what counts as a difference


def residual(s: Sample, k: int) -> np.ndarray | None:
    """True less returned; None where the shapes differ."""
    a = s.returned[k] if k < len(s.returned) else None
    return s.true(k) - a if a is not None and a.shape == s.x[k].shape else None


def differing(s: Sample, k: int) -> np.ndarray | None:
    """Where the returned gradient is wrong."""
    r = residual(s, k)
    return None if r is None else np.abs(r) > SOME * float(np.abs(s.true(k)).max(initial=0))


# --- whole terms


def terms(s: Sample, k: int) -> Iterator[Reading]:
    """One term with a simple coefficient: dout itself, another gradient, the weights."""
    name, shape = s.names[k], s.x[k].shape
    if s.returned[k].shape != shape:
        return
    if not s.subject.takes_dout and np.any(s.x[k]):
        coefficient = s.fit(k, [s.x[k]], s.returned[k])
        if coefficient is not None:
            yield Reading(
                "regularization",
                f"true - returned = {coefficient[0]:.6g} * {name}: the gradient of the L2 term",
                f"make its factor match the loss: d/d{name} of c * sum({name}**2) is 2 * c * {name}",
                lambda t: t.fit(k, [t.x[k]], t.returned[k]) is not None,
            )
        return
    for j, d in enumerate(s.douts):
        if d.shape == shape:
            for c in (1, -1):
                yield mended(
                    "missing-branch",
                    f"true - returned = {'' if c > 0 else '-'}dout: the path straight to the output",
                    f"add dout to the gradient of {name}" if c > 0 else f"add dout to the gradient of {name} only once",
                    k,
                    lambda t, g, j, c: g + c * t.douts[j],
                    j,
                    c,
                )
    for j, other in enumerate(s.returned):
        if j != k and other is not None and other.shape == shape:
            yield mended(
                "missing-branch",
                f"true - returned is what is returned for {s.names[j]}",
                f"add it to the gradient of {name}: both paths count",
                k,
                lambda t, g, other: g + t.returned[other],
                j,
            )


def sums(s: Sample, k: int) -> Iterator[Reading]:
    """A sum of dout, or of dout times something seen, over other axes than the right ones."""
    name = s.names[k]
    a = s.returned[k]
    for text, source in _sources(s):
        S = source(s)
        if S is None or S.ndim < 2:
            continue
        reduced = list(_reductions(S.ndim))
        right = next(
            (
                axes
                for axes in reduced
                if S.sum(axis=axes).size == s.x[k].size and s.agrees(k, S.sum(axis=axes).reshape(s.x[k].shape))
            ),
            None,
        )
        if right is None:
            continue
        for axes, way in itertools.product(reduced, ("sum", "mean")):
            found = getattr(S, way)(axis=axes)
            if axes != right and found.size == a.size and close(found.reshape(a.shape), a):
                yield tested(
                    "wrong-axis",
                    f"the gradient of {name} is {text} summed over axis {_text(axes)}; due is axis {_text(right)}",
                    f"sum over axis {_text(right)}",
                    _is_sum,
                    k,
                    source,
                    axes,
                    way,
                )


def _is_sum(t: Sample, k: int, source: Source, axes: Axes, way: str) -> bool | None:
    S = source(t)
    if S is None or k >= len(t.returned) or t.returned[k] is None:
        return None
    found = getattr(S, way)(axis=axes)
    return found.size == t.returned[k].size and close(found.reshape(t.returned[k].shape), t.returned[k])


def _sources(s: Sample) -> Iterator[tuple[str, Source]]:
    yield "dout", lambda t: t.d
    for i, x in enumerate(s.x):
        if x.shape == s.d.shape:
            yield f"dout * {s.names[i]}", _product(i)
            for axes in _reductions(x.ndim):
                yield (
                    f"dout * {s.names[i]} normalised over axis {_text(axes)}",
                    _product(i, axes),
                )


def _product(i: int, axes: Axes | None = None) -> Source:
    return lambda t: t.d * (t.x[i] if axes is None else normalised(t.x[i], axes))


def _reductions(ndim: int) -> Iterator[Axes]:
    for size in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), size)


def _text(axes: Axes) -> str:
    return ", ".join(map(str, axes))


# --- normalisation and softmax


def normalised(x: np.ndarray, axes: Axes) -> np.ndarray:
    """Zero mean, unit variance."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + 1e-300)


def centring(s: Sample, k: int) -> Iterator[Reading]:
    """Jacobians that mix the entries of a group: what their parts off the diagonal give."""
    shape, name = s.x[k].shape, s.names[k]
    if s.returned[k].shape != shape or s.out.shape != shape or not shape:
        return
    for axis in range(len(shape) - 1, -1, -1):
        yield mended(
            "diagonal-jacobian",
            f"true - returned = -out * sum(dout * out) over axis {axis}: softmax's other entries",
            f"d{name} = out * (dout - (dout * out).sum(axis={axis}, keepdims=True))",
            k,
            lambda t, g, axis: g - t.out * (t.d * t.out).sum(axis=axis, keepdims=True),
            axis,
        )
    J = s.jacobian(k)[: s.out.size]
    if not close(J, np.diag(np.diag(J))) and close(s.returned[k].ravel(), s.d.ravel() * np.diag(J)):
        yield Reading(
            "diagonal-jacobian",
            f"the gradient of {name} is dout times the diagonal of the Jacobian only",
            "every output of a group depends on every input of it: add what comes through the others",
            lambda t: close(t.returned[k].ravel(), t.d.ravel() * np.diag(t.jacobian(k)[: t.out.size])),
        )
    for axes, groups in _groupings(s, shape):
        where = f"over axis {_text(axes)}" if groups is None else f"over each of {groups} groups"
        yield tested(
            "missing-term-mean",
            f"true - returned is constant {where}: the path through the mean",
            f"subtract the mean of the gradient {where}",
            _is_spanned,
            k,
            axes,
            groups,
            False,
        )
        if not _is_absent(s, k, axes, groups):
            yield tested(
                "forward-mismatch",
                f"backward subtracts the path through the variance {where}, but of "
                "another one than forward's, which is not the course's",
                "correct the standard deviation in forward",
                _is_of_another_variance,
                k,
                axes,
                groups,
            )
        yield tested(
            "missing-term-variance",
            f"true - returned is proportional to {name} normalised {where}: the path through the variance",
            f"subtract xhat * mean(dxhat * xhat) {where}",
            _is_spanned,
            k,
            axes,
            groups,
            True,
        )
        yield tested(
            "missing-term-variance",
            f"true - returned is a constant and a multiple of {name} normalised {where}: mean and variance",
            f"subtract mean(dxhat) and xhat * mean(dxhat * xhat) {where}",
            _is_spanned,
            k,
            axes,
            groups,
            True,
            True,
        )


def _groupings(s: Sample, shape: tuple[int, ...]) -> Iterator[tuple[Axes, int | None]]:
    ndim = len(shape)
    options = [(0,), (ndim - 1,)] if ndim == 2 else [(0, *range(2, ndim)), tuple(range(1, ndim)), tuple(range(2, ndim))]
    options += [(0, 1), (2,)] if ndim == 3 else []
    for axes in dict.fromkeys(options):
        yield axes, None
    for value in s.values.values():
        if isinstance(value, int) and ndim > 1 and 1 < value < shape[1] and shape[1] % value == 0:
            yield (2,), value


def _is_spanned(t: Sample, k: int, axes: Axes, groups: int | None, spread: bool, both: bool = False) -> bool | None:
    """Whether the residual is, within each group, constant, or a multiple of the normalised input, or both."""
    r, x = residual(t, k), t.x[k]
    if r is None:
        return False
    if groups is not None:
        if x.shape[1] % groups:
            return None
        r, x = r.reshape(len(r), groups, -1), x.reshape(len(x), groups, -1)
    size = int(np.prod([x.shape[axis] for axis in axes]))
    if size < 3 + spread + both:
        return None
    left = r
    if not spread or both:
        left = left - left.mean(axis=axes, keepdims=True)
    if spread:
        xhat = normalised(x, axes)
        left = left - xhat * (left * xhat).mean(axis=axes, keepdims=True)
    return float(np.linalg.norm(left)) <= 1e-6 * float(np.linalg.norm(r))


def _is_of_another_variance(t: Sample, k: int, axes: Axes, groups: int | None) -> bool | None:
    return t.differs and _is_spanned(t, k, axes, groups, True)


def _is_absent(t: Sample, k: int, axes: Axes, groups: int | None) -> bool:
    """Whether the returned gradient is dout, scaled in each group or by an argument, less a constant: no more to it."""
    if groups is not None:
        return True
    scales = [np.ones(())] + [
        v.reshape([-1 if i == axis else 1 for i in range(t.d.ndim)])
        for v in t.values.values()
        if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.ndim == 1
        for axis in range(t.d.ndim)
        if t.d.shape[axis] == v.size
    ]
    for scaled in scales:
        d = t.d * scaled
        d = d - d.mean(axis=axes, keepdims=True)
        a = t.returned[k] - t.returned[k].mean(axis=axes, keepdims=True)
        left = a - d * (a * d).sum(axis=axes, keepdims=True) / (d * d).sum(axis=axes, keepdims=True)
        if float(np.linalg.norm(left)) <= 1e-6 * float(np.linalg.norm(a)):
            return True
    return False


# --- where it is wrong


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
                "missing-one-hot",
                f"the gradient of {name} is wrong only at the entries of the labels {key}",
                f"subtract 1 at [arange(N), {key}], before dividing by N",
                lambda t, key: _only_at(t, k, _at_labels(t.values[key], t.x[k].shape)),
                key,
            )
        yield tested(
            "missing-one-hot",
            f"the gradient of {name} is zero at the labels {key}, and elsewhere off by one factor",
            f"subtract what belongs to the right class at [arange(N), {key}]",
            lambda t, key: _lacks_labels(t.returned[k], t.true(k), _at_labels(t.values[key], t.x[k].shape)),
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
    if len(shape) == 3:
        for place, text in ((0, "first"), (-1, "last")):
            yield tested(
                "missing-timestep",
                f"the gradient of {name} is wrong only at the {text} time step",
                f"check what is added at the {text} step",
                lambda t, place: _only_at(t, k, _step(t.x[k].shape, place)),
                place,
            )


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
        lambda t: _at_scores(t, k, key, _wrong_at_labels),
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


def _wrong_at_labels(a: np.ndarray, n: np.ndarray, labels: np.ndarray) -> bool:
    return close(a[~labels], n[~labels]) and not close(a[labels], n[labels])


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


# --- elementwise


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
