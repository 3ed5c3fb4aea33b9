"""The common row space: fits, certificates and curvature are those of the full coordinates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import at

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, certify, fit, rowspace
from amtl_cvx.certificate import Certificate, second_order
from amtl_cvx.enclosure import enclose
from amtl_cvx.enclosure.scip import claim
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Logistic, Loss, Quantile, Squared
from amtl_cvx.problem import Problem
from amtl_cvx.rowspace import row_basis
from amtl_cvx.solution import Blocks, Solution, Status

D, T = 110, 3


def problem(rng: np.random.Generator, *, loss: Loss, rows: int = 8) -> tuple[TaskSet, Model]:
    """Few rows in many dimensions; targets that no W fits without loss, so that J has a minimum."""
    w = rng.normal(size=D)
    X = [0.1 * np.repeat(rng.normal(size=(rows // 2, D)), 2, axis=0) for _ in range(T)]
    y = [x @ w + 0.5 * rng.normal(size=rows) for x in X]
    if loss.classification:
        y = [np.where(np.arange(rows) % 3 == 0, -1.0, 1.0) for _ in X]
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.2)
    return TaskSet.from_arrays(X, y), model


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that computes in all d coordinates."""

    def compute(function: Any, tasks: TaskSet, *rest: Any, **options: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(rowspace, "SMALL", 10**9)
            return function(replace(tasks), *rest, **options)

    return compute


def test_the_basis_is_that_of_the_rows(rng: np.random.Generator) -> None:
    A, B = rng.normal(size=(5, 300)), rng.normal(size=(2, 300))
    many = rng.normal(size=(400, 5)) @ A  # more rows than features, rank 5
    basis = row_basis([many, 1e-12 * B, np.zeros((3, 300))])  # a task in small units is a task
    assert basis is not None and basis.shape == (300, 7)
    np.testing.assert_allclose(basis.T @ basis, np.eye(7), atol=1e-14)
    for rows in (A, B):
        np.testing.assert_allclose(rows @ basis @ basis.T, rows, atol=1e-12)


def test_full_rank_and_few_features_keep_their_coordinates(rng: np.random.Generator) -> None:
    assert row_basis([rng.normal(size=(149, 300))]) is not None
    assert row_basis([rng.normal(size=(150, 300))]) is None
    assert row_basis([rng.normal(size=(2, rowspace.SMALL))]) is None


def test_tasks_that_share_rows_share_their_coordinates(rng: np.random.Generator) -> None:
    tasks = TaskSet.one_vs_rest(rng.normal(size=(9, D)), np.arange(9) % 3)
    assert tasks.row_basis is not None and tasks.row_basis.shape == (D, 9)
    small = tasks.in_basis(tasks.row_basis)
    assert small[0].X is small[1].X and small.row_basis is None


def moved(rng: np.random.Generator, W: np.ndarray, B: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The point, and points away from it: W in every direction, and B."""
    return [(W, B), (W + 1e-3 * rng.normal(size=W.shape), B), (W, 0.9 * B)]


def agree(one: Certificate, other: Certificate) -> None:
    assert (one.passes, one.level, one.edges) == (other.passes, other.level, other.edges)
    assert one.refused == other.refused
    close = {"objective": 1e-12, "sigma_min": 1e-9, "stationarity_B": 1e-6}
    close |= dict.fromkeys(("gap_W", "gap_B", "gain_W", "relative", "stationarity_W", "error_W"), 1e-6)
    for name, rtol in close.items():
        here, there = getattr(one, name), getattr(other, name)
        if there is None:
            assert here is None
        else:
            assert here == pytest.approx(there, rel=rtol, abs=1e-12)


@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=lambda loss: loss.name)
def test_fit_and_certificate_are_those_of_all_coordinates(
    loss: Loss, rng: np.random.Generator, full: Any
) -> None:
    tasks, model = problem(rng, loss=loss)
    options = Options(engine="fast")
    solution, reference = fit(tasks, model, options=options), full(fit, tasks, model, options=options)
    assert solution.status is Status.CERTIFIED and solution.W.shape == (D, T)
    assert solution.objective == pytest.approx(reference.objective, rel=1e-10)
    np.testing.assert_allclose(solution.B, reference.B, atol=1e-7)
    np.testing.assert_allclose(solution.W, reference.W, atol=1e-7)
    for W, B in moved(rng, solution.W, solution.B):
        agree(certify(tasks, model, W, B), full(certify, tasks, model, W, B))
    found = second_order(Problem(tasks, model).at(solution.W, solution.B))
    expected = full(lambda *given: second_order(at(*given)), tasks, model, solution.W, solution.B)
    assert (found.verdict, found.free) == (expected.verdict, expected.free)
    for name in ("reduced_hessian_min", "reduced_hessian_max", "min_multiplier", "min_positive_B"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6)


def test_a_saddle_lies_in_the_original_coordinates(rng: np.random.Generator) -> None:
    tasks, model = problem(rng, loss=Squared())
    W, B = 10.0 * rng.normal(size=(D, T)), 0.5 * (np.ones((T, T)) - np.eye(T))
    found = second_order(Problem(tasks, model).at(W, B))
    assert found.verdict == "saddle" and found.direction is not None and found.fall is not None
    dW, dB = found.direction
    fallen = model.objective(tasks, W, B) - model.objective(tasks, W + dW, B + dB)
    assert fallen == pytest.approx(found.fall, rel=1e-6)


def test_ridge_in_closed_form_where_the_hessian_would_take_gigabytes(rng: np.random.Generator) -> None:
    d, n, coupling = 4000, 10, 3.0
    X, y = rng.normal(size=(3, n, d)), rng.normal(size=(3, n))
    tasks = TaskSet.from_arrays(list(X), list(y), feature_names=[f"x{i}" for i in range(d)])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=coupling)
    solution = fit(tasks, model, method="stl")
    ridge = [x.T @ np.linalg.solve(x @ x.T + n * coupling * np.eye(n), v) for x, v in zip(X, y, strict=True)]
    np.testing.assert_allclose(solution.W, np.column_stack(ridge), atol=1e-14)
    assert solution.certificate.passes and solution.feature_names == tasks.feature_names
    assert certify(tasks, model, solution.W, np.zeros((3, 3)), kind="single-task").passes


def test_what_no_row_sees_only_costs_coupling(rng: np.random.Generator) -> None:
    tasks, model = problem(rng, loss=Squared())
    solution = fit(tasks, model)
    basis = tasks.row_basis
    assert basis is not None
    V = rng.normal(size=(D, T))
    V -= basis @ (basis.T @ V)
    cost = model.coupling * float(((V - V @ solution.B) ** 2).sum())
    judged = certify(tasks, model, solution.W + V, solution.B)
    assert judged.objective == pytest.approx(solution.objective + cost, rel=1e-10)
    assert judged.gap_W == pytest.approx(cost, rel=1e-8)  # W alone can gain just that
    assert not judged.passes
    again = fit(tasks, model, options=Options(start=Blocks(solution.W + V, solution.B)))
    assert again.certificate.passes
    np.testing.assert_allclose(again.W, solution.W, atol=1e-8)


def test_checkpoints_and_states_are_in_the_features(rng: np.random.Generator) -> None:
    tasks, model = problem(rng, loss=Squared())
    seen: list[Solution] = []
    options = Options(handover=1e-9, checkpoint=seen.append)
    straight = fit(tasks, model, options=options)
    assert seen and seen[0].W.shape == (D, T) and seen[0].state is not None
    resumed = fit(tasks, model, options=Options(handover=1e-9, start=seen[0].state))
    assert len(resumed.history) == len(straight.history)
    np.testing.assert_allclose(resumed.W, straight.W, atol=1e-10)


@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=lambda loss: loss.name)
def test_curriculum_in_the_row_space(loss: Loss, rng: np.random.Generator, full: Any) -> None:
    tasks, model = problem(rng, loss=loss)
    found, expected = fit(tasks, model, method="curriculum"), full(fit, tasks, model, method="curriculum")
    assert found.order == expected.order and found.certificate.passes and expected.certificate.passes
    np.testing.assert_allclose(found.W, expected.W, atol=1e-8)


def test_a_loss_with_kinks_in_the_row_space(rng: np.random.Generator, full: Any) -> None:
    tasks, model = problem(rng, loss=Quantile())
    found, expected = fit(tasks, model), full(fit, tasks, model)
    assert found.certificate.passes and expected.certificate.passes
    assert found.objective == pytest.approx(expected.objective, rel=1e-7)


def test_a_model_that_is_not_invariant_keeps_its_coordinates(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = problem(rng, loss=Squared())
    assert Problem(tasks, model).at(np.zeros((D, T)), np.zeros((T, T))).reduced.tasks.d < D
    monkeypatch.setattr(Model, "rotation_invariant", False)
    assert Problem(tasks, model).at(np.zeros((D, T)), np.zeros((T, T))).reduced.tasks is tasks


def test_proofs_of_many_features_are_refused_by_size(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(3, 10, 4000)), rng.normal(size=(3, 10))
    tasks = TaskSet.from_arrays(list(X), list(y))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=1e4)
    point = fit(tasks, model)
    certificate = certify(tasks, model, point.W, point.B, level="C4")
    assert certificate.level == "C3" and "too large" in certificate.reasons["C4"]
    with pytest.raises(NotCertifiable, match="fewer tasks or features"):
        enclose(tasks, model, point.W, point.B)
    with pytest.raises(NotCertifiable, match="too many for SCIP"):
        claim(Problem(tasks, model).at(point.W, point.B))
