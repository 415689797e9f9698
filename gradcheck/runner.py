"""Files checked each in a process of its own, with a limit on time: a loop without end or a crash costs one pair."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .load import HOUSE

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Checked:
    """What came of one file."""

    file: str
    errors: list[dict[str, Any]] = field(default_factory=list)  # what of it could not be imported
    found: dict[str, list[str]] = field(default_factory=dict)  # its pairs, each with all that it answers to
    checks: list[dict[str, Any]] = field(default_factory=list)  # the records of those checked
    texts: list[str] = field(default_factory=list)  # their reports, to be printed
    listed: list[dict[str, Any]] = field(default_factory=list)  # names and settings, where only a list was asked for


def run(file: Path, order: dict[str, Any], timeout: float) -> Checked:
    """Check a file. A pair that takes more than `timeout` seconds, or ends the process, is an error; the others go on.

    Parameters
    ----------
    file : Path
        A Python file.
    order : dict
        See `worker.events`; `file` and `done` are filled in here.
    timeout : float > 0
        Seconds for the import, and for each pair.
    """
    checked = Checked(str(file))
    done: list[str] = []
    while True:
        names: list[str] | None = None
        why = ""
        for event in _events({**order, "file": str(file), "done": done}, timeout):
            if "names" in event:
                names, checked.errors, checked.found = event["names"], event["errors"], event["found"]
            elif "listed" in event:
                checked.listed.append(event)
                done.append(event["listed"])
            elif "check" in event:
                checked.checks.append(event["check"])
                checked.texts.append(event["text"])
                done.append(event["check"]["name"])
            else:
                why = event["interrupted"]
        if not why:
            return checked
        left = [name for name in names or () if name not in done]
        if not left:
            checked.errors.append({"file": str(file), "message": f"importing it {why}", "line": None})
            return checked
        message = f"checking it {why}"
        checked.checks.append(_interrupted(str(file), left[0], message))
        checked.texts.append(f"{left[0]}: error\n  {message}")
        done.append(left[0])


def _events(order: dict[str, Any], timeout: float) -> Iterator[dict[str, Any]]:
    """The worker's events, and at last why it was `interrupted`, if it was."""
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
        with process.stdin as stdin:
            json.dump(order, stdin)
        reader.start()
        while True:
            try:
                line = lines.get(timeout=timeout)
            except queue.Empty:
                process.kill()
                yield {"interrupted": f"took more than {timeout:g} s"}
                return
            if not line:
                break
            yield json.loads(line)
    if process.returncode:
        yield {"interrupted": f"ended the process with status {process.returncode}"}


def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    for line in process.stdout or ():
        lines.put(line)
    lines.put("")


def _interrupted(file: str, name: str, message: str) -> dict[str, Any]:
    """The record of a pair whose check did not come to its end."""
    return {
        "file": file, "name": name, "forward": None, "backward": None, "verdict": "error", "message": message,
        "cause": "raises", "line": None, "statement": None, "repair": None, "forward_matches_reference": None,
        "notes": [], "settings": {"tried": [], "failed": []}, "arguments": [], "seconds": 0.0,
    }  # fmt: skip
