import itertools
import math

import numpy as np
import pytest

from layers.conv import Conv2D
from layers.pooling import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D
from layers.resampling import AdaptiveAvgPool2D, AdaptiveMaxPool2D, Upsample, UpsampleBilinear

from .differences import assert_backward_is_right

WINDOWS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "stride": 1},  # overlap
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 2, "stride": 3},  # pixels that no window sees
    {"kernel_size": (1, 4), "stride": (2, 3), "padding": (0, 2)},
    {"kernel_size": 1},
]
every_window = pytest.mark.parametrize("window", WINDOWS, ids=str)
EVERY_LAYER = [
    MaxPool2D(3, stride=2, padding=1),
    AvgPool2D(3, stride=2, padding=1),
    AvgPool2D(3, stride=2, padding=1, count_include_pad=False),
    GlobalAvgPool2D(),
    GlobalMaxPool2D(),
    AdaptiveAvgPool2D((2, 3)),
    AdaptiveMaxPool2D((2, 3)),
    Upsample((2, 3)),
    UpsampleBilinear((2, 3)),
]
every_layer = pytest.mark.parametrize("layer", EVERY_LAYER, ids=repr)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def apart(*shape):
    """Values at least 0.1 apart: a small step changes no maximum."""
    return 0.1 * np.random.default_rng(0).permutation(math.prod(shape)).reshape(shape)


def windows(x, window):
    """Yield for every window its place in the output and the places of its pixels in the image, row by row."""
    kernel_size = window["kernel_size"]
    values = kernel_size, window.get("stride", kernel_size), window.get("padding", 0)
    (HH, WW), (sh, sw), (ph, pw) = (value if isinstance(value, tuple) else (value, value) for value in values)
    N, C, H, W = x.shape
    for i, j in np.ndindex((H + 2 * ph - HH) // sh + 1, (W + 2 * pw - WW) // sw + 1):
        inside = [
            (i * sh + u - ph, j * sw + v - pw)
            for u, v in itertools.product(range(HH), range(WW))
            if 0 <= i * sh + u - ph < H and 0 <= j * sw + v - pw < W
        ]
        for n, c in np.ndindex(N, C):
            yield (n, c, i, j), [(n, c, y, z) for y, z in inside]


@every_window
def test_max_pooling_is_the_loop_over_windows(window):
    x = draw(2, 3, 7, 5) - 5  # all negative: a padded zero would win
    out = MaxPool2D(**window).forward(x)
    for place, pixels in windows(x, window):
        assert out[place] == max(x[pixel] for pixel in pixels)


@every_window
def test_average_pooling_is_the_loop_over_windows(window):
    x, size = draw(2, 3, 7, 5), math.prod(np.broadcast_to(window["kernel_size"], 2))
    out = AvgPool2D(**window).forward(x)
    inside = AvgPool2D(**window, count_include_pad=False).forward(x)
    for place, pixels in windows(x, window):
        total = sum(x[pixel] for pixel in pixels)
        np.testing.assert_allclose([out[place], inside[place]], [total / size, total / len(pixels)], rtol=1e-12)


@every_window
def test_the_first_maximum_of_a_window_gets_its_gradient(window):
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 5)).astype(float)  # ties in most windows
    layer = MaxPool2D(**window)
    dout = draw(*layer.forward(x).shape, seed=1)
    expected = np.zeros(x.shape)
    for place, pixels in windows(x, window):
        values = [x[pixel] for pixel in pixels]
        expected[pixels[values.index(max(values))]] += dout[place]
    np.testing.assert_allclose(layer.backward(dout), expected, atol=1e-12)


@every_window
def test_backward_of_the_windows_is_the_slope(window):
    assert_backward_is_right(MaxPool2D(**window), apart(2, 3, 5, 6))
    assert_backward_is_right(AvgPool2D(**window), draw(2, 3, 5, 6))
    assert_backward_is_right(AvgPool2D(**window, count_include_pad=False), draw(2, 3, 5, 6))


