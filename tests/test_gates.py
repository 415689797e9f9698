"""The atoms: hand-worked numbers, naive loops, central differences; broadcasting, ties, empty axes, dtypes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from layers.gates import (
    Add,
    Copy,
    Exp,
    Log,
    MatMul,
    Maximum,
    Mean,
    Minimum,
    Multiply,
    Negate,
    Power,
    Reshape,
    Sum,
    Transpose,
    unbroadcast,
)

SHAPES = [
    ((4, 3), (4, 3)),
    ((4, 3), (3,)),
    ((3,), (4, 3)),
    ((4, 1), (1, 3)),
    ((2, 1, 3), (4, 1)),
    ((4, 3), ()),
    ((), ()),
]
EMPTY_SHAPES = [((0, 3), (3,)), ((0, 3), (1, 3)), ((2, 0), (2, 1)), ((1,), (0,))]
BINARY = [Add, Multiply, Power, Maximum, Minimum]
MATMULS = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((1, 1), (1, 1)),
]


def numerical_gradients(f: Callable[..., Any], inputs: tuple[Any, ...], dout: Any, h: float = 1e-6) -> list[np.ndarray]:
    """Central differences of sum(f(*inputs) * dout), element by element of each input."""
    grads = []
    for k, x in enumerate(inputs):
        grad = np.zeros(np.shape(x))
        for index in np.ndindex(grad.shape):
            ends = []
            for step in (h, -h):
                moved = np.array(x, float)
                moved[index] += step
                ends.append(f(*inputs[:k], moved, *inputs[k + 1 :]))
            grad[index] = np.sum((ends[0] - ends[1]) * dout) / (2 * h)
        grads.append(grad)
    return grads


def check_gradients(gate: Any, *inputs: Any) -> None:
    for x in inputs:
        x.setflags(write=False)
    dout = np.random.default_rng(9).standard_normal(np.shape(gate.forward(*inputs)))
    dout.setflags(write=False)
    grads = gate.backward(dout)
    grads = grads if isinstance(grads, tuple) else (grads,)
    for x, grad, expected in zip(inputs, grads, numerical_gradients(gate.forward, inputs, dout), strict=True):
        assert np.shape(grad) == x.shape
        np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-8)


def draw(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Positive values between 0.5 and 2, no two equal."""
    rng = np.random.default_rng(3)
    return [rng.uniform(0.5, 2, shape) for shape in shapes]


@pytest.mark.parametrize("shapes", SHAPES + EMPTY_SHAPES, ids=str)
@pytest.mark.parametrize("gate", BINARY)
def test_gradients_of_binary_gates_have_the_shapes_of_their_inputs_and_agree_with_differences(gate, shapes):
    check_gradients(gate(), *draw(*shapes))


@pytest.mark.parametrize("shape", [(4, 3), (1, 1), (0, 3), ()], ids=str)
@pytest.mark.parametrize("gate", [Negate, Exp, Log, Sum, Transpose])
def test_gradients_of_unary_gates_agree_with_differences(gate, shape):
    check_gradients(gate(), *draw(shape))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 2, -2, (0, 2), (-1, 0), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("gate", [Sum, Mean])
def test_gradients_of_sum_and_mean_agree_with_differences_along_any_axes(gate, axis, keepdims):
    check_gradients(gate(axis, keepdims), *draw((2, 3, 4)))


def test_sum_and_mean_of_empty_axes():
    np.testing.assert_array_equal(Sum(axis=0).forward(np.ones((0, 3))), [0, 0, 0])
    check_gradients(Sum(axis=0), np.ones((0, 3)))
    check_gradients(Mean(axis=1), np.ones((0, 3)))
    check_gradients(Mean(axis=0), np.ones((3, 0)))


def test_mean_shares_dout_among_the_summands():
    gate = Mean(axis=1)
    np.testing.assert_array_equal(gate.forward(np.array([[1.0, 2.0, 3.0, 6.0]])), [3.0])
    np.testing.assert_array_equal(gate.backward(np.array([8.0])), [[2.0, 2.0, 2.0, 2.0]])


@pytest.mark.parametrize("shapes", MATMULS, ids=str)
def test_gradients_of_matmul_agree_with_differences_in_every_case_of_numpy(shapes):
    check_gradients(MatMul(), *draw(*shapes))


def test_matmul_is_the_sum_over_the_inner_axis():
    x, y = draw((2, 3), (3, 4))
    expected = np.zeros((2, 4))
    for n, m, k in itertools.product(range(2), range(4), range(3)):
        expected[n, m] += x[n, k] * y[k, m]
    np.testing.assert_allclose(MatMul().forward(x, y), expected, rtol=1e-14)


def test_unbroadcast_is_the_adjoint_of_broadcasting():
    rng = np.random.default_rng(0)
    for shape, full in [((3,), (4, 3)), ((4, 1), (4, 3)), ((1, 1), (4, 3)), ((), (4, 3)), ((2, 1, 3), (5, 2, 4, 3))]:
        x, grad = rng.standard_normal(shape), rng.standard_normal(full)
        dx = unbroadcast(grad, shape)
        assert np.shape(dx) == shape
        np.testing.assert_allclose(np.sum(x * dx), np.sum(np.broadcast_to(x, full) * grad), rtol=1e-12)


def test_power_differentiates_a_base_that_is_not_positive_but_not_its_exponent():
    gate = Power()
    gate.forward(np.array([-2.0, 0.0, 2.0]), np.array([3.0, 2.0, 3.0]))
    dbase, dexponent = gate.backward(np.ones(3))
    np.testing.assert_array_equal(dbase, [12.0, 0.0, 12.0])
    np.testing.assert_allclose(dexponent, [0.0, 0.0, 8 * 0.6931471805599453], rtol=1e-15)


