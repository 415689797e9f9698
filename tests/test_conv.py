import itertools

import numpy as np
import pytest

from layers import _correlate
from layers.conv import Conv1D, Conv2D, ConvTranspose2D

from .differences import assert_backward_is_right

SETTINGS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "padding": 1},
    {"kernel_size": (3, 1), "stride": 2, "padding": (2, 0)},
    {"kernel_size": 3, "stride": (1, 2), "padding": 2, "dilation": (2, 1)},
    {"kernel_size": 2, "stride": 3},  # pixels that no window sees
    {"kernel_size": 4, "stride": (2, 3), "padding": 1, "groups": 2},
    {"kernel_size": (1, 2), "padding": 1, "dilation": 2, "groups": 2, "bias": False},
    {"kernel_size": 1},
    {"kernel_size": 1, "padding": 2},  # windows that see padding only
    {"kernel_size": 2, "stride": 2, "dilation": 4, "padding": (1, 2)},
    {"kernel_size": 2, "stride": 3, "dilation": 22, "padding": 9},  # pixels that only windows beyond the last would see
]
every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=str)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def double(layer_type, c, f, seed=3, **options):
    layer = layer_type(c, f, rng=seed, dtype=np.float64, **options)
    if layer.b is not None:
        layer.b.value = draw(f, seed=9)
    return layer


def pairs(setting):
    values = [setting.get(name, low) for name, low in (("stride", 1), ("padding", 0), ("dilation", 1))]
    return [value if isinstance(value, tuple) else (value, value) for value in values]


def loop_conv(x, W, b, setting):
    """One multiplication at a time, as the formula says it."""
    (sh, sw), (ph, pw), (dh, dw) = pairs(setting)
    groups = setting.get("groups", 1)
    N, _, H, width = x.shape
    F, CG, HH, WW = W.shape
    OH, OW = (H + 2 * ph - dh * (HH - 1) - 1) // sh + 1, (width + 2 * pw - dw * (WW - 1) - 1) // sw + 1
    out = np.zeros((N, F, OH, OW))
    for n, f, i, j in np.ndindex(out.shape):
        group = f // (F // groups)
        for c, u, v in itertools.product(range(CG), range(HH), range(WW)):
            y, z = i * sh + u * dh - ph, j * sw + v * dw - pw
            if 0 <= y < H and 0 <= z < width:
                out[n, f, i, j] += W[f, c, u, v] * x[n, group * CG + c, y, z]
        out[n, f, i, j] += b[f]
    return out


def loop_transposed(x, W, b, setting, output_padding):
    """Each pixel paints its filter, one multiplication at a time."""
    (sh, sw), (ph, pw), (dh, dw) = pairs(setting)
    groups = setting.get("groups", 1)
    N, C, H, width = x.shape
    _, FG, HH, WW = W.shape
    OH = (H - 1) * sh - 2 * ph + dh * (HH - 1) + 1 + output_padding[0]
    OW = (width - 1) * sw - 2 * pw + dw * (WW - 1) + 1 + output_padding[1]
    out = np.zeros((N, FG * groups, OH, OW)) + b[:, None, None]
    for n, c, i, j in np.ndindex(x.shape):
        group = c // (C // groups)
        for f, u, v in itertools.product(range(FG), range(HH), range(WW)):
            y, z = i * sh + u * dh - ph, j * sw + v * dw - pw
            if 0 <= y < OH and 0 <= z < OW:
                out[n, group * FG + f, y, z] += W[c, f, u, v] * x[n, c, i, j]
    return out


def bias_of(layer):
    return np.zeros(layer.out_channels) if layer.b is None else layer.b.value


@every_setting
@pytest.mark.parametrize("n", [1, 3])
def test_forward_is_the_loop_over_images_filters_positions_and_taps(setting, n):
    layer, x = double(Conv2D, 4, 6, **setting), draw(n, 4, 7, 5)
    np.testing.assert_allclose(layer.forward(x), loop_conv(x, layer.W.value, bias_of(layer), setting), atol=1e-12)


@every_setting
def test_backward_is_the_slope(setting):
    assert_backward_is_right(double(Conv2D, 4, 2, **setting), draw(2, 4, 5, 6))


