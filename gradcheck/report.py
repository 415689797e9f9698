"""What a check found, as data and as a few lines of text."""

from __future__ import annotations

import math
import re
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .meanings import MEANINGS
from .rewrite import Edit

# From the gravest to the harmless; a report has the gravest verdict of its parts.
VERDICTS = ("error", "not_implemented", "fail", "contract", "kink", "inconclusive", "vacuous", "pass")
MAX_LINES = 25
DIFFERS = "forward differs from the reference"
SHARED = "fine, unless somebody writes into it in place"
WHOLE = re.compile(
    r"(?:\w+ )?[(\[][^()\[\]]{,44}[)\]]|\w+ [\d.]+(?=,|$| \|)"
)  # a shape, a row, a setting: no fold in it
TELL = ("verdict", "cause", "line", "fix")  # how much of a failure is told


@dataclass(frozen=True)
class Worst:
    """The entry at which the returned gradient is furthest from the true one."""

    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def gap(self) -> float:
        """How far off the returned value is."""
        return abs(self.analytic - self.numeric)

    @property
    def ratio(self) -> float | None:
        """The returned value over the true one; None where the true one is 0."""
        return self.analytic / self.numeric if self.numeric else None

    def __str__(self) -> str:
        at = f" at [{', '.join(map(str, self.index))}]" if self.index else ""
        values = f"returned {self.analytic + 0.0:.6g}, true {self.numeric + 0.0:.6g}"  # + 0.0: no -0
        return f"worst{at}: {values}; {describe_ratio(self)}"


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
    """Something wrong that is not the value of one gradient; with the place of the statement where it is known."""

    verdict: str
    cause: str
    text: str
    line: int | None = None
    file: str | None = None


@dataclass(frozen=True)
class Why:
    """The cause of a failure, its line, and the edit that mends it, as far as they are known.

    Attributes
    ----------
    cause, evidence, suggestion : str
        A code, or "unknown"; what shows it; what to do.
    line, statement : int or None, str
        The first wrong statement of the file.
    cleared : list of str
        The names of backward, in order, that hold right gradients before that line.
    edits : list of dict
        Whole lines, each with "line", "before" and "after". With all of them every setting passes: that was tried.
    file : str
        The name of the file, where that is another one than that of what was checked.
    ran_out : bool
        Whether the search for an edit was given up after its time.
    """

    cause: str
    evidence: str = ""
    suggestion: str = ""
    line: int | None = None
    statement: str = ""
    cleared: list[str] = field(default_factory=list)
    edits: list[dict[str, Any]] = field(default_factory=list)
    file: str = ""
    ran_out: bool = False

    def lines(self, tell: str) -> list[str]:
        """As text: the cause, the line and the fix, up to the one that may be told."""
        level = TELL.index(tell)
        out = []
        if level >= TELL.index("cause"):
            said = self.evidence or MEANINGS.get(self.cause)
            out.append(f"cause: {self.cause}" + (f"; {said}" if said else ""))
        if level >= TELL.index("line") and self.line:
            cleared = f"   (right so far: {', '.join(self.cleared)})" if self.cleared else ""
            where = f"{self.file}, line" if self.file else "line"
            out.append(f"{where} {self.line}: {self.statement}{cleared}")
        if level >= TELL.index("fix") and self.edits:
            out.append("fix, with which every setting passes:")
            for edit in self.edits:
                out += Edit(**edit).diff()
        elif level >= TELL.index("fix"):
            out += [f"try: {self.suggestion}"] if self.suggestion else []
            given_up = "; the search was given up after its time" if self.ran_out else ""
            out.append(f"no edit was found that makes every setting pass{given_up}")
        return out


