"""Another order of tasks and features that would make a foreign point pass is found, if there is one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from cases import random_tasks, tasks_for

from amtl_cvx.alignment import Arrangement, align
from amtl_cvx.certificate import Certificate, certify
from amtl_cvx.losses import Hinge, Logistic, Loss, Poisson, Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer import LossWeightedL1

T, D = 5, 5  # as many features as tasks, so that W has a transpose that fits
TASKS, FEATURES = np.array([3, 0, 4, 1, 2]), np.array([1, 2, 4, 0, 3])

Shuffle = Callable[[Array, Array], tuple[Array, Array]]
SHUFFLES: dict[str, Shuffle] = {
    "B transposed": lambda W, B: (W, B.T),
    "W transposed": lambda W, B: (W.T, B),
    "tasks": lambda W, B: (W[:, TASKS], B[np.ix_(TASKS, TASKS)]),
    "tasks and B transposed": lambda W, B: (W[:, TASKS], B[np.ix_(TASKS, TASKS)].T),
    "columns of W alone": lambda W, B: (W[:, TASKS], B),
    "features": lambda W, B: (W[FEATURES], B),
    "tasks and features": lambda W, B: (W[FEATURES][:, TASKS], B[np.ix_(TASKS, TASKS)]),
}


@pytest.fixture(scope="module")
def fitted() -> tuple[TaskSet, Model, Solution]:
    return solved(Squared(), random_tasks(np.random.default_rng(8), d=D, counts=[30] * T))


def solved(loss: Loss, tasks: TaskSet) -> tuple[TaskSet, Model, Solution]:
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.02), coupling=0.5)
    solution = fit(tasks, model, options=Options(engine="fast"))
    assert solution.certificate.passes
    return tasks, model, solution


def searched(tasks: TaskSet, model: Model, W: Array, B: Array) -> Arrangement | None:
    def judge(found: Arrangement) -> Certificate:
        return certify(Problem(tasks, model).at(found.W, found.B))

    return align(Problem(tasks, model).at(W, B), judge=judge)


@pytest.mark.parametrize("kind", SHUFFLES)
def test_another_order_is_found_and_undone(fitted: tuple[TaskSet, Model, Solution], kind: str) -> None:
    tasks, model, solution = fitted
    assert np.abs(solution.B - solution.B.T).max() > 1e-2
    W, B = SHUFFLES[kind](solution.W, solution.B)
    assert not certify(Problem(tasks, model).at(W, B)).passes
    found = searched(tasks, model, W, B)
    assert found is not None and found.certificate is not None and found.certificate.passes
    np.testing.assert_array_equal(found.W, solution.W)
    np.testing.assert_array_equal(found.B, solution.B)
    if kind == "tasks":  # what the user is told to do with the arrays of the file gives the point back
        order = found.tasks
        assert order is not None and found.with_B and not found.flipped_B
        np.testing.assert_array_equal(W[:, order], solution.W)
        np.testing.assert_array_equal(B[np.ix_(order, order)], solution.B)


@pytest.mark.parametrize("loss", [Logistic(), Poisson(), Hinge()], ids=lambda loss: loss.name)
def test_other_losses(loss: Loss) -> None:
    tasks, model, solution = solved(loss, tasks_for(loss, np.random.default_rng(4), d=3, counts=[25] * 4))
    order = np.array([2, 0, 3, 1])
    found = searched(tasks, model, solution.W[:, order], solution.B[np.ix_(order, order)])
    assert found is not None
    np.testing.assert_array_equal(found.W, solution.W)


def test_nothing_is_found_for_what_is_no_point_in_any_order(
    fitted: tuple[TaskSet, Model, Solution], rng: np.random.Generator
) -> None:
    tasks, model, solution = fitted
    assert searched(tasks, model, rng.normal(size=(D, T)), solution.B) is None
    assert searched(tasks, model, solution.W * (1.0 + 1e-6), solution.B) is None
    assert searched(tasks, model, solution.W, -solution.B) is None


def test_a_point_that_is_only_nearly_one_is_named_too(fitted: tuple[TaskSet, Model, Solution]) -> None:
    tasks, model, solution = fitted
    found = searched(tasks, model, solution.W[:, TASKS] * (1.0 + 1e-6), solution.B[np.ix_(TASKS, TASKS)])
    assert found is not None and found.certificate is not None and not found.certificate.passes
    np.testing.assert_array_equal(found.tasks, np.argsort(TASKS))


def test_the_order_of_learning_moves_with_the_tasks() -> None:
    moved = Arrangement(W=np.eye(3), B=np.zeros((3, 3))).by_tasks(np.array([2, 0, 1]))
    # column 2 of the file is task 0, column 0 task 1, column 1 task 2
    assert moved.learned((2, 0, 1)) == (0, 1, 2) and moved.learned(None) is None
    assert dataclasses.replace(moved, tasks=None).learned((2, 0, 1)) == (2, 0, 1)
