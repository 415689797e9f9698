"""Faults that have a name: of shape, of order, of state, of kinks, and of code that does not run."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck import check, check_loss, merge
from gradcheck.meanings import MEANINGS
from gradcheck.report import Why, Worst, folded
from gradcheck.state import poison


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def causes(report):
    return {argument.name: argument.cause for argument in report.arguments if argument.cause}


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


AFFINE = draw(5, 2, 3), draw(6, 4, seed=1), draw(4, seed=2)
SHAPES = {
    "shape-keepdims": ("b", lambda dx, dw, db, d: (dx, dw, db[None])),
    "shape-not-summed": ("b", lambda dx, dw, db, d: (dx, dw, d)),
    "shape-not-restored": ("x", lambda dx, dw, db, d: (dx.reshape(5, 6), dw, db)),
    "shape-transposed": ("w", lambda dx, dw, db, d: (dx, dw.T, db)),
    "shape-cropped": ("x", lambda dx, dw, db, d: (dx[:, :-1], dw, db)),
    "missing-gradient": ("w", lambda dx, dw, db, d: (dx, None, db)),
    "wrong-dtype": ("x", lambda dx, dw, db, d: ((10 * dx).astype(int), dw, db)),
    "non-finite": ("w", lambda dx, dw, db, d: (dx, dw * np.inf, db)),
}


@pytest.mark.parametrize("cause", SHAPES)
def test_a_wrong_form_is_named_with_its_argument(cause):
    name, change = SHAPES[cause]
    report = check(affine_forward, lambda d, c: change(*affine_backward(d, c), d), *AFFINE)
    assert report.verdict == "fail"
    assert causes(report) == {name: cause}
    assert report.cause == cause


def test_a_lost_axis_of_size_1_is_named():
    report = check(lambda x: (3 * x, None), lambda d, c: 3 * d.squeeze(), draw(4, 1, 3))
    assert causes(report) == {"x": "shape-squeezed"}
    assert "its values are right" in str(report)


def test_a_wrong_shape_with_wrong_values_is_said_to_be_both():
    report = check(affine_forward, lambda d, c: (*affine_backward(d, c)[:2], 2 * d.sum(axis=0)[None]), *AFFINE)
    assert "its values, reshaped, are wrong too" in str(report)


@pytest.mark.parametrize("shapes", [((4, 3), (4, 3)), ((4, 3), (3, 5))])
def test_swapped_gradients_are_named(shapes):
    def forward(x, w):
        return (np.sin(x) * w if x.shape == w.shape else np.sin(x) @ w), (x, w)

    def backward(dout, cache):
        x, w = cache
        if x.shape == w.shape:
            return dout * np.sin(x), dout * w * np.cos(x)
        return np.sin(x).T @ dout, dout @ w.T * np.cos(x)

    report = check(forward, backward, draw(*shapes[0]), draw(*shapes[1], seed=1))
    assert causes(report) == {"x": "swapped-gradients", "w": "swapped-gradients"}


# --- state


def square(x):
    return x**2, x


def test_shared_memory_is_told_only_where_there_is_nothing_else_to_say():
    shared = check(lambda x: (x + 1, None), lambda d, c: d, draw(3))
    assert "memory" in str(shared)
    assert "in place" in str(shared)
    shared.notes.append("something else")
    assert "memory" not in str(shared)
    wrong = check(lambda x, y: (x + y, None), lambda d, c: (d, 2 * d), draw(3), draw(3))
    assert not wrong
    assert "memory" not in str(wrong)
    assert "memory" in str(wrong.as_dict()["notes"])


def test_a_gradient_in_memory_of_dout_or_the_cache_is_a_note_beside_a_pass():
    report = check(lambda x: (x + 1, None), lambda d, c: d, draw(3))
    assert report
    assert report.notes == ["the gradient of x shares memory with dout (fine, unless somebody writes into it in place)"]
    report = check(
        lambda x: (np.sum(x**2), 2 * x), lambda d, dx: np.multiply(dx, d, out=None) if d != 1 else dx, draw(3)
    )
    assert report
    report = check(lambda x: (3 * x, np.ones(3)), lambda d, ones: ones[:2] if d is None else 3 * d * ones, draw(3))
    assert not report.notes


def test_a_buffer_that_the_next_call_overwrites_is_an_alias():
    buffer = np.empty(4)

    def backward(dout, x):
        np.multiply(2 * x, dout, out=buffer)
        return buffer

    report = check(square, backward, draw(4))
    assert (report.verdict, report.cause) == ("contract", "aliases")


def test_an_output_that_the_next_forward_overwrites_is_an_alias():
    buffer = np.empty(4)

    def forward(x):
        np.multiply(x, x, out=buffer)
        return buffer, x

    report = check(forward, lambda d, x: 2 * x * d, draw(4))
    assert (report.verdict, report.cause) == ("contract", "aliases")


def test_a_cache_that_only_the_first_forward_fills_is_stale():
    kept = {}

    def forward(x):
        kept.setdefault("x", x)
        return x**2, None

    report = check(forward, lambda d, c: 2 * kept["x"] * d, draw(4))
    assert (report.verdict, report.cause) == ("contract", "stale-cache")


def test_the_array_in_the_cache_that_backward_changes_is_named():
    def backward(dout, cache):
        cache["inner"][0][...] *= dout
        return 2 * cache["inner"][0]

    report = check(lambda x: (x**2, {"inner": [x.copy()], "x": x}), backward, draw(4))
    assert (report.verdict, report.cause) == ("contract", "mutates-cache")
    assert "['inner'][0]" in str(report)


def test_a_settings_dict_that_forward_fills_is_no_fault():
    def forward(x, bn_param):
        bn_param["running_mean"] = bn_param.get("running_mean", 0) + x.mean()
        return x * 2, bn_param

    assert check(forward, lambda d, c: 2 * d, draw(4), {"mode": "train"})


def test_the_line_that_writes_into_an_argument_is_given():
    def backward(dout, x):
        dout[x < 0] = 0
        return dout

    report = check(lambda x: (np.maximum(x, 0), x), backward, draw(4, 3))
    assert (report.verdict, report.cause) == ("contract", "mutates-dout")
    assert report.line == backward.__code__.co_firstlineno + 1


def test_a_term_without_dout_is_told_from_a_gradient_that_is_not_linear():
    assert check(square, lambda d, x: 2 * x * d + 0.1, draw(4)).cause == "ignores-dout"
    assert check(square, lambda d, x: 2 * x * d**2, draw(4)).cause == "nonlinear-in-dout"


# --- code that does not run


def test_a_wrong_number_of_arguments_is_reported_at_the_definition():
    def backward(dout):
        return dout

    report = check(square, backward, draw(3))
    assert (report.verdict, report.cause, report.line) == ("error", "raises", backward.__code__.co_firstlineno)


def test_a_crop_that_is_empty_without_padding_is_named():
    def backward(dout, cache):
        pad, dx = 0, np.zeros((4, 3))
        dx[...] = dout[pad:-pad]
        return dx

    report = check(square, backward, draw(4, 3))
    assert (report.verdict, report.cause) == ("error", "shape-cropped")


@pytest.mark.parametrize("cache", [(1, 2, 3), None, {"y": 1}])
def test_a_cache_that_does_not_unpack_is_named(cache):
    def backward(dout, cache):
        if isinstance(cache, dict):
            return dout * cache["x"]
        x, w = cache
        return dout * x * w

    report = check(lambda x: (x, cache), backward, draw(3))
    assert (report.verdict, report.cause) == ("error", "wrong-cache")
    assert report.line > backward.__code__.co_firstlineno


def test_the_line_is_that_of_the_code_under_test_and_not_of_numpy():
    def backward(dout, x):
        d = 2 * dout
        return np.linalg.inv(d) * x

    assert check(square, backward, draw(2, 3)).line == backward.__code__.co_firstlineno + 2


# --- the report


def test_that_all_entries_are_wrong_is_said_once_and_places_bear_the_argument_s_name():
    w = draw(5)
    some = check(lambda x, w: (w**2, w), lambda d, w: (0 * d, 2 * d * np.maximum(w, 0)), draw(5), w, wrt=["x", "w"])
    assert "wrong, where w < 0" in str(some)
    every = check(lambda w: (w**2, w), lambda d, w: d * w, abs(w))
    assert "5 of 5 entries compared are wrong" in str(every)
    assert "where" not in str(every)


def test_what_wrong_entries_have_in_common_is_said():
    x = draw(4, 6)
    report = check(lambda x: (np.where(x < 0, 0.1 * x, x), x), lambda d, x: d * (x > 0), x)
    assert f"{(x < 0).sum()} of 24 entries compared are wrong, where x < 0" in str(report)

    def last_row_only(dout, x):
        dx = 2 * x * dout
        dx[:-1] = 0
        return dx

    assert "wrong, at [:-1, :]" in str(check(square, last_row_only, x))


def test_settings_are_merged_into_one_report_that_tells_where_it_fails():
    def report(pad):
        return check(square, lambda d, x: (2 + pad) * x * d, draw(3), rng=pad)

    merged = merge("square", {f"pad {pad}": report(pad) for pad in (0, 1, 2)})
    assert merged.verdict == "fail"
    assert (merged.tried, merged.failed) == (["pad 0", "pad 1", "pad 2"], ["pad 1", "pad 2"])
    assert "wrong at pad 1 | pad 2" in str(merged)
    assert "right at pad 0" in str(merged)
    assert merge("square", {"pad 0": report(0)})


def test_a_report_is_plain_data_without_nan():
    report = check(square, lambda d, x: d * np.array([np.nan, 1.0, 1.0]), draw(3))
    data = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert data["verdict"] == "fail"
    assert data["arguments"][0]["name"] == "x"
    assert data["cause"] == "non-finite"


def test_colour_is_only_added_when_asked_for():
    report = check(square, lambda d, x: 2 * x * d, draw(3))
    assert "\033" not in str(report)
    assert "\033[32mpass" in report.format(colour=True)


def test_lines_are_folded_between_settings_rows_and_shapes():
    settings = ["x (2, 2, 5, 5), window (3, 3), stride 2", "x (2, 2, 4, 5), window (2, 3), stride 1"]
    lines = folded([f"  wrong at {' | '.join(settings)}", "word " * 30], 50)
    assert max(map(len, lines)) <= 50
    assert all(line.count("(") == line.count(")") for line in lines)
    assert not any(line.endswith(("x", "window", "stride")) for line in lines)
    assert " ".join(map(str.strip, lines)) == f"wrong at {' | '.join(settings)} {'word ' * 30}".strip()


def test_zero_has_no_sign():
    assert "returned 0, true 2" in str(Worst((0,), -0.0, 2.0))


def test_an_array_that_is_never_filled_is_found_even_after_a_right_backward():
    x = draw(5)
    assert check(square, lambda dout, x: 2 * x * dout, x)  # its gradients lie in the memory that is free now
    assert check(square, lambda dout, x: np.empty_like(x), x).verdict == "fail"


def test_free_memory_is_left_full_of_nan():
    x = np.ones((3, 7))
    poison([x])
    assert np.isnan(np.empty_like(x)).mean() > 0.8  # the allocator keeps a pointer or two there


def test_every_cause_has_a_meaning():
    code = re.compile(r"(shape|scale|missing|wrong|mutates|not|off|last|stale|random|diagonal|config)-[a-z]+(-[a-z]+)*")
    said = {
        node.value
        for file in Path(gradcheck.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and code.fullmatch(node.value)
    }
    assert len(said) > 30
    assert said <= MEANINGS.keys()


def test_a_cause_without_evidence_is_said_in_words():
    (said,) = Why("wrong-index").lines("line")
    assert said == "cause: wrong-index; values are taken from, or put into, the wrong place"
    assert Why("wrong-term").lines("fix")[-1] == "no edit was found that makes every setting pass"
    edit = {"line": 3, "before": "a", "after": "b"}
    assert "no edit" not in "".join(Why("wrong-term", edits=[edit]).lines("fix"))
    assert Why("scale-sign", "returned / true = -1").lines("line") == ["cause: scale-sign; returned / true = -1"]


def mean_over_examples_only(p, q):
    return ((p - q) ** 2).mean(), 2 * (p - q) / len(p)


def similarity_without_its_scale(p, q):
    s = p @ q.T / np.sqrt(q.shape[1])
    return (s**2).sum(), 2 * s @ q


def squares_without_the_two(p, q):
    return ((p - q) ** 2).sum(), p - q


@pytest.mark.parametrize(
    ("loss", "cause", "told"),
    [
        (mean_over_examples_only, "scale-count", "= 3 = p.shape[1] for p; at one feature fewer it is 2"),
        (similarity_without_its_scale, "scale-factor", "= sqrt(p.shape[1]) for p; at one feature fewer it is 1.41421"),
        (squares_without_the_two, "scale-factor", "= 0.5 for p, at every size tried"),
    ],
)
def test_a_factor_is_told_by_the_size_that_it_follows(loss, cause, told):
    rng = np.random.default_rng(0)
    report = check_loss(loss, rng.standard_normal((5, 3)), rng.standard_normal((5, 3)))
    assert report.cause == cause
    assert told in report.why.evidence
