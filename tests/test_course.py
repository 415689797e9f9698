"""The table of the course's names: what it says is ours exists."""

import importlib
import pathlib
import re

import pytest

TEXT = (pathlib.Path(__file__).parent.parent / "docs" / "course.md").read_text()
NAMES = sorted({name for row in re.findall(r"^\| .*$", TEXT, re.MULTILINE)
                for name in re.findall(r"`((?:layers|models|optim|gradcheck|data)\.\w+)`", row)})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_ours_in_the_table_exists(name):
    package, _, thing = name.partition(".")
    assert hasattr(importlib.import_module(package), thing)


def test_the_table_names_something_of_every_package():
    assert {name.partition(".")[0] for name in NAMES} == {"layers", "models", "optim", "gradcheck", "data"}
    assert len(NAMES) > 40
