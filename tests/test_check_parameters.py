"""A layer's weights are checked in whatever way it keeps them, and what is not checked is said."""

from functools import partial

import numpy as np
import pytest

from gradcheck import check, check_layer, check_loss
from layers import Embedding, Layer, Parameter

X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal((3, 2))


class Arrays(Layer):
    """W and dW as plain arrays, b with a db that only backward makes; dW is `factor` times what it should be."""

    def __init__(self, factor=1.0):
        self.W, self.dW, self.b, self.factor = W.copy(), np.zeros_like(W), np.ones(2), factor

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.factor * (self.x.T @ dout)
        self.db = dout.sum(axis=0)
        self.dx = dout @ self.W.T
        return self.dx


class Dicts(Arrays):
    """The same in dicts."""

    def __init__(self, factor=1.0):
        self.params, self.grads, self.factor = {"W": W.copy(), "b": np.ones(2)}, {}, factor

    def forward(self, x):
        self.W, self.b = self.params["W"], self.params["b"]
        return super().forward(x)

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = {"W": self.dW, "b": self.db}
        return dx


class Lists:
    """The same in a list or dict W with its dW, appended on the way back, or there from the start; two outputs."""

    def __init__(self, factor=1.0, form="list"):
        self.weights, self.factor, self.form = [W.copy(), np.ones(2)], factor, form
        if form == "dict":
            self.weights, self.gweights = {"W": W.copy(), "b": np.ones(2)}, {"W": None, "b": None}

    def forward(self, x):
        self.x, self.seen = x, [x.copy()]
        w, b = self.weights.values() if self.form == "dict" else self.weights
        return x @ w + b, x

    def backward(self, dout, dsame):
        dW, db = self.factor * (self.x.T @ dout), dout.sum(axis=0)
        self.dseen = [dout]
        if self.form == "dict":
            self.gweights["W"], self.gweights["b"] = dW, db
        else:
            self.dweights = [db, dW] if self.form == "reversed" else [dW, db]
        return dout @ (self.weights["W"] if self.form == "dict" else self.weights[0]).T + dsame


class Listed(Layer):
    """Parameters in a list."""

    def __init__(self, factor=1.0):
        self.Ws, self.factor = [Parameter(W.copy()), Parameter(np.ones(2))], factor

    def forward(self, x):
        self.cache = x
        return x @ self.Ws[0].value + self.Ws[1].value

    def backward(self, dout):
        self.Ws[0].add_grad(self.factor * (self.cache.T @ dout))
        self.Ws[1].add_grad(dout.sum(axis=0))
        return dout @ self.Ws[0].value.T


class Plain:
    """What a class without the base is."""

    __init__, forward, backward = Listed.__init__, Listed.forward.__wrapped__, Listed.backward.__wrapped__

    @property
    def cache(self):
        return self.kept

    @cache.setter
    def cache(self, value):
        self.kept = value


class Within(Layer):
    """A layer in a layer."""

    def __init__(self, factor=1.0):
        self.inner = [Arrays(factor)]

    def forward(self, x):
        return self.inner[0].forward(x)

    def backward(self, dout):
        return self.inner[0].backward(dout)


LISTS = [partial(Lists, form=form) for form in ("list", "reversed", "dict")]


@pytest.mark.parametrize("make", [Arrays, Dicts, *LISTS, Listed, Plain, Within])
def test_a_wrong_gradient_is_found_wherever_the_weights_are_kept(make):
    right, wrong = check_layer(make(), X, why=False), check_layer(make(7.0), X, why=False)
    assert right
    assert len(right.arguments) == 3
    assert not any("not checked" in note for note in right.notes)
    assert wrong.verdict == "fail"
    assert [round(part.worst.ratio, 3) for part in wrong.arguments if part.worst] == [7.0]


class PReLU:
    """A slope that is a number, as its gradient is; and a time with a step, which is no gradient."""

    def __init__(self, factor=1.0):
        self.a, self.da, self.t, self.dt, self.factor = 0.25, 0.0, 1.0, 0.1, factor

    def forward(self, x):
        self.x = x
        return self.t * np.where(x > 0, x, self.a * x)

    def backward(self, dout):
        self.da = self.t * self.factor * float((dout * np.minimum(self.x, 0)).sum())
        return self.t * np.where(self.x > 0, dout, self.a * dout)


def test_a_number_with_a_gradient_is_a_parameter():
    right, wrong = check_layer(PReLU(), X), check_layer(PReLU(2.0), X)
    assert {a.name: a.verdict for a in right.arguments} == {"x": "pass", "a": "pass"}
    assert {a.name: a.verdict for a in wrong.arguments} == {"x": "pass", "a": "fail"}
    assert wrong.cause == "scale-factor"


def test_what_an_earlier_call_left_in_the_layer_is_no_parameter():
    layer = Arrays()
    layer.backward(layer.forward(np.ones((5, 3))))
    report = check_layer(layer, X)
    assert report
    assert [part.name for part in report.arguments] == ["x", "W", "b"]
    layer = Lists()
    layer.backward(*layer.forward(np.ones((5, 3))))
    assert [part.name for part in check_layer(layer, X).arguments] == ["x", "weights[0]", "weights[1]"]


def test_an_array_without_a_gradient_is_said_not_to_be_checked():
    class Half(Layer):
        def __init__(self):
            self.W, self.unused = W.copy(), W.copy()

        def forward(self, x):
            return x @ self.W

        def backward(self, dout):
            return dout @ self.W.T

    report = check_layer(Half(), X)
    assert report.passed
    assert report.notes == ["W is an array that parameters() does not return: not checked"]
    assert report.notes[0] in str(report)


def test_integers_in_the_place_of_an_input_are_told_and_indices_and_labels_are_not():
    note = "x holds integers: not differentiated; pass floats to check it"
    assert note in check_layer(Arrays(), np.ones((4, 3), int)).notes
    assert note in check(lambda x, w: (x @ w, (x, w)), lambda dout, cache: (cache[0].T @ dout,), X.astype(int), W).notes
    indices = np.array([[0, 2], [1, 1]])
    assert check_layer(Embedding(3, 2), indices).notes == []
    take = check(
        lambda i, w: (w[i], i), lambda dout, i: np.array([dout[i == k].sum(axis=0) for k in range(3)]), indices, W
    )
    assert take
    assert not any("integers" in note for note in take.notes)
    squares = check_loss(lambda x, y: (np.sum((x - y) ** 2), 2 * (x - y)), X, np.ones((4, 3), int))
    assert squares
    assert squares.notes == []


class Assigning(Listed):
    """A backward that assigns what it has to add."""

    def backward(self, dout):
        for parameter, gradient in zip(self.Ws, (self.cache.T @ dout, dout.sum(axis=0))):
            parameter.grad = gradient
        return dout @ self.Ws[0].value.T


class Noisy(Listed):
    """A layer of which each forward draws another mask."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) > 0.4
        return super().forward(x * self.mask)

    def backward(self, dout):
        return super().backward(dout) * self.mask


def test_gradients_of_two_uses_add_where_there_is_a_zero_grad():
    report = check_layer(Assigning(), X)
    assert (report.verdict, report.cause) == ("contract", "overwrites-grad")
    assert "the gradient of Ws.0, Ws.1 after two forwards" in str(report)
    assert check_layer(Noisy(), X)
    assert check_layer(Arrays(), X), "with dW it is the custom to assign"
