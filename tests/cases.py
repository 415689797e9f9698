"""The registry: everything public with small arguments; a test fails if something public is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import layers
import models
import optim


@dataclass(frozen=True)
class Case:
    """One layer with inputs. Shapes are unequal primes, so that a transpose or a wrong axis shows."""

    make: Callable[[], Any]
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    label: str = ""
    wrong: tuple[tuple[Any, ...], ...] = ()  # inputs that must be refused
    modes_differ: bool = False  # evaluation gives another output than training
    batched: bool = True  # the first axis of the first input counts examples
    wrt: tuple[str, ...] | None = None  # inputs that get a gradient: of a loss the first, of others all, unless given

    @property
    def type(self) -> type:
        return type(self.make())

    @property
    def id(self) -> str:
        return self.type.__name__ + (f"-{self.label}" if self.label else "")

    def draw(self, seed: int = 0, dtype: Any = np.float64) -> tuple[Any, ...]:
        """Read-only inputs, the floating ones in `dtype`: a layer that writes into an argument raises on its line."""
        out = []
        for x in self.inputs(np.random.default_rng(seed)):
            x = np.asarray(x)
            x = x.astype(dtype) if x.dtype.kind == "f" else x.copy()
            x.setflags(write=False)
            out.append(x)
        return tuple(out)


def normal(*shape: int) -> Callable[[np.random.Generator], tuple[np.ndarray]]:
    return lambda rng: (rng.standard_normal(shape),)


def apart(*shape: int) -> Callable[[np.random.Generator], tuple[np.ndarray]]:
    """At least 0.1 away from 0 and from each other: no kink and no tie within reach of a difference."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray]:
        steps = np.arange(1, int(np.prod(shape)) + 1) * 0.1 + 0.05
        return ((rng.permutation(steps) * rng.choice([-1, 1], steps.shape)).reshape(shape),)

    return draw


