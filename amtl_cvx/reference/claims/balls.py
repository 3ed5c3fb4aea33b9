r"""Single steps of AMTL to any number of digits, proved in ball arithmetic.

Weights (w-step, single-task, one task). The step is strongly convex with modulus

    m = 2 (coupling sigma_min(M)^2 + rho gamma_min)          of one task 2 (coupling kappa_t + rho gamma_tt)

so that ||W - W*||_F <= ||G_W||_F / m wherever W is: Newton's method in doubles goes on from residuals in
balls to 70 digits (the factor is that of doubles, each step brings twelve digits or so), and the radius is
proved from the last residual alone. sigma_min(M) >= (1 - ||I - N M||_F) / ||N||_F for any N, here the inverse
in doubles. gamma_min is 1 for a ridge and 0 for another quadratic penalty on W, which only helps. Losses with
kinks have exact rationals (`digits.rational`).

Edges (b-step, prices by rows). Prices are exact or balls; on the support P of the stored B

    2 coupling A_P'A_P b_P = 2 coupling A_P'w - p_P,    b_P > 0,    q = p - 2 coupling A'(w - A b) > 0 off P

in balls: b is the only minimiser. Where some q is 0 exactly the rationals say so (`exact_transfer`), if B is
unique all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg as sl
from flint import arb, arb_mat, ctx

from amtl_cvx.arrays import Array
from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.proof import check_rows
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.finding import point_of
from amtl_cvx.subproblems.numpy_steps import minimised
from amtl_cvx.weights import Ridge

DPS, DIGITS = 100, 40
ENOUGH = 70
"""Digits to which Newton's method goes."""
STEPS = 40
LARGEST = 5000
"""Entries of W up to which a step is proved."""
RATIONAL = 60
"""Entries of W up to which a loss with kinks is solved over the rationals."""


def step_digits(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    *,
    task: int | None,
) -> dict[str, Any]:
    """What digits.json holds of a step; `NotCertifiable` with the reason where it is not proved."""
    if ask == "curriculum":
        from amtl_cvx.reference.claims.curriculum_balls import curriculum_digits

        return curriculum_digits(problem, solution)
    point = point_of(problem, ask, solution, given, task=task)
    check_rows(point.tasks, point.model.loss)
    with ctx.workdps(DPS):
        if ask == "b-step":
            return _edges(point)
        if point.model.loss.smooth:
            return _weights(point, task)
        return _rational_weights(point)


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


def _weights(point: Point, task: int | None) -> dict[str, Any]:
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
    """The Frobenius norm."""
    return sum((entry * entry for row in rows for entry in row), arb(0)).sqrt()


def largest(rows: Sequence[Sequence[arb]]) -> arb:
    """The largest size of an entry, of its midpoint."""
    found = arb(0)
    for row in rows:
        for entry in row:
            found = found.max(abs(entry.mid()))
    return found


def _rational_weights(point: Point) -> dict[str, Any]:
    """The w-step of a loss with kinks over the rationals."""
    from amtl_cvx.digits import exact_weights

    if point.W.size > RATIONAL:
        raise NotCertifiable(f"a loss with kinks is solved exactly up to {RATIONAL} entries of W")
    found = exact_weights(point.tasks, point.model, point.B)
    if found.gap != 0 or found.gradient != 0:
        raise NotCertifiable("the exact W-step did not end at a gap of 0")
    W = [[ball(value) for value in row] for row in found.W]
    system, rest = system_at(point)
    J = _kinked_objective(point, found.W)
    return named(
        point,
        {
            "W": [[decimal(value, DIGITS) for value in row] for row in W],
            "objective": decimal(J, DIGITS),
            "radius": 0.0,
            "method": "exact rationals",
            "dps": DPS,
        },
    )


def _kinked_objective(point: Point, W: Sequence[Sequence[Fraction]]) -> arb:
    """J at exact weights, of a loss of polynomial pieces."""
    from amtl_cvx.digits.atoms import exact_atoms
    from amtl_cvx.digits.counts import exact_count, row_counts
    from amtl_cvx.digits.gram import exact_gram
    from amtl_cvx.digits.pieces import exact, piecewise
    from amtl_cvx.digits.rows import exact_task_weights

    tasks, model, T = point.tasks, point.model, point.tasks.T
    c = exact_task_weights(tasks, model.task_weights, model.task_weight(tasks))
    weighted = []
    for t, task in enumerate(tasks):
        total = arb(0)
        for x, y, v in zip(task.X.tolist(), task.y.tolist(), row_counts(task), strict=True):
            z = sum((exact(a) * exact(W[i][t]) for i, a in enumerate(x)), exact(0))
            total += arb(v * piecewise(model.loss, y).value(z))
        weighted.append(c[t] * total / (arb(exact_count(task)) if model.loss.reduction == "mean" else 1))
    atoms, _ = exact_atoms(model.transfer, T)
    costs = (atom.cost(weighted, arb(float(x))) for atom, x in zip(atoms, point.coefficients, strict=True))
    total = sum(weighted, arb(0)) + sum(costs, arb(0))
    balls = arb_mat([[ball(value) for value in row] for row in W])
    M = arb_mat([[arb(int(s == t)) - arb(float(point.B[s, t])) for t in range(T)] for s in range(T)])
    R = balls * M
    gram = arb_mat(exact_gram(model, T))
    pairs = zip((balls * gram).entries(), balls.entries(), strict=True)
    omega = sum((a * b for a, b in pairs), arb(0))
    return total + arb(float(model.coupling)) * sum((r * r for r in R.entries()), arb(0)) + omega


