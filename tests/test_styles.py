"""Layer classes in the styles of books and courses: each is found, given inputs, and judged by its own forward."""

import re
import textwrap

import pytest

from gradcheck.discover import discover
from gradcheck.load import sandboxed
from gradcheck.sweep import sweep

STYLES = {
    "results in attributes": """
        class Dense:
            def __init__(self, n_inputs, n_neurons):
                self.weights, self.biases = np.random.randn(n_inputs, n_neurons), np.zeros((1, n_neurons))
            def forward(self, inputs):
                self.inputs = inputs
                self.output = inputs @ self.weights + self.biases
            def backward(self, dvalues):
                self.dweights = self.inputs.T @ dvalues
                self.dbiases = dvalues.sum(axis=0, keepdims=True)
                self.dinputs = dvalues @ self.weights.T
        """,
    "gradients of parameters returned": """
        class Dense:
            def __init__(self, in_features, out_features):
                self.weights, self.biases = np.random.randn(in_features, out_features), np.zeros((1, out_features))
            def forward(self, x):
                self.x = x
                return x @ self.weights + self.biases
            def backward(self, dout):
                return dout @ self.weights.T, self.x.T @ dout, dout.sum(axis=0, keepdims=True)
        """,
    "parameters updated": """
        class Dense:
            def __init__(self, input_size, output_size):
                self.weights, self.biases = np.random.randn(output_size, input_size), np.random.randn(output_size, 1)
            def forward_propagation(self, input):
                self.input = input
                return self.weights @ input + self.biases
            def backward_propagation(self, output_gradient, learning_rate):
                gradient = self.weights.T @ output_gradient
                self.weights -= learning_rate * output_gradient @ self.input.T
                self.biases -= learning_rate * output_gradient
                return gradient
        """,
    "gradients beside the values": """
        class Dense:
            def __init__(self, n_in, n_out):
                self.weights = {"val": np.random.randn(n_in, n_out), "grad": 0}
                self.biases = {"val": np.zeros(n_out), "grad": 0}
            def forward(self, x):
                self.x = x
                return x @ self.weights["val"] + self.biases["val"]
            def backward(self, dout):
                self.weights["grad"], self.biases["grad"] = self.x.T @ dout, dout.sum(axis=0)
                return dout @ self.weights["val"].T, self.weights["grad"], self.biases["grad"]
        """,
    "inputs given again": """
        class Dense:
            def __init__(self, n_in, n_out):
                self.weights, self.grad_weights = np.random.randn(n_in, n_out), None
                self.biases, self.grad_biases = np.zeros(n_out), None
            def forward(self, inputs):
                return inputs @ self.weights + self.biases
            def backward(self, in_grads, inputs):
                self.grad_weights, self.grad_biases = inputs.T @ in_grads, in_grads.sum(axis=0)
                return in_grads @ self.weights.T
        """,
    "a cache returned": """
        class Dense:
            def __init__(self, n_in, n_out):
                self.weights, self.biases = np.random.randn(n_in, n_out), np.zeros(n_out)
            def forward(self, x):
                return x @ self.weights + self.biases, x
            def backward(self, dout, cache):
                self.weights_grad, self.biases_grad = cache.T @ dout, dout.sum(axis=0)
                return dout @ self.weights.T
        """,
    "a cache kept by __call__": """
        class Layer:
            def __call__(self, x):
                self.x = x
                return self.forward(x)
        class Dense(Layer):
            def __init__(self, n_in, n_out):
                self.weights, self.biases = np.random.randn(n_in, n_out), np.zeros(n_out)
                self.dweights = self.dbiases = None
            def forward(self, x):
                return x @ self.weights + self.biases
            def backward(self, dout):
                self.dweights, self.dbiases = self.x.T @ dout, dout.sum(axis=0)
                return dout @ self.weights.T
        """,
}
LOSSES = {
    "probabilities": """
        class CrossEntropyLoss:
            def forward(self, y_pred, y_true):
                return -np.log(np.clip(y_pred, 1e-7, 1 - 1e-7))[range(len(y_pred)), y_true]
            def backward(self, dvalues, y_true):
                self.dinputs = np.zeros_like(dvalues)
                self.dinputs[range(len(dvalues)), y_true] = -1 / dvalues[range(len(dvalues)), y_true] / len(dvalues)
        """,
    "softmax and loss": """
        class SoftmaxLoss:
            def forward(self, inputs, y_true):
                self.output = np.exp(inputs) / np.exp(inputs).sum(axis=1, keepdims=True)
                return -np.log(self.output)[range(len(inputs)), y_true].mean()
            def backward(self, dvalues, y_true):
                self.dinputs = dvalues.copy()
                self.dinputs[range(len(dvalues)), y_true] -= 1
                self.dinputs /= len(dvalues)
        """,
}


