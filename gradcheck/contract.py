"""What a backward owes besides the right values: form, linearity in dout, and hands off what is not its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .directional import precision_of
from .report import ArgumentResult, Finding
from .subjects import Run, guarded, same

Gradients = Callable[[list[Any], list[Any]], list[Any]]  # of a fresh forward at arrays, for douts


def copied(gradients: list[Any]) -> list[Any]:
    """Gradients out of reach of what the code under test does next; None stays None."""
    return [None if gradient is None else np.array(gradient) for gradient in gradients]


def handed_out(douts: list[Any], writable: bool) -> list[Any]:
    """The douts as they are passed to a backward: read-only, numbers as numbers."""
    return [None if dout is None else guarded(dout, writable)[()] for dout in douts]


def check_count(subject: Any, gradients: list[Any]) -> Finding | None:
    """As many gradients as differentiable arguments."""
    expected = len(subject.names)
    if len(gradients) == expected:
        return None
    extra = expected - subject.n_inputs  # a layer's parameters bring theirs themselves
    return Finding(
        "fail",
        "missing-gradient",
        f"backward returned {len(gradients) - extra} gradients; expected {subject.n_inputs}, one for each of "
        f"{', '.join(subject.names[: subject.n_inputs]) or 'no input'} in this order (name those to check in wrt=)",
    )


def check_form(name: str, gradient: Any, x: np.ndarray) -> ArgumentResult | None:
    """A gradient is an array of numbers of the shape of its argument."""
    result = ArgumentResult(name, "fail")
    if gradient is None:
        result.cause = "missing-gradient"
        result.notes.append("backward gave no gradient (None)")
    elif gradient.dtype.kind not in "fiub":
        result.notes.append(f"the gradient must be an array of numbers; got dtype {gradient.dtype}")
    elif gradient.shape != x.shape:
        result.notes.append(f"the gradient must have the shape {x.shape} of {name}; got {gradient.shape}")
    else:
        return None
    return result


def check_mutation(subject: Any, run: Run, douts: list[Any], passed: list[Any]) -> Iterator[Finding]:
    """The arguments and dout hold what they held before."""
    for name in run.changed():
        yield Finding("contract", "mutates-input", f"{subject.title} writes into its argument {name}; work on a copy")
    if not all(same(dout, given) for dout, given in zip(douts, passed) if dout is not None):
        yield Finding("contract", "mutates-dout", "backward writes into dout, which is the caller's; work on a copy")


def check_repeatable(subject: Any, run: Run, douts: list[Any], first: list[Any], floor: float) -> Iterator[Finding]:
    """A second backward from the same cache gives the same again."""
    try:
        second = copied(run.backward(handed_out(douts, subject.writable)))
    except Exception as error:
        text = f"a second backward from the same cache raises {type(error).__name__}: {_first_line(error)}"
        yield Finding("contract", "not-repeatable", text)
        return
    names = [name for name, a, b in _numbered(subject, first, second) if _differ(a, b, floor)]
    if names and not any(_differ(2 * a, b, floor) for _, a, b in _numbered(subject, first, second)):
        text = f"a second backward gives twice the first, for {', '.join(names)}: it adds to what the first left"
        yield Finding("contract", "accumulates", text)
    elif names:
        text = f"a second backward from the same cache gives another gradient, for {', '.join(names)}"
        yield Finding("contract", "not-repeatable", text)


def check_isolation(subject: Any, run: Run, douts: list[Any], first: list[Any], floor: float) -> Iterator[Finding]:
    """The cache of `run` has outlived a later forward at another point."""
    again = copied(run.backward(handed_out(douts, subject.writable)))
    names = [name for name, a, b in _numbered(subject, first, again) if _differ(a, b, floor)]
    if names:
        text = f"backward does not use its own cache: a forward in between changes the gradient of {', '.join(names)}"
        yield Finding("contract", "stale-cache", text)


def check_linear(
    subject: Any, gradients: Gradients, douts: list[Any], first: list[Any], floor: float, rng: np.random.Generator
) -> Iterator[Finding]:
    """backward(p * d1 + q * d2) == p * backward(d1) + q * backward(d2); p is large, to meet clipping."""
    p, q = 1.7e3, -0.6
    others: list[Any] = [None if dout is None else np.asarray(rng.standard_normal(dout.shape)) for dout in douts]
    mixed = [None if a is None else np.asarray(p * a + q * b) for a, b in zip(douts, others)]
    other, both = gradients(subject.arrays, others), gradients(subject.arrays, mixed)
    names = []
    for (name, a, b), (_, _, c) in zip(_numbered(subject, first, other), _numbered(subject, first, both)):
        size = p * np.linalg.norm(a) + abs(q) * np.linalg.norm(b)
        if _differ(p * a + q * b, c, p * floor, float(size)):
            names.append(name)
            if not _differ(a, b, floor) and np.any(a):
                yield Finding("fail", "ignores-dout", f"the gradient of {name} does not depend on dout")
                return
    if names:
        text = f"backward is not linear in dout, for {', '.join(names)}: B(p*d1 + q*d2) != p*B(d1) + q*B(d2)"
        yield Finding("fail", "nonlinear-in-dout", text)


def _numbered(subject: Any, first: list[Any], second: list[Any]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The gradients that can be compared, with their names."""
    for name, a, b in zip(subject.names, first, second):
        if a is not None and b is not None and a.dtype.kind in "fiub" and a.shape == b.shape:
            yield name, a, b


def _differ(a: np.ndarray, b: np.ndarray, floor: float, size: float | None = None) -> bool:
    size = float(np.linalg.norm(a)) if size is None else size
    tolerance = max(1e-8, 64 * precision_of(b))
    return np.isfinite(size) and not np.linalg.norm(a - b) <= tolerance * size + floor


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
