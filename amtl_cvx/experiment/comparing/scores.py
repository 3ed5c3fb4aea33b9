"""Errors on rows that no fit has seen: of the whole, of each task, and of each row.

    measure        of the whole                                  of a task
    pooled rmse    root of the mean square over all rows         the same over its rows
    rmse           the mean over tasks of theirs                 root of the mean square over its rows
    class error    share of rows given to another class          the same of the rows of its class
                   (one-vs-rest: the largest score decides)
    error          the mean over tasks of theirs                 share of its rows on the wrong side

The errors of the tasks make up that of the whole, so that gains of tasks can be read beside it: squares of
pooled rmse weigh by rows, class errors by the rows of the classes, the others are means. Rows that have
weights count by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Labels, Mask
from amtl_cvx.errors import DataError
from amtl_cvx.families import family_of
from amtl_cvx.holdout import shared_classes
from amtl_cvx.scoring import check_labels, check_one_vs_rest, task_scores
from amtl_cvx.tasks import TaskSet, task_index

MEASURES = ("pooled rmse", "rmse", "class error", "error")
OF_A_TASK = {
    "pooled rmse": "rmse of each task",
    "rmse": "rmse of each task",
    "class error": "share of the rows of each class that are given to another",
    "error": "share of the rows of each task on the wrong side",
}
"""What the error of a task is, by measure."""


class Scored(NamedTuple):
    """How wrong predictors are."""

    measure: str
    error: float
    by_task: Array
    """(T,), NaN for a task without rows."""
    right: Mask | None
    """Which rows are right, (N,); None for targets that are numbers, and rows that several tasks have."""
    others: Mapping[str, float]
    """Other measures, by name."""


def measure_of(loss: Any, tasks: TaskSet, measure: str = "auto") -> str:
    """The measure that "auto" means, or the one asked for; `DataError` where the targets do not have it."""
    fitting: tuple[str, ...] = MEASURES[:2]
    if loss.classification:
        fitting = MEASURES[2 if shared_classes(tasks, equal=True) is not None else 3 :]
    if measure == "auto":
        return fitting[0]
    if measure not in fitting:
        raise DataError(f"errors of these targets are {' or '.join(fitting)}, got {measure!r}")
    return measure


def scored(
    model: Any,
    blocks: Mapping[str, Array],
    tasks: TaskSet,
    *,
    names: Sequence[str],
    features: Sequence[str] | None,
    labels: Labels | None,
    measure: str,
) -> Scored:
    """The errors of blocks on prepared tasks, all or some of those by the `names` of the fit."""
    tasks = tasks.in_order(names, features)
    index = [task_index(names, task.name) for task in tasks]
    scores = task_scores(family_of(model), blocks, tasks, index)
    known = [np.isfinite(z) for z in scores]  # a fit that went astray is wrong
    scores = [np.where(there, z, np.inf) for there, z in zip(known, scores, strict=True)]
    by_task = np.full(len(names), np.nan)
    if not model.loss.classification:
        squares = [
            (model.loss.decide(z) - task.y) ** 2 @ task.weights for z, task in zip(scores, tasks, strict=True)
        ]
        by_task[index] = np.sqrt(np.array(squares) / tasks.counts)
        found = {
            "pooled rmse": float(np.sqrt(sum(squares) / tasks.counts.sum())),
            "rmse": float(np.nanmean(by_task)),
        }
        return Scored(measure, found.pop(measure), by_task, None, found)
    check_labels(tasks, labels)
    sides = [there & ((z > 0) == (task.y > 0)) for there, z, task in zip(known, scores, tasks, strict=True)]
    wrong = [float(np.average(~side, weights=task.weights)) for side, task in zip(sides, tasks, strict=True)]
    if measure == "error":
        by_task[index] = wrong
        right = None if _share_rows(tasks) else np.concatenate(sides)
        return Scored(measure, float(np.mean(wrong)), by_task, right, {})
    check_one_vs_rest(tasks)
    label = np.argmax([task.y for task in tasks], axis=0)
    right, weights = np.all(known, axis=0) & (np.argmax(scores, axis=0) == label), tasks[0].weights
    for t in range(len(names)):
        own = weights * (label == t)
        if own.sum() > 0:
            by_task[t] = float(own @ ~right / own.sum())
    whole = float(np.average(~right, weights=weights))
    return Scored(measure, whole, by_task, right, {"error": float(np.mean(wrong))})


def _share_rows(tasks: TaskSet) -> bool:
    """Whether tasks have rows in common, more of them than may be alike by chance.

    Being right on such a row for several tasks is no independent evidence.
    """
    found = [{row.tobytes() for row in task.X} for task in tasks]
    return len(set[bytes]().union(*found)) < 0.75 * sum(map(len, found))
