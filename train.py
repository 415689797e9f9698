#!/usr/bin/env python3
"""Train a net of explicit forward/backward layers.

``python train.py`` trains a small net on 1797 images of handwritten digits and says how well it does on those it has
never seen. Every choice is a flag; ``python train.py --help`` lists them.
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import layers  # isort: skip  # before NumPy, see layers/_idle.py
import numpy as np
import threadpoolctl

import data
import models
import optim
from layers import initializers
from models.registry import LOSSES, MODELS
from optim.registry import OPTIMIZERS, RATES, SCHEDULES

__version__ = "0.1.0"

INITS = [
    *(f"{name}_{kind}" for name in ("he", "xavier", "lecun") for kind in ("normal", "uniform")),
    *("orthogonal", "zeros"),
]
ADAPTIVE = {"adagrad", "rmsprop", "adam", "adamw"}  # take a tenfold rate on a linear model, which has one minimum
LINEAR = {"softmax", "svm", "linear"}
IDLE = {  # flags that have no effect beside a value of another flag
    "model": dict.fromkeys(MODELS, "neighbors")
    | {"knn": "augment hidden activation norm dropout init loss dtype opt lr momentum weight_decay reg clip_grad sched "
       "warmup_epochs min_lr ema epochs batch_size patience monitor"},
    "opt": {name: "momentum" for name, (_, takes) in OPTIMIZERS.items() if "momentum" not in takes}
    | {"lbfgs": "lr momentum weight_decay sched warmup_epochs min_lr batch_size"},
    "sched": {"none": "min_lr", "onecycle": "min_lr", "plateau": "warmup_epochs"},
}  # fmt: skip
MODEL_OPTIONS = ("hidden", "activation", "norm", "dropout")  # the model's own default where a flag is not given


class UsageError(Exception):
    """What was asked for cannot be; exit 2."""


def one_of(kind: str, names: Iterable[str]) -> Callable[[str], str]:
    """An argparse type that takes one of `names` and suggests the near ones."""
    known = sorted(names)

    def parse(text: str) -> str:
        if text in known:
            return text
        raise argparse.ArgumentTypeError(f"unknown {kind} {text!r}; {meant(text, known)}known: {', '.join(known)}")

    return parse


def meant(text: str, names: Iterable[str]) -> str:
    """A question for the near ones among the names, or nothing."""
    near = difflib.get_close_matches(text, names, n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""


def choice(kind: str, names: Iterable[str]) -> dict[str, Any]:
    """The arguments of a flag that takes one of `names`; they stand in its help."""
    return {"type": one_of(kind, names), "metavar": "{" + ",".join(names) + "}"}


def number(low: float, high: float = math.inf, *, whole: bool = False, open_low: bool = False) -> Callable[[str], Any]:
    """An argparse type for a number from `low` to below `high`, `low` itself left out if `open_low`."""
    kind = "a whole number" if whole else "a number"
    bounds = f"{'above' if open_low else 'of at least'} {low:g}" + (f" and below {high:g}" if high < math.inf else "")

    def parse(text: str) -> Any:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not (low < value < high if open_low else low <= value < high):
            raise argparse.ArgumentTypeError(f"must be {kind} {bounds}; got {text}")
        return value

    return parse


def dataset(text: str) -> str:
    """A dataset's name, or the path of a file."""
    return text if text.lower().endswith((".csv", ".tsv", ".npz")) else one_of("dataset", data.DATASETS)(text)


def widths(text: str) -> list[int]:
    """Hidden sizes such as 64,64; "none" for no hidden layer."""
    try:
        sizes = [] if text in ("", "none") else [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes, default=1) < 1:
        raise argparse.ArgumentTypeError(f"must be whole numbers of at least 1 such as 64,64, or none; got {text}")
    return sizes


def threads(text: str) -> int:
    """1, another count, or auto: every core."""
    if text == "auto":
        return os.cpu_count() or 1
    return int(number(1, whole=True)(text))


