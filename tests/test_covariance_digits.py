"""The last digits of MTFL, where doubles leave 3e-8 of what a task does not see."""

from __future__ import annotations

from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from cases import Array
from real_rows import school_split

from amtl_cvx import MeanRegularised, Model, Options, Solution, TaskSet, fit
from amtl_cvx.problem import Problem
from amtl_cvx.subproblems.covariance import has_covariance
from amtl_cvx.subproblems.covariance.rows import Rows
from amtl_cvx.subproblems.covariance.sides import OfFeatures, OfTasks
from amtl_cvx.weights import TraceNormSquared


def mtfl(tasks: TaskSet, rho: float) -> Solution:
    model = Model(coupling=0.0, omega=TraceNormSquared(rho=rho))
    return fit(tasks, model, method="stl", options=Options(engine="fast"))


def certified(solution: Solution) -> bool:
    found = solution.certificate
    close = found.global_excess is not None and found.global_excess <= 1e-8 * found.objective
    return found.level == "C5" and found.relative <= 1e-8 and close


def uneven(rng: np.random.Generator) -> TaskSet:
    """Marks up to 200 beside features that are 0 or 1, many of them 0 in all rows of a task."""
    d, way, X, y = 10, 5.0 * rng.normal(size=8), [], []
    for n in rng.integers(20, 60, size=20):
        seen = rng.random(d) < 0.6
        rows = (rng.random((n, d)) < 0.4 * seen).astype(float)
        rows[:, 0], rows[:, 1] = rng.integers(50, 200, size=n), 1.0
        X.append(rows)
        y.append(np.round(20.0 + 0.1 * rows[:, 0] + rows[:, 2:] @ way + 10.0 * rng.normal(size=n)))
    return TaskSet.from_arrays(X, y)


def test_what_a_task_does_not_see_is_0_beside_large_inputs(rng: np.random.Generator) -> None:
    """Doubles leave 1e-8 to 6e-8 of the terms of such an entry, where the losses have no slope at all."""
    for rho in (0.02, 0.1, 0.3):
        assert certified(mtfl(uneven(rng), rho))


@pytest.mark.parametrize("of", [OfFeatures, OfTasks])
def test_ridge_regressions_on_the_rows_have_the_digits_of_long_arithmetic(
    of: type[OfFeatures] | type[OfTasks], rng: np.random.Generator
) -> None:
    """2 rho Z = -F'(W) for one D, by a solve of 40 digits; without the rows 1e-12 of it is rounding."""
    tasks = TaskSet(tasks=uneven(rng).tasks[:3])
    model = Model(coupling=0.0, omega=TraceNormSquared(rho=0.01))
    point = Problem(tasks, model).at(np.zeros((tasks.d, 3)), np.zeros((3, 3)))
    R = rng.normal(size=(tasks.d if of is OfFeatures else 3, 2))
    with mp.workdps(40):
        exact = _gradient(tasks, R, 0.01, of is OfFeatures)
    apart = []
    for rows in (Rows(point), None):
        side = of(blocks=point.loss_hessians, pull=-point.smooth_gradient_W, rho=0.01, rows=rows)
        apart.append(np.abs(side.at(R).gradient - exact).max() / np.abs(exact).max())
    assert apart[0] <= 2e-15 and apart[1] > 10.0 * apart[0]


def _gradient(tasks: TaskSet, R: Array, rho: float, of_features: bool) -> Array:
    """-rho Z Z' or -rho Z'Z, from T r or r d equations of all w_t = R c_t, or C r_t, in long arithmetic."""
    T, d = tasks.T, tasks.d
    way = np.kron(np.eye(T), R) if of_features else np.kron(R, np.eye(d))
    X, y = np.zeros((sum(task.n for task in tasks), T * d)), np.concatenate([task.y for task in tasks])
    ends = np.cumsum([0, *(task.n for task in tasks)])
    for t, task in enumerate(tasks):
        X[ends[t] : ends[t + 1], t * d : (t + 1) * d] = task.X
    weight = mp.diag([mp.mpf(2) / task.n for task in tasks for _ in range(task.n)])
    A, V = mp.matrix(X.tolist()), mp.matrix(way.tolist())
    b = A.T * weight * mp.matrix(y.tolist())
    H = A.T * weight * A
    c = mp.lu_solve(V.T * H * V + 2 * mp.mpf(rho) * mp.eye(V.cols), V.T * b)
    left = b - H * (V * c)
    Z = np.array([left[i] / (2 * mp.mpf(rho)) for i in range(T * d)], dtype=object).reshape(T, d).T
    return np.asarray(-rho * (Z @ Z.T if of_features else Z.T @ Z), dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize("split", range(1, 11))
def test_mtfl_is_certified_on_every_split_of_school_where_predictors_have_many_dimensions(
    split: int, shared_data: Path
) -> None:
    """rho from a ten-thousandth of the curvature, which `fit` chooses, to all of it."""
    tasks = school_split(shared_data, split)
    for rho in (0.0091, 1.0):
        assert certified(mtfl(tasks, rho))


def test_sizes_that_a_covariance_serves() -> None:
    """None of more than 77 features or 64 tasks, and where it is of tasks T d is at most 6000."""
    sizes = {(64, 900): True, (90, 64): True, (70, 80): True, (77, 70): True}
    sizes |= {(78, 70): False, (87, 139): False, (70, 139): False, (200, 64): False}
    for (d, T), served in sizes.items():
        tasks = TaskSet.from_arrays([np.ones((1, d))] * T, [np.ones(1)] * T)
        model = Model(coupling=0.0, omega=TraceNormSquared(rho=1.0))
        point = Problem(tasks, model).at(np.zeros((d, T)), np.zeros((T, T)))
        assert has_covariance(point) is served, (d, T)


@pytest.mark.slow
def test_pooled_learning_is_certified_as_a_rigid_mean(shared_data: Path) -> None:
    """At rho 1e9 the Hessian in doubles is that of the penalty alone; the predictor is that of all rows."""
    tasks = school_split(shared_data, 1)
    model = Model(coupling=0.0, omega=MeanRegularised(rho=1e9))
    found = fit(tasks, model, method="stl", options=Options(engine="fast"))
    root = np.concatenate([np.full(len(task.y), task.n**-0.5) for task in tasks])
    X, y = np.vstack([task.X for task in tasks]), np.concatenate([task.y for task in tasks])
    pooled = np.linalg.lstsq(root[:, None] * X, root * y, rcond=None)[0]
    assert certified(found) and np.abs(X @ (found.W - pooled[:, None])).max() <= 1e-4
