"""The inputs that the command guesses: those that fit an object's own arrays, and rows where rows are all it takes."""

import textwrap

import pytest

from gradcheck import cs231n
from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep

LAYER = """
import numpy as np

class Fixed:
    def __init__(self):
        self.W = np.random.default_rng(0).standard_normal({shape})

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = {factor} * self.x.T @ dout
        return dout @ self.W.T
"""
PRODUCT = """
def {name}_forward(x, w, b):
    return x.dot(w) + b, (x, w, b)

def {name}_backward(dout, cache):
    x, w, b = cache
    return dout.dot(w.T), x.T.dot(dout), {factor} * dout.sum(axis=0)
"""


@pytest.fixture
def report(tmp_path):
    """The report on the only pair of a text."""

    def of(text):
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(text))
        cs231n.ours()
        with sandboxed(path):
            (pair,) = discover(path).pairs
            return sweep(pair, why=True, repair=1.0)

    return of


@pytest.mark.parametrize("shape", [(4, 5), (4, 4), (2, 2), (17, 5)])
def test_inputs_of_a_layer_of_one_size_fit_its_weights(report, shape):
    right, wrong = (report(LAYER.format(shape=shape, factor=factor)) for factor in (1, 7))
    assert (right.verdict, wrong.verdict) == ("pass", "fail")
    assert [len(part.name) for part in right.arguments] == [1, 1]


@pytest.mark.parametrize("name", ["idx", "indices", "token_ids"])
def test_indices_are_whole_numbers(report, name):
    text = f"""
    import numpy as np
    class Rows:
        def __init__(self, vocab_size, dim):
            self.W = np.random.default_rng(0).standard_normal((vocab_size, dim))
        def forward(self, {name}):
            self.at = {name}
            return self.W[self.at]
        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.at, dout)
            return None
    """
    right, wrong = report(text), report(text.replace("np.add.at(self.dW, self.at, dout)", "self.dW[self.at] += dout"))
    assert (right.verdict, wrong.verdict, wrong.cause) == ("pass", "fail", "overwritten")


def test_the_axes_of_an_image_may_be_written_out(report):
    text = """
    def double_forward(x):
        '''x: images of shape (batch_size, channels, height, width)'''
        return 2 * x, None
    def double_backward(dout, cache): return 2 * dout
    """
    assert report(text).tried[0] == "x (4, 3, 6, 5)"


def test_a_forward_that_takes_none_of_the_inputs_tried_is_no_error(report):
    found = report(LAYER.format(shape=(4, 5), factor=1).replace("self.x = x", "raise ValueError('no')"))
    assert found.verdict == "vacuous"
    assert "say their shapes in its docstring, such as x: (N, D), or give them with --inputs" in str(found)


@pytest.mark.parametrize(
    ("of_u", "of_v"), [(": (N, D)", ": (N,)"), (" : array (N, D)", ": np.ndarray (N,)"), (" (N, D): rows", " (N,): n"),
                       (": (N, d_1, ..., d_k)", ": (N,)")],
)  # fmt: skip
def test_a_shape_may_stand_right_after_the_arguments_name(report, of_u, of_v):
    text = f'''
    def own_forward(u, v, k):
        """
        u{of_u}
        v{of_v}
        k: pair (kh, kw), floats in (0, 1), of shape (2,)
        """
        assert u.shape[:1] == v.shape and k.shape == (2,)
        return u.T * v * k[0], (u, v, k)

    def own_backward(dout, cache):
        u, v, k = cache
        return (dout * v).T * k[0], (dout * u.T).sum(0) * k[0], ((dout * u.T * v).sum(), 0) @ np.eye(2)
    '''
    assert report("import numpy as np\n" + textwrap.dedent(text)).tried[0].split(", k")[0] == "u (4, 3), v (4,)"


@pytest.mark.parametrize("name", ["fc", "linear", "dense"])
def test_rows_alone_are_enough_under_another_name_than_the_courses(report, name):
    assert report(PRODUCT.format(name=name, factor=1)).verdict == "pass"
    assert report(PRODUCT.format(name=name, factor=2)).verdict == "fail"


def test_the_courses_affine_is_told_to_flatten(report):
    text = str(report(PRODUCT.format(name="affine", factor=1)))
    assert "x has shape (N, d_1, ..., d_k): flatten each example" in text
    assert "it raises" not in text


def test_what_raises_for_another_reason_is_not_told_to_flatten(report):
    text = str(report(PRODUCT.format(name="affine", factor=1).replace("x.dot(w)", "x.dot(weights)")))
    assert "name 'weights' is not defined" in text
    assert "flatten" not in text


def test_what_a_forward_refuses_is_no_error_where_it_takes_others(report):
    rows = "    if x.ndim > 2:\n        raise ValueError('rows only')\n    return x.dot(w)"
    right, wrong = (
        report(PRODUCT.format(name="affine", factor=f).replace("    return x.dot(w)", rows)) for f in (1, 2)
    )
    assert (right.verdict, wrong.verdict) == ("pass", "fail")
    assert "rows only" in str(right.notes)
    assert (
        report(
            PRODUCT.format(name="affine", factor=1).replace("    return", "    raise ValueError\n    return", 1)
        ).verdict
        == "error"
    )


def test_arguments_at_which_backward_runs_are_those_it_is_written_for(report):
    found = report("""
        import numpy as np

        def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
            N, C, H, W = x.shape
            groups = x.reshape(N, G, -1)
            std = np.sqrt(groups.var(axis=2, keepdims=True) + gn_param.get("eps", 1e-5))
            xhat = ((groups - groups.mean(axis=2, keepdims=True)) / std).reshape(x.shape)
            return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, gamma, std)

        def spatial_groupnorm_backward(dout, cache):
            xhat, gamma, std = cache
            N, C, H, W = dout.shape
            dgamma = (dout * xhat).sum(axis=(0, 2, 3), keepdims=True)
            dbeta = dout.sum(axis=(0, 2, 3), keepdims=True)
            d, groups = ((a.reshape(*std.shape[:2], -1)) for a in (dout * gamma[:, None, None], xhat))
            dx = (d - d.mean(axis=2, keepdims=True) - groups * (d * groups).mean(axis=2, keepdims=True)) / std
            return dx.reshape(xhat.shape), dgamma, dbeta
        """)
    assert found.verdict == "fail"
    assert "the gradient must have the shape (6,) of gamma; got (1, 6, 1, 1); its values are right" in str(found)