def test_forward_and_backward_by_hand():
    layer = Conv2D(1, 1, 2, dtype=np.float64)
    layer.W.value, layer.b.value = [[[[1.0, 2.0], [0.0, -1.0]]]], [0.5]
    x = np.array([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    np.testing.assert_array_equal(layer.forward(x), [[[[1 + 4 - 5 + 0.5, 2 + 6 - 6 + 0.5]]]])
    np.testing.assert_array_equal(layer.backward(np.array([[[[1.0, 10.0]]]])), [[[[1, 12, 20], [0, -1, -10]]]])
    np.testing.assert_array_equal(layer.W.grad, [[[[21, 32], [54, 65]]]])
    np.testing.assert_array_equal(layer.b.grad, [11])


def test_many_images_are_convolved_as_each_alone():
    layer, x = (
        double(Conv2D, 16, 8, kernel_size=3, padding=1),
        draw(13, 16, 32, 16),
    )  # several blocks, the last not full
    dout = draw(13, 8, 32, 16, seed=1)
    out, dx, dW = layer.forward(x), layer.backward(dout), layer.W.grad.copy()
    layer.zero_grad()
    for n in range(len(x)):
        np.testing.assert_allclose(out[n : n + 1], layer.forward(x[n : n + 1]), atol=1e-12)
        np.testing.assert_allclose(dx[n : n + 1], layer.backward(dout[n : n + 1]), atol=1e-12)
    np.testing.assert_allclose(dW, layer.W.grad, atol=1e-10)


@every_setting
@pytest.mark.parametrize("block", [1, 1500])
def test_a_few_rows_at_a_time_are_all_rows_at_once(setting, block, monkeypatch):
    layer, x = double(Conv2D, 4, 6, **setting), draw(3, 4, 11, 5)

    def results():
        out = layer.forward(x)
        layer.zero_grad()
        return out, layer.backward(draw(*out.shape, seed=1)), layer.W.grad.copy()

    at_once = results()
    monkeypatch.setattr(_correlate, "_BLOCK", block)
    for mine, exact in zip(results(), at_once, strict=True):
        np.testing.assert_allclose(mine, exact, atol=1e-12)


def test_a_filter_with_one_tap_in_the_middle_shifts_nothing():
    layer = Conv2D(2, 2, 3, padding=1, bias=False, dtype=np.float64)
    layer.W.value = np.zeros((2, 2, 3, 3))
    layer.W.value[[0, 1], [0, 1], 1, 1] = 1
    x = draw(2, 2, 5, 4)
    np.testing.assert_array_equal(layer.forward(x), x)


def test_groups_are_convolutions_side_by_side():
    layer, x = double(Conv2D, 6, 4, kernel_size=3, groups=2), draw(2, 6, 5, 4)
    halves = []
    for g in range(2):
        half = Conv2D(3, 2, 3, dtype=np.float64)
        half.W.value, half.b.value = layer.W.value[2 * g : 2 * g + 2], layer.b.value[2 * g : 2 * g + 2]
        halves.append(half.forward(x[:, 3 * g : 3 * g + 3]))
    np.testing.assert_allclose(layer.forward(x), np.concatenate(halves, axis=1), atol=1e-12)


def test_a_depthwise_filter_sees_its_own_channel_only():
    layer, x = double(Conv2D, 3, 3, kernel_size=2, groups=3), draw(1, 3, 4, 4)
    before = layer.forward(x)
    x[:, 1] += 1
    assert [(layer.forward(x) != before)[:, c].any() for c in range(3)] == [False, True, False]


def test_a_filter_as_large_as_the_image_is_an_affine_layer():
    layer, x = double(Conv2D, 3, 5, kernel_size=(4, 2)), draw(6, 3, 4, 2)
    expected = x.reshape(6, -1) @ layer.W.value.reshape(5, -1).T + layer.b.value
    np.testing.assert_allclose(layer.forward(x)[:, :, 0, 0], expected, atol=1e-12)


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_conv1d_is_the_loop_over_signals(padding, stride, groups):
    layer = double(Conv1D, 4, 6, kernel_size=3, stride=stride, padding=padding, dilation=2, groups=groups)
    x = draw(2, 4, 9)
    setting = {"stride": (1, stride), "padding": (0, padding), "dilation": (1, 2), "groups": groups}
    expected = loop_conv(x[:, :, None], layer.W.value[:, :, None], layer.b.value, setting)[:, :, 0]
    assert layer.W.value.shape == (6, 4 // groups, 3)
    np.testing.assert_allclose(layer.forward(x), expected, atol=1e-12)


def test_conv1d_backward_is_the_slope():
    assert_backward_is_right(double(Conv1D, 4, 6, kernel_size=3, stride=2, padding=1, groups=2), draw(2, 4, 7))


@every_setting
@pytest.mark.parametrize("n", [1, 2])
def test_transposed_forward_is_the_loop_over_painted_filters(setting, n):
    stride, _, dilation = pairs(setting)
    rest = tuple(max(s, d) - 1 for s, d in zip(stride, dilation))
    layer, x = double(ConvTranspose2D, 4, 6, output_padding=rest, **setting), draw(n, 4, 5, 6)
    expected = loop_transposed(x, layer.W.value, bias_of(layer), setting, rest)
    np.testing.assert_allclose(layer.forward(x), expected, atol=1e-12)


@every_setting
def test_transposed_backward_is_the_slope(setting):
    assert_backward_is_right(double(ConvTranspose2D, 4, 2, **setting), draw(2, 4, 5, 6))


@every_setting
def test_the_transpose_is_the_adjoint(setting):
    setting = {**setting, "bias": False}
    conv, x = double(Conv2D, 4, 6, **setting), draw(2, 4, 7, 9)
    out = conv.forward(x)
    (sh, sw), (ph, pw), (dh, dw) = pairs(setting)
    HH, WW = conv.kernel_size
    rest = (7 + 2 * ph - dh * (HH - 1) - 1) % sh, (9 + 2 * pw - dw * (WW - 1) - 1) % sw
    transpose = double(ConvTranspose2D, 6, 4, output_padding=rest, **setting)
    transpose.W.value = conv.W.value
    y = draw(*out.shape, seed=1)
    np.testing.assert_allclose((out * y).sum(), (x * transpose.forward(y)).sum(), rtol=1e-10)  # <A x, y> = <x, A^T y>
    np.testing.assert_allclose(transpose.forward(y), conv.backward(y), atol=1e-12)
    np.testing.assert_allclose(transpose.backward(x), out, atol=1e-12)


@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_add_grads_is_backward_without_dx(layer_type):
    layer, x = double(layer_type, 4, 6, kernel_size=3, groups=2), draw(2, 4, 5, 7)
    dout = draw(*layer.forward(x).shape, seed=1)
    layer.backward(dout)
    dW, db = layer.W.grad.copy(), layer.b.grad.copy()
    layer.zero_grad()
    layer.add_grads(dout)
    np.testing.assert_array_equal(layer.W.grad, dW)
    np.testing.assert_array_equal(layer.b.grad, db)


@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_memory_order_changes_nothing(layer_type):
    layer, x = double(layer_type, 4, 6, kernel_size=3, stride=2, padding=1), draw(2, 4, 5, 7)
    out = layer.forward(x)
    dout = draw(*out.shape, seed=1)
    dx = layer.backward(dout)
    orders = [np.asfortranarray, lambda a: np.repeat(a, 2, axis=3)[..., ::2]]
    orders.append(lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    for order in orders:
        np.testing.assert_allclose(layer.forward(order(x)), out, atol=1e-12)
        np.testing.assert_allclose(layer.backward(order(dout)), dx, atol=1e-12)


@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_an_empty_batch_has_empty_outputs_and_zero_gradients(layer_type):
    layer = layer_type(4, 6, 3, stride=2, rng=0)
    out = layer.forward(np.zeros((0, 4, 7, 5), np.float32))
    assert out.shape[:2] == (0, 6)
    assert layer.backward(out).shape == (0, 4, 7, 5)
    assert not layer.W.grad.any()
    assert not layer.b.grad.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_everything_has_the_dtype_of_the_parameters(layer_type, dtype):
    layer = layer_type(2, 3, 2, rng=0, dtype=dtype)
    out = layer.forward(draw(2, 2, 4, 4))
    assert {out.dtype, layer.backward(out).dtype, layer.W.grad.dtype, layer.b.grad.dtype} == {np.dtype(dtype)}


def test_without_bias_there_is_one_parameter():
    assert list(Conv2D(2, 3, 2, bias=False, rng=0).parameters()) == ["W"]


def test_the_spread_of_the_weights_follows_the_channels_that_are_summed():
    conv, transposed = (t(64, 8, 3, rng=0).W.value.std() for t in (Conv2D, ConvTranspose2D))
    np.testing.assert_allclose([conv, transposed], np.sqrt(2 / (64 * 9)), rtol=0.1)


def test_init_is_asked_for_the_filters_of_a_convolution():
    def numbered(rng, shape, dtype):
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    conv, transposed = (t(4, 6, 3, groups=2, init=numbered) for t in (Conv2D, ConvTranspose2D))
    assert transposed.W.value.shape == (4, 3, 3, 3)
    for g, c, f in np.ndindex(2, 2, 3):  # channel c and filter f of group g
        np.testing.assert_array_equal(transposed.W.value[2 * g + c, f], conv.W.value[3 * g + f, c])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1, .*; got 0"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size must be .* pair .*; got \(3, 3, 3\)"),
        ({"kernel_size": 3, "stride": 0}, "stride must be a whole number of at least 1, .*; got 0"),
        ({"kernel_size": 3, "padding": -1}, "padding must be a whole number of at least 0, .*; got -1"),
        ({"kernel_size": 3, "dilation": (1, 0)}, r"dilation must be a whole number of at least 1, .*; got \(1, 0\)"),
        ({"kernel_size": 3, "groups": 3}, "groups must divide in_channels and out_channels; got groups = 3"),
        ({"kernel_size": 3, "groups": 0}, "groups must be a whole number of at least 1; got 0"),
    ],
)
@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_bad_arguments_are_refused_by_name(layer_type, options, message):
    with pytest.raises(ValueError, match=message):
        layer_type(4, 6, **options)


def test_a_fractional_stride_is_a_type_error():
    with pytest.raises(TypeError, match=r"stride must be a whole number of at least 1, .*; got 1\.5"):
        Conv2D(4, 6, 3, stride=1.5)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (2, 5, 5, 4), (4, 5, 5), (4,)])
