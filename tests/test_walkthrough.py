"""The walk through a pair: right lines ticked, the first wrong one marked, sums said in words, the graph drawn."""

import numpy as np
import pytest

from gradcheck import explain
from gradcheck.walkthrough import INK

X = np.random.default_rng(0).standard_normal((4, 3))


def centred_forward(x, gamma, beta):
    mu = x.mean(axis=0)
    xc = x - mu
    out = gamma * xc + beta
    return out, (gamma, xc)


def centred_backward(dout, cache):
    gamma, xc = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xc).sum(axis=0)
    dxc = dout * gamma
    dmu = -dxc.sum(axis=0)
    dx = dxc + dmu / len(dout)
    return dx, dgamma, dbeta


def forgetful_backward(dout, cache):
    xc = cache[1]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xc).sum(axis=0)
    dxc = dout
    dmu = -dxc.sum(axis=0)
    dx = dxc + dmu / len(dout)
    return dx, dgamma, dbeta


def marks(explanation):
    return {step.name: step.right for step in explanation.backward}


def inputs():
    return X, np.array([1.5, -0.5, 2.0]), np.array([0.3, 0.1, -0.7])


def test_every_statement_of_a_right_backward_is_ticked():
    explanation = explain(centred_forward, centred_backward, *inputs())
    assert marks(explanation) == dict.fromkeys(["dbeta", "dgamma", "dxc", "dmu", "dx"], True)
    assert "✗" not in str(explanation)


def test_the_first_wrong_statement_is_marked_beside_the_true_value():
    explanation = explain(centred_forward, forgetful_backward, *inputs())
    assert marks(explanation) == {"dbeta": True, "dgamma": True, "dxc": False, "dmu": False, "dx": False}
    text = str(explanation).splitlines()
    marked = text.index("          the first wrong statement")
    assert "dxc = dout" in text[marked - 3]
    assert text[marked - 1].split() == ["true", "=", *_after_equals(text[marked - 1])]
    step = next(step for step in explanation.backward if step.name == "dxc")
    gamma = explanation.case.arrays["gamma"]
    assert np.allclose(step.true, explanation.case.douts[0] * gamma)


def _after_equals(text):
    return text.split("=")[1].split()


def test_the_case_is_small_and_a_test_to_paste_follows():
    explanation = explain(centred_forward, forgetful_backward, *inputs())
    assert explanation.case.arrays["x"].size < X.size
    assert "def test_centred():" in str(explanation)


def test_a_broadcast_sum_is_said_in_words():
    text = str(explain(centred_forward, centred_backward, *inputs()))
    assert "beta (3,) is broadcast to out (4, 3): its gradient is a sum over axis 0 of 4" in text


def rnn_forward(x, h0, w):
    h, out = h0, np.zeros((len(h0), 3, 2))
    for t in range(3):
        h = np.tanh(x[:, t] + h @ w)
        out[:, t] = h
    return out, None


def unwritten_backward(dout, cache):
    raise NotImplementedError


def empty_backward(dout, cache):
    pass


def test_what_enters_a_loop_once_is_no_broadcast():
    text = str(explain(rnn_forward, empty_backward, np.ones((1, 3, 2)), np.ones((1, 2)), np.eye(2)))
    assert "gradient of h0" in text
    assert "is broadcast" not in text


@pytest.mark.parametrize(
    ("backward", "said"),
    [(unwritten_backward, "backward is not written yet"), (empty_backward, "backward returned no gradient (None)")],
)
def test_a_backward_that_is_not_written_is_not_judged(backward, said):
    text = str(explain(centred_forward, backward, *inputs()))
    assert said in text
    assert "returned = None" in text
    assert "✗" not in text
    assert "red" not in text.split("graph")[1]


def looped_forward(x):
    out = np.zeros_like(x)
    for i in range(len(x)):
        out[i] = 1e-7 * x[i] ** 2
    return out, x


def looped_backward(dout, x):
    dx = 2e-7 * x * dout
    dx[-1, 1] = 0
    return dx


def test_a_walk_fits_a_terminal_and_keeps_rows_whole():
    explanation = explain(centred_forward, centred_backward, *inputs())
    walked = explanation.format(width=80).split("\n\ngraph")[0].splitlines()
    assert max(map(len, walked)) <= 80
    folds = [line for line in walked if line.startswith(" " * 14) and "=" not in line]
    assert folds
    assert all(line.count("]") - line.count("[") in (0, 1) for line in folds)
    assert "\033[32m✓\033[0m" in explanation.format(colour=True, width=80)


def test_of_a_loop_the_last_pass_is_shown_and_said_to_be():
    assert "the last of 2 times" in str(explain(looped_forward, looped_backward, X))


def test_small_gradients_are_not_shown_as_zeros():
    walked = str(explain(looped_forward, looped_backward, X))
    assert "e-0" in walked.split("gradients")[1].split("graph")[0]


def test_of_a_large_array_the_worst_entry_is_told(monkeypatch):
    monkeypatch.setattr("gradcheck.walkthrough.SHOWN", 1)
    text = str(explain(looped_forward, looped_backward, X))
    assert "worst at [" in text.split("gradients")[1]


def test_what_is_only_unpacked_is_no_step():
    explanation = explain(centred_forward, centred_backward, *inputs())
    assert not {"gamma", "xc"} & {step.name for step in explanation.backward}


def test_the_graph_is_that_of_forward_with_wrong_arguments_in_red():
    lines = explain(centred_forward, forgetful_backward, *inputs()).mermaid.splitlines()
    assert lines[0] == "graph LR"
    assert {"    x --> mu", "    x --> xc", "    mu --> xc", "    xc --> out", "    gamma --> out"} <= set(lines)
    assert "    style x stroke:red" in lines
    assert "    style beta stroke:darkgreen" in lines


def test_a_notebook_gets_a_table_with_escaped_cells():
    table = explain(centred_forward, forgetful_backward, *inputs())._repr_html_()
    assert table.count("<tr") == table.count("</tr>") > 10
    assert table.count("✗") == table.count(INK[False]) == 4  # dxc, dmu, dx, the gradient of x
    assert "is broadcast to out" in table


def test_a_loss_and_a_backward_that_raises_are_walked_through_too():
    def loss(x):
        shifted = x - 1
        total = np.sum(shifted**2)
        dx = 2 * shifted
        return total, dx

    assert "✓" in str(explain(loss, None, X))
    assert "\nbackward\n" not in str(explain(loss, None, X))  # it has none of its own

    def raising_backward(dout, cache):
        raise KeyError("mask")

    text = str(explain(centred_forward, raising_backward, *inputs()))
    assert "backward raises KeyError: 'mask'" in text


def test_functions_without_source_are_refused():
    namespace = {}
    exec("def f_forward(x):\n    return x, None\ndef f_backward(dout, cache):\n    return dout\n", namespace)
    with pytest.raises(ValueError, match="source"):
        explain(namespace["f_forward"], namespace["f_backward"], X)
