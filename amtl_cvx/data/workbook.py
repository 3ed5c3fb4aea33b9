"""The .xlsx files: the first sheet as a table of texts; openpyxl is imported when one is opened.

No formula is computed: what counts is the value that was stored with it. A whole number is its digits (7, not
7.0), a day its date, as a .csv of the same sheet would have them.
"""

from __future__ import annotations

import datetime
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.data.header import column_name
from amtl_cvx.data.numerals import Marks
from amtl_cvx.data.texts import TextTable
from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_expansion, read_bytes

_PER_BYTE = 8
"""Bytes of memory that a byte of the sheet takes at least."""
_ROWS = 2**20
"""Most rows of a sheet."""
_FIELDS = 10**6
"""Empty fields that are looked at, beyond one for each byte."""
_log = logging.getLogger(__name__)


class Workbook(TextTable):
    """The first sheet of a .xlsx file; rows without any entry are left out."""

    def __init__(self, path: Path) -> None:
        try:
            from openpyxl import load_workbook
        except ImportError as error:
            raise DataError(
                'reading a .xlsx file needs openpyxl: pip install "amtl-cvx[excel]", or save it as CSV UTF-8'
            ) from error
        content = read_bytes(path)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        check_expansion("the unpacked file", len(content), _PER_BYTE * unpacked)
        self.file, self.marks = path.name, Marks(decimal=".", sheet=True)
        with warnings.catch_warnings(action="ignore"):  # of styles and print areas
            book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # a claim
            self._rows: list[list[str]] = []
            self._lines: list[int] = []
            self._fill(sheet.iter_rows(values_only=True), unpacked)
        if len(book.sheetnames) > 1:
            _log.warning(
                "%s: %d sheets, the first one (%r) is read", path.name, len(book.sheetnames), sheet.title
            )
        if not self._rows:
            raise DataError(f"expected a header and rows, the sheet {sheet.title!r} is empty: add data")
        self.names = tuple(map(column_name, self._rows[0]))

    def records(self) -> Iterator[Sequence[str]]:
        return iter(self._rows[1:])

    def place(self, record: int) -> str:
        return f"row {self._lines[record + 1]}"

    def _fill(self, rows: Iterator[tuple[Any, ...]], unpacked: int) -> None:
        """The rows as texts, as many as the first one has."""
        width = fields = 0
        for line, row in enumerate(rows, 1):
            if line > _ROWS:
                raise DataError(f"the sheet claims more than {_ROWS} rows: damaged, or save it as CSV UTF-8")
            fields += len(row)
            if fields > _FIELDS + unpacked:
                raise DataError(f"row {line} has {len(row)} fields, nearly all empty: delete empty columns")
            texts = [_text(value) for value in row]
            while texts and not texts[-1].strip():
                texts.pop()
            if not texts:
                continue
            width = width or len(texts)
            if len(texts) > width:
                raise DataError(
                    f"the header has {width} fields, row {line} has {len(texts)}: name all columns,"
                    " and delete rows above the names"
                )
            self._rows.append(texts + [""] * (width - len(texts)))
            self._lines.append(line)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    return str(value)