def pair(a: tuple[int, ...], b: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    return lambda rng: (rng.standard_normal(a), rng.standard_normal(b))


def labelled(n: int, classes: int) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    return lambda rng: (rng.standard_normal((n, classes)), rng.integers(0, classes, n))


def probabilities(n: int, classes: int) -> Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    return lambda rng: (rng.standard_normal((n, classes)), rng.dirichlet(np.ones(classes), n))


def random_norm(layer: Any) -> Any:
    """Gamma and beta away from 1 and 0, which hide mistakes."""
    rng = np.random.default_rng(7)
    layer.gamma.value = 1 + 0.5 * rng.standard_normal(layer.gamma.value.shape)
    layer.beta.value = rng.standard_normal(layer.beta.value.shape)
    return layer


WIDE = np.zeros((2, 9))  # features that no case expects
SQUARE = np.zeros((2, 5, 8, 8))  # channels that no case expects

LAYERS = [
    Case(lambda: layers.Affine(5, 3, rng=0), normal(4, 5), wrong=((WIDE,), (np.zeros(5),))),
    Case(lambda: layers.Affine(6, 3, rng=0), normal(4, 2, 3), "images", wrong=((WIDE,),)),
    *[
        Case(make, apart(4, 3))
        for make in (
            layers.ReLU,
            layers.LeakyReLU,
            layers.ELU,
            layers.SiLU,
            layers.Sigmoid,
            layers.Tanh,
            layers.Softplus,
        )
    ],
    Case(lambda: layers.GaussianSample(rng=0), pair((4, 3), (4, 3)), wrong=((WIDE, WIDE[0]),), modes_differ=True),
    Case(lambda: layers.GaussianSample(rng=0).eval(), pair((4, 3), (4, 3)), "eval", modes_differ=True),
    Case(layers.GELU, normal(4, 3)),
    Case(lambda: layers.GELU(approximate="tanh"), normal(4, 3), "tanh"),
    Case(layers.Softmax, normal(4, 3)),
    Case(layers.LogSoftmax, normal(4, 3)),
    Case(lambda: layers.Dropout(0.4, rng=0), normal(4, 3), modes_differ=True),
    Case(lambda: random_norm(layers.BatchNorm(3)), normal(7, 3), wrong=((WIDE,),), modes_differ=True),
    Case(lambda: random_norm(layers.BatchNorm(3).eval()), normal(7, 3), "eval", wrong=((WIDE,),), modes_differ=True),
    Case(lambda: random_norm(layers.LayerNorm(3)), normal(5, 3), wrong=((WIDE,),)),
    Case(lambda: random_norm(layers.LayerNorm(3)), normal(5, 2, 3), "sequence", wrong=((WIDE,),)),
    Case(layers.Flatten, normal(4, 2, 3), wrong=((np.zeros(()),),)),
]

IMAGES = [
    *[
        Case(lambda o=options: layers.Conv2D(4, 6, rng=0, **o), normal(3, 4, 7, 5), label, wrong=((WIDE,), (SQUARE,)))
        for label, options in {
            "": {"kernel_size": 3},
            "same": {"kernel_size": 3, "padding": 1},
            "stride": {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 2)},
            "groups": {"kernel_size": 2, "groups": 2, "padding": 2, "stride": 2},
            "dilation": {"kernel_size": (3, 2), "dilation": 2, "padding": 1, "bias": False},
        }.items()
    ],
    Case(
        lambda: layers.Conv2D(3, 6, 3, groups=3, padding=1, rng=0), normal(2, 3, 5, 4), "depthwise", wrong=((SQUARE,),)
    ),
    Case(lambda: layers.Conv1D(4, 6, 3, stride=2, padding=1, rng=0), normal(3, 4, 7), wrong=((WIDE,), (SQUARE,))),
    Case(lambda: layers.Conv1D(4, 6, 2, dilation=2, groups=2, rng=0), normal(3, 4, 7), "groups", wrong=((WIDE,),)),
    *[
        Case(
            lambda o=options: layers.ConvTranspose2D(4, 6, rng=0, **o),
            normal(2, 4, 3, 5),
            label,
            wrong=((WIDE,), (SQUARE,)),
        )
        for label, options in {
            "": {"kernel_size": 3},
            "stride": {"kernel_size": (4, 3), "stride": 2, "padding": 1, "output_padding": (0, 1)},
            "groups": {"kernel_size": 2, "stride": 3, "groups": 2, "dilation": 2, "padding": 2},
        }.items()
    ],
    *[
        Case(
            lambda t=layer_type, o=options: t(**o), apart(2, 3, 7, 5), label, wrong=((WIDE,), (np.zeros((1, 1, 1, 1)),))
        )
        for layer_type in (layers.MaxPool2D, layers.AvgPool2D)
        for label, options in {
            "": {"kernel_size": 2},
            "overlap": {"kernel_size": (3, 2), "stride": (1, 2)},
            "padded": {"kernel_size": (4, 5), "stride": 2, "padding": (1, 2)},
        }.items()
    ],
    Case(
        lambda: layers.AvgPool2D(3, stride=2, padding=1, count_include_pad=False),
        normal(2, 3, 7, 5),
        "inside",
        wrong=((WIDE,),),
    ),
    Case(layers.GlobalAvgPool2D, normal(2, 3, 5, 4), wrong=((WIDE,), (np.zeros((2, 3, 0, 4)),))),
    Case(layers.GlobalMaxPool2D, apart(2, 3, 5, 4), wrong=((WIDE,), (np.zeros((2, 3, 0, 4)),))),
    Case(lambda: layers.AdaptiveAvgPool2D((2, 3)), normal(2, 3, 7, 5), wrong=((WIDE,),)),
    Case(lambda: layers.AdaptiveAvgPool2D((7, 5)), normal(2, 3, 2, 3), "larger", wrong=((WIDE,),)),
    Case(lambda: layers.AdaptiveMaxPool2D((2, 3)), apart(2, 3, 7, 5), wrong=((WIDE,), (np.zeros((2, 3, 0, 4)),))),
    Case(lambda: layers.AdaptiveMaxPool2D((7, 5)), apart(2, 3, 2, 3), "larger", wrong=((WIDE,),)),
    Case(lambda: layers.Upsample((2, 3)), normal(2, 3, 5, 4), wrong=((WIDE,),)),
    Case(lambda: layers.UpsampleBilinear((2, 3)), normal(2, 3, 5, 4), wrong=((WIDE,),)),
    Case(lambda: random_norm(layers.BatchNorm(3)), normal(2, 3, 5, 4), "images", wrong=((SQUARE,),), modes_differ=True),
    Case(
        lambda: random_norm(layers.BatchNorm(3).eval()),
        normal(2, 3, 5, 4),
        "images-eval",
        wrong=((SQUARE,),),
        modes_differ=True,
    ),
    Case(lambda: random_norm(layers.GroupNorm(2, 6)), normal(3, 6, 5, 4), wrong=((WIDE,), (SQUARE,))),
    Case(lambda: random_norm(layers.GroupNorm(1, 6)), normal(3, 6, 5, 4), "layer", wrong=((WIDE,), (SQUARE,))),
    Case(lambda: random_norm(layers.InstanceNorm(3)), normal(2, 3, 5, 4), wrong=((WIDE,), (SQUARE,))),
    Case(lambda: layers.RMSNorm(3), normal(5, 3), wrong=((WIDE,),)),
    Case(lambda: layers.RMSNorm(3), normal(5, 2, 3), "sequence", wrong=((WIDE,),)),
    Case(lambda: layers.Dropout2D(0.4, rng=0), normal(2, 7, 3, 5), wrong=((WIDE,),), modes_differ=True),
]


