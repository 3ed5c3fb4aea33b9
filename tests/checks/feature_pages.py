"""What is shown of learned features: arrows in their direction, figures by their definition, orders."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from feature_draws import drawn_point, drawn_problem

from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.families import Found
from amtl_cvx.features import FEATURES
from amtl_cvx.features.figures import figures
from amtl_cvx.features.orders import arranged
from amtl_cvx.plotting.features.raster import raster_of


def arrows_of_features_have_their_direction() -> None:
    """Task 2 gives to feature 0 alone, task 0 uses features 0 and 1."""
    A, S = np.zeros((3, 2)), np.zeros((2, 3))
    A[2, 0], S[:, 0] = -0.5, (2.0, 1.0)
    graph = FeatureGraph(L=np.ones((4, 2)), S=S, A=A, tasks=("a", "b", "c"))
    assert [tuple(link) for link in graph.feedback] == [(2, 0, -0.5)]
    assert [tuple(link) for link in graph.use] == [(0, 0, 2.0), (0, 1, 1.0)]
    assert graph.giving.tolist() == [0.0, 0.0, 0.5] and graph.receiving.tolist() == [0.5, 0.0]
    assert graph.serving.tolist() == [2.0, 1.0] and graph.using.tolist() == [2, 0, 0]
    edges = {(source, target) for source, target in graph.to_networkx().edges}
    assert edges == {("t2", "z0"), ("z0", "t0"), ("z1", "t0")}


def figures_of_features_are_their_definitions() -> None:
    """Over all rows: ||Z_j||, ||E_j||, and p_t."""
    problem = drawn_problem(price_floor=0.2)
    point = drawn_point(problem)
    found = figures(point)
    Z = np.vstack([task.X for task in problem.tasks]) @ point.L
    E = Z - Z @ point.S @ point.A
    np.testing.assert_allclose(found["sizes"], np.linalg.norm(Z, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["errors"], np.linalg.norm(E, axis=0), rtol=1e-12)
    np.testing.assert_allclose(found["prices"], point.prices)


def orders_of_features_keep_J() -> None:
    """A point and its tasks in another order are the same point; one that is out of order is put back."""
    problem = drawn_problem()
    point, order, inputs = drawn_point(problem), np.array([2, 0, 3, 1]), np.array([4, 2, 0, 1, 3])
    moved = arranged(point.blocks, tasks=order, features=inputs)
    for t in range(4):
        np.testing.assert_array_equal(moved["S"][:, t], point.S[:, order[t]])
        np.testing.assert_array_equal(moved["A"][t], point.A[order[t]])
    np.testing.assert_array_equal(moved["L"], point.L[inputs])
    back = FEATURES.arranged(Found(moved), tasks=np.argsort(order), features=np.argsort(inputs))
    for name, block in point.blocks.items():
        np.testing.assert_array_equal(back.blocks[name], block)


def a_wrong_order_of_features_is_cured_by_what_is_said() -> None:
    """Where columns of S are at the minimum of their tasks, each alone, the order that is told is theirs."""
    problem = drawn_problem(gamma=0.0, alpha=0.0, mu=0.02, k=5)
    base = drawn_point(problem)
    L = np.eye(5)
    S = np.column_stack([_lasso(task.X, task.y, 0.02) for task in problem.tasks])
    blocks = {"L": L, "S": S, "A": np.zeros_like(base.A)}
    order = np.array([1, 2, 3, 0])

    def judge(other: Any) -> Any:
        return SimpleNamespace(passes=np.array_equal(other["S"], S), relative=0.0)

    line = FEATURES.repair(problem, arranged(blocks, tasks=order, features=None), judge=judge)
    assert line is not None and str(np.argsort(order).tolist()) in line


def _lasso(X: np.ndarray, y: np.ndarray, mu: float) -> np.ndarray:
    """argmin of mean (x_i's - y_i)^2 + mu ||s||_1, by proximal gradient."""
    s, step = np.zeros(X.shape[1]), len(y) / (2.0 * np.linalg.norm(X, 2) ** 2)
    for _ in range(3000):
        moved = s - step * 2.0 * X.T @ (X @ s - y) / len(y)
        s = np.sign(moved) * np.maximum(np.abs(moved) - step * mu, 0.0)
    return s


def pixels_stand_where_their_names_say() -> None:
    """Column after column, counted from 1."""
    names = [f"px{r}x{c}" for c in range(1, 4) for r in range(1, 3)]
    raster = raster_of(names)
    assert raster is not None and (raster.rows, raster.columns) == (2, 3)
    np.testing.assert_array_equal(raster.image(np.arange(6.0)), [[0, 2, 4], [1, 3, 5]])
    assert raster_of([f"x_{r}_{c}" for r in range(2) for c in range(2)]) is None
    assert raster_of(names[:5]) is None and raster_of([*names[:5], names[0]]) is None
