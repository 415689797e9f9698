"""What each of the course's layers takes, drawn: the settings over which a backward of that name must be right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .inputs import Setting, Values

Rng = np.random.Generator
Shape = tuple[int, ...]
Variants = Iterator[list[Setting]]


# --- drawing


def apart(rng: Rng, shape: Shape) -> np.ndarray:
    """Gaussian values pushed 0.1 away from 0, and from each other by ranks: no kink, no tie."""
    values = rng.standard_normal(shape)
    ranks = values.ravel().argsort().argsort().reshape(shape)
    return values + np.sign(values) * 0.1 + 0.01 * (ranks - np.sum(values < 0))


def _apart(shape: Shape) -> Callable[[Rng], Values]:
    return lambda rng: {"x": apart(rng, shape)}


def gaussian(**shapes: Shape) -> Callable[[Rng], Values]:
    """Draws Gaussian arrays of these shapes."""
    return lambda rng: {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def listed(**arguments: Any) -> str:
    """Arguments as a setting's text: ``x (2, 3), pad 1``."""
    return ", ".join(f"{name} {value}" for name, value in arguments.items())


def scaled(draw: Callable[[Rng], Values], **factors: float) -> Callable[[Rng], Values]:
    """Draws the same with some arguments multiplied."""
    return lambda rng: {name: value * factors.get(name, 1) for name, value in draw(rng).items()}


# --- the families


def affine() -> Variants:
    """Images and rows, and a batch of one."""
    yield [_product((3, 2, 4), (8, 5)), _product((4, 6), (6, 3)), _product((1, 2, 3, 2), (12, 4), usual=False)]


def linear() -> Variants:
    """Rows; and images, which under other names than the course's need not be flattened."""
    yield [_product((4, 6), (6, 3)), _product((1, 5), (5, 4), usual=False), _product((3, 2, 4), (8, 5), usual=False)]


def _product(x: Shape, w: Shape, usual: bool = True) -> Setting:
    hint = "x has shape (N, d_1, ..., d_k): flatten each example, x.reshape(x.shape[0], -1)" if len(x) > 2 else ""
    return Setting(listed(x=x, w=w), gaussian(x=x, w=w, b=w[1:]), usual, hint)


def elementwise() -> Variants:
    """Rows and images."""
    rows: list[tuple[Shape, bool]] = [((5, 7), True), ((2, 3, 4, 3), True), ((1, 6), False)]
    yield [Setting(listed(x=shape), _apart(shape), usual) for shape, usual in rows]


def dropout() -> Variants:
    """Both modes; p as keep and as drop probability; one without a seed, and images."""

    def setting(shape: Shape, mode: str, p: float, seed: int | None, usual: bool = True) -> Setting:
        param = {"mode": mode, "p": p} | ({} if seed is None else {"seed": seed})
        text = listed(x=shape, mode=mode, p=p) + ("" if seed is None else ", seeded")
        return Setting(text, lambda rng: {"x": apart(rng, shape), "dropout_param": dict(param)}, usual)

    yield [
        setting((8, 9), "train", 0.3, 123), setting((8, 9), "train", 0.8, 123), setting((4, 5), "test", 0.3, 123),
        setting((8, 9), "train", 0.6, None), setting((2, 3, 4, 3), "train", 0.4, 123, usual=False),
    ]  # fmt: skip


def batchnorm(names: str = "x gamma beta bn_param") -> Variants:
    """Ordinary, small and offset columns, and an eps that matters."""
    rows = [((6, 4), 1.0, 0.0, {}, True), ((3, 5), 0.05, 0.0, {}, True), ((5, 3), 1.0, 3.0, {"eps": 0.1}, False)]
    yield [
        _normal(names, x, x[1:], std, mean, {"mode": "train", **param}, usual) for x, std, mean, param, usual in rows
    ]


def layernorm() -> Variants:
    """Ordinary and small rows, an eps that matters, and a batch of one."""
    rows: list[tuple[Shape, float, dict[str, Any], bool]] = [
        ((4, 6), 1.0, {}, True), ((5, 3), 0.05, {}, True), ((3, 5), 1.0, {"eps": 0.1}, False), ((1, 6), 1.0, {}, False),
    ]  # fmt: skip
    yield [_normal("x gamma beta ln_param", x, x[1:], std, 1.0, param, usual) for x, std, param, usual in rows]


def spatial_batchnorm() -> Variants:
    """Images that are not square, and an eps that matters."""
    rows: list[tuple[Shape, dict[str, Any], bool]] = [((2, 3, 4, 5), {}, True), ((3, 2, 2, 3), {"eps": 0.1}, False)]
    yield [
        _normal("x gamma beta bn_param", x, x[1:2], 2.0, 1.0, {"mode": "train", **param}, usual)
        for x, param, usual in rows
    ]


