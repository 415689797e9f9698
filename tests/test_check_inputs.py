"""The checker takes what people write: losses, nets, foreign layers, odd arguments, another engine to compare with."""

import random

import numpy as np
import pytest

from gradcheck import assert_gradients, check, check_layer, check_loss
from layers import Affine, BatchNorm, Dropout, Layer, Tanh
from models import Graph, Input, Sequential


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def verdicts(report):
    return {argument.name: argument.verdict for argument in report.arguments}


# --- losses and nets


def linear_loss(W, X, y, reg, factor=2.0):
    scores = X @ W
    scores -= scores.max(axis=1, keepdims=True)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean() + reg * np.sum(W * W)
    p[np.arange(len(y)), y] -= 1
    return loss, X.T @ p / len(y) + factor * reg * W


@pytest.mark.parametrize("reg", [0.0, 0.1, 1e6])
def test_a_linear_classifiers_loss_is_checked_in_its_weights_with_and_without_regularization(reg):
    W, X, y = draw(5, 3), draw(7, 5, seed=1), np.array([0, 1, 2, 2, 1, 0, 0])
    report = check_loss(linear_loss, W, X, y, reg)
    assert report, report
    assert verdicts(report) == {"W": "pass"}
    halved = check_loss(lambda W, X, y, reg: linear_loss(W, X, y, reg, factor=1.0), W, X, y, reg)
    assert halved.verdict == ("pass" if reg == 0 else "fail")


class TwoLayerNet:
    """As in the course: parameters in a dict, loss and gradients from one method."""

    def __init__(self, factor=1.0, forget=()):
        self.params = {"W1": draw(4, 5), "b1": np.zeros(5), "W2": draw(5, 3, seed=1), "b2": np.zeros(3)}
        self.factor, self.forget = factor, forget

    def loss(self, X, y=None):
        p = self.params
        hidden = np.tanh(X @ p["W1"] + p["b1"])
        scores = hidden @ p["W2"] + p["b2"]
        if y is None:
            return scores
        d = scores - np.eye(3)[y]
        dhidden = d @ p["W2"].T * (1 - hidden**2)
        grads = {"W2": hidden.T @ d, "b2": d.sum(axis=0), "W1": X.T @ dhidden, "b1": self.factor * dhidden.sum(axis=0)}
        return 0.5 * np.sum(d**2), {name: g for name, g in grads.items() if name not in self.forget}


def test_a_whole_net_is_checked_in_every_parameter():
    X, y = draw(6, 4), np.array([0, 1, 2, 2, 1, 0])
    net = TwoLayerNet()
    assert set(verdicts(check_loss(net, X, y)).values()) == {"pass"}
    assert check_loss(net.loss, X, y)
    assert np.all(net.params["b1"] == 0)
    assert verdicts(check_loss(TwoLayerNet(factor=2.0), X, y))["b1"] == "fail"
    report = check_loss(TwoLayerNet(forget=("b2",)), X, y)
    assert {a.name: a.cause for a in report.arguments if a.verdict != "pass"} == {"b2": "missing-gradient"}


def test_a_function_of_a_dict_of_parameters_is_checked_in_each():
    def loss(params, x):
        return np.sum((x * params["w"] + params["b"]) ** 2), {
            "w": 2 * ((x * params["w"] + params["b"]) * x).sum(axis=0),
            "b": (x * params["w"] + params["b"]).sum(axis=0),
        }

    report = check_loss(loss, {"w": draw(3), "b": draw(3, seed=1)}, draw(5, 3, seed=2))
    assert verdicts(report) == {"w": "pass", "b": "fail"}


def test_a_function_and_its_gradient_are_checked_as_scipy_takes_them():
    def f(x, a):
        return a * np.sum(x**3)

    def gradient(x, a):
        return 3 * a * x**2

    assert check(f, gradient, draw(4), 0.5)
    assert check_loss((f, gradient), draw(4), 0.5)
    assert check(f, lambda x, a: 2 * a * x**2, draw(4), 0.5).verdict == "fail"


# --- layer objects of other makes


class Listed:
    """Parameters and gradients in lists, gradients written into place."""

    def __init__(self, factor=1.0):
        self.params = [draw(4, 3), np.zeros(3)]
        self.grads = [np.zeros((4, 3)), np.zeros(3)]
        self.factor = factor

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = self.factor * dout.sum(axis=0)
        return dout @ self.params[0].T


class Attributes:
    """Parameters W and b, gradients dW and db, made at the first backward."""

    def __init__(self, factor=1.0):
        self.W, self.b, self.dW, self.db = draw(4, 3), np.zeros(3), None, None
        self.factor = factor

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, self.factor * dout.sum(axis=0)
        return dout @ self.W.T


