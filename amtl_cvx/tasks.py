"""Tasks: the data of T related prediction problems, and the only place where data are checked.

Task t has n_t rows: `X` (n_t, d), `y` (n_t,). All tasks share the d features. A `TaskSet` is the ordered
collection; column t of W and row/column t of B belong to its task t.

    >>> tasks = TaskSet.from_arrays([X0, X1], [y0, y1], names=["school 0", "school 1"])
    >>> tasks.T, tasks.d, tasks.counts

Everything downstream trusts what it gets from here: float64, two dimensions, finite, equal d. Labels of a
classification loss are checked by the loss itself (`Loss.check`), because only it knows which are legal.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.errors import DataError
from amtl_cvx.rowspace import row_basis

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
BLOCK_SIZE = 10**6
"""Number of features in all rows up to which a `TaskSet` keeps them as one block too."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """One task.

    Parameters
    ----------
    X : (n_t, d) array_like
        Rows of features, in the users' units; a bias column, if there is one, included.
    y : (n_t,) array_like
        Targets (squared loss) or labels (logistic loss).
    name : str
        What figures and tables call the task.
    count : int, optional
        The number of rows a mean is taken over. It differs from ``len(y)`` only for a task whose rows were
        replaced by a triangular factor (`Loss.compress`, `data.factor`).
    ones : array_like like y, optional
        What a factor of [1 X y] made of a column of ones; with it a factor can still be prepared.

    Raises
    ------
    DataError
        For a wrong number of dimensions, no rows, no features, a NaN or an infinity, non-numeric entries.
    """

    X: Array
    y: Array
    name: str = "task"
    count: int | None = None
    ones: Array | None = None

    def __post_init__(self) -> None:
        X, y = _numbers(self.X, f"X of {self.name!r}"), _numbers(self.y, f"y of {self.name!r}")
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
        object.__setattr__(self, "X", _frozen(X))
        object.__setattr__(self, "y", _frozen(y))
        object.__setattr__(self, "name", str(self.name))
        if self.count is None:
            object.__setattr__(self, "count", len(y))
        if self.ones is not None:
            ones = _numbers(self.ones, f"ones of {self.name!r}")
            if ones.shape != y.shape:
                raise DataError(
                    f"ones of {self.name!r} must have shape {y.shape} like y, it has {ones.shape}"
                )
            object.__setattr__(self, "ones", _frozen(ones))

    @property
    def compressed(self) -> bool:
        """True where a factor stands for the rows."""
        return self.n != len(self.y)

    @property
    def n(self) -> int:
        """Number of rows a mean loss is divided by."""
        assert self.count is not None
        return self.count


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskSet:
    """An ordered set of tasks over the same d features.

    Parameters
    ----------
    tasks : tuple of Task
    feature_names : tuple of d str, optional
    digest : str, optional
        The fingerprint of the rows, for tasks that hold factors of them.
    basis : (d_original, d) array, optional
        Orthonormal columns, for tasks whose features are coordinates in them (`in_basis`).

    Raises
    ------
    DataError
        If there is no task, the tasks differ in d, or a name occurs twice.
    """

    tasks: tuple[Task, ...]
    feature_names: tuple[str, ...] | None = None
    digest: str | None = None
    basis: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        if not self.tasks:
            raise DataError("expected at least one task, got none")
        widths = sorted({task.X.shape[1] for task in self.tasks})
        if len(widths) > 1:
            raise DataError(f"all tasks must have the same features, these have {widths} columns")
        names = [task.name for task in self.tasks]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"task names must differ, {twice!r} occurs more than once")
        if self.feature_names is not None:
            object.__setattr__(self, "feature_names", tuple(str(name) for name in self.feature_names))
            if len(self.feature_names) != self.d:
                raise DataError(f"expected {self.d} feature names, got {len(self.feature_names)}")

    @classmethod
    def from_arrays(
        cls,
        X: Sequence[ArrayLike],
        y: Sequence[ArrayLike],
        *,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> TaskSet:
        """From one feature array and one target array per task."""
        if len(X) != len(y):
            raise DataError(f"expected as many targets as feature arrays, got {len(X)} X and {len(y)} y")
        labels, sources = _names(names, len(X)), list(X)
        rows: dict[int, Array] = {}  # one conversion per array: tasks that share rows keep sharing them
        for source, name in zip(sources, labels, strict=True):
            if id(source) not in rows:
                rows[id(source)] = _frozen(_numbers(source, f"X of {name!r}"))
        tasks = tuple(
            Task(X=rows[id(source)], y=_numbers(yt, f"y of {name!r}"), name=name)
            for source, yt, name in zip(sources, y, labels, strict=True)
        )
        return cls(tasks=tasks, feature_names=None if feature_names is None else tuple(feature_names))

    @classmethod
    def from_stacked(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        task: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> TaskSet:
        """From all rows stacked: `X` (N, d), `y` (N,), `task` (N,) integers 0..T-1 without gaps."""
        rows, targets, index = _array(X, "X"), _array(y, "y"), _array(task, "task")
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if index.ndim == 2 and 1 in index.shape:
            index = index.ravel()
        shapes = rows.shape, targets.shape, index.shape
        if [len(shape) for shape in shapes] != [2, 1, 1] or len({shape[0] for shape in shapes}) > 1:
            raise DataError(
                "expected X (N, d), y (N,) and task (N,), got X {}, y {}, task {}".format(*shapes)
            )
        present = whole_numbers(index)
        check_gaps(present)
        labels = _names(names, len(present))
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index[order], np.arange(len(present) + 1))
        parts = [order[bounds[t] : bounds[t + 1]] for t in range(len(present))]
        return cls.from_arrays(
            [rows[part] for part in parts],
            [targets[part] for part in parts],
            names=labels,
            feature_names=feature_names,
        )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, task: str, target: str) -> TaskSet:
        """From a pandas frame in long form; every column besides `task` and `target` is a feature."""
        columns = [str(column) for column in frame.columns]
        for column in (task, target):
            if column not in columns:
                raise DataError(f"no column {column!r}; the columns are {', '.join(columns)}")
        if task == target:
            raise DataError(f"the task and the target are both column {task!r}: name two different columns")
        if len(set(columns)) < len(columns):
            twice = next(column for column in columns if columns.count(column) > 1)
            raise DataError(f"column names must differ, {twice!r} occurs more than once: rename one of them")
        named = frame.set_axis(columns, axis=1)
        check_complete(named)
        features = named.drop(columns=[task, target])
        codes, labels = named[task].factorize(sort=True)
        return cls.from_stacked(
            frame_numbers(features),
            frame_numbers(named[[target]]),
            codes,
            names=[str(label) for label in labels],
            feature_names=[str(column) for column in features.columns],
        )

    @classmethod
    def one_vs_rest(
        cls,
        X: ArrayLike,
        labels: ArrayLike,
        *,
        classes: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> TaskSet:
        """One task per class: +1 for its rows, -1 for all others. The tasks share the rows of `X`.

        `classes` fixes the classes and their order, so that a test part meets the tasks of its training part;
        a label outside of them is a `DataError`.
        """
        rows, target = _numbers(X, "X"), _array(labels, "the labels")
        target = target.ravel() if target.ndim == 2 and 1 in target.shape else target
        if target.dtype.kind == "f":
            target = _numbers(target, "the labels")
        present = np.unique(target) if classes is None else np.asarray(classes)
        unknown = np.setdiff1d(target, present)
        if len(unknown):
            first = ", ".join(str(label) for label in present.tolist()[:5])
            raise DataError(f"label {unknown[0]} is none of the {len(present)} classes ({first}, ...)")
        if len(present) < 2:
            raise DataError(f"one task per class needs at least two classes, got {len(present)}")
        shown = [f"{label:g}" if isinstance(label, float) else str(label) for label in present.tolist()]
        return cls.from_arrays(
            [rows] * len(present),
            [np.where(target == label, 1.0, -1.0) for label in present],
            names=[f"{label} vs rest" for label in shown],
            feature_names=feature_names,
        )

    @property
    def T(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    @property
    def d(self) -> int:
        """Number of features."""
        return int(self.tasks[0].X.shape[1])

    @functools.cached_property
    def block(self) -> tuple[Array, Array] | None:
        """X (T, n, d) and y (T, n) of tasks with n rows each, for batched products; None if it is large."""
        rows = {len(task.y) for task in self.tasks}
        if len(rows) > 1 or self.T * self.d * max(rows) > BLOCK_SIZE:
            return None
        return np.stack([task.X for task in self.tasks]), np.stack([task.y for task in self.tasks])

    @functools.cached_property
    def row_basis(self) -> Array | None:
        """An orthonormal basis (d, r) of what all rows span where that is few dimensions (`rowspace`)."""
        return None if self.basis is not None else row_basis(task.X for task in self.tasks)

    def in_basis(self, basis: Array) -> TaskSet:
        """The same tasks in coordinates: X basis for X; tasks that share rows keep sharing them."""
        rows = {id(task.X): _frozen(task.X @ basis) for task in self.tasks}
        tasks = tuple(replace(task, X=rows[id(task.X)], ones=None) for task in self.tasks)
        return TaskSet(tasks=tasks, digest=self.digest, basis=basis)

    def lift(self, V: Array) -> Array:
        """Columns V (d, k) in coordinates as columns of the original features."""
        return V if self.basis is None else self.basis @ V

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows per task, (T,)."""
        return np.array([task.n for task in self.tasks], dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[index]

    def index(self, task: int | str) -> int:
        """The number of a task given by number or name."""
        return task_index(self.names, task)

    def stacked(self) -> tuple[Array, Array, NDArray[np.int64]]:
        """All rows: `X` (N, d), `y` (N,), `task` (N,)."""
        index = np.repeat(np.arange(self.T), [len(task.y) for task in self.tasks])
        X, y = np.vstack([task.X for task in self.tasks]), np.concatenate([task.y for task in self.tasks])
        return X, y, index

    def fingerprint(self) -> str:
        """sha256 over names, shapes and numbers: two runs with the same hash saw the same data."""
        if self.digest is not None:
            return self.digest
        digest = hashlib.sha256()
        for task in self.tasks:
            digest.update(f"{task.name}|{task.X.shape}|{task.n}".encode())
            digest.update(np.ascontiguousarray(task.X, dtype="<f8").tobytes())
            digest.update(np.ascontiguousarray(task.y, dtype="<f8").tobytes())
        return digest.hexdigest()


def triangular_factor(rows: Array) -> Array:
    """R of rows = Q R, (min(n, d), d): the same Gram matrix in the fewest rows."""
    factor: Array = np.linalg.qr(rows, mode="r")  # type: ignore[assignment]
    return factor


def task_index(names: Sequence[str], task: int | str) -> int:
    """The position of `task` among `names`; `DataError` if there is no such task.

    A string is always a name, also "0", and an integer always a number: tasks may be called 1, 2, 3.
    """
    if isinstance(task, str):
        if task not in names:
            raise DataError(f"no task is called {task!r}; the first names are {', '.join(names[:5])}")
        return list(names).index(task)
    if not 0 <= task < len(names):
        raise DataError(f"task {task} does not exist: the tasks are 0 to {len(names) - 1}")
    return int(task)


def check_weights(W: ArrayLike, B: ArrayLike, *, d: int, T: int) -> tuple[Array, Array]:
    """A solution's arrays as float64, or `DataError` for a wrong shape or a number that is not finite."""
    pair = []
    for name, value, shape in (("W", W, (d, T)), ("B", B, (T, T))):
        array = _numbers(value, name)
        if array.shape != shape:
            raise DataError(
                f"{name} must have shape {shape} for {T} tasks, {d} features, it has {array.shape}"
            )
        pair.append(array)
    return pair[0], pair[1]


def check_features(X: ArrayLike, *, d: int | None = None, what: str = "X") -> Array:
    """Feature rows (N, d) as finite float64, or `DataError`; `d` is the width expected, if it is known."""
    array = _numbers(X, what)
    if array.ndim != 2:
        raise DataError(f"{what} must have two dimensions (rows, features), it has shape {array.shape}")
    if d is not None and array.shape[1] != d:
        raise DataError(f"{what} must have the {d} features of the training data, it has {array.shape[1]}")
    return array


def check_complete(frame: pd.DataFrame) -> None:
    """`DataError` that names the first column of `frame` with a missing value."""
    missing = frame.columns[frame.isna().any()]
    if len(missing):
        raise DataError(f"column {str(missing[0])!r} has missing values: drop or fill those rows first")


def frame_numbers(frame: pd.DataFrame) -> Array:
    """The entries of `frame` as float64, or `DataError` that names the first column that is not numeric."""
    for column, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if dtype.kind not in "fiub":
            raise DataError(f"column {str(column)!r} is not numeric ({dtype}): encode or drop it")
    return frame.to_numpy(dtype=np.float64)


def binary(labels: Iterable[Collection[float]]) -> bool:
    """Whether these targets, one collection a task, read as classes: -1/+1 or 0/1, some task with both."""
    found = [set(values) for values in labels]
    legal = all(values <= {-1.0, 1.0} or values <= {0.0, 1.0} for values in found)
    return legal and any(len(values) == 2 for values in found)


def whole_numbers(index: NDArray[Any]) -> NDArray[np.int64]:
    """The different task numbers in `index`, sorted; `DataError` unless they are whole and >= 0."""
    if index.dtype.kind not in "iufb":
        raise DataError(f"task must hold the integers 0..T-1, it has dtype {index.dtype}")
    if not (np.isfinite(index).all() and np.array_equal(index, np.round(index))):
        raise DataError("task must hold the integers 0..T-1, it has fractions, infinities or NaN")
    present = np.unique(index).astype(np.int64)
    if len(present) and present[0] < 0:
        raise DataError(f"task must hold the integers 0..T-1, the smallest is {present[0]}")
    return present


def check_gaps(present: NDArray[np.int64]) -> None:
    """`DataError` unless the sorted task numbers are 0..T-1."""
    if not np.array_equal(present, np.arange(len(present))):
        gap = next(t for t in range(len(present)) if present[t] != t)
        raise DataError(f"task must hold 0..T-1 without gaps: no row has task {gap}, one has {present[-1]}")


def _array(value: ArrayLike, what: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{what} must be rectangular, its rows differ in length: pad or drop them") from error


def _numbers(value: ArrayLike, what: str) -> Array:
    array = _array(value, what)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} must hold real numbers, it has dtype {array.dtype}: convert it first")
    array = np.asarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(f"{what} must be finite, entry {bad} is {array[bad]}: drop or fill such rows first")
    return array


def _frozen(array: Array) -> Array:
    if not array.flags.writeable:
        return array  # the same object for every task that shares it: a pickle holds it once
    view = array.view()
    view.flags.writeable = False
    return view


def _names(names: Sequence[str] | None, T: int) -> list[str]:
    if names is None:
        return [f"task {t}" for t in range(T)]
    if len(names) != T:
        raise DataError(f"expected {T} task names, got {len(names)}")
    return [str(name) for name in names]
