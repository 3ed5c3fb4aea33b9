"""Rows: data read a chunk at a time, as often as they are asked for, so that memory does not grow with n.

A chunk is a few rows (X (k, d), y (k,), task (k,), and weights (k,) where rows have some), tasks in any
order. Whatever yields such chunks can be streamed: the folder of .npy files and the Parquet file of this
package, or anything of yours.

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
    check_missing,
    column_names,
    column_order,
    described,
    frame_numbers,
    is_frame,
    whole_numbers,
)
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Links, TaskSet
from amtl_cvx.tasks.weights import check_range
from amtl_cvx.untrusted import check_room

CHUNK = 1 << 20
"""Numbers a chunk holds (8 MiB as float64)."""
_COPIES = 3
"""How often what reads a chunk may copy it."""


class Chunk(NamedTuple):
    """Checked rows: features (k, d), targets (k,), task numbers (k,), weights > 0 (k,) where there are."""

    X: Array
    y: Array
    task: NDArray[np.int64]
    weight: Array | None = None
    unlabelled: NDArray[np.int64] | None = None
    """Task numbers of the rows that were left out here because they have no label."""
    whole: Chunk | None = None
    """All rows, where some were left out: y is NaN where there is no label, weights may be 0."""

    def part(self, kept: Mask) -> Chunk:
        """The rows where `kept` is true."""
        weight = None if self.weight is None else self.weight[kept]
        return Chunk(self.X[kept], self.y[kept], self.task[kept], weight)

    def by_task(self) -> Iterator[tuple[int, Array, Array, Array | None]]:
        """(t, X_t, y_t, v_t) for every task with rows here, in order of t; the order of its rows is kept."""
        if not len(self.task):
            return
        order = np.argsort(self.task, kind="stable")
        present, starts = np.unique(self.task[order], return_index=True)
        for t, part in zip(present, np.split(order, starts[1:]), strict=True):
            yield int(t), self.X[part], self.y[part], None if self.weight is None else self.weight[part]


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
    linked: bool = False
    """Whether the source says which rows of different tasks are one (`links`)."""

    @property
    def count(self) -> int | None:
        return None

    @abc.abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """One pass over the rows; `DataError` names the first row that cannot be used."""

    def links(self, tasks: TaskSet) -> Links | None:
        """The links of all rows in memory, where it is `linked` those of the source; `DataError` for none."""
        return tasks.links


@dataclass(frozen=True, kw_only=True)
class ChunkedRows(Rows):
    """Rows from a function that starts a new pass over (X, y, task) at every call.

    Parameters
    ----------
    make : callable
        Returns an iterable of (X (k, d), y (k,), task (k,)), with weights of rows (k,) as a fourth where they
        have some; k may differ, tasks are integers 0..T-1.
    task_names, feature_names : tuple of str, optional
        Features that are not named here are called what the columns of the first frame are.
    missing : {None, "drop"}
        "drop": rows whose target is NaN are left out, and counted by task.
    """

    make: Callable[[], Iterable[tuple[ArrayLike, ...]]]
    task_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    missing: str | None = None

    def chunks(self) -> Iterator[Chunk]:
        parts = self.make()
        if not isinstance(parts, Iterable):
            raise DataError(f"make must return parts (X, y, task), got {type(parts).__name__}: yield them")
        return checked((self._arrays(part) for part in parts), self.feature_names, missing=self.missing)

    def _arrays(self, part: object) -> tuple[NDArray[Any], ...]:
        if not isinstance(part, tuple | list) or len(part) not in (3, 4):
            raise DataError(f"expected parts (X, y, task), got {type(part).__name__}: yield three arrays")
        X, y, task, *weights = part
        for weight in weights:
            check_aligned(X, weight, "X and the weights")
        check_aligned(X, y, "X and y")
        check_aligned(X, task, "X and task")
        check_aligned(y, task, "y and task")
        if self.feature_names is None:
            object.__setattr__(self, "feature_names", column_names(X))
        order = column_order(X, self.feature_names, "X")
        rows = frame_numbers(X) if is_frame(X) else as_array(X, "X")
        rows = rows if order is None else rows[:, order]
        more = (as_array(weight, "weights") for weight in weights)
        return rows, as_array(y, "y"), as_array(task, "task"), *more


def chunk_rows(d: int) -> int:
    """How many rows of d features a chunk has."""
    return max(1, CHUNK // max(d, 1))


def checked(
    parts: Iterable[tuple[NDArray[Any], ...]],
    names: tuple[str, ...] | None = None,
    *,
    missing: str | None = None,
) -> Iterator[Chunk]:
    """The chunks in `parts`, each (X, y, task) or (X, y, task, weight), none too long.

    They are finite float64 with whole task numbers; rows of weight 0 are left out, and with `missing` "drop"
    those whose y is NaN.
    """
    check_missing(missing)
    seen, width = 0, None if names is None else len(names)
    for X, y, task, *weights in parts:
        _check_shapes(X, y, task, *weights)
        width = X.shape[1] if width is None else width
        if X.shape[1] != width or not width:
            raise DataError(f"expected {width or 'some'} features from row {seen} on, got {X.shape[1]}")
        step = chunk_rows(width)
        if not seen:
            check_room("a part of the rows", _COPIES * 8 * min(step, len(y)) * width)
        for start in range(0, len(y), step):
            part = slice(start, start + step)
            whole_numbers(task[part])
            there = np.ones(len(y[part]), dtype=bool) if missing is None else has_label(y[part])
            targets = y[part] if there.all() else np.where(there, y[part], 0.0)
            chunk = Chunk(
                _finite(X[part], "X", seen, names),
                _finite(targets, "y", seen, None),
                task[part].astype(np.int64),
                _weights(weights[0][part], seen) if weights else None,
            )
            kept = there if chunk.weight is None else there & (chunk.weight > 0.0)
            gone = None if there.all() else chunk.task[~there]
            whole = chunk if there.all() else chunk._replace(y=np.where(there, chunk.y, np.nan))
            yield chunk if kept.all() else chunk.part(kept)._replace(unlabelled=gone, whole=whole)
            seen += len(there)
    if not seen:
        raise DataError("expected at least one row, there is none: add data")


def _check_shapes(X: NDArray[Any], y: NDArray[Any], task: NDArray[Any], *weights: NDArray[Any]) -> None:
    """`DataError` for arrays that do not fit each other."""
    arrays = {"X": X, "y": y, "task": task, **({"weights": weights[0]} if weights else {})}
    flat = [a.ndim for a in arrays.values()] == [2, *[1] * (len(arrays) - 1)]
    if flat and len({len(a) for a in arrays.values()}) == 1:
        return
    wanted = ["X (k, d)", *(f"{name} (k,)" for name in list(arrays)[1:])]
    found = ", ".join(f"{name} {a.shape}" for name, a in arrays.items())
    raise DataError(f"expected {', '.join(wanted[:-1])} and {wanted[-1]}, got {found}")


def has_label(y: NDArray[Any]) -> Mask:
    """Which targets are there; NaN is none."""
    return ~np.isnan(y) if y.dtype.kind == "f" else np.ones(len(y), dtype=bool)


def _weights(array: NDArray[Any], seen: int) -> Array:
    """Weights of rows as float64, none negative."""
    found = _finite(array, "the weights", seen, None)
    if (found < 0.0).any():
        row = int(np.argmin(found))
        raise DataError(f"the weights must be >= 0, row {row + seen} has {found[row]:g}")
    check_range(found[found > 0.0], "the weights")
    return found


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
