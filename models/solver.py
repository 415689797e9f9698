"""The training loop: epochs of minibatches, validation, the best weights kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from data import batches
from layers import Layer
from optim import Plateau, clip_by_global_norm

from .containers import Sequential, predict
from .metrics import METRICS, Metric

Row = dict[str, float]


class Diverged(ArithmeticError):
    """The loss became NaN or infinite; the message names the step and the first layer that is not finite."""


class Solver:
    """Train a model: minibatches without replacement, validation after each epoch, the best weights kept.

    Parameters
    ----------
    model : Layer
        Anything with `forward`, `backward` and `parameters`.
    loss : Layer
        ``forward(scores, y) -> float`` and ``backward() -> dscores``.
    optimizer : Optimizer
        Made of ``model.parameters()``.
    epochs : int, default 20
        Passes over the training data.
    batch_size : int, default 64
        Examples a step; the last batch of an epoch may be smaller.
    metric : {"accuracy", "r2"} or callable, default "accuracy"
        ``metric(out, y) -> float``, larger is better; reported as ``val_<name>``.
    monitor : str, optional
        The figure that decides which weights are best: "val_loss", "train_loss" or ``"val_<metric>"``. By default the
        validation metric, ties broken by the validation loss; without validation data the training loss.
    patience : int, optional
        Stop after this many epochs without a better `monitor`.
    schedule : callable, optional
        ``schedule(step) -> float``, the factor on the optimizer's learning rate at each step; see `optim.schedules`.
        A `Plateau` is told the validation loss after each epoch.
    clip_norm : float, optional
        Largest global norm of the gradient.
    average : EMA, optional
        Running average of the weights; validation and the final model use it.
    penalty : L2Penalty or L1Penalty, optional
        Added to the loss and to the gradients.
    augment : callable, optional
        ``augment(x, rng) -> x``, a change of each training batch at random, such as `data.Flip`.
    seed : int, default 0
        Decides the order of the batches, from (seed, epoch); dropout and augmentation, from (seed, epoch, batch).
    callbacks : iterable of callables
        Each is called with the solver after each epoch; it may read ``solver.history`` and set ``solver.stop = True``.

    Attributes
    ----------
    history : list of dict
        One row an epoch: epoch, learning_rate, train_loss, val_loss, ``val_<metric>``, seconds.
    best : dict or None
        The row of the weights that `fit` leaves in the model.

    Raises
    ------
    Diverged
        By `fit`, when the loss is no longer finite.

    Examples
    --------
    >>> from layers import SoftmaxLoss
    >>> from models import MLP
    >>> from optim import Adam
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 2)).astype(np.float32)
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> model = MLP(2, [16], 2, rng=0)
    >>> solver = Solver(model, SoftmaxLoss(), Adam(model.parameters(), learning_rate=0.01), epochs=10)
    >>> history = solver.fit(X[:150], y[:150], X[150:], y[150:])
    >>> solver.best["val_accuracy"] > 0.9
    True
    """

    def __init__(
        self,
        model: Layer,
        loss: Layer,
        optimizer: Any,
        *,
        epochs: int = 20,
        batch_size: int = 64,
        metric: str | Metric = "accuracy",
        monitor: str | None = None,
        patience: int | None = None,
        schedule: Callable[[int], float] | None = None,
        clip_norm: float | None = None,
        average: Any = None,
        penalty: Any = None,
        augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
        seed: int = 0,
        callbacks: Iterable[Callable[[Solver], None]] = (),
    ) -> None:
        if epochs < 0:
            raise ValueError(f"epochs must be 0 or more; got {epochs}")
        if patience is not None and patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, or None; got {patience}")
        if isinstance(metric, str) and metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, or a callable; got {metric!r}")
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.epochs, self.batch_size, self.seed = epochs, batch_size, seed
        self.metric = METRICS[metric] if isinstance(metric, str) else metric
        self.metric_name = metric if isinstance(metric, str) else metric.__name__
        self.monitor, self.patience = monitor, patience
        known = ("train_loss", "val_loss", f"val_{self.metric_name}")
        if monitor is not None and monitor not in known:
            raise ValueError(f"monitor must be one of {', '.join(known)}; got {monitor!r}")
        self.schedule, self.clip_norm, self.average, self.penalty = schedule, clip_norm, average, penalty
        self.augment, self.callbacks = augment, tuple(callbacks)
        self.base_rate = optimizer.learning_rate
        self.epoch = self.steps = 0
        self.stop = False
        self.history: list[Row] = []
        self.best: Row | None = None
        self._best_state: dict[str, np.ndarray] | None = None

    def fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None) -> list[Row]:
        """Train on X and y up to `epochs` epochs; leaves the best weights in the model and returns the history.

        Parameters
        ----------
        X, y : ndarray, first axis N
            Training examples and their labels or targets.
        X_val, y_val : ndarray, optional
            Validation data; without it the training loss decides which weights are best.
        """
        if len(X) != len(y):
            raise ValueError(f"y must have one entry for each of the {len(X)} examples of X; got {len(y)}")
        if X_val is None and self.monitor is not None and self.monitor.startswith("val_"):
            raise ValueError(f"monitor {self.monitor!r} needs validation data; pass X_val and y_val")
        while self.epoch < self.epochs and not self.stop:
            started = time.perf_counter()
            row = self._train_epoch(X, y)
            with self._averaged():
                if X_val is not None:
                    row |= self.evaluate(X_val, y_val)
                self._keep_best(row)
            row["seconds"] = time.perf_counter() - started
            self.history.append(row)
            if self.patience and self.best and row["epoch"] - self.best["epoch"] >= self.patience:
                self.stop = True
            if isinstance(self.schedule, Plateau):
                self.schedule.update(row.get("val_loss", row["train_loss"]))
            for callback in self.callbacks:
                callback(self)
        if self._best_state is not None:
            self.model.load_state_dict(self._best_state)
        return self.history

    def evaluate(self, X: Any, y: Any) -> Row:
        """Loss and metric on X and y, in evaluation mode, as ``val_loss`` and ``val_<metric>``."""
        out = predict(self.model, X)
        return {"val_loss": self.loss.forward(out, y), f"val_{self.metric_name}": self.metric(out, y)}

    def step(self, x: Any, y: Any) -> float:
        """One step on one batch; returns its loss, the penalty left out."""
        loss = 0.0

        def forward_backward() -> float:
            nonlocal loss
            self.optimizer.zero_grad()
            loss = self.loss.forward(self.model.forward(x), y)
            total = loss + (self.penalty.forward() if self.penalty else 0.0)
            if not math.isfinite(total):
                raise Diverged(self._explain(x))
            self.model.add_grads(self.loss.backward())
            if self.penalty:
                self.penalty.backward()
            if self.clip_norm is not None:
                clip_by_global_norm(self.optimizer, self.clip_norm)
            return total

        if self.schedule is not None:
            self.optimizer.learning_rate = self.base_rate * self.schedule(self.steps)
        if getattr(self.optimizer, "needs_closure", False):
            self.optimizer.step(forward_backward)
        else:
            forward_backward()
            self.optimizer.step()
        if self.average is not None:
            self.average.update()
        self.steps += 1
        return loss

    def _train_epoch(self, X: Any, y: Any) -> Row:
        self.model.train()
        random = any(hasattr(layer, "rng") for _, layer in self.model.walk())
        total = 0.0
        drawn = batches(X, y, self.batch_size, seed=self.seed, epoch=self.epoch, augment=self.augment)
        for i, (x_batch, y_batch) in enumerate(drawn):
            if random:
                self.model.reseed(self.seed, self.epoch, i)
            total += self.step(x_batch, y_batch) * len(x_batch)
        self.epoch += 1
        return {
            "epoch": self.epoch,
            "learning_rate": self.optimizer.learning_rate,
            "train_loss": total / max(1, len(X)),
        }

    def _averaged(self) -> contextlib.AbstractContextManager[Any]:
        return self.average.applied() if self.average is not None else contextlib.nullcontext()

    def _keep_best(self, row: Row) -> None:
        if self.best is None or self._rank(row) > self._rank(self.best):
            self.best = row
            self._best_state = self.model.state_dict()

    def _rank(self, row: Row) -> tuple[float, float]:
        """Larger is better; the second number breaks ties."""
        val_loss = row.get("val_loss", row["train_loss"])
        name = self.monitor or (f"val_{self.metric_name}" if "val_loss" in row else "train_loss")
        return -row[name] if name.endswith("_loss") else row[name], -val_loss

    def _explain(self, x: Any) -> str:
        return (
            f"the loss is no longer finite at step {self.steps + 1} (epoch {self.epoch + 1}); first not finite: "
            f"{self._first_not_finite(x)}. Lower the learning rate, scale the data, or clip the gradient"
        )

    def _first_not_finite(self, x: Any) -> str:
        if not np.isfinite(x).all():
            return "the input batch"
        for name, parameter in self.model.parameters().items():
            if not np.isfinite(parameter.value).all():
                return f"parameter {name}"
        for name, layer in self.model.children() if isinstance(self.model, Sequential) else ():
            x = layer.forward(x)
            if not np.isfinite(x).all():
                return f"the output of layer {name}, {type(layer).__name__}"
        return "the loss"
