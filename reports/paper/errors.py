"""Errors of a fit on rows, for all rows and for each task, and who was wrong (McNemar's test).

rmse          mean over tasks of the root mean squared error: Synthetic, Imbalanced
pooled rmse   over all rows of all tasks: School
class error   share of rows, in percent, whose largest score is not that of their class: USPS, MNIST
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from amtl_cvx import TaskSet
from amtl_cvx.families import Family
from amtl_cvx.tasks import Array

MEASURES = {
    "synthetic": "rmse",
    "imbalanced": "rmse",
    "school": "pooled rmse",
    "usps": "class error",
    "mnist": "class error",
}


class Errors(NamedTuple):
    """The error that counts, what breaks ties, the error of each task, and the rows that are wrong."""

    error: float
    tie: float
    tasks: Array
    wrong: list[int]


def scores(family: Family, blocks: Mapping[str, Array], tasks: TaskSet) -> list[Array]:
    """The scores of each task's rows."""
    if family.linear:
        W = family.predictors(blocks)
        return [task.X @ w for task, w in zip(tasks, W.T, strict=True)]
    if all(task.X is tasks[0].X for task in tasks):
        return list(family.scores(blocks, tasks[0].X).T)
    return [family.scores(blocks, task.X)[:, t] for t, task in enumerate(tasks)]


def errors(z: list[Array], tasks: TaskSet, measure: str) -> Errors:
    """How far scores are from the targets; not a number counts as infinitely far."""
    if measure == "class error":
        return _of_classes(np.array(z), np.array([task.y > 0 for task in tasks]))
    squares = [(task.y - each) ** 2 for task, each in zip(tasks, z, strict=True)]
    own = np.array([np.sqrt(np.mean(each)) for each in squares])
    pooled = float(np.sqrt(np.mean(np.concatenate(squares))))
    error = pooled if measure == "pooled rmse" else float(own.mean())
    return Errors(error if np.isfinite(error) else np.inf, 0.0, own, [])


def _of_classes(z: Array, positive: Array) -> Errors:
    """Rows of shared tasks, (T, n): wrong where the largest score is another task's."""
    label, said = positive.argmax(axis=0), z.argmax(axis=0)
    wrong = said != label
    loss = float(np.mean(np.logaddexp(0.0, np.where(positive, -z, z))))
    own = np.array([100.0 * wrong[label == t].mean() for t in range(len(z))])
    bad = not np.isfinite(z).all()
    return Errors(np.inf if bad else 100.0 * float(wrong.mean()), loss, own, np.flatnonzero(wrong).tolist())


def mcnemar(first: list[int], second: list[int]) -> dict[str, Any]:
    """Rows that one of two alone gets wrong, and the exact two-sided p of that split."""
    a, b = len(set(first) - set(second)), len(set(second) - set(first))
    return {"first": a, "second": b, "p": float(binomtest(a, a + b).pvalue) if a + b else 1.0}
