# More than 300 lines: the fits of seven losses.
"""Fits with every loss: certified by both engines, against second solvers, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    NONSMOOTH_CASES,
    Array,
    loss_id,
    random_tasks,
    random_transfer,
    tasks_for,
)
from command_line import GIVEN, Run, arrays, assert_error, labels, point
from scipy.optimize import LinearConstraint, minimize
from sklearn.linear_model import PoissonRegressor
from sklearn.svm import LinearSVC

from amtl_cvx.certificate import certify, residuals, weight_gap
from amtl_cvx.data import read
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.experiment import choose, score, tune
from amtl_cvx.losses import Hinge, Huber, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.refine import refine
from amtl_cvx.solution import Status
from amtl_cvx.subproblems import WeightStep
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_kinked = pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)


def amtl(loss: Loss, *, mu: float = 0.02, coupling: float = 0.3) -> Model:
    return Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
@pytest.mark.parametrize("loss", (*LOSS_CASES, *NONSMOOTH_CASES), ids=loss_id)
def test_every_loss_fits_to_a_certificate(loss: Loss, engine: str, rng: np.random.Generator) -> None:
    tasks, model = tasks_for(loss, rng, counts=(24, 26, 32, 20)), amtl(loss)
    solution = fit(tasks, model, options=Options(engine=engine))  # type: ignore[arg-type]
    assert solution.status is Status.CERTIFIED and solution.certificate.edges > 0
    objectives = [record.objective for record in solution.history]
    assert all(b <= a * (1.0 + 1e-12) for a, b in zip(objectives, objectives[1:], strict=False))
    assert not certify(Problem(tasks, model).at(1.001 * solution.W, solution.B)).passes


@pytest.mark.slow
@every_kinked
def test_refinement_of_a_loss_with_kinks_is_newtons_method(loss: Loss, rng: np.random.Generator) -> None:
    """From a rough alternation to the last digits in a few steps, on the rows that stay on their kinks."""
    tasks, model = tasks_for(loss, rng, counts=(24, 26, 32, 20)), amtl(loss)
    rough = fit(tasks, model, options=Options(max_rounds=30, refine=False))
    W, B = refine(Problem(tasks, model).at(rough.W, rough.B), tol=1e-8)
    found = residuals(Problem(tasks, model).at(W, B))
    assert found.relative <= 1e-11 < residuals(Problem(tasks, model).at(rough.W, rough.B)).relative
    assert model.objective(tasks, W, B) <= rough.objective * (1.0 + 1e-13)


@every_kinked
def test_the_least_j_over_w_has_the_gradient_in_b(loss: Loss, rng: np.random.Generator) -> None:
    """f(B) = min over W of J(W, B) is smooth although J is not: W*(B) is unique (Danskin)."""
    tasks, model = tasks_for(loss, rng, counts=(24, 26, 32)), amtl(loss)
    B, D, h = random_transfer(rng, 3), random_transfer(rng, 3), 1e-5
    W = kinked_minimum(Problem(tasks, model).at(np.zeros((6, 3)), B))
    slope = (lowest(tasks, model, W, B + h * D) - lowest(tasks, model, W, B - h * D)) / (2.0 * h)
    expected = float((model.gradient_B(tasks, W, B) * D).sum())
    assert slope == pytest.approx(expected, rel=1e-5)


def lowest(tasks: TaskSet, model: Model, W: Array, B: Array) -> float:
    """f(B) = min over W of J(W, B)."""
    return model.objective(tasks, kinked_minimum(Problem(tasks, model).at(W, B)), B)


def epigraph_minimum(tasks: TaskSet, model: Model, B: Array) -> Array:
    """The W-step of a loss with a kink as a QP with one bound s per row, by SLSQP."""
    X, y, task = tasks.stacked()
    N, d, T = len(y), tasks.d, tasks.T
    scale = [1.0 / len(each.y) if model.loss.reduction == "mean" else 1.0 for each in tasks]
    weight = ((1.0 + model.mu * B.sum(axis=1)) * scale)[task]
    P = model.coupling * (np.eye(T) - B) @ (np.eye(T) - B).T
    Z = np.zeros((N, T, d))
    Z[np.arange(N), task] = X
    Z = Z.reshape(N, T * d)
    if isinstance(model.loss, Hinge):  # s >= 0, s + y z >= 1
        lines = [(np.zeros((N, T * d)), np.zeros(N)), (y[:, None] * Z, np.ones(N))]
    else:  # s + tau z >= tau y, s + (tau - 1) z >= (tau - 1) y
        assert isinstance(model.loss, Quantile)
        slopes = (model.loss.tau, model.loss.tau - 1.0)
        lines = [(slope * Z, slope * y) for slope in slopes]
    A = np.vstack([np.hstack([part, np.eye(N)]) for part, _ in lines])
    H = np.kron(P, np.eye(d))

    def value(x: Array) -> tuple[float, Array]:
        w, s = x[: T * d], x[T * d :]
        return float(w @ H @ w + weight @ s), np.concatenate([2.0 * H @ w, weight])

    start = np.concatenate([np.zeros(T * d), model.loss.rows(np.zeros(N), y)])
    rows = LinearConstraint(A, np.concatenate([bound for _, bound in lines]), np.inf)
    found = minimize(
        value, start, jac=True, constraints=rows, method="SLSQP", options={"maxiter": 1000, "ftol": 1e-13}
    )
    return np.asarray(found.x[: T * d].reshape(T, d).T)


@every_kinked
def test_the_w_step_with_kinks_is_a_quadratic_program(loss: Loss, rng: np.random.Generator) -> None:
    tasks, B = tasks_for(loss, rng, d=3, counts=(6, 9, 8)), random_transfer(rng, 3)
    model = amtl(loss, mu=0.3, coupling=0.7)
    found = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(np.zeros((3, 3)), B)).value
    other = epigraph_minimum(tasks, model, B)
    assert np.abs(found - other).max() <= 1e-5 * np.abs(found).max()
    assert model.objective(tasks, found, B) <= model.objective(tasks, other, B) * (1.0 + 1e-14)


@every_kinked
def test_the_exact_minimum_puts_rows_on_their_kinks(loss: Loss, rng: np.random.Generator) -> None:
    """From near or far, to a W that a gap of rounding size proves best."""
    tasks, B = tasks_for(loss, rng), random_transfer(rng, 4)
    model = amtl(loss, mu=0.3, coupling=0.7)
    W = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(np.zeros((6, 4)), B)).value
    for size in (1e-6, 1.0):
        moved = W + size * rng.normal(size=W.shape)
        found = kinked_minimum(Problem(tasks, model).at(moved, B))
        assert np.abs(found - W).max() <= 1e-11 * np.abs(W).max()
        gap, _, _ = weight_gap(Problem(tasks, model).at(found, B))
        before, _, _ = weight_gap(Problem(tasks, model).at(moved, B))
        assert gap is not None and before is not None
        assert gap <= 1e-13 * model.objective(tasks, W, B) and before >= 1e-3 * size


@every_kinked
def test_the_exact_minimum_is_found_from_zero_in_many_rows(loss: Loss, rng: np.random.Generator) -> None:
    """Few unknowns, many rows: most multipliers are at the wrong end at W = 0."""
    tasks, B = tasks_for(loss, rng, d=1, counts=(60, 80, 70)), random_transfer(rng, 3)
    model = amtl(loss, mu=0.3, coupling=0.03)
    found = kinked_minimum(Problem(tasks, model).at(np.zeros((1, 3)), B))
    gap, _, _ = weight_gap(Problem(tasks, model).at(found, B))
    assert gap is not None and gap <= 1e-13 * model.objective(tasks, found, B)


def test_a_singular_graph_has_the_minimum_of_a_second_solver(rng: np.random.Generator) -> None:
    """B = [0 1; 1 0]: w_1 - w_2 alone is coupled, and J is that of a hinge fit with a soft common part."""
    tasks = tasks_for(Hinge(), rng, counts=(9, 14))
    point = Problem(tasks, amtl(Hinge())).at(rng.normal(size=(6, 2)), np.array([[0.0, 1.0], [1.0, 0.0]]))
    W = cp.Variable((6, 2))
    losses = [
        cp.sum(cp.pos(1.0 - cp.multiply(task.y, task.X @ W[:, t]))) / task.n for t, task in enumerate(tasks)
    ]
    coupled = 0.3 * cp.sum_squares(W - W @ point.B)
    J = cp.Problem(cp.Minimize(point.loss_weight @ cp.hstack(losses) + coupled))
    J.solve(solver="CLARABEL")
    assert point.at(W=kinked_minimum(point)).objective == pytest.approx(J.value, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("cls", [Hinge, SquaredHinge])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_single_task_is_scikit_learns_linear_svc(
    cls: type[Loss], reduction: str, rng: np.random.Generator
) -> None:
    """LinearSVC minimises ||w||^2 / 2 + C sum_i phi, C = 1 / (2 coupling n_t)."""
    tasks = tasks_for(cls(), rng, counts=(14, 20, 9))
    model = amtl(cls(reduction=reduction))  # type: ignore[arg-type]
    solution = fit(tasks, model, method="stl")
    assert solution.status is Status.CERTIFIED
    for t, task in enumerate(tasks):
        C = 1.0 / (2.0 * model.coupling * (len(task.y) if reduction == "mean" else 1))
        name = "hinge" if cls is Hinge else "squared_hinge"
        other = LinearSVC(C=C, loss=name, fit_intercept=False, dual=True, tol=1e-10, max_iter=10**6)
        w = other.fit(task.X, task.y).coef_[0]
        assert np.abs(solution.W[:, t] - w).max() <= 1e-5 * np.abs(w).max()


def test_single_task_is_scikit_learns_poisson_regression(rng: np.random.Generator) -> None:
    """PoissonRegressor minimises (1/n) sum_i (e^z - y z) + (alpha / 2) ||w||^2, alpha = 2 coupling."""
    tasks = tasks_for(Poisson(), rng)
    solution = fit(tasks, amtl(Poisson()), method="stl")
    for t, task in enumerate(tasks):
        other = PoissonRegressor(alpha=0.6, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
        w = other.fit(task.X, task.y).coef_
        assert solution.W[:, t] == pytest.approx(w, rel=1e-7, abs=1e-9)
        assert solution.predict(t, task.X) == pytest.approx(other.predict(task.X), rel=1e-7)


@pytest.mark.parametrize("tau", [0.1, 0.5, 0.9])
def test_a_quantile_fit_has_its_share_of_rows_below(tau: float, rng: np.random.Generator) -> None:
    """With a column of ones and hardly any ridge (Koenker, Bassett 1978): #below <= tau n <= #below + #on."""
    X = np.column_stack([rng.normal(size=(50, 2)), np.ones(50)])
    task = Task(X=X, y=X @ [1.0, -2.0, 0.5] + rng.normal(size=50))
    w = fit(TaskSet(tasks=(task,)), amtl(Quantile(tau=tau), coupling=1e-9), method="stl").W[:, 0]
    off = task.y - X @ w
    below, on = (off < -1e-9).sum(), (np.abs(off) <= 1e-9).sum()
    assert below <= tau * 50 <= below + on
    assert on == 3  # as many rows as unknowns


