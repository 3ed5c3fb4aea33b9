"""Gaps, errors and conditions at certified points, in 50 digits."""

from __future__ import annotations

import numpy as np
import pytest
from cases import LOSS_CASES, Array, at, loss_id, tasks_for
from exact_gaps import column, exact, exact_problem, kinked_loss, model_of, smooth_loss
from mpmath import mp, mpf

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import Certificate, b_step, certify, fenchel, weight_evidence
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def first_order_point(loss: Loss) -> tuple[TaskSet, Model, Array, Array]:
    """That of a small problem with edges."""
    tasks = tasks_for(loss, np.random.default_rng(3), d=3, counts=(16, 19, 15))
    model = model_of(loss, mu=0.005, coupling=0.1)
    solution = alternate(tasks, model, Options())
    assert solution.certificate.passes and solution.certificate.edges
    return tasks, model, solution.W, solution.B


@pytest.fixture(scope="module", params=LOSS_CASES, ids=loss_id)
def certified(request: pytest.FixtureRequest) -> tuple[TaskSet, Model, Array, Array]:
    return first_order_point(request.param)


@pytest.mark.sampled(2)
def test_gaps_at_a_certified_point(certified: tuple[TaskSet, Model, Array, Array]) -> None:
    """To 1e-14 of the sum of the terms, where primal and dual values agree to all digits of a double."""
    tasks, model, W, B = certified
    problem, V, found = exact_problem(tasks, model, B), exact(W), certify(at(tasks, model, W, B))
    (primal, size), (dual, more) = problem.primal(V), problem.dual(problem.natural(V))
    best = problem.primal(problem.minimum(V))[0] if found.gap_W_exact else dual
    assert found.gap_W is not None and abs(mpf(found.gap_W) - (primal - best)) <= 1e-14 * (size + more)
    assert_gap_B(found, tasks, model, W, B)


@pytest.mark.slow
@kinked_loss
def test_gaps_at_a_certified_point_of_a_loss_with_kinks(loss: Loss) -> None:
    """The same at the multipliers that the certificate finds."""
    tasks, model, W, B = first_order_point(loss)
    problem, found = exact_problem(tasks, model, B), certify(at(tasks, model, W, B))
    chosen = fenchel.kinked_multipliers(at(tasks, model, W, B))
    clipped = [exact(loss.clip(u, task.y)) for u, task in zip(chosen, tasks, strict=True)]
    (primal, size), (dual, more) = problem.primal(exact(W)), problem.dual(clipped)
    assert found.gap_W is not None and abs(mpf(found.gap_W) - (primal - dual)) <= 1e-14 * (size + more)
    assert_gap_B(found, tasks, model, W, B)


def assert_gap_B(found: Certificate, tasks: TaskSet, model: Model, W: Array, B: Array) -> None:
    prices = model.mu * model.weighted_losses(tasks, W)
    duals = b_step.column_duals(W, B, prices, model.coupling)
    gap = size = mpf(0)
    for t in range(3):
        each, theta = column(model, W, B, prices, t), exact(duals.theta[:, t])
        gap += each.primal(each.b) - each.dual(theta)
        size += each.primal(each.b) + abs(theta * each.w).sum() + (theta**2).sum() / (4 * each.coupling)
    assert found.gap_B is not None and gap <= mpf(found.gap_B) <= gap + 1e-13 * size  # rounding is added


@pytest.mark.slow
def test_errors_at_a_certified_point_and_beside_it(
    certified: tuple[TaskSet, Model, Array, Array], rng: np.random.Generator
) -> None:
    """The distances to W* and B*, in 50 digits, are within the bounds, which are of their size nearby."""
    tasks, model, W, B = certified
    for size in (0.0, 1e-9, 1e-5, 1e-2, 1.0):
        V = W * (1 + size * rng.normal(size=W.shape) * (size < 1.0))
        C = B * (1 + size * rng.random(B.shape)) if size < 1.0 else 0.0 * B  # another support
        found = certify(at(tasks, model, V, C))
        distance = mp.sqrt(((exact(V) - exact_problem(tasks, model, C).minimum(exact(V))) ** 2).sum())
        prices = model.mu * model.weighted_losses(tasks, V)
        squares = mpf(0)
        for t in range(3):
            each = column(model, V, C, prices, t)
            squares += ((each.b - each.minimum()) ** 2).sum()
        for error, true in ((found.error_W, distance), (found.error_B, mp.sqrt(squares))):
            assert error is not None and true <= error
            assert size > 1e-9 or error <= 1e3 * true + 1e-9


@pytest.mark.slow
@smooth_loss
def test_the_error_of_W_holds_where_the_curvature_changes(loss: Loss, rng: np.random.Generator) -> None:
    """One feature, no edges: the bound is near the Newton step, which is too short where phi'' falls off."""
    tasks, B = tasks_for(loss, rng, d=1, counts=(6, 9)), np.zeros((2, 2))
    transfer = LossWeightedL1(mu=0.1)
    model = Model(loss=loss, transfer=transfer, coupling=1e-3, task_weights=(1.0, 1.0))
    problem = exact_problem(tasks, model, B)
    best = problem.minimum(exact(np.zeros((1, 2))))
    sharp = 0
    for _ in range(60):
        W = best.astype(float) * (1 + 10.0 ** rng.uniform(-4, 0) * rng.choice([-1, 1], size=(1, 2)))
        found, distance = (
            weight_evidence(at(tasks, model, W, B)),
            mp.sqrt(((exact(W) - best) ** 2).sum()),
        )
        assert found.error is not None and distance <= found.error
        sharp += bool(found.error <= 10 * distance)
    assert sharp >= 5


def test_condition_numbers(certified: tuple[TaskSet, Model, Array, Array]) -> None:
    tasks, model, W, B = certified
    found = certify(at(tasks, model, W, B))
    supports = [np.flatnonzero(b) for b in B.T if b.any()]
    expected = max(np.linalg.cond(W[:, support].T @ W[:, support]) for support in supports)
    assert found.condition_B == pytest.approx(expected, rel=1e-6)
    H = Problem(tasks, model).at(W, B).hessian_W()
    assert found.condition_W is not None
    assert np.linalg.cond(H, 1) / 3 <= found.condition_W <= np.linalg.cond(H, 1) * (1 + 1e-9)
