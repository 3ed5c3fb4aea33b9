"""Exploring: a dense grid finds the same points, every start counts once, the order of starts is nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from explored import MODEL, explored, halves, several
from scipy.optimize import minimize
from sklearn.metrics import root_mean_squared_error

from amtl_cvx.amtl.starts import Start
from amtl_cvx.errors import DataError
from amtl_cvx.explore import (
    Landscape,
    Reached,
    distance,
    draw_starts,
    explore,
)
from amtl_cvx.explore.points import connected
from amtl_cvx.losses import Logistic
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.parallel import workers
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Array, TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture
def landscape() -> Landscape:
    return explored()


def opposed() -> TaskSet:
    """Two tasks with one feature whose own slopes have opposite signs: apart, or one turned by the other."""
    x = np.array([[1.0], [2.0], [-1.0], [0.5]])
    return TaskSet.from_arrays(
        [x, x], [x[:, 0] + [0.3, -0.2, 0.1, 0.4], -0.5 * x[:, 0] + [1.0, -0.9, 0.6, 0.2]]
    )


def eliminated(tasks: TaskSet, model: Model, b: Array) -> float:
    """min over W of J for two tasks with one feature, by the normal equations."""
    B = np.array([[0.0, b[0]], [b[1], 0.0]])
    A, h, constant = np.zeros((2, 2)), np.zeros(2), 0.0
    for t, task in enumerate(tasks):
        a = (1.0 + model.mu * B[t].sum()) / len(task.y)
        A[t, t] = a * task.X[:, 0] @ task.X[:, 0]
        h[t] = a * task.X[:, 0] @ task.y
        constant += a * task.y @ task.y
    M = np.eye(2) - B
    w = np.linalg.solve(A + model.coupling * M @ M.T, h)
    return float(constant - h @ w)


def minima_on_a_grid(tasks: TaskSet, model: Model) -> list[float]:
    """Local minima over a dense grid of B, each then followed to its bottom."""
    grid = np.concatenate([np.linspace(0.0, 3.0, 61), np.linspace(3.2, 12.0, 45)])
    values = np.array([[eliminated(tasks, model, np.array([p, q])) for q in grid] for p in grid])
    padded = np.pad(values, 1, constant_values=np.inf)
    near = [np.roll(padded, shift, (0, 1))[1:-1, 1:-1] for shift in np.ndindex(3, 3) if shift != (0, 0)]
    near += [
        np.roll(padded, (-i, -j), (0, 1))[1:-1, 1:-1] for i, j in ((1, 0), (0, 1), (1, 1), (1, -1), (-1, 1))
    ]
    lowest = np.all([values < other for other in near], axis=0)
    found = []
    for i, j in np.argwhere(lowest):
        bottom = minimize(
            lambda b: eliminated(tasks, model, b), [grid[i], grid[j]], bounds=[(0, None)] * 2, tol=1e-14
        )
        found.append(float(bottom.fun))
    return sorted(found)


@pytest.mark.slow
@pytest.mark.parametrize("mu, points", [(0.01, 3), (0.03, 2), (0.1, 1)])
def test_the_points_are_those_of_a_dense_grid(mu: float, points: int, rng: np.random.Generator) -> None:
    tasks, model = opposed(), dataclasses.replace(MODEL, transfer=LossWeightedL1(mu=mu))
    found = explore(tasks, model, draw_starts(tasks, model, 40, rng=rng))
    expected = minima_on_a_grid(tasks, model)
    assert len(expected) == points
    lows = [point.objective for point in found.points if point.second_order == "strict local minimum"]
    np.testing.assert_allclose(lows, expected, rtol=1e-9)
    assert found.best is found.points[0] and found.values == len(found.points)


def test_every_start_is_counted_once(landscape: Landscape) -> None:
    names = [name for point in landscape.points for name in point.starts]
    names += [reached.start for reached in landscape.uncertified]
    assert len(names) == len(set(names)) == landscape.finished == 20
    assert len(landscape.points) > 2 and not landscape.unfinished
    assert [point.objective for point in landscape.points] == sorted(p.objective for p in landscape.points)
    assert {landscape.number_of(name) for name in landscape.points[1].starts} == {2}
    assert landscape.number_of("nobody") is None


def test_points_are_apart_and_certified(landscape: Landscape) -> None:
    assert all(point.solution.certificate.passes for point in landscape.points)
    apart = landscape.distances + np.diag(np.full(len(landscape.points), np.inf))
    np.testing.assert_array_equal(apart, apart.T)
    assert max(point.spread for point in landscape.points) < 1e-6 < 1e-2 < apart.min()


def without_order(landscape: Landscape) -> dict[str, Any]:
    found = landscape.to_dict()
    for row in found["points"]:
        row["starts"] = sorted(row["starts"])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_the_order_of_starts_and_the_executor_change_nothing(engine: Any, rng: np.random.Generator) -> None:
    tasks = several(rng)
    starts, options = draw_starts(tasks, MODEL, 9, rng=rng), Options(engine=engine)
    serial = without_order(explore(tasks, MODEL, starts, options=options))
    assert without_order(explore(tasks, MODEL, starts[::-1], options=options)) == serial
    if engine == "fast":  # `--jobs` of the command is tested with the other one
        with workers(2) as executor:
            assert without_order(explore(tasks, MODEL, starts, options=options, executor=executor)) == serial


def test_validation_errors_are_those_of_the_rows(landscape: Landscape) -> None:
    validation = halves()[1]
    assert landscape.error_name == "rmse"
    for point in landscape.points:
        pairs = zip(validation, point.solution.W.T, strict=True)
        errors = [root_mean_squared_error(task.y, task.X @ w) for task, w in pairs]
        assert point.error == pytest.approx(np.mean(errors), rel=1e-12)
    errors = [point.error or 0.0 for point in landscape.points]
    assert landscape.best_predictor is landscape.points[int(np.argmin(errors))]
    assert landscape.best_predictor is not landscape.best
    assert "The lowest J is not the best predictor" in landscape.describe()


def test_validation_rows_of_some_tasks_are_matched_by_name(rng: np.random.Generator) -> None:
    tasks, model = several(rng), dataclasses.replace(MODEL, coupling=0.5)
    part = dataclasses.replace(tasks, tasks=(tasks[2], tasks[0]))
    (point,) = explore(tasks, model, [Start("zero", np.zeros((4, 4)))], validation=part).points
    W = point.solution.W
    errors = [root_mean_squared_error(tasks[t].y, tasks[t].X @ W[:, t]) for t in (0, 2)]
    assert point.error == pytest.approx(np.mean(errors), rel=1e-12)
    strange = dataclasses.replace(tasks, tasks=(dataclasses.replace(tasks[0], name="nobody"),))
    with pytest.raises(DataError, match="no task is called 'nobody'"):
        explore(tasks, model, [Start("zero", np.zeros((4, 4)))], validation=strange)


@pytest.mark.parametrize("classes", [False, True])
def test_the_error_of_a_classification_is_the_share_that_is_wrong(
    classes: bool, rng: np.random.Generator
) -> None:
    X, label = rng.normal(size=(60, 3)), np.arange(60) % 3
    X[:, 0] += label
    tasks = TaskSet.one_vs_rest(X[:40], label[:40])
    held = TaskSet.one_vs_rest(X[40:], label[40:])
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.1), coupling=0.05)
    starts = [Start("zero", np.zeros((3, 3)))]
    found = explore(tasks, model, starts, validation=held, classes=classes)
    scores = X[40:] @ found.points[0].solution.W
    wrong = [np.mean((scores[:, t] > 0) != (label[40:] == t)) for t in range(3)]
    expected = np.mean(scores.argmax(axis=1) != label[40:]) if classes else np.mean(wrong)
    assert found.error_name == "error rate"
    assert found.points[0].error == pytest.approx(expected, abs=1e-12)
    assert found.best is found.best_predictor and "also has the lowest" in found.describe()


def test_what_does_not_certify_is_listed_apart(rng: np.random.Generator) -> None:
    tasks = several(rng)
    starts = draw_starts(tasks, MODEL, 5, rng=rng)
    short = explore(tasks, MODEL, starts, options=Options(max_rounds=1, refine=False))
    assert short.points == () and short.best is None and short.best_predictor is None
    assert short.values == 0 and short.finished == 5
    assert sorted(reached.start for reached in short.uncertified) == sorted(start.name for start in starts)
    assert [row["point"] for row in short.rows()] == [None] * 5
    assert "5 results without a certificate that passes" in short.describe()
    known = explore(tasks, MODEL, starts)
    mixed = dataclasses.replace(known, uncertified=short.uncertified)
    assert mixed.finished == 10 and mixed.rows()[: len(known.points)] == known.rows()


def moved(solution: Solution, W: Array) -> Solution:
    return dataclasses.replace(solution, blocks={**solution.blocks, "W": W})


def test_distance_is_relative_to_each_predictor(rng: np.random.Generator) -> None:
    solution = fit(several(rng), MODEL)
    shift = np.zeros_like(solution.W)
    shift[:, 1] = 0.01 * np.linalg.norm(solution.W[:, 1]) * np.array([0.6, 0.0, 0.8])
    for unit in (1e-6, 1.0, 1e6):
        first, second = moved(solution, unit * solution.W), moved(solution, unit * (solution.W + shift))
        length = np.linalg.norm(second.W[:, 1]), np.linalg.norm(first.W[:, 1])
        assert distance(first, second) == pytest.approx(unit * np.linalg.norm(shift) / max(length), rel=1e-9)
        assert distance(second, first) == distance(first, second) and distance(first, first) == 0.0
    changed = dataclasses.replace(
        solution, blocks={"W": solution.W, "B": solution.B + 0.1 * (1.0 - np.eye(4))}
    )
    rest = solution.W.sum(axis=1, keepdims=True) - solution.W
    expected = (0.1 * np.linalg.norm(rest, axis=0) / np.linalg.norm(solution.W, axis=0)).max()
    assert distance(solution, changed) == pytest.approx(expected, rel=1e-12)
    nothing = moved(solution, 0.0 * solution.W)
    assert distance(nothing, nothing) == 0.0 and distance(nothing, solution) == pytest.approx(1.0)


def test_two_transfers_of_the_same_reconstruction_are_one_point(rng: np.random.Generator) -> None:
    solution = fit(several(rng), MODEL)
    W = np.column_stack([solution.W[:, 0], solution.W[:, 0], solution.W[:, 2:]])
    B, C = np.zeros((4, 4)), np.zeros((4, 4))
    B[0, 2], C[1, 2] = 0.5, 0.5  # tasks 0 and 1 are the same, so either may teach
    assert distance(*(dataclasses.replace(solution, blocks={"W": W, "B": each}) for each in (B, C))) == 0.0


def test_groups_are_chains_of_near_results(rng: np.random.Generator) -> None:
    """Neighbours within the limit join, also where the ends of the chain are beyond it; J keeps apart."""
    solution = fit(several(rng), MODEL)
    limit, J = 2.0 * np.sqrt(solution.certificate.tol), solution.objective

    def at(step: float, objective: float) -> Solution:
        return dataclasses.replace(
            solution,
            blocks={**solution.blocks, "W": (1.0 + step * limit) * solution.W},
            objective=objective,
        )

    higher = J * (1.0 + 5.0 * solution.certificate.tol)
    results = [at(0.0, J), at(0.9, J), at(1.8, J), at(5.0, J), at(0.9, higher)]
    reached = [Reached(str(place), result) for place, result in enumerate(results)]
    for order in ([0, 1, 2, 3, 4], [2, 0, 3, 1, 4], [3, 2, 1, 0, 4]):
        groups = connected([reached[place] for place in order])
        assert {frozenset(r.start for r in group) for group in groups} == {
            frozenset("012"), frozenset("3"), frozenset("4")
        }  # fmt: skip
