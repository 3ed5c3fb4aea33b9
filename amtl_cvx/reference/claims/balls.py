r"""Single steps of AMTL to any number of digits, proved in ball arithmetic.

Weights (w-step, single-task, one task). The step is strongly convex with modulus

    m = 2 (coupling sigma_min(M)^2 + rho gamma_min)          of one task 2 (coupling kappa_t + rho gamma_tt)

so that ||W - W*||_F <= ||G_W||_F / m wherever W is: Newton's method in doubles goes on from residuals in
balls to 70 digits (the factor is that of doubles, each step brings twelve digits or so), and the radius is
proved from the last residual alone. sigma_min(M) >= (1 - ||I - N M||_F) / ||N||_F for any N, here the inverse
in doubles. gamma_min is 1 for a ridge and 0 for another quadratic penalty on W, which only helps. Losses with
kinks have exact rationals (`digits.rational`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg as sl
from flint import arb, arb_mat

from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.subproblems.numpy_steps import minimised
from amtl_cvx.weights import Ridge

DPS, DIGITS = 100, 40
ENOUGH = 70
"""Digits to which Newton's method goes."""
STEPS = 40
LARGEST = 5000
"""Entries of W up to which a step is proved."""


class Proven(NamedTuple):
    """A midpoint W (d, T) or w (d, 1), and how far the answer is from it at most, entry by entry."""

    middle: arb_mat
    radius: arb


def named(point: Point, found: Mapping[str, Any]) -> dict[str, Any]:
    """With the names of tasks and features, as `ProvenPoint.named` has them."""
    features = point.tasks.feature_names
    names = {
        "task_names": list(point.tasks.names),
        "feature_names": None if features is None else list(features),
    }
    return {**names, "strict_local_min": True, **found}


def decimals(block: arb_mat, radius: arb | None = None) -> list[list[str]]:
    """The entries, each known to `radius`."""
    around = arb(0) if radius is None else arb(0, radius)
    return [[decimal(entry + around, DIGITS) for entry in row] for row in block.tolist()]


def smooth_weights(point: Point, task: int | None) -> dict[str, Any]:
    """The w-step, or the step of one task, of a smooth loss."""
    if point.model.prox_omega is not None:
        raise NotCertifiable(f"{point.model.prox_omega.name} has kinks in W: its step has no proof in balls")
    if point.W.size > LARGEST:
        raise NotCertifiable(f"{point.W.size} entries of W are more than the {LARGEST} that are proved")
    system, rest = system_at(point)
    found = newton_weights(point, system, rest, task)
    W = arb_mat(found.middle.tolist())
    balls = [[entry + arb(0, found.radius) for entry in row] for row in W.tolist()]
    if task is not None:
        whole = [[arb(float(v)) for v in row] for row in point.W.tolist()]
        for i, row in enumerate(balls):
            whole[i][task] = row[0]
        J = system.objective(stacked(arb_mat(whole), rest))
    else:
        J = system.objective(stacked(arb_mat(balls), rest))
    blocks = (
        {"w": [row[0] for row in decimals(W, found.radius)]}
        if task is not None
        else {"W": decimals(W, found.radius)}
    )
    return named(
        point,
        {
            **blocks,
            "objective": decimal(J, DIGITS),
            "radius": at_most(found.radius),
            "method": "Newton's method in balls; strong convexity",
            "dps": DPS,
        },
    )


def system_at(point: Point) -> tuple[FirstOrderSystem, list[arb]]:
    """The ball system of all atoms that are off their bounds, and the coefficients that B has in it."""
    from amtl_cvx.digits.proof import free_atoms

    free = free_atoms(point)
    system = FirstOrderSystem(point.tasks, point.model, free)
    return system, [arb(float(point.coefficients[k])) for k in free]


def stacked(W: arb_mat, rest: Sequence[arb]) -> arb_mat:
    """The unknowns of the system: W by tasks, then the coefficients."""
    entries = [W[i, t] for t in range(W.ncols()) for i in range(W.nrows())]
    return arb_mat(len(entries) + len(rest), 1, [*entries, *rest])


