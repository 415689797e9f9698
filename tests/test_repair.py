"""A wrong backward is mended on its wrong line, and what mends it holds; nothing else is touched."""

import itertools
import textwrap
import time
from pathlib import Path

import pytest

from gradcheck.cs231n import plan
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.program import Clock
from gradcheck.repair import repair
from gradcheck.rewrite import Edit, apply
from gradcheck.sweep import sweep

AFFINE = """
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
"""
NORM = """
def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mean, var = x.mean(axis=0), x.var(axis=0)
    xhat = (x - mean) / np.sqrt(var + eps)
    cache = (xhat, gamma, var, eps)
    return gamma * xhat + beta, cache

def batchnorm_backward(dout, cache):
"""
LAYER = """
def layernorm_forward(x, gamma, beta, ln_param):
    eps = ln_param.get("eps", 1e-5)
    std = np.sqrt(x.var(axis=1, keepdims=True) + eps)
    xhat = (x - x.mean(axis=1, keepdims=True)) / std
    return gamma * xhat + beta, (xhat, gamma, std)

def layernorm_backward(dout, cache):
    xhat, gamma, std = cache
"""
CONV = """
def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, C, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = 1 + (xp.shape[2] - HH) // stride, 1 + (xp.shape[3] - WW) // stride
    out = np.zeros((len(x), F, rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = xp[:, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
            out[:, :, i, j] = np.tensordot(window, w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, b, conv_param, xp)

def conv_backward(dout, cache):
    x, w, b, conv_param, xp = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, C, HH, WW = w.shape
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
"""
POOL = """
def max_pool_forward(x, pool_param):
    s, HH, WW = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
    out = np.zeros((*x.shape[:2], 1 + (x.shape[2] - HH) // s, 1 + (x.shape[3] - WW) // s))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * s:i * s + HH, j * s:j * s + WW].max(axis=(2, 3))
    return out, (x, out, pool_param)

def max_pool_backward(dout, cache):
    x, out, pool_param = cache
    s, HH, WW = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * s:i * s + HH, j * s:j * s + WW]
            mask = window == out[:, :, i, j][:, :, None, None]
"""
IMAGES = """
def centred_forward(x):
    return x - x.mean(axis=(0, 2, 3), keepdims=True), x

def centred_backward(dout, x):
    N, C, H, W = x.shape
"""
DROPOUT = """
def dropout_forward(x, dropout_param):
    p = dropout_param["p"]
    mask = np.random.rand(*x.shape) < p if dropout_param["mode"] == "train" else None
    return (x * mask / p if mask is not None else x), (dropout_param, mask)

def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "test":
        return dout
"""
LOSS = """
def softmax_loss_vectorized(W, X, y, reg):
    N = X.shape[0]
    scores = X @ W
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).mean() + reg * np.sum(W * W)
    p[np.arange(N), y] -= 1
"""
SUM = """
def running_forward(x):
    \"\"\"x: Input, of shape (N, T)\"\"\"
    h = np.zeros((x.shape[0], x.shape[1] + 1))
    for t in range(x.shape[1]):
        h[:, t + 1] = np.tanh(x[:, t] + h[:, t])
    return h[:, 1:], h

def running_backward(dout, h):
    dx, dh = np.zeros_like(dout), np.zeros(len(dout))
"""

