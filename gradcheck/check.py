"""Checks of a pair of functions, a layer, a loss: numbers against the backward that someone wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .examine import Options, examine
from .localize import ENTRIES
from .objects import LayerObject, Net
from .report import Report
from .subjects import LossFunction, Pair, names_of

DIRECTIONS = 3


def check(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None,
    *inputs: Any,
    rng: np.random.Generator | int = 0,
    directions: int = DIRECTIONS,
    wrt: Sequence[str] | None = None,
    against: Any = None,
    selftest: bool = False,
    entries: int = ENTRIES,
    why: bool = True,
) -> Report:
    r"""Check a backward function against its forward, for every floating-point input.

    For a Gaussian dout and Gaussian directions u, :math:`\langle \text{dout}, J u \rangle` by central differences
    must be :math:`\langle \text{backward}(\text{dout}), u \rangle`. That costs a handful of forwards, whatever the
    size of the inputs. Where the two differ, many steps are tried and the error of the differences is estimated; a
    gradient is called wrong only if it is off by clearly more, and the entries that are wrong are then found.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs) -> (out, cache)``; with several outputs ``(out1, out2, cache)``. Or, for a backward that
        needs no cache, ``forward(*inputs) -> out``. The cache may be anything.
    backward : callable or None
        ``backward(dout, cache)`` (one dout per output, then the cache), or ``backward(dout)`` without a cache. It
        returns one gradient for each floating input, in their order; a bare array where there is one. None if the
        cache of `forward` is itself the backward: ``forward(x) -> (out, backward)``. Where it has the same parameters
        as `forward`, it is taken for SciPy's pair of a function and its gradient, ``f(x)`` and ``gradient(x)``.
    *inputs : array or anything
        Floating arrays are converted to float64 and differentiated (plain floats, if there is no array); all others,
        such as labels, settings and generators, are passed as they are, a fresh copy each time.
    rng : numpy.random.Generator or int, default 0
        Source of dout and the directions.
    directions : int >= 1, default 3
        Directions for each argument.
    wrt : sequence of str, optional
        Names of the inputs to differentiate instead.
    against : Graph or callable, optional
        Another engine whose gradients take the place of differences, entry by entry: a graph, with ``forward(...)``
        and a ``backward(*douts)`` that returns a dict of gradients by input name, or a function of PyTorch tensors. It
        gets all inputs, then the parameters if there are any. Its outputs are compared as well.
    selftest : bool, default False
        Disturb each gradient that passed by 1e-5 in one entry and check it again: that must fail, or the verdict is
        "inconclusive". Worth its time once, at inputs of a new kind.
    entries : int >= 5, default 600
        Entries of one gradient that are compared one by one, at 2 to 4 forwards each, once directions have shown that
        it is wrong. Of a larger one a fifth as many are drawn, beside the worst, which are found by bisection.
    why : bool, default True
        Look for the cause and the line of a failure, in `Report.why`; takes up to 3 seconds.

    Returns
    -------
    Report
        True where all is right; ``print`` it.

    Notes
    -----
    Arrays are passed read-only, so that a write into an argument or dout is caught. All generators that the functions
    can reach, NumPy's global one included, are set back before each forward, so that a random forward repeats itself.
    Nothing depends on the scale of the loss. Where inputs sit on kinks or ties, where any slope between both sides is
    right, the check is made beside them as well. Code that computes in float32 is judged by the digits that leaves.

    Examples
    --------
    >>> import numpy as np
    >>> def square_forward(x):
    ...     return x**2, x
    >>> def square_backward(dout, cache):
    ...     return dout * cache
    >>> report = check(square_forward, square_backward, np.array([1.0, -3.0]))
    >>> report.verdict, report.arguments[0].wrong, round(report.arguments[0].worst.ratio, 6)
    ('fail', 2, 0.5)
    """
    for name, function in (("forward", forward), ("backward", backward)):
        if not callable(function) and function is not None:
            raise TypeError(
                f"{name} must be a function, as in check(forward, backward, *inputs); got {type(function).__name__}. "
                "A layer goes to check_layer(layer, *inputs), a loss to check_loss(loss, scores, y)"
            )
    options = Options(rng, directions, against, selftest, entries)
    if backward is not None and _is_gradient(forward, backward, len(inputs)):
        return examine(LossFunction(forward, inputs, wrt, backward), options)
    report = examine(Pair(forward, backward, inputs, wrt), options)
    return _of_functions(report, forward, backward, inputs) if why and backward is not None else report


def check_layer(
    layer: Any,
    *inputs: Any,
    rng: np.random.Generator | int = 0,
    directions: int = DIRECTIONS,
    wrt: Sequence[str] | None = None,
    against: Any = None,
    selftest: bool = False,
    entries: int = ENTRIES,
    why: bool = True,
) -> Report:
    """Check a layer object: the gradients of every floating input and of every parameter.

    Parameters
    ----------
    layer : object
        With ``forward(*inputs) -> out`` and ``backward(dout)``; with a ``parameters()`` that returns a dict of
        objects with `value` and `grad`, with dicts or lists `params` and `grads`, with attributes W and dW, here or in
        layers within, or without parameters. An array that forward uses and that has no gradient is a note. Where
        parameters have a ``zero_grad``, backward must add to their gradients. It is copied, never changed; the
        copy is converted by ``astype(float64)`` if it has that.
    *inputs, rng, directions, wrt, against, selftest, entries, why
        As in `check`. Of a loss, whose ``backward()`` can do without dout, only the first input is differentiated.

    Notes
    -----
    Each forward begins with the same generators, running statistics and other state: dropout is checked with its mask,
    not switched off. A layer that computes something else in its other mode (``train()``, ``eval()``) is checked there
    as well. Parameters that are constant, such as gamma = 1 and b = 0, are moved, since they hide mistakes; a net of
    more than eight arguments has one direction for each of them and the others together.

    Examples
    --------
    >>> import numpy as np
    >>> class Square:
    ...     def forward(self, x):
    ...         self.cache = x
    ...         return x**2
    ...
    ...     def backward(self, dout):
    ...         return 2 * self.cache * dout
    >>> bool(check_layer(Square(), np.array([1.0, -3.0])))
    True
    """
    report = examine(LayerObject(layer, inputs, wrt), Options(rng, directions, against, selftest, entries))
    return _of_object(report, layer, inputs, wrt) if why else report


def check_loss(
    loss: Any,
    scores: Any,
    *targets: Any,
    rng: np.random.Generator | int = 0,
    directions: int = DIRECTIONS,
    wrt: Sequence[str] | None = None,
    against: Any = None,
    selftest: bool = False,
    entries: int = ENTRIES,
    why: bool = True,
) -> Report:
    """Check the gradient of a loss with respect to its first argument, the scores, and to its parameters if any.

    Parameters
    ----------
    loss : object or callable
        An object with ``forward(scores, *targets) -> float`` and ``backward() -> dscores``, or ``backward(dout)``;
        a function ``f(scores, *targets) -> (loss, dscores)``, such as ``f(W, X, y, reg) -> (loss, dW)``; a tuple of
        functions ``(f, gradient)``; a net with a dict `params` and ``loss(X, y) -> (loss, grads)``, which is checked in
        every parameter; or a function whose first argument is such a dict, ``f(params, X, y) -> (loss, grads)``.
    scores : array
        The point.
    *targets : array or anything
        Passed on, not differentiated.
    rng, directions, wrt, against, selftest, entries, why
        As in `check`.

    Examples
    --------
    >>> import numpy as np
    >>> def squared_error(x, y):
    ...     return np.sum((x - y) ** 2), 2 * (x - y)
    >>> bool(check_loss(squared_error, np.array([1.0, 2.0]), np.array([0.5, 4.0])))
    True
    """
    if callable(scores):
        raise TypeError(
            f"scores must be an array, as in check_loss(loss, scores, y); got {type(scores).__name__}. "
            "A forward and its backward go to check(forward, backward, *inputs)"
        )
    options = Options(rng, directions, against, selftest, entries)
    values = (scores, *targets)
    net = getattr(loss, "__self__", loss)
    if hasattr(loss, "forward"):
        report = examine(LayerObject(loss, values, wrt), options)
        return _of_object(report, loss, values, wrt) if why else report
    if callable(getattr(net, "loss", None)) and hasattr(net, "params"):
        report = examine(Net(net, values), options)
        return _of_net(report, net, values) if why else report
    if isinstance(loss, tuple):
        return examine(LossFunction(loss[0], values, wrt, loss[1]), options)
    report = examine(LossFunction(loss, values, wrt), options)
    return _of_functions(report, loss, None, values) if why and inspect.isfunction(loss) else report


def _of_functions(report: Report, forward: Any, backward: Any, inputs: Sequence[Any]) -> Report:
    """The report with the cause and the line, if it accuses functions whose source is at hand."""
    from .why import at_inputs  # which needs what stands here

    report.why = at_inputs(report, forward, backward, inputs)
    return report


def _of_object(report: Report, layer: Any, inputs: Sequence[Any], wrt: Sequence[str] | None) -> Report:
    """The report with the cause and the line, if it accuses a layer."""
    from .why_layer import of_layer

    report.why = of_layer(report, layer, inputs, wrt)
    return report


def _of_net(report: Report, net: Any, inputs: Sequence[Any]) -> Report:
    """The report with the cause and the line, if it accuses a net."""
    from .why_net import of_net

    report.why = of_net(report, net, inputs)
    return report


def _is_gradient(f: Any, g: Any, count: int) -> bool:
    """Whether ``g(x)`` takes what ``f(x)`` takes, as SciPy has it, and not a dout."""
    names = names_of(f, count)
    return names == names_of(g, count) and names == names_of(g, count + 1)[:count] and _arity(g) == _arity(f)


def _arity(function: Any) -> int:
    try:
        return len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return -1


def assert_gradients(target: Any, *inputs: Any, **options: Any) -> None:
    """Raise AssertionError with the report unless every gradient is right: a test in one line.

    Parameters
    ----------
    target : layer, pair or function
        A layer object for `check_layer`; a tuple (forward, backward), or a forward that its backward follows, for
        `check`; a function that returns a loss and its gradient for `check_loss`.
    *inputs, **options
        As in the function that is called.

    Examples
    --------
    >>> import numpy as np
    >>> assert_gradients((lambda x: (3 * x, None), lambda dout, cache: 3 * dout), np.ones(4))
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    if inputs and callable(target) and callable(inputs[0]):
        target, inputs = (target, inputs[0]), inputs[1:]
    if isinstance(target, tuple) and len(target) != 2:
        raise ValueError(f"target must be a layer, a loss or a tuple (forward, backward); got a tuple of {len(target)}")
    if isinstance(target, tuple):
        report = check(*target, *inputs, **options)
    elif hasattr(target, "forward"):
        report = check_layer(target, *inputs, **options)
    else:
        report = check_loss(target, *inputs, **options)
    if not report:
        raise AssertionError(str(report))