def test_an_outlier_pulls_a_huber_fit_by_its_threshold(rng: np.random.Generator) -> None:
    """However far out it is: past the threshold only its sign counts."""
    task = random_tasks(rng, counts=(20,))[0]
    fits = []
    for size in (1e3, 1e6):
        y = task.y.copy()
        y[0] += size
        tasks = TaskSet(tasks=(Task(X=task.X, y=y),))
        fits.append([fit(tasks, amtl(loss), method="stl").W for loss in (Huber(threshold=0.5), Squared())])
    assert fits[0][0] == pytest.approx(fits[1][0], rel=1e-6)
    assert np.abs(fits[0][1]).max() < 0.1 * np.abs(fits[1][1]).max()


@pytest.mark.parametrize("largest", [1e2, 1e4, 1e6])
def test_the_poisson_w_step_reaches_large_counts_from_zero(largest: float, rng: np.random.Generator) -> None:
    """At W = 0 the Newton step is `largest` units of score long, and e^z overflows at 710."""
    tasks = tasks_for(Poisson(), rng)
    tasks = TaskSet.from_arrays([task.X for task in tasks], [np.round(largest * task.y) for task in tasks])
    model, B, zero = amtl(Poisson(), coupling=1e-2 * largest), random_transfer(rng, 4), np.zeros((6, 4))
    found = (
        minimal_weights(Problem(tasks, model).at(zero, B)),
        WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(zero, B)).value,
    )
    assert np.abs(found[0] - found[1]).max() <= 1e-9 * np.abs(found[0]).max()
    for W in found:
        gradient, pull = model.gradient_W(tasks, W, B), Problem(tasks, model).at(W, B).square_gradient_W
        assert np.abs(gradient).max() <= 1e-10 * np.abs(pull).max()


