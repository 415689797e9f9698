"""The vectors in which parameters live: never a stale view, whoever moves them."""

import copy
import pickle
import threading

import numpy as np
import pytest

import optim
from layers import Affine, Parameter
from optim.flat import BLOCK, FlatParameters

from .test_optim import draw_gradients, make_parameters, train


def reference(parameters, gradients):
    """The same steps of Adam on copies that nobody else touches."""
    copies = {name: Parameter(p.value.copy(), decay=p.decay) for name, p in parameters.items()}
    train(optim.Adam(copies), copies, gradients)
    return {name: p.value for name, p in copies.items()}


def assert_values(parameters, expected):
    for name, p in parameters.items():
        np.testing.assert_array_equal(p.value, expected[name])


def test_values_keep_their_contents_and_become_views_of_one_vector():
    parameters = make_parameters()
    parameters["W"].add_grad(np.full((2, 3), 7.0))
    before = {name: p.value.copy() for name, p in parameters.items()}
    optimizer = optim.SGD(parameters, learning_rate=0.1)
    assert_values(parameters, before)
    (values,), (grads,) = optimizer.values, optimizer.grads
    assert values.shape == grads.shape == (10,)
    for p in parameters.values():
        assert np.shares_memory(p.value, values)
        assert np.shares_memory(p.grad, grads)
    assert sorted(grads) == [0.0] * 4 + [7.0] * 6
    values += 1
    assert_values(parameters, {name: value + 1 for name, value in before.items()})


def test_each_dtype_has_a_vector_of_its_own():
    parameters = {
        "a": Parameter(np.ones(2, np.float32)),
        "b": Parameter(np.ones(3)),
        "c": Parameter(np.ones(4, np.float32)),
    }
    optimizer = optim.SGD(parameters, learning_rate=0.5)
    assert [(v.dtype, v.size) for v in optimizer.values] == [(np.float32, 6), (np.float64, 3)]
    train(optimizer, parameters, [{name: np.ones_like(p.value) for name, p in parameters.items()}])
    assert_values(parameters, {"a": [0.5] * 2, "b": [0.5] * 3, "c": [0.5] * 4})


def test_a_parameter_given_twice_is_trained_once():
    w = Parameter(np.array([1.0]))
    w.add_grad(np.array([1.0]))
    optimizer = optim.SGD({"first": w, "second": w}, learning_rate=0.25)
    optimizer.step()
    assert w.value.tolist() == [0.75]
    assert optimizer.values[0].shape == (1,)


def test_a_parameter_without_elements_is_no_trouble():
    parameters = {"none": Parameter(np.ones((0, 3))), "w": Parameter(np.ones(2))}
    train(optim.Adam(parameters), parameters, draw_gradients(parameters, 2))
    train(optim.Adam({"none": parameters["none"]}), parameters, [{}])
    assert parameters["none"].value.shape == (0, 3)


def test_a_second_optimizer_over_the_same_parameters_shares_the_vector():
    parameters = make_parameters()
    first = optim.SGD(parameters, learning_rate=0.1)
    second, average = optim.Adam(parameters), optim.EMA(parameters)
    assert np.shares_memory(first.values[0], second.values[0])
    assert np.shares_memory(first.grads[0], second.grads[0])
    assert np.shares_memory(first.values[0], average.flat.values[0])
    assert second.values[0].shape == (10,)


def test_an_optimizer_over_a_part_of_another_touches_nothing_between():
    parameters = {name: Parameter(np.zeros(size)) for name, size in (("a", 2), ("b", 3), ("c", 4))}
    optim.SGD(parameters, learning_rate=1.0)
    for p in parameters.values():
        p.add_grad(np.ones(p.value.shape))
    optim.SGD({"a": parameters["a"], "c": parameters["c"]}, learning_rate=1.0).step()
    assert_values(parameters, {"a": [-1] * 2, "b": [0] * 3, "c": [-1] * 4})


def test_a_long_vector_is_shared_out_to_the_threads():
    threads = set()
    flat = FlatParameters([Parameter(np.zeros(3 * BLOCK, np.float32))], threads=3)
    flat.each(lambda w, g, scratch: threads.add(threading.current_thread().name))
    assert "MainThread" in threads
    assert len(threads) > 1
    with pytest.raises(ZeroDivisionError):
        flat.each(lambda w, g, scratch: threading.current_thread().name == "MainThread" or 1 / 0)


def test_optimizers_over_overlapping_parameters_all_stay_true():
    parameters = make_parameters()
    gradients = draw_gradients(parameters, 6)
    expected = reference(parameters, gradients)
    optimizer = optim.Adam(parameters)
    for step in gradients:
        other = optim.SGD({name: parameters[name] for name in ("scale", "b")}, learning_rate=0.0, momentum=0.5)
        train(optimizer, parameters, [step])  # the other has moved two of the parameters away
        train(other, parameters, [{}])
    assert_values(parameters, expected)
    assert np.shares_memory(optimizer.values[0], parameters["b"].value)


def test_a_gradient_that_came_before_the_move_is_not_lost():
    parameters = make_parameters()
    optimizer = optim.SGD(parameters, learning_rate=1.0)
    before = parameters["b"].value.copy()
    optimizer.zero_grad()
    parameters["b"].add_grad(np.ones(3))
    optim.SGD([parameters["b"]], learning_rate=1.0)
    optimizer.step()
    np.testing.assert_allclose(parameters["b"].value, before - 1)


def test_a_model_that_changes_its_dtype_takes_the_state_along():
    layer = Affine(3, 2, rng=0)
    parameters = layer.parameters()
    optimizer = optim.Adam(parameters)
    gradients = draw_gradients(parameters, 4)
    train(optimizer, parameters, gradients[:2])
    state = optimizer.state_dict()
    layer.astype(np.float64)
    wide = {name: Parameter(p.value.copy(), decay=p.decay) for name, p in parameters.items()}
    expected = optim.Adam(wide)
    expected.load_state_dict(state)
    train(optimizer, parameters, gradients[2:])
    train(expected, wide, gradients[2:])
    assert_values(parameters, {name: p.value for name, p in wide.items()})
    assert optimizer.values[0].dtype == optimizer.state_dict()["m.W"].dtype == layer.W.value.dtype == np.float64


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_of_model_and_optimizer_trains_on_by_itself(duplicate):
    parameters = make_parameters()
    gradients = draw_gradients(parameters, 4)
    optimizer = optim.Adam(parameters)
    train(optimizer, parameters, gradients[:2])
    middle = {name: p.value.copy() for name, p in parameters.items()}
    twins, twin = duplicate((parameters, optimizer))
    train(twin, twins, gradients[2:])
    assert_values(parameters, middle)
    train(optimizer, parameters, gradients[2:])
    assert_values(twins, {name: p.value for name, p in parameters.items()})
    assert np.shares_memory(twin.values[0], twins["W"].value)


def test_loading_weights_into_the_model_is_seen_by_the_optimizer():
    layer = Affine(3, 2, rng=0)
    optimizer = optim.SGD(layer.parameters(), learning_rate=1.0)
    layer.load_state_dict(Affine(3, 2, rng=1).state_dict())
    optimizer.step()
    np.testing.assert_array_equal(layer.W.value, Affine(3, 2, rng=1).W.value)
    assert np.shares_memory(optimizer.values[0], layer.W.value)
