"""How many rows tasks have, where those that several tasks share count once, as in the `pool`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.tasks.given import counted
from amtl_cvx.tasks.pool import groups

if TYPE_CHECKING:
    from amtl_cvx.tasks.task_set import TaskSet


def distinct_rows(tasks: TaskSet) -> int:
    """How many labelled rows the tasks have, one that several share counted once.

    Factors stand for as many rows as they are of.
    """
    if tasks.links is not None and tasks.links.index:
        return len(np.unique(np.concatenate(tasks.links.index)))
    counted = {id(task.X): task.rows for task in tasks}
    _, parts = groups([task.X for task in tasks])
    return sum(counted[id(part)] for part in parts)


def size_words(tasks: TaskSet) -> str:
    """How many tasks, features and rows."""
    return f"{counted(tasks.T, 'task')}, {counted(tasks.d, 'feature')}, {row_words(tasks)}"


def row_words(tasks: TaskSet) -> str:
    """How many rows, each said once: "258 rows", "215 shared rows"."""
    rows, every = distinct_rows(tasks), int(tasks.rows.sum())
    shared = "" if rows == every else "shared " if rows * tasks.T == every else "partly shared "
    return f"{rows} {shared}row{'s' * (rows != 1)}"