def test_a_sweep_refuses_a_loss_with_kinks(rng: np.random.Generator) -> None:
    with pytest.raises(ModelError, match="the hinge loss has kinks, .*choose sweep 'joint'"):
        fit(tasks_for(Hinge(), rng), amtl(Hinge()), options=Options(sweep="tasks"))


def test_a_curriculum_refuses_a_loss_with_kinks(rng: np.random.Generator) -> None:
    with pytest.raises(ModelError, match="needs a loss with a gradient, the quantile loss has kinks"):
        fit(tasks_for(Quantile(), rng), amtl(Quantile()), method="curriculum")


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", [Huber(threshold=1e-3), Poisson(), SquaredHinge(), *NONSMOOTH_CASES[::2]], ids=loss_id
)
def test_auto_chooses_for_every_loss(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is in units of a curvature, or of a secant where the loss is linear at 0."""
    monkeypatch.setattr(tune, "COUPLING_PATH", (1e-2, 1.0))
    monkeypatch.setattr(tune, "PATH_ROUNDS", 3)
    tasks = tasks_for(loss, rng, d=3, counts=(12, 14, 11))
    wide = TaskSet.from_arrays([1e3 * task.X for task in tasks], [task.y for task in tasks])
    first, second = (
        choose(each, amtl(loss), coupling=True, mu=True, rng=np.random.default_rng(0))
        for each in (tasks, wide)
    )
    assert second.model.coupling == pytest.approx(1e6 * first.model.coupling, rel=1e-9)
    assert np.isfinite([trial.held_out_loss for trial in first.trials]).all()
    assert first.model.loss == loss and first.mu_max is not None


def test_a_poisson_score_is_in_units_of_counts(rng: np.random.Generator) -> None:
    tasks = tasks_for(Poisson(), rng, counts=(30, 40))
    solution = fit(tasks, amtl(Poisson()))
    errors = [np.exp(task.X @ w) - task.y for task, w in zip(tasks, solution.W.T, strict=True)]
    assert score(solution, tasks)["rmse"] == pytest.approx(np.mean([np.sqrt((e**2).mean()) for e in errors]))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
@pytest.mark.parametrize("label", ["huber:0.5", "poisson", "squared-hinge"])
def test_fit_and_certify_by_label(run: Run, label: str, engine: str) -> None:
    data = labels() if "hinge" in label else arrays()
    np.savez("a.npz", **{**data, "y": np.round(np.exp(data["y"]))} if label == "poisson" else data)
    answer = run("fit", "a.npz", "--out", "run", "--loss", label, "--engine", engine, *GIVEN)
    assert answer.code == 0 and f"{label} loss (mean)" in answer.out
    described = json.loads(Path("run/run.json").read_text())
    assert described["model"]["loss"] == label and described["arguments"]["loss"] == label
    assert run("certify", "a.npz", "run").code == 0
    other = {"huber:0.5": "huber:0.4", "poisson": "squared", "squared-hinge": "logistic"}[label]
    assert run("certify", "a.npz", "run", "--loss", other).code == 1


@pytest.mark.slow
@pytest.mark.parametrize("label", ["quantile:0.9", "hinge"])
def test_fit_and_certify_a_loss_with_kinks(run: Run, label: str) -> None:
    np.savez("a.npz", **(labels() if label == "hinge" else arrays()))
    assert run("fit", "a.npz", "--out", "run", "--loss", label, *GIVEN).code == 0
    assert json.loads(Path("run/run.json").read_text())["model"]["loss"] == label
    assert run("certify", "a.npz", "run").code == 0
    found = point()
    np.savez("moved.npz", W=found["W"] * (1.0 + 1e-4), B=found["B"])
    asked = ("--loss", label, "--coupling", "1", "--mu", "0.01")
    assert run("certify", "a.npz", "moved.npz", *asked).code == 1


def test_a_bare_name_takes_the_default_parameter_and_records_it(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "run", "--loss", "huber", *GIVEN).code == 0
    assert json.loads(Path("run/run.json").read_text())["model"]["loss"] == "huber:1.0"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (
            "absolute",
            "unknown loss 'absolute': choose one of squared, huber[:threshold], quantile[:tau], poisson",
        ),
        ("huber:-1", "threshold of the huber loss must be a finite number > 0, got -1.0"),
        ("quantile:90", "tau of the quantile loss must be between 0 and 1, got 90.0"),
        ("squared:1", "the squared loss has no parameter"),
        ("poisson", "the poisson loss needs targets >= 0"),
        ("hinge", "the hinge loss needs labels"),
        ("squared-hinge", "the squared-hinge loss needs labels"),
    ],
)
def test_a_loss_that_does_not_fit_is_one_line(run: Run, label: str, words: str) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("fit", "a.npz", "--out", "run", "--loss", label, *GIVEN), words)


def test_a_poisson_prediction_is_a_mean(run: Run) -> None:
    data = arrays()
    np.savez("a.npz", **{**data, "y": np.round(np.exp(data["y"]))})
    assert run("fit", "a.npz", "--out", "run", "--loss", "poisson", *GIVEN).code == 0
    np.savez("rows.npz", X=data["X"][:5])
    lines = run("predict", "run", "rows.npz").out.splitlines()
    found = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines[1:]])
    assert found.shape == (5, read("a.npz").train.T)
    assert found == pytest.approx(np.exp(data["X"][:5] @ point()["W"]), rel=1e-12)


@pytest.mark.parametrize("what", ["features", "targets"])
@pytest.mark.parametrize("method", ["alternating", "stl", "curriculum"])
@pytest.mark.parametrize("loss", [Squared(), Hinge(), Quantile(), Huber(threshold=1.0)], ids=lambda x: x.name)
def test_numbers_whose_squares_overflow_are_refused(loss: Loss, method: str, what: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 3)), np.tile([-1.0, 1.0], 6)
    if what == "features":
        X *= 1e154
    elif not loss.classification:
        y *= 1e154
    else:
        pytest.skip("labels are -1 and 1")
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    with pytest.raises(DataError, match=f"the squares of the {what} of 'task 0' overflow"):
        fit(TaskSet.from_stacked(X, y, np.repeat([0, 1], 6)), model, method=method)