def newton_weights(
    point: Point, system: FirstOrderSystem, rest: list[arb], task: int | None, *, start: Point | None = None
) -> Proven:
    """The best W, or w of one task, by Newton's method from a point that is near or from `start`."""
    at = minimised(point) if start is None and task is None else start or point
    columns = range(point.tasks.T) if task is None else [task]
    modulus = _modulus(point, task)
    if not modulus > 0:
        raise NotCertifiable(
            "I - B is singular and no ridge makes up for it: the step is not strongly convex"
        )
    W = arb_mat([[arb(float(v)) for v in row] for row in at.W.tolist()])
    solve = _solver(at, task)
    goal = arb(10) ** -ENOUGH
    for count in range(STEPS):
        G = _gradient(system, W, rest, columns)
        size = ball_norm(G)
        if size < goal * modulus * (ball_norm(W.tolist()) + arb(10) ** -20):
            break
        step = solve(G)
        rows = W.tolist()
        for k, t in enumerate(columns):
            for i in range(point.tasks.d):
                rows[i][t] = (rows[i][t] - step[i][k]).mid()
        W = arb_mat(rows)
        if count % 8 == 7:
            at = at.at(W=np.array([[float(v.mid()) for v in row] for row in rows]))
            solve = _solver(at, task)
    else:
        raise NotCertifiable("Newton's method does not settle at this step: its Hessian is nearly singular")
    radius = (size / modulus).upper()
    if task is None:
        return Proven(W, radius)
    return Proven(arb_mat(point.tasks.d, 1, [W[i, task] for i in range(point.tasks.d)]), radius)


def _gradient(
    system: FirstOrderSystem, W: arb_mat, rest: Sequence[arb], columns: Sequence[int]
) -> list[list[arb]]:
    """G_W of some columns, (d, k) as rows."""
    at = system.state(stacked(W, rest))
    try:
        slopes = system.slopes_W(at, system.losses(at.W))
    except Undecided as seam:
        raise NotCertifiable(f"{seam}") from seam
    return [[slopes[t][i] for t in columns] for i in range(system.d)]


def _solver(at: Point, task: int | None) -> Callable[[list[list[arb]]], list[list[arb]]]:
    """H^-1 in doubles times a gradient of any size."""
    if task is None:
        H = at.smooth_hessian_W()
    else:
        kappa = float((at.K[task] ** 2).sum())
        H = at.loss_hessians[task] + 2.0 * at.square_weight * kappa * np.eye(at.tasks.d)
    root = np.sqrt(np.diag(H))
    try:
        factor = sl.cho_factor(H / np.outer(root, root), lower=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise NotCertifiable("the Hessian of the step is singular up to rounding") from error
    d = at.tasks.d

    def solve(G: list[list[arb]]) -> list[list[arb]]:
        k = len(G[0])
        size = largest(G)
        if size == 0:
            return [[arb(0)] * k for _ in range(d)]
        unit = arb(2) ** int(np.floor(np.log2(float(size.mid())))) if float(size.mid()) > 0 else size
        g = np.array([float((G[i][t] / unit).mid()) for t in range(k) for i in range(d)])
        x = sl.cho_solve(factor, g / root, check_finite=False) / root
        return [[arb(float(x[t * d + i])) * unit for t in range(k)] for i in range(d)]

    return solve


def _modulus(point: Point, task: int | None) -> arb:
    """m of the module essay, from below."""
    model = point.model
    lam = arb(float(model.coupling))
    rho = arb(0)
    if isinstance(model.omega, Ridge):
        rho = arb(float(model.omega.rho))
    if task is not None:
        kappa = 1 + sum((arb(float(b)) ** 2 for u, b in enumerate(point.B[task]) if u != task), arb(0))
        return (2 * (lam * kappa + rho)).lower()
    return (2 * (lam * least_singular(point) ** 2 + rho)).lower()


def least_singular(point: Point) -> arb:
    """sigma_min(I - B) from below; 0 where nothing is proved."""
    T = point.tasks.T
    try:
        N = np.linalg.inv(point.M)
    except np.linalg.LinAlgError:
        return arb(0)
    if not np.isfinite(N).all():
        return arb(0)
    M = arb_mat([[arb(int(s == t)) - arb(float(point.B[s, t])) for t in range(T)] for s in range(T)])
    inverse = arb_mat(N.tolist())
    off = (inverse * M).tolist()
    for t in range(T):
        off[t][t] = off[t][t] - 1
    found = (1 - ball_norm(off)) / ball_norm(inverse.tolist())
    return found.lower() if found > 0 else arb(0)


def ball_norm(rows: Sequence[Sequence[arb]]) -> arb:
    """The Frobenius norm, from above."""
    total = sum((entry.abs_upper() ** 2 for row in rows for entry in row), arb(0))
    return total.sqrt().upper()


def largest(rows: Sequence[Sequence[arb]]) -> arb:
    """The largest size of an entry, of its midpoint."""
    found = arb(0)
    for row in rows:
        for entry in row:
            found = found.max(abs(entry.mid()))
    return found


def ball(value: Fraction) -> arb:
    """A rational as a ball."""
    return arb(value.numerator) / value.denominator
