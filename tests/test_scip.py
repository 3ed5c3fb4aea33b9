"""SCIP's claim: the minimum that a dense grid finds, in bounds that convex programs and brentq agree on."""

from __future__ import annotations

import dataclasses
import sys

import cases
import numpy as np
import pytest
from scipy.optimize import brentq, minimize, minimize_scalar

from amtl_cvx.enclosure.scip import GAP, claim
from amtl_cvx.enclosure.sublevel import derive_bounds
from amtl_cvx.errors import DataError, ModelError, NotCertifiable
from amtl_cvx.losses import Hinge, Logistic, Loss, Squared, SquaredHinge
from amtl_cvx.methods import fit
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer import LossWeightedL1

LOSSES = [Squared(), Logistic(), SquaredHinge(), Logistic(reduction="sum")]


def model_for(loss: Loss, **changes: object) -> Model:
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=1.0)
    return dataclasses.replace(model, **changes)  # type: ignore[arg-type]


def two_tasks(loss: Loss) -> TaskSet:
    """Two tasks with one feature; labels that no sign of w gets all right."""
    x = np.array([[1.0], [2.0], [-1.0], [0.5], [-1.5], [0.7]])
    targets = np.array([1.2, 1.5, -0.4, 0.9, -1.9, 0.1]), np.array([0.2, 2.4, -1.0, -0.4, -0.3, 0.8])
    if loss.classification:
        targets = np.array([1.0, 1, -1, -1, -1, 1]), np.array([1.0, 1, 1, 1, -1, -1])
    return TaskSet.from_arrays([x, 1.3 * x], targets)


def J(tasks: TaskSet, model: Model, v: Array) -> float:
    """J written out for two tasks with one feature, v = (w_0, w_1, B_01, B_10)."""
    c = model.task_weight(tasks)
    losses = [c[t] * model.loss.value(tasks[t], v[t : t + 1]) for t in range(2)]
    priced = losses[0] * (1 + model.mu * v[2]) + losses[1] * (1 + model.mu * v[3])
    return float(priced + model.coupling * ((v[0] - v[3] * v[1]) ** 2 + (v[1] - v[2] * v[0]) ** 2))


def grid_minimum(tasks: TaskSet, model: Model) -> float:
    """The least J over a dense grid of W; the best B of each W has a closed form (SPEC section 3)."""
    w = np.linspace(-3.0, 3.0, 301)
    c = model.task_weight(tasks)
    l0, l1 = (np.array([c[t] * model.loss.value(tasks[t], np.array([v])) for v in w]) for t in range(2))
    P, Q = np.meshgrid(w, w, indexing="ij")
    L0, L1 = np.meshgrid(l0, l1, indexing="ij")
    lam, mu = model.coupling, model.mu
    with np.errstate(divide="ignore", invalid="ignore"):
        b01 = np.where(P != 0, np.maximum(0.0, (P * Q - mu * L0 / (2 * lam)) / P**2), 0.0)
        b10 = np.where(Q != 0, np.maximum(0.0, (P * Q - mu * L1 / (2 * lam)) / Q**2), 0.0)
    values = L0 * (1 + mu * b01) + L1 * (1 + mu * b10) + lam * ((P - b10 * Q) ** 2 + (Q - b01 * P) ** 2)
    i, j = np.unravel_index(int(values.argmin()), values.shape)
    start = [w[i], w[j], b01[i, j], b10[i, j]]
    bounds = [(None, None)] * 2 + [(0.0, None)] * 2
    return float(minimize(lambda v: J(tasks, model, v), start, bounds=bounds, tol=1e-13).fun)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES, ids=cases.loss_id)
