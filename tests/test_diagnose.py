"""The cause of a wrong backward is named: one small wrong function for each code, right ones, and traps."""

import numpy as np
import pytest

from gradcheck.diagnose import diagnose
from gradcheck.inputs import Setting
from gradcheck.pairs import Pair


def gaussian(**shapes):
    return lambda rng: {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def settings_of(*draws):
    return [Setting(f"setting {i}", draw) for i, draw in enumerate(draws)]


def named(forward, backward, settings):
    return diagnose(Pair("own", forward, backward, __file__), settings, seconds=20)


# --- functions that are right, to be made wrong


def affine(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_gradients(dout, cache):
    x, w, _ = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


AFFINE = settings_of(gaussian(x=(5, 2, 3), w=(6, 4), b=(4,)), gaussian(x=(3, 7), w=(7, 2), b=(2,)))


def norm(x, gamma, beta, eps=1e-5):
    centred = x - x.mean(axis=0)
    std = np.sqrt((centred**2).mean(axis=0) + eps)
    return gamma * centred / std + beta, (centred / std, gamma, std, centred)


def norm_gradients(dout, cache, mean=1, variance=1):
    xhat, gamma, std, _ = cache
    dxhat = dout * gamma
    dx = (dxhat - mean * dxhat.mean(axis=0) - variance * xhat * (dxhat * xhat).mean(axis=0)) / std
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


NORM = settings_of(gaussian(x=(6, 4), gamma=(4,), beta=(4,)), gaussian(x=(7, 3), gamma=(3,), beta=(3,)))


def elementwise(f):
    return lambda x: (f(x), (x, f(x)))


ROWS = settings_of(gaussian(x=(4, 5)), gaussian(x=(3, 2, 4)))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_loss(x, y, correct=lambda dx, rows, y: None):
    p, rows = softmax(x), np.arange(len(x))
    dx = p.copy()
    dx[rows, y] -= 1
    dx /= len(x)
    return -np.log(p[rows, y]).mean(), dx


def scored(N, C):
    return lambda rng: {"x": rng.standard_normal((N, C)), "y": rng.integers(0, C, N)}


SCORES = settings_of(scored(6, 4), scored(4, 5))


def windows(x, param):
    """Sums over overlapping windows of a row, three wide."""
    stride = param["stride"]
    starts = range(0, x.shape[1] - 2, stride)
    return np.stack([x[:, i : i + 3].sum(axis=1) * (1 + i) for i in starts], axis=1), (x, stride)


def windows_gradient(dout, cache, assign):
    x, stride = cache
    dx = np.zeros_like(x)
    for place in range(dout.shape[1]):
        i = place * stride
        assign(dx, slice(i, i + 3), dout[:, place : place + 1] * (1 + i))
    return dx


def overwrite(dx, window, value):
    dx[:, window] = value


def add(dx, window, value):
    dx[:, window] += value


def strided(stride):
    return lambda rng: {"x": rng.standard_normal((4, 9)), "param": {"stride": stride}}


def padded(x, pad):
    return np.pad(x, ((0, 0), (pad, pad))) ** 2 + 1, (np.pad(x, ((0, 0), (pad, pad))), pad)


def with_pad(pad):
    return lambda rng: {"x": rng.standard_normal((3, 5)), "pad": pad}


def cropped(dout, cache):
    xp, pad = cache
    return (2 * xp * dout)[:, pad:-pad]


def dropout(x, param):
    keep = param["p"]
    mask = np.random.default_rng(0).random(x.shape) < keep
    return (x * mask / keep if param["mode"] == "train" else x), (mask, param)


def kept(p, mode="train"):
    return lambda rng: {"x": rng.standard_normal((5, 6)), "param": {"p": p, "mode": mode}}


def recurrent(x, w):
    h, states = np.zeros((len(x), w.shape[1])), []
    for t in range(x.shape[1]):
        h = x[:, t] @ w + 0.5 * h
        states.append(h)
    return np.stack(states, axis=1), (x, w)


def recurrent_gradient(dout, cache, carry=0.5, first=0):
    x, w = cache
    dx, dw, dh = np.zeros_like(x), np.zeros_like(w), 0
    for t in reversed(range(first, x.shape[1])):
        dh = dout[:, t] + carry * dh
        dx[:, t], dw = dh @ w.T, dw + x[:, t].T @ dh
    return dx, dw


STEPS = settings_of(gaussian(x=(3, 4, 2), w=(2, 3)), gaussian(x=(2, 5, 3), w=(3, 2)))


def linear_loss(W, X, reg):
    scores = X @ W
    return (scores**2).sum() / len(X) + reg * (W**2).sum(), 2 * X.T @ scores / len(X) + reg * W


def regularised(reg, N, D):
    return lambda rng: {"W": rng.standard_normal((D, 3)), "X": rng.standard_normal((N, D)), "reg": reg}


def summed(x, w):
    return x + np.tanh(x) * w, (x, w)


def product(x, w):
    return np.sin(x) * w, (x, w)


TWINS = settings_of(gaussian(x=(4, 3), w=(4, 3)), gaussian(x=(2, 5), w=(2, 5)))


TANH = {  # wrong backwards of tanh, whose cache is (x, out)
    "scale-factor": lambda d, c: 2 * d * (1 - c[1] ** 2),
    "scale-sign": lambda d, c: -d * (1 - c[1] ** 2),
    "ignores-dout": lambda d, c: 1 - c[1] ** 2,
    "nonlinear-in-dout": lambda d, c: d * abs(d) * (1 - c[1] ** 2),
    "wrong-local-derivative": lambda d, c: d * c[1] * (1 - c[1]),
    "unfinished": lambda d, c: None,
    "undefined-name": lambda d, c: d * undefined,  # noqa: F821
    "raises": lambda d, c: d.shape(),
    "non-finite": lambda d, c: d * (1 - c[1] ** 2) / 0.0,
    "permuted": lambda d, c: (d * (1 - c[1] ** 2))[[1, 0, *range(2, len(d))]],
    "off-by-one": lambda d, c: np.concatenate([(d * (1 - c[1] ** 2))[..., 1:], d[..., :1]], axis=-1),
    "not-flipped": lambda d, c: (d * (1 - c[1] ** 2))[:, ::-1],
    "wrong-index": lambda d, c: (d * (1 - c[1] ** 2)).ravel()[7 * np.arange(d.size) % d.size].reshape(d.shape),
}


def changed(gradients, change):
    return lambda dout, cache: change(*gradients(dout, cache), dout)


CASES = {
    "shape-keepdims": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw, db[None])), AFFINE),
    "shape-not-summed": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw, d)), AFFINE),
    "shape-not-restored": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx.reshape(len(d), -1), dw, db)),
                           AFFINE),
    "shape-transposed": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw.T, db)), AFFINE),
    "shape-squeezed": (elementwise(np.sin), lambda d, c: (d * np.cos(c[0])).squeeze(),
                       settings_of(gaussian(x=(4, 1, 3)), gaussian(x=(2, 5, 1)))),
    "shape-cropped": (padded, cropped, settings_of(with_pad(1), with_pad(2), with_pad(0))),
    "missing-gradient": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw, None)), AFFINE),
    "swapped-gradients": (product, lambda d, c: (d * np.sin(c[0]), d * c[1] * np.cos(c[0])), TWINS),
    "wrong-dtype": (elementwise(np.sinh), lambda d, c: (10 * d * np.cosh(c[0])).astype(int), ROWS),
    "scale-batch": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw / len(d), db)), AFFINE),
    "scale-count": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw / d.shape[1], db)), AFFINE),
    "scale-keep": (dropout, lambda d, c: d * c[0] if c[1]["mode"] == "train" else d,
                   settings_of(kept(0.3), kept(0.8), kept(0.6, "test"))),
    "overwritten": (windows, lambda d, c: windows_gradient(d, c, overwrite), settings_of(*map(strided, (3, 1, 2)))),
    "last-sample-only": (affine, lambda d, c: (affine_gradients(d, c)[0], c[0].reshape(len(d), -1)[-1:].T @ d[-1:],
                                               d.sum(axis=0)), AFFINE),
    "missing-term-mean": (norm, lambda d, c: norm_gradients(d, c, mean=0), NORM),
    "missing-term-variance": (norm, lambda d, c: norm_gradients(d, c, variance=0), NORM),
    "diagonal-jacobian": (elementwise(softmax), lambda d, c: d * c[1] * (1 - c[1]), ROWS),
    "missing-one-hot": (lambda x, y: (softmax_loss(x, y)[0], softmax(x) / len(x)), None, SCORES),
    "regularization": (linear_loss, None, settings_of(regularised(0.3, 5, 4), regularised(0.1, 3, 6))),
    "missing-timestep": (recurrent, lambda d, c: recurrent_gradient(d, c, first=1), STEPS),
    "wrong-eps": (norm, lambda d, c: norm_gradients(d, (*c[:2], np.sqrt((c[3] ** 2).mean(axis=0)), c[3])), NORM),
    "wrong-mask": (elementwise(lambda x: np.maximum(x, 0)), lambda d, c: d, ROWS),
    "wrong-axis": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw, d.sum(axis=1))),
                   settings_of(gaussian(x=(4, 3), w=(3, 4), b=(4,)), gaussian(x=(5, 2), w=(2, 5), b=(5,)))),
    "transposed": (affine, changed(affine_gradients, lambda dx, dw, db, d: (dx, dw.T, db)),
                   settings_of(gaussian(x=(4, 3), w=(3, 3), b=(3,)), gaussian(x=(5, 2), w=(2, 2), b=(2,)))),
    "config-hardcoded": (windows, lambda d, c: windows_gradient(d, (c[0], 1), add),
                         settings_of(*map(strided, (1, 2, 3)))),
    "random-redrawn": (dropout, lambda d, c: d * (np.random.random(d.shape) < 0.5) * 2, settings_of(kept(0.5))),  # noqa: NPY002
    "train-eval-mismatch": (dropout, lambda d, c: d, settings_of(kept(0.3), kept(0.8))),
    "wrong-cache": (product, lambda d, c: (d * c[0] * np.cos(c[1]), d * np.sin(c[1])), TWINS),
}  # fmt: skip
CASES |= {code: (elementwise(np.tanh), backward, ROWS) for code, backward in TANH.items()}


