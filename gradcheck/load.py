"""Import a file of someone's own, however unfinished: what is sound is there, what is not is said with its line."""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import importlib.abc
import importlib.machinery
import io
import re
import sys
import tokenize
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .standins import Silent, brought_by_star, guarded_imports, importing, stand_in_for

# Modules that draw, ask or stop: silent stand-ins take their place, installed or not.
INTERACTIVE = {"IPython", "ipdb", "matplotlib", "pdb", "pylab", "seaborn", "tkinter", "tqdm"}
# What `past.builtins`, `six.moves` and their like gave to code for both Pythons.
PYTHON2 = {"xrange": range, "range": range, "unicode": str, "basestring": str, "long": int, "raw_input": input}
COMPATIBILITY = {"past", "future", "six", "builtins"}
HOUSE = Path(__file__).resolve().parents[1]
KEPT = {*sys.stdlib_module_names, "numpy"}  # what no file of that name takes the place of
OURS = {"layers", "models", "optim", "data"}  # the packages there, whose names are everybody's


class Problem(NamedTuple):
    """Something that could not be imported, and where."""

    file: str
    message: str
    line: int | None = None


class _Silence(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return Silent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


class _Sound(importlib.abc.Loader):
    """Executes a neighbour of the file as the file itself is: statement by statement."""

    def __init__(self, path: str) -> None:
        self.path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        execute(Path(self.path), module)


class _Neighbours(importlib.abc.MetaPathFinder):
    """Finds the modules beside a file, and those of the package that the folder, or one above it, is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        if top in INTERACTIVE:
            return importlib.machinery.ModuleSpec(name, _Silence(), is_package=True)
        package = self._package(top)
        if package and path is None and package.name != top:
            renamed = importlib.machinery.ModuleSpec(name, None, is_package=True)
            renamed.submodule_search_locations = [str(package)]
            return renamed
        places = [str(self._home(top))] if path is None else self._near(path, top)
        spec = importlib.machinery.PathFinder.find_spec(name, places) if places else None
        if spec is None or (spec.origin is None and importlib.machinery.PathFinder.find_spec(name) is not None):
            return None  # a bare folder of that name does not hide an installed package
        if spec.origin and spec.origin.endswith(".py"):
            spec.loader = _Sound(spec.origin)
        return spec

    def _package(self, top: str) -> Path | None:
        """The folder of the file, or one just above it, if it bears the package's name."""
        return next((folder for folder in [self.folder, *self.folder.parents][:3] if _as_package(folder) == top), None)

    def _home(self, top: str) -> Path:
        """The folder that would hold a top-level module."""
        package = self._package(top)
        return package.parent if package else self.folder

    def _near(self, path: Any, top: str) -> list[str]:
        """Of a package's folders those that are the file's own; none for an installed package."""
        root = self._package(top) or self.folder
        return [place for place in path if Path(place).is_relative_to(root)]

    def owns(self, name: str) -> bool:
        """Whether a module loaded earlier must step aside for one beside the file."""
        top = name.partition(".")[0]
        if top in INTERACTIVE:
            return True
        if top in KEPT:
            return False
        home = self._home(top)
        return (home / f"{top}.py").exists() or (home / top).is_dir() or (top in OURS and _is_hidden(top))


def _is_hidden(package: str) -> bool:
    """Whether an import of one of our packages finds another of its name first, as in the working directory."""
    spec = importlib.machinery.PathFinder.find_spec(package)
    return spec is not None and spec.origin is not None and HOUSE / package not in Path(spec.origin).resolve().parents


@contextlib.contextmanager
def sandboxed(path: Path) -> Iterator[None]:
    """Load, and call, a file's functions inside: prints are swallowed, debuggers do not stop, neighbours are found.

    It does not protect from malice or endless loops: run each file in a process of its own, with a time limit.
    """
    finder = _Neighbours(Path(path).resolve().parent)
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if finder.owns(name)}
    hook, sys.breakpointhook = sys.breakpointhook, lambda *_, **__: None
    sys.meta_path.insert(0, finder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        sys.meta_path.remove(finder)
        sys.breakpointhook = hook
        for name in [name for name in sys.modules if finder.owns(name)]:
            del sys.modules[name]
        sys.modules.update(aside)


def load(path: Path) -> tuple[types.ModuleType, list[Problem]]:
    """The module in a file, as far as it is sound, and what was not. Code under ``__main__`` is not run.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = Path(path).resolve()
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    module.__package__ = _package_of(path)
    sys.modules.setdefault(module.__name__, module)  # dataclasses look their module up
    try:
        problems = execute(path, module)
    finally:
        if sys.modules.get(module.__name__) is module:
            del sys.modules[module.__name__]
    return module, problems


def _package_of(path: Path) -> str:
    """The package that a file is in, as high up as its own imports reach: two folders for ``from ..layers import``."""
    levels = [len(dots) for dots in re.findall(r"^\s*from\s+(\.+)", read(path), re.MULTILINE)]
    folders = [path.parent, *path.parent.parents][: max(levels, default=1)]
    return ".".join(map(_as_package, reversed(folders)))


def _as_package(folder: Path) -> str:
    """A folder's name as a package, or, where there can be none of that name (``hw-2.1``, ``code``), one like it."""
    name = folder.name
    return name if name.isidentifier() and name not in KEPT else re.sub(r"\W", "_", f"folder_{name}")


def execute_plainly(path: Path) -> types.ModuleType:
    """The module in a file that has to be sound; what it raises comes through."""
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    exec(compile(read(path), str(path), "exec"), module.__dict__)
    return module


def execute(path: Path, module: types.ModuleType) -> list[Problem]:
    """Run a file's top-level statements one by one in `module`; one that raises leaves the others standing."""
    tree, problems = parse(read(path), str(path))
    flags = _future_flags(tree)
    with importing():
        for statement in tree.body:
            try:
                _run(statement, path, module, flags)
            except (Exception, SystemExit) as error:
                problems += _recover(statement, error, path, module, flags)
                if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                    vars(module).update(brought_by_star(tree))
    for name, absent in guarded_imports(tree).items():
        vars(module).setdefault(name, absent)
    return problems


def read(path: Path) -> str:
    """The text of a source file in the encoding it declares; bytes that do not decode are replaced."""
    with open(path, "rb") as file:
        try:
            encoding, _ = tokenize.detect_encoding(file.readline)
        except SyntaxError:
            encoding = "utf-8"
    return path.read_text(encoding, errors="replace").replace("\0", "")


def parse(source: str, filename: str) -> tuple[ast.Module, list[Problem]]:
    """The syntax tree of all top-level blocks that are Python 3; the others are left out, and named."""
    lines = source.split("\n")
    problems: list[Problem] = []
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes, `is` with a literal
                return ast.parse("\n".join(lines), filename), problems
        except SyntaxError as error:
            if (error.msg or "").startswith("Missing parentheses in call to 'print'") and _silence_print(lines, error):
                printed = f"SyntaxError: {error.msg}; left out: the prints of Python 2"
                if not any(problem.message == printed for problem in problems):
                    problems.append(Problem(filename, printed, error.lineno))
                continue
            block = _block(lines, error.lineno or 1)
            lost = [found[1] for line in lines[block] if (found := re.match(r"(?:def|class)\s+(\w+)", line))]
            problems.append(Problem(filename, f"SyntaxError: {error.msg}" + _left_out(lost), error.lineno))
            if not any(line.strip() for line in lines[block]):
                return ast.Module([], []), problems
            lines[block] = [""] * len(lines[block])


def _silence_print(lines: list[str], error: SyntaxError) -> bool:
    """Put ``pass`` in place of the print of Python 2 that an error points at, if the statement is whole."""
    first, column = (error.lineno or 1) - 1, (error.offset or 1) - 1
    for last in range(first, min(first + 20, len(lines))):
        with contextlib.suppress(SyntaxError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rest = [lines[first][column:], *lines[first + 1 : last + 1]]
            ast.parse(re.sub(r"^print\b\s*(>>)?", "", "\n".join(rest)).strip().rstrip(",") or "0")
            lines[first : last + 1] = [lines[first][:column] + "pass", *[""] * (last - first)]
            return True
    return False


def _block(lines: list[str], lineno: int) -> slice:
    """The lines of the top-level block around a line: from one that starts in column 0 to the next that does."""
    starts = [i for i, line in enumerate(lines) if re.match(r"(?!(?:elif|else|except|finally)\b)[A-Za-z_@]", line)]
    first = max((i for i in starts if i < lineno), default=0)
    return slice(first, min((i for i in starts if i > first), default=len(lines)))


def _left_out(names: list[str]) -> str:
    return f"; left out: {', '.join(names)}" if names else ""


def _future_flags(tree: ast.Module) -> int:
    """The compiler flags of the file's ``from __future__`` imports, which hold for every statement."""
    names = [
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        for alias in statement.names
    ]
    flags = 0
    for name in names:
        flags |= getattr(getattr(__future__, name, None), "compiler_flag", 0)
    return flags


def _run(statement: ast.stmt, path: Path, module: types.ModuleType, flags: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(ast.Module([statement], []), str(path), "exec", flags, dont_inherit=True)
        exec(code, module.__dict__)


def _recover(
    statement: ast.stmt, error: BaseException, path: Path, module: types.ModuleType, flags: int
) -> list[Problem]:
    """Make the best of a statement that raised: stand-ins for an import, a function without its decorators."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)) and isinstance(error, ImportError):
        absent = _stand_in(statement, module)
        return [Problem(str(path), f"{error}; stand-ins for {', '.join(absent)}", statement.lineno)] if absent else []
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and _undecorate(statement):
        with contextlib.suppress(Exception):
            _run(statement, path, module, flags)
            return []
    name = [statement.name] if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) else []
    return [Problem(str(path), f"{type(error).__name__}: {error}{_left_out(name)}", statement.lineno)]


def _undecorate(statement: ast.FunctionDef | ast.ClassDef) -> bool:
    """Take away the decorators that are not Python's own, also those of methods; whether there were any."""
    found = False
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own = [decorator for decorator in node.decorator_list if _is_pythons(decorator)]
            found |= own != node.decorator_list
            node.decorator_list = own
    return found


def _is_pythons(decorator: ast.expr) -> bool:
    if isinstance(decorator, ast.Attribute):
        return decorator.attr in ("getter", "setter")
    return isinstance(decorator, ast.Name) and hasattr(builtins, decorator.id)


def _stand_in(statement: ast.Import | ast.ImportFrom, module: types.ModuleType) -> list[str]:
    """Bind each name of a failed import: Python 2's to its heir, the rest to stand-ins; these are returned."""
    origin = getattr(statement, "module", None) or ""
    absent = []
    for alias in statement.names:
        full = f"{origin}.{alias.name}".lstrip(".")
        bound = alias.asname or (alias.name if isinstance(statement, ast.ImportFrom) else full.partition(".")[0])
        if full.partition(".")[0] in COMPATIBILITY and alias.name in PYTHON2:
            setattr(module, bound, PYTHON2[alias.name])
            continue
        absent.append(full)
        if alias.name != "*":
            setattr(module, bound, stand_in_for(full))
    return absent
