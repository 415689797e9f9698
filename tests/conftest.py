import importlib
import importlib.util
import sys
import types

import pytest


@pytest.fixture(params=["python", "numba"] if importlib.util.find_spec("numba") else ["python"])
def compiled_loops(request, monkeypatch):
    """``compiled_loops(name)``: a module of `layers` that Numba compiles, as the plain Python it is written in.

    Where Numba is installed each test runs a second time, with the module compiled.
    """

    def load(name):
        if request.param == "numba":
            return importlib.import_module(f"layers.{name}")
        numba = types.ModuleType("numba")
        numba.njit = lambda **options: lambda function: function
        with monkeypatch.context() as patch:
            for other in _compiled_modules():
                patch.delitem(sys.modules, other)
            patch.setitem(sys.modules, "numba", numba)
            module = importlib.import_module(f"layers.{name}")
            for own in _compiled_modules():  # nobody else is to find them
                del sys.modules[own]
        return module

    return load


def _compiled_modules():
    return [name for name in sys.modules if name.startswith("layers.") and name.endswith("_compiled")]
