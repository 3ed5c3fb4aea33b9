"""Transfer penalties: one battery for all of them; an instance in `cases.PENALTY_CASES` is enough to join."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from cases import PENALTY_CASES, SourceGroupL2, missing, penalty_id, random_tasks, random_transfer

from amtl_cvx import certificate
from amtl_cvx.amtl import alternate
from amtl_cvx.errors import ModelError
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems import TransferStep, compile_transfer_step
from amtl_cvx.transfer import (
    TRANSFERS,
    ElasticNet,
    Forbidden,
    LossWeightedL1,
    TransferPenalty,
    project_transfer,
)

every_penalty = pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)
T = 5


def test_every_penalty_has_a_case() -> None:
    assert not missing(TRANSFERS, PENALTY_CASES)


@every_penalty
def test_expression_is_value(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    B, losses = cp.Variable((T, T)), cp.Parameter(T, nonneg=True)
    expression = penalty.expression(B, losses)
    for _ in range(20):
        B.value, losses.value = random_transfer(rng, T), rng.random(T)
        assert penalty.value(B.value, losses.value) == pytest.approx(float(expression.value), rel=1e-12)


@every_penalty
def test_expression_is_convex_and_dpp(penalty: TransferPenalty) -> None:
    B, losses = cp.Variable((T, T)), cp.Parameter(T, nonneg=True)
    expression = penalty.expression(B, losses)
    assert expression.is_scalar() and expression.is_convex()
    assert cp.Problem(cp.Minimize(expression), [B >= 0, cp.diag(B) == 0]).is_dcp(dpp=True)


@every_penalty
@pytest.mark.parametrize("by_row", [False, True])
def test_prox_is_the_conic_solution(penalty: TransferPenalty, by_row: bool, rng: np.random.Generator) -> None:
    V, losses = rng.normal(size=(T, T)), rng.random(T)
    step = rng.uniform(0.2, 2.0, size=(T, 1)) if by_row else 0.7
    if by_row and not penalty.row_steps and not isinstance(penalty, SourceGroupL2):
        return  # its prox takes one step for all rows
    B = cp.Variable((T, T))
    distance = cp.sum_squares(cp.multiply(1.0 / np.sqrt(2.0 * step * np.ones((T, 1))), B - V))
    limits = [B >= 0, cp.diag(B) == 0, *penalty.constraints(B)]
    problem = cp.Problem(cp.Minimize(penalty.expression(B, losses) + distance), limits)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9)
    assert np.abs(penalty.prox(V, step, losses) - B.value).max() <= 1e-5


@every_penalty
def test_prox_is_feasible_and_leaves_its_argument_alone(
    penalty: TransferPenalty, rng: np.random.Generator
) -> None:
    V, losses = rng.normal(size=(T, T)), rng.random(T)
    before = V.copy()
    B = penalty.prox(V, 0.3, losses)
    assert B.min() >= 0.0 and np.array_equal(np.diag(B), np.zeros(T))
    assert np.array_equal(penalty.project(B), B)
    assert np.array_equal(V, before)


@every_penalty
def test_prox_is_not_expansive(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    losses = rng.random(T)
    for _ in range(50):
        U, V = rng.normal(size=(T, T)), rng.normal(size=(T, T))
        moved = penalty.prox(U, 0.5, losses) - penalty.prox(V, 0.5, losses)
        assert np.linalg.norm(moved) <= np.linalg.norm(U - V) * (1 + 1e-12)


@every_penalty
def test_affine_and_not_decreasing_in_the_losses(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    for _ in range(20):
        B, low, high = random_transfer(rng, T), rng.random(T), 1.0 + rng.random(T)
        half = penalty.value(B, 0.5 * (low + high))
        assert half == pytest.approx(0.5 * (penalty.value(B, low) + penalty.value(B, high)), rel=1e-12)
        assert penalty.value(B, high) >= penalty.value(B, low)


@every_penalty
def test_convex_along_segments_and_zero_at_the_empty_graph(
    penalty: TransferPenalty, rng: np.random.Generator
) -> None:
    losses = rng.random(T)
    assert penalty.value(np.zeros((T, T)), losses) == 0.0
    for _ in range(20):
        A, B = random_transfer(rng, T), random_transfer(rng, T)
        ends = penalty.value(A, losses) + penalty.value(B, losses)
        assert penalty.value(0.5 * (A + B), losses) <= 0.5 * ends * (1 + 1e-12)


@every_penalty
def test_relabelling_tasks_changes_nothing(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    B, V, losses, order = random_transfer(rng, T), rng.normal(size=(T, T)), rng.random(T), rng.permutation(T)
    place, places = np.ix_(order, order), np.argsort(order)
    before = penalty
    if isinstance(penalty, Forbidden):
        before, barred = penalty, [(int(places[s]), int(places[t])) for s, t in penalty.edges]
        penalty = replace(penalty, edges=barred)
    assert penalty.value(B[place], losses[order]) == pytest.approx(before.value(B, losses), rel=1e-13)
    assert penalty.prox(V[place], 0.4, losses[order]) == pytest.approx(
        before.prox(V, 0.4, losses)[place], rel=1e-13
    )


@every_penalty
def test_proportional_to_mu(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    B, V, losses = random_transfer(rng, T), rng.normal(size=(T, T)), rng.random(T)
    if isinstance(penalty, ElasticNet):
        return  # rho is no part of mu
    dear = replace(penalty, mu=7.0 * penalty.mu)  # type: ignore[type-var]
    assert dear.value(B, losses) == pytest.approx(7.0 * penalty.value(B, losses), rel=1e-13)
    assert dear.prox(V, 0.1, losses) == pytest.approx(penalty.prox(V, 0.7, losses), rel=1e-12)
    free = replace(penalty, mu=0.0)  # type: ignore[type-var]
    assert np.array_equal(free.prox(V, 0.5, losses), penalty.project(V))


@every_penalty
def test_prices_and_weights_agree_with_the_value(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    B, losses = random_transfer(rng, T), rng.random(T)
    prices = penalty.prices(losses)
    if prices is not None:
        assert prices @ B.sum(axis=1) == pytest.approx(penalty.value(B, losses), rel=1e-13)
    fixed = penalty.value(B, np.zeros(T))
    assert fixed + penalty.weights(B) @ losses == pytest.approx(penalty.value(B, losses), rel=1e-13)


def test_the_amtl_penalty_charges_what_a_task_gives() -> None:
    B = np.zeros((3, 3))
    B[0, 1], B[0, 2], B[2, 1] = 0.5, 0.25, 2.0  # task 0 gives .75, task 2 gives 2
    assert LossWeightedL1(mu=10.0).value(B, np.array([1.0, 100.0, 3.0])) == 10.0 * (1.0 * 0.75 + 3.0 * 2.0)


def test_projection_is_the_nearest_feasible_matrix(rng: np.random.Generator) -> None:
    V = rng.normal(size=(T, T))
    P = project_transfer(V)
    for _ in range(50):
        assert np.linalg.norm(V - P) <= np.linalg.norm(V - random_transfer(rng, T, 2.0)) + 1e-12


@pytest.mark.parametrize("mu", [-1.0, np.nan, np.inf, "1", None, True])
def test_a_mu_that_is_no_price_is_refused(mu: float) -> None:
    with pytest.raises(ModelError, match="mu"):
        LossWeightedL1(mu=mu)


def group_model(mu: float = 0.5) -> Model:
    return Model(transfer=SourceGroupL2(mu=mu), coupling=0.1)


def test_a_penalty_without_prices_goes_through_the_whole_alternation(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), group_model()
    step = compile_transfer_step(tasks, model)
    assert isinstance(step, TransferStep) and step.problem.problem.is_dcp(dpp=True)
    solution = alternate(tasks, model, Options(tol=1e-5, max_rounds=60))
    objectives = [record.objective for record in solution.history]
    assert all(new <= old * (1 + 1e-12) for old, new in zip(objectives, objectives[1:], strict=False))
    assert solution.certificate.edges > 0
    assert solution.certificate.gap_B is not None
    assert "SourceGroupL2" in solution.certificate.reasons["error_B"]
    assert solution.certificate.passes and solution.status.value == "certified"


def test_a_penalty_without_prices_is_judged_by_its_prox(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), group_model()
    W = rng.normal(size=(tasks.d, tasks.T))
    B = (
        TransferStep.compile(tasks, model)
        .solve(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))))
        .value
    )
    found = certificate.residuals(Problem(tasks, model).at(W, B))
    h = 2.0 * model.coupling * (W**2).sum(axis=0)[:, None]
    smooth = -2.0 * model.coupling * W.T @ (W - W @ B)
    moved = model.transfer.prox(B - smooth / h, 1.0 / h, np.zeros(tasks.T))
    assert found.stationarity_B == pytest.approx(float(np.abs(h * (B - moved)).max()), rel=1e-12)
    assert found.relative_B <= 1e-4
    assert certificate.residuals(Problem(tasks, model).at(W, B.T)).relative_B > 1e-2
    assert certificate.residuals(Problem(tasks, model).at(W, 1.2 * B)).relative_B > 1e-3


def test_a_penalty_without_prices_has_no_gradient_and_no_columns(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), group_model()
    W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
    with pytest.raises(ModelError, match="only a prox"):
        model.gradient_B(tasks, W, B)
    with pytest.raises(ModelError, match="whole B-step"):
        compile_transfer_step(tasks, model, columns=True).solve(Problem(tasks, model).at(W, B))
