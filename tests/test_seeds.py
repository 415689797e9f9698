"""The notes that started the project, each example run as written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from layers import Affine, ReLU, Sigmoid, Tanh
from layers.gates import Add, Copy, Exp, Maximum, Multiply, Negate, Power
from models.graph import Graph, Input


def test_five_lines_of_code_run_as_written_on_gates():
    gate1, gate2 = Exp(), Negate()
    a = 0.5

    # Forward pass
    x = gate1.forward(a)
    y = gate2.forward(x)

    # Backward pass
    dL_dy = 3.0
    dL_dx = gate2.backward(dL_dy)
    dL_da = gate1.backward(dL_dx)

    assert y == pytest.approx(-math.exp(0.5))
    assert dL_da == pytest.approx(-3 * math.exp(0.5))  # L = -3 e^a


def test_five_lines_of_code_run_as_written_on_layers():
    gate1, gate2 = Affine(3, 4, rng=0), Tanh()
    a = np.ones((2, 3), np.float32)

    # Forward pass
    x = gate1.forward(a)
    y = gate2.forward(x)

    # Backward pass
    dL_dy = np.ones_like(y)
    dL_dx = gate2.backward(dL_dy)
    dL_da = gate1.backward(dL_dx)

    W = gate1.W.value
    slope = np.array([1 / math.cosh(s) ** 2 for s in W.sum(axis=0)])
    np.testing.assert_allclose(dL_da, [W @ slope] * 2, rtol=1e-5)


def test_circuit_by_hand_from_gates():
    add, multiply = Add(), Multiply()
    q = add.forward(-2.0, 5.0)
    f = multiply.forward(q, -4.0)
    assert (q, f) == (3.0, -12.0)
    dq, dz = multiply.backward(1.0)
    dx, dy = add.backward(dq)
    assert (dq, dx, dy, dz) == (-4.0, -4.0, -4.0, 3.0)


def test_circuit_as_a_graph():
    x, y, z = Input("x"), Input("y"), Input("z")
    graph = Graph((x + y) * z)
    assert graph.forward(x=-2.0, y=5.0, z=-4.0) == -12.0
    assert graph.backward() == {"x": -4.0, "y": -4.0, "z": 3.0}


def test_total_derivative_adds_all_paths_and_the_partial_one_takes_the_direct_path():
    # f(x, y, t) = x y + t^3 with x(t) = t^2 and y(t) = e^t
    x, y, t = Input("x"), Input("y"), Input("t")
    f = Graph(x * y + t**3)
    at = 1.5
    f.forward(x=at**2, y=math.exp(at), t=at)
    partial = f.backward()
    assert partial["t"] == pytest.approx(3 * at**2)  # x and y held fixed

    total = Graph(f(t**2, t.exp(), t))
    total.forward(t=at)
    df_dt = total.backward()["t"]
    dx_dt, dy_dt = 2 * at, math.exp(at)
    assert df_dt == pytest.approx(partial["x"] * dx_dt + partial["y"] * dy_dt + partial["t"])
    assert df_dt == pytest.approx((at**2 + 2 * at) * math.exp(at) + 3 * at**2)  # d/dt of t^2 e^t + t^3


def test_add_distributes_the_gradient():
    gate = Add()
    gate.forward(3.0, 4.0)
    assert gate.backward(2.0) == (2.0, 2.0)


def test_copy_adds_the_gradients():
    gate = Copy(2)
    assert gate.forward(7.0) == (7.0, 7.0)
    assert gate.backward(4.0, 2.0) == 6.0


def test_multiply_swaps_its_inputs():
    gate = Multiply()
    gate.forward(2.0, 3.0)
    assert gate.backward(5.0) == (15.0, 10.0)


def test_max_routes_the_gradient_to_the_larger_input():
    gate = Maximum()
    gate.forward(4.0, 5.0)
    assert gate.backward(9.0) == (0.0, 9.0)


def test_subtraction_and_division_are_made_of_atoms():
    a, b = Input("a"), Input("b")
    difference, quotient = Graph(a - b), Graph(a / b)
    assert [type(gate) for gate in difference.layers] == [Negate, Add]
    assert [type(gate) for gate in quotient.layers] == [Power, Multiply]
    assert difference.forward(7.0, 2.0) == 5.0
    assert difference.backward() == {"a": 1.0, "b": -1.0}
    assert quotient.forward(7.0, 2.0) == 3.5
    assert quotient.backward() == {"a": 0.5, "b": -7.0 / 4}


def test_sigmoid_staged_out_of_gates_is_the_layer_and_its_derivative_is_s_times_one_minus_s():
    x = Input("x")
    staged, sigmoid = Graph(1 / (1 + (-x).exp())), Sigmoid()
    at, dout = np.linspace(-6, 6, 13), np.linspace(1, 2, 13)
    out = staged.forward(at)
    np.testing.assert_allclose(out, sigmoid.forward(at), rtol=1e-14)
    dx = staged.backward(dout)["x"]
    np.testing.assert_allclose(dx, sigmoid.backward(dout), rtol=1e-12)
    np.testing.assert_allclose(dx, dout * out * (1 - out), rtol=1e-12)


def jacobian_of(layer, x):
    """Rows d out_i / d x, one backward for each unit vector."""
    out = layer.forward(x)
    rows = []
    for i in range(out.size):
        unit = np.zeros_like(out)
        unit.flat[i] = 1
        rows.append(layer.backward(unit).ravel())
    return np.array(rows)


def test_jacobian_of_relu_is_diagonal_and_backward_never_builds_it():
    x = np.array([1.0, -2.0, 3.0, -1.0])
    dout = np.array([4.0, -1.0, 5.0, 9.0])
    relu = ReLU()
    jacobian = jacobian_of(relu, x)
    np.testing.assert_array_equal(jacobian, np.diag([1.0, 0.0, 1.0, 0.0]))
    np.testing.assert_array_equal(relu.backward(dout), [4.0, 0.0, 5.0, 0.0])
    np.testing.assert_array_equal(relu.backward(dout), dout @ jacobian)


def test_product_of_jacobians_is_the_backward_chain():
    chain = [Affine(3, 4, rng=0, dtype=np.float64), Tanh(), Affine(4, 2, rng=1, dtype=np.float64)]
    x, dout = np.array([[0.5, -1.0, 2.0]]), np.array([[3.0, -2.0]])
    product = np.eye(3)
    h = x
    for layer in chain:
        product = jacobian_of(layer, h) @ product  # df/dx = df/dh dh/dx
        h = layer.forward(h)
    dx = dout
    for layer in reversed(chain):
        dx = layer.backward(dx)
    np.testing.assert_allclose(dx, dout @ product, rtol=1e-12)


def test_gradients_add_at_branches():
    x = Input("x")
    graph = Graph(x * 2 + x * 3 + x**2)
    graph.forward(5.0)
    assert graph.backward() == {"x": 2.0 + 3.0 + 10.0}
