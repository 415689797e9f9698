"""What is found in a file of someone's own: how it is loaded, which functions are pairs, and what they are given."""

import sys
import textwrap

import numpy as np
import pytest

from gradcheck import cs231n
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep


@pytest.fixture
def found(tmp_path):
    """What is discovered in a text; each test gets a module name of its own."""

    def find(text, **neighbours):
        for name, content in neighbours.items():
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(content))
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(text))
        with sandboxed(path):
            return discover(path)

    return find


def names(discovery):
    return [(pair.name, *pair.names) for pair in discovery.pairs]


# --- names


@pytest.mark.parametrize(
    ("forward", "backward", "name"),
    [
        ("affine_forward", "affine_backward", "affine"),
        ("conv_forward_naive", "conv_backward_naive", "conv_naive"),
        ("forward_relu", "backward_relu", "relu"),
        ("reluForward", "reluBackward", "relu"),
        ("tanh_fwd", "tanh_bwd", "tanh"),
        ("forward", "backward", "mine"),
        ("sigmoid", "sigmoid_backward", "sigmoid"),
    ],
)
def test_a_pair_is_found_by_its_names(found, forward, backward, name):
    discovery = found(f"def {forward}(x):\n    return x, x\ndef {backward}(dout, cache):\n    return dout\n")
    assert names(discovery) == [(name, forward, backward)]


def test_a_second_backward_shares_the_forward(found):
    text = "def batchnorm_forward(x): return x, x\n" + "".join(
        f"def batchnorm_backward{suffix}(dout, cache): return dout\n" for suffix in ("", "_alt")
    )
    forward = "batchnorm_forward"
    assert names(found(text)) == [
        ("batchnorm", forward, "batchnorm_backward"),
        ("batchnorm_alt", forward, "batchnorm_backward_alt"),
    ]


def test_helpers_are_no_pairs_and_a_lonely_backward_is_told(found):
    discovery = found(
        "def sigmoid(x): return x\ndef im2col(x, k): return x\ndef pool_backward(dout, cache): return dout\n"
    )
    assert discovery.pairs == []
    assert [problem.message for problem in discovery.problems] == ["pool_backward has no forward"]


@pytest.mark.parametrize(
    ("forward", "backward", "said"),
    [
        (
            "affine_foward",
            "affine_backward",
            "affine_backward has no forward; affine_foward: did you mean affine_forward?",
        ),
        (
            "affin_forward",
            "affine_backward",
            "affine_backward has no forward; affin_forward: did you mean affine_forward?",
        ),
        ("reluForwad", "reluBackward", "reluBackward has no forward; reluForwad: did you mean reluForward?"),
        ("fc_forward", "fc_backwrad", "fc_forward has no backward; fc_backwrad: did you mean fc_backward?"),
        ("conv_forward", "pool_backward", "pool_backward has no forward"),
        ("pool_backward_fast", "pool_backward", "pool_backward has no forward"),
    ],
)
def test_the_misspelt_half_of_a_pair_is_named(found, forward, backward, said):
    discovery = found(f"def {forward}(x, w):\n    return x, x\ndef {backward}(dout, cache):\n    return dout\n")
    assert said in [problem.message for problem in discovery.problems]


def test_halves_that_look_alike_and_have_their_own_are_not_taken_for_misspelt(found):
    text = "".join(
        f"def {name}_forward(x): return x, x\ndef {name}_backward(dout, cache): return dout\n"
        for name in ("relu", "lrelu")
    )
    assert found(text + "def affine_forward(x, w): return x, w\ndef affine(x, w): return x\n").problems == []


def test_losses_are_found_but_not_functions_that_return_three_things(found):
    discovery = found(
        """
        def softmax_loss(x, y): return 0.0, x
        def svm_loss_naive(W, X, y, reg): return 0.0, W
        def triple_loss(a, b): return 0.0, a, b
        def softmax_cross_entropy(logits, labels): return 0.0, logits
        def cross_entropy(p, y): return 0.0
        def loss_and_gradient(W, X): return 0.0, W
        """
    )
    assert [pair.name for pair in discovery.pairs] == [
        "softmax_loss", "svm_loss_naive", "softmax_cross_entropy", "loss_and_gradient"
    ]  # fmt: skip


