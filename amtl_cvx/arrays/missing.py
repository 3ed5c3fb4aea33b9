"""Labels that are missing: NaN, None, NA or null in the targets of a task, whose rows are left out there."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays.frames import is_a, is_series
from amtl_cvx.arrays.gate import Mask, as_array
from amtl_cvx.errors import DataError

DROP = "drop"
"""What `missing` says where rows without a label are left out."""


def check_missing(missing: object) -> None:
    """`DataError` for what says neither that rows without a label are left out nor that they are an error."""
    if missing not in (None, DROP):
        raise DataError(f'missing must be "drop" (leave rows without a label out) or None, got {missing!r}')


def target_matrix(Y: Any) -> NDArray[Any]:
    """Targets of several tasks, one column each, None allowed where one is missing."""
    if isinstance(Y, list | tuple):
        with contextlib.suppress(ValueError):  # rows of different lengths, which `as_array` says
            table = np.array(Y, dtype=object)
            if table.ndim == 2 and any(each is None for each in table.flat):
                return table
    return as_array(Y, "Y")


def labelled(y: Any, missing: str | None) -> tuple[Any, Mask | None]:
    """The targets that are there, and which rows these are: None for all of them, and without `missing`."""
    check_missing(missing)
    there = None if missing is None else _there(y)
    if there is None or there.ndim != 1:
        return y, None
    if is_a(y, "polars", "Series"):
        found = y if there.all() else y.filter(there)
    elif is_series(y):
        found = y if there.all() else y[there].infer_objects()
    else:
        found = np.asarray(y)[there] if not there.all() else y
        plain = isinstance(found, np.ndarray) and found.dtype == object
        found = np.array(found.tolist()) if plain else found
    return found, None if there.all() else there


def _there(y: Any) -> Mask | None:
    """Which entries have a value; None for what is no column of targets, which others say."""
    if is_a(y, "polars", "Series"):
        nulls: Mask = np.asarray(y.is_null().to_numpy())
        return ~(nulls | np.asarray(y.is_nan().fill_null(True)) if y.dtype.is_float() else nulls)
    if is_series(y):
        return np.asarray(y.notna())
    try:
        array = np.asarray(y)
    except ValueError:
        return None
    if isinstance(y, np.ma.MaskedArray):
        return None
    if array.dtype.kind == "f":
        return np.asarray(~np.isnan(array))
    if array.dtype != object:
        return None
    return np.array([not (each is None or _is_nan(each)) for each in array.ravel()]).reshape(array.shape)


def _is_nan(value: Any) -> bool:
    """Whether a value is NaN or NA, which are not equal to themselves."""
    return type(value).__name__ == "NAType" or (isinstance(value, float | np.floating) and value != value)