def test_the_claim_is_the_minimum_of_a_dense_grid(loss: Loss, capfd: pytest.CaptureFixture[str]) -> None:
    tasks, model = two_tasks(loss), model_for(loss)
    solution = fit(tasks, model)
    found = claim(Problem(tasks, model).at(solution.W, solution.B), seconds=60)
    expected = grid_minimum(tasks, model)
    assert found.closed and found.method == "solver-claimed" and found.status in ("optimal", "gaplimit")
    assert found.upper == pytest.approx(expected, rel=1e-6) and found.upper >= expected * (1 - 1e-9)
    assert found.lower <= expected * (1 + 1e-9) and found.width <= 2 * GAP
    assert found.width == pytest.approx((found.upper - found.lower) / found.upper, abs=1e-12)
    assert found.upper == model.objective(tasks, found.W, found.B)
    assert found.B.min() >= 0.0 and not np.diag(found.B).any() and found.seconds > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_point_that_is_not_global_is_beaten() -> None:
    """Opposed tasks: B = 0 is a strict local minimum, another point lies lower."""
    x = np.array([[1.0], [2.0], [-1.0], [0.5]])
    y = x[:, 0] + [0.3, -0.2, 0.1, 0.4], -0.5 * x[:, 0] + [1.0, -0.9, 0.6, 0.2]
    tasks = TaskSet.from_arrays([x, x], y)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.01), coupling=2.0)
    solution = fit(tasks, model)
    assert solution.certificate.passes and not solution.B.any()
    found = claim(Problem(tasks, model).at(solution.W, solution.B), seconds=120)
    assert found.closed and found.upper < 0.95 * solution.objective and found.B.any()
    assert found.lower <= found.upper


@pytest.mark.sampled(2)
@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_y_changes_nothing(scale: float) -> None:
    tasks, model = two_tasks(Squared()), model_for(Squared())
    scaled = TaskSet.from_arrays([task.X for task in tasks], [scale * task.y for task in tasks])
    solution = fit(scaled, model)
    found = claim(Problem(scaled, model).at(solution.W, solution.B), seconds=60)
    assert found.closed and found.upper / scale**2 == pytest.approx(grid_minimum(tasks, model), rel=1e-6)


def test_one_task_is_ridge(rng: np.random.Generator) -> None:
    tasks, model = cases.random_tasks(rng, d=2, counts=(9,)), model_for(Squared())
    W = cases.ridge(tasks, model)
    found = claim(Problem(tasks, model).at(np.zeros((2, 1)), np.zeros((1, 1))), seconds=60)
    assert found.closed and found.upper == pytest.approx(
        model.objective(tasks, W, np.zeros((1, 1))), rel=1e-6
    )


@pytest.mark.parametrize("loss", LOSSES, ids=cases.loss_id)
def test_bounds_are_those_of_a_line_search(loss: Loss) -> None:
    """d = 1: the ends of {c L(w) <= level} by brentq, the minima by a scalar search."""
    tasks, model = two_tasks(loss), model_for(loss, task_weights=(1.5, 0.5))
    solution = fit(tasks, model)
    bounds = derive_bounds(tasks, model, solution.objective)
    minima = []
    for t, c in enumerate((1.5, 0.5)):

        def f(w: float, t: int = t, c: float = c) -> float:
            return c * model.loss.value(tasks[t], np.array([w]))

        bottom = minimize_scalar(f, bracket=(-1.0, 1.0), tol=1e-12)
        minima.append(float(bottom.fun))
        assert bounds.minima[t] == pytest.approx(bottom.fun, rel=1e-5) and bounds.minima[t] < bottom.fun
        level = float(bounds.levels[t])
        low, high = (
            brentq(lambda w: f(w) - level, *ends)  # noqa: B023
            for ends in ((bottom.x - 60.0, bottom.x), (bottom.x, bottom.x + 60.0))
        )
        assert bounds.W_low[0, t] == pytest.approx(low, abs=1e-3) and bounds.W_low[0, t] < low
        assert bounds.W_high[0, t] == pytest.approx(high, abs=1e-3) and bounds.W_high[0, t] > high
    slack = solution.objective - sum(minima)
    np.testing.assert_allclose(bounds.levels, slack + np.array(minima), rtol=1e-4)
    np.testing.assert_allclose(bounds.gives, slack / (model.mu * np.array(minima)), rtol=1e-4)
    assert bounds.residual == pytest.approx(slack / model.coupling, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES[1:3], ids=cases.loss_id)
