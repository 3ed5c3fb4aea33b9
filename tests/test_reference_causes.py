"""Causes of failed checks: mistakes made here, in plain loops, are named; garbage is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mistaken import alternated, asked, best_B, best_W, empty, losses, slopes, total, weights

from amtl_cvx.reference.judge.asked import Asked
from amtl_cvx.reference.judge.causes import MISTAKES, causes_of
from amtl_cvx.reference.judge.failure import Failure

NAMES = {
    *("transposed B", "incoming for outgoing", "factor 2 in the loss", "factor 2 in the coupling"),
    *(
        "gradient without its factor 2",
        "sum for mean",
        "mean for sum",
        "mean over all rows",
        "no cross terms",
    ),
    *(
        "B rescaled",
        "squared loss in the penalty",
        "other loss in the penalty",
        "diagonal leak",
        "early stop",
    ),
    *("float32 accumulation", "standardisation not undone", "tasks permuted", "features permuted"),
    *("W transposed", "mu ignored", "task weights ignored", "row weights ignored", "B not clipped"),
    *("threshold", "labels flipped", "coupling 0", "norm not squared", "stale losses", "one-row gradients"),
}
"""What tables, pages and the tests of back ends call them."""
Array = np.ndarray[Any, Any]


def named(question: Asked, quantity: Any, limit: Any = 1e-9, **answer: Any) -> list[str]:
    """The causes of a failed check with that answer."""
    parts = {name: np.asarray(value, dtype=float) for name, value in answer.items()}
    failure = Failure(
        check="L0/here", asked=question, problem=None, quantity=quantity, answer=parts, limit=limit
    )
    found = causes_of(failure)
    assert all(cause.fix == MISTAKES[cause.name] and cause.sentence for cause in found)
    return [cause.name for cause in found]


VALUES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "transposed B": ({"seen": lambda B: B.T}, {}),
    "incoming for outgoing": ({"edges": 0}, {}),
    "factor 2 in the loss": ({"own": 0.5}, {}),
    "factor 2 in the coupling": ({"coupling": 0.5}, {}),
    "sum for mean": ({"scale": lambda v: 1.0}, {}),
    "mean for sum": ({"scale": lambda v: 1.0 / v.sum()}, {"reduction": "sum"}),
    "mean over all rows": ({"scale": lambda v: 1.0 / ROWS}, {}),
    "squared loss in the penalty": ({"price": lambda value: value**2}, {}),
    "mu ignored": ({"mu": 0.0}, {}),
    "row weights ignored": ({"weights": False, "scale": lambda v: 1.0 / len(v)}, {}),
    "coupling 0": ({"coupling": 0.0}, {}),
    "norm not squared": ({"power": 1.0}, {}),
    "one-row gradients": ({"first": True}, {}),
    "labels flipped": ({"row": lambda z, y: np.log1p(np.exp(y * z))}, {"loss": "logistic"}),
}
"""What J becomes, and for which loss."""
ROWS = sum(float(weights.sum()) for weights in asked("evaluate").sample_weight or [])


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.sampled(4)
def test_values_and_gradients_of_a_mistake_name_it(name: str) -> None:
    mistake, model = VALUES[name]
    question = asked("evaluate", **model)
    W, B = question.W, question.B
    assert named(question, "objective", objective=total(question, W, B, **mistake)) == [name]
    of_W = slopes(lambda V: total(question, V, B, **mistake), W)
    of_B = slopes(lambda C: total(question, W, C, **mistake), B)
    assert name in named(question, "gradient_W", 1e-6, gradient_W=of_W)
    assert name in named(question, "gradient_B", 1e-6, gradient_B=of_B) or name == "one-row gradients"


def test_a_right_objective_beside_a_gradient_rules_out_another_formula() -> None:
    question = asked("evaluate")
    W, B = question.W, question.B
    J = total(question, W, B)
    halved = slopes(lambda V: total(question, V, B, coupling=0.5), W)
    assert named(question, "gradient_W", 1e-6, gradient_W=halved, objective=J) == [
        "gradient without its factor 2"
    ]
    other = total(question, W, B, coupling=0.5)
    both = named(question, "gradient_W", 1e-6, gradient_W=halved, objective=other)
    assert both == ["factor 2 in the coupling"]


def test_labels_as_numbers_and_other_losses_in_the_penalty() -> None:
    question = asked("evaluate", loss="logistic")
    W, B = question.W, question.B
    raw = total(question, W, B, row=lambda z, y: np.log1p(np.exp(-np.maximum(y, 0.0) * z)))
    assert named(question, "objective", objective=raw) == ["labels flipped"]
    J = total(question, W, B, mu=0.0)
    for t in range(4):
        v = question.sample_weight[t] if question.sample_weight else np.ones(1)
        squares = float(v @ (question.X[t] @ W[:, t] - question.y[t]) ** 2 / v.sum())
        J += question.mu * question.task_weights[t] * squares * float(B[t].sum())
    assert named(question, "objective", objective=J) == ["other loss in the penalty"]


def test_task_weights_and_two_mistakes_at_once() -> None:
    question = asked("evaluate")
    bare = replace(question, task_weights=np.ones(4))
    W, B = question.W, question.B
    assert named(question, "objective", objective=total(bare, W, B)) == ["task weights ignored"]
    both = named(question, "objective", objective=total(question, W, B, edges=0, coupling=0.5))
    assert sorted(both) == ["factor 2 in the coupling", "incoming for outgoing"]


# ---------------------------------------------------------------------------------------------- steps


@pytest.mark.slow
def test_a_wrong_step_in_W_is_explained() -> None:
    question = asked("w-step")
    B = question.B
    a = weights(question, B)
    answers = {
        "incoming for outgoing": best_W(question, B, weights(question, B, axis=0)),
        "no cross terms": best_W(question, B, a, cross=False),
        "transposed B": best_W(question, B.T, a),
        "mu ignored": best_W(question, B, weights(question, B, mu=0.0)),
        "coupling 0": best_W(question, B, a, coupling=1e-300),
        "tasks permuted": best_W(question, B, a)[:, [1, 2, 3, 0]],
        "features permuted": best_W(question, B, a)[[2, 0, 1]],
        "W transposed": best_W(question, B, a).T.reshape(3, 4),
        "task weights ignored": best_W(question, B, a / question.task_weights),
        "float32 accumulation": best_W(question, B, a).astype(np.float32),
    }
    assert {name: named(question, "w_step", W=W) for name, W in answers.items()} == {
        name: [name] for name in answers
    }
    doubled = named(question, "w_step", W=best_W(question, B, a, coupling=2.0))
    assert {"factor 2 in the coupling", "factor 2 in the loss", "gradient without its factor 2"} == set(
        doubled
    )


def test_a_step_in_W_in_standardised_features_is_explained() -> None:
    question = asked("w-step")
    rows = np.vstack(question.X)
    spread = rows.std(axis=0)
    inside = replace(question, X=[(X - rows.mean(axis=0)) / spread for X in question.X])
    W = best_W(inside, question.B, weights(question, question.B))
    assert named(question, "w_step", W=W) == ["standardisation not undone"]
    assert named(question, "w_step", W=W / spread[:, None]) == ["standardisation not undone"]


def test_a_step_of_one_task_is_explained() -> None:
    question = asked("one-task", task=1)
    B, W = question.B, question.W
    a = weights(question, B)

    def value(w: Array, cross: bool) -> float:
        V = W.copy()
        V[:, 1] = w
        own = question.task_weights[1] and a[1] * losses(question, V)[1]
        R = V - V @ B
        held = (R**2).sum() if cross else (R[:, 1] ** 2).sum()
        return float(own + question.coupling * held)

    def solved(cross: bool) -> Array:
        f = lambda w: value(w, cross)  # noqa: E731
        g = slopes(f, np.zeros(3))
        H = np.column_stack([slopes(f, column) - g for column in np.eye(3)])
        return np.linalg.solve(H, -g)

    assert named(question, "one_task", w=solved(False)) == ["no cross terms"]
    other = best_W(question, B, a)
    question = replace(question, W=other)
    assert named(question, "one_task", w=other[:, 2]) == ["tasks permuted"]


@pytest.mark.slow
def test_a_wrong_step_in_B_is_explained() -> None:
    question = asked(
        "b-step", W=asked("b-step").W + np.array([[0.0, 0.5, 0.0, 0.0], [0.0] * 4, [0.0, 0.0, 0.5, 0.0]])
    )
    W = question.W
    right, free = best_B(question, W), best_B(question, W, free=True)
    assert (right > 0.0).sum() >= 4 and (free < 0.0).any()
    rows = right.sum(axis=1, keepdims=True)
    answers = {
        "transposed B": right.T,
        "B not clipped": free,
        "diagonal leak": right + 0.5 * np.eye(4),
        "B rescaled": right / np.where(rows > 0.0, rows, 1.0),
        "tasks permuted": right[np.ix_([1, 2, 3, 0], [1, 2, 3, 0])],
        "mu ignored": best_B(question, W, mu=0.0),
        "coupling 0": np.zeros((4, 4)),
    }
    assert {name: named(question, "b_step", B=B) for name, B in answers.items()} == {
        name: [name] for name in answers
    }
    assert named(question, "b_step", B=np.maximum(free, 0.0)) == ["B not clipped"]
    assert named(question, "b_step", B=right * (4.0 / right.sum())) == ["B rescaled"]
    assert "threshold" in named(question, "b_step", B=best_B(question, W, price=2.0))


# ----------------------------------------------------------------------------------- fits and rounds


@pytest.mark.slow
def test_a_wrong_final_point_is_explained() -> None:
    question = empty("fit")
    W, B, _ = alternated(question, 3000)
    assert (B > 0.0).sum() >= 4
    assert named(question, "fit", 1e-8, W=W, B=B.T) == ["transposed B"]
    order = np.array([2, 0, 3, 1])
    assert named(question, "fit", 1e-8, W=W[:, order], B=B[np.ix_(order, order)]) == ["tasks permuted"]
    assert named(question, "fit", 1e-8, W=W[[1, 2, 0]], B=B) == ["features permuted"]
    assert named(question, "fit", 1e-8, W=W, B=4.0 * B / B.sum()) == ["B rescaled"]
    for name, mistake in (("incoming for outgoing", {"axis": 0}), ("threshold", {"price": 2.0})):
        V, C, _ = alternated(question, 3000, **mistake)
        assert named(question, "fit", 1e-8, W=V, B=C) == [name]
    V, C, _ = alternated(question, 4)
    assert named(question, "fit", 1e-8, W=V, B=C) == ["early stop"]


def test_a_first_order_point_of_another_basin_has_no_mistake() -> None:
    question = empty("fit")
    W, B, _ = alternated(question, 3000)
    assert named(question, "fit", 1e-8, W=W, B=B) == []


@pytest.mark.slow
def test_wrong_objectives_of_half_steps_are_explained() -> None:
    question = empty("rounds", count=3)
    for name, mistake in (
        ("incoming for outgoing", {"axis": 0}),
        ("threshold", {"price": 2.0}),
        ("stale losses", {"stale": True}),
    ):
        assert named(question, "rounds", objectives=alternated(question, 3, **mistake)[2]) == [name]


def test_an_early_stop_of_a_step_is_on_its_way() -> None:
    question = asked("w-step")
    B, W = question.B, np.zeros((3, 4))
    for _ in range(20):
        W = W - 0.02 * slopes(lambda V: total(question, V, B), W)
    assert named(question, "w_step", W=W) == ["early stop"]


# -------------------------------------------------------------------------------------------- garbage


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))])
@pytest.mark.slow
def test_garbage_is_not_explained(seed: int) -> None:
    rng = np.random.default_rng(seed)
    question = asked("evaluate")
    W, B = rng.standard_normal((3, 4)), np.abs(rng.standard_normal((4, 4)))
    np.fill_diagonal(B, 0.0)
    right = total(question, question.W, question.B)
    assert named(question, "objective", objective=right * math.exp(rng.standard_normal())) == []
    assert named(question, "gradient_W", gradient_W=W) == []
    assert named(question, "gradient_B", gradient_B=rng.standard_normal((4, 4))) == []
    assert named(question, "losses", losses=np.abs(W[0])) == []
    assert named(asked("w-step"), "w_step", W=W) == []
    assert named(asked("b-step"), "b_step", B=B) == []
    assert named(asked("one-task", task=2), "one_task", w=W[:, 0]) == []
    assert named(empty("fit"), "fit", 1e-8, W=W, B=B) == []
    fallen = right * np.sort(np.exp(rng.standard_normal(6)))[::-1]
    assert named(empty("rounds", count=3), "rounds", objectives=fallen) == []


@pytest.mark.slow
def test_noise_on_a_right_answer_is_not_explained() -> None:
    question, rng = asked("w-step"), np.random.default_rng(3)
    W = best_W(question, question.B, weights(question, question.B))
    assert [named(question, "w_step", W=W + 1e-3 * rng.standard_normal(W.shape)) for _ in range(5)] == [
        []
    ] * 5


def test_every_mistake_has_its_name() -> None:
    assert set(MISTAKES) == NAMES
