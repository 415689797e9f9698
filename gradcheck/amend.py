"""A wrong backward of a layer mended: edits of its methods, and of what they call, tried in memory."""

from __future__ import annotations

import ast
import contextlib
import faulthandler
import gc
import os
import pickle
import select
import signal
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .edits import changes
from .instrument import definition_of
from .linearity import is_theirs
from .load import read
from .objects import Net
from .place import Change, Place, called
from .rewrite import Body, Edit, Text, edits_between
from .samples import Sample, TimeUp

SCANS = {"cumsum", "cumprod", "accumulate"}
ELSEWHERE = 10  # kinds that an edit on another line than the suspect one has to be likelier by
WAITS = 15  # seconds to wait for one of a processor's time, which others may share


class Amended(NamedTuple):
    """An edit with which a layer passes: its file and lines, and the cause that it proves, if it does."""

    file: str
    edits: list[Edit]
    cause: str | None


class _Function:
    """A function that backward ran, its source, and a way to run it edited."""

    def __init__(self, function: Any, values: dict[str, Any]) -> None:
        code = function.__code__
        self.function, self.values, self.file = function, values, code.co_filename
        self.definition: Any = definition_of(code.co_filename, code.co_name, code.co_firstlineno)
        self.text = Text(read(Path(code.co_filename)))

    @property
    def arguments(self) -> set[str]:
        """The names of its arguments, without self."""
        return {argument.arg for argument in self.definition.args.args} - {"self"}

    def place(self, wrong: list[Any], total: int, *, is_main: bool, is_loss: bool) -> Place:
        """Where edits may go: of a loss, whose gradients are in a dict, everywhere."""
        role = "main" if is_main and not is_loss else "helper"
        return Place(self.text, Body(self.definition), self.values, wrong, total, role=role, is_loss=is_loss)

    def place_of(self, change: Change) -> tuple[str, int]:
        """The file and line of a change."""
        return self.file, self.text.line_of(change.spans[0][0])

    @contextlib.contextmanager
    def edited(self, change: Change) -> Iterator[str]:
        """The function with a change made, as all that call it see it.

        Raises
        ------
        SyntaxError
            If it is no longer the same function, or no Python.
        """
        original = self.function.__code__
        text = self.text.replaced(change.spans)
        lines = self.definition.lineno, self.definition.end_lineno or self.definition.lineno
        stack: list[Any] = [compile(Text(text).passage(lines), self.file, "exec", dont_inherit=True)]
        while stack and (stack[-1].co_name, stack[-1].co_firstlineno) != (original.co_name, original.co_firstlineno):
            stack += [const for const in stack.pop().co_consts if isinstance(const, types.CodeType)]
        if not stack or stack[-1].co_freevars != original.co_freevars:
            raise SyntaxError("no such function")
        self.function.__code__ = stack[-1]
        try:
            yield text
        finally:
            self.function.__code__ = original


def amend(
    sample: Sample,
    passes: Callable[[], bool],
    *,
    suspect: tuple[str, int] | None = None,
    certain: bool = False,
    contract: bool = False,
    seconds: float = 2.0,
) -> Amended | None:
    """Search for an edit with which a layer, or a net, passes; nothing is written.

    The search runs in a process of its own, so that an edit that crashes, or never ends, costs no more than the search;
    where a process cannot be forked there is none.

    Parameters
    ----------
    sample : Sample
        What failed a check, with its true gradients.
    passes : callable
        ``passes() -> bool``, whether it passes that check, and whatever else it has to.
    suspect : (str, int), optional
        File and line to edit first.
    certain : bool, default False
        Whether it is known that this is the line; else likelier kinds of edits come first on other lines too.
    contract : bool, default False
        Whether the values are right and only the contract is broken: then a copy is tried in every place.
    seconds : float > 0, default 2
        Of a processor's time, after which the search is given up.

    Raises
    ------
    TimeUp
        If it is given up.
    """
    return _apart(lambda: _search(sample, passes, suspect, 100 if certain else ELSEWHERE, contract), seconds)


