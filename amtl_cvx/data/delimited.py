"""The .csv files: rows of texts between separators, as Excel, R and pandas write them in any country.

The separator (`,` `;` tab `|`) is the one under which the header has the columns asked for; the encoding is
the one its byte order mark names, else --encoding, else UTF-8, else Windows-1252 (Latin-1 and a little more)
with a warning.
Where more than one reading is left, the error names the option: --sep, --decimal, --encoding. A .csv.gz is
inflated first.

Fields are told apart by the csv module alone, quotes and line breaks within them included; a row that has
more or fewer fields than the header is refused, because nobody knows which one is missing.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from amtl_cvx.data.header import column_name
from amtl_cvx.data.numerals import Marks
from amtl_cvx.data.texts import TextTable
from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_expansion, read_bytes, shown

if TYPE_CHECKING:
    import _csv

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""The separators that are found, and their names."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks, the longer ones first."""
_PIECE = 1 << 20
_SAMPLE = 50
"""Lines in which the separator is looked for."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a .csv is written; None: to be found.

    Parameters
    ----------
    sep : str, optional
        The separator, one character, or its name: comma, semicolon, tab, bar.
    decimal : str, optional
        The decimal mark, "." or ",".
    encoding : str, optional
        A name of Python's codecs, such as utf-8, cp1252, utf-16.

    Raises
    ------
    DataError
        For what is none of these.
    """

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None

    def __post_init__(self) -> None:
        names = {name: sep for sep, name in SEPARATORS.items()} | {r"\t": "\t"}
        sep = self.sep if self.sep is None else names.get(self.sep, self.sep)
        if sep is not None and (len(sep) != 1 or sep in '"\r\n\0.' or sep.isalnum()):
            raise DataError(f"--sep must be one character such as ; or tab, got {self.sep!r}")
        object.__setattr__(self, "sep", sep)
        if self.decimal not in (None, ".", ","):
            raise DataError(f"--decimal must be . or a comma, got {self.decimal!r}")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except (LookupError, ValueError) as error:
                raise DataError(
                    f"--encoding must be a name such as utf-8, cp1252 or utf-16, got {self.encoding!r}"
                ) from error

    @property
    def given(self) -> bool:
        """Whether anything is said."""
        return (self.sep, self.decimal, self.encoding) != (None, None, None)


