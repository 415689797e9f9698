import importlib.util
import pathlib
import sys
import types

import pytest

import layers


@pytest.fixture
def compiled_loops(monkeypatch):
    """``compiled_loops(name)``: a module of `layers` that Numba would compile, as the plain Python it is written in."""

    def load(name):
        numba = types.ModuleType("numba")
        numba.njit = lambda **options: lambda function: function
        monkeypatch.setitem(sys.modules, "numba", numba)
        path = pathlib.Path(layers.__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(f"layers.{name}_in_python", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
