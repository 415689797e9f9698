import math

import numpy as np
import pytest

from layers import Dropout, Flatten
from layers._images import channels_first, pixels_first


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_share_of_zeroed_elements_is_the_rate(rate):
    n = 4_000_000
    zeroed = (Dropout(rate, rng=0).forward(np.ones(n, np.float32)) == 0).mean()
    assert abs(zeroed - rate) < 4 * np.sqrt(rate * (1 - rate) / n) + 2**-17  # four standard deviations and the rounding


def test_kept_elements_are_scaled_so_that_the_mean_stays():
    out = Dropout(0.25, rng=0).forward(np.full((1000, 1000), 3.0))
    assert set(np.unique(out)) == {0.0, 4.0}
    assert out.mean() == pytest.approx(3.0, abs=0.01)


def test_elements_are_dropped_independently_of_their_neighbours():
    dropped = Dropout(0.5, rng=0).forward(np.ones((1000, 1000))) == 0
    for lag in (1, 2, 3, 4, 1000):
        flat = dropped.ravel()
        assert (flat[:-lag] & flat[lag:]).mean() == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 7), (2, 3, 4, 5)])
def test_the_gradient_passes_where_the_input_passed(shape):
    layer = Dropout(0.4, rng=3)
    passed = layer.forward(np.ones(shape)) != 0
    dout = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(layer.backward(dout), np.where(passed, dout / 0.6, 0), rtol=1e-14)
    np.testing.assert_array_equal(layer.backward(dout), layer.backward(dout))


def test_every_forward_draws_another_mask():
    layer, x = Dropout(0.5, rng=0), np.ones(64)
    assert not np.array_equal(layer.forward(x), layer.forward(x))


def test_the_seed_decides_the_masks_and_reseed_replaces_it():
    x = np.ones(64)
    a, b = Dropout(0.5, rng=1), Dropout(0.5, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(a.forward(x), b.forward(x))
    a.reseed(7, 2)
    b.reseed(7, 2)
    first = a.forward(x)
    np.testing.assert_array_equal(first, b.forward(x))
    a.reseed(7, 3)
    assert not np.array_equal(first, a.forward(x))


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Dropout(0.5).forward(np.ones(64))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("layer", [Dropout(0.5, rng=0).eval(), Dropout(0.0, rng=0)], ids=["eval", "rate 0"])
def test_in_evaluation_and_at_rate_zero_it_is_the_identity(layer):
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x + 1), x + 1)


def test_backward_belongs_to_its_forward_whatever_the_mode_is_now():
    layer = Dropout(0.5, rng=0)
    passed = layer.forward(np.ones(64)) != 0
    layer.eval()
    np.testing.assert_array_equal(layer.backward(np.ones(64)), 2.0 * passed)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_kept(dtype):
    layer = Dropout(0.3, rng=0)
    assert layer.forward(np.ones(8, dtype)).dtype == dtype
    assert layer.backward(np.ones(8, dtype)).dtype == dtype


def test_the_cache_is_one_byte_an_element():
    layer = Dropout(0.3, rng=0)
    layer.forward(np.ones((5, 7)))
    assert layer.cache.dtype == bool


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan"), "half"])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate must be a number in \[0, 1\); got"):
        Dropout(rate)


@pytest.mark.parametrize(
    ("shape", "flat"), [((4, 3, 2), (4, 6)), ((4, 6), (4, 6)), ((5,), (5, 1)), ((0, 3, 2), (0, 6)), ((3, 0), (3, 0))]
)
def test_flatten_gives_one_row_an_example_and_back(shape, flat):
    layer, x = Flatten(), np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    out = layer.forward(x)
    assert out.shape == flat
    np.testing.assert_array_equal(layer.backward(out), x)


@pytest.mark.parametrize("shape", [(3, 8, 12, 11), (3, 2, 4, 5), (1, 8, 12, 11), (0, 8, 12, 11)])
def test_flatten_takes_images_as_they_lie_and_gives_their_gradient_so(shape):
    """Large ones and small ones, which are copied differently; one, and none."""
    layer, x = Flatten(), np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    as_they_lie = pixels_first(x)
    np.testing.assert_array_equal(as_they_lie, x.transpose(2, 3, 0, 1))
    assert as_they_lie.flags.c_contiguous
    out = layer.forward(channels_first(as_they_lie))
    np.testing.assert_array_equal(out, x.reshape(len(x), math.prod(shape[1:])))
    dx = layer.backward(2 * out)
    np.testing.assert_array_equal(dx, 2 * x)
    assert np.shares_memory(pixels_first(dx), dx) or not dx.size


def test_flatten_refuses_a_single_number():
    with pytest.raises(ValueError, match=r"x must have shape \(N, d1, ..., dk\); got \(\)"):
        Flatten().forward(np.array(1.0))
