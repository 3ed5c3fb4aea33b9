"""Penalties on W: formulas against loops and a conic solver, then what W-steps and their judges make of them.

What the penalty adds is written here a second time: Gamma (T, T) by loops, rho tr(W Gamma W') as a sum over
tasks or over pairs of them.
"""

from __future__ import annotations

import functools
import json
from argparse import Namespace
from dataclasses import replace
from fractions import Fraction

import cvxpy as cp
import literal
import mpmath
import numpy as np
from cases import Array, central_gradient, random_tasks, random_transfer, tasks_for

from amtl_cvx.certificate import certify, curvature, weight_evidence
from amtl_cvx.certificate.escape import Growth, change
from amtl_cvx.certificate.w_step import weight_problem
from amtl_cvx.commands.settings import resolve
from amtl_cvx.explore import draw_starts
from amtl_cvx.losses import Hinge, Logistic, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.problem.stored import model_from
from amtl_cvx.subproblems import TaskWeightStep, WeightStep
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1
from amtl_cvx.weights import Laplacian, MeanRegularised, QuadraticPenalty, Ridge
from checks.points import Point, amtl, close

OMEGAS: tuple[QuadraticPenalty, ...] = (Ridge(rho=0.7), MeanRegularised(rho=0.4))
ROADS = ((0, 1, 0.3), (2, 1, 2.0))
GRAPH = Laplacian(rho=0.6, edges=ROADS)


def gram(omega: QuadraticPenalty, T: int) -> list[list[Fraction]]:
    """Gamma by its formula."""
    if isinstance(omega, Laplacian):
        weight = {frozenset((s, t)): Fraction(a) for s, t, a in ROADS}
        A = [
            [weight.get(frozenset((s, t)), Fraction(0)) if s != t else Fraction(0) for t in range(T)]
            for s in range(T)
        ]
        return [[sum(A[s], Fraction(0)) * (s == t) - A[s][t] for t in range(T)] for s in range(T)]
    common = Fraction(0) if isinstance(omega, Ridge) else Fraction(1, T)
    return [[Fraction(int(s == t)) - common for t in range(T)] for s in range(T)]


def penalty(omega: QuadraticPenalty, W: Array) -> float:
    """Omega, the mean-regularised one by pairs: sum_t ||w_t - mean||^2 = sum_st ||w_s - w_t||^2 / (2 T)."""
    columns = W.T.tolist()
    if isinstance(omega, Ridge):
        return 0.7 * sum(x * x for w in columns for x in w)
    if isinstance(omega, Laplacian):
        far = {
            (s, t): sum((x - y) ** 2 for x, y in zip(columns[s], columns[t], strict=True))
            for s, t, _ in ROADS
        }
        return 0.6 * sum(a * far[s, t] for s, t, a in ROADS)
    pairs = (sum((x - y) ** 2 for x, y in zip(v, w, strict=True)) for v in columns for w in columns)
    return 0.4 * sum(pairs) / (2 * len(columns))


@functools.cache
def points() -> tuple[Point, ...]:
    """Points far from stationary, of a quadratic loss, another smooth one and one with kinks."""
    rng, found = np.random.default_rng(21), []
    for loss in (Squared(), Logistic(), Hinge()):
        for omega in OMEGAS:
            tasks, W = tasks_for(loss, rng, d=3, counts=(5, 8, 6)), 0.7 * rng.normal(size=(3, 3))
            found.append(Point(tasks, replace(amtl(loss), omega=omega), W, random_transfer(rng, 3)))
    return tuple(found)


@functools.cache
def solved_with_omega() -> tuple[Point, ...]:
    """First-order points with an edge."""
    found = []
    for omega in OMEGAS:
        tasks = random_tasks(np.random.default_rng(3), d=2, counts=(9, 12))
        model = replace(amtl(Squared(), mu=0.2, coupling=0.4, c=(0.5, 2.0)), omega=omega)
        point = Problem(tasks, model).at(np.zeros((2, 2)), np.zeros((2, 2)))
        for _ in range(60):  # the alternation, by hand
            point = point.at(W=minimal_weights(point))
            p = literal.prices(tasks, model, point.W)
            point = point.at(B=literal.best_B(point.W, p, model.coupling))
        assert (point.B > 0).any()
        found.append(Point(tasks, model, minimal_weights(point), point.B))
    return tuple(found)


