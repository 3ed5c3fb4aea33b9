# More than 300 lines: the tests of one function, against five other ways to its answer.
"""A new task for a fitted model: closed forms, CVXPY written apart, alternation, and what is rejected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from cases import Array, random_tasks
from scipy.optimize import minimize, nnls
from sklearn.linear_model import Lasso

from amtl_cvx import (
    FeatureModel,
    Hinge,
    LossWeightedL1,
    MeanRegularised,
    Model,
    Options,
    Preparation,
    Problem,
    Ridge,
    SizePricedL1,
    Solution,
    SourceGroupL2,
    Task,
    TaskSet,
    adapt,
    fit,
)
from amtl_cvx.adaptation import arrival_of, certify_adaptation
from amtl_cvx.adaptation.arrival import Arrival
from amtl_cvx.adaptation.judge import global_gap
from amtl_cvx.adaptation.solving import by_solver
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.estimators import AMTLRegressor
from amtl_cvx.losses import Huber, Logistic, Loss, Poisson, Squared, SquaredHinge
from amtl_cvx.runfolder import read_run, save
from amtl_cvx.subproblems import Problems

LOSSES = (Squared(), Squared(reduction="sum"), Logistic(), Huber(threshold=0.8), SquaredHinge(), Poisson())
FAST = Options(engine="fast", max_rounds=5, refine=False)
each_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: f"{loss.name}-{loss.reduction}")


def fitted(loss: Loss | None = None, **changes: Any) -> tuple[Solution, Task, TaskSet]:
    """A fit of four tasks after a few rounds, a fifth one, and the tasks of the fit."""
    loss = Squared() if loss is None else loss
    tasks = random_tasks(np.random.default_rng(3), loss=loss.name, counts=(9, 14, 20, 8, 7))
    old = TaskSet(tasks=tasks.tasks[:4])
    model = Model(**{"loss": loss, "transfer": LossWeightedL1(mu=0.02), "coupling": 0.3, **changes})
    return fit(old, model, options=FAST), tasks.tasks[4], old


def problem_of(solution: Solution, new: Task, **given: Any) -> Arrival:
    """What is minimised."""
    return arrival_of(solution, new, **{"tasks": None, "weight": None, **given})[0]


def minimum_over_w(new: Arrival, w: Array, b: Array) -> Array:
    """By SciPy."""
    found = minimize(lambda w: new.value(w, b), w, jac=lambda w: new.slope_w(w, b), options={"gtol": 1e-9})
    return np.array(found.x)


def by_cvxpy(solution: Solution, new: Task) -> tuple[Array, Array, float]:
    """The problem with its terms written out."""
    model, W = solution.model, solution.W
    w, b = cp.Variable(len(W)), cp.Variable(W.shape[1])
    z = new.X @ w
    rows = {
        "squared": lambda: cp.sum_squares(z - new.y),
        "logistic": lambda: cp.sum(cp.logistic(-cp.multiply(new.y, z))),
        "huber": lambda: cp.sum(cp.huber(z - new.y, 0.8)),
        "squared-hinge": lambda: cp.sum_squares(cp.pos(1 - cp.multiply(new.y, z))),
    }[model.loss.name]()
    loss = rows / len(new.y) if model.loss.reduction == "mean" else rows
    rho = 0.0 if model.omega is None else model.omega.rho
    objective = loss + model.coupling * cp.sum_squares(w - W @ b) + rho * cp.sum_squares(w)
    objective += model.mu * (solution.losses @ b)
    problem = cp.Problem(cp.Minimize(objective), [b >= 0])
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return np.array(w.value), np.array(b.value), float(problem.value)


def minimum_over_b(new: Arrival, w: Array) -> Array:
    """By non-negative least squares: p is W'v for the v of least length, so that p'b = v'W b."""
    lam, v = new.coupling, np.linalg.lstsq(new.W.T, new.prices, rcond=None)[0]
    np.testing.assert_allclose(new.W.T @ v, new.prices, rtol=1e-9)
    return np.array(nnls(new.W, w - v / (2.0 * lam))[0])