def scaled_norm(dout, cache):
    return norm_gradients(dout / cache[1], cache)[0], *norm_gradients(dout, cache)[1:]


def summed_gradients(dout, cache):
    x, w = cache
    return dout * (1 - np.tanh(x) ** 2) * w, dout * np.tanh(x)


class Adding:
    """A backward that adds to what its last call left."""

    def forward(self, x):
        return np.sin(x), {"x": x, "dx": np.zeros_like(x)}

    def backward(self, dout, cache):
        cache["dx"] += dout * np.cos(cache["x"])
        return cache["dx"]


def rude(dout, cache):
    dx = dout * np.cos(cache[0])
    dout *= 0
    return dx


def forgetful(dout, cache):
    return dout * np.cos(next(cache))


def ruinous(dout, cache):
    cache["x"] *= 0.5
    return dout * np.cos(2 * cache["x"])


class Remembering:
    """A backward that uses what the latest forward left."""

    def forward(self, x):
        self.x = x
        return np.sin(x), None

    def backward(self, dout, cache):
        return dout * np.cos(self.x)


def greedy(x):
    x *= 2
    return np.sin(x), x


CASES["mutates-input"] = (greedy, lambda d, c: 2 * d * np.cos(c), ROWS)
CASES["mutates-cache"] = (lambda x: (np.sin(x), {"x": x.copy()}), ruinous, ROWS)
CASES["not-repeatable"] = (lambda x: (np.sin(x), iter([x])), forgetful, ROWS)
remembering = Remembering()
CASES["stale-cache"] = (remembering.forward, remembering.backward, ROWS)
CASES["accumulates"] = (Adding().forward, Adding().backward, ROWS)
CASES["mutates-dout"] = (elementwise(np.sin), rude, ROWS)
CASES["scale-per-channel"] = (norm, scaled_norm, NORM)
CASES["missing-branch"] = (summed, summed_gradients, TWINS)


