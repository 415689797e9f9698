"""Check every forward/backward pair of a file or folder, without configuration."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import os
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from . import gradescope
from .report import TELL, folded, passes
from .rewrite import Edit, apply
from .runner import TICK, Checked, Refused, run, steps

EPILOG = """\
exit status: 0 all is right; 1 something is wrong, or (--strict) undecided or
unfinished; 2 wrong usage; 130 stopped by Ctrl-C

all pairs NAME_forward / NAME_backward, losses, layers and nets of a file:
  python -m gradcheck my_layers.py
one of them, and of an importable module:
  python -m gradcheck my_layers.py conv_naive
  python -m gradcheck package.module:affine
with points, for an autograder:
  python -m gradcheck my_layers.py affine=2 relu=1 --gradescope results.json
"""
SKIPPED = {"__pycache__", "node_modules", "site-packages", "build", "dist"}
REPAIR_SECONDS = 8.0
UNDECIDED = ("inconclusive", "vacuous", "not_implemented")


class _Usage(Exception):
    """Wrong usage, in one line."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        "python -m gradcheck", description=__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("target", help="a .py file, a folder, or module:object")
    p.add_argument(
        "names", nargs="*", default=[], metavar="NAME", help="pairs to check (all), as in --list; NAME=POINTS"
    )
    p.add_argument("--list", action="store_true", help="print the pairs and their settings, check nothing")
    p.add_argument("--quick", action="store_true", help="the first setting of each pair only")
    p.add_argument("--strict", action="store_true", help="exit 1 for inconclusive, vacuous and unfinished ones too")
    p.add_argument("--seed", type=int, default=0, help="of inputs and directions (0)")
    p.add_argument("--explain", action="store_true", help="walk through each pair step by step, every gradient judged")
    p.add_argument("--tell", choices=TELL, help="how much of a failure to tell (line)")
    p.add_argument("--no-repair", action="store_true", help="do not look for an edit that mends it: faster")
    p.add_argument("--apply", action="store_true", help="write the proven fixes into the files; FILE.py.bak is kept")
    p.add_argument("--inputs", metavar="FILE.py", help="your own arguments: a function or tuple for each pair's name")
    p.add_argument("--json", metavar="OUT", help="write every record as JSON; - is the standard output")
    p.add_argument(
        "--gradescope",
        metavar="OUT",
        help="write an autograder's results.json; it tells the verdicts, or what --tell says",
    )
    p.add_argument("--timeout", type=float, default=60.0, metavar="S", help="seconds for one pair (60)")
    p.add_argument("--colour", "--color", choices=("auto", "always", "never"), default="auto",
                   help="auto: on a terminal, unless NO_COLOR is set")  # fmt: skip
    p.add_argument("-q", "--quiet", action="store_true", help="print what is wrong, and the last line")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    options = parser().parse_intermixed_args(argv)
    try:
        return _main(options)
    except (_Usage, Refused) as error:
        print(f"gradcheck: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, head or less, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(options: argparse.Namespace) -> int:
    points = dict(_points(name) for name in options.names)
    try:
        files, wanted = _resolve(options.target)
    except _Usage as error:
        if options.gradescope:
            expected = f"hand in a file named {Path(options.target.partition(':')[0]).name}; {error}"
            _write(options.gradescope, gradescope.results([], points, [expected]))
        raise
    names = [*wanted, *points] or None
    if options.inputs and not Path(options.inputs).is_file():
        raise _Usage(f"--inputs must be a Python file; there is no {options.inputs}")
    order = {
        "names": names, "seed": options.seed, "quick": options.quick, "list": options.list,
        "inputs": options.inputs, "colour": _wants_colour(options), "tell": options.tell or "line",
        "width": shutil.get_terminal_size().columns if sys.stdout.isatty() else None,
        "repair": 0.0 if options.no_repair else REPAIR_SECONDS, "explain": options.explain,
    }  # fmt: skip
    quiet_stdout = options.json == "-"
    everything: list[Checked] = []
    with _stopped_by_ctrl_c() as stop:
        for checked in _check(files, order, options.timeout, stop):
            everything.append(checked)
            if not quiet_stdout:
                _print(checked, options, several=len(files) > 1)
    records = [record for checked in everything for record in checked.checks]
    if stop.is_set():
        told = _closing(records, len(files), None) if records else "nothing is finished"
        print(f"stopped; {told}", file=sys.stderr if quiet_stdout else sys.stdout)
        return 130
    found = {name: answers for checked in everything for name, answers in checked.found.items()}
    missing = [name for name in names or () if not any(name in answers for answers in found.values())]
    if missing:
        absent = f"no pair is named {', '.join(missing)}; found: {', '.join(found) or 'none'}"
        if not options.gradescope:
            raise _Usage(absent)
        print(f"gradcheck: {absent}", file=sys.stderr)
    points = {next((pair for pair in found if name in found[pair]), name): worth for name, worth in points.items()}
    errors = [_told(error) for checked in everything for error in checked.errors]
    texts = [text for checked in everything for text in checked.texts] if options.tell else None
    grades = gradescope.results(records, points, errors, texts)
    if options.json:
        _write(options.json, _document(options, everything, records))
    if options.gradescope:
        _write(options.gradescope, grades)
    if options.list:
        return 0
    if not quiet_stdout:
        graded = any("=" in name for name in options.names)
        closing = _closing(records, len(files), grades if graded else None)
        if records or not missing:  # of which it has been said what there is instead
            print("\n".join(folded(closing.splitlines(), order["width"])))
    if options.apply:
        for line in _apply(records, order, options.timeout):
            print(line, file=sys.stderr if quiet_stdout else sys.stdout)
    return 1 if missing else _status(records, everything, options.strict)


def _points(text: str) -> tuple[str, float]:
    name, equals, worth = text.partition("=")
    try:
        points = float(worth) if equals else 1.0
    except ValueError:
        points = math.nan
    if not 0 <= points < math.inf:
        raise _Usage(f"points must be a number of at least 0, as in {name}=2; got {text}")
    return name, points


def _resolve(target: str) -> tuple[list[Path], list[str]]:
    """The files that a target names, and the object in it, if it names one."""
    path = Path(target)
    if path.is_file():
        return [_python(path)], []
    if path.is_dir():
        files = sorted(
            file for file in path.rglob("*.py")
            if not any(part in SKIPPED or part.startswith(".") or (path / part / "pyvenv.cfg").exists()
                       for part in file.relative_to(path).parts)
        )  # fmt: skip
        if not files:
            raise _Usage(f"there is no .py file in {target}")
        return [file.resolve() for file in files], []
    module, colon, name = target.rpartition(":")
    if colon and Path(module).is_file():
        return [_python(Path(module))], [name]
    if colon:
        sys.path.insert(0, os.getcwd())
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            spec = None
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            raise _Usage(f"no module {module} can be imported from here")
        return [Path(spec.origin).resolve()], [name]
    raise _Usage(f"there is no file or folder {target}; a module's object is written module:object")


def _python(path: Path) -> Path:
    """A file that there is, if it is one of Python's."""
    if path.suffix == ".ipynb":
        raise _Usage(f"{path} is a notebook; make a .py file of it: jupyter nbconvert --to script {path}")
    if path.suffix != ".py":
        raise _Usage(f"target must be a .py file, a folder, or module:object; got {path}")
    return path.resolve()


@contextlib.contextmanager
def _stopped_by_ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that what is finished can be told; the second ends all."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def halt(*_: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, usual)

    usual = signal.signal(signal.SIGINT, halt)
    try:
        yield stop
    except BaseException:  # the reader of a pipe has gone, or a second Ctrl-C: the workers stop as well
        stop.set()
        raise
    finally:
        signal.signal(signal.SIGINT, usual)


def _check(files: list[Path], order: dict[str, Any], timeout: float, stop: threading.Event) -> Iterator[Checked]:
    """One file step by step; several in their order, as many at a time as there are processors."""
    if len(files) == 1:
        yield from steps(files[0], order, timeout, stop)
        return
    with ThreadPoolExecutor(max_workers=min(len(files), os.cpu_count() or 1)) as pool:
        futures = [pool.submit(run, file, order, timeout, stop) for file in files]
        try:
            for future in futures:
                while not wait([future], timeout=TICK).done:
                    pass  # a Ctrl-C that came on the way into an endless wait would not be seen
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _told(error: dict[str, Any]) -> str:
    """What could not be imported, in a line."""
    at = f", line {error['line']}" if error["line"] else ""
    return f"{Path(error['file']).name}{at}: {error['message']}"


def _print(checked: Checked, options: argparse.Namespace, *, several: bool) -> None:
    lines = [_told(error) for error in checked.errors]
    for listed in checked.listed:
        lines += [listed["listed"], *(f"  {text}" for text in listed["settings"])]
    for record, text in zip(checked.checks, checked.texts):
        if not (options.quiet and passes(record)):
            lines.append(text)
    if several and lines:
        right = f": {sum(map(passes, checked.checks))} of {len(checked.checks)} right" if checked.checks else ""
        head = f"{os.path.relpath(checked.file)}{right}"
        lines = [head, *(f"  {line}" for text in lines for line in text.splitlines())]
    if lines:
        print("\n".join(lines), flush=True)


def _apply(records: list[dict[str, Any]], order: dict[str, Any], timeout: float) -> Iterator[str]:
    """Write all proven fixes into their files, and check these again: what was changed, and how many are right now."""
    fixes: dict[str, dict[int, Edit]] = {}
    for record in records:
        for edit in (record["repair"] or {"edits": []})["edits"]:
            fixes.setdefault(record["file"], {})[edit["line"]] = Edit(**edit)
    if not fixes:
        yield "nothing to mend" if all(map(passes, records)) else "no fix is proven; no file is changed"
        return
    for file, edits in fixes.items():
        chosen = [edits[line] for line in sorted(edits)]
        try:
            kept = apply(file, chosen)
        except (OSError, ValueError) as error:
            raise _Usage(f"cannot mend {file}: {error}") from error
        lines = ", ".join(map(str, sorted(edits)))
        yield f"{os.path.relpath(file)}: line {lines} mended; {kept.name} is kept"
        for edit in chosen:
            yield from edit.diff()
    with _stopped_by_ctrl_c() as stop:
        again = list(_check([Path(file) for file in fixes], {**order, "repair": 0.0, "explain": False}, timeout, stop))
    now = [record for checked in again for record in checked.checks]
    now += [record for record in records if record["file"] not in fixes]
    yield f"now {_closing(now, 1, None)}"


def _closing(records: list[dict[str, Any]], files: int, grades: dict[str, Any] | None) -> str:
    """The count of what is right, the points if there are any, and, where something is unfinished, what comes next."""
    right = sum(map(passes, records))
    counts: dict[str, int] = {}
    for record in records:
        if not passes(record):
            verdict = record["verdict"] if record["verdict"] != "pass" else "with another forward than the reference's"
            counts[verdict] = counts.get(verdict, 0) + 1
    where = f" in {files} files" if files > 1 else ""
    if not records:
        return f"no forward/backward pair and no loss found{where}; pairs are named NAME_forward and NAME_backward"
    rest = "".join(f", {count} {verdict}" for verdict, count in counts.items())
    closing = f"{right} of {len(records)} right{where}{rest}"
    partly = sum(passes(record) and any("not checked" in note for note in record["notes"]) for record in records)
    if partly:
        closing += f"; of {partly} right not all was checked, see there"
    if grades:
        closing += f"; {grades['score']:g} of {sum(test['max_score'] for test in grades['tests']):g} points"
    if "not_implemented" in counts:
        step = next(record for record in records if not passes(record))
        line = f", line {step['line']}" if step["line"] else ""
        closing += f"\nnext: {step['name']} in {os.path.relpath(step['file'])}{line}"
    return closing


def _status(records: list[dict[str, Any]], everything: list[Checked], strict: bool) -> int:
    wrong = [record for record in records if not passes(record)]
    if not strict:
        wrong = [record for record in wrong if record["verdict"] not in UNDECIDED]
    lost = any("left out" in error["message"] or "importing it" in error["message"]
               for checked in everything for error in checked.errors)  # fmt: skip
    return 1 if wrong or lost or not records else 0


def _document(options: argparse.Namespace, everything: list[Checked], records: list[dict[str, Any]]) -> dict[str, Any]:
    from importlib.metadata import version

    versions = {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scipy")}}
    errors = [error for checked in everything for error in checked.errors]
    return {"target": options.target, "seed": options.seed, "versions": versions, "errors": errors, "checks": records}


def _write(out: str, document: dict[str, Any]) -> None:
    """A whole file or none; what is there and is no file, such as a pipe, is written to, not replaced."""
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    if out == "-":
        print(text, end="")
        return
    path = Path(out)
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(text, encoding="utf-8")
            return
        part = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _Usage(f"cannot write {out}: {error.strerror or error}") from error


def _wants_colour(options: argparse.Namespace) -> bool:
    if options.colour != "auto":
        return bool(options.colour == "always")
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
