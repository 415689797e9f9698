"""Numeric derivatives against derivatives done by hand."""

import numpy as np
import pytest

from gradcheck import directional_derivative, jacobian, jvp, numerical_gradient, vjp

METHODS = ["central", "five-point", "complex-step"]


def product_and_sine(x):
    return np.stack([x[0] * x[1], np.sin(x[1]), x[2] ** 2 * x[0]])


POINT = np.array([2.0, 0.5, -3.0])
# d(x0 x1) = (x1, x0, 0); d sin(x1) = (0, cos x1, 0); d(x2^2 x0) = (x2^2, 0, 2 x0 x2)
BY_HAND = np.array([[0.5, 2.0, 0.0], [0.0, np.cos(0.5), 0.0], [9.0, 0.0, -12.0]])


@pytest.mark.parametrize(("method", "accuracy"), [("central", 1e-9), ("five-point", 1e-11), ("complex-step", 1e-15)])
def test_every_method_reaches_its_accuracy(method, accuracy):
    worst = np.abs(jacobian(product_and_sine, POINT, method=method) - BY_HAND).max()
    assert worst <= accuracy * 12


@pytest.mark.parametrize("method", METHODS)
def test_products_with_the_jacobian_match_the_jacobian_by_hand(method):
    dout, dx = np.array([1.0, -2.0, 0.5]), np.array([3.0, 0.25, -1.0])
    np.testing.assert_allclose(vjp(product_and_sine, POINT, dout, method=method), dout @ BY_HAND, rtol=1e-8)
    np.testing.assert_allclose(numerical_gradient(product_and_sine, POINT, dout, method=method), dout @ BY_HAND)
    np.testing.assert_allclose(jvp(product_and_sine, POINT, dx, method=method), BY_HAND @ dx, rtol=1e-8)


def test_the_jacobian_has_the_shape_of_out_and_then_of_x():
    matrix = jacobian(lambda x: np.outer(x.sum(axis=0), [1.0, 10.0]), np.ones((2, 3)))
    assert matrix.shape == (3, 2, 2, 3)
    assert matrix[1, 1, 0, 1] == pytest.approx(10)  # out[1, 1] = 10 * (x[0, 1] + x[1, 1])
    assert matrix[1, 1, 0, 2] == 0


def test_a_number_is_differentiated_as_a_number():
    assert numerical_gradient(lambda x: x**3, 2.0) == pytest.approx(12)
    assert numerical_gradient(lambda x: x**3, 2.0).shape == ()


def test_integers_are_converted_and_not_truncated():
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**2).sum(), np.array([1, 2, 3])), [2, 4, 6])


def test_float32_input_is_differentiated_in_float64():
    x = np.array([1.0, 2.0], np.float32)
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**2).sum(), x), [2, 4], rtol=1e-9)


def test_x_is_never_written_even_by_a_function_that_writes():
    def doubling_in_place(x):
        x *= 2
        return x

    x = np.array([1.0, 5.0])
    x.flags.writeable = False
    np.testing.assert_allclose(jacobian(doubling_in_place, x), 2 * np.eye(2), atol=1e-9)
    np.testing.assert_array_equal(x, [1, 5])


def test_a_function_that_returns_its_argument_has_the_identity_as_its_jacobian():
    np.testing.assert_allclose(jacobian(lambda x: x, np.zeros(3)), np.eye(3))


def test_the_default_step_grows_with_x():
    assert numerical_gradient(lambda x: x**2, 1e12) == pytest.approx(2e12, rel=1e-6)


def test_the_step_may_be_chosen():
    assert numerical_gradient(lambda x: x**3, 0.0, h=0.5) == pytest.approx(0.25)  # ((1/2)^3 + (1/2)^3) / (2 / 2)
    with pytest.raises(ValueError, match="h must be a step > 0"):
        numerical_gradient(lambda x: x, 0.0, h=0.0)


def test_empty_arrays_have_empty_gradients():
    assert numerical_gradient(lambda x: x.sum(), np.zeros((0, 3))).shape == (0, 3)
    assert jacobian(lambda x: x.sum(axis=0), np.zeros((0, 3))).shape == (3, 0, 3)


@pytest.mark.parametrize(
    "f",
    [lambda x: np.abs(x), lambda x: np.array(x.var()), lambda x: np.linalg.norm(x) * x, lambda x: x * np.conj(x)],
    ids=["abs", "var", "norm", "conj"],
)
def test_complex_step_refuses_functions_that_lose_the_imaginary_part(f):
    x = np.array([1.5, -0.5, 2.0])
    with pytest.raises(ValueError, match="not complex-safe"):
        numerical_gradient(f, x, np.ones(np.shape(f(x))), method="complex-step")
    with pytest.raises(ValueError, match="not complex-safe"):
        jacobian(f, x, method="complex-step")


def test_complex_step_refuses_a_buffer_of_real_dtype():
    def through_a_buffer(x):
        out = np.zeros(3)
        out[:] = x**2
        return out

    with pytest.raises(ValueError, match="not complex-safe"):
        numerical_gradient(through_a_buffer, np.ones(3), np.ones(3), method="complex-step")


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"dout must have the shape \(3,\) of f\(x\); got \(2,\)"):
        numerical_gradient(lambda x: x, np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="dout must be given where out is an array"):
        numerical_gradient(lambda x: x, np.ones(3))
    with pytest.raises(ValueError, match="method must be one of 'central'"):
        numerical_gradient(lambda x: x, 1.0, method="forward")
    with pytest.raises(ValueError, match=r"dx must have the shape \(3,\) of x"):
        jvp(lambda x: x, np.ones(3), np.ones(2))


@pytest.mark.parametrize(
    ("f", "x", "slope"),
    [
        (lambda x: np.exp(x), 0.5, np.exp(0.5)),
        (lambda x: 1e-12 * x**2, 3.0, 6e-12),
        (lambda x: 1e12 * x**2, 3.0, 6e12),
        (lambda x: np.maximum(x, 0), 1e-6, 1.0),  # the kink is nearer than most steps
        (lambda x: np.log(np.abs(x)), 1e-6, 1e6),  # and so is the pole, across which wide steps see a flat line
        (lambda x: np.log(x), 1e-3, 1e3),  # wide steps leave the domain
        (lambda x: (x - 1000) ** 3, 1001.0, 3.0),
        (lambda x: 0 * x + 7, 2.0, 0.0),
    ],
)
def test_the_estimated_error_covers_the_true_one(f, x, slope):
    value, error = directional_derivative(lambda x: np.array(f(x)), np.array(x), np.array(1.0))
    assert abs(value - slope) <= 3 * error
    assert error <= 1e-3 * max(abs(slope), 1e-9)


def test_where_the_function_is_not_finite_the_error_is_infinite():
    assert directional_derivative(lambda x: np.log(x), np.array(-1.0), np.array(1.0))[1] == np.inf