@pytest.mark.parametrize("make", [Listed, Attributes])
def test_parameters_in_lists_and_in_attributes_are_found(make):
    assert_gradients(make(), draw(5, 4))
    report = check_layer(make(factor=3.0), draw(5, 4))
    assert list(verdicts(report).values()) == ["pass", "pass", "fail"]


def test_gamma_of_one_and_beta_of_zero_hide_nothing():
    class Forgetful(BatchNorm):
        def backward(self, dout):
            return super().backward(dout) / self.gamma.value

    layer = Forgetful(3)
    assert verdicts(check_layer(layer, draw(7, 3)))["x"] == "fail"
    assert np.all(layer.gamma.value == 1)


def test_a_layer_is_checked_in_its_other_mode_as_well():
    class OnlyTraining(Dropout):
        def backward(self, dout):
            return super().backward(dout) * (1 if self.training else 0.5)

    assert check_layer(Dropout(0.4, rng=0), draw(5, 4))
    report = check_layer(OnlyTraining(0.4, rng=0), draw(5, 4))
    assert report.verdict == "fail"
    assert "in evaluation mode" in str(report)
    assert check_layer(OnlyTraining(0.4, rng=0).eval(), draw(5, 4)).verdict == "fail"


# --- arguments and outputs


def test_none_bools_and_integers_are_passed_on():
    def forward(x, mask, labels, group, option=None):
        assert option is None
        return x[labels] * mask[:, None] * group, (x.shape, mask, labels, group)

    def backward(dout, cache):
        shape, mask, labels, group = cache
        dx = np.zeros(shape)
        np.add.at(dx, labels, dout * mask[:, None] * group)
        return dx, None, None, None, None

    args = draw(3, 2), np.array([True, False, True, True]), np.array([0, 2, 2, 1]), 3, None
    assert check(forward, backward, *args)


def test_gradients_may_come_as_a_dict_by_name():
    def forward(x, w):
        return x * w, (x, w)

    assert check(forward, lambda d, c: {"dw": d * c[0], "dx": d * c[1]}, draw(3), draw(3, seed=1))


def test_masked_entries_of_an_output_are_zeros():
    def forward(x):
        return np.ma.masked_less(x, 0), x

    assert check(forward, lambda d, x: d * (x >= 0), draw(4, 3))


@pytest.mark.parametrize("cached", [lambda x: {"x": x}, lambda x: [[x]], lambda x: lambda: x, lambda x: {3: (x, None)}])
def test_caches_of_any_form_are_taken(cached):
    def value(cache):
        while not isinstance(cache, np.ndarray):
            cache = cache() if callable(cache) else cache[next(iter(cache))] if isinstance(cache, dict) else cache[0]
        return cache

    assert check(lambda x: (x**2, cached(x)), lambda d, cache: 2 * d * value(cache), draw(4))


# --- hidden generators

GENERATOR = np.random.default_rng(0)


def test_generators_in_module_globals_closures_and_the_standard_library_are_replayed():
    own = np.random.RandomState(3)

    def forward(x):
        mask = (GENERATOR.random(x.shape) < 0.6) * (own.random_sample(x.shape) < 0.9) * random.random()
        return x * mask, mask

    before = GENERATOR.bit_generator.state, own.get_state()[1].copy(), random.getstate()
    assert check(forward, lambda d, mask: d * mask, draw(5, 4))
    assert GENERATOR.bit_generator.state == before[0]
    np.testing.assert_array_equal(own.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_a_mask_drawn_again_by_backward_is_named():
    def forward(x):
        return x * (np.random.random_sample(x.shape) < 0.5), None  # noqa: NPY002

    def backward(dout, cache):
        return dout * (np.random.random_sample(dout.shape) < 0.5)  # noqa: NPY002

    report = check(forward, backward, draw(5, 4))
    assert (report.verdict, report.cause) == ("fail", "random-redrawn")


# --- float32


def test_float32_code_passes_with_the_digits_it_has_and_fails_when_it_is_wrong():
    def forward(x, w):
        x, w = x.astype(np.float32), w.astype(np.float32)
        return np.tanh(x @ w), (x, w)

    def backward(dout, cache, factor=1.0):
        x, w = cache
        d = (dout * (1 - np.tanh(x @ w) ** 2)).astype(np.float32)
        return d @ w.T, np.float32(factor) * (x.T @ d)

    for seed in range(5):
        report = check(forward, backward, draw(6, 5, seed=seed), 0.5 * draw(5, 3, seed=seed + 9))
        assert report.verdict == "pass", report
        assert all(3 < argument.digits < 8 for argument in report.arguments)
        wrong = check(forward, lambda d, c: backward(d, c, 1.005), draw(6, 5, seed=seed), draw(5, 3, seed=9))
        assert verdicts(wrong)["w"] == "fail", wrong


def test_a_float32_gradient_of_float64_code_passes_with_seven_digits():
    report = check(lambda x: (x**3, x), lambda d, x: (3 * d * x**2).astype(np.float32), draw(5, 4))
    assert report
    assert 6 < report.arguments[0].digits < 9


# --- another engine


def expression():
    x, w = Input("x"), Input("w")
    return Graph(Tanh()(x @ w))


def matmul_tanh(x, w):
    out = np.tanh(x @ w)
    return out, (x, w, out)


def matmul_tanh_backward(dout, cache):
    x, w, out = cache
    d = dout * (1 - out**2)
    return d @ w.T, x.T @ d


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda f, x: check(f, x, x),
            r"backward must be a function, as in check\(forward, .*; got ndarray.*check_loss",
        ),
        (lambda f, x: check(x, f, x), r"forward must be a function, .*; got ndarray"),
        (
            lambda f, x: check_loss(f, f, x),
            r"scores must be an array, .*; got function.*go to check\(forward, backward",
        ),
    ],
)
def test_arguments_in_another_order_are_told_the_right_one(call, said):
    with pytest.raises(TypeError, match=said):
        call(lambda x: (x, None), draw(2))


