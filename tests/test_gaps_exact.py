"""gap_W against 50-digit arithmetic (`exact_gaps`) and second solvers."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, NONSMOOTH_CASES, at, loss_id, random_transfer, tasks_for
from exact_gaps import exact, exact_problem, kinked_loss, model_of, smooth_loss
from mpmath import mp, mpf

from amtl_cvx.certificate import certify, fenchel, w_step, weight_evidence
from amtl_cvx.losses import Hinge, Loss, Squared

every_loss = pytest.mark.parametrize("loss", [*LOSS_CASES, *NONSMOOTH_CASES], ids=loss_id)


SHAPE = {"d": 3, "counts": (6, 9, 5)}


def starts(rng: np.random.Generator, loss: Loss, count: int) -> Any:
    """Random points at many scales."""
    tasks, model = tasks_for(loss, rng, **SHAPE), model_of(loss)
    for _ in range(count):
        yield tasks, model, 10.0 ** rng.uniform(-2, 0.5) * rng.normal(size=(3, 3)), random_transfer(rng, 3)


def close(found: float | None, expected: Any, digits: float = 1e-12) -> bool:
    return found is not None and abs(mpf(found) - expected) <= digits * expected


@pytest.mark.slow
@smooth_loss
def test_gap_W_is_primal_minus_dual_at_the_natural_multipliers(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w_step, "DENSE_LIMIT", 0)  # the bound, for the squared loss too
    for tasks, model, W, B in starts(rng, loss, 100):
        problem, V = exact_problem(tasks, model, B), exact(W)
        found = weight_evidence(at(tasks, model, W, B))
        assert not found.exact
        assert close(found.gap, problem.primal(V)[0] - problem.dual(problem.natural(V))[0])


@pytest.mark.slow
@every_loss
def test_gap_W_is_primal_minus_dual_at_given_multipliers(loss: Loss, rng: np.random.Generator) -> None:
    """Any multipliers are clipped into the domain of phi*; outside of it they would bound nothing."""
    for tasks, model, W, B in starts(rng, loss, 100):
        given = [2.0 * rng.normal(size=len(task.y)) for task in tasks]
        clipped = [exact(loss.clip(u, task.y)) for u, task in zip(given, tasks, strict=True)]
        problem = exact_problem(tasks, model, B)
        found = weight_evidence(at(tasks, model, W, B), multipliers=given)
        assert not found.exact and close(found.gap, problem.primal(exact(W))[0] - problem.dual(clipped)[0])


@pytest.mark.slow
@kinked_loss
def test_gap_W_of_a_loss_with_kinks_is_primal_minus_dual_at_its_own_multipliers(
    loss: Loss, rng: np.random.Generator
) -> None:
    for tasks, model, W, B in starts(rng, loss, 100):
        chosen = fenchel.kinked_multipliers(at(tasks, model, W, B))
        clipped = [exact(loss.clip(u, task.y)) for u, task in zip(chosen, tasks, strict=True)]
        problem = exact_problem(tasks, model, B)
        expected = problem.primal(exact(W))[0] - problem.dual(clipped)[0]
        assert close(weight_evidence(at(tasks, model, W, B)).gap, expected)


@pytest.mark.sampled(3)
@every_loss
def test_gap_W_holds_against_a_second_solver(loss: Loss, rng: np.random.Generator) -> None:
    """D <= the minimum that CVXPY finds, gap >= the rise above it; at that minimum the gap is all but 0."""
    for tasks, model, W, B in starts(rng, loss, 3):
        V, M, a = cp.Variable((3, 3)), np.eye(3) - B, model.loss_weight(tasks, B)
        terms = [weight * loss.expression(task, v) for weight, task, v in zip(a, tasks, V.T, strict=True)]
        problem = cp.Problem(cp.Minimize(sum(terms) + model.coupling * cp.sum_squares(V @ M)))
        least = problem.solve(solver="CLARABEL")
        for point in (W, V.value, V.value * (1 + 0.1 * rng.normal(size=W.shape))):
            value = sum(model.terms(tasks, point, B))
            found = weight_evidence(at(tasks, model, point, B)).gap
            assert found is not None and value - found <= least * (1 + 1e-7)
            assert found >= value - least * (1 + 1e-7)
        best = weight_evidence(at(tasks, model, V.value, B)).gap
        assert best is not None and best <= 1e-5 * least


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_multipliers_of_a_solver_are_a_certificate(reduction: str, rng: np.random.Generator) -> None:
    """Hinge with slacks: s = clip(n_t dual / a_t, 0, 1) of the constraint slack >= 1 - y z, u = -y s."""
    loss = Hinge(reduction=reduction)  # type: ignore[arg-type]
    for tasks, model, _, B in starts(rng, loss, 3):
        V, M, rates = cp.Variable((3, 3)), np.eye(3) - B, exact_problem(tasks, model, B).rates
        slacks = [cp.Variable(len(task.y), nonneg=True) for task in tasks]
        signs = [np.where(task.y > 0, 1.0, -1.0) for task in tasks]
        rows = zip(tasks, V.T, slacks, signs, strict=True)
        margins = [slack >= 1 - cp.multiply(sign, task.X @ v) for task, v, slack, sign in rows]
        cost = sum(float(rate) * cp.sum(slack) for rate, slack in zip(rates, slacks, strict=True))
        cp.Problem(cp.Minimize(cost + model.coupling * cp.sum_squares(V @ M)), margins).solve(
            solver="CLARABEL"
        )
        given = [
            -sign * np.clip(margin.dual_value / float(rate), 0.0, 1.0)
            for sign, margin, rate in zip(signs, margins, rates, strict=True)
        ]
        value = sum(model.terms(tasks, V.value, B))
        gap = weight_evidence(at(tasks, model, V.value, B), multipliers=given).gap
        assert gap is not None and 0.0 <= gap <= 1e-6 * value
        flipped = weight_evidence(at(tasks, model, V.value, B), multipliers=[-u for u in given]).gap
        assert flipped is not None and flipped > 1e-3 * value
        assert certify(at(tasks, model, V.value, B), multipliers=given).gap_W == gap


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_squared_loss_is_the_exact_sub_optimality(
    reduction: str, rng: np.random.Generator
) -> None:
    for tasks, model, W, B in starts(rng, Squared(reduction=reduction), 100):  # type: ignore[arg-type]
        problem, V = exact_problem(tasks, model, B), exact(W)
        best = problem.minimum(V)
        found = weight_evidence(at(tasks, model, W, B))
        assert found.exact and close(found.gap, problem.primal(V)[0] - problem.primal(best)[0])
        distance = mp.sqrt(((V - best) ** 2).sum())
        assert found.error is not None and distance <= found.error <= distance * (1 + 1e-9)