@each_loss
def test_it_is_the_minimum_that_cvxpy_finds(loss: Loss) -> None:
    if loss.name == "poisson":
        pytest.skip("its atom here is that of the package")
    solution, new, _ = fitted(loss, omega=Ridge(rho=0.02) if loss.reduction == "sum" else None)
    w, b, value = by_cvxpy(solution, new)
    for options in (Options(), Options(engine="fast")):
        found = adapt(solution, new, options=options)
        assert found.certificate.level == "C5" and found.certificate.kind == "adaptation"
        assert found.objective == pytest.approx(value, rel=1e-7)
        assert np.abs(found.w - w).max() <= 1e-4 * np.abs(w).max()
        assert np.abs(found.b - b).max() <= 1e-4 * (1 + np.abs(b).max())


def test_with_edges_and_without_it_solves_linear_equations() -> None:
    """On the edges S: H w - 2 coupling W_S b = 2 X'y / n, 2 coupling W_S'(W_S b - w) = -p_S."""
    solution, new, _ = fitted()
    found, lam, n = adapt(solution, new), 0.3, len(new.y)
    S, p = found.b > 0.0, 0.02 * solution.losses
    assert 0 < S.sum() < 4
    W = solution.W[:, S]
    H = 2.0 * new.X.T @ new.X / n + 2.0 * lam * np.eye(6)
    K = np.block([[H, -2.0 * lam * W], [-2.0 * lam * W.T, 2.0 * lam * W.T @ W]])
    x = np.linalg.solve(K, np.concatenate([2.0 * new.X.T @ new.y / n, -p[S]]))
    np.testing.assert_allclose(np.concatenate([found.w, found.b[S]]), x, rtol=1e-9)
    assert (p - 2.0 * lam * solution.W.T @ (found.w - solution.W @ found.b) >= -1e-12).all()
    dear = adapt(replace(solution, model=replace(solution.model, transfer=LossWeightedL1(mu=1e3))), new)
    assert not dear.b.any() and dear.describe() == "No task helps 'task 4'."
    alone = np.linalg.solve(new.X.T @ new.X / n + lam * np.eye(6), new.X.T @ new.y / n)
    np.testing.assert_allclose(dear.w, alone, rtol=1e-10)


@each_loss
def test_it_is_the_last_column_of_a_fit_with_the_others_held(loss: Loss) -> None:
    """The gradient of J of all five tasks, which knows nothing of a new one, in the column of the last."""
    solution, new, old = fitted(loss)
    found = adapt(solution, new)
    problem = Problem(TaskSet(tasks=(*old.tasks, new)), solution.model)
    point = problem.at(np.column_stack([solution.W, found.w]), found.graph.B)
    size = np.abs(new.X).max() * 10
    assert np.abs(point.gradient_W[:, 4]).max() <= 1e-12 * size
    slopes, b = point.gradient_B[:4, 4], found.b
    assert np.abs(slopes[b > 0.0]).max(initial=0.0) <= 1e-12 * size and (slopes >= -1e-12 * size).all()


def test_alternation_ends_there() -> None:
    """Ridge by its normal equations, edges by scikit-learn's Lasso, over and over."""
    solution, new, _ = fitted(coupling=1.0)
    W, lam, n, b = solution.W, 1.0, len(new.y), np.zeros(4)
    p = 0.02 * solution.losses
    for _ in range(60):
        w = np.linalg.solve(new.X.T @ new.X / n + lam * np.eye(6), new.X.T @ new.y / n + lam * W @ b)
        # Lasso: ||y - X b||^2 / (2 d) + alpha sum b, with columns times 1/p for their prices
        lasso = Lasso(
            alpha=1.0 / (2 * 6 * lam), positive=True, fit_intercept=False, tol=1e-14, max_iter=10**5
        )
        b = lasso.fit(W / p, w).coef_ / p
    found = adapt(solution, new)
    np.testing.assert_allclose(found.w, w, atol=1e-6 * np.abs(w).max())
    np.testing.assert_allclose(found.b, b, atol=1e-6)


