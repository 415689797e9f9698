"""Which statement of a backward is the first wrong one: each gradient in it beside the true one of its variable.

A variable of forward is nudged where it is assigned; what that does to the outputs is its true gradient (its adjoint).
A variable of backward pairs with it by the convention of names: dxhat is the gradient of xhat.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .case import Case, agree
from .inputs import is_differentiable
from .instrument import definition_of, statement_at
from .place import called
from .slices import assigned, suspects
from .trace import Assigned, Trace, trace_of

TOLERANCE = 1e-6  # of a slope's size; differences of well-scaled forwards agree to 1e-9
DIRECTIONS = 3
LARGE = 500  # entries of a variable, beyond which its whole true gradient takes too long
SITES = 8  # assignments of one name that are nudged: in a loop over time each step is one
GRADIENT = re.compile(r"^(?:d_?l_?d_?|grad_?(?:of_?)?|delta_|d_?)(?=.)|_?grad(?:ient)?$", re.IGNORECASE)
# Words for one thing: the mean is mu in one function and sample_mean in the next.
SYNONYMS = [
    {"mu", "mean", "u", "avg", "samplemean", "batchmean", "xmean", "mux"},
    {"var", "variance", "samplevar", "batchvar", "sigma2", "sigmasq", "v"},
    {"std", "sqrtvar", "stddev", "samplestd", "sigma"},
    {"ivar", "invvar", "istd", "invstd", "rstd"},
    {"xhat", "xnorm", "xnormalized", "normalizedx", "normx", "norm", "xn", "normalized"},
    {"xmu", "xcentered", "xminusmu", "xminusmean", "xc", "centered", "centeredx", "xcenter"},
    {"xpad", "xpadded", "paddedx", "xp", "padx"},
    {"nexth", "ht", "h"},
    {"nextc", "ct", "c"},
]


class Accusation(NamedTuple):
    """The first wrong statement of a backward, and what before it is right.

    `certain` is true where the statement's own value was compared with a true gradient; without it, the statement is
    merely the last that wrote the wrong gradient. `before` are the lines that wrote to the same name earlier.
    """

    line: int
    statement: str
    name: str
    cleared: list[str]
    certain: bool
    before: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """``dout, dxhat right; dvar wrong, line 17``."""
        right = f"{', '.join(self.cleared)} right; " if self.cleared else ""
        return f"{right}{self.name} wrong, line {self.line}: {self.statement}"


def accuse(case: Case) -> Accusation | None:
    """The statement at fault in the backward of a case whose gradients are wrong; None if nothing tells.

    Raises
    ------
    ValueError
        If the functions have no source.
    """
    trace = trace_of(case)
    judged = judgements(case, trace)
    path = case.pair.file
    wrong = [culprit for right, culprit in judged.values() if not right]
    cleared = [name for name, (right, _) in judged.items() if right]
    if wrong:
        first = _part(min(wrong, key=lambda event: event.number), trace, case)
        right = [name for name in cleared if judged[name][1].number < first.number]
        before = {e.line for e in trace.backward if e.name == first.name and e.number < first.number} - {first.line}
        shared = _shared(case, cleared) if first.name in _returned_names(case) else None
        if shared is None or shared.lineno >= first.line:
            return Accusation(
                first.line, statement_at(path, first.line), first.name, right, True, tuple(sorted(before))
            )
        return Accusation(shared.lineno, statement_at(path, shared.lineno), _name(shared), right, certain=False)
    if case.error:
        return None
    shared = _shared(case, cleared)
    if shared is not None:
        return Accusation(shared.lineno, statement_at(path, shared.lineno), _name(shared), cleared, certain=False)
    return _by_return(case, cleared)


def _part(event: Assigned, trace: Trace, case: Case) -> Assigned:
    """Of a wrong gradient that is put together, ``da = np.hstack((di, df, do, dg))``, the first wrong part."""
    definition = _definition(case)
    made = [s for s in ast.walk(definition or ast.Module([], [])) if getattr(s, "lineno", 0) == event.line]
    calls = [s.value for s in made if isinstance(s, ast.Assign) and isinstance(s.value, ast.Call)]
    if not calls or called(calls[0]) not in ("hstack", "vstack", "concatenate") or not calls[0].args:
        return event
    elements = getattr(calls[0].args[0], "elts", [])
    names = [node.id for node in elements if isinstance(node, ast.Name)]
    earlier = {e.name: e for e in trace.backward if e.name in names and e.number < event.number}
    true = true_gradient(event.name, trace)
    if true is None or true.shape != event.value.shape or not len(earlier) == len(names) == len(elements):
        return event
    parts = [earlier[name] for name in names]
    for axis in range(true.ndim):
        ends = np.cumsum([part.value.shape[axis] if part.value.ndim > axis else 1 for part in parts])
        if ends[-1] == true.shape[axis]:
            pieces = np.split(true, ends[:-1], axis)
            if all(part.value.shape == piece.shape for part, piece in zip(parts, pieces)):
                wrong = [part for part, piece in zip(parts, pieces) if not agree(part.value, piece)
                         and not _spoils(trace.replaced(part, piece), case)]  # fmt: skip
                return wrong[0] if wrong else event
    return event


def _shared(case: Case, cleared: list[str]) -> ast.stmt | None:
    """The last statement that all of several wrong gradients are made of, and no right one is."""
    definition, elements = _definition(case), list(_returned(case))
    if definition is None or len(elements) != len(case.names) or len(case.wrong) < 2:
        return None
    right = [element for k, element in enumerate(elements) if k not in case.wrong]
    shared = suspects(definition, [elements[k] for k in case.wrong], right)
    shared = [statement for statement in shared if not assigned(statement) <= set(cleared)]
    return shared[-1] if shared else None


def _name(statement: ast.stmt) -> str:
    return ", ".join(sorted(assigned(statement)))


def judgements(case: Case, trace: Trace) -> dict[str, tuple[bool, Assigned]]:
    """Of each name of backward that can be judged: whether what it held at last is right, and what decides that."""
    returned = _returned_names(case)
    names = dict.fromkeys(event.name for event in trace.backward)
    judged = {name: _judge(name, trace, case, returned) for name in names}
    return {
        name: verdict
        for name, verdict in judged.items()
        if verdict is not None and (verdict[0] or name in returned or _may_be_wrong(verdict[1], trace, case))
    }


def _may_be_wrong(event: Assigned, trace: Trace, case: Case) -> bool:
    """Whether a value that differs from the true gradient of its namesake is wrong, and not another thing by that name.

    It is another thing if the true one in its place would spoil a gradient that is right. A mere multiple of the true
    one, as of another convention, is wrong only if the true one would mend a gradient.
    """
    namesakes = _sites(event.name, trace)
    sites = [site for site in namesakes if site.value.size == event.value.size]
    factors = [factor for site in sites if (factor := _factor(event.value, site, trace)) is not None]
    if case.error is not None:  # then there are no gradients to spoil or to mend
        return not factors
    if factors:
        return any(_mends(trace.replaced(event, factor * event.value), case) for factor in factors)
    if namesakes and not sites:  # of another shape: one of the right shape has to mend a gradient
        true = [sign * trace.gradient_at(site) for site in namesakes if site.value.size <= LARGE for sign in (1, -1)]
        return any(_mends(trace.replaced(event, value), case) for value in true)
    moved = event.value + np.random.default_rng(0).standard_normal(event.value.shape) * (np.abs(event.value).max() + 1)
    if not _spoils(trace.replaced(event, moved), case):
        return True
    true = [trace.gradient_at(site).reshape(event.value.shape) for site in sites if site.value.size <= LARGE]
    return any(not _spoils(trace.replaced(event, value), case) for value in true)


def _mends(gradients: list[Any], case: Case) -> bool:
    """Whether a gradient that was wrong no longer is, and all others are what they were."""
    return any(case.is_right(gradients, k) for k in case.wrong) and not _spoils(gradients, case)


def _spoils(gradients: list[Any], case: Case) -> bool:
    """Whether a gradient that was right no longer is."""
    return any(not case.is_right(gradients, k) for k in range(len(case.names)) if k not in case.wrong)


# --- judging


def _judge(name: str, trace: Trace, case: Case, returned: list[str | None]) -> tuple[bool, Assigned] | None:
    """Whether what a name of backward held at last is right, and the statement that decides it; None if unknown."""
    events = [event for event in trace.backward if event.name == name]
    if case.error is not None:  # it did not come to fill what it had only begun
        events = [event for event in events if not event.in_part and np.any(event.value)]
        if not events or name in returned:
            return None
    if name in returned:
        true = case.true[returned.index(name)]
        return _verdict(events, lambda event: agree(event.value, true), lambda value: _is_scale(value, true))
    if not case.pair.is_loss and (rebuilt := _rebuilt(events[-1], trace)):
        return False, rebuilt
    if GRADIENT.sub("", name, count=1) == name or core(name) in ("out", "") or name in case.arrays:
        return None
    namesakes = _sites(name, trace)
    sites = [site for site in namesakes if _squeezed(site.value) == _squeezed(events[-1].value)]
    if not sites:
        once = len({event.line for event in events}) == len(events)
        return (False, events[-1]) if namesakes and once and _is_misshapen(events[-1], namesakes) else None
    right, culprit = _verdict(
        events,
        lambda event: any(_agrees(event, site, trace) for site in sites),
        lambda value: any(_factor(value, site, trace) is not None for site in sites),
    )
    looped = len({site.line for site in sites}) < len(sites)  # there it may be the share of one step
    return (right, culprit) if right or not looped else None


def true_gradient(name: str, trace: Trace) -> np.ndarray | None:
    """The gradient that a name of backward should hold, if it pairs with one variable of forward."""
    sites = _sites(name, trace)
    return trace.gradient_at(sites[0]) if len(sites) == 1 else None


def _squeezed(value: np.ndarray) -> tuple[int, ...]:
    return tuple(size for size in value.shape if size > 1)


def _is_misshapen(event: Assigned, sites: list[Assigned]) -> bool:
    """Whether a value has neither the shape of any of these, nor one that is broadcast to it."""
    shape, others = event.value.shape, [site.value.shape for site in sites]
    if any(site.value.size == event.value.size for site in sites):
        return False
    for other in others:
        with contextlib.suppress(ValueError):
            if np.broadcast_shapes(shape, other) == other:
                return False
    return True


def _rebuilt(event: Assigned, trace: Trace) -> Assigned | None:
    """A variable of forward that backward computes anew, and nearly but not quite the same: an eps left out."""
    names = _namesakes(core(event.name, gradient=False), trace)
    olds = [old.value for old in trace.forward if old.name in names and old.value.shape == event.value.shape]
    gaps = [float(np.linalg.norm(old - event.value)) for old in olds]
    size = float(np.linalg.norm(event.value))
    return event if gaps and TOLERANCE * size < min(gaps) < 0.2 * size else None


def _verdict(
    events: list[Assigned], is_right: Callable[[Assigned], bool], is_scaled: Callable[[np.ndarray], bool]
) -> tuple[bool, Assigned]:
    """The last event decides. A wrong name is the fault of the first statement after the last time it was right.

    What merely transposes, reshapes or scales it is not to blame; the latter only where it is no multiple of the true
    one. Of nothing but zeros it is the last statement, after which more should have come.
    """
    if is_right(events[-1]):
        return True, events[-1]
    ends = [event for event, after in itertools.pairwise(events) if event.line != after.line][-6:]
    right = [event for event in ends if is_right(event)]
    if right:
        return False, next(event for event in events if event.number > right[-1].number)
    last = events[-1].value
    if not last.any():
        return False, events[-1]
    scales = not is_scaled(last)
    values = np.sort(last, axis=None)

    def is_alike(event: Assigned) -> bool:
        return np.array_equal(np.sort(event.value, axis=None), values) or (scales and _is_scale(last, event.value))

    return False, list(itertools.takewhile(is_alike, reversed(events)))[-1]


def _is_scale(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether one is a number times the other."""
    if a.shape != b.shape:
        return False
    factor = float(np.vdot(a, b)) / (float(np.vdot(b, b)) or 1.0)
    return agree(a, factor * b)


