"""The checker finds what is wrong, names it, and accuses nobody."""

import numpy as np
import pytest

from gradcheck import assert_gradients, check, check_loss


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# --- correct pairs, against which each planted bug is one change


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    s = e / e.sum(axis=1, keepdims=True)
    return s, s


def softmax_backward(dout, s):
    return s * (dout - (dout * s).sum(axis=1, keepdims=True))


def norm_forward(x, gamma, beta):
    std = np.sqrt(x.var(axis=0) + 1e-5)
    normed = (x - x.mean(axis=0)) / std
    return gamma * normed + beta, (normed, std, gamma)


def norm_backward(dout, cache):
    normed, std, gamma = cache
    d = dout * gamma
    dx = (d - d.mean(axis=0) - normed * (d * normed).mean(axis=0)) / std
    return dx, (dout * normed).sum(axis=0), dout.sum(axis=0)


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return dout * (x > 0)


def square_forward(x):
    return x**2, x


def small_square_forward(x):
    return 1e-6 * x**2, x


AFFINE = affine_forward, (draw(5, 4), draw(4, 4, seed=1), draw(4, seed=2))
NORM = norm_forward, (draw(7, 3), draw(3, seed=1), draw(3, seed=2))
SOFTMAX = softmax_forward, (draw(5, 3),)
RELU = relu_forward, (draw(5, 3),)
SQUARE = square_forward, (draw(5, 3),)
SMALL = small_square_forward, (draw(5, 3),)


def affine_with(change):
    return lambda dout, cache: change(*affine_backward(dout, cache), dout, *cache)


def norm_with(change):
    return lambda dout, cache: change(*norm_backward(dout, cache), dout, *cache)


def one_entry_off(factor):
    def backward(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        dw[2, 1] *= factor
        return dx, dw, db

    return backward


def into_its_cell(x, dout):
    dx = np.zeros_like(x)
    dx[x > 0] += dout.flat[0]
    return dx


BUGS = {  # name: (forward and inputs, wrong backward, the arguments it is wrong for)
    "sign": (AFFINE, affine_with(lambda dx, dw, db, *_: (-dx, dw, db)), {"x"}),
    "factor N": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, dw / 5, db)), {"w"}),
    "mean for sum over the batch": (AFFINE, affine_with(lambda dx, dw, db, d, *_: (dx, dw, d.mean(axis=0))), {"b"}),
    "sum over the batch forgotten": (AFFINE, affine_with(lambda dx, dw, db, d, *_: (dx, dw, d)), {"b"}),
    "axis kept": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, dw, db[None])), {"b"}),
    "square weight not transposed": (AFFINE, affine_with(lambda dx, dw, db, d, x, w: (d @ w, dw, db)), {"x"}),
    "square gradient transposed": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, dw.T, db)), {"w"}),
    "last sample only": (AFFINE, affine_with(lambda dx, dw, db, d, x, w: (dx, np.outer(x[-1], d[-1]), db)), {"w"}),
    "rows shifted": (AFFINE, affine_with(lambda dx, dw, db, *_: (np.roll(dx, 1, axis=0), dw, db)), {"x"}),
    "zeros": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, dw, 0 * db)), {"b"}),
    "NaN": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, dw, db * np.array([1, np.nan, 1, 1]))), {"b"}),
    "None": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx, None, db)), {"w"}),
    "truncated to integers": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx.astype(int), dw, db)), {"x"}),
    "one entry off by 5e-4": (AFFINE, one_entry_off(1 + 5e-4), {"w"}),
    "one entry off by 1e-5": (AFFINE, one_entry_off(1 + 1e-5), {"w"}),
    "all entries off by 1e-6": (AFFINE, affine_with(lambda dx, dw, db, *_: (dx * (1 + 1e-6), dw, db)), {"x"}),
    "all shapes right, all values swapped": (SQUARE, lambda d, x: (2 * d * x)[::-1], {"x"}),
    "softmax with the diagonal only": (SOFTMAX, lambda d, s: d * s * (1 - s), {"x"}),
    "softmax over the wrong axis": (SOFTMAX, lambda d, s: s * (d - (d * s).sum(axis=0)), {"x"}),
    "norm without the path of the mean": (
        NORM,
        norm_with(lambda dx, dg, db, d, n, s, g: ((d * g - n * (d * g * n).mean(axis=0)) / s, dg, db)),
        {"x"},
    ),
    "norm without the path of the variance": (
        NORM,
        norm_with(lambda dx, dg, db, d, n, s, g: ((d * g - (d * g).mean(axis=0)) / s, dg, db)),
        {"x"},
    ),
    "norm without gamma": (NORM, norm_with(lambda dx, dg, db, d, n, s, g: (dx / g, dg, db)), {"x"}),
    "relu as identity": (RELU, lambda d, x: d, {"x"}),
    "relu with the mask of dout": (RELU, lambda d, x: d * (d > 0), {"x"}),
    "relu with the mask inverted": (RELU, lambda d, x: d * (x < 0), {"x"}),
    "dout ignored": (SQUARE, lambda d, x: 2 * x, {"x"}),
    "one dout for all": (RELU, lambda d, x: into_its_cell(x, d), {"x"}),
    "quadratic in dout": (SQUARE, lambda d, x: 2 * x * d**2, {"x"}),
    "absolute dout": (SQUARE, lambda d, x: 2 * x * np.abs(d), {"x"}),
    "tiny function, flipped sign": (SMALL, lambda d, x: -2e-6 * x * d, {"x"}),
    "tiny function, zero gradient": (SMALL, lambda d, x: 0 * x, {"x"}),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_only_its_arguments_are_accused(bug):
    (forward, inputs), backward, wrong = BUGS[bug]
    report = check(forward, backward, *inputs)
    assert report.verdict == "fail"
    assert {argument.name for argument in report.arguments if argument.verdict != "pass"} == wrong
    assert len(str(report).splitlines()) <= 25


