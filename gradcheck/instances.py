"""Classes with a forward and backward, or a net's loss: made with small sizes, and brought to the form of a pair."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import styles
from .check import check_layer, check_loss
from .inputs import Setting, is_differentiable, searched
from .pairs import Pair, required
from .report import Finding, Report
from .standins import Lacking
from .state import arrays_in, seeded

# What a constructor is given for a parameter of this name; other required ones get 3, 5, 4, 2 in turn.
SIZES: dict[str, Any] = {
    "input_dim": 3, "in_features": 3, "input_size": 3, "n_in": 3, "nin": 3, "in_dim": 3, "in_channels": 3, "D": 3,
    "num_features": 3, "embed_dim": 6, "hidden_dim": 5, "hidden_size": 5, "H": 5, "num_classes": 4, "output_dim": 4,
    "out_features": 5, "output_size": 4, "out_channels": 4, "num_filters": 4, "filter_size": 3, "kernel_size": 3,
    "stride": 1, "padding": 1, "pad": 1, "pool_size": 2, "num_heads": 2, "hidden_dims": [5, 4], "hidden_size_list": [5],
    "p": 0.4, "rate": 0.4, "dropout_ratio": 0.4, "eps": 1e-5, "alpha": 0.1, "momentum": 0.9, "reg": 0.1,
    "l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "word_to_idx": {"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3, "the": 4},
    "weight_scale": 0.5, "weight_init_std": 0.5, "dtype": np.float64, "seed": 0, "rng": np.random.default_rng(0),
}  # fmt: skip
SPARE = (3, 5, 4, 2, 6)
# What else a parameter without a default may have to be, by a part of its name.
TUPLES = {"kernel": (3, 2), "filter": (3, 2), "pool": (2, 2), "window": (2, 2), "stride": (1, 1), "shape": (3, 5)}
IMAGE = (3, 6, 4)
AXES = 8  # of the arrays in an object, which tell the sizes of its inputs
# What a net may do besides, each to be checked on its own.
OPTIONS = [("normalization", "batchnorm"), ("normalization", "layernorm"), ("use_batchnorm", True),
           ("dropout_keep_ratio", 0.6), ("dropout", 0.6)]  # fmt: skip


@dataclass(frozen=True)
class Instance(Pair):
    """An object that has forward and backward; every call makes a new one, which is the cache.

    `values` are what its constructor, that of `cls`, was given, `sizes` the numbers among these, and the lengths of the
    axes of its arrays.
    """

    make: Callable[[], Any] = field(default=object, kw_only=True)
    cls: type = field(default=object, kw_only=True)
    values: dict[str, Any] = field(default_factory=dict, kw_only=True, compare=False)
    sizes: tuple[int | tuple[int, ...], ...] = field(default=(), kw_only=True)

    def check(self, arguments: tuple[Any, ...], **options: Any) -> Report:
        """Check the gradients of the inputs and of every parameter."""
        return check_layer(self.make(), *arguments, **options)

    @property
    def made(self) -> str:
        """How it was made, as far as a line tells: ``Conv2D(in_channels=3, padding=0)``."""
        plain = (type(None), bool, int, float, str, tuple, list)
        given = {name: value for name, value in self.values.items() if isinstance(value, plain)}
        texts = [f"{name}={value:g}" if type(value) is float else f"{name}={value!r}" for name, value in given.items()]
        return f"{self.name}({', '.join(texts)})"

    def remade(self, **changes: Any) -> Pair:
        """Another one, made with some options changed."""
        pair = _pair_of(self.cls, {**self.values, **changes}, self.file)
        assert pair is not None
        return pair


@dataclass(frozen=True)
class NetLoss(Pair):
    """A net with a dict `params` whose ``loss(X, y)`` returns the loss and a dict of gradients."""

    make: Callable[[], Any] = field(default=object, kw_only=True)

    def check(self, arguments: tuple[Any, ...], **options: Any) -> Report:
        """Check the gradient of every parameter."""
        return check_loss(self.make().loss, *arguments, **options)


@dataclass(frozen=True)
class Unmade(Pair):
    """A class of which no object could be made, and why."""

    reason: str = field(default="", kw_only=True)

    def check(self, arguments: tuple[Any, ...], **options: Any) -> Report:
        """Say so."""
        return Report(self.name, findings=[Finding("vacuous", "", self.reason)])


def instances_of(cls: type, file: str, *, is_base: bool) -> Iterator[Pair]:
    """A pair for a class, of a net one for each option; none if it `is_base` of others and does nothing itself."""
    accepted, raised = _arguments_of(cls)
    pairs = [pair for values in accepted if (pair := _pair_of(styles.uniform(cls), values, file))]
    chosen = next(filter(_accepts, pairs), pairs[0] if pairs else None)
    if is_base and (chosen is None or not _works(chosen)):
        return
    found = chosen if accepted else _unmade(cls, raised, file)
    if found is not None:
        yield found
    if isinstance(chosen, NetLoss):
        yield from _with_options(cls, accepted[0], file)


def _unmade(cls: type, raised: str, file: str) -> Unmade | None:
    """What stands for a layer class that small numbers do not make; None if nobody could make it."""
    names = styles.method_of(cls, styles.FORWARD), styles.method_of(cls, styles.BACKWARD)
    if names[0] is None or names[1] is None or inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
        return None
    reason = f"small numbers do not make a {cls.__name__} ({raised}): make one, and call check_layer"

    def forward() -> Any:
        raise Lacking(reason)

    return Unmade(cls.__name__, forward, getattr(cls, names[1]), file, reason=reason)


def _with_options(cls: type, values: dict[str, Any], file: str) -> Iterator[Pair]:
    """The same net with each of its options on, as far as these are written."""
    for name, value in OPTIONS:
        if name in inspect.signature(cls).parameters:
            with contextlib.suppress(Exception):
                pair = _pair_of(cls, {**values, name: value}, file)
                if isinstance(pair, NetLoss) and all(np.isfinite(_loss_of(pair))):
                    yield dataclasses.replace(pair, name=f"{cls.__name__}({name}={value!r})")


def _loss_of(pair: NetLoss) -> tuple[Any, ...]:
    return pair.outputs(*(net_settings(pair)[0].arguments(pair) or ()))


def _accepts(pair: Pair) -> bool:
    """Whether a forward runs: a window may have to be a number or a tuple, and nothing else tells."""
    return not isinstance(pair, Instance) or bool(searched(pair, 0, pair.sizes))


def _works(pair: Instance | NetLoss) -> bool:
    """Whether a class does something itself: forward runs, and backward is written, be it wrong."""
    try:
        settings = net_settings(pair) if isinstance(pair, NetLoss) else searched(pair, 0, pair.sizes)
        arguments = settings[0].arguments(pair) or ()
        pair.outputs(*arguments)
    except Exception:
        return False
    try:
        return any(gradient is not None for gradient in pair.gradients(*arguments))
    except Exception as error:
        return not isinstance(error, NotImplementedError)


def _pair_of(cls: type, values: dict[str, Any], file: str) -> Instance | NetLoss | None:
    make = functools.partial(_make, cls, values)
    made = make()
    if hasattr(made, "forward") and hasattr(made, "backward"):
        given = [v for v in values.values() if type(v) is tuple or (type(v) is int and v > 2)]
        axes = [n for _, array in arrays_in(made) if is_differentiable(array) for n in array.shape if n > 1]
        sizes = tuple(dict.fromkeys([*given, *axes[:AXES]]))
        return Instance(cls.__name__, *_as_functions(cls, make), file, make=make, cls=cls, values=values, sizes=sizes)
    if isinstance(getattr(made, "params", None), dict) and callable(getattr(made, "loss", None)):
        return NetLoss(cls.__name__, _as_loss(cls, make), None, file, make=make)
    return None


def net_settings(pair: NetLoss) -> list[Setting]:
    """X and labels for a net: rows of as many features as its first weights take, or images, or rows with captions."""
    strengths = [{"reg": 0.1}, {"reg": 0.0}] if "reg" in inspect.signature(pair.forward).parameters else [{}]

    def setting(N: int, X: tuple[int, ...], y: tuple[int, ...], reg: dict[str, float]) -> Setting:
        def draw(rng: np.random.Generator) -> dict[str, Any]:
            return {"X": rng.standard_normal((N, *X)), "y": rng.integers(0, 3, (N, *y)), **reg}

        return Setting(", ".join([f"X {(N, *X)}", *(f"reg {value}" for value in reg.values())]), draw)

    params = pair.make().params
    features = next((value.shape[0] for value in params.values() if np.ndim(value) == 2), 3)
    for X, y in [((features,), ()), ((3, 32, 32), ()), ((1, 28, 28), ()), ((features,), (4,)), ((3,), (4,))]:
        settings = [*(setting(4, X, y, reg) for reg in strengths), setting(1, X, y, strengths[0])]
        try:
            pair.outputs(*(settings[0].arguments(pair) or ()))
        except Lacking:
            return settings
        except Exception:
            continue
        return settings
    if next((np.ndim(value) for value in params.values() if np.ndim(value) > 1), 2) > 2:
        return []  # of images of another size, perhaps
    return [setting(4, (features,), (), strengths[0])]


def _arguments_of(cls: type) -> tuple[list[dict[str, Any]], str]:
    """Small values for a constructor's parameters that it accepts, and what it raised at the last others."""
    accepted: list[dict[str, Any]] = []
    raised = ""
    for values in _small_values(cls):
        try:
            if values not in accepted:
                _make(cls, values)
                accepted.append(values)
        except (Exception, SystemExit) as error:  # these do not fit together
            raised = f"it needs {error}" if isinstance(error, Lacking) else f"{type(error).__name__}: {error}"
    return accepted, raised


