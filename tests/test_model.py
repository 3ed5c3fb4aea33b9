"""The model: J against a literal transcription of SPEC section 2, its gradients against differences of J."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import (
    LOSS_CASES,
    NONSMOOTH_CASES,
    WEIGHT_CASES,
    Array,
    central_gradient,
    literal_row,
    loss_id,
    random_tasks,
    random_transfer,
    tasks_for,
    weight_id,
)
from penalty_cases import PENALTY_CASES, penalty_id

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.problem import Model, Point, Problem, make_model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import ElasticNet, LossWeightedL1, TransferPenalty
from amtl_cvx.weights import Ridge

every_loss = pytest.mark.parametrize("loss", (*LOSS_CASES, *NONSMOOTH_CASES), ids=loss_id)
every_weight = pytest.mark.parametrize("weights", WEIGHT_CASES, ids=weight_id)


def literal_loss(tasks: TaskSet, model: Model, W: Array, t: int) -> float:
    """L_t(w_t) row by row, as SPEC section 2 writes it."""
    total = 0.0
    for i in range(len(tasks[t].y)):
        z = math.fsum(tasks[t].X[i, j] * W[j, t] for j in range(tasks.d))
        total += literal_row(model.loss, z, float(tasks[t].y[i]))
    return total / len(tasks[t].y) if model.loss.reduction == "mean" else total


def literal_weight(tasks: TaskSet, model: Model, t: int) -> float:
    if isinstance(model.task_weights, tuple):
        return model.task_weights[t]
    return 1.0 if model.task_weights == "equal" else 1.0 / math.sqrt(len(tasks[t].y))


def literal_objective(tasks: TaskSet, model: Model, W: Array, B: Array) -> float:
    """sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t) + coupling ||W - W B||_F^2 with loops."""
    total = 0.0
    for t in range(tasks.T):
        gives = sum(B[t, u] for u in range(tasks.T))
        total += (1.0 + model.mu * gives) * literal_weight(tasks, model, t) * literal_loss(tasks, model, W, t)
        for j in range(tasks.d):
            total += model.coupling * (W[j, t] - sum(W[j, s] * B[s, t] for s in range(tasks.T))) ** 2
    return total


@every_loss
@every_weight
def test_objective_is_the_literal_sum(
    loss: Loss, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = tasks_for(loss, rng, counts=(4, 9, 14, 3))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.7), coupling=1.3, task_weights=weights)
    W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
    expected = literal_objective(tasks, model, W, B)
    assert model.objective(tasks, W, B) == pytest.approx(expected, rel=1e-13)
    assert sum(model.terms(tasks, W, B)) == pytest.approx(expected, rel=1e-13)
    assert model.losses(tasks, W) == pytest.approx(
        [literal_loss(tasks, model, W, t) for t in range(4)], rel=1e-13
    )
    assert model.objective(model.compress(tasks), W, B) == pytest.approx(expected, rel=1e-12)


@pytest.mark.sampled(2)
@every_loss
@every_weight
def test_gradients_are_differences_of_the_objective(
    loss: Loss, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = tasks_for(loss, rng, counts=(4, 9, 14, 3))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.7), coupling=1.3, task_weights=weights)
    W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
    slope_W = central_gradient(lambda V: literal_objective(tasks, model, V, B), W)
    assert np.abs(model.gradient_W(tasks, W, B) - slope_W).max() <= 1e-7 * np.abs(slope_W).max()
    slope_B = central_gradient(lambda C: literal_objective(tasks, model, W, C), B)
    np.fill_diagonal(slope_B, 0.0)
    assert np.abs(model.gradient_B(tasks, W, B) - slope_B).max() <= 1e-7 * np.abs(slope_B).max()


@pytest.mark.sampled(5)
@pytest.mark.parametrize("penalty", PENALTY_CASES, ids=penalty_id)
@every_loss
def test_the_gradient_in_W_holds_for_every_penalty(
    loss: Loss, penalty: TransferPenalty, rng: np.random.Generator
) -> None:
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=penalty, coupling=0.6, task_weights="inverse-sqrt")
    W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
    problem = Problem(tasks, model)
    slope = central_gradient(lambda V: problem.at(V, B).objective, W)
    assert np.abs(model.gradient_W(tasks, W, B) - slope).max() <= 1e-7 * np.abs(slope).max()


def test_one_edge_from_s_to_t_is_charged_to_s_and_helps_t(rng: np.random.Generator) -> None:
    tasks = tasks_for(Squared(), rng)
    model = make_model(mu=0.7, coupling=1.3)
    W, b = rng.normal(size=(tasks.d, tasks.T)), 0.4
    B = np.zeros((4, 4))
    B[0, 1] = b
    losses, squares = model.losses(tasks, W), (W**2).sum(axis=0)
    helped = ((W[:, 1] - b * W[:, 0]) ** 2).sum()
    expected = losses.sum() + 0.7 * b * losses[0] + 1.3 * (squares.sum() - squares[1] + helped)
    assert model.objective(tasks, W, B) == pytest.approx(expected, rel=1e-13)
    helped = ((W[:, 0] - b * W[:, 1]) ** 2).sum()
    turned = losses.sum() + 0.7 * b * losses[1] + 1.3 * (squares.sum() - squares[0] + helped)
    assert model.objective(tasks, W, B.T) == pytest.approx(turned, rel=1e-13)
    assert turned != pytest.approx(expected, rel=1e-3)
    assert model.loss_weight(tasks, B) == pytest.approx([1.0 + 0.7 * b, 1.0, 1.0, 1.0])


def test_inverse_sqrt_on_sums_is_amtl_imbalanced(rng: np.random.Generator) -> None:
    tasks = tasks_for(Squared(), rng, counts=(4, 25))
    model = make_model(mu=0.0, coupling=1.0, reduction="sum", task_weights="inverse-sqrt")
    assert model.task_weight(tasks) == pytest.approx([1 / 2, 1 / 5])
    assert model.task_weight(model.compress(tasks)) == pytest.approx([1 / 2, 1 / 5])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"coupling": -1e-300}, "coupling"),
        ({"coupling": -1.0}, "coupling"),
        ({"coupling": math.nan}, "coupling"),
        ({"coupling": "1"}, "coupling"),
        ({"coupling": True}, "coupling"),
        ({"loss": "huber", "mu": True}, "mu"),
        ({"mu": -0.1}, "mu"),
        ({"loss": "hinge2"}, "unknown loss"),
        ({"transfer": "none"}, "unknown transfer"),
        ({"reduction": "median"}, "reduction"),
        ({"task_weights": "sqrt"}, "task_weights"),
        ({"task_weights": (1.0, 0.0)}, "positive"),
        ({"task_weights": (1.0, math.inf)}, "finite"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        make_model(**({"mu": 0.1, "coupling": 1.0} | settings))  # type: ignore[arg-type]


SMALL = (np.float32(0.5), np.float16(0.5), np.longdouble(0.5), Fraction(1, 2), np.int8(100), np.uint8(200))


@pytest.mark.parametrize("number", SMALL, ids=lambda number: type(number).__name__)
def test_numbers_of_few_bits_are_those_of_64(number: Any, rng: np.random.Generator) -> None:
    """2 coupling of eight bits is -56 for 100, and J of 16 bits has three digits."""
    tasks, W, B = random_tasks(rng), rng.normal(size=(6, 4)), random_transfer(rng, 4)
    terms = (ElasticNet(mu=number, rho=number), Ridge(rho=number))
    plain = (ElasticNet(mu=float(number), rho=float(number)), Ridge(rho=float(number)))
    given, same = (
        Model(transfer=transfer, omega=omega, coupling=coupling)
        for (transfer, omega), coupling in ((terms, number), (plain, float(number)))
    )
    assert given == same and type(given.objective(tasks, W, B)) is type(same.objective(tasks, W, B))
    assert np.array_equal(given.gradient_W(tasks, W, B), same.gradient_W(tasks, W, B))


@pytest.mark.parametrize("make", [lambda mu: LossWeightedL1(mu=mu), lambda rho: Ridge(rho=rho)])
def test_a_whole_number_beyond_all_doubles_is_refused(make: Callable[[int], object]) -> None:
    with pytest.raises(ModelError, match="must be a finite number"):
        make(10**400)


def test_the_model_checks_labels_and_the_number_of_task_weights(rng: np.random.Generator) -> None:
    tasks = tasks_for(Squared(), rng)
    with pytest.raises(DataError, match="expected 4 task weights"):
        make_model(mu=0.1, coupling=1.0, task_weights=(1.0, 2.0)).check(tasks)
    with pytest.raises(DataError, match="labels"):
        make_model(mu=0.1, coupling=1.0, loss="logistic").check(tasks)
    make_model(mu=0.1, coupling=1.0, loss="logistic").check(tasks_for(Logistic(), rng))


def test_a_model_without_its_settings_says_what_to_give() -> None:
    with pytest.raises(ModelError, match=r"transfer must be a penalty such as LossWeightedL1"):
        Model(loss="squared")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="coupling must be a finite number > 0, got None"):
        Model(loss="squared", transfer=LossWeightedL1(mu=0.1))  # type: ignore[arg-type]


def test_a_point_honours_names_and_refuses_masks_and_wrong_shapes_at_every_door(
    rng: np.random.Generator,
) -> None:
    X = [pd.DataFrame(rng.normal(size=(5, 2)), columns=["a", "b"]) for _ in range(3)]
    tasks = TaskSet.from_arrays(X, list(rng.normal(size=(3, 5))), names=["x", "y", "z"])
    problem = Problem(tasks, make_model(mu=0.1, coupling=0.7))
    W, B = rng.normal(size=(2, 3)), random_transfer(rng, 3, 0.5)
    plain = problem.at(W, B)
    named = pd.DataFrame(W, index=["a", "b"], columns=["x", "y", "z"]).loc[["b", "a"], ["z", "x", "y"]]
    for point in (problem.at(named, B), Point(problem, named, B), plain.at(W=named)):
        assert np.array_equal(point.W, W) and point.objective == plain.objective
    for wrong in (W.T, W[:, :2], np.ma.masked_array(W, mask=W > 0.0), W + 1j):
        for door in (
            lambda wrong=wrong: problem.at(wrong, B),
            lambda wrong=wrong: Point(problem, wrong, B),
            lambda wrong=wrong: plain.at(W=wrong),
        ):
            with pytest.raises(DataError):
                door()
