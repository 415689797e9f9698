import numpy as np
import pytest

from layers.dropout import Dropout2D
from layers.group_norm import GroupNorm, InstanceNorm
from layers.normalization import BatchNorm, LayerNorm
from layers.rms_norm import RMSNorm

from .differences import assert_backward_is_right


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def off_centre(layer):
    """Set gamma and beta away from 1 and 0, which hide mistakes."""
    layer.gamma.value = 1 + 0.5 * draw(*layer.gamma.value.shape, seed=7)
    if hasattr(layer, "beta"):
        layer.beta.value = draw(*layer.beta.value.shape, seed=8)
    return layer


def double(layer_type, *arguments):
    return off_centre(layer_type(*arguments, dtype=np.float64))


NORMS = [(GroupNorm, 2, 6), (GroupNorm, 1, 6), (GroupNorm, 6, 6), (InstanceNorm, 6), (BatchNorm, 6)]
every_norm = pytest.mark.parametrize("norm", NORMS, ids=lambda norm: f"{norm[0].__name__}{norm[1:]}")


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_is_the_loop_over_images_and_groups(groups):
    layer, x = double(GroupNorm, groups, 6), 3 + 2 * draw(4, 6, 5, 3)
    out = layer.forward(x)
    size = 6 // groups
    for n, g in np.ndindex(4, groups):
        values = [float(v) for v in x[n, g * size : (g + 1) * size].ravel()]
        mean = sum(values) / len(values)
        var = sum((v - mean) ** 2 for v in values) / len(values)
        for c in range(g * size, (g + 1) * size):
            expected = layer.gamma.value[c] * (x[n, c] - mean) / (var + 1e-5) ** 0.5 + layer.beta.value[c]
            np.testing.assert_allclose(out[n, c], expected, rtol=1e-9, atol=1e-12)


def test_instance_norm_gives_every_channel_mean_zero_and_variance_one():
    out = InstanceNorm(3, dtype=np.float64).forward(5 + 4 * draw(2, 3, 6, 5))
    np.testing.assert_allclose(out.mean(axis=(2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=(2, 3)), 1, rtol=1e-5)


def test_one_group_is_layer_norm_of_the_whole_image():
    x = draw(3, 2, 4, 5)
    rows = LayerNorm(40, dtype=np.float64).forward(x.reshape(3, 40))
    np.testing.assert_allclose(GroupNorm(1, 2, dtype=np.float64).forward(x), rows.reshape(x.shape), rtol=1e-10)


def test_batch_norm_of_images_takes_every_pixel_for_an_example():
    images, rows, x = double(BatchNorm, 3), double(BatchNorm, 3), 2 + draw(4, 3, 5, 2)
    dout = draw(*x.shape, seed=1)

    def as_rows(a):
        return np.array([a[n, :, i, j] for n, i, j in np.ndindex(4, 5, 2)])

    for mode in (True, False):
        images.train(mode)
        rows.train(mode)
        np.testing.assert_allclose(as_rows(images.forward(x)), rows.forward(as_rows(x)), rtol=1e-10)
        np.testing.assert_allclose(as_rows(images.backward(dout)), rows.backward(as_rows(dout)), rtol=1e-10)
        np.testing.assert_allclose(images.gamma.grad, rows.gamma.grad, rtol=1e-10)
        np.testing.assert_allclose(images.running_var, rows.running_var, rtol=1e-10)


def test_batch_norm_gives_every_channel_mean_zero_and_variance_one():
    out = BatchNorm(3, dtype=np.float64).forward(5 + 4 * draw(4, 3, 6, 5))
    np.testing.assert_allclose(out.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(out.var(axis=(0, 2, 3)), 1, rtol=1e-5)


@every_norm
def test_backward_is_the_slope(norm):
    assert_backward_is_right(double(*norm), draw(3, 6, 2, 4))


def test_batch_norm_backward_in_evaluation_is_the_slope():
    assert_backward_is_right(double(BatchNorm, 6).eval(), draw(3, 6, 2, 4))


@every_norm
def test_float32_far_from_zero_loses_little(norm):
    x = (1000 + draw(8, 6, 16, 16)).astype(np.float32)
    single, exact = off_centre(norm[0](*norm[1:])).forward(x), double(*norm).forward(x)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, exact, atol=2e-4)


@every_norm
def test_memory_order_changes_nothing(norm):
    layer, x = double(*norm), draw(3, 6, 2, 4)
    out = layer.forward(x)
    dout = draw(*out.shape, seed=1)
    dx = layer.backward(dout)
    for order in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=3)[..., ::2]):
        np.testing.assert_allclose(layer.forward(order(x)), out, atol=1e-12)
        np.testing.assert_allclose(layer.backward(order(dout)), dx, atol=1e-12)


@every_norm
def test_images_of_one_pixel_and_empty_batches_work(norm):
    for shape in ((1, 6, 1, 1), (0, 6, 3, 2)):
        layer = double(*norm)
        out = layer.forward(draw(*shape))
        dx = layer.backward(out)
        assert out.shape == dx.shape == shape
        assert np.isfinite(dx).all()
        assert np.isfinite(layer.gamma.grad).all()


@every_norm
def test_another_number_of_channels_is_refused(norm):
    for shape in ((2, 5, 3, 3), (2, 3, 3, 6), (6, 3, 3)):
        with pytest.raises(ValueError, match=r"x must have shape .*\(N, 6, H, W\).*; got"):
            norm[0](*norm[1:]).forward(np.zeros(shape))


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match="num_groups must divide num_channels = 6; got 4"):
        GroupNorm(4, 6)


def test_rms_norm_by_hand():
    layer = RMSNorm(2, eps=1e-300, dtype=np.float64)
    layer.gamma.value = [2.0, 1.0]
    np.testing.assert_allclose(layer.forward(np.array([[1.0, 7.0], [-5.0, 5.0]])), [[0.4, 1.4], [-2, 1]], rtol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3), (3,)])
def test_rms_norm_backward_is_the_slope(shape):
    assert_backward_is_right(double(RMSNorm, 3), draw(*shape))


def test_rms_norm_ignores_the_scale_of_an_example():
    x = draw(4, 3)
    layer = RMSNorm(3, dtype=np.float64)
    np.testing.assert_allclose(layer.forward(100 * x), layer.forward(x), rtol=1e-3)


def test_rms_norm_refuses_another_width():
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 3\); got \(4, 2\)"):
        RMSNorm(3).forward(np.zeros((4, 2)))


def test_dropout2d_zeroes_whole_channels_and_scales_the_others():
    layer, x = Dropout2D(0.25, rng=0), 1 + draw(100, 20, 3, 2) ** 2
    out = layer.forward(x)
    kept = out[:, :, 0, 0] != 0
    np.testing.assert_allclose(out, x * kept[:, :, None, None] / 0.75, rtol=1e-12)
    assert abs(kept.mean() - 0.75) < 0.03
    dout = draw(*x.shape, seed=1)
    np.testing.assert_allclose(layer.backward(dout), dout * kept[:, :, None, None] / 0.75, rtol=1e-12)


def test_dropout2d_is_the_identity_in_evaluation():
    layer, x = Dropout2D(0.5, rng=0).eval(), draw(2, 3, 4, 5)
    assert layer.forward(x) is x
    assert layer.backward(x) is x


def test_dropout2d_refuses_rows():
    with pytest.raises(ValueError, match=r"x must have shape \(N, C, H, W\), .*; got \(4, 3\)"):
        Dropout2D(0.5).forward(np.zeros((4, 3)))