def _small_values(cls: type) -> list[dict[str, Any]]:
    """What to try for a constructor's parameters: numbers, and else tuples for windows and shapes."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):
        return []
    takers = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    known = [SIZES[p.name] for p in takers if p.name in SIZES]
    spare = iter([size for size in SPARE if size not in known] or SPARE)
    needed = {p.name: SIZES[p.name] if p.name in SIZES else next(spare, 3) for p in takers if p.default is p.empty}
    small = {p.name: SIZES[p.name] for p in takers if p.name in SIZES and np.ndim(p.default) == 0} | needed
    tuples = {name: tuple_ for name in needed for key, tuple_ in TUPLES.items() if key in name.lower()}
    images = dict.fromkeys(set(tuples) & {"input_shape", "shape"}, IMAGE)
    several = (small, needed, needed | tuples, needed | tuples | images)
    return [{p.name: values[p.name] for p in takers if p.name in values} for values in several]


def _make(cls: type, values: dict[str, Any]) -> Any:
    """An object of which weights drawn from NumPy's global generator are the same every time."""
    with seeded():
        return cls(**copy.deepcopy(values))


def _as_functions(cls: Any, make: Callable[[], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    made = make()
    douts = [f"dout{i}" for i in range(max(1, len(required(made.backward))))]  # one for each output
    takes_dout = bool(inspect.signature(made.backward).parameters)

    def forward(*arguments: Any) -> Any:
        made = make()
        out = made.forward(*arguments)
        return (*out, made) if isinstance(out, tuple) else (out, made)

    def backward(*arguments: Any) -> Any:
        *douts, made = arguments
        return made.backward(*douts) if takes_dout else made.backward()

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in [*douts, "cache"]]
    _name(forward, cls.forward, f"{cls.__name__}.forward", inspect.signature(made.forward))
    _name(backward, cls.backward, f"{cls.__name__}.backward", inspect.Signature(parameters))
    return forward, backward


def _as_loss(cls: Any, make: Callable[[], Any]) -> Callable[..., Any]:
    def loss(*arguments: Any) -> Any:
        return make().loss(*arguments)

    parameters = list(inspect.signature(make().loss).parameters.values())
    positional = parameters[: 3 if [p.name for p in parameters[2:3]] == ["reg"] else 2]
    _name(loss, cls.loss, f"{cls.__name__}.loss", inspect.Signature([p.replace(default=p.empty) for p in positional]))
    return loss


def _name(function: Any, method: Any, name: str, signature: inspect.Signature) -> None:
    """Let a function be taken for a method: its name, docstring and place."""
    function.__wrapped__, function.__doc__, function.__signature__ = method, method.__doc__, signature
    function.__name__ = name