def test_another_engines_gradients_take_the_place_of_differences():
    calls = []

    def forward(x, w):
        calls.append(1)
        return matmul_tanh(x, w)

    report = check(forward, matmul_tanh_backward, draw(4, 3), draw(3, 5, seed=1), against=expression())
    assert report, report
    assert report.forward_matches_reference
    assert min(argument.digits for argument in report.arguments) > 13
    assert len(calls) < 10


def test_against_an_engine_the_wrong_entries_are_counted_exactly():
    def backward(dout, cache):
        dx, dw = matmul_tanh_backward(dout, cache)
        dw[1, 2] *= 1 + 1e-6
        return dx, dw

    report = check(matmul_tanh, backward, draw(4, 3), draw(3, 5, seed=1), against=expression())
    assert verdicts(report) == {"x": "pass", "w": "fail"}
    assert (report.arguments[1].wrong, report.arguments[1].worst.index) == (1, (1, 2))


def test_another_forward_than_the_engines_does_not_pass():
    report = check(
        lambda x, w: (x @ w, (x, w)),
        lambda d, c: (d @ c[1].T, c[0].T @ d),
        draw(4, 3),
        draw(3, 5),
        against=expression(),
    )
    assert report.forward_matches_reference is False
    assert not report


def test_something_that_is_no_engine_is_refused():
    with pytest.raises(TypeError, match="against must be a graph"):
        check(matmul_tanh, matmul_tanh_backward, draw(4, 3), draw(3, 5), against=3)


# --- the self-test


def test_the_self_test_passes_where_a_mistake_of_1e_5_in_one_entry_would_be_found():
    net = Sequential(Affine(5, 4, rng=0), Tanh(), Affine(4, 3, rng=1))
    assert check_layer(net, draw(6, 5), selftest=True)
    assert check(matmul_tanh, matmul_tanh_backward, draw(40, 30), draw(30, 20), selftest=True)


def test_the_self_test_tells_where_such_a_mistake_would_go_unseen():
    class Single(Layer):
        def forward(self, x):
            self.cache = x
            return (x**2).astype(np.float32)

        def backward(self, dout):
            return 2 * self.cache * dout

    report = check_layer(Single(), draw(4, 3), selftest=True)
    assert report.verdict == "inconclusive"
    assert "goes unseen" in str(report)


def test_a_loss_of_float32_returned_as_a_plain_float_is_not_accused_of_its_steps():
    def mean_square(x, factor=2.0):
        x = x.astype(np.float32)
        return float(np.mean(x**2)), factor * x / x.size

    for seed in range(5):
        report = check_loss(mean_square, draw(5, 3, seed=seed))
        assert report.verdict == "pass", report
        assert check_loss(lambda x: mean_square(x, 2.02), draw(5, 3, seed=seed)).verdict == "fail"


def test_a_small_mistake_in_one_of_many_parameters_is_found():
    class Deep(Sequential):
        def backward(self, dout):
            dx = super().backward(dout)
            bias = self.parameters()["8.b"]
            bias.grad = bias.grad * (1 + 1e-5)
            return dx

    def parts():
        return [layer for i in range(6) for layer in (Affine(4, 4, rng=i), Tanh())]

    assert check_layer(Sequential(*parts()), draw(6, 4))
    wrong = [name for name, verdict in verdicts(check_layer(Deep(*parts()), draw(6, 4))).items() if verdict == "fail"]
    assert wrong == ["8.b"]
