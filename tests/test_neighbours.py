"""``python -m gradcheck`` in a folder of someone's own, whose files may bear the names of our packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = """
import numpy as np

def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dout, x):
    return dout * (x > 0)
"""
UTILS = """
from {} import *

def affine_relu_forward(x, w, b):
    a, affine_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (affine_cache, relu_cache)

def affine_relu_backward(dout, cache):
    affine_cache, relu_cache = cache
    return affine_backward(relu_backward(dout, relu_cache), affine_cache)
"""


def closing(folder, target):
    """The last line that the command prints in a folder, and what it says on the error output."""
    command = [sys.executable, "-m", "gradcheck", target, "--quick"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-1:], done.stderr


@pytest.mark.parametrize("name", ["layers", "models", "optim", "data"])
def test_a_file_may_bear_the_name_of_one_of_our_packages(tmp_path, name):
    (tmp_path / f"{name}.py").write_text(LAYERS)
    assert closing(tmp_path, f"{name}.py") == (["2 of 2 right"], "")


@pytest.mark.parametrize("folder", ["cs231n", "code", "hw-2.1"])
@pytest.mark.parametrize("source", ["layers", ".layers"])
def test_a_file_gets_the_layers_beside_it_whatever_its_folder_is_called(tmp_path, folder, source):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "layers.py").write_text(LAYERS)
    (tmp_path / folder / "layer_utils.py").write_text(UTILS.format(source))
    assert closing(tmp_path / folder, "layer_utils.py") == (["1 of 1 right"], "")


def test_a_file_gets_the_layers_of_the_working_directory(tmp_path):
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "layer_utils.py").write_text(UTILS.format("layers"))
    assert closing(tmp_path, "mine/layer_utils.py") == (["1 of 1 right"], "")
