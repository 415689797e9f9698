"""Graphs of layers and gates: values, gradients, sharing, what is printed and drawn, and what is refused."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from layers import Affine, Layer, ReLU, Tanh
from layers.gates import Copy, Maximum
from models.containers import Sequential
from models.graph import Constant, Graph, Input

from .test_gates import numerical_gradients


def circuit() -> Graph:
    x, y, z = Input("x"), Input("y"), Input("z")
    return Graph((x + y) * z)


class Halves(Layer):
    """The two halves of the last axis: a layer with two outputs, written by a user."""

    outputs = 2

    def forward(self, x):
        self.cache = x.shape[-1] // 2
        return x[..., : self.cache], x[..., self.cache :]

    def backward(self, dleft, dright):
        zeros = np.zeros_like(dleft if dleft is not None else dright)
        return np.concatenate([zeros if d is None else d for d in (dleft, dright)], axis=-1)


class Scaled(Layer):
    """A layer with an option and an input that has no gradient."""

    def forward(self, x, labels, *, factor=1.0):
        self.cache = labels, factor
        return (x * labels).sum() * factor

    def backward(self, dout=1.0):
        labels, factor = self.cache
        return dout * labels * factor


EXPRESSIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / b,
    "a ** b": lambda a, b: a**b,
    "a @ b.T": lambda a, b: a @ b.T,
    "-a": lambda a, b: -a + 0 * b,
    "numbers right": lambda a, b: ((a + 1) * 2 - 3) / 4 + (b**2 - 1),
    "numbers left": lambda a, b: (1 + a) * (3 - 2 * a) + 4 / b + 2**b,
    "arrays right": lambda a, b: (a + ROW) * ROW - ROW + b / ROW + b**ROW + b @ SQUARE,
    "arrays left": lambda a, b: (ROW + a) + ROW * b + ROW / b + (ROW - a) + ROW**b + COLUMNS @ b,
    "scalars of NumPy": lambda a, b: np.float64(2.0) * a + np.float64(3.0) / b + a @ b.T @ ROW[:2, None],
    "fan-out": lambda a, b: a * a + a / b + a,
}
ROW = np.array([0.7, 1.3, 2.1])
SQUARE = np.array([[0.5, 1.5, -0.3], [1.1, 0.2, 0.9], [-0.4, 0.6, 0.8]])
COLUMNS = np.array([[0.5, -1.5], [2.5, 0.1]])


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_of_nodes_computes_what_numpy_does_and_its_gradients(name):
    f = EXPRESSIONS[name]
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.5, 2, (2, 3)), rng.uniform(0.5, 2, (2, 3))
    graph = Graph(f(Input("a"), Input("b")))
    out = graph.forward(a, b)
    np.testing.assert_allclose(out, f(a, b), rtol=1e-14)
    dout = rng.standard_normal(out.shape)
    grads = graph.backward(dout)
    assert list(grads) == ["a", "b"]
    for grad, expected in zip(grads.values(), numerical_gradients(f, (a, b), dout)):
        np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-7)


def test_methods_of_nodes_are_the_gates_of_the_same_name():
    def f(x, exp, log):
        return (exp(x).sum(axis=0, keepdims=True) + log(x).mean(axis=1, keepdims=True)).reshape(3, -1).T.sum(axis=1)

    x = np.random.default_rng(2).uniform(0.5, 2, (2, 3))
    graph = Graph(f(Input("x"), lambda node: node.exp(), lambda node: node.log()))
    out = graph.forward(x)
    np.testing.assert_allclose(out, f(x, np.exp, np.log), rtol=1e-14)
    dout = np.array([2.0, -3.0])
    (expected,) = numerical_gradients(lambda x: f(x, np.exp, np.log), (x,), dout)
    np.testing.assert_allclose(graph.backward(dout)["x"], expected, rtol=1e-6)
    assert Graph(Input("x").transpose((1, 2, 0)).reshape((8, 3))).forward(np.ones((2, 3, 4))).shape == (8, 3)


def test_inputs_come_by_name_or_by_position_in_the_order_of_their_first_appearance():
    graph = circuit()
    assert graph.forward(x=-2.0, y=5.0, z=-4.0) == -12.0
    assert graph.forward(-2, 5, -4) == -12.0
    assert graph.forward(-2, z=-4, y=5) == -12.0
    x, y = Input("x"), Input("y")
    assert list(Graph(y / (x + y)).names) == ["y", "x"]
    assert list(Graph(y + 1, x + 1).names) == ["y", "x"]


def test_python_numbers_in_give_python_floats_out():
    x, y = Input("x"), Input("y")
    graph = Graph((x.exp() * y).sum() + Maximum()(x, y) ** 2, x / 3)
    outs = graph.forward(x=1, y=2.5)
    assert [type(out) for out in outs] == [float, float]
    assert [type(grad) for grad in graph.backward(1, 2).values()] == [float, float]


def test_float32_stays_float32_beside_numbers_and_constants():
    x, t = Input("x"), Input("t")
    graph = Graph((2 * x / 3 - t.exp() + x**2 + 2**x).mean())
    out = graph.forward(x=np.ones((2, 3), np.float32), t=0.5)
    grads = graph.backward()
    assert out.dtype == grads["x"].dtype == np.float32
    assert type(grads["t"]) is float


def test_gradients_add_where_a_value_is_used_twice():
    x = Input("x")
    square = x * x
    graph = Graph(square * x + square)  # x^3 + x^2
    assert graph.forward(3.0) == 36.0
    assert graph.backward() == {"x": 33.0}


def test_several_outputs_take_one_gradient_each_and_none_for_one_unused():
    x, y = Input("x"), Input("y")
    graph = Graph(x * y, x + 1)
    assert graph.forward(x=2.0, y=3.0) == (6.0, 3.0)
    assert graph.backward(1.0, 10.0) == {"x": 13.0, "y": 2.0}
    assert graph.backward(None, 10.0) == {"x": 10.0, "y": None}


def test_layers_with_several_outputs_unpack_into_nodes():
    x = Input("x")
    left, right = Halves()(x)
    a, b = Copy(2)(right)
    graph = Graph((a * b).sum())
    assert graph.forward(np.array([1.0, 2.0, 3.0, 4.0])) == 25.0
    np.testing.assert_array_equal(graph.backward()["x"], [0.0, 0.0, 6.0, 8.0])  # left was not used
    graph = Graph((left * right).sum())
    graph.forward(np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(graph.backward()["x"], [3.0, 4.0, 1.0, 2.0])


def test_inputs_without_a_gradient_and_options_reach_their_layer():
    x, labels = Input("x"), Input("labels")
    graph = Graph(Scaled()(x, labels, factor=3.0))
    assert graph.forward(np.array([1.0, 2.0]), np.array([1, 10])) == 63.0
    grads = graph.backward()
    np.testing.assert_array_equal(grads["x"], [3.0, 30.0])
    assert grads["labels"] is None


def test_one_layer_at_two_nodes_has_two_caches_and_one_set_of_weights():
    affine = Affine(2, 2, rng=0, dtype=np.float64)
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    W, dout = affine.W.value, np.array([[1.0, 2.0], [-1.0, 0.5]])
    node = Input("x")
    graph = Graph(affine(affine(node)) + node)
    np.testing.assert_allclose(graph.forward(x), x @ W @ W + x, rtol=1e-14)
    np.testing.assert_allclose(graph.backward(dout)["x"], dout @ W.T @ W.T + dout, rtol=1e-14)
    np.testing.assert_allclose(affine.W.grad, (x @ W).T @ dout + x.T @ dout @ W.T, rtol=1e-14)
    assert list(graph.parameters().values()) == [affine.W, affine.b]


def test_two_graphs_of_the_same_nodes_do_not_disturb_each_other():
    x = Input("x")
    y = x * x
    first, second = Graph(y), Graph(y + 1)
    first.forward(3.0)
    second.forward(100.0)
    assert first.backward() == {"x": 6.0}
    assert second.backward() == {"x": 200.0}


def test_parameters_modes_and_state_are_those_of_all_layers():
    first, second = Affine(3, 4, rng=0), Affine(4, 2, rng=1)
    body = Sequential(first, ReLU(), second)
    x = Input("x")
    graph = Graph(body(x) @ np.ones((2, 1), np.float32))
    assert list(graph.parameters()) == ["0.0.W", "0.0.b", "0.2.W", "0.2.b"]
    graph.eval()
    assert not first.training
    rows = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(graph.predict(rows, batch_size=2), graph.forward(rows), rtol=1e-6)
    copy = Graph(Sequential(Affine(3, 4, rng=5), ReLU(), Affine(4, 2, rng=6))(x) @ np.ones((2, 1), np.float32))
    copy.load_state_dict(graph.state_dict())
    np.testing.assert_array_equal(copy.forward(rows), graph.forward(rows))


def test_parameters_above_a_constant_get_their_gradients():
    affine = Affine(2, 2, rng=0, dtype=np.float64)
    x = Input("x")
    rows = np.array([[1.0, 2.0]])
    graph = Graph((affine(Constant(rows)) * x).sum())
    graph.forward(np.array([[3.0, 4.0]]))
    graph.backward()
    np.testing.assert_allclose(affine.W.grad, [[3.0, 4.0], [6.0, 8.0]])


def test_as_layer_has_the_backward_of_a_layer_inside_containers():
    x = Input("x")
    hidden = Affine(3, 3, rng=1, dtype=np.float64)
    residual = Graph(Tanh()(hidden(x)) + x)
    net = Sequential(Affine(2, 3, rng=0, dtype=np.float64), residual.as_layer(), residual.as_layer())
    rows, dout = np.random.default_rng(0).standard_normal((2, 4, 2)), np.ones((4, 3))
    net.forward(rows[0])
    dx = net.backward(dout)
    np.testing.assert_allclose(dx, numerical_gradients(net.forward, (rows[0],), dout)[0], rtol=1e-6, atol=1e-8)
    assert len(net.parameters()) == 4
    layer = circuit().as_layer()
    layer.forward(-2.0, 5.0, -4.0)
    assert layer.backward(1.0) == (-4.0, -4.0, 3.0)


def test_a_graph_applied_to_nodes_is_a_node():
    f, a = circuit(), Input("a")
    graph = Graph(f(a, a, 2.0) + f(1.0, a, a))  # 4 a + (1 + a) a
    assert graph.forward(3.0) == 24.0
    assert graph.backward() == {"a": 11.0}
    t = Input("t")
    total, product = Graph(a + 1, a * a)(t)
    graph = Graph(total * product)  # (t + 1) t^2
    assert graph.forward(2.0) == 12.0
    assert graph.backward() == {"t": 16.0}


def test_a_chain_of_thousands_of_nodes_does_not_exhaust_the_stack():
    x = Input("x")
    node = x
    for _ in range(5000):
        node = node + 1
    graph = Graph(node)
    assert graph.forward(0.0) == 5000.0
    assert graph.backward() == {"x": 1.0}


def test_neither_inputs_nor_dout_are_written_to():
    x = np.ones((2, 3))
    dout = np.ones((2, 3))
    x.setflags(write=False)
    dout.setflags(write=False)
    node = Input("x")
    graph = Graph(node + node * node + Copy(2)(node)[0])
    graph.forward(x)
    np.testing.assert_array_equal(graph.backward(dout)["x"], np.full((2, 3), 4.0))


# --- print and draw


def test_print_shows_every_node_with_value_and_gradient_and_a_dash_before():
    graph = circuit()
    assert re.search(r"^1 +Multiply +0, z +- +- +-$", str(graph), re.MULTILINE)
    graph.forward(-2.0, 5.0, -4.0)
    assert re.search(r"^0 +Add +x, y +\(\) +3.0 +-$", str(graph), re.MULTILINE)
    graph.backward()
    assert re.search(r"^0 +Add +x, y +\(\) +3.0 +-4.0$", str(graph), re.MULTILINE)
    assert re.search(r"^z +Input +\(\) +-4.0 +3.0$", str(graph), re.MULTILINE)
    graph.drop_cache()
    assert "3.0" not in str(graph)


def test_print_summarises_arrays_and_leaves_constants_without_gradient():
    graph = Graph((Input("x") * np.array([1.0, 2.0, 3.0, 4.0]) - 1).sum())
    graph.forward(np.ones((2, 4)))
    graph.backward()
    assert re.search(r"^c0 +Constant +\(4,\) +\[1, 2, 3, \.\.\.\] +-$", str(graph), re.MULTILINE)
    assert re.search(r"^x +Input +\(2, 4\) +\[1, 1, 1, \.\.\.\] +\[1, 2, 3, \.\.\.\]$", str(graph), re.MULTILINE)


def test_dot_has_green_values_above_red_gradients():
    graph = circuit()
    assert "FONT" not in graph.to_dot()
    graph.forward(-2.0, 5.0, -4.0)
    graph.backward()
    sum_to_product = next(line for line in graph.to_dot().splitlines() if "layer0 -> layer1" in line)
    assert '<FONT COLOR="darkgreen">3.0</FONT><BR/><FONT COLOR="red">-4.0</FONT>' in sum_to_product
    assert (
        '  v3 -> layer1 [label=<<FONT COLOR="darkgreen">-4.0</FONT><BR/><FONT COLOR="red">3.0</FONT>>];'
        in graph.to_dot()
    )
    assert "layer1 [label=<*>]" in graph.to_dot()


def test_edges_from_constants_have_no_gradient():
    graph = Graph(Input("x") * 3)
    graph.forward(2.0)
    graph.backward()
    assert '  v1 -> layer0 [label=<<FONT COLOR="darkgreen">3.0</FONT>>];' in graph.to_dot()


def test_each_edge_of_a_value_used_twice_carries_the_gradient_of_its_own_use():
    x = Input("x")
    graph = Graph(x * 3 + x * 5)
    graph.forward(1.0)
    graph.backward()
    edges = [line for line in graph.to_mermaid().splitlines() if line.startswith("  v0 --")]
    assert [re.findall(r"color:red'>([\d.]+)<", edge) for edge in edges] == [["3.0"], ["5.0"]]


def test_mermaid_has_green_values_above_red_gradients():
    graph = circuit()
    graph.forward(-2.0, 5.0, -4.0)
    graph.backward()
    lines = graph.to_mermaid().splitlines()
    assert lines[0] == "flowchart LR"
    green, red = "<span style='color:green'>3.0</span>", "<span style='color:red'>-4.0</span>"
    assert f'  layer0 -- "{green}<br/>{red}" --> layer1' in lines


def test_names_are_escaped_in_drawings():
    graph = Graph(Input('a"]<b>&;') + 1)
    assert "[label=<a&quot;]&lt;b&gt;&amp;;>, shape=plaintext]" in graph.to_dot()
    assert '(["a#34;#93;#60;b#62;#38;#59;"])' in graph.to_mermaid()


def test_graphviz_reads_the_dot_where_it_is_installed():
    graph = Graph((Affine(3, 2, rng=0)(Input('<x & "y">')) ** 2).sum())
    graph.forward(np.ones((4, 3)))
    graph.backward()
    dot = shutil.which("dot")
    if dot:
        subprocess.run([dot, "-Tsvg"], input=graph.to_dot().encode(), check=True, capture_output=True)
    assert graph.to_dot().count("->") == 5


# --- refused


@pytest.mark.parametrize(
    ("inputs", "named", "message"),
    [
        ((), {"x": 1.0, "y": 2.0}, "forward needs a value for every input; missing z"),
        ((), {"x": 1.0, "y": 2.0, "zz": 3.0}, "unknown input 'zz'; did you mean 'z'"),
        ((), {"x": 1.0, "y": 2.0, "weight": 3.0}, "unknown input 'weight'; this graph has x, y, z"),
        ((1.0, 2.0, 3.0, 4.0), {}, "forward takes 3 inputs, x, y, z; got 4"),
        ((1.0, 2.0), {"x": 3.0}, "input 'x' twice, by position and by name"),
    ],
)
def test_forward_refuses_inputs_that_are_missing_unknown_or_too_many(inputs, named, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        circuit().forward(*inputs, **named)


def test_forward_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="input 'x' must be a number or an array of numbers; got 'one'"):
        circuit().forward("one", 2.0, 3.0)
    with pytest.raises(TypeError, match="constant must be a number or an array of numbers; got None"):
        Input("x") + None


def test_backward_refuses_to_come_before_forward():
    with pytest.raises(ValueError, match=r"Graph.backward was called before forward; call forward first"):
        circuit().backward()


def test_backward_refuses_a_missing_dout_of_an_array_and_a_dout_of_another_shape_or_number():
    graph = Graph(Input("x") * 2)
    graph.forward(np.ones(3))
    with pytest.raises(ValueError, match=r"needs dout unless there is one scalar output; got outputs of shape"):
        graph.backward()
    with pytest.raises(ValueError, match=r"must have the shape \(3,\) of forward's output; got \(2,\)"):
        graph.backward(np.ones(2))
    with pytest.raises(ValueError, match="takes 1 gradients, one per output; got 2"):
        graph.backward(np.ones(3), np.ones(3))


def test_two_inputs_with_one_name_are_refused():
    with pytest.raises(ValueError, match="inputs must have different names; got two named 'x'"):
        Graph(Input("x") + Input("x"))
    for name in ("", 3):
        with pytest.raises(TypeError, match="name must be a string that is not empty"):
            Input(name)


def test_nodes_cannot_be_changed_so_that_no_cycle_can_be_built():
    node = Input("x") + 1
    with pytest.raises(AttributeError, match="cannot assign to field 'step'"):
        node.step = (node * 2).step
    with pytest.raises(AttributeError, match="cannot assign to field 'inputs'"):
        node.step.inputs = (node,)


def test_a_graph_takes_nodes_only_and_at_least_one():
    with pytest.raises(ValueError, match="Graph needs at least one output node"):
        Graph()
    with pytest.raises(TypeError, match="Graph takes nodes"):
        Graph(Affine(2, 2, rng=0))
    with pytest.raises(TypeError, match="option factor of Scaled must be a plain value"):
        Scaled()(Input("x"), np.ones(2), factor=Input("f"))


def test_a_layer_with_undeclared_outputs_is_told_to_declare_them():
    class Pair(Layer):
        def forward(self, x):
            return x, x

    graph = Graph(Pair()(Input("x")))
    with pytest.raises(ValueError, match=r"Pair.forward must return 1 output\(s\); got 2.*attribute `outputs`"):
        graph.forward(1.0)
