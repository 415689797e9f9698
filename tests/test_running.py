"""``python -m gradcheck`` while it runs: each report as soon as it is there, and Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENDLESS = """
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    return dout * (x > 0)

def tanh_forward(x):
    while True:
        pass

def tanh_backward(dout, out):
    return dout * (1 - out**2)
"""


@pytest.fixture
def started():
    """Starts the command in a group of processes of its own, as a shell does."""
    running = []

    def start(*arguments):
        command = [sys.executable, "-m", "gradcheck", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_report_is_printed_while_the_next_pair_is_checked_and_ctrl_c_stops_that(started, tmp_path):
    (tmp_path / "mine.py").write_text(ENDLESS)
    process = started(tmp_path / "mine.py", "--quick")
    assert process.stdout.readline().startswith("relu: pass")  # with the second one still under way
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (out, error, process.returncode) == ("stopped; 1 of 1 right\n", "", 130)
    with pytest.raises(ProcessLookupError):  # the worker is gone as well
        os.killpg(process.pid, 0)


def test_ctrl_c_stops_a_folder_and_tells_what_is_finished(started, tmp_path):
    (tmp_path / "a.py").write_text(ENDLESS[: ENDLESS.index("def tanh")])
    for name in ("b.py", "c.py", "d.py"):
        (tmp_path / name).write_text(ENDLESS)
    process = started(tmp_path, "--quick")
    assert process.stdout.readline().endswith("a.py: 1 of 1 right\n")
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (error, process.returncode) == ("", 130)
    assert out.splitlines()[-1].startswith("stopped; ")
    assert "error" not in out
