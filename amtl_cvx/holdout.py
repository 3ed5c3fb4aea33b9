"""Held-out rows: parts of a task set that a fit does not see.

    hold_out    a fifth of every task's rows, for the choice of the coupling
    draw        a share of every task's rows, for validation or test
    split_off   the rows that are marked

Rows, and their weights with them, are drawn within each task, and within each class of a task where the
targets are classes; tasks that are classes over shared rows (one-vs-rest) lose the same rows. A task or class
with a single row keeps it. A row that is held out of every task that has a label for it is gone from the pool
of rows (`tasks.pool`) too; one that another task is still trained on, or that has no label at all, is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.arrays import Mask, frozen
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Task, TaskSet, links_without

Split = tuple[TaskSet, TaskSet | None, tuple[int, ...]]
"""Training part, held-out part, numbers of the tasks in it: what `hold_out` returns."""
HELD_OUT = 0.2
"""Share of the rows that `hold_out` draws."""


def hold_out(tasks: TaskSet, loss: Loss, rng: np.random.Generator) -> Split:
    """A fifth of every task's rows, drawn within classes for a classification loss.

    Returns
    -------
    train : TaskSet
        All tasks, without the held-out rows; every task and every class keeps a row.
    held_out : TaskSet or None
        The tasks that had rows to spare.
    index : tuple of int
        Their numbers.
    """
    masks = [_mask(classes_of_rows(task, loss.classification), HELD_OUT, rng) for task in tasks]
    train, held = split_off(tasks, masks)
    return train, held, tuple(t for t, mask in enumerate(masks) if mask.any())


def draw(tasks: TaskSet, share: float, rng: np.random.Generator) -> tuple[TaskSet, TaskSet]:
    """The tasks without a share of their rows, and those rows.

    Raises
    ------
    DataError
        If no task has a row to spare.
    """
    classes = shared_classes(tasks, equal=True)
    if classes is not None:
        masks = [_mask(classes, share, rng)] * tasks.T
    else:
        masks = [_mask(classes_of_rows(task, tasks.labels is not None), share, rng) for task in tasks]
    train, held = split_off(tasks, masks)
    if held is None:
        raise DataError("no task has a row to spare, each has one (of a class): give more rows")
    return train, held


def generator(seed: object, *further: int) -> np.random.Generator:
    """Where draws come from; `ModelError` for a seed that is no whole number >= 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ModelError(f"the seed must be a whole number >= 0, got {seed!r}")
    return np.random.default_rng((int(seed), *further) if further else int(seed))


def split_off(tasks: TaskSet, masks: Sequence[Mask]) -> tuple[TaskSet, TaskSet | None]:
    """The tasks without the rows that are marked, and the marked rows of the tasks that have some.

    Raises
    ------
    DataError
        If all rows of a task are marked, or the tasks hold factors of their rows.
    """
    rows: dict[tuple[int, bytes], Array] = {}  # tasks that share rows keep sharing them

    def part(task: Task, mask: Mask) -> Task:
        key = id(task.X), mask.tobytes()
        if key not in rows:
            rows[key] = frozen(task.X[mask])
        weight = None if task.sample_weight is None else frozen(task.sample_weight[mask])
        return Task(X=rows[key], y=frozen(task.y[mask]), name=task.name, sample_weight=weight)

    kept, held = [], []
    for task, mask in zip(tasks, masks, strict=True):
        if task.compressed:
            raise DataError(f"{task.name!r} has a factor of its rows: hold them out with data.hold_out")
        if mask.all():
            raise DataError(f"all rows of {task.name!r} are held out: leave one for training at least")
        kept.append(replace(part(task, ~mask), missing=task.missing))
        if mask.any():
            held.append(part(task, mask))
    train = replace(
        tasks, tasks=tuple(kept), digest=None, links=links_without(tasks, [~mask for mask in masks])
    )
    if not held:
        return train, None
    links = links_without(tasks, masks, unlabelled=False)
    links = None if links is None else links.of([t for t, mask in enumerate(masks) if mask.any()])
    return train, replace(tasks, tasks=tuple(held), digest=None, links=links)


def classes_of_rows(task: Task, classification: bool) -> NDArray[np.int64]:
    """The class of every row, 0 for all where there are none."""
    return np.where(task.y > 0, 0, 1) if classification else np.zeros(len(task.y), dtype=np.int64)


def shared_classes(tasks: TaskSet, *, equal: bool = False) -> NDArray[np.int64] | None:
    """The class of every row where the tasks are one-vs-rest over the same rows.

    With `equal` the same numbers will do, as a file holds them, and rows need not be shared in memory.
    """
    first = tasks[0].X
    if tasks.T < 2 or any(
        task.X is not first and not (equal and np.array_equal(task.X, first)) for task in tasks
    ):
        return None
    positive = np.array([task.y > 0 for task in tasks])
    return positive.argmax(axis=0) if (positive.sum(axis=0) == 1).all() else None


def _mask(classes: NDArray[np.int64], share: float, rng: np.random.Generator) -> Mask:
    """A share of the rows of each class, at least one where there are two, never all."""
    mask = np.zeros(len(classes), dtype=bool)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        count = min(max(int(share * len(rows)), 1), len(rows) - 1)
        mask[rng.permutation(rows)[:count]] = True
    return mask