# Kind of the edit, and a pair; the wrong line bears a comment.
WRONG = {
    "name": AFFINE
    + """
    x, w, b = cache
    dx = dout.dot(weights.T).reshape(x.shape)  # wrong
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "call": AFFINE
    + """
    x, w, b = cache
    dx = (dout @ w.T).reshape(x.shape())  # wrong
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "cache-order": AFFINE
    + """
    w, x, b = cache  # wrong
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "keepdims": AFFINE
    + """
    x, w, b = cache
    db = dout.sum(axis=0, keepdims=True)  # wrong
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, db
""",
    "reshape": AFFINE
    + """
    x, w, b = cache
    dx = dout @ w.T  # wrong
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "order": AFFINE
    + """
    x, w, b = cache
    dx, dw = (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout
    return dw, dx, dout.sum(axis=0)  # wrong
""",
    "transpose": AFFINE
    + """
    x, w, b = cache
    dx = (dout @ w).reshape(x.shape)  # wrong
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "function": AFFINE
    + """
    x, w, b = cache
    db = dout.mean(axis=0)  # wrong
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, db
""",
    "cached": NORM.replace("xhat, gamma, var", "xhat, var")
    + """
    xhat, var, eps = cache  # wrong
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / np.sqrt(var + eps)
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "eps": NORM
    + """
    xhat, gamma, var, eps = cache
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / np.sqrt(var)  # wrong
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "rename": NORM
    + """
    xhat, gamma, var, eps = cache
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * (dout * xhat).mean(axis=0)) / np.sqrt(var + eps)  # wrong
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "axis": LAYER
    + """
    dxhat = dout * gamma
    mean = dxhat.mean(axis=0, keepdims=True)  # wrong
    dx = (dxhat - mean - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)) / std
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "inside": LAYER
    + """
    dx = gamma * (dout - dout.mean(1, keepdims=True) - xhat * (dout * xhat).mean(1, keepdims=True)) / std  # wrong
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "crop": CONV
    + """
            rows, columns = slice(i * stride, i * stride + HH), slice(j * stride, j * stride + WW)
            dxp[:, :, rows, columns] += np.tensordot(dout[:, :, i, j], w, 1)
            dw += np.tensordot(dout[:, :, i, j].T, xp[:, :, rows, columns], 1)
    dx = dxp[:, :, pad:-pad, pad:-pad]  # wrong
    return dx, dw, db
""",
    "stride": CONV
    + """
            dxp[:, :, i:i + HH, j:j + WW] += np.tensordot(dout[:, :, i, j], w, 1)  # wrong
            dw += np.tensordot(dout[:, :, i, j].T, xp[:, :, i * stride:i * stride + HH, j * stride:j * stride + WW], 1)
    return dxp[:, :, pad:pad + H, pad:pad + W], dw, db
""",
    "accumulate": POOL
    + """
            dx[:, :, i * s:i * s + HH, j * s:j * s + WW] = mask * dout[:, :, i, j][:, :, None, None]  # wrong
    return dx
""",
    "one-hot": LOSS.replace("    p[np.arange(N), y] -= 1\n", "")
    + """
    dscores = p  # wrong
    return loss, X.T @ dscores / N + 2 * reg * W
""",
    "exchange": POOL
    + """
            dx[:, :, i * s:i * s + WW, j * s:j * s + HH] += mask * dout[:, :, i, j][:, :, None, None]  # wrong
    return dx
""",
    "scale": DROPOUT
    + """
    return dout * mask  # wrong
""",
    "count": IMAGES
    + """
    mean = dout.sum(axis=(0, 2, 3), keepdims=True) / N  # wrong
    return dout - mean
""",
    "sum": NORM
    + """
    xhat, gamma, var, eps = cache
    N, dxhat = len(dout), dout * gamma
    parts = [xhat, gamma]  # of several shapes
    dmean = dxhat  # wrong
    dx = (dxhat - dmean / N - xhat * (dxhat * xhat).mean(axis=0)) / np.sqrt(var + eps)
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
""",
    "loop": SUM
    + """
    for t in range(dout.shape[1]):  # wrong
        dh = (dh + dout[:, t]) * (1 - h[:, t + 1] ** 2)
        dx[:, t] = dh
    return dx
""",
    "drop": """
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    return dout * (x > 0) * x  # wrong
""",
    "compare": """
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    return dout * (x < 0)  # wrong
""",
    "derivative": """
def tanh_forward(x):
    out = np.tanh(x)
    return out, out

def tanh_backward(dout, out):
    dx = dout  # wrong
    return dx
""",
    "operator": """
def tanh_forward(x):
    out = np.tanh(x)
    return out, out

def tanh_backward(dout, out):
    return dout * (1 + out ** 2)  # wrong
""",
    "constant": """
def cube_forward(x):
    return x ** 3, x

def cube_backward(dout, x):
    return 3 * x ** 3 * dout  # wrong
""",
    "term": """
def residual_forward(x):
    \"\"\"x: Input, of shape (N, D)\"\"\"
    out = np.tanh(x)
    return x + out, out

def residual_backward(dout, cache):
    return dout * (1 - cache ** 2)  # wrong
""",
    "keep": AFFINE
    + """
    x, w, b = cache
    dx = dout @ w.T
    dx.reshape(x.shape)  # wrong
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
""",
    "dtype": AFFINE
    + """
    x, w, b = cache
    dw = np.zeros(w.shape, dtype=int)  # wrong
    for n in range(len(x)):
        dw += np.outer(x[n], dout[n])
    return (dout @ w.T).reshape(x.shape), dw, dout.sum(axis=0)
""",
    "constants": CONV.replace("conv_param, xp\n", "conv_param\n").replace(
        ", xp = cache", " = cache\n    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))  # wrong"
    )
    + """
            window = np.s_[:, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
            dw += np.tensordot(dout[:, :, i, j], xp[window], (0, 0))
            dxp[window] += np.tensordot(dout[:, :, i, j], w, (1, 0))
    return dxp[:, :, pad:pad + H, pad:pad + W], dw, db
""",
    "copy": """
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    dx = dout  # wrong
    dx[x <= 0] = 0
    return dx
""",
}
CAUSES = {
    "accumulate": "overwritten", "keepdims": "shape-keepdims", "crop": "shape-cropped", "cache-order": "wrong-cache",
    "eps": "wrong-eps", "reshape": "shape-not-restored", "order": "swapped-gradients", "scale": "scale-keep",
    "compare": "wrong-mask", "axis": "wrong-axis", "copy": "mutates-dout", "keep": "unfinished",
    "dtype": "wrong-dtype", "exchange": "config-hardcoded",
}  # fmt: skip


