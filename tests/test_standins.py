"""What a file needs that is not there, or is of Python 2: it costs nobody an accusation."""

import textwrap

import pytest

from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep


@pytest.fixture
def swept(tmp_path):
    """The reports of a text's pairs by name, and its problems."""

    def sweep_all(text):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(text))
        with sandboxed(path):
            found = discover(path)
            return {pair.name: sweep(pair) for pair in found.pairs}, found.problems

    return sweep_all


@pytest.mark.parametrize(
    "imported",
    [
        "from course.layers import *",
        "from course.layers import helper",
        "import course\nhelper = course.layers.helper",
        "try:\n    from course.layers import helper\nexcept ImportError:\n    print('not compiled')",
    ],
)
def test_what_is_absent_accuses_nobody(swept, imported):
    text = "def relu_forward(x): return helper(x), x\ndef relu_backward(dout, cache): return dout * (cache > 0)\n"
    reports, _ = swept(f"{imported}\n{text}")
    assert reports["relu"].verdict == "vacuous"
    assert "cannot be checked here: forward needs" in reports["relu"].message
    assert "helper" in reports["relu"].message
    assert "wrong at" not in str(reports["relu"])


def test_a_name_that_no_import_can_have_brought_is_undefined(swept):
    reports, _ = swept("def relu_forward(x): return help_me(x), x\ndef relu_backward(dout, cache): return dout\n")
    assert (reports["relu"].verdict, reports["relu"].cause) == ("error", "undefined-name")


def test_absent_things_may_be_bases_defaults_and_annotations(swept):
    reports, problems = swept(
        """
        from course.base import Layer, Adam, Tensor
        class Square(Layer):
            def __init__(self, optimizer=Adam()):
                super().__init__(self, "square")
            def forward(self, x: Tensor | None):
                self.x = x
                return x**2
            def backward(self, dout):
                return 2 * dout * self.x
        class Kept(Layer):
            def forward(self, x):
                return x**2
            def backward(self, dout):
                return 2 * dout * self.saved
        """
    )
    assert [problem.line for problem in problems] == [2]
    assert reports["Square"].verdict == "pass"
    assert reports["Kept"].verdict == "vacuous"
    assert "saved, perhaps of course.base.Layer" in reports["Kept"].message


def test_prints_of_python_2_are_left_out_and_named_once(swept):
    reports, problems = swept(
        """
        try:
            from course.fast import helper
        except ImportError:
            print 'compile it first'
        def relu_forward(x, verbose=False):
            if verbose: print x, (1,
                                  2)
            return x * (x > 0), x
        def relu_backward(dout, cache):
            print "%d" % 3
            return dout * (cache > 0)
        """
    )
    assert reports["relu"].verdict == "pass"
    assert [problem.line for problem in problems] == [5]
    assert "left out: the prints of Python 2" in problems[0].message


def test_what_does_not_parse_is_left_out_with_its_except(swept):
    reports, problems = swept(
        """
        try:
            raise ValueError, "old"
        except ValueError:
            pass
        def relu_forward(x): return x * (x > 0), x
        def relu_backward(dout, cache): return dout * (cache > 0)
        """
    )
    assert reports["relu"].verdict == "pass"
    assert len(problems) == 1


STUB = """
def dropout_forward(x, dropout_param):
    mask, out = None, None
    if dropout_param["mode"] == "train":
        pass
    cache = (dropout_param, mask)
    out = out.astype(x.dtype, copy=False)
    return out, cache
def dropout_backward(dout, cache):
    return None
"""


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("", "", "not_implemented"),
        ("pass", "mask = x > 0", "not_implemented"),
        ("pass", "out[x > 0] = 1", "error"),
        ("    cache =", "    else:\n        out = x\n    cache =", "error"),
    ],
)
def test_an_output_that_was_left_none_is_not_written_yet(swept, old, new, verdict):
    reports, _ = swept(STUB.replace(old, new, 1))
    assert reports["dropout"].verdict == verdict


def test_decorators_that_are_absent_are_left_out(swept):
    reports, _ = swept(
        """
        from course.speed import jit, tracked
        @jit(nopython=True)
        def twice_forward(x): return 2 * x, None
        def twice_backward(dout, cache): return 2 * dout
        class Square:
            @staticmethod
            def square(x):
                return x**2
            @tracked("forward")
            def forward(self, x):
                self.x = x
                return self.square(x)
            def backward(self, dout):
                return 2 * dout * self.x
        """
    )
    assert {name: report.verdict for name, report in reports.items()} == {"twice": "pass", "Square": "pass"}


FAST = """
import numpy as np
try:
    from .im2col_cython import col2im_cython, im2col_cython, col2im_6d_cython
except ImportError:
    print("compile it first")
def sizes(x, w, conv_param):
    (N, C, H, W), (F, _, HH, WW) = x.shape, w.shape
    pad, stride = conv_param["pad"], conv_param["stride"]
    return N, C, H, W, F, HH, WW, pad, stride, (H + 2 * pad - HH) // stride + 1, (W + 2 * pad - WW) // stride + 1
def conv_forward_im2col(x, w, b, conv_param):
    N, C, H, W, F, HH, WW, pad, stride, out_h, out_w = sizes(x, w, conv_param)
    cols = im2col_cython(x, HH, WW, pad, stride)
    out = w.reshape(F, -1) @ cols + b[:, None]
    return out.reshape(F, out_h, out_w, N).transpose(3, 0, 1, 2), (x, w, conv_param, cols)
def conv_backward_im2col(dout, cache):
    x, w, conv_param, cols = cache
    N, C, H, W, F, HH, WW, pad, stride, out_h, out_w = sizes(x, w, conv_param)
    d = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dx = col2im_cython(w.reshape(F, -1).T @ d, N, C, H, W, HH, WW, pad, stride)
    return dx, (d @ cols.T).reshape(w.shape), d.sum(axis=1)
"""


def test_what_the_course_compiles_has_a_stand_in_that_works(swept):
    reports, _ = swept(FAST)
    assert reports["conv_im2col"].verdict == "pass"
    assert reports["conv_im2col"].forward_matches_reference
    assert len(reports["conv_im2col"].tried) == 8
    reports, _ = swept(FAST.replace("d.sum(axis=1)", "d.mean(axis=1)"))
    assert reports["conv_im2col"].verdict == "fail"


@pytest.mark.parametrize(("sixth", "verdict"), [("cols", "pass"), ("2 * cols", "fail")])
def test_columns_of_six_axes_are_added_up_at_their_places(swept, sixth, verdict):
    six = f"""
    cols = w.reshape(F, -1).T @ dout.transpose(1, 0, 2, 3).reshape(F, -1)
    dx = col2im_6d_cython(({sixth}).reshape(C, HH, WW, N, out_h, out_w), N, C, H, W, HH, WW, pad, stride)
    return dx, """
    before, after = FAST.split("    dx = col2im_cython")
    reports, _ = swept(before.replace("cols = cache", "kept = cache") + six.lstrip("\n") + after.split("return dx, ")[1]
                       .replace("cols", "kept"))  # fmt: skip
    assert reports["conv_im2col"].verdict == verdict


def test_a_second_backward_that_needs_what_is_absent_accuses_nobody(swept):
    reports, _ = swept(
        """
        from course.tools import again
        class Twice:
            def forward(self, x):
                self.fresh = True
                return 2 * x
            def backward(self, dout):
                fresh, self.fresh = self.fresh, False
                return 2 * dout if fresh else again(dout)
        """
    )
    assert reports["Twice"].verdict == "pass"
