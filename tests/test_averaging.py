import numpy as np
import pytest

from layers import Affine, Parameter
from optim import EMA, SGD


def test_the_average_without_warmup_is_the_weighted_sum_of_all_values():
    w = Parameter(np.array([1.0]))
    average = EMA([w], decay=0.75, warmup=False)
    values = [1.0, 5.0, -3.0, 2.0]
    for value in values[1:]:
        w.value = [value]
        average.update()
    weights = [0.75**3, 0.25 * 0.75**2, 0.25 * 0.75, 0.25]
    with average.applied():
        assert w.value.item() == pytest.approx(sum(a * b for a, b in zip(weights, values)), rel=1e-14)


def test_the_warmup_lets_the_first_values_go_sooner():
    w = Parameter(np.array([1.0]))
    average = EMA([w], decay=0.15)
    expected = 1.0
    for value, decay in [(0.0, 1 / 10), (4.0, 0.15), (8.0, 0.15)]:  # 2 / 11 would be above 0.15
        w.value = [value]
        average.update()
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert w.value.item() == pytest.approx(expected, rel=1e-14)


def test_after_the_block_the_weights_are_bitwise_what_they_were_even_if_it_raises():
    layer = Affine(3, 2, rng=0)
    average = EMA(layer.parameters(), decay=0.9)
    layer.W.value[...] *= 1.1
    before = layer.state_dict()
    average.update()

    def evaluate_and_fail():
        with average.applied(), average.applied():
            assert not np.array_equal(layer.W.value, before["W"])
            raise KeyError

    with pytest.raises(KeyError):
        evaluate_and_fail()
    for name, array in before.items():
        np.testing.assert_array_equal(layer.state_dict()[name], array)


def test_the_average_follows_an_optimizer_that_is_made_later_and_a_change_of_dtype():
    layer = Affine(3, 2, rng=0)
    average = EMA(layer.parameters(), decay=0.5, warmup=False)
    start = layer.W.value.copy()
    optimizer = SGD({"W": layer.W}, learning_rate=1.0)
    layer.W.add_grad(np.ones((3, 2), np.float32))
    optimizer.step()
    average.update()
    layer.astype(np.float64)
    with average.applied():
        np.testing.assert_allclose(layer.W.value, start - 0.5, rtol=1e-6, atol=1e-7)
        assert layer.W.value.dtype == np.float64
    np.testing.assert_allclose(layer.W.value, start - 1, rtol=1e-6, atol=1e-7)


def test_a_model_converted_while_the_average_is_applied_gets_its_own_weights_back():
    layer = Affine(3, 2, rng=0)
    before = layer.state_dict()
    average = EMA(layer.parameters(), decay=0.5)
    with average.applied():
        layer.astype(np.float64)
    np.testing.assert_array_equal(layer.W.value, before["W"])


def test_the_average_goes_on_from_a_saved_state():
    w, other = Parameter(np.array([1.0, 2.0])), Parameter(np.array([9.0, 9.0]))
    average, resumed = EMA({"w": w}, decay=0.9), EMA({"w": other}, decay=0.1)
    for _ in range(3):
        w.value = w.value * 2
        average.update()
    resumed.load_state_dict(average.state_dict())
    for p in (w, other):
        p.value = [7.0, 7.0]
    for a in (average, resumed):
        a.update()
    assert resumed.state_dict()["updates"] == 4
    assert resumed.decay == 0.9
    np.testing.assert_array_equal(resumed.state_dict()["average.w"], average.state_dict()["average.w"])


def test_a_decay_out_of_its_range_and_no_parameters_are_refused():
    with pytest.raises(ValueError, match="decay must be a number of at least 0 and below 1"):
        EMA([Parameter(np.ones(1))], decay=1.0)
    with pytest.raises(ValueError, match="parameters is empty"):
        EMA([])
