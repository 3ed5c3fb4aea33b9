"""J, gradient, kink weights and Hessian of a network against differences of J, away from kinks."""

import numpy as np
import pytest

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.network import NetworkProblem
from amtl_cvx.network.hessian import hessian, products

CASES = {
    "one layer": {"features": 3},
    "deep": {"layers": (4, 2)},
    "three layers, biases": {"layers": (4, 3, 2), "fit_bias": True, "feedback_bias": True},
    "floor, by row": {"features": 3, "price_floor": 0.3, "gamma_per": "row", "task_weights": "inverse-sqrt"},
}


def problem_of(rng, loss="logistic", shared=False, **settings):
    shared_X = rng.normal(size=(9, 4))
    Xs = [shared_X if shared else rng.normal(size=(6 + t, 4)) for t in range(3)]
    ys = [np.where(rng.normal(size=len(X)) > 0, 1.0, -1.0) for X in Xs]
    weights = [rng.uniform(0.5, 2.0, size=len(X)) for X in Xs]
    tasks = TaskSet.from_arrays(Xs, ys, sample_weight=weights)
    model = NetworkModel(loss=loss, mu=0.1, alpha=0.4, gamma=0.2, decay=0.05, **settings)
    return NetworkProblem(tasks, model)


def differences(f, x, h):
    E = np.eye(len(x)) * h
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in E])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_gradient_and_hessian_are_those_of_J(case, loss, rng):
    problem = problem_of(rng, loss=loss, shared=case == "deep", **CASES[case])
    x = rng.normal(size=problem.size)
    point = problem.from_vector(x)
    assert not point.touching[0].any()
    signs = np.sign(point.vector)
    layout, price = problem.layout, np.zeros(problem.size)
    price[layout.S] = problem.model.mu
    prices = np.zeros_like(point.A_plus)
    prices[: point.tasks.T] = point.prices[:, None]
    price[layout.A] = prices.ravel()
    found = point.gradient().vector + price * signs
    expected = differences(lambda v: problem.from_vector(v).objective, x, 1e-6)
    assert np.abs(found - expected).max() < 1e-7 * (1 + np.abs(expected).max())

    def slope(v):
        at = problem.from_vector(v)
        full = at.gradient().vector.copy()
        moved = np.zeros_like(at.A_plus)
        moved[: at.tasks.T] = at.prices[:, None]
        full[layout.A] += moved.ravel() * signs[layout.A]
        return full

    H = hessian(point)
    assert np.abs(H - differences(slope, x, 1e-6)).max() < 1e-6 * (1 + np.abs(H).max())
    directions = rng.normal(size=(3, problem.size))
    assert np.allclose(products(point, directions), directions @ H, rtol=1e-10, atol=1e-10 * np.abs(H).max())
