"""The line and the fix that are told: where the mistake is written, not where it comes to light."""

import textwrap
import time

import pytest

from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep

NORM = """\
def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mean = x.mean(axis=0)
    var = x.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    out = gamma * xhat + beta
    cache = (x, gamma, mean, var, eps)
    return out, cache

def batchnorm_backward(dout, cache):
    x, gamma, mean, var, eps = cache
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dvar = (dxhat * (x - mean)).sum(axis=0) * -0.5 / std**3
    dmean = -(dxhat / std).sum(axis=0)
    dx = dxhat / std + dmean / len(x) + dvar * 2 * (x - mean) / len(x)
    return dx, dgamma, dbeta
"""
SPATIAL = """
def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    N, C, H, W = x.shape
    rows, cache = batchnorm_forward(x.transpose(0, 2, 3, 1).reshape(-1, C), gamma, beta, bn_param)
    return rows.reshape(N, H, W, C).transpose(0, 3, 1, 2), cache

def spatial_batchnorm_backward(dout, cache):
    N, C, H, W = dout.shape
    rows = dout.transpose(0, 2, 3, 1)
    dx, dgamma, dbeta = batchnorm_backward(rows, cache)
    return dx.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta
"""
POOL = """\
def max_pool_forward_naive(x, pool_param):
    HH, WW, S = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - HH) // S + 1, (W - WW) // S + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * S : i * S + HH, j * S : j * S + WW].max(axis=(2, 3))
    return out, (x, pool_param)

def max_pool_backward_naive(dout, cache):
    x, pool_param = cache
    HH, WW, S = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(x.shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * S : i * S + HH, j * S : j * S + WW]
            best = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * S : i * S + HH, j * S : j * S + WW] += best * dout[:, :, i : i + 1, j : j + 1]
    return dx
"""
RELU = """\
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    dx = dout * (x > 0)
    return dx
"""
LOSS = """\
def softmax_loss(W, X, y, reg):
    N = len(X)
    p = np.exp(X @ W)
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).mean() + 0.5 * reg * np.sum(W**2)
    p[np.arange(N), y] -= 1
    dW = X.T @ p / N + reg * W
    return loss, dW
"""
BEST = """\
            best = window == window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * S : i * S + HH, j * S : j * S + WW] += best"""
STORE = "dx[:, :, i * S : i * S + HH, j * S : j * S + WW] += best * dout[:, :, i : i + 1, j : j + 1]"
SLIPS = {  # what is written, what stands there instead, the name of the pair, the causes that name it
    "array of whole numbers": (POOL, "np.zeros(x.shape)", "np.zeros(x.shape, dtype=int)",
                               "max_pool_naive", "wrong-dtype"),
    "no cache": (NORM, "cache = (x, gamma, mean, var, eps)", "cache = None", "batchnorm", "wrong-cache"),
    "another eps packed": (NORM, "mean, var, eps)\n", "mean, var, 1e-8)\n", "batchnorm", "wrong-eps"),
    "eps beside the root": (NORM, "cache\n    std = np.sqrt(var + eps)", "cache\n    std = np.sqrt(var) + eps",
                            "batchnorm", "wrong-eps"),
    "beta left out of forward": (NORM, "gamma * xhat + beta", "gamma * xhat", "batchnorm", "forward-mismatch"),
    "std for sqrt in forward": (NORM, "std = np.sqrt(var + eps)\n    xhat = (x - mean) / std\n    out",
                                "std = np.std(var + eps)\n    xhat = (x - mean) / std\n    out",
                                "batchnorm", "forward-mismatch"),
    "squares only": (POOL, "np.zeros(x.shape)", "np.zeros((*x.shape[:2], x.shape[3], x.shape[3]))",
                     "max_pool_naive", "config-hardcoded"),
    "a view written into": (POOL, BEST, BEST.replace("best = ", "window[:] = ").replace("best", "window"),
                            "max_pool_naive", "mutates-cache"),
    "a gradient of another penalty": (LOSS, "/ N + reg * W", "/ N + 2 * reg * W", "softmax_loss", "regularization"),
    "a loop that does nothing": (POOL, STORE, "pass", "max_pool_naive", "unfinished"),
    "a mask for a gradient": (RELU, "dout * (x > 0)", "(x > 0)", "relu", "ignores-dout"),
    "rows not flattened": (NORM + SPATIAL, "rows = dout.transpose(0, 2, 3, 1)\n", "rows = dout.copy()\n",
                           "spatial_batchnorm", "raises"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def on_a_clock_of_its_own(monkeypatch):
    """What is found in a given time must not depend on what else the machine does."""
    monkeypatch.setattr(time, "perf_counter", time.thread_time)


@pytest.fixture
def report_of(tmp_path):
    def report(text, name, **options):
        path = tmp_path / "mine.py"
        path.write_text("import numpy as np\n\n" + textwrap.dedent(text))
        with sandboxed(path):
            pair = next(pair for pair in discover(path).pairs if pair.name == name)
            return sweep(pair, why=True, **options)

    return report


@pytest.mark.parametrize("slip", SLIPS)
def test_the_line_is_that_of_the_mistake(slip, report_of):
    right, old, new, name, cause = SLIPS[slip]
    wrong = right.replace(old, new)
    assert wrong.count("\n") == right.count("\n")
    line = next(i for i, (a, b) in enumerate(zip(right.split("\n"), wrong.split("\n"), strict=True), 3) if a != b)
    report = report_of(wrong, name, repair=8 if cause == "forward-mismatch" else 0)  # there it is the fix that tells
    assert report.verdict in ("fail", "error")
    assert report.cause == cause
    assert abs(report.line - line) <= ("spatial" in name)  # there it is the call


def test_a_name_that_is_not_packed_is_told_where_it_is_used(report_of):
    text = NORM.replace("mean, var, eps)", "mean, var)").replace("mean, var, eps = cache", "mean, var = cache")
    report = report_of(text, "batchnorm")
    assert report.cause == "undefined-name"
    assert report.line == 15
    assert [edit["line"] for edit in report.why.edits] == [10, 14]
