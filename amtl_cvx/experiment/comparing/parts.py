"""Parts: the data on which methods meet, each with rows to learn from and rows read once, at the end.

    drawn_parts(tasks, 5, test=0.25)     five draws of a quarter of every task's rows
    folded_parts(tasks, 5)               five folds: every row is a test row once
    Part(name="1", train=..., test=...)  rows that somebody else has split

Parts of one comparison have the same tasks. A part may have validation rows; where it has none, parameters
are chosen on rows of its training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment.tuning import Splits
from amtl_cvx.holdout import draw, generator
from amtl_cvx.tasks import TaskSet, check_tasks


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Training rows and test rows, and validation rows where these are given.

    Parameters
    ----------
    name : str
        What tables call it.
    train : TaskSet
        What is learned from.
    test : TaskSet
        What is scored once, after every fit; all or some of the tasks.
    validation : TaskSet, optional
        What parameters are chosen on.

    Raises
    ------
    DataError
        If the rows have other tasks or features than the training part.
    """

    name: str
    train: TaskSet
    test: TaskSet
    validation: TaskSet | None = None

    def __post_init__(self) -> None:
        for what, tasks in (("train", self.train), ("test", self.test), ("validation", self.validation)):
            if what != "validation" or tasks is not None:
                check_tasks(tasks)
                assert tasks is not None
                self._check(what, tasks)

    def _check(self, what: str, tasks: TaskSet) -> None:
        if tasks.d != self.train.d:
            raise DataError(
                f"part {self.name!r}: its {what} rows have {tasks.d} features, its training rows"
                f" {self.train.d}: give them alike"
            )
        named, known = tasks.feature_names, self.train.feature_names
        if named is not None and known is not None and sorted(named) != sorted(known):
            other = next(name for name in named if name not in known)
            raise DataError(
                f"part {self.name!r}: its {what} rows have a feature {other!r}, its training rows not"
            )
        if tasks.labels != self.train.labels and any(isinstance(each, str) for each in tasks.labels or ()):
            raise DataError(
                f"part {self.name!r}: its {what} rows have the labels {tasks.labels}, its training rows"
                f" {self.train.labels}: write them alike"
            )
        unknown = [name for name in tasks.names if name not in self.train.names]
        if unknown:
            raise DataError(
                f"part {self.name!r}: its {what} rows have a task {unknown[0]!r} that its training rows have"
                " not: leave it out"
            )


def check_parts(parts: Sequence[Part]) -> None:
    """`DataError` unless there are parts with names of their own and the same tasks and features."""
    if not parts:
        raise DataError("nothing to compare on: give a part at least")
    called = [part.name for part in parts]
    for name in called:
        if called.count(name) > 1:
            raise DataError(f"two parts are called {name!r}: give each a name of its own")
    first = parts[0]
    for part in parts[1:]:
        if part.train.names != first.train.names or part.train.d != first.train.d:
            raise DataError(
                f"parts have the same tasks and features, in one order; those of {part.name!r} are not those"
                f" of {first.name!r}"
            )


def drawn_parts(tasks: TaskSet, count: int, *, test: float = 0.25, seed: int = 0) -> tuple[Part, ...]:
    """Parts whose test rows are drawn anew for each, a share of every task's rows (and of every class).

    Raises
    ------
    DataError
        Where no task has a row to spare.
    ModelError
        For a count below 1 or a share that is none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.experiment.comparing import drawn_parts
    >>> parts = drawn_parts(TaskSet.from_matrix(np.eye(8), np.ones((8, 2))), 3, test=0.25)
    >>> [(part.name, part.train.rows.tolist(), part.test.rows.tolist()) for part in parts][:1]
    [('split 1', [6, 6], [2, 2])]
    """
    check_tasks(tasks)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ModelError(f"the number of splits must be a whole number >= 1, got {count!r}")
    if not 0.0 < test < 1.0:
        raise ModelError(f"the test share must lie between 0 and 1, got {test!r}")
    parts = []
    for number in range(count):
        train, held = draw(tasks, test, generator(seed, 2, number))
        parts.append(Part(name=f"split {number + 1}", train=train, test=held))
    return tuple(parts)


def folded_parts(tasks: TaskSet, folds: int, *, seed: int = 0) -> tuple[Part, ...]:
    """Parts of which every one tests another fold of every task's rows, the same number of rows nearly.

    Raises
    ------
    DataError
        Where a fold has no rows.
    ModelError
        For fewer than two folds.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.experiment.comparing import folded_parts
    >>> [part.test.rows.tolist() for part in folded_parts(TaskSet.from_matrix(np.eye(5), np.ones((5, 1))), 2)]
    [[3], [2]]
    """
    check_tasks(tasks)
    split = Splits.folds(tasks, folds, seed)
    return tuple(
        Part(name=f"fold {number}", train=each.train, test=each.held)
        for number, each in enumerate(split, start=1)
    )