@pytest.mark.parametrize("factor", [1e-12, 1e12])
@pytest.mark.parametrize("bug", ["one entry off by 5e-4", "softmax with the diagonal only", "zeros"])
def test_the_scale_of_the_loss_changes_no_verdict(bug, factor):
    (forward, inputs), backward, _ = BUGS[bug]

    def scaled_forward(*inputs):
        out, cache = forward(*inputs)
        return factor * out, cache

    wrongly = check(scaled_forward, lambda dout, cache: backward(factor * dout, cache), *inputs)
    assert wrongly.verdict == "fail"
    right = {affine_forward: affine_backward, softmax_forward: softmax_backward}[forward]
    assert check(scaled_forward, lambda dout, cache: right(factor * dout, cache), *inputs).verdict == "pass"


@pytest.mark.parametrize(("scale", "shift"), [(1, 0), (1e-6, 0), (1e-3, 0), (30, 0), (1e3, 0), (1, 1000), (1e-3, 1000)])
def test_correct_pairs_are_never_accused_at_any_scale_or_shift(scale, shift):
    pairs = [
        (relu_forward, relu_backward),
        (softmax_forward, softmax_backward),
        (square_forward, lambda dout, x: 2 * dout * x),
        (lambda x: (np.tanh(x), x), lambda dout, x: dout / np.cosh(np.clip(x, -300, 300)) ** 2),
        (lambda x: (np.log(np.abs(x)), x), lambda dout, x: dout / x),
        (lambda x: (x.max(axis=1), x), lambda dout, x: dout[:, None] * (x == x.max(axis=1, keepdims=True))),
        (norm_forward, norm_backward),
        (affine_forward, affine_backward),
    ]
    for seed in range(6):
        x = scale * draw(6, 3, seed=seed) + shift
        others = {norm_forward: [draw(3), draw(3)], affine_forward: [draw(3, 2), draw(2)]}
        for forward, backward in pairs:
            report = check(forward, backward, x, *others.get(forward, []), rng=seed)
            assert report.verdict in ("pass", "inconclusive", "vacuous"), report
            if scale <= 1 and not shift and forward is not pairs[4][0]:
                assert report.verdict == "pass", report


