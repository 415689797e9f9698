"""Records of checks as an autograder's ``results.json``."""

from __future__ import annotations

from typing import Any

from .report import passes


def results(records: list[dict[str, Any]], points: dict[str, float]) -> dict[str, Any]:
    """Gradescope's format: a test for each function, worth its points (1 if none are given) if it is right.

    A function of `points` that was not found is worth none. Only the verdict is told, not why.
    """
    tests = [_test(record["name"], record, points.get(record["name"], 1.0)) for record in records]
    found = {record["name"] for record in records}
    tests += [_test(name, None, worth) for name, worth in points.items() if name not in found]
    return {"score": sum(test["score"] for test in tests), "tests": tests}


def _test(name: str, record: dict[str, Any] | None, worth: float) -> dict[str, Any]:
    right = record is not None and passes(record)
    output = "not found" if record is None else record["verdict"]
    if record is not None and record["forward_matches_reference"] is False:
        output += "; forward differs from the reference"
    return {
        "name": name, "score": worth if right else 0.0, "max_score": worth,
        "status": "passed" if right else "failed", "output": output,
    }  # fmt: skip
