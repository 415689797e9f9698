"""The cause, the line and the fix of what is wrong in a net that returns its loss and a dict of gradients."""

import numpy as np
import pytest

from gradcheck.check import check_loss
from gradcheck.cs231n import plan
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep
from gradcheck.worker import explanation

NET = """\
import numpy as np

class TwoLayerNet:
    def __init__(self, input_dim=4, hidden_dim=5, num_classes=3, reg=0.1):
        rng = np.random.default_rng(0)
        self.reg = reg
        self.params = {
            "W1": rng.standard_normal((input_dim, hidden_dim)),
            "b1": rng.standard_normal(hidden_dim),
            "W2": rng.standard_normal((hidden_dim, num_classes)),
            "b2": rng.standard_normal(num_classes),
        }

    def loss(self, X, y):
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        N = len(X)
        h = np.maximum(0, X @ W1 + b1)
        scores = h @ W2 + b2
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * self.reg * (np.sum(W1**2) + np.sum(W2**2))
        grads = {}
        dscores = p.copy()
        dscores[np.arange(N), y] -= 1
        dscores = dscores / N
        grads["W2"] = h.T @ dscores + self.reg * W2
        grads["b2"] = dscores.sum(axis=0)
        dh = (dscores @ W2.T) * (h > 0)
        grads["W1"] = X.T @ dh + self.reg * W1
        grads["b1"] = dh.sum(axis=0)
        return loss, grads
"""
SLIPS = {  # what is written, what stands there instead, the cause
    "no / N": (" / N", "", "scale-batch"),
    "no mask": (" * (h > 0)", "", "wrong-mask"),
    "no penalty": (" + self.reg * W1", "", "regularization"),
    "the penalty twice": ("self.reg * W1\n", "2 * self.reg * W1\n", "regularization"),
    "another sum": ("dh.sum(axis=0)", "dh.mean(axis=0)", "scale-batch"),
}


@pytest.fixture
def pair_of(tmp_path):
    def pair(text):
        path = tmp_path / "net.py"
        path.write_text(text)
        with sandboxed(path):
            return next(pair for pair in discover(path).pairs if pair.name == "TwoLayerNet")

    return pair


@pytest.mark.parametrize("slip", SLIPS)
def test_a_mistake_in_a_net_is_told_with_its_cause_and_line(slip, pair_of):
    old, new, cause = SLIPS[slip]
    wrong = NET.replace(old, new)
    line = next(i for i, (a, b) in enumerate(zip(NET.split("\n"), wrong.split("\n"), strict=True), 1) if a != b)
    pair = pair_of(wrong)
    rng = np.random.default_rng(1)
    given = check_loss(pair.make(), rng.standard_normal((6, 3)), rng.integers(0, 3, 6))
    for report in (given, sweep(pair, why=True)):
        assert (report.verdict, report.cause, report.line) == ("fail", cause, line)
        assert report.why.edits


def test_a_loss_that_is_an_attribute_of_its_net_is_told_by_numbers():
    class Net:
        def __init__(self):
            self.params = {"W": np.random.default_rng(0).standard_normal((3, 2))}
            self.loss = self.squares

        def squares(self, X, y):
            gap = X @ self.params["W"] - y
            return np.sum(gap**2) / len(X), {"W": 2 * X.T @ gap}

    rng = np.random.default_rng(1)
    report = check_loss(Net(), rng.standard_normal((6, 3)), rng.standard_normal((6, 2)))
    assert (report.verdict, report.cause) == ("fail", "scale-batch")


def test_a_penalty_left_out_of_a_loop_over_layers_is_put_in(pair_of):
    text = NET
    for i, before in ((1, "X.T @ dh"), (2, "h.T @ dscores")):
        text = text.replace(f'grads["W{i}"] = {before} + self.reg * W{i}', f"dW{i} = {before}")
    text = text.replace(
        "return loss, grads",
        """for i, dW in ((1, dW1), (2, dW2)):
            W = self.params["W%d" % i]
            grads["W%d" % i] = dW
        return loss, grads""",
    )
    report = sweep(pair_of(text), why=True)
    assert report.cause == "regularization"
    assert [edit["after"].strip() for edit in report.why.edits] == ['grads["W%d" % i] = dW + self.reg * W']


def test_a_net_cannot_be_walked_through_and_is_told_so(pair_of):
    pair = pair_of(NET)
    text = explanation(pair, plan(pair, 0).settings, {"seed": 0, "colour": False, "width": None})
    assert text == "TwoLayerNet cannot be walked through: only functions are, not the methods of a layer or a net"
