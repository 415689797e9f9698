"""A pair checked over its settings: one report of where it is right and where it is wrong."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .check import check_loss
from .cs231n import Difference, matched, plan
from .inputs import Setting, Values
from .localize import ENTRIES
from .pairs import Pair, required
from .raised import describe, is_refusal
from .report import DIFFERS, Finding, Report, merge
from .why import reason

FEW = 50  # entries to compare one by one where another setting has already shown a mistake


def sweep(
    pair: Pair,
    *,
    seed: int = 0,
    quick: bool = False,
    settings: list[Setting] | None = None,
    why: bool = False,
    repair: float = 8.0,
) -> Report:
    """Check a pair at each of its settings, and its forward against the reference of its name.

    Parameters
    ----------
    pair : Pair
        See `discover`.
    seed : int, default 0
        Of the inputs, dout and the directions.
    quick : bool, default False
        Whether to check at the first setting only.
    settings : list of Setting, optional
        In place of those of the course, of the docstring, or of the search.
    why : bool, default False
        Whether to look for the cause, the line and the fix of a failure.
    repair : float, default 8
        Seconds for the search of a fix; 0 for none.

    Returns
    -------
    Report
        The gravest of all, with the settings tried and those that failed. That forward raises at an unusual setting is
        a note, as is that it refuses one by a ``raise`` of its own and takes others; at a usual one it is an error.
    """
    difference: Difference | None = None
    untried: Sequence[str] = ()
    if settings is None:
        settings, difference, untried = plan(pair, seed)
    if not settings:
        return _without_inputs(pair)
    reports: dict[str, Report] = {}
    refused: dict[str, tuple[Any, ...]] = {}
    limits = []
    settings = settings[: 1 if quick else None]
    for setting in settings:
        checked = setting.pair or pair
        arguments = setting.arguments(pair, seed)
        if arguments is None:
            continue
        try:
            outs = _outputs(checked, arguments)
        except Exception as error:
            if not setting.usual or is_refusal(error):
                refused |= {setting.text: arguments} if setting.usual else {}
                limits.append(f"not checked at {setting.text}: {describe('forward', error, [pair.forward]).text}")
                continue
            outs = None
        failed = any(report.verdict not in ("pass", "inconclusive", "vacuous") for report in reports.values())
        report = checked.check(arguments, rng=seed, entries=FEW if failed else ENTRIES)
        if setting.hint and report.verdict == "error":
            report.findings = [
                f._replace(text=f"{f.text}; {setting.hint}") if " raises ValueError: " in f.text else f
                for f in report.findings
            ]
        if outs is not None and difference is not None:
            values = setting.draw(np.random.default_rng(seed))
            _compare_forward(report, difference(values, outs))
            if report.verdict == "fail" and pair.is_loss:
                report = _but_for_a_guard(pair, arguments, report, matched(difference, values, outs), values)
        reports[setting.text] = report
    if not reports:
        reports = {text: pair.check(arguments, rng=seed) for text, arguments in refused.items()}
    merged = merge(pair.name, reports)
    differences = [note for note in merged.notes if note.startswith(DIFFERS)]
    merged.notes = [note for note in merged.notes if note not in differences[1:]]
    if merged.verdict not in ("error", "not_implemented", "vacuous"):
        merged.notes += [*limits, *untried]
    if why and type(pair) is Pair:  # of objects the check itself tells
        merged.why = reason(pair, settings, merged, seed=seed, seconds=repair)
    return merged


def _outputs(pair: Pair, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What forward computes; None if it is not written yet."""
    with np.errstate(all="ignore"):
        outs = pair.outputs(*copy.deepcopy(arguments))
    return None if any(out is None for out in outs) else outs


def _compare_forward(report: Report, difference: str) -> None:
    report.forward_matches_reference = not difference
    if difference:
        report.notes.insert(0, f"{DIFFERS}: {difference}")


def _but_for_a_guard(
    pair: Pair, arguments: tuple[Any, ...], report: Report, loss: Callable[[Values], Any] | None, values: Values
) -> Report:
    """A loss that is the reference's but for its last digits, with the reference's own gradient, has a guard in it.

    That of ``log(p + 1e-10)`` is p / (p + 1e-10) of what every book writes, and nobody's mistake.
    """
    if loss is None:
        return report
    first = next(iter(values))

    @functools.wraps(pair.forward)
    def of_reference(x: Any, *rest: Any) -> tuple[Any, Any]:
        return loss({**values, first: x})[0], pair.forward(x, *rest)[1]

    guarded = check_loss(of_reference, *arguments, why=False)
    if guarded.verdict != "pass":
        return report
    guarded.forward_matches_reference = True
    guarded.notes.append("forward has a guard, as in log(p + eps), which its gradient leaves out")
    return guarded


def _without_inputs(pair: Pair) -> Report:
    """A pair of whose arguments nothing is known, and that accepted nothing."""
    text = (
        f"no inputs are known that {pair.names[0]} accepts; say their shapes in its docstring, "
        f"such as {required(pair.forward)[0]}: (N, D), or give them with --inputs"
    )
    return Report(pair.name, findings=[Finding("vacuous", "", text)])