def test_the_report_names_argument_index_values_and_ratio():
    report = check(affine_forward, affine_with(lambda dx, dw, db, *_: (dx, 6 * dw, db)), *AFFINE[1])
    w = next(argument for argument in report.arguments if argument.name == "w")
    assert w.worst.analytic == pytest.approx(6 * w.worst.numeric)
    assert len(w.worst.index) == 2
    assert (w.wrong, w.checked) == (16, 16)
    text = str(report)
    assert "returned is 6.000 times the true gradient" in text
    assert f"[{', '.join(map(str, w.worst.index))}]" in text
    assert "16 of 16" in text


def test_one_wrong_entry_of_many_is_found_by_its_index():
    def backward(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        dx[41, 77] += 1e-3
        return dx, dw, db

    calls = []

    def forward(x, w, b):
        calls.append(1)
        return affine_forward(x, w, b)

    report = check(forward, backward, draw(64, 100), draw(100, 8, seed=1), draw(8, seed=2))
    assert report.arguments[0].worst.index == (41, 77)
    assert report.arguments[0].worst.analytic - report.arguments[0].worst.numeric == pytest.approx(1e-3, rel=1e-3)
    assert len(calls) < 2000


def test_a_passing_check_costs_the_same_few_forwards_at_every_size_and_prints_one_line():
    counts = []
    for n in (3, 60):
        calls = []

        def forward(x, w, b, calls=calls):
            calls.append(1)
            return affine_forward(x, w, b)

        report = check(forward, affine_backward, draw(n, n), draw(n, n, seed=1), draw(n, seed=2))
        assert report
        assert len(str(report).splitlines()) == 1
        assert all(argument.digits > 8 for argument in report.arguments)
        counts.append(len(calls))
    assert counts[0] == counts[1] < 40


def test_a_check_repeats_itself_and_leaves_the_global_generator_alone():
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (str(check(*SOFTMAX[:1], BUGS["dout ignored"][1], *SOFTMAX[1])) for _ in range(2))
    assert first == second
    np.testing.assert_array_equal(np.random.get_state()[1], expected)  # noqa: NPY002


def test_a_random_forward_is_replayed_with_its_mask():
    def dropout_forward(x, rng, keep):
        mask = (rng.random(x.shape) < keep) / keep
        global_mask = np.random.random_sample(x.shape) < 0.5  # noqa: NPY002
        return x * mask * global_mask, (mask, global_mask)

    def backward(dout, masks):
        return dout * masks[0] * masks[1]

    assert check(dropout_forward, backward, draw(5, 4), np.random.default_rng(3), 0.6)
    assert check(dropout_forward, lambda d, m: d * m[0], draw(5, 4), np.random.default_rng(3), 0.6).verdict == "fail"


def test_a_forward_that_cannot_be_replayed_is_inconclusive():
    report = check(lambda x: (x * np.random.default_rng().random(), x), lambda d, x: d, draw(3))
    assert report.verdict == "inconclusive"
    assert "another output for the same input" in str(report)


def test_settings_labels_and_masks_are_passed_and_not_differentiated():
    def forward(x, index, mask, setting, scale):
        setting["calls"] = setting.get("calls", 0) + 1
        assert setting["calls"] == 1
        return scale * x[index] * mask[:, None], (x, index, mask, scale)

    def backward(dout, cache):
        x, index, mask, scale = cache
        dx = np.zeros_like(x)
        np.add.at(dx, index, scale * dout * mask[:, None])
        return dx

    setting = {}
    index = np.array([0, 2, 2, 1])
    report = check(forward, backward, draw(3, 2), index, np.array([True, True, False, True]), setting, 0.5)
    assert report, report
    assert [argument.name for argument in report.arguments] == ["x"]
    assert setting == {}


def test_plain_numbers_are_arguments_where_there_is_no_array():
    report = check(
        lambda x, y, z: ((x + y) * z, (x, y, z)),
        lambda dout, cache: (dout * cache[2], dout * cache[2], dout * (cache[0] + cache[1])),
        -2.0,
        5.0,
        -4.0,
    )
    assert [argument.name for argument in report.arguments] == ["x", "y", "z"]
    assert report


def test_several_outputs_get_a_dout_each():
    def forward(x):
        return np.sin(x), np.sum(x**2), x

    assert check(forward, lambda d1, d2, x: d1 * np.cos(x) + 2 * d2 * x, draw(4, 3))
    assert check(forward, lambda d1, d2, x: d1 * np.cos(x), draw(4, 3)).verdict == "fail"


def test_backward_may_be_a_closure_or_need_no_cache():
    assert check(lambda x: (3 * x, lambda dout: 3 * dout), None, draw(4))
    assert check(lambda x: 3 * x, lambda dout: 3 * dout, draw(4))
    assert not check(lambda x: (3 * x, lambda dout: 2 * dout), None, draw(4))


def test_a_gradient_that_is_the_rounding_of_larger_terms_is_not_accused():
    def backward(dout, cache):
        large = 1e10 * dout
        return (1.1 * large + dout) - large - 0.1 * large

    report = check(lambda x: (x, None), backward, draw(4, 3))
    assert report.verdict == "inconclusive"
    assert "rounding of larger terms that cancel" in str(report)
    assert check(lambda x: (2 * x, None), backward, draw(4, 3)).verdict == "fail"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"directions": 0}, ValueError, "directions must be a whole number of at least 1; got 0"),
        ({"entries": 4}, ValueError, "entries must be a whole number of at least 5; got 4"),
        ({"rng": None}, TypeError, "rng must be a numpy.random.Generator or a seed, such as 0; got None"),
    ],
)
def test_options_without_which_nothing_is_checked_are_refused(options, error, said):
    with pytest.raises(error, match=said):
        check(lambda x: (x, None), lambda dout, cache: 2 * dout, np.ones(3), **options)
    with pytest.raises(ValueError, match=r"a tuple \(forward, backward\); got a tuple of 3"):
        assert_gradients((np.sin, np.cos, np.tan), np.ones(3))


