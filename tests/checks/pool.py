"""The pool of rows, against the rows that it was made of."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from amtl_cvx.errors import DataError
from amtl_cvx.holdout import split_off
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

NAN = float("nan")
ROWS = np.arange(10.0).reshape(5, 2)
TARGETS = np.array([[1.0, NAN], [NAN, 2.0], [3.0, 4.0], [NAN, NAN], [5.0, 6.0]])


def rows_are_pooled_once() -> None:
    """Rows that tasks share count once, those without a label too; copies are the same rows."""
    tasks = TaskSet.from_matrix(ROWS, TARGETS, sample_weight=[2.0, 1.0, 1.0, 1.0, 0.0])
    for labelled, kept in ((False, [0, 1, 2, 3]), (True, [0, 1, 2])):
        assert np.array_equal(np.vstack(tasks.pool(labelled=labelled).parts), ROWS[kept])
    for second, rows in ((ROWS.copy(), 5), (ROWS + (ROWS == 3.0), 10)):
        pool = TaskSet.from_arrays([ROWS, second], [TARGETS[:, 0] * 0.0 + 1.0] * 2, missing="drop").pool()
        assert pool.rows == sum(map(len, pool.parts)) == rows


def rows_held_out_leave_the_pool() -> None:
    """Of all tasks that had a label for them; rows without one stay."""
    tasks = TaskSet.from_matrix(ROWS, TARGETS)
    train, held = split_off(tasks, [np.array([True, True, False]), np.array([False, False, True])])
    assert np.array_equal(train.pool().parts[0], ROWS[1:]) and held is not None
    assert np.array_equal(held.pool().parts[0], ROWS[[0, 2, 4]])


def stored_rows_are_pooled_as_they_were() -> None:
    """A folder of a problem keeps which rows are one."""
    tasks = TaskSet.from_matrix(ROWS, TARGETS)
    with tempfile.TemporaryDirectory() as place:
        Problem(tasks, Model(transfer=LossWeightedL1(mu=1.0), coupling=1.0)).save(Path(place) / "p")
        back = Problem.load(Path(place) / "p").tasks
    assert np.array_equal(back.pool().parts[0], ROWS) and back.pool(labelled=True).rows == 4


def factors_are_refused_where_they_do_not_tell() -> None:
    """Weighted factors, and factors of what may be the same rows, one of them in other units."""
    X = np.vstack([np.diag([1.0, 1e6]), np.ones((1, 2))])
    for tasks in (
        (Task(X=X, y=np.ones(3), count=9, total=12.0),),
        tuple(Task(X=X * (1 + 1e-12 * t), y=np.ones(3), count=9, name=f"{t}") for t in range(2)),
    ):
        try:
            TaskSet(tasks=tasks).pool()
        except DataError:
            continue
        raise AssertionError("rows that are not known were counted")
    other = Task(X=X + np.diag([1e-3, 0.0])[[0, 1, 1]], y=np.ones(3), count=9, name="other")
    assert TaskSet(tasks=(Task(X=X, y=np.ones(3), count=9), other)).pool().rows == 18
