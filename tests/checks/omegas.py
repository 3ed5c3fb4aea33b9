"""Penalties on W with kinks: formulas in loops and a conic solver against what the package makes of them."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
from cases import random_tasks, random_transfer
from omega_cases import KINKED, literal
from omega_curvature import curvatures, solved

from amtl_cvx.certificate import residuals, second_order, weight_evidence
from amtl_cvx.certificate.w_step import weight_problem
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1
from amtl_cvx.weights import L1, L21, Fused, TraceNorm
from amtl_cvx.weights.tangent import by_differences
from checks.points import close


def kinked_omegas_are_their_formulas() -> None:
    """Value, expression, prox, subgradient, conjugate and what is clipped into its domain."""
    rng = np.random.default_rng(4)
    for omega in KINKED:
        W, V = rng.normal(size=(2, 4, 3))
        assert close(omega.value(W), literal(omega, W), 1e-12)
        assert close(omega.expression(W).value, literal(omega, W), 1e-12)
        U = cp.Variable((4, 3))
        cp.Problem(cp.Minimize(omega.expression(U) + cp.sum_squares(U - V) / 0.6)).solve(solver="CLARABEL")
        P, Z = omega.prox(V, 0.3), omega.subgradient(V, 0.3)
        assert np.abs(P - U.value).max() <= 1e-6 and np.abs(V - P - 0.3 * Z).max() <= 1e-13
        assert abs(literal(omega, P) + omega.conjugate(Z) - float((Z * P).sum())) <= 1e-12
        norm = omega.name != "trace-squared"  # of a norm the conjugate is 0 or infinite
        assert not norm or (omega.conjugate(1.01 * Z) == np.inf and omega.conjugate(0.5 * Z) == 0.0)
        assert omega.name != "fused" or omega.conjugate(0.5 * Z + 1e-3) == np.inf
        inside = omega.clip(5.0 * V)
        assert np.isfinite(omega.conjugate(inside)) and np.abs(omega.clip(inside) - inside).max() <= 1e-13


def lines_of_steps_are_least() -> None:
    """Total variation by its optimality: the sums U of v - x are within the cut, at it where x steps."""
    rng = np.random.default_rng(6)
    for T in (2, 3, 9, 40):
        for cut in (0.05, 0.6, 30.0):
            V = np.cumsum(rng.normal(size=(5, T)), axis=1)
            X = Fused(rho=cut).prox(V, 1.0)
            U, steps = np.cumsum(V - X, axis=1), np.sign(np.diff(X, axis=1))
            assert np.abs(U[:, -1]).max() <= 1e-12 * T and np.abs(U).max() <= cut + 1e-12
            assert np.abs((U[:, :-1] + cut * steps)[steps != 0.0]).max(initial=0.0) <= 1e-12


def kinked_gaps_are_no_less_than_the_gain() -> None:
    """At random points, by Clarabel on the squares written out, and not much more either."""
    rng = np.random.default_rng(7)
    tasks, B = random_tasks(rng, d=3, counts=(6, 8, 7)), random_transfer(rng, 3)
    a, M = 1.0 + 0.05 * B.sum(axis=1), np.eye(3) - B
    for omega in KINKED:
        omega = replace(omega, rho=0.3 * omega.rho)
        problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=omega))
        V = cp.Variable((3, 3))
        rows = [a[t] / task.n * cp.sum_squares(task.y - task.X @ V[:, t]) for t, task in enumerate(tasks)]
        J = cp.sum(rows) + 0.5 * cp.sum_squares(V @ M) + omega.expression(V)
        least = float(cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL"))
        for size in (0.0, 0.03, 1.0):
            W = V.value + size * rng.normal(size=(3, 3))
            misses = [task.y - task.X @ w for task, w in zip(tasks, W.T, strict=True)]
            squares = sum(c * float((miss**2).mean()) for c, miss in zip(a, misses, strict=True))
            gain = squares + 0.5 * float(((W @ M) ** 2).sum()) + literal(omega, W) - least
            point = problem.at(W, B)
            found = weight_evidence(point)
            assert found.gap is not None
            for bound in (found.gap, found.judged, weight_problem(point, None).judged().gap.safe):
                assert gain - 1e-6 <= bound <= 20.0 * gain + 1e-6
            assert found.gap <= 1.5 * gain + 1e-6


def gains_beside_a_kink_are_of_first_order() -> None:
    """W = 0 is best at a high price, beside it J grows with rho |W|, which no gradient tells."""
    rng = np.random.default_rng(9)
    tasks, B = random_tasks(rng, d=3, counts=(6, 8, 7)), random_transfer(rng, 3)
    problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=1e-9), coupling=0.5, omega=L1(rho=50.0)))
    none = problem.at(np.zeros((3, 3)), B)
    assert residuals(none).relative_W <= 1e-15
    for size in (1e-6, 1e-3):
        point = problem.at(size * rng.normal(size=(3, 3)), B)
        gain, found = point.objective - none.objective, weight_evidence(point)
        for bound in (found.gap, found.judged, weight_problem(point, None).judged().gap.safe):
            assert bound is not None and 0.999 * gain <= bound <= 1.1 * gain


def kinked_residuals_are_those_of_their_conditions() -> None:
    """Of l1: |g + z|, z = rho sign w where a prox step keeps that sign, else the multiplier of w = 0."""
    rng = np.random.default_rng(11)
    tasks, B = random_tasks(rng, d=3, counts=(6, 8)), random_transfer(rng, 2)
    problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=L1(rho=0.7)))
    a, M = 1.0 + 0.05 * B.sum(axis=1), np.eye(2) - B
    rows = [2.0 * c / task.n * task.X.T for c, task in zip(a, tasks, strict=True)]
    bent = [float(np.diag(x @ task.X).max()) for x, task in zip(rows, tasks, strict=True)]
    h = float((np.array(bent) + np.diag(M @ M.T)).max())
    for _ in range(5):
        W = rng.normal(size=(3, 2)) * (rng.random((3, 2)) < 0.6)
        gaps = [task.X @ w - task.y for task, w in zip(tasks, W.T, strict=True)]
        g = np.column_stack([x @ gap for x, gap in zip(rows, gaps, strict=True)]) + W @ M @ M.T
        far = np.abs(h * W - g) > 0.7
        miss = np.abs(g + np.where(far, 0.7 * np.sign(h * W - g), h * W - g))
        none = W == 0.0
        assert np.abs(miss - np.maximum(np.abs(g) - 0.7, 0.0))[none].max(initial=0.0) <= 1e-12
        found = residuals(problem.at(W, B))
        assert close(found.stationarity_W, float(miss.max()), 1e-12)
        lengths = [np.linalg.norm(x, axis=1) * np.linalg.norm(gap) for x, gap in zip(rows, gaps, strict=True)]
        terms = np.column_stack(lengths) + np.abs(W @ M) @ np.abs(M.T) + 0.7
        assert found.relative_W >= 0.99 * float((miss / terms).max())


def tangents_are_derivatives_of_the_prox() -> None:
    """Moves and eigenvalues against central differences."""
    rng = np.random.default_rng(12)
    for omega in KINKED:
        for shape in ((4, 3), (2, 3)):
            V = rng.normal(size=shape)
            found, other = omega.tangent(V, 0.7), by_differences(lambda U, at=omega: at.prox(U, 0.7), V)
            D, E = ((each.moves * each.values) @ each.moves.T for each in (found, other))
            assert np.abs(D - E).max() <= 1e-7 and len(found.values) == len(other.values)
            assert np.abs(found.moves.T @ found.moves - np.eye(len(found.values))).max() <= 1e-12


def kinked_curvature_is_that_of_differences() -> None:
    """Second order where W is held: a row that turns, a rank, groups; and a multiplier at its end."""
    for omega in (L1(rho=1.0), L21(rho=1.0), TraceNorm(rho=1.0)):
        point = solved(omega)
        found, values = second_order(point), curvatures(point)
        assert abs(found.reduced_hessian_min - values[0]) <= 1e-3 * abs(values[0]) + 1e-5
        assert abs(found.reduced_hessian_max - values[-1]) <= 2e-3 * values[-1]
        assert found.verdict == "strict local minimum"
    tasks = TaskSet.from_arrays([np.eye(2)], [[3.0, 0.25]])  # |slope| of the second weight at 0 is rho
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5, omega=L1(rho=0.25))
    end = Problem(tasks, model).at(np.array([[1.375], [0.0]]), np.zeros((1, 1)))
    assert second_order(end).verdict == "degenerate"


def margins_are_how_far_structures_stay() -> None:
    """By moves of that length in all directions, the worst ones of each penalty among them."""
    rng = np.random.default_rng(13)
    for omega in KINKED:
        V = rng.normal(size=(3, 3))
        margin, count = omega.margin(V, 0.5), len(omega.tangent(V, 0.5).values)
        assert margin is not None
        U, _, Q = np.linalg.svd(V)
        worst = [np.outer(U[:, k], Q[k]) for k in range(3)]
        worst += [np.eye(1, 9, k).reshape(3, 3) for k in range(9)]
        worst += [np.eye(3)[:, [i]] * V[i] / np.linalg.norm(V[i]) for i in range(3)]
        worst += [np.eye(3)[:, [i]] * step for i in range(3) for step in rng.normal(size=(20, 3))]
        for move in worst:
            for sign in (1.0, -1.0):
                moved = V + 0.999 * sign * margin * move / np.linalg.norm(move)
                assert len(omega.tangent(moved, 0.5).values) == count
