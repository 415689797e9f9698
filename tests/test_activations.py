import math

import numpy as np
import pytest

from layers import ELU, GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh, _formulas

from .differences import assert_backward_is_right


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


ELEMENTWISE = {  # name: the layer, and its formula for one Python float
    "relu": (ReLU, lambda x: x if x > 0 else 0.0),
    "leaky": (lambda: LeakyReLU(0.2), lambda x: x if x > 0 else 0.2 * x),
    "elu": (lambda: ELU(1.5), lambda x: x if x > 0 else 1.5 * (math.exp(x) - 1)),
    "sigmoid": (Sigmoid, sigmoid),
    "tanh": (Tanh, lambda x: (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))),
    "softplus": (Softplus, lambda x: math.log(1 + math.exp(x))),
    "silu": (SiLU, lambda x: x * sigmoid(x)),
    "gelu": (GELU, lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    "gelu tanh": (
        lambda: GELU("tanh"),
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
}
ROWWISE = {"softmax": Softmax, "log softmax": LogSoftmax}
EVERY = {**{name: make for name, (make, _) in ELEMENTWISE.items()}, **ROWWISE}
every_activation = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)

POINTS = np.array([-6.0, -2.3, -1.0, -0.1, 0.1, 0.7, 1.0, 3.4, 6.0])


@pytest.mark.parametrize(("make", "formula"), ELEMENTWISE.values(), ids=ELEMENTWISE)
def test_forward_is_the_formula_of_plain_python(make, formula):
    expected = [formula(x) for x in POINTS.tolist()]
    np.testing.assert_allclose(make().forward(POINTS), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (2, 3, 2, 2)])
@every_activation
def test_backward_is_the_slope(make, shape):
    x = np.random.default_rng(1).permutation(np.arange(np.prod(shape)) - np.prod(shape) / 2 + 0.3).reshape(shape) / 5
    assert_backward_is_right(make(), x)


@pytest.mark.parametrize(("make", "formula"), ELEMENTWISE.values(), ids=ELEMENTWISE)
@pytest.mark.parametrize("kind", [float, np.float64, np.array])
def test_a_single_number_works(make, formula, kind):
    layer = make()
    assert float(layer.forward(kind(0.5))) == pytest.approx(formula(0.5))
    slope = (formula(0.5 + 1e-6) - formula(0.5 - 1e-6)) / 2e-6
    assert float(layer.backward(kind(2.0))) == pytest.approx(2 * slope)


@every_activation
def test_integers_are_taken_as_numbers(make):
    x = np.array([[3, -1, 2]])
    np.testing.assert_array_equal(make().forward(x), make().forward(x.astype(float)))


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_values_give_no_warning_and_nothing_infinite(make, dtype):
    layer = make()
    x = np.array([[-1e4, -1000, -104, -89, -0.0], [0.0, 89, 104, 1000, 1e4]], dtype)
    out, dx = layer.forward(x), layer.backward(np.ones_like(x))
    assert np.isfinite(out).all()
    assert np.isfinite(dx).all()
    assert out.dtype == dx.dtype == dtype


@pytest.mark.parametrize(
    ("make", "low", "high"),
    [
        (ReLU, (0, 0), (1e4, 1)),
        (lambda: LeakyReLU(0.5), (-5e3, 0.5), (1e4, 1)),
        (lambda: ELU(2.0), (-2, 0), (1e4, 1)),
        (Sigmoid, (0, 0), (1, 0)),
        (Tanh, (-1, 0), (1, 0)),
        (Softplus, (0, 0), (1e4, 1)),
        (SiLU, (0, 0), (1e4, 1)),
        (GELU, (0, 0), (1e4, 1)),
        (lambda: GELU("tanh"), (0, 0), (1e4, 1)),
    ],
)
def test_far_out_value_and_slope_are_the_limits(make, low, high):
    layer = make()
    np.testing.assert_array_equal(layer.forward(np.array([-1e4, 1e4], np.float32)), [low[0], high[0]])
    np.testing.assert_array_equal(layer.backward(np.ones(2, np.float32)), [low[1], high[1]])


def test_the_sigmoid_keeps_its_digits_where_it_is_small():
    assert Sigmoid().forward(np.array([-700.0]))[0] == pytest.approx(math.exp(-700), rel=1e-13)
    assert Sigmoid().forward(np.array([-1000.0]))[0] == 0
    assert Softplus().forward(np.array([-700.0]))[0] == pytest.approx(math.exp(-700), rel=1e-13)


def test_at_the_kink_the_slope_is_the_left_one():
    for layer, slope in ((ReLU(), 0.0), (LeakyReLU(0.1), 0.1), (ELU(2.0), 2.0)):
        layer.forward(np.array([0.0, -0.0]))
        np.testing.assert_array_equal(layer.backward(np.ones(2)), [slope, slope])