def test_imported_functions_are_not_checked_again(found):
    discovery = found(
        "from other import relu_forward, relu_backward\n",
        other="def relu_forward(x): return x, x\ndef relu_backward(dout, cache): return dout\n",
    )
    assert discovery.pairs == []
    assert discovery.problems == []


@pytest.mark.parametrize(
    "text",
    [
        "relu_forward = lambda x: (np.maximum(0, x), x)\nrelu_backward = lambda dout, x: dout * (x > 0)",
        """
        def printed(f):
            def call(*arguments):
                print(f.__name__)
                return f(*arguments)
            return call
        """,
        """
        class printed:
            def __init__(self, f): self.f = f
            def __call__(self, *arguments): return self.f(*arguments)
        """,
        "from functools import cache as printed",
        "from other import printed",
    ],
    ids=["lambdas", "closure", "object", "marked", "imported"],
)
@pytest.mark.parametrize("wrong", [False, True])
def test_a_function_is_found_under_its_name_whatever_has_been_made_of_it(found, text, wrong):
    text = f"import numpy as np\n{textwrap.dedent(text)}\n"
    if "lambda" not in text:
        text += textwrap.dedent(
            """
            @printed
            def relu_forward(x): return np.maximum(0, x), x
            @printed
            def relu_backward(dout, x): return dout * (x > 0)
            """
        )
    text += "relu = relu_forward_again, relu_backward_again = relu_forward, relu_backward\n"
    other = "import functools\ndef printed(f): return functools.wraps(f)(lambda *arguments: f(*arguments))\n"
    discovery = found(text.replace(">", "<") if wrong else text, other=other)
    assert names(discovery) == [("relu", "relu_forward", "relu_backward")]
    assert sweep(discovery.pairs[0]).verdict == ("fail" if wrong else "pass")


# --- signatures and caches


@pytest.mark.parametrize(
    "text",
    [
        "def f_forward(x): return x * x, x\ndef f_backward(dout, cache): return 2 * dout * cache",
        "def f_forward(x): return x * x, x\ndef f_backward(cache, dout): return 2 * dout * cache",
        "def f_forward(x): return x * x\ndef f_backward(dout, x): return 2 * dout * x",
        "def f_forward(x): return x * x\ndef f_backward(x, dout): return 2 * dout * x",
        "def f_forward(x): return x * x, {'x': x}\ndef f_backward(grad_out, memo): return (2 * grad_out * memo['x'],)",
        "def f_forward(x): return x * x, x, 'more'\ndef f_backward(dout, cache): return 2 * dout * cache",
    ],
)
def test_the_order_of_dout_and_cache_is_read_from_the_names(found, text):
    (pair,) = found(text).pairs
    assert sweep(pair).verdict == "pass"


def test_two_outputs_take_two_douts(found):
    text = """
    def step_forward(x, c):
        return x * c, x + c, (x, c)
    def step_backward(dh, dc, cache):
        x, c = cache
        return dh * c + dc, dh * x + dc
    """
    (pair,) = found(text).pairs
    assert sweep(pair).verdict == "pass"
    (wrong,) = found(text.replace("dh * x + dc", "dh * x")).pairs
    assert [argument.verdict for argument in sweep(wrong).arguments] == ["pass", "fail"]


# --- loading


def test_a_statement_that_raises_leaves_the_others_standing(found):
    discovery = found(
        """
        import nowhere_at_all
        from past.builtins import xrange
        data = open("absent.txt").read()
        def f_forward(x): return x * len(xrange(3)), None
        def f_backward(dout, cache): return 3 * dout
        """
    )
    assert sweep(discovery.pairs[0]).verdict == "pass"
    lines = {problem.line: problem.message for problem in discovery.problems}
    assert "nowhere_at_all" in lines[2]
    assert "FileNotFoundError" in lines[4]
    assert len(lines) == 2


def test_code_under_main_does_not_run_and_prints_are_swallowed(found, capsys):
    found("print('loud')\nif __name__ == '__main__':\n    raise SystemExit\n")
    assert capsys.readouterr().out == ""


def test_a_neighbour_may_bear_the_name_of_one_of_our_packages(found):
    import layers

    discovery = found(
        """
        from layers import twice
        def f_forward(x): return twice(x), None
        def f_backward(dout, cache): return 2 * dout
        """,
        layers="def twice(x): return 2 * x\n",
    )
    assert discovery.problems == []
    assert sweep(discovery.pairs[0]).verdict == "pass"
    assert sys.modules["layers"] is layers


