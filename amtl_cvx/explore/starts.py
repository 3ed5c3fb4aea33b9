"""Starts of any family: drawn by it, each with a name of its own."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np

from amtl_cvx.errors import ModelError
from amtl_cvx.explore.base import exploration_of
from amtl_cvx.options import Options
from amtl_cvx.tasks import TaskSet


def draw_starts(
    tasks: TaskSet,
    model: Any,
    count: int,
    *,
    rng: np.random.Generator,
    options: Options | None = None,
    executor: Executor | None = None,
) -> tuple[Any, ...]:
    """Draw the starts of the model's family: AMTL's are many B, shared features' many L, S and A.

    Parameters
    ----------
    tasks, model
        The problem.
    count : int
        How many; the first is where a fit begins by itself, the last ones are random.
    rng : numpy.random.Generator
        Of the random ones.
    options : Options, optional
        Of the fits that make a start, such as AMTL's "single-task" and "curriculum".
    executor : concurrent.futures.Executor, optional
        For these fits.

    Raises
    ------
    ModelError
        For a count below 1, or a family that has no starts.
    """
    found = exploration_of(model, tasks)
    if count < 1:
        raise ModelError(f"the number of starts must be a whole number >= 1, got {count}")
    return tuple(found.starts(tasks, model, count, rng=rng, options=options or Options(), executor=executor))
