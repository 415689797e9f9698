"""The checker on layer objects, and on breaches that values do not show."""

import copy

import numpy as np
import pytest

from gradcheck import assert_gradients, check, check_layer, check_loss
from layers import Affine, Layer, Parameter, ReLU


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def causes(report):
    return {finding.cause for finding in report.findings}


def multiply_in_place(dout, x):
    dout *= x > 0
    return dout


def write_into_input(x):
    x *= 2
    return x.copy(), None


def consume(dout, cache):
    return dout * cache.pop()


def disturb_cache(dout, x):
    dx = 2 * x * dout
    x.setflags(write=True)
    x += 1
    return dx


def add_up(dout, cache):
    cache["dx"] = cache.get("dx", 0) + 3 * dout
    return cache["dx"]


LATEST = {}


def remember(x):
    LATEST["x"] = x
    return x**2, None


BREACHES = {
    "mutates-dout": (lambda x: (np.maximum(x, 0), x), multiply_in_place),
    "mutates-input": (write_into_input, lambda dout, cache: 2 * dout),
    "mutates-cache": (lambda x: (x**2, [2 * x]), consume),
    "accumulates": (lambda x: (3 * x, {}), add_up),
    "stale-cache": (remember, lambda dout, cache: 2 * LATEST["x"] * dout),
}


@pytest.mark.parametrize("cause", BREACHES)
def test_right_values_with_a_breach_of_contract_are_not_a_pass(cause):
    report = check(*BREACHES[cause], draw(4, 3))
    assert report.verdict == "contract", report
    assert causes(report) == {cause}


def test_a_cache_that_backward_changes_is_found():
    report = check(lambda x: (x**2, x.copy()), disturb_cache, draw(4))
    assert causes(report) == {"mutates-cache"}


def test_the_changed_argument_is_named_and_the_callers_array_is_not_changed():
    def forward(x, w):
        w += 0.5
        return x * w, (x, w)

    w = draw(3, seed=1)
    report = check(forward, lambda dout, c: (dout * c[1], dout * c[0]), draw(3), w)
    assert "writes into its argument w" in str(report)
    np.testing.assert_array_equal(w, draw(3, seed=1))


def test_wrong_values_outweigh_a_breach():
    report = check(lambda x: (np.maximum(x, 0), x), lambda dout, x: 2 * multiply_in_place(dout, x), draw(4, 3))
    assert report.verdict == "fail"
    assert causes(report) == {"mutates-dout"}


def test_clipping_of_dout_is_found_even_beyond_every_dout_drawn():
    report = check(lambda x: (x**2, x), lambda dout, x: 2 * x * np.clip(dout, -50, 50), draw(4))
    assert report.verdict == "fail"
    assert causes(report) == {"nonlinear-in-dout"}


def test_the_number_of_gradients_must_be_that_of_the_floating_inputs():
    report = check(lambda x, w: (x * w, (x, w)), lambda dout, c: dout * c[1], draw(3), draw(3, seed=1))
    assert report.verdict == "fail"
    assert "backward returned 1 gradients; expected 2, one for each of x, w" in str(report)


def test_a_wrong_shape_with_right_values_is_said_to_be_that():
    report = check(lambda b: (np.ones((4, 1)) + b, None), lambda d, c: d.sum(axis=0, keepdims=True), draw(3))
    assert "the gradient must have the shape (3,) of b; got (1, 3); its values are right" in str(report)


def test_what_raises_is_an_error_with_its_line():
    report = check(lambda x: (x, None), lambda dout, cache: undefined * dout, draw(3))  # noqa: F821
    assert report.verdict == "error"
    assert "backward raises NameError: name 'undefined' is not defined (test_check_contract.py, line" in str(report)
    assert causes(report) == {"undefined-name"}
    assert check(lambda x: x.nothing, lambda dout: dout, draw(3)).verdict == "error"
    assert check(lambda x: ("out", x), lambda dout, x: dout, draw(3)).verdict == "error"


def test_unfinished_backwards_are_not_implemented():
    def unfinished(dout, cache):
        raise NotImplementedError

    assert check(lambda x: (x, None), unfinished, draw(3)).verdict == "not_implemented"
    assert check(lambda x: (x, None), lambda dout, cache: None, draw(3)).verdict == "not_implemented"
    assert check(lambda x: (None, x), lambda dout, x: dout, draw(3)).verdict == "not_implemented"


def test_zero_gradients_everywhere_are_vacuous_and_do_not_pass():
    report = check(lambda x: (np.maximum(x, 0), x), lambda d, x: 5 * d * (x > 0), -np.abs(draw(4)) - 1)
    assert report.verdict == "vacuous"
    assert not report
    assert check(lambda x: (x, None), lambda d, c: d, np.zeros((0, 3))).verdict == "vacuous"
    assert check(lambda y: (1.0 * y, None), lambda d, c: d, np.arange(3)).verdict == "vacuous"


