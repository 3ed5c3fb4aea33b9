"""What the tests of exploring share: small problems with several first-order points."""

from __future__ import annotations

import functools

import cases
import numpy as np

from amtl_cvx.explore import Landscape, draw_starts, explore
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

SEED = 1


MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.03), coupling=2.0)


def several(rng: np.random.Generator, T: int = 4) -> TaskSet:
    return cases.random_tasks(rng, d=3, counts=[6] * T)


def halves() -> tuple[TaskSet, TaskSet]:
    """Rows to fit and rows to judge by, of the same tasks."""
    whole = cases.random_tasks(np.random.default_rng(SEED), d=3, counts=[12] * 4)
    parts = [[task.X[rows] for task in whole] for rows in (slice(6), slice(6, 12))]
    targets = [[task.y[rows] for task in whole] for rows in (slice(6), slice(6, 12))]
    return TaskSet.from_arrays(parts[0], targets[0]), TaskSet.from_arrays(parts[1], targets[1])


@functools.cache
def explored() -> Landscape:
    """A landscape of several points, judged on rows that were not fitted."""
    tasks, validation = halves()
    starts = draw_starts(tasks, MODEL, 20, rng=np.random.default_rng(0))
    return explore(tasks, MODEL, starts, validation=validation)
