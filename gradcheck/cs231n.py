"""The course's names: for each the settings to check it at, and what forward should compute there, by our layers."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import settings
from .inputs import Setting, Values, documented, fitting, searched
from .instances import Instance, NetLoss, net_settings
from .load import HOUSE
from .options import at_other_options, in_training
from .pairs import Pair, required
from .settings import PARTS, Variants

Outputs = tuple[Any, ...]
Reference = Callable[[Values], list[Outputs]]  # all that forward may rightly return
Difference = Callable[[Values, Outputs], str]  # how forward differs from the course's, in words; "" if it does not
TOLERANCE = 1e-6  # of the largest entry: an eps at another place shows, one inside of a logarithm does not


class Family(NamedTuple):
    """A name's settings, and the comparison of its forward with what the course defines."""

    variants: Callable[[], Variants]
    difference: Difference | None = None


class Plan(NamedTuple):
    """Where to check a pair, how to compare its forward, and what is to be told of options that are not varied."""

    settings: list[Setting]
    difference: Difference | None = None
    notes: Sequence[str] = ()


def plan(pair: Pair, seed: int = 0) -> Plan:
    """The course's settings for the pair's name; for any other name what the docstring says, else what a search finds.

    A forward that raises there under other names than the course's is something else that happens to bear the name.
    """
    if isinstance(pair, NetLoss):
        return Plan(net_settings(pair))
    known = family(pair) if type(pair) is Pair else None
    fit, usual = fitting(pair, known.variants(), seed) if known else (-1, [])
    if known and (fit > 0 or (fit == 0 and usual[0].names(pair))):
        return Plan(usual, known.difference)
    told_fit, told = fitting(pair, [documented(pair, seed)], seed)
    known_exercise = exercise(pair, told[0], seed) if told_fit > 0 and type(pair) is Pair else None
    if known_exercise:
        return Plan(told, known_exercise)
    found = told if told_fit > 0 else searched(pair, seed, pair.sizes if isinstance(pair, Instance) else ())
    if known and fit == 0 and not found:
        return Plan(usual, known.difference)
    if not found:
        return Plan(told if type(pair) is Pair else [])
    found = in_training(pair, found, seed)
    others, notes = at_other_options(pair, found[0], seed)
    return Plan([_of(pair, setting) for setting in (*found, *others)], notes=notes)


def _of(pair: Pair, setting: Setting) -> Setting:
    """A setting whose text also says how the object is made."""
    made = setting.pair or pair
    if not isinstance(made, Instance) or not made.values:
        return setting
    return replace(setting, text=f"{setting.text} of {made.made}")


def family(pair: Pair) -> Family | None:
    """What the course calls by a pair's name, tried with fewer and fewer of its last words (conv of conv_naive).

    Words for another way to compute the same leave the reference in its place; others may well mean another function.
    """
    words = pair.name.lower().split("_")
    if pair.is_loss and required(pair.forward)[:2] == ["W", "X"]:
        loss = "SVMLoss" if "svm" in words or "hinge" in words else "SoftmaxLoss" if "softmax" in words else None
        return Family(settings.linear_loss, _Equals(_linear_loss(loss)) if loss else None)
    same = True
    while words:
        own = "_".join(words)
        name = own if own in FAMILIES else "_".join(SYNONYMS.get(word, word) for word in words)
        if name in FAMILIES:
            return FAMILIES[name] if same else FAMILIES[name]._replace(difference=None)
        parts = name.split("_")
        if len(words) > 1 and all(part in PARTS for part in parts):
            difference = _Equals(_chain(parts)) if same and "dropout" not in parts else None
            return Family(functools.partial(settings.chain, parts), difference)
        same = words.pop() in WAYS and same
    return None


def exercise(pair: Pair, setting: Setting, seed: int = 0) -> Difference | None:
    """The comparison of a forward with the exercise of its name and parameters, if it takes inputs of this kind."""
    parameters = inspect.signature(pair.forward).parameters.values()
    reference = EXERCISES.get((pair.name, *(p.name for p in parameters)))
    if reference is None:
        return None
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    try:
        reference(defaults | setting.draw(np.random.default_rng(seed)))
    except (TypeError, ValueError):  # of other shapes: something else that happens to bear the name
        return None
    compare = _Equals(reference)
    return lambda values, outs: compare(defaults | values, outs)


