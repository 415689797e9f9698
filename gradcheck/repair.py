"""The cause of a wrong backward proved by mending it: edits are tried until one makes every setting pass."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .case import Case, case_of
from .edits import changes
from .inputs import Setting
from .pairs import Pair
from .place import Change, Place
from .program import TICK, Clock, Program, TimeUp
from .rewrite import Body, Edit, Text, edits_between
from .state import snapshot_generators

DEPTH = 3  # edits together at most
ELSEWHERE = (
    10  # kinds that an edit has to be likelier by than one on a suspect line, on the one that raises, or of the cause
)
BEAM = 3  # unfinished repairs to go on from
KIN = {"config-hardcoded": "wrong-index", "wrong-local-derivative": "wrong-mask"}  # which edits show what numbers call
PATIENCE = 2.0  # seconds for one candidate at one setting
OPEN = {"pass", "inconclusive", "vacuous"}  # verdicts that accuse nobody

Score = tuple[float, ...]
Right = Callable[[Setting, Sequence[Any]], bool]  # whether outputs are what forward should compute


class Repair(NamedTuple):
    """An edit, proven by a check at every setting.

    Attributes
    ----------
    edits : list of Edit
        Whole lines of the file, before and after.
    kind : str
        What was edited: "accumulate", "sign", "keepdims", "cache-order", ...
    cause : str or None
        The cause that an edit of this kind proves, if it does.
    """

    edits: list[Edit]
    kind: str
    cause: str | None


def repair(
    pair: Pair,
    settings: Sequence[Setting],
    *,
    seed: int = 0,
    seconds: float = 8.0,
    clock: Clock | None = None,
    suspects: Sequence[int] = (),
    failing: Sequence[str] | None = None,
    cause: str | None = None,
    forward: Right | None = None,
) -> Repair | None:
    """Search for an edit of a wrong pair's source that makes it pass at every setting; nothing is written.

    Parameters
    ----------
    pair : Pair
        Of functions; of objects nothing is edited.
    settings : sequence of Setting
        Where it has to pass.
    seed : int, default 0
        Of inputs, dout and directions.
    seconds : float > 0, default 8
        Of the processor's time, after which the search is given up.
    clock : Clock, optional
        In place of `seconds`; it knows afterwards whether they were enough.
    suspects : sequence of int, optional
        Lines to edit first.
    failing : sequence of str, optional
        The texts of the settings that a check has shown to fail; without them all are checked once more.
    cause : str, optional
        What the numbers say; edits that would prove it come first.
    forward : callable, optional
        ``forward(setting, outs) -> bool``, whether forward computes what it should. With it, it is forward that is
        edited, until it does; without it what forward computes is kept.

    Returns
    -------
    Repair or None
        The first that passes, in this order: on a suspect line, the likeliest kind; None if none was found, or nothing
        is wrong.
    """
    if type(pair) is not Pair:
        return None
    clock = clock or Clock(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search = _Search(pair, settings, seed, clock, suspects, failing, cause, forward)
            try:
                return search.run()
            finally:
                search.rewind()
    except TimeUp:
        clock.ran_out = True
    except Exception:  # code in no form to be edited: without a source, made by other code
        pass
    return None


class _Search:
    """One search for a repair."""

    def __init__(
        self,
        pair: Pair,
        settings: Sequence[Setting],
        seed: int,
        clock: Clock,
        suspects: Sequence[int],
        failing: Sequence[str] | None,
        cause: str | None,
        forward: Right | None,
    ) -> None:
        self.seed, self.suspects, self.known, self.cause, self.forward = seed, set(suspects), failing, cause, forward
        self.clock = clock
        self.program = Program(pair, self.clock.tick)
        self.rewind = snapshot_generators([pair.forward, *([pair.backward] if pair.backward else [])])
        written = Text(self.program.text)
        self.pair = self.program.pair(written.replaced(self.program.ticks(written)))
        self.trials: list[tuple[Setting, tuple[Any, ...], Any]] = []
        for setting in settings:
            arguments = setting.arguments(pair, seed)
            with contextlib.suppress(Exception):
                if arguments is not None:
                    self.trials.append((setting, arguments, self._outputs(self.pair, arguments)))
        self._cases: dict[int, Case] = {}
        self._results: dict[int, Any] = {}
        self._seen: set[str] = set()
        self._patience = PATIENCE

    def run(self) -> Repair | None:
        """The first repair found."""
        every = range(len(self.trials))
        if self.known is None:
            verdicts = [self._verdict(self.pair, i) for i in every]
            failing = [i for i in every if verdicts[i] not in OPEN]
            if any(verdict == "not_implemented" for verdict in verdicts):
                return None
        else:
            failing = [i for i in every if self.trials[i][0].text in self.known]
        self.order = sorted(every, key=lambda i: (i not in failing, _extent(self.trials[i][1])))
        start = next((i for i in self.order[: len(failing)] if self._is_wrong(i)), None)
        self.contract = start is None
        if not failing:
            return None
        return self._level(self.program.text, self.order[0] if start is None else start, [], self.clock.end)

    def _is_wrong(self, i: int) -> bool:
        """Whether values or shapes are wrong there, and not only how they are computed."""
        case = self._case(i)
        return case.error is not None or bool(case.wrong)

    # --- the search

    def _level(self, text: str, trial: int, done: list[Change], until: float) -> Repair | None:
        """Go through all edits of a text; then go on from those that mended a part."""
        case, written = self._case(trial), Text(text)
        ticks = self.program.ticks(written)
        started = time.thread_time()
        base = self._progress(self.program.pair(written.replaced(ticks)), case, trial)
        if case.error is None:  # what raises has not shown how long the rest takes
            self._patience = min(PATIENCE, 0.05 + 20 * (time.thread_time() - started))
        found: list[tuple[Score, int, int, Change]] = []
        share = until if len(done) + 1 == DEPTH else started + 0.5 * (until - started)
        for n, change in enumerate(self._candidates(written, case)):
            if time.thread_time() > (share if found else until):
                self.clock.ran_out = True
                break
            new = written.replaced([*change.spans, *ticks])
            if new in self._seen:
                continue
            self._seen.add(new)
            score, failed = self._try(new, case, trial, base)
            if score is None:
                continue
            if failed < 0:
                return self._proven(written.replaced(change.spans), [*done, change])
            found.append((score, -n, failed, change))
        if len(done) + 1 >= DEPTH:
            return None
        found.sort(reverse=True, key=lambda item: item[:2])
        apart: dict[tuple[int, ...], tuple[int, Change]] = {}
        for _, _, failed, change in found:
            apart.setdefault(tuple(start for start, _, _ in change.spans), (failed, change))
        beam = list(apart.values())[:BEAM]
        for k, (failed, change) in enumerate(beam):
            now = time.thread_time()
            new = written.replaced(change.spans)
            repaired = self._level(new, failed, [*done, change], now + (until - now) / (len(beam) - k))
            if repaired:
                return repaired
        return None

    def _candidates(self, text: Text, case: Case) -> list[Change]:
        """All edits of a text by the likeliness of their kind, which is greater on suspect lines."""
        places = self._places(text, case)
        ranked = [found for place in places for found in changes(place, contract=self.contract)]
        raising = {place.error_line for place in places if place.error_line}
        likely = {self.cause, KIN.get(self.cause or "")}
        told = self.cause and not self.forward  # of backward
        likely |= {None, "wrong-term"} if told else {change.cause for _, change in ranked}  # these say no cause

        def order(found: tuple[int, Change]) -> int:
            lines = {text.line_of(start) for start, _, _ in found[1].spans}
            unlikely = (not lines <= self.suspects) + (not lines & raising) + (found[1].cause not in likely)
            return found[0] + ELSEWHERE * unlikely

        return [change for _, change in sorted(ranked, key=order)]

    def _places(self, text: Text, case: Case) -> list[Place]:
        """The functions to edit, with what is known of their run: backward first, then what it calls."""
        pair = self.program.pair(text.text)
        values, error, gradients = self._observed(pair, case)
        lines = _lines_of(error, self.program)
        bodies = self.program.bodies(text)
        forward, backward = pair.names
        last = backward or forward
        if self.forward:
            return [Place(text, bodies[forward], values.get(forward, {}), role="helper")]
        wrong = []
        for k, name in enumerate(case.names if error is None else ()):
            if not case.is_right(gradients, k):
                wrong.append((k, name, case.true[k].shape, np.shape(gradients[k]) if k < len(gradients) else None))
        front = Place(text, bodies[forward], values.get(forward, {}), role="forward") if backward else None
        names = [last, *sorted(_reached(last, bodies))]
        places = [
            Place(text, bodies[name], values.get(name, {}), wrong, len(case.names), error, lines.get(name), front,
                  pair.is_loss, "main" if name == last else "helper")
            for name in names
            if not lines or name in lines
        ]  # fmt: skip
        return [*places, front] if front else places

    def _observed(self, pair: Pair, case: Case) -> tuple[dict[str, dict[str, Any]], Exception | None, Any]:
        """Forward's and backward's local names as they left them, and what came back."""
        values: dict[str, dict[str, Any]] = {}

        def watch(frame: Any, event: str, _: Any) -> None:
            if event == "return" and frame.f_code.co_filename == self.program.path:
                values[frame.f_code.co_name] = {k: v for k, v in frame.f_locals.items() if k != TICK}

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            return values, None, self._gradients(pair, case, anew=True)
        except Exception as error:
            return values, error, []
        finally:
            sys.setprofile(before)

    # --- one candidate

    def _try(self, text: str, case: Case, trial: int, base: Score) -> tuple[Score | None, int]:
        """What a text achieves, if it is more than `base`, and the first trial that it fails; -1 if it passes all."""
        try:
            pair = self.program.pair(text)
        except (SyntaxError, ValueError):
            return None, trial
        try:
            with self.clock.limited(self._patience):
                score = self._progress(pair, case, trial)
                if score <= base or not self._keeps_forward(pair, trial):
                    return None, trial
            if score[0] < 2:
                return score, trial
            passed = 0
            for i in self.order:
                with self.clock.limited(PATIENCE):
                    if not self._keeps_forward(pair, i):
                        return None, trial
                    if self._verdict(pair, i) not in OPEN:
                        return (None, i) if i == trial else ((2.0, float(passed)), i)
                passed += 1
        except TimeUp:
            if self.clock.left <= 0:
                raise
            return None, trial
        except Exception:
            return None, trial
        return (2.0, float(passed)), -1

    def _progress(self, pair: Pair, case: Case, trial: int) -> Score:
        """How far a pair comes at a case: the line at which it raises; the gradients and shapes that are right."""
        if self.forward:
            return (2.0,) if self._keeps_forward(pair, trial) else (1.0,)
        if self.contract:
            return (2.0,) if self._verdict(pair, trial) in OPEN else (1.0,)
        try:
            gradients = self._gradients(pair, case)
        except Exception as error:
            return 0.0, float(max(_lines_of(error, self.program).values(), default=0))
        right = [k for k in range(len(case.names)) if case.is_right(gradients, k)]
        if len(right) == len(gradients) == len(case.names):
            return (2.0,)
        fitting = [k for k, true in enumerate(case.true) if k < len(gradients) and np.shape(gradients[k]) == true.shape]
        return 1.0, float(len(right)), float(len(fitting))

    def _gradients(self, pair: Pair, case: Case, *, anew: bool = False) -> list[Any]:
        """What backward returns for the arguments that have a gradient; forward is run `anew` or remembered."""
        self.rewind()
        forward, backward = pair.functions()
        if not anew and backward is not None and pair.forward.__code__ is self.pair.forward.__code__:
            forward = self._remembered(forward, case)
        found = case.backward(functions=(forward, backward))
        if len(found) == len(case.arguments) != len(case.names):
            floating = [isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in case.arguments]
            if all(gradient is None for gradient, has in zip(found, floating) if not has):
                return [gradient for gradient, has in zip(found, floating) if has]
        return found

    def _remembered(self, forward: Any, case: Case) -> Callable[..., Any]:
        """A forward that is not run again for what it has computed before."""
        if id(case) not in self._results:
            self._results[id(case)] = forward(*copy.deepcopy(case.arguments))
        result = self._results[id(case)]
        return functools.wraps(forward)(lambda *_: copy.deepcopy(result))

    def _verdict(self, pair: Pair, i: int) -> str:
        """What a full check says at one setting."""
        return pair.check(self.trials[i][1], rng=self.seed, entries=20).verdict

    def _keeps_forward(self, pair: Pair, i: int) -> bool:
        """Whether forward, or the loss, computes what it did, or what it should."""
        setting, arguments, outs = self.trials[i]
        now = self._outputs(pair, arguments)
        if self.forward:
            return self.forward(setting, now)
        return len(now) == len(outs) and all(
            np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-12, atol=0, equal_nan=True)
            for a, b in zip(now, outs)
        )

    def _outputs(self, pair: Pair, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        self.rewind()
        with np.errstate(all="ignore"):
            outs = pair.outputs(*copy.deepcopy(arguments))
            return tuple(np.array(np.ma.filled(np.asanyarray(out), 0), dtype=np.float64) for out in outs)

    def _case(self, i: int) -> Case:
        if i not in self._cases:
            self.rewind()
            self._cases[i] = case_of(self.pair, self.trials[i][0], self.seed)
        return self._cases[i]

    def _proven(self, text: str, done: list[Change]) -> Repair:
        """The repair that some changes are; of several causes that of the first line, which is the one told."""
        edits = edits_between(self.program.text, text)
        ordered = sorted(done, key=lambda change: change.spans[0][0])
        causes = [change.cause for change in ordered if change.cause]
        cause = "forward-mismatch" if self.forward else causes[0] if causes else None
        return Repair(edits, "+".join(change.kind for change in done), cause)


def _extent(arguments: tuple[Any, ...]) -> int:
    return sum(value.size for value in arguments if isinstance(value, np.ndarray))


def _lines_of(error: BaseException | None, program: Program) -> dict[str, int]:
    """The lines that an exception came through, by function."""
    if error is None:
        return {}
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return {code.co_name: line for code, line in frames if code.co_filename == program.path}


def _reached(name: str, bodies: dict[str, Body]) -> set[str]:
    """The functions that one calls, directly or not."""
    found: set[str] = set()
    todo = [name]
    while todo:
        body = bodies.get(todo.pop())
        for node in ast.walk(body.function) if body else ():
            if isinstance(node, ast.Name) and node.id in bodies and node.id not in found and node.id != name:
                found.add(node.id)
                todo.append(node.id)
    return found
