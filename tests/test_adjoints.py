"""The line: every statement of a staged backward is broken once, and is the one that is accused."""

import textwrap

import numpy as np
import pytest

from gradcheck import cs231n
from gradcheck.adjoints import accuse
from gradcheck.case import case_of
from gradcheck.discover import discover
from gradcheck.instrument import watched
from gradcheck.load import sandboxed

STAGED = """\
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    eps = bn_param.get("eps", 1e-5)
    mu = x.mean(axis=0)
    xmu = x - mu
    var = np.mean(xmu**2, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1 / sqrtvar
    xhat = xmu * ivar
    out = gamma * xhat + beta
    return out, (xhat, gamma, xmu, ivar, sqrtvar)

def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar = cache
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    divar = (dxhat * xmu).sum(axis=0)
    dsqrtvar = -divar / sqrtvar**2
    dvar = 0.5 * dsqrtvar * ivar
    dxmu = dxhat * ivar + 2 / N * xmu * dvar
    dmu = -dxmu.sum(axis=0)
    dx = dxmu + dmu / N
    return dx, dgamma, dbeta
"""
LOOP = """\
import numpy as np

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    prev = h0
    for t in range(T):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, h)

def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    db, dprev = 0, 0
    for t in reversed(range(x.shape[1])):
        before = h[:, t - 1] if t else h0
        da = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += before.T @ da
        db = db + da.sum(axis=0)
        dprev = da @ Wh.T
    return dx, dprev, dWx, dWh, db
"""
LOSS = """\
import numpy as np

def softmax_loss(x, y):
    N = len(x)
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).mean()
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx
"""
OTHER_SIGN = STAGED.replace("dmu = -dxmu", "dmu = dxmu").replace("dxmu + dmu / N", "dxmu - dmu / N")
ATTENTION = """\
import numpy as np

def attention_forward(q, k, v):
    s = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    s = np.where(np.tri(*s.shape[1:], dtype=bool), s, -1e9)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return p @ v, (q, k, v, p)

def attention_backward(dout, cache):
    q, k, v, p = cache
    dv = p.transpose(0, 2, 1) @ dout
    dp = dout @ v.transpose(0, 2, 1)
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
    ds /= np.sqrt(q.shape[-1])
    dq = ds @ k
    dk = ds.transpose(0, 2, 1) @ q
    return dq, dk, dv
"""
GRU = """\
import numpy as np

def gru_step_forward(x, h, Wx, Wh, b):
    \"\"\"
    - x: of shape (N, D)
    - h: of shape (N, H)
    - Wx: of shape (D, 3H)
    - Wh: of shape (H, 3H)
    - b: of shape (3H,)
    \"\"\"
    H = h.shape[1]
    ax, ah = x @ Wx + b, h @ Wh
    r = 1 / (1 + np.exp(-ax[:, :H] - ah[:, :H]))
    z = 1 / (1 + np.exp(-ax[:, H : 2 * H] - ah[:, H : 2 * H]))
    n = np.tanh(ax[:, 2 * H :] + r * ah[:, 2 * H :])
    return (1 - z) * n + z * h, (x, h, Wx, Wh, r, z, n, ah[:, 2 * H :])

def gru_step_backward(dout, cache):
    x, h, Wx, Wh, r, z, n, hn = cache
    daz = dout * (h - n) * z * (1 - z)
    dan = dout * (1 - z) * (1 - n**2)
    dar = dan * hn * r * (1 - r)
    dax = np.hstack([dar, daz, dan])
    dah = np.hstack([dar, daz, dan * r])
    return dax @ Wx.T, dah @ Wh.T + dout * z, x.T @ dax, h.T @ dah, dax.sum(axis=0)
"""


