"""Growth along which J falls: measured, and no point passes from which it goes on."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from cases import (
    Array,
    random_tasks,
)
from mpmath import mp
from scipy.optimize import minimize

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import (
    certify,
)
from amtl_cvx.certificate.escape import Growth, change
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import make_omega


@pytest.mark.slow
def test_a_vanishing_gradient_without_a_minimum_is_rejected(rng: np.random.Generator) -> None:
    """Two separable tasks in a free cycle: a longer W lowers J by nearly all of it, so the point is none."""
    w = rng.normal(size=3)
    X = [rng.normal(size=(20, 3)) for _ in range(2)]
    X = [Xt[np.abs(Xt @ w) > 0.3 * np.linalg.norm(w)] for Xt in X]
    tasks = TaskSet.from_arrays(X, [np.sign(Xt @ w) for Xt in X])
    model = make_model(loss="logistic", mu=0.0, coupling=1.0)
    W, B = np.column_stack([w, w]) * 60.0 / np.linalg.norm(w), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = certify(Problem(tasks, model).at(W, B))
    assert found.relative <= 1e-6  # the residual alone does not see it
    assert model.objective(tasks, 2.0 * W, B) < 0.01 * found.objective
    assert not found.passes and found.gain_W is not None and found.gain_W > 0.1 * found.objective
    found = alternate(tasks, model, Options()).certificate
    assert not found.passes or found.objective <= found.limit  # J >= 0: there nothing is left to gain


def test_a_stationary_point_with_free_edges_is_not_rejected_by_a_loose_bound(
    rng: np.random.Generator,
) -> None:
    tasks, model = random_tasks(rng, d=9, counts=(30, 40, 25)), make_model(mu=0.0, coupling=0.7)
    solution = alternate(tasks, model, Options())
    assert solution.certificate.relative <= 1e-8 and solution.certificate.passes


def fall_of(reason: str) -> float:
    """The part of itself by which J falls, as the reason says."""
    return float(reason.split("falls by ")[1].split(" of itself")[0])


def test_the_penalty_that_a_reason_names_gives_J_a_minimum() -> None:
    """Both tasks are separable, J falls to 0 as they grow alike: a penalty on differences is no cure."""
    X, y = np.array([[-2.0], [-1.0], [1.0], [1.5]]), np.array([-1.0, -1.0, 1.0, 1.0])
    tasks = TaskSet.from_arrays([X, X], [y, y])
    model = make_model(loss="logistic", mu=0.005, coupling=1.0)
    found = certify(Problem(tasks, model).at(np.full((1, 2), 30.0), np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert not found.passes
    named = re.search(r"--omega ([a-z]+:[0-9.]+)", found.reasons["minimum"])
    assert named is not None
    fitted = alternate(tasks, replace(model, omega=make_omega(named[1])), Options(engine="fast"))
    assert fitted.certificate.passes and np.abs(fitted.W).max() < 30.0


def test_a_fall_of_J_in_directions_that_no_row_sees_is_measured() -> None:
    """Feature 1 is 0 in tasks 0 and 1, a cycle: the longer w_0 is there, the cheaper its edge to task 2."""
    X = [np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0]])]
    tasks = TaskSet.from_arrays(X, [np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.array([3.0])])
    model, long = make_model(mu=0.1, coupling=1.0), 1e4
    W, edge = np.array([[0.5, -0.5, 0.0], [long, long, 2.0]]), 2.0 / long
    B = np.array([[0.0, 1.0, edge], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss = (0.5**2 + 0.0**2) / 2
    found = certify(Problem(tasks, model).at(W, B))
    fall = 0.9 * 0.1 * loss * edge + 0.99 * (0.5 * edge) ** 2  # the edge is a tenth, its share of R_2 as well
    assert not found.passes and "what no row sees" in found.reasons["minimum"]
    assert fall_of(found.reasons["minimum"]) == pytest.approx(fall / found.objective, rel=0.05)
    J = model.objective(tasks, W * [[1.0] * 3, [10.0, 10.0, 1.0]], B * [[1.0, 1.0, 0.1]] * 1.0)
    assert found.objective - J == pytest.approx(fall, rel=1e-4)
    for edges in (B * [1.0, 1.0, 0.0], 0.5 * B):  # no edge to 2: flat; no cycle
        assert "minimum" not in certify(Problem(tasks, model).at(W, edges)).reasons
    full = TaskSet.from_arrays([np.eye(2), np.eye(2), X[2]], [task.y for task in tasks])
    assert "minimum" not in certify(Problem(full, model).at(W, B)).reasons  # their rows see all directions


def test_a_fall_of_J_as_losses_vanish_is_measured() -> None:
    """Two separable tasks in a cycle, one with an edge to a third: all that they cost vanishes."""
    X, y = np.array([[1.0, 0.5], [-1.0, 0.5]]), np.array([1.0, -1.0])
    noise = np.array([[1.0, 1.0], [1.0, 1.0], [-1.0, 2.0]])
    tasks = TaskSet.from_arrays([X, X, noise], [y, y, np.array([1.0, -1.0, 1.0])])
    model, w = make_model(loss="logistic", mu=0.5, coupling=1.0), np.array([9.0, 0.0])
    W, B = np.column_stack([w, w, 0.01 * w]), np.array([[0.0, 1.0, 0.01], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    loss, less = (float(np.log1p(np.exp(-k * 9.0))) for k in (1.0, 10.0))
    found = certify(Problem(tasks, model).at(W, B))
    fall = loss * (1 + 0.5 * 1.01) - less * (1 + 0.5 * 1.001) + 1.5 * (loss - less)
    assert not found.passes and "the predictors of 'task 0', 'task 1' grow" in found.reasons["minimum"]
    assert fall_of(found.reasons["minimum"]) == pytest.approx(fall / found.objective, rel=0.05)
    assert (
        "minimum" not in certify(Problem(tasks, model).at(5.0 * W, B)).reasons
    )  # e^-45: nothing is left to fall
    apart = TaskSet.from_arrays([X, -X, noise], [task.y for task in tasks])  # no common w fits both
    assert "minimum" not in certify(Problem(apart, model).at(W, B)).reasons
    at_rest = 1e-3 * np.eye(3)[[1, 0, 2]]
    assert "minimum" not in certify(Problem(tasks, model).at(W, np.where(B > 0.5, at_rest, B))).reasons


@pytest.mark.parametrize("loss", ["logistic", "squared"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_change_of_J_along_a_growth_is_that_of_J(loss: str, whole: bool) -> None:
    """In 40 digits, edges into, out of and within the tasks that grow; never below it."""
    rng = np.random.default_rng(6)
    tasks = random_tasks(rng, loss=loss, d=3, counts=(5, 6, 7, 8))
    model = make_model(loss=loss, mu=0.3, coupling=0.7)
    blind = [task.X * [1.0, 1.0, float(t > 1)] for t, task in enumerate(tasks)]
    tasks = TaskSet.from_arrays(blind, [task.y for task in tasks])
    chosen, k = np.arange(4) < 2, 10.0
    for size in 10.0 ** rng.uniform(0, 8, size=20):
        W, B = rng.normal(size=(3, 4)), 10.0 ** rng.uniform(-9, 0, size=(4, 4)) * (1 - np.eye(4))
        W[2, :2] *= size
        F = W * chosen if whole else W * chosen * np.array([[0.0], [0.0], [1.0]])
        D = np.diag(np.where(chosen, k, 1.0))
        C = B.copy()
        C[:2, 2:] = B[:2, 2:] / k
        C[2:, :2] = B[2:, :2] * (k if whole else 1.0)
        after = digits_of_J(tasks, model, W @ D if whole else W + (k - 1.0) * F, C)
        found = change(Problem(tasks, model).at(W, B), Growth(chosen, F, whole), k)
        expected = after - digits_of_J(tasks, model, W, B)
        assert 0 <= found - expected <= 1e-12 * (abs(expected) + 1) + 1e-14 * size * (1 + abs(expected))


def digits_of_J(tasks: TaskSet, model: Model, W: Array, B: Array) -> mp.mpf:
    """J, mean losses and c = 1, in 40 digits."""
    with mp.workdps(40):
        w, b, total = mp.matrix(W.tolist()), mp.matrix(B.tolist()), mp.mpf(0)
        for t, task in enumerate(tasks):
            rows = []
            for x, y in zip(task.X.tolist(), task.y.tolist(), strict=True):
                z = mp.fdot(x, w[:, t])
                rows.append((z - y) ** 2 if model.loss.name == "squared" else mp.log1p(mp.exp(-y * z)))
            total += mp.fsum(rows) / len(rows) * (1 + mp.mpf(model.mu) * mp.fsum(b[t, :]))
        return total + mp.mpf(model.coupling) * mp.fsum(v**2 for v in w - w * b)


def test_a_point_that_escapes_does_not_pass_however_small_its_residuals() -> None:
    """Margins of 25 in a cycle: residuals and gaps are tiny, and J goes on falling."""
    X, y = np.array([[1.0, 0.5], [-1.0, 0.5]]), np.array([1.0, -1.0])
    model = make_model(loss="logistic", mu=0.5, coupling=1.0)
    tasks = TaskSet.from_arrays([X, X, X], [y, y, -y])
    alone = minimize(lambda v: model.loss.value(tasks[2], v) + v @ v, np.zeros(2), tol=1e-14).x
    for _ in range(5):  # Newton's method
        g = model.loss.gradient(tasks[2], alone) + 2 * alone
        alone = alone - np.linalg.solve(model.loss.hessian(tasks[2], alone) + 2 * np.eye(2), g)
    w = np.array([25.0, 0.0])
    W, B = np.column_stack([w, w, alone]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = certify(Problem(tasks, model).at(W, B), tol=1e-6)
    assert found.relative <= 1e-7 and found.gap_B is not None and found.gap_B <= 1e-9 * found.objective
    assert not found.passes and found.level in ("C0", "C1")
    longer = model.objective(tasks, W * [2.0, 2.0, 1.0], B)
    assert longer < found.objective