def indexed(shape: tuple[int, ...], count: int) -> Callable[[np.random.Generator], tuple[np.ndarray]]:
    return lambda rng: (rng.integers(0, count, shape),)


def scored_steps(n: int, steps: int, vocabulary: int) -> Callable[[np.random.Generator], tuple[np.ndarray, ...]]:
    return lambda rng: (
        rng.standard_normal((n, steps, vocabulary)),
        rng.integers(0, vocabulary, (n, steps)),
        rng.random((n, steps)) < 0.7,
    )


STEPS = np.zeros((2, 3, 9))  # features of a step that no case expects
BAD_STEPS = ((WIDE,), (STEPS,))

SEQUENCES = [
    Case(lambda: layers.Embedding(5, 3, rng=0), indexed((4, 6), 5), wrong=((np.full((2, 3), 5),), (np.zeros((2, 3)),))),
    Case(lambda: layers.SinusoidalEncoding(4), normal(3, 5, 4), wrong=BAD_STEPS),
    Case(lambda: layers.LearnedEncoding(7, 4, rng=0), normal(3, 5, 4), wrong=(*BAD_STEPS, (np.zeros((2, 8, 4)),))),
    Case(lambda: layers.RotaryEncoding(4), normal(3, 5, 4), wrong=BAD_STEPS),
    Case(lambda: layers.TemporalAffine(4, 3, rng=0), normal(3, 5, 4), wrong=BAD_STEPS),
    *[
        Case(lambda t=cell, o=options: t(4, 3, rng=0, **o), normal(5, 6, 4), label, wrong=BAD_STEPS)
        for cell in (layers.RNN, layers.LSTM, layers.GRU)
        for label, options in {
            "": {},
            "states": {"return_state": True},
            "deep-both-ways": {"num_layers": 2, "bidirectional": True},
        }.items()
    ],
    *[
        Case(lambda t=cell: t(4, 3, rng=0, return_state=True), pair((5, 6, 4), (5, 3)), "initial-state")
        for cell in (layers.RNN, layers.GRU)
    ],
    Case(
        lambda: layers.ScaledDotProductAttention(),
        lambda rng: tuple(rng.standard_normal(shape) for shape in ((3, 5, 4), (3, 7, 4), (3, 7, 2))),
        wrong=((np.zeros((3, 5, 4)), np.zeros((3, 7, 3)), np.zeros((3, 7, 2))),),
    ),
    Case(lambda: layers.MultiHeadAttention(6, 2, rng=0), normal(3, 5, 6), wrong=BAD_STEPS),
    Case(
        lambda: layers.MultiHeadAttention(8, 2, causal=True, rotary=True, dropout=0.2, rng=0),
        normal(3, 5, 8),
        "causal-rotary-dropout",
        wrong=BAD_STEPS,
        modes_differ=True,
    ),
    Case(lambda: layers.MultiHeadAttention(6, 3, rng=0), pair((3, 5, 6), (3, 7, 6)), "cross"),
    Case(lambda: layers.FeedForward(4, 7, rng=0), normal(3, 5, 4), wrong=BAD_STEPS),
    Case(lambda: layers.NormedResidual(layers.FeedForward(4, 7, rng=0), 4), normal(3, 5, 4), wrong=BAD_STEPS),
    Case(lambda: layers.EncoderLayer(6, 2, rng=0), normal(3, 5, 6), wrong=BAD_STEPS),
    Case(lambda: layers.EncoderLayer(6, 2, pre_norm=False, rng=0), normal(3, 5, 6), "post-norm", wrong=BAD_STEPS),
    Case(lambda: layers.DecoderLayer(6, 2, rng=0), pair((3, 5, 6), (3, 7, 6))),
    Case(lambda: layers.PatchEmbedding(2, 5, 3, rng=0), normal(2, 2, 6, 9), wrong=((np.zeros((2, 2, 7, 9)),),)),
]