def _sites(name: str, trace: Trace) -> list[Assigned]:
    """The assignments of forward that a name of backward may be the gradient of."""
    names = _namesakes(core(name), trace)
    events = [event for event in trace.forward if event.name in names and event.name != name]
    whole = [event for event in events if not event.in_part]
    parts = [event for event in events if event.in_part]
    return [*whole[-SITES:], *parts[-1:]]


def _namesakes(wanted: str, trace: Trace) -> list[str]:
    """The names of forward that are written like this one; if there is none, the one that means the same."""
    names = list(dict.fromkeys(event.name for event in trace.forward))
    same = [name for name in names if core(name, gradient=False) == wanted]
    if same:
        return same
    group = next((words for words in SYNONYMS if wanted in words), set())
    same = [name for name in names if core(name, gradient=False) in group]
    return same if len(same) == 1 else []


def _agrees(event: Assigned, site: Assigned, trace: Trace) -> bool:
    """Whether a gradient is the true one of a variable where it was assigned there, along a few directions."""
    slack = TOLERANCE * float(np.linalg.norm(event.value)) + 1e-300
    along = _along(event.value, site, trace)
    return along is not None and all(abs(own - slope) <= slack for own, slope in along)


def _factor(value: np.ndarray, site: Assigned, trace: Trace) -> float | None:
    """The number that makes a gradient the true one of a variable, along a few directions; None if there is none."""
    along = _along(value, site, trace) or [(0.0, 0.0)]
    own, slopes = np.array(along).T
    factor = float(own @ slopes / (own @ own or 1.0))
    return factor if factor and np.abs(factor * own - slopes).max() <= TOLERANCE * np.abs(slopes).max() else None