def spatial_groupnorm() -> Variants:
    """Two, three and one group; gamma of shape (1, C, 1, 1), or else (C,)."""
    rows: list[tuple[Shape, int, dict[str, Any], bool]] = [
        ((2, 6, 4, 5), 2, {}, True), ((3, 6, 2, 3), 3, {}, False), ((2, 4, 3, 3), 1, {"eps": 0.1}, False),
    ]  # fmt: skip
    for flat in (False, True):
        yield [
            _normal("x gamma beta gn_param", x, x[1:2] if flat else (1, x[1], 1, 1), 2.0, 1.0, param, usual, G)
            for x, G, param, usual in rows
        ]


def _normal(
    names: str, x: Shape, gamma: Shape, std: float, mean: float, param: dict[str, Any], usual: bool, G: int = 0
) -> Setting:
    """A normalisation: gamma and beta random, for 1 and 0 hide mistakes."""
    name_x, name_gamma, name_beta, name_param = names.split()

    def draw(rng: Rng) -> Values:
        values = {
            name_x: mean + std * rng.standard_normal(x),
            name_gamma: 1 + 0.5 * rng.standard_normal(gamma),
            name_beta: rng.standard_normal(gamma),
        }
        return values | ({"G": G} if G else {}) | {name_param: dict(param)}

    extra = {"G": G} if G else {}
    small = {"std": std} if std < 1 else {}
    return Setting(listed(x=x, **extra, **small, **param), draw, usual)


def conv() -> Variants:
    """Pads 0, 1 and 2, strides 1, 2 and 3, images and filters that are not square, one image, one channel.

    The windows always cover the padded image exactly; the course asks for no other.
    """
    rows = [
        ((2, 3, 5, 5), (4, 3, 3, 3), 1, 1, True), ((2, 3, 6, 6), (2, 3, 2, 2), 2, 0, False),
        ((2, 2, 5, 7), (3, 2, 3, 3), 2, 1, False), ((2, 2, 5, 6), (3, 2, 3, 2), 1, 0, False),
        ((2, 2, 5, 5), (3, 2, 5, 5), 1, 2, False), ((1, 1, 4, 4), (2, 1, 3, 3), 1, 1, False),
        ((2, 1, 7, 4), (2, 1, 3, 2), 2, 2, False), ((1, 2, 4, 6), (3, 2, 3, 2), 3, 1, False),
    ]  # fmt: skip
    yield [_convolution(*row) for row in rows]


def _convolution(x: Shape, w: Shape, stride: int, pad: int, usual: bool) -> Setting:
    draw = gaussian(x=x, w=w, b=w[:1])
    return Setting(
        listed(x=x, w=w, stride=stride, pad=pad),
        lambda rng: {**draw(rng), "conv_param": {"stride": stride, "pad": pad}},
        usual,
    )


def max_pool() -> Variants:
    """Windows that tile, overlap, leave gaps, and are not square; images that are not square; one image."""
    rows = [
        ((3, 2, 6, 6), (2, 2), 2, True), ((2, 3, 4, 6), (2, 2), 2, False), ((2, 2, 5, 5), (3, 3), 2, False),
        ((2, 2, 4, 5), (2, 3), 1, False), ((2, 2, 5, 6), (2, 3), 3, False), ((1, 1, 7, 5), (3, 1), 2, False),
    ]  # fmt: skip
    yield [_pooling(*row) for row in rows]


def _pooling(x: Shape, window: Shape, stride: int, usual: bool) -> Setting:
    param = {"pool_height": window[0], "pool_width": window[1], "stride": stride}
    return Setting(
        listed(x=x, window=window, stride=stride),
        lambda rng: {"x": apart(rng, x), "pool_param": dict(param)},
        usual,
    )


def recurrent(cell: str) -> Callable[[], Variants]:
    """A step or a sequence of an RNN (one gate) or LSTM (four), and a batch of one."""
    gates = 4 if cell.startswith("lstm") else 1
    state = {"rnn_step": ("prev_h",), "lstm_step": ("prev_h", "prev_c")}.get(cell, ("h0",))

    def setting(N: int, T: int, D: int, H: int, usual: bool) -> Setting:
        x = (N, D) if cell.endswith("step") else (N, T, D)
        shapes: dict[str, Shape] = {"x": x, **dict.fromkeys(state, (N, H))}
        shapes |= {"Wx": (D, gates * H), "Wh": (H, gates * H), "b": (gates * H,)}
        draw = scaled(gaussian(**shapes), Wx=0.5, Wh=0.5)  # keeps tanh and sigmoid out of saturation
        return Setting(listed(x=x, H=H), draw, usual)

    return lambda: iter([[setting(4, 3, 3, 5, True), setting(2, 4, 3, 5, True), setting(1, 3, 4, 2, False)]])


def word_embedding() -> Variants:
    """Words that repeat, and some that do not occur."""

    def setting(N: int, T: int, V: int, D: int, usual: bool) -> Setting:
        def draw(rng: Rng) -> Values:
            return {"x": rng.integers(0, V - 1, (N, T)), "W": rng.standard_normal((V, D))}

        return Setting(listed(x=(N, T), W=(V, D)), draw, usual)

    yield [setting(3, 4, 6, 2, True), setting(2, 3, 9, 4, True), setting(1, 5, 3, 3, False)]