@functools.cache
def ours() -> ModuleType:
    """Our layers, found beside this package, whatever file of that name lies in the working directory.

    To be called before code of others is loaded, for which ``layers`` may well mean its neighbour.
    """
    sys.path.insert(0, str(HOUSE))
    try:
        import layers
    finally:
        sys.path.remove(str(HOUSE))
    return layers


# --- comparing


@dataclass(frozen=True)
class _Equals:
    """A comparison with what a reference computes."""

    reference: Reference

    def __call__(self, values: Values, outs: Outputs) -> str:
        texts = [_distance(outs, expected) for expected in self.reference(values)]
        return "" if "" in texts else texts[0]


def matched(difference: Difference, values: Values, outs: Outputs) -> Callable[[Values], Outputs] | None:
    """The reference whose outputs these are, as a function of the values; None if the comparison has none."""
    if not isinstance(difference, _Equals):
        return None
    reference = difference.reference
    fitting = (k for k, expected in enumerate(reference(values)) if not _distance(outs, expected))
    k = next(fitting, None)
    return None if k is None else lambda values: reference(values)[k]


def _distance(outs: Outputs, expected: Outputs) -> str:
    for k, (out, right) in enumerate(zip(outs, expected)):
        name = "out" if len(expected) == 1 else f"output {k}"
        out, right = np.ma.filled(np.asanyarray(out), 0), np.asarray(right)
        if out.shape != right.shape:
            return f"{name} has shape {out.shape}, the reference's {right.shape}"
        gap = np.abs(out - right)
        wrong = ~(gap <= TOLERANCE * np.abs(right).max(initial=0))
        if wrong.any():
            at = np.unravel_index(np.where(np.isfinite(gap), gap, np.inf).argmax(), gap.shape)
            index = f"[{', '.join(map(str, at))}]" if at else ""
            return (
                f"{name}{index} is {out[at]:.6g}, the reference's {right[at]:.6g}; {wrong.sum()} of {gap.size} differ"
            )
    return ""


def _relu_difference(values: Values, outs: Outputs) -> str:
    """As of ReLU; a leaky one is named."""
    text = _Equals(_activation("ReLU"))(values, outs)
    slope = _slope(values["x"], np.asarray(outs[0])) if text else None
    return f"it is a leaky ReLU, with slope {slope:.6g} where x < 0" if slope is not None else text


def _leaky_difference(values: Values, outs: Outputs) -> str:
    leaky = _slope(values["x"], np.asarray(outs[0])) is not None
    return "" if leaky else "it is not x where x > 0 and a fixed slope times x elsewhere"


def _slope(x: np.ndarray, out: np.ndarray) -> float | None:
    """The slope of a leaky ReLU, if `out` is that of one."""
    if out.shape != x.shape or not np.any(x < 0):
        return None
    slope = float(out[x < 0][0] / x[x < 0][0])
    fits = 0 < abs(slope) < 1 and np.allclose(out, np.where(x > 0, x, slope * x), rtol=TOLERANCE)
    return slope if fits else None


def _dropout_difference(values: Values, outs: Outputs) -> str:
    """Inverted dropout: what is kept is divided by the probability to keep, which is p, or 1 - p in old editions."""
    x, p = values["x"], values["dropout_param"]["p"]
    out = np.asarray(outs[0])
    if out.shape != x.shape:
        return f"out has shape {out.shape}, x {x.shape}"
    if values["dropout_param"]["mode"] == "test":
        return "" if np.allclose(out, x, rtol=TOLERANCE) else "in test mode out is not x: this is not inverted dropout"
    scales = (out / x)[out != 0]
    if not scales.size:
        return "it keeps nothing"
    if np.ptp(scales) > TOLERANCE * abs(scales[0]):
        return "what it keeps is not multiplied by one factor"
    kept, scale = scales.size / x.size, float(scales[0])
    if abs(scale - 1) < TOLERANCE:
        return "what it keeps is not divided by the probability to keep: this is not inverted dropout"
    keep = 1 / scale
    spread = 4 * (keep * abs(1 - keep) / x.size) ** 0.5
    if min(abs(keep - p), abs(keep - 1 + p)) > TOLERANCE or abs(kept - keep) > spread:
        return f"with p = {p:g} it keeps {kept:.0%} of the elements and multiplies them by {scale:.4g}"
    return ""


# --- references


def _with(layer: Any, **parameters: np.ndarray) -> Any:
    """A layer with these values as its parameters, flattened as it keeps them."""
    for name, value in parameters.items():
        parameter = getattr(layer, name)
        parameter.value = np.reshape(value, parameter.value.shape)
    return layer


