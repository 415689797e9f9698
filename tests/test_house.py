"""The design, held: who may import whom, how long a file may be, what an import costs, what a wheel contains."""

import ast
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = ("layers", "models", "optim", "data", "gradcheck")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).glob("**/*.py"))
ALLOWED = {"layers": set(), "optim": set(), "data": set(), "models": {"layers", "optim", "data"}, "gradcheck": set()}


def imported(path):
    """Top-level names of every module that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def lines_of_code(path):
    """Lines that hold code: no blanks, comments or docstrings."""
    source = path.read_text()
    strings = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    return sum(bool(text.strip()) and not text.strip().startswith("#") and n not in strings for n, text in lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_only_along_the_arrows(path):
    package = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED[package] | {package} | ({"layers"} if path.match("gradcheck/cs231n.py") else set())
    assert set(imported(path)) & {*PACKAGES, "train", "tests"} <= allowed


@pytest.mark.parametrize("path", [*FILES, ROOT / "train.py"], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_300_lines_of_code(path):
    assert lines_of_code(path) <= 300


@pytest.mark.parametrize("package", ["layers", "optim", "data", "models", "gradcheck"])
def test_an_import_loads_numpy_and_no_more(package):
    code = f"import sys, {package}; print([name for name in ('scipy', 'sklearn', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_layer_file_draws_from_the_global_generator():
    for path in FILES:
        assert not re.search(
            r"np\.random\.(seed|rand|randn|choice|shuffle|permutation|normal|uniform)\(", path.read_text()
        ), path


def test_the_wheel_holds_the_packages_and_train_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=ignore)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {*PACKAGES, "train.py"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