@pytest.fixture
def swept(tmp_path):
    """The report of a text's last pair."""

    def sweep_last(text):
        path = tmp_path / "mine.py"
        path.write_text("import numpy as np\n" + textwrap.dedent(text))
        with sandboxed(path):
            return sweep(discover(path).pairs[-1])

    return sweep_last


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_checked_with_its_parameters(swept, style):
    report = swept(STYLES[style])
    assert report.verdict == "pass", str(report)
    assert [argument.name for argument in report.arguments][1:] == ["weights", "biases"]


@pytest.mark.parametrize("style", STYLES)
def test_a_mistake_in_any_style_is_found(swept, style):
    head, backward, body = STYLES[style].partition("def backward")
    for wrong in (
        re.sub(r"self\.weights(\S*)\.T", r"np.abs(self.weights\1.T)", body),
        re.sub(r"(\S+)\.T @ (\w+)", r"\1.T @ abs(\2)", body),
        body.replace("@ self.input.T", "@ abs(self.input.T)"),
    ):
        report = swept(head + backward + wrong)
        failed = [argument.name for argument in report.arguments if argument.verdict == "fail"]
        assert len(failed) == (wrong != body)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_take_what_their_books_hand_them(swept, loss):
    assert swept(LOSSES[loss]).verdict == "pass"
    assert swept(LOSSES[loss].replace("-= 1", "-= 2").replace("= -1", "= -2")).verdict == "fail"


def test_a_window_or_a_shape_may_have_to_be_a_tuple(swept):
    text = """
        class MeanPool:
            def __init__(self, input_shape, pool_size):
                self.C, self.H, self.W = input_shape
                self.h, self.w = pool_size
            def forward(self, x):
                x = x.reshape(len(x), self.C, self.H // self.h, self.h, self.W // self.w, self.w)
                return x.mean(axis=(3, 5))
            def backward(self, dout):
                return dout.repeat(self.h, axis=2).repeat(self.w, axis=3) / self.h
        """
    assert swept(text.replace("/ self.h\n", "/ self.h / self.w\n")).verdict == "pass"
    assert swept(text).verdict == "fail"


def test_a_call_that_is_not_finished_is_no_forward(swept):
    text = """
        class Double:
            def __call__(self, x): return self.forward()
            def forward(self, x): return 2 * x
            def backward(self, dout): return 2 * dout
        """
    assert swept(text).verdict == "pass"


@pytest.mark.parametrize(
    "text",
    [
        """
        class Square:
            def __call__(self, x):
                self.x = x
                return x**2
            def backward(self, grad): return 2 * self.x * grad
        """,
        """
        class Square:
            @staticmethod
            def forward(x): return x**2
            @classmethod
            def backward(cls, dout, x): return 2 * x * dout
        """,
        """
        class Square:
            @staticmethod
            def forward(ctx, x):
                ctx.x = x
                return x**2
            @staticmethod
            def backward(ctx, dout): return 2 * ctx.x * dout
        """,
        """
        class SquareAndDouble:
            def forward(self, x):
                self.x = x
                square = x**2
                return square, 2 * x
            def backward(self, dsquare, ddouble): return 2 * self.x * dsquare + 2 * ddouble
        """,
    ],
    ids=["called", "static", "context", "two outputs"],
)
def test_other_forms_of_methods_are_known(swept, text):
    assert swept(text).verdict == "pass"
    head, _, body = text.rpartition("2 *")
    assert swept(f"{head}3 *{body}").verdict == "fail"


def test_what_needs_more_than_its_forward_knows_is_not_accused(swept):
    text = """
        class Softmax:
            def forward(self, x): return np.exp(x)
            def backward(self, y_pred, labels): return y_pred - labels
        """
    report = swept(text)
    assert report.verdict == "vacuous"
    assert "labels, which forward does not know" in report.message