def test_windows_and_progress_bars_are_silent(found):
    discovery = found(
        """
        import matplotlib.pyplot as plt
        from tqdm import tqdm
        plt.figure(); plt.show()
        total = sum(tqdm([1, 2]))
        def f_forward(x): return x * total, None
        def f_backward(dout, cache): return 3 * dout
        """
    )
    assert discovery.problems == []
    assert sweep(discovery.pairs[0]).verdict == "pass"


# --- inputs


def test_shapes_come_from_the_docstring(found):
    (pair,) = found(
        '''
        def gated_forward(a, g, steps):
            """
            Inputs:
            - a: Input data of shape (N, T, D)
            - g: Gates of shape (T,)
            - steps: integers of shape (N,)
            """
            assert a.ndim == 3 and g.shape == a.shape[1:2] and steps.dtype.kind == "i"
            return a * g[None, :, None], (a, g)
        def gated_backward(dout, cache):
            a, g = cache
            return dout * g[None, :, None], (dout * a).sum(axis=(0, 2))
        '''
    ).pairs
    settings = cs231n.plan(pair).settings
    assert len(settings) == 2
    assert settings[0].text != settings[1].text
    assert sweep(pair).verdict == "pass"


def test_shapes_are_searched_where_nothing_tells_them(found):
    (pair,) = found(
        """
        def mystery_forward(left, right):
            return left @ right, (left, right)
        def mystery_backward(dout, cache):
            left, right = cache
            return dout @ right.T, left.T @ dout
        """
    ).pairs
    assert sweep(pair).verdict == "pass"


def test_a_number_written_out_in_backward_is_found_by_another_value_of_the_option(found):
    text = """
import numpy as np
def bent_forward(x, name="bent", slope=0.01):
    return np.where(x > 0, x, slope * x), (x, slope)
def bent_backward(dout, cache):
    return dout * np.where(cache[0] > 0, 1, cache[1])
"""
    right, wrong = (sweep(found(t).pairs[0]) for t in (text, text.replace("cache[1])", "0.01)")))
    assert (right.verdict, right.tried) == ("pass", ["x (4, 3)", "x (4, 3), slope 0.007"])
    assert (wrong.verdict, wrong.failed) == ("fail", ["x (4, 3), slope 0.007"])
    refusing = text.replace("    return np.where(x", "    assert slope == 0.01\n    return np.where(x")
    assert sweep(found(refusing).pairs[0]).tried == ["x (4, 3)"]


def test_a_search_that_finds_nothing_says_what_to_do(found):
    (pair,) = found("def f_forward(x): return x['key'], x\ndef f_backward(dout, cache): return dout\n").pairs
    report = sweep(pair)
    assert report.verdict == "vacuous"
    assert "give them with --inputs" in report.message


def test_a_forward_that_refuses_an_unusual_setting_is_limited_not_wrong(found):
    pool = """
    import numpy as np
    def max_pool_forward(x, pool_param):
        p, s = pool_param["pool_height"], pool_param["stride"]
        if s != p or pool_param["pool_width"] != p:
            raise ValueError("only windows that tile")
        N, C, H, W = x.shape
        tiles = x.reshape(N, C, H // p, p, W // p, p)
        return tiles.max(axis=(3, 5)), (x, tiles)
    def max_pool_backward(dout, cache):
        x, tiles = cache
        mask = tiles == tiles.max(axis=(3, 5), keepdims=True)
        return (mask * dout[:, :, :, None, :, None]).reshape(x.shape)
    """
    report = sweep(found(pool).pairs[0])
    assert report.verdict == "pass"
    assert report.forward_matches_reference
    assert len(report.notes) >= 2
    assert all("only windows that tile" in note for note in report.notes)


# --- classes


