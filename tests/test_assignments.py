"""The assignments: stubs that are found as unfinished, and solutions of our own layers that get full points."""

import ast
import json
import pathlib
import re
import shlex

import pytest

from gradcheck import cs231n, gradescope
from gradcheck.cli import main
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep
from gradcheck.worker import record

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "assignments"
STUBS = sorted(FOLDER.glob("*.py"))
SOLUTIONS = (ROOT / "tests" / "course_solutions.py").read_text()
# Of these the course fixes no forward: a mean over what, with 1/2 or not; a mask that is drawn.
UNDEFINED = {"mse_loss", "affine_bn_relu_dropout"}
OFF_BY_ONE_PERCENT = """

import functools

def _scaled(function):
    @functools.wraps(function)
    def scaled(first, *rest):
        if "_backward" in function.__name__:
            return function(1.01 * first, *rest)
        out, *others = function(first, *rest)
        return 1.01 * out, *(1.01 * dx if "_loss" in function.__name__ else dx for dx in others)
    return scaled

for _name, _function in list(globals().items()):
    if any(part in _name for part in ("_forward", "_backward", "_loss")):
        globals()[_name] = _scaled(_function)
"""


def checked(path, names=None):
    """The pairs of a file with their reports, by name."""
    cs231n.ours()
    with sandboxed(path):
        pairs = [pair for pair in discover(path).pairs if names is None or pair.name in names]
        return {pair.name: (pair, sweep(pair)) for pair in pairs}


def written(folder, text, name="solutions.py"):
    path = folder / name
    path.write_text(text)
    return path


def functions(text):
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def solved(stub):
    """The stubs with our bodies in place of theirs; signatures and docstrings, which say the shapes, are the stubs'."""
    ours, theirs = functions(SOLUTIONS), functions(stub)
    for name, node in theirs.items():
        docstring, _ = node.body
        node.body = [docstring, *ours[name].body]
    helpers = [node for name, node in ours.items() if name not in theirs]
    bodies = [*map(ast.unparse, helpers), *map(ast.unparse, theirs.values())]
    return "import numpy as np\nimport layers\n\n" + "\n\n".join(bodies)


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_a_stub_is_found_whole_and_unfinished_and_needs_numpy_only(stub):
    reports = checked(stub)
    text = stub.read_text()
    assert set(functions(text)) == {name for pair, _ in reports.values() for name in pair.names if name}
    assert {report.verdict for _, report in reports.values()} == {"not_implemented"}
    assert re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE) == ["numpy"]
    assert stub.stem.isidentifier()  # to be imported, as the checker's test to paste does
    assert f"gradcheck examples/assignments/{stub.name}``" in text


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_our_own_layers_get_full_points(stub, tmp_path):
    names = set(checked(stub))
    reports = checked(written(tmp_path, solved(stub.read_text()), stub.name), names)
    assert set(reports) == names
    records = [record(pair, report) for pair, report in reports.values()]
    results = gradescope.results(records, dict.fromkeys(names, 2.0))
    assert results["score"] == 2 * len(names), [test for test in results["tests"] if test["score"] == 0]
    assert all(report.forward_matches_reference for _, report in reports.values())


def test_everything_that_is_known_has_a_solution_that_passes(tmp_path):
    reports = checked(written(tmp_path, SOLUTIONS))
    assert {name: str(report) for name, (_, report) in reports.items() if not report} == {}
    families = [cs231n.family(pair) for pair, _ in reports.values()]
    assert [name for name, family in cs231n.FAMILIES.items() if family not in families] == []
    assert {name for name, *_ in cs231n.EXERCISES} <= set(reports)


