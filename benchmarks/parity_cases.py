"""Every layer and its equal in PyTorch, on drawn shapes and settings; `parity_torch.py` runs them.

An entry is a function of a `Draw` that returns a `Case`: our layer, its inputs, and `twin(p, *inputs)`, the same in
PyTorch from our own parameters `p`, tensors by name. So autograd brings the gradients in our layout, and what a twin
does to `p` is how the layouts differ: `p["W"].T` is a weight that PyTorch keeps transposed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, everyone's name for it

import layers


class Draw:
    """Random settings, noted by name for the table."""

    def __init__(self, *seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.settings: dict[str, Any] = {}

    def _note(self, name: str, value: Any) -> Any:
        self.settings[name] = value
        return value

    def size(self, name: str, low: int = 1, high: int = 6) -> int:
        """A whole number from `low` to `high`."""
        return self._note(name, int(self.rng.integers(low, high + 1)))

    def sizes(self, names: str, low: int = 1, high: int = 6) -> list[int]:
        """One for each name."""
        return [self.size(name, low, high) for name in names.split()]

    def number(self, name: str, low: float, high: float) -> float:
        """A number between the two."""
        return self._note(name, float(self.rng.uniform(low, high)))

    def choice(self, name: str, *options: Any) -> Any:
        """One of the options."""
        return self._note(name, options[self.rng.integers(len(options))])

    def flag(self, name: str) -> bool:
        """True or False."""
        return bool(self.choice(name, False, True))

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal numbers."""
        return self.rng.standard_normal(shape)

    def labels(self, count: int, *shape: int) -> np.ndarray:
        """Integers below `count`."""
        return self.rng.integers(0, count, shape)

    def mask(self, *shape: int) -> np.ndarray:
        """Bools, at least the first of each last axis True."""
        mask = self.rng.random(shape) < 0.6
        mask[..., 0] = True
        return mask


@dataclass
class Case:
    """One draw: our layer, its equal, and what both are given."""

    layer: layers.Layer
    inputs: tuple[np.ndarray, ...]  # differentiable: backward owes a gradient for each
    twin: Callable[..., Any]
    given: tuple[np.ndarray, ...] = ()  # labels, targets, indices
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # masks, lengths: our forward's keywords, known to the twin
    parameters: Mapping[str, layers.Parameter] | None = None  # where the layer does not own them


Make = Callable[[Draw], Case]
CASES: list[tuple[str, Make]] = []  # (what it is compared with, entry)


def compared_with(counterpart: str) -> Callable[[Make], Make]:
    """Register an entry."""

    def register(make: Make) -> Make:
        CASES.append((counterpart, make))
        return make

    return register


def linear(p, x, name=""):
    """Our affine layer called `name`: W is (D, M), PyTorch's (M, D)."""
    return F.linear(x, p[f"{name}W"].T, p.get(f"{name}b"))


# --- dense layers, elementwise layers


@compared_with("nn.functional.linear")
def affine(draw):
    N, D, M = draw.sizes("N D M")
    return Case(layers.Affine(D, M), (draw.normal(N, D),), linear)


@compared_with("nn.functional.linear")
def temporal_affine(draw):
    N, T, D, M = draw.sizes("N T D M")
    return Case(layers.TemporalAffine(D, M, bias=draw.flag("bias")), (draw.normal(N, T, D),), linear)


@compared_with("nn.functional.linear, gelu")
def feed_forward(draw):
    N, T, D, hidden = draw.sizes("N T D hidden")
    return Case(layers.FeedForward(D, hidden), (draw.normal(N, T, D),), torch_feed_forward)


def torch_feed_forward(p, x, name=""):
    return linear(p, F.gelu(linear(p, x, f"{name}up."), approximate="tanh"), f"{name}down.")


