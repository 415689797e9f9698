"""The report on a wrong layer: the part at fault, the line in its class, a fix that was tried."""

import inspect
import itertools
import os
import threading

import numpy as np
import pytest

import layers
from gradcheck import check_layer, check_loss
from gradcheck.amend import _apart
from gradcheck.linearity import first_unlinear
from gradcheck.objects import LayerObject
from gradcheck.reach import reaches
from gradcheck.samples import Deadline, Sample, TimeUp
from layers import Layer, Parameter

X = np.random.default_rng(0).standard_normal((4, 3))


class Swish(Layer):
    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        self.cache = x, s
        return x * s

    def backward(self, dout):
        x, s = self.cache
        ds = dout * x
        dx = dout * s
        dx += ds * s
        dx -= ds * s * s
        return dx


class WrongSwish(Swish):
    def backward(self, dout):
        x, s = self.cache
        ds = dout * x
        dx = dout * s
        dx += ds * s
        dx += ds * s * s  # wrong
        return dx


class Clipping(Swish):
    def backward(self, dout):
        x, s = self.cache
        kept = np.clip(dout, -3, 3)  # wrong
        slope = s + x * s * (1 - s)
        return kept * slope


class Helped(Swish):
    def backward(self, dout):
        x, s = self.cache
        return dout * slope_of(x, s)


def slope_of(x, s):
    rest = 1 + s  # wrong
    change = x * s * rest
    return s + change


class Chain(Layer):
    def __init__(self, part):
        self.W, self.parts = Parameter(np.random.default_rng(1).standard_normal((3, 5))), [part, layers.Tanh()]

    def forward(self, x):
        self.cache = x
        out = x @ self.W.value
        for part in self.parts:
            out = part.forward(out)
        return out

    def backward(self, dout):
        for part in reversed(self.parts):
            dout = part.backward(dout)
        self.W.add_grad(self.cache.T @ dout)
        return dout @ self.W.value.T


class TiledSoftmax(Layer):
    def forward(self, x):
        self.cache = x
        return np.tanh(x) @ np.arange(6.0).reshape(3, 2)

    def backward(self, dout):
        return dout * (1 - self.cache[:, :2] ** 2)  # the product with the matrix is left out


def marked(function):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if "# wrong" in line)


