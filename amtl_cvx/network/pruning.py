r"""Moves that no small step finds: units of no use go, feedback that brings more than it costs comes.

Drop. A feature (V_j, S_j., A_.j) or a unit of a lower layer (its weights in and out) is put to 0 where J is
lower without it. 0 being a first-order point of every unit, no step does it by itself.

Escape. Where max(R_ij, 0) is 0 because R_ij is, as in every empty column of A, a kink of the reconstruction
takes 2 gamma sum_i times_i z_ij max(+-F_it, 0) from the price of +-A_tj, its `pull`; the sums are over the
rows with R_ij = 0. Where that is more than p_t, J falls by the step

    A_tj = +-(pull - p_t) / (2 gamma sum_i times_i max(+-F_it, 0)^2)

the best one of the task, exactly where column j is empty. Columns do not meet in J while the rest stands
still.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.network.balance import balanced
from amtl_cvx.network.point import NetworkPoint

_FALL = 1e-12
_ABOVE = 1e-9  # part of a price by which a pull must be more


def tidied(point: NetworkPoint) -> NetworkPoint:
    """With every unit at its best scale, and what is of no use at 0: J does not rise."""
    if point.problem.gamma == 0.0 and point.model.alpha > 0.0 and point.A.any():
        point = point.at(A=np.zeros_like(point.A))  # nothing is paid for
    better = balanced(point)
    if better.objective < point.objective * (1.0 - _FALL):
        point = better
    for layer, width in enumerate(point.model.layers):
        for unit in range(width):
            without = _without(point, layer, unit)
            if without is not None and without.objective <= point.objective:
                point = without
    return point


def _without(point: NetworkPoint, layer: int, unit: int) -> NetworkPoint | None:
    """The point without a unit; None where it is dead anyway."""
    parts = [V.copy() for V in (*point.V, point.S, point.A_plus)]
    last = layer == len(point.V) - 1
    own = [parts[layer][:, unit], parts[layer + 1][unit]] + ([parts[-1][:, unit]] if last else [])
    if not any(part.any() for part in own):
        return None
    for part in own:
        part[:] = 0.0
    return point.problem.from_vector(point.problem.layout.joined(*parts))


def escaped(point: NetworkPoint) -> NetworkPoint:
    """With the feedback that lowers J by the essay's step, a task a column; the point itself if none does."""
    problem, T = point.problem, point.tasks.T
    if problem.gamma == 0.0:
        return point
    gain, step = np.zeros_like(point.A), np.zeros_like(point.A)
    for side, pull, bend in _pulls(point):
        more = pull - point.prices[:, None]
        wanted = (point.A == 0.0) & (more > _ABOVE * point.prices[:, None]) & (bend > 0.0)
        length = np.divide(more, bend, out=np.zeros_like(more), where=wanted)
        better = 0.5 * length * more > gain
        gain, step = np.where(better, 0.5 * length * more, gain), np.where(better, side * length, step)
    best = np.argmax(gain, axis=0)
    found = point
    for column in np.flatnonzero(gain.max(axis=0) > 0.0):
        A = found.A_plus.copy()
        A[:T][best[column], column] = step[best[column], column]
        trial = problem.from_vector(problem.layout.joined(*found.V, found.S, A))
        if trial.objective < found.objective:
            found = trial
    return found


def _pulls(point: NetworkPoint) -> Iterator[tuple[float, Array, Array]]:
    """The sides, and for every entry of A the pull of the essay and what it bends by, (T, k)."""
    problem = point.problem
    count = 2.0 * problem.gamma * problem.rows.times[:, None] * point.meeting
    for side in (1.0, -1.0) if point.model.signed else (1.0,):
        F = np.maximum(side * point.F, 0.0)
        yield side, F.T @ (count * point.features), (F**2).T @ count
