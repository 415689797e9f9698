"""Stand-ins for modules that are not there, and for those that draw, ask or stop."""

from __future__ import annotations

import ast
import builtins
import contextlib
import types
from collections.abc import Iterator, MutableSequence, Sequence
from typing import Any, NoReturn

import numpy as np

from . import compiled


class Lacking(AttributeError):
    """Something that a module would have brought is needed, and the module is not there."""


class Absent:
    """Stands for a name of a module that is not there; what needs it raises `Lacking`.

    While a file is imported it can be a base class, part of an annotation, and called: ``optimizer=Adam()``.
    """

    importing = False

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Absent:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._name}.{name}")

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        if Absent.importing and not any(map(callable, arguments)):
            return Absent(f"{self._name}(...)")
        return self._lack()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (type(self._name.rpartition(".")[2], (_Base,), {"absent": self._name}),)

    def __or__(self, _: Any) -> Absent:
        return self

    def _lack(self, *_: Any) -> NoReturn:
        raise Lacking(f"{self._name}, which is not installed, nor beside this file")

    __ror__ = __or__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _lack
    __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __neg__ = __iter__ = __array__ = _lack


class _Base:
    """Stands for a class that is not there, under one that is."""

    absent = ""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Lacking(f"{name}, perhaps of {self.absent}, which is not installed, nor beside this file")


class Silent(types.ModuleType):
    """Stands for an interactive module: every attribute is there, every call does nothing."""

    __all__: Sequence[str] = ()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: MutableSequence[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Silent(name)

    def __call__(self, *arguments: Any, **_: Any) -> Any:
        return arguments[0] if len(arguments) == 1 else self  # tqdm(range(n)) goes on being a range

    def __getitem__(self, _: Any) -> Any:
        return self

    def __setitem__(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """While a file is imported, what is absent may be called."""
    before, Absent.importing = Absent.importing, True
    try:
        yield
    finally:
        Absent.importing = before


def brought_by_star(tree: ast.Module) -> dict[str, Any]:
    """What a ``from module import *`` must have brought: all that a file calls and nowhere binds, and its ``np``."""
    nodes = list(ast.walk(tree))
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)} | set(_imported(nodes)) | set(dir(builtins))
    return {name: Absent(name) for name in called - bound} | ({} if "np" in bound else {"np": np})


def stand_in_for(full: str) -> Any:
    """Something that works for what the course compiles, and `Absent` for all else."""
    module, _, name = full.rpartition(".")
    return getattr(compiled, name, Absent(full)) if module.endswith("im2col_cython") else Absent(full)


def guarded_imports(tree: ast.Module) -> dict[str, Any]:
    """All that is imported under a ``try``, whose failure the file has swallowed."""
    under = [node for top in tree.body if isinstance(top, ast.Try) for part in top.body for node in ast.walk(part)]
    return {name: stand_in_for(full) for name, full in _imported(under).items()}


def _imported(nodes: list[ast.AST]) -> dict[str, str]:
    """The names that imports bind, each with what it stands for."""
    found = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            found.update({alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names})
        elif isinstance(node, ast.ImportFrom):
            of = f"{node.module or ''}."
            found.update({alias.asname or alias.name: (of + alias.name).lstrip(".") for alias in node.names})
    return {name: full for name, full in found.items() if name != "*"}
