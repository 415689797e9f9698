"""A backward without a ``return``: a mistake where a gradient was computed, else one that is not written yet."""

import numpy as np
import pytest

from gradcheck import check, check_layer
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep

FORWARD = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, cache):
    x = cache
"""


@pytest.fixture
def relu(tmp_path):
    """The report of the pair relu whose backward ends in this."""

    def report(*lines):
        path = tmp_path / "mine.py"
        path.write_text(FORWARD + "".join(f"    {line}\n" for line in lines))
        with sandboxed(path):
            return sweep(discover(path).pairs[0], quick=True, why=True)

    return report


@pytest.mark.parametrize(
    "lines",
    [
        ["dx = dout * (x > 0)"],
        ["dX = dout * (x > 0)"],
        ["dx = dout * (x > 0)", "return"],
        ["dx = dout * (x > 0)", "return None"],
        ["grad = dout * (x > 0)"],
    ],
)
def test_a_gradient_that_is_not_returned_is_a_mistake_with_its_line(relu, lines):
    report = relu(*lines)
    assert (report.verdict, report.cause, report.line) == ("fail", "missing-gradient", 9)
    assert f"computes {lines[0].split()[0]} and has no return" in report.format()
    assert "try: return it" in report.format(tell="fix")


@pytest.mark.parametrize(
    "lines",
    [
        ["pass"],
        ["return None"],
        ["dx = None"],
        ["dx = None", "return dx"],
        ["mask = x > 0"],
        ["dx, dy = None, None", "return dx, dy"],
    ],
)
def test_what_has_no_gradient_yet_is_unfinished(relu, lines):
    assert relu(*lines).verdict == "not_implemented"


def test_a_layer_owes_its_return_as_well():
    class Square:
        def forward(self, x):
            self.x = x
            return x**2

        def backward(self, dout):
            dx = 2 * self.x * dout  # noqa: F841

    report = check_layer(Square(), np.arange(3.0))
    assert (report.verdict, report.cause) == ("fail", "missing-gradient")


def test_a_backward_without_source_is_unfinished():
    functions = {}
    exec("def forward(x): return 2 * x, None\ndef backward(dout, cache): dx = 2 * dout", functions)
    assert check(functions["forward"], functions["backward"], np.ones(3)).verdict == "not_implemented"
