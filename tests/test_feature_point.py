"""A point of shared features: J straight from its definition, gradients by finite differences, rows once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.losses import make_loss
from amtl_cvx.tasks import TaskSet

COUNTS = (7, 4, 9)
D, K, T = 4, 3, 3
WEIGHTS: dict[str, Any] = {"mu": 0.3, "alpha": 0.7, "gamma": 0.4, "decay": 0.2, "price_floor": 0.05}


def tasks_for(loss: str, seed: int = 0, *, shared: bool = False) -> TaskSet:
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(n, D)) for n in COUNTS]
    X = [X[0]] * T if shared else X
    y = [part @ rng.normal(size=D) + rng.normal(size=len(part)) for part in X]
    if make_loss(loss).classification:
        y = [np.where(part > np.median(part), 1.0, -1.0) for part in y]
    return TaskSet.from_arrays(X, y)


def drawn(problem: FeatureProblem, seed: int = 1, *, lowest: float = 0.1) -> FeaturePoint:
    """A point none of whose entries of S and A is near 0."""
    rng = np.random.default_rng(seed)
    blocks = {
        name: rng.choice([-1.0, 1.0], size=shape) * (lowest + rng.random(shape))
        for name, shape in problem.shapes.items()
    }
    if "A" in blocks and not problem.model.signed:
        blocks["A"] = np.abs(blocks["A"])
    return problem.at(**blocks)


def defined(point: FeaturePoint) -> float:
    """J by loops over tasks, rows and entries, straight from its definition; no row is shared."""
    model, tasks = point.model, point.tasks
    L, S, A = point.L, point.S, point.A
    c, J = np.asarray(model.task_weight(tasks)), 0.0
    counts = np.array([task.n for task in tasks])
    N = sum(len(task.y) for task in tasks)
    for t, task in enumerate(tasks):
        values = [
            float(model.loss.rows(np.array([x @ L @ S[:, t]]), np.array([y]))[0])
            for x, y in zip(task.X, task.y, strict=True)
        ]
        loss = sum(values) / (task.n if model.loss.reduction == "mean" else 1.0)
        given = sum(abs(a) for a in A[t])
        floor = model.price_floor / np.sqrt(task.n / counts.mean())
        J += (1.0 + model.alpha * given) * c[t] * loss + model.alpha * floor * given
        gamma = model.gamma / N if model.gamma_per == "row" else model.gamma
        for x in task.X:
            z = x @ L
            J += gamma * sum((z - z @ S @ A) ** 2)
    return J + model.mu * sum(map(abs, S.ravel())) + model.decay * sum(L.ravel() ** 2)


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.7", "squared-hinge"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_J_is_what_its_definition_says(loss: str, reduction: str) -> None:
    tasks = tasks_for(loss)
    for settings in (
        {},
        {"gamma_per": "row"},
        {"task_weights": (0.5, 1.0, 2.0), "feedback": "nonnegative"},
        {"task_weights": "inverse-sqrt"},
    ):
        given = {**WEIGHTS, **settings}
        model = FeatureModel(loss=make_loss(loss, reduction=reduction), features=K, **given)
        point = drawn(FeatureProblem(tasks, model))
        assert point.objective == pytest.approx(defined(point), rel=1e-12)
        assert point.problem.compressed().at(**point.blocks).objective == pytest.approx(
            point.objective, rel=1e-12
        )
    go = drawn(FeatureProblem(tasks, GoMtlModel(loss=model.loss, features=K, mu=0.3, decay=0.2)))
    assert go.objective == pytest.approx(defined(go), rel=1e-12) and tuple(go.blocks) == ("L", "S")


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.7", "squared-hinge"])
@pytest.mark.parametrize("feedback", ["signed", "nonnegative"])
def test_gradients_are_those_of_finite_differences(loss: str, feedback: str) -> None:
    """Central differences of J; with the slopes of the prices added, for no entry is 0."""
    model = FeatureModel(loss=loss, features=K, feedback=feedback, **WEIGHTS)
    point, h = drawn(FeatureProblem(tasks_for(loss), model)), 1e-5
    slopes = {
        "L": point.gradient_L,
        "S": point.gradient_S + model.mu * np.sign(point.S),
        "A": point.gradient_A + point.prices[:, None] * np.sign(point.A),
    }
    for name, array in point.blocks.items():
        for place in itertools.product(*map(range, array.shape)):
            J = []
            for step in (h, -h):
                moved = array.copy()
                moved[place] += step
                J.append(point.at(**{name: moved}).objective)
            found = slopes[name][place]
            assert (J[0] - J[1]) / (2 * h) == pytest.approx(found, rel=1e-7, abs=1e-7), (name, place)


def test_a_point_that_differs_in_a_block_keeps_what_is_true_of_it() -> None:
    """Every figure of a point reached by `at` is that of the same point made anew."""
    problem = FeatureProblem(tasks_for("logistic"), FeatureModel(loss="logistic", features=K, **WEIGHTS))
    first, second = drawn(problem, 1), drawn(problem, 2)
    figures = [name for name, value in vars(FeaturePoint).items() if hasattr(value, "func")]
    for point in (first, second):
        for name in figures:
            getattr(point, name)
    for names in ("L", "S", "A", "LS", "LA", "SA", "LSA"):
        moved = first.at(**{name: second.blocks[name] for name in names})
        fresh = problem.at(**moved.blocks)
        for name in figures:
            if name != "scores":
                np.testing.assert_array_equal(getattr(moved, name), getattr(fresh, name), err_msg=name)


def test_rows_that_tasks_share_are_reconstructed_once() -> None:
    model = FeatureModel(features=K, **WEIGHTS)
    tasks = tasks_for("squared", shared=True)
    copies = TaskSet.from_arrays([task.X.copy() for task in tasks], [task.y for task in tasks])
    for each in (tasks, copies):
        problem = FeatureProblem(each, model)
        np.testing.assert_allclose(problem.reconstruction.gram, tasks[0].X.T @ tasks[0].X, rtol=1e-12)
        assert problem.reconstruction.rows == COUNTS[0]
    s, V = problem.reconstruction.spectrum
    np.testing.assert_allclose((V * s) @ V.T, problem.reconstruction.gram, atol=1e-12)
    row = FeatureProblem(tasks, replace(model, gamma_per="row"))
    assert row.gamma == model.gamma / COUNTS[0] and problem.gamma == model.gamma


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mu": 0.0}, "mu must be > 0"),
        ({"mu": None}, "mu must be a number"),
        ({"alpha": -1.0}, "alpha must be a number >= 0"),
        ({"gamma": float("nan")}, "gamma must be"),
        ({"features": 0}, "whole number >= 1"),
        ({"features": 2.5}, "whole number >= 1"),
        ({"features": None}, "how many to learn"),
        ({"features": True}, "how many to learn"),
        ({"feedback": "both"}, "feedback must be one of"),
        ({"activation": "tanh"}, "activation must be one of"),
        ({"loss": "hinge"}, "has kinks"),
        ({"decay": 0.0, "alpha": 0.0, "gamma": 0.0}, "decay must be > 0"),
        ({"task_weights": (1.0, -1.0)}, "positive"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as told:
        FeatureModel(**{"features": K, **WEIGHTS, **settings})
    assert "\n" not in str(told.value)
    assert FeatureModel(features=K, mu=0.3, decay=0.1).alpha == 1.0  # as on the command line
    with pytest.raises(ModelError, match="GO-MTL has no alpha"):
        GoMtlModel(features=2, mu=1.0, decay=1.0, alpha=1.0)
    for ignored in ({"feedback": "nonnegative"}, {"gamma_per": "row"}, {"reconstruct": "labelled"}):
        with pytest.raises(ModelError, match=f"GO-MTL has no {next(iter(ignored))}"):
            GoMtlModel(features=2, mu=1.0, decay=1.0, **ignored)


def test_blocks_that_do_not_fit_are_refused() -> None:
    problem = FeatureProblem(tasks_for("squared"), FeatureModel(features=K, **WEIGHTS))
    blocks = dict(drawn(problem).blocks)
    for wrong, words in (
        ({**blocks, "L": blocks["L"].T}, "L must have shape"),
        ({**blocks, "A": blocks["A"] * np.nan}, "A must be finite"),
        ({"L": blocks["L"], "S": blocks["S"]}, "expected the blocks L, S, A"),
    ):
        with pytest.raises(DataError, match=words):
            problem.at(**wrong)
    with pytest.raises(DataError, match="needs the rows"):
        FeatureModel(loss="logistic", features=K, **WEIGHTS).check(problem.compressed().tasks)
    with pytest.raises(DataError, match="task weights"):
        FeatureModel(features=K, **WEIGHTS, task_weights=(1.0, 1.0)).check(problem.tasks)
