"""Labels: of tasks, one for each row, and of two classes; names of tasks and features.

Text is taken as it is written. Labels of tasks are sorted as numbers where all of them are whole numbers,
else as text; of the two labels of a class the later one in sorted order is the positive one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays.frames import REAL, clean, plain_numbers
from amtl_cvx.arrays.gate import Array, as_array, described, frozen, numbers, snapshot
from amtl_cvx.errors import DataError

Labels = tuple[str, str] | tuple[bool, bool] | tuple[int, int]
"""The negative and the positive label of a classification, as the user writes them."""
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_NOTHING = frozenset(["", "nan", "NaN", "NaT", "None", "<NA>"])
"""What a missing value becomes where a column is made text."""
MANY = 50
"""More different whole numbers than this are counts or sizes and no classes."""


def names_of(names: object, count: int, what: str) -> tuple[str, ...]:
    """`count` names as text, or `DataError`."""
    if isinstance(names, str | bytes):
        raise DataError(f"expected a list of {count} {what} names, got the text {clean(names)!r}")
    found = tuple(clean(name) for name in as_array(names, f"{what}_names").ravel().tolist())
    if len(found) != count:
        raise DataError(f"expected {count} {what} names, got {len(found)}")
    return found


def group(labels: object, what: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The group of each row, (N,), as numbers 0..T-1, and the labels of the groups as text."""
    array = _labels(labels, what)
    if array.dtype.kind in "iu":
        present, codes = np.unique(array, return_inverse=True)
        return codes.astype(np.int64), tuple(str(number) for number in present.tolist())
    plain = array.astype(str) if array.dtype.kind == "M" else array
    entries = plain.tolist()
    kinds = sorted({type(entry).__name__ for entry in entries})
    if len(kinds) > 1:
        raise DataError(f"{what} must hold labels of one kind, it has {', '.join(kinds[:3])}: make all text")
    texts = [clean(entry) for entry in entries]
    found = sorted_names(set(texts))
    place = {name: t for t, name in enumerate(found)}
    return np.array([place[name] for name in texts], dtype=np.int64), tuple(found)


def _labels(labels: object, what: str) -> NDArray[Any]:
    """One label per row, (N,); Python's whole numbers as NumPy's."""
    array = _column(as_array(labels, what))
    if array.ndim != 1:
        raise DataError(f"{what} must have one label per row, it has shape {array.shape}")
    return np.asarray(array.tolist()) if array.dtype.kind == "O" and plain_numbers(array) else array


def sorted_names(names: Collection[str]) -> list[str]:
    """Tasks in their order: as numbers where all are whole numbers, written as such, else as texts."""
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,99}", name, re.ASCII) for name in names)
    return sorted(names, key=int) if whole else sorted(names)


def names_or_numbers(task: object) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """The task of each row and the names of the tasks; whole numbers 0..T-1 are the tasks, without names.

    Everything else names the tasks (`group`): text, dates, whole numbers >= 0 with gaps.
    """
    index = _labels(task, "task")
    if index.dtype.kind in REAL:
        present = whole_numbers(index)
        if _counts(present):
            return index.astype(np.int64), None
        index = index if index.dtype.kind in "iu" else index.astype(np.int64)
    return group(index, "task")


def targets(parts: Sequence[tuple[object, str]]) -> tuple[list[Array], Labels | None]:
    """Targets of several tasks as read-only numbers, and their two labels where they are text or bool.

    Parameters
    ----------
    parts : sequence of (y, what)
        The targets, and what messages call them.

    Returns
    -------
    numbers : list of arrays
        -1 and +1 for two texts; False and True are 0 and 1; numbers as they are.
    labels : Labels or None

    Raises
    ------
    DataError
        For what `numbers` refuses, and for text that is not of two labels.
    """
    arrays = [_column(as_array(value, what)) for value, what in parts]
    texts = [_texts(array) for array in arrays]
    if all(text is None for text in texts):
        found = [_column(snapshot(value, what)) for value, what in parts]
        return found, (False, True) if all(array.dtype.kind == "b" for array in arrays) else None
    for text, (_, what) in zip(texts, parts, strict=True):
        if text is None:
            raise DataError(f"{what} holds numbers, other targets are text: give the same in every task")
    words = {word for text in texts for word in text or ()}
    labels = two_labels(words, parts[0][1] if len(parts) == 1 else "y")
    signs = [frozen(np.array([1.0 if word == labels[1] else -1.0 for word in text or ()])) for text in texts]
    return signs, labels


def class_labels(labels: object, what: str) -> NDArray[Any]:
    """Labels of any number of classes, (N,): numbers or text."""
    array = _column(as_array(labels, what))
    if array.dtype.kind in REAL:
        return np.asarray(numbers(array, what)) if array.dtype.kind == "f" else array
    texts = _texts(array)
    if texts is None:
        raise DataError(f"{what} must be numbers or text, one per row, they are {described(array)}")
    return np.array(texts)


