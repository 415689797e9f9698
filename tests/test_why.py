"""The line and the fix that are told: where the mistake is written, not where it comes to light."""

import textwrap

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
CLOSED = """\
def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    var = x.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - x.mean(axis=0)) / std
    out = gamma * xhat + beta
    cache = (xhat, std, gamma)
    return out, cache

def batchnorm_backward(dout, cache):
    xhat, std, gamma = cache
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std
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
LOOP = """\
def softmax_loss(W, X, y, reg):
    loss, dW = 0.0, np.zeros_like(W)
    for i in range(len(X)):
        p = np.exp(X[i] @ W)
        p /= p.sum()
        loss -= np.log(p[y[i]]) / len(X)
        p[y[i]] -= 1
        dW += np.outer(X[i], p) / len(X)
    loss += reg * np.sum(W**2)
    dW += 2 * reg * W
    return loss, dW
"""
AFFINE = """\
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db
"""
SCORES = """\
def softmax_loss(x, y):
    N = len(x)
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).mean()
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx
"""
LSTM = """\
def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f, o = (1 / (1 + np.exp(-a[:, k * H : (k + 1) * H])) for k in range(3))
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    tanh_c = np.tanh(next_c)
    return o * tanh_c, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    dai = dc * g * i * (1 - i)
    daf = dc * prev_c * f * (1 - f)
    dao = dnext_h * tanh_c * o * (1 - o)
    dag = dc * i * (1 - g**2)
    da = np.hstack((dai, daf, dao, dag))
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(axis=0)
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
    "a root packed without eps": (CLOSED, "cache = (xhat, std,", "cache = (xhat, np.sqrt(var),",
                                  "batchnorm", "wrong-eps"),
    "beta left out of forward": (NORM, "gamma * xhat + beta", "gamma * xhat", "batchnorm", "forward-mismatch"),
    "std for sqrt in forward": (NORM, "std = np.sqrt(var + eps)\n    xhat = (x - mean) / std\n    out",
                                "std = np.std(var + eps)\n    xhat = (x - mean) / std\n    out",
                                "batchnorm", "forward-mismatch"),
    "squares only": (POOL, "np.zeros(x.shape)", "np.zeros((*x.shape[:2], x.shape[3], x.shape[3]))",
                     "max_pool_naive", "config-hardcoded"),
    "windows that tile only": (POOL, "keepdims=True)", "keepdims=True).repeat(S, 2).repeat(S, 3)",
                               "max_pool_naive", "config-hardcoded"),
    "before a penalty is added": (LOOP, "p) / len(X)", "p**3) / len(X)", "softmax_loss", "wrong-term"),
    "not summed": (NORM, "(dxhat * (x - mean)).sum(axis=0) * -0.5 / std**3", "dxhat * (x - mean) * -0.5 / std**2",
                   "batchnorm", "wrong-term"),
    "a sum left out of forward": (NORM, "var = x.var(axis=0)", "var = (x - mean) ** 2 / len(x)",
                                  "batchnorm", "forward-mismatch"),
    "a view written into": (POOL, BEST, BEST.replace("best = ", "window[:] = ").replace("best", "window"),
                            "max_pool_naive", "mutates-cache"),
    "a gradient of another penalty": (LOSS, "/ N + reg * W", "/ N + 2 * reg * W", "softmax_loss", "regularization"),
    "a loop that does nothing": (POOL, STORE, "pass", "max_pool_naive", "unfinished"),
    "a mask for a gradient": (RELU, "dout * (x > 0)", "(x > 0)", "relu", "ignores-dout"),
    "one sample's gradient": (AFFINE, "db = dout.sum(axis=0)", "db = dout[0]", "affine", "last-sample-only"),
    "one-hot added": (SCORES, "y] -= 1", "y] += 1", "softmax_loss", "scale-sign"),
    "one sum for all rows in forward": (SCORES, "p.sum(axis=1, keepdims=True)", "p.sum()", "softmax_loss",
                                        "forward-mismatch"),
    "all columns of the labels": (SCORES, "dx[np.arange(N), y]", "dx[:, y]", "softmax_loss", "wrong-term"),
    "a factor left out of a part": (LSTM, "dc * g * i * (1 - i)", "dc * g * (1 - i)", "lstm_step", "wrong-term"),
    "rows not flattened": (NORM + SPATIAL, "rows = dout.transpose(0, 2, 3, 1)\n", "rows = dout.copy()\n",
                           "spatial_batchnorm", "raises"),
}  # fmt: skip


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


def test_a_fix_does_not_hide_the_cause_that_numbers_tell(report_of):
    report = report_of(CLOSED.replace("(xhat, std,", "(xhat, np.sqrt(var),"), "batchnorm")
    assert report.cause == "wrong-eps"
    assert [edit["after"].strip() for edit in report.why.edits] == ["cache = (xhat, std, gamma)"]


def test_a_path_of_the_wrong_size_is_not_one_left_out(report_of):
    text = NORM.replace("/ len(x)", "/ x.shape[1]")
    assert report_of(text, "batchnorm", repair=0).cause == "wrong-term"


