"""Where refinement ends without a certificate: it never ends above the alternation's own continuation."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from cases import Array, loss_id, random_tasks, random_transfer, tasks_for
from mpmath import mp

from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Quantile, SquaredHinge
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.refine import plain_rounds
from amtl_cvx.refine.local import Trust
from amtl_cvx.refine.newton import newton_steps
from amtl_cvx.solution import Solution
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.subproblems.roots import root_step
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def separable() -> tuple[TaskSet, Model]:
    """Tasks of 7, 2 and 3 rows with 4 features: two can be fitted without loss, I - B turns singular."""
    rng = np.random.default_rng(3)
    tasks = tasks_for(Hinge(), rng, d=4, counts=rng.integers(2, 9, size=3))
    mu, coupling = 10.0 ** rng.uniform(-3, -1), 10.0 ** rng.uniform(-2, 1)
    return tasks, Model(loss=Hinge(), transfer=LossWeightedL1(mu=mu), coupling=coupling)


def objectives(solution: Solution) -> Array:
    return np.array([record.objective for record in solution.history])


@pytest.mark.slow
def test_refinement_never_ends_above_the_alternation() -> None:
    tasks, model = separable()
    plain = fit(tasks, model, options=Options(engine="fast", refine=False, max_rounds=100))
    refined = fit(tasks, model, options=Options(engine="fast", max_rounds=100))
    assert refined.objective <= plain.objective * (1.0 + 1e-10)
    assert (np.diff(objectives(refined)) <= 1e-12 * refined.objective).all()


def test_targets_of_very_unequal_size_do_not_stop_refinement_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes from 60 to 2e9: what the small tasks gain is below 1e-10 of J, and beyond rounding."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "reports" / "random")
    found = importlib.import_module("problems").problem(285)
    tasks, model, B = found.tasks, found.model, np.zeros((8, 8))
    W = kinked_minimum(Problem(tasks, model).at(np.zeros((5, 8)), B))
    point = next(newton_steps(Problem(tasks, model).at(W, B), trust=Trust()))
    assert model.objective(tasks, *point) < model.objective(tasks, W, B) * (1.0 - 1e-12)


@pytest.mark.parametrize("most", [0, 1, 7])
def test_plain_rounds_descend_to_their_limit(most: int, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    start = np.zeros((6, 4)), np.zeros((4, 4))
    points = list(plain_rounds(Problem(tasks, model).at(*start), most=most))
    values = [model.objective(tasks, *point) for point in (start, *points)]
    assert len(points) == most and (np.diff(values) < 0.0).all()


def test_plain_rounds_end_where_j_falls_no_more() -> None:
    tasks, model = separable()
    points = list(plain_rounds(Problem(tasks, model).at(np.zeros((4, 3)), np.zeros((3, 3))), most=10**4))
    assert not list(plain_rounds(Problem(tasks, model).at(*points[-1]), most=1))


def test_tasks_that_rebuild_each_other_exactly_are_certified() -> None:
    """One feature, mu = 0: w_2 is a multiple of w_1 at no cost, so J is what the tasks have on their own.

    I - B is singular there. The least loss of a task stands at the kink of one of its rows.
    """
    rng = np.random.default_rng(2)
    X = [rng.uniform(0.5, 2.0, size=(7, 1)) for _ in range(2)]
    y = [x[:, 0] * w + 0.2 * rng.normal(size=7) for x, w in zip(X, (1.0, 3.0), strict=True)]
    tasks, loss = TaskSet.from_arrays(X, y), Quantile(tau=0.3)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.0), coupling=0.5)
    found = fit(tasks, model, options=Options(engine="fast"))
    alone = sum(
        min(float(np.maximum(0.3 * (v - x[:, 0] * w), -0.7 * (v - x[:, 0] * w)).mean()) for w in v / x[:, 0])
        for x, v in zip(X, y, strict=True)
    )
    assert found.certificate.passes and found.certificate.sigma_min <= 1e-8
    assert found.objective == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("loss", [SquaredHinge(), Huber(threshold=0.3), Logistic()], ids=loss_id)
def test_newton_steps_from_roots_are_those_of_the_hessian(loss: Loss, rng: np.random.Generator) -> None:
    tasks, B = tasks_for(loss, rng), random_transfer(rng, 4, 0.3)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.7)
    W = rng.normal(size=(6, 4))
    step = root_step(Problem(tasks, model).at(W, B))
    H, g = Problem(tasks, model).at(W, B).hessian_W(), model.gradient_W(tasks, W, B)
    assert np.abs(H @ step.T.ravel() + g.T.ravel()).max() <= 1e-12 * np.abs(g).max()


@pytest.mark.parametrize("apart", [1e-7, 1e-9])
def test_w_steps_are_exact_where_the_hessian_is_singular_for_doubles(
    apart: float, rng: np.random.Generator
) -> None:
    """A cycle of weight 1 - apart: the squared loss has the solution of a least squares problem."""
    tasks, model = random_tasks(rng, d=4, counts=(3, 2)), make_model(mu=0.1, coupling=1e3)
    M = np.eye(2) - (1.0 - apart) * np.array([[0.0, 1.0], [1.0, 0.0]])
    B = np.eye(2) - M
    W = minimal_weights(Problem(tasks, model).at(np.zeros((4, 2)), B))
    with mp.workdps(60):
        scales = model.loss_weight(tasks, B)
        weights = [mp.mpf(float(a)) / len(task.y) for a, task in zip(scales, tasks, strict=True)]
        E = mp.eye(2) - mp.matrix(B.tolist())
        P = 2 * mp.mpf(1000) * E * E.T
        H, g = mp.zeros(8), mp.zeros(8, 1)
        for t, task in enumerate(tasks):
            X = mp.matrix(task.X.tolist())
            block = 2 * weights[t] * X.T * X
            pull = 2 * weights[t] * X.T * mp.matrix(task.y.tolist())
            for i in range(4):
                g[4 * t + i] = pull[i]
                for j in range(4):
                    H[4 * t + i, 4 * t + j] += block[i, j]
                for u in range(2):
                    H[4 * t + i, 4 * u + i] += P[t, u]
        truth = mp.lu_solve(H, g)
    expected = np.array([float(v) for v in truth]).reshape(2, 4).T
    assert np.abs(W - expected).max() <= 1e-5 * np.abs(expected).max()
