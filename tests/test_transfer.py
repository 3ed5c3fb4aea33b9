"""Transfer penalties: one battery for all of them; a case in `penalty_cases.CASES` is enough to join."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from battery import BATTERY
from cases import SourceGroupL2, missing, random_tasks, random_transfer
from penalty_cases import CASES, PENALTY_CASES, Case

from amtl_cvx import certificate
from amtl_cvx.amtl import alternate
from amtl_cvx.errors import ModelError
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems import TransferStep, compile_transfer_step
from amtl_cvx.transfer import TRANSFERS, LossWeightedL1, project_transfer

T = 5
POINTS = 1


def test_every_penalty_has_a_case() -> None:
    assert not missing(TRANSFERS, PENALTY_CASES)


@pytest.mark.parametrize("check", BATTERY, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.sampled(2)
def test_the_battery(
    case: Case, check: Callable[[Case, np.random.Generator, int], None], rng: np.random.Generator
) -> None:
    check(case, rng, POINTS)


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