@pytest.mark.parametrize("cause", CASES)
def test_the_cause_is_named(cause):
    found = named(*CASES[cause])
    assert found is not None
    assert found.cause == cause, found
    assert found.evidence


def course(name, forward, backward, settings):
    return diagnose(Pair(name, forward, backward, __file__), settings, seconds=20)


def test_a_forward_that_is_not_the_courses_is_named():
    """Backward is that of batch norm, forward divides by the variance plus one."""

    def forward(x, gamma, beta, bn_param):
        _, cache = norm(x, gamma, beta)
        return gamma * cache[3] / np.sqrt((cache[3] ** 2).mean(axis=0) + 1) + beta, cache

    draw = gaussian(x=(6, 4), gamma=(4,), beta=(4,))
    setting = Setting("x (6, 4)", lambda rng: {**draw(rng), "bn_param": {"mode": "train"}})
    found = course("batchnorm", forward, lambda d, c: (*norm_gradients(d, c), None), [setting])
    assert found.cause == "forward-mismatch"


RIGHT = {
    "affine": (affine, affine_gradients, AFFINE),
    "norm": (norm, norm_gradients, NORM),
    "softmax": (elementwise(softmax), lambda d, c: c[1] * (d - (d * c[1]).sum(axis=-1, keepdims=True)), ROWS),
    "loss": (softmax_loss, None, SCORES),
    "windows": (windows, lambda d, c: windows_gradient(d, c, add), settings_of(*map(strided, (1, 2, 3)))),
    "steps": (recurrent, recurrent_gradient, STEPS),
    "relu": (elementwise(lambda x: np.maximum(x, 0)), lambda d, c: d * (c[0] > 0), ROWS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_diagnosed(name):
    assert named(*RIGHT[name]) is None


# --- traps: as many examples as features, one setting only

SQUARE = settings_of(gaussian(x=(4, 4), w=(4, 4), b=(4,)))


@pytest.mark.parametrize("cause", ["scale-batch", "scale-count"])
def test_equal_sizes_are_told_apart_by_one_example_fewer(cause):
    forward, backward, _ = CASES[cause]
    assert named(forward, backward, SQUARE).cause in (cause, "unknown")


def test_a_sum_over_the_wrong_axis_is_seen_where_sizes_are_equal():
    found = named(affine, CASES["wrong-axis"][1], SQUARE)
    assert found.cause == "wrong-axis"


def test_a_factor_that_follows_no_size_is_no_count():
    """4 = N = D = M here, and twice 2 elsewhere."""
    backward = changed(affine_gradients, lambda dx, dw, db, d: (dx, 4 * dw, db))
    assert named(affine, backward, SQUARE).cause in ("scale-factor", "unknown")
    assert named(affine, backward, AFFINE).cause == "scale-factor"


def test_two_mistakes_at_once_are_no_single_cause():
    backward = changed(affine_gradients, lambda dx, dw, db, d: (dx, dw + np.tanh(dw) * len(d), db))
    found = named(affine, backward, AFFINE)
    assert found.cause in ("nonlinear-in-dout", "unknown")


def test_of_what_is_unknown_the_profile_is_told():
    def backward(dout, cache):
        dx, dw, db = affine_gradients(dout, cache)
        dw[:, 0] += dw[:, 1] * dw.shape[0] + 0.3 * dx.reshape(len(dx), -1).sum(axis=0)
        return dx, dw, db

    found = named(affine, backward, AFFINE)
    assert found.cause == "unknown"
    assert "rank 1" in found.evidence
    assert "along axis 1 only at 0" in found.evidence


def test_evidence_tells_both_sizes_and_the_argument():
    found = named(*CASES["scale-batch"])
    assert found.argument == "w"
    assert "returned / true = 0.2 = " in found.evidence
    assert "N = x.shape[0]" in found.evidence
    assert "it is 0.333333" in found.evidence


def test_an_exception_in_some_settings_names_what_they_have_in_common():
    found = named(padded, lambda d, c: 2 * (c[0] * d)[:, c[1] : -c[1]] + np.zeros((3, 5)), CASES["shape-cropped"][2])
    assert found.cause == "shape-cropped"
    assert "pad = 0" in found.evidence


def test_a_cache_unpacked_in_another_order_is_named_where_it_raises():
    found = named(affine, lambda d, c: affine_gradients(d, (c[1], c[0], c[2])), AFFINE)
    assert found.cause == "wrong-cache"
    assert "cache[" in found.evidence


def test_the_search_ends_with_its_time():
    found = diagnose(Pair("own", norm, lambda d, c: norm_gradients(d, c, mean=0.5), __file__), NORM, seconds=0.0)
    assert found.cause == "unknown"


@pytest.mark.parametrize("path", ["mean", "variance"])
@pytest.mark.parametrize("factor", [0, 0.5, -1, 2])
def test_a_path_that_is_wrong_by_a_factor_is_not_missing(path, factor):
    found = named(norm, lambda d, c: norm_gradients(d, c, **{path: factor}), NORM)
    assert found.cause == ("wrong-term" if factor else f"missing-term-{path}")


def test_a_number_where_nothing_flows_is_a_wrong_mask():
    relu, x = elementwise(lambda x: np.maximum(x, 0)), ROWS
    assert named(relu, lambda d, c: np.where(c[0] > 0, d, 1), x).cause == "wrong-mask"
    assert named(relu, lambda d, c: np.where(c[0] > 0, d + 1, 0), x).cause == "ignores-dout"


def test_what_is_wrong_only_where_sizes_differ_is_no_loop_that_ends_early():
    def rows(d, c):
        dx = np.zeros_like(d)
        for i in range(min(d.shape)):
            dx[i] = d[i]
        return dx

    same, longer = elementwise(lambda x: 1 * x), [gaussian(x=(5, 4)), gaussian(x=(4, 3))]
    assert named(same, rows, settings_of(*longer)).cause == "off-by-one"
    assert named(same, rows, settings_of(gaussian(x=(4, 4)), *longer)).cause == "config-hardcoded"