@every_layer
def test_backward_is_the_slope(layer):
    assert_backward_is_right(layer, apart(2, 3, 5, 4))


def test_a_window_of_infinite_losses_still_hands_on_its_gradient():
    layer = MaxPool2D(2, padding=1)
    assert layer.forward(np.full((1, 1, 2, 2), -np.inf)).max() == -np.inf
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 2, 2))), np.ones((1, 1, 2, 2)))


def test_average_pooling_is_a_depthwise_convolution_with_equal_taps():
    conv = Conv2D(3, 3, (2, 3), stride=2, padding=1, groups=3, bias=False, dtype=np.float64)
    conv.W.value = np.full(conv.W.value.shape, 1 / 6)
    pool, x = AvgPool2D((2, 3), stride=2, padding=1), draw(2, 3, 6, 7)
    np.testing.assert_allclose(pool.forward(x), conv.forward(x), atol=1e-12)
    dout = draw(*pool.forward(x).shape, seed=1)
    np.testing.assert_allclose(pool.backward(dout), conv.backward(dout), atol=1e-12)


def test_global_pooling_is_pooling_with_a_window_as_large_as_the_image():
    x = draw(2, 3, 5, 4)
    for whole, window in ((GlobalAvgPool2D(), AvgPool2D((5, 4))), (GlobalMaxPool2D(), MaxPool2D((5, 4)))):
        np.testing.assert_allclose(whole.forward(x), window.forward(x)[:, :, 0, 0], rtol=1e-12)


def test_the_first_maximum_of_a_channel_gets_its_gradient():
    layer = GlobalMaxPool2D()
    layer.forward(np.array([[[[1.0, 3.0], [3.0, 3.0]]]]))
    np.testing.assert_array_equal(layer.backward(np.array([[5.0]])), [[[[0, 5], [0, 0]]]])


@pytest.mark.parametrize("out_size", [1, 3, (2, 5), (7, 8)])
def test_adaptive_bins_are_the_loop_over_bins(out_size):
    x, layer = draw(2, 3, 7, 5), AdaptiveAvgPool2D(out_size)
    out = layer.forward(x)
    OH, OW = out.shape[2:]
    for i, j in np.ndindex(OH, OW):
        rows = slice(math.floor(i * 7 / OH), math.ceil((i + 1) * 7 / OH))
        columns = slice(math.floor(j * 5 / OW), math.ceil((j + 1) * 5 / OW))
        np.testing.assert_allclose(out[:, :, i, j], x[:, :, rows, columns].mean(axis=(2, 3)), rtol=1e-10)


@pytest.mark.parametrize("out_size", [1, 3, (2, 5), (7, 8)])
def test_the_first_maximum_of_an_adaptive_bin_gets_its_gradient(out_size):
    x = np.random.default_rng(0).integers(0, 3, (2, 3, 7, 5)) - 5.0  # ties in most bins, and no pixel above 0
    layer = AdaptiveMaxPool2D(out_size)
    out = layer.forward(x)
    dout, expected = draw(*out.shape, seed=1), np.zeros(x.shape)
    OH, OW = out.shape[2:]
    for n, c, i, j in np.ndindex(out.shape):
        rows = range(math.floor(i * 7 / OH), math.ceil((i + 1) * 7 / OH))
        columns = range(math.floor(j * 5 / OW), math.ceil((j + 1) * 5 / OW))
        values = {(n, c, y, z): x[n, c, y, z] for y in rows for z in columns}
        first = max(values, key=values.get)
        assert out[n, c, i, j] == values[first]
        expected[first] += dout[n, c, i, j]
    np.testing.assert_allclose(layer.backward(dout), expected, atol=1e-12)


def test_adaptive_pooling_is_average_pooling_where_the_bins_divide_the_image():
    x = draw(2, 3, 6, 4)
    np.testing.assert_allclose(AdaptiveAvgPool2D((3, 2)).forward(x), AvgPool2D(2).forward(x), rtol=1e-12)


