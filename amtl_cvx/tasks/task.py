"""One task: its rows, its targets, its name; and what is computed of the rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import (
    Array,
    Labels,
    check_aligned,
    clean,
    column_order,
    frozen,
    is_frame,
    label_pair,
    names_of,
    numbers,
    order_of,
    snapshot,
)
from amtl_cvx.errors import DataError
from amtl_cvx.tasks.given import counted, known_names
from amtl_cvx.tasks.weights import checked_weights
from amtl_cvx.tasks.weights import total as sum_of

_CLASSES = (-1.0, 0.0, 1.0)
_TURNED = 1e-14  # relative length that counts as nothing after a turn into coordinates and back


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One task: its rows, its targets and its name.

    Parameters
    ----------
    X : (n_t, d) array_like
        Rows of features, in the users' units; a bias column, if there is one, included.
    y : (n_t,) array_like
        Targets (squared loss) or labels (logistic loss).
    name : str
        What figures and tables call the task.
    sample_weight : (n_t,) array_like, optional
        How often each row counts, >= 0: 2 is the row twice, 0 is its absence (such rows are left out). Means
        are divided by the sum of weights.
    count : int, optional
        The number of rows. It differs from ``len(y)`` only for a task whose rows were replaced by a
        triangular factor (`Loss.compress`, `data.factor`).
    total : float, optional
        What a mean is divided by where the rows behind a factor have weights: their sum.
    missing : int
        How many rows were left out because they have no label.
    ones : array_like like y, optional
        What a factor of [1 X y] made of a column of ones; with it a factor can still be prepared.
    feature_names : tuple of d str, optional
        The columns of X, read from a frame; a `TaskSet` takes them over and puts its tasks into one order.

    Raises
    ------
    DataError
        For a wrong number of dimensions, no rows, no features, a NaN or an infinity, non-numeric entries,
        weights that are negative or all 0.

    Examples
    --------
    >>> from amtl_cvx import Task
    >>> Task(X=[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], y=[1.0, 0.0, 2.0], name="north")
    Task('north': 3 rows, 2 features)
    """

    X: Array
    y: Array
    name: str = "task"
    sample_weight: Array | None = None
    count: int | None = None
    total: float | None = None
    missing: int = 0
    ones: Array | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean(self.name))
        if is_frame(self.X):
            check_aligned(self.X, self.y, f"X and y of {self.name!r}")
            check_aligned(self.X, self.sample_weight, f"X and sample_weight of {self.name!r}")
            names = known_names(self.feature_names, [self.X], [self.name])
            order = column_order(self.X, names, f"X of {self.name!r}")
            object.__setattr__(self, "feature_names", names)
            object.__setattr__(self, "X", self.X if order is None else numbers(self.X, "X")[:, order])
        X, y = snapshot(self.X, f"X of {self.name!r}"), snapshot(self.y, f"y of {self.name!r}")
        if X.ndim != 2:
            raise DataError(f"X of {self.name!r} must have two dimensions (rows, features), it has {X.shape}")
        if y.ndim == 2 and y.shape[1] == 1:
            y = y[:, 0]
        if y.ndim != 1:
            raise DataError(f"y of {self.name!r} must have one dimension, it has shape {y.shape}")
        if len(X) != len(y):
            raise DataError(f"{self.name!r} has {len(X)} rows in X, {len(y)} in y: give one target per row")
        if X.size == 0:
            raise DataError(f"{self.name!r} is empty (X is {X.shape}): every task needs a row and a feature")
        if self.sample_weight is not None:
            weights, kept = checked_weights(self.sample_weight, len(y), self.name)
            X, y = (X, y) if kept is None else (frozen(X[kept]), frozen(y[kept]))
            object.__setattr__(self, "sample_weight", weights)
            object.__setattr__(self, "total", sum_of(weights))
        object.__setattr__(self, "X", X)
        object.__setattr__(self, "y", y)
        if self.count is None:
            object.__setattr__(self, "count", len(y))
        if self.ones is not None:
            ones = snapshot(self.ones, f"ones of {self.name!r}")
            if ones.shape != y.shape:
                raise DataError(
                    f"ones of {self.name!r} must have shape {y.shape} like y, it has {ones.shape}"
                )
            object.__setattr__(self, "ones", ones)

    def __repr__(self) -> str:
        rows = f"a factor of {self.count} rows" if self.compressed else counted(self.rows, "row")
        weight = "" if self.total is None else f" of weight {self.total:.6g}"
        return f"Task({self.name!r}: {rows}{weight}, {counted(self.X.shape[1], 'feature')})"

    @property
    def compressed(self) -> bool:
        """Whether a triangular factor stands for the rows (`data.factor`, `Loss.compress`)."""
        return self.rows != len(self.y) or (self.total is not None and self.sample_weight is None)

    @property
    def rows(self) -> int:
        """Number of rows, also where a factor stands for them."""
        assert self.count is not None
        return self.count

    @property
    def n(self) -> float:
        """What a mean loss is divided by: the number of rows, or the sum of their weights."""
        return self.rows if self.total is None else self.total

    @property
    def weights(self) -> Array:
        """How often each row counts, (n_t,): `sample_weight`, or 1."""
        return np.ones(len(self.y)) if self.sample_weight is None else self.sample_weight

    @property
    def target_length(self) -> float:
        """||y_t||, rows by weight."""
        y = self.y if self.sample_weight is None else np.sqrt(self.sample_weight) * self.y
        return float(np.linalg.norm(y))

    def factored(self, X: Array, y: Array) -> Task:
        """The same task with a factor of its rows, times the roots of their weights, in their place."""
        return replace(self, X=X, y=y, sample_weight=None, count=self.rows, total=self.total, ones=None)