def _search(
    sample: Sample, passes: Callable[[], bool], suspect: tuple[str, int] | None, elsewhere: int, contract: bool
) -> Amended | None:
    functions = functions_of(sample)
    wrong = [(k, sample.names[k], sample.x[k].shape, np.shape(sample.returned[k])) for k in sample.wrong
             if k < len(sample.returned)]  # fmt: skip
    is_loss = isinstance(sample.subject, Net)
    candidates = [
        (
            rank + elsewhere * ((function.file, function.text.line_of(change.spans[0][0])) != suspect),
            n,
            function,
            change,
        )
        for n, function in enumerate(functions)
        for rank, change in changes(
            function.place(wrong, len(sample.names), is_main=n == 0, is_loss=is_loss), contract=contract
        )
    ]
    for _, _, function, change in sorted(candidates, key=lambda candidate: candidate[:2]):
        with contextlib.suppress(Exception), function.edited(change) as text:
            if _is_right(sample) and passes():
                return Amended(function.file, edits_between(function.text.text, text), change.cause)
    return None


def _apart(search: Callable[[], Any], seconds: float) -> Any:
    """What a search returns, run in a forked process for so many seconds of a processor's time.

    None if it crashes, or cannot be forked; TimeUp is raised if it takes longer.
    """
    if not hasattr(os, "fork"):
        return None
    ours, theirs = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: the child starts none, and is ended if it hangs
        child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, seconds)  # then it ends
        with contextlib.suppress(BaseException), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)  # of a crash nobody needs to hear
            faulthandler.disable()
            os.write(theirs, pickle.dumps(search()))  # a few lines: less than a pipe holds
        os._exit(0)
    os.close(theirs)
    try:
        ready, _, _ = select.select([ours], [], [], WAITS * seconds)
        found = os.read(ours, 1 << 16) if ready else b""
    finally:  # also where Ctrl-C ends the waiting
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if not ready or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF):
        raise TimeUp
    return pickle.loads(found) if found else None


def _is_right(sample: Sample) -> bool:
    found = sample.backward(sample.douts)
    if len(found) != len(sample.names):
        return False
    order = [*sample.wrong, *(k for k in range(len(found)) if k not in sample.wrong)]
    outs = sample.forward(sample.x)
    return all(sample.agrees(k, found[k]) for k in order) and all(map(np.array_equal, outs, sample.outs))


def functions_of(sample: Sample) -> list[_Function]:
    """The functions that backward runs, forward does not, and that have a source; itself first.

    Of a net, whose ``loss`` does both, all that it runs.
    """
    forward = {} if isinstance(sample.subject, Net) else _ran(lambda: sample.forward(sample.x))
    found = []
    for code, values in reversed(_ran(lambda: sample.backward(sample.douts)).items()):  # callers come after the called
        owners = [f for f in gc.get_referrers(code) if isinstance(f, types.FunctionType)]
        is_layers = "self" not in values or any(hasattr(values["self"], name) for name in ("backward", "loss"))
        if owners and is_layers and code not in forward and code.co_name not in ("<lambda>", "checking"):
            function = _Function(owners[0], values)
            if function.definition is not None:
                found.append(function)
    return found


def loops(sample: Sample) -> bool:
    """Whether backward, or what it calls, goes along something step by step."""
    nodes = (node for function in functions_of(sample) for node in ast.walk(function.definition))
    return any(
        isinstance(node, (ast.For, ast.While)) or (isinstance(node, ast.Call) and called(node) in SCANS)
        for node in nodes
    )


def _ran(call: Callable[[], Any]) -> dict[Any, dict[str, Any]]:
    """The code that ran, with what its names held at last, in the order in which it came to an end."""
    ran: dict[Any, dict[str, Any]] = {}

    def note(frame: Any, event: str, arg: Any) -> None:
        if event == "return" and is_theirs(frame.f_code.co_filename):
            ran[frame.f_code] = dict(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return ran
