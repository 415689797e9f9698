"""What a check found, as data and as a few lines of text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

# From the gravest to the harmless; a report has the gravest verdict of its parts.
VERDICTS = ("error", "not_implemented", "fail", "contract", "kink", "inconclusive", "vacuous", "pass")
MAX_LINES = 25


@dataclass(frozen=True)
class Worst:
    """The entry at which the returned gradient is furthest from the true one."""

    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def ratio(self) -> float | None:
        """The returned value over the true one; None where the true one is 0."""
        return self.analytic / self.numeric if self.numeric else None

    def __str__(self) -> str:
        at = f" at [{', '.join(map(str, self.index))}]" if self.index else ""
        return f"worst{at}: returned {self.analytic:.6g}, true {self.numeric:.6g}; {describe_ratio(self)}"


def describe_ratio(worst: Worst) -> str:
    """The ratio in words."""
    ratio = worst.ratio
    if worst.analytic == 0:
        return "returned is zero"
    if ratio is None or not 1e-6 < abs(ratio) < 1e6:
        return f"returned is off by {worst.analytic - worst.numeric:.3g}"
    if abs(ratio + 1) < 5e-4:
        return "returned has the wrong sign"
    digits = 3 if abs(ratio - 1) > 5e-3 else 9
    return f"returned is {ratio:.{digits}f} times the true gradient"


class Finding(NamedTuple):
    """Something wrong that is not the value of one gradient."""

    verdict: str
    cause: str
    text: str


@dataclass
class ArgumentResult:
    """The verdict on one argument's gradient.

    `digits` is the digits of agreement (of the numeric side, where that is inconclusive), `checked` how many entries
    were compared, together by random directions or, once those disagree, one by one; `wrong` how many of these are
    wrong.
    """

    name: str
    verdict: str
    digits: float | None = None
    worst: Worst | None = None
    wrong: int = 0
    checked: int = 0
    cause: str | None = None
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [*self.notes]
        if self.worst is not None:
            parts += [str(self.worst), f"{self.wrong} of {self.checked} entries compared are wrong"]
        elif self.digits is not None:
            parts.insert(0, f"{self.digits:.1f} digits")
        return f"{self.name}: {self.verdict}" + "".join(f"; {part}" for part in parts)


@dataclass
class Report:
    """The outcome of a check; true where it passed, and its text says what to look at.

    Attributes
    ----------
    name : str
        Of what was checked.
    verdict : str
        "pass", "fail" (a value or shape is wrong), "contract" (values right, but an argument is changed or a second
        backward differs), "kink", "inconclusive" (the numeric side has fewer than 3 digits), "vacuous" (all
        gradients are zero here, no mistake could show), "error" (it raises) or "not_implemented".
    arguments : list of ArgumentResult
        One for each argument and parameter, with `name`, `verdict`, `digits`, `worst`, `wrong`, `checked`.
    findings : list of Finding
        Breaches that belong to the whole, each with `verdict`, `cause` and `text`.
    """

    name: str
    arguments: list[ArgumentResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """The gravest of all verdicts; an argument whose gradient is zero is held against no other."""
        verdicts = {part.verdict for part in self.findings} | {part.verdict for part in self.arguments}
        if "pass" in verdicts:
            verdicts.discard("vacuous")
        return min(verdicts, key=VERDICTS.index, default="vacuous")

    @property
    def passed(self) -> bool:
        """Whether every gradient is right; an inconclusive or vacuous check has not passed."""
        return self.verdict == "pass"

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        good = [part for part in self.arguments if part.verdict in ("pass", "vacuous")]
        if self.passed:
            return f"{self.name}: pass; {_summary(good)}"
        bad = [part for part in self.arguments if part not in good]
        lines = [f"{self.name}: {self.verdict}"]
        lines += [f"  {finding.text}" for finding in self.findings]
        lines += [f"  {part}" for part in sorted(bad, key=lambda part: VERDICTS.index(part.verdict))]
        if good:
            lines.append(f"  no fault in {_summary(good)}")
        elif not lines[1:]:
            lines.append("  nothing to check: no floating-point input and no parameter")
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 2 : -1] = [f"  ... and {len(lines) - MAX_LINES + 1} lines more of this kind"]
        return "\n".join(lines)


def _summary(arguments: list[ArgumentResult]) -> str:
    """Names, the fewest digits, and the notes, on one line."""
    names = [part.name for part in arguments]
    shown = ", ".join(names if len(names) <= 8 else [*names[:7], f"{len(names) - 7} more"])
    digits = [part.digits for part in arguments if part.digits is not None]
    text = f"{shown} ({min(digits):.1f} digits)" if digits else shown
    notes = [f"{part.name}: {note}" for part in arguments for note in part.notes]
    return "; ".join([text, *notes[:3]])