def test_what_is_no_array_of_floats_is_named_where_there_is_no_other():
    report = check(lambda x, y: (x, None), lambda dout, cache: dout, [1.0, 2.0], np.ones(2, complex))
    assert report.verdict == "vacuous"
    assert "(x is of type list, y is an array of complex128): pass arrays of floats" in report.message


def test_wrt_chooses_the_arguments():
    report = check(affine_forward, lambda d, c: d @ c[1].T, *AFFINE[1], wrt=["x"])
    assert report
    assert [argument.name for argument in report.arguments] == ["x"]
    with pytest.raises(ValueError, match="wrt must name inputs among"):
        check(affine_forward, affine_backward, *AFFINE[1], wrt=["v"])


def test_a_loss_is_a_function_that_returns_its_gradient():
    def hinge(scores, y):
        margins = np.maximum(0, scores - scores[np.arange(len(y)), y][:, None] + 1)
        margins[np.arange(len(y)), y] = 0
        d = (margins > 0).astype(float)
        d[np.arange(len(y)), y] = -d.sum(axis=1)
        return margins.sum() / len(y), d / len(y)

    scores, y = draw(7, 3), np.array([0, 1, 2, 2, 1, 0, 0])
    assert check_loss(hinge, scores, y)
    report = check_loss(lambda scores, y: (hinge(scores, y)[0], 7 * hinge(scores, y)[1]), scores, y)
    assert "returned is 7.000 times" in str(report)


def test_assert_gradients_raises_the_report():
    assert_gradients((softmax_forward, softmax_backward), *SOFTMAX[1])
    with pytest.raises(AssertionError, match=r"x: fail; .*worst at \[\d, \d\]: returned"):
        assert_gradients((softmax_forward, BUGS["softmax with the diagonal only"][1]), *SOFTMAX[1])


@pytest.mark.parametrize("garbage", [1e160, -1e306, np.inf, np.nan])
def test_a_gradient_so_large_that_its_norm_overflows_is_wrong(garbage):
    def backward(dout, x):
        dx = 2 * x * dout
        dx[1] = garbage
        return dx

    report = check(lambda x: (x * x, x), backward, np.array([1.0, 2.0, 3.0]))
    assert report.verdict == "fail"
    assert report.arguments[0].cause == "non-finite"
    assert report.arguments[0].wrong == 1
