"""Frames of pandas and polars: their numbers and their names, recognised without importing either package."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import DataError

REAL = "fiub"
"""Kinds of dtypes that hold real numbers."""


def is_frame(value: object) -> bool:
    """Whether `value` is a table with named columns, of pandas or polars."""
    if is_a(value, "polars", "LazyFrame"):
        raise DataError("a polars LazyFrame has no rows yet: give frame.collect()")
    return is_a(value, "pandas", "DataFrame") or is_a(value, "polars", "DataFrame")


def check_nameless(value: object, what: str) -> None:
    """`DataError` for what has names that an array of it would lose: other tables, a list of named rows."""
    if any(getattr(value, name, None) is not None for name in ("__dataframe__", "columns", "column_names")):
        kind = f"{type(value).__module__.partition('.')[0]} {type(value).__name__}"
        raise DataError(f"{what} is a table ({kind}): give it as a frame of pandas or polars (.to_pandas())")
    row: Any = value[0] if isinstance(value, list | tuple) and value else None
    if is_a(row, "pandas", "Series") and list(row.index) != list(range(len(row))):
        raise DataError(f"{what} is a list of rows with names (Series): give pandas.DataFrame({what})")


def nameless(value: object, what: str) -> object:
    """`value`, or `DataError` for a Series with names where only the order of the numbers is known."""
    if is_a(value, "pandas", "Series"):
        index = list(value.index)  # type: ignore[attr-defined]
        if index != list(range(len(index))):
            raise DataError(f"{what} is a Series with names, expected numbers in order: give .to_numpy()")
    return value


def is_series(value: object) -> bool:
    """Whether `value` is one column of pandas or polars."""
    return is_a(value, "pandas", "Series", "Index") or is_a(value, "polars", "Series")


def column_names(value: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns; None for an array, or a frame whose columns only count."""
    if not is_frame(value):
        return None
    columns = list(value.columns)
    counts = columns in (list(range(len(columns))), [f"column_{j}" for j in range(len(columns))])
    return None if counts else tuple(clean(column) for column in columns)


def row_names(value: Any) -> tuple[str, ...] | None:
    """The names of a pandas frame's rows; None for everything else, or where they only count."""
    if not is_a(value, "pandas", "DataFrame"):
        return None
    rows = list(value.index)
    return None if rows == list(range(len(rows))) else tuple(clean(row) for row in rows)


def column_order(value: object, names: Sequence[str] | None, what: str) -> NDArray[np.intp] | None:
    """The order that brings a frame's columns into that of `names`; None where they are in it.

    Columns that are the numbers 0..d-1 in another order are numbers of features that have no names.
    """
    found = column_names(value)
    count = [str(j) for j in range(len(found or ()))]
    if names is None and found is not None and sorted(found) == sorted(count):
        names = count
    return order_of(found, names, f"the columns of {what}")


def order_of(found: Sequence[str] | None, names: Sequence[str] | None, what: str) -> NDArray[np.intp] | None:
    """Where each of `names` stands in `found`; None where nothing is named, or nothing to be moved."""
    if found is None:
        return None
    check_distinct(found, what)
    if names is None or tuple(found) == tuple(names):
        return None
    place = {name: j for j, name in enumerate(found)}
    absent = [name for name in names if name not in place]
    extra = sorted(set(found) - set(names))
    if absent or extra:
        said = [f"no {name!r}" for name in absent[:1]] + [f"{name!r} is none of them" for name in extra[:1]]
        raise DataError(
            f"{what} must be those of the fit ({_shown(names)}), {', '.join(said)}: give the same, or an"
            " array in their order"
        )
    return np.array([place[name] for name in names], dtype=np.intp)


def check_aligned(first: Any, other: Any, what: str) -> None:
    """`DataError` where two pandas objects label the same rows, in another order; labels may repeat."""
    if not all(is_a(value, "pandas", "DataFrame", "Series") for value in (first, other)):
        return
    if first.index.equals(other.index) or len(first) != len(other):
        return
    if Counter(first.index) == Counter(other.index):
        raise DataError(
            f"{what} have the same row labels in another order: sort them alike (y.loc[X.index]), or drop the"
            " labels with reset_index(drop=True)"
        )


def check_distinct(names: Sequence[str], what: str) -> None:
    """`DataError` that tells a name that occurs more than once."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(f"{what} must have different names, {twice!r} occurs more than once: rename one")


def clean(name: object) -> str:
    """A name as the text that it shows (NFC): macOS writes an umlaut as a letter and a mark."""
    return unicodedata.normalize("NFC", storable(name))


def storable(name: object) -> str:
    """Text that every file can hold: what is no UTF-8 (a surrogate) becomes "?"."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    return text.encode("utf-8", "replace").decode()


def check_complete(frame: Any) -> None:
    """`DataError` that names the first column of a frame with a missing value."""
    if is_a(frame, "polars", "DataFrame"):
        missing = [name for name in frame.columns if frame[name].null_count()]
    else:
        missing = list(frame.columns[frame.isna().any()])
    if missing:
        raise DataError(f"column {clean(missing[0])!r} has missing values: drop or fill those rows first")


def frame_numbers(frame: Any) -> NDArray[np.float64]:
    """The entries of a frame as float64, or `DataError` that names the first column that is not numeric."""
    check_complete(frame)
    polars = is_a(frame, "polars", "DataFrame")
    for column, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if not (dtype.is_numeric() or str(dtype) == "Boolean" if polars else dtype.kind in REAL):
            raise DataError(f"column {clean(column)!r} is not numeric ({dtype}): encode or drop it")
    if polars:
        return np.asarray(frame.cast(sys.modules["polars"].Float64).to_numpy(), dtype=np.float64)
    return np.asarray(frame.to_numpy(dtype=np.float64))


def frame_entries(frame: Any) -> NDArray[Any]:
    """A frame's entries, text as well, nothing missing."""
    check_complete(frame)
    return np.asarray(frame.to_numpy())


def series_entries(series: Any, what: str) -> NDArray[Any]:
    """The entries of a pandas Series or Index or a polars Series, nothing missing."""
    if is_a(series, "polars", "Series"):
        missing, entries = series.null_count(), series.to_numpy()
    else:
        missing, entries = series.isna().any(), series.to_numpy()
    if missing:
        raise DataError(f"{what} has missing values: drop or fill those rows first")
    if entries.dtype.kind == "O":  # an extension type: numbers come out as Python's
        entries = np.asarray(entries.tolist(), dtype=None if plain_numbers(entries) else object)
    return np.asarray(entries)


def plain_numbers(entries: NDArray[Any]) -> bool:
    """Whether an array of Python objects holds nothing but numbers."""
    return all(isinstance(entry, int | float) for entry in entries.tolist())


def is_a(value: object, module: str, *names: str) -> bool:
    """Whether `value` is of a class of some package; a package that is not loaded has made nothing."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, tuple(getattr(loaded, name, ()) for name in names))


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
