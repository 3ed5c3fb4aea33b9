"""Scoring: the error of blocks on held-out rows, by the formulas of `amtl_cvx.scoring`.

    pooled rmse   root of the mean squared error over all rows of all tasks         (regression)
    rmse          mean over tasks of each one's root mean squared error
    class error   share of rows whose largest score is not that of their class      (one-vs-rest, shared rows)
    error         mean over tasks of the share of rows of the wrong sign            (classification)
    loss          mean over tasks of the mean loss over their rows, whatever the loss of the fit sums

Only the tasks that have held-out rows count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.tuning.splits import Part, Splits
from amtl_cvx.holdout import shared_classes
from amtl_cvx.losses import Loss
from amtl_cvx.scoring import score
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet, task_index

REGRESSION = ("pooled rmse", "rmse", "loss")
CLASSIFICATION = ("class error", "error", "loss")


def measure_for(measure: str, loss: Loss, splits: Splits) -> str:
    """The measure that is asked for, or that suits the data where it is "auto".

    Raises
    ------
    ModelError
        For a measure that is unknown, or not one of the loss and the data.
    """
    shared = all(
        shared_classes(part.held, equal=True) is not None and part.held.T == part.train.T for part in splits
    )
    known: tuple[str, ...] = CLASSIFICATION if loss.classification else REGRESSION
    if loss.classification and not shared:
        known = CLASSIFICATION[1:]
    if measure == "auto":
        return known[0]
    if measure not in known:
        raise ModelError(f"the measure must be auto or one of {', '.join(known)} here, got {measure!r}")
    return measure


def error_of(solution: Solution, blocks: Mapping[str, Array], part: Part, measure: str) -> float:
    """The error of blocks, in place of those of the solution, on the held-out rows; inf if it is none."""
    found = replace(solution, blocks=blocks)
    if measure == "loss":
        value = _mean_loss(found, part)
    elif measure in ("class error", "error"):
        name = "class accuracy" if measure == "class error" else "accuracy"
        value = 1.0 - score(found, part.held, classes=measure == "class error")[name]
    else:
        value = score(found, part.held)[measure]
    return value if np.isfinite(value) else np.inf


def as_tuned(
    scores: Mapping[str, float], measure: str, solution: Solution, rows: TaskSet
) -> Mapping[str, float]:
    """Scores of rows (of `amtl_cvx.scoring`) with the measure that was tuned before them."""
    right = {"class error": "class accuracy", "error": "accuracy"}.get(measure, "")
    if right in scores:
        return {measure: 1.0 - scores[right], **scores}
    if measure == "loss":
        index = tuple(task_index(solution.task_names, name) for name in rows.names)
        return {measure: _mean_loss(solution, Part(rows, rows, index)), **scores}
    return {name: scores[name] for name in sorted(scores, key=lambda name: name != measure)}


def _mean_loss(solution: Solution, part: Part) -> float:
    """The mean over tasks; scores that are no product with predictors stand as rows of one feature."""
    loss, family = replace(solution.model.loss, reduction="mean"), solution.family
    values = []
    for task, t in zip(part.held, part.index, strict=True):
        if family.linear:
            w = family.predictors(solution.blocks)[:, t]
        else:
            scores = family.scores(solution.blocks, task.X)[:, t]
            task, w = replace(task, X=scores[:, None], ones=None), np.ones(1)
        values.append(loss.value(task, w))
    return float(np.mean(values))