def test_the_sigmoids_derivative_at_zero_is_a_quarter():
    layer = Sigmoid()
    assert layer.forward(np.zeros(1)) == 0.5
    assert layer.backward(np.ones(1)) == 0.25


def test_softmax_rows_are_the_ratios_of_the_exponentials():
    out = Softmax().forward(np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]]))
    np.testing.assert_allclose(out, [[0.125, 0.25, 0.625], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-14)


def test_the_softmax_gradient_is_the_jacobian_times_dout():
    layer = Softmax()
    s = layer.forward(np.array([0.3, -1.2, 2.0, 0.0]))
    jacobian = np.array([[s[i] * ((i == j) - s[j]) for j in range(4)] for i in range(4)])
    dout = np.array([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_allclose(layer.backward(dout), jacobian.T @ dout, rtol=1e-13)


def test_log_softmax_is_finite_where_the_softmax_is_zero():
    x = np.array([[1e4, -1e4]], np.float32)
    np.testing.assert_array_equal(Softmax().forward(x), [[1, 0]])
    np.testing.assert_array_equal(LogSoftmax().forward(x), [[0, -2e4]])


def test_the_tanh_form_of_gelu_is_within_its_stated_error():
    x = np.linspace(-8, 8, 10001)
    assert np.abs(GELU().forward(x) - GELU("tanh").forward(x)).max() < 5e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(1.0), r"slope must be a number in \[0, 1\)"),
        (lambda: ELU(0), r"alpha must be a number in \(0, inf\)"),
        (lambda: GELU("erf"), 'approximate must be "none" or "tanh"'),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("n", [1, 1000])
def test_the_compiled_formulas_do_what_numpy_does(n, compiled_loops):
    compiled = compiled_loops("_formulas_compiled")
    x, dout = 3 * np.random.default_rng(0).standard_normal((2, n), np.float32)
    for name, inputs in (("gelu_tanh", (x,)), ("gelu_tanh_backward", (x, dout))):
        mine, plain = np.empty_like(x), np.empty_like(x)
        getattr(compiled, name)(*inputs, mine)
        getattr(_formulas, name)(*inputs, plain)
        np.testing.assert_allclose(mine, plain, rtol=0, atol=3e-6 * np.abs(plain).max())


@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 1, 4), (3, 0, 2), (0, 3, 2), (2, 3, 0)])
def test_the_compiled_softmax_over_keys_does_what_numpy_does(shape, compiled_loops):
    scores = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    scores[:1, :, :1] = -np.inf  # a query without keys
    scores[-1:, :1, -1:] = np.nan
    scores[-1:, 1:2, 1:2] = 1e30

    def results(module):
        own, weights = scores.copy(), np.exp(-np.abs(scores))
        module.below_largest(own)
        module.share(weights)
        return own, weights

    for mine, exact in zip(results(compiled_loops("_formulas_compiled")), results(_formulas), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-6)


def test_compiled_formulas_are_for_long_arrays_in_float32(compiled_loops, monkeypatch):
    compiled = compiled_loops("_formulas_compiled")
    monkeypatch.setattr(_formulas, "compiled", lambda name: compiled)
    assert _formulas.fastest(np.ones(_formulas.LEAST, np.float32)) is compiled
    assert _formulas.fastest(np.ones(_formulas.LEAST - 1, np.float32)) is _formulas
    assert _formulas.fastest(np.ones(_formulas.LEAST)) is _formulas


def test_the_compiled_tanh_is_one_to_three_tenths_of_a_millionth(compiled_loops):
    tanh = compiled_loops("_formulas_compiled").tanh
    x = np.concatenate([np.linspace(-12, 12, 401), 10.0 ** np.arange(-30, 10)]).astype(np.float32)
    mine, exact = np.array([tanh(value) for value in x]), np.tanh(x.astype(np.float64))
    np.testing.assert_allclose(mine, exact, rtol=3e-7)
    assert np.abs(mine).max() == 1
    assert np.isnan(tanh(np.float32("nan")))


def test_far_out_the_compiled_gelu_is_x_or_nothing(compiled_loops):
    compiled = compiled_loops("_formulas_compiled")
    x, out, dx = np.array([-1e10, -300, 300, 1e10], np.float32), np.empty(4, np.float32), np.empty(4, np.float32)
    compiled.gelu_tanh(x, out)
    compiled.gelu_tanh_backward(x, np.ones_like(x), dx)
    np.testing.assert_array_equal(out, [0, 0, 300, 1e10])
    np.testing.assert_array_equal(dx, [0, 0, 1, 1])
