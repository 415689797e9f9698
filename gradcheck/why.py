"""Why a check failed, from all who can tell: the proven repair, the line of the first wrong gradient, the numbers."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .adjoints import Accusation, accuse
from .case import Case, case_of
from .cs231n import plan
from .diagnose import Diagnosis, Draw, diagnose
from .discover import pair_up
from .inputs import Setting
from .instrument import statement_at, tree_of
from .origin import origin
from .pairs import Pair
from .program import Clock
from .repair import Repair, repair
from .report import Report, Why
from .reruns import forward_judge
from .samples import Sample

WRONG = ("fail", "kink")
LARGE = 1000  # entries of all inputs, beyond which true gradients of all of them take too long
# What an edit proves, where the numbers tell more: a root packed without its eps is not packed in another order.
VAGUER = {"config-hardcoded": "wrong-index", "regularization": "forward-mismatch", "wrong-eps": "wrong-cache"}
ACCUSED = (*WRONG, "contract", "error")
NEARBY = (("inputs like these", None), ("one example fewer", 0), ("one feature fewer", -1))


def reason(
    pair: Pair, settings: Sequence[Setting], report: Report, *, seed: int = 0, seconds: float = 8.0
) -> Why | None:
    """The cause, the line and the fix of what a report found wrong; None if nothing is.

    An edit that makes every setting pass is the cause, the line and the fix. Without one the line is that of the first
    statement whose gradient is wrong, or of the exception, and the cause what the numbers show.

    Parameters
    ----------
    pair, settings, report
        What was checked, where, and what came out.
    seed : int, default 0
        Of the draws.
    seconds : float, default 8
        Of the processor's time, for all this; half of it at least for the search of a repair. 0 for no such search.
    """
    if report.verdict not in ACCUSED:
        return None
    started = time.thread_time()
    failing = [setting for setting in settings if setting.text in report.failed] or list(settings)
    case = failing_case(pair, failing, seed)
    accusation = _accused(case) if case else None
    shown = _calling(pair, case) or report.line
    if accusation is not None and (shown is None or accusation.certain):
        shown = accusation.line
    guilty = _guilty_helper(pair, shown, seed) if shown else None
    within = _accused(guilty) if guilty else None
    diagnosis = _diagnosed(pair, [*failing, *(s for s in settings if s not in failing)], seed)
    cause = diagnosis.cause if diagnosis is not None and diagnosis.cause != "unknown" else report.cause or "unknown"
    of_values = diagnosis is not None and diagnosis.cause != "unknown" and diagnosis.argument is not None
    if report.verdict == "error" and not of_values and case is not None and case.error is None:
        shown = report.line  # where it raises, and not where it is wrong at other settings
    told = origin(cause, pair, case, shown, accusation.cleared if accusation else [])
    accused = [line for a in (within, accusation) if a for line in (a.line, *a.before)]
    suspects = [line for line in (told, shown, *accused) if line]
    left = max(seconds - (time.thread_time() - started), seconds / 2)
    mend = functools.partial(
        repair, pair, list(settings), seed=seed, suspects=suspects, failing=report.failed, cause=cause
    )
    of_forward = diagnosis is not None and diagnosis.cause == "forward-mismatch"
    judge = forward_judge(pair, seed) if of_forward or report.forward_matches_reference is False else None
    clocks = [Clock(left if of_forward else left / 4)] if judge else []
    mended = mend(clock=clocks[0], forward=judge) if judge and seconds else None
    if mended is None and seconds and not of_forward:
        clocks.append(Clock(left * 3 / 4 if judge else left))
        mended = mend(clock=clocks[-1])
    why = _together(pair, report, diagnosis, accusation, mended, guilty, told or shown)
    return replace(why, ran_out=mended is None and any(clock.ran_out for clock in clocks))


def at_inputs(report: Report, forward: Any, backward: Any, inputs: Sequence[Any]) -> Why | None:
    """The reason for what was found at given inputs: it is sought at some like them, and at smaller ones."""
    code = getattr(inspect.unwrap(backward or forward), "__code__", None)
    if report.verdict not in WRONG or code is None or entries_of(inputs) > LARGE:
        return None
    pair = Pair(report.name, forward, backward, code.co_filename)
    settings = [Setting(text, functools.partial(_near, inputs, axis)) for text, axis in NEARBY]
    try:
        return reason(pair, settings, report, seconds=0)
    except Exception:  # code in a form of its own
        return None


def entries_of(inputs: Sequence[Any]) -> int:
    return sum(x.size for x in inputs if isinstance(x, np.ndarray))


def _plainness(inputs: Sequence[Any]) -> tuple[int, int]:
    return sum(isinstance(x, float) and x != 0 for x in inputs), entries_of(inputs)


def like(
    inputs: Sequence[Any], rng: np.random.Generator, cut: int | None, active: Sequence[int] | None = None
) -> tuple[Any, ...]:
    """Inputs near the given ones, of the same signs; only the `active` ones are moved.

    An axis `cut` of the first, 0 for its examples, -1 for its features, is one shorter, and so are those of the same
    size of the others: of examples first axes only. What counts along it, such as labels, stays within.
    """
    first = next((x for x in inputs if isinstance(x, np.ndarray) and x.ndim > (cut == -1)), None)
    size = first.shape[cut] if first is not None and cut is not None else 0
    near = []
    for i, x in enumerate(inputs):
        if isinstance(x, np.ndarray):
            moves = x.dtype.kind == "f" and (active is None or i in active)
            shorter = [n == size > 1 and (axis == 0 or cut == -1) for axis, n in enumerate(x.shape)]
            x = x[tuple(slice(size - 1 if short else None) for short in shorter)]
            x = np.minimum(x, size - 2) if x.dtype.kind in "iu" and cut == -1 and size > 1 else x
            x = x * (1 + 0.1 * rng.uniform(-1, 1, x.shape)) if moves else x.copy()
        near.append(x)
    return tuple(near)


def accepted(sample: Sample, drawn: Draw) -> list[tuple[Any, ...]]:
    """The drawn arguments at which a layer or net runs: a number of features may be a part of it."""
    found = []
    for _, arguments in drawn(1):
        with contextlib.suppress(Exception):
            found.append(sample.at(arguments or ()).arguments)
    return found


def _near(inputs: Sequence[Any], cut: int | None, rng: np.random.Generator) -> dict[str, Any]:
    """The same for a setting, whose arguments go by position if no parameter bears their names."""
    return {f"#{i}": value for i, value in enumerate(like(inputs, rng, cut))}


def _helpers(pair: Pair) -> list[Pair]:
    """All pairs of the same file."""
    own = {
        name: value
        for name, value in inspect.unwrap(pair.forward).__globals__.items()
        if inspect.isfunction(value) and value.__code__.co_filename == pair.file
    }
    return pair_up(own, pair.file)[0]


def _calling(pair: Pair, case: Case | None) -> int | None:
    """The line from which another pair's function was called, where that raises."""
    if case is None or case.error is None:
        return None
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(case.error.__traceback__)]
    passed = [(code.co_name, line) for code, line in frames if code.co_filename == pair.file]
    own = [line for name, line in passed if name in pair.names]
    others = {name for helper in _helpers(pair) for name in helper.names} if passed else set()
    return own[-1] if own and passed[-1][0] in others - set(pair.names) else None