def two_labels(words: Collection[str], what: str) -> tuple[str, str]:
    """The negative and the positive of two texts; `DataError` for another number, or an empty one."""
    found = sorted(words)
    if any(word.strip() in _NOTHING for word in words):
        missing = next(word for word in found if word.strip() in _NOTHING)
        raise DataError(f"{what} has missing values (the text {missing!r}): drop or fill those rows first")
    if len(found) == 1:
        raise DataError(
            f"{what} is not numeric: text with the label {found[0][:40]!r} only, a classification needs two:"
            " add rows of another class"
        )
    if len(found) == 2 and found[0].strip().casefold() == found[1].strip().casefold():
        raise DataError(
            f"{what} has the labels {found[0][:40]!r} and {found[1][:40]!r}, which differ only in case or"
            " spaces: write one class in one way"
        )
    if all(_NUMBER.fullmatch(word) for word in found):
        raise DataError(
            f"{what} is text of numbers ({found[0][:40]!r}), {what} must hold real numbers: convert it"
        )
    if len(found) > 2:
        shown = ", ".join(repr(word[:40]) for word in found[:3]) + (", ..." if len(found) > 3 else "")
        raise DataError(
            f"{what} is not numeric: text with {len(found)} different values ({shown}). Two are labels of a"
            " classification; for more learn one task per class (one-vs-rest): TaskSet.one_vs_rest(X, labels)"
            " in Python, or a .mat file with train_x and the numbers of the classes as train_y. Else"
            f" {what} must hold real numbers: convert it"
        )
    return found[0], found[1]


def in_labels(labels: Labels, decided: Array) -> NDArray[Any]:
    """Decisions -1 and +1 in the users' labels: texts, bools, or floats."""
    found = np.array(labels)
    found = found.astype(np.float64) if found.dtype.kind == "i" else found
    return found[(decided > 0).astype(np.intp)]


def numbers_for_classes(values: Collection[float]) -> str | None:
    """What to say where these different targets may be the numbers of classes; None where they are not."""
    whole = all(value == round(value) and abs(value) < 1e9 for value in values)
    if not (whole and 2 <= len(values) <= MANY):
        return None
    return (
        f"the targets are {len(values)} different whole numbers: learned as numbers (squared loss); for"
        " classes, code two of them as 0 and 1 or as text, and learn more as one task per class (one-vs-rest)"
    )


def label_pair(targets: Iterable[Collection[float]]) -> Labels | None:
    """0/1 or -1/+1 where the different targets of every task are of these, and some task has both."""
    found = [set(values) for values in targets]
    legal = all(values <= {-1.0, 1.0} or values <= {0.0, 1.0} for values in found)
    if not legal or all(len(values) < 2 for values in found):
        return None
    return (0, 1) if all(values <= {0.0, 1.0} for values in found) else (-1, 1)


def whole_numbers(index: NDArray[Any]) -> NDArray[Any]:
    """The different task numbers in `index`, sorted; `DataError` unless they are whole and >= 0."""
    if index.dtype.kind not in REAL:
        raise DataError(f"task must hold the integers 0..T-1, it has {described(index)}")
    if not (np.isfinite(index).all() and np.array_equal(index, np.round(index))):
        raise DataError("task must hold the integers 0..T-1, it has fractions, infinities or NaN")
    present = np.unique(index)
    if len(present) and present[0] < 0:
        raise DataError(f"task must hold the integers 0..T-1, the smallest is {present[0]}")
    if len(present) and present[-1] > 2**53 and present.dtype.kind == "f":
        raise DataError(f"task must hold the integers 0..T-1, the largest is {present[-1]:g}: give text")
    return present if present.dtype.kind == "u" else present.astype(np.int64)


def check_gaps(present: NDArray[Any]) -> None:
    """`DataError` unless the sorted task numbers are 0..T-1."""
    if not _counts(present):
        gap = next(t for t in range(len(present)) if present[t] != t)
        raise DataError(f"task must hold 0..T-1 without gaps: no row has task {gap}, one has {present[-1]}")


def _column(array: NDArray[Any]) -> NDArray[Any]:
    """(N, 1) and (1, N) as (N,)."""
    return array.ravel() if array.ndim == 2 and 1 in array.shape else array


def _texts(array: NDArray[Any]) -> list[str] | None:
    """The entries of an array of text, (N,); None where they are something else."""
    if array.ndim != 1 or array.dtype.kind not in "USTO":
        return None
    entries = array.tolist()
    if not all(isinstance(entry, str | bytes) for entry in entries):
        return None
    return [clean(entry) for entry in entries]


def _counts(present: NDArray[Any]) -> bool:
    return np.array_equal(present, np.arange(len(present)))