def test_saturation_is_inconclusive_and_no_accusation():
    report = check(lambda x: (np.tanh(x), x), lambda d, x: d / np.cosh(x) ** 2, np.full(3, 16.0))
    assert report.verdict == "inconclusive"
    assert "saturation" in str(report)


def test_at_a_kink_any_slope_between_both_sides_is_accepted_and_no_other():
    x = np.array([0.0, 1.0, -1.0, 0.0])
    for slope in (0.0, 0.4, 1.0):
        report = check(lambda x: (np.maximum(x, 0), x), lambda d, x, s=slope: d * np.where(x == 0, s, x > 0), x)
        assert report.verdict == "pass", report
    for slope in (-1.0, 1.5):
        report = check(lambda x: (np.maximum(x, 0), x), lambda d, x, s=slope: d * np.where(x == 0, s, x > 0), x)
        assert report.verdict == "kink", report
    report = check(lambda x: (np.maximum(x, 0), x), lambda d, x: d * np.where(x == 0, 0, -1.0 * (x > 0)), x)
    assert report.verdict == "fail"
    assert report.arguments[0].worst.index == (1,)


def test_float32_code_is_not_accused_of_its_rounding_but_of_more_than_that():
    def forward(x):
        return np.tanh(x.astype(np.float32)), x

    def backward(dout, x, factor=1.0):
        return (factor * dout * (1 - np.tanh(x) ** 2)).astype(np.float32)

    for seed in range(5):
        assert check(forward, backward, draw(5, 4, seed=seed)).verdict in ("pass", "inconclusive")
    assert check(forward, lambda dout, x: backward(dout, x, 1.01), draw(5, 4)).verdict == "fail"


def test_a_large_input_full_of_zeros_and_ties_is_checked_beside_them():
    report = check_layer(ReLU(), np.maximum(draw(64, 64), 0))
    assert report.verdict == "pass", report
    assert "checked beside them" in str(report)

    def forward(x):
        return np.maximum(x, 0), x

    assert check(forward, lambda d, x: d * (x > 0) * 1.5, np.maximum(draw(64, 64), 0)).verdict == "fail"
    assert check(forward, lambda d, x: d, np.zeros((64, 64))).verdict == "fail"
    assert check(forward, lambda d, x: d, np.zeros((4, 3))).verdict == "fail"


# --- layer objects


class Scale(Layer):
    """x * w, with a buffer that moves, noise, and a mistake on demand."""

    buffers = ("seen",)

    def __init__(self, factor=1.0):
        self.w = Parameter(draw(3).astype(np.float32))
        self.seen = np.zeros(3, np.float32)
        self.rng = np.random.default_rng(0)
        self.factor = factor

    def forward(self, x):
        x = x.astype(self.w.value.dtype, copy=False)
        self.seen += x.mean(axis=0)
        mask = self.rng.random(x.shape) < 0.7
        self.cache = x, mask
        return (x * mask + self.seen) * self.w.value

    def backward(self, dout):
        x, mask = self.cache
        self.w.add_grad(self.factor * ((x * mask + self.seen) * dout).sum(axis=0))
        dx = dout * self.w.value
        return dx * mask + dx.sum(axis=0) / len(x)


def test_a_layer_with_noise_and_running_statistics_is_checked_with_them():
    assert_gradients(Scale(), draw(5, 3).astype(np.float32))
    report = check_layer(Scale(factor=3.0), draw(5, 3))
    assert [(argument.name, argument.verdict) for argument in report.arguments] == [("x", "pass"), ("w", "fail")]
    assert "returned is 3.000 times the true gradient" in str(report)


def test_the_checked_layer_is_not_changed():
    layer = Scale()
    layer.forward(draw(5, 3).astype(np.float32))
    before, cached, state = copy.deepcopy(layer.state_dict()), layer.cache, layer.rng.bit_generator.state
    value, grad = layer.w.value, layer.w._grad.copy()
    check_layer(layer, draw(5, 3))
    assert layer.w.value is value
    assert layer.cache is cached
    assert layer.rng.bit_generator.state == state
    np.testing.assert_array_equal(layer.w._grad, grad)
    for name, array in layer.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, before[name])


def test_parameters_are_found_in_sublayers_by_their_dotted_names():
    class Net(Layer):
        def __init__(self):
            self.body = [Affine(3, 4, rng=0), ReLU(), Affine(4, 2, rng=1)]

        def forward(self, x):
            for layer in self.body:
                x = layer.forward(x)
            return x

        def backward(self, dout):
            for layer in reversed(self.body):
                dout = layer.backward(dout)
            return dout

    report = check_layer(Net(), draw(5, 3))
    assert report, report
    assert [a.name for a in report.arguments] == ["x", "body.0.W", "body.0.b", "body.2.W", "body.2.b"]


