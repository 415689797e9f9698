import numpy as np
import pytest

from layers import Affine
from layers.initializers import zeros

from .differences import assert_backward_is_right


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def double(d, m):
    layer = Affine(d, m, rng=0, dtype=np.float64)
    layer.b.value = draw(m, seed=9)
    return layer


def test_forward_is_the_loop_over_rows_outputs_and_features():
    layer, x = double(5, 3), draw(4, 5)
    W, b = layer.W.value, layer.b.value
    expected = [[sum(x[n, d] * W[d, m] for d in range(5)) + b[m] for m in range(3)] for n in range(4)]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12)


def test_forward_and_backward_by_hand():
    layer = Affine(2, 1, init=zeros, dtype=np.float64)
    layer.W.value, layer.b.value = [[3.0], [-1.0]], [0.5]
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, 2.0], [0.0, 4.0]])), [[1.5], [-3.5]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0], [10.0]])), [[3.0, -1.0], [30.0, -10.0]])
    np.testing.assert_array_equal(layer.W.grad, [[1.0], [42.0]])
    np.testing.assert_array_equal(layer.b.grad, [11.0])


@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (4, 2, 3), (3, 1, 6), (2, 3, 1, 2)])
def test_backward_is_the_slope(shape):
    assert_backward_is_right(double(6, 3), draw(*shape))


@pytest.mark.parametrize("shape", [(0, 6), (0, 2, 3)])
def test_an_empty_batch_gives_an_empty_output_and_zero_gradients(shape):
    layer = double(6, 3)
    assert layer.forward(np.zeros(shape)).shape == (0, 3)
    assert layer.backward(np.zeros((0, 3))).shape == shape
    np.testing.assert_array_equal(layer.W.grad, np.zeros((6, 3)))
    np.testing.assert_array_equal(layer.b.grad, np.zeros(3))


def test_add_grads_gives_the_parameters_gradients_without_dx():
    layer, dout = double(5, 3), draw(4, 3, seed=1)
    layer.forward(draw(4, 5))
    layer.backward(dout)
    W, b = layer.W.grad.copy(), layer.b.grad.copy()
    layer.zero_grad()
    assert layer.add_grads(dout) is None
    np.testing.assert_array_equal(layer.W.grad, W)
    np.testing.assert_array_equal(layer.b.grad, b)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint8])
def test_the_input_is_converted_to_the_dtype_of_the_weights(dtype):
    layer = Affine(2, 3, rng=0)
    assert layer.forward(np.ones((4, 2), dtype)).dtype == np.float32
    assert layer.backward(np.ones((4, 3), np.float32)).dtype == np.float32
    assert layer.W.grad.dtype == np.float32


def test_the_seed_decides_the_weights_and_the_bias_starts_at_zero():
    np.testing.assert_array_equal(Affine(5, 3, rng=1).W.value, Affine(5, 3, rng=np.random.default_rng(1)).W.value)
    assert not np.array_equal(Affine(5, 3, rng=1).W.value, Affine(5, 3, rng=2).W.value)
    np.testing.assert_array_equal(Affine(5, 3, rng=1).b.value, np.zeros(3))


def test_only_the_weights_decay():
    layer = Affine(2, 3, rng=0)
    assert layer.W.decay
    assert not layer.b.decay


@pytest.mark.parametrize("shape", [(4, 5), (6,), (4, 2, 2), ()])
def test_another_number_of_features_is_refused(shape):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 6\), 6 features an example; got"):
        Affine(6, 3, rng=0).forward(np.zeros(shape))


@pytest.mark.parametrize(("sizes", "error"), [((0, 3), ValueError), ((3, -1), ValueError), ((3, 2.0), TypeError)])
def test_sizes_must_be_whole_and_positive(sizes, error):
    with pytest.raises(error, match="_features must be a whole number of at least 1; got"):
        Affine(*sizes)
