"""Rows: data read a chunk at a time, as often as they are asked for, so that memory does not grow with n.

A chunk is a few rows (X (k, d), y (k,), task (k,)), tasks in any order. Whatever yields such chunks can be
streamed: the folder of .npy files and the Parquet file of this package, or anything of yours.

    >>> def parts():                       # called anew for every pass
    ...     for day in days:
    ...         yield day.X, day.y, day.shop
    >>> rows = ChunkedRows(make=parts, task_names=shops)
    >>> tasks = factor(rows)               # data.stream: a TaskSet of triangular factors, one pass
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.arrays import (
    Array,
    Labels,
    Mask,
    as_array,
    check_aligned,
    column_names,
    column_order,
    described,
    frame_numbers,
    is_frame,
    whole_numbers,
)
from amtl_cvx.errors import DataError
from amtl_cvx.untrusted import check_room

CHUNK = 1 << 20
"""Numbers a chunk holds (8 MiB as float64)."""
_COPIES = 3
"""How often what reads a chunk may copy it."""


class Chunk(NamedTuple):
    """Checked rows: features (k, d), targets (k,), task numbers (k,)."""

    X: Array
    y: Array
    task: NDArray[np.int64]

    def part(self, kept: Mask) -> Chunk:
        """The rows where `kept` is true."""
        return Chunk(self.X[kept], self.y[kept], self.task[kept])

    def by_task(self) -> Iterator[tuple[int, Array, Array]]:
        """(t, X_t, y_t) for every task that has rows here, in order of t; the order of its rows is kept."""
        if not len(self.task):
            return
        order = np.argsort(self.task, kind="stable")
        present, starts = np.unique(self.task[order], return_index=True)
        for t, part in zip(present, np.split(order, starts[1:]), strict=True):
            yield int(t), self.X[part], self.y[part]


class Rows(abc.ABC):
    """All rows of all tasks; see the module essay.

    Attributes
    ----------
    task_names, feature_names : tuple of str or None
        None: tasks 0..T-1 are called "task 0", ...; features have no names.
    labels : (negative, positive) or None
        What -1 and +1, or 0 and 1, are called where the source has texts or bools.
    count : int or None
        How many rows there are, where that is known before they are read.
    """

    task_names: tuple[str, ...] | None
    feature_names: tuple[str, ...] | None
    labels: Labels | None = None

    @property
    def count(self) -> int | None:
        return None

    @abc.abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """One pass over the rows; `DataError` names the first row that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class ChunkedRows(Rows):
    """Rows from a function that starts a new pass over (X, y, task) at every call.

    Parameters
    ----------
    make : callable
        Returns an iterable of (X (k, d), y (k,), task (k,)); k may differ, tasks are integers 0..T-1.
    task_names, feature_names : tuple of str, optional
        Features that are not named here are called what the columns of the first frame are.
    """

    make: Callable[[], Iterable[tuple[ArrayLike, ArrayLike, ArrayLike]]]
    task_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def chunks(self) -> Iterator[Chunk]:
        parts = self.make()
        if not isinstance(parts, Iterable):
            raise DataError(f"make must return parts (X, y, task), got {type(parts).__name__}: yield them")
        return checked((self._arrays(part) for part in parts), self.feature_names)

    def _arrays(self, part: object) -> tuple[NDArray[Any], ...]:
        if not isinstance(part, tuple | list) or len(part) != 3:
            raise DataError(f"expected parts (X, y, task), got {type(part).__name__}: yield three arrays")
        X, y, task = part
        check_aligned(X, y, "X and y")
        check_aligned(X, task, "X and task")
        check_aligned(y, task, "y and task")
        if self.feature_names is None:
            object.__setattr__(self, "feature_names", column_names(X))
        order = column_order(X, self.feature_names, "X")
        rows = frame_numbers(X) if is_frame(X) else as_array(X, "X")
        return rows if order is None else rows[:, order], as_array(y, "y"), as_array(task, "task")


def chunk_rows(d: int) -> int:
    """How many rows of d features a chunk has."""
    return max(1, CHUNK // max(d, 1))


def checked(
    parts: Iterable[tuple[NDArray[Any], ...]], names: tuple[str, ...] | None = None
) -> Iterator[Chunk]:
    """The chunks in `parts`, each (X, y, task), as finite float64 and whole task numbers, none too long."""
    seen, width = 0, None if names is None else len(names)
    for X, y, task in parts:
        shapes = X.shape, y.shape, task.shape
        if [len(shape) for shape in shapes] != [2, 1, 1] or len({shape[0] for shape in shapes}) > 1:
            raise DataError(
                "expected X (k, d), y (k,) and task (k,), got X {}, y {}, task {}".format(*shapes)
            )
        width = X.shape[1] if width is None else width
        if X.shape[1] != width or not width:
            raise DataError(f"expected {width or 'some'} features from row {seen} on, got {X.shape[1]}")
        step = chunk_rows(width)
        if not seen:
            check_room("a part of the rows", _COPIES * 8 * min(step, len(y)) * width)
        for start in range(0, len(y), step):
            part = slice(start, start + step)
            whole_numbers(task[part])
            yield Chunk(
                _finite(X[part], "X", seen, names),
                _finite(y[part], "y", seen, None),
                task[part].astype(np.int64),
            )
            seen += len(y[part])
    if not seen:
        raise DataError("expected at least one row, there is none: add data")


def _finite(array: NDArray[Any], what: str, seen: int, names: tuple[str, ...] | None) -> Array:
    """`array` as float64; `DataError` names the row, counted from the first of all, and the feature."""
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} must hold real numbers, it has {described(array)}: convert it first")
    numbers = np.asarray(array, dtype=np.float64)
    if not np.isfinite(numbers).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        place = f"row {bad[0] + seen}" + (f", feature {bad[1]}" if len(bad) > 1 else "")
        place += f" ({names[bad[1]]!r})" if names is not None and len(bad) > 1 else ""
        raise DataError(f"{what} must be finite, {place} is {numbers[bad]}: drop or fill such rows first")
    return numbers