def _along(gradient: np.ndarray, site: Assigned, trace: Trace) -> list[tuple[float, float]] | None:
    """What a gradient and the true one of a variable are along a few directions; None if that has no such size."""
    if gradient.size != site.value.size:
        return None
    rng, found = np.random.default_rng(site.number), []
    for _ in range(DIRECTIONS):
        u = rng.standard_normal(site.value.shape)
        try:
            found.append((float(np.sum(gradient.reshape(u.shape) * u)), trace.slope(site, u)))
        except Exception:  # a nudge that forward does not survive
            return None
    return found


def core(name: str, *, gradient: bool = True) -> str:
    """What a name is about: ``xhat`` of dx_hat, d_xhat, grad_x_hat; of forward's names only the form."""
    if gradient:
        name = GRADIENT.sub("", name, count=1)
    return name.lower().replace("_", "")


# --- from what is returned


def _returned_names(case: Case) -> list[str | None]:
    """The names in backward's last return statement, in the order of the gradients; None where there is no name."""
    elements = list(_returned(case))
    if case.pair.is_loss:
        elements = elements[1:2]
    elif len(elements) == len(case.arguments) != len(case.names):
        elements = [e for e, argument in zip(elements, case.arguments) if is_differentiable(argument)]
    names = [element.id if isinstance(element, ast.Name) else None for element in elements]
    return names if len(names) == len(case.names) else [None] * len(case.names)


def _definition(case: Case) -> ast.FunctionDef | None:
    function: Any = case.pair.backward or case.pair.forward
    return definition_of(case.pair.file, function.__name__, function.__code__.co_firstlineno)


def _returned(case: Case) -> Iterator[ast.expr]:
    definition = _definition(case)
    returns = [node for node in ast.walk(definition) if isinstance(node, ast.Return)] if definition else []
    value = max(returns, key=lambda node: node.lineno).value if returns else None
    if isinstance(value, ast.Tuple):
        yield from value.elts
    elif value is not None:
        yield value


def _by_return(case: Case, cleared: list[str]) -> Accusation | None:
    """The expression in the return statement that is a wrong gradient."""
    elements = list(_returned(case))
    elements = elements[1:2] if case.pair.is_loss else elements
    for k in case.wrong:
        if k >= len(elements):
            break
        name = case.names[k]
        line = elements[k].lineno
        return Accusation(line, statement_at(case.pair.file, line), f"the gradient of {name}", cleared, certain=False)
    return None
