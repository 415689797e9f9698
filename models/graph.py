"""Any directed acyclic graph of layers and gates: values flow forward, gradients backward and add at branches."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from layers import Layer
from layers.gates import Add, Exp, Log, MatMul, Mean, Multiply, Negate, Power, Reshape, Sum, Transpose

from . import drawing
from .containers import Container


class Node:
    """A value to come: an input, a constant, or an output of a layer applied to other nodes.

    Nodes are made by `Input`, by ``layer(node)`` and by the operators ``+ - * / ** @``, with nodes, arrays or numbers
    on either side. They cannot be changed afterwards, so that a cycle cannot be built. A layer with several outputs
    gives a tuple of nodes, as many as its attribute `outputs` says.
    """

    __array_ufunc__ = None  # so that `array + node` asks the node

    def apply_layer(self, layer: Layer, *inputs: Any, **options: Any) -> Any:
        """The node, or tuple of nodes, of `layer` applied to `inputs`; ``layer(node)`` comes here."""
        if isinstance(layer, Graph):
            layer = layer.as_layer()
        for name, option in options.items():
            if isinstance(option, Node):
                raise TypeError(
                    f"option {name} of {type(layer).__name__} must be a plain value; pass nodes by position"
                )
        step = Step(layer, tuple(map(_as_node, inputs)), options)
        nodes = tuple(Output(step, i) for i in range(step.outputs))
        return nodes[0] if getattr(layer, "outputs", None) is None else nodes

    def __add__(self, other: Any) -> Node:
        return Add()(self, other)

    def __radd__(self, other: Any) -> Node:
        return Add()(other, self)

    def __mul__(self, other: Any) -> Node:
        return Multiply()(self, other)

    def __rmul__(self, other: Any) -> Node:
        return Multiply()(other, self)

    def __matmul__(self, other: Any) -> Node:
        return MatMul()(self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return MatMul()(other, self)

    def __pow__(self, exponent: Any) -> Node:
        return Power()(self, exponent)

    def __rpow__(self, base: Any) -> Node:
        return Power()(base, self)

    def __neg__(self) -> Node:
        return Negate()(self)

    def __sub__(self, other: Any) -> Node:
        return self + -_as_node(other)

    def __rsub__(self, other: Any) -> Node:
        return other + -self

    def __truediv__(self, other: Any) -> Node:
        return self * _as_node(other) ** -1

    def __rtruediv__(self, other: Any) -> Node:
        return other * self**-1

    def exp(self) -> Node:
        """The exponential, elementwise."""
        return Exp()(self)

    def log(self) -> Node:
        """The natural logarithm, elementwise."""
        return Log()(self)

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Node:
        """The sum over all axes, or those given."""
        return Sum(axis, keepdims)(self)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Node:
        """The mean over all axes, or those given."""
        return Mean(axis, keepdims)(self)

    def reshape(self, *shape: Any) -> Node:
        """The same elements in another shape: ``reshape(2, -1)`` or ``reshape((2, -1))``."""
        return Reshape(shape[0] if len(shape) == 1 else shape)(self)

    def transpose(self, axes: tuple[int, ...] | None = None) -> Node:
        """The axes in another order; all reversed if not given."""
        return Transpose(axes)(self)

    T = property(transpose, doc="The axes in reverse order.")


@dataclass(frozen=True, eq=False)
class Input(Node):
    """A value that the user gives to ``graph.forward(name=value)``.

    Parameters
    ----------
    name : str
        Its name, in `forward`, in the gradients of `backward` and in the drawing.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f'name must be a string that is not empty, as in Input("x"); got {self.name!r}')


@dataclass(frozen=True, eq=False)
class Constant(Node):
    """A number or an array in an expression; it gets no gradient."""

    value: Any


@dataclass(frozen=True, eq=False)
class Output(Node):
    """What a step gives; the first of its outputs has index 0."""

    step: Step
    index: int


@dataclass(frozen=True, eq=False)
class Step:
    """A layer applied to nodes."""

    layer: Layer
    inputs: tuple[Node, ...]
    options: dict[str, Any]

    @property
    def outputs(self) -> int:
        """Number of outputs, which a layer with several declares in its attribute of this name."""
        return getattr(self.layer, "outputs", None) or 1


