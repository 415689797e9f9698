"""Datasets from files: CSV, columns separated by tabs, and NumPy's npz."""

from __future__ import annotations

import csv
import itertools
import zipfile
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .dataset import Dataset, as_float32, check_task, from_arrays

SEPARATORS = {",": "commas", "\t": "tabs"}
MAX_CLASSES = 20  # more different whole numbers than these in a CSV's target column are amounts, not labels


def read_csv(path: str | Path, *, target: str | None = None, task: str | None = None) -> Dataset:
    r"""Read a table of numbers, one example a line, columns separated by commas; by tabs where `path` ends in .tsv.

    Parameters
    ----------
    path : str or Path
        UTF-8 text, with or without a byte order mark; quotes and either line end are respected. The first line is a
        header if none of its cells is a number.
    target : str, optional
        The name of the column to learn, in the header; by default the last column.
    task : {"classification", "regression"}, optional
        By default the target column decides. Text is classes, numbered in alphabetical order. Numbers are labels 0..C-1
        if all are whole, at most 20 are different, and at least one occurs twice; otherwise they are targets.

    Raises
    ------
    ValueError
        If the file is empty or ragged, holds text where numbers are due, NaN or infinity, or labels that are not
        0..C-1; the message names file, line and column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "plants.csv")
    ...     _ = path.write_text('height,width,kind\n1.5,2,"fern, tall"\n0.5,1,moss\n')
    ...     read_csv(path).classes
    ('fern, tall', 'moss')
    """
    check_task(task)
    path = Path(path)
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=_delimiter(path), skipinitialspace=True, strict=True)
        try:
            table = _read_table(path, reader, target)
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be UTF-8 text; it is not. Save it as CSV in UTF-8") from None
    X = np.array(table.values).reshape(len(table.lines), -1)
    _check_finite(path, table, X, table.feature_place)
    y = _read_targets(path, table, task)
    if y.dtype.kind == "f":
        _check_finite(path, table, y[:, np.newaxis], lambda _: table.place(table.target))
        if task is None and _are_labels(y):
            y = y.astype(np.int64)
    return from_arrays(X, y, name=str(path), task=task)


def read_npz(path: str | Path, *, target: str | None = None, task: str | None = None) -> Dataset:
    """Read arrays ``X``, ``y`` and, if there, ``classes`` from a file of ``np.savez``; see `from_arrays`.

    Pickled objects are refused, since loading one runs whatever code it holds. `target` names the array to learn where
    it is not called ``y``.
    """
    check_task(task)
    target = target or "y"
    if Path(path).stat().st_size == 0:
        raise ValueError(f"{path} is empty; it must hold arrays X and {target}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} must be a whole .npz file; it is something else or cut short. Save by np.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("X", target, "classes") if name in file}
            found = ", ".join(file) or "nothing"
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} must be a whole .npz file of plain arrays; {error}") from None
    if "X" not in arrays or target not in arrays:
        raise ValueError(f"{path} must hold arrays X and {target}; got {found}. Save by np.savez(path, X=X, y=y)")
    classes = arrays["classes"].tolist() if "classes" in arrays else None
    return from_arrays(arrays["X"], arrays[target], classes=classes, name=str(path), task=task)


READERS: dict[str, Callable[..., Dataset]] = {".csv": read_csv, ".tsv": read_csv, ".npz": read_npz}


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


class _Table(NamedTuple):
    names: list[str] | None  # of all columns
    target: int  # which of them that is
    values: array[float]  # of the others, row by row
    targets: list[str]
    lines: list[int]  # of the file, where each example ends

    def place(self, column: int) -> str:
        name = f" ({self.names[column]})" if self.names else ""
        return f"column {column + 1}{name}"

    def feature_place(self, feature: int) -> str:
        return self.place(feature + (feature >= self.target))


def _read_table(path: Path, reader: Any, target: str | None) -> _Table:
    rows = ((reader.line_num, row) for row in reader if row)
    first = next(rows, None)
    if first is None:
        raise ValueError(f"{path} is empty; it must hold a line an example")
    width = len(first[1])
    if width < 2:
        raise ValueError(
            f"{path} must have features and a target in columns separated by {SEPARATORS[_delimiter(path)]}; "
            f"its first line is one column: {first[1][0][:40]!r}"
        )
    names = None if any(_number(cell) is not None for cell in first[1]) else [cell.strip() for cell in first[1]]
    table = _Table(names, _target_column(path, names, width, target), array("d"), [], [])
    for line, row in itertools.chain([first] if names is None else [], rows):
        if len(row) != width:
            raise ValueError(
                f"{path}, line {line}: expected {width} columns, as in the first line; got {len(row)}. "
                "Fill what is missing, and quote cells that contain a comma"
            )
        table.targets.append(row.pop(table.target).strip())
        table.lines.append(line)
        try:
            table.values.extend(map(float, row))
        except ValueError:
            j = next(j for j, cell in enumerate(row) if _number(cell) is None)
            name = names[j + (j >= table.target)] if names and target is None and row[j].strip() else ""
            hint = f". If {name} is what to learn, name it: target={name!r}, or --target {name}" if name else ""
            raise ValueError(
                f"{path}, line {line}, {table.feature_place(j)}: expected a number; {_got(row[j])}{hint}"
            ) from None
    if not table.lines:
        raise ValueError(f"{path} has a header and no examples; give it at least one")
    return table


def _target_column(path: Path, names: list[str] | None, width: int, target: str | None) -> int:
    if names and "" in names:
        raise ValueError(
            f"{path}: column {names.index('') + 1} has no name in the header. Name it; or if it is the index that "
            "pandas adds, leave it out by to_csv(index=False), lest the net learns from it"
        )
    if target is None:
        return width - 1
    if names is None or target not in names:
        known = f"the header has {', '.join(names)}" if names else "the file has no header"
        raise ValueError(f"{path}: target must be the name of a column; got {target!r}, and {known}")
    return names.index(target)


def _read_targets(path: Path, table: _Table, task: str | None) -> np.ndarray:
    """The target column: float64 if it is all numbers, text if it is labels."""
    numbers = [_number(cell) for cell in table.targets]
    if None not in numbers:
        return np.array(numbers)

    def place(i: int) -> str:
        return f"{path}, line {table.lines[i]}, {table.place(table.target)}"

    text = numbers.index(None)
    if "" in table.targets:
        raise ValueError(f"{place(table.targets.index(''))}: expected a label or target; {_got('')}")
    if task == "regression":
        raise ValueError(f"{place(text)}: expected a number; {_got(table.targets[text])}")
    number = next((i for i, value in enumerate(numbers) if value is not None), None)
    if number is not None and task is None:
        raise ValueError(
            f"{place(text)}: expected all numbers or all text; got {table.targets[text][:40]!r} here and "
            f"{table.targets[number][:40]!r} in line {table.lines[number]}"
        )
    return np.array(table.targets)


def _are_labels(y: np.ndarray) -> bool:
    different = np.unique(y)
    few = len(different) <= MAX_CLASSES and len(different) < len(y)
    return few and bool((different == np.round(different)).all())


def _check_finite(path: Path, table: _Table, values: np.ndarray, place: Callable[[int], str]) -> None:
    _, at = as_float32(values)
    if at is not None:
        raise ValueError(
            f"{path}, line {table.lines[at[0]]}, {place(at[1])}: expected a finite number within float32's 3.4e38; "
            f"got {values[at]}. Fill or drop such lines"
        )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _got(cell: str) -> str:
    return f"got {cell[:40]!r}" if cell.strip() else "the cell is empty. Fill or drop such lines"
