"""A pair walked through by hand: every variable forward, every gradient backward beside the true one."""

from __future__ import annotations

import ast
import html
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .adjoints import Assigned, Trace, judgements, trace_of
from .case import Case
from .instrument import definition_of, statement_at
from .pairs import Pair
from .shrink import as_test, at, shrink

MARKS = {True: "✓", False: "✗", None: " "}
COLOURS = {True: 32, False: 31}  # of a terminal: green, red
SHOWN = 12  # entries of an array on one line


@dataclass(frozen=True)
class Step:
    """One statement: what it assigned, and, in backward, whether that is right and what it should have been."""

    line: int
    statement: str
    name: str
    value: np.ndarray
    right: bool | None = None
    true: np.ndarray | None = None
    note: str = ""


@dataclass
class Explanation:
    """A walk through one pair at one case; its text for a terminal, an HTML table in a notebook.

    Attributes
    ----------
    case : Case
        The smallest that shows what is wrong, or the first if nothing is.
    forward, backward, returned : list of Step
        The statements in their order, and at last the gradients.
    mermaid : str
        The computational graph of forward, and which gradients are right.
    """

    case: Case
    forward: list[Step] = field(default_factory=list)
    backward: list[Step] = field(default_factory=list)
    returned: list[Step] = field(default_factory=list)
    mermaid: str = ""

    def __str__(self) -> str:
        return self.format()

    def format(self, *, colour: bool = False) -> str:
        """The walk as text."""
        lines = [f"{self.case.pair.name}, step by step at", *_arguments(self.case), "", "forward"]
        lines += [text for step in self.forward for text in _described(step, colour)]
        lines += ["", "backward", *(f"    {name} = {_short(d)}" for name, d in _douts(self.case))]
        first = next((step for step in self.backward if step.right is False), None)
        for step in self.backward:
            lines += [*_described(step, colour), *(["          the first wrong statement"] if step is first else [])]
        lines += ["", "gradients", *(text for step in self.returned for text in _described(step, colour))]
        if self.case.error is not None:
            lines += [f"backward raises {type(self.case.error).__name__}: {self.case.error}"]
        return "\n".join([*lines, "", "graph", self.mermaid, "", "test to paste", as_test(self.case)])

    def _repr_html_(self) -> str:
        head = "<tr>" + "".join(f"<th>{title}</th>" for title in ("", "line", "statement", "value", "true")) + "</tr>"
        parts = [("forward", self.forward), ("backward", self.backward), ("gradients", self.returned)]
        rows = [
            f'<tr><th colspan="5" style="text-align:left">{title}</th></tr>' + "".join(map(_row, steps))
            for title, steps in parts
        ]
        return f"<table>{head}{''.join(rows)}</table>"


def explain(forward: Any, backward: Any, *inputs: Any, rng: int = 0) -> Explanation:
    """Walk through a forward and its backward step by step: print it, or let a notebook show it as a table.

    Parameters
    ----------
    forward, backward : callable
        ``forward(*inputs) -> (out, cache)`` and ``backward(dout, cache) -> gradients``; `backward` is None for a loss
        that returns its own gradient. Their source has to be at hand.
    *inputs : array or anything
        Where to look. If a gradient is wrong there, smaller inputs are sought at which it is as well.
    rng : int, default 0
        Seed of dout.

    Raises
    ------
    ValueError
        If the functions have no source.
    """
    code = inspect.unwrap(backward or forward).__code__
    name = forward.__name__.replace("_forward", "")
    return walk(at(Pair(name, forward, backward, code.co_filename), inputs, seed=rng))


def walk(case: Case) -> Explanation:
    """Walk through a case, made as small as it can be if something is wrong.

    Raises
    ------
    ValueError
        If the functions have no source.
    """
    case = shrink(case)
    trace = trace_of(case)
    judged = judgements(case, trace)
    path = case.pair.file
    forward = [
        Step(event.line, statement_at(path, event.line), event.name, event.value) for event in _last(trace.forward)
    ]
    backward = []
    for event in [] if case.pair.is_loss else _last([e for e in trace.backward if not _is_unpacked(e, case, trace)]):
        right, culprit = judged.get(event.name, (None, event))
        held = event.number >= culprit.number or right is not False
        true = trace.true_gradient(event.name) if right is False else None
        backward.append(
            Step(event.line, statement_at(path, event.line), event.name, event.value, right if held else None, true)
        )
    return Explanation(case, forward, backward, list(_gradients(case)), _mermaid(case))


def _last(events: list[Assigned]) -> list[Assigned]:
    """Of what one line assigns to one name again and again, the last, in the order of the lines' first."""
    kept: dict[tuple[int, str], Assigned] = {}
    for event in events:
        kept[event.line, event.name] = event
    return list(kept.values())


