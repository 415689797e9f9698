"""A file's text edited by the nodes of its syntax tree, line for line; which statements a value comes from."""

from __future__ import annotations

import ast
import bisect
import itertools
import os
import re
import shutil
import tempfile
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

Span = tuple[int, int, str]  # start and end in the text, and what is to stand there


class Edit(NamedTuple):
    """One whole line of a file, before and after."""

    line: int
    before: str
    after: str

    def diff(self) -> list[str]:
        """As two lines, what goes and what comes."""
        return [f"  {self.line:4} - {self.before.strip()}", f"  {'':4} + {self.after.strip()}"]


class Text:
    """The text of a file, with the places of its nodes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line) + 1)

    def at(self, line: int, column: int) -> int:
        """The place of a line's column; the syntax tree counts columns in bytes of UTF-8."""
        row = self.lines[line - 1]
        return self._starts[line - 1] + (
            column if row.isascii() else len(row.encode()[:column].decode(errors="ignore"))
        )

    def line_of(self, place: int) -> int:
        """The number of the line that holds a place."""
        return bisect.bisect_right(self._starts, place)

    def span(self, node: Any) -> tuple[int, int]:
        """Where a node starts and ends."""
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def end(self, node: Any) -> int:
        """Where a node ends."""
        return self.span(node)[1]

    def outside(self, node: Any) -> tuple[int, int]:
        """A node with its own parentheses."""
        start, end = self.span(node)
        while True:
            before = len(self.text[:start].rstrip())
            after = end + len(self.text[end:]) - len(self.text[end:].lstrip())
            if self.text[before - 1 : before] != "(" or self.text[after : after + 1] != ")":
                return start, end
            if re.search(r"[\w\])]\s*$", self.text[max(0, before - 40) : before - 1]):
                return start, end  # those of a call
            start, end = before - 1, after + 1

    def operator(self, left: Any, right: Any) -> tuple[int, str]:
        """Where the operator between two nodes is, and which."""
        start, end = self.end(left), self.span(right)[0]
        found = re.search(r"(//|\*\*|[-+*/@%])=?", re.sub(r"#.*", lambda m: " " * len(m[0]), self.text[start:end]))
        return (start + found.start(), found[0]) if found else (start, "")

    def of(self, node: Any) -> str:
        """A node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def replaced(self, spans: Iterable[Span]) -> str:
        """The text with other words at some places and as many lines: where one spans lines, their ends stay."""
        text = self.text
        for start, end, new in sorted(spans, reverse=True):
            text = text[:start] + new + "\n" * text.count("\n", start, end) + text[end:]
        return text

    def function(self, lines: tuple[int, int]) -> ast.FunctionDef:
        """The definition that stands on these lines, with its lines' numbers.

        Raises
        ------
        SyntaxError
            If it is none.
        """
        body: list[Any] = ast.parse(self.passage(lines)).body
        node = body[0].body[0] if isinstance(body[0], ast.If) else body[0]
        if not isinstance(node, ast.FunctionDef):
            raise SyntaxError("no definition")
        return node

    def passage(self, lines: tuple[int, int]) -> str:
        """These lines alone, see `passage`."""
        return passage(self.lines, lines)


def passage(rows: list[str], lines: tuple[int, int]) -> str:
    """Some of a text's rows alone, to be compiled: with the numbers that they have there."""
    first, last = lines
    rows = rows[first - 1 : last]
    before = "\n" * (first - 2) + "if True:\n" if rows[0][:1].isspace() else "\n" * (first - 1)
    return before + "\n".join(rows)


def edits_between(before: str, after: str) -> list[Edit]:
    """The lines in which two texts of as many lines differ."""
    pairs = enumerate(zip(before.split("\n"), after.split("\n")), start=1)
    return [Edit(line, old, new) for line, (old, new) in pairs if old != new]


class Body:
    """A function's statements, the parts of each, and what flows into what."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.function = function
        self.parent = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
        self.statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function]
        self.statements.sort(key=lambda node: node.lineno)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What a node lies in, from the inside out."""
        while node in self.parent:
            node = self.parent[node]
            yield node

    @cached_property
    def returns(self) -> list[ast.Return]:
        """The statements that return something."""
        return [s for s in self.statements if isinstance(s, ast.Return) and s.value is not None]

    def flowing_into(self, names: set[str]) -> set[ast.stmt]:
        """The statements that any of these names may owe its value to."""
        known, found = set(names), set[ast.stmt]()
        while True:
            new = [s for s in self.statements if s not in found and self._bound(s) & known]
            if not new:
                return found
            for statement in new:
                found.add(statement)
                known |= _read(statement)
                for outer in self.around(statement):
                    if isinstance(outer, ast.stmt) and outer is not self.function:
                        found.add(outer)
                        known |= _read(outer)

    def _bound(self, statement: ast.stmt) -> set[str]:
        """The names that a statement assigns, in whole or in part, or hands to a function that may write into them."""
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            return {root for target in targets for root in _roots(target)}
        if isinstance(statement, ast.For):
            return set(_roots(statement.target))
        return _read(statement) if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else set()


def heads(statement: ast.stmt) -> list[ast.AST]:
    """A simple statement itself; of a compound one what stands before its colon. That of a while is left alone."""
    if isinstance(statement, ast.For):
        return [statement.iter]
    if isinstance(statement, ast.If):
        return [statement.test]
    return [] if hasattr(statement, "body") else [statement]


def _read(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.While):
        return _names(statement.test)
    return {name for head in heads(statement) for name in _names(head)}


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _roots(target: ast.AST) -> Iterator[str]:
    """The names that an assignment's target stores into."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _roots(element)
    elif isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        yield from _roots(target.value)


def apply(path: Path | str, edits: Sequence[Edit]) -> Path:
    """Write edits into a file, which is kept as FILE.bak, or FILE.bak1 if there is one, and so on; where it is kept.

    Raises
    ------
    ValueError
        If a line is not what it was when the edit was made; nothing is written then.
    """
    path = Path(path)
    with open(path, "rb") as source:
        encoding = tokenize.detect_encoding(source.readline)[0].removesuffix("-sig")
    rows = path.read_bytes().splitlines(keepends=True)  # of str it would also part at form feeds
    lines = [row.decode(encoding, "surrogateescape") for row in rows]
    for edit in edits:
        old = lines[edit.line - 1] if 0 < edit.line <= len(lines) else ""
        body = old.rstrip("\r\n")
        if body != edit.before:
            raise ValueError(f"line {edit.line} of {path} must be {edit.before!r}; got {body!r}: check the file again")
        lines[edit.line - 1] = edit.after + old[len(body) :]
    kept = next(name for n in itertools.count() if not (name := Path(f"{path}.bak{n or ''}")).exists())
    shutil.copy2(path, kept)
    handle, new = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write("".join(lines).encode(encoding, "surrogateescape"))
        shutil.copymode(path, new)
        os.replace(new, path)
    except BaseException:
        os.unlink(new)
        raise
    return kept