GATES = [
    *[
        Case(make, pair((4, 3), (4, 3)), wrong=((np.zeros((4, 3)), np.zeros((2, 5))),))
        for make in (layers.Add, layers.Multiply, layers.Maximum, layers.Minimum)
    ],
    *[
        Case(make, pair((4, 3), (3,)), "broadcast", wrong=((np.zeros((4, 3)), np.zeros((2, 5))),))
        for make in (layers.Add, layers.Multiply, layers.Maximum, layers.Minimum)
    ],
    Case(layers.Negate, normal(4, 3)),
    Case(layers.Power, lambda rng: (rng.uniform(0.5, 2, (4, 3)), rng.standard_normal((4, 1)))),
    Case(layers.Exp, normal(4, 3)),
    Case(layers.Log, lambda rng: (rng.uniform(0.5, 2, (4, 3)),)),
    Case(layers.Sum, normal(4, 3), batched=False),
    Case(lambda: layers.Sum(axis=1), normal(4, 3), "axis"),
    Case(layers.Mean, normal(4, 3), batched=False),
    Case(lambda: layers.Mean(axis=1, keepdims=True), normal(4, 3), "axis"),
    Case(layers.MatMul, pair((4, 5), (5, 3)), wrong=((np.zeros((4, 5)), np.zeros((3, 5))),)),
    Case(layers.MatMul, pair((4, 2, 5), (5, 3)), "stacked", wrong=((np.zeros((4, 5)), np.zeros((3, 5))),)),
    Case(lambda: layers.Copy(2), normal(4, 3)),
    Case(lambda: layers.Reshape((-1, 2, 3)), normal(4, 6), wrong=((np.zeros((1, 5)),),)),
    Case(lambda: layers.Transpose((0, 2, 1)), normal(4, 2, 3), wrong=((WIDE,),)),
]

BAD_LABELS = (
    (np.zeros((2, 3)), np.array([0, 3])),
    (np.zeros((2, 3)), np.array([0, -1])),
    (np.zeros((2, 3)), np.zeros(5, int)),
)
BAD_TARGETS = ((np.zeros((2, 3)), np.zeros((3, 2))),)

