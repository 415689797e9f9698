import numpy as np
import pytest

from layers import Affine, BatchNorm, Dropout, Flatten, ReLU
from models import Concat, Residual, Sequential, UNet, predict, summary


def x_of(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def affine(d, m, seed=0):
    return Affine(d, m, rng=seed, dtype=np.float64)


def test_a_chain_is_its_layers_one_after_the_other():
    first, second, x = affine(4, 3), affine(3, 2, seed=1), x_of(5, 4)
    expected = (x @ first.W.value + first.b.value) @ second.W.value + second.b.value
    np.testing.assert_allclose(Sequential(first, second).forward(x), expected)


def test_a_residual_adds_its_input():
    body, x = affine(3, 3), x_of(5, 3)
    residual = Residual(body)
    np.testing.assert_allclose(residual.forward(x), body.forward(x) + x)
    np.testing.assert_allclose(residual.backward(np.ones((5, 3))), np.ones((5, 3)) @ body.W.value.T + 1)


def test_a_body_that_changes_the_shape_is_refused():
    with pytest.raises(ValueError, match=r"body must keep the shape \(5, 3\)"):
        Residual(affine(3, 2)).forward(x_of(5, 3))


def test_branches_stand_side_by_side_in_order():
    a, b, x = affine(3, 2), affine(3, 4, seed=1), x_of(5, 3)
    out = Concat(a, b).forward(x)
    np.testing.assert_allclose(out[:, :2], x @ a.W.value)
    np.testing.assert_allclose(out[:, 2:], x @ b.W.value)


def test_a_repeated_layer_is_tied_wherever_it_hides():
    shared = affine(3, 3)
    model = Sequential(shared, Sequential(ReLU(), shared), Residual(shared))
    assert list(model.parameters()) == ["0.W", "0.b"]
    assert len({id(leaf) for _, leaf in model.walk() if isinstance(leaf, Affine)}) == 3


def test_weights_shared_by_two_layers_get_the_sum_of_both_gradients():
    shared, x, dout = affine(3, 3), x_of(5, 3), x_of(5, 3)
    one, two = affine(3, 3), affine(3, 3)
    tied, apart = Sequential(shared, shared), Sequential(one, two)
    for model in (tied, apart):
        model.forward(x)
        model.backward(dout)
    np.testing.assert_allclose(shared.W.grad, one.W.grad + two.W.grad)


def test_tying_leaves_a_container_in_other_hands_alone():
    shared = affine(3, 3)
    inner = Sequential(shared, ReLU())
    Sequential(shared, inner)
    assert inner[0] is shared


def test_a_list_of_layers_gets_the_advice_to_unpack_it():
    with pytest.raises(TypeError, match=r"Sequential\(\*layers\)"):
        Sequential([ReLU()])


def test_predict_works_in_batches_in_evaluation_mode_and_keeps_nothing():
    dropout = Dropout(0.5, rng=0)
    model, x = Sequential(affine(4, 3), dropout), x_of(7, 4)
    out = predict(model, x, batch_size=3)
    np.testing.assert_allclose(out, x @ model[0].W.value)
    assert model.training
    assert dropout.training
    assert not hasattr(model[0], "cache")


def test_predict_puts_a_frozen_layer_back_into_evaluation_mode():
    model = Sequential(affine(4, 3), Dropout(0.5, rng=0).eval())
    predict(model, x_of(2, 4))
    assert model[0].training
    assert not model[1].training


def test_the_first_trained_layer_computes_no_dx():
    class NoInput(Affine):
        def backward(self, dout):
            raise AssertionError("the first layer's dx is asked for")

    model = Sequential(Flatten(), NoInput(4, 3, rng=0), ReLU())
    model.forward(x_of(5, 2, 2))
    model.add_grads(np.ones((5, 3), np.float32))
    assert model[1].W.grad.any()


def test_a_summary_counts_parameters_shapes_and_cache():
    text = summary(Sequential(affine(4, 8), ReLU(), affine(8, 2, seed=1)), x_of(5, 4))
    lines = text.splitlines()
    assert lines[1].split() == ["0", "Affine", "(5,", "8)", "40", "160"]  # x: 5 * 4 float64
    assert lines[-1].split()[:2] == ["total", "58"]


def test_a_summary_leaves_running_statistics_as_they_were():
    model = Sequential(affine(4, 8), BatchNorm(8))
    before = model.state_dict()
    summary(model, x_of(5, 4))
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_summary_takes_several_inputs_and_lists_what_a_block_itself_keeps():
    text = summary(UNet(1, (4, 8), rng=0), np.zeros((2, 1, 4, 4), np.float32), np.array([0, 1]))
    (block,) = [line.split() for line in text.splitlines() if line.startswith("middle.blocks.0 ")]
    assert block[1:] == ["ContextBlock", "(2,", "8,", "2,", "2)", "0", str(2 * 8 * (2 * 2 + 1) * 4)]  # h and scale
