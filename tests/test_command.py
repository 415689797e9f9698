"""``python -m gradcheck``: whole files of other people's code, checked without configuration."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.cli import main, parser
from gradcheck.runner import run

RIGHT = """
import numpy as np

def affine_forward(x, w, b):
    print("not to be seen")
    return x.reshape(len(x), -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""
# The gradient of b lacks the sum; relu is a leaky one with the right gradient; the last has no body yet.
WRONG = """
import numpy as np

def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.mean(axis=0)

def relu_forward(x):
    return np.where(x > 0, x, 0.25 * x), x

def relu_backward(dout, x):
    return dout * np.where(x > 0, 1, 0.25)

def dropout_forward(x, dropout_param):
    pass

def dropout_backward(dout, cache):
    pass
"""


@pytest.fixture
def write(tmp_path):
    def to_file(text, name="mine.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    return to_file


@pytest.fixture
def checked(write, tmp_path):
    """The records of a file's checks by name, and the exit status."""

    def check(text, *options):
        out = tmp_path / "out.json"
        status = main([write(text), "--json", str(out), *options])
        document = json.loads(out.read_text())
        return {record["name"]: record for record in document["checks"]}, document, status

    return check


def order(**changes):
    return {
        "names": None,
        "seed": 0,
        "quick": True,
        "list": False,
        "inputs": None,
        "colour": False,
        "tell": "line",
        "repair": 0.0,
        "explain": False,
        "width": None,
        **changes,
    }


def test_a_right_file_is_told_in_a_line_a_pair(write, capsys):
    assert main([write(RIGHT)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("affine: pass; x, w, b (")
    assert out.splitlines()[1] == "1 of 1 right"
    assert "not to be seen" not in out


def test_what_is_right_as_far_as_it_was_checked_is_counted_apart(write, capsys):
    text = "def add_forward(x, step=1):\n    return x + step, x\ndef add_backward(dout, cache):\n    return dout\n"
    assert main([write(text)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 right; of 1 right not all was checked, see there"


def test_the_command_runs_as_a_module(write):
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", write(RIGHT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert "1 of 1 right" in done.stdout


def test_what_is_wrong_is_recorded_with_verdict_entry_and_settings(checked):
    checks, document, status = checked(WRONG)
    assert status == 1
    assert set(document) == {"target", "seed", "versions", "errors", "checks"}
    affine = checks["affine"]
    assert (affine["verdict"], affine["forward"], affine["backward"]) == ("fail", "affine_forward", "affine_backward")
    b = next(argument for argument in affine["arguments"] if argument["name"] == "b")
    assert b["verdict"] == "fail"
    assert 0 < b["worst"]["ratio"] < 1
    assert b["wrong"] == b["checked"] > 0
    passing = set(affine["settings"]["tried"]) - set(affine["settings"]["failed"])
    assert passing == {"x (1, 2, 3, 2), w (12, 4)"}  # with one example the mean is the sum


def test_another_forward_with_its_own_gradient_passes_and_is_told(checked):
    checks, _, status = checked(WRONG, "relu")
    assert status == 1
    assert checks["relu"]["verdict"] == "pass"
    assert checks["relu"]["forward_matches_reference"] is False
    assert "leaky ReLU, with slope 0.25" in checks["relu"]["notes"][0]


def test_another_forward_is_not_called_a_pass_and_its_values_are_no_verdict(write, capsys):
    main([write(WRONG), "relu"])
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith(
        "relu: forward differs from the reference: it is a leaky ReLU, with slope 0.25 where x < 0; "
    )
    assert "its own gradients are right: x (" in first
    main([write(WRONG), "relu", "--tell", "verdict"])
    assert capsys.readouterr().out.startswith(
        "relu: forward differs from the reference; its own gradients are right: x ("
    )


def test_of_a_forward_without_a_backward_it_is_said_whether_it_agrees(write, capsys):
    unwritten = RIGHT.partition("    x, w, b = cache")[0] + "    pass\n"
    main([write(unwritten)])
    assert "(None); forward agrees with the reference\n" in capsys.readouterr().out
    main([write(unwritten.replace("@ w + b", "@ w - b"))])
    assert "(None); forward differs from the reference: out" in capsys.readouterr().out


def test_an_unfinished_pair_is_no_fault_unless_strict(write, capsys):
    path = write(WRONG)
    assert main([path, "dropout"]) == 0
    assert "dropout: not_implemented" in capsys.readouterr().out
    assert main([path, "dropout", "--strict"]) == 1


def test_a_pair_answers_to_the_names_of_its_functions(checked):
    checks, _, status = checked(WRONG, "relu_backward")
    assert list(checks) == ["relu"]
    assert status == 1


def test_module_and_object_name_one_pair(write, capsys):
    assert main([write(RIGHT) + ":affine"]) == 0
    assert main(["gradcheck.pairs:nothing"]) == 2


def test_what_is_no_file_is_written_to_and_not_replaced(write, tmp_path, capsys):
    file, link = tmp_path / "whole.json", tmp_path / "link.json"
    link.symlink_to(file)
    assert main([write(RIGHT), "--quick", "--json", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(file.read_text())["checks"]
    plain = tmp_path / "plain.json"
    plain.touch()
    own = tmp_path / "own.json"
    assert main([write(RIGHT), "--quick", "--json", str(own)]) == 0
    assert own.stat().st_mode == plain.stat().st_mode  # who may read it is the user's to say
    assert main([write(RIGHT), "--quick", "--json", str(tmp_path)]) == 2
    assert {path.suffix for path in tmp_path.iterdir()} == {".py", ".json"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.py"], "there is no file or folder missing.py"),
        (["{file}", "afine"], "no pair is named afine; found: affine"),
        (["{file}", "affine=much"], "points must be a number"),
        (["{file}", "affine=-1"], "points must be a number of at least 0, as in affine=2; got affine=-1"),
        (["{file}", "affine=nan"], "points must be a number of at least 0"),
        (["{file}", "--inputs", "none.py"], "there is no none.py"),
        (["{file}", "--json", "no/such/folder/out.json"], "cannot write no/such/folder/out.json"),
        (["no_such_module:thing"], "no module no_such_module"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(write, capsys, arguments, said):
    path = write(RIGHT)
    assert main([argument.format(file=path) for argument in arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("of", ["", ":affine"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hw.ipynb", "is a notebook; make a .py file of it: jupyter nbconvert --to script"),
        ("hw.txt", "target must be a .py file, a folder, or module:object; got"),
    ],
)
def test_what_is_no_python_file_is_wrong_usage(write, capsys, name, said, of):
    assert main([write(RIGHT, name) + of]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_only_the_target_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err.splitlines()[-1].endswith("the following arguments are required: target")


def test_a_file_without_pairs_is_told_and_fails(write, capsys):
    assert main([write("x = 1\n")]) == 1
    assert "no forward/backward pair" in capsys.readouterr().out


def test_a_folder_is_checked_file_by_file(write, tmp_path, capsys):
    write(RIGHT, "a/one.py")
    write(WRONG, "a/b/two.py")
    write("def x_forward(: broken", "a/.hidden/three.py")
    assert main([str(tmp_path / "a")]) == 1
    out = capsys.readouterr().out
    assert "one.py" in out
    assert "two.py" in out
    assert "three.py" not in out
    assert "two.py: 0 of 3 right" in out
    assert "2 of 4 right" not in out
    assert "1 of 4 right in 2 files, 1 fail, 1 with another forward than the reference's, 1 not_implemented" in out


def test_what_does_not_parse_is_named_and_the_rest_checked(checked):
    broken = RIGHT + "\ndef relu_forward(x):\n    raise ValueError, 'old'\n"
    checks, document, status = checked(broken)
    assert status == 1
    assert checks["affine"]["verdict"] == "pass"
    (error,) = document["errors"]
    assert error["line"] == 13
    assert "left out: relu_forward" in error["message"]


def test_a_pair_without_end_costs_only_itself(write):
    text = RIGHT + "\ndef spin_forward(x):\n    while True: pass\ndef spin_backward(dout, cache):\n    return dout\n"
    checked = run(Path(write(text + RIGHT.replace("affine", "last"))), order(), timeout=6.0)
    verdicts = {record["name"]: record["verdict"] for record in checked.checks}
    assert verdicts == {"affine": "pass", "spin": "error", "last": "pass"}
    assert "took more than 6 s" in checked.checks[1]["message"]


@pytest.mark.parametrize("end", ["while True: pass", "os._exit(7)"])
@pytest.mark.parametrize("method", ["__init__(self)", "forward(self, x)"])
def test_a_class_that_never_ends_or_ends_the_process_costs_itself_alone(write, end, method):
    text = f"""
import os
class Ending:
    def forward(self, x): return x
    def backward(self, dout): return dout
    def {method}:
        {end}
class Same:
    def forward(self, x): return x
    def backward(self, dout): return dout
"""
    checked = run(Path(write(text)), order(), timeout=6.0)
    assert {record["name"]: record["verdict"] for record in checked.checks} == {"Ending": "error", "Same": "pass"}
    assert checked.found == {"Ending": ["Ending"], "Same": ["Same", "Same.backward", "Same.forward"]}
    checked = run(Path(write(text)), order(names=["Same"]), timeout=6.0)
    assert [record["name"] for record in checked.checks] == ["Same"]


def test_a_pair_that_ends_the_process_costs_only_itself(write):
    text = "import os\ndef end_forward(x):\n    os._exit(7)\ndef end_backward(dout, cache):\n    return dout\n" + RIGHT
    checked = run(Path(write(text)), order(), timeout=30)
    assert [record["verdict"] for record in checked.checks] == ["error", "pass"]
    assert "status 7" in checked.checks[0]["message"]


def test_an_import_without_end_is_an_error_of_the_file(write):
    checked = run(Path(write("while True: pass\n")), order(), timeout=1.5)
    assert checked.checks == []
    assert "importing it took more than 1.5 s" in checked.errors[0]["message"]


def test_list_names_the_settings_and_checks_nothing(write, capsys):
    assert main([write(WRONG), "relu", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["relu", "  x (5, 7)", "  x (2, 3, 4, 3)", "  x (1, 6)"]


def test_quick_is_one_setting(checked):
    checks, _, _ = checked(RIGHT, "--quick")
    assert checks["affine"]["settings"]["tried"] == ["x (3, 2, 4), w (8, 5)"]


def test_points_go_to_what_is_right(write, tmp_path):
    out = tmp_path / "results.json"
    main([write(RIGHT + WRONG.partition("def relu_forward")[2].join(["\ndef relu_forward", ""])), "affine=3", "relu=2",
          "conv=5", "--gradescope", str(out)])  # fmt: skip
    results = json.loads(out.read_text())
    assert results["score"] == 3
    tests = {test["name"]: test for test in results["tests"]}
    assert [tests[name]["score"] for name in ("affine", "relu", "conv")] == [3, 0, 0]
    assert [tests[name]["max_score"] for name in ("affine", "relu", "conv")] == [3, 2, 5]
    assert tests["conv"]["output"] == "not found"


@pytest.fixture
def graded(write, tmp_path):
    """The results.json of a text, checked with these arguments."""

    def grade(text, *arguments):
        out = tmp_path / "results.json"
        main([write(text), *arguments, "--no-repair", "--gradescope", str(out)])
        return json.loads(out.read_text())

    return grade


def test_an_autograder_tells_what_could_not_be_imported(graded, capsys):
    results = graded(RIGHT + "\ndef relu_forward(x):\n    return x +\n", "affine=1", "relu=1")
    assert results["output"].startswith("mine.py, line 13: SyntaxError")
    assert results["tests"][1]["output"] == f"not found\n{results['output']}"
    assert capsys.readouterr().err == "gradcheck: no pair is named relu; found: affine\n"
    graded(RIGHT, "afine=1")
    assert capsys.readouterr().out == ""  # a pair was found, if not this one
    assert "No module named 'nowhere'" in graded("import nowhere\n" + RIGHT)["output"]
    assert "output" not in graded(RIGHT)


def test_a_name_that_is_not_found_is_a_failure_of_the_autograder_s_run(write, tmp_path):
    assert main([write(RIGHT), "affine=1", "relu=1", "--quick", "--gradescope", str(tmp_path / "results.json")]) == 1


def test_a_submission_of_another_name_gets_no_points_and_the_name_that_is_expected(tmp_path, capsys):
    out = tmp_path / "results.json"
    assert main([str(tmp_path / "assignment.py"), "affine=2", "--gradescope", str(out)]) == 2
    results = json.loads(out.read_text())
    assert results["score"] == 0
    assert results["output"].startswith("hand in a file named assignment.py; there is no file or folder")
    assert [(test["name"], test["max_score"]) for test in results["tests"]] == [("affine", 2)]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_autograder_tells_the_verdict_alone_unless_more_is_asked_for(graded):
    assert graded(WRONG, "affine")["tests"][0]["output"] == "fail"
    told = graded(WRONG, "affine", "--tell", "cause", "--colour", "always")["tests"][0]["output"]
    assert told.startswith("affine: fail\n  cause: scale-batch")
    assert "line 9" not in told
    assert "line 9" in graded(WRONG, "affine", "--tell", "line")["tests"][0]["output"]


def test_points_may_stand_beside_the_name_of_either_function(write, tmp_path, capsys):
    out = tmp_path / "results.json"
    main([write(RIGHT), "affine_backward=3", "--gradescope", str(out)])
    assert [(test["name"], test["score"]) for test in json.loads(out.read_text())["tests"]] == [("affine", 3)]
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 right; 3 of 3 points"


def test_the_last_line_tells_the_points_where_they_were_given(write, capsys):
    main([write(RIGHT), "affine=3"])
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 right; 3 of 3 points"
    main([write(WRONG), "affine=3", "relu=0.5", "--no-repair"])
    assert capsys.readouterr().out.splitlines()[-1].endswith("; 0 of 3.5 points")
    main([write(RIGHT), "affine"])
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 right"


def test_the_next_step_is_the_first_that_is_not_right(write, capsys):
    unfinished = "\ndef relu_forward(x):\n    raise NotImplementedError\n\ndef relu_backward(dout, cache):\n    pass\n"
    path = write(RIGHT + unfinished)
    main([path])
    assert re.fullmatch(r"next: relu in .*mine\.py, line 13", capsys.readouterr().out.splitlines()[-1])
    main([write(WRONG), "--no-repair"])
    assert re.fullmatch(r"next: affine in .*mine\.py, line 9", capsys.readouterr().out.splitlines()[-1])


def test_own_inputs_take_the_place_of_drawn_ones(write, checked):
    # a backward that is wrong only where an entry of x exceeds 100, which no drawn input does
    text = (
        "import numpy as np\n"
        "def square_forward(x):\n    return x**2, x\n"
        "def square_backward(dout, x):\n    return dout * np.where(x > 100, 1, 2 * x)\n"
    )
    assert checked(text)[2] == 0
    own = write("import numpy as np\ndef square(rng):\n    return 200 + rng.standard_normal((3, 2))\n", "own.py")
    checks, _, status = checked(text, "--inputs", own)
    assert status == 1
    assert checks["square"]["verdict"] == "fail"
    several = write("import numpy as np\nsquare = [(np.ones(3),), {'x': np.full(2, 200.0)}]\n", "several.py")
    checks, _, _ = checked(text, "--inputs", several)
    assert checks["square"]["settings"] == {"tried": ["square[0]", "square[1]"], "failed": ["square[1]"]}


STRIDED = """
import numpy as np

def thin_forward(x, w, bias=0.0, stride=1):
    return (x @ w + bias)[:, ::stride], (x, w)

def thin_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout
"""  # right for a stride of 1 alone


@pytest.mark.parametrize("inputs", ["x, w, np.ones(4, bool), 2", "{'x': x, 'w': w, 'stride': 2}"])
@pytest.mark.parametrize(("stride", "verdict"), [(2, "error"), (1, "pass")])
def test_own_inputs_reach_arguments_that_have_a_default(write, checked, inputs, stride, verdict):
    drawn = "import numpy as np\nx, w = np.random.default_rng(0).standard_normal((2, 4, 4))\n"
    own = write(f"{drawn}thin = {inputs.replace('2', str(stride))}\n", "own.py")
    assert checked(STRIDED, "--inputs", own, "--no-repair")[0]["thin"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("thin = np.ones(3), np.ones(3)\n", "own.py, line 1: NameError: name 'np' is not defined"),
        ("\ndef thin(rng):\n    return np.ones(3)\n", "own.py, line 3: NameError: name 'np' is not defined"),
        ("thin = (1,\n", "own.py, line 1: SyntaxError: '(' was never closed"),
        ("thin = (1.0,)\n", "own.py: thin gives 1 by position; thin_forward takes (x, w, bias=0.0, stride=1)"),
        ("thin = {'x': 1.0}\n", "own.py: thin gives x; thin_forward takes (x, w, bias=0.0, stride=1)"),
    ],
)
def test_own_inputs_that_cannot_be_used_are_wrong_usage_with_their_line(write, capsys, inputs, said):
    assert main([write(STRIDED), "--inputs", write(inputs, "own.py")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(said)


def test_the_same_seed_gives_the_same_record(checked):
    first, second, third = (checked(WRONG, "affine", "--seed", seed)[0]["affine"] for seed in "113")
    for record in (first, second, third):
        record.pop("seconds")
    assert first == second != third


# --- why


def test_the_cause_the_line_and_the_fix_are_recorded(checked):
    affine = checked(WRONG, "affine")[0]["affine"]
    assert (affine["cause"], affine["line"]) == ("scale-batch", 9)
    assert affine["statement"].startswith("return (dout @ w.T)")
    (edit,) = affine["repair"]["edits"]
    assert edit["line"] == 9
    assert edit["before"] == WRONG.splitlines()[8]
    assert "dout.sum(axis=0)" in edit["after"]
    assert affine["repair"]["proven"] is True


def test_no_repair_is_sought_where_none_is_wanted(checked):
    affine = checked(WRONG, "affine", "--no-repair")[0]["affine"]
    assert affine["repair"] is None
    assert affine["line"] == 9


@pytest.mark.parametrize(
    ("tell", "said", "unsaid"),
    [
        ("verdict", ["affine: fail"], ["scale-batch", "line 9", "dout.sum"]),
        ("cause", ["affine: fail", "cause: scale-batch"], ["line 9", "dout.sum"]),
        ("line", ["cause: scale-batch", "line 9: return"], ["dout.sum"]),
        ("fix", ["cause: scale-batch", "line 9: return", "with which every setting passes", "dout.sum(axis=0)"], []),
    ],
)
def test_no_more_is_told_than_asked_for(write, capsys, tell, said, unsaid):
    main([write(WRONG), "affine", "--tell", tell])
    out = capsys.readouterr().out
    assert all(text in out for text in said)
    assert not any(text in out for text in unsaid)


def test_a_fix_is_written_with_a_backup_only_if_asked(write, capsys):
    path = Path(write(WRONG))
    assert main([str(path), "affine"]) == 1
    assert path.read_text() == WRONG
    assert main([str(path), "affine", "--apply"]) == 1
    assert "line 9 mended; mine.py.bak is kept" in capsys.readouterr().out
    assert path.with_suffix(".py.bak").read_text() == WRONG
    assert main([str(path), "affine"]) == 0


def test_what_was_mended_is_shown_and_checked_again_and_no_backup_is_lost(write, capsys):
    path = Path(write(WRONG))
    main([str(path), "--apply"])
    out = capsys.readouterr().out.splitlines()
    old = "return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.mean(axis=0)"
    shown = out.index(f"     9 - {old}")
    assert out[shown + 1] == f"       + {old.replace('mean', 'sum')}"
    assert out[-2].startswith("now 1 of 3 right")
    once = path.read_text()
    main([str(path), "affine", "--apply"])
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to mend"
    path.write_text(once.replace("dout.sum(axis=0)", "-dout.sum(axis=0)"))
    main([str(path), "affine", "--apply"])
    assert "mine.py.bak1 is kept" in capsys.readouterr().out
    assert path.with_suffix(".py.bak").read_text() == WRONG
    assert path.with_suffix(".py.bak1").read_text() == once.replace("dout.sum(axis=0)", "-dout.sum(axis=0)")


def test_where_no_fix_is_proven_no_file_is_changed(write, capsys):
    path = Path(write(WRONG))
    main([str(path), "affine", "--apply", "--no-repair"])
    assert capsys.readouterr().out.splitlines()[-1] == "no fix is proven; no file is changed"
    assert path.read_text() == WRONG


def test_a_failure_of_a_helper_is_inherited_and_named(checked):
    text = WRONG.partition("def dropout_forward")[0] + (
        "\ndef affine_relu_forward(x, w, b):\n    a, fc = affine_forward(x, w, b)\n    out, relu = relu_forward(a)\n"
        "    return out, (fc, relu)\n\ndef affine_relu_backward(dout, cache):\n    fc, relu = cache\n"
        "    da = relu_backward(dout, relu)\n    dx, dw, db = affine_backward(da, fc)\n    return dx, dw, db\n"
    )
    record = checked(text, "affine_relu")[0]["affine_relu"]
    assert record["cause"] == "inherited"
    assert text.splitlines()[record["line"] - 1].strip() == "dx, dw, db = affine_backward(da, fc)"


def test_explain_walks_through_the_pair(write, capsys):
    main([write(WRONG), "affine", "--explain", "--no-repair"])
    out = capsys.readouterr().out
    assert "affine, step by step" in out
    assert "gradient of b" in out
    assert "def test_affine():" in out


def test_help_fits_a_terminal_and_says_something_of_every_option(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, parser().format_help().splitlines())) <= 80
    assert all(action.help for action in parser()._actions)
