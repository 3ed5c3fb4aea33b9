"""What is an array: one check for all that enters, with or without a copy."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays.frames import (
    REAL,
    check_nameless,
    column_names,
    column_order,
    frame_entries,
    frame_numbers,
    is_a,
    is_frame,
    is_series,
    order_of,
    row_names,
    series_entries,
)
from amtl_cvx.errors import DataError

_FEW_ROWS = 10
"""With fewer rows a feature may well be 1, 2, 3, ... by chance."""
_OURS: weakref.WeakValueDictionary[int, NDArray[Any]] = weakref.WeakValueDictionary()
"""Arrays that `frozen` locked: a user who locked his own array can unlock it again."""

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


def numbers(value: object, what: str) -> Array:
    """`value` as finite float64 of any shape, or `DataError`; it may share memory with the caller's."""
    if type(value) is np.ndarray and value.dtype == np.float64:
        array = value  # as most are, and nothing of what follows asks for more
    elif is_frame(value):
        array = frame_numbers(value)
    else:
        found = as_array(value, what)
        if found.dtype.kind not in REAL:
            raise DataError(f"{what} must hold real numbers, it has {described(found)}: convert it first")
        with np.errstate(all="ignore"):  # of longer floats what overflows is refused below
            array = np.asarray(found, dtype=np.float64)
    check_finite(array, what)
    return array


def snapshot(value: object, what: str) -> Array:
    """`numbers`, read-only, and copied unless nobody else can write the memory it is in."""
    array = numbers(value, what)
    if array is not value and array.base is None and isinstance(value, np.ndarray | list | tuple):
        return frozen(array)  # converted just now
    return array if _is_ours(array) else frozen(array.copy())


def frozen(array: Array) -> Array:
    """`array`, which is ours alone, made read-only: `snapshot` takes it and its views as they are."""
    array.flags.writeable = False
    _OURS[id(array)] = array
    return array


def as_array(value: object, what: str) -> NDArray[Any]:
    """`value` as an array of whatever it holds, nothing missing or masked in it, or `DataError`."""
    if value is None:
        raise DataError(f"{what} is None: give an array")
    _check_masks(value, what)
    if is_a(value, "scipy.sparse", "sparray", "spmatrix"):
        raise DataError(f"{what} is a sparse matrix ({type(value).__name__}): give it as .toarray()")
    if is_frame(value):
        return frame_entries(value)
    if is_series(value):
        return series_entries(value, what)
    check_nameless(value, what)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        if isinstance(value, list | tuple) and "inhomogeneous" in str(error):
            raise DataError(
                f"{what} must be rectangular, its rows differ in length: pad or drop them"
            ) from error
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{what} cannot be read as an array ({type(error).__name__}: {reason})") from error
    if array.dtype.kind in "US" and isinstance(value, list | tuple):
        array = _unmixed(value, array)
    if array.dtype.kind == "O":
        _check_objects(array, what)
    if array.dtype.kind in "mM" and np.isnat(array).any():
        raise DataError(f"{what} has missing values (NaT): drop or fill those rows first")
    return array


def check_finite(array: Array, what: str) -> None:
    """`DataError` that names the first entry of `array` that is NaN or infinite."""
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(f"{what} must be finite, entry {bad} is {array[bad]}: drop or fill such rows first")


def check_features(
    X: object, *, d: int | None = None, names: Sequence[str] | None = None, what: str = "X"
) -> Array:
    """Feature rows (N, d) as finite float64, or `DataError`.

    Parameters
    ----------
    X : array_like or frame
        Copied only where it has to be.
    d : int, optional
        The width expected, if it is known.
    names : sequence of str, optional
        The features expected: the columns of a frame must be these, in their order.
    what : str
        What messages call it.
    """
    array = numbers(X, what)
    if array.ndim != 2:
        raise DataError(f"{what} must have two dimensions (rows, features), it has shape {array.shape}")
    if column_order(X, names, what) is not None:
        shown = ", ".join(column_names(X) or ())[:60]
        raise DataError(
            f"the columns of {what} must be in the order of the fit, they are {shown}: give"
            f" {what}[{list(names or ())[:6]}]"
        )
    if d is not None and array.shape[1] != d:
        raise DataError(f"{what} must have the {d} features of the training data, it has {array.shape[1]}")
    return array


def counters(X: Array, names: Sequence[str]) -> list[str]:
    """The columns that number the rows: whole numbers one after the other, each once, in any order."""
    if len(X) < _FEW_ROWS:
        return []
    low = X.min(axis=0)
    found = []
    for j in np.flatnonzero(X.max(axis=0) - low == len(X) - 1).tolist():
        if np.array_equal(np.sort(X[:, j]), low[j] + np.arange(len(X))):
            found.append(names[j])
    return found


