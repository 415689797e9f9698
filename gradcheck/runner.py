"""Files checked each in a process of its own, with a limit on time: a loop without end or a crash costs one pair."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .load import HOUSE

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Refused(Exception):
    """The user's inputs cannot be used, and why."""


TICK = 0.1  # seconds until a wish to stop is seen


@dataclass
class Checked:
    """What came of one file, or of one step of it."""

    file: str
    errors: list[dict[str, Any]] = field(default_factory=list)  # what of it could not be imported
    found: dict[str, list[str]] = field(default_factory=dict)  # its pairs, each with all that it answers to
    checks: list[dict[str, Any]] = field(default_factory=list)  # the records of those checked
    texts: list[str] = field(default_factory=list)  # their reports, to be printed
    listed: list[dict[str, Any]] = field(default_factory=list)  # names and settings, where only a list was asked for


def run(file: Path, order: dict[str, Any], timeout: float, stop: threading.Event | None = None) -> Checked:
    """All that comes of the `steps` of one file, in one."""
    parts = list(steps(file, order, timeout, stop))
    return Checked(
        str(file),
        [error for part in parts for error in part.errors],
        {name: answers for part in parts for name, answers in part.found.items()},
        [record for part in parts for record in part.checks],
        [text for part in parts for text in part.texts],
        [listed for part in parts for listed in part.listed],
    )


def steps(file: Path, order: dict[str, Any], timeout: float, stop: threading.Event | None = None) -> Iterator[Checked]:
    """Check a file, each result as soon as it is there.

    A pair, or a class that is tried, that takes more than `timeout` seconds, or ends the process, is an error; the
    others go on.

    Parameters
    ----------
    file : Path
        A Python file.
    order : dict
        See `worker.events`; `file`, `done` and `without` are filled in here.
    timeout : float > 0
        Seconds for the import, for each class to be tried, and for each pair.
    stop : threading.Event, optional
        Once it is set, the check under way is given up, and no other begun.

    Raises
    ------
    Refused
        If the user's inputs cannot be used.
    """
    stop = stop or threading.Event()
    name, done, without = str(file), list[str](), list[str]()
    names: list[str] | None = None
    while not stop.is_set():
        why = trying = ""
        for event in _events({**order, "file": name, "done": done, "without": without}, timeout, stop):
            if "trying" in event:
                trying = event["trying"]
            elif "names" in event:
                trying = ""
                if names is None:
                    yield Checked(name, errors=event["errors"], found=event["found"])
                names = event["names"]
            elif "listed" in event:
                done.append(event["listed"])
                yield Checked(name, listed=[event])
            elif "check" in event:
                done.append(event["check"]["name"])
                yield Checked(name, checks=[event["check"]], texts=[event["text"]])
            elif "refused" in event:
                raise Refused(event["refused"])
            else:
                why = event["interrupted"]
        if not why:
            return
        if trying:
            without.append(trying)
            wanted = order["names"] is None or trying in order["names"]
            if wanted:
                yield _interrupted(name, trying, f"making one and running its forward {why}", {trying: [trying]})
            continue
        left = [pair for pair in names or () if pair not in done]
        if not left:
            yield Checked(name, errors=[{"file": name, "message": f"importing it {why}", "line": None}])
            return
        done.append(left[0])
        yield _interrupted(name, left[0], f"checking it {why}")


def _events(order: dict[str, Any], timeout: float, stop: threading.Event) -> Iterator[dict[str, Any]]:
    """The worker's events, and at last why it was `interrupted`, if it was, and not because all is to stop."""
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(HOUSE)])
    process = subprocess.Popen(
        [sys.executable, "-m", "gradcheck.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
    )  # fmt: skip
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    assert process.stdin is not None
    with process:
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            json.dump(order, stdin)
        reader.start()
        ended = False
        try:
            while line := _next(lines, timeout, stop):
                yield json.loads(line)
            ended = not stop.is_set()
        except queue.Empty:
            yield {"interrupted": f"took more than {timeout:g} s"}
        finally:
            if not ended:
                process.kill()
    if ended and process.returncode:
        yield {"interrupted": f"ended the process with status {process.returncode}"}


def _next(lines: queue.Queue[str], timeout: float, stop: threading.Event) -> str:
    """The next line, "" after the last or once all is to stop; `queue.Empty` is raised if none comes in time."""
    end = time.monotonic() + timeout
    while not stop.is_set():
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=TICK)
        if time.monotonic() > end:
            raise queue.Empty
    return ""


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")


def _interrupted(file: str, name: str, message: str, found: dict[str, list[str]] | None = None) -> Checked:
    """A pair whose check did not come to its end; `found` if its name has not been told yet."""
    record: dict[str, Any] = {
        "file": file, "name": name, "forward": None, "backward": None, "verdict": "error", "message": message,
        "cause": "raises", "line": None, "statement": None, "repair": None, "forward_matches_reference": None,
        "notes": [], "settings": {"tried": [], "failed": []}, "arguments": [], "seconds": 0.0,
    }  # fmt: skip
    return Checked(file, found=found or {}, checks=[record], texts=[f"{name}: error\n  {message}"])
