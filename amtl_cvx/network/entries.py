"""What each entry of all blocks costs, and which can move, in the order of the problem's layout."""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.network.point import NetworkPoint


def entry_prices(point: NetworkPoint) -> Array:
    """What |x_e| costs, (n,): mu in S, p_t in row t of A, 0 elsewhere."""
    layout, T = point.problem.layout, point.tasks.T
    found = np.zeros(point.problem.size)
    found[layout.S] = point.model.mu
    A = np.zeros_like(point.A_plus)
    A[:T] = point.prices[:, None]
    found[layout.A] = A.ravel()
    return found


def feedback_entries(point: NetworkPoint) -> Mask:
    """Which entries are those of A, without its bias, (n,)."""
    found = np.zeros(point.problem.size, dtype=bool)
    start = point.problem.layout.A.start
    found[start : start + point.A.size] = True
    return found


def movable(point: NetworkPoint) -> Mask:
    """Which entries can move: those of dead units stay 0, and A where nothing is rebuilt."""
    parts = [np.ones(shape) for shape in point.problem.layout.shapes]
    for number, V in enumerate(point.V):
        dead = ~V.any(axis=0)
        parts[number][:, dead] = 0.0
        parts[number + 1][: V.shape[1]][dead] = 0.0
        if number == len(point.V) - 1:
            parts[-1][:, dead] = 0.0
    if point.problem.gamma == 0.0:
        parts[-1][:] = 0.0
    found: Mask = point.problem.layout.joined(*parts) != 0.0
    return found
