"""Tables of numbers as texts: the cells of a .csv that holds a block, W.csv for one, and what they say.

cells_of    the rows of a table, all of one length
tables_of   blocks of any family, one table each, with the names that stand before rows and above columns
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import existing_file, shown

MAX_TEXT = 1 << 28
"""Largest text file, in bytes, that is read as a point: its numbers take several times that in memory."""
_CORNERS = ("", "task", "feature")
"""What stands above the names of rows, in small letters, where these could be numbers."""


def cells_of(path: Path) -> list[list[str]]:
    """The rows of a table, all of one length, by comma, semicolon or tab."""
    text = text_of(existing_file(path, f"a table {path.name}"))
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        if row
    ]
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise DataError(f"{path.name} must have rows of one length, they have {sorted(lengths)[:5]} cells")
    return rows


def text_of(path: Path) -> str:
    """The text of a file of at most `MAX_TEXT` bytes, in UTF-8."""
    size = path.stat().st_size
    if size > MAX_TEXT:
        raise DataError(f"it has {size} bytes, expected at most {MAX_TEXT}: save W and B as .npz")
    try:
        return path.read_bytes().decode("utf-8-sig")  # line breaks within names as they are
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is {error.object[error.start]:#04x}"
        raise DataError(
            f"{path.name} must be UTF-8, {where}: save it as UTF-8 (CSV UTF-8 in Excel)"
        ) from error


def is_number(cell: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def number(cell: str, key: str) -> float:
    """The number in a cell of the table of `key`, or `DataError`."""
    try:
        return float(cell)
    except ValueError:
        mark = "write a decimal point" if is_number(cell.replace(",", ".", 1)) else "write a number"
        raise DataError(f"{key}.csv must hold numbers, one cell is {cell[:40]!r}: {mark}") from None


def tables_of(
    folder: Path, *, required: Sequence[str], optional: Sequence[str], axes: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Blocks KEY.csv: numbers alone, or below a line of names, each row after its own.

    Names of rows and columns that `axes` calls "task" or "feature" are `task_names` and `feature_names`.
    Those of rows are told from numbers by themselves, or by the first cell of the line of names.

    Raises
    ------
    DataError
        For a table that is missing or holds no numbers, and where two of them name tasks or features
        differently.
    """
    found: dict[str, Any] = {}
    named: dict[str, tuple[str, tuple[str, ...]]] = {}
    for key in (*required, *optional):
        path = folder / f"{key}.csv"
        if key in required or path.exists():
            found[key], names = _block(cells_of(path), key)
            for what, texts in zip(axes.get(key, ("", "")), names, strict=True):
                if not what or texts is None:
                    continue
                first, known = named.setdefault(what, (key, texts))
                if known != texts:
                    raise DataError(
                        f"{first}.csv and {key}.csv name the {what}s differently ({shown(known, 6)};"
                        f" {shown(texts, 6)}): write both in one order"
                    )
    return found | {f"{what}_names": names for what, (_, names) in named.items()}


def _block(
    rows: list[list[str]], key: str
) -> tuple[np.ndarray, tuple[tuple[str, ...] | None, tuple[str, ...] | None]]:
    """The numbers of a table, and the names of its rows and of its columns."""
    headed = not all(map(is_number, rows[0]))
    body = rows[headed:]
    before = not all(is_number(row[0]) for row in body) or (headed and rows[0][0].lower() in _CORNERS)
    array = np.array([[number(cell, key) for cell in row[before:]] for row in body])
    left = tuple(row[0] for row in body) if before else None
    return array, (left, tuple(rows[0][before:]) if headed else None)