class ForeignAffine:
    """Of another make: dicts of arrays, gradients overwritten."""

    def __init__(self, factor=1.0):
        self.params = {"W": draw(4, 3).astype(np.float32), "b": draw(3, seed=1).astype(np.float32)}
        self.grads = {}
        self.factor = factor

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] = self.factor * self.x.T @ dout
        self.grads["b"] = dout.sum(axis=0)
        return dout @ self.params["W"].T


def test_foreign_layers_with_dicts_of_arrays_are_checked():
    assert_gradients(ForeignAffine(), draw(5, 4))
    layer = ForeignAffine(factor=0.5)
    report = check_layer(layer, draw(5, 4))
    assert [(a.name, a.verdict) for a in report.arguments] == [("x", "pass"), ("W", "fail"), ("b", "pass")]
    assert layer.grads == {}


def test_a_parameter_that_backward_forgets_is_found():
    class Forgetful(ForeignAffine):
        def backward(self, dout):
            self.grads["W"] = self.x.T @ dout
            return dout @ self.params["W"].T

    report = check_layer(Forgetful(), draw(5, 4))
    assert report.verdict == "fail"
    assert "b: fail; backward gave no gradient (None)" in str(report)


def test_a_layer_that_writes_into_its_parameter_is_found():
    class Decaying(Affine):
        def forward(self, x):
            out = super().forward(x)
            self.W.value[...] *= 0.5
            return out

        def backward(self, dout):
            self.W.value[...] *= 2
            return super().backward(dout)

    layer = Decaying(4, 3, rng=0)
    weights = layer.W.value.copy()
    assert not check_layer(layer, draw(5, 4))
    np.testing.assert_array_equal(layer.W.value, weights)


class SquaredError:
    def __init__(self, factor=2.0):
        self.factor = factor

    def forward(self, scores, y):
        self.difference = scores - y
        return float(np.sum(self.difference**2))

    def backward(self):
        return self.factor * self.difference


def test_losses_are_checked_in_their_scores_alone():
    scores, y = draw(4, 3), draw(4, 3, seed=1)
    assert [argument.name for argument in check_loss(SquaredError(), scores, y).arguments] == ["scores"]
    assert_gradients(SquaredError(), scores, y)
    assert "returned is 0.500 times" in str(check_loss(SquaredError(1.0), scores, y))


def test_a_long_report_is_cut_to_25_lines():
    class Many:
        def __init__(self):
            self.params = {f"w{i}": np.ones(2) for i in range(40)}
            self.grads = {}

        def forward(self, x):
            return x * sum(self.params.values())

        def backward(self, dout):
            self.grads = {name: 0 * value for name, value in self.params.items()}
            return dout * sum(self.params.values())

    lines = str(check_layer(Many(), draw(2))).splitlines()
    assert len(lines) == 25
    assert "lines more" in lines[-2]
    assert "no fault in x" in lines[-1]


def test_something_that_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="layer must be an object with forward and backward; got int"):
        check_layer(3, draw(2))
    with pytest.raises(TypeError, match=r"got the class ReLU. Make one: ReLU\(\.\.\.\)"):
        check_layer(ReLU, draw(2))


@pytest.mark.parametrize("numbers", [[1, 2, 3], [[1.0, 2.0]], (1.5, 2.5)])
def test_numbers_that_are_no_array_are_refused_by_the_name_of_the_argument(numbers):
    with pytest.raises(TypeError, match=rf"x must be an array; got a {type(numbers).__name__}. Pass np.array\(x, "):
        check_layer(ReLU(), numbers)


def test_a_mask_in_place_of_a_gradient_is_wrong_and_nothing_raises():
    report = check(lambda x: (np.maximum(0, x), x), lambda dout, x: x > 0, np.random.default_rng(0).standard_normal(9))
    assert report.verdict == "fail"
    assert "raises" not in str(report)


@pytest.mark.parametrize(("factor", "verdict"), [(1, "pass"), (1.001, "fail")])
def test_a_backward_that_turns_dout_into_float32_is_judged_by_the_digits_that_leaves(factor, verdict):
    def backward(dout, cache):
        x, w = cache
        dout = dout.astype(np.float32)
        return dout @ w.T * factor, x.T @ dout

    report = check(lambda x, w: (x @ w, (x, w)), backward, *np.random.default_rng(0).standard_normal((2, 4, 4)))
    assert report.verdict == verdict
    assert report.cause != "nonlinear-in-dout"


def test_a_single_dout_that_hardly_moves_is_not_taken_for_one_in_float32():
    for seed in range(40):
        report = check(lambda x: (x.sum(), x), lambda dout, x: np.full_like(x, dout * (1 + 1e-5)), np.ones(3), rng=seed)
        assert report.verdict == "fail"


def test_a_loss_that_takes_no_dout_is_not_taken_for_one_in_float32():
    report = check_loss(lambda x: ((x * x).sum(), 2 * x * (1 + 1e-6)), np.random.default_rng(0).standard_normal(5))
    assert report.verdict == "fail"
