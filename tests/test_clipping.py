import math

import numpy as np
import pytest

import optim
from layers import Parameter
from optim import clip_by_global_norm, clip_by_value


def make_parameters(dtype=np.float64):
    parameters = {"a": Parameter(np.zeros((1, 2), dtype)), "b": Parameter(np.zeros(2, dtype), decay=False)}
    parameters["a"].add_grad(np.array([[2.0, -4.0]], dtype))
    parameters["b"].add_grad(np.array([4.0, 8.0], dtype))  # the norm of all is 10
    return parameters


def sources(parameters):
    return {
        "optimizer": optim.SGD(parameters, learning_rate=0.1),
        "dict of parameters": parameters,
        "parameters": list(parameters.values()),
        "arrays": [p.grad for p in parameters.values()],
        "generator of arrays": (p.grad for p in parameters.values()),
    }


@pytest.mark.parametrize("source", ["optimizer", "dict of parameters", "parameters", "arrays", "generator of arrays"])
def test_the_global_norm_is_taken_over_all_and_all_are_scaled_alike(source):
    parameters = make_parameters()
    assert clip_by_global_norm(sources(parameters)[source], 5.0) == pytest.approx(10.0)
    np.testing.assert_allclose(parameters["a"].grad, [[1.0, -2.0]], rtol=1e-14)
    np.testing.assert_allclose(parameters["b"].grad, [2.0, 4.0], rtol=1e-14)


def test_a_gradient_within_the_norm_is_left_alone():
    parameters = make_parameters()
    assert clip_by_global_norm(parameters, 10.5) == pytest.approx(10.0)
    assert parameters["b"].grad.tolist() == [4.0, 8.0]
    assert clip_by_global_norm(parameters, math.inf) == pytest.approx(10.0)
    assert clip_by_global_norm(np.zeros(3), 1.0) == 0.0
    assert clip_by_global_norm(np.zeros(0), 1.0) == 0.0


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 1e30), (np.float32, 1e-30), (np.float64, 1e200), (np.float64, 1e-200)]
)
def test_the_norm_neither_overflows_nor_underflows(dtype, size):
    grad = np.array([3 * size, 4 * size], dtype)
    assert clip_by_global_norm(grad, size) == pytest.approx(5 * size, rel=1e-6)
    np.testing.assert_allclose(grad, [0.6 * size, 0.8 * size], rtol=1e-6)
    assert grad.dtype == dtype


def test_the_norm_of_many_small_float32_numbers_is_right():
    grad = np.full(3_000_000, 0.001, np.float32)
    assert clip_by_global_norm(grad, 100.0) == pytest.approx(0.001 * math.sqrt(3_000_000), rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_shows_in_the_norm_and_stays_in_sight(bad):
    grads = [np.array([1.0, bad]), np.array([100.0])]
    assert not math.isfinite(clip_by_global_norm(grads, 1.0))
    np.testing.assert_array_equal(grads[0], [1.0, bad])
    assert grads[1].tolist() == [100.0]


@pytest.mark.parametrize("source", ["optimizer", "dict of parameters", "parameters", "arrays", "generator of arrays"])
def test_clipping_by_value_clips_each_component(source):
    parameters = make_parameters()
    clip_by_value(sources(parameters)[source], 3.0)
    assert parameters["a"].grad.tolist() == [[2.0, -3.0]]
    assert parameters["b"].grad.tolist() == [3.0, 3.0]


def test_clipping_by_value_bounds_infinity_and_leaves_nan():
    grad = np.array([math.nan, math.inf, -math.inf], np.float32)
    clip_by_value(grad, 1.0)
    np.testing.assert_array_equal(grad, np.array([math.nan, 1.0, -1.0], np.float32))


@pytest.mark.parametrize("limit", [0, -1.0, math.nan])
def test_a_limit_that_is_not_above_zero_is_refused(limit):
    with pytest.raises(ValueError, match="max_norm"):
        clip_by_global_norm(np.ones(2), limit)
    with pytest.raises(ValueError, match="limit"):
        clip_by_value(np.ones(2), limit)


def test_something_without_gradients_is_refused():
    with pytest.raises(TypeError, match="grads must be an optimizer, parameters or arrays"):
        clip_by_value(3.0, 1.0)