@each_loss
def test_slopes_are_differences_and_no_gap_is_below_the_true_one(loss: Loss) -> None:
    omega = Ridge(rho=0.05) if loss.reduction == "mean" else None
    solution, task, _ = fitted(loss, omega=omega)
    new, best = problem_of(solution, task), adapt(solution, task, options=FAST)
    rng, step = np.random.default_rng(5), 1e-5
    w, b = best.w + 0.1 * rng.normal(size=6), best.b + 0.1 * rng.random(4)
    for k, e in enumerate(step * np.eye(6)):
        difference = (new.value(w + e, b) - new.value(w - e, b)) / (2 * step)
        assert new.slope_w(w, b)[k] == pytest.approx(difference, rel=1e-5, abs=1e-6)
        slopes = (new.own_slope(w + e) - new.own_slope(w - e)) / (2 * step)
        np.testing.assert_allclose(new.own_hessian(w)[k], slopes, rtol=1e-3, atol=1e-4)
    for s, e in enumerate(step * np.eye(4)):
        difference = (new.value(w, b + e) - new.value(w, b - e)) / (2 * step)
        assert new.slope_b(w, b)[s] == pytest.approx(difference, rel=1e-5, abs=1e-6)
    for scale in (1e-6, 1e-3, 0.1):
        w = best.w + scale * rng.normal(size=6)
        b = np.maximum(best.b + scale * rng.normal(size=4), 0.0)
        excess = new.value(w, b) - best.objective
        assert 0.0 < excess <= global_gap(new, w, b)
        found = certify_adaptation(solution, task, w, b)
        to_w, to_b = minimum_over_w(new, w, b), minimum_over_b(new, w)
        gains = new.value(w, b) - new.value(to_w, b), new.value(w, b) - new.value(w, to_b)
        assert found.gain_W is not None and found.gap_B is not None
        assert gains[0] <= found.gain_W + 1e-14 * best.objective
        assert gains[1] - 1e-14 * best.objective <= found.gap_B <= 1.01 * gains[1] + 1e-12
        assert new.value(to_w, b) - best.objective <= global_gap(new, to_w, b)
        assert new.value(w, to_b) - best.objective <= global_gap(new, w, to_b)
    dear = replace(new, prices=1e3 * new.prices + 1e3)  # b = 0 is the best, and every edge costs
    w, alone = (minimum_over_w(dear, best.w, b) for b in (np.full(4, 0.1), np.zeros(4)))
    excess = dear.value(w, np.full(4, 0.1)) - dear.value(alone, np.zeros(4))
    assert 1.0 < excess <= global_gap(dear, w, np.full(4, 0.1)) < np.inf


@each_loss
def test_the_problem_of_the_solver_is_the_same(loss: Loss) -> None:
    """Without Newton's method, which would mend it."""
    for rho in (None, 0.3):
        omega = None if rho is None else Ridge(rho=rho)
        solution, task, _ = fitted(loss, omega=omega)
        found = adapt(solution, task, options=FAST)
        w, b, told = by_solver(problem_of(solution, task), Options())
        assert told.solver and np.abs(w - found.w).max() <= 1e-4 * np.abs(found.w).max()
        assert np.abs(b - found.b).max() <= 1e-4


def test_a_wrong_answer_is_rejected() -> None:
    solution, new, _ = fitted(SquaredHinge(), transfer=LossWeightedL1(mu=0.002))
    found = adapt(solution, new)
    w, b = found.w, found.b
    s = int(np.argmax(b))
    assert b[s] > 0.0 and certify_adaptation(solution, new, w, b).level == "C5"
    one, absent = np.eye(4)[s], np.eye(4)[int(np.argmin(b))]
    wrong = [
        (w * (1 + 1e-6), b), (-w, b), (w[::-1], b), (w, b * (1 + 1e-6)), (w, b - b * one), (w, np.roll(b, 1)),
        (w, b + 1e-6 * absent), (np.zeros(6), np.zeros(4)), (solution.W @ b, b),
    ]  # fmt: skip
    for other in wrong:
        judged = certify_adaptation(solution, new, *other)
        assert not judged.passes and judged.level in ("C0", "C1"), other
    assert certify_adaptation(solution, new, w * (1 + 1e-6), b).relative_W > 1e-8
    assert certify_adaptation(solution, new, w, b + 1e-6 * absent).relative_B > 1e-8
    judged = certify_adaptation(solution, new, w, b - 1e-12 * absent)
    assert judged.level is None and "b >= 0" in judged.verdict()
    other = replace(solution, model=replace(solution.model, coupling=0.31))
    assert not certify_adaptation(other, new, w, b).passes
    with pytest.raises(DataError, match=r"expected w \(6,\) and b \(4,\)"):
        certify_adaptation(solution, new, b, w)
    with pytest.raises(DataError, match="w must be finite|w has"):
        certify_adaptation(solution, new, w * np.nan, b)