@pytest.fixture
def pair_in(tmp_path):
    """The only pair of a file with this text."""

    def load(text):
        path = tmp_path / "mine.py"
        path.write_text("import numpy as np\n" + textwrap.dedent(text))
        with sandboxed(path):
            (pair,) = discover(path).pairs
        return pair

    return load


def mended(pair, **options):
    return repair(pair, plan(pair).settings, seconds=20, **options)


def numbered(pair, mark):
    """The number of the line that bears a mark."""
    return next(i for i, line in enumerate(Path(pair.file).read_text().splitlines(), 1) if mark in line)


@pytest.mark.parametrize("kind", WRONG)
def test_the_wrong_line_is_mended_and_the_mended_file_passes(kind, pair_in):
    pair = pair_in(WRONG[kind])
    before = Path(pair.file).read_text()
    found = mended(pair)
    assert found is not None
    assert numbered(pair, "# wrong") in [edit.line for edit in found.edits]
    assert Path(pair.file).read_text() == before
    lines = before.split("\n")
    for edit in found.edits:
        assert lines[edit.line - 1] == edit.before
        lines[edit.line - 1] = edit.after
    again = pair_in("\n".join(lines[1:]))
    assert sweep(again).verdict == "pass"


@pytest.mark.parametrize("kind", CAUSES)
def test_the_kind_of_the_edit_tells_the_cause(kind, pair_in):
    found = mended(pair_in(WRONG[kind]))
    assert (found.kind, found.cause) == (kind, CAUSES[kind])


@pytest.mark.parametrize(("right", "wrong"), [("dout * out", "-dout * out"), ("dout * out", "dout * out / len(out)")])
def test_what_is_too_much_is_left_out_rather_than_undone_by_more(right, wrong, pair_in):
    pair = pair_in(f"""
def exp_forward(x):
    out = np.exp(x)
    return out, out

def exp_backward(dout, out):
    dx = {wrong}
    return dx
""")
    assert [edit.after.strip() for edit in mended(pair).edits] == [f"dx = {right}"]


def test_indices_that_repeat_are_all_added(pair_in):
    pair = pair_in("""
def word_embedding_forward(x, W):
    return W[x], (x, W)

def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    dW[x] += dout  # wrong
    return dW
""")
    (edit,) = mended(pair).edits
    assert edit.line == numbered(pair, "# wrong")
    assert "np.add.at(dW, x, dout)" in edit.after


