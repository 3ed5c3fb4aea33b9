"""What the estimators are given: features, and the task of each row beside them or in a column of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Array, Indices, as_array, check_aligned, frame_numbers, group, is_frame, numbers
from amtl_cvx.errors import DataError

ALL = "all"
"""The one task of rows for which none is given."""
_COLUMN = "task_column={!r} names the column of a frame"


def divided(X: Any, task: Any, column: str | None) -> tuple[Any, Any]:
    """The features, and the label of each row's task, None where no task is given.

    Raises
    ------
    DataError
        For tasks that are given twice, a column that is not there, a column of the features that is text.
    """
    if isinstance(task, str):
        raise DataError(f"task= takes a label for each row, got the text {task!r}: a column is task_column=")
    if column is not None:
        if task is not None:
            raise DataError(f"the tasks are given twice, as task= and in column {column!r}: give one of both")
        if not is_frame(X):
            raise DataError(
                f"{_COLUMN.format(column)}, X is {type(X).__name__}: give a frame of pandas or polars (steps"
                ' of a pipeline keep one with set_output(transform="pandas")), or the labels as task='
            )
        names = list(X.columns)
        if column not in names:
            raise DataError(f"{_COLUMN.format(column)}, X has the columns {', '.join(map(str, names[:6]))}")
        X, task = X[[name for name in names if name != column]], X[column]
    if is_frame(X):
        _check_numeric(X, tasks_known=task is not None)
        check_aligned(X, task, "X and task")
    return X, task


def _check_numeric(X: Any, *, tasks_known: bool) -> None:
    """`DataError` that names the first column of a frame that is no feature."""
    try:
        frame_numbers(X)
    except DataError as error:
        if tasks_known or "not numeric" not in str(error):
            raise
        raise DataError(f"{error}, or name it as task_column= if it holds the tasks") from error


class Rows(NamedTuple):
    """What a fit is given, row by row."""

    X: Array
    y: Any
    codes: Indices
    """The task of each row as a number, (N,)."""
    names: tuple[str, ...]
    """Of the tasks, in their order."""
    weights: Array | None

    def that_count(self) -> Rows:
        """Without rows of weight 0, and without tasks that have no others."""
        if self.weights is None or self.weights.all():
            return self
        kept = np.flatnonzero(self.weights)
        if not len(kept):
            raise DataError("the weights of all rows are zero: give some of them more")
        present, codes = np.unique(self.codes[kept], return_inverse=True)
        names = tuple(self.names[t] for t in present)
        return Rows(self.X[kept], self.y[kept], codes, names, self.weights[kept])


def grouped(task: Any, count: int) -> tuple[Indices, tuple[str, ...]]:
    """The task of each of `count` rows as a number, (count,), and the names of the tasks in their order.

    Labels of any kind are the names; whole numbers are sorted as such.

    Raises
    ------
    DataError
        For missing labels, fractions, and another number of labels than rows.
    """
    if task is None:
        return np.zeros(count, dtype=np.intp), (ALL,)
    codes, names = group(_whole(task), "task")
    if len(codes) != count:
        raise DataError(f"task must have one label per row, it has {len(codes)} for {count} rows of X")
    return codes.astype(np.intp), names


def _whole(task: Any) -> NDArray[Any]:
    """The labels as an array, floats that are whole as whole numbers."""
    labels = as_array(task, "task")
    if labels.dtype.kind != "f":
        return labels
    if not np.array_equal(numbers(labels, "task"), np.round(labels)):
        raise DataError("task must hold text or whole numbers, it has fractions")
    if np.abs(labels).max(initial=0.0) > 2.0**53:
        raise DataError("task must hold text or whole numbers up to 2^53: convert longer ones to text")
    return labels.astype(np.int64)


def codes_of(task: Any, count: int, known: Sequence[str]) -> Indices:
    """The place among `known` of each row's task, (count,).

    Raises
    ------
    DataError
        For a task that the fit has not seen, and where tasks are missing that the fit had.
    """
    if task is None and tuple(known) != (ALL,):
        raise DataError(
            f"the fit had the tasks {_shown(known)}: say the task of each row, as task= or in the column that"
            " task_column names (searches and validations hand task= on with enable_metadata_routing and"
            " without scoring=)"
        )
    codes, names = grouped(task, count)
    unseen = [name for name in names if name not in known]
    if unseen:
        raise DataError(f"task {unseen[0]!r} is not among those of the fit ({_shown(known)})")
    return np.array([known.index(name) for name in names], dtype=np.intp)[codes]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
