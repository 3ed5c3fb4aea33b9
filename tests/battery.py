"""What every transfer penalty has to hold, one check each; `penalty_cases.CASES` are those that are asked.

A check takes a case, a generator and a number of points: few in the tests, 100 in reports/penalties. Expected
values come from the formula as it is printed (`Case.rule`, `Case.limits`), by itself or given to Clarabel.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, random_tasks, single_task_W
from cases import SourceGroupL2 as Own
from penalty_cases import COUNTS, Case

from amtl_cvx import Model, Options, certify, fit
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment import mu_max
from amtl_cvx.tasks import TaskSet

TRIED: tuple[tuple[float, dict[str, Any]], ...] = (
    *((t, {"solver": "CLARABEL", "tol_gap_abs": t, "tol_gap_rel": t, "tol_feas": t}) for t in (1e-13, 1e-11)),
    (1e-8, {"solver": "CLARABEL"}),
    (1e-6, {"solver": "SCS", "eps": 1e-9}),
)
"""Solvers in turn, each with the tolerance that it is trusted for."""
T = 5


def solved(problem: cp.Problem) -> tuple[float, float]:
    """The minimum that a conic solver finds, and the tolerance that it reached."""
    for tol, given in TRIED:
        with warnings.catch_warnings(), contextlib.suppress(cp.error.SolverError):
            warnings.simplefilter("ignore")  # an inaccurate answer is none
            value = float(problem.solve(**given))
            if problem.status == cp.OPTIMAL:
                return value, tol
    raise AssertionError(f"no solver has an answer: {problem.status}")


def tasks_of(rng: np.random.Generator, *, d: int = 6, count: int = 4) -> TaskSet:
    """Related tasks with the rows that the cases count on."""
    return random_tasks(rng, d=d, counts=COUNTS[:count])


def least(case: Case, model: Model, losses: Array, W: Array) -> float:
    """At least min over B of coupling ||W - W B||^2 + R(B; losses), by the formula, where Clarabel ends.

    Its B, made feasible, is a point like any other: no tolerance of the solver enters.
    """
    B = cp.Variable((W.shape[1], W.shape[1]))
    rule = model.coupling * cp.sum_squares(W - W @ B) + case.written(B, losses, model.mu)
    solved(cp.Problem(cp.Minimize(rule), case.limits(B)))
    B.value = model.transfer.project(B.value)
    return float(rule.value)


def value_is_the_formula(case: Case, rng: np.random.Generator, points: int) -> None:
    """By `value` and by `expression`, whose B and losses change and which is compiled once."""
    B, losses, penalty = cp.Variable((T, T)), cp.Parameter(T, nonneg=True), case.at(T)
    expression = penalty.expression(B, losses)
    for _ in range(points):
        B.value, losses.value = case.feasible(rng, T), rng.random(T)
        expected = float(case.written(cp.Constant(B.value), losses.value).value)
        assert penalty.value(B.value, losses.value) == pytest.approx(expected, rel=1e-12)
        assert float(expression.value) == pytest.approx(expected, rel=1e-12)


def expression_is_convex_and_dpp(case: Case, rng: np.random.Generator, points: int) -> None:
    B, losses, penalty = cp.Variable((T, T)), cp.Parameter(T, nonneg=True), case.at(T)
    expression = penalty.expression(B, losses)
    assert expression.is_scalar() and expression.is_convex()
    limits = [] if penalty.feasible(T).signed else [B >= 0]
    limits += [cp.diag(B) == 0, *penalty.constraints(B)]
    assert cp.Problem(cp.Minimize(expression), limits).is_dcp(dpp=True)


def prox_is_the_conic_solution(case: Case, rng: np.random.Generator, points: int) -> None:
    """With one step for all rows, and with one for each where the class says that it takes them."""
    penalty = case.at(T)
    for point in range(points):
        V, losses = rng.normal(size=(T, T)), rng.random(T)
        by_row = penalty.row_steps and point % 2 == 0
        step = rng.uniform(0.2, 2.0, size=(T, 1)) if by_row else 0.7
        B = cp.Variable((T, T))
        distance = cp.sum_squares(cp.multiply(1.0 / np.sqrt(2.0 * step * np.ones((T, 1))), B - V))
        least, tol = solved(cp.Problem(cp.Minimize(case.written(B, losses) + distance), case.limits(B)))
        flat = 2.0 * np.sqrt(2.0 * np.max(step) * tol)  # a point this far may be as low for the solver
        found = penalty.prox(V, step, losses)
        assert np.abs(found - B.value).max() <= 1e-7 + flat
        own = float(case.written(cp.Constant(found), losses).value) + float(
            ((found - V) ** 2 / (2.0 * step)).sum()
        )
        assert own <= least + 1e-8 * abs(least) + tol


def prox_is_feasible_and_leaves_its_argument_alone(case: Case, rng: np.random.Generator, points: int) -> None:
    penalty = case.at(T)
    for _ in range(points):
        V, losses = rng.normal(size=(T, T)), rng.random(T)
        before = V.copy()
        B = penalty.prox(V, 0.3, losses)
        assert all(limit.violation().max() <= 1e-12 for limit in case.limits(cp.Constant(B)))
        assert np.array_equal(penalty.project(B), B) and np.array_equal(np.diag(B), np.zeros(T))
        assert np.array_equal(V, before)


def prox_is_not_expansive(case: Case, rng: np.random.Generator, points: int) -> None:
    losses, penalty = rng.random(T), case.at(T)
    for _ in range(10 * points):
        U, V = rng.normal(size=(T, T)), rng.normal(size=(T, T))
        moved = penalty.prox(U, 0.5, losses) - penalty.prox(V, 0.5, losses)
        assert np.linalg.norm(moved) <= np.linalg.norm(U - V) * (1 + 1e-12)


def affine_and_not_decreasing_in_the_losses(case: Case, rng: np.random.Generator, points: int) -> None:
    penalty = case.at(T)
    for _ in range(points):
        B, low, high = case.feasible(rng, T), rng.random(T), 1.0 + rng.random(T)
        half = penalty.value(B, 0.5 * (low + high))
        assert half == pytest.approx(0.5 * (penalty.value(B, low) + penalty.value(B, high)), rel=1e-12)
        assert penalty.value(B, high) >= penalty.value(B, low)
        fixed = penalty.value(B, np.zeros(T))
        assert fixed + penalty.weights(B) @ low == pytest.approx(penalty.value(B, low), rel=1e-13)
        prices = penalty.prices(low)
        if prices is not None:
            assert prices @ B.sum(axis=1) == pytest.approx(penalty.value(B, low), rel=1e-13)


def atoms_are_the_penalty(case: Case, rng: np.random.Generator, points: int) -> None:
    """B = base + E x and R = (P l + p0)'x + (Q l + q0)'x^2 at x of B, and x >= lo."""
    penalty = case.at(T)
    atoms = penalty.atoms(T)
    if atoms is None:
        return
    for _ in range(points):
        B, losses = case.feasible(rng, T), rng.random(T)
        x = atoms.coefficients(B)
        assert (x >= atoms.lo).all() and np.array_equal(atoms.graph(x), B)
        found = float((atoms.P @ losses + atoms.p0) @ x + (atoms.Q @ losses + atoms.q0) @ x**2)
        assert found == pytest.approx(float(case.written(cp.Constant(B), losses).value), rel=1e-12)


def convex_along_segments(case: Case, rng: np.random.Generator, points: int) -> None:
    losses, penalty = rng.random(T), case.at(T)
    assert penalty.value(np.zeros((T, T)), losses) == 0.0
    for _ in range(points):
        A, B = case.feasible(rng, T), case.feasible(rng, T)
        ends = penalty.value(A, losses) + penalty.value(B, losses)
        assert penalty.value(0.5 * (A + B), losses) <= 0.5 * ends * (1 + 1e-12)


def relabelling_changes_nothing(case: Case, rng: np.random.Generator, points: int) -> None:
    for _ in range(points):
        B, V, losses = case.feasible(rng, T), rng.normal(size=(T, T)), rng.random(T)
        order = rng.permutation(T)
        place, places = np.ix_(order, order), np.argsort(order)
        before, n = case.at(T), np.array(COUNTS[:T], dtype=float)
        turned = case.turned(before, places, n[order])
        assert turned.value(B[place], losses[order]) == pytest.approx(before.value(B, losses), rel=1e-13)
        assert turned.prox(V[place], 0.4, losses[order]) == pytest.approx(
            before.prox(V, 0.4, losses)[place], rel=1e-13
        )


def proportional_to_mu(case: Case, rng: np.random.Generator, points: int) -> None:
    penalty, dear, free = case.at(T), case.at(T, 7.0 * case.penalty.mu), case.at(T, 0.0)
    for _ in range(points):
        B, V, losses = case.feasible(rng, T), rng.normal(size=(T, T)), rng.random(T)
        if not case.proportional:
            return
        assert dear.value(B, losses) == pytest.approx(7.0 * penalty.value(B, losses), rel=1e-13)
        assert dear.prox(V, 0.1, losses) == pytest.approx(penalty.prox(V, 0.7, losses), rel=1e-12)
        assert np.array_equal(free.prox(V, 0.5, losses), penalty.project(V))


def conjugate_is_the_supremum(case: Case, rng: np.random.Generator, points: int) -> None:
    """On multiples of S, inside its domain and outside: finite where a solver finds a supremum, and that."""
    n, penalty = 4, case.at(4)
    for _ in range(max(points // 4, 1)):
        losses, S, B = rng.random(n) + 0.1, rng.normal(size=(n, n)), cp.Variable((n, n))
        for scale in (0.01, 0.1, 0.4, 3.0):
            rule = cp.sum(cp.multiply(scale * S, B)) - case.written(B, losses)
            limits = [*case.limits(B), cp.sum(cp.abs(B)) <= 1e3]
            supremum = cp.Problem(cp.Maximize(rule), limits).solve(solver="CLARABEL")
            found = penalty.conjugate(scale * S, losses)
            assert found is not None
            if np.isfinite(found):
                assert found == pytest.approx(supremum, rel=1e-6, abs=1e-6)
            else:
                assert supremum > 1e-3


def the_gap_is_never_below_the_true_one(case: Case, rng: np.random.Generator, points: int) -> None:
    """T - 1 <= d and T > d; points at random, near the best B and at it."""
    for point in range(max(points // 2, 2)):
        d = (5, 2)[point % 2]
        tasks, W = tasks_of(rng, d=d), rng.normal(size=(d, 4))
        model = Model(transfer=case.penalty, coupling=0.5).bind(tasks)
        losses = model.weighted_losses(tasks, W)
        below = least(case, model, losses, W)
        for size in (0.4, 0.01):
            B = case.feasible(rng, 4, size)
            rule = float(case.written(cp.Constant(B), losses).value)
            true = model.coupling * float(((W - W @ B) ** 2).sum()) + rule - below
            gap = certify(tasks, model, W, B).gap_B
            assert gap is not None and gap >= true - 1e-9 * below


def the_gap_vanishes_at_solutions(case: Case, rng: np.random.Generator, points: int) -> None:
    edges = 0
    for _ in range(max(points // 10, 1)):
        tasks = tasks_of(rng, d=5)
        model = Model(transfer=case.penalty, coupling=0.1)
        solution = fit(tasks, model, options=Options(tol=1e-12, max_rounds=3000))
        found = solution.certificate
        assert found.gap_B is not None and 0.0 <= found.gap_B <= 1e-12 * found.objective
        edges += found.edges
        B = solution.B * 1.01
        if found.edges and np.array_equal(case.at(4).project(B), B):  # and it is no accident
            assert certify(tasks, model, solution.W, B).gap_B > 1e-8 * found.objective  # type: ignore[operator]
    assert edges > 0


def a_high_price_leaves_what_has_to_be(case: Case, rng: np.random.Generator, points: int) -> None:
    """B = 0 and single tasks; at the least B, where edges are required, the joint linear system in W."""
    tasks = tasks_of(rng, d=5)
    model = Model(transfer=case.at(4, 1e9), coupling=0.5)
    B = case.at(4).start(4)
    if not case.dear:
        return
    assert B.any() == (case.dear == "start")
    solution = fit(tasks, model, options=Options(tol=1e-10))
    assert np.array_equal(solution.B, B)
    if not B.any():
        assert pytest.approx(single_task_W(tasks, model), rel=1e-8, abs=1e-10) == solution.W
        return
    assert pytest.approx(joint_W(tasks, model.coupling, 1e9, B), rel=1e-7, abs=1e-9) == solution.W


def mu_max_is_where_edges_begin(case: Case, rng: np.random.Generator, points: int) -> None:
    """The B-step of the formula: nothing just above it, an edge below it; refused where there is none.

    A penalty of the user's own has the scale of AMTL unless it says otherwise.
    """
    if type(case.penalty) is Own:
        return
    for _ in range(max(points // 4, 1)):
        tasks, W = tasks_of(rng, d=5), rng.normal(size=(5, 4)) + rng.normal(size=(5, 1))
        model = Model(transfer=case.at(4), coupling=0.5)
        if case.dear != "empty":
            with pytest.raises(ModelError, match="give mu a"):
                mu_max(tasks, model, W)
            return
        largest, losses = mu_max(tasks, model, W), model.weighted_losses(tasks, W)
        assert largest > 0.0
        for mu, edges in ((1.001 * largest, False), (0.99 * largest, True)):
            B = cp.Variable((4, 4))
            rule = model.coupling * cp.sum_squares(W - W @ B) + case.written(B, losses, mu)
            found = solved(cp.Problem(cp.Minimize(rule), case.limits(B)))[0]
            gained = model.coupling * float((W**2).sum()) - found
            assert (gained > 1e-7) == edges


def joint_W(tasks: TaskSet, coupling: float, mu: float, B: Array) -> Array:
    """(blockdiag(a_t X_t'X_t / n_t) + coupling P (x) I) vec(W) = stack(a_t X_t'y_t / n_t) of AMTL."""
    d, count, a = tasks.d, tasks.T, 1.0 + mu * B.sum(axis=1)
    M = np.eye(count) - B
    A, right = coupling * np.kron(M @ M.T, np.eye(d)), np.zeros(count * d)
    for t, task in enumerate(tasks):
        own = slice(t * d, (t + 1) * d)
        A[own, own] += a[t] * task.X.T @ task.X / len(task.y)
        right[own] = a[t] * task.X.T @ task.y / len(task.y)
    W: Array = np.linalg.solve(A, right).reshape(count, d).T
    return W


BATTERY = (
    value_is_the_formula,
    expression_is_convex_and_dpp,
    prox_is_the_conic_solution,
    prox_is_feasible_and_leaves_its_argument_alone,
    prox_is_not_expansive,
    affine_and_not_decreasing_in_the_losses,
    atoms_are_the_penalty,
    convex_along_segments,
    relabelling_changes_nothing,
    proportional_to_mu,
    conjugate_is_the_supremum,
    the_gap_is_never_below_the_true_one,
    the_gap_vanishes_at_solutions,
    a_high_price_leaves_what_has_to_be,
    mu_max_is_where_edges_begin,
)
