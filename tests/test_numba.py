"""Where Numba cannot compile, NumPy does the work."""

import sys
import types

import pytest

from layers import _numba


def cannot_keep(**options):
    def decorate(function):
        raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available")

    return decorate


@pytest.mark.parametrize("numba", [None, types.SimpleNamespace(njit=cannot_keep)], ids=["missing", "without a folder"])
@pytest.mark.parametrize("name", ["_formulas", "_lstm", "_norms", "_small_tiles", "_tiles"])
def test_nothing_is_compiled_without_numba_or_a_folder_for_the_result(name, numba, monkeypatch):
    for compiled in [name for name in sys.modules if name.endswith("_compiled")]:
        monkeypatch.delitem(sys.modules, compiled)
    monkeypatch.setitem(sys.modules, "numba", numba)
    assert _numba.compiled.__wrapped__(name) is None