def test_upsampling_repeats_pixels_and_sums_their_gradients():
    layer, x = Upsample((2, 3)), draw(2, 3, 4, 5)
    out = layer.forward(x)
    dout = draw(*out.shape, seed=1)
    dx = layer.backward(dout)
    for n, c, i, j in np.ndindex(x.shape):
        np.testing.assert_array_equal(out[n, c, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3], np.full((2, 3), x[n, c, i, j]))
        np.testing.assert_allclose(dx[n, c, i, j], dout[n, c, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].sum(), rtol=1e-10)


def test_bilinear_upsampling_by_hand():
    x = np.array([[[[0.0, 4.0], [8.0, 12.0]]]])
    row = np.array([0.0, 1, 3, 4])
    np.testing.assert_allclose(UpsampleBilinear(2).forward(x)[0, 0], [row, row + 2, row + 6, row + 8], rtol=1e-12)


def test_bilinear_upsampling_keeps_a_slope():
    ramp = np.broadcast_to(np.arange(5.0)[:, None], (1, 1, 5, 3))
    out = UpsampleBilinear(4).forward(ramp)[0, 0]
    np.testing.assert_allclose(np.diff(out[2:-2], axis=0), 0.25, rtol=1e-10)  # between the outermost centres
    np.testing.assert_allclose(np.diff(out, axis=1), 0, atol=1e-12)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(layer, dtype):
    out = layer.forward(draw(2, 3, 5, 4).astype(dtype))
    assert out.dtype == layer.backward(out).dtype == dtype


@every_layer
@pytest.mark.parametrize("n", [0, 1])
def test_batches_of_none_and_one_work(layer, n):
    out = layer.forward(draw(n, 3, 5, 4))
    assert len(out) == n
    assert layer.backward(out).shape == (n, 3, 5, 4)


@every_layer
def test_memory_order_changes_nothing(layer):
    x = apart(2, 3, 5, 4)
    out = layer.forward(x)
    dout = draw(*out.shape, seed=1)
    dx = layer.backward(dout)
    for order in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2]):
        np.testing.assert_allclose(layer.forward(order(x)), out, atol=1e-12)
        np.testing.assert_allclose(layer.backward(order(dout)), dx, atol=1e-12)


@every_layer
def test_other_shapes_than_n_c_h_w_are_refused(layer):
    with pytest.raises(ValueError, match=r"x must have shape \(N, C, H, W\), channels before pixels; got \(3, 5, 4\)"):
        layer.forward(draw(3, 5, 4))


@every_layer
def test_whole_numbers_are_refused(layer):
    with pytest.raises(TypeError, match=r"x must hold floats; got dtype int64\. Convert with x\.astype\(np\.float32\)"):
        layer.forward(np.zeros((1, 3, 5, 4), np.int64))


@pytest.mark.parametrize("layer_type", [MaxPool2D, AvgPool2D])
def test_bad_windows_are_refused_by_argument(layer_type):
    with pytest.raises(ValueError, match=r"kernel_size must be a whole number of at least 1, .*; got 0"):
        layer_type(0)
    with pytest.raises(ValueError, match=r"stride must be a whole number of at least 1, .*; got 0"):
        layer_type(2, stride=0)
    with pytest.raises(ValueError, match=r"padding must be at most half of kernel_size \(3, 3\), .*; got \(2, 2\)"):
        layer_type(3, padding=2)
    with pytest.raises(ValueError, match=r"kernel_size must not exceed the padded image: .* got \(6, 6\)"):
        layer_type(6, padding=0).forward(draw(1, 1, 5, 7))


@pytest.mark.parametrize(
    "layer",
    [GlobalAvgPool2D(), GlobalMaxPool2D(), AdaptiveAvgPool2D(2), AdaptiveMaxPool2D(2), UpsampleBilinear(2)],
    ids=repr,
)
def test_images_of_no_pixels_are_refused(layer):
    with pytest.raises(ValueError, match=r"x must have at least one pixel a channel; got shape \(2, 3, 0, 4\)"):
        layer.forward(np.zeros((2, 3, 0, 4)))
