"""One reading of a wrong gradient: the cause it would have, and how to see at any draw whether that is so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .samples import Sample


class Reading(NamedTuple):
    """A cause, and a test of it.

    Attributes
    ----------
    cause : str
        A code.
    evidence : str
        What was seen, in the reader's names.
    suggestion : str
        The edit to make.
    holds : callable
        ``holds(sample) -> bool``, or None where it cannot be asked.
    """

    cause: str
    evidence: str
    suggestion: str
    holds: Callable[[Sample], bool | None]


def tested(cause: str, evidence: str, suggestion: str, test: Callable[..., Any], *arguments: Any) -> Reading:
    """A reading by ``test(sample, *arguments)``."""
    return Reading(cause, evidence, suggestion, lambda sample: test(sample, *arguments))


def mended(cause: str, evidence: str, suggestion: str, k: int, mend: Callable[..., Any], *arguments: Any) -> Reading:
    """A reading by what puts the gradient right: ``mend(sample, returned gradient, *arguments) -> gradient``."""

    def holds(sample: Sample) -> bool | None:
        gradient = sample.returned[k] if k < len(sample.returned) else None
        if gradient is None:
            return None
        try:
            right = mend(sample, gradient, *arguments)
        except (ValueError, IndexError, ArithmeticError):
            return False
        return None if right is None else sample.agrees(k, right)

    return Reading(cause, evidence, suggestion, holds)


def is_confirmed(reading: Reading, witnesses: Sequence[Sample]) -> bool:
    """Whether it holds wherever it can be asked, at the first witness and at one more at least.

    `witnesses` are the sample at hand, a second draw of it, and whatever else fails.
    """
    answers = []
    for i, sample in enumerate(witnesses):
        answer = reading.holds(sample)
        if answer is False or (i == 0 and not answer):
            return False
        answers.append(answer)
    return sum(answer is True for answer in answers) > 1