class Stack(NamedTuple):
    """Rows of k tasks with n each."""

    X: Array
    """(k, n, d)"""
    y: Array
    """(k, n)"""
    weights: Array | None = None
    """How often each row counts, (k, n); None is once."""


def stack_of(task: Task) -> Stack:
    """That of one task."""
    weight = task.sample_weight
    return Stack(task.X[None], task.y[None], None if weight is None else weight[None])


def task_tuple(tasks: object) -> tuple[Task, ...]:
    """A tuple of tasks, at least one, or `DataError`."""
    found = tuple(tasks) if isinstance(tasks, Iterable) else (tasks,)
    if not found:
        raise DataError("expected at least one task, got none")
    for task in found:
        if not isinstance(task, Task):
            raise DataError(
                f"expected Task objects, got {type(task).__name__}: TaskSet.from_arrays, from_stacked,"
                " from_frame and from_matrix take arrays and frames"
            )
    return found


def in_one_order(
    tasks: tuple[Task, ...], names: Sequence[str] | None
) -> tuple[tuple[Task, ...], tuple[str, ...] | None]:
    """Tasks whose frames named their columns, in the order of `names`, else of the first one that did."""
    named = [task for task in tasks if task.feature_names is not None]
    known = None if names is None else names_of(names, len(names), "feature")
    known = named[0].feature_names if known is None and named else known
    if not named:
        return tasks, known

    def ordered(task: Task) -> Task:
        order = order_of(task.feature_names, known, f"the columns of X of {task.name!r}")
        X = task.X if order is None else frozen(task.X[:, order])
        return replace(task, X=X, feature_names=None)

    return tuple(map(ordered, tasks)), known


def classes_of(tasks: Iterable[Task]) -> Labels | None:
    """0/1 or -1/+1 where the targets are these."""
    found = []
    for task in tasks:
        if task.compressed or task.y[0] not in _CLASSES or not np.isin(task.y, _CLASSES).all():
            return None
        found.append([value for value in _CLASSES if (task.y == value).any()])
    return label_pair(found)


def feature_lengths(tasks: Iterable[Task], basis: Array | None) -> Array:
    """||x_ti|| of the features that the tasks have in `basis` (`TaskSet.basis`), (d, T); shared rows once.

    A row counts by its weight: sum_k v_k x_ki^2.
    """
    known: dict[tuple[int, int], Array] = {}
    columns = []
    for task in tasks:
        key, weight = (id(task.X), id(task.sample_weight)), task.sample_weight
        if key not in known:
            X = task.X if weight is None else np.sqrt(weight)[:, None] * task.X
            factor = X if basis is None else np.linalg.qr(X, mode="r") @ basis.T
            lengths = np.sqrt(np.einsum("ij,ij->j", factor, factor))
            if basis is not None:  # what is 0 in the features is rounding in coordinates
                lengths[lengths <= _TURNED * lengths.max(initial=0.0)] = 0.0
            known[key] = lengths
        columns.append(known[key])
    return np.column_stack(columns)


def triangular_factor(rows: Array) -> Array:
    """R of rows = Q R, (min(n, d), d): the same Gram matrix in the fewest rows."""
    factor: Array = np.linalg.qr(rows, mode="r")  # type: ignore[assignment]
    return factor