def test_a_pad_that_is_written_as_a_number_is_named(pair_in):
    text = WRONG["crop"].replace("pad:-pad, pad:-pad", "1:-1, 1:-1")
    found = mended(pair_in(text))
    assert found.cause == "config-hardcoded"
    assert "pad:-pad or None, pad:-pad or None" in found.edits[0].after


@pytest.mark.parametrize("body", ["dout[x <= 0] = 0\n    return dout", "dout *= x > 0\n    return dout"])
def test_dout_that_is_written_into_is_copied(body, pair_in):
    pair = pair_in(f"""
def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    {body}
""")
    assert sweep(pair).cause == "mutates-dout"
    assert mended(pair).kind == "copy"


def test_a_cache_that_is_used_up_is_copied_first(pair_in):
    pair = pair_in("""
def double_tanh_forward(x):
    a = np.tanh(x)
    out = np.tanh(a)
    return out, [a, out]

def double_tanh_backward(dout, cache):
    dx = dout
    while cache:
        dx = dx * (1 - cache.pop() ** 2)
    return dx
""")
    assert mended(pair).edits[0].after.strip() == "cache = cache.copy(); dx = dout"


def test_of_a_loss_only_the_gradient_is_mended(pair_in):
    pair = pair_in(LOSS + "    return loss, X.T @ p / N + reg * W  # wrong\n")
    found = mended(pair)
    assert (found.cause, found.edits[0].line) == ("regularization", numbered(pair, "# wrong"))


def test_a_penalty_that_the_gradient_leaves_out_is_added(pair_in):
    found = mended(pair_in(LOSS + "    dW = X.T @ p / N  # wrong\n    return loss, dW\n"))
    assert found.cause == "regularization"
    assert "2 * reg * W" in found.edits[0].after


def test_of_margins_each_label_gets_the_sum(pair_in):
    found = mended(
        pair_in("""
def svm_loss(x, y):
    N = len(x)
    margins = np.maximum(0, x - x[np.arange(N), y][:, None] + 1)
    margins[np.arange(N), y] = 0
    loss = margins.sum() / N
    margins[margins > 0] = 1
    dx = margins  # wrong
    dx /= N
    return loss, dx
""")
    )
    assert found.cause == "missing-one-hot"
    assert "dx[np.arange(len(dx)), y] -= dx.sum(axis=1)" in found.edits[0].after


def test_a_mistake_in_a_helper_is_mended_there(pair_in):
    pair = pair_in(
        """
def column_sums(a):
    return a.sum(axis=0, keepdims=True)  # wrong
"""
        + AFFINE
        + """
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, column_sums(dout)
"""
    )
    assert mended(pair).edits[0].line == numbered(pair, "# wrong")


def test_a_factor_that_is_lacking_twice_is_put_in_at_both_places(pair_in):
    pair = pair_in("""
def twice_forward(x):
    return np.hstack((x**2 + x, x**2 + x)), x

def twice_backward(dout, x):
    left, right = np.hsplit(dout, 2)
    dx = left + right
    d = left
    dx += d * x
    d = right
    dx += d * x
    return dx
""")
    assert [edit.after.strip() for edit in mended(pair).edits] == ["dx += 2 * d * x"] * 2


def test_one_mistake_made_twice_is_mended_twice(pair_in):
    pair = pair_in(
        LAYER
        + """
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(1, keepdims=True) - xhat * (dxhat * xhat).mean(1, keepdims=True)) / std
    dgamma = np.sum(dout * xhat, axis=0, keepdims=True)
    dbeta = np.sum(dout, axis=0, keepdims=True)
    return dx, dgamma, dbeta
"""
    )
    assert len(mended(pair).edits) == 2


def test_two_different_mistakes_are_mended_together(pair_in):
    pair = pair_in(
        AFFINE
        + """
    x, w, b = cache
    dx = dout @ w.T  # wrong
    db = dout.mean(axis=0)  # wrong too
    return dx, x.reshape(len(x), -1).T @ dout, db
"""
    )
    lines = [edit.line for edit in mended(pair).edits]
    assert lines == [numbered(pair, "# wrong"), numbered(pair, "# wrong too")]


