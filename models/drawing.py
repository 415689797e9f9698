"""A graph as text: a table, Graphviz DOT, Mermaid. Boxes are layers; on the edges values in green, gradients in red."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from layers import Layer

if TYPE_CHECKING:
    from .graph import Graph

SYMBOLS = {
    "Add": "+",
    "Multiply": "*",
    "MatMul": "@",
    "Power": "**",
    "Negate": "neg",
    "Maximum": "max",
    "Minimum": "min",
    "Transpose": "T",
    "GraphLayer": "Graph",
}


def to_table(graph: Graph) -> str:
    """Every node in order of computation: name, op, inputs, shape, value forward and gradient backward."""
    names, (values, grads, _) = _names(graph), _trace(graph)
    ops = dict.fromkeys(graph.names.values(), ("Input", ""))
    ops |= dict.fromkeys(graph.constants, ("Constant", ""))
    for layer, plan in zip(graph.layers, graph.plans):
        inputs = ", ".join(names[slot] for slot in plan.inputs)
        ops |= {slot: (type(layer).__name__, inputs) for slot in plan.outputs}
    rows = [("node", "op", "inputs", "shape", "value", "gradient")]
    for slot, name in enumerate(names):
        value, grad = values[slot], grads[slot]
        shape = "-" if value is None else str(np.shape(value))
        rows.append((name, *ops[slot], shape, _first(value) or "-", _first(grad) or "-"))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip() for row in rows)


def to_dot(graph: Graph) -> str:
    """The drawing in Graphviz's DOT."""
    lines = ["digraph {", "  rankdir=LR;", "  node [shape=box];"]
    for box, label, is_layer in _boxes(graph):
        shape = "" if is_layer else ", shape=plaintext"
        lines.append(f"  {box} [label=<{html.escape(label)}>{shape}];")
    for start, end, value, grad in _edges(graph):
        label = "<BR/>".join(
            f'<FONT COLOR="{colour}">{html.escape(text)}</FONT>'
            for colour, text in (("darkgreen", value), ("red", grad))
            if text
        )
        lines.append(f"  {start} -> {end} [label=<{label}>];" if label else f"  {start} -> {end};")
    return "\n".join([*lines, "}"])


def to_mermaid(graph: Graph) -> str:
    """The drawing in Mermaid's flowchart."""
    lines = ["flowchart LR"]
    for box, label, is_layer in _boxes(graph):
        left, right = ("[", "]") if is_layer else ("([", "])")
        lines.append(f'  {box}{left}"{_escape_mermaid(label)}"{right}')
    for start, end, value, grad in _edges(graph):
        label = "<br/>".join(
            f"<span style='color:{colour}'>{_escape_mermaid(text)}</span>"
            for colour, text in (("green", value), ("red", grad))
            if text
        )
        lines.append(f'  {start} -- "{label}" --> {end}' if label else f"  {start} --> {end}")
    return "\n".join(lines)


def _escape_mermaid(text: str) -> str:
    return "".join(c if c.isalnum() or c in " .,()-" else f"#{ord(c)};" for c in text)


def _boxes(graph: Graph) -> Iterator[tuple[str, str, bool]]:
    """Identifier, label, and whether it is a layer (else an input, a constant or an output)."""
    for name, slot in graph.names.items():
        yield f"v{slot}", name, False
    for slot, value in graph.constants.items():
        yield f"v{slot}", _brief(value), False
    for i, layer in enumerate(graph.layers):
        yield f"layer{i}", _symbol(layer), True
    for i in range(len(graph.ends)):
        yield f"out{i}", "out" if len(graph.ends) == 1 else f"out {i}", False


def _symbol(layer: Layer) -> str:
    name = type(layer).__name__
    return SYMBOLS.get(name, name)


def _edges(graph: Graph) -> Iterator[tuple[str, str, str, str]]:
    """Start, end, value and gradient; of a value used twice each edge carries the gradient of its own use."""
    values, _, flows = _trace(graph)
    start = {slot: f"v{slot}" for slot in (*graph.names.values(), *graph.constants)}
    start |= {slot: f"layer{i}" for i, plan in enumerate(graph.plans) for slot in plan.outputs}
    ends = [(f"layer{i}", plan.inputs) for i, plan in enumerate(graph.plans)]
    ends += [(f"out{i}", (slot,)) for i, slot in enumerate(graph.ends)]
    # flows[:-1] are by layer; the last holds one gradient per output
    sent = [*flows[:-1], *((dout,) for dout in flows[-1])] if flows else [()] * len(ends)
    for (end, slots), grads in zip(ends, sent):
        for position, slot in enumerate(slots):
            known = position < len(grads) and slot in graph.live
            yield start[slot], end, _brief(values[slot]), _first(grads[position] if known else None)


def _names(graph: Graph) -> list[str]:
    """By slot: inputs by their name, constants c0, c1, ..., outputs by the number of the layer."""
    names = [""] * graph.size
    for name, slot in graph.names.items():
        names[slot] = name
    for i, slot in enumerate(graph.constants):
        names[slot] = f"c{i}"
    for i, plan in enumerate(graph.plans):
        for k, slot in enumerate(plan.outputs):
            names[slot] = str(i) if len(plan.outputs) == 1 else f"{i}.{k}"
    return names


def _trace(graph: Graph) -> Any:
    nothing = [None] * graph.size
    return getattr(graph, "cache", (nothing, nothing, []))


def _brief(value: Any) -> str:
    """A scalar in full; of an array the shape and the first values; nothing for None."""
    return f"{np.shape(value)} {_first(value)}" if np.ndim(value) else _first(value)


def _first(value: Any) -> str:
    if value is None:
        return ""
    array = np.asarray(value)
    if array.ndim == 0:
        return str(array[()])
    numbers = [f"{number:.4g}" for number in array.flat[:3].tolist()]
    return f"[{', '.join(numbers + ['...'] * (array.size > 3))}]"