ELEMENTWISE = {  # name in PyTorch: (our layer, twin of layer and input)
    "nn.functional.relu": (lambda draw: layers.ReLU(), lambda layer, x: F.relu(x)),
    "nn.functional.leaky_relu": (
        lambda draw: layers.LeakyReLU(draw.number("slope", 0, 0.9)),
        lambda layer, x: F.leaky_relu(x, layer.slope),
    ),
    "nn.functional.elu": (
        lambda draw: layers.ELU(draw.number("alpha", 0.1, 3)),
        lambda layer, x: F.elu(x, layer.alpha),
    ),
    "sigmoid": (lambda draw: layers.Sigmoid(), lambda layer, x: torch.sigmoid(x)),
    "tanh": (lambda draw: layers.Tanh(), lambda layer, x: torch.tanh(x)),
    "nn.functional.softplus": (lambda draw: layers.Softplus(), lambda layer, x: F.softplus(x)),
    "nn.functional.silu": (lambda draw: layers.SiLU(), lambda layer, x: F.silu(x)),
    "nn.functional.gelu": (
        lambda draw: layers.GELU(draw.choice("approximate", "none", "tanh")),
        lambda layer, x: F.gelu(x, approximate=layer.approximate),
    ),
    "nn.functional.softmax": (lambda draw: layers.Softmax(), lambda layer, x: F.softmax(x, -1)),
    "nn.functional.log_softmax": (lambda draw: layers.LogSoftmax(), lambda layer, x: F.log_softmax(x, -1)),
    "flatten": (lambda draw: layers.Flatten(), lambda layer, x: torch.flatten(x, 1)),
    "neg": (lambda draw: layers.Negate(), lambda layer, x: -x),
    "exp": (lambda draw: layers.Exp(), lambda layer, x: torch.exp(x)),
    "clone, n times": (
        lambda draw: layers.Copy(draw.size("n", 1, 4)),
        lambda layer, x: tuple(x.clone() for _ in range(layer.outputs)),
    ),
}


def elementwise(make_layer, twin):
    def make(draw):
        shape, layer = draw.sizes("N C D"), make_layer(draw)
        return Case(layer, (2 * draw.normal(*shape),), lambda p, x: twin(layer, x))

    return make


CASES += [(name, elementwise(*entry)) for name, entry in ELEMENTWISE.items()]


@compared_with("our mask / (1 - rate)")
def dropout(draw):
    shape, layer = draw.sizes("N D"), layers.Dropout(draw.number("rate", 0.01, 0.9), rng=draw.rng)
    return Case(layer, (draw.normal(*shape),), lambda p, x: x * torch.from_numpy(layer.cache) / (1 - layer.rate))


@compared_with("our mask / (1 - rate)")
def dropout_2d(draw):
    shape, layer = draw.sizes("N C H W"), layers.Dropout2D(draw.number("rate", 0.01, 0.9), rng=draw.rng)
    return Case(layer, (draw.normal(*shape),), lambda p, x: x * torch.from_numpy(layer.cache) / (1 - layer.rate))


# --- gates


def broadcast_pair(draw):
    """Shapes of two inputs that broadcast."""
    A, B, C = draw.sizes("A B C")
    pairs = {"same": (A, B, C), "row": (C,), "column": (B, 1), "stretched": (A, 1, C), "scalar": ()}
    return (A, B, C), pairs[draw.choice("broadcast", *pairs)]


def two_inputs(gate, twin):
    def make(draw):
        a, b = broadcast_pair(draw)
        return Case(gate(), (draw.normal(*a), draw.normal(*b)), lambda p, x, y: twin(x, y))

    return make


CASES += [
    ("add", two_inputs(layers.Add, torch.add)),
    ("mul", two_inputs(layers.Multiply, torch.mul)),
    ("maximum", two_inputs(layers.Maximum, torch.maximum)),
    ("minimum", two_inputs(layers.Minimum, torch.minimum)),
]


@compared_with("pow")
def power(draw):
    a, b = broadcast_pair(draw)
    return Case(layers.Power(), (draw.rng.uniform(0.3, 3, a), draw.normal(*b)), lambda p, x, y: torch.pow(x, y))


