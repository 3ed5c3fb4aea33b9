"""How often rows count, exactly: a weight is the rational that its double is."""

from __future__ import annotations

from flint import fmpq

from amtl_cvx.digits.pieces import exact
from amtl_cvx.tasks import Task


def row_counts(task: Task) -> list[fmpq]:
    """The weight of every row of a task."""
    return [exact(v) for v in task.weights.tolist()]


def exact_count(task: Task) -> fmpq:
    """n_t, the sum of the weights."""
    return sum(row_counts(task), fmpq(0)) if task.sample_weight is not None else fmpq(task.rows)