class Plan(NamedTuple):
    """Where one layer of a graph reads and writes: slots of the trace."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


class Trace(NamedTuple):
    """What one forward and one backward left: every input, constant and output of a layer has its slot."""

    values: list[Any]  # by slot
    grads: list[Any]  # by slot
    flows: list[Any]  # by layer: the gradient it sent to each of its inputs; last: the gradients of the outputs


class Graph(Container):
    r"""A computational graph of layers and gates, which is a model, and draws itself.

    Each node is computed once forward. Backward goes through the nodes in reverse, multiplies the gradient that arrives
    with the local one, and adds where a node was used more than once, which is the multivariable chain rule:

    .. math:: \frac{df}{du} = \sum_{v\,\text{uses}\,u} \frac{\partial v}{\partial u} \frac{df}{dv}

    Parameters
    ----------
    *outputs : Node
        What `forward` returns: one value, or a tuple if there are several.

    Raises
    ------
    TypeError
        If an output is no node, or a value given to `forward` no number or array of numbers.
    ValueError
        If two inputs have one name, `forward` misses an input or gets an unknown one, or `backward` comes before
        `forward` or without a `dout` that it needs.

    Notes
    -----
    ``forward(x=..., y=...)`` takes the inputs by name, or by position in the order of their first appearance in the
    expression, from left to right. ``backward(*douts)`` takes one gradient per output, None for one that nobody used;
    a single scalar output needs none. It returns the gradients as a dict by input name, None for an input that no
    gradient reaches (such as labels).

    Parameters, modes, state, `predict` and training are those of every layer; only what `backward` returns differs,
    so inside another layer, and for a checker, use ``graph.as_layer()``, whose `backward` returns dx or a tuple.
    On nodes this happens by itself: ``graph(node)`` is a node.

    The graph works on tied twins of the layers it is made of: one layer at several nodes, or one node in several
    graphs, has one set of weights and a cache for each use.

    References
    ----------
    .. [1] CS231n, "Backpropagation, Intuitions", https://cs231n.github.io/optimization-2/

    Examples
    --------
    >>> x, y, z = Input("x"), Input("y"), Input("z")
    >>> graph = Graph((x + y) * z)
    >>> graph.forward(x=-2.0, y=5.0, z=-4.0)
    -12.0
    >>> graph.backward()
    {'x': -4.0, 'y': -4.0, 'z': 3.0}
    >>> print(graph)
    node  op        inputs  shape  value  gradient
    x     Input             ()     -2.0   -4.0
    y     Input             ()     5.0    -4.0
    0     Add       x, y    ()     3.0    -4.0
    z     Input             ()     -4.0   3.0
    1     Multiply  0, z    ()     -12.0  1.0
    """

    def __init__(self, *outputs: Node) -> None:
        if not outputs:
            raise ValueError("Graph needs at least one output node; got none")
        for node in outputs:
            if not isinstance(node, Node):
                raise TypeError(f'Graph takes nodes, such as Input("x") + 1 or layer(node); got {type(node).__name__}')
        slots: dict[Any, int] = {}  # of an input, a constant, or (step, output)
        steps: list[Step] = []
        plans: list[Plan] = []
        live: set[int] = set()
        self.names: dict[str, int] = {}  # of the inputs, to their slots
        self.constants: dict[int, Any] = {}  # from slots
        for vertex in _in_order(outputs):
            if isinstance(vertex, Step):
                ins = tuple(slots[_key(node)] for node in vertex.inputs)
                outs = tuple(range(len(slots), len(slots) + vertex.outputs))
                slots.update(((vertex, i), slot) for i, slot in enumerate(outs))
                steps.append(vertex)
                plans.append(Plan(ins, outs, vertex.options))
                if live.intersection(ins) or vertex.layer.parameters():
                    live.update(outs)
                continue
            slots[vertex] = slot = len(slots)
            if isinstance(vertex, Constant):
                self.constants[slot] = vertex.value
            elif vertex.name in self.names:
                raise ValueError(
                    f"inputs must have different names; got two named {vertex.name!r}. "
                    "Make the Input once and use it twice, or rename one"
                )
            else:
                self.names[vertex.name] = slot
                live.add(slot)
        super().__init__(*[step.layer.tied() for step in steps])
        self.plans = tuple(plans)
        self.size = len(slots)
        self.live = frozenset(live)  # slots that get a gradient: an input or a parameter lies below
        self.ends = tuple(slots[_key(node)] for node in outputs)

    def forward(self, *inputs, **named):
        values: list[Any] = [None] * self.size
        for slot, value in self.constants.items():
            values[slot] = value
        for name, value in self._by_name(inputs, named).items():
            values[self.names[name]] = _as_value(f"input {name!r}", value)
        for layer, plan in zip(self.layers, self.plans):
            out = layer.forward(*[values[slot] for slot in plan.inputs], **plan.options)
            outs = out if isinstance(out, tuple) else (out,)
            if len(outs) != len(plan.outputs):
                raise ValueError(
                    f"{type(layer).__name__}.forward must return {len(plan.outputs)} output(s); got {len(outs)}. "
                    "A layer with several says how many in its attribute `outputs`"
                )
            for slot, value in zip(plan.outputs, outs):
                values[slot] = value
        self.cache = Trace(values, [None] * self.size, [])
        ends = [values[slot] for slot in self.ends]
        if all(type(values[slot]) is float for slot in self.names.values()):
            ends = [end.item() if isinstance(end, np.generic) else end for end in ends]  # floats in, floats out
        return tuple(ends) if len(ends) > 1 else ends[0]

    def backward(self, *douts):
        values, _, _ = self.cache
        douts = douts or self._start(values)
        if len(douts) != len(self.ends):
            raise ValueError(
                f"Graph.backward takes {len(self.ends)} gradients, one per output; got {len(douts)}. "
                "Pass None for an output that nobody used"
            )
        grads: list[Any] = [None] * self.size
        flows: list[Any] = [()] * len(self.layers) + [douts]
        self._add(grads, self.ends, douts)
        for i in reversed(range(len(self.layers))):
            plan = self.plans[i]
            arrived = [grads[slot] for slot in plan.outputs]
            if any(dout is not None for dout in arrived):
                dxs = self.layers[i].backward(*arrived)
                flows[i] = dxs if isinstance(dxs, tuple) else (dxs,)
                self._add(grads, plan.inputs, flows[i])
        self.cache = Trace(values, grads, flows)
        return {
            name: float(grads[slot]) if type(values[slot]) is float and grads[slot] is not None else grads[slot]
            for name, slot in self.names.items()
        }

    def as_layer(self) -> GraphLayer:
        """A layer that is this graph, with the `backward` of a layer: dx, or a tuple with one gradient per input."""
        return GraphLayer(self)

    def to_dot(self) -> str:
        """The drawing for Graphviz: boxes, and edges with green values above red gradients."""
        return drawing.to_dot(self)

    def to_mermaid(self) -> str:
        """The drawing for Mermaid, which Markdown on GitHub shows: edges with green values above red gradients."""
        return drawing.to_mermaid(self)

    def __str__(self) -> str:
        return drawing.to_table(self)

    def _add(self, grads: list[Any], slots: Iterable[int], douts: Iterable[Any]) -> None:
        """Add a gradient to each slot: the only place where gradients meet."""
        for slot, dout in zip(slots, douts):
            if dout is not None and slot in self.live:
                grads[slot] = dout if grads[slot] is None else grads[slot] + dout

    def _start(self, values: list[Any]) -> tuple[Any, ...]:
        shapes = [np.shape(values[slot]) for slot in self.ends]
        if shapes != [()]:
            raise ValueError(
                f"Graph.backward needs dout unless there is one scalar output; got outputs of shape {shapes}. "
                "Pass the gradient of the loss with respect to each, or end the graph with .sum() or .mean()"
            )
        return (1.0,)

    def _by_name(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
        names = list(self.names)
        if len(inputs) > len(names):
            raise ValueError(f"forward takes {len(names)} inputs, {', '.join(names)}; got {len(inputs)}")
        given = dict(zip(names, inputs))
        for name in named:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"this graph has {', '.join(names)}"
                raise ValueError(f"forward got an unknown input {name!r}; {hint}")
            if name in given:
                raise ValueError(f"forward got input {name!r} twice, by position and by name; pass it once")
        given.update(named)
        missing = [name for name in names if name not in given]
        if missing:
            raise ValueError(f"forward needs a value for every input; missing {', '.join(missing)}")
        return given


class GraphLayer(Layer):
    """A graph as a layer inside other layers: `backward` returns dx, or a tuple with one gradient per input.

    It is made by `Graph.as_layer` and shares everything with the graph, what it prints included.

    Examples
    --------
    >>> import numpy as np
    >>> x = Input("x")
    >>> layer = Graph(x * x + x).as_layer()
    >>> layer.forward(np.array([1.0, 2.0]))
    array([2., 6.])
    >>> layer.backward(np.array([1.0, 1.0]))
    array([3., 5.])
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.outputs = len(graph.ends) if len(graph.ends) > 1 else None

    def forward(self, *inputs, **named):
        return self.graph.forward(*inputs, **named)

    def backward(self, *douts):
        grads = tuple(self.graph.backward(*douts).values())
        return grads if len(grads) > 1 else grads[0]


def _as_node(value: Any) -> Node:
    return value if isinstance(value, Node) else Constant(_as_value("constant", value))


def _as_value(name: str, value: Any) -> Any:
    if type(value) in (float, int):
        return float(value)
    if np.asarray(value).dtype.kind not in "biufc":
        raise TypeError(f"{name} must be a number or an array of numbers; got {value!r}")
    return value if isinstance(value, np.generic) else np.asarray(value)


def _key(node: Node) -> Any:
    return (node.step, node.index) if isinstance(node, Output) else node


def _in_order(ends: Iterable[Node]) -> list[Any]:
    """Inputs, constants and steps, each after what it needs, from left to right; no recursion: a chain may be long."""
    done: dict[Any, None] = {}
    stack = [_source(node) for node in reversed(tuple(ends))]
    while stack:
        inputs = getattr(stack[-1], "inputs", ())
        pending = next((_source(node) for node in inputs if _source(node) not in done), None)
        if pending is None:
            done[stack.pop()] = None
        else:
            stack.append(pending)
    return list(done)


def _source(node: Node) -> Any:
    return node.step if isinstance(node, Output) else node