def test_exponent_gets_no_gradient_where_the_power_is_infinite_or_not_a_number():
    gate = Power()
    with np.errstate(divide="ignore", invalid="ignore"):
        gate.forward(np.array([0.0, -2.0]), np.array([-1.0, 0.5]))
        np.testing.assert_array_equal(gate.backward(np.ones(2))[1], [0.0, 0.0])


def test_power_zero_has_no_slope_even_at_zero():
    gate = Power()
    gate.forward(np.array([0.0, 3.0]), 0)
    np.testing.assert_array_equal(gate.backward(np.ones(2))[0], [0.0, 0.0])


def test_power_takes_integers_to_negative_powers():
    gate = Power()
    np.testing.assert_array_equal(gate.forward(np.array([1, 2, 4]), -1), [1.0, 0.5, 0.25])
    np.testing.assert_array_equal(gate.backward(np.ones(3))[0], [-1.0, -0.25, -0.0625])


def test_maximum_and_minimum_route_a_tie_to_their_first_argument():
    for gate in Maximum(), Minimum():
        gate.forward(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
        dx, dy = gate.backward(np.array([5.0, 7.0]))
        np.testing.assert_array_equal(dx, [5.0, 7.0])
        np.testing.assert_array_equal(dy, [0.0, 0.0])


def test_copy_adds_the_gradients_of_the_outputs_that_were_used():
    gate = Copy(3)
    outs = gate.forward(np.array([1.0, 2.0]))
    assert len(outs) == 3
    first, last = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    np.testing.assert_array_equal(gate.backward(first, None, last), [11.0, 22.0])
    np.testing.assert_array_equal(gate.backward(None, None, last), [10.0, 20.0])
    np.testing.assert_array_equal(gate.backward(None, None, None), [0.0, 0.0])
    np.testing.assert_array_equal(first, [1.0, 2.0])


def test_copy_refuses_another_number_of_gradients():
    gate = Copy(2)
    gate.forward(1.0)
    with pytest.raises(ValueError, match="takes 2 gradients, one per output; got 1"):
        gate.backward(1.0)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
        Copy(0)


def test_reshape_and_transpose_put_gradients_back_in_place():
    x = np.arange(24.0).reshape(2, 3, 4)
    for axes in itertools.permutations(range(3)):
        for signed in (axes, tuple(axis - 3 for axis in axes), (axes[0] - 3, *axes[1:])):
            gate = Transpose(signed)
            np.testing.assert_array_equal(gate.backward(gate.forward(x)), x)
    for gate in Transpose(), Reshape((4, -1)), Reshape(24), Reshape((2, 1, 12)):
        np.testing.assert_array_equal(gate.backward(gate.forward(x)), x)
    assert Transpose((1, 2, 0)).forward(x).shape == (3, 4, 2)


@pytest.mark.parametrize(
    ("gate", "numbers"),
    [(gate(), (2.0, 3)) for gate in BINARY] + [(gate(), (2.0,)) for gate in (Negate, Exp, Log)],
    ids=lambda value: type(value).__name__,
)
def test_python_numbers_give_python_floats(gate, numbers):
    assert type(gate.forward(*numbers)) is float
    grads = gate.backward(1.0)
    assert all(np.ndim(grad) == 0 for grad in (grads if isinstance(grads, tuple) else (grads,)))


FLOAT32 = [(gate(), (np.ones((2, 3)), np.full(3, 2.0))) for gate in BINARY]
FLOAT32 += [(gate(), (np.ones((2, 3)), 2.0)) for gate in BINARY] + [(gate(), (2, np.ones((2, 3)))) for gate in BINARY]
FLOAT32 += [(gate, (np.ones((2, 3)),)) for gate in (Negate(), Exp(), Log(), Sum(), Sum(1), Mean(), Mean(0, True))]
FLOAT32 += [(gate, (np.ones((2, 3)),)) for gate in (Copy(1), Reshape(6), Transpose())]
FLOAT32 += [(MatMul(), (np.ones((2, 3)), np.ones((3, 4)))), (MatMul(), (np.ones(3), np.ones(3)))]


@pytest.mark.parametrize(("gate", "inputs"), FLOAT32, ids=lambda value: type(value).__name__)
def test_float32_stays_float32_forward_and_backward(gate, inputs):
    inputs = tuple(x.astype(np.float32) if isinstance(x, np.ndarray) else x for x in inputs)
    out = gate.forward(*inputs)
    out = out[0] if isinstance(out, tuple) else out
    assert out.dtype == np.float32
    for dout in [np.ones(out.shape, np.float32), *([1.0] if out.shape == () else [])]:
        grads = gate.backward(dout)
        for x, grad in zip(inputs, grads if isinstance(grads, tuple) else (grads,)):
            assert np.shape(grad) == np.shape(x)
            assert grad.dtype == np.float32


@pytest.mark.parametrize("gate", BINARY)
def test_shapes_that_do_not_broadcast_are_both_named(gate):
    with pytest.raises(ValueError, match=r"must have shapes that broadcast.*got \(2, 3\) and \(2, 4\)"):
        gate().forward(np.ones((2, 3)), np.ones((2, 4)))


def test_wrong_shapes_are_named_with_what_was_expected():
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(2, 3\)"):
        MatMul().forward(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"got \(2, 3\) and \(\)"):
        MatMul().forward(np.ones((2, 3)), np.float64(2.0))
    with pytest.raises(ValueError, match=r"hold the 6 elements of x, of shape \(2, 3\); got \(4, -1\)"):
        Reshape((4, -1)).forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"each axis of x, of shape \(2, 3\), once; got \(0, 0\)"):
        Transpose((0, 0)).forward(np.ones((2, 3)))
