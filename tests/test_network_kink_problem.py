"""The joint problem of a point near its kinks: its conditions, neighbours, closed forms, three solvers."""

from __future__ import annotations

import numpy as np
import pytest

from amtl_cvx.network.kink_qp import KinkQP
from amtl_cvx.network.steps import KinkModel, KinkProblem
from amtl_cvx.solvers import Backend


@pytest.mark.parametrize("solver", ["CLARABEL", "OSQP", "SCS"])
def test_the_kink_problem_meets_its_conditions(solver: str) -> None:
    rng = np.random.default_rng(1)
    n, m = 6, 9
    root = rng.normal(size=(n, n))
    model = KinkModel(
        H=root @ root.T + 0.1 * np.eye(n),
        g=rng.normal(size=n),
        normals=rng.normal(size=(m, n)),
        values=np.r_[np.zeros(5), rng.normal(size=4)],
        weights=rng.uniform(0.5, 2.0, size=m),
        x=np.r_[np.zeros(4), 9.0, -9.0],
        prices=np.r_[np.full(3, 0.7), 0.0, 0.3, 0.3],
    )
    found = KinkProblem(n, m).minimise(model, Backend(solver=solver))
    assert found.solved.solver == solver and found.solved.status == "optimal"
    d, theta = found.d, found.theta
    u, moved = model.values + model.normals @ d, model.x + d
    assert (theta > -1e-7).all() and (theta < model.weights + 1e-7).all()
    np.testing.assert_allclose(theta[u > 1e-6], model.weights[u > 1e-6], atol=1e-6)
    np.testing.assert_allclose(theta[u < -1e-6], 0.0, atol=1e-6)
    slope = model.g + model.H @ d + model.normals.T @ theta
    off = np.abs(moved) > 1e-6
    np.testing.assert_allclose(slope[off], -(model.prices * np.sign(moved))[off], atol=1e-6)
    assert (np.abs(slope) <= model.prices + 1e-6)[~off].all() and 0 < off.sum() < n
    assert moved[4] > 1.0 and moved[5] < -1.0
    least = model.value(d)
    assert all(model.value(d + move) > least for move in 1e-2 * rng.normal(size=(200, n)))
    assert ((np.abs(u) < 1e-6) & (theta > 1e-3) & (theta < model.weights - 1e-3)).any()


def test_the_engine_ends_where_the_definition_does() -> None:
    problems: dict[tuple[int, int], KinkProblem] = {}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n, m = 8, (5, 20)[seed % 2]  # fewer kinks than unknowns, and more
        root = rng.normal(size=(n, n))
        model = KinkModel(
            H=root @ root.T + 0.05 * np.eye(n),
            g=2.0 * rng.normal(size=n),
            normals=rng.normal(size=(m, n)),
            values=rng.normal(size=m) * (rng.random(m) < 0.5),
            weights=rng.uniform(0.0, 3.0, size=m),
            x=rng.normal(size=n) * (rng.random(n) < 0.5),
            prices=rng.uniform(0.0, 2.0, size=n) * (rng.random(n) < 0.7),
        )
        if (n, m) not in problems:
            problems[n, m] = KinkProblem(n, m)
        written = problems[n, m].minimise(model)
        engine = KinkQP(model.H, model.g)
        engine.add(model.normals, model.values, np.zeros(m), model.weights)
        engine.add(np.eye(n), model.x, -model.prices, model.prices)
        found = engine.minimum()
        np.testing.assert_allclose(found.step, written.d, atol=1e-6)
        assert model.value(found.step) <= model.value(written.d) + 1e-12
        if len(np.flatnonzero(found.held)) <= n:
            np.testing.assert_allclose(found.multipliers[:m], written.theta, atol=1e-5)


def test_the_kink_problem_of_one_unknown_in_closed_form() -> None:
    problem, none = KinkProblem(1, 1), np.zeros(1)
    for slope, weight, d, theta in ((-3.0, 1.0, 2.0, 1.0), (-0.5, 1.0, 0.0, 0.5), (2.0, 1.0, -2.0, 0.0)):
        model = KinkModel(np.eye(1), np.array([slope]), np.eye(1), none, np.array([weight]), none, none)
        found = problem.minimise(model)
        assert found.d[0] == pytest.approx(d, abs=1e-8) and found.theta[0] == pytest.approx(theta, abs=1e-7)
    alone = KinkProblem(1, 0).minimise(
        KinkModel(np.eye(1), np.array([-3.0]), np.zeros((0, 1)), none[:0], none[:0], none, np.ones(1))
    )
    assert alone.d[0] == pytest.approx(2.0, abs=1e-8) and alone.theta.shape == (0,)
    for x, d in ((-4.0, 3.3), (-3.0, 3.0), (0.5, 2.7)):  # below, at and above 0, where the price is .3
        numbers = [np.eye(1), np.array([-3.0]), np.zeros((0, 1)), none[:0], none[:0]]
        found = KinkProblem(1, 0).minimise(KinkModel(*numbers, np.array([x]), np.full(1, 0.3)))
        assert found.d[0] == pytest.approx(d, abs=1e-8)
