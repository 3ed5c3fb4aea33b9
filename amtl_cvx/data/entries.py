"""Columns of texts as targets and weights, and what is said of an entry that is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.data.numerals import MISSING, POINT, Marks, advice, as_numbers, readings
from amtl_cvx.data.texts import TextTable
from amtl_cvx.errors import DataError

CURE = "drop or fill those rows first, or leave them out with --missing drop"
"""What to do about a target that is missing."""


def labelled_of(texts: Sequence[str], name: str, missing: str | None) -> Mask:
    """Which entries of the target are there, where others are to be left out."""
    if missing is None:
        return np.ones(len(texts), dtype=bool)
    absent = {text: text.strip() in MISSING for text in set(texts)}
    there = np.array([not absent[text] for text in texts])
    if not there.any():
        raise DataError(f"column {name!r} has no entry: name another target")
    return there


def weights_of(table: TextTable, name: str, texts: Sequence[str], marks: Marks) -> Array:
    """The weights of the rows."""
    values = as_numbers(texts, marks)
    if values is None or values.dtype == np.bool_:
        raise unusable(table, name, texts, marks, first=0)
    if (values < 0.0).any():
        row = int(np.argmin(values))
        raise DataError(f"column {name!r} must hold weights >= 0, {table.place(row)} has {values[row]:g}")
    found: Array = values
    return found


def targets_of(table: TextTable, name: str, texts: Sequence[str], marks: Marks, there: Mask) -> NDArray[Any]:
    """Numbers, True and False, or texts of which none is a number: labels.

    Where an entry is missing another one stands for it, so that every entry keeps its line.
    """
    if not there.all():
        other = texts[int(np.argmax(there))]
        texts = [text if known else other for text, known in zip(texts, there.tolist(), strict=True)]
    values = as_numbers(texts, marks)
    if values is not None:
        return values
    different = set(texts)
    if any(POINT.fullmatch(text) or readings(text) for text in different):
        raise unusable(table, name, texts, marks, first=0, cure=CURE)
    if any(text.strip() in MISSING for text in different):
        at = next(i for i, text in enumerate(texts) if text.strip() in MISSING)
        raise unusable(table, name, [texts[at]], marks, first=at, cure=CURE)
    return np.array(texts, dtype=object)


def unusable(
    table: TextTable,
    name: str,
    column: Sequence[str],
    marks: Marks,
    *,
    first: int,
    cure: str = "drop or fill those rows first",
) -> DataError:
    """What to say of the first entry that is no number; row 0 of `column` is row `first` of the table.

    `cure` is what to do about one that is missing.
    """
    alone = [as_numbers([entry], marks) for entry in column]
    at = next((i for i, value in enumerate(alone) if value is None), None)
    if at is None:  # numbers, and True and False
        at = next((i for i, value in enumerate(alone) if value is not None and value.dtype == np.bool_), 0)
        place = table.place(first + at)
        return DataError(f"column {name!r} is not numeric throughout ({column[at][:40]!r} on {place})")
    place, entry = table.place(first + at), column[at].strip()
    if entry in MISSING or entry.lower() == "nan":
        return DataError(f"column {name!r} has missing values ({entry!r} on {place}): {cure}")
    if entry.lower().lstrip("+-") in ("inf", "infinity") or (
        POINT.fullmatch(entry) and not np.isfinite(float(entry))
    ):
        return DataError(f"column {name!r} must be finite, it has {entry!r} on {place}: drop such rows first")
    return DataError(f"column {name!r} is not numeric ({entry[:40]!r} on {place}): {advice(entry, marks)}")
