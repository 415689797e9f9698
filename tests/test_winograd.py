"""Winograd's convolution is a faster way to the same numbers: the plain way in float64 is the reference."""

import types

import numpy as np
import pytest

from layers import Conv2D, _tiles, _winograd
from layers._correlate import correlate, correlate_filters, correlate_transposed

RNG = np.random.default_rng(0)
BT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
      [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
AT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def close(mine, exact):
    """Ten times float32's rounding of sums of this size."""
    np.testing.assert_allclose(mine, exact, rtol=0, atol=3e-5 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("formula", "matrix"), [("BT", BT), ("B", np.transpose(BT)), ("AT", AT), ("A", np.transpose(AT))]
)
def test_each_formula_is_the_matrix_of_its_name(formula, matrix):
    columns = np.eye(len(matrix[0]), dtype=np.float32)
    np.testing.assert_array_equal(np.array(getattr(_tiles, formula)(*columns)), matrix)


def test_four_outputs_of_three_taps_take_six_products():
    d, g = draw(6), draw(3)
    y = _tiles.AT(*(_winograd._G @ g * np.array(_tiles.BT(*d))))
    np.testing.assert_allclose(y, np.correlate(d, g, "valid"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(4, 4), (8, 12), (7, 9), (6, 5), (13, 3), (1, 8)])
@pytest.mark.parametrize("padding", [(1, 1), (2, 1), (1, 2), (3, 5)])
def test_outputs_and_gradients_are_those_of_the_plain_way(size, padding):
    x, filters, bias = draw(*size, 3, 8), draw(9, 8, 3, 3), draw(9)
    shape = (size[0] + 2 * padding[0] - 2, size[1] + 2 * padding[1] - 2, 3, 9)
    dout, out = draw(*shape), np.empty(shape, np.float32)
    _winograd.correlate(x, filters, bias, out, padding)
    dx = np.empty_like(x)
    dfilters = _winograd.gradients(x, dout, filters, padding, dx)

    exact_x, exact_filters, exact_dout = (
        a.astype(np.float64) for a in (x[..., None, :], filters[None], dout[..., None, :])
    )
    exact, exact_dx = np.empty((*shape[:3], 1, 9)), np.empty(exact_x.shape)
    correlate(exact_x, exact_filters, exact, (1, 1), padding, (1, 1), bias[None])
    correlate_transposed(exact_dout, exact_filters, exact_dx, (1, 1), padding, (1, 1))
    close(out, exact[..., 0, :])
    close(dx, exact_dx[..., 0, :])
    close(dfilters, correlate_filters(exact_x, exact_dout, (3, 3), (1, 1), padding, (1, 1))[0])


def test_tiles_in_many_blocks_and_parts_are_those_of_one(monkeypatch):
    x, filters, bias, dout = draw(12, 8, 5, 8), draw(8, 8, 3, 3), draw(8), draw(12, 8, 5, 8)

    def results():
        out, dx = np.empty_like(dout), np.empty_like(x)
        _winograd.correlate(x, filters, bias, out, (1, 1))
        return out, dx, _winograd.gradients(x, dout, filters, (1, 1), dx)

    once = results()
    monkeypatch.setattr(_tiles, "BLOCK", 1)
    monkeypatch.setattr(
        _tiles, "in_parts", lambda function, N, size, product: [function(slice(0, 2)), function(slice(2, N))]
    )
    for mine, exact in zip(results(), once):
        close(mine, exact)


def test_a_layer_of_the_size_that_pays_agrees_with_its_twin_in_float64():
    layer, exact = Conv2D(16, 24, 3, padding=1, rng=0), Conv2D(16, 24, 3, padding=1, rng=0).astype(np.float64)
    exact.load_state_dict(layer.state_dict())
    x, dout = draw(20, 16, 17, 18), draw(20, 24, 17, 18)
    close(layer.forward(x), exact.forward(x))
    assert layer._winograd(dout.transpose(2, 3, 0, 1)[..., None, :])
    assert not exact._winograd(dout.astype(np.float64).transpose(2, 3, 0, 1)[..., None, :])
    close(layer.backward(dout), exact.backward(dout))
    close(layer.W.grad, exact.W.grad)
    close(layer.b.grad, exact.b.grad)
    layer.zero_grad()
    layer.add_grads(dout)
    close(layer.W.grad, exact.W.grad)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_a_number_stays_in_its_tiles(value):
    layer, x = Conv2D(16, 16, 3, padding=1, rng=0), draw(32, 16, 20, 20)
    clean = layer.forward(x)
    x[3, 2, 9, 9] = value
    with np.errstate(invalid="ignore"):
        out = layer.forward(x)
    assert layer._winograd(out.transpose(2, 3, 0, 1)[..., None, :])
    assert not np.isfinite(out[3, :, 8:11, 8:11]).any()
    out[3, :, 8:12, 8:12] = clean[3, :, 8:12, 8:12]
    np.testing.assert_array_equal(out, clean)


@pytest.mark.parametrize(
    "options", [{"stride": 2}, {"dilation": 2}, {"groups": 2}, {"kernel_size": 5}, {"dtype": np.float64}]
)
def test_other_convolutions_go_the_plain_way(options):
    settings = {"kernel_size": 3, "padding": 1, "rng": 0, **options}
    assert Conv2D(16, 16, 3, padding=1)._winograd(np.empty((20, 20, 32, 1, 16), np.float32))
    assert not Conv2D(16, 16, **settings)._winograd(np.empty((20, 20, 32, 1, 16), options.get("dtype", np.float32)))


@pytest.mark.parametrize("padding", [(1, 1), (0, 1), (2, 0)])
@pytest.mark.parametrize(
    ("size", "parts", "rows"), [((8, 12), 1, 1), ((8, 12), 2, 1), ((9, 6), 3, 1), ((12, 8), 1, 2), ((13, 6), 1, 3)]
)
def test_the_compiled_loops_do_what_numpy_does(size, parts, rows, padding, compiled_loops, monkeypatch):
    compiled = compiled_loops("_tiles_compiled")
    monkeypatch.setattr(compiled, "BLOCK", 36 * rows * _tiles.count(size[1]) * 6)  # of tiles at a time
    monkeypatch.setattr(
        compiled, "parts_of", lambda n, size: [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
    )
    height, width = (size[i] + 2 - 2 * padding[i] for i in (0, 1))
    x, dout, U, bias = draw(height, width, 2, 3), draw(*size, 2, 5), draw(36, 3, 5), draw(5)

    def results(module):
        out, dx = np.empty_like(dout), np.empty_like(x)
        module.correlate(x, U, bias, out, padding)
        dU = module.gradients(x, dout, U.swapaxes(1, 2).copy(), dx, padding)
        np.testing.assert_array_equal(module.gradients(x, dout, U.swapaxes(1, 2).copy(), None, padding), dU)
        return out, dU, dx

    for mine, exact in zip(results(compiled), results(_tiles), strict=True):
        close(mine, exact)


@pytest.mark.parametrize("padding", [(1, 1), (0, 1), (2, 0)])
@pytest.mark.parametrize(("size", "parts"), [((4, 6), 1), ((5, 3), 1), ((8, 7), 3), ((3, 2), 1)])
def test_small_tiles_do_what_the_plain_way_does(size, parts, padding, compiled_loops, monkeypatch):
    small = compiled_loops("_small_tiles_compiled")
    monkeypatch.setattr(
        small, "parts_of", lambda n, size: [slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)]
    )
    height, width = (size[i] + 2 - 2 * padding[i] for i in (0, 1))
    x, filters, bias = draw(height, width, 2, 3), draw(5, 3, 3, 3), draw(5)
    out, exact = np.empty((*size, 2, 5), np.float32), np.empty((*size, 2, 1, 5))
    small.correlate(x, filters, bias, out, padding)
    wide = [a.astype(np.float64) for a in (x[..., None, :], filters[None])]
    correlate(*wide, exact, (1, 1), padding, (1, 1), bias[None])
    close(out, exact[..., 0, :])


@pytest.mark.parametrize(
    ("shape", "way"),
    [
        ((16, 16, 1, 1, 32), "small"),
        ((2, 2, 1, 1, 512), "small"),
        ((16, 16, 1, 1, 8), None),  # products that are not worth the import of Numba
        ((32, 16, 16, 1, 32), "large"),
        ((1, 1, 1000, 1, 64), "small"),
        ((1, 1, 9999, 1, 64), None),  # tiles that are mostly empty
    ],
)
def test_few_pixels_go_by_small_tiles(shape, way, monkeypatch):
    module = types.SimpleNamespace(correlate="small")
    monkeypatch.setattr(_winograd, "compiled", {"_small_tiles": module}.get)
    filters, out = np.empty((1, shape[-1], shape[-1], 3, 3), np.float32), np.empty(shape, np.float32)
    expected = {"small": "small", "large": _winograd.correlate, None: None}[way]
    assert _winograd.forward_way(filters, out, (1, 1), (1, 1)) == expected
    monkeypatch.setattr(_winograd, "compiled", lambda name: None)  # without Numba
    assert _winograd.forward_way(filters, out, (1, 1), (1, 1)) == (expected if way == "large" else None)


@pytest.mark.parametrize(
    ("images", "size", "channels", "compiled", "plain"),
    [
        (64, 16, 32, True, True),
        (16, 8, 32, True, False),  # NumPy's steps take longer than its products
        (2, 8, 8, False, False),  # not worth the import
        (16, 4, 512, False, False),  # at their 36 points the filters are nine million numbers
        (64, 4, 256, True, False),
    ],
)
def test_it_pays_where_filters_are_fewer_than_what_they_save(images, size, channels, compiled, plain, monkeypatch):
    filters = np.empty((1, channels, channels, 3, 3), np.float32)
    out = np.empty((size, size, images, 1, channels), np.float32)
    for expected, module in ((compiled, _tiles), (plain, None)):
        monkeypatch.setattr(_winograd, "compiled", {"_tiles": module}.get)
        assert _winograd.pays(filters, out, (1, 1), (1, 1)) == expected


def test_a_layer_on_one_image_agrees_with_its_twin_in_float64():
    layer, exact = Conv2D(24, 40, 3, padding=1, rng=0), Conv2D(24, 40, 3, padding=1, rng=0).astype(np.float64)
    layer.b.value = exact.b.value = draw(40)
    x, dout = draw(1, 24, 15, 14), draw(1, 40, 15, 14)
    assert layer.W.value.size * 15 * 14 > 9 * _winograd._LEAST
    close(layer.forward(x), exact.forward(x))
    close(layer.backward(dout), exact.backward(dout))
    close(layer.W.grad, exact.W.grad)
    layer.b = exact.b = None
    close(layer.forward(x), exact.forward(x))