class Parser(argparse.ArgumentParser):
    """One line where an option is wrong, not a page of usage."""

    @property
    def flags(self) -> list[str]:
        """All that begins with a dash."""
        return [flag for action in self._actions for flag in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        sys.exit(fail(f"{message}{'' if message.endswith('?') else '.'} See {self.prog} --help", 2))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = Parser(
        prog="train.py",
        description="Train a net of explicit forward/backward layers on NumPy. Without arguments: digits, 10 classes.",
        epilog="datasets:\n" + "\n".join(f"  {name:14} {text}" for name, text in data.DATASETS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("command", nargs="?", default="fit", type=one_of("command", ["fit"]), help="fit (the default)")
    top.add_argument("--version", action="version", version=f"layerwise {__version__}")

    add = top.add_argument_group("data").add_argument
    add("--dataset", type=dataset, default="digits", metavar="NAME", help="one below, or a .csv/.tsv/.npz of numbers")
    add("--data-dir", metavar="DIR", help="where files, and those of mnist, fashion_mnist, cifar10, are")
    add("--target", metavar="NAME", help="column to learn, which may be text; by default the last")
    add("--task", **choice("task", ["classification", "regression"]), help="where a file's target column misleads")
    add("--val-split", type=number(0, 1), default=0.2, metavar="F", help="fraction for validation (0.2)")
    add("--test-split", type=number(0, 1), default=0.2, metavar="F", help="fraction for the test (0.2)")
    add("--limit", type=number(1, whole=True), metavar="N", help="use only N examples, drawn at random")
    add("--scale", **choice("scaling", data.SCALINGS), help="by default minmax for images, standard for the rest")
    add("--augment", nargs="+", **choice("augmentation", data.AUGMENTATIONS), help="of images, in this order")

    add = top.add_argument_group("model").add_argument
    add("--model", **choice("model", [*MODELS, "knn"]), default="mlp", help="linear is for regression (mlp)")
    add("--neighbors", type=number(1, whole=True), default=1, metavar="K", help="that vote, of knn (1)")
    add("--hidden", type=widths, metavar="M,M", help="widths of the hidden affine layers (128)")
    add("--activation", **choice("activation", models.mlp.ACTIVATIONS), help="of mlp (relu)")
    add("--norm", **choice("norm", ["none", *models.mlp.NORMS]), help="before each activation (none; cnn batch)")
    add("--dropout", type=number(0, 1), metavar="P", help="probability that a unit is zeroed (0; cnn 0.5)")
    add("--init", **choice("init", INITS), help="of the weights (of mlp xavier_normal)")
    add("--loss", **choice("loss", [n for names in LOSSES.values() for n in names]), help="by default the model's")
    add("--dtype", **choice("dtype", ["float32", "float64"]), default="float32", help="(float32)")

    add = top.add_argument_group("optimizer").add_argument
    add("--opt", **choice("optimizer", OPTIMIZERS), default="adam", help="(adam)")
    add("--lr", "--learning-rate", type=number(0), metavar="RATE", help="by default the optimizer's")
    add("--momentum", type=number(0, 1), metavar="M", help="of momentum and nesterov (0.9)")
    add("--weight-decay", "--wd", type=number(0), metavar="WD", help="decoupled from the loss (0; adamw 0.01)")
    add("--reg", type=number(0), default=0.0, metavar="REG", help="L2 in the loss, REG/2 * sum(W**2) (0)")
    add("--clip-grad", type=number(0, open_low=True), metavar="NORM", help="largest norm of the gradient")
    add("--sched", **choice("schedule", SCHEDULES), help="of the learning rate (cosine)")
    add("--warmup-epochs", type=number(0), default=0, metavar="N", help="linear rise of the rate first (0)")
    add("--min-lr", type=number(0), default=0.0, metavar="RATE", help="where the schedule ends (0)")
    add("--ema", type=number(0, 1, open_low=True), metavar="DECAY", help="average the weights, say by 0.99")

    add = top.add_argument_group("run").add_argument
    add("--epochs", type=number(0, whole=True), metavar="N", help="passes over the data (100; of nets for images 40)")
    add("-b", "--batch-size", type=number(1, whole=True), metavar="N", help="examples a step (16; images 32)")
    add("--seed", type=number(0, whole=True), default=0, metavar="N", help="decides everything random (0)")
    add("--threads", type=threads, default=1, metavar="N", help="of the matrix products: N or auto (1)")
    add("--patience", type=number(1, whole=True), metavar="N", help="stop after N epochs that are no better")
    add("--monitor", metavar="NAME", help="what is better: val_loss, train_loss, val_accuracy or val_r2")

    add = top.add_argument_group("output").add_argument
    add("-q", "--quiet", action="store_true", help="only the final line")
    add("-v", "--verbose", action="store_true", help="a table of the layers first")
    add("--json", action="store_true", help="the last line is one JSON object")
    return top


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options; exits with status 2 and one line where one is wrong, or has no effect."""
    top = parser()
    for text in sys.argv[1:] if arguments is None else arguments:
        flag = text.partition("=")[0]
        if flag.startswith("--") and flag not in top.flags:  # argparse would take its value for the command
            top.error(f"unknown flag {flag}; {meant(flag, top.flags)}".strip("; "))
    options = top.parse_args(arguments)
    for other, values in IDLE.items():
        value = getattr(options, other)
        names = [name for name in values.get(value, "").split() if getattr(options, name) != top.get_default(name)]
        if names:
            top.error(f"--{', --'.join(names).replace('_', '-')}: no effect with --{other} {value}")
    return options


def build_model(options: argparse.Namespace, dataset: Any) -> layers.Layer:
    """The net that the options and the data call for."""
    # On small data Xavier's narrower start generalizes better than He's; the other models have a start of their own.
    init = options.init or ("xavier_normal" if options.model == "mlp" else None)
    try:
        return models.build(
            options.model, dataset.X.shape[1:], dataset.num_outputs, task=dataset.task,
            init=getattr(initializers, init) if init else None, rng=options.seed, dtype=np.dtype(options.dtype),
            **{name: getattr(options, name) for name in MODEL_OPTIONS if getattr(options, name) is not None},
        )  # fmt: skip
    except ValueError as error:
        raise UsageError(f"--model {error}") from error


def build_loss(options: argparse.Namespace, dataset: Any) -> layers.Layer:
    """The loss by name, or the one that goes with the model."""
    known = LOSSES[dataset.task]
    name = options.loss or ("svm" if options.model == "svm" else next(iter(known)))
    if name not in known:
        raise UsageError(f"--loss {name} does not fit {dataset.task}; use {' or '.join(known)}")
    return known[name]()


def build_optimizer(options: argparse.Namespace, model: layers.Layer) -> Any:
    """The update rule by name, with the flags that were given."""
    make, takes = OPTIMIZERS[options.opt]
    given = {"learning_rate" if n == "lr" else n: getattr(options, n) for n in takes if getattr(options, n) is not None}
    if options.opt == "lbfgs" and drops(model):
        raise UsageError("--dropout does not go with --opt lbfgs; use --dropout 0 and --reg")
    return make(model.parameters(), **given)


def drops(model: layers.Layer) -> bool:
    """Whether the model drops units, so that its loss differs from one evaluation to the next."""
    return any(isinstance(layer, layers.Dropout) for _, layer in model.walk())


def build_schedule(options: argparse.Namespace, steps: int, rate: float) -> Callable[[int], float] | None:
    """The factor on the learning rate at each step; `steps` make an epoch. None where the rate stays."""
    warm = round(options.warmup_epochs * steps)
    name = options.sched or ("none" if options.opt == "lbfgs" else "cosine")
    if options.warmup_epochs > options.epochs:
        raise UsageError(f"--warmup-epochs must be at most the {options.epochs} epochs; got {options.warmup_epochs:g}")
    if name == "none" and not warm:
        return None
    if options.min_lr > rate:
        raise UsageError(f"--min-lr must be at most the learning rate {rate:g}; got {options.min_lr:g}")
    schedule = SCHEDULES[name](max(1, options.epochs * steps - warm), options.min_lr / rate if rate else 0.0)
    return optim.Warmup(warm, schedule) if warm else schedule


def fit(options: argparse.Namespace) -> dict[str, Any]:
    """Load, build, train, test; returns the figures of the run."""
    say = (lambda *parts: None) if options.quiet else print
    own = {"target": options.target, "task": options.task, "data_dir": options.data_dir}
    dataset = data.load(options.dataset, n=options.limit, seed=options.seed, **own)
    if dataset.classes and dataset.y.ndim > 1:
        raise UsageError(f"--dataset {options.dataset} is text, for models of sequences: examples/character_model.py")
    if options.augment and not dataset.image_shape:
        raise UsageError(f"--augment is for images; {dataset.name} has none")
    dataset = dataset.as_images() if dataset.image_shape else dataset
    train, val, test = data.split(dataset, val=options.val_split, test=options.test_split, seed=options.seed)
    train, val, test = data.scale(train, val, test, how=options.scale or scaling_of(dataset))
    if dataset.task == "regression":
        train, val, test = data.scale_targets(train, val, test)
    if options.model == "knn":
        return fit_neighbors(options, train, val, test)
    of_images = MODELS[options.model].takes_images
    options.epochs = (40 if of_images else 100) if options.epochs is None else options.epochs
    batch_size = options.batch_size or min(32 if of_images else 16, len(train))
    if batch_size > len(train):
        raise UsageError(f"--batch-size must be at most the {len(train)} training examples; got {batch_size}")

    model, loss = build_model(options, dataset), build_loss(options, dataset)
    if options.lr is None and options.opt in RATES:
        options.lr = RATES[options.opt] * (10 if options.model in LINEAR and options.opt in ADAPTIVE else 1)
    optimizer = build_optimizer(options, model)
    rate = optimizer.learning_rate
    size = sum(parameter.value.size for parameter in model.parameters().values())
    say(f"{dataset.name}: {describe(dataset)}; {len(train)} to train, {len(val)} to validate, {len(test)} to test")
    say(f"{options.model}: {widths_of(model)}, {size:,} parameters")
    say(f"{options.opt}: learning rate {rate:g}, batches of {batch_size}, {options.epochs} epochs")
    if options.verbose:
        say(models.summary(model, train.X[:batch_size]))
    metric = "r2" if dataset.task == "regression" else "accuracy"
    monitors = ["train_loss", *(["val_loss", f"val_{metric}"] if len(val) else [])]
    if options.monitor not in (None, *monitors):
        raise UsageError(f"--monitor must be one of {', '.join(monitors)}; got {options.monitor}")
    solver = models.Solver(
        model, loss, optimizer, epochs=options.epochs, metric=metric, monitor=options.monitor,
        batch_size=len(train) if optimizer.needs_closure else batch_size,
        patience=options.patience, clip_norm=options.clip_grad, seed=options.seed,
        schedule=build_schedule(options, -(-len(train) // batch_size), rate),
        average=optim.EMA(model.parameters(), options.ema) if options.ema else None,
        penalty=layers.L2Penalty(model.parameters(), options.reg) if options.reg else None,
        augment=data.Compose(*(data.AUGMENTATIONS[name]() for name in options.augment)) if options.augment else None,
        callbacks=[] if options.quiet else [say_epoch],
    )  # fmt: skip
    solver.fit(train.X, train.y, *((val.X, val.y) if len(val) else ()))
    if solver.best:
        say(f"best epoch {solver.best['epoch']:.0f} of {solver.epoch}")
    return figures_of(
        options, val, test, lambda part: solver.evaluate(part.X, part.y)[f"val_{metric}"],
        epochs=solver.epoch, parameters=size, train_loss=solver.best["train_loss"] if solver.best else None,
    )  # fmt: skip


def fit_neighbors(options: argparse.Namespace, train: Any, val: Any, test: Any) -> dict[str, Any]:
    """The same figures of k-nearest neighbours, which remember the training part and have nothing to train."""
    if train.task == "regression":
        raise UsageError("--model knn does not fit regression; use mlp or linear")
    model = models.KNearestNeighbor(options.neighbors).fit(train.X, train.y)
    return figures_of(
        options, val, test, lambda part: model.score(part.X, part.y), epochs=0, parameters=0, train_loss=None
    )


def figures_of(
    options: argparse.Namespace, val: Any, test: Any, measure: Callable[[Any], float], **trained: Any
) -> dict[str, Any]:
    """What is told of a run: what was asked for, how training went, and the metric of each part that has examples."""
    metric = "r2" if val.task == "regression" else "accuracy"
    parts = {f"{name}_{metric}": measure(part) if len(part) else None for name, part in (("val", val), ("test", test))}
    return {"dataset": val.name, "model": options.model, "seed": options.seed, **trained, **parts}


def scaling_of(dataset: Any) -> str:
    """Pixels share a unit, so images go from 0 to 1 together; other features each get mean 0 and deviation 1."""
    return "minmax" if dataset.image_shape else "standard"


def describe(dataset: Any) -> str:
    """Size and kind of a dataset, in words."""
    what = f"{dataset.num_classes} classes" if dataset.classes else "numbers to predict"
    return f"{len(dataset):,} examples of {int(np.prod(dataset.X.shape[1:]))} features, {what}"


def widths_of(model: layers.Layer) -> str:
    """The widths of a net: channels of convolutions, features of affine layers, such as 64-128-10."""
    shapes = [p.value.shape for p in model.parameters().values() if p.value.ndim in (2, 4)]
    ends = [(shape[1], shape[0]) if len(shape) == 4 else shape for shape in shapes]  # (in, out)
    return "-".join(str(width) for width in (ends[0][0], *[out for _, out in ends]))


def say_epoch(solver: models.Solver) -> None:
    """One line of the table of epochs; a star marks the best so far."""
    row, metric = solver.history[-1], f"val_{solver.metric_name}"
    if len(solver.history) == 1:
        print(f"{'epoch':>5}  {'train loss':>10}  {'val loss':>10}  {metric.replace('_', ' '):>12}  {'rate':>9}")
    val = f"{row['val_loss']:10.4f}  {row[metric]:12.4f}" if "val_loss" in row else f"{'-':>10}  {'-':>12}"
    best = "  best so far" if solver.best is row else ""
    print(f"{row['epoch']:5.0f}  {row['train_loss']:10.4f}  {val}  {row['learning_rate']:9.2e}{best}")


def say_result(figures: dict[str, Any]) -> None:
    """The figures that matter, on one line."""
    parts = []
    for name in ("val_accuracy", "test_accuracy", "val_r2", "test_r2"):
        if figures.get(name) is not None:
            part, metric = name.split("_")
            word = "validation" if part == "val" else "test"
            parts.append(f"{word} R2 {figures[name]:.3f}" if metric == "r2" else f"{word} accuracy {figures[name]:.2%}")
    print(f"{', '.join(parts) or 'trained'}, in {figures['seconds']:.1f} s")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 ok, 1 run-time error, 2 usage, 3 diverged."""
    options = parse(arguments)
    started = time.perf_counter()
    try:
        threadpoolctl.threadpool_limits(options.threads)
        with np.errstate(over="ignore", invalid="ignore"):  # the Solver says what diverged, and where
            figures = fit(options)
            figures["seconds"] = round(time.perf_counter() - started, 3)
    except UsageError as error:
        return fail(error, 2)
    except models.Diverged as error:
        return fail(error, 3)
    except BrokenPipeError:  # as by `| head`: nobody reads on, so there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ValueError, TypeError) as error:
        return fail(error, 1)
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    say_result(figures)
    if options.json:
        print(json.dumps(figures))
    return 0


def fail(error: object, status: int) -> int:
    """Say what is wrong on one line."""
    print(f"train.py: error: {error}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