CLASSES = """
import numpy as np
class Layer:
    def forward(self, x): raise NotImplementedError
    def backward(self, dout): raise NotImplementedError
class Linear(Layer):
    def __init__(self, n_in, n_out):
        self.W, self.b = np.random.randn(n_in, n_out), np.zeros(n_out)
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T
class Square:
    def forward(self, x, y):
        self.gap = x - y
        return np.mean(self.gap**2)
    def backward(self):
        return 2 * self.gap / self.gap.size
class Net:
    def __init__(self, input_dim=3072, num_classes=10, weight_scale=1e-3):
        self.params = {"W": weight_scale * np.random.randn(input_dim, num_classes)}
    def loss(self, X, y=None):
        scores = X @ self.params["W"]
        dscores = scores.copy()
        return 0.5 * np.sum(scores**2), {"W": X.T @ dscores}
"""


def test_classes_are_made_and_checked_with_their_parameters(found):
    discovery = found(CLASSES)
    reports = {pair.name: sweep(pair) for pair in discovery.pairs}
    assert {name: report.verdict for name, report in reports.items()} == dict.fromkeys(
        ["Linear", "Square", "Net"], "pass"
    )
    assert [argument.name for argument in reports["Linear"].arguments] == ["x", "W", "b"]


@pytest.mark.parametrize(
    ("old", "new", "name", "argument"),
    [
        ("dout.sum(axis=0)", "dout.mean(axis=0)", "Linear", "b"),
        ("self.x.T @ dout", "self.x.T @ np.ones_like(dout)", "Linear", "W"),
        ("self.gap.size", "len(self.gap)", "Square", "x"),
        ("X.T @ dscores", "2 * X.T @ dscores", "Net", "W"),
    ],
)
def test_a_mistake_in_a_class_is_found(found, old, new, name, argument):
    reports = {pair.name: sweep(pair) for pair in found(CLASSES.replace(old, new)).pairs}
    assert {pair: report.verdict for pair, report in reports.items() if not report} == {name: "fail"}
    assert [part.name for part in reports[name].arguments if part.verdict == "fail"] == [argument]


def test_a_class_that_others_build_on_is_checked_if_it_does_something_itself(found):
    text = (
        CLASSES
        + """
class Flipped(Linear):
    def forward(self, x): return -super().forward(x)
    def backward(self, dout): return super().backward(-dout)
class Unlinked(Layer):
    def forward(self, x): return x
class Double(Unlinked):
    def backward(self, dout): return dout
Again = Double
"""
    )
    assert [pair.name for pair in found(text).pairs] == ["Linear", "Square", "Net", "Flipped", "Double"]


def test_a_class_that_cannot_be_made_or_tried_is_told_and_takes_no_other_with_it(found):
    text = """
import sys
from typing import Protocol
class Dense:
    def __init__(self, config): self.W = config.W
    def forward(self, x): return x @ self.W
    def backward(self, dout): return dout @ self.W
class Leaving(Dense):
    def __init__(self): sys.exit()
class Quitting:
    def forward(self, x): sys.exit()
    def backward(self, dout): return dout
class Either(Protocol):
    def forward(self, x): ...
    def backward(self, dout): ...
class Same:
    def forward(self, x): return x
    def backward(self, dout): return dout
"""
    pairs = found(text).pairs
    reports = {pair.name: sweep(pair) for pair in pairs}
    assert {name: report.verdict for name, report in reports.items()} == {
        "Leaving": "vacuous", "Quitting": "vacuous", "Same": "pass"
    }  # fmt: skip
    assert "(SystemExit: )" in reports["Leaving"].message
    alone = sweep(found(text[: text.index("class Leaving")]).pairs[0])
    assert "small numbers do not make a Dense (AttributeError: 'int' object has no attribute 'W')" in alone.message


def test_looking_for_inputs_leaves_the_global_generator_as_it_was(found):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    for pair in found(CLASSES).pairs:
        sweep(pair)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_a_linear_layer_of_columns_is_not_the_course_s_affine(found):
    text = """
    import numpy as np
    def linear_forward(A, W, b):
        return W @ A + b, (A, W, b)
    def linear_backward(dZ, cache):
        A, W, b = cache
        return W.T @ dZ, dZ @ A.T, dZ.sum(axis=1, keepdims=True)
    """
    (pair,) = found(text).pairs
    assert sweep(pair).verdict == "pass"
    (wrong,) = found(text.replace("W.T @ dZ", "2 * W.T @ dZ")).pairs
    assert sweep(wrong).verdict == "fail"


