"""What a backward owes besides the right values: form, linearity in dout, and hands off what is not its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .directional import precision_of
from .report import Finding
from .standins import Lacking
from .state import Cache, Restore, guarded, overlap, same
from .subjects import Run

Gradients = Callable[[list[Any], list[Any]], list[Any]]  # of a fresh forward at arrays, for douts


def kept(gradients: list[Any]) -> list[Any]:
    """Gradients out of reach of what the code under test does next; None stays None, a masked entry is 0."""
    return [None if gradient is None else np.array(np.ma.filled(gradient, 0)) for gradient in gradients]


def handed_out(douts: list[Any], writable: bool) -> list[Any]:
    """The douts as they are passed to a backward: read-only, numbers as numbers."""
    return [None if dout is None else guarded(dout, writable)[()] for dout in douts]


def check_count(subject: Any, gradients: list[Any]) -> Finding | None:
    """As many gradients as differentiable arguments; what follows may be None, for options that were not given."""
    expected = len(subject.names)
    if len(gradients) >= expected and all(gradient is None for gradient in gradients[expected:]):
        return None
    extra = expected - subject.n_inputs  # a layer's parameters bring theirs themselves
    return Finding(
        "fail",
        "missing-gradient",
        f"backward returned {len(gradients) - extra} gradients; expected {subject.n_inputs}, one for each of "
        f"{', '.join(subject.names[: subject.n_inputs]) or 'no input'} in this order (name those to check in wrt=)",
    )


def check_mutation(subject: Any, run: Run, douts: list[Any], passed: list[Any], place: Any) -> Iterator[Finding]:
    """The arguments and dout hold what they held before; `place` is the file and line of the write, if known."""
    file, line = place or (None, None)
    for name in run.changed():
        text = f"{subject.title} writes into its argument {name}; work on a copy"
        yield Finding("contract", "mutates-input", text, line, file)
    if not all(same(dout, given) for dout, given in zip(douts, passed) if dout is not None):
        text = "backward writes into dout, which is the caller's; work on a copy"
        yield Finding("contract", "mutates-dout", text, line, file)


def check_repeatable(
    subject: Any, run: Run, cache: Cache, douts: list[Any], first: list[Any], floor: float, restore: Restore
) -> Iterator[Finding]:
    """A second backward from the same cache gives the same again, and the cache is what it was."""
    changed = cache.changed()

    def backward() -> list[Any]:
        return kept(run.backward(handed_out(douts, subject.writable)))

    def differing(second: list[Any], factor: float = 1) -> list[str]:
        return [name for name, a, b in _numbered(subject, first, second) if _differ(factor * a, b, floor)]

    try:
        second = backward()
    except Lacking:
        return
    except Exception as error:
        text = f"a second backward from the same cache raises {type(error).__name__}: {_first_line(error)}"
        cause = "mutates-cache" if changed else "not-repeatable"
        yield Finding("contract", cause, f"backward changes its cache{_at(changed)}; {text}" if changed else text)
        return
    names = differing(second)
    if names and not differing(second, 2):
        text = f"a second backward gives twice the first, for {', '.join(names)}: it adds to what the first left"
        yield Finding("contract", "accumulates", text)
        return
    consequence = f"a second backward from it gives another gradient, for {', '.join(names)}"
    if changed:
        text = f"backward writes into its cache{_at(changed)}{'; ' + consequence if names else ''}; work on a copy"
        yield Finding("contract", "mutates-cache", text)
    elif names:
        restore()
        try:
            redrawn = not differing(backward())
        except Exception:
            redrawn = False
        if redrawn:
            text = "backward draws random numbers of its own; keep forward's in the cache"
            yield Finding("contract", "random-redrawn", f"{text}: {consequence}")
        else:
            yield Finding("contract", "not-repeatable", consequence.replace("it gives", "the same cache gives"))


def check_isolation(subject: Any, run: Run, douts: list[Any], first: list[Any], floor: float) -> Iterator[Finding]:
    """The cache of `run` has outlived a later forward at another point."""
    again = kept(run.backward(handed_out(douts, subject.writable)))
    names = [name for name, a, b in _numbered(subject, first, again) if _differ(a, b, floor)]
    if names:
        text = f"backward does not use its own cache: a forward in between changes the gradient of {', '.join(names)}"
        yield Finding("contract", "stale-cache", text)


def check_adding(
    subject: Any, forward: Callable[[list[Any]], Run], douts: list[Any], first: list[Any], floor: float
) -> Iterator[Finding]:
    """Gradients of parameters that have a ``zero_grad`` are sums: those of two uses of one layer add."""

    def second(forget: bool) -> list[Any]:
        run = forward(subject.arrays)
        run.backward(handed_out(douts, subject.writable))
        assert run.again, "what has parameters can go back a second time"
        return kept(run.again(handed_out(douts, subject.writable), forget))

    def wrong(alone: list[Any]) -> list[str]:
        sums = [None if a is None or b is None else a + b for a, b in zip(first, alone)]
        pairs = _numbered(subject, sums, both)
        return [name for name, a, b in pairs if name in subject.adding and _differ(a, b, 2 * floor)]

    both = second(forget=False)
    if wrong(first) and (names := wrong(second(forget=True))):  # a layer that draws has another gradient each time
        text = (
            f"the gradient of {', '.join(names)} after two forwards and backwards without zero_grad is not the sum of "
            "both: add to it, with add_grad or grad +=, where backward assigns it"
        )
        yield Finding("contract", "overwrites-grad", text)


def check_linear(
    subject: Any, gradients: Gradients, douts: list[Any], first: list[Any], floor: float, rng: np.random.Generator
) -> Iterator[Finding]:
    """backward(p * d1 + q * d2) == p * backward(d1) + q * backward(d2); p is large, to meet clipping."""
    p, q = 1.7e3, -0.6
    others: list[Any] = [None if dout is None else np.asarray(rng.standard_normal(dout.shape)) for dout in douts]
    mixed = [None if a is None else np.asarray(p * a + q * b) for a, b in zip(douts, others)]
    other, both = gradients(subject.arrays, others), gradients(subject.arrays, mixed)
    gaps = {}
    for (name, a, b), (_, _, c) in zip(_numbered(subject, first, other), _numbered(subject, first, both)):
        size = float(p * np.linalg.norm(a) + abs(q) * np.linalg.norm(b))
        if c.dtype.kind == "f" and _differ(p * a + q * b, c, p * floor, size):  # integers are a fault of their own
            gaps[name] = float(np.linalg.norm(p * a + q * b - c))
    if gaps:
        noise, _ = rounding_of(subject, gradients, mixed, both, rng)
        gaps = {name: gap for name, gap in gaps.items() if not gap <= 30 * noise[name]}
    if not gaps:
        return
    for name, a, b in _numbered(subject, first, other):
        if name in gaps and np.any(a) and not _differ(a, b, floor):
            yield Finding("fail", "ignores-dout", f"the gradient of {name} does not depend on dout")
            return
    zero = gradients(subject.arrays, [None if dout is None else np.zeros_like(dout) for dout in douts])
    left = [name for name, gradient in zip(subject.names, zero) if gradient is not None and np.any(gradient)]
    if left:
        text = f"the gradient of {', '.join(left)} is not zero where dout is zero: a term is not multiplied by dout"
        yield Finding("fail", "ignores-dout", text)
        return
    text = f"backward is not linear in dout, for {', '.join(gaps)}: B(p*d1 + q*d2) != p*B(d1) + q*B(d2)"
    yield Finding("fail", "nonlinear-in-dout", text)


def check_outputs(run: Run, outs: tuple[Any, ...]) -> Iterator[Finding]:
    """What an earlier forward returned is not overwritten by a later one at another point."""
    if not all(map(same, run.outs, outs)):
        text = "what one forward returned is overwritten by the next: return a new array"
        yield Finding("contract", "aliases", text)


def rounding_of(
    subject: Any, gradients: Gradients, douts: list[Any], found: list[Any], rng: np.random.Generator
) -> tuple[dict[str, float], float]:
    """How much of each gradient is rounding, what it changes by when dout changes in its last bits; and these bits.

    Where large terms cancel, as in a saturated softmax, rounding may be all of it. Code that turns dout into float32
    does not see the last bits of a double: then those of a float32 tell.
    """
    noise: dict[str, float] = {}
    for precision in (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32)):
        bits = [
            None if d is None else np.asarray(d * (1 + 2 * precision * rng.choice([-1, 1], d.shape))) for d in douts
        ]
        pairs = _numbered(subject, found, gradients(subject.arrays, bits))
        noise = {name: float(np.linalg.norm(a - b)) for name, a, b in pairs}
        if any(noise.values()):
            return noise, precision
    return noise, 0.0  # dout does not matter, as to a loss that takes none


def check_buffers(subject: Any, raw: list[Any], first: list[Any]) -> Iterator[Finding]:
    """What an earlier backward returned is not overwritten by later ones with another dout."""
    for name, array, before in zip(subject.names, raw[: subject.n_inputs], first):
        if isinstance(array, np.ndarray) and not same(np.ma.filled(array, 0), before):
            text = (
                f"the gradient of {name} that one backward returned is overwritten by a later one: return a new array"
            )
            yield Finding("contract", "aliases", text)


def sharing(subject: Any, raw: list[Any], passed: list[Any], cache: Cache) -> Iterator[tuple[str, str]]:
    """Arguments whose gradient shares memory, and with what: in-place work on it is seen there."""
    ours = list(zip(subject.names, raw[: subject.n_inputs]))
    for i, (name, gradient) in enumerate(ours):
        if not isinstance(gradient, np.ndarray):
            continue
        others = [other for other, b in ours[:i] if overlap(gradient, b)]
        if any(overlap(gradient, dout) for dout in passed):
            yield name, "shares memory with dout"
        elif cache.shares(gradient):
            yield name, "shares memory with the cache"
        elif others:
            yield name, f"shares memory with the gradient of {others[0]}"


def _numbered(subject: Any, first: list[Any], second: list[Any]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """The gradients that can be compared, with their names; of a mask, its ones and zeros."""
    for name, a, b in zip(subject.names, first, second):
        if a is not None and b is not None and a.dtype.kind in "fiub" and a.shape == b.shape:
            a, b = (x.astype(np.int8) if x.dtype == bool else x for x in (a, b))
            yield name, a, b


def _differ(a: np.ndarray, b: np.ndarray, floor: float, size: float | None = None) -> bool:
    size = float(np.linalg.norm(a)) if size is None else size
    tolerance = max(1e-8, 64 * precision_of(b))
    return np.isfinite(size) and not np.linalg.norm(a - b) <= tolerance * size + floor


def _at(changed: list[str]) -> str:
    places = [path for path in changed if path]
    return f", at {', '.join(places[:3])}" if places else ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
