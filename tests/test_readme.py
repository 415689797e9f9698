"""README is run as it stands: its Python blocks, and its claims about files and flags."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import gradcheck.cli
import train

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def agreed(report):
    """The report with "ten or more" for its digits of agreement: how many more is decided by a BLAS's rounding."""
    return re.sub(r"\(1\d\.\d digits\)", "(ten or more digits)", report)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: next(iter(block.splitlines())))
def test_every_python_block_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    for promised in re.findall(r"print\(.*\)\s+# (\w+: pass.*)", block):
        assert agreed(promised) in agreed(printed)


def test_the_checker_reports_what_readme_shows(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    command, report = re.search(
        r"```sh\npython -m gradcheck (.*?)\n```\n\n```text\n(.*?)```", README, re.DOTALL
    ).groups()
    assert gradcheck.cli.main(command.split()) == 1
    assert agreed(capsys.readouterr().out) == agreed(report)


def test_a_wrong_layer_is_reported_as_readme_shows(tmp_path):
    block, report = re.search(r"```python\n([^`]*class Dense.*?)```\n\n```text\n(.*?)```", README, re.DOTALL).groups()
    script = tmp_path / "dense.py"
    script.write_text(block)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert agreed(done.stdout) == agreed(report)


def test_the_layer_of_ten_lines_has_ten_lines():
    (block,) = (block for block in BLOCKS if "class Swish" in block)
    body = block[block.index("class Swish") : block.index("\nx = ")]
    assert len([line for line in body.splitlines() if line.strip()]) <= 10


def test_every_flag_that_readme_names_exists():
    flags = {
        flag
        for command in re.findall(r"python train\.py ([^`\n]*)", README)
        for flag in re.findall(r"--[\w-]+", command)
    }
    known = {option for action in train.parser()._actions for option in action.option_strings}
    assert flags
    assert flags <= known


def test_every_place_on_the_map_exists():
    for place in re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE):
        assert (ROOT / place).exists(), place