def _activation(*names: str) -> Reference:
    return lambda values: [(getattr(ours(), name)().forward(values["x"]),) for name in names]


def _gelu(values: Values) -> list[Outputs]:
    return [(ours().GELU(approximate=way).forward(values["x"]),) for way in ("none", "tanh")]


def _affine(values: Values) -> list[Outputs]:
    w = values["w"]
    return [(_with(ours().Affine(*w.shape, dtype=float), W=w, b=values["b"]).forward(values["x"]),)]


def _temporal_affine(values: Values) -> list[Outputs]:
    w = values["w"]
    return [(_with(ours().TemporalAffine(*w.shape, dtype=float), W=w, b=values["b"]).forward(values["x"]),)]


def _batchnorm(values: Values) -> list[Outputs]:
    eps = values["bn_param"].get("eps", 1e-5)
    return [(_normed(ours().BatchNorm(values["x"].shape[1], eps=eps, dtype=float), values),)]


def _layernorm(values: Values) -> list[Outputs]:
    eps = values["ln_param"].get("eps", 1e-5)
    return [(_normed(ours().LayerNorm(values["x"].shape[1], eps=eps, dtype=float), values),)]


def _groupnorm(values: Values) -> list[Outputs]:
    eps = values["gn_param"].get("eps", 1e-5)
    return [(_normed(ours().GroupNorm(values["G"], values["x"].shape[1], eps=eps, dtype=float), values),)]


def _normed(layer: Any, values: Values) -> np.ndarray:
    out: np.ndarray = _with(layer, gamma=values["gamma"], beta=values["beta"]).forward(values["x"])
    return out


def _conv(values: Values) -> list[Outputs]:
    w, param = values["w"], values["conv_param"]
    F, C, *kernel = w.shape
    layer = ours().Conv2D(C, F, tuple(kernel), stride=param["stride"], padding=param["pad"], dtype=float)
    return [(_with(layer, W=w, b=values["b"]).forward(values["x"]),)]


def _pool(name: str) -> Reference:
    def reference(values: Values) -> list[Outputs]:
        param = values["pool_param"]
        window = param["pool_height"], param["pool_width"]
        return [(getattr(ours(), name)(window, stride=param["stride"]).forward(values["x"]),)]

    return reference


def _recurrent(name: str, states: list[str], step: bool = False) -> Reference:
    """A whole sequence: all states h. A step is a sequence of one: its final h, and c of an LSTM."""

    def reference(values: Values) -> list[Outputs]:
        x, Wh = values["x"], values["Wh"]
        layer = getattr(ours(), name)(x.shape[-1], len(Wh), return_state=True, dtype=float)
        _with(layer, Wx=values["Wx"], Wh=Wh, b=values["b"])
        out, *final = layer.forward(x[:, None] if step else x, *(values[state] for state in states))
        return [tuple(final) if step else (out,)]

    return reference


def _embedding(values: Values) -> list[Outputs]:
    W = values["W"]
    return [(_with(ours().Embedding(*W.shape, dtype=float), W=W).forward(values["x"]),)]


def _loss(name: str) -> Reference:
    return lambda values: [(getattr(ours(), name)().forward(values["x"], values["y"]),)]


def _temporal_softmax_loss(values: Values) -> list[Outputs]:
    loss = ours().TemporalSoftmaxLoss(mean_over="examples")
    return [(loss.forward(values["x"], values["y"], values["mask"]),)]


def _linear_loss(name: str) -> Reference:
    """The L2 term with or without the factor 1/2: the course's editions differ."""

    def reference(values: Values) -> list[Outputs]:
        W, X, y, reg = values["W"], values["X"], values["y"], values["reg"]
        scores = X @ W if X.shape[1] == len(W) and len(X) == len(y) else (W @ X).T
        data = getattr(ours(), name)().forward(scores, y)
        return [(data + factor * reg * float(np.sum(W**2)),) for factor in (1, 0.5)]

    return reference


def _chain(parts: list[str]) -> Reference:
    """Layers in a row."""
    own = {"affine": _affine, "conv": _conv, "batchnorm": _batchnorm, "norm": _batchnorm,
           "layernorm": _layernorm, "pool": _pool("MaxPool2D"),
           "relu": _activation("ReLU")}  # fmt: skip

    def reference(values: Values) -> list[Outputs]:
        out = values["x"]
        for part in parts:
            ((out,),) = own[part]({**values, "x": out})
        return [(out,)]

    return reference


