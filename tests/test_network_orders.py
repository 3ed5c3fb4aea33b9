"""A network in another order: by names the same point, without them found because the point then passes."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from network_blocks import MODELS, WEIGHTS, Blocks, T, drawn, made, sizes
from sklearn.linear_model import Lasso

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.families import Found
from amtl_cvx.network import NetworkProblem, orders
from amtl_cvx.network.family import NETWORK


@pytest.mark.parametrize("model", MODELS, ids=sizes)
def test_tasks_and_features_in_another_order_are_the_same_point(model: NetworkModel) -> None:
    tasks, blocks = made(), drawn(model)
    J = NetworkProblem(tasks, model).at(**blocks).objective
    order, inputs = np.array([2, 0, 1]), np.array([3, 1, 4, 0, 2])
    other = tasks.with_features([f"x{j}" for j in inputs])
    other = TaskSet(tasks=tuple(other.tasks[t] for t in order), feature_names=other.feature_names)
    found = NETWORK.arranged(Found(blocks), tasks=order, features=inputs).blocks
    assert NetworkProblem(other, model).at(**found).objective == pytest.approx(J, rel=1e-12)
    assert NETWORK.arranged(Found(blocks), tasks=None, features=None).blocks.keys() == blocks.keys()


def lasso_point(model: NetworkModel, tasks: TaskSet) -> Blocks:
    """Layers that are drawn, A = 0, and S that is best for them: mean (y - Z s)^2 + mu |s|, task by task."""
    blocks = drawn(model, tasks=tasks)
    rows = NetworkProblem(tasks, model).at(**blocks)
    Z, own = rows.features, rows.problem.rows
    for t in range(tasks.T):
        at = own.task == t
        fitter = Lasso(alpha=model.mu / 2, fit_intercept=False, tol=1e-14, max_iter=10**6)
        blocks["S"][:, t] = fitter.fit(Z[own.row[at]], own.y[at]).coef_
    return {**blocks, "A": np.zeros_like(blocks["A"])}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_tasks_in_an_order_that_no_one_says_are_found(order: tuple[int, ...]) -> None:
    """By the conditions of S alone: the judge here passes the one point that is right."""
    tasks, model = made(counts=(40, 30, 35)), NetworkModel(layers=(6, 4), mu=0.05, alpha=0.5, decay=0.1)
    problem, right = NetworkProblem(tasks, model), lasso_point(model, tasks)
    J = problem.at(**right).objective
    right["A"] = np.zeros((T, 4))

    def judge(blocks: Any) -> Any:
        return SimpleNamespace(passes=abs(problem.at(**blocks).objective - J) < 1e-9 * J, relative=0.0)

    moved = orders.arranged(right, tasks=np.array(order), features=None)
    line = NETWORK.repair(problem, moved, judge=judge)
    back = np.argsort(order).tolist()
    if order == (0, 1, 2):
        assert line is None  # there is nothing to repair, and it is not asked
    else:
        assert line is not None and f"reorder columns of S and rows of A to {back}" in line


def test_square_blocks_that_are_transposed_are_found() -> None:
    tasks = made(d=T)
    model = NetworkModel(layers=(T, T), **WEIGHTS)
    problem, right = NetworkProblem(tasks, model), drawn(model, tasks=tasks)
    J = problem.at(**right).objective

    def judge(blocks: Any) -> Any:
        return SimpleNamespace(passes=abs(problem.at(**blocks).objective - J) < 1e-9 * J, relative=0.0)

    for names in (("W1",), ("W2", "A"), ("W1", "W2", "S", "A")):
        turned = {name: block.T if name in names else block for name, block in right.items()}
        line = NETWORK.repair(problem, turned, judge=judge)
        assert line is not None and f"next: {' and '.join(names)} " in line and "then it passes" in line
    assert NETWORK.repair(problem, drawn(model, 7, tasks), judge=judge) is None