def test_every_reference_notices_a_forward_that_is_off_by_one_percent(tmp_path):
    text = solved("\n".join(stub.read_text() for stub in STUBS))  # with the docstrings that say the shapes
    right = checked(written(tmp_path, text))
    wrong = checked(written(tmp_path, text + OFF_BY_ONE_PERCENT))
    assert {name for name, (_, report) in right.items() if not report.forward_matches_reference} == UNDEFINED
    assert {name for name, (_, report) in wrong.items() if report.forward_matches_reference is not False} == UNDEFINED


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("batchnorm", 'eps=bn_param.get("eps", 1e-5)', "eps=1e-12"),
        ("layernorm", 'eps=ln_param.get("eps", 1e-5)', "eps=1e-12"),
        ("spatial_groupnorm", 'gn_param.get("eps", 1e-5)', "1e-12"),
        ("spatial_groupnorm", "layers.GroupNorm(G, ", "layers.GroupNorm(1, "),
        ("conv_naive", 'conv_param["pad"]', "1"),
        ("max_pool_naive", "layers.MaxPool2D(window", "layers.AvgPool2D(window"),
        ("dropout", "layers.Dropout(1 - dropout_param", "layers.Dropout(0.5 * dropout_param"),
        ("rnn", "layers.RNN, x, [h0], Wx", "layers.RNN, x, [h0], 2 * Wx"),
        ("lstm", "np.zeros_like(h0)", "np.ones_like(h0)"),
        ("lstm_step", "[prev_h, prev_c], Wx", "[prev_h, prev_c], np.roll(Wx, len(Wh), axis=1)"),  # gates reordered
        ("softmax_loss", "loss = layers.SoftmaxLoss()", "loss = layers.SoftmaxLoss(label_smoothing=0.1)"),
        ("svm_loss", "loss = layers.SVMLoss()", "loss = layers.SVMLoss(2.0)"),
        ("softmax_loss_naive", "reg * np.sum(W * W)", "reg * np.sum(W * W) + 1"),
        ("temporal_softmax_loss", 'mean_over="examples"', ""),
    ],
)
def test_another_forward_with_a_gradient_of_its_own_is_told(tmp_path, name, old, new):
    assert old in SOLUTIONS
    _, report = checked(written(tmp_path, SOLUTIONS.replace(old, new, 1)), {name})[name]
    assert report.forward_matches_reference is False
    assert not report


UNSCALED = '''
import numpy as np

def {name}_forward({parameters}):
    """
    - q: queries of shape {q}
    - k: keys of shape {k}
    - v: values of shape {k}
    """
    scores = q @ np.swapaxes(k, -1, -2)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p = p / p.sum(-1, keepdims=True)
    return p @ v, (q, k, v, p)

def {name}_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ np.swapaxes(v, -1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True))
    return ds @ k, np.swapaxes(ds, -1, -2) @ q, np.swapaxes(p, -1, -2) @ dout
'''
BATCHES = {"q": "(N, T, D)", "k": "(N, S, D)"}


def test_attention_without_its_scale_is_told(tmp_path):
    text = UNSCALED.format(name="attention", parameters="q, k, v", **BATCHES)
    _, report = checked(written(tmp_path, text))["attention"]
    assert report.verdict == "pass"
    assert report.forward_matches_reference is False


@pytest.mark.parametrize("changes", [{"name": "other"}, {"parameters": "q, k, v, t=1"}])
def test_what_only_resembles_an_exercise_is_compared_with_nothing(tmp_path, changes):
    text = UNSCALED.format(**{"name": "attention", "parameters": "q, k, v", **BATCHES, **changes})
    ((_, report),) = checked(written(tmp_path, text)).values()
    assert report.verdict == "pass"
    assert report.forward_matches_reference is None


MATRICES = '''
def multiply_forward(x, y):
    """
    - x: array of shape (N, D)
    - y: array of shape (D, M)
    """
    return x @ y, (x, y)

def multiply_backward(dout, cache):
    x, y = cache
    return dout @ y.T, x.T @ dout
'''


def test_a_multiply_of_matrices_is_not_compared_with_that_of_entries(tmp_path):
    _, report = checked(written(tmp_path, MATRICES))["multiply"]
    assert report.verdict == "pass"
    assert report.forward_matches_reference is None


def test_readme_counts_the_exercises(capsys):
    assert main([str(FOLDER)]) == 0
    lines = capsys.readouterr().out.splitlines()
    total = int(re.match(r"0 of (\d+) right", lines[-2])[1])
    assert f"{total} exercises" in (ROOT / "README.md").read_text()
    assert f"{total} exercises" in (FOLDER / "README.md").read_text()
    assert lines[-1].startswith("next: add in ")


def test_the_teacher_s_five_lines_are_the_same_in_both_places_and_grade(tmp_path, monkeypatch, capsys):
    (lines,) = re.findall(r"```sh\n([^`]*run_autograder[^`]*)```", (FOLDER / "README.md").read_text())
    assert lines in (ROOT / "README.md").read_text()
    assert len(lines.splitlines()) == 5
    command = re.search(r"^python3 -m gradcheck ([^|']*)", lines, re.MULTILINE)[1]
    monkeypatch.chdir(tmp_path)  # Gradescope runs it in the folder of these two
    (tmp_path / "submission").mkdir()
    (tmp_path / "results").mkdir()
    written(tmp_path / "submission", solved((FOLDER / "ex4_dense.py").read_text()), "assignment.py")
    main(shlex.split(command))
    results = json.loads((tmp_path / "results" / "results.json").read_text())
    assert {test["name"]: test["score"] for test in results["tests"]} == {"affine": 3, "relu": 1, "softmax_loss": 4}
    assert results["score"] == 8