def test_a_guard_in_a_logarithm_is_no_mistake(found):
    text = """
    import numpy as np
    def softmax_loss(x, y):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.mean(np.log(p[range(len(x)), y] + 1e-10))
        p[range(len(x)), y] -= 1
        return loss, p / len(x)
    """
    report = sweep(found(text).pairs[0])
    assert report.verdict == "pass"
    assert any("guard" in note for note in report.notes)
    assert sweep(found(text.replace("p / len(x)", "p")).pairs[0]).verdict == "fail"
    assert sweep(found(text.replace("1e-10", "1e-3")).pairs[0]).verdict == "fail"


def test_a_gradient_of_none_is_right_where_nothing_depends_on_the_argument(found):
    text = """
    def shift_forward(x, running): return x + 0 * running, None
    def shift_backward(dout, cache): return dout, None
    """
    assert sweep(found(text).pairs[0]).verdict == "pass"
    assert sweep(found(text.replace("0 *", "2 *")).pairs[0]).verdict == "fail"


AFFINE = """
def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)
def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
"""


def test_imports_reach_the_package_above(tmp_path):
    package = tmp_path / "course" / "classifiers"
    package.mkdir(parents=True)
    (tmp_path / "course" / "layers.py").write_text(AFFINE)
    path = package / "net.py"
    path.write_text(
        textwrap.dedent(
            """
            import numpy as np
            from ..layers import *
            class Net:
                def __init__(self, input_dim=3072, num_classes=10):
                    self.params = {"W": np.random.randn(input_dim, num_classes), "b": np.zeros(num_classes)}
                def loss(self, X, y):
                    scores, cache = affine_forward(X, self.params["W"], self.params["b"])
                    _, dW, db = affine_backward(2 * scores, cache)
                    return np.sum(scores**2), {"W": dW, "b": db}
            """
        )
    )
    with sandboxed(path):
        discovery = discover(path)
        assert discovery.problems == []
        assert sweep(discovery.pairs[0]).verdict == "pass"


def test_words_that_mean_another_function_take_the_reference_away(found):
    text = AFFINE.replace("affine_forward", "affine_forward_{0}").replace("affine_backward", "affine_backward_{0}")
    matches = {way: sweep(found(text.format(way)).pairs[0]).forward_matches_reference for way in ("naive", "twice")}
    assert matches == {"naive": True, "twice": None}


def test_gradients_of_options_that_were_not_given_are_none(found):
    text = AFFINE.replace("x, w, b)", "x, w, b, gamma=None)").replace("dout.sum(axis=0)", "dout.sum(axis=0), None")
    assert sweep(found(text).pairs[0]).verdict == "pass"
    assert sweep(found(text.replace("axis=0), None", "axis=0), dout")).pairs[0]).verdict == "fail"


def test_a_layer_norm_may_stand_between_others(found):
    text = """
    import numpy as np
    def affine_ln_relu_forward(x, w, b, gamma, beta, ln_param):
        out = x @ w + b
        spread = np.sqrt(out.var(axis=1, keepdims=True) + ln_param.get("eps", 1e-5))
        hat = (out - out.mean(axis=1, keepdims=True)) / spread
        return np.maximum(gamma * hat + beta, 0), (x, w, gamma, hat, spread, gamma * hat + beta > 0)
    def affine_ln_relu_backward(dout, cache):
        x, w, gamma, hat, spread, on = cache
        dout = dout * on
        d = dout * gamma
        d = (d - d.mean(axis=1, keepdims=True) - hat * (d * hat).mean(axis=1, keepdims=True)) / spread
        return d @ w.T, x.T @ d, d.sum(axis=0), (dout * hat).sum(axis=0), dout.sum(axis=0)
    """
    report = sweep(found(text).pairs[0])
    assert report.verdict == "pass"
    assert report.forward_matches_reference


@pytest.mark.parametrize(
    ("constructor", "verdict"),
    [("self.params = {}", "not_implemented"), ("self.params = {'W': np.ones((3, 2))}", "error")],
)
def test_a_net_is_unfinished_without_parameters_and_wrong_if_it_raises(found, constructor, verdict):
    text = f"""
    import numpy as np
    class Net:
        def __init__(self):
            {constructor}
        def loss(self, X, y):
            return np.sum(X @ self.params["V"]), {{}}
    """
    assert sweep(found(text).pairs[0]).verdict == verdict