def test_every_lower_point_is_inside_the_bounds(loss: Loss, rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng, d=2, counts=(9, 12), loss="logistic")
    model = model_for(loss)
    solution = fit(tasks, model)
    bounds = derive_bounds(tasks, model, 1.5 * solution.objective)
    seen = 0
    for _ in range(1000):
        W = solution.W + rng.choice([0.1, 0.3, 1.0]) * rng.normal(size=(2, 2))
        B = rng.choice([0.1, 0.5, 2.0]) * rng.exponential(size=(2, 2)) * (1 - np.eye(2))
        if model.objective(tasks, W, B) <= bounds.upper:
            seen += 1
            assert (bounds.W_low <= W).all() and (bounds.W_high >= W).all()
            assert (B.sum(axis=1) <= bounds.gives).all()
            assert (model.weighted_losses(tasks, W) <= bounds.levels).all()
            assert ((W - W @ B) ** 2).sum() <= bounds.residual
    assert seen > 20


def test_a_time_limit_is_kept_and_leaves_honest_bounds(rng: np.random.Generator) -> None:
    tasks, model = cases.random_tasks(rng, d=4, counts=[12] * 4), model_for(Squared())
    solution = fit(tasks, model)
    found = claim(Problem(tasks, model).at(solution.W, solution.B), seconds=0.2)
    assert not found.closed and found.status == "timelimit"
    least = [np.linalg.lstsq(task.X, task.y, rcond=None)[1][0] / len(task.y) for task in tasks]
    assert (1 - 1e-5) * sum(least) <= found.lower < found.upper <= solution.objective


@pytest.mark.parametrize("loss", LOSSES[1:3], ids=cases.loss_id)
def test_what_has_no_bounds_is_refused(loss: Loss, rng: np.random.Generator) -> None:
    X = rng.normal(size=(8, 2))
    separable, mixed = np.where(X[:, 0] > 0, 1.0, -1.0), np.tile([1.0, -1.0], 4)
    W, B = np.zeros((2, 2)), np.zeros((2, 2))
    noisy = np.vstack([X, -X])  # every row on both sides
    labels = np.ones(16)
    labels[[0, 9]] = -1.0
    with pytest.raises(NotCertifiable, match="'task 0' is separable"):
        claim(Problem(TaskSet.from_arrays([X, X], [separable, mixed]), model_for(loss)).at(W, B))
    flat = np.column_stack([noisy[:, 0], noisy[:, 0]])
    with pytest.raises(NotCertifiable, match="rank below d = 2"):
        claim(Problem(TaskSet.from_arrays([flat, flat], [labels, labels]), model_for(loss)).at(W, B))
    tasks = TaskSet.from_arrays([noisy, noisy], [labels, labels])
    with pytest.raises(NotCertifiable, match="mu = 0"):
        claim(Problem(tasks, model_for(loss, transfer=LossWeightedL1(mu=0.0))).at(W, B))
    with pytest.raises(NotCertifiable, match="penalty"):
        claim(Problem(tasks, model_for(loss, transfer=cases.SourceGroupL2(mu=1.0))).at(W, B))
    with pytest.raises(NotCertifiable, match="losses squared, logistic and squared-hinge"):
        claim(Problem(tasks, model_for(Hinge())).at(W, B))


def test_squared_loss_is_refused_where_the_exact_box_is(rng: np.random.Generator) -> None:
    X = rng.normal(size=(5, 2))
    perfect = TaskSet.from_arrays([X, X], [X[:, 0], X[:, 1] + rng.normal(size=5)])
    with pytest.raises(NotCertifiable, match="fitted perfectly"):
        claim(Problem(perfect, model_for(Squared())).at(np.zeros((2, 2)), np.zeros((2, 2))))


def test_bad_arguments_are_errors(rng: np.random.Generator) -> None:
    tasks, model, W, B = two_tasks(Squared()), model_for(Squared()), np.zeros((1, 2)), np.zeros((2, 2))
    with pytest.raises(ModelError, match="seconds"):
        claim(Problem(tasks, model).at(W, B), seconds=0)
    with pytest.raises(ModelError, match="not feasible"):
        claim(Problem(tasks, model).at(W, B - 1.0))
    with pytest.raises(DataError, match="shape"):
        claim(Problem(tasks, model).at(W.T, B))


def test_without_scip_the_answer_is_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyscipopt", None)
    tasks, model = two_tasks(Squared()), model_for(Squared())
    with pytest.raises(NotCertifiable, match=r"pip install 'amtl-cvx\[global\]'"):
        claim(Problem(tasks, model).at(np.zeros((1, 2)), np.zeros((2, 2))))