def _is_unpacked(event: Assigned, case: Case, trace: Trace) -> bool:
    """Whether a statement of backward only takes what forward left."""
    olds = [old.value for old in trace.forward if old.name == event.name]
    olds += [np.asarray(case.arrays[event.name])] if event.name in case.arrays else []
    return any(np.array_equal(old, event.value) for old in olds)


def _gradients(case: Case) -> list[Step]:
    steps = []
    for k, (name, true) in enumerate(zip(case.names, case.true)):
        returned = case.returned[k] if k < len(case.returned) else None
        value = np.array(np.nan) if returned is None else returned
        note = _broadcast(name, true.shape, case)
        steps.append(Step(0, "", f"gradient of {name}", value, case.is_right(case.returned, k), true, note))
    return steps


def _broadcast(name: str, shape: tuple[int, ...], case: Case) -> str:
    """In words, why a gradient is a sum: ``b (3,) was added to each of 2 rows``."""
    if case.pair.is_loss:
        return ""
    out = case.outs[0].shape
    padded = (1,) * (len(out) - len(shape)) + shape
    fits = len(shape) <= len(out) and all(a in (1, b) for a, b in zip(padded, out))
    axes = [i for i, (a, b) in enumerate(zip(padded, out)) if a == 1 < b]
    if not fits or not axes or shape == out:
        return ""
    over = " and ".join(f"axis {i} of {out[i]}" for i in axes)
    return f"{name} {shape} is broadcast to out {out}: its gradient is a sum over {over}"


# --- as text


def _arguments(case: Case) -> list[str]:
    return [f"    {name} = {_short(value)}" for name, value in case.arrays.items()]


def _douts(case: Case) -> list[tuple[str, np.ndarray]]:
    names = ["dout"] if len(case.douts) == 1 else [f"dout {i}" for i in range(len(case.douts))]
    return [] if case.pair.is_loss else list(zip(names, case.douts))


def _described(step: Step, colour: bool) -> list[str]:
    mark = MARKS[step.right]
    if colour and step.right is not None:
        mark = f"\033[{COLOURS[step.right]}m{mark}\033[0m"
    where = f"{step.line:4}  {step.statement}" if step.line else f"      {step.name}"
    lines = [f"{mark} {where}", f"          {step.name if step.line else 'returned'} = {_short(step.value)}"]
    if step.right is False and step.true is not None:
        lines.append(f"          {'true':>{len(step.name) if step.line else 8}} = {_short(step.true)}")
    if step.note:
        lines.append(f"          {step.note}")
    return lines


def _short(value: Any) -> str:
    """A value on one line: its shape, and its entries if they are few."""
    if not isinstance(value, (np.ndarray, float, np.floating)):
        return repr(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.4g}"
    entries = np.array2string(array, precision=4, suppress_small=True, separator=" ", max_line_width=10**6,
                              threshold=SHOWN, edgeitems=2)  # fmt: skip
    return f"{array.shape} {' '.join(entries.split())}"


def _row(step: Step) -> str:
    colour = {True: "green", False: "red"}.get(step.right, "inherit") if step.right is not None else "inherit"
    cells = [MARKS[step.right], step.line or "", step.statement or step.name, f"{step.name} = {_short(step.value)}"]
    cells.append("" if step.true is None or step.right is not False else _short(step.true))
    texts = "".join(f'<td style="text-align:left">{html.escape(str(cell))}</td>' for cell in cells)
    return f'<tr style="color:{colour}">{texts}</tr>'


# --- the graph


def _mermaid(case: Case) -> str:
    """Forward's variables and which are made of which; the arguments in green or red, as their gradients are."""
    function: Any = case.pair.forward
    definition = definition_of(case.pair.file, function.__name__, function.__code__.co_firstlineno)
    arrays = {name for name, value in case.arrays.items() if isinstance(value, np.ndarray)}
    edges: dict[tuple[str, str], None] = {}
    known = set(arrays)
    for node in ast.walk(definition) if definition else ():
        if isinstance(node, (ast.Assign, ast.AugAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            used = [n.id for n in ast.walk(node.value) if isinstance(n, ast.Name) and n.id in known]
            if used and names:
                known.add(names[0])
                edges.update(((name, names[0]), None) for name in used if name != names[0])
    lines = ["graph LR", *(f"    {start} --> {end}" for start, end in edges)]
    for k, name in enumerate(case.names):
        colour = "darkgreen" if case.is_right(case.returned, k) else "red"
        lines.append(f"    style {name} stroke:{colour}")
    return "\n".join(lines)
