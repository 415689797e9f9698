import numpy as np
import pytest

import optim
from layers import Parameter


def make_rosenbrock(dtype=np.float64):
    """(parameters, optimizer maker's closure): f = (1 - x)^2 + 100 (y - x^2)^2, the minimum 0 at (1, 1)."""
    x, y = Parameter(np.array([-1.2], dtype)), Parameter(np.array([[1.0]], dtype), decay=False)

    def closure():
        for p in (x, y):
            p.zero_grad()
        a, b = float(x.value[0]), float(y.value[0, 0])
        x.add_grad(np.array([-2 * (1 - a) - 400 * a * (b - a * a)], dtype))
        y.add_grad(np.array([[200 * (b - a * a)]], dtype))
        return (1 - a) ** 2 + 100 * (b - a * a) ** 2

    return {"x": x, "y": y}, closure


def test_it_finds_the_bottom_of_a_curved_valley():
    parameters, closure = make_rosenbrock()
    loss = optim.LBFGS(parameters, max_iter=100).step(closure)
    assert loss < 1e-10
    np.testing.assert_allclose([p.value.item() for p in parameters.values()], [1, 1], atol=1e-5)


def test_a_quadratic_of_ten_variables_takes_few_iterations():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((10, 10))
    A, b = root @ root.T + np.eye(10), rng.standard_normal(10)
    w = Parameter(np.zeros(10))

    def closure():
        w.zero_grad()
        w.add_grad(A @ w.value - b)
        return float(0.5 * w.value @ A @ w.value - b @ w.value)

    optim.LBFGS([w], max_iter=40, tolerance_change=0).step(closure)
    np.testing.assert_allclose(w.value, np.linalg.solve(A, b), rtol=1e-5)


def test_the_loss_returned_is_that_of_the_parameters_it_leaves():
    parameters, closure = make_rosenbrock()
    optimizer = optim.LBFGS(parameters, max_iter=3)
    losses = [optimizer.step(closure) for _ in range(5)]
    assert closure() == losses[-1]
    assert losses == sorted(losses, reverse=True)
    assert optimizer.steps == 5


def test_the_parameters_are_left_at_the_best_point_not_at_the_last_one_tried():
    parameters, closure = make_rosenbrock(np.float32)
    tried = []
    optimizer = optim.LBFGS(parameters, max_iter=200, tolerance_grad=0, tolerance_change=0)
    loss = optimizer.step(lambda: tried.append(closure()) or tried[-1])
    assert closure() == loss <= tried[-1]  # rounding makes the last line search fail, above the best


def test_one_step_takes_no_more_than_max_iter_iterations():
    calls = {}
    for max_iter in (1, 30):
        parameters, closure = make_rosenbrock()
        seen = []
        optim.LBFGS(parameters, max_iter=max_iter).step(lambda closure=closure, seen=seen: seen.append(1) or closure())
        calls[max_iter] = len(seen)
    assert calls[1] <= 4 < 30 <= calls[30]


def test_float32_parameters_stay_float32_and_get_as_near_as_rounding_lets_them():
    parameters, closure = make_rosenbrock(np.float32)
    optimizer = optim.LBFGS(parameters, max_iter=100)
    optimizer.step(closure)
    assert {p.value.dtype for p in parameters.values()} == {np.dtype(np.float32)}
    np.testing.assert_allclose([p.value.item() for p in parameters.values()], [1, 1], atol=1e-2)


def test_parameters_of_two_dtypes_are_searched_together():
    a, b = Parameter(np.array([3.0], np.float32)), Parameter(np.array([5.0]))

    def closure():
        for p in (a, b):
            p.zero_grad()
            p.add_grad(p.value - 1)
        return 0.5 * float((a.value[0] - 1) ** 2 + (b.value[0] - 1) ** 2)

    optim.LBFGS([a, b]).step(closure)
    assert a.value.item() == pytest.approx(1, abs=1e-6)
    assert b.value.item() == pytest.approx(1, abs=1e-6)


def test_a_closure_that_raises_leaves_the_parameters_as_they_were():
    parameters, closure = make_rosenbrock()
    calls = []

    def failing():
        calls.append(1)
        if len(calls) == 4:
            raise ArithmeticError("no more")
        return closure()

    with pytest.raises(ArithmeticError, match="no more"):
        optim.LBFGS(parameters).step(failing)
    assert [p.value.item() for p in parameters.values()] == [-1.2, 1.0]


def test_a_search_that_is_saved_has_its_options_back():
    parameters, closure = make_rosenbrock()
    optimizer = optim.LBFGS(parameters, max_iter=7, history_size=3, tolerance_grad=1e-3)
    optimizer.step(closure)
    other = optim.LBFGS(parameters)
    other.load_state_dict(optimizer.state_dict())
    assert repr(other) == repr(optimizer)
    assert "max_iter=7" in repr(other)


def test_wrong_use_is_refused():
    parameters, _ = make_rosenbrock()
    with pytest.raises(ValueError, match="needs a closure"):
        optim.LBFGS(parameters).step()
    with pytest.raises(ValueError, match="learning_rate of LBFGS must be 1"):
        optim.LBFGS(parameters).learning_rate = 0.1
    for option in ("max_iter", "history_size"):
        with pytest.raises(ValueError, match=option):
            optim.LBFGS(parameters, **{option: 0})
    for option in ("tolerance_grad", "tolerance_change"):
        with pytest.raises(ValueError, match=option):
            optim.LBFGS(parameters, **{option: -1.0})
