"""Causes of failed checks: mistakes made here, in plain loops, are named; garbage is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.losses import make_loss
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


def asked(ask: str, *, loss: str = "squared", reduction: str = "mean", **given: Any) -> Asked:
    """Four tasks of different sizes, three features, weights of rows and tasks; edges everywhere."""
    rng = np.random.default_rng(7)
    sizes, d = (4, 6, 7, 5), 3
    X = [rng.integers(-16, 17, (n, d)) / 8.0 for n in sizes]
    W = rng.integers(4, 17, (d, 1)) / 8.0 + rng.integers(-4, 5, (d, 4)) / 8.0
    y = [x @ w + rng.integers(-2, 3, len(x)) / 8.0 for x, w in zip(X, W.T, strict=True)]
    if loss != "squared":
        y = [np.where(each > np.median(each), 1.0, -1.0) for each in y]
    tasks = TaskSet.from_arrays(X, y, sample_weight=[rng.integers(1, 4, n).astype(float) for n in sizes])
    model = Model(
        loss=make_loss(loss, reduction=reduction),
        transfer=LossWeightedL1(mu=0.0625 if reduction == "mean" else 0.015625),
        coupling=0.75,
        task_weights=(1.0, 1.5, 0.75, 2.0),
    )
    B = rng.integers(1, 7, (4, 4)) / 16.0
    np.fill_diagonal(B, 0.0)
    points = {"W": W + rng.integers(-2, 3, (d, 4)) / 8.0, "B": B, **given}
    return Asked.of(Problem(tasks, model), ask, **points)


def named(question: Asked, quantity: Any, limit: Any = 1e-9, **answer: Any) -> list[str]:
    """The causes of a failed check with that answer."""
    parts = {name: np.asarray(value, dtype=float) for name, value in answer.items()}
    failure = Failure(
        check="L0/here", asked=question, problem=None, quantity=quantity, answer=parts, limit=limit
    )
    found = causes_of(failure)
    assert all(cause.fix == MISTAKES[cause.name] and cause.sentence for cause in found)
    return [cause.name for cause in found]


def total(
    question: Asked,
    W: Array,
    B: Array,
    *,
    row: Callable[[Array, Array], Array] | None = None,
    scale: Callable[[Array], float] | None = None,
    price: Callable[[float], float] = lambda value: value,
    edges: int = 1,
    mu: float | None = None,
    own: float = 1.0,
    coupling: float = 1.0,
    power: float = 2.0,
    seen: Callable[[Array], Array] = lambda B: B,
    weights: bool = True,
    first: bool = False,
) -> float:
    """J as it is written, with places for mistakes."""
    losses = []
    for t in range(question.T):
        X, y = question.X[t], question.y[t]
        v = np.ones(len(y)) if question.sample_weight is None else question.sample_weight[t]
        v = v if weights else np.ones(len(y))
        z = X @ W[:, t]
        phi = _row(question, row)(z, y)
        by = (1.0 / v.sum() if question.reduction == "mean" else 1.0) if scale is None else scale(v)
        losses.append(own * (float(phi[0]) if first else float(by * (v @ phi))))
    mu = question.mu if mu is None else mu
    c, out = question.task_weights, B.sum(axis=edges)
    J = sum(c[t] * (losses[t] + mu * price(losses[t]) * out[t]) for t in range(question.T))
    R = W - W @ seen(B)
    return float(J + coupling * question.coupling * np.sqrt((R**2).sum()) ** power)


def _row(question: Asked, row: Callable[[Array, Array], Array] | None) -> Callable[[Array, Array], Array]:
    if row is not None:
        return row
    if question.loss == "squared":
        return lambda z, y: (z - y) ** 2
    return lambda z, y: np.log1p(np.exp(-y * z))


def slopes(value: Callable[[Array], float], at: Array) -> Array:
    """Central differences."""
    found = np.zeros_like(at)
    for place in np.ndindex(*at.shape):
        moved = np.zeros_like(at)
        moved[place] = 2.0**-14
        found[place] = (value(at + moved) - value(at - moved)) / 2.0**-13
    return found


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


def best_W(question: Asked, B: Array, a: Array, *, cross: bool = True, coupling: float = 1.0) -> Array:
    """The W-step of the squared loss in one system of equations."""
    d, T = question.W.shape
    M = np.eye(T) - B
    H = np.kron(coupling * question.coupling * (M @ M.T if cross else M.T), np.eye(d))
    right = np.zeros(d * T)
    for t in range(T):
        v = question.sample_weight[t] if question.sample_weight else np.ones(len(question.y[t]))
        part, own = slice(t * d, t * d + d), a[t] * v / v.sum()
        H[part, part] += question.X[t].T @ (own[:, None] * question.X[t])
        right[part] = question.X[t].T @ (own * question.y[t])
    return np.linalg.solve(H, right).reshape(T, d).T


def weights(question: Asked, B: Array, axis: int = 1, mu: float | None = None) -> Array:
    """a_t."""
    found: Array = question.task_weights * (1.0 + (question.mu if mu is None else mu) * B.sum(axis=axis))
    return found


def best_B(question: Asked, W: Array, *, price: float = 1.0, mu: float = 1.0, free: bool = False) -> Array:
    """The B-step: each column a problem of non-negative least squares, the prices as further rows."""
    T, found = question.T, np.zeros((question.T, question.T))
    p = mu * question.mu * question.task_weights * losses(question, W) * price
    for t in range(T):
        others = [s for s in range(T) if s != t]
        A, q = W[:, others], W[:, others].T @ W[:, t] - p[others] / (2.0 * question.coupling)
        if free:
            found[others, t] = np.linalg.pinv(A.T @ A) @ q
            continue
        L = np.linalg.cholesky(A.T @ A + 1e-13 * np.eye(T - 1))
        found[others, t] = nnls(L.T, np.linalg.solve(L, q), maxiter=1000)[0]
    return found


def losses(question: Asked, W: Array) -> Array:
    """l_t of the squared loss."""
    found = []
    for t in range(question.T):
        v = question.sample_weight[t] if question.sample_weight else np.ones(len(question.y[t]))
        found.append(float(v @ (question.X[t] @ W[:, t] - question.y[t]) ** 2 / v.sum()))
    return np.array(found)


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


def alternated(question: Asked, rounds: int, **mistakes: Any) -> tuple[Array, Array, list[float]]:
    """Exact half-steps from B, some with a mistake."""
    W, B, said = question.W, question.B, []
    axis, price, stale = mistakes.get("axis", 1), mistakes.get("price", 1.0), mistakes.get("stale", False)
    for _ in range(rounds):
        before, last = W, B
        W = best_W(question, B, weights(question, B, axis=axis))
        said.append(total(question, W, B))
        ratio = losses(question, before) / losses(question, W) if stale else np.ones(4)
        B = best_B(question, W, price=price * ratio)
        said.append(total(question, W, B))
        if np.abs(B - last).max() < 1e-14:
            break
    return W, B, said


def empty(ask: str, **given: Any) -> Asked:
    """Begun at the empty graph."""
    return asked(ask, B=np.zeros((4, 4)), **given)


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


@pytest.mark.parametrize("seed", range(8))
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


def test_noise_on_a_right_answer_is_not_explained() -> None:
    question, rng = asked("w-step"), np.random.default_rng(3)
    W = best_W(question, question.B, weights(question, question.B))
    assert [named(question, "w_step", W=W + 1e-3 * rng.standard_normal(W.shape)) for _ in range(5)] == [
        []
    ] * 5


def test_every_mistake_has_its_name() -> None:
    assert set(MISTAKES) == NAMES
