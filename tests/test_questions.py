"""Public questions of people whose gradients were wrong, rebuilt: would the report have answered them?"""

import textwrap

import pytest

from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep

NORM = """
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mean, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    return gamma * xhat + beta, (x, xhat, mean, std, gamma)

def batchnorm_backward(dout, cache):
    x, xhat, mean, std, gamma = cache
    N = len(x)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mean), axis=0) * -0.5 / std**3
    dmean = -np.sum(dxhat, axis=0) / std
    dx = dxhat / std + dvar * 2 * (x - mean) / N + dmean / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)
"""
CONV = """
import numpy as np

def conv_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    F, C, h, v = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    H, W = (xp.shape[2] - h) // s + 1, (xp.shape[3] - v) // s + 1
    out = np.zeros((len(x), F, H, W))
    for i in range(H):
        for j in range(W):
            window = xp[:, :, i * s : i * s + h, j * s : j * s + v]
            out[:, :, i, j] = np.tensordot(window, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, xp, w, s, p)

def conv_backward(dout, cache):
    x, xp, w, s, p = cache
    h, v = w.shape[2:]
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = xp[:, :, i * s : i * s + h, j * s : j * s + v]
            dw += np.tensordot(dout[:, :, i, j], window, axes=(0, 0))
            dxp[:, :, i * s : i * s + h, j * s : j * s + v] += np.tensordot(dout[:, :, i, j], w, axes=1)
    dx = dxp[:, :, p : p + x.shape[2], p : p + x.shape[3]]
    return dx, dw, db
"""
EMBEDDING = """
import numpy as np

def word_embedding_forward(x, W):
    return W[x], (x, W.shape)

def word_embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape)
    np.add.at(dW, x, dout)
    return dW
"""
SOFTMAX = """
import numpy as np

def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    s = e / e.sum(axis=1, keepdims=True)
    return s, s

def softmax_backward(dout, s):
    dx = s * (dout - np.sum(dout * s, axis=1, keepdims=True))
    return dx
"""
LINEAR = """
import numpy as np

def softmax_loss_vectorized(W, X, y, reg):
    scores = X @ W
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    N = len(X)
    loss = -np.log(p[np.arange(N), y]).mean() + reg * np.sum(W * W)
    p[np.arange(N), y] -= 1
    dW = X.T @ p / N
    dW += 2 * reg * W
    return loss, dW
"""
SIGMOID = """
import numpy as np

def sigmoid_forward(x):
    a = 1 / (1 + np.exp(-x))
    return a, a

def sigmoid_backward(dout, a):
    dx = dout * a * (1 - a)
    return dx
"""
AFFINE = """
import numpy as np

def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db
"""
LSTM_STEP = """
import numpy as np

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    ai, af, ao, ag = np.split(x @ Wx + prev_h @ Wh + b, 4, axis=1)
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    next_c = f * prev_c + i * g
    tanh_c = np.tanh(next_c)
    return o * tanh_c, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dnext_c = dnext_c + dnext_h * o * (1 - tanh_c**2)
    di, df, do, dg = dnext_c * g, dnext_c * prev_c, dnext_h * tanh_c, dnext_c * i
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dnext_c * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)
"""


def asked(tmp_path, text, old="", new=""):
    """The report on a function in which something was written otherwise, and the line of that."""
    wrong = text.replace(old, new, 1) if old else text
    assert (wrong != text) == bool(old)
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(wrong))
    with sandboxed(path):
        (pair,) = discover(path).pairs
        report = sweep(pair, why=True, repair=6.0)
    line = next((i for i, (a, b) in enumerate(zip(text.split("\n"), wrong.split("\n")), 1) if a != b), None)
    return report, line


