"""Weights of rows: weight 2 is the row twice, weight 0 its absence, from the arrays to the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
from cases import LOSS_CASES, NONSMOOTH_CASES, central_gradient, literal_row, loss_id, tasks_for
from checks.counted import bounded, counted
from sklearn.linear_model import Lasso, LogisticRegression

from amtl_cvx import Options, fit
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", (*LOSS_CASES, *NONSMOOTH_CASES), ids=loss_id)
every_mean = pytest.mark.parametrize(
    "loss", [each for each in (*LOSS_CASES, *NONSMOOTH_CASES) if each.reduction == "mean"], ids=loss_id
)
X2, Y2 = np.arange(6.0).reshape(3, 2), np.array([1.0, -1.0, 1.0])


@every_loss
def test_a_loss_is_the_weighted_sum_of_its_formula(loss: Loss, rng: np.random.Generator) -> None:
    task = tasks_for(loss, rng, counts=(9,))[0]
    v, w = rng.uniform(0.1, 4.0, size=9), rng.normal(size=task.X.shape[1])
    weighted = Task(X=task.X, y=task.y, sample_weight=v)
    rows = [literal_row(loss, z, y) for z, y in zip(task.X @ w, task.y, strict=True)]
    n = v.sum() if loss.reduction == "mean" else 1.0
    assert loss.value(weighted, w) == pytest.approx(v @ rows / n, rel=1e-12)
    slope = central_gradient(lambda at: loss.value(weighted, at), w)
    np.testing.assert_allclose(loss.gradient(weighted, w), slope, rtol=1e-6, atol=1e-8)
    at = cp.Variable(len(w))
    at.value = w
    expression = loss.expression(weighted, at)
    assert expression.is_convex() and float(expression.value) == pytest.approx(v @ rows / n, rel=1e-12)


def test_a_loss_without_an_atom_of_rows_is_summed_by_weight(rng: np.random.Generator) -> None:
    class Plain(Squared):
        def terms(self, z: cp.Expression, y: np.ndarray) -> None:
            return None

    X, y, v = rng.normal(size=(6, 2)), rng.normal(size=6), np.array([1.0, 3.0, 1.0, 0.5, 3.0, 0.0])
    w = cp.Variable(2)
    cp.Problem(cp.Minimize(Plain().expression(Task(X=X, y=y, sample_weight=v), w))).solve(solver="CLARABEL")
    expected = np.linalg.lstsq(np.sqrt(v)[:, None] * X, np.sqrt(v) * y, rcond=None)[0]
    np.testing.assert_allclose(w.value, expected, rtol=1e-6)


@every_loss
def test_norms_over_rows_count_them_by_weight(loss: Loss, rng: np.random.Generator) -> None:
    """Those of rows that stand there as often: what residuals are held against."""
    task, v = tasks_for(loss, rng, counts=(9,))[0], np.array([1, 2, 3, 1, 4, 1, 2, 5, 1])
    z, y = rng.normal(size=9), task.y
    z_all, y_all = np.repeat(z, v), np.repeat(y, v)
    slopes, weighted = loss.subgradients(z, y)[0], loss.on(v.astype(float))
    assert weighted.norm(v * slopes) == pytest.approx(np.linalg.norm(loss.subgradients(z_all, y_all)[0]))
    if loss.smooth:
        terms = loss.slope_terms(loss.slopes(z_all, y_all), y_all, 1.5)
        assert 0.0 < weighted.slope_terms(weighted.slopes(z, y), y, 1.5) <= terms * (1.0 + 1e-12)


@every_mean
def test_a_fit_of_weights_is_that_of_rows(loss: Loss) -> None:
    weighted, repeated, model = counted(loss)
    found, known = (fit(tasks, model, options=Options(engine="fast")) for tasks in (weighted, repeated))
    assert found.certificate.level == known.certificate.level == "C2"
    assert found.objective == pytest.approx(known.objective, rel=1e-10)
    np.testing.assert_allclose(found.W, known.W, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.B, known.B, rtol=1e-6, atol=1e-8)


def test_both_engines_find_the_same() -> None:
    weighted, _, model = counted(Squared())
    found, known = (fit(weighted, model, options=Options(engine=name)) for name in ("cvxpy", "fast"))
    np.testing.assert_allclose(found.W, known.W, rtol=1e-7, atol=1e-9)


def test_ridge_of_weights_in_closed_form(rng: np.random.Generator) -> None:
    X, y, v = rng.normal(size=(8, 3)), rng.normal(size=8), rng.uniform(0.0, 5.0, size=8)
    tasks = TaskSet.from_arrays([X], [y], sample_weight=[v])
    found = fit(tasks, Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=0.3))
    gram, moment = X.T @ (v[:, None] * X) / v.sum(), X.T @ (v * y) / v.sum()
    expected = np.linalg.solve(gram + 0.3 * np.eye(3), moment)
    np.testing.assert_allclose(found.W[:, 0], expected, rtol=1e-10)


def test_logistic_of_weights_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    X, y, v = rng.normal(size=(20, 2)), rng.choice([-1.0, 1.0], size=20), rng.uniform(0.5, 3.0, size=20)
    tasks = TaskSet.from_arrays([X], [y], sample_weight=[v])
    found = fit(tasks, Model(loss=Logistic(), transfer=LossWeightedL1(mu=1.0), coupling=0.2))
    known = LogisticRegression(C=1.0 / (2.0 * 0.2 * v.sum()), fit_intercept=False, tol=1e-12)
    np.testing.assert_allclose(found.W[:, 0], known.fit(X, y, sample_weight=v).coef_[0], rtol=1e-6)


def test_lasso_of_weights_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    """Single tasks at coupling 0, a convex problem: rho = 2 alpha."""
    X, v = rng.normal(size=(20, 4)), rng.uniform(0.0, 3.0, size=20)
    y = X @ [2.0, 0.0, 0.0, -1.0] + rng.normal(size=20)
    tasks = TaskSet.from_arrays([X], [y], sample_weight=[v])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.0), coupling=0.0, omega="l1:0.4")
    found = fit(tasks, model, method="stl")
    known = Lasso(alpha=0.2, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(X, y, sample_weight=v)
    assert found.certificate.level == "C5"
    np.testing.assert_allclose(found.W[:, 0], known.coef_, rtol=1e-7, atol=1e-9)


def test_claims_of_scip_count_rows_by_weight() -> None:
    pytest.importorskip("pyscipopt")
    from amtl_cvx.enclosure.scip import claim

    weighted, _, model, bounds = bounded()
    W, B = (np.array(block, dtype=float) for block in (bounds.W, bounds.B))
    found = claim(Problem(weighted, model).at(W, B))
    assert found.lower == pytest.approx(float(bounds.lower), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -2.0, 1.0], "must be >= 0, row 1 has -2"),
        ([0.0, 0.0, 0.0], "all rows of 'a' have weight 0"),
        ([1.0, np.nan, 1.0], r"entry \(1,\) is nan"),
        ([1.0, 2.0], "give 3 weights"),
        ([1.0, 2.0, 1e200], "from 1e-100 to 1e100"),
        (["x", "y", "z"], "real numbers"),
    ],
)
def test_bad_weights_are_refused_in_one_line(weights: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        Task(X=X2, y=Y2, name="a", sample_weight=weights)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError):
        TaskSet.from_arrays([X2], [Y2], sample_weight=[weights])
    with pytest.raises(DataError):
        TaskSet.from_stacked(X2, Y2, [0, 0, 0], sample_weight=weights)


def test_every_maker_takes_weights() -> None:
    v = np.array([2.0, 0.0, 1.0])
    frame = pd.DataFrame({"who": list("aaa"), "u": X2[:, 0], "weight": v, "y": Y2})
    made = {
        "arrays": TaskSet.from_arrays([X2, X2], [Y2, Y2], sample_weight=[v, None]),
        "stacked": TaskSet.from_stacked(X2, Y2, [0, 0, 0], sample_weight=v),
        "matrix": TaskSet.from_matrix(X2, np.column_stack([Y2, Y2]), sample_weight=v),
        "frame": TaskSet.from_frame(frame, task="who", target="y", sample_weight="weight"),
    }
    for tasks in made.values():
        assert tasks[0].sample_weight is not None and tasks[0].sample_weight.tolist() == [2.0, 1.0]
        assert (tasks[0].n, tasks[0].rows, len(tasks[0].X)) == (3.0, 2, 2)
    assert made["arrays"][1].sample_weight is None and made["arrays"].counts.tolist() == [3.0, 3.0]
    assert made["matrix"][0].X is made["matrix"][1].X  # rows are shared as before
    assert made["frame"].feature_names == ("u",)
    plain = TaskSet.from_frame(frame, task="who", target="y")
    assert plain.feature_names == ("u", "weight") and not plain.weighted  # never by its name alone
    one = TaskSet.one_vs_rest(X2, ["a", "b", "c"], sample_weight=[1.0, 2.0, 3.0])
    assert one.counts.tolist() == [6.0] * 3 and one[0].sample_weight is not None


def test_weights_are_part_of_the_fingerprint() -> None:
    once, same, other = (
        TaskSet.from_arrays([X2], [Y2], sample_weight=[v]) for v in ([1, 2, 3], [1, 2, 3], [1, 3, 2])
    )
    plain = TaskSet.from_arrays([X2], [Y2])
    assert once.fingerprint() == same.fingerprint()
    assert len({tasks.fingerprint() for tasks in (once, other, plain)}) == 3


def test_scores_count_rows_by_weight() -> None:
    weighted, repeated, model = counted(Squared())
    labels = counted(Logistic())
    for one, other, of in ((weighted, repeated, model), labels):
        found = fit(one, of, options=Options(engine="fast"))
        assert found.score(one) == pytest.approx(found.score(other), rel=1e-12)


def test_standardising_counts_rows_by_weight() -> None:
    weighted, repeated, model = counted(Squared())
    one, other = (Preparation.learn(each, standardize=True, intercept=True) for each in (weighted, repeated))
    np.testing.assert_allclose(one.center, other.center, rtol=1e-12)
    np.testing.assert_allclose(one.scale, other.scale, rtol=1e-12)


@pytest.mark.parametrize("factors", [False, True])
def test_a_stored_problem_keeps_its_weights(factors: bool, tmp_path: Path) -> None:
    weighted, _, model = counted(Squared())
    tasks = model.compress(weighted) if factors else weighted
    Problem(tasks, model).save(tmp_path / "there")
    found = Problem.load(tmp_path / "there")
    W, B = np.ones((3, 3)), np.zeros((3, 3))
    assert found.tasks.fingerprint() == tasks.fingerprint()
    assert found.at(W, B).objective == Problem(tasks, model).at(W, B).objective
    assert [task.n for task in found.tasks] == [task.n for task in weighted]