def omegas_are_their_formulas() -> None:
    """Value, expression, root, gram, prox and conjugate; prox and conjugate by Clarabel."""
    rng = np.random.default_rng(4)
    for omega in (*OMEGAS, GRAPH):
        W, V = rng.normal(size=(2, 3, 4))
        Gamma = np.array(gram(omega, 4), dtype=float)
        expected = penalty(omega, W)
        G = omega.root(4)
        assert close(omega.value(W), expected, 1e-13) and close(omega.expression(W).value, expected, 1e-12)
        assert close(omega.rho * np.sum((W @ G) ** 2), expected, 1e-12)
        assert np.abs(G @ G.T - Gamma).max() <= 1e-15 and np.abs(omega.gram(4) - Gamma).max() <= 1e-15
        assert [list(row) for row in omega.exact_gram(4)] == gram(omega, 4)
        U = cp.Variable((3, 4))
        away = cp.sum_squares(U - V) / 0.6
        cp.Problem(cp.Minimize(omega.expression(U) + away)).solve(solver="CLARABEL")
        assert np.abs(omega.prox(V, 0.3) - U.value).max() <= 1e-6
        slope = 2.0 * omega.rho * (W @ Gamma)  # where the sup is: at W
        assert close(omega.conjugate(slope), float((slope * W).sum()) - expected, 1e-11)
    assert OMEGAS[1].conjugate(np.ones((3, 4))) == np.inf
    assert (
        GRAPH.conjugate(np.eye(4)) == np.inf and GRAPH.conjugate(np.array([[1.0, 0.0, 0.0, -1.0]])) == np.inf
    )
    listed = Laplacian(rho=0.6, edges=np.array([[0.0, 0.3, 0.0], [0.3, 0.0, 2.0], [0.0, 2.0, 0.0]]))  # type: ignore[arg-type]
    named = Laplacian(rho=0.6, edges=(("b", "a", 0.3), ("b", "c", 2.0)), names=("a", "b", "c"))
    for other in (listed, named):
        assert close(other.value(W[:, :3]), penalty(GRAPH, W[:, :3]), 1e-13)


def value(tasks: TaskSet, model: Model, B: Array, W: Array) -> float:
    """J with Omega."""
    assert model.omega is not None
    return literal.J(tasks, model, W, B) + penalty(model.omega, W)


def slope(tasks: TaskSet, model: Model, B: Array, W: Array) -> Array:
    """Its gradient in W."""
    assert model.omega is not None
    Gamma = np.array(gram(model.omega, tasks.T), dtype=float)
    return literal.gradients(tasks, model, W, B)[0] + 2.0 * model.omega.rho * W @ Gamma


def omega_is_part_of_J() -> None:
    """J by term, its gradient by differences, its Hessian, the whole one in (W, B) too."""
    for tasks, model, W, B in points():
        omega, point = model.omega, Problem(tasks, model).at(W, B)
        assert omega is not None
        expected = literal.J(tasks, model, W, B) + penalty(omega, W)
        assert close(point.objective, expected, 1e-12) and close(point.terms.omega, penalty(omega, W), 1e-12)
        if not model.loss.smooth:
            continue

        J = functools.partial(value, tasks, model, B)
        assert close(point.gradient_W, central_gradient(J, W), 1e-7)
        added = 2.0 * omega.rho * np.kron(np.array(gram(omega, 3), dtype=float), np.eye(3))
        assert close(point.hessian_W(), literal.hessian_W(tasks, model, W, B) + added, 1e-11)
        plain = Problem(tasks, replace(model, omega=None)).at(W, B)
        free = B > 0
        whole = curvature.reduced_hessian(plain, free)
        whole[:9, :9] += added
        assert close(curvature.reduced_hessian(point, free), whole, 1e-11)


def gap_W_with_omega_is_primal_minus_dual() -> None:
    """tr(Q S^-1 Q') / 4 with S = coupling M M' + rho Gamma as it stands, at multipliers from anywhere."""
    rng = np.random.default_rng(6)
    for tasks, model, W, B in points():
        omega, M = model.omega, np.eye(3) - B
        assert omega is not None
        if model.loss.smooth:
            u = [literal.slopes(model.loss, task.X @ w, task.y) for task, w in zip(tasks, W.T, strict=True)]
        else:
            u = [model.loss.clip(rng.normal(size=len(task.y)), task.y) for task in tasks]
        found = weight_evidence(Problem(tasks, model).at(W, B), multipliers=u)
        S = model.coupling * (M @ M.T)
        both = S + omega.rho * np.array(gram(omega, 3), dtype=float)
        rates = literal.loss_weights(tasks, model, B) / np.array([len(task.y) for task in tasks])
        G = np.column_stack([r * (t.X.T @ v) for r, t, v in zip(rates, tasks, u, strict=True)])
        without, dual = (np.trace(G @ np.linalg.solve(each, G.T)) / 4 for each in (S, both))
        primal = literal.J(tasks, model, W, B) + penalty(omega, W)
        expected = primal - (literal.dual_W(tasks, model, B, u) + without - dual)
        assert found.gap is not None and close(found.gap, expected, 1e-9)
        best = minimal_weights(Problem(tasks, model).at(W, B))
        rise = primal - value(tasks, model, B, best)
        assert found.gap >= rise * (1 - 1e-9) and found.judged >= rise * (1 - 1e-9)
        if model.loss.quadratic:
            exact = weight_evidence(Problem(tasks, model).at(W, B))
            assert exact.exact and close(exact.gap, rise, 1e-9)