def temporal_affine() -> Variants:
    """A sequence, and one of one step in a batch of one."""
    rows = [((2, 3, 4), (4, 5), True), ((1, 1, 3), (3, 2), False)]
    yield [Setting(listed(x=x, w=w), gaussian(x=x, w=w, b=w[1:]), usual) for x, w, usual in rows]


def temporal_softmax_loss() -> Variants:
    """Some steps masked out."""

    def setting(N: int, T: int, V: int, usual: bool) -> Setting:
        def draw(rng: Rng) -> Values:
            mask = rng.random((N, T)) > 0.4
            mask[0, 0] = True
            return {"x": rng.standard_normal((N, T, V)), "y": rng.integers(0, V, (N, T)), "mask": mask}

        return Setting(listed(x=(N, T, V)), draw, usual)

    yield [setting(3, 4, 5, True), setting(1, 2, 3, False)]


def loss() -> Variants:
    """Scores and labels, large scores, and a batch of one."""
    rows = [((6, 4), 1.0, True), ((3, 7), 5.0, True), ((1, 3), 1.0, False)]
    yield [Setting(listed(x=x, std=std), _scores(x, std), usual) for x, std, usual in rows]


def regression_loss() -> Variants:
    """Predictions and targets of one shape."""
    rows = [((5, 3), True), ((4,), False)]
    yield [Setting(listed(x=x, y=x), gaussian(x=x, y=x), usual) for x, usual in rows]


def _scores(x: Shape, std: float) -> Callable[[Rng], Values]:
    return lambda rng: {"x": std * rng.standard_normal(x), "y": rng.integers(0, x[1], x[0])}


def linear_loss() -> Variants:
    """A linear classifier's loss with and without L2; X of shape (N, D), or else transposed."""
    rows = [(5, 6, 4, 0.0, True), (5, 6, 4, 0.1, True), (7, 3, 5, 2.0, True), (1, 4, 3, 0.5, False)]
    for transposed in (False, True):
        yield [_classifier(*row, transposed) for row in rows]


def _classifier(N: int, D: int, C: int, reg: float, usual: bool, transposed: bool) -> Setting:
    def draw(rng: Rng) -> Values:
        W, X, y = rng.standard_normal((D, C)), rng.standard_normal((N, D)), rng.integers(0, C, N)
        return {"W": W.T.copy() if transposed else W, "X": X.T.copy() if transposed else X, "y": y, "reg": reg}

    W, X = ((C, D), (D, N)) if transposed else ((D, C), (N, D))
    return Setting(listed(W=W, X=X, reg=reg), draw, usual)


# --- layers in a row: affine_bn_relu, conv_relu_pool


def chain(parts: list[str]) -> Variants:
    """The parts' arguments, each sized by what comes out of the part before."""

    def setting(image: Shape, usual: bool) -> Setting:
        def draw(rng: Rng) -> Values:
            values: Values = {"x": rng.standard_normal(image if "conv" in parts else image[:2])}
            shape = values["x"].shape
            for part in parts:
                shape = PARTS[part](rng, shape, values)
            return values

        return Setting(listed(x=image if "conv" in parts else image[:2]), draw, usual)

    yield [setting((2, 3, 6, 8), True), setting((3, 2, 4, 4), False)]


def _affine_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values |= {"w": rng.standard_normal((shape[1], 5)), "b": rng.standard_normal(5)}
    return shape[0], 5


def _conv_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values |= {"w": rng.standard_normal((4, shape[1], 3, 3)), "b": rng.standard_normal(4)}
    values["conv_param"] = {"stride": 1, "pad": 1}
    return shape[0], 4, *shape[2:]


def _norm_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values |= {"gamma": 1 + 0.5 * rng.standard_normal(shape[1]), "beta": rng.standard_normal(shape[1])}
    values["bn_param"] = {"mode": "train"}
    return shape


def _layernorm_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values |= {"gamma": 1 + 0.5 * rng.standard_normal(shape[1]), "beta": rng.standard_normal(shape[1]), "ln_param": {}}
    return shape


def _pool_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values["pool_param"] = {"pool_height": 2, "pool_width": 2, "stride": 2}
    return *shape[:2], shape[2] // 2, shape[3] // 2


def _dropout_part(rng: Rng, shape: Shape, values: Values) -> Shape:
    values["dropout_param"] = {"mode": "train", "p": 0.6, "seed": 123}
    return shape


PARTS: dict[str, Callable[[Rng, Shape, Values], Shape]] = {
    "affine": _affine_part,
    "conv": _conv_part,
    "batchnorm": _norm_part,
    "norm": _norm_part,
    "layernorm": _layernorm_part,
    "pool": _pool_part,
    "dropout": _dropout_part,
    "relu": lambda rng, shape, values: shape,
}
