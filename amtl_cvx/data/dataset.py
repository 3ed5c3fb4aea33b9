"""Dataset: tasks with what is known about them; FeatureTable: raw rows to predict on."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Array, Labels, check_weights, clean
from amtl_cvx.data.rows import Rows
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import TaskSet


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Tasks with what is known about them: name, source, validation and test rows, the truth.

    Parameters
    ----------
    name : str
        The name of the problem, or of the file without its suffix.
    train, validation, test : TaskSet
        T tasks over d features; validation and test may be missing, or have some of the tasks only.
    truth_W : (d, T) ndarray, optional
        The weights the data were generated from.
    truth_B : (T, T) ndarray, optional
        1 at [s, t] where task s can teach task t, else 0.
    classes : tuple of str, optional
        For one-vs-rest tasks: task t is class t, so that the class of a row is the argmax over the tasks.
    settings : mapping
        Recommended command-line settings; empty for a file.
    source : str
        Where the data come from.
    aside : mapping
        Columns of a table that are no features: their entries, one tuple a task, in the order of its rows.
    whole : str, optional
        The fingerprint of the tasks before rows of them became the validation or test part.
    rows : Rows, optional
        The rows, where they are streamed: the training tasks hold their triangular factors.

    Raises
    ------
    DataError
        If the parts do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import Dataset, TaskSet
    >>> tasks = TaskSet.from_arrays([np.eye(2)], [[0.0, 1.0]])
    >>> Dataset(name="two rows", train=tasks, test=tasks).test.counts
    array([2])
    """

    name: str
    train: TaskSet
    validation: TaskSet | None = None
    test: TaskSet | None = None
    truth_W: Array | None = None
    truth_B: Array | None = None
    classes: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    aside: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    whole: str | None = None
    rows: Rows | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the training tasks, taken once: every checkpoint of a fit has it."""
        return self.train.fingerprint()

    @functools.cached_property
    def pool_fingerprint(self) -> str:
        """The same, for a family that sums over the pool of rows."""
        return self.train.fingerprint(pool=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean(self.name))
        object.__setattr__(self, "source", clean(self.source))
        d, T = self.train.d, self.train.T
        for part, tasks in (("validation", self.validation), ("test", self.test)):
            if tasks is not None and not (tasks.d == d and tasks.T <= T):
                raise DataError(
                    f"the {part} part must have {T} tasks with {d} features, like the training part, it has"
                    f" {tasks.T} with {tasks.d}"
                )
            if tasks is not None and _words(self.train) != _words(tasks):
                raise DataError(
                    f"the {part} part must have the labels of the training part, {self.train.labels}, it has"
                    f" {tasks.labels}"
                )
            if tasks is not None:
                names = [name for name in self.train.names if name in tasks.names]
                object.__setattr__(self, part, tasks.in_order(names, self.train.feature_names))
        if self.truth_W is not None or self.truth_B is not None:
            check_weights(
                np.zeros((d, T)) if self.truth_W is None else self.truth_W,
                np.zeros((T, T)) if self.truth_B is None else self.truth_B,
                d=d,
                T=T,
            )
        if self.classes is not None and len(self.classes) != T:
            raise DataError(f"expected one class per task, got {len(self.classes)} classes for {T} tasks")
        object.__setattr__(self, "settings", dict(self.settings))


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureTable:
    """Raw rows to predict on.

    Parameters
    ----------
    X : (N, d) ndarray
        Features in the users' units, in the order of the file.
    task : (N,) int64 ndarray or tuple of N str, optional
        The task of each row: its name, or its number where the file has no names of tasks.
    feature_names : tuple of str, optional
        The names of the columns of X.
    """

    X: Array
    task: NDArray[np.int64] | tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.feature_names is not None:
            object.__setattr__(self, "feature_names", tuple(map(clean, self.feature_names)))


def _words(tasks: TaskSet) -> Labels | None:
    """The labels of classes that are texts."""
    labels = tasks.labels
    return labels if labels is not None and isinstance(labels[0], str) else None
