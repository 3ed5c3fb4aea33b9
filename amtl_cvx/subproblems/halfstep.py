"""What the two steps share: their result and the unit of the objective."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.problem import Model
from amtl_cvx.solvers import Solved
from amtl_cvx.tasks import Array, TaskSet


class HalfStep(NamedTuple):
    """A block's new value and how it was solved."""

    value: Array
    solved: Solved


def unit_of(tasks: TaskSet, model: Model) -> float:
    """The unit of the objective: the mean weighted loss at W = 0 (1 if that is 0)."""
    return float(model.weighted_losses(tasks, np.zeros((tasks.d, tasks.T))).mean()) or 1.0
