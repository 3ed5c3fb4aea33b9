"""One-sided derivatives of J of a network by the forward pass alone, and their least over all cells.

`slope` walks the forward pass with moves, unit by unit, and takes max(u', 0) at u = 0: no weight of a kink,
no multiplier. `least` minimises it over |d| <= 1 exactly: a linear program for every choice of sides of the
units and of entries of R that are on their kinks, in which y >= 0 or y <= 0 holds along d.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.optimize import linprog


def relu_slope(values, moves, touching):
    """The derivative of max(., 0), one-sided where a value is on its kink."""
    return np.where(touching, np.maximum(moves, 0.0), np.where(values > 0.0, moves, 0.0))


def walk(point, direction, unit_slope, sides):
    """J'(x; d) with these slopes of units, and the moves of all that is on a kink, for one direction."""
    problem, model, T = point.problem, point.model, point.tasks.T
    *dV, dS, dA = problem.layout.split(direction)
    dz, moves = None, []
    for number, V in enumerate(point.V):
        du = point.below[number] @ dV[number]
        if number:
            du = du + dz @ V[: dz.shape[1]]
        moves.append(du)
        dz = unit_slope(number, point.U[number], du, point.touching[number])
    dF = dz @ point.S + point.features @ dS
    dR = (dF @ point.A) + point.F_plus @ dA
    moves.append(dR)
    back = unit_slope(len(point.V), point.R, dR, point.meeting)
    dE = dz - back
    rows = problem.rows
    J = 2.0 * problem.gamma * float(rows.times @ (point.E * dE).sum(axis=1))
    given = 1.0 + model.alpha * np.abs(point.A).sum(axis=1)
    J += float((given * point.loss_slopes * dF).sum())
    J += sum(2.0 * model.decay * float(np.vdot(V, dv)) for V, dv in zip(point.V, dV, strict=True))
    J += 2.0 * model.decay * float(np.vdot(point.A_plus[T:], dA[T:]))
    S, A = sides if sides is not None else (np.sign(dS), np.sign(dA[:T]))
    J += model.mu * float((np.where(point.S != 0.0, np.sign(point.S), S) * dS).sum())
    J += float((point.prices[:, None] * np.where(point.A != 0.0, np.sign(point.A), A) * dA[:T]).sum())
    return J, moves


def slope(point, direction):
    """J'(x; d)."""
    return walk(point, direction, lambda number, *value: relu_slope(*value), None)[0]


def least(point):
    """min of J'(x; d) over |d_e| <= 1, over all cells around the point: 0 where it is stationary."""
    n = point.problem.size
    kinks = [(number, *place) for number, at in enumerate(point.touching) for place in np.argwhere(at)]
    pulled = (point.problem.gamma * point.problem.rows.times > 0.0)[:, None] & (point.features > 0.0)
    kinks += [(len(point.V), *place) for place in np.argwhere(point.meeting & pulled)]
    moving = [kink for kink in kinks if _moves(point, kink)]
    assert len(moving) <= 12, f"{len(moving)} kinks are too many"
    return min(
        _least_of(point, moving, sides, n) for sides in itertools.product((0.0, 1.0), repeat=len(moving))
    )


def _moves(point, kink):
    """Whether a unit moves where all below it are free: by random directions."""
    rng = np.random.default_rng(0)
    for _ in range(40):  # a unit above one that is on its kink moves one way only
        moves = walk(
            point, rng.standard_normal(point.problem.size), lambda n, *value: relu_slope(*value), None
        )[1]
        if moves[kink[0]][kink[1:]] != 0.0:
            return True
    return False


def _least_of(point, kinks, sides, n):
    """The same in one cell; entries of S and A at 0 are split into what rises and what falls."""
    masks = [np.zeros(at.shape) for at in (*point.touching, point.meeting)]
    for kink, side in zip(kinks, sides, strict=True):
        masks[kink[0]][kink[1:]] = side

    def fixed(number, values, moves, touching):
        return np.where(touching, masks[number] * moves, np.where(values > 0.0, moves, 0.0))

    columns, along, zero = [], [], np.zeros(n)
    zeros = np.zeros(n, dtype=bool)
    layout, signed = point.problem.layout, point.model.signed
    zeros[layout.S] = (point.S == 0.0).ravel()
    A_zero = np.vstack([point.A == 0.0, np.zeros((len(point.A_plus) - point.tasks.T, len(point.S)), bool)])
    zeros[layout.A] = A_zero.ravel()
    for e in range(n):
        for sign in (1.0, -1.0) if zeros[e] else (1.0,):
            if sign < 0.0 and not signed and e >= layout.A.start:
                continue
            d = zero.copy()
            d[e] = sign
            J, moves = walk(point, d, fixed, None)
            columns.append(J)
            along.append([moves[kink[0]][kink[1:]] for kink in kinks])
    bounds = [
        (0.0, 1.0) if zeros[e] else (-1.0, 1.0)
        for e in range(n)
        for _ in range(1 if not zeros[e] or (not signed and e >= layout.A.start) else 2)
    ]
    signs = np.where(np.asarray(sides) > 0.5, -1.0, 1.0)  # y >= 0 where on, y <= 0 where off
    A_ub = (np.array(along).T * signs[:, None]) if kinks else None
    b_ub = np.zeros(len(kinks)) if kinks else None
    found = linprog(columns, A_ub=A_ub, b_ub=b_ub, bounds=bounds, method="highs")
    assert found.status == 0, found.message
    return float(found.fun)
