"""Inputs for a pair: a sweep of legal settings, each drawn from a seed."""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .pairs import Pair, required
from .standins import Lacking

Values = dict[str, Any]

FITS = 3  # how well arguments fit, at best

# A parameter with one of these names is the course's parameter of the other name.
ALIASES = {
    "input": "x", "inputs": "x", "data": "x", "z": "x", "weight": "w", "weights": "w", "kernel": "w", "filters": "w",
    "bias": "b", "biases": "b", "scores": "x", "logits": "x", "labels": "y", "target": "y", "targets": "y",
    "y_true": "y", "y_hat": "y_pred", "yhat": "y_pred", "predictions": "y_pred", "probs": "y_pred",
    "padding": "pad", "strides": "stride", "groups": "g", "num_groups": "g", "scale": "gamma", "shift": "beta",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One legal way to call a forward.

    Parameters
    ----------
    text : str
        What is told of it: ``x (2, 3, 6, 6), w (4, 3, 2, 2), stride 2, pad 0``.
    draw : callable
        ``draw(rng) -> values`` by the course's parameter names; fresh arrays at each call.
    usual : bool
        Whether every forward of this name has to take it: an error in a usual setting is a fault, in another a limit.
    hint : str
        What is most likely to be the matter where a forward raises here.
    pair : Pair, optional
        What to check here in place of the pair: an object that is made with other options.
    """

    text: str
    draw: Callable[[np.random.Generator], Values]
    usual: bool = True
    hint: str = ""
    pair: Pair | None = None

    def arguments(self, pair: Pair, seed: int = 0) -> tuple[Any, ...] | None:
        """The arguments of the pair's forward, in its order; None if its parameters are others."""
        return bind(pair.forward, self.draw(np.random.default_rng(seed)))

    def names(self, pair: Pair) -> bool:
        """Whether the pair's forward calls its arguments by these names, and does not only have as many."""
        return _by_name(pair.forward, self.draw(np.random.default_rng(0))) is not None


def bind(function: Callable[..., Any], values: Values) -> tuple[Any, ...] | None:
    """Values in the order of a function's parameters: by name where all names are known, else by position.

    Those whose names are none, such as ``"0"``, are meant by position, and may go on to parameters with a default.
    """
    found = _by_name(function, values)
    least = most = len(required(function))
    if not any(map(str.isidentifier, values)):
        most = len(_positional(function))
    return tuple(values.values()) if found is None and least <= len(values) <= most else found


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _by_name(function: Callable[..., Any], values: Values) -> tuple[Any, ...] | None:
    known = {name.lower(): value for name, value in values.items()}
    flat = {key.lower(): v for value in values.values() if isinstance(value, dict) for key, v in value.items()}
    known = {**flat, **known}
    own = [(p.name.lower(), p.default) for p in _positional(function)]
    parameters = [(name if name in known else ALIASES.get(name, name), default) for name, default in own]
    if not all(name in known for name, _ in parameters[: len(required(function))]):
        return None
    last = max((i for i, (name, _) in enumerate(parameters) if name in known), default=-1)
    return tuple(known.get(name, default) for name, default in parameters[: last + 1])


def fitting(pair: Pair, variants: Iterable[list[Setting]], seed: int = 0) -> tuple[int, list[Setting]]:
    """The first list of settings that the pair's code is written for, its gradients having its arguments' shapes: 3.

    Documentation and code disagree on gamma of shape (C,) or (1, C, 1, 1), and on W of shape (D, C) or (C, D). Where
    no variant fits wholly, the first at which backward runs, and 2; the first that forward accepts, and 1; where it
    raises at all, the first, and 0; where its parameters are others, -1.
    """
    ranked: list[tuple[int, list[Setting]]] = [(-1, [])]
    for settings in variants:
        fit = fit_of(pair, settings[0].arguments(pair, seed)) if settings else -1
        if fit == FITS:
            return fit, settings
        ranked.append((fit, settings))
    return max(ranked, key=lambda ranking: ranking[0])


def fit_of(pair: Pair, arguments: tuple[Any, ...] | None) -> int:
    """3 if the gradients have the arguments' shapes, 2 if they have others, 1 if only forward runs, 0 if that raises.

    -1 if nothing binds.
    Where something absent is needed, no other arguments will do better.
    """
    if arguments is None:
        return -1
    try:
        with np.errstate(all="ignore"):
            outs = pair.outputs(*copy.deepcopy(arguments))
    except Lacking:
        return FITS
    except (Exception, SystemExit):
        return 0
    if (
        not all(map(_is_numeric, outs))
        or not all(np.size(out) for out in outs)
        or not all(np.isfinite(out).all() for out in outs)
    ):
        return 0
    try:
        gradients = pair.gradients(*copy.deepcopy(arguments))
    except Lacking:
        return FITS
    except (Exception, SystemExit):
        return 1
    shapes = [np.shape(a) for a in arguments if is_differentiable(a)][: len(gradients)]
    return FITS if [np.shape(gradient) for gradient in gradients] == shapes else 2


def is_differentiable(value: Any) -> bool:
    """Whether an argument is a floating array; labels, indices, masks and settings are not."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _is_numeric(out: Any) -> bool:
    return isinstance(out, (np.ndarray, np.generic, float, int)) and np.asarray(out).dtype.kind in "fiu"


# --- from the docstring

SIZES = {
    "N": 4,
    "D": 3,
    "M": 5,
    "T": 2,
    "H": 6,
    "C": 3,
    "V": 7,
    "F": 4,
    "K": 3,
    "W": 5,
    "HH": 3,
    "WW": 2,
    "G": 1,
    "batch_size": 4,
    "batch": 4,
    "channels": 3,
    "height": 6,
    "width": 5,
}
SCALARS = {
    "stride": 1, "pad": 1, "p": 0.4, "rate": 0.4, "keep_prob": 0.6, "drop_prob": 0.4, "momentum": 0.9,
    "eps": 1e-5, "epsilon": 1e-5, "mode": "train", "training": True, "train": True, "is_train": True, "g": 1,
    "reg": 0.1, "alpha": 0.1, "slope": 0.1, "delta": 1.0, "lambd": 0.1, "axis": 0, "num_heads": 1,
    "pool_height": 2, "pool_width": 2, "pool_size": 2, "activation": "relu", "verbose": False,
}  # fmt: skip
SHAPE = re.compile(r"(?:shape|size|dimensions?)\s*(?:is|of|:|=)?\s*`*\(([^()]*)\)`*", re.IGNORECASE)
SIZE = r"(?:\d*[ *]*[A-Za-z](?:\w|_\w+)?'?|\d+|\.\.\.)"  # of an axis: N, 4H, 4 * H, d_1, C_in, HH, 3
# What begins with a shape: ``(N, D)``, ``array (N, D)``; a pair of numbers is none.
BARE = re.compile(rf"(?!tuple|pair|list)[\w. ]*?`*\(((?=[^()]*[A-Za-z])\s*{SIZE}\s*,(?:\s*{SIZE}\s*,?)*\s*)\)")
NAME = r"[A-Za-z_]\w*"
ENTRY = re.compile(
    rf"^[\s*\-:]*(?:param\s+)?`*({NAME}(?:\s*,\s*{NAME})*)`*(?:\s+(\([^()]*\)))?\s*(?::|--?|is\b)\s*(.*)$"
)
INDICES = re.compile(r"idxs?|ix|ind(ex|exes|ices)|(\w+_)?(ids|tokens|indices)|words", re.IGNORECASE)
INTEGRAL = re.compile(r"label|ind(?:ex|ices)|integer|\bints?\b|0\s*<=", re.IGNORECASE)


def documented(pair: Pair, seed: int = 0) -> list[Setting]:
    """Settings from shapes in the forward's docstring: ``x: Input data, of shape (N, d_1, ..., d_k)``, ``y: (N,)``."""
    entries = dict(_entries(inspect.getdoc(pair.forward) or ""))
    if not entries:
        return []
    settings = []
    for shift in (0, 1):
        sizes = dict(SIZES) if not shift else {name: size + 1 for name, size in SIZES.items()}
        kinds = {name: _documented_kind(name, entries.get(name, ""), sizes) for name in required(pair.forward)}
        if any(kind is None for kind in kinds.values()):
            return []
        text = ", ".join(f"{name} {kind[1]}" for name, kind in kinds.items() if kind and kind[0] != "scalar")
        settings.append(Setting(text, _drawing(kinds), usual=not shift))
    return settings


def documented_kind(pair: Pair, name: str) -> Kind | None:
    """What the docstring says of an option, at the sizes of the first of the documented settings."""
    entries = dict(_entries(inspect.getdoc(pair.forward) or ""))
    sizes = dict(SIZES)
    kinds = [_documented_kind(n, entries.get(n, ""), sizes) for n in (*required(pair.forward), name)]
    return kinds[-1]


def _entries(doc: str) -> Iterator[tuple[str, str]]:
    """Parameter names and what the docstring says of each; a description may go on over more lines."""
    names: list[str] = []
    said = ""
    for line in doc.splitlines():
        found = ENTRY.match(line)
        if re.match(r"\s*(returns?|outputs?)\b", line, re.IGNORECASE):
            break
        if found:
            yield from ((name, said) for name in names)
            names, said = re.split(r"\s*,\s*", found[1]), " ".join(filter(None, found.groups()[1:]))
        else:
            said += " " + line.strip()
    yield from ((name, said) for name in names)


Kind = tuple[str, Any]  # ("float", "positive", "probability", "int", "bit" or "bool", shape), or ("scalar", value)


def _documented_kind(name: str, said: str, sizes: dict[str, int]) -> Kind | None:
    found = SHAPE.search(said) or BARE.match(said)
    if found is None:
        return ("float", (sizes["N"], sizes["D"])) if "any shape" in said.lower() else _named_kind(name)
    shape = tuple(_extent(word, sizes) for word in _collapsed(found[1]) if word)
    if re.search(r"bool|mask", said, re.IGNORECASE):
        return "bool", shape
    return "int" if INTEGRAL.search(said) else "float", shape


def _named_kind(name: str) -> Kind | None:
    """A value that is no array, from its name alone."""
    if re.search(r"param|config|options|hparam", name.lower()):
        return "scalar", dict(SCALARS)
    return ("scalar", SCALARS[name.lower()]) if name.lower() in SCALARS else None


def _collapsed(dims: str) -> list[str]:
    """``N, d_1, ..., d_k`` as N, D: what lies around an ellipsis is one axis."""
    words = [word.strip() for word in dims.split(",")]
    if "..." not in dims:
        return words
    return [*[word for word in words if not re.search(r"\.\.\.|\d$|_k$|dk$|dn$", word)], "D"]


def _extent(word: str, sizes: dict[str, int]) -> int:
    """The size of one axis: a number, a symbol, or a number times a symbol (4H, 4*H)."""
    found = re.fullmatch(r"(\d*)\s*\*?\s*([A-Za-z_]*)'?", word)
    if found is None:
        return 3
    count, symbol = int(found[1] or 1), found[2]
    if not symbol:
        return count
    return count * sizes.setdefault(symbol, 2 + len(sizes) % 5)


def _drawing(kinds: dict[str, Kind | None]) -> Callable[[np.random.Generator], Values]:
    def draw(rng: np.random.Generator) -> Values:
        return {name: value_of(kind, rng) for name, kind in kinds.items() if kind}

    return draw


def value_of(kind: Kind, rng: np.random.Generator) -> Any:
    what, of = kind
    if what == "scalar":
        return dict(of) if isinstance(of, dict) else of
    if what == "int":
        return rng.integers(0, 3, of)  # small, so that they repeat and stay in range
    if what == "bit":
        return rng.integers(0, 2, of)
    if what == "probability":
        return rng.uniform(0.1, 0.9, of)
    if what == "positive":
        return rng.uniform(0.5, 2, of)
    return rng.random(of) > 0.3 if what == "bool" else rng.standard_normal(of)


# --- by search

SHAPES: list[tuple[int, ...]] = [
    (4, 3),
    (3, 5),
    (4, 1),
    (5,),
    (4, 5),
    (3,),
    (2, 3, 5, 6),
    (4, 3, 3, 2),
    (4,),
    (2, 4, 3),
    (2, 3, 4, 6),
    (5, 5),
    (1, 3, 1, 1),
    (),
]
MOST = 2800  # combinations tried


@functools.cache
def searched(pair: Pair, seed: int = 0, sizes: tuple[int | tuple[int, ...], ...] = ()) -> list[Setting]:
    """A setting with small shapes that forward accepts, and backward answers with gradients of the same shapes.

    `sizes` are numbers of features or channels, or shapes of one example, to try beside the usual ones.
    """
    names = required(pair.forward)
    shapes = [*SHAPES]
    for D in sizes:
        N = 4 if D != 4 else 3
        shapes += [(2, *D), D] if isinstance(D, tuple) else [
            (N, D), (2, 5, D), (2, D, 5), (2, D, 5, 6), (2, D, 6, 6), (D, 1)
        ]  # fmt: skip
    if sizes:  # an object may take one example where it is made for a batch
        shapes.sort(key=lambda shape: len(shape) < 2)
    best: tuple[int, Setting | None] = (0, None)
    for kinds in itertools.islice(itertools.product(*(_candidates(name, shapes) for name in names)), MOST):
        text = ", ".join(f"{name} {kind[1]}" for name, kind in zip(names, kinds) if kind[0] != "scalar")
        setting = Setting(text, _drawing(dict(zip(names, kinds))))
        fit = fit_of(pair, setting.arguments(pair, seed))
        if fit == FITS:
            return [setting]
        if fit > best[0]:
            best = fit, setting
    return [best[1]] if best[1] else []


def _candidates(name: str, shapes: list[tuple[int, ...]]) -> list[Kind]:
    """Kinds worth trying for a parameter, likeliest first."""
    name = ALIASES.get(name.lower(), name.lower())
    scalar = _named_kind(name)
    if scalar:
        return [scalar]
    if name == "y":
        several: list[Kind] = [("int", (4,)), ("int", (4, 3)), ("float", (4, 3)), ("float", (4,)), ("bit", (4,))]
        return [*several, ("int", (2, 4)), ("bit", (4, 3))]
    if name == "y_pred":
        return [("probability", (4, 3)), ("probability", (4,)), ("probability", (4, 1)), ("float", (4, 3))]
    if INDICES.fullmatch(name):
        return [("int", (2, 4)), ("int", (4,)), ("int", ())]
    if "mask" in name:
        return [("bool", shape) for shape in shapes]
    if name in ("b", "beta", "gamma") or name.startswith("b"):
        shapes = sorted(shapes, key=len)
    floats: list[Kind] = [("float", shape) for shape in shapes if shape or name != "x"]
    if name != "x":
        return floats
    return [*floats, ("int", (2, 4)), ("positive", (4, 3))]  # words of a sequence, and what a logarithm takes
