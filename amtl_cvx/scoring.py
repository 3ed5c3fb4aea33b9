"""Scores: how well a solution predicts tasks whose targets are known.

    score(solution, tasks)             prepared tasks, found by their names
    solution.score(tasks)              the same for raw ones

Targets must be written as those of the fit: counts or other labels would be scored without meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.arrays import Labels
from amtl_cvx.errors import DataError
from amtl_cvx.tasks import Array, Task, TaskSet, task_index

if TYPE_CHECKING:
    from amtl_cvx.families import Family
    from amtl_cvx.solution import Solution

SINGLE_TASK = "stl at the same coupling"
"""What the scores of single-task learning beside those of a fit are called."""
NO_EDGES = "no edges, the same omega"
"""And those of the same J at B = 0, where a penalty on W ties the tasks too."""
SINGLE_TASK_WORDS = "that coupling is the weight of its ridge, it was not chosen for it"
AT_DECAY = "stl with the decay as ridge"
"""What those of single-task learning beside learned features are called."""
BASELINES = {SINGLE_TASK: SINGLE_TASK_WORDS, AT_DECAY: "that ridge was not chosen for it"}
"""What is to be known of a baseline, by its name."""


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def score(solution: Solution, tasks: TaskSet, *, classes: bool = False) -> Mapping[str, float]:
    """How well a solution predicts prepared tasks, all or some of those it has, found by their names.

    Returns
    -------
    mapping
        For a classification loss "accuracy", the mean over tasks, and with `classes` (one-vs-rest over shared
        rows) "class accuracy", the share of rows whose largest score is that of their class. Otherwise
        "rmse", the mean over tasks of the root mean squared error, and "pooled rmse" over all rows. Rows that
        have weights count by them.
    """
    complete = len(solution.task_names) == tasks.T
    tasks = tasks.in_order(solution.task_names, solution.feature_names)
    index = [task_index(solution.task_names, task.name) for task in tasks]
    scores = task_scores(solution.family, solution.blocks, tasks, index)
    if any(task.compressed for task in tasks) and not solution.model.loss.quadratic:
        raise DataError(
            f"the {solution.model.loss.name} loss is scored on rows: read them with keep_rows=True"
        )
    if solution.model.loss.classification:
        check_labels(tasks, solution.labels)
        right = [
            np.average((z > 0) == (task.y > 0), weights=task.sample_weight)
            for z, task in zip(scores, tasks, strict=True)
        ]
        result = {"accuracy": float(np.mean(right))}
        if classes and complete:
            check_one_vs_rest(tasks)
            winner, label = np.argmax(scores, axis=0), np.argmax([task.y for task in tasks], axis=0)
            weights = tasks[0].sample_weight
            result = {"class accuracy": float(np.average(winner == label, weights=weights)), **result}
        return result
    if tasks.labels is not None and isinstance(tasks.labels[0], str):
        raise DataError(
            f"expected numbers, as in the fit, got the labels {tasks.labels}: fit a logistic loss"
        )
    decided = [solution.model.loss.decide(z) for z in scores]
    squares = np.array([_squares(z, task) for z, task in zip(decided, tasks, strict=True)])
    return {
        "rmse": float(np.sqrt(squares / tasks.counts).mean()),
        "pooled rmse": float(np.sqrt(squares.sum() / tasks.counts.sum())),
    }


def task_scores(
    family: Family, blocks: Mapping[str, Array], tasks: TaskSet, index: Sequence[int]
) -> list[Array]:
    """The scores of each task's rows, (n_t,); rows that tasks share go through the model once."""
    if family.linear:
        predictors = family.predictors(blocks)
        return [task.X @ predictors[:, t] for task, t in zip(tasks, index, strict=True)]
    users: dict[int, list[int]] = {}
    for place, task in enumerate(tasks):
        users.setdefault(id(task.X), []).append(place)
    found: dict[int, Array] = {}
    for places in users.values():
        of_all = family.scores(blocks, tasks[places[0]].X)
        found |= {place: of_all[:, index[place]].copy() for place in places}
    return [found[place] for place in range(tasks.T)]


def _squares(z: Array, task: Task) -> float:
    """The sum of the squared errors, rows by weight."""
    errors = (z - task.y) ** 2
    return float((errors if task.sample_weight is None else task.sample_weight * errors).sum())


def check_one_vs_rest(tasks: TaskSet) -> None:
    """`DataError` unless every row of all tasks is of one class, that of the task where it is positive."""
    first = tasks[0].X
    shared = all(task.X is first or np.array_equal(task.X, first) for task in tasks)
    shared = shared and all(np.array_equal(task.weights, tasks[0].weights) for task in tasks)
    if not shared or (np.array([task.y > 0 for task in tasks]).sum(axis=0) != 1).any():
        raise DataError(
            "class accuracy needs tasks that are classes of the same rows, with the same weights:"
            " TaskSet.one_vs_rest(X, labels)"
        )


def check_labels(tasks: TaskSet, labels: Labels | None) -> None:
    """`DataError` for targets that are not written as the labels of a fit: text alike, or 0/1 and -1/+1."""
    pairs = [pair for pair in (labels, tasks.labels) if pair is not None]
    if len(set(pairs)) > 1 and any(isinstance(pair[0], str) for pair in pairs):
        raise DataError(f"expected the labels of the fit, {labels}, got {tasks.labels}: write them alike")
    values = set[float]().union(*(np.unique(task.y).tolist() for task in tasks))
    if not (values <= {0.0, 1.0} or values <= {-1.0, 1.0}):
        shown = ", ".join(f"{value:g}" for value in sorted(values)[:5])
        raise DataError(
            f"expected the labels of the fit, {labels}, or 0/1 or -1/+1, got {shown}: recode them"
        )
