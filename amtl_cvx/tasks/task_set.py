# More than 300 lines: half of them document the five ways to make a set, which are methods of it.
"""A set of tasks over the same features: the ways to make one, and what all of it asks of one."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from amtl_cvx.arrays import (
    DROP,
    Array,
    Indices,
    Labels,
    Mask,
    check_aligned,
    check_complete,
    check_distinct,
    check_weights,
    class_labels,
    clean,
    column_names,
    column_order,
    counters,
    frozen,
    group,
    is_frame,
    labelled,
    names_of,
    names_or_numbers,
    numbers,
    order_of,
    snapshot,
    target_matrix,
    targets,
)
from amtl_cvx.errors import DataError
from amtl_cvx.notebook import paragraph, table
from amtl_cvx.rowspace import row_basis
from amtl_cvx.tasks.counts import size_words
from amtl_cvx.tasks.given import kind, known_names, memory, names_for, one_a_task, task_index
from amtl_cvx.tasks.pool import Links, Pool, Source, links_of, pool_of
from amtl_cvx.tasks.shared import Shared
from amtl_cvx.tasks.task import (
    Stack,
    Task,
    classes_of,
    feature_lengths,
    in_one_order,
    stack_of,
    task_tuple,
)
from amtl_cvx.tasks.weights import balanced_weights, check_labelled, stacked_weights, weights_of_tasks

BLOCK_SIZE = 10**6
"""Number of features in all rows up to which a `TaskSet` keeps them as one block too."""
_SHOWN = 8
"""Tasks that are shown by name."""
_log = logging.getLogger(__name__)


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
    labels : (negative, positive), optional
        What the users call the two classes, where y holds classes: two texts, two bools, (0, 1) or (-1, 1).
        Read from y where it is not given.
    links : Links, optional
        Which rows of different tasks are one, where their arrays do not say it, and the rows without a label
        (`tasks.pool`).

    Raises
    ------
    DataError
        If there is no task, the tasks differ in d, or a name occurs twice.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> rows = {"north": np.eye(3), "south": np.ones((5, 3))}
    >>> targets = [np.arange(3.0), np.arange(5.0)]
    >>> tasks = TaskSet.from_arrays(list(rows.values()), targets, names=list(rows))
    >>> tasks
    TaskSet(2 tasks, 3 features, 8 rows: 'north', 'south')
    >>> tasks.counts, tasks.index("south"), tasks[1].name
    (array([3, 5]), 1, 'south')
    """

    tasks: tuple[Task, ...]
    feature_names: tuple[str, ...] | None = None
    digest: str | None = None
    basis: Array | None = None
    labels: Labels | None = None
    links: Links | None = None

    def __post_init__(self) -> None:
        tasks, names = in_one_order(task_tuple(self.tasks), self.feature_names)
        object.__setattr__(self, "tasks", tasks)
        object.__setattr__(self, "feature_names", names)
        widths = sorted({task.X.shape[1] for task in self.tasks})
        if len(widths) > 1:
            raise DataError(f"all tasks must have the same features, these have {widths} columns")
        called = [task.name for task in self.tasks]
        if len(set(called)) < len(called):
            twice = next(name for name in called if called.count(name) > 1)
            raise DataError(f"task names must differ, {twice!r} occurs more than once")
        if self.feature_names is not None:
            object.__setattr__(self, "feature_names", names_of(self.feature_names, self.d, "feature"))
            check_distinct(self.feature_names, "the features")
        if self.labels is None:
            object.__setattr__(self, "labels", classes_of(self.tasks))
        if self.links is not None and any(task.compressed for task in self.tasks):
            object.__setattr__(self, "links", Links.unknown(self.d))
        elif self.links is not None:
            self.links.check(self.tasks, self.d)

    @classmethod
    def from_arrays(
        cls,
        X: Sequence[ArrayLike],
        y: Sequence[ArrayLike],
        *,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: Sequence[ArrayLike | None] | None = None,
        missing: str | None = None,
    ) -> TaskSet:
        """From one feature array and one target array per task.

        Parameters
        ----------
        X : sequence of T array_like (n_t, d)
            Frames bring their names along: their columns are put into the order of `feature_names`, or else
            of the first frame. Tasks that are given the same array share one copy.
        y : sequence of T array_like (n_t,)
            Numbers, or text of two values, the labels of a classification.
        names : sequence of T str, optional
            Default: "task 0" to "task T-1".
        feature_names : sequence of d str, optional
            Default: those of the frames, if any.
        sample_weight : sequence of T array_like (n_t,) or None, optional
            How often each row counts, >= 0: 2 is the row twice, 0 its absence. Default: once each.
        missing : {None, "drop"}
            "drop": a row whose target is NaN, None or NA is left out of its task, which counts it
            (`TaskSet.missing`). None: it is an error.

        Raises
        ------
        DataError
            For arrays that do not fit each other, frames with other columns, weights that are negative or all
            0 in a task.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> TaskSet.from_arrays([[[1.0], [2.0]], [[3.0]]], [["no", "yes"], ["yes"]]).labels
        ('no', 'yes')
        """
        sources, parts = one_a_task(X, "X"), one_a_task(y, "y")
        if len(sources) != len(parts):
            raise DataError(
                f"expected as many targets as feature arrays, got {len(sources)} X and {len(parts)} y"
            )
        called = names_for(names, len(sources))
        for source, part, name in zip(sources, parts, called, strict=True):
            check_aligned(source, part, f"X and y of {name!r}")
        known = known_names(feature_names, sources, called)
        rows: dict[object, Array] = {}  # one conversion per array: tasks that share rows keep sharing them
        for source, name in zip(sources, called, strict=True):
            if memory(source) not in rows:
                what = f"X of {name!r}"
                order, array = column_order(source, known, what), snapshot(source, what)
                rows[memory(source)] = array if order is None else frozen(array[:, order])
        there = [labelled(part, missing) for part in parts]
        whole = [(part, f"y of {name!r}") for (part, _), name in zip(there, called, strict=True)]
        found, labels = targets(whole)
        weights = weights_of_tasks(sample_weight, sources, called)
        shared = Shared(rows)
        tasks = tuple(
            shared.task(memory(source), yt, name, v, mask)
            for source, yt, name, v, (_, mask) in zip(sources, found, called, weights, there, strict=True)
        )
        return cls(tasks=tasks, feature_names=known, labels=labels, links=shared.links())

    @classmethod
    def from_stacked(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        task: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
        missing: str | None = None,
    ) -> TaskSet:
        """From all rows stacked, with the task of each row.

        Parameters
        ----------
        X : (N, d) array_like
            Features.
        y : (N,) array_like
            Targets.
        task : (N,) array_like
            Whole numbers 0..T-1, which `names` may name, or labels of any kind, text or whole numbers with
            gaps, which are the names.
        names : sequence of T str, optional
            Names of the numbers 0..T-1.
        feature_names : sequence of d str, optional
            Default: those of a frame X.
        sample_weight : (N,) array_like, optional
            How often each row counts, >= 0.
        missing : {None, "drop"}
            "drop": rows whose target is NaN, None or NA are left out, and counted (`TaskSet.missing`).

        Raises
        ------
        DataError
            For arrays that do not fit each other, and a task without a row.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> TaskSet.from_stacked([[1.0], [2.0], [3.0]], [0.0, 1.0, 2.0], ["b", "a", "b"])
        TaskSet(2 tasks, 1 feature, 3 rows: 'a', 'b')
        """
        check_aligned(X, y, "X and y")
        check_aligned(X, task, "X and task")
        check_aligned(y, task, "y and task")
        check_aligned(y, sample_weight, "y and sample_weight")
        codes, labels = names_or_numbers(task)
        if labels is not None and names is not None:
            raise DataError(
                f"names name the tasks 0..T-1, these are called {', '.join(labels[:3])}, ...: leave names out"
            )
        return cls._split(
            X,
            y,
            codes,
            names=labels or names,
            feature_names=feature_names,
            sample_weight=sample_weight,
            missing=missing,
        )

    @classmethod
    def from_matrix(
        cls,
        X: ArrayLike,
        Y: Any,
        *,
        names: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> TaskSet:
        """From one `X` (N, d) and one column of `Y` (N, T) per task; the tasks share the rows of X.

        Columns of a frame Y name the tasks, where `names` does not. `sample_weight` (N,) says how often each
        row counts, >= 0, in every task. Where Y has NaN, None or NA the row is left out of that task alone
        (`TaskSet.missing` counts them).

        Raises
        ------
        DataError
            For a Y that has not two dimensions, or other rows than X, and for a task without a label.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> TaskSet.from_matrix([[1.0], [2.0]], [[0.0, 5.0], [1.0, 6.0]], names=["low", "high"])
        TaskSet(2 tasks, 1 feature, 2 shared rows: 'low', 'high')
        """
        called = names if names is not None else column_names(Y)
        if is_frame(Y):
            check_distinct(called or (), "the columns of Y")
            columns = [Y[column] for column in Y.columns]
        else:
            table = target_matrix(Y)
            if table.ndim != 2:
                raise DataError(
                    f"Y must have two dimensions (rows, tasks), it has shape {table.shape}: one target is"
                    " from_arrays([X], [y])"
                )
            columns = list(table.T)
        return cls.from_arrays(
            [X] * len(columns),
            columns,
            names=called,
            feature_names=feature_names,
            sample_weight=None if sample_weight is None else [sample_weight] * len(columns),
            missing=DROP,
        )

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        task: str,
        target: str,
        sample_weight: str | None = None,
        missing: str | None = None,
    ) -> TaskSet:
        """From a frame of pandas or polars in long form; columns besides `task` and `target` are features.

        Tasks are called what their column says, text as it is written, sorted as numbers where all are whole
        numbers. `sample_weight` names a column of weights of rows, >= 0, which is then no feature; no column
        is one by its name alone. With `missing` "drop" rows without a target are left out, and counted.

        Raises
        ------
        DataError
            For a column that is not there, missing entries, entries that are no numbers.

        Examples
        --------
        >>> import pandas as pd
        >>> from amtl_cvx import TaskSet
        >>> frame = pd.DataFrame({"shop": ["b", "a", "b"], "warm": [1, 2, 3], "sales": [4.0, 5.0, 6.0]})
        >>> TaskSet.from_frame(frame, task="shop", target="sales")
        TaskSet(2 tasks, 1 feature, 3 rows: 'a', 'b')
        """
        if not is_frame(frame):
            raise DataError(
                f"from_frame expects a frame of pandas or polars, got {type(frame).__name__}: arrays go into"
                " from_stacked"
            )
        columns, task, target = [clean(column) for column in frame.columns], clean(task), clean(target)
        weight = None if sample_weight is None else clean(sample_weight)
        special = [column for column in (task, target, weight) if column is not None]
        for column in special:
            if column not in columns:
                raise DataError(f"no column {column!r}; the columns are {', '.join(columns)}")
        if task == target:
            raise DataError(f"the task and the target are both column {task!r}: name two different columns")
        if weight in (task, target):
            raise DataError(
                f"the weights are column {weight!r}, which is the task or the target: name another"
            )
        check_distinct(columns, "columns")
        own = dict(zip(columns, frame.columns, strict=True))
        features = [column for column in columns if column not in special]
        if not features:
            raise DataError("expected a column besides the task and the target, there is none: add a feature")
        check_complete(frame[[own[name] for name in columns if missing is None or name != target]])
        codes, labels = group(frame[own[task]], f"column {task!r}")
        return cls._split(
            frame[[own[column] for column in features]],
            frame[own[target]],
            codes,
            names=labels,
            feature_names=features,
            target=f"column {target!r}",
            sample_weight=None if weight is None else frame[own[weight]],
            missing=missing,
        )

    @classmethod
    def _split(
        cls,
        X: object,
        y: object,
        codes: NDArray[np.int64],
        *,
        names: Sequence[str] | None,
        feature_names: Sequence[str] | None,
        target: str = "y",
        sample_weight: object = None,
        missing: str | None = None,
    ) -> TaskSet:
        """From stacked rows and the numbers 0..T-1 of their tasks."""
        known = known_names(feature_names, [X], ["all"])
        present, there = labelled(y, missing)
        order, ([values], labels) = column_order(X, known, "X"), targets([(present, target)])
        rows = numbers(X, "X")
        if there is not None:  # 0 stands where there is no label
            whole = np.zeros(len(there))
            whole[there] = values
            values = whole
        if values.ndim == 2 and values.shape[:1] == rows.shape[:1]:
            raise DataError(
                f"y must have one target per row, it has {values.shape[1]}: one task per column is"
                " TaskSet.from_matrix(X, Y)"
            )
        if rows.ndim != 2 or values.shape != (len(rows),) or codes.shape != values.shape:
            shapes = rows.shape, values.shape, codes.shape
            raise DataError(
                "expected X (N, d), y (N,) and task (N,), got X {}, y {}, task {}".format(*shapes)
            )
        weights = stacked_weights(sample_weight, X, len(rows))
        rows = rows if order is None else rows[:, order]
        T = int(codes.max(initial=-1)) + 1
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(T + 1))
        parts = [order[bounds[t] : bounds[t + 1]] for t in range(T)]
        called, gone = names_for(names, T), [0] * T
        links = _links(rows, parts, there, weights)
        if there is not None:
            gone = [
                check_labelled(there[part], len(part), name) for part, name in zip(parts, called, strict=True)
            ]
            parts = [part[there[part]] for part in parts]
        tasks = tuple(
            Task(
                X=frozen(rows[part]),
                y=frozen(values[part]),
                name=name,
                sample_weight=None if weights is None else frozen(weights[part]),
                missing=count,
            )
            for part, name, count in zip(parts, called, gone, strict=True)
        )
        found = cls(tasks=tasks, feature_names=known, labels=labels, links=links)
        for name in [] if known is None else counters(rows, known):
            _log.warning(
                "column %r only numbers the rows, and is learned from: delete it if it is an id", name
            )
        return found

    @classmethod
    def one_vs_rest(
        cls,
        X: ArrayLike,
        labels: ArrayLike,
        *,
        classes: Sequence[Any] | None = None,
        feature_names: Sequence[str] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> TaskSet:
        """One task per class: +1 for its rows, -1 for all others. The tasks share the rows of `X`.

        Parameters
        ----------
        X : (N, d) array_like
            Features.
        labels : (N,) array_like
            The class of each row, text or numbers.
        classes : sequence, optional
            Fixes the classes and their order, so that a test part meets the tasks of its training part.
        feature_names : sequence of d str, optional
            Default: those of a frame X.
        sample_weight : (N,) array_like, optional
            How often each row counts, >= 0.

        Raises
        ------
        DataError
            For a label outside of `classes`, and fewer than two classes.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> tasks = TaskSet.one_vs_rest([[1.0], [2.0], [3.0]], ["cat", "dog", "cat"])
        >>> tasks.names, tasks[0].y
        (('cat vs rest', 'dog vs rest'), array([ 1., -1.,  1.]))
        """
        check_aligned(X, labels, "X and the labels")
        target = class_labels(labels, "the labels")
        present = np.unique(target) if classes is None else class_labels(classes, "the classes")
        unknown = np.setdiff1d(target, present)
        if len(unknown):
            first = ", ".join(str(label) for label in present.tolist()[:5])
            raise DataError(f"label {unknown[0]} is none of the {len(present)} classes ({first}, ...)")
        if len(present) < 2:
            raise DataError(f"one task per class needs at least two classes, got {len(present)}")
        shown = [f"{label:g}" if isinstance(label, float) else str(label) for label in present.tolist()]
        return cls.from_arrays(
            [X] * len(present),
            [np.where(target == label, 1.0, -1.0) for label in present],
            names=[f"{label} vs rest" for label in shown],
            feature_names=feature_names,
            sample_weight=None if sample_weight is None else [sample_weight] * len(present),
        )

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.names[:_SHOWN]))
        more = ", ..." if self.T > _SHOWN else ""
        return f"TaskSet({size_words(self)}: {names}{more})"

    def _repr_html_(self) -> str:
        rows = [(task.name, task.rows) for task in self.tasks[:_SHOWN]]
        return paragraph([repr(self)]) + table(("task", "rows"), rows)

    @property
    def T(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    @property
    def d(self) -> int:
        """Number of features."""
        return int(self.tasks[0].X.shape[1])

    @property
    def weighted(self) -> bool:
        """Whether rows of a task have weights of their own."""
        return any(task.sample_weight is not None for task in self.tasks)

    @functools.cached_property
    def block(self) -> Stack | None:
        """The rows of tasks with n rows each as one stack, for batched products; None if it is large."""
        rows = {len(task.y) for task in self.tasks}
        if len(rows) > 1 or self.T * self.d * max(rows) > BLOCK_SIZE:
            return None
        X, y = np.stack([task.X for task in self.tasks]), np.stack([task.y for task in self.tasks])
        weights = None if not self.weighted else frozen(np.stack([task.weights for task in self.tasks]))
        return Stack(frozen(X), frozen(y), weights)

    @functools.cached_property
    def stacks(self) -> tuple[Stack, ...]:
        """The rows by stacks of tasks with as many each: `block`, or one by one."""
        return tuple(map(stack_of, self)) if self.block is None else (self.block,)

    @functools.cached_property
    def row_lengths(self) -> tuple[Array, ...]:
        """||x_i|| of the rows, (k, n) for each of the `stacks`; shared rows once."""
        arrays = [task.X for task in self] if self.block is None else [self.block.X]
        known = {id(X): frozen(np.sqrt(np.einsum("...ij,...ij->...i", X, X))) for X in arrays}
        lengths = (known[id(X)] for X in arrays)
        return tuple(each[None] for each in lengths) if self.block is None else tuple(lengths)

    @functools.cached_property
    def lengths(self) -> Array:
        """||x_ti||, the norms of the original features over the rows of every task, by weight, (d, T)."""
        return frozen(feature_lengths(self.tasks, self.basis))

    @functools.cached_property
    def target_lengths(self) -> Array:
        """||y_t||, rows by weight, (T,)."""
        return frozen(np.array([task.target_length for task in self]))

    @functools.cached_property
    def row_basis(self) -> Array | None:
        """An orthonormal basis (d, r) of what all rows span where that is few dimensions (`rowspace`)."""
        return None if self.basis is not None else row_basis(task.X for task in self.tasks)

    def in_basis(self, basis: Array) -> TaskSet:
        """The same tasks in coordinates: X basis for X; tasks that share rows keep sharing them."""
        rows = {id(task.X): frozen(task.X @ basis) for task in self.tasks}
        tasks = tuple(replace(task, X=rows[id(task.X)], ones=None) for task in self.tasks)
        links = None if self.links is None else self.links.mapped(lambda X: frozen(X @ basis))
        return TaskSet(tasks=tasks, digest=self.digest, basis=basis, labels=self.labels, links=links)

    def lift(self, V: Array) -> Array:
        """Columns V (d, k) in coordinates as columns of the original features."""
        return V if self.basis is None else self.basis @ V

    @functools.cached_property
    def counts(self) -> NDArray[Any]:
        """Rows per task, (T,): n_t; where rows have weights, the sums of these."""
        counts = np.array([task.n for task in self.tasks])
        counts.flags.writeable = False
        return counts

    @functools.cached_property
    def rows(self) -> NDArray[np.int64]:
        """Rows per task, (T,), however often they count."""
        rows = np.array([task.rows for task in self.tasks], dtype=np.int64)
        rows.flags.writeable = False
        return rows

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the columns of W."""
        return tuple(task.name for task in self.tasks)

    @property
    def missing(self) -> dict[str, int]:
        """How many rows were left out for want of a label, by the names of the tasks that lost some."""
        return {task.name: task.missing for task in self.tasks if task.missing}

    def balanced(self) -> TaskSet:
        """The same tasks with weights that give both classes of a task the same sum.

        A row's weight, 1 or what it has, is multiplied by n / (2 n_class), n the sum of the weights of its
        task and n_class that of its class: `class_weight="balanced"` of scikit-learn, task by task.

        Raises
        ------
        DataError
            For targets that are no labels, a task of one class, and one that holds a factor of its rows.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> TaskSet.from_arrays([[[1.0], [2.0], [3.0]]], [[0, 0, 1]]).balanced()[0].sample_weight
        array([0.75, 0.75, 1.5 ])
        """
        return replace(self, tasks=tuple(_balanced(task) for task in self.tasks), digest=None)

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[index]

    def check_point(self, W: object, B: object) -> tuple[Array, Array]:
        """W (d, T) and B (T, T) as float64; frames are brought into the order of these features and tasks.

        Raises
        ------
        DataError
            For a wrong shape, other names, or a number that is not finite.
        """
        return check_weights(W, B, d=self.d, T=self.T, features=self.feature_names, tasks=self.names)

    def with_features(self, names: Sequence[str] | None) -> TaskSet:
        """The same tasks with their features in the order of `names`; `DataError` where these are others.

        Nothing is done where either side has no names.
        """
        if names is None or self.feature_names is None:
            return self
        order = order_of(self.feature_names, names, "the features")
        if order is None:
            return self
        rows = {id(task.X): frozen(task.X[:, order]) for task in {id(each.X): each for each in self}.values()}
        tasks = tuple(replace(task, X=rows[id(task.X)]) for task in self)
        links = None if self.links is None else self.links.mapped(lambda X: frozen(X[:, order]))
        return replace(self, tasks=tasks, feature_names=tuple(names), links=links)

    def index(self, task: int | str) -> int:
        """The number of a task given by number or name; `DataError` if there is no such task."""
        return task_index(self.names, task)

    def in_order(self, names: Sequence[str], features: Sequence[str] | None) -> TaskSet:
        """The same tasks, they and their features in these orders; `DataError` where these are others.

        There may be more `names` than tasks, but no task of another name.
        """
        unknown = [name for name in self.names if name not in names]
        wanted = [name for name in names if name in self.names] if not unknown else names
        order = order_of(self.names, wanted, "the tasks")
        if order is None:
            return self.with_features(features)
        links = None if self.links is None else self.links.of(order.tolist())
        tasks = replace(self, tasks=tuple(self.tasks[t] for t in order), links=links)
        return tasks.with_features(features)

    def stacked(self) -> tuple[Array, Array, NDArray[np.int64]]:
        """All rows of all tasks, in their order: `X` (N, d), `y` (N,) and the number of the task (N,)."""
        index = np.repeat(np.arange(self.T), [len(task.y) for task in self.tasks])
        X, y = np.vstack([task.X for task in self.tasks]), np.concatenate([task.y for task in self.tasks])
        return X, y, index

    def stacked_weights(self) -> Array | None:
        """The weights of all rows, in the order of `stacked`, (N,); None where no task has some."""
        return np.concatenate([task.weights for task in self.tasks]) if self.weighted else None

    def pool(self, *, labelled: bool = False) -> Pool:
        """The rows of all tasks, each once: those that tasks share, and those without a label too.

        Parameters
        ----------
        labelled : bool
            Only the rows that some task has a label for.

        Returns
        -------
        Pool
            `parts`, arrays (n_i, d) that hold the rows, in part factors of them, and their number `rows`.

        Raises
        ------
        DataError
            For tasks that hold factors of rows that have weights, lack labels or may be shared, and for some
            of the tasks of a set with missing labels: what is needed was not kept.

        Examples
        --------
        >>> from amtl_cvx import TaskSet
        >>> nan = float("nan")
        >>> tasks = TaskSet.from_matrix([[1.0], [2.0], [3.0]], [[0.0, 5.0], [nan, 6.0], [nan, nan]])
        >>> tasks.rows, tasks.pool().rows, tasks.pool(labelled=True).rows
        (array([1, 2]), 3, 2)
        """
        return pool_of(self, labelled=labelled)

    def fingerprint(self, *, pool: bool = False) -> str:
        """sha256 over names, shapes and numbers: two runs with the same hash saw the same data.

        With `pool` it covers the `links` too: which rows tasks share, and those without a label.
        """
        if self.digest is not None:
            return self.digest
        digest = hashlib.sha256()
        for task in self.tasks:
            digest.update(f"{task.name}|{task.X.shape}|{task.n}".encode())
            digest.update(np.ascontiguousarray(task.X, dtype="<f8").data)
            digest.update(np.ascontiguousarray(task.y, dtype="<f8").data)
            if task.sample_weight is not None:
                digest.update(np.ascontiguousarray(task.sample_weight, dtype="<f8").data)
        if pool and self.links is not None:
            self.links.update(digest)
        return digest.hexdigest()


def _links(rows: Array, parts: Sequence[Indices], there: Mask | None, weights: Array | None) -> Links | None:
    """The links of stacked rows, of which the `parts` are those of the tasks; None where all count."""
    present = None if weights is None or (weights > 0.0).all() else weights > 0.0
    if there is None and present is None:
        return None
    return links_of(
        [
            Source(rows[part], *(None if mask is None else mask[part] for mask in (there, present)))
            for part in parts
        ]
    )


def _balanced(task: Task) -> Task:
    if task.compressed:
        raise DataError(f"{task.name!r} holds a factor of its rows, which has no classes: keep the rows")
    return replace(task, sample_weight=balanced_weights(task.y, task.weights, task.name))


def check_tasks(tasks: object) -> None:
    """`DataError` that says how a `TaskSet` is made where `tasks` is none."""
    if isinstance(tasks, TaskSet):
        return
    how = "TaskSet.from_arrays([X0, X1], [y0, y1]), from_stacked(X, y, task), from_matrix(X, Y) or from_frame"
    if type(tasks).__name__ == "Dataset":
        how = "its part .train"
    raise DataError(f"expected a TaskSet, got {kind(tasks)}: give {how}")