def singular_graphs_have_a_gap_with_ridge() -> None:
    """I - B singular: no bound without a penalty on W, nor with the mean's: it leaves the same direction."""
    tasks, model, W, B = points()[2]
    B = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
    for omega, finite in ((None, False), (OMEGAS[0], True), (OMEGAS[1], False)):
        point = Problem(tasks, replace(model, omega=omega)).at(W, B)
        found = weight_evidence(point)
        assert (found.gap is not None) == finite and (point.least_of_K > 1e-12) == finite
        assert finite or "singular" in found.reasons["gap_W"]


def roots_are_known_to_what_they_say() -> None:
    """K K' in 50 digits where I - B lets all tasks move together: what L and the least value leave of it."""
    rng = np.random.default_rng(3)
    for shift in (1e-2, 1e-7, 1e-11, 1e-13):
        for _ in range(4):
            B = rng.random((3, 3)) * (1.0 - np.eye(3))
            B *= (1.0 - shift) / B.sum(axis=0)
            model = Model(transfer=LossWeightedL1(mu=0.1), coupling=0.7, omega=MeanRegularised(rho=0.3))
            point = Problem(random_tasks(rng, d=3, counts=(5, 6, 7)), model).at(np.zeros((3, 3)), B)
            with mpmath.workdps(50):
                M = mpmath.eye(3) - mpmath.matrix(B.tolist())
                Gamma = mpmath.eye(3) - mpmath.ones(3) / 3
                P = M * M.T + mpmath.mpf(0.3) / mpmath.mpf(0.7) * Gamma
                inverse = mpmath.matrix(point.squares.L.tolist()) ** -1
                least = min(mpmath.eigsy(inverse * P * inverse.T, eigvals_only=True))
                assert least >= 1 - mpmath.mpf(point.squares.lost)
                assert mpmath.mpf(point.least_of_K) ** 2 <= min(mpmath.eigsy(P, eigvals_only=True))
            assert 0.0 < point.squares.lost <= 100.0 * np.finfo(np.float64).eps / shift
            assert point.least_of_K >= 0.1 * shift or shift < 1e-12
            problem = weight_problem(point.at(W=rng.normal(size=(3, 3))), None)
            found, _ = problem.gap(problem.slope(None, False), False, sharp=True)
            assert found.safe * (1.0 - point.squares.lost) >= found.value * (1.0 - 1e-15)


def steps_know_omega() -> None:
    """The definition, its fast path, one task at a time, NumPy: the literal gradient vanishes at each."""
    for tasks, model, W, B in points()[:4]:
        point, at = Problem(tasks, model).at(W, B), functools.partial(slope, tasks, model, B)
        size = np.abs(at(np.zeros_like(W))).max()
        if model.loss.quadratic:
            assert np.abs(at(WeightStep.definition(tasks, model).solve(point).value)).max() <= 1e-5 * size
        assert np.abs(at(WeightStep.compile(tasks, model).solve(point).value)).max() <= 1e-8 * size
        assert np.abs(at(minimal_weights(point))).max() <= 1e-12 * size
        one = W.copy()
        one[:, 1], _ = TaskWeightStep.compile(tasks, model).solve_task(point, 1)
        assert np.abs(at(one)[:, 1]).max() <= 1e-8 * size


def growth_pays_for_omega() -> None:
    """What J does where predictors grow tenfold, against J at both ends; ridge lets none grow for ever."""
    for tasks, model, W, B in points():
        S = np.array([True, True, False])
        growth = Growth(S, W * S, True)
        after_B = B.copy()
        after_B[:2, 2] /= 10.0
        after_B[2, :2] *= 10.0
        after = W * np.where(S, 10.0, 1.0)
        ends = [value(tasks, model, C, V) for V, C in ((W, B), (after, after_B))]
        assert close(change(Problem(tasks, model).at(W, B), growth, 10.0), ends[1] - ends[0], 1e-9)


def another_omega_is_another_problem() -> None:
    """A point passes with its own penalty alone; a curriculum, which knows none, is no start."""
    tasks, model, W, B = solved_with_omega()[0]
    starts = draw_starts(tasks, model, 3, rng=np.random.default_rng(0))
    assert "curriculum" not in [start.name for start in starts]
    assert certify(Problem(tasks, model).at(W, B)).passes
    assert not certify(Problem(tasks, replace(model, omega=None)).at(W, B)).passes


def omega_is_read_back() -> None:
    """From what a model says of itself, and from words beside those of a run."""
    for omega in OMEGAS:
        model = replace(amtl(Squared()), omega=omega)
        assert model_from(json.loads(json.dumps(model.to_dict()))).omega == omega
    run = {"omega": "mean", "omega_parameters": {"rho": 0.5}}
    for given, name, kept in (
        (None, "mean", True),
        ("mean", "mean", True),
        ("mean:2", "mean:2", False),
        ("ridge", "ridge", False),
        ("none", None, False),
    ):
        found = resolve(Namespace(omega=given), run)
        assert (found["omega"], found["omega_parameters"] is not None) == (name, kept)