@pytest.mark.parametrize("layer_type", [Conv2D, ConvTranspose2D])
def test_other_shapes_than_n_c_h_w_are_refused(layer_type, shape):
    with pytest.raises(ValueError, match=r"x must have shape \(N, 4, H, W\), channels before pixels; got"):
        layer_type(4, 6, 3).forward(np.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 0}, "kernel_size must be a whole number of at least 1; got 0"),
        ({"kernel_size": 3, "stride": 0}, "stride must be a whole number of at least 1; got 0"),
        ({"kernel_size": 3, "dilation": 0}, "dilation must be a whole number of at least 1; got 0"),
        ({"kernel_size": 3, "padding": -1}, "padding must be a whole number of at least 0; got -1"),
        ({"kernel_size": 3, "groups": 4}, "groups must divide in_channels and out_channels; got groups = 4"),
        ({"kernel_size": 8, "padding": 1}, r"kernel_size must not exceed .* at most \(1, 7\) .*; got \(1, 8\)"),
    ],
)
def test_bad_arguments_of_conv1d_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Conv1D(4, 6, **options).forward(np.zeros((1, 4, 5)))


def test_conv1d_refuses_images():
    with pytest.raises(ValueError, match=r"x must have shape \(N, 4, T\), .*; got \(2, 4, 5, 5\)"):
        Conv1D(4, 6, 3).forward(np.zeros((2, 4, 5, 5)))


def test_a_filter_larger_than_the_padded_image_is_refused():
    with pytest.raises(ValueError, match=r"kernel_size must not exceed the padded image: .* \(6, 4\) .*; got \(5, 5\)"):
        Conv2D(4, 6, 3, padding=1, dilation=2).forward(np.zeros((1, 4, 4, 2)))


def test_a_transposed_output_of_no_pixels_is_refused():
    with pytest.raises(ValueError, match=r"padding must leave something of the output; got \(0, 0\)"):
        ConvTranspose2D(1, 1, 2, padding=1).forward(np.zeros((1, 1, 1, 1)))


def test_output_padding_of_a_whole_stride_is_refused():
    with pytest.raises(ValueError, match=r"output_padding must be less than stride .*; got \(2, 2\)"):
        ConvTranspose2D(1, 1, 3, stride=2, output_padding=2)


@pytest.mark.parametrize("shape", [(1, 3, 0, 4), (1, 3, 4, 0), (2, 3, 0, 4)])
def test_images_without_pixels_are_enlarged_and_back(shape):
    layer = ConvTranspose2D(3, 8, 3, rng=0)
    out = layer.forward(np.zeros(shape, np.float32))
    assert layer.backward(out).shape == shape
