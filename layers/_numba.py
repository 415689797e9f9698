"""The modules whose names end in `_compiled`: what others do in NumPy, compiled by Numba for float32.

Numba keeps what it compiled in ``__pycache__`` until the file of the function changes, and does not see changes of
functions that it calls: after one in `_tiles.py`, `_tiles_compiled.py` or `_formulas_compiled.py` remove
``layers/__pycache__/*.nb?``.
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
