"""The smallest case: it fails in the same way, has few and short numbers, and its test can be pasted."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradcheck import cs231n
from gradcheck.case import case_of
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.shrink import as_test, at, shrink

ROOT = Path(__file__).resolve().parents[1]
AFFINE = """
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.mean(axis=0)
"""
LAYERNORM = """
import numpy as np

def layernorm_forward(x, gamma, beta, ln_param):
    mu, var = x.mean(axis=1, keepdims=True), x.var(axis=1, keepdims=True)
    std = np.sqrt(var + ln_param.get("eps", 1e-5))
    xhat = (x - mu) / std
    return gamma * xhat + beta, (xhat, gamma, std)

def layernorm_backward(dout, cache):
    xhat, gamma, std = cache
    d = dout * gamma
    dx = (d - xhat * (d * xhat).mean(axis=1, keepdims=True)) / std
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)
"""
POOL = """
import numpy as np

def pool_forward(x, pool_param):
    k, s = pool_param["pool_height"], pool_param["stride"]
    H = (x.shape[2] - k) // s + 1
    out = np.zeros((*x.shape[:2], H, H))
    for i in range(H):
        for j in range(H):
            out[:, :, i, j] = x[:, :, i * s : i * s + k, j * s : j * s + k].max(axis=(2, 3))
    return out, (x, out, k, s)

def pool_backward(dout, cache):
    x, out, k, s = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * s : i * s + k, j * s : j * s + k]
            mask = window == out[:, :, i, j][:, :, None, None]
            dx[:, :, i * s : i * s + k, j * s : j * s + k] = mask * dout[:, :, i, j][:, :, None, None]
    return dx
"""


def failing(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with sandboxed(path):
        (pair,) = discover(path).pairs
    for setting in cs231n.plan(pair).settings:
        try:
            case = case_of(pair, setting)
        except (ValueError, IndexError):
            continue
        if case.wrong:
            return case
    raise AssertionError("nothing is wrong")


@pytest.mark.parametrize(
    ("text", "largest"), [(AFFINE, 4), (LAYERNORM, 3), (POOL, 5)], ids=["affine", "layernorm", "pool"]
)
def test_it_is_small_and_fails_in_the_same_way(tmp_path, text, largest):
    case = failing(tmp_path, text)
    small = shrink(case)
    assert small.wrong == case.wrong
    for value in small.arguments:
        if isinstance(value, np.ndarray):
            assert max(value.shape) <= largest
            assert np.array_equal(value, value.round(2))
            assert not np.isin(value, (0, 1)).any()


GATES = """
import numpy as np

def gates_forward(x, h, w):
    H = h.shape[1]
    a = x @ w
    return a[:, :H] * a[:, H : 2 * H] * a[:, 2 * H : 3 * H] * a[:, 3 * H :] + h, None

def gates_backward(dout, cache):
    pass
"""


def test_four_gates_stay_four_of_one_width(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GATES)
    with sandboxed(path):
        (pair,) = discover(path).pairs
    rng = np.random.default_rng(0)
    small = shrink(at(pair, (rng.standard_normal((3, 7)), rng.standard_normal((3, 5)), rng.standard_normal((7, 20)))))
    assert small.arrays["h"].shape[1] == 2
    assert small.arrays["w"].shape[1] == 8


def test_a_batch_is_not_cut_to_one_where_a_mean_is_a_sum(tmp_path):
    small = shrink(failing(tmp_path, AFFINE))
    N = len(small.arrays["x"])
    assert N > 1
    assert np.allclose(small.returned[2], small.true[2] / N)


def test_unlike_axes_stay_unlike(tmp_path):
    assert shrink(failing(tmp_path, LAYERNORM)).arrays["x"].shape == (2, 3)


def test_the_given_case_stays_as_it_is(tmp_path):
    case = failing(tmp_path, AFFINE)
    before = [np.copy(value) for value in case.arguments]
    shrink(case)
    assert all(np.array_equal(a, b) for a, b in zip(before, case.arguments))


def test_no_time_gives_the_case_itself(tmp_path):
    case = failing(tmp_path, AFFINE)
    assert shrink(case, seconds=0) is case


@pytest.mark.parametrize("text", [AFFINE, POOL], ids=["affine", "pool"])
def test_the_test_to_paste_fails_and_passes_once_the_fault_is_mended(tmp_path, text):
    small = shrink(failing(tmp_path, text))
    (tmp_path / "test_mine.py").write_text(as_test(small))

    def run():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    failed = run()
    assert failed.returncode == 1
    assert "fail" in failed.stdout
    mended = text.replace("dout.mean(axis=0)", "dout.sum(axis=0)").replace("] = mask * dout", "] += mask * dout")
    (tmp_path / "mine.py").write_text(mended)
    assert run().returncode == 0
