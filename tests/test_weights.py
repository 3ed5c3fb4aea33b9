"""Penalties on W: closed forms, a second solver, store, names, classes of one's own."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, random_tasks, random_transfer
from omega_cases import QUADRATIC, gamma
from sklearn.linear_model import Ridge as SklearnRidge

from amtl_cvx import (
    Logistic,
    LossWeightedL1,
    MeanRegularised,
    Model,
    Options,
    Problem,
    Ridge,
    TaskSet,
    certify,
    fit,
)
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.report.tables import tiles
from amtl_cvx.runfolder import model_from_dict
from amtl_cvx.weights import OMEGAS, QuadraticPenalty, make_omega

every_omega = pytest.mark.parametrize("omega", QUADRATIC, ids=lambda omega: omega.name)
FAST = Options(engine="fast")


def with_omega(omega: QuadraticPenalty | None, *, mu: float = 0.05, coupling: float = 0.5) -> Model:
    return Model(transfer=LossWeightedL1(mu=mu), coupling=coupling, omega=omega)


def test_every_quadratic_penalty_has_a_case() -> None:
    quadratic = {name for name, cls in OMEGAS.items() if issubclass(cls, QuadraticPenalty)}
    assert {omega.name for omega in QUADRATIC} == quadratic


def test_one_task_with_ridge_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    """(1/n) ||y - X w||^2 + (coupling + rho) ||w||^2, alpha = n (coupling + rho)."""
    tasks = random_tasks(rng, counts=(14,))
    found = fit(tasks, with_omega(Ridge(rho=0.3)), options=FAST)
    expected = SklearnRidge(alpha=14 * 0.8, fit_intercept=False).fit(tasks[0].X, tasks[0].y).coef_
    assert found.certificate.passes and np.abs(found.W[:, 0] - expected).max() <= 1e-12


def test_the_mean_is_free_and_the_rest_is_not(rng: np.random.Generator) -> None:
    """rho to infinity: one predictor for all; at a high price B = 0, and that is pooled ridge regression."""
    tasks = random_tasks(rng, counts=(14, 9, 20))
    found = fit(tasks, with_omega(MeanRegularised(rho=1e9), mu=1e4), options=FAST)
    H = sum(task.X.T @ task.X / task.n for task in tasks) + 3 * 0.5 * np.eye(tasks.d)
    pooled = np.linalg.solve(H, sum(task.X.T @ task.y / task.n for task in tasks))
    assert not found.B.any() and np.abs(found.W - pooled[:, None]).max() <= 1e-7


@every_omega
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_a_fit_is_certified_and_each_block_is_best(
    omega: QuadraticPenalty, engine: str, rng: np.random.Generator
) -> None:
    """C3, and neither block is improved by Clarabel on the definition with Omega written out."""
    tasks = random_tasks(rng, counts=(9, 14, 20))
    model = with_omega(omega)
    found = fit(tasks, model, options=Options(engine=engine))
    reached = certify(tasks, model, found.W, found.B, level="C3")
    assert reached.level == "C3" and reached.edges > 0
    V = cp.Variable(found.W.shape)
    squares = omega.rho * cp.sum([cp.quad_form(row, gamma(omega), assume_PSD=True) for row in V])
    a = 1.0 + 0.05 * found.B.sum(axis=1)
    losses = [a[t] / task.n * cp.sum_squares(task.y - task.X @ V[:, t]) for t, task in enumerate(tasks)]
    J = cp.sum(losses) + 0.5 * cp.sum_squares(V @ (np.eye(3) - found.B)) + squares
    least = cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12)
    assert found.objective == pytest.approx(least, rel=1e-9)


@every_omega
def test_the_exact_gain_is_the_fall_to_the_best_W(omega: QuadraticPenalty, rng: np.random.Generator) -> None:
    """gap_W of the squared loss and the bound that is judged, at random points, by the normal equations."""
    tasks, B = random_tasks(rng, d=4, counts=(9, 14, 20)), random_transfer(rng, 3)
    model, W = with_omega(omega), rng.normal(size=(4, 3))
    found = certify(tasks, model, W, B)
    a, M = 1.0 + 0.05 * B.sum(axis=1), np.eye(3) - B
    H = np.kron(0.5 * M @ M.T + omega.rho * gamma(omega), np.eye(4))
    right = np.zeros(12)
    for t, task in enumerate(tasks):
        at = slice(4 * t, 4 * t + 4)
        H[at, at] += a[t] / task.n * task.X.T @ task.X
        right[at] = a[t] / task.n * task.X.T @ task.y
    best = np.linalg.solve(H, right).reshape(3, 4).T
    fall = Problem(tasks, model).at(W, B).objective - Problem(tasks, model).at(best, B).objective
    assert found.gap_W == pytest.approx(fall, rel=1e-10)
    assert found.gain_W is not None and fall <= found.gain_W * (1 + 1e-10) <= 1.001 * fall


def test_what_bounds_W_is_not_asked_whether_it_runs_off(rng: np.random.Generator) -> None:
    """Ridge does whatever the direction, the mean's penalty not along 1; J falls there for ever."""
    assert Ridge(rho=0.1).bounds_W(3) and not MeanRegularised(rho=0.1).bounds_W(3)
    X, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, -1.0])
    tasks = TaskSet.from_arrays([X, X], [y, y])  # separable: at W = k w, all edges 1, J falls to 0
    W, B = np.array([[9.0, 9.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    for omega, runs_off in ((None, True), (MeanRegularised(rho=1.0), True), (Ridge(rho=1e-9), False)):
        model = replace(with_omega(omega), loss=Logistic())
        assert ("minimum" in certify(tasks, model, W, B).reasons) == runs_off


def test_single_tasks_with_the_mean_are_mean_regularised(rng: np.random.Generator) -> None:
    """--method stl: the W-step at B = 0, which a penalty on W may still tie together."""
    tasks = random_tasks(rng, counts=(9, 14, 20))
    found = fit(tasks, with_omega(MeanRegularised(rho=0.6)), method="stl")
    gradient = np.column_stack(
        [
            2.0 / task.n * task.X.T @ (task.X @ w - task.y) + 2.0 * 0.5 * w
            for task, w in zip(tasks, found.W.T, strict=True)
        ]
    ) + 1.2 * (found.W - found.W.mean(axis=1, keepdims=True))
    assert found.certificate.passes and np.abs(gradient).max() <= 1e-8
    spent = 0.6 * ((found.W - found.W.mean(axis=1, keepdims=True)) ** 2).sum()
    assert ("penalty on W", f"mean:rho=0.6, {spent:.4g} of J") in tiles(found, {})


def test_the_curriculum_refuses_it(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, counts=(9, 8), d=2), with_omega(Ridge(rho=0.3), mu=0.4)
    with pytest.raises(ModelError, match="the curriculum .* knows no penalty on W"):
        fit(tasks, model, method="curriculum")


def test_a_small_problem_has_a_proven_global_minimum() -> None:
    tasks = TaskSet.from_arrays([np.array([[1.0], [2.0]])] * 2, [[1.0, 1.5], [0.5, 2.0]])
    model = with_omega(MeanRegularised(rho=0.6), mu=0.4, coupling=0.6)
    found = fit(tasks, model, options=FAST)
    reached = certify(tasks, model, found.W, found.B, level="C5")
    assert reached.level == "C5" and reached.global_width is not None and reached.global_width <= 1e-12


def test_terms_on_W_of_the_command_line() -> None:
    assert make_omega("ridge:rho=0.5") == Ridge(rho=0.5) == make_omega("ridge:0.5")
    assert Model(transfer=LossWeightedL1(mu=1.0), coupling=1.0, omega="mean:2").omega == MeanRegularised(
        rho=2.0
    )
    assert Ridge(rho=0.5).label == "ridge:rho=0.5"
    for text, words in (
        ("ridge", "the parameters of ridge are rho"),
        ("ridge:rho=0", "rho must be a finite number > 0"),
        ("ridge:many", "rho of ridge must be a number"),
        ("mean:ro=1", "the parameters of mean are rho"),
        ("nonsense:1", "unknown penalty on W"),
        ("no.such.module:Class", "--omega no.such.module:Class"),
    ):
        with pytest.raises(ModelError, match=words):
            make_omega(text)
    with pytest.raises(ModelError, match="omega must be a penalty on W"):
        replace(with_omega(None), omega=LossWeightedL1(mu=1.0))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="rho and rho / coupling"):
        with_omega(Ridge(rho=1e200), coupling=1e-200)


@every_omega
def test_omega_survives_the_file(omega: QuadraticPenalty, tmp_path: Path, rng: np.random.Generator) -> None:
    model = with_omega(omega)
    assert model_from_dict(json.loads(json.dumps(model.to_dict()))) == model
    assert set(with_omega(None).to_dict()) == set(model.to_dict()) - {"omega", "omega_parameters"}
    problem = Problem(random_tasks(rng, counts=(5, 6, 7)), model)
    problem.save(tmp_path / "problem")
    assert Problem.load(tmp_path / "problem").model == problem.model


THIRD = Fraction(1, 3)
GAMMAS = (
    ([[1.0, 0.0], [0.0, 1.0]], "of Fractions"),
    ([[Fraction(1), Fraction(0)], [Fraction(1)]], "of Fractions"),
    (None, "of Fractions"),
    ([[Fraction(1), Fraction(1, 10**14)], [Fraction(0), Fraction(1)]], "not symmetric"),
    ([[Fraction(1) + THIRD, Fraction(0)], [Fraction(0), Fraction(1)]], "not that of its root"),
    ([[Fraction(1), Fraction(0)]], "not that of its root"),
)


@pytest.mark.parametrize(("rows", "words"), GAMMAS)
def test_an_exact_gamma_that_is_not_exact_proves_nothing(rows: Any, words: str) -> None:
    class Own(Ridge):
        def exact_gram(self, T: int) -> Any:
            return rows

    with pytest.raises(NotCertifiable, match=words):
        Own(rho=0.3).exact(2)


def test_whole_numbers_are_exact() -> None:
    class Own(Ridge):
        def exact_gram(self, T: int) -> Any:
            return np.eye(T, dtype=np.int64)

    tenth = Fraction(0.1)  # of the double, which is not 1/10
    assert Own(rho=0.1).exact(2) == ((tenth, 0), (0, tenth))


@pytest.mark.parametrize("root", [np.eye(3), np.ones(2), np.float64(1.0), [[1.0, 0.0], [0.0, 1.0]]])
def test_a_root_of_another_shape_is_refused(root: Any) -> None:
    class Own(Ridge):
        def root(self, T: int) -> Any:
            return root

    with pytest.raises(ModelError, match=r"its root for T = 2 must be an array \(2, k\)"):
        Own(rho=0.3).check(2)


def test_many_features_are_reduced_to_their_rows(rng: np.random.Generator) -> None:
    """A penalty that sees W through W'W alone turns with the features: T rows in d = 300 dimensions."""
    X: list[Array] = [rng.normal(size=(8, 300)) for _ in range(3)]
    tasks = TaskSet.from_arrays(X, [x[:, 0] + 0.1 * rng.normal(size=8) for x in X])
    found = fit(tasks, with_omega(MeanRegularised(rho=0.6)), options=FAST)
    rows = np.vstack(X)
    assert found.certificate.passes
    assert np.abs(found.W - rows.T @ np.linalg.lstsq(rows.T, found.W, rcond=None)[0]).max() <= 1e-10
