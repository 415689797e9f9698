"""Public threads of people whose gradients were wrong, rebuilt in code of our own: would the report have helped them?

Each is named by the repository and number of its thread.
"""

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


DROPOUT = """
import numpy as np

def dropout_forward(x, dropout_param):
    keep = dropout_param["p"]
    mask = np.random.rand(*x.shape) < keep
    return (x * mask / keep if dropout_param["mode"] == "train" else x), (dropout_param, mask, keep)

def dropout_backward(dout, cache):
    dropout_param, mask, keep = cache
    dx = dout * mask / keep if dropout_param["mode"] == "train" else dout
    return dx
"""
POOL = """
import numpy as np

def max_pool_forward(x, pool_param):
    h, w, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    out = np.zeros((*x.shape[:2], (x.shape[2] - h) // s + 1, (x.shape[3] - w) // s + 1))
    for i, j in np.ndindex(out.shape[2:]):
        out[:, :, i, j] = x[:, :, i * s : i * s + h, j * s : j * s + w].max(axis=(2, 3))
    return out, (x, out, h, w, s)

def max_pool_backward(dout, cache):
    x, out, h, w, s = cache
    dx = np.zeros_like(x)
    for i, j in np.ndindex(out.shape[2:]):
        mask = x[:, :, i * s : i * s + h, j * s : j * s + w] == out[:, :, i, j, None, None]
        dx[:, :, i * s : i * s + h, j * s : j * s + w] += mask * dout[:, :, i, j, None, None]
    return dx
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


# Of each thread: the code as it should be, what stood in it instead, the causes that would be an answer, the sentence
# that is it, and whether a fix is proven.
THREADS = {
    "abhiskk/ladder 2: the variance taken for a constant": (
        NORM, " + dvar * 2 * (x - mean) / N", "", {"missing-term-variance"},
        "proportional to x normalised over axis 0: the path through the variance is not right", False,
    ),
    "denizyuret/Knet.jl 288: gamma left out of dx": (
        NORM, "dxhat = dout * gamma", "dxhat = dout", {"scale-per-channel"}, "true / returned is gamma", True,
    ),
    "rasbt/stat453-deep-learning-ss21 5: a bias summed over all axes": (
        AFFINE, "dout.sum(axis=0)", "dout.sum()", {"wrong-axis"}, "dout summed over axis 0, 1, not 0", True,
    ),
    "kvfrans/notes 5: a bias divided by N": (
        AFFINE, "dout.sum(axis=0)", "dout.sum(axis=0) / len(dout)", {"scale-batch"}, "1 / (N = x.shape[0]) for b", True,
    ),
    "karpathy/nn-zero-to-hero 57: repeated indices count once": (
        EMBEDDING, "np.add.at(dW, x, dout)", "dW[x] += dout", {"overwritten"},
        "entries of W that are used more than once have only their last contribution", True,
    ),
    "ahrefs/ocannl 512: windows that overlap": (
        POOL, "j * s : j * s + w] += mask", "j * s : j * s + w] = mask", {"overwritten"},
        "where windows overlap the gradient of x has only what the last window left", True,
    ),
    "Kulbear/deep-learning-coursera 34: the stride left out of an index": (
        CONV, "window = xp[:, :, i * s : i * s + h, j * s : j * s + v]\n            dw",
        "window = xp[:, :, i : i + h, j : j + v]\n            dw", {"config-hardcoded", "wrong-index"},
        "right at x (2, 3, 5, 5), w (4, 3, 3, 3), stride 1", False,
    ),
    "deeplearning4j/libnd4j 440: only the Jacobian's diagonal": (
        SOFTMAX, "s * (dout - np.sum(dout * s, axis=1, keepdims=True))", "dout * s * (1 - s)", {"diagonal-jacobian"},
        "every output of a group depends on every input of it", False,
    ),
    "pytorch/pytorch 4355: the local derivative alone": (
        SIGMOID, "dout * a * (1 - a)", "a * (1 - a)", {"ignores-dout"}, "does not change with dout", True,
    ),
    "jingtinghuang/CS231n-Spring-2017 3: half of the regularisation": (
        LINEAR, "dW += 2 * reg * W", "dW += reg * W", {"regularization"}, "the gradient of the L2 term", True,
    ),
    "dennybritz/nn-from-scratch 13: the loss a mean, its gradient a sum": (
        LINEAR, "X.T @ p / N", "X.T @ p", {"scale-batch"}, "returned / true = 5 = N = X.shape[0]", True,
    ),
    "andersbll/nnet 4: weight decay subtracted": (
        LINEAR, "dW += 2 * reg * W", "dW -= 2 * reg * W", {"regularization"}, "the gradient of the L2 term", True,
    ),
    "andersbll/nnet 4: another function's derivative": (
        SIGMOID, "dout * a * (1 - a)", "dout * (1 - a**2)", {"wrong-local-derivative"},
        "the local derivative of x is 1 - out**2; forward's is out * (1 - out)", False,
    ),
    "ddbourgin/numpy-ml 94: the mask not applied": (
        DROPOUT, "dout * mask / keep", "dout / keep", {"wrong-mask"}, "wrong exactly where out is 0", True,
    ),
    "cthorey/CS231 1: the caller's dnext_c changed": (
        LSTM_STEP, "dnext_c = dnext_c + dnext_h", "dnext_c += dnext_h", {"mutates-dout"}, "backward writes into dout",
        True,
    ),
    "CaptainE/RNN-LSTM-in-numpy 1: a gate without its derivative": (
        LSTM_STEP, "do * o * (1 - o)", "do", {"wrong-local-derivative", "wrong-term"},
        "right so far: dnext_c, di, df, do, dg", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("thread", THREADS)
def test_its_reader_is_told_the_cause_the_line_and_where_proven_the_fix(tmp_path, thread):
    right, old, new, causes, answer, is_mended = THREADS[thread]
    report, line = asked(tmp_path, right, old, new)
    text = report.format(tell="fix", width=80)
    said = " ".join(text.split())
    assert not report
    assert report.cause in causes, text
    assert f"cause: {report.cause}; " in said, text
    assert answer in said, text
    assert abs(report.line - line) <= 1, text
    assert f"line {report.line}: {' '.join(report.why.statement.split())}" in said, text
    assert ("fix, with which every setting passes" in said) >= is_mended, text
    assert len(text.splitlines()) <= 25, text
    assert max(map(len, text.splitlines())) <= 80, text


RIGHT = {
    "darknet 1634: a norm": NORM,
    "oreilly-japan/deep-learning-from-scratch 27: patches that add up": CONV,
    "embedding": EMBEDDING,
    "softmax": SOFTMAX,
    "mantasu/cs231n 10: a loss": LINEAR,
    "iamtrask.github.io 12: a sigmoid's slope from its output": SIGMOID,
    "apache/mxnet 2427: a sum over the batch": AFFINE,
    "lstm": LSTM_STEP,
    "dropout": DROPOUT,
    "ghosert/cmd-editor 2058: maxima of several windows": POOL,
}


@pytest.mark.parametrize("thread", RIGHT)
def test_those_who_asked_about_right_code_are_told_so(tmp_path, thread):
    report, _ = asked(tmp_path, RIGHT[thread])
    assert report
    assert report.why is None


def test_a_term_that_is_zero_may_be_left_out(tmp_path):
    """pjreddie/darknet 1723: the mean's gradient with and without its way through the variance."""
    more = NORM.replace("/ std\n    dx", "/ std + dvar * np.sum(-2 * (x - mean), axis=0) / N\n    dx")
    assert more != NORM
    assert asked(tmp_path, more)[0]