def test_rows_are_prepared_as_those_of_the_fit() -> None:
    tasks = random_tasks(np.random.default_rng(1), d=3, counts=(12, 9, 8))
    frames = [pd.DataFrame(5.0 + 3.0 * task.X, columns=["x", "y", "z"]) for task in tasks]
    named = TaskSet.from_arrays(frames, [task.y for task in tasks])
    old, new = TaskSet(tasks=named.tasks[:2], feature_names=("x", "y", "z")), named.tasks[2]
    preparation = Preparation.learn(old, standardize=True, intercept=True)
    model = Model(transfer=LossWeightedL1(mu=0.02), coupling=0.3)
    plain = fit(preparation.apply_tasks(old), model, options=FAST)
    solution = replace(plain, preparation=preparation)
    turned = Task(X=frames[2][["z", "x", "y"]], y=new.y, name="new")
    found = adapt(solution, turned)
    prepared = (np.asarray(frames[2]) - preparation.center) / preparation.scale
    prepared = np.column_stack([prepared, np.ones(8)])
    again = adapt(plain, Task(X=prepared, y=new.y, name="new"))
    np.testing.assert_allclose(found.w, again.w, rtol=1e-10)
    np.testing.assert_allclose(found.predict(frames[2]), prepared @ found.w, rtol=1e-12)
    with pytest.raises(DataError, match="the 3 features of the fit, it has 4"):
        adapt(solution, Task(X=np.ones((2, 4)), y=[1.0, 2.0]))


def test_weights_and_prices_go_by_the_tasks_of_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", lambda *what: None)
    solution, new, old = fitted(transfer=SizePricedL1(mu=0.02, power=2.0), task_weights="inverse-sqrt")
    with pytest.raises(ModelError, match="'inverse-sqrt' go by rows of the fit's tasks: give tasks="):
        adapt(solution, new)
    found = adapt(solution, new, tasks=old)
    counts = np.array([9, 14, 20, 8])
    expected = 0.02 * solution.losses * counts**-0.5 * (20 / counts) ** 2
    held = problem_of(solution, new, tasks=old)
    np.testing.assert_allclose(held.prices, expected, rtol=1e-14)
    assert held.weight == pytest.approx(7**-0.5)
    assert problem_of(solution, new, tasks=old, weight=2.0).weight == 2.0
    save(solution, tmp_path / "run", tasks=old)
    stored = adapt(read_run(tmp_path / "run"), new, tasks=old)
    np.testing.assert_array_equal(stored.b, found.b)
    given = replace(solution, model=replace(solution.model, task_weights=(1.0, 2.0, 3.0, 4.0)))
    with pytest.raises(ModelError, match="give weight= for the new one"):
        adapt(given, new)
    held = problem_of(given, new, weight=0.5)
    np.testing.assert_allclose(held.prices, 0.02 * solution.losses * [1, 2, 3, 4] * (20 / counts) ** 2)