LOSSES = [
    Case(layers.SoftmaxLoss, labelled(5, 3), wrong=BAD_LABELS),
    Case(layers.SoftmaxLoss, probabilities(5, 3), "probabilities", wrong=BAD_TARGETS),
    Case(lambda: layers.SoftmaxLoss(label_smoothing=0.1), labelled(5, 3), "smoothed", wrong=BAD_LABELS),
    Case(lambda: layers.SoftmaxLoss(class_weights=[1.0, 2.0, 0.5]), labelled(5, 3), "weighted", wrong=BAD_LABELS),
    Case(lambda: layers.SoftmaxLoss(ignore_index=1), labelled(5, 3), "ignoring", wrong=BAD_LABELS),
    Case(layers.SVMLoss, labelled(5, 3), wrong=BAD_LABELS),
    Case(layers.LogisticLoss, lambda rng: (rng.standard_normal((5, 3)), rng.integers(0, 2, (5, 3))), wrong=BAD_TARGETS),
    Case(layers.TemporalSoftmaxLoss, scored_steps(4, 5, 3), wrong=((np.zeros((2, 3, 4)), np.zeros((2, 4), int)),)),
    Case(lambda: layers.TemporalSoftmaxLoss(mean_over="examples"), scored_steps(4, 5, 3), "examples"),
    Case(layers.MSELoss, pair((5, 3), (5, 3)), wrong=BAD_TARGETS),
    Case(layers.L1Loss, pair((5, 3), (5, 3)), wrong=BAD_TARGETS),
    Case(lambda: layers.HuberLoss(delta=0.5), pair((5, 3), (5, 3)), wrong=BAD_TARGETS),
]


def embeddings(count: int) -> Callable[[np.random.Generator], tuple[np.ndarray, ...]]:
    return lambda rng: tuple(rng.standard_normal((5, 3)) for _ in range(count))


