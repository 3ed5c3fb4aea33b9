"""Texts as numbers: how an entry is written, and what to do about one that is no number.

Entries are decimal numbers, or True and False. The decimal mark is the one that some number proves (1,5 or
0.25; 1,841 proves nothing); the other mark is one of thousands only where the user says which is the decimal
one, and where it groups digits by three.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"]
    + ["N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
"""Entries of a feature or target that mean that there is no value: those of pandas."""
POINT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
GROUPED = {
    ",": re.compile(r"\s*[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?\s*", re.ASCII),
    ".": re.compile(r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?\s*", re.ASCII),
}
"""Numbers with this mark of thousands, strictly."""
OTHER = {".": ",", ",": "."}


@dataclass(frozen=True, kw_only=True)
class Marks:
    """How numbers are written.

    Parameters
    ----------
    decimal : str
        The decimal mark, "." or ",".
    said : bool
        Whether the user says so. The other mark is then one of thousands where it stands as such.
    proven : bool
        Whether numbers of the table are no others (1,5 or 1.841,5); else it is assumed.
    sheet : bool
        Whether the table has numbers of its own, and texts need no reading.
    """

    decimal: str
    said: bool = False
    proven: bool = False
    sheet: bool = False

    @property
    def thousands(self) -> str | None:
        """The mark of thousands that is read."""
        return OTHER[self.decimal] if self.said else None

    def plain(self, joined: str) -> list[str] | None:
        """Entries, joined by zeros, as `float` reads them; None where one has a mark in another place."""
        other = OTHER[self.decimal]
        if other in joined:
            grouped = GROUPED[other].fullmatch
            marked = [entry for entry in joined.split("\0") if other in entry]
            if self.thousands is None or not all(map(grouped, marked)):
                return None
            joined = joined.replace(other, "")
        return joined.replace(",", ".").split("\0")


def as_numbers(column: Sequence[str], marks: Marks) -> NDArray[Any] | None:
    """Entries as finite float64, or as bool where all are True or False; None where some are neither."""
    joined = "\0".join(column)
    if "_" in joined or not joined.isascii():
        return None  # float() reads 1_000 and digits of any script
    plain = marks.plain(joined) if "," in joined or marks.decimal == "," and "." in joined else column
    if plain is None:
        return None
    try:
        values = np.fromiter(map(float, plain), dtype=np.float64, count=len(plain))
    except ValueError:
        words = {entry: entry.strip().lower() for entry in set(column)}
        if not set(words.values()) <= {"true", "false"}:
            return None
        return np.array([words[entry] == "true" for entry in column])
    return values if np.isfinite(values).all() else None


def readings(entry: str) -> list[str]:
    """The decimal marks under which a number with a comma or a point can be read."""
    if not any(mark in entry for mark in OTHER):
        return []
    return [mark for mark in OTHER if as_numbers([entry], Marks(decimal=mark, said=True)) is not None]


def advice(entry: str, marks: Marks) -> str:
    """What to do about an entry that is no number under these marks.

    An option is named for what it means, and where the table has numbers that it cannot read, none is.
    """
    found = readings(entry)
    if not found:
        return "encode or drop it"
    if marks.sheet:
        return "make it a number of the sheet"
    own, other = marks.decimal, OTHER[marks.decimal]
    words = {".": "points", ",": "commas"}
    if not marks.said and own in found and (marks.proven or found == [own]):
        return f"say --decimal {own} if {other!r} marks thousands, or write it without the mark"
    if marks.proven:
        return "the table has decimal points and decimal commas, --decimal reads one: write all numbers alike"
    if len(found) == 2:
        return both_ways(entry)
    return (
        f"say --decimal {other} where all numbers have decimal {words[other]}, else write them with decimal"
        f" {words[own]}"
    )


def both_ways(entry: str) -> str:
    """That a number can be read under either mark."""
    mark, name = (",", "comma") if "," in entry else (".", "point")
    return (
        f"{entry.strip()[:40]!r} may have a decimal {name} (say --decimal {mark}) or a mark of thousands"
        f" (say --decimal {OTHER[mark]})"
    )