def _guilty_helper(pair: Pair, line: int, seed: int) -> Case | None:
    """Of the pair whose backward the statement on a line calls, a case in which that is itself wrong."""
    called = _called_at(pair.file, line) - {pair.names[1]}
    for helper in _helpers(pair) if called else ():
        if helper.names[1] in called:
            case = failing_case(helper, plan(helper, seed).settings, seed)
            if case is not None:
                return case
    return None


def _called_at(path: str, line: int) -> set[str]:
    """The names of the functions that the statement on a line calls."""
    here = [
        node
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef) and node.lineno == line
    ]
    calls = [call for node in here for call in ast.walk(node) if isinstance(call, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def failing_case(pair: Pair, settings: Sequence[Setting], seed: int) -> Case | None:
    """The case with the plainest inputs whose gradients are wrong; if there is none, the plainest that raises.

    Plain is what has few numbers that are not 0, such as the weight of an L2 term, and then small arrays.
    """
    raising = None
    for setting in sorted(settings, key=lambda setting: _plainness(setting.arguments(pair, seed) or ())):
        try:
            case = case_of(pair, setting, seed)
        except Exception:  # forward raises here
            continue
        if case.wrong and case.error is None:
            return case
        raising = raising or (case if case.error is not None else None)
    return raising


def _accused(case: Case) -> Accusation | None:
    try:
        return accuse(case)
    except ValueError:  # no source
        return None


def _diagnosed(pair: Pair, settings: Sequence[Setting], seed: int) -> Diagnosis | None:
    try:
        return diagnose(pair, settings, seed=seed)
    except Exception:  # code that raises now and then; what raises always is in the report
        return None


def _together(
    pair: Pair,
    report: Report,
    diagnosis: Diagnosis | None,
    accusation: Accusation | None,
    mended: Repair | None,
    guilty: Case | None,
    shown: int | None,
) -> Why:
    cause, evidence, suggestion = report.cause or "unknown", "", ""
    unsaid = {"unknown"} | ({"raises"} if report.verdict != "error" else set())
    if diagnosis is not None and diagnosis.cause not in unsaid and report.verdict != "contract":
        cause = diagnosis.cause
    vague = {"wrong-term", VAGUER.get(cause, "")} if mended is None or mended.kind != "exchange" else {"wrong-term"}
    if mended is not None and mended.cause and not (mended.cause in vague and cause != "unknown"):
        cause = mended.cause
    if mended is not None and mended.kind == "rebind":  # of what forward has put into the cache
        cause = "mutates-cache"
    if diagnosis is not None and diagnosis.cause in (cause, "unknown" if report.verdict != "error" else cause):
        evidence, suggestion = diagnosis.evidence, diagnosis.suggestion
    if cause == "unknown" and accusation is not None and report.verdict == "fail":
        cause = "wrong-term"  # of which no more is known than the line
    line, cleared = shown, list[str]()
    earlier = cause.startswith(("mutates", "undefined"))  # the fix is a copy, or an entry of the cache
    if mended is not None and not (earlier and shown and mended.kind != "rebind"):
        line = mended.edits[0].line
    if accusation is not None and accusation.line == line:
        cleared = accusation.cleared
    if guilty is not None:
        cause, line = "inherited", shown
        evidence = f"{guilty.pair.names[1]}, which it calls, is itself wrong"
    return Why(
        cause=cause,
        evidence=evidence,
        suggestion=suggestion,
        line=line,
        statement=statement_at(pair.file, line) if line else "",
        cleared=cleared,
        edits=[edit._asdict() for edit in mended.edits] if mended else [],
    )
