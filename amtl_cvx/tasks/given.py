"""What the makers of tasks are given: lists, names, positions, and how a refusal calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from amtl_cvx.arrays import check_distinct, clean, column_names, is_frame, is_series, names_of
from amtl_cvx.errors import DataError


def one_a_task(value: Any, what: str) -> list[Any]:
    """The arrays of the tasks, one each, or `DataError` that says how else the data can be given."""
    array = isinstance(value, np.ndarray) and value.dtype != object
    stacked = is_frame(value) or is_series(value) or (array and value.ndim < (3 if what == "X" else 2))
    if not stacked and isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    raise DataError(
        f"from_arrays expects a list of one {what} per task, got {kind(value)}: rows of all tasks with"
        " a column of tasks go into from_stacked, a target column per task into from_matrix"
    )


def memory(array: object) -> object:
    """Equal for arrays that are the same numbers in memory."""
    if type(array) is np.ndarray:
        return array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str
    return id(array)


def known_names(
    given: Sequence[str] | None, sources: Sequence[object], called: Sequence[str]
) -> tuple[str, ...] | None:
    """The names given, else the columns of the first frame, else None."""
    if given is not None:
        return names_of(given, len(given), "feature")
    for source, name in zip(sources, called, strict=True):
        found = column_names(source)
        if found is not None:
            check_distinct(found, f"the columns of X of {name!r}")
            return found
    return None


def names_for(names: Sequence[str] | None, T: int) -> tuple[str, ...]:
    """The names given, T of them, else "task 0" to "task T-1"."""
    return tuple(f"task {t}" for t in range(T)) if names is None else names_of(names, T, "task")


def task_index(names: Sequence[str], task: object) -> int:
    """The position of `task` among `names`; `DataError` if there is no such task.

    A string is always a name, also "0", and a whole number always a position: tasks may be called 1, 2, 3.
    """
    if isinstance(task, str):
        if clean(task) not in names:
            raise DataError(f"no task is called {task!r}; the first names are {', '.join(names[:5])}")
        return list(names).index(clean(task))
    if isinstance(task, bool | np.bool_) or not isinstance(task, Integral):
        shown = " ".join(repr(task).split())[:60]
        raise DataError(f"a task is a name or a whole number from 0 to {len(names) - 1}, got {shown}")
    if not 0 <= int(task) < len(names):
        raise DataError(f"task {task} does not exist: the tasks are 0 to {len(names) - 1}")
    return int(task)


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def kind(value: object) -> str:
    """What a value is, for a refusal: the shape of an array, else its type."""
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
