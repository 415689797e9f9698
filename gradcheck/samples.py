"""One function, loss or layer run at drawn arguments, and cheap questions about its true gradients."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .contract import handed_out, kept
from .state import arrays_in, replaying

DIRECTIONS = 8  # along which slopes are known
SPARE = 3  # of a fit, beside one for each unknown
STEP = 3e-4  # times the size of the argument
EXACT = 1e-8  # of the sizes of what is compared


Edit = Callable[[Any], Any]  # of a cache, which it may change and returns
Make = Callable[[tuple[Any, ...], "Edit | None"], Any]  # a subject of `subjects` or `objects` at arguments


class TimeUp(Exception):
    """The time given to a diagnosis is over."""


class Deadline:
    """So much of the processor's time, after which no more forwards are run."""

    def __init__(self, seconds: float) -> None:
        self._end = time.thread_time() + seconds

    def check(self) -> None:
        """Raise TimeUp if it is past."""
        if time.thread_time() > self._end:
            raise TimeUp


class Sample:
    """What a subject (see `subjects` and `objects`) makes of one draw of its arguments.

    Attributes
    ----------
    text : str
        The setting in words.
    names : list of str
        The arguments, and parameters, that have a gradient.
    x : list of ndarray
        Their values.
    values : dict
        All arguments by name.
    outs, douts : tuple of ndarray
        The outputs, and the gradient of each that backward was given.
    returned : list of ndarray or None
        What backward returned; empty if it raised.
    error : Exception or None
        What backward raised.
    differs : bool
        Whether forward is known to compute something else than it should.
    """

    differs = False

    def __init__(self, make: Make, arguments: tuple[Any, ...], seed: int, deadline: Deadline, text: str = "") -> None:
        self.arguments, self.text, self.seed = arguments, text, seed
        self._make, self._deadline = make, deadline
        self.subject = subject = make(arguments, None)
        subject.writable = True
        self.names: list[str] = list(subject.names)
        self.x: list[np.ndarray] = list(subject.arrays)
        names, values = subject.everything()
        self.values: dict[str, Any] = dict(zip(names, values))
        rng = np.random.default_rng((seed, *b"dout"))
        self.outs = self.forward(self.x)
        draw = rng.standard_normal if subject.takes_dout else np.ones
        self.douts = tuple(np.asarray(draw(out.shape)) for out in self.outs)
        self.returned: list[Any] = []
        self.error: Exception | None = None
        try:
            self.returned = self.backward(self.douts)
        except Exception as error:
            self.error = error
        self._linear: dict[int, bool] = {}
        self._jacobians: dict[int, np.ndarray] = {}
        self._rises: dict[int, tuple[list[np.ndarray], list[list[np.ndarray]]]] = {}

    @property
    def d(self) -> np.ndarray:
        """The first dout."""
        return self.douts[0]

    @property
    def out(self) -> np.ndarray:
        """The first output."""
        return self.outs[0]

    # --- running

    def forward(self, x: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The outputs for other values of what has a gradient; random numbers are drawn alike."""
        self._deadline.check()
        with replaying(self.subject.functions), np.errstate(all="ignore"):
            return tuple(np.array(out, dtype=np.float64) for out in self.subject.run(list(x)).outs)

    def backward(self, douts: Sequence[np.ndarray], edit: Edit | None = None) -> list[Any]:
        """What backward returns for other douts, or from a cache that `edit` has changed.

        Raises
        ------
        Exception
            What backward raises.
        """
        self._deadline.check()
        with replaying(self.subject.functions), np.errstate(all="ignore"):
            subject = self.subject
            if edit is not None:
                subject = self._make(self.arguments, edit)
                subject.writable = True
            return kept(subject.run(self.x).backward(handed_out(list(douts), True)))

    def tried(self, k: int, douts: Sequence[np.ndarray], edit: Edit | None = None) -> np.ndarray | None:
        """Gradient k as backward returns it then; None if there is none."""
        try:
            found = self.backward(douts, edit)
        except TimeUp:
            raise
        except Exception:
            return None
        return found[k] if k < len(found) else None

    def cached(self) -> list[tuple[str, np.ndarray]]:
        """The floating arrays that forward leaves for backward, with the way to each."""
        with replaying(self.subject.functions), np.errstate(all="ignore"):
            run = self.subject.run(self.x)
        return [(path, array) for path, array in arrays_in(run.cache) if path and array.dtype.kind == "f"][:24]

    # --- the truth

    def jacobian(self, k: int) -> np.ndarray:
        """Of all outputs by argument k, both flattened; exact to rounding where the outputs are linear in it."""
        if k not in self._jacobians:
            columns = []
            linear = self._is_linear(k)
            h = 1.0 if linear else STEP * self._size(k)
            for i in range(self.x[k].size):
                basis = np.zeros(self.x[k].size)
                basis[i] = h
                rise = self._rise(k, basis.reshape(self.x[k].shape), linear)
                columns.append(np.concatenate([part.ravel() for part in rise]) / h)
            height = sum(out.size for out in self.outs)
            self._jacobians[k] = np.array(columns).T if columns else np.zeros((height, 0))
        return self._jacobians[k]

    def true(self, k: int, douts: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """The true gradient of argument k, entry by entry."""
        flat = np.concatenate([d.ravel() for d in (self.douts if douts is None else douts)])
        return (flat @ self.jacobian(k)).reshape(self.x[k].shape)

    def slopes(
        self, k: int, douts: Sequence[np.ndarray] | None = None, count: int = DIRECTIONS
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Directions for argument k, and the true slope along each."""
        us, rises = self._rises.setdefault(k, ([], []))
        linear = self._is_linear(k)
        h = 1.0 if linear else STEP * self._size(k)
        for i in range(len(us), count):
            rng = np.random.default_rng((self.seed, k, i, *b"direction"))
            us.append(np.asarray(rng.standard_normal(self.x[k].shape)))
            rises.append([part / h for part in self._rise(k, h * us[-1], linear)])
        given = self.douts if douts is None else douts
        return us[:count], np.array([sum(map(_product, given, rise)) for rise in rises[:count]])

    def fit(
        self, k: int, terms: Sequence[np.ndarray], rest: Any = 0.0, douts: Sequence[np.ndarray] | None = None
    ) -> np.ndarray | None:
        """Coefficients with which these terms, and `rest` as it is, are the true gradient; None if there are none."""
        shape = self.x[k].shape
        try:
            terms = [np.broadcast_to(np.asarray(term, np.float64), shape) for term in terms]
            rest = np.broadcast_to(np.asarray(rest, np.float64), shape)
        except (ValueError, TypeError):
            return None
        if not all(np.isfinite(term).all() for term in [*terms, rest]):
            return None
        us, slopes = self.slopes(k, douts, len(terms) + SPARE)
        goal = slopes - np.array([np.vdot(rest, u) for u in us])
        matrix = np.array([[float(np.vdot(term, u)) for term in terms] for u in us]).reshape(len(us), len(terms))
        coefficients = np.linalg.lstsq(matrix, goal, rcond=None)[0]
        size = float(np.linalg.norm(rest)) + sum(
            abs(c) * float(np.linalg.norm(term)) for c, term in zip(coefficients, terms)
        )
        noise = 1e-12 * sum(float(np.linalg.norm(out * d)) for out, d in zip(self.outs, self.douts)) / self._size(k)
        gap = np.abs(matrix @ coefficients - goal).max(initial=0.0)
        return coefficients if gap <= EXACT * size + noise else None

    def agrees(self, k: int, gradient: Any, douts: Sequence[np.ndarray] | None = None) -> bool:
        """Whether this is the true gradient of argument k."""
        gradient = np.asarray(gradient)
        if gradient.dtype.kind not in "fiub" or gradient.shape != self.x[k].shape:
            return False
        return self.fit(k, [], gradient, douts) is not None

    def factor(self, k: int, gradient: Any) -> float | None:
        """The number times which this is the true gradient of argument k; None if there is none."""
        if np.shape(gradient) != self.x[k].shape or not np.any(gradient):
            return None
        found = self.fit(k, [gradient])
        return float(found[0]) if found is not None else None

    def is_wrong(self, k: int) -> bool:
        """Whether the returned gradient of argument k is not the true one."""
        return k >= len(self.returned) or self.returned[k] is None or not self.agrees(k, self.returned[k])

    @cached_property
    def wrong(self) -> list[int]:
        """The numbers of the arguments whose gradients are wrong."""
        return [k for k in range(len(self.names)) if self.is_wrong(k)]

    @property
    def failed(self) -> bool:
        """Whether backward raised or a gradient is wrong."""
        return self.error is not None or bool(self.wrong) or len(self.returned) != len(self.names)

    def _size(self, k: int) -> float:
        """The spread of an argument: what a step must be small against."""
        x = self.x[k]
        spread = float(x.std()) if x.size > 1 else float(np.abs(x).max(initial=0))
        return min(1.0, spread) or 1.0

    def _is_linear(self, k: int) -> bool:
        """Whether the outputs are linear in argument k, so that a step of any length will do."""
        if k not in self._linear:
            # A stream of its own: from default_rng(0) itself u would equal an x drawn there, along which max is linear.
            u = np.random.default_rng((self.seed, k, *b"linear")).standard_normal(self.x[k].shape)
            up, down = self._moved(k, u), self._moved(k, -u)
            self._linear[k] = all(
                np.allclose(a + b, 2 * out, rtol=0, atol=1e-12 * (1 + float(np.abs(out).max(initial=0))))
                for a, b, out in zip(up, down, self.outs)
            )
        return self._linear[k]

    def _rise(self, k: int, step: np.ndarray, linear: bool = False) -> list[np.ndarray]:
        """How much the outputs rise along a step, to fourth order."""
        if linear:
            return [a - b for a, b in zip(self._moved(k, step), self.outs)]
        far_up, up, down, far_down = (self._moved(k, c * step) for c in (2, 1, -1, -2))
        return [(8 * (b - c) - (a - d)) / 12 for a, b, c, d in zip(far_up, up, down, far_down)]

    def _moved(self, k: int, step: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.forward([*self.x[:k], self.x[k] + step, *self.x[k + 1 :]])

    def at(self, arguments: tuple[Any, ...]) -> Sample:
        """The same subject at other arguments.

        Raises
        ------
        Exception
            What forward raises.
        """
        return Sample(self._make, arguments, self.seed, self._deadline, self.text)


def _product(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b))
