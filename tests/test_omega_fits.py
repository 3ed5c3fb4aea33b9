"""Penalties on W with kinks in J: W-steps of both engines, gap, residual, fits, and what is rejected."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, random_tasks, random_transfer, tasks_for
from omega_cases import KINKED

from amtl_cvx import Hinge, Logistic, LossWeightedL1, Model, Options, Problem, Solution, Squared, certify, fit
from amtl_cvx.certificate import residuals, weight_evidence
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Huber, Loss, SquaredHinge
from amtl_cvx.problem import Point
from amtl_cvx.report.tables import tiles
from amtl_cvx.subproblems import Problems, TaskWeightStep, WeightStep, compile_weight_step
from amtl_cvx.subproblems.numpy_steps import minimised
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import L1, L21, Fused, TraceNorm, WeightPenalty

every_omega = pytest.mark.parametrize("omega", KINKED, ids=lambda omega: omega.label)
EXACT = {"solver": "CLARABEL", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10}


def model_of(omega: WeightPenalty, *, loss: Loss | None = None, mu: float = 0.05) -> Model:
    return Model(loss=loss or Squared(), transfer=LossWeightedL1(mu=mu), coupling=0.5, omega=omega)


def value_in_W(point: Point) -> float:
    """What the W-step minimises, by its formula."""
    omega, R = point.model.omega, point.W @ (np.eye(point.tasks.T) - point.B)
    a = 1.0 + point.model.mu * point.B.sum(axis=1)
    assert omega is not None
    return float(a @ point.losses) + point.model.coupling * float((R**2).sum()) + omega.value(point.W)


def least(point: Point) -> float:
    """Its minimum by Clarabel, from the atoms."""
    tasks, model = point.tasks, point.model
    W, a = cp.Variable(point.W.shape), 1.0 + model.mu * point.B.sum(axis=1)
    losses = [a[t] * model.loss.expression(task, W[:, t]) for t, task in enumerate(tasks)]
    assert model.omega is not None
    away = cp.sum_squares(W @ (np.eye(tasks.T) - point.B))
    J = cp.sum(losses) + model.coupling * away + model.omega.expression(W)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 1e-10 is not always reached
        return float(cp.Problem(cp.Minimize(J)).solve(**EXACT))


@every_omega
def test_the_gap_is_never_below_the_true_one(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """At random points near the minimum and far from it, where it is not loose either; 0 at the minimum."""
    for loss in (Squared(), Logistic()):
        omega, B = replace(omega, rho=0.3 * omega.rho), random_transfer(rng, 3)
        tasks = tasks_for(loss, rng, d=5, counts=(14, 22, 18))
        best = minimised(Problem(tasks, model_of(omega, loss=loss)).at(np.zeros((5, 3)), B))
        below = least(best)
        assert value_in_W(best) == pytest.approx(below, rel=1e-8)
        found = weight_evidence(best)
        assert found.judged <= 1e-12 * below and found.gap is not None and found.gap <= 1e-12 * below
        assert residuals(best).relative_W <= 1e-12
        for size in np.r_[1e-4, 1e-2, np.full(8, 1.0)]:
            away = best.at(W=best.W + size * rng.normal(size=(5, 3)))
            true, found = value_in_W(away) - below, weight_evidence(away)
            assert found.gap is not None and found.judged >= true - 1e-8 * below
            assert true - 1e-8 * below <= found.gap <= 1.5 * true + 1e-8 * below
            assert found.error is not None and found.error >= float(np.linalg.norm(away.W - best.W)) - 1e-7


@every_omega
def test_the_compiled_step_is_that_of_numpy(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """Compiled once for all couplings, prices, rho, data and B of a shape."""
    problems = Problems()
    for loss, rho in ((Squared(), omega.rho), (Huber(threshold=1.0), 0.1 * omega.rho)):
        tasks = random_tasks(rng, d=3, counts=(9, 14, 20), scale=3.0)
        model = replace(model_of(replace(omega, rho=rho), loss=loss), coupling=rho)
        point = Problem(tasks, model).at(rng.normal(size=(3, 3)), random_transfer(rng, 3))
        found = compile_weight_step(tasks, model, problems=problems).solve(point)
        assert found.solved.solver == "CLARABEL" and residuals(point.at(W=found.value)).relative_W <= 1e-11
        assert np.abs(found.value - minimised(point).W).max() <= 1e-9
    assert len(problems) == 1


def test_definition_and_step_agree(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=3, counts=(9, 14)), model_of(L21(rho=0.2))
    point = Problem(tasks, model).at(np.zeros((3, 2)), random_transfer(rng, 2))
    written = WeightStep.definition(tasks, model).solve(point).value
    assert np.abs(written - minimised(point).W).max() <= 1e-5


@functools.cache
def fitted(omega: WeightPenalty, loss: Loss, engine: str) -> tuple[TaskSet, Model, Solution]:
    tasks = tasks_for(loss, np.random.default_rng(5), d=5, counts=(14, 22, 18))
    rho, mu = (0.25 * omega.rho, 0.05) if loss.quadratic else (0.02 * omega.rho, 0.02)
    model = replace(
        model_of(replace(omega, rho=rho), loss=loss, mu=mu), coupling=0.5 if loss.quadratic else 0.1
    )
    return tasks, model, fit(tasks, model, options=Options(engine=engine, tol=1e-10))  # type: ignore[arg-type]


@every_omega
@pytest.mark.parametrize(
    "loss", [Squared(), pytest.param(Logistic(), marks=pytest.mark.slow)], ids=lambda loss: loss.name
)
def test_a_fit_is_certified_and_each_block_is_best(omega: WeightPenalty, loss: Loss) -> None:
    tasks, model, found = fitted(omega, loss, "fast")
    assert found.certificate.passes and found.certificate.level == "C2" and found.certificate.edges > 0
    point = Problem(tasks, model).at(found.W, found.B)
    assert value_in_W(point) == pytest.approx(least(point), rel=1e-8)
    if not loss.quadratic:
        return  # the compiled step is the same one
    _, _, other = fitted(omega, loss, "cvxpy")
    assert other.certificate.passes and other.objective == pytest.approx(found.objective, rel=1e-9)


def changed(omega: WeightPenalty, W: Array) -> list[Array]:
    """W with one thing wrong by 1e-5 of its size or so, and one sign."""
    found, size = [], float(np.abs(W).max())
    for sign in (1.0, -1.0):
        moved = W.copy()
        moved[np.unravel_index(int(np.argmin(np.abs(W))), W.shape)] += sign * 1e-5 * size  # off its zero
        found.append(moved)
    flipped = W.copy()
    flipped[np.unravel_index(int(np.argmax(np.abs(W))), W.shape)] *= -1.0
    lost = np.where(np.abs(W) == np.abs(W)[W != 0.0].min(), 0.0, W)
    U, values, Q = np.linalg.svd(W, full_matrices=False)
    for k in range(len(values)):
        bent = values.copy()
        bent[k] += 1e-5 * values[0]
        found.append((U * bent) @ Q)
    apart = W.copy()
    apart[0, 1] += 1e-5 * size  # of neighbours that were equal
    return [*found, flipped, lost, apart, (1.0 + 1e-6) * W]


@every_omega
def test_what_is_wrong_with_W_is_rejected(omega: WeightPenalty) -> None:
    """Weights off their zero or without their sign, one that was lost, singular values, neighbours."""
    tasks, model, found = fitted(omega, Squared(), "fast")
    for W in changed(omega, found.W):
        judged = certify(tasks, model, W, found.B)
        assert not judged.passes and judged.relative_W > 1e-8, np.abs(W - found.W).max()


def test_structures_are_found() -> None:
    """What each penalty is for, exactly: zeros, rows of zeros, a rank, equal neighbours."""
    rng = np.random.default_rng(8)
    X = [rng.normal(size=(40, 6)) for _ in range(4)]
    w = np.outer([3.0, -2.0, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 2.0, 2.0])
    tasks = TaskSet.from_arrays(X, [x @ v + 0.1 * rng.normal(size=40) for x, v in zip(X, w.T, strict=True)])
    found, told = {}, {}
    for omega in (L1(rho=0.5), L21(rho=0.5), TraceNorm(rho=1.0), Fused(rho=0.5)):
        model = replace(model_of(omega, mu=1e3), coupling=1e-3)
        solution = fit(tasks, model, options=Options(engine="fast"))
        assert solution.certificate.passes
        found[omega.name] = solution.W
        told[omega.name] = dict(tiles(solution, {}))["penalty on W"].partition("; ")[2]
    assert (found["l1"][2:] == 0.0).all() and (found["l1"][:2] != 0.0).all()
    assert (found["l21"][2:] == 0.0).all() and (found["l21"][:2] != 0.0).all()
    assert np.linalg.matrix_rank(found["trace"]) == 1
    steps = np.diff(found["fused"][:2], axis=1)
    assert (steps[:, [0, 2]] == 0.0).all() and (steps[:, 1] != 0.0).all()
    assert told["l1"] == "16 of 24 weights are 0" and told["l21"] == "4 of 6 features have no weight"
    assert told["trace"] == "W has rank 1 of 4"
    assert (
        told["fused"] == f"{int((np.diff(found['fused']) == 0.0).sum())} of 18 steps between neighbours are 0"
    )


@every_omega
def test_a_high_price_leaves_nothing(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """W = 0; of a row of tasks one predictor for all, that of their rows together."""
    for loss in (Squared(), Logistic()):
        tasks = tasks_for(loss, rng, d=3, counts=(9, 14, 20))
        model = model_of(replace(omega, rho=1e4), loss=loss)
        found = fit(tasks, model, options=Options(engine="fast", tol=1e-10))
        assert found.certificate.passes
        none = found.W if omega.name != "fused" else np.diff(found.W, axis=1)
        assert np.abs(none).max() <= (1e-3 if omega.name == "trace-squared" else 0.0)


def test_features_in_all_units_have_their_last_digits(rng: np.random.Generator) -> None:
    """Curvatures of 1e-6 beside 1e6: what a prox step subtracts is rounding for the small ones."""
    tasks = tasks_for(SquaredHinge(), rng, d=3, counts=(9, 14, 11))
    scaled = TaskSet.from_arrays([t.X * [1e-2, 1e3, 1e-3] for t in tasks], [t.y for t in tasks])
    for omega in (L1(rho=0.01), L21(rho=0.01)):
        point = Problem(scaled, model_of(omega, loss=SquaredHinge())).at(np.zeros((3, 3)), np.zeros((3, 3)))
        assert residuals(minimised(point)).relative_W <= 1e-12


def test_what_cannot_be_had_is_refused(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=2, counts=(9, 12)), model_of(L1(rho=0.1))
    with pytest.raises(ModelError, match="the hinge loss and the penalty l1 on W both have kinks"):
        fit(tasks_for(Hinge(), rng, d=2, counts=(9, 12)), replace(model, loss=Hinge()))
    with pytest.raises(ModelError, match="l1 on W has kinks, its W-step is joint"):
        fit(tasks, model, options=Options(sweep="tasks"))
    with pytest.raises(ModelError, match="the curriculum .* knows no penalty on W"):
        fit(tasks, model, method="curriculum")
    for step in (WeightStep, TaskWeightStep):
        with pytest.raises(ModelError, match="its W-step is joint .compile_weight_step."):
            step.compile(tasks, model)
    point = Problem(tasks, model).at(np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ModelError, match="no gradient in W, only a prox"):
        _ = point.gradient_W
    with pytest.raises(ModelError, match="no Hessian in W"):
        point.hessian_W()
    found = fit(tasks, model, options=Options(engine="fast"))
    reached = certify(tasks, model, found.W, found.B, level="C5")
    assert reached.level == "C3" and "the penalty l1 on W is not quadratic" in reached.reasons["C4"]
    assert "the penalty l1 on W is not quadratic" in reached.reasons["C5"]


def test_single_tasks_have_it_too(rng: np.random.Generator) -> None:
    """--method stl: one W-step at B = 0."""
    tasks, model = random_tasks(rng, d=4, counts=(9, 14, 20)), model_of(L21(rho=0.2))
    for engine in ("cvxpy", "fast"):
        found = fit(tasks, model, method="stl", options=Options(engine=engine))  # type: ignore[arg-type]
        point = Problem(tasks, model).at(found.W, np.zeros((3, 3)))
        assert found.certificate.passes and value_in_W(point) == pytest.approx(least(point), rel=1e-8)


def test_a_rank_is_found_in_few_coordinates(rng: np.random.Generator) -> None:
    """The trace norm turns with the features, l1 does not: 300 features, 24 rows."""
    X: list[Array] = [rng.normal(size=(8, 300)) for _ in range(3)]
    tasks = TaskSet.from_arrays(X, [x[:, 0] + 0.1 * rng.normal(size=8) for x in X])
    found = fit(tasks, model_of(TraceNorm(rho=0.3)), options=Options(engine="fast"))
    rows = np.vstack(X)
    assert found.certificate.passes
    assert np.abs(found.W - rows.T @ np.linalg.lstsq(rows.T, found.W, rcond=None)[0]).max() <= 1e-10
