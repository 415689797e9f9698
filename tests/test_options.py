"""Options are checked at more than their defaults, and it is said where they are not."""

import textwrap

import pytest

from gradcheck import cs231n
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.modes import other_mode
from gradcheck.sweep import sweep


@pytest.fixture
def report(tmp_path):
    """The report on the only pair of a text."""

    def of(text):
        path = tmp_path / "mine.py"
        path.write_text("import numpy as np\n" + textwrap.dedent(text))
        cs231n.ours()
        with sandboxed(path):
            (pair,) = discover(path).pairs
            return sweep(pair)

    return of


BLUR = """
class Blur:
    def __init__(self, channels, stride=1, padding=0, flip=False, mode="sum", gain=0.5):
        self.stride, self.padding, self.flip, self.how, self.gain = stride, padding, flip, mode, gain
    def forward(self, x):
        p, s = self.padding, self.stride
        self.x = x
        xp = np.pad(x, ((0, 0), (0, 0), (p, p)))
        out = xp[:, :, ::s] - xp[:, :, 2:3] if self.how == "difference" else xp[:, :, ::s] + xp[:, :, 2:3]
        return self.gain * (-out if self.flip else out)
    def backward(self, dout):
        p, s = self.padding, self.stride
        dout = self.gain * (-dout if self.flip else dout)
        dxp = np.zeros((*self.x.shape[:2], self.x.shape[2] + 2 * p))
        dxp[:, :, ::s] += dout
        dxp[:, :, 2] += -dout.sum(axis=2) if self.how == "difference" else dout.sum(axis=2)
        return dxp[:, :, p : p + self.x.shape[2]]
"""
IMAGES = "x (2, 4, 3) of Blur(channels=3"


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("p : p + self.x.shape[2]", "p:-p", "stride=1, padding=0)"),
        ("dxp[:, :, ::s] += dout", "dxp[:, :, : dout.shape[2]] += dout", "stride=2, padding=1)"),
        ("-dout if self.flip else dout", "dout", "stride=1, padding=1, flip=True)"),
        ("-dout.sum(axis=2) if", "dout.sum(axis=2) if", "stride=1, padding=1, mode='difference')"),
        ("self.gain * (-dout", "0.5 * (-dout", "stride=1, padding=1, gain=0.35)"),
    ],
    ids=["the default", "stride", "flag", "word", "fraction"],
)
def test_an_object_is_made_with_other_options_too(report, old, new, where):
    right = report(BLUR)
    assert (right.verdict, right.notes) == ("pass", [])
    assert right.tried[0] == f"{IMAGES}, stride=1, padding=1)"
    wrong = report(BLUR.replace(old, new))
    assert (wrong.verdict, wrong.failed) == ("fail", [f"{IMAGES}, {where}"])


LOOK = '''
def look_forward(p, v, mask=None, how="sum", step=1):
    """
    - p: weights of shape (N, T, S)
    - v: values of shape (N, S, M)
    - mask: optional boolean array of shape (T, S), True where one may look
    """
    kept = p if mask is None else p * mask
    out = kept @ v
    out = out / p.shape[2] if how in ("mean", "average") else out
    return out[:, ::step], (kept, v, mask, how, out.shape, step)
def look_backward(dout, cache):
    kept, v, mask, how, shape, step = cache
    d = np.zeros(shape)
    d[:, ::step] = dout
    d = d / kept.shape[2] if how in ("mean", "average") else d
    dp = d @ v.transpose(0, 2, 1)
    return dp if mask is None else dp * mask, kept.transpose(0, 2, 1) @ d
'''


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("dp if mask is None else dp * mask", "dp", ["mask (2, 5)"]),
        ("d / kept.shape[2] if", "d if", ["how mean", "how average"]),
    ],
    ids=["mask", "words"],
)
def test_a_function_is_called_with_other_options_too(report, old, new, where):
    right = report(LOOK)
    assert (right.verdict, right.notes) == (
        "pass", ["not checked at other options than step=1: give some with --inputs"]
    )  # fmt: skip
    wrong = report(LOOK.replace(old, new))
    assert wrong.verdict == "fail"
    assert [text.split("), ")[-1] for text in wrong.failed] == where


NORM = """
class Norm:
    def __init__(self, dim):
        self.mean, self.{attribute} = np.zeros(dim), {training}
    def forward(self, x{argument}):
        self.trains = {trains}
        if self.trains:
            self.batch = x.mean(axis=0)
            self.mean = 0.9 * self.mean + 0.1 * self.batch
            return x - self.batch
        return x - self.mean
    def backward(self, dout):
        return dout - dout.mean(axis=0) if {right} else dout
"""
MODES = {
    "attribute": {"attribute": "training", "trains": "self.training"},
    "word": {"attribute": "mode", "training": "'train'", "trains": "self.mode != 'eval'"},
    "opposite": {"attribute": "is_test", "training": False, "trains": "not self.is_test"},
    "argument": {"argument": ", train_flg=True", "trains": "train_flg"},
    "required": {"argument": ", mode", "trains": "mode == 'train'"},
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_both_modes_are_checked_however_they_are_told(report, mode):
    text = {"attribute": "unused", "argument": "", "training": True, **mode}
    assert report(NORM.format(**text, right="self.trains")).verdict == "pass"
    assert report(NORM.format(**text, right="True")).verdict == "fail"
    assert report(NORM.format(**text, right="False")).verdict == "fail"
    undone = report(NORM.format(**text, right="self.trains or self.batch is None"))
    assert undone.verdict == "pass"  # nobody trains in evaluation
    assert len(undone.notes) == 1


@pytest.mark.parametrize("factor", [1, 3])
def test_a_forward_that_keeps_nothing_unless_it_trains_is_checked_in_training(report, factor):
    text = f"""
    class Square:
        def forward(self, x, training=False):
            if training:
                self.x = x
            return x**2
        def backward(self, dout):
            return {factor} * dout * 2 * self.x
    """
    found = report(text)
    assert (found.verdict, found.tried) == ("pass" if factor == 1 else "fail", ["x (4, 3), training True"])


def test_only_words_for_a_mode_tell_one():
    assert other_mode(object, "mode", "train") == "test"
    assert other_mode(object, "mode", "nearest") is None
    assert other_mode(object, "trainable", True) is None
