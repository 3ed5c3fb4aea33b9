"""Refinement of penalties that are not linear over B >= 0: atoms, and tangents of a prox."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, central_gradient, random_tasks, random_transfer
from penalty_cases import CASES, penalty_id

from amtl_cvx import (
    ElasticNet,
    Hinge,
    Logistic,
    Model,
    Options,
    RowBudget,
    SourceGroupL2,
    SquaredHinge,
    Symmetric,
    TotalBudget,
    fit,
)
from amtl_cvx.certificate import residuals
from amtl_cvx.certificate.tangent import tangent_at
from amtl_cvx.problem import Problem
from amtl_cvx.refine import direct_step, engine_of
from amtl_cvx.refine.b_step import AtomStep
from amtl_cvx.refine.local import variables
from amtl_cvx.refine.variables import atom_variables
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import TransferPenalty

EVERY = [case.at(4) for case in CASES]
REFINED = [penalty for penalty in EVERY if engine_of(Model(transfer=penalty, coupling=1.0), 4)]
refined = pytest.mark.parametrize("penalty", REFINED, ids=penalty_id)
OTHERS = [p for p in REFINED if engine_of(Model(transfer=p, coupling=1.0), 4) != "entries"]
others = pytest.mark.parametrize("penalty", OTHERS, ids=penalty_id)


def test_what_refines_what() -> None:
    engines = {type(p).__name__: engine_of(Model(transfer=p, coupling=1.0), 4) for p in EVERY[2:]}
    names = ("ElasticNet", "Forbidden", "Symmetric", "SignedL1", "SquaredTransfer", "Required", "Ordered")
    expected = {**dict.fromkeys(names, "atoms"), **dict.fromkeys(("L1", "SizePricedL1"), "entries")}
    assert {name: engines[name] for name in expected} == expected
    assert {engine for name, engine in engines.items() if name not in expected} == {"prox"}
    assert engine_of(Model(transfer=EVERY[0], coupling=1.0), 4) == "entries"
    assert engine_of(Model(transfer=EVERY[1], coupling=1.0), 4) is None  # a prox that is not by rows


@refined
@pytest.mark.parametrize("d", [6, 2])
def test_the_b_step_in_numpy_is_that_of_the_definition(
    penalty: TransferPenalty, d: int, rng: np.random.Generator
) -> None:
    """Also where T - 1 > d, whose B need not be unique."""
    tasks, W = random_tasks(rng, d=d), rng.normal(size=(d, 4))
    model = Model(transfer=replace(penalty, mu=0.05), coupling=0.5)  # type: ignore[type-var]
    losses, step = model.weighted_losses(tasks, W), direct_step(model, 4)
    assert step is not None
    found = step.solve(Problem(tasks, model).at(W, model.transfer.start(4))).value
    assert np.array_equal(model.transfer.project(found), found)
    B = cp.Variable((4, 4))
    limits = [cp.diag(B) == 0, *model.transfer.constraints(B)]
    limits += [] if penalty.feasible(4).signed else [B >= 0]
    rule = 0.5 * cp.sum_squares(W - W @ B) + model.transfer.expression(B, losses)
    least = cp.Problem(cp.Minimize(rule), limits).solve(solver="CLARABEL")
    value = 0.5 * float(((W - W @ found) ** 2).sum()) + model.transfer.value(found, losses)
    assert value == pytest.approx(least, rel=1e-7) and found.any()


@others
def test_derivatives_are_those_of_differences(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    """Slope and Hessian in what a step moves and in W, against differences of J itself."""
    tasks = random_tasks(rng, d=5)
    model = Model(transfer=penalty, coupling=0.5)
    B = random_transfer(rng, 4, 0.5) - (0.1 if penalty.feasible(4).signed else 0.0)  # |b| has a kink at 0
    B = penalty.project(B)
    W = minimal_weights(Problem(tasks, model).at(rng.normal(size=(5, 4)), B))
    if engine_of(model, 4) == "prox":  # a point on its own tangent: the B-step's, not at a corner
        B = direct_step(model, 4).solve(Problem(tasks, model).at(W, B)).value  # type: ignore[union-attr]
        W = minimal_weights(Problem(tasks, model).at(W, B))
    exact = variables(Problem(tasks, model).at(W, B))
    k = len(exact.value)
    here = np.zeros(k) if exact.free else exact.value
    assert k > 1

    def value(x: Array) -> float:
        return model.objective(tasks, W, exact.graph(x))

    slope = central_gradient(value, here, 1e-4)
    shift = exact.BW @ np.linalg.solve(exact.WW, model.gradient_W(tasks, W, exact.base).T.ravel())
    expected = exact.gradient + (
        shift if engine_of(model, 4) == "prox" else 0.0
    )  # tangent models have W eliminated
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-7)
    Hessian = np.column_stack(
        [
            (central_gradient(value, here + 1e-4 * e, 1e-3) - central_gradient(value, here - 1e-4 * e, 1e-3))
            / 2e-4
            for e in np.eye(k)
        ]
    )
    assert Hessian == pytest.approx(exact.BB, rel=1e-4, abs=1e-4)

    def weight_slope(x: Array) -> Array:
        return model.gradient_W(tasks, W, exact.graph(x)).T.ravel()

    mixed = np.stack(
        [(weight_slope(here + 1e-5 * e) - weight_slope(here - 1e-5 * e)) / 2e-5 for e in np.eye(k)]
    )
    assert mixed == pytest.approx(exact.BW, rel=1e-4, abs=1e-4)


def test_a_b_step_has_short_predictors_to_the_last_digit_too() -> None:
    """w_2 = 1e-5 e_2 and w_3 = 1e-5 (e_2 + e_3) beside longer ones across: b = 2 w_2'w_3 / (w_2^2 + w_3^2).

    Where all are 0 the best graph is the cheapest one.
    """
    W = np.eye(4)
    W[2:, 2:] = 1e-5 * np.array([[1.0, 1.0], [0.0, 1.0]])
    tasks, model = (
        TaskSet.from_arrays([np.eye(4)] * 4, list(W.T)),
        Model(transfer=Symmetric(mu=1.0), coupling=0.7),
    )
    step, problem = direct_step(model, 4), Problem(tasks, model)
    assert isinstance(step, AtomStep)
    expected = np.zeros((4, 4))
    expected[2, 3] = expected[3, 2] = 2.0 / 3.0
    found = step.solve(problem.at(W, np.zeros((4, 4)))).value
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert not step.solve(problem.at(np.zeros((4, 4)), expected)).value.any()


def test_a_step_moves_the_steepest_atoms_up_to_a_limit(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=6, counts=(12,) * 16)
    B = np.zeros((16, 16))
    B[3, 4] = 0.1
    problem = Problem(tasks, Model(transfer=ElasticNet(mu=1e-3, rho=0.1), coupling=0.7))
    point = problem.at(rng.normal(size=(6, 16)), B)
    every = atom_variables(point, most=1300)
    enter = np.sort(every.gradient[every.value == 0.0])
    slope = point.coupling_gradient_B + 1e-3 * point.weighted_losses[:, None]
    assert np.array_equal(enter, np.sort(slope[(slope < 0.0) & (B == 0.0) & ~np.eye(16, dtype=bool)]))
    assert len(enter) > 106
    for most, room in ((50, 100), (107, 106)):
        few = atom_variables(point, most=most)
        assert (few.value > 0.0).sum() == 1
        assert np.array_equal(np.sort(few.gradient[few.value == 0.0]), enter[:room])


@pytest.mark.parametrize("penalty", [SourceGroupL2(mu=0.05), RowBudget(mu=0.05, budget=0.4)], ids=penalty_id)
def test_a_tangent_is_the_same_in_every_unit_of_y(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    """J(k y, k W, B) = k^2 J, and the losses too: slopes by losses are the same numbers."""
    plain, W, model = random_tasks(rng, d=5), rng.normal(size=(5, 4)), Model(transfer=penalty, coupling=0.5)
    B = direct_step(model, 4).solve(Problem(plain, model).at(W, np.zeros((4, 4)))).value  # type: ignore[union-attr]
    found = tangent_at(Problem(plain, model).at(W, B))
    assert np.abs(found.rates).max() > 1e-3
    for scale in (2.0**-13, 2.0**13):
        tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
        other = tangent_at(Problem(tasks, model).at(scale * W, B))
        np.testing.assert_allclose(other.rates, found.rates, rtol=0, atol=1e-6)


def test_a_tangent_keeps_zero_rows_and_spent_budgets(rng: np.random.Generator) -> None:
    tasks, W = random_tasks(rng, d=5), rng.normal(size=(5, 4))
    for penalty in (SourceGroupL2(mu=0.3), RowBudget(mu=0.01, budget=0.2)):
        model = Model(transfer=penalty, coupling=0.5)
        B = direct_step(model, 4).solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value  # type: ignore[union-attr]
        tangent = tangent_at(Problem(tasks, model).at(W, B))
        assert np.abs(tangent.B - B).max() <= 1e-10
        assert not tangent.Z[:, B == 0.0].any() or np.abs(tangent.Z[:, B == 0.0]).max() <= 1e-6
        spent = B.sum(axis=1) >= 0.2 * (1 - 1e-12)
        if isinstance(penalty, RowBudget):
            assert spent.any() and np.abs(tangent.Z.sum(axis=2)[:, spent]).max() <= 1e-6
        free = (B > 0.0).sum() - (int(spent.sum()) if isinstance(penalty, RowBudget) else 0)
        assert len(tangent.Z) == free


def test_where_no_edge_pays_the_tangent_is_empty(rng: np.random.Generator) -> None:
    tasks, W = random_tasks(rng, d=5), rng.normal(size=(5, 4))
    tangent = tangent_at(
        Problem(tasks, Model(transfer=RowBudget(mu=1e3), coupling=0.5)).at(W, np.zeros((4, 4)))
    )
    assert tangent.Z.shape == (0, 4, 4) and not tangent.B.any()


@pytest.mark.sampled(3)
@refined
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_refined_to_rounding(penalty: TransferPenalty, engine: str, rng: np.random.Generator) -> None:
    """A few steps to 1e-12, J never rises, the same point with both engines."""
    tasks = random_tasks(rng, d=5, counts=(30, 25, 40, 28))
    model = Model(transfer=penalty, coupling=0.5)
    solution = fit(tasks, model, options=Options(engine=engine, tol=1e-11))  # type: ignore[arg-type]
    assert solution.certificate.passes and solution.certificate.relative <= 1e-12
    J = [record.objective for record in solution.history]
    assert max(np.diff(J), default=0.0) <= 1e-12 * J[0]
    assert len(J) <= 60 and np.array_equal(penalty.project(solution.B), solution.B)


@pytest.mark.sampled(2)
@refined
def test_more_tasks_than_features(penalty: TransferPenalty, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=3, counts=(12, 9, 14, 8, 11, 10))
    solution = fit(tasks, Model(transfer=replace(penalty, mu=0.03), coupling=1.0))  # type: ignore[type-var]
    assert solution.certificate.relative <= 1e-9, solution.certificate.verdict()
    assert solution.certificate.edges > 3


@pytest.mark.parametrize("loss", [Logistic(), Hinge()], ids=lambda loss: loss.name)
@pytest.mark.parametrize("penalty", [ElasticNet(mu=0.2, rho=0.1), SourceGroupL2(mu=0.2)], ids=penalty_id)
def test_other_losses(loss: Logistic, penalty: TransferPenalty, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss=loss.name, d=4, counts=(20, 25, 18))
    solution = fit(tasks, Model(loss=loss, transfer=penalty, coupling=0.2))
    assert solution.certificate.passes, solution.certificate.verdict()


def test_symmetric_is_the_problem_in_half_sums(rng: np.random.Generator) -> None:
    """B = (C + C')/2 with C >= 0, solved by CVXPY at the W that was found."""
    tasks = random_tasks(rng, d=5)
    model = Model(transfer=Symmetric(mu=0.05), coupling=0.5)
    solution = fit(tasks, model)
    W, losses = solution.W, model.weighted_losses(tasks, solution.W)
    C = cp.Variable((4, 4), nonneg=True)
    B = (C + C.T) / 2
    rule = 0.5 * cp.sum_squares(W - W @ B) + 0.05 * losses @ cp.sum(B, axis=1)
    cp.Problem(cp.Minimize(rule), [cp.diag(C) == 0]).solve(solver="CLARABEL")
    assert pytest.approx(B.value, abs=1e-6) == solution.B and solution.certificate.edges > 0
    assert residuals(Problem(tasks, model).at(W, solution.B)).relative <= 1e-10


def test_tasks_that_cost_nothing_in_a_singular_graph_end_in_no_error() -> None:
    """Two tasks that copy each other and have no loss: the Hessian of J in W is singular along both."""
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    tasks = TaskSet.from_arrays([X, X], [[1.0, -1.0]] * 2)
    model = Model(loss=SquaredHinge(), transfer=TotalBudget(mu=0.1, total=2.0), coupling=1.0)
    B = np.array([[0.0, 1.0], [1.0, 0.0]])
    local = variables(Problem(tasks, model).at(np.array([[2.0, 2.0], [-2.0, -2.0]]), B))
    assert np.isfinite(local.gradient).all()
    assert fit(tasks, model).certificate.objective <= 1e-12