class DelimitedText(TextTable):
    """A .csv or .csv.gz file; `wanted` are columns that its header should have."""

    def __init__(self, path: Path, dialect: Dialect, *, wanted: Collection[str] = ()) -> None:
        content = read_bytes(path)
        size = len(content)
        if path.suffix.lower() == ".gz":
            content = _inflated(content)
        self.file, self._content = path.name, content
        self.marks = None if dialect.decimal is None else Marks(decimal=dialect.decimal, said=True)
        self._encoding = _encoding(content, path.name, dialect.encoding)
        _check_encoding(content, self._encoding)
        self._skipped = 0
        self.sep = dialect.sep or self._given_sep() or self._found_sep(set(map(column_name, wanted)))
        reader = self._reader(self.sep)
        self.names = tuple(map(column_name, _fields(reader)))
        if not any(self.names):
            raise DataError("expected a header line with the names of the columns, there is none: add it")
        missing = [name for name in wanted if column_name(name) not in self.names]
        if missing:
            self._check_title(set(map(column_name, wanted)), missing[0])
        if len(self.names) == 1 and missing:
            raise DataError(
                f"no column {missing[0]!r}; the only column is {shown(self.names)}: say the separator (--sep)"
            )
        rows, gaps = content.count(b"\n") + content.count(b"\r"), content.count(self.sep.encode())
        # read, put together, and a part for every task; the texts of the task and the target
        check_expansion("the table", size, 24 * (rows + gaps) + 150 * rows)

    def records(self) -> Iterator[Sequence[str]]:
        reader = self._reader(self.sep)
        _fields(reader)
        width = len(self.names)
        try:
            for row in reader:
                if len(row) == width:
                    yield row
                elif row and (len(row) > 1 or row[0].strip()):
                    raise self._ragged(row, reader.line_num + self._skipped)
        except csv.Error as error:
            place = f"line {reader.line_num + self._skipped}"
            raise DataError(f"{place} is not made of fields ({error}): quote all of them") from error

    def place(self, record: int) -> str:
        reader = self._reader(self.sep)
        _fields(reader)
        rows = (row for row in reader if len(row) == len(self.names))
        for _ in itertools.islice(rows, record):
            pass
        inside = sum(entry.count("\n") for entry in next(rows))
        return f"line {reader.line_num - inside + self._skipped}"

    def _reader(self, sep: str) -> _csv.Reader:
        lines = io.TextIOWrapper(io.BytesIO(self._content), encoding=self._encoding, newline="")
        for _ in range(self._skipped):
            lines.readline()
        return csv.reader(lines, delimiter=sep, strict=True)

    def _ragged(self, row: Sequence[str], line: int) -> DataError:
        found = f"the header has {len(self.names)} fields, line {line} has {len(row)}"
        mark = repr(self.sep)
        if len(row) < len(self.names):
            return DataError(f"{found}: complete the line, or is {mark} not the separator (--sep)?")
        if not row[-1].strip():
            return DataError(f"{found}, it ends with {mark}: delete that {mark}")
        return DataError(f"{found}: name every column, and quote entries that hold {mark} (--sep, --decimal)")

    def _check_title(self, wanted: set[str], missing: str) -> None:
        """`DataError` where the columns wanted are named some lines further down."""
        for sep in {self.sep: 0, **SEPARATORS}:
            reader = self._reader(sep)
            with contextlib.suppress(csv.Error):
                for row in itertools.islice(reader, _SAMPLE):
                    if wanted <= set(map(column_name, row)):
                        line = f"line {reader.line_num + self._skipped}"
                        raise DataError(
                            f"no column {missing!r} in the first line, {line} has it: delete the lines above"
                        )

    def _given_sep(self) -> str | None:
        """The separator that Excel's first line `sep=;` names; that line is then no header."""
        with io.TextIOWrapper(io.BytesIO(self._content), encoding=self._encoding) as lines:
            match = re.fullmatch(r'"?sep=(.)"?\s*', lines.readline(100))
        if match is None:
            return None
        self._skipped = 1
        return Dialect(sep=match[1]).sep

    def _found_sep(self, wanted: Collection[str]) -> str:
        """The only separator that gives the columns wanted, else rows as long as the header."""
        headers: dict[str, list[str]] = {}
        even: list[str] = []
        for sep in SEPARATORS:
            try:
                rows = list(itertools.islice(filter(None, self._reader(sep)), _SAMPLE))
            except csv.Error:
                continue
            header = list(map(column_name, rows[0])) if rows else []
            if len(header) > 1:
                headers[sep] = header
                even += [sep] if {len(row) for row in rows} == {len(header)} else []
        right = [sep for sep, header in headers.items() if wanted and set(wanted) <= set(header)]
        choice = right or even or list(headers) or [","]
        if "," in choice:
            return ","
        if len(choice) > 1:
            names = " or ".join(SEPARATORS[sep] for sep in choice)
            raise DataError(f"the separator may be {names}: say which with --sep")
        return choice[0]


def _fields(reader: _csv.Reader) -> list[str]:
    """The header: the first line that is not blank."""
    try:
        return next((row for row in reader if len(row) > 1 or any(map(str.strip, row))), [])
    except csv.Error as error:
        raise DataError(f"the header is not made of fields ({error}): quote all names") from error


def _encoding(content: bytes, file: str, said: str | None) -> str:
    """The encoding of a byte order mark, else the one said, else the one that the bytes have."""
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            return name
    if said is not None and not (codecs.lookup(said).name == "utf-16" and b"\0" in content[:_PIECE]):
        return said  # UTF-16 without a mark is found below, Python's utf-16 needs one
    if b"\0" in content[:_PIECE]:
        head = content[:4096]
        for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
            if zeros.count(0) > 0.5 * len(zeros) and head.count(0) == zeros.count(0):
                return name
        raise DataError("expected a table of text, it holds zero bytes: save it as .csv, or say --encoding")
    if content.isascii() or _decodes(content, "utf-8"):
        return "utf-8"
    if not _decodes(content, "cp1252"):
        raise DataError("it is not UTF-8 and not Latin-1: say --encoding, or save it as CSV UTF-8")
    _log.warning("%s: not UTF-8, read as Latin-1 (Windows-1252): say --encoding if names look wrong", file)
    return "cp1252"


def _check_encoding(content: bytes, encoding: str) -> None:
    """`DataError` for bytes that are none of this encoding, or no text."""
    if not _decodes(content, encoding):
        raise DataError(f"it cannot be read as {encoding}: say the right --encoding, or save it as CSV UTF-8")


def _decodes(content: bytes, encoding: str) -> bool:
    """Whether all is text without a zero character, looked at in pieces."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        for start in range(0, len(content) + 1, _PIECE):
            text = decoder.decode(content[start : start + _PIECE], start + _PIECE > len(content))
            if "\0" in text:
                return False
    except (UnicodeError, LookupError):
        return False
    return True


def _inflated(content: bytes) -> bytes:
    """What a .gz holds."""
    parts, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        while part := stream.read(_PIECE):
            parts.append(part)
            size += len(part)
            check_expansion("the unpacked file", len(content), size)
    return b"".join(parts)