@compared_with("log")
def log(draw):
    return Case(layers.Log(), (draw.rng.uniform(0.3, 3, draw.sizes("N D")),), lambda p, x: torch.log(x))


def reduction(gate, twin):
    def make(draw):
        shape, axis, keepdims = draw.sizes("N C D"), draw.choice("axis", None, 0, -1, (0, 2)), draw.flag("keepdims")
        dims = (0, 1, 2) if axis is None else axis
        return Case(gate(axis, keepdims), (draw.normal(*shape),), lambda p, x: twin(x, dims, keepdim=keepdims))

    return make


CASES += [("sum", reduction(layers.Sum, torch.sum)), ("mean", reduction(layers.Mean, torch.mean))]


@compared_with("matmul")
def matmul(draw):
    N, K, M, B = draw.sizes("N K M B")
    shapes = {
        "matrices": ((N, K), (K, M)),
        "batches": ((B, N, K), (B, K, M)),
        "one matrix for all": ((B, N, K), (K, M)),
        "vector first": ((K,), (B, K, M)),
        "vector last": ((B, N, K), (K,)),
        "vectors": ((K,), (K,)),
    }
    a, b = shapes[draw.choice("operands", *shapes)]
    return Case(layers.MatMul(), (draw.normal(*a), draw.normal(*b)), lambda p, x, y: x @ y)


@compared_with("reshape")
def reshape(draw):
    N, C, D = draw.sizes("N C D")
    return Case(layers.Reshape((-1, N)), (draw.normal(N, C, D),), lambda p, x: x.reshape(-1, N))


@compared_with("permute")
def transpose(draw):
    axes = draw.choice("axes", (0, 2, 1), (1, 2, 0), (2, 0, 1), (-1, 0, 1))
    return Case(layers.Transpose(axes), (draw.normal(*draw.sizes("N C D")),), lambda p, x: x.permute(axes))


# --- images


def window(draw, transposed=False):
    """Options of a window, and an image (H, W) that it fits on, or of whose transpose something is left."""
    options = {name: draw.choice(name, *pairs) for name, pairs in WINDOW.items()}
    axes = zip(*(options[name] for name in ("kernel_size", "padding", "dilation")))
    excess = [d * (k - 1) - 2 * p for k, p, d in axes]  # of the window over the padding
    return options, [1 + max(0, -e if transposed else e) + draw.size("more pixels", 0, 5) for e in excess]


WINDOW = {
    "kernel_size": ((1, 1), (2, 2), (3, 3), (2, 3), (3, 1)),
    "stride": ((1, 1), (2, 2), (1, 3)),
    "padding": ((0, 0), (1, 1), (0, 2)),
    "dilation": ((1, 1), (2, 2), (2, 1)),
}


def channels(draw):
    N, groups = draw.sizes("N groups", 1, 3)
    return N, groups, groups * draw.size("C / groups", 1, 3), groups * draw.size("F / groups", 1, 3)


@compared_with("nn.functional.conv2d")
def conv_2d(draw):
    N, groups, C, filters = channels(draw)
    options, size = window(draw)
    layer = layers.Conv2D(C, filters, groups=groups, bias=draw.flag("bias"), **options)
    rest = [options[name] for name in ("stride", "padding", "dilation")]
    return Case(layer, (draw.normal(N, C, *size),), lambda p, x: F.conv2d(x, p["W"], p.get("b"), *rest, groups))


@compared_with("nn.functional.conv1d")
def conv_1d(draw):
    N, groups, C, filters = channels(draw)
    K, stride, dilation = draw.sizes("kernel_size stride dilation", 1, 3)
    padding, T = draw.size("padding", 0, 2), dilation * (K - 1) + draw.size("more steps", 1, 6)
    layer = layers.Conv1D(C, filters, K, stride=stride, padding=padding, dilation=dilation, groups=groups)
    rest = stride, padding, dilation, groups
    return Case(layer, (draw.normal(N, C, T),), lambda p, x: F.conv1d(x, p["W"], p["b"], *rest))


