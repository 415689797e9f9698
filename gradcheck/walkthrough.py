"""A pair walked through by hand: every variable forward, every gradient backward beside the true one."""

from __future__ import annotations

import ast
import html
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .adjoints import judgements, true_gradient
from .case import Case
from .instrument import definition_of, statement_at
from .pairs import Pair
from .raised import describe
from .report import folded, tied
from .shrink import as_test, at, shrink
from .trace import Assigned, Trace, trace_of
from .unreturned import nothing_returned

MARKS = {True: "✓", False: "✗", None: " "}
COLOURS = {True: 32, False: 31}  # of a terminal: green, red
INK = {True: "#2a9d4b", False: "#e0443e"}  # on a page, light or dark
SHOWN = 24  # entries of an array that is shown whole


@dataclass(frozen=True)
class Step:
    """One statement: what it assigned, and, in backward, whether that is right and what it should have been."""

    line: int
    statement: str
    name: str
    value: np.ndarray | None
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

    def format(self, *, colour: bool = False, width: int | None = None) -> str:
        """The walk as text, with the colours of a terminal if asked, and lines folded at `width`."""
        lines = [f"{self.case.pair.name}, step by step"]
        for title, steps in self._parts():
            lines += ["", title, *(text for step in steps for text in _described(step))]
        lines += _unfinished(self.case)
        lines = [_painted(line) if colour else line for line in folded(lines, width)]
        return "\n".join([*lines, "", "graph, in Mermaid", self.mermaid, "", "test to paste", as_test(self.case)])

    def _repr_html_(self) -> str:
        rows = [
            f'<tr><th colspan="4" style="text-align:left">{title}</th></tr>' + "".join(map(_row, steps))
            for title, steps in self._parts()
        ]
        return f"<table>{''.join(rows)}</table>"

    def _parts(self) -> list[tuple[str, list[Step]]]:
        arguments = [Step(0, "", name, value) for name, value in self.case.arrays.items()]
        parts = [
            ("arguments", arguments),
            ("forward", self.forward),
            ("backward", [*_douts(self.case), *self.backward]),
            ("gradients", self.returned),
        ]
        return [(title, steps) for title, steps in parts if steps]


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
        If the functions have no source, or are methods of an object.
    """
    if type(case.pair) is not Pair:
        raise ValueError("only functions are, not the methods of a layer or a net")
    case = shrink(case)
    trace = trace_of(case)
    judged = judgements(case, trace)
    path = case.pair.file
    forward = [
        Step(last.line, statement_at(path, last.line), last.name, last.value, note=_again(count))
        for last, count in _last(trace.forward)
    ]
    backward: list[Step] = []
    told = [] if case.pair.is_loss else [e for e in trace.backward if not _is_unpacked(e, case, trace)]
    for last, count in _last(told):
        right, culprit = judged.get(last.name, (None, last))
        held = last.number >= culprit.number or right is not False
        true = true_gradient(last.name, trace) if right is False else None
        first = held and right is False and all(step.right is not False for step in backward)
        note = "the first wrong statement" if first else _again(count)
        statement = statement_at(path, last.line)
        backward.append(Step(last.line, statement, last.name, last.value, right if held else None, true, note))
    return Explanation(case, forward, backward, list(_gradients(case)), _mermaid(case))


def _last(events: list[Assigned]) -> list[tuple[Assigned, int]]:
    """Of what one line assigns to one name again and again, the last, and how often; in the order of the first."""
    kept: dict[tuple[int, str], tuple[Assigned, int]] = {}
    for event in events:
        _, count = kept.get((event.line, event.name), (event, 0))
        kept[event.line, event.name] = event, count + 1
    return list(kept.values())


def _again(count: int) -> str:
    return f"the last of {count} times" if count > 1 else ""


def _is_unpacked(event: Assigned, case: Case, trace: Trace) -> bool:
    """Whether a statement of backward only takes what forward left."""
    olds = [old.value for old in trace.forward if old.name == event.name]
    olds += [np.asarray(case.arrays[event.name])] if event.name in case.arrays else []
    return any(np.array_equal(old, event.value) for old in olds)


def _gradients(case: Case) -> list[Step]:
    steps = []
    for k, (name, true) in enumerate(zip(case.names, case.true)):
        value = case.returned[k] if k < len(case.returned) else None
        right = case.is_right(case.returned, k) if _returns(case) else None
        note = _broadcast(name, true.shape, case)
        steps.append(Step(0, f"gradient of {name}", "returned", value, right, true, note))
    return steps


def _returns(case: Case) -> bool:
    return any(gradient is not None for gradient in case.returned)


def _unfinished(case: Case) -> list[str]:
    """What is to be said of a backward that raises, or returns nothing."""
    backward = case.pair.backward
    if case.error is not None:
        return [describe("backward", case.error, [case.pair.forward, backward]).text]
    return [] if backward is None or _returns(case) else [nothing_returned(backward, case.names).text]


def _broadcast(name: str, shape: tuple[int, ...], case: Case) -> str:
    """In words, why a gradient is a sum: ``b (3,) was added to each of 2 rows``."""
    if case.pair.is_loss or name not in _terms(case):
        return ""
    out = case.outs[0].shape
    padded = (1,) * (len(out) - len(shape)) + shape
    fits = len(shape) <= len(out) and all(a in (1, b) for a, b in zip(padded, out))
    axes = [i for i, (a, b) in enumerate(zip(padded, out)) if a == 1 < b]
    if not fits or not axes or shape == out:
        return ""
    over = " and ".join(f"axis {i} of {out[i]}" for i in axes)
    return f"{name} {shape} is broadcast to out {out}: its gradient is a sum over {over}"


def _terms(case: Case) -> set[str]:
    """The names that forward adds or multiplies with something, elementwise and once: not in a loop."""
    definition = _definition(case)
    nodes: list[ast.AST] = [definition] if definition else []
    names = set()
    for node in nodes:  # grows
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
            names |= {part.id for part in (node.left, node.right) if isinstance(part, ast.Name)}
        if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.Name):
            names.add(node.value.id)
        if not isinstance(node, (ast.For, ast.While)):
            nodes += ast.iter_child_nodes(node)
    return names


def _definition(case: Case) -> ast.FunctionDef | None:
    function: Any = case.pair.forward
    return definition_of(case.pair.file, function.__name__, function.__code__.co_firstlineno)


# --- as text


def _douts(case: Case) -> list[Step]:
    names = ["dout"] if len(case.douts) == 1 else [f"dout {i}" for i in range(len(case.douts))]
    return [] if case.pair.is_loss else [Step(0, "", name, dout) for name, dout in zip(names, case.douts)]


def _described(step: Step) -> list[str]:
    if not step.statement:
        return [f"    {text}" for text in _values(step)]
    head = f"{MARKS[step.right]} {step.line or '':4}  {step.statement}"
    return [head, *(f"          {text}" for text in _values(step))]


def _values(step: Step) -> list[str]:
    """What a statement assigned; where it is wrong, also what it should have."""
    lines = [f"{step.name} = {_short(step.value)}"]
    if step.right is not True and step.true is not None:
        lines.append(f"{'true':>{len(step.name)}} = {_short(step.true)}")
        if step.value is not None and step.true.size > SHOWN and step.true.shape == step.value.shape:
            at = np.unravel_index(np.argmax(np.abs(step.true - step.value)), step.true.shape)
            lines.append(f"worst at {[int(i) for i in at]}: {step.value[at]:.5g}, true {step.true[at]:.5g}")
    return [*lines, step.note] if step.note else lines


def _painted(line: str) -> str:
    """The line with its mark, if it has one, in green or red."""
    right = next((right for right, mark in MARKS.items() if right is not None and line.startswith(mark)), None)
    return line if right is None else f"\033[{COLOURS[right]}m{line[0]}\033[0m{line[1:]}"


def _short(value: Any) -> str:
    """A value on one line: its shape, and its entries if they are few."""
    if not isinstance(value, (np.ndarray, float, np.floating)):
        return repr(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.4g}"
    noise = 1e-12 * np.abs(array).max(initial=0, where=np.isfinite(array))
    clean = np.where(np.abs(array) <= noise, 0.0, array)
    entries = np.array2string(clean, formatter={"float_kind": "{:.5g}".format}, max_line_width=10**6,
                              threshold=SHOWN, edgeitems=2 if array.ndim < 3 else 1)  # fmt: skip
    return f"{array.shape} {' '.join(entries.split())}"


def _row(step: Step) -> str:
    colour = INK.get(step.right, "inherit") if step.right is not None else "inherit"
    statement, *values = (f"<code>{html.escape(tied(text))}</code>" for text in (step.statement, *_values(step)))
    cells = [MARKS[step.right], step.line or "", statement, "<br>".join(values)]
    texts = "".join(f'<td style="text-align:left; white-space:pre-wrap">{cell}</td>' for cell in cells)
    return f'<tr style="color:{colour}">{texts}</tr>'


# --- the graph


def _mermaid(case: Case) -> str:
    """Forward's variables and which are made of which; the arguments in green or red, as their gradients are."""
    definition = _definition(case)
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
    for k, name in enumerate(case.names if _returns(case) else ()):
        colour = "darkgreen" if case.is_right(case.returned, k) else "red"
        lines.append(f"    style {name} stroke:{colour}")
    return "\n".join(lines)
