"""C3 of a deep network where a kink holds nothing, and a weight of 0 above it may come to feel it."""

from __future__ import annotations

import numpy as np
import pytest
from network_directions import STRICT, objective

from amtl_cvx import TaskSet
from amtl_cvx.losses import make_loss
from amtl_cvx.network import NetworkModel, NetworkPoint, NetworkProblem
from amtl_cvx.network.lbfgs import lbfgs
from amtl_cvx.network.newton import refine
from amtl_cvx.network.second_order import second_order

Array = np.ndarray


@pytest.mark.parametrize(("label", "falls"), [(0.0, False), (300.0, True)])
def test_a_weight_of_0_above_a_kink_that_nothing_holds_is_no_strict_minimum(label, falls):
    """On the last row all of layer 1 is off but unit 1, on its kink; it feeds unit 0 of layer 2 by 0.

    That row holds nothing, as no unit of layer 2 follows; its label for task 0 is free. Moving the kink and
    the weight of 0 together lowers J by their product.
    """
    point, x = _follows_nothing(label)
    *V, _, _ = (np.zeros_like(part) for part in point.problem.layout.split(point.vector))
    V[0][:, 1], V[1][1, 0] = x / np.linalg.norm(x), 1.0
    d = point.problem.layout.joined(*V, 0.0 * point.S, 0.0 * point.A_plus)
    moves = np.array([0.0, 1e-3, 1e-4, 1e-5], dtype=np.longdouble)[:, None] * d.astype(np.longdouble)
    J = objective(point, point.vector.astype(np.longdouble) + moves)
    assert (J[1:] < J[0]).all() == falls
    found = second_order(point)
    assert found.verdict == "degenerate" and "a weight of 0 may let a unit follow" in found.reason


def _follows_nothing(label: float) -> tuple[NetworkPoint, Array]:
    """A fit on rows for which units 0 and 1 of layer 1 serve task 1 alone, and a further row with `label`."""
    rng = np.random.default_rng(0)
    b, a, m = rng.uniform(0.2, 3.0, 20), rng.uniform(0.5, 3.0, 24), rng.uniform(-2.0, 2.0, 24)
    X = np.ones((44, 4))
    X[:24, :3] = np.column_stack([a, -np.ones(24), m])
    X[24:, :3] = np.column_stack([-np.ones(20), b, -1.0 + 0.3 * rng.standard_normal(20)])
    Y = np.column_stack([np.zeros(44), np.full(44, 3.0)])
    Y[:24, 1] += a - 1.2 * np.maximum(m, 0.0)
    Y[24:, 0] = np.maximum(2.0 * b - 2.0, 0.0)
    Y += 0.02 * rng.standard_normal(Y.shape)
    loss = make_loss("squared", reduction="sum")
    model = NetworkModel(layers=(4, 2), loss=loss, mu=0.05, alpha=0.1, gamma=0.0, decay=0.02)
    problem = NetworkProblem(TaskSet.from_matrix(X, Y), model)
    start = problem.at(
        W1=[[1, 0.5, 0, 0], [-0.3, -1, 1, 0], [0, 1, 0, 0], [0, -0.2, 0, 1]],
        W2=[[0, 1], [0, -1], [1, 0], [-1, 1]],
        S=2.0 * np.eye(2),
        A=np.zeros((2, 2)),
    )
    found = refine(lbfgs(start, iterations=300)).point
    assert second_order(found).verdict == STRICT and (found.V[1][:2, 0] == 0.0).all()
    x = np.linalg.solve(found.V[0].T, [-1.0, 0.0, -1.0, -1.0])
    tasks = TaskSet.from_matrix(np.vstack([X, x]), np.vstack([Y, [label, 0.0]]))
    return NetworkProblem(tasks, model).at(**found.blocks), x