@compared_with("nn.functional.conv_transpose2d")
def conv_transpose_2d(draw):
    N, groups, C, filters = channels(draw)
    options, size = window(draw, transposed=True)
    largest = [max(pair) - 1 for pair in zip(options["stride"], options["dilation"])]
    more = tuple(draw.size("output_padding", 0, n) for n in largest)
    layer = layers.ConvTranspose2D(C, filters, groups=groups, output_padding=more, **options)
    rest = options["stride"], options["padding"], more, groups, options["dilation"]
    return Case(layer, (draw.normal(N, C, *size),), lambda p, x: F.conv_transpose2d(x, p["W"], p["b"], *rest))


def pool(draw):
    """Arguments of a pooling window, and the shape of images that it fits on."""
    kernel_size = draw.choice("kernel_size", (2, 2), (3, 3), (2, 3), (3, 1))
    stride = draw.choice("stride", kernel_size, (1, 1), (2, 1), (3, 3))
    padding = tuple(draw.size("padding", 0, k // 2) for k in kernel_size)
    return (kernel_size, stride, padding), (*draw.sizes("N C", 1, 3), *draw.sizes("H W", 3, 9))


@compared_with("nn.functional.max_pool2d")
def max_pool_2d(draw):
    (kernel_size, stride, padding), shape = pool(draw)
    x = draw.labels(3, *shape) * 1.0 if draw.flag("ties") else draw.normal(*shape)
    layer = layers.MaxPool2D(kernel_size, stride=stride, padding=padding)
    return Case(layer, (x,), lambda p, x: F.max_pool2d(x, kernel_size, stride, padding))


@compared_with("nn.functional.avg_pool2d")
def avg_pool_2d(draw):
    (kernel_size, stride, padding), shape = pool(draw)
    count = draw.flag("count_include_pad")
    layer = layers.AvgPool2D(kernel_size, stride=stride, padding=padding, count_include_pad=count)
    return Case(layer, (draw.normal(*shape),), lambda p, x: F.avg_pool2d(x, kernel_size, stride, padding, False, count))


@compared_with("nn.functional.adaptive_avg_pool2d(x, 1)")
def global_avg_pool_2d(draw):
    x = draw.normal(*draw.sizes("N C H W"))
    return Case(layers.GlobalAvgPool2D(), (x,), lambda p, x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0])


@compared_with("nn.functional.adaptive_max_pool2d(x, 1)")
def global_max_pool_2d(draw):
    shape = draw.sizes("N C H W")
    x = draw.labels(3, *shape) * 1.0 if draw.flag("ties") else draw.normal(*shape)
    return Case(layers.GlobalMaxPool2D(), (x,), lambda p, x: F.adaptive_max_pool2d(x, 1)[:, :, 0, 0])


@compared_with("nn.functional.adaptive_avg_pool2d")
def adaptive_avg_pool_2d(draw):
    x, size = draw.normal(*draw.sizes("N C H W", 1, 8)), tuple(draw.sizes("OH OW", 1, 8))
    return Case(layers.AdaptiveAvgPool2D(size), (x,), lambda p, x: F.adaptive_avg_pool2d(x, size))


@compared_with("nn.functional.adaptive_max_pool2d")
def adaptive_max_pool_2d(draw):
    shape, size = draw.sizes("N C H W", 1, 8), tuple(draw.sizes("OH OW", 1, 8))
    x = draw.labels(3, *shape) * 1.0 if draw.flag("ties") else draw.normal(*shape)
    return Case(layers.AdaptiveMaxPool2D(size), (x,), lambda p, x: F.adaptive_max_pool2d(x, size))


def upsampling(make_layer, mode, **options):
    def make(draw):
        x, scale = draw.normal(*draw.sizes("N C H W")), tuple(draw.sizes("scale_h scale_w", 1, 4))
        twin = lambda p, x: F.interpolate(x, scale_factor=scale, mode=mode, **options)  # noqa: E731
        return Case(make_layer(scale), (x,), twin)

    return make


CASES += [
    ("nn.functional.interpolate", upsampling(layers.Upsample, "nearest")),
    ("interpolate, align_corners=False", upsampling(layers.UpsampleBilinear, "bilinear", align_corners=False)),
]


@compared_with("nn.functional.conv2d, stride = window")
def patch_embedding(draw):
    N, C, D, size, rows, columns = draw.sizes("N C D patch rows columns", 1, 4)
    layer = layers.PatchEmbedding(C, D, size)

    def twin(p, x):
        filters = p["proj.W"].T.reshape(D, C, size, size)
        return F.conv2d(x, filters, p["proj.b"], stride=size).flatten(2).transpose(1, 2)

    return Case(layer, (draw.normal(N, C, rows * size, columns * size),), twin)


# --- norms

WIDTH = 3  # least features of a norm: two become -1 and 1, whatever they were, so that their gradients cancel


@compared_with("nn.functional.batch_norm, and its buffers")
def batch_norm(draw):
    N, D, H, W = draw.size("N", 3, 8), *draw.sizes("D H W")
    shape = draw.choice("input", (N, D), (N, D, H, W))
    draw.settings["input"] = f"{len(shape)}-D"
    decay, eps = draw.number("running_decay", 0, 1), draw.number("eps", 1e-6, 1e-2)
    layer = layers.BatchNorm(D, running_decay=decay, eps=eps).train(draw.flag("training"))
    layer.running_mean, layer.running_var = draw.normal(D), draw.rng.uniform(0.5, 2, D)

    def twin(p, x):
        running, scale = (p["running_mean"], p["running_var"]), (p["gamma"], p["beta"])
        return F.batch_norm(x, *running, *scale, layer.training, 1 - decay, eps)  # moves the running statistics

    return Case(layer, (1 + 2 * draw.normal(*shape),), twin)


def norm_of_features(make_layer, twin):
    def make(draw):
        N, T, D = *draw.sizes("N T"), draw.size("D", WIDTH)
        eps = draw.number("eps", 1e-6, 1e-2)
        return Case(make_layer(D, eps=eps), (1 + 2 * draw.normal(N, T, D),), lambda p, x: twin(p, x, D, eps))

    return make


CASES += [
    (
        "nn.functional.layer_norm",
        norm_of_features(layers.LayerNorm, lambda p, x, D, eps: F.layer_norm(x, (D,), p["gamma"], p["beta"], eps)),
    ),
    (
        "nn.functional.rms_norm",
        norm_of_features(layers.RMSNorm, lambda p, x, D, eps: F.rms_norm(x, (D,), p["gamma"], eps)),
    ),
]


@compared_with("nn.functional.group_norm")
def group_norm(draw):
    N, groups, each, H, W = draw.sizes("N groups C/groups H W", 1, 5)
    eps = draw.number("eps", 1e-6, 1e-2)
    layer = layers.GroupNorm(groups, groups * each, eps=eps)
    x = 1 + 2 * draw.normal(N, groups * each, H, W + 1)
    return Case(layer, (x,), lambda p, x: F.group_norm(x, groups, p["gamma"], p["beta"], eps))


@compared_with("nn.functional.instance_norm")
def instance_norm(draw):
    N, C, H, W = draw.sizes("N C H W", 1, 5)
    eps = draw.number("eps", 1e-6, 1e-2)
    x = 1 + 2 * draw.normal(N, C, H, W + 1)
    return Case(
        layers.InstanceNorm(C, eps=eps),
        (x,),
        lambda p, x: F.instance_norm(x, weight=p["gamma"], bias=p["beta"], eps=eps),
    )
