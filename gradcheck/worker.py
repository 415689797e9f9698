"""One file, checked in a process of its own: what it prints is swallowed, what is found goes out as lines of JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import cs231n
from .case import case_of
from .discover import Discovery, discover
from .given import BadInputs, given_settings, taken
from .inputs import Setting
from .load import sandboxed
from .pairs import Pair
from .report import Finding, Report
from .sweep import sweep
from .walkthrough import walk
from .why import failing_case

FILE_SECONDS = 50.0  # of a processor's time for a file, of which the search of a fix gets a third of what is left


def events(
    order: dict[str, Any], say: Callable[[dict[str, Any]], None] = lambda event: None
) -> Iterator[dict[str, Any]]:
    """What is found in a file: first its problems and the names of its pairs, then a record for each pair.

    Where the user's inputs cannot be used, why they are `refused` is the last.

    Parameters
    ----------
    order : dict
        What to do: `file`, `names` (None for all), `done` (names not to check again), `without` (classes not to try),
        `seed`, `quick`, `list`, `inputs` (a file, or None), `colour`, `tell`, `width` (see `Report.format`), `repair`
        (seconds), `explain` (whether to walk through each pair).
    say : callable
        Is given an event for each class before it is tried.
    """
    cs231n.ours()
    started = time.thread_time()
    path = Path(order["file"])
    with sandboxed(path):
        found = discover(path, without=order["without"], trying=lambda name: say({"trying": name}))
        chosen = [pair for pair in found.pairs if order["names"] is None or called(pair) & set(order["names"])]
        yield _contents(found, chosen)
        try:
            given = given_settings(order["inputs"]) if order["inputs"] else {}
            for pair in chosen:
                settings = next((given[name] for name in called(pair) if name in given), None)
                if settings:
                    settings = taken(pair, settings, order["inputs"])
                if pair.name in order["done"]:
                    continue
                if order["list"]:
                    listed = settings or cs231n.plan(pair, order["seed"]).settings
                    yield {"listed": pair.name, "settings": [setting.text for setting in listed]}
                    continue
                left = FILE_SECONDS - (time.thread_time() - started)
                yield _checked(pair, settings, order, min(order["repair"], max(left / 3, 1.0)))
        except BadInputs as error:
            yield {"refused": str(error)}


def _checked(pair: Pair, settings: list[Setting] | None, order: dict[str, Any], repair: float) -> dict[str, Any]:
    try:
        report = sweep(pair, seed=order["seed"], quick=order["quick"], settings=settings, why=True, repair=repair)
    except BadInputs:
        raise
    except Exception as error:  # a fault of the checker's, and of nobody else
        text = f"it cannot be checked: {type(error).__name__}: {error}"
        report = Report(pair.name, findings=[Finding("vacuous", "", text)])
    text = report.format(colour=order["colour"], tell=order["tell"], width=order["width"])
    if order["explain"]:
        text += "\n\n" + explanation(pair, settings or cs231n.plan(pair, order["seed"]).settings, order)
    return {"check": record(pair, report), "text": text}


def called(pair: Pair) -> set[str]:
    """All that a pair answers to: its own name and those of its functions."""
    return {pair.name, *filter(None, pair.names)}


def _contents(found: Discovery, chosen: list[Pair]) -> dict[str, Any]:
    errors = [{"file": p.file, "message": p.message, "line": p.line} for p in found.problems]
    names = {pair.name: sorted(called(pair)) for pair in found.pairs}
    return {"errors": errors, "found": names, "names": [pair.name for pair in chosen]}


def explanation(pair: Pair, settings: list[Setting], order: dict[str, Any]) -> str:
    """The walk through a pair where it fails, or else at its first setting."""
    try:
        case = failing_case(pair, settings, order["seed"]) or case_of(pair, settings[0], order["seed"])
        return walk(case).format(colour=order["colour"], width=order["width"])
    except Exception as error:
        return f"{pair.name} cannot be walked through: {error}"


def record(pair: Pair, report: Any) -> dict[str, Any]:
    """A pair's report for the JSON."""
    forward, backward = pair.names
    return {"file": pair.file, "name": pair.name, "forward": forward, "backward": backward, **report.as_dict()}


def main() -> None:
    """Read the order from stdin, write events to what was stdout; from now on stdout is nowhere.

    Ctrl-C reaches this process as well; what becomes of it is for the command to say.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out, open(os.devnull, "r+") as nowhere:
        for descriptor in (0, 1, 2):
            os.dup2(nowhere.fileno(), descriptor)

        def say(event: dict[str, Any]) -> None:
            print(json.dumps(event), file=out, flush=True)

        for event in events(order, say):
            say(event)


if __name__ == "__main__":
    main()
