"""The fixture `gradcheck`, in a pytest of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = """
import numpy as np

x = np.random.default_rng(0).standard_normal((4, 3))

def forward(x):
    return x**2, x

class Layer:
    def forward(self, x):
        self.x = x
        return x**3
    def backward(self, dout):
        return 3 * self.x**2 * dout

def test_right(gradcheck):
    gradcheck((forward, lambda dout, x: 2 * x * dout), x)
    gradcheck(forward, lambda dout, x: 2 * x * dout, x)

def test_layer(gradcheck):
    gradcheck(Layer(), x)

def test_wrong(gradcheck):
    gradcheck((forward, lambda dout, x: x * dout), x)
"""


def test_a_failing_check_shows_the_report_at_the_line_of_the_test(tmp_path):
    (tmp_path / "test_mine.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "gradcheck.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "test_mine.py",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout
    assert "1 failed" in done.stdout
    assert "forward: fail" in done.stdout
    assert "returned is 0.500 times the true gradient" in done.stdout
    assert ">       gradcheck((forward, lambda dout, x: x * dout), x)" in done.stdout
    assert "test_mine.py:24: AssertionError" in done.stdout
    assert "check.py" not in done.stdout  # no line of the checker itself


def test_the_plugin_imports_nothing_of_ours_at_module_level():
    text = (ROOT / "gradcheck" / "pytest_plugin.py").read_text()
    assert not [line for line in text.splitlines() if line.startswith(("from gradcheck", "import gradcheck", "from ."))]
