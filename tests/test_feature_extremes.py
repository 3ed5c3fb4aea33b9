"""Shared features at their edges: one task, one row, more features than columns, rows twice, any unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem
from amtl_cvx.tasks import TaskSet

MODEL = FeatureModel(features=2, mu=0.05, alpha=0.3, gamma=0.2, decay=0.05)


def drawn(*, d: int = 3, T: int = 3, n: int = 8, loss: str = "squared", seed: int = 0) -> TaskSet:
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, d)) for _ in range(T)]
    y = [part @ rng.normal(size=d) + rng.normal(size=n) for part in X]
    if loss in ("logistic", "squared-hinge"):
        y = [np.where(np.arange(n) == 0, 1.0, np.where(part > 0.0, 1.0, -1.0)) for part in y]
    return TaskSet.from_arrays(X, y)


def somewhere(problem: FeatureProblem, seed: int = 1) -> FeaturePoint:
    rng = np.random.default_rng(seed)
    return problem.at(**{name: rng.normal(size=shape) for name, shape in problem.shapes.items()})


def mapped(
    tasks: TaskSet, x: Callable[[np.ndarray], np.ndarray], y: Callable[[np.ndarray], np.ndarray]
) -> TaskSet:
    return TaskSet.from_arrays([x(task.X) for task in tasks], [y(task.y) for task in tasks])


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.7", "squared-hinge"])
def test_rows_twice_are_twice_in_the_reconstruction_alone(loss: str) -> None:
    """Losses are means; a sum over twice the rows is gamma twice, and gamma per row stays."""
    tasks, model = drawn(loss=loss), replace(MODEL, loss=loss)
    twice = mapped(tasks, lambda X: np.repeat(X, 2, axis=0), lambda y: np.repeat(y, 2))
    point = somewhere(FeatureProblem(tasks, replace(model, gamma=2.0 * model.gamma)))
    other = FeatureProblem(twice, model).at(**point.blocks)
    per_row = [
        FeatureProblem(each, replace(model, gamma_per="row")).at(**point.blocks) for each in (tasks, twice)
    ]
    for one, two in ((point, other), per_row):
        np.testing.assert_allclose(two.terms, one.terms, rtol=1e-12)
        for name in ("gradient_L", "gradient_S", "gradient_A", "prices"):
            np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-12, 1e-4, 1e6, 1e12])
def test_the_unit_of_the_features_is_one_of_L(unit: float) -> None:
    """X times u, L over u, decay times u^2: the same J."""
    tasks, point = drawn(), somewhere(FeatureProblem(drawn(), MODEL))
    other = FeatureProblem(
        mapped(tasks, lambda X: unit * X, np.copy), replace(MODEL, decay=unit**2 * MODEL.decay)
    )
    moved = other.at(**{**point.blocks, "L": point.L / unit})
    np.testing.assert_allclose(moved.terms, point.terms, rtol=1e-12)
    np.testing.assert_allclose(moved.gradient_L / unit, point.gradient_L, rtol=1e-10)
    for name in ("gradient_S", "gradient_A"):
        np.testing.assert_allclose(getattr(moved, name), getattr(point, name), rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-8, 1e-3, 1e5, 1e10])
def test_the_unit_of_the_targets_is_one_of_L_and_the_prices(unit: float) -> None:
    """y and L times u: u^2 J, where mu is times u^2 and alpha over ... stays, for p_t is a loss."""
    tasks, point = drawn(), somewhere(FeatureProblem(drawn(), MODEL))
    other = FeatureProblem(mapped(tasks, np.copy, lambda y: unit * y), replace(MODEL, mu=unit**2 * MODEL.mu))
    moved = other.at(**{**point.blocks, "L": unit * point.L})
    np.testing.assert_allclose(np.array(moved.terms) / unit**2, point.terms, rtol=1e-12)
    np.testing.assert_allclose(moved.gradient_L / unit, point.gradient_L, rtol=1e-10)
    for name in ("gradient_S", "gradient_A", "prices"):
        np.testing.assert_allclose(getattr(moved, name) / unit**2, getattr(point, name), rtol=1e-10)