def one_row(X: Any) -> Any:
    """A vector, or a row of a pandas frame, as rows (1, d) with its names; everything else as it is."""
    if is_a(X, "pandas", "Series"):
        return X.to_frame().T.infer_objects()
    return X[None, :] if isinstance(X, np.ndarray) and X.ndim == 1 else [X] if _is_vector(X) else X


def _is_vector(X: object) -> bool:
    return isinstance(X, list | tuple) and all(isinstance(entry, Real) for entry in X)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a real number, and no whole one beyond all doubles.

    A bool, which Python takes for 0 or 1, is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def check_weights(
    W: object,
    B: object,
    *,
    d: int,
    T: int,
    features: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
) -> tuple[Array, Array]:
    """A solution's arrays as float64, or `DataError` for a wrong shape or squares that are not finite.

    Where W or B is a frame, its rows and columns are brought into the order of `features` and `tasks`.
    """
    pair = []
    for name, value, shape, sides in (
        ("W", W, (d, T), (features, tasks)),
        ("B", B, (T, T), (tasks, tasks)),
    ):
        array = numbers(value, name)
        if array.shape != shape:
            raise DataError(
                f"{name} must have shape {shape} for {T} tasks, {d} features, it has {array.shape}"
            )
        with np.errstate(over="ignore"):
            if not np.isfinite(4.0 * np.vdot(array, array)):
                raise DataError(
                    f"the squares of {name} overflow, its largest entry is {np.abs(array).max():.1g}: check"
                    f" {name}, or give the data in other units"
                )
        pair.append(in_named_order(array, value, sides, name))
    return pair[0], pair[1]


def in_named_order(array: Array, source: object, sides: Sequence[Sequence[str] | None], what: str) -> Array:
    """The numbers of a frame, its rows and columns in the order of these names; of an array as they are."""
    for axis, names in enumerate(sides):
        labels = row_names(source) if axis == 0 else column_names(source)
        order = order_of(labels, names, f"the {('rows', 'columns')[axis]} of {what}")
        array = array if order is None else array.take(order, axis=axis)
    return array


def _check_masks(value: object, what: str) -> None:
    """`DataError` for an entry that `numpy.ma` masks, also of an array inside of a list."""
    if isinstance(value, np.ma.MaskedArray):
        masked = int(np.ma.getmaskarray(value).sum())
        if masked:
            raise DataError(
                f"{what} has {masked} masked entries, they are missing values and not the zeros of a sparse"
                " matrix: drop or fill those rows first"
            )
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, list | tuple | np.ma.MaskedArray):
                _check_masks(item, what)


def _check_objects(array: NDArray[Any], what: str) -> None:
    """`DataError` for a missing value in an array of Python objects, or what is no array at all."""
    if array.ndim == 0:
        raise DataError(
            f"{what} must be an array, it is a {type(array.item()).__name__}: give rows of numbers"
        )
    for place, entry in enumerate(array.ravel().tolist()):
        if entry is None or (isinstance(entry, float) and entry != entry) or type(entry).__name__ == "NAType":
            at = tuple(int(i) for i in np.unravel_index(place, array.shape))
            raise DataError(
                f"{what} has a missing value, entry {at} is {entry}: drop or fill such rows first"
            )
        if is_a(entry, "scipy.sparse", "sparray", "spmatrix"):
            raise DataError(f"{what} holds sparse matrices: give their toarray(), one for each task")


def _is_ours(array: NDArray[Any]) -> bool:
    """Whether only we know the memory of `array`."""
    owner = array if array.base is None else array.base
    return not array.flags.writeable and _OURS.get(id(owner)) is owner


def _unmixed(value: list[Any] | tuple[Any, ...], texts: NDArray[Any]) -> NDArray[Any]:
    """The texts of a list; its entries as they are where numbers among them would be made text."""
    entries = np.array(value, dtype=object)
    return texts if all(isinstance(entry, str | bytes) for entry in entries.ravel()) else entries


def described(array: NDArray[Any]) -> str:
    """What is in an array that is not of real numbers."""
    if array.dtype.kind in "UST":
        return f"text (dtype {array.dtype})"
    if array.dtype.kind == "c":
        return f"complex numbers (dtype {array.dtype})"
    if array.dtype.kind == "O":
        kinds = sorted({type(entry).__name__ for entry in array.ravel().tolist()})
        return f"dtype object ({', '.join(kinds[:3])})"
    return f"dtype {array.dtype}"
