r"""W-steps of losses with kinks (hinge, quantile), exactly.

At the minimum some rows stand on their kink, and the loss grows with the first power of the distance from it:
the 1e-9 that an interior-point solver leaves is too much. `problem.kinks` solves the W-step anew, finds
these rows and puts them there. As long as their multipliers stay inside their intervals the rows stay on
their kinks while B moves a little: W moves in the directions that they leave free, and in these the Hessian
of J in W is that of coupling and Omega alone (`free_directions`). Refinement works in them.

Above `DENSE_LIMIT` unknowns, where no such matrix is factored, the multipliers u of least gap
(`certificate.fenchel`) lead to the exact point. With S = coupling K K', K that of `problem.squares`,

    W* = -(1/2) G(u) S^-1 = W - (1/2) Q S^-1,    Q = G(u) + 2 W S,    G(u)_t = (a_t/n_t) X_t'u_t
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.problem import Point
from amtl_cvx.problem.kinks import DENSE_LIMIT
from amtl_cvx.subproblems.tangents import tangent_moves
from amtl_cvx.tasks import Array

_STEPS, _REFUSED = 20, 1  # in all, and in a row without a better point
_ACCURACY = 1e-14  # |Q| over the coupling's part of it
_NOISE = 1e-13  # relative change of J that counts as rounding
_INSIDE = 1e-6
"""Share of its interval by which, above `DENSE_LIMIT`, the multiplier of a row on its kink is inside."""


def kinked_minimum(point: Point) -> Array:
    """argmin over W of J(., B) to rounding, (d, T); above `DENSE_LIMIT` W itself where I - B is singular."""
    if point.W.size > DENSE_LIMIT:
        if not point.least_of_K > 0.0:
            return point.W
        return _by_dual_steps(point)
    found = point.at(W=point.kinked.W)
    # among points that differ by rounding it is the one of smaller residual
    return (found if found.objective <= point.objective + noise(point) else point).W


def noise(point: Point) -> float:
    """Differences of J that are rounding: rows on kinks make them of the first power of their scores' own."""
    own = _NOISE * abs(point.objective)
    if point.model.loss.smooth or point.W.size > DENSE_LIMIT:
        return own
    return own + point.kinked_problem.noise(point.W)


def _by_dual_steps(point: Point) -> Array:
    """The best point of the steps to W*: the lowest J, and among values equal to rounding the least |Q|."""
    L, best, least, smallest, refused = point.squares.L, point.W, np.inf, np.inf, 0
    for _ in range(_STEPS):
        coupling, value = point.square_gradient_W, point.objective
        Q = fenchel(point, kinked_multipliers(point)).pull + coupling
        miss, slack = float(np.abs(Q).max()), _NOISE * abs(value)
        if value < least - slack or (value <= least + slack and miss < smallest):
            best, least, smallest, refused = point.W, min(least, value), miss, 0
        elif (refused := refused + 1) > _REFUSED:
            break
        if miss <= _ACCURACY * float(np.abs(coupling).max()):
            break
        step = np.linalg.solve(L.T, np.linalg.solve(L, Q.T)).T / (2.0 * point.square_weight)
        point = point.at(W=point.W - step)
    return best


def loss_slopes(point: Point) -> Array:
    """The gradients of the losses, or what multipliers of rows on kinks stand for, (d, T), without a_t."""
    if point.model.loss.smooth:
        return point.loss_gradient
    slopes: Array = fenchel(point, kinked_multipliers(point)).pull / point.loss_weight
    return slopes


def free_directions(point: Point) -> tuple[Array, Array]:
    """Orthonormal moves N (T d, m) of W, tasks stacked, along which J is smooth, and its Hessian there.

    They leave every row on its kink, or keep what a penalty on W has made of it (`tangents`).

    Which rows those are the solved W-step says, not the size of their multipliers: those of a heavy task that
    is interpolated lie as near to an end as its weight is large.
    """
    if point.model.prox_omega is not None:
        return tangent_moves(point)
    solved = point.kinked_problem
    if point.W.size <= DENSE_LIMIT:
        return solved.free_directions(point.kinked.on)
    _, y, _ = point.tasks.stacked()
    low, high = point.model.loss.on(point.tasks.stacked_weights()).domain(y)
    share = (np.concatenate(kinked_multipliers(point)) - low) / (high - low)
    return solved.free_directions((share > _INSIDE) & (share < 1.0 - _INSIDE))