@pytest.mark.parametrize(
    ("layer", "where", "after"),
    [
        (WrongSwish(), WrongSwish.backward, "dx -= ds * s * s  # wrong"),
        (Clipping(), Clipping.backward, "kept = (dout)  # wrong"),
        (Helped(), slope_of, "rest = 1 - s  # wrong"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Layer) else "",
)
def test_the_line_of_a_layer_is_that_of_an_edit_with_which_it_passes(layer, where, after):
    report = check_layer(layer, X)
    assert report.line == marked(where)
    assert [edit["after"].strip() for edit in report.why.edits] == [after]
    assert check_layer(layer, X).verdict == "fail"  # it was tried in memory, in another process


class InPlace(Layer):
    def forward(self, x):
        self.cache = out = np.maximum(x, 0)
        return out

    def backward(self, dout):
        dout[self.cache <= 0] = 0  # wrong
        return dout


def test_a_write_into_dout_has_its_line_and_a_copy_mends_it():
    report = check_layer(InPlace(), X)
    assert (report.verdict, report.cause, report.line) == ("contract", "mutates-dout", marked(InPlace.backward))
    assert [edit["after"].strip()[:20] for edit in report.why.edits] == ["dout = dout.copy(); "]
    assert str(report).count("writes into dout") == 1


def test_of_a_layer_made_of_layers_the_part_at_fault_is_told():
    report = check_layer(Chain(WrongSwish()), X)
    assert report.line == marked(WrongSwish.backward)
    assert report.why.evidence.startswith("in WrongSwish, which it calls: ")
    assert check_layer(Chain(Swish()), X)


class Named(Chain):
    """The same with its parts in a dict."""

    def __init__(self, part):
        super().__init__(part)
        self.parts = dict(enumerate(self.parts))

    def forward(self, x):
        self.cache = x
        return self.parts[1].forward(self.parts[0].forward(x @ self.W.value))

    def backward(self, dout):
        dout = self.parts[0].backward(self.parts[1].backward(dout))
        self.W.add_grad(self.cache.T @ dout)
        return dout @ self.W.value.T


def test_a_part_in_a_dict_is_told_as_well():
    report = check_layer(Named(WrongSwish()), X)
    assert report.line == marked(WrongSwish.backward)
    assert report.why.evidence.startswith("in WrongSwish, which it calls: ")


def test_a_part_of_another_file_has_its_file_told(monkeypatch):
    monkeypatch.setattr(layers.Tanh, "backward", lambda self, dout: dout * self.cache, raising=True)
    report = check_layer(Chain(Swish()), X)
    assert report.why.evidence.startswith("in Tanh, which it calls")


class Scaled(Layer):
    """Rows times W plus b, of which one gets no gradient in each subclass."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.W, self.b = Parameter(rng.standard_normal((3, 2))), Parameter(rng.standard_normal(2))

    def forward(self, x):
        self.cache = x
        return x @ self.W.value + self.b.value

    def backward(self, dout):
        self.add_grads(dout)
        return dout @ self.W.value.T


class WithoutW(Scaled):
    def add_grads(self, dout):
        rows = self.cache
        if len(rows):
            self.b.add_grad(dout.sum(axis=0))  # wrong


class AskingForB(Scaled):
    def add_grads(self, dout):
        self.W.add_grad(self.cache.T @ dout)
        if self.b is not None:
            rows = dout.reshape(-1, 2)
            rows.sum(axis=0)  # wrong


class Dropping(Scaled):
    def add_grads(self, dout):
        _dW, _db = self.cache.T @ dout, dout.sum(axis=0)  # wrong


class Aliased(Scaled):
    def add_grads(self, dout):
        W, b = self.W, self.b
        W.add_grad(self.cache.T @ dout)  # wrong
        return b.value


class Unadded(Scaled):
    def add_grads(self, dout):
        dW = np.zeros_like(self.W.value)
        np.matmul(self.cache.T, dout, out=dW)  # wrong


@pytest.mark.parametrize("layer", [WithoutW(), AskingForB(), Aliased(), Dropping(), Unadded()])
def test_a_gradient_that_a_parameter_does_not_get_is_due_beside_those_of_the_others(layer):
    report = check_layer(layer, X)
    assert report.cause == "unfinished"
    assert report.line == marked(layer.add_grads)


class Within(Scaled):
    def forward(self, x):
        h = super().forward(x)
        self.cache = x, h
        return np.sin(h)

    def backward(self, dout):
        x, h = self.cache
        dh = self.through(dout, h)
        self.b.add_grad(dh.sum(axis=0))
        self.W.add_grad(x.T @ dh)
        return dh @ self.W.value.T

    def through(self, dout, h):
        return dout * (h - h**3 / 3)  # wrong


class Passing(Within):
    def backward(self, dout):
        h = self.cache[1]
        dh = self.through(dout * (h - h**3 / 3), h)  # wrong
        self.b.add_grad(dh.sum(axis=0))
        self.W.add_grad(self.cache[0].T @ dh)
        return dh @ self.W.value.T

    def through(self, dout, h):
        return dout * np.tanh(h)


class InOneHalf(Layer):
    def forward(self, x):
        self.cache = x
        return np.sin(x)

    def backward(self, dout):
        x = self.cache
        dx = np.empty_like(x)
        dx[:, 1] = dout[:, 1] * (x[:, 1] - x[:, 1] ** 3 / 3)  # wrong
        dx[:, 0] = dout[:, 0] * np.cos(x[:, 0])
        return dx


class CalledTwice(Layer):
    def forward(self, x, y):
        self.cache = x, y
        return 2 * np.sin(x) + 2 * np.sin(y)

    def backward(self, dout):
        x, y = self.cache
        return 2 * self.through(dout, x), 2 * self.through(dout, y)

    def through(self, dout, x):
        return dout * (x - x**3 / 3)  # wrong


class WithoutDout(InOneHalf):
    def backward(self, dout):
        return 1.0 * self.slope(self.cache)  # wrong

    def slope(self, x):
        square = x * x
        square = square / 3
        slope = 1 - square
        return x * slope


@pytest.mark.parametrize(
    ("layer", "where"),
    [(Within(), Within.through), (Passing(), Passing.backward), (InOneHalf(), InOneHalf.backward),
     (CalledTwice(), CalledTwice.through), (WithoutDout(), WithoutDout.backward)],
    ids=["helper", "caller", "half", "two calls", "no dout"],
)  # fmt: skip
def test_without_an_edit_the_line_is_that_of_what_goes_into_just_the_wrong_entries(layer, where):
    report = check_layer(layer, *{InOneHalf: [X[:, :2]], CalledTwice: [X, -X]}.get(type(layer), [X]))
    assert report.why.edits == []
    assert report.line == marked(where)


def test_the_reach_of_a_statement_is_all_that_its_value_goes_into():
    layer = InOneHalf()
    sample = Sample(lambda inputs, edit: LayerObject(layer, inputs, None), (X[:, :2],), 0, Deadline(20.0))
    reach = {statement.line: moved.reshape(4, 2) for statement, ((_, moved),) in reaches(sample).items()}
    at = marked(InOneHalf.backward)
    assert np.array_equal(reach[at], np.broadcast_to([False, True], (4, 2)))
    assert np.array_equal(reach[at + 1], np.broadcast_to([True, False], (4, 2)))


def test_a_right_backward_is_linear_everywhere():
    layer = layers.MaxPool2D(2)  # forward and backward fill arrays of np.empty
    images = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    out = layer.forward(images)
    assert first_unlinear(lambda: lambda douts: layer.backward(*douts), [np.ones_like(out)]) is None


NOISE = np.random.default_rng(5)


class Filling(Layer):
    """Backward makes room first, in which there is whatever was there before."""

    def __init__(self, room):
        self.room = room

    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        dx = self.room(dout.shape)
        dx[...] = 2 * dout
        return dx


@pytest.mark.parametrize("room", [NOISE.standard_normal, lambda shape: np.full(shape, np.nan)])
def test_what_is_not_filled_yet_is_not_taken_for_unlinear(room):
    layer = Filling(room)
    out = layer.forward(X)
    assert first_unlinear(lambda: lambda douts: layer.backward(*douts), [np.ones_like(out)]) is None


def test_the_first_statement_that_is_not_linear_is_found_in_what_is_called():
    layer = Chain(Clipping())
    out = layer.forward(X)
    found = first_unlinear(lambda: lambda douts: layer.backward(*douts), [np.ones_like(out)])
    assert found == (__file__, marked(Clipping.backward))


def test_a_gradient_of_a_smaller_shape_is_no_cropped_one_unless_its_values_are():
    assert check_layer(TiledSoftmax(), X).cause != "shape-cropped"


def test_a_factor_is_told_of_a_layer_whose_inputs_have_no_gradient(monkeypatch):
    add = layers.Embedding.backward
    monkeypatch.setattr(layers.Embedding, "backward", lambda self, dout: add(self, 1.7 * dout))
    report = check_layer(layers.Embedding(5, 3, rng=0), np.array([[1, 2], [4, 4], [0, 1], [3, 0]]))
    assert report.cause == "scale-factor"


def test_a_search_that_crashes_or_hangs_costs_no_more_than_itself():
    assert _apart(os.abort, 5.0) is None
    with pytest.raises(TimeUp):
        _apart(lambda: threading.Event().wait(60), 0.1)  # were it waited for, it would end without TimeUp
    with pytest.raises(TimeUp):
        _apart(lambda: [None for _ in itertools.count()], 0.3)
    assert _apart(lambda: "found", 5.0) == "found"


class MeanOfSquares:
    rows = True

    def forward(self, x, t):
        self.cache = x - t
        return np.sum((x - t) ** 2) / len(x)

    def backward(self, dout=1):
        return 2 * self.cache / (len(self.cache) if self.rows else 1)


class SumOfSquares(MeanOfSquares):
    rows = False


def test_a_loss_that_takes_dout_in_name_only_is_judged_where_it_is_1():
    report = check_loss(MeanOfSquares(), X, X[::-1])
    assert report
    assert any("ignores dout" in note for note in report.notes)
    assert check_loss(SumOfSquares(), X, X[::-1]).cause == "scale-batch"
    assert check_loss(SumOfSquares(), X, X[::-1]).verdict == "fail"


class Recurrence:
    """A state that forgets: c = f * c + x, f made of c; backward takes the new state for the old one."""

    w = np.array([0.5, -1.0, 2.0])

    def forward(self, x):
        self.steps, out, c = [], np.zeros(x.shape), np.zeros(x[:, 0].shape)
        for t in range(x.shape[1]):
            f = 1 / (1 + np.exp(-self.w * c))
            self.steps.append((f, c, f * c + x[:, t]))
            out[:, t] = c = self.steps[-1][-1]
        return out

    def backward(self, dout):
        dx, dc, self.dw = np.zeros(dout.shape), 0, np.zeros(self.w.shape)
        for t in reversed(range(dout.shape[1])):
            f, c, cn = self.steps[t]
            dx[:, t] = dc = dc + dout[:, t]
            da = dc * cn * f * (1 - f)
            self.dw += (da * c).sum(axis=0)
            dc = dc * f + da * self.w
        return dx


def test_a_wrong_state_is_no_missing_step():
    assert check_layer(Recurrence(), np.random.default_rng(0).standard_normal((2, 4, 3))).cause == "wrong-term"


class Causal:
    """Attention to what came before, a transpose forgotten in the gradient of k."""

    def forward(self, q, k, v):
        s = np.where(np.tri(q.shape[1], dtype=bool), q @ k.transpose(0, 2, 1), -1e9)
        p = np.exp(s - s.max(axis=-1, keepdims=True))
        self.cache = q, k, v, p / p.sum(axis=-1, keepdims=True)
        return self.cache[-1] @ v

    def backward(self, dout):
        q, k, v, p = self.cache
        dp = dout @ v.transpose(0, 2, 1)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
        return ds @ k, ds @ q, p.transpose(0, 2, 1) @ dout


def test_without_a_loop_no_step_is_missing():
    report = check_layer(Causal(), *np.random.default_rng(0).standard_normal((3, 2, 4, 3)))
    assert report.cause == "wrong-term"


class TrainingNorm:
    """A batch norm without parameters, whose backward is that of training in evaluation as well."""

    training = True

    def train(self):
        self.training = True

    def eval(self):
        self.training = False

    def forward(self, x):
        self.mean, self.var = (x.mean(axis=0), x.var(axis=0)) if self.training else (0.0, np.ones(x.shape[1]))
        self.xhat = (x - self.mean) / np.sqrt(self.var + 1e-5)
        return 3 * self.xhat

    def backward(self, dout):
        d = 3 * dout
        return (d - d.mean(axis=0) - self.xhat * (d * self.xhat).mean(axis=0)) / np.sqrt(self.var + 1e-5)  # wrong


def test_what_is_wrong_in_the_other_mode_is_looked_for_there():
    assert check_layer(TrainingNorm(), X).why.statement.endswith("# wrong")
