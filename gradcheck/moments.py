"""Jacobians that mix the entries of a group, of normalisation and softmax: which of their paths is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .reading import Reading, mended, tested
from .residuals import Axes, axes_text, normalised, residual
from .samples import Sample
from .transforms import close


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
        where = f"over axis {axes_text(axes)}" if groups is None else f"over each of {groups} groups"
        yield tested(
            "missing-term-mean" if _has_no_mean(s, k, axes, groups) else "wrong-term",
            f"true - returned is constant {where}: the path through the mean is not right",
            f"subtract the mean of the gradient {where}",
            _is_spanned,
            k,
            axes,
            groups,
            False,
        )
        absent = _is_absent(s, k, axes, groups)
        if not absent:
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
            "missing-term-variance" if absent else "wrong-term",
            f"true - returned is proportional to {name} normalised {where}: the path through the variance is not right",
            f"subtract xhat * mean(dxhat * xhat) {where}",
            _is_spanned,
            k,
            axes,
            groups,
            True,
        )
        yield tested(
            "missing-term-variance" if absent else "wrong-term",
            f"true - returned is a constant and a multiple of {name} normalised {where}: "
            "the paths through mean and variance are not right",
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
    for scaled in _scales(t):
        d = t.d * scaled
        d = d - d.mean(axis=axes, keepdims=True)
        a = t.returned[k] - t.returned[k].mean(axis=axes, keepdims=True)
        left = a - d * (a * d).sum(axis=axes, keepdims=True) / (d * d).sum(axis=axes, keepdims=True)
        if float(np.linalg.norm(left)) <= 1e-6 * float(np.linalg.norm(a)):
            return True
    return False


def _has_no_mean(t: Sample, k: int, axes: Axes, groups: int | None) -> bool:
    """Whether the mean of the returned gradient is that of dout, scaled by an argument, over the standard deviation."""
    if groups is not None:
        return True
    mean = t.returned[k].mean(axis=axes)
    dues = [(t.d * scaled).mean(axis=axes) / t.x[k].std(axis=axes) for scaled in _scales(t)]
    return any(close(mean, due, 0.01) for due in dues)


def _scales(t: Sample) -> list[np.ndarray]:
    """What dout may be multiplied by before it is normalised: nothing, or an argument such as gamma."""
    return [np.ones(())] + [
        v.reshape([-1 if i == axis else 1 for i in range(t.d.ndim)])
        for v in t.values.values()
        if isinstance(v, np.ndarray) and v.dtype.kind == "f" and v.ndim == 1
        for axis in range(t.d.ndim)
        if t.d.shape[axis] == v.size
    ]
