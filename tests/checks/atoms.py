"""Penalties that are sums of prices and squares of edges: second order and digits, from J alone."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
from cases import Array, random_tasks
from penalty_cases import ATOMS, COUNTS, Case, directions

from amtl_cvx import L1, ElasticNet, Model, Options, Required, SizePricedL1, SquaredTransfer, TaskSet, fit
from amtl_cvx.certificate import second_order
from amtl_cvx.digits import prove
from amtl_cvx.problem import Problem
from amtl_cvx.solution import Solution
from amtl_cvx.transfer import TransferPenalty
from checks.points import close

Matrix = list[list[Any]]


def exact_penalty(penalty: TransferPenalty, B: Matrix, losses: list[Any]) -> Any:
    """R by the formula, at prices of the doubles nearest to mu times their factors."""
    mu, pairs = mpmath.mpf(penalty.mu), [(s, t) for s in range(3) for t in range(3) if s != t]
    if isinstance(penalty, L1):
        return mu * sum(B[s][t] for s, t in pairs)
    if isinstance(penalty, SizePricedL1):
        rates = [mpmath.mpf(penalty.mu * (max(COUNTS[:3]) / n) ** penalty.power) for n in COUNTS[:3]]
        return sum(rates[s] * losses[s] * B[s][t] for s, t in pairs)
    if isinstance(penalty, SquaredTransfer):
        return mu * sum(losses[s] * B[s][t] ** 2 for s, t in pairs)
    found = mu * sum(losses[s] * abs(B[s][t]) for s, t in pairs)
    if isinstance(penalty, ElasticNet):
        found += mpmath.mpf(penalty.rho) * sum(B[s][t] ** 2 for s, t in pairs)
    return found


def exact_J(tasks: TaskSet, model: Model, W: Matrix, B: Matrix) -> Any:
    """J of the squared loss by loops."""
    losses = []
    for t, task in enumerate(tasks):
        rows = zip(task.X.tolist(), task.y.tolist(), strict=True)
        misses = [sum(mpmath.mpf(x) * W[i][t] for i, x in enumerate(row)) - y for row, y in rows]
        losses.append(sum(miss**2 for miss in misses) / len(misses))
    spread = [W[i][t] - sum(W[i][s] * B[s][t] for s in range(3)) for i in range(tasks.d) for t in range(3)]
    coupling = mpmath.mpf(model.coupling) * sum(miss**2 for miss in spread)
    return sum(losses) + exact_penalty(model.transfer, B, losses) + coupling


def moved(block: Matrix, unit: Array, step: Any) -> Matrix:
    pairs = zip(block, unit.tolist(), strict=True)
    return [[b + step * u for b, u in zip(row, units, strict=True)] for row, units in pairs]


def second_difference(f: object, x: Array, i: int, j: int, h: float) -> float:
    """d2 f / dx_i dx_j by mixed central differences, extrapolated from steps h and 2 h."""
    values = []
    for step in (h, 2.0 * h):
        total = 0.0
        for p, q in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            point = x.copy()
            point[i] += p * step
            point[j] += q * step
            total += p * q * f(point)  # type: ignore[operator]
        values.append(total / (4.0 * step**2))
    return (4.0 * values[0] - values[1]) / 3.0


@functools.cache
def penalty_fits() -> dict[str, tuple[Case, TaskSet, Solution]]:
    """Found before any fault is planted."""
    tasks, options = random_tasks(np.random.default_rng(7), d=3, counts=COUNTS[:3]), Options(engine="fast")
    fits = {
        case.id: (case, tasks, fit(tasks, Model(transfer=case.at(3, 0.05), coupling=0.3), options=options))
        for case in ATOMS
    }
    assert all(solution.certificate.passes for _, _, solution in fits.values())
    return fits


def digits_of(name: str) -> None:
    """J is stationary along moves of W and free ones of B, held ones raise it; it has the digits."""
    case, tasks, solution = penalty_fits()[name]
    model, (free, held) = solution.model, directions(case, solution.B)
    found = prove(tasks, model, solution.W, solution.B)
    assert found.strict_local_min and found.radius <= 1e-30 and free and found.room > 0.0
    with mpmath.workdps(60):
        W, B = ([[mpmath.mpf(x) for x in row] for row in block] for block in (found.W, found.B))
        h = mpmath.mpf(10) ** -18
        J = exact_J(tasks, model, W, B)
        assert abs(J / mpmath.mpf(found.objective) - 1) < mpmath.mpf(10) ** -37
        for unit in np.eye(9).reshape(9, 3, 3):
            ends = [exact_J(tasks, model, moved(W, unit, side * h), B) for side in (1, -1)]
            assert abs(ends[0] - ends[1]) / h < mpmath.mpf(10) ** -30
        for unit in free:
            ends = [exact_J(tasks, model, W, moved(B, unit, side * h)) for side in (1, -1)]
            assert abs(ends[0] - ends[1]) / h < mpmath.mpf(10) ** -30
        slopes = [(exact_J(tasks, model, W, moved(B, unit, h)) - J) / h for unit in held]
    signed, bounds = case.penalty.feasible(3).signed, case.at(3).project(np.full((3, 3), -9.0))
    above = [np.abs(solution.B - (0.0 if signed else bounds))[unit != 0.0].min() for unit in free]
    assert close(found.min_positive_B, min(above), 1e-9)
    for slope, unit in zip(slopes, held, strict=True):
        if (solution.B * unit).min() < 0.0:  # a move against the sign of an edge
            assert abs(slope) < 1e-15
        else:
            assert slope > 0.99 * found.min_multiplier
    assert close(found.min_multiplier, least_multiplier(name), 1e-5)


def second_order_of(name: str) -> None:
    """Eigenvalues, least multiplier and number of free variables, from values of J."""
    case, tasks, solution = penalty_fits()[name]
    model, W, B = solution.model, solution.W, solution.B
    found, (free, _) = second_order(Problem(tasks, model).at(W, B)), directions(case, B)
    n = W.size + len(free)

    def J(x: Array) -> float:
        moved = B + sum((b * unit for b, unit in zip(x[W.size :], free, strict=True)), np.zeros_like(B))
        return model.objective(tasks, x[: W.size].reshape(3, 3).T, moved)

    x, H = np.r_[W.T.ravel(), np.zeros(len(free))], np.zeros((n, n))
    for i, j in np.argwhere(np.tri(n)):
        H[i, j] = H[j, i] = second_difference(J, x, i, j, 1e-3)
    values = np.linalg.eigvalsh(H)
    assert found.free == n > W.size and found.verdict == "strict local minimum" and values[0] > 0.0
    assert close(found.reduced_hessian_min, values[0], 1e-4)
    assert close(found.reduced_hessian_max, values[-1], 1e-6)
    assert close(found.min_multiplier, least_multiplier(name), 1e-5)


def least_multiplier(name: str) -> float:
    """The least slope of J where B is held, one-sided; 2 p_s against the sign of an edge."""
    case, tasks, solution = penalty_fits()[name]
    model, W, B = solution.model, solution.W, solution.B
    slopes = []
    for unit in directions(case, B)[1]:
        ahead = [model.objective(tasks, W, B + h * unit) for h in (0.0, 1e-4, 2e-4)]
        if (B * unit).min() < 0.0:
            slopes.append(2.0 * model.mu * float(solution.losses[(B * unit).any(axis=1)][0]))
        else:
            slopes.append((4.0 * ahead[1] - 3.0 * ahead[0] - ahead[2]) / 2e-4)
    return min(slopes)


def required_edges_count_from_their_bound() -> None:
    """The least edge required at nine tenths of what it is: a tenth of it is left."""
    _, tasks, solution = penalty_fits()["LossWeightedL1"]
    B = solution.B
    s, t = divmod(int(np.argmin(np.where(B > 0.0, B, np.inf))), 3)
    model = Model(transfer=Required(mu=0.05, edges=[(s, t, 0.9 * B[s, t])]), coupling=0.3)  # type: ignore[arg-type]
    assert close(prove(tasks, model, solution.W, B).min_positive_B, 0.1 * B[s, t], 1e-6)
    assert close(second_order(Problem(tasks, model).at(solution.W, B)).min_positive_B, 0.1 * B[s, t], 1e-6)


def digits_of_every_penalty_are_those_of_J() -> None:
    """Each with what the others lack: squares, pairs, signs, bounds, prices without a loss."""
    for name in ("SquaredTransfer", "Symmetric", "SignedL1", "Required", "L1"):
        digits_of(name)


def second_order_of_every_penalty_is_that_of_J() -> None:
    for name in ("SquaredTransfer", "Symmetric", "SignedL1", "Required", "ElasticNet"):
        second_order_of(name)