def test_texts_and_what_is_said_of_them() -> None:
    tasks = random_tasks(np.random.default_rng(3), loss="logistic", counts=(9, 14, 7))
    words = [np.where(task.y > 0, "yes", "no") for task in tasks]
    named = TaskSet.from_arrays([task.X for task in tasks], words, names=["ash", "birch", "cedar"])
    model = Model(loss="logistic", transfer=LossWeightedL1(mu=0.01), coupling=0.1)
    solution = fit(TaskSet(tasks=named.tasks[:2], labels=named.labels), model, options=FAST)
    new = TaskSet(tasks=named.tasks[2:], labels=named.labels)
    found = adapt(solution, new)
    assert set(found.predict(tasks[2].X)) <= {"yes", "no"} and found.graph.names == ("ash", "birch", "cedar")
    np.testing.assert_array_equal(found.graph.B[:2, 2], found.b)
    assert not found.graph.B[2].any() and list(found.helpers.values()) == sorted(found.b[found.b > 0])[::-1]
    assert "'cedar' is helped by" in repr(found) and "No w and b >= 0 at all" in repr(
        [rung.words for rung in found.certificate.rungs()]
    )
    other = TaskSet.from_arrays([tasks[2].X], [np.where(tasks[2].y > 0, "good", "bad")], names=["new"])
    with pytest.raises(DataError, match="expected targets of the classes"):
        adapt(solution, other)
    with pytest.raises(ValueError, match="read-only"):
        found.w[0] = 1.0


def test_a_fitted_estimator_is_adapted_by_its_solution() -> None:
    rng = np.random.default_rng(0)
    X, shop = 3.0 + 5.0 * rng.normal(size=(40, 3)), np.repeat(["north", "south"], 20)
    model = AMTLRegressor(mu=0.1, engine="fast").fit(X, X @ [1.0, 2.0, 0.0] + rng.normal(size=40), task=shop)
    rows = X[:5] + 1.0
    found = adapt(model.solution_, Task(X=rows, y=rows @ [1.0, 2.0, 0.0], name="new"))
    assert found.certificate.level == "C5" and found.helpers
    np.testing.assert_allclose(found.predict(X), X @ [1.0, 2.0, 0.0], atol=1.0)


def test_one_problem_serves_many_new_tasks() -> None:
    solution, new, _ = fitted()
    problems = Problems()
    for rows in (7, 5, 3):
        task = Task(X=new.X[:rows], y=new.y[:rows])
        assert adapt(solution, task, options=Options(problems=problems)).certificate.level == "C5"
        assert len(problems) == 1


def test_what_it_cannot_adapt_is_refused_with_the_reason() -> None:
    solution, new, old = fitted()
    edges = LossWeightedL1(mu=0.02)
    for model, words in (
        (
            Model(transfer=SourceGroupL2(mu=0.1), coupling=0.3),
            "price on every edge by itself.*SourceGroupL2",
        ),
        (Model(transfer=edges, coupling=0.3, omega=MeanRegularised(rho=1.0)), "penalty mean on W is not one"),
        (Model(loss=Hinge(), transfer=edges, coupling=0.3), "hinge loss has kinks"),
        (Model(coupling=0.0), "adapt needs a coupling > 0"),
    ):
        with pytest.raises(ModelError, match=words):
            adapt(replace(solution, model=model), new)
    features = fit(old, FeatureModel(features=2, mu=0.1, gamma=0.1, decay=0.1), options=Options(max_rounds=1))
    with pytest.raises(ModelError, match="a fit of the family 'features'"):
        adapt(features, new)
    with pytest.raises(DataError, match="the fit has a task 'task 1'"):
        adapt(solution, old.tasks[1])
    with pytest.raises(DataError, match="expected one new task.*a set of 4"):
        adapt(solution, old)
    with pytest.raises(DataError, match="tasks must be those of the fit"):
        adapt(solution, new, tasks=TaskSet(tasks=old.tasks[::-1]))
    with pytest.raises(ModelError, match="weight must be a number > 0"):
        adapt(solution, new, weight=0.0)


def test_what_is_no_fit_is_refused_in_a_line() -> None:
    task = Task(X=np.eye(2), y=np.ones(2), name="new")
    with pytest.raises(ModelError, match=r"adapt starts from a fit, got str: give a Solution, or read_run"):
        adapt("runs/shops", task)  # type: ignore[arg-type]