def test_of_several_edits_that_mend_the_one_on_a_suspect_line_is_taken(pair_in):
    pair = pair_in("""
def half_forward(x):
    return 0.5 * np.tanh(x), np.tanh(x)

def half_backward(dout, cache):
    slope = 1 - cache ** 2  # one
    return dout * slope  # two
""")
    for mark in ("# one", "# two"):
        line = numbered(pair, mark)
        assert [edit.line for edit in mended(pair, suspects=[line]).edits] == [line]


def test_what_is_over_several_lines_is_mended_line_by_line(pair_in):
    pair = pair_in(
        LAYER
        + """
    dxhat = dout * gamma
    dx = (
        dxhat
        + dxhat.mean(axis=1, keepdims=True)  # wrong
        - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)
    ) / std
    return dx, np.sum(dout * xhat, axis=0), dout.sum(axis=0)
"""
    )
    (edit,) = mended(pair).edits
    assert edit.line == numbered(pair, "# wrong")
    assert edit.after == edit.before.replace("+", "-")


def test_columns_are_right_behind_letters_of_several_bytes(pair_in):
    pair = pair_in(
        AFFINE
        + """
    x, w, b = cache
    größe, db = "äöü", dout.sum(axis=0, keepdims=True)  # wrong
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, db
"""
    )
    assert "keepdims=False" in mended(pair).edits[0].after


def test_a_right_pair_and_an_unwritten_one_are_left_alone(pair_in):
    right = """
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""
    assert mended(pair_in(AFFINE + right)) is None
    assert mended(pair_in(AFFINE + "    raise NotImplementedError")) is None


def test_what_no_edit_mends_is_given_up(pair_in):
    pair = pair_in(
        AFFINE
        + """
    x, w, b = cache
    rng = np.random.default_rng(0)
    return rng.random(x.shape), rng.random(w.shape), rng.random(b.shape)
"""
    )
    assert repair(pair, plan(pair).settings, seconds=0.5) is None


def test_nothing_is_found_in_no_time_and_the_clock_knows(pair_in):
    pair = pair_in(WRONG["keepdims"])
    clock = Clock(0)
    assert repair(pair, plan(pair).settings, clock=clock) is None
    assert clock.ran_out


def test_what_is_found_does_not_depend_on_what_else_the_machine_does(pair_in, monkeypatch):
    for name in ("time", "perf_counter", "monotonic"):
        monkeypatch.setattr(time, name, itertools.count(0.0, 1000.0).__next__)
    assert mended(pair_in(WRONG["keepdims"])) is not None


def test_an_edit_that_makes_a_loop_endless_is_stopped(pair_in):
    pair = pair_in("""
def halving_forward(x):
    return x / 8, None

def halving_backward(dout, cache):
    dx, k = dout, 0
    while k < 2:
        k = k + 1
        dx = dx / 2
    return dx  # wrong
""")
    assert mended(pair) is not None  # among what is tried is k = k - 1


def test_edits_are_written_beside_a_backup(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = '\xc3\xa9\x0c'\r\nc = 3")
    apply(path, [Edit(2, "b = 'é\x0c'", "b = 'è\x0c'"), Edit(3, "c = 3", "c = 4")])
    assert path.read_bytes() == b"\xef\xbb\xbfa = 1\r\nb = '\xc3\xa8\x0c'\r\nc = 4"
    assert (tmp_path / "mine.py.bak").read_bytes() == b"\xef\xbb\xbfa = 1\r\nb = '\xc3\xa9\x0c'\r\nc = 3"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.py", "mine.py.bak"]


def test_a_file_that_has_changed_since_is_not_written(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("a = 1\nb = 2\n")
    with pytest.raises(ValueError, match="line 2"):
        apply(path, [Edit(1, "a = 1", "a = 3"), Edit(2, "b = 3", "b = 4")])
    assert path.read_text() == "a = 1\nb = 2\n"
    assert not (tmp_path / "mine.py.bak").exists()
