"""Room for rounding in the B-step: how well its data, the prices of edges and their losses, are known."""

from __future__ import annotations

import numpy as np

from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array, TaskSet

_EPS = float(np.finfo(np.float64).eps)
SUMMED = 24.0 * _EPS
"""What a pairwise sum over any number of rows, a row function and the factors lose of it."""


def rounding(W: Array, features: int | None = None) -> float:
    """u of the essay."""
    d, T = W.shape
    terms: int = (features or d) + T + 4
    return terms * _EPS


def price_room(point: Point, prices: Array) -> Array:
    """What rounding can have done to the prices at the point, (T,), the rows as they are stored."""
    transfer = point.model.transfer
    linear = transfer.row_prices(point.problem.task_weight * loss_room(point))
    fixed = transfer.row_prices(np.zeros(point.tasks.T))
    assert linear is not None and fixed is not None
    room: Array = (linear - fixed) * (1.0 + SUMMED) + SUMMED * prices
    return room


def loss_room(point: Point) -> Array:
    """What rounding can have done to the losses at a point, (T,), but for that of their sums.

    z_i is known to within u |x_i|'|w|, in turned coordinates within u ||x_i|| ||w||, which a feature in other
    units makes far larger; and phi, which is convex, changes in that interval by at most the slope at its
    steeper end times that.
    """
    tasks, found = point.tasks, list[Array]()
    noise = rounding(point.W, features(tasks))
    for each, length in zip(point.scores, tasks.row_lengths, strict=True):
        if tasks.basis is None:
            sizes = (np.abs(each.X) @ np.abs(each.W)[:, :, None])[:, :, 0]
        else:
            sizes = length * np.linalg.norm(each.W, axis=1)[:, None]
        off, z, y, loss = noise * sizes, each.z, each.y, each.loss
        ends = np.abs(loss.subgradients(z - off, y)[0]), np.abs(loss.subgradients(z + off, y)[1])
        found.append((np.maximum(*ends) * off).sum(axis=1))
    room: Array = point.problem.loss_scales * np.concatenate(found)
    return room


def features(tasks: TaskSet) -> int:
    """d, of the features that coordinates stand for where the tasks are in coordinates."""
    return tasks.d if tasks.basis is None else len(tasks.basis)