def test_a_captioning_net_takes_words(found):
    text = """
    import numpy as np
    class Captioning:
        def __init__(self, word_to_idx, input_dim=512):
            self.params = {"W": np.random.randn(input_dim, len(word_to_idx))}
        def loss(self, features, captions):
            counts = np.stack([np.sum(captions == k, axis=1) for k in range(self.params["W"].shape[1])], axis=1)
            return np.sum(features @ self.params["W"] * counts), {"W": features.T @ counts}
    """
    assert sweep(found(text).pairs[0]).verdict == "pass"


def test_numerical_gradients_are_no_layers(found):
    discovery = found("def eval_numerical_gradient(f, x): return x\ndef grad_check_sparse(f, x): return x\n")
    assert discovery.problems == []


def test_a_net_is_checked_with_its_regularisation(found):
    text = """
    import numpy as np
    class Net:
        def __init__(self, input_size, output_size):
            self.params = {"W": np.random.randn(input_size, output_size)}
        def loss(self, X, y=None, reg=0.0):
            scores, W = X @ self.params["W"], self.params["W"]
            return 0.5 * np.sum(scores**2) + reg * np.sum(W**2), {"W": X.T @ scores + 2 * reg * W}
    """
    report = sweep(found(text).pairs[0])
    assert report.verdict == "pass"
    assert report.tried == ["X (4, 3), reg 0.1", "X (4, 3), reg 0.0", "X (1, 3), reg 0.1"]
    wrong = sweep(found(text.replace("2 * reg", "reg")).pairs[0])
    assert wrong.verdict == "fail"
    assert "X (4, 3), reg 0.0" not in wrong.failed


def test_a_net_is_checked_with_each_of_its_options(found):
    text = """
    import numpy as np
    class Net:
        def __init__(self, input_dim=3072, normalization=None, dropout_keep_ratio=1):
            self.params, self.keep = {"W": np.random.randn(input_dim, 4)}, dropout_keep_ratio
            if normalization == "layernorm":
                self.params["gamma1"] = np.ones(4)
            elif normalization:
                raise NotImplementedError
        def loss(self, X, y=None):
            mask = (np.random.rand(len(X), 4) < self.keep) / self.keep
            gamma = self.params.get("gamma1", 1)
            scores = X @ self.params["W"] * mask * gamma
            grads = {"W": X.T @ (scores * mask * gamma)}
            if "gamma1" in self.params:
                grads["gamma1"] = np.sum(scores * (X @ self.params["W"]) * mask, axis=0)
            return 0.5 * np.sum(scores**2), grads
    """
    names = ["Net", "Net(normalization='layernorm')", "Net(dropout_keep_ratio=0.6)"]
    pairs = found(text).pairs
    assert [pair.name for pair in pairs] == names
    assert [sweep(pair).verdict for pair in pairs] == ["pass"] * 3
    assert [sweep(pair).verdict for pair in found(text.replace("* mask * gamma)}", "* gamma)}")).pairs] == [
        "pass", "pass", "fail"
    ]  # fmt: skip


@pytest.mark.parametrize("returned", ["unit, norm", "1 * unit, 1 * norm", "unit, (x, norm)"])
def test_backward_may_take_what_forward_returns(found, returned):
    text = f"""
    import numpy as np
    def unit_forward(x):
        norm = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
        unit = x / norm
        return {returned}
    def unit_backward(dunit, unit, norm):
        return (dunit - unit * np.sum(dunit * unit, axis=1, keepdims=True)) / norm
    """
    if "(x" in returned:
        text = text.replace("dunit, unit, norm):", "dunit, cache):\n        norm, unit = cache[1], cache[0] / cache[1]")
    assert sweep(found(text).pairs[0]).verdict == "pass"
    assert sweep(found(text.replace("dunit - unit", "dunit + unit")).pairs[0]).verdict == "fail"


@pytest.mark.parametrize(("more", "verdict"), [("", "pass"), (", bias", "vacuous")])
def test_backward_may_call_what_forward_takes_by_other_names(found, more, verdict):
    text = f"""
    def scale_forward(x, w): return x * w
    def scale_backward(upstream, inputs, weights{more}): return upstream * weights, upstream * inputs
    """
    assert sweep(found(text).pairs[0]).verdict == verdict
