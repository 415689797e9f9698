"""Derivatives from values of a function alone: the numeric side of every gradient check."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
# Where the error of the formula and the rounding of f meet, for f and x of size about 1.
STEPS = {"central": EPS ** (1 / 3), "five-point": EPS ** (1 / 5), "complex-step": 1e-20}

Function = Callable[[Any], Any]


def numerical_gradient(
    f: Function, x: Any, dout: Any = None, *, method: str = "central", h: float | None = None
) -> np.ndarray:
    r"""Gradient of :math:`\langle \text{dout}, f(x) \rangle` with respect to `x`, one entry at a time.

    .. math:: g_i = \frac{\langle \text{dout}, f(x + h e_i) - f(x - h e_i) \rangle}{2h}

    The outputs are subtracted before they meet `dout`, which loses fewer digits than two losses would.

    Parameters
    ----------
    f : callable
        ``f(x) -> out``, a number or an array; it gets arrays of its own, so it may write into them.
    x : array_like
        The point, of any shape; integers are converted to float64.
    dout : array_like of the shape of out, optional
        Gradient of the loss with respect to `out`; may be left out where `out` is one number.
    method : {"central", "five-point", "complex-step"}, default "central"
        Relative errors of about 1e-11, 1e-13 and 1e-16 on well-scaled functions.
    h : float > 0, optional
        Step in the units of `x`. Default: 6e-6, 7e-4 or 1e-20 by method, times ``max(1, abs(x_i))``.

    Returns
    -------
    ndarray of the shape of `x`, float64

    Raises
    ------
    ValueError
        If `dout` does not have the shape of out, or `method` is unknown, or complex-step is asked of an `f` that is
        not complex-safe: ``abs``, ``var`` and real buffers drop the imaginary part, most of them silently, so that
        the result is compared with differences before it is returned.

    References
    ----------
    .. [1] Squire and Trapp (1998), "Using Complex Variables to Estimate Derivatives of Real Functions"

    Examples
    --------
    >>> import numpy as np
    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([1.0, 2.0, 3.0])).round(6)
    array([2., 4., 6.])
    """
    x = np.array(x, dtype=np.float64)
    dout = None if dout is None else np.asarray(dout, dtype=np.float64)
    gradient = np.zeros_like(x)
    for index, column in _columns(f, x, method, h):
        gradient[index] = np.vdot(_matching(dout, column), column)
    if method == "complex-step" and x.size:
        _check_complex_safe(f, x, dout, gradient)
    return gradient


def jacobian(f: Function, x: Any, *, method: str = "central", h: float | None = None) -> np.ndarray:
    r"""All partial derivatives, :math:`J_{oi} = \partial f_o / \partial x_i`, of shape out.shape + x.shape.

    Parameters are those of `numerical_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> jacobian(lambda x: np.array([x[0] * x[1], x[0]]), np.array([2.0, 5.0])).round(6)
    array([[5., 2.],
           [1., 0.]])
    """
    x = np.array(x, dtype=np.float64)
    columns = [column for _, column in _columns(f, x, method, h)]
    if not columns:
        return np.zeros(np.shape(f(x.copy())) + x.shape)
    matrix = np.stack(columns, axis=-1).reshape(columns[0].shape + x.shape)
    if method == "complex-step":
        dout = np.random.default_rng(0).standard_normal(columns[0].shape)
        _check_complex_safe(f, x, dout, np.tensordot(dout, matrix, axes=dout.ndim))
    return matrix


def vjp(f: Function, x: Any, dout: Any, *, method: str = "central", h: float | None = None) -> np.ndarray:
    """Vector-Jacobian product, ``dout`` times J: what a backward pass returns, of the shape of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> vjp(lambda x: 3 * x, np.zeros(2), dout=np.array([1.0, 2.0])).round(6)
    array([3., 6.])
    """
    return numerical_gradient(f, x, dout, method=method, h=h)


def jvp(f: Function, x: Any, dx: Any, *, method: str = "central", h: float | None = None) -> np.ndarray:
    """Jacobian-vector product, J times `dx`: how out moves when x moves along `dx`, of the shape of out.

    Two calls of `f` (four with ``"five-point"``, one with ``"complex-step"``), whatever the size of `x`. `h` is the
    longest move of any entry of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> jvp(lambda x: x[0] * x[1], np.array([2.0, 5.0]), dx=np.array([1.0, 10.0])).round(6)
    np.float64(25.0)
    """
    x, dx = np.array(x, dtype=np.float64), np.array(dx, dtype=np.float64)
    if dx.shape != x.shape:
        raise ValueError(f"dx must have the shape {x.shape} of x; got {dx.shape}")
    longest = np.abs(dx).max(initial=0.0)
    if longest == 0:
        return np.zeros(np.shape(f(x.copy())))
    step = _step(method, h, float(np.abs(x).max()))
    return _along(f, x, dx / longest, method, step) * longest


def directional_derivative(f: Function, x: Any, u: Any, dout: Any = None) -> tuple[float, float]:
    r"""Slope of :math:`\langle \text{dout}, f(x + t u) \rangle` at t = 0, with an estimate of its own error.

    No step suits every function, so eighteen from :math:`10^{-1.5}` to :math:`10^{-10}` are tried (36 calls of `f`)
    and the function itself tells which are good: see `sweep`.

    Returns
    -------
    value, error : float
        The error is infinite where `f` is not finite around `x`.

    Examples
    --------
    >>> import numpy as np
    >>> value, error = directional_derivative(lambda x: np.exp(x).sum(), np.zeros(2), np.array([1.0, 2.0]))
    >>> round(value, 9), error < 1e-9
    (3.0, True)
    """
    x, u = np.array(x, dtype=np.float64), np.array(u, dtype=np.float64)
    with np.errstate(all="ignore"):
        out = np.array(f(x.copy()), dtype=np.float64)
    dout = _matching(None if dout is None else np.asarray(dout, dtype=np.float64), out)

    def difference(h: float) -> float:
        return float(np.vdot(dout, np.array(f(x + h * u), dtype=np.float64) - f(x - h * u)))

    estimate = sweep(difference, rounding=EPS * float(np.linalg.norm(out * dout)), scale=size_of(x))
    return estimate.value, estimate.error


class Estimate(NamedTuple):
    """A slope found by `sweep`."""

    value: float
    error: float
    h: float  # a step at which the slopes agree
    noise: float  # what rounding does to one value of the function; over h, what it does to a slope


def sweep(
    difference: Callable[[float], float], *, rounding: float, scale: float = 1.0, quantum: float = 0.0
) -> Estimate:
    r"""The slope on which the differences of many steps agree.

    ``difference(h)`` is f(h) - f(-h). Of two central differences, h and :math:`h' = h / \sqrt{10}`, Richardson's
    :math:`(10 D(h') - D(h)) / 9` cancels the error in :math:`h^2`. The three neighbours that agree best give the
    value, their spread and the rounding of f over h the error. Rounding is at least `rounding`, and as much more as
    the differences at the smallest steps scatter: they hold little else. A value must also fit all those at smaller
    steps within the errors of both, since the slope is their limit: log(abs(x)) near 0 looks flat to a large step.
    """
    steps = scale * 10.0 ** -np.arange(1.5, 10.25, 0.5)
    with np.errstate(all="ignore"):
        rises = np.array([difference(h) for h in steps.tolist()])
        slopes = rises / (2 * steps)
        if not rises[-4:].any() and np.abs(rises).min(initial=np.inf, where=rises != 0) < quantum:
            return Estimate(0.0, np.inf, float(steps[0]), quantum)
        scatter = np.abs(np.diff(slopes[-4:])) * steps[-3:]
        noise = max(rounding, float(scatter.max(initial=0.0, where=np.isfinite(scatter))))
        better = (10 * slopes[1:] - slopes[:-1]) / 9
        threes = np.stack([better[:-2], better[1:-1], better[2:]])
        errors = threes.max(axis=0) - threes.min(axis=0) + noise / steps[3:]
        errors[~np.isfinite(errors)] = np.inf
        values = np.median(threes, axis=0)
        misfits = np.abs(values[:, None] - values) > 3 * (errors[:, None] + errors)
    errors[np.triu(misfits).any(axis=1)] = np.inf
    best = int(errors.argmin())
    return Estimate(float(values[best]), float(errors[best]), float(steps[best + 2]), noise)


def fit(difference: Callable[[float], float], *, rounding: float, scale: float = 1.0) -> Estimate:
    r"""The slope of a function that is smooth but noisy, such as one computed in float32, from long steps.

    Central differences are :math:`f' + a h^2 + b h^4 + c h^6 + \ldots`; that series is fitted to many of them, weighted
    by h as their noise is one over h. The error is what the last term changes, and what the residuals allow. Of many
    ranges of steps, the first from 0.6 to 0.002 times `scale` and the others shorter, the one of least error counts.
    """
    steps = scale * np.geomspace(0.6, 0.002, 24)
    with np.errstate(all="ignore"):
        slopes = np.array([difference(h) / (2 * h) for h in steps.tolist()])
    best = Estimate(np.nan, np.inf, float(steps[-1]), 0.0)
    for start in range(17):
        h, rows = steps[start:], slopes[start:]
        if np.isfinite(rows).all():
            design = (h[:, None] / h[0]) ** np.array([0, 2, 4, 6]) * h[:, None]
            short, *_ = np.linalg.lstsq(design[:, :3], rows * h, rcond=None)
            full, *_ = np.linalg.lstsq(design, rows * h, rcond=None)
            noise = max(rounding, float(np.linalg.norm(design @ full - rows * h)) / (len(h) - 4) ** 0.5)
            allowed = noise * float(np.linalg.inv(design.T @ design)[0, 0]) ** 0.5
            error = abs(float(full[0] - short[0])) + allowed
            best = min(best, Estimate(float(full[0]), error, float(h[-1]), noise), key=lambda found: found.error)
    return best


def size_of(x: np.ndarray) -> float:
    """How much longer than 1 a step must be to be seen beside `x`: its root mean square, at least 1."""
    return max(1.0, float(np.linalg.norm(x)) / max(1, x.size) ** 0.5)


def _columns(f: Function, x: np.ndarray, method: str, h: float | None) -> Iterator[tuple[Any, np.ndarray]]:
    """The columns of the Jacobian, each with the index of its entry of `x`."""
    for index in np.ndindex(x.shape):
        basis = np.zeros_like(x)
        basis[index] = 1
        step = _step(method, h, abs(float(x[index])))
        if method != "complex-step":
            step = float(x[index] + step - x[index])  # the step that x + h really takes
        yield index, _along(f, x, basis, method, step)


def _step(method: str, h: float | None, size: float) -> float:
    if method not in STEPS:
        raise ValueError(f"method must be one of {', '.join(map(repr, STEPS))}; got {method!r}")
    if h is None:
        return STEPS[method] * max(1.0, size)
    if not h > 0:
        raise ValueError(f"h must be a step > 0 in the units of x; got {h!r}")
    return float(h)


def _along(f: Function, x: np.ndarray, u: np.ndarray, method: str, h: float) -> np.ndarray:
    """Derivative of f(x + t u) by t at t = 0, an array of the shape of out."""
    if method == "complex-step":
        return _imaginary(f, x + 1j * h * u) / h

    def at(k: int) -> np.ndarray:
        return np.array(f(np.asarray(x + k * h * u)), dtype=np.float64)  # a copy: out may be x itself

    if method == "central":
        return (at(1) - at(-1)) / (2 * h)
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


_NOT_COMPLEX_SAFE = (
    "f is not complex-safe: {}. abs, var, std, sign, norm and buffers of real dtype lose the imaginary part; "
    'use method="five-point"'
)


def _imaginary(f: Function, x: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            out = np.asarray(f(x))
        except (np.exceptions.ComplexWarning, TypeError) as error:
            raise ValueError(_NOT_COMPLEX_SAFE.format(error)) from error
    if not np.iscomplexobj(out):
        raise ValueError(_NOT_COMPLEX_SAFE.format(f"it returned {out.dtype} for a complex x"))
    return out.imag.copy()


def _check_complex_safe(f: Function, x: np.ndarray, dout: Any, gradient: np.ndarray) -> None:
    u = np.random.default_rng(0).standard_normal(x.shape)
    value, error = directional_derivative(f, x, u, dout)
    gap = abs(value - float(np.vdot(gradient, u)))
    if gap > 10 * error + 1e-6 * float(np.linalg.norm(gradient)):
        raise ValueError(_NOT_COMPLEX_SAFE.format("its complex step disagrees with its differences"))


def _matching(dout: np.ndarray | None, out: np.ndarray) -> np.ndarray:
    if dout is None:
        if out.size != 1:
            raise ValueError(f"dout must be given where out is an array; f returned shape {out.shape}")
        return np.ones(out.shape)
    if dout.shape != out.shape:
        raise ValueError(f"dout must have the shape {out.shape} of f(x); got {dout.shape}")
    return dout
