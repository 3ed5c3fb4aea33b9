"""A table of texts: its rows, and how the numbers in them are written."""

from __future__ import annotations

import abc
import itertools
import logging
from collections.abc import Iterator, Sequence

from amtl_cvx.data.numerals import GROUPED, POINT, Marks, both_ways, readings
from amtl_cvx.errors import DataError

_SAMPLE = 10_000
"""Entries among which a decimal comma is looked for."""
_log = logging.getLogger(__name__)


class TextTable(abc.ABC):
    """The rows of a table under a header of `names`; see the module essay.

    Attributes
    ----------
    names : tuple of str
        The fields of the header, without the spaces around them.
    file : str
        What warnings call the file.
    marks : Marks or None
        How numbers are written; None: found in the first rows.
    sep : str
        What separates the fields of a file of text, "" elsewhere.
    """

    names: tuple[str, ...]
    file: str
    marks: Marks | None
    sep: str = ""

    @abc.abstractmethod
    def records(self) -> Iterator[Sequence[str]]:
        """One pass over the rows, as many fields each as the header has."""

    @abc.abstractmethod
    def place(self, record: int) -> str:
        """Where the file has this row ("line 7")."""


def found_marks(table: TextTable, columns: Sequence[int]) -> Marks:
    """How the numbers of the first rows are written."""
    rows = list(itertools.islice(table.records(), 1 + _SAMPLE // len(table.names)))
    marked = [row[j] for row in rows for j in columns if "," in row[j] or "." in row[j]]
    known: dict[str, list[str]] = {}
    for entry in dict.fromkeys(marked):
        known[entry] = readings(entry)
        if known[entry] == ["."]:
            return Marks(decimal=".", proven=True)
    commas = [entry for entry, found in known.items() if found and "," in entry]
    if [","] in known.values():
        for proof in [entry for entry in commas if known[entry] == [","]][:1]:
            _log.warning("%s: read with decimal commas, such as %s", table.file, proof.strip()[:40])
        return Marks(decimal=",", proven=True)
    if commas:
        raise DataError(both_ways(commas[0]))
    if table.sep == ";":
        _say_what_may_be_thousands(table, columns)
    return Marks(decimal=".")


def _say_what_may_be_thousands(table: TextTable, columns: Sequence[int]) -> None:
    """Name the columns whose points could all mark thousands; none where a point of the table cannot."""
    points: dict[int, str] = {}
    for row in table.records():
        for j in columns:
            if "." in row[j] and POINT.fullmatch(row[j]):
                if not GROUPED["."].fullmatch(row[j]):
                    return
                points.setdefault(j, row[j].strip())
    for j in sorted(points):
        _log.warning(
            "%s: column %r: %s is read as a decimal number: say --decimal , if the point marks thousands",
            table.file,
            table.names[j],
            points[j][:40],
        )