@pytest.mark.parametrize(
    ("text", "old", "new", "causes"),
    [
        pytest.param(
            NORM, " + dvar * 2 * (x - mean) / N", "", {"missing-term-variance"}, id="the variance's term left out"
        ),
        pytest.param(NORM, "/ std**3", "/ std**2", {"wrong-term", "missing-term-variance"}, id="a wrong power of std"),
        pytest.param(
            NORM, "dxhat = dout * gamma", "dxhat = dout", {"scale-per-channel", "wrong-term"}, id="gamma left out"
        ),
        pytest.param(
            AFFINE, "dout.sum(axis=0)", "dout.sum()", {"wrong-axis", "shape-not-restored"}, id="a bias summed over all"
        ),
        pytest.param(
            AFFINE, "dout.sum(axis=0)", "dout.sum(axis=0) / len(dout)", {"scale-batch"}, id="divided by N once more"
        ),
        pytest.param(
            AFFINE,
            "dx = (dout @ w.T)",
            "dx = (dout @ w.T @ w @ w.T)",
            {"wrong-term", "unknown"},
            id="a product too many",
        ),
        pytest.param(
            EMBEDDING, "np.add.at(dW, x, dout)", "dW[x] += dout", {"overwritten"}, id="repeated indices count once"
        ),
        pytest.param(
            CONV,
            "xp[:, :, i * s : i * s + h, j * s : j * s + v]\n            dw",
            "xp[:, :, i : i + h, j : j + v]\n            dw",
            {"off-by-one", "config-hardcoded", "wrong-index"},
            id="the stride left out of an index",
        ),
        pytest.param(
            CONV,
            "p : p + x.shape[2], p : p + x.shape[3]",
            "p:-p, p:-p",
            {"shape-cropped"},
            id="no padding, nothing left",
        ),
        pytest.param(
            SOFTMAX,
            "s * (dout - np.sum(dout * s, axis=1, keepdims=True))",
            "dout * s * (1 - s)",
            {"diagonal-jacobian"},
            id="only the Jacobian's diagonal",
        ),
        pytest.param(
            SOFTMAX, "dx = s * (dout", "dx = s * (1", {"ignores-dout", "wrong-term"}, id="the local derivative alone"
        ),
        pytest.param(LINEAR, "dW += 2 * reg * W", "dW += reg * W", {"regularization"}, id="half of the regularisation"),
        pytest.param(LINEAR, "X.T @ p / N", "X.T @ p", {"scale-batch"}, id="the mean forgotten"),
        pytest.param(
            SIGMOID, "dout * a * (1 - a)", "dout * (1 - a**2)", {"wrong-local-derivative"}, id="tanh's derivative"
        ),
        pytest.param(SIGMOID, "dout * a * (1 - a)", "-dout * a * (1 - a)", {"scale-sign"}, id="the sign"),
        pytest.param(
            LSTM_STEP,
            "dnext_c = dnext_c + dnext_h",
            "dnext_c += dnext_h",
            {"mutates-dout"},
            id="the caller's dnext_c changed",
        ),
        pytest.param(
            LSTM_STEP,
            "do * o * (1 - o)",
            "do",
            {"wrong-local-derivative", "wrong-term"},
            id="a gate without its derivative",
        ),
    ],
)
def test_the_cause_and_the_line_are_told(tmp_path, text, old, new, causes):
    report, line = asked(tmp_path, text, old, new)
    assert not report
    assert report.cause in causes, report.format(tell="fix")
    assert abs(report.line - line) <= 1, report.format(tell="fix")
    assert len(report.format(tell="fix", width=80).splitlines()) <= 25


@pytest.mark.parametrize("text", [NORM, CONV, EMBEDDING, SOFTMAX, LINEAR, SIGMOID, AFFINE, LSTM_STEP])
def test_those_who_asked_about_right_code_are_told_so(tmp_path, text):
    report, _ = asked(tmp_path, text)
    assert report
    assert report.why is None


def test_a_term_that_is_zero_may_be_left_out(tmp_path):
    more = NORM.replace("/ std\n    dx", "/ std + dvar * np.sum(-2 * (x - mean), axis=0) / N\n    dx")
    assert more != NORM
    assert asked(tmp_path, more)[0]