def test_eps_beside_the_root_of_a_forward_is_told_as_such(report_of):
    text = CLOSED.replace("std = np.sqrt(var + eps)", "std = np.sqrt(var) + eps").replace("gamma)", "gamma, var, eps)")
    text = text.replace("std, gamma = cache", "std, gamma, var, eps = cache\n    std = np.sqrt(var + eps)")
    assert report_of(text, "batchnorm", repair=0).cause == "wrong-eps"


def test_where_only_a_penalty_is_written_the_rest_is_to_follow(report_of):
    report = report_of(LOOP.replace("        dW += np.outer(X[i], p) / len(X)\n", ""), "softmax_loss", repair=0)
    assert report.cause == "unfinished"
    assert report.why.statement == "dW += 2 * reg * W"


def test_what_is_wrong_is_told_before_what_raises_elsewhere(report_of):
    text = POOL.replace("+= best", "= best").replace(
        "dx = np.zeros(x.shape)", "dx = np.zeros(x.shape)\n    assert HH < 3"
    )
    report = report_of(text, "max_pool_naive", repair=0)
    assert (report.verdict, report.cause) == ("error", "overwritten")
    assert "= best" in report.why.statement


def test_what_raises_is_told_before_what_is_wrong_where_nothing_is_right(report_of):
    text = POOL.replace("+= best", "= best").replace(
        "dx = np.zeros(x.shape)", "dx = np.zeros(x.shape)\n    assert S == 1"
    )
    report = report_of(text, "max_pool_naive", repair=0)
    assert report.cause == "config-hardcoded"  # and not "overwritten"
    assert report.why.statement == "assert S == 1"


def test_where_it_raises_is_told_before_where_it_is_wrong(report_of):
    text = LOOP.replace("len(X)\n    loss", "len(X)\n    assert len(X) == 1\n    loss").replace(
        "X[i], p)", "X[i], p**3)"
    )
    report = report_of(text, "softmax_loss", repair=0)
    assert report.verdict == "error"
    assert report.why.statement == "assert len(X) == 1"


@pytest.mark.parametrize("wrong", ["x", "(x < 0)"])
def test_a_fix_is_written_where_the_mistake_is(wrong, report_of):
    text = RELU.replace("dout, x):\n    dx", "dout, cache):\n    x = cache\n    dx").replace("(x > 0)", wrong)
    (edit,) = report_of(text, "relu").why.edits
    assert edit["after"].strip() == "dx = dout * (x > 0)"


@pytest.mark.parametrize(
    ("new", "suggestion"), [("dout[0]", "db = dout.sum(axis=0)"), ("dout.sum(axis=0)[:-1]", "return all of b.shape")]
)
def test_a_hint_is_about_the_code_at_hand(new, suggestion, report_of):
    report = report_of(AFFINE.replace("dout.sum(axis=0)", new), "affine", repair=0)
    assert report.why.suggestion == suggestion
    assert "pad" not in str(report)


def test_a_name_that_is_not_packed_is_told_where_it_is_used(report_of):
    text = NORM.replace("mean, var, eps)", "mean, var)").replace("mean, var, eps = cache", "mean, var = cache")
    report = report_of(text, "batchnorm")
    assert report.cause == "undefined-name"
    assert report.line == 15
    assert [edit["line"] for edit in report.why.edits] == [10, 14]


def test_a_search_that_is_given_up_is_no_proof_that_there_is_no_edit(report_of):
    report = report_of(RELU.replace("(x > 0)", "x"), "relu", repair=1e-6)
    assert "given up" in report.format(tell="fix")
    assert "given up" not in report_of(RELU.replace("(x > 0)", "x"), "relu", repair=0).format(tell="fix")


SVM = """\
def svm_loss(x, y):
    N = len(x)
    margins = np.maximum(0, x - x[np.arange(N), y][:, None] + 1)
    margins[np.arange(N), y] = 0
    dx = (margins > 0).astype(float)
    dx[np.arange(N), y] = -dx.sum(axis=1)
    return margins.sum() / N, dx / N
"""
SWISH = """\
def swish_forward(x):
    s = 1 / (1 + np.exp(-x))
    cache = (x, s)
    s *= x
    return s, cache

def swish_backward(dout, cache):
    x, s = cache
    return dout * (s + x * s * (1 - s))
"""


def test_at_the_labels_of_an_svm_there_is_more_to_subtract_than_1(report_of):
    report = report_of(SVM.replace("= -dx.sum(axis=1)", "= -1"), "svm_loss", repair=0)
    assert report.cause == "wrong-term"
    assert "minus the sum" in report.why.suggestion


def test_what_forward_writes_into_after_it_is_cached_is_told_there(report_of):
    report = report_of(SWISH, "swish")
    assert report.cause == "mutates-cache"
    assert report.why.statement == "s *= x"


def test_a_flat_index_split_by_exchanged_sizes_is_a_wrong_index(report_of):
    text = (
        POOL[: POOL.index("            best =")]
        + """\
            for n, c in np.ndindex(x.shape[:2]):
                r, k = np.unravel_index(window[n, c].argmax(), (WW, HH))
                dx[n, c, i * S + r, j * S + k] += dout[n, c, i, j]
    return dx
"""
    )
    report = report_of(text, "max_pool_naive")
    assert (report.cause, len(report.why.edits)) == ("wrong-index", 1)