@dataclass
class ArgumentResult:
    """The verdict on one argument's gradient.

    `digits` is the digits of agreement (of the numeric side, where that is inconclusive), `checked` how many entries
    were compared, together by random directions or, once those disagree, one by one; `wrong` how many of these are
    wrong, `where` what they have in common, and `excused` how many are valid slopes at a kink.
    """

    name: str
    verdict: str
    digits: float | None = None
    worst: Worst | None = None
    wrong: int = 0
    checked: int = 0
    cause: str | None = None
    notes: list[str] = field(default_factory=list)
    where: str = ""
    excused: int = 0

    def __str__(self) -> str:
        parts = [*self.notes]
        if self.worst is not None:
            where = f", {self.where}" if self.where else ""
            parts += [str(self.worst), f"{self.wrong} of {self.checked} entries compared are wrong{where}"]
        elif self.digits is not None:
            parts.insert(0, f"{self.digits:.1f} digits")
        return f"{self.name}: {self.verdict}" + "".join(f"; {part}" for part in parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: NaN and infinity are None."""
        worst = self.worst and {
            "index": list(self.worst.index),
            "analytic": _finite(self.worst.analytic),
            "numeric": _finite(self.worst.numeric),
            "ratio": _finite(self.worst.ratio),
        }
        return {
            "name": self.name, "verdict": self.verdict, "cause": self.cause, "digits": _finite(self.digits),
            "worst": worst, "wrong": self.wrong, "checked": self.checked,
        }  # fmt: skip


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
    cause : str or None
        A code for why, where it is known: "shape-keepdims", "mutates-dout", "undefined-name", ...
    arguments : list of ArgumentResult
        One for each argument and parameter, with `name`, `verdict`, `digits`, `worst`, `wrong`, `checked`.
    findings : list of Finding
        Breaches that belong to the whole, each with `verdict`, `cause`, `text` and, if known, `line` and `file`.
    notes : list of str
        What is no fault: a gradient that shares memory with dout or the cache.
    forward_matches_reference : bool or None
        Whether forward computes what another engine's computes; None if there was none to compare with.
    tried, failed : list of str
        The settings at which it was checked, and those of them at which it did not pass.
    seconds : float
        The time that the check took.
    why : Why or None
        The cause, the line and the fix of a failure, where they were looked for.
    """

    name: str
    arguments: list[ArgumentResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    forward_matches_reference: bool | None = None
    tried: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0
    why: Why | None = None

    @property
    def verdict(self) -> str:
        """The gravest of all verdicts; an argument whose gradient is zero is held against no other."""
        verdicts = {part.verdict for part in self.findings} | {part.verdict for part in self.arguments}
        if "pass" in verdicts:
            verdicts.discard("vacuous")
        return min(verdicts, key=VERDICTS.index, default="vacuous")

    @property
    def cause(self) -> str | None:
        """What `why` found; else the first that goes with the verdict. A mask drawn anew explains wrong values too."""
        verdict = self.verdict
        if self.why is not None:
            return self.why.cause
        parts: list[Any] = [*self.findings, *self.arguments]
        causes = [part.cause for part in parts if part.cause and part.verdict == verdict]
        if verdict == "fail":
            causes += [finding.cause for finding in self.findings if finding.cause == "random-redrawn"]
        return causes[0] if causes else None

    @property
    def line(self) -> int | None:
        """The line of the statement at fault, where it is known."""
        if self.why is not None and self.why.line:
            return self.why.line
        return next((part.line for part in self.findings if part.verdict == self.verdict and part.line), None)

    @property
    def passed(self) -> bool:
        """Whether every gradient is right; an inconclusive or vacuous check has not passed."""
        return self.verdict == "pass" and self.forward_matches_reference is not False

    @property
    def message(self) -> str:
        """What is wrong in one line; what the summary says, if nothing is."""
        bad = [finding.text for finding in self.findings if finding.verdict == self.verdict]
        bad += [str(part) for part in self.arguments if part.verdict == self.verdict != "pass"]
        if bad:
            return bad[0]
        different = f"; {DIFFERS}" if self.forward_matches_reference is False else ""
        return _summary(self.arguments) + different

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return self.format()

    def format(self, *, colour: bool = False, tell: str = "line", width: int | None = None) -> str:
        """The report as text, one line if it passed and 25 at most; with the colours of a terminal if asked.

        `tell` is how much of a failure is told: its "verdict", "cause", "line" or "fix", each with those before. Lines
        longer than `width` are folded.
        """
        good = [part for part in self.arguments if part.verdict in ("pass", "vacuous")]
        head = f"{self.name}: {_painted(self, self.verdict, colour)}"
        different = [note for note in self.notes if note.startswith(DIFFERS)]
        shared = [note for note in self.notes if SHARED in note]
        others = [note for note in self.notes if note not in (*different, *shared)]
        if self.forward_matches_reference is False and not different:
            different = [DIFFERS]
        if self.verdict == "pass":
            others = others or ([] if different or any(part.notes for part in good) else shared)
            if different:
                how = "" if tell == "verdict" else different[0].removeprefix(DIFFERS)
                head = f"{self.name}: {_painted(self, DIFFERS, colour)}{how}; its own gradients are right:"
            else:
                head += ";"
            return "\n".join(folded(["; ".join([f"{head} {_summary(good)}", *others[:3]])], width))
        if tell == "verdict":
            return head
        if self.verdict == "not_implemented":
            agrees = ["forward agrees with the reference"] if self.forward_matches_reference else []
            return "\n".join(folded(["; ".join([head, self.message, *different[:1], *agrees])], width))
        lines = [f"  {text}" for text in (*different[:1], *(self.why.lines(tell) if self.why else []))]
        told = "\n".join(lines)
        lines += [f"  {finding.text}" for finding in self.findings if finding.text not in told]
        bad = [part for part in self.arguments if part not in good]
        lines += [f"  {part}" for part in sorted(bad, key=lambda part: VERDICTS.index(part.verdict))]
        if not lines and not good:
            lines.append("  nothing to check: no floating-point input and no parameter")
        tail = [f"  no fault in {_summary(good)}"] if good else []
        tail += [f"  note: {note}" for note in others[:3]]
        tail += [f"  {text}" for text in self._where()]
        lines, tail = folded(lines, width), folded(tail, width)
        room = MAX_LINES - 1 - len(tail)
        if len(lines) > room:
            lines[room - 1 :] = [f"  ... and {len(lines) - room + 1} lines more of this kind"]
        return "\n".join([head, *lines, *tail])

    def _where(self) -> list[str]:
        """The settings that fail, and those that do not."""
        if not self.failed or self.verdict in ("inconclusive", "vacuous"):
            return []
        passed = [text for text in self.tried if text not in self.failed]
        if not passed:
            return [f"wrong at every setting, as at {self.failed[0]}"]
        return [f"wrong at {_listed(self.failed)}", f"right at {_listed(passed)}"]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the verdict with all that belongs to it."""
        notes = [*self.notes, *(f"{part.name}: {note}" for part in self.arguments for note in part.notes)]
        notes += [finding.text for finding in self.findings if finding.verdict != self.verdict]
        return {
            "name": self.name, "verdict": self.verdict, "message": self.message, "cause": self.cause,
            "line": self.line, "statement": (self.why and self.why.statement) or None, "repair": self._repair(),
            "forward_matches_reference": self.forward_matches_reference,
            "notes": notes, "settings": {"tried": self.tried, "failed": self.failed},
            "arguments": [part.as_dict() for part in self.arguments], "seconds": round(self.seconds, 4),
        }  # fmt: skip

    def _repair(self) -> dict[str, Any] | None:
        return {"edits": self.why.edits, "proven": True} if self.why and self.why.edits else None


def passes(record: dict[str, Any]) -> bool:
    """Whether a record, as of `Report.as_dict`, says that all is right."""
    return record["verdict"] == "pass" and record["forward_matches_reference"] is not False


def merge(name: str, reports: dict[str, Report]) -> Report:
    """One report of the same pair checked at several settings: the gravest one, and where it passes and fails.

    A setting at which nothing could be decided is held against no other at which it passed.
    """
    decided = {text: report for text, report in reports.items() if report.verdict not in ("inconclusive", "vacuous")}
    pool = decided or reports
    if not pool:
        return Report(name)
    gravest = min(pool.values(), key=lambda report: VERDICTS.index(report.verdict))
    matches = [r.forward_matches_reference for r in reports.values() if r.forward_matches_reference is not None]
    return replace(
        gravest,
        name=name,
        notes=list(dict.fromkeys(note for report in reports.values() for note in report.notes)),
        forward_matches_reference=all(matches) if matches else None,
        tried=list(reports),
        failed=[text for text, report in pool.items() if report.verdict != "pass"],
        seconds=sum(report.seconds for report in reports.values()),
    )


def _summary(arguments: list[ArgumentResult]) -> str:
    """Names, the fewest digits, and the notes, on one line."""
    names = [part.name for part in arguments]
    shown = ", ".join(names if len(names) <= 8 else [*names[:7], f"{len(names) - 7} more"])
    digits = [part.digits for part in arguments if part.digits is not None]
    text = f"{shown} ({min(digits):.1f} digits)" if digits else shown
    notes = [f"{part.name}: {note}" for part in arguments for note in part.notes]
    return "; ".join([text, *notes[:3]])


def tied(line: str) -> str:
    """The line with no space in a shape or a row of numbers at which it could be folded."""
    return WHOLE.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), line)


def folded(lines: list[str], width: int | None) -> list[str]:
    """Lines of at most `width` columns; what follows of one is indented further, and a shape or row stays whole."""
    if width is None:
        return lines
    out = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        parts = textwrap.wrap(tied(line), max(width, 40), subsequent_indent=indent, break_long_words=False)
        out += [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts] or [line]
    return out


def _listed(texts: list[str]) -> str:
    return " | ".join(texts[:3]) + (f" | {len(texts) - 3} more" if len(texts) > 3 else "")


def _painted(report: Report, said: str, colour: bool) -> str:
    """The verdict, or what is said for it, in green, in yellow where nothing is decided or only forward is another, or
    in red.
    """
    yellow = report.verdict in ("pass", "inconclusive", "vacuous", "not_implemented")
    code = 32 if report.passed else 33 if yellow else 31
    return f"\033[{code}m{said}\033[0m" if colour else said


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
