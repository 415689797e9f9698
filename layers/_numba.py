"""The modules whose names end in `_compiled`: the functions of another, compiled by Numba for float32.

Numba keeps what it compiled beside the file of a function, until that file changes: one with functions of other
files must be touched when they change.
"""

from __future__ import annotations

import functools
import importlib
import types

# A product and a sum at once, division as NumPy's, and NaN stays NaN.
options = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}


@functools.cache
def compiled(name: str) -> types.ModuleType | None:
    """The module `name` compiled; None without Numba (``pip install '.[fast]'``), or a folder to keep the result in."""
    try:
        return importlib.import_module(f".{name}_compiled", __package__)
    except (ImportError, RuntimeError):  # Numba raises the latter if it can write neither here nor in the home
        return None
