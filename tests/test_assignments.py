"""The assignments: stubs that are found as unfinished, and solutions of our own layers that get full points."""

import pathlib
import re

import pytest

from gradcheck import cs231n, gradescope
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep
from gradcheck.worker import record

ROOT = pathlib.Path(__file__).parent.parent
STUBS = sorted((ROOT / "examples" / "assignments").glob("*.py"))
SOLUTIONS = (ROOT / "tests" / "course_solutions.py").read_text()


def checked(path, names=None):
    """The reports on a file's pairs, by name."""
    cs231n.ours()
    with sandboxed(path):
        pairs = [pair for pair in discover(path).pairs if names is None or pair.name in names]
        return {pair.name: (pair, sweep(pair)) for pair in pairs}


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_a_stub_is_found_whole_and_unfinished(stub):
    reports = checked(stub)
    wanted = set(re.findall(r"^def (\w+)", stub.read_text(), re.MULTILINE))
    assert wanted == {name for pair, _ in reports.values() for name in pair.names if name}
    assert {report.verdict for _, report in reports.values()} == {"not_implemented"}


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_our_own_layers_get_full_points(stub, tmp_path):
    names = set(checked(stub))
    path = tmp_path / stub.name
    path.write_text(stub.read_text() + "\n\n" + SOLUTIONS)  # what is defined later counts
    solved = checked(path, names)
    assert set(solved) == names
    records = [record(pair, report) for pair, report in solved.values()]
    points = dict.fromkeys(names, 2.0)
    results = gradescope.results(records, points)
    assert results["score"] == 2 * len(names), [test for test in results["tests"] if test["score"] == 0]


def test_every_name_of_the_course_that_is_known_has_a_right_solution(tmp_path):
    path = tmp_path / "solutions.py"
    path.write_text(SOLUTIONS)
    reports = checked(path)
    wrong = {name: str(report) for name, (_, report) in reports.items() if not report}
    assert wrong == {}
    known = {name for name, (pair, _) in reports.items() if cs231n.family(pair)}
    assert len(known) >= 27
    compared = {name for name, (_, report) in reports.items() if report.forward_matches_reference}
    assert compared >= known - {"multiply"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (
            "affine",
            "layer.forward(x), layer\n\n\ndef affine_backward",
            "2 * layer.forward(x), layer\n\n\ndef affine_backward",
        ),
        ("batchnorm", 'eps=bn_param.get("eps", 1e-5)', "eps=1e-12"),
        ("layernorm", 'eps=ln_param.get("eps", 1e-5)', "eps=1e-12"),
        ("conv_naive", 'conv_param["pad"]', "1"),
        ("max_pool_naive", "layers.MaxPool2D(window", "layers.AvgPool2D(window"),
        ("dropout", "layers.Dropout(1 - dropout_param", "layers.Dropout(0.5 * dropout_param"),
        ("rnn", "layers.RNN, x, [h0], Wx", "layers.RNN, x, [h0], 2 * Wx"),
        ("spatial_groupnorm", "layers.GroupNorm(G, ", "layers.GroupNorm(1, "),
        ("softmax_loss", "loss = layers.SoftmaxLoss()", "loss = layers.SoftmaxLoss(label_smoothing=0.1)"),
        ("svm_loss", "loss = layers.SVMLoss()", "loss = layers.SVMLoss(2.0)"),
        ("softmax_loss_naive", "reg * np.sum(W * W)", "reg * np.sum(W * W) + 1"),
        ("temporal_softmax_loss", 'mean_over="examples"', ""),
        ("lstm", "np.zeros_like(h0)", "np.ones_like(h0)"),
        (
            "affine_relu",
            "def affine_relu_forward(x, w, b):\n    a, fc",
            "def affine_relu_forward(x, w, b):\n    x = 2 * x\n    a, fc",
        ),
    ],
)
def test_another_forward_than_the_course_s_is_told(tmp_path, name, old, new):
    assert old in SOLUTIONS
    path = tmp_path / "solutions.py"
    path.write_text(SOLUTIONS.replace(old, new, 1))
    _, report = checked(path, {name})[name]
    assert report.forward_matches_reference is False
    assert not report