def paired(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    return *embeddings(2)(rng), rng.choice([-1, 1], 5)


def transcribed(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Scores of 5 sequences of at most 7 steps over 3 labels and the blank 0; at most 3 labels each, some repeated."""
    lengths, label_lengths = np.array([7, 5, 6, 7, 2]), np.array([3, 3, 2, 1, 0])
    return rng.standard_normal((5, 7, 4)), rng.integers(1, 4, (5, 3)), lengths, label_lengths


def imagined(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Scores of 5 images of 7 pixels, codes of 3 dimensions, the images."""
    return rng.standard_normal((5, 7)), *pair((5, 3), (5, 3))(rng), rng.random((5, 7))


TRIPLET, VIEWS, GAUSSIAN = ("anchor", "positive", "negative"), ("left", "right"), ("mu", "logvar")
BAD_ROWS = ((np.zeros((2, 3)), np.zeros((3, 2))), (np.zeros(3), np.zeros(3)))
BAD_IMAGINED = (
    (np.zeros((2, 7)), np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((7, 2))),
    (np.zeros((2, 7)), np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((2, 7))),
    (np.zeros((2, 7)), np.zeros((4, 3)), np.zeros((4, 3)), np.zeros((2, 7))),
)
BAD_TRANSCRIPTS = (
    (np.zeros((2, 3)), np.ones((2, 1), int)),
    (np.zeros((2, 3, 4)), np.ones(2, int)),
    (np.zeros((2, 3, 4)), np.full((2, 1), 4)),
    (np.zeros((2, 3, 4)), np.full((2, 4), 1)),
)

LOSSES += [
    *[
        Case(lambda m=margin: layers.TripletLoss(m), embeddings(3), label, wrong=((WIDE, WIDE, STEPS[0]),), wrt=TRIPLET)
        for label, margin in {"": 1.0, "wide": 9.0, "tight": 0.1}.items()
    ],
    Case(layers.NTXentLoss, embeddings(2), wrong=BAD_ROWS, wrt=VIEWS),
    Case(lambda: layers.NTXentLoss(temperature=0.1), embeddings(2), "cold", wrong=BAD_ROWS, wrt=VIEWS),
    Case(layers.CosineLoss, paired, wrong=tuple((*rows, np.ones(2, int)) for rows in BAD_ROWS), wrt=VIEWS),
    Case(lambda: layers.CosineLoss(margin=-0.5), paired, "margin", wrong=((WIDE, WIDE, np.array([0, 1])),), wrt=VIEWS),
    Case(layers.GaussianKL, embeddings(2), wrong=(BAD_ROWS[0], (np.zeros(()), np.zeros(()))), wrt=GAUSSIAN),
    Case(layers.GaussianKL, pair((5, 2, 3), (5, 2, 3)), "images", wrong=BAD_ROWS[:1], wrt=GAUSSIAN),
    Case(layers.ELBOLoss, imagined, wrong=BAD_IMAGINED, wrt=("scores", *GAUSSIAN)),
    Case(
        lambda: layers.ELBOLoss("gaussian", beta=0.3),
        imagined,
        "gaussian",
        wrong=BAD_IMAGINED,
        wrt=("scores", *GAUSSIAN),
    ),
    *[
        Case(lambda o=options: layers.FocalLoss(**o), labelled(5, 3), label, wrong=BAD_LABELS)
        for label, options in {
            "": {},
            "flat": {"gamma": 0.0},
            "root": {"gamma": 0.5, "alpha": [1.0, 2.0, 0.5]},
        }.items()
    ],
    Case(layers.CTCLoss, transcribed, wrong=BAD_TRANSCRIPTS),
    Case(
        lambda: layers.CTCLoss(blank=3, zero_infinity=True),
        lambda rng: (rng.standard_normal((5, 4, 6)), np.array([[0, 1, 2], [4, 4, 5], [5, 5, 5], [1, 2, 1], [0, 0, 4]])),
        "impossible",
        wrong=BAD_TRANSCRIPTS[:2],
    ),
]


def tied_chain() -> models.Sequential:
    shared = layers.Affine(3, 3, rng=0)
    return models.Sequential(shared, layers.Tanh(), shared)


MODELS = [
    Case(
        lambda: models.Sequential(layers.Affine(5, 4, rng=0), layers.Tanh(), layers.Affine(4, 3, rng=1)),
        normal(6, 5),
        wrong=((WIDE,),),
    ),
    Case(tied_chain, normal(6, 3), "tied", wrong=((WIDE,),)),
    Case(lambda: models.Residual(layers.Affine(3, 3, rng=0)), normal(6, 3), wrong=((WIDE,),)),
    Case(
        lambda: models.Residual(layers.Affine(3, 2, rng=0), layers.Affine(3, 2, rng=1)),
        normal(6, 3),
        "projected",
        wrong=((WIDE,),),
    ),
    Case(lambda: models.Concat(layers.Affine(3, 2, rng=0), layers.Affine(3, 5, rng=1)), normal(6, 3), wrong=((WIDE,),)),
    Case(lambda: models.MLP(5, [4, 3], 2, activation="tanh", rng=0), normal(6, 5), wrong=((WIDE,),)),
    Case(
        lambda: models.MLP(5, [4], 2, activation="gelu", norm="batch", dropout=0.3, rng=0),
        normal(7, 5),
        "batch-norm-dropout",
        wrong=((WIDE,),),
        modes_differ=True,
    ),
    Case(lambda: models.SoftmaxClassifier(5, 3, rng=0), normal(6, 5), wrong=((WIDE,),)),
    Case(lambda: models.LinearSVM(5, 3, rng=0), normal(6, 5), wrong=((WIDE,),)),
    Case(lambda: models.LinearRegression(5, 1, rng=0), normal(6, 5), wrong=((WIDE,),)),
]


def graph_layer() -> Any:
    """tanh(x W + b) * x / 2 + x, x used three times."""
    x = models.Input("x")
    return models.Graph(layers.Affine(3, 3, rng=0)(x) * x / 2 + x).as_layer()


BAD_TOKENS = ((np.zeros(3, int),), (np.full((2, 3), 5),), (np.zeros((2, 3)),))
MODELS += [
    *[
        Case(
            lambda c=cell: models.RecurrentLM(5, embed_dim=3, hidden_size=4, cell=c, rng=0),
            indexed((3, 6), 5),
            cell,
            wrong=BAD_TOKENS,
        )
        for cell in ("rnn", "lstm", "gru")
    ],
    Case(
        lambda: models.VisionTransformer((2, 4, 6), 3, patch_size=2, embed_dim=4, num_heads=2, num_layers=1, rng=0),
        normal(3, 2, 4, 6),
        wrong=((SQUARE,),),
    ),
    Case(
        lambda: models.EncoderDecoder(5, 7, max_len=6, embed_dim=4, num_heads=2, rng=0),
        lambda rng: (rng.integers(0, 5, (3, 6)), rng.integers(0, 7, (3, 4))),
        wrong=(
            (np.zeros(6, int), np.zeros((3, 4), int)),
            (np.full((3, 6), 5), np.zeros((3, 4), int)),
            (np.zeros((3, 7), int), np.zeros((3, 4), int)),
            (np.zeros((3, 6), int), np.zeros((2, 4), int)),
            (np.zeros((3, 6), int), np.zeros((3, 4), int), np.ones((3, 4), bool)),
        ),
    ),
    Case(
        lambda: models.EncoderDecoder(5, 7, max_len=6, embed_dim=4, num_heads=2, rng=0),
        lambda rng: (rng.integers(0, 5, (3, 6)), rng.integers(0, 7, (3, 4)), np.arange(6) < np.array([[6], [2], [4]])),
        "masked",
    ),
    *[
        Case(
            lambda c=cell: models.CaptioningRNN(6, in_features=4, embed_dim=3, hidden_size=5, cell=c, rng=0),
            lambda rng: (rng.standard_normal((3, 4)), rng.integers(0, 6, (3, 5))),
            cell,
            wrong=((WIDE, np.zeros((2, 3), int)),),
        )
        for cell in ("rnn", "lstm")
    ],
    *[
        Case(
            lambda: models.CaptioningTransformer(6, max_len=5, in_features=3, embed_dim=4, num_heads=2, rng=0),
            lambda rng, s=shape: (rng.standard_normal(s), rng.integers(0, 6, (2, 5))),
            label,
            wrong=((WIDE, np.zeros((2, 3), int)), (np.zeros((2, 3)), np.zeros((4, 3), int))),
        )
        for label, shape in {"": (2, 3), "places": (2, 7, 3)}.items()
    ],
    Case(
        lambda: models.TransformerLM(5, max_len=6, embed_dim=4, num_heads=2, rng=0),
        indexed((3, 6), 5),
        wrong=(*BAD_TOKENS, (np.zeros((2, 7), int),)),
    ),
]
MODELS += [
    Case(
        lambda: models.ThreeLayerConvNet((3, 5, 6), 4, filters=5, kernel_size=3, hidden=7, rng=0),
        normal(3, 3, 5, 6),
        wrong=((SQUARE,), (WIDE,), (np.zeros((2, 3, 9, 9)),)),
    ),
    Case(
        lambda: models.VGG((3, 5, 7), 4, widths=(2, 5), hidden=[6], dropout=0.3, rng=0),
        normal(3, 3, 5, 7),
        wrong=((SQUARE,), (WIDE,), (np.zeros((2, 3, 9, 9)),)),
        modes_differ=True,
    ),
    Case(
        lambda: models.VGG((3, 5, 7), 4, widths=(5,), convolutions=1, hidden=[], norm="none", dropout=0, rng=0),
        normal(3, 3, 5, 7),
        "plain",
        wrong=((SQUARE,),),
    ),
    *[
        Case(
            lambda s=shortcut: models.ResNet((3, 7, 5), 4, depth=8, width=2, shortcut=s, rng=0),
            normal(3, 3, 7, 5),
            shortcut,
            wrong=((SQUARE,), (WIDE,)),
            modes_differ=True,
        )
        for shortcut in ("pad", "projection")
    ],
    Case(lambda: models.PadShortcut(3, 5), normal(2, 3, 7, 4), wrong=((SQUARE,), (WIDE,))),
]


def convolutional_vae() -> models.VAE:
    encoder = models.Sequential(
        layers.Conv2D(1, 3, 3, stride=2, rng=0), layers.Tanh(), layers.Flatten(), layers.Affine(6, 4, rng=1)
    )
    decoder = models.Sequential(
        layers.Affine(2, 6, rng=2), layers.Reshape((-1, 3, 1, 2)), layers.ConvTranspose2D(3, 1, 3, stride=2, rng=3)
    )
    return models.VAE(encoder, decoder, latent=2, rng=4)


MODELS += [
    Case(
        lambda: models.Autoencoder(models.MLP(5, [4], 2, activation="tanh", rng=0), models.MLP(2, [], 5, rng=1)),
        normal(6, 5),
        wrong=((WIDE,),),
    ),
    Case(
        lambda: models.VAE(
            models.MLP(5, [7], 6, activation="tanh", rng=0),
            models.MLP(3, [4], 5, activation="tanh", rng=1),
            latent=3,
            rng=2,
        ),
        normal(6, 5),
        wrong=((WIDE,),),
        modes_differ=True,
    ),
    Case(convolutional_vae, normal(6, 1, 3, 5), "convolutional", wrong=((SQUARE,), (WIDE,)), modes_differ=True),
]
IMAGES.append(Case(layers.GramMatrix, normal(2, 3, 5, 4), wrong=((WIDE,),)))
IMAGES.append(Case(lambda: layers.GramMatrix(normalize=False), normal(2, 3, 5, 4), "sum", wrong=((WIDE,),)))
LOSSES += [
    Case(lambda: layers.ContentLoss(0.7), pair((5, 3), (5, 3)), wrong=((np.zeros((2, 3)), np.zeros((3, 2))),)),
    Case(lambda: layers.StyleLoss(0.7), pair((2, 3, 5, 4), (2, 3, 3)), wrong=((WIDE, WIDE),)),
    Case(lambda: layers.TotalVariationLoss(0.7), normal(2, 3, 5, 4), wrong=((WIDE,),)),
]

T01 = np.array([0, 1])
MODELS += [
    Case(
        lambda: models.Denoiser(3, [7], embed_dim=4, rng=0),
        lambda rng: (rng.standard_normal((6, 3)), rng.integers(0, 9, 6)),
        wrong=((WIDE, np.zeros(2, int)), (np.zeros((2, 3)), np.zeros(3, int))),
    ),
    *[
        Case(
            lambda o=options: models.UNet(3, (2, 6), context_dim=4, rng=0, **o),
            lambda rng, y=labels: (rng.standard_normal((2, 3, 4, 6)), np.array([5, 90]), *y),
            label,
            wrong=((np.zeros((2, 5, 4, 6)), T01), (np.zeros((2, 3, 4, 5)), T01), (np.zeros((2, 3, 4, 6)), T01[:1])),
        )
        for label, options, labels in (
            ("", {}, ()),
            ("classes", {"classes": 5, "blocks": 2}, (np.array([4, 5]),)),
        )
    ],
    Case(
        lambda: models.GAN(
            models.MLP(3, [5], 4, activation="tanh", rng=0), models.MLP(4, [5], 1, activation="tanh", rng=1), latent=3
        ),
        normal(6, 3),
        wrong=((WIDE,),),
    ),
]
MODELS.append(Case(graph_layer, normal(6, 3), wrong=((WIDE,),)))

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, learning_rate=0.1),
    "SGD-momentum": lambda p: optim.SGD(p, learning_rate=0.1, momentum=0.9),
    "SGD-nesterov": lambda p: optim.SGD(p, learning_rate=0.1, momentum=0.9, nesterov=True),
    "Adagrad": lambda p: optim.Adagrad(p, learning_rate=0.1),
    "RMSProp": lambda p: optim.RMSProp(p, learning_rate=0.01),
    "Adam": lambda p: optim.Adam(p, learning_rate=0.05),
    "AdamW": lambda p: optim.AdamW(p, learning_rate=0.05),
    "LBFGS": lambda p: optim.LBFGS(p),
}
