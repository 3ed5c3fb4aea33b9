"""The blocks of a network in another order: by names that are known, or because the point then passes.

    transposes   square blocks, and all blocks as torch.nn.Linear holds them
    tasks        columns of S with rows of A. F A, and so R and E, stay as they are, and the gradient of S
                 moves with them: an assignment by how far column s of S is from its conditions at task t

The order of the units of a layer is free, as long as it is the same in the layers beside it. Rows of W1 in
another order of the features are found by names alone: the best W1 for the other blocks is no convex problem.
What is found is only a proposal, which the judge certifies as any other point. As `features.orders`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import AMTLError
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem
from amtl_cvx.network.shapes import depth, misfit, transposed_words, turned
from amtl_cvx.untrusted import shown

LIMIT = 1000
"""Most tasks that are assigned."""
_MOST = 6
"""Square blocks of which every set is tried; of more, each alone and all."""


class Reading(NamedTuple):
    """A way to read the blocks of a file."""

    blocks: Mapping[str, Array]
    flipped: tuple[str, ...] = ()
    tasks: Indices | None = None


def arranged(blocks: Mapping[str, Any], *, tasks: Indices | None, features: Indices | None) -> dict[str, Any]:
    """Blocks whose tasks and features are `tasks` and `features` of what is given."""
    found = {name: np.asarray(value) for name, value in blocks.items()}
    if tasks is not None:
        found["S"], found["A"] = found["S"][:, tasks], found["A"][tasks]
    if features is not None:
        found["W1"] = found["W1"][features]
    return found


def repair(
    problem: NetworkProblem, blocks: Mapping[str, Array], *, judge: Callable[[Any], Any]
) -> str | None:
    """The line that names the order, or the transpose, with which a point passes; None for none."""
    for search in (_transposes, _by_tasks):
        for reading in search(problem, blocks):
            try:
                certificate = judge(dict(reading.blocks))
            except (AMTLError, np.linalg.LinAlgError):  # such as an overflow in another order: no proposal
                continue
            if certificate.passes:
                return _line(reading, blocks, problem, certificate)
    return None


def _transposes(problem: NetworkProblem, blocks: Mapping[str, Array]) -> Iterator[Reading]:
    """Sets of blocks that fit when they are transposed, the whole file first."""
    flat = tuple(name for name, block in blocks.items() if block.ndim == 2)
    square = tuple(name for name in flat if blocks[name].shape[0] == blocks[name].shape[1] > 1)
    few = len(square) <= _MOST
    counts = range(1, len(square) + 1) if few else (1, len(square))
    sets = (names for count in counts for names in itertools.combinations(square, count))
    for names in dict.fromkeys((flat, *sets)):
        found = turned(blocks, names)
        if misfit(found.blocks, depth(blocks), problem.tasks) is None:
            yield Reading({name: np.ascontiguousarray(block) for name, block in found.blocks.items()}, names)


def _by_tasks(problem: NetworkProblem, blocks: Mapping[str, Array]) -> Iterator[Reading]:
    """Columns of S with rows of A, as they are and after every transpose."""
    if not 1 < problem.tasks.T <= LIMIT:
        return
    for reading in (Reading(blocks), *_transposes(problem, blocks)):
        order = _assigned(_task_costs(problem.at(**reading.blocks)))
        if not np.array_equal(order, np.arange(len(order))):
            moved = arranged(reading.blocks, tasks=order, features=None)
            yield reading._replace(blocks=moved, tasks=order)


def _task_costs(point: NetworkPoint) -> Array:
    """Costs (T, T): how far column s of S is from its conditions at task t, over the size of their terms."""
    problem, S, Z, T, mu = point.problem, point.S, point.features, point.tasks.T, point.model.mu
    rows, c = problem.rows, problem.task_weight * problem.loss_scales
    R = -2.0 * problem.gamma * problem.rows.times[:, None] * point.E * point.rebuilding
    shared = Z.T @ (R @ point.A.T)
    given = 1.0 + point.model.alpha * np.abs(point.A).sum(axis=1)
    costs = np.empty((T, T))
    for t in range(T):
        own = np.flatnonzero(rows.task == t)
        at, y = rows.row[own], rows.y[own]
        weight = None if rows.weight is None else rows.weight[own]
        scores = point.F[at].T  # of every column of S on the rows of this task
        slopes = point.model.loss.on(weight).slopes(scores, np.broadcast_to(y, scores.shape))
        G = shared + given * (c[t] * (Z[at].T @ slopes.T))
        miss = np.where(S != 0.0, G + mu * np.sign(S), np.maximum(np.abs(G) - mu, 0.0))
        costs[:, t] = np.linalg.norm(miss, axis=0) / (mu + np.linalg.norm(G, axis=0))
    return costs


def _assigned(costs: Array) -> Indices:
    """order with the least sum of costs[order[t], t]."""
    finite = np.nan_to_num(costs, nan=1e300, posinf=1e300)
    return np.asarray(linear_sum_assignment(finite.T)[1], dtype=np.intp)


def _line(reading: Reading, blocks: Mapping[str, Array], problem: NetworkProblem, certificate: Any) -> str:
    """What is wrong with the file, and the cure."""
    said = []
    if reading.flipped:
        said.append(transposed_words(reading.flipped, blocks))
    if reading.tasks is not None:
        told = shown([problem.tasks.names[int(t)] for t in np.argsort(reading.tasks)])
        said.append(
            f"the tasks of the file are in another order ({told}): reorder columns of S and rows of A to"
            f" {reading.tasks.tolist()} (counted from 0)"
        )
    return f"next: {'; '.join(said)}; then it passes, with relative residual {certificate.relative:.1e}"
