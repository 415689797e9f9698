"""Records of checks as an autograder's ``results.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .report import DIFFERS, passes


def results(
    records: list[dict[str, Any]], points: dict[str, float], errors: Sequence[str] = (), texts: list[str] | None = None
) -> dict[str, Any]:
    """Gradescope's format: a test for each function, worth its points (1 if none are given) if it is right.

    A function of `points` that was not found is worth none. Only the verdict is told, not why, unless there are `texts`
    to tell, one for each record. What could not be imported, `errors`, is told at the top and where nothing was found.
    """
    told = [_verdict(record) for record in records] if texts is None else [_plain(text) for text in texts]
    tests = [
        _test(record["name"], passes(record), points.get(record["name"], 1.0), text)
        for record, text in zip(records, told)
    ]
    found = {record["name"] for record in records}
    absent = "\n".join(["not found", *errors])
    tests += [_test(name, False, worth, absent) for name, worth in points.items() if name not in found]
    score = sum(test["score"] for test in tests)
    return {"score": score, **({"output": "\n".join(errors)} if errors else {}), "tests": tests}


def _test(name: str, right: bool, worth: float, output: str) -> dict[str, Any]:
    return {
        "name": name, "score": worth if right else 0.0, "max_score": worth,
        "status": "passed" if right else "failed", "output": output,
    }  # fmt: skip


def _verdict(record: dict[str, Any]) -> str:
    if record["verdict"] == "pass" and not passes(record):
        return f"{DIFFERS}; its own gradients are right"
    return f"{record['verdict']}{f'; {DIFFERS}' if record['forward_matches_reference'] is False else ''}"


def _plain(text: str) -> str:
    """A text without the colours of a terminal."""
    return re.sub(r"\033\[\d+m", "", text)