def ball(value: Fraction) -> arb:
    """A rational as a ball."""
    return arb(value.numerator) / value.denominator


def _edges(point: Point) -> dict[str, Any]:
    """The b-step of a penalty with prices by rows."""
    from amtl_cvx.digits.prices import linear_prices

    pairs = linear_prices(point.model.transfer, point.tasks.T)
    try:
        B, radius, method = _support_edges(point, pairs), 0.0, "balls on the support"
    except Undecided as undecided:
        B, method = _rational_edges(point, undecided), "exact rationals"
    width = max((entry.rad() for row in B for entry in row), default=arb(0))
    radius = at_most(arb(width))
    T = point.tasks.T
    free = [(s, t) for t in range(T) for s in range(T) if s != t and not B[s][t].is_zero()]
    place = {(s, t): k for k, (s, t) in enumerate((s, t) for s in range(T) for t in range(T) if s != t)}
    system = FirstOrderSystem(point.tasks, point.model, [place[pair] for pair in free], _sides(point))
    W = arb_mat(point.W.tolist())
    J = _objective_at(system, W, [B[s][t] for s, t in free])
    return named(
        point,
        {
            "B": [["0" if entry.is_zero() else decimal(entry, DIGITS) for entry in row] for row in B],
            "objective": decimal(J, DIGITS),
            "radius": radius,
            "method": method,
            "dps": DPS,
        },
    )


def _sides(point: Point) -> Any:
    """On which side of its kink every row is, of a loss with kinks; exact at the doubles of W."""
    if point.model.loss.smooth:
        return None
    from amtl_cvx.digits.pieces import exact

    sides = []
    for task, w in zip(point.tasks, point.W.T, strict=True):
        kinks = point.model.loss.kinks(task.y).tolist()
        z = [
            sum((exact(a) * exact(b) for a, b in zip(x, w.tolist(), strict=True)), exact(0))
            for x in task.X.tolist()
        ]
        sides.append(tuple(1 if value > exact(k) else -1 for value, k in zip(z, kinks, strict=True)))
    return tuple(sides)


def _objective_at(system: FirstOrderSystem, W: arb_mat, edges: Sequence[arb]) -> arb:
    """J, whose system may hold multipliers of rows beside the edges."""
    more = system.size - W.nrows() * W.ncols() - len(edges)
    found: arb = system.objective(stacked(W, [*edges, *[arb(0)] * more]))
    return found


def _prices(point: Point, pairs: Sequence[tuple[float, float]]) -> list[arb]:
    """p_s at W."""
    system = FirstOrderSystem(point.tasks, point.model, (), _sides(point))
    weighted = system.weighted(system.losses(arb_mat(point.W.tolist())))
    return [
        arb(fixed) + (arb(unit) - arb(fixed)) * each
        for (fixed, unit), each in zip(pairs, weighted, strict=True)
    ]


def _support_edges(point: Point, pairs: Sequence[tuple[float, float]]) -> list[list[arb]]:
    """B by rows, zeros exact; `Undecided` where a multiplier or an edge may be 0."""
    T, W = point.tasks.T, arb_mat(point.W.tolist())
    gram, twice = W.transpose() * W, 2 * arb(float(point.model.coupling))
    p = _prices(point, pairs)
    B = [[arb(0)] * T for _ in range(T)]
    for t in range(T):
        P = [s for s in range(T) if point.B[s, t] > 0.0 and s != t]
        if P:
            A = arb_mat([[twice * gram[s, u] for u in P] for s in P])
            right = arb_mat(len(P), 1, [twice * gram[s, t] - p[s] for s in P])
            try:
                found = A.solve(right).entries()
            except ZeroDivisionError:
                raise Undecided("the predictors of a support are linearly dependent, or nearly so") from None
            for s, value in zip(P, found, strict=True):
                if not value > 0:
                    raise Undecided("an edge of the support may be 0")
                B[s][t] = value
        for s in range(T):
            if s == t or s in P:
                continue
            q = p[s] - twice * (gram[s, t] - sum((gram[s, u] * B[u][t] for u in P), arb(0)))
            if not q > 0:
                raise Undecided("a multiplier off the support may be 0")
    return B


def _rational_edges(point: Point, undecided: Exception) -> list[list[arb]]:
    """The same over the rationals, where B is unique."""
    from amtl_cvx.digits import exact_prices, exact_transfer

    prices = exact_prices(point.tasks, point.model, point.W)
    found = exact_transfer(point.W, prices, point.model.coupling, support=point.B)
    if not found.unique:
        raise NotCertifiable(f"{undecided}, and B is not unique by the rationals")
    if found.gap != 0:
        raise NotCertifiable("the exact B-step did not end at a gap of 0")
    return [[ball(value) for value in row] for row in found.B]