def accused(tmp_path, text, setting=0):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text))
    with sandboxed(path):
        (pair,) = discover(path).pairs
        return accuse(case_of(pair, cs231n.plan(pair).settings[setting]))


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        (STAGED, "dbeta = dout.sum(axis=0)", "dbeta = dout.mean(axis=0)"),
        (STAGED, "dgamma = (dout * xhat)", "dgamma = (dout * xmu)"),
        (STAGED, "dxhat = dout * gamma", "dxhat = dout"),
        (STAGED, "(dxhat * xmu).sum(axis=0)", "(dxhat * xhat).sum(axis=0)"),
        (STAGED, "dsqrtvar = -divar / sqrtvar**2", "dsqrtvar = -divar / sqrtvar"),
        (STAGED, "dvar = 0.5 * dsqrtvar", "dvar = dsqrtvar"),
        (STAGED, "+ 2 / N * xmu * dvar", "+ 1 / N * xmu * dvar"),
        (STAGED, "dmu = -dxmu", "dmu = dxmu"),
        (STAGED, "dx = dxmu + dmu / N", "dx = dxmu + dmu"),
        (LOOP, "dx[:, t] = da @ Wx.T", "dx[:, t] = dh[:, t] @ Wx.T"),
        (LOOP, "dWx += x", "dWx = x"),
        (LOOP, "db = db + da.sum(axis=0)", "db = da.sum(axis=0)"),
        (LOSS, "dx[np.arange(N), y] -= 1", "dx[np.arange(N), y] += 1"),
        (LOSS, "dx /= N", "dx /= N + 1"),
        (STAGED, "dmu = -dxmu.sum(axis=0)", "dmu = -dxmu.sum(axis=1, keepdims=True)"),
        (OTHER_SIGN, "dx = dxmu - dmu / N", "dx = dxmu - dmu"),
        (ATTENTION, "(dp * p).sum(", "dp.mean("),
        (ATTENTION, "dk = ds.transpose(0, 2, 1) @ q", "dk = ds.transpose(0, 2, 1) @ (q + 1)"),
        (GRU, "dan * r]", "dan]"),
    ],
)
def test_the_broken_statement_is_the_one_accused(tmp_path, text, right, wrong):
    broken = text.replace(right, wrong)
    assert broken != text
    found = accused(tmp_path, broken)
    line = next(i for i, (a, b) in enumerate(zip(text.split("\n"), broken.split("\n")), 1) if a != b)
    assert found.line == line
    assert found.statement == broken.split("\n")[line - 1].strip()


def test_what_comes_before_is_cleared_by_name(tmp_path):
    found = accused(tmp_path, STAGED.replace("dvar = 0.5 * dsqrtvar", "dvar = dsqrtvar"))
    assert found.cleared == ["dbeta", "dgamma", "dxhat", "divar", "dsqrtvar"]
    assert found.text.startswith("dbeta, dgamma, dxhat, divar, dsqrtvar right; dvar wrong, line 22: dvar = ")


def test_a_right_backward_is_not_accused(tmp_path):
    for text in (STAGED, LOOP, LOSS, OTHER_SIGN, ATTENTION, GRU):
        assert accused(tmp_path, text) is None


def test_underscores_and_other_prefixes_name_gradients_too(tmp_path):
    text = STAGED
    for name in ("xhat", "ivar", "sqrtvar", "var", "xmu", "mu"):
        text = text.replace(f"    d{name} =", f"    grad_{name} =").replace(f"d{name} ", f"grad_{name} ")
        text = text.replace(f"d{name}.", f"grad_{name}.").replace(f"(d{name}", f"(grad_{name}")
    text = text.replace("-divar", "-grad_ivar").replace("-dxmu", "-grad_xmu").replace("* dvar\n", "* grad_var\n")
    assert accused(tmp_path, text) is None
    assert accused(tmp_path, text.replace("grad_var = 0.5 *", "grad_var =")).name == "grad_var"


def test_a_variable_rebuilt_without_its_eps_is_accused_itself(tmp_path):
    text = STAGED.replace(
        "    N = dout.shape[0]\n", "    N = dout.shape[0]\n    ivar = 1 / np.sqrt(sqrtvar**2 - 1e-5)\n"
    )
    found = accused(tmp_path, text)
    assert (found.name, found.line) == ("ivar", 17)


def test_the_statement_of_an_unnamed_gradient_is_the_return(tmp_path):
    text = """
    def affine_forward(x, w, b):
        return x.reshape(len(x), -1) @ w + b, (x, w)
    def affine_backward(dout, cache):
        x, w = cache
        return (
            (dout @ w.T).reshape(x.shape),
            x.reshape(len(x), -1).T @ dout,
            dout.mean(axis=0),
        )
    """
    found = accused(tmp_path, text)
    assert (found.line, found.name, found.certain) == (9, "the gradient of b", False)


def test_where_it_raises_a_wrong_statement_before_is_accused(tmp_path):
    text = STAGED.replace("dxhat = dout * gamma", "dxhat = dout").replace("dx = dxmu", "dx = undefined")
    assert accused(tmp_path, text).name == "dxhat"


def test_watching_changes_nothing_and_sees_every_assignment():
    seen = []

    def watch(name, line, in_part, value):
        seen.append((name, in_part))
        return value

    assert watched(_sample, watch)(3) == _sample(3)
    assert seen == [("a", False), ("b", False), ("c", False), ("a", True), *[("c", True)] * 3, ("d", False)]


def test_a_function_without_source_is_refused():
    with pytest.raises(ValueError, match="must have its source in a file"):
        watched(np.tanh, lambda *event: event[-1])


def _sample(n):
    a, (b, c) = n, (2, [0] * n)
    a += 1
    for i in range(n):
        c[i] = i
    d: int = a + b
    return a, b, c, d