def _of_inputs(name: str) -> Reference:
    """A layer without parameters, of all values in their order."""
    return lambda values: [(getattr(ours(), name)().forward(*values.values()),)]


def _power(values: Values) -> list[Outputs]:
    return [(ours().Power().forward(values["x"], values["exponent"]),)]


def _scale_and_shift(values: Values) -> list[Outputs]:
    scaled = ours().Multiply().forward(values["gamma"], values["x"])
    return [(ours().Add().forward(scaled, values["beta"]),)]


def _outer_sum(values: Values) -> list[Outputs]:
    return [(np.add.outer(values["x"], values["y"]),)]


def _activations(*names: str) -> dict[str, Family]:
    return {name.lower(): Family(settings.elementwise, _Equals(_activation(name))) for name in names}


def _named(names: str, variants: Callable[[], Variants], reference: Reference | None = None) -> dict[str, Family]:
    return dict.fromkeys(names.split(), Family(variants, _Equals(reference) if reference else None))


SYNONYMS = {
    "bn": "batchnorm",
    "ln": "layernorm",
    "fc": "affine",
    "linear": "affine",
    "dense": "affine",
    "maxpool": "pool",
}
# What follows the name of one more way to compute the same.
WAYS = {
    "naive",
    "fast",
    "slow",
    "vectorized",
    "loop",
    "loops",
    "numpy",
    "np",
    "alt",
    "im2col",
    "strides",
    "reshape",
    "v2",
}
FAMILIES: dict[str, Family] = {
    **_named("affine", settings.affine, _affine),
    **_named("fc linear dense", settings.linear, _affine),
    "relu": Family(settings.elementwise, _relu_difference),
    "leaky_relu": Family(settings.elementwise, _leaky_difference),
    **_activations("Sigmoid", "Tanh", "ELU", "Softplus", "SiLU"),
    **_named("swish", settings.elementwise, _activation("SiLU")),
    **_named("gelu", settings.elementwise, _gelu),
    "dropout": Family(settings.dropout, _dropout_difference),
    **_named("batchnorm batch_norm", settings.batchnorm, _batchnorm),
    **_named("layernorm layer_norm", settings.layernorm, _layernorm),
    **_named("spatial_batchnorm spatial_batch_norm", settings.spatial_batchnorm, _batchnorm),
    **_named("spatial_groupnorm spatial_group_norm groupnorm group_norm", settings.spatial_groupnorm, _groupnorm),
    **_named("conv", settings.conv, _conv),
    **_named("max_pool pool", settings.max_pool, _pool("MaxPool2D")),
    **_named("avg_pool", settings.max_pool, _pool("AvgPool2D")),
    **_named("rnn_step", settings.recurrent("rnn_step"), _recurrent("RNN", ["prev_h"], step=True)),
    **_named("rnn", settings.recurrent("rnn"), _recurrent("RNN", ["h0"])),
    **_named("lstm_step", settings.recurrent("lstm_step"), _recurrent("LSTM", ["prev_h", "prev_c"], step=True)),
    **_named("lstm", settings.recurrent("lstm"), _recurrent("LSTM", ["h0"])),
    **_named("word_embedding embedding", settings.word_embedding, _embedding),
    **_named("temporal_affine", settings.temporal_affine, _temporal_affine),
    **_named("temporal_softmax_loss", settings.temporal_softmax_loss, _temporal_softmax_loss),
    **_named(
        "softmax_loss cross_entropy_loss softmax_cross_entropy softmax_cross_entropy_loss",
        settings.loss,
        _loss("SoftmaxLoss"),
    ),
    **_named("svm_loss hinge_loss", settings.loss, _loss("SVMLoss")),
    **_named("mse_loss l2_loss squared_loss", settings.regression_loss),
}
# Not the course's, but of examples/assignments: by name and parameters, at the shapes that their docstrings say.
EXERCISES: dict[tuple[str, ...], Reference] = {
    ("add", "x", "y"): _of_inputs("Add"),
    ("multiply", "x", "y"): _of_inputs("Multiply"),
    ("maximum", "x", "y"): _of_inputs("Maximum"),
    ("power", "x", "exponent"): _power,
    ("scale_and_shift", "x", "gamma", "beta"): _scale_and_shift,
    ("outer_sum", "x", "y"): _outer_sum,
    ("attention", "q", "k", "v"): _of_inputs("ScaledDotProductAttention"),
}
