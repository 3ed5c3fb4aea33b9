"""Starts: B = 0, the B that other methods learn, and random sparse B."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.experiment import Job, fit_many
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem, check_problem
from amtl_cvx.subproblems import compile_transfer_step
from amtl_cvx.tasks import Array, TaskSet

DENSITIES = (0.2, 0.5, 1.0)
"""Shares of the T (T - 1) edges that a random start has."""
SIZES = (0.3, 1.0, 3.0, 10.0)
"""Mean sums of its columns, B[s, t] counted in units of ||w_t|| / ||w_s|| of the tasks learned alone."""
_LITTLE_RIDGE = 1e-3


class Start(NamedTuple):
    """Where a fit begins: a feasible B (T, T) under a name of its own."""

    name: str
    B: Array


def drawn(
    tasks: TaskSet,
    model: Model,
    count: int,
    *,
    rng: np.random.Generator,
    options: Options,
    executor: Executor | None,
) -> tuple[Start, ...]:
    """Zero, single-task, curriculum (where penalty and loss allow it), the rest random sparse B."""
    model = check_problem(tasks, model)
    starts = [Start("zero", model.transfer.start(tasks.T))]
    if count == 1:
        return tuple(starts)
    W, learned = _learned_starts(tasks, model, options, executor)
    starts += learned[: count - 1]
    units = _relative_lengths(W)
    for number in range(1, count - len(starts) + 1):
        density, size = DENSITIES[number % len(DENSITIES)], SIZES[number % len(SIZES)]
        name = f"random {number} (density {density:g}, size {size:g})"
        B = units * _random_transfer(tasks.T, density, size, rng)
        if model.transfer.feasible(tasks.T).signed:
            B = np.where(rng.random(B.shape) < 0.5, -B, B)
        starts.append(Start(name, model.transfer.project(B)))
    return tuple(starts)


def _learned_starts(
    tasks: TaskSet, model: Model, options: Options, executor: Executor | None
) -> tuple[Array, list[Start]]:
    """W (d, T) of the tasks learned alone, and the B of it and of the curriculum."""
    alone = replace(model, coupling=_LITTLE_RIDGE * model.coupling)
    jobs = [Job(tasks=tasks, model=alone, method="stl", options=options)]
    prices = model.transfer.row_prices(np.zeros(tasks.T))
    if prices is not None and model.loss.smooth and model.omega is None:  # what the curriculum needs
        jobs.append(Job(tasks=tasks, model=model, method="curriculum", options=options))
    single, *others = fit_many(jobs, executor=executor)
    small = model.compress(tasks)
    step = compile_transfer_step(small, model, backend=options.backend)
    B = step.solve(Problem(small, model).at(single.W, model.transfer.start(tasks.T))).value
    starts = [Start("single-task", B), *(Start("curriculum", solution.B) for solution in others)]
    return single.W, starts


def _relative_lengths(W: Array) -> Array:
    """||w_t|| / ||w_s|| at [s, t], (T, T); 0 for a predictor that is 0."""
    lengths = np.linalg.norm(W, axis=0)
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return np.outer(inverse, lengths)


def _random_transfer(T: int, density: float, size: float, rng: np.random.Generator) -> Array:
    """Entries present with probability `density` and uniform, off the diagonal columns of mean sum `size`."""
    present = rng.random((T, T)) < density
    largest = 2.0 * size / max(density * (T - 1), 1.0)
    return np.where(present, largest * rng.random((T, T)), 0.0)
