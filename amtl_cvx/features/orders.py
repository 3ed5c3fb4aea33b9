"""L, S and A in another order: by names that are known, and one that is found because the point then passes.

    transposes   S' and A' where T = k, L' where d = k
    tasks        columns of S with rows of A. S A, and so M, E and K, stay as they are, and G_S moves with
                 them: an assignment by how far column s of S is from its conditions at task t
    features     rows of L. S and A fix the best L, and its rows are those of a minimum: an assignment by
                 their squared distances

The order of the learned features is free, as long as it is the same in L, S and A. What is found is only a
proposal, which the judge certifies as any other point. As `alignment` has it for W and B.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import AMTLError
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.features.steps import quadratic_of_L
from amtl_cvx.untrusted import shown

LIMIT = 3000
"""Most tasks that are assigned, and most entries of L for which the best L is computed."""
_NEWTON_STEPS = 30


class Reading(NamedTuple):
    """A way to read the blocks of a file."""

    blocks: Mapping[str, Array]
    flipped: tuple[str, ...] = ()
    tasks: Indices | None = None
    features: Indices | None = None


def arranged(blocks: Mapping[str, Any], *, tasks: Indices | None, features: Indices | None) -> dict[str, Any]:
    """Blocks whose tasks and features are `tasks` and `features` of what is given."""
    found = {name: np.asarray(value) for name, value in blocks.items()}
    if tasks is not None:
        found["S"] = found["S"][:, tasks]
        if "A" in found:
            found["A"] = found["A"][tasks]
    if features is not None:
        found["L"] = found["L"][features]
    return found


def repair(
    problem: FeatureProblem, blocks: Mapping[str, Array], *, judge: Callable[[Any], Any]
) -> str | None:
    """The line that names the order, or the transpose, with which a point passes; None for none."""
    for search in (_transposes, _by_tasks, _by_features):
        try:
            for reading in search(problem, blocks):
                certificate = judge(dict(reading.blocks))
                if certificate.passes:
                    return _line(reading, problem, certificate)
        except (AMTLError, np.linalg.LinAlgError):  # such as an overflow in another order: no proposal
            continue
    return None


def _transposes(problem: FeatureProblem, blocks: Mapping[str, Array]) -> Iterator[Reading]:
    """Square blocks transposed, one or more of them."""
    square = [name for name, block in blocks.items() if block.shape[0] == block.shape[1] > 1]
    for count in range(1, len(square) + 1):
        for names in itertools.combinations(square, count):
            turned = {name: np.ascontiguousarray(blocks[name].T) for name in names}
            yield Reading({**blocks, **turned}, names)


def _by_tasks(problem: FeatureProblem, blocks: Mapping[str, Array]) -> Iterator[Reading]:
    """Columns of S with rows of A, as they are and after every transpose."""
    if problem.tasks.T > LIMIT:
        return
    for reading in (Reading(blocks), *_transposes(problem, blocks)):
        point = problem.at(**reading.blocks)
        order = _assigned(_task_costs(point))
        if not np.array_equal(order, np.arange(len(order))):
            moved = arranged(reading.blocks, tasks=order, features=None)
            yield reading._replace(blocks=moved, tasks=order)


def _by_features(problem: FeatureProblem, blocks: Mapping[str, Array]) -> Iterator[Reading]:
    """Rows of L held against those of the best L for this S and A."""
    if blocks["L"].size > LIMIT:
        return
    order = _assigned(cdist(blocks["L"], _best_L(problem.at(**blocks)), "sqeuclidean"))
    if not np.array_equal(order, np.arange(len(order))):
        yield Reading(arranged(blocks, tasks=None, features=order), features=order)


def _task_costs(point: FeaturePoint) -> Array:
    """Costs (T, T): how far column s of S is from its conditions at task t, over the size of their terms."""
    problem, model, S, L = point.problem, point.model, point.S, point.L
    T, mu = S.shape[1], model.mu
    shared = 2.0 * problem.gamma * (L.T @ point.K @ point.A.T)
    given = 1.0 + model.alpha * np.abs(point.A).sum(axis=1)
    costs = np.empty((T, T))
    for t, task in enumerate(problem.tasks):
        z = (task.X @ point.W).T
        slopes = model.loss.on(task.sample_weight).slopes(z, np.broadcast_to(task.y, z.shape))
        scale = problem.task_weight[t] * problem.loss_scales[t]
        G = L.T @ (scale * given * (task.X.T @ slopes.T)) - shared
        miss = np.where(S != 0.0, G + mu * np.sign(S), np.maximum(np.abs(G) - mu, 0.0))
        costs[:, t] = np.linalg.norm(miss, axis=0) / (mu + np.linalg.norm(G, axis=0))
    return costs


def _best_L(point: FeaturePoint) -> Array:
    """The best L for S and A, by Newton's method from 0."""
    point = point.at(L=np.zeros_like(point.L))
    d, k = point.L.shape
    for _ in range(_NEWTON_STEPS):
        H, g = quadratic_of_L(point)[:2]
        new = point.at(L=point.L + np.linalg.solve(H, g).reshape(k, d).T)
        if not new.objective < point.objective:
            break
        point = new
    return point.L


def _assigned(costs: Array) -> Indices:
    """order with the least sum of costs[order[t], t]."""
    finite = np.nan_to_num(costs, nan=1e300, posinf=1e300)
    return np.asarray(linear_sum_assignment(finite.T)[1], dtype=np.intp)


def _line(reading: Reading, problem: FeatureProblem, certificate: Any) -> str:
    """What is wrong with the file, and the cure."""
    faults, cures, tasks = [], [], problem.tasks
    if reading.flipped:
        names = " and ".join(reading.flipped)
        faults.append(f"{names} of the file {'are' if reading.flipped[1:] else 'is'} transposed")
        cures.append(f"transpose {names}")
    counted = ""
    if reading.tasks is not None:
        told = shown([tasks.names[int(t)] for t in np.argsort(reading.tasks)])
        faults.append(f"the tasks of the file are in another order ({told})")
        rows = " and rows of A" if "A" in reading.blocks else ""
        cures.append(f"reorder columns of S{rows} to {reading.tasks.tolist()}")
        counted = " (counted from 0)"
    if reading.features is not None:
        faults.append("the features of the file are in another order")
        cures.append(f"reorder rows of L to {reading.features.tolist()}")
        counted = " (counted from 0)"
    return (
        f"next: {'; '.join(faults)}: {', then '.join(cures)}{counted}, then it passes, with relative residual"
        f" {certificate.relative:.1e}"
    )
