"""Pairs: the row numbers of given splits, by task, as a splitter or the user says them.

Rows are numbered from 0 within their task where a split gives a list a task, and through all tasks
(`TaskSet.stacked`) where it gives one list; for one-vs-rest tasks that is the number of the shared row. The
rows are those that the tasks have: what was left out, for want of a label, has no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.holdout import shared_classes
from amtl_cvx.tasks import TaskSet


def pairs_of(tasks: TaskSet, splits: Any) -> tuple[list[tuple[list[Any], list[Any]]], str]:
    """Numbers of training and held rows a task, split by split; and what to say of the splitter."""
    if hasattr(splits, "split") and not isinstance(splits, str):
        shared = shared_classes(tasks, equal=True)
        if shared is not None:
            found = [_of_splitter(splits, tasks[0].X, shared, "the shared rows")] * tasks.T
        else:
            found = [_of_splitter(splits, task.X, task.y, repr(task.name)) for task in tasks]
        if len({len(each) for each in found}) > 1:
            raise DataError("the splitter splits tasks into different numbers of parts: give row numbers")
        every = [
            ([train for train, _ in each], [held for _, held in each]) for each in zip(*found, strict=True)
        ]
        return every, f" by {type(splits).__name__}"
    if not isinstance(splits, Iterable) or isinstance(splits, str):
        raise ModelError(f"splits are a number, a splitter or pairs of rows, got {type(splits).__name__}")
    if tasks.missing:
        name, gone = next(iter(tasks.missing.items()))
        raise DataError(
            f"numbers of rows are not clear where some were left out ({gone} of {name!r} without a label):"
            " take them out of the data before, or give a splitter"
        )
    pairs = []
    for pair in splits:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise DataError("a split is a pair: numbers of training rows, numbers of held rows")
        pairs.append((_by_task(tasks, pair[0]), _by_task(tasks, pair[1])))
    return pairs, ""


def _of_splitter(splitter: Any, X: Any, y: Any, what: str) -> list[tuple[Any, Any]]:
    try:
        return [(train, held) for train, held in splitter.split(X, y)]
    except (TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{type(splitter).__name__} does not split {what}: {said}") from error


def _by_task(tasks: TaskSet, rows: Any) -> list[NDArray[np.int64]]:
    """Row numbers, one list a task or one for all, as one array a task."""
    try:
        nested = len(rows) == tasks.T and all(np.ndim(each) == 1 for each in rows)
        arrays = [np.asarray(each) for each in (rows if nested else [rows])]
    except TypeError as error:
        raise DataError("rows of a split are lists of whole numbers, one a task or one for all") from error
    if any(each.ndim != 1 or (each.size and each.dtype.kind not in "iu") for each in arrays):
        raise DataError("rows of a split are lists of whole numbers, one a task or one for all")
    arrays = [each.astype(np.int64) for each in arrays]
    if nested:
        return arrays
    if shared_classes(tasks, equal=True) is not None:
        return arrays * tasks.T
    ends = np.cumsum([len(task.y) for task in tasks])
    check_rows(arrays[0], int(ends[-1]), "all tasks")
    owner = np.searchsorted(ends, arrays[0], side="right")
    return [arrays[0][owner == t] - (ends[t] - len(task.y)) for t, task in enumerate(tasks)]


def check_rows(rows: NDArray[np.int64], n: int, what: str) -> None:
    """`DataError` for numbers that no row has."""
    if len(rows) and not 0 <= rows.min() <= rows.max() < n:
        raise DataError(f"rows of {what} are numbered 0 to {n - 1}, a split has {rows.min()} to {rows.max()}")
