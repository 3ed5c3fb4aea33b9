"""Algorithm 2 against a transcription of SPEC section 6 with loops, and what its certificate must reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    WEIGHT_CASES,
    Array,
    SourceGroupL2,
    loss_id,
    random_tasks,
    ridge,
    single_task_W,
    task_weights,
    tasks_for,
    weight_id,
)
from sklearn.linear_model import LogisticRegression, Ridge

from amtl_cvx.curriculum import certify_curriculum, curriculum, outgoing, single_task
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, make_model
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


def literal(tasks: TaskSet, model: Model, forced: tuple[int, ...] = ()) -> tuple[Array, Array, list[int]]:
    """SPEC section 6 for the squared loss, with loops; `forced` overrides the choice of the first tasks."""
    T, lam, mu = tasks.T, model.coupling, model.mu
    c = task_weights(tasks, model)
    scale = [1.0 / len(task.y) if model.loss.reduction == "mean" else 1.0 for task in tasks]
    W, B = ridge(tasks, model), np.zeros((T, T))
    learned: list[int] = []
    while len(learned) < T:
        waiting = [t for t in range(T) if t not in learned]
        loss = {t: scale[t] * sum((tasks[t].y - tasks[t].X @ W[:, t]) ** 2) for t in waiting}
        rows, costs = {}, {}
        for t in waiting:
            row, cost, gives = np.zeros(T), 0.0, 0.0
            for s in waiting:
                if s == t:
                    continue
                r = W[:, s].copy()
                for j in learned:
                    r -= B[j, s] * W[:, j]
                size = W[:, t] @ W[:, t]
                if size > 0:
                    row[s] = max(0.0, (r @ W[:, t] - mu * loss[t] * c[t] / (2 * lam)) / size)
                cost += lam * sum((r - row[s] * W[:, t]) ** 2)
                gives += row[s]
            rows[t], costs[t] = row, cost + (1 + mu * gives) * c[t] * loss[t]
        chosen = waiting[0]
        for t in waiting:
            if costs[t] < costs[chosen]:
                chosen = t
        if len(learned) < len(forced):
            chosen = forced[len(learned)]
        B[chosen] = rows[chosen]
        a = (1 + mu * sum(B[chosen])) * c[chosen] * scale[chosen]
        target = np.zeros(tasks.d)
        for j in learned:
            target += B[j, chosen] * W[:, j]
        task = tasks[chosen]
        A = a * task.X.T @ task.X + lam * np.eye(tasks.d)
        W[:, chosen] = np.linalg.solve(A, a * task.X.T @ task.y + lam * target)
        learned.append(chosen)
    return W, B, learned


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weights", WEIGHT_CASES, ids=weight_id)
def test_the_result_is_the_literal_algorithm(
    reduction: str, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.05, coupling=0.7, reduction=reduction, task_weights=weights)
    solution = curriculum(tasks, model, Options())
    W, B, order = literal(tasks, model)
    assert solution.order == tuple(order) and (B > 0).sum() >= 2
    assert np.abs(solution.B - B).max() <= 1e-9
    assert np.abs(solution.W - W).max() <= 1e-9 * np.abs(W).max()
    assert solution.status is Status.CERTIFIED and solution.certificate.kind == "curriculum"


@pytest.fixture(scope="module", params=LOSS_CASES, ids=loss_id)
def learned(request: pytest.FixtureRequest) -> tuple[TaskSet, Model, Solution]:
    loss = request.param
    tasks = tasks_for(loss, np.random.default_rng(3), counts=(4, 14, 20, 8))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.01), coupling=0.7)
    return tasks, model, curriculum(tasks, model, Options())


def test_the_graph_is_acyclic_in_the_order(learned: tuple[TaskSet, Model, Solution]) -> None:
    _, _, solution = learned
    assert solution.status is Status.CERTIFIED and solution.order is not None
    sorted_B = solution.B[np.ix_(solution.order, solution.order)]
    assert np.count_nonzero(solution.B) >= 2 and not np.tril(sorted_B).any()
    assert [record.step for record in solution.history] == ["stl", *(f"task {t}" for t in solution.order)]


def change(solution: Solution, name: str) -> tuple[Array, Array, tuple[int, ...]]:
    W, B, order = solution.W.copy(), solution.B.copy(), solution.order or ()
    source, target = np.unravel_index(np.argmax(B), B.shape)
    if name == "row moved":
        B[source, target] *= 1 + 1e-4
    elif name == "edge dropped":
        B[source, target] = 0.0
    elif name == "edge added":
        B[order[-2], order[-1]] += 0.05
    elif name == "negative edge":
        B[order[-2], order[-1]] = -1e-12
    elif name == "edge into an earlier task":
        B[order[-1], order[0]] = 1e-9
    elif name == "predictor moved":
        W[:, order[1]] *= 1 + 1e-5
    elif name == "last predictor moved":
        W[:, order[-1]] *= 1 + 1e-5
    elif name == "order swapped":
        order = (order[1], order[0], *order[2:])
    elif name == "order reversed":
        order = order[::-1]
    elif name == "order incomplete":
        order = order[:-1]
    elif name == "B transposed":
        B = B.T
    return W, B, order


CHANGES = (
    "row moved", "edge dropped", "edge added", "negative edge", "edge into an earlier task",
    "predictor moved", "last predictor moved", "order swapped", "order reversed", "order incomplete",
    "B transposed",
)  # fmt: skip


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_result_is_rejected(name: str, learned: tuple[TaskSet, Model, Solution]) -> None:
    tasks, model, solution = learned
    assert certify_curriculum(tasks, model, solution.W, solution.B, solution.order or ()).passes
    found = certify_curriculum(tasks, model, *change(solution, name))
    assert not found.passes and found.level != "C2"


def test_a_wrong_choice_of_the_next_task_is_rejected(rng: np.random.Generator) -> None:
    """Every row and predictor is right for the order, only the order is not the one of least cost."""
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B, order = literal(tasks, model)
    assert certify_curriculum(tasks, model, W, B, tuple(order)).passes
    for first in order[1:]:
        W, B, other = literal(tasks, model, (first,))
        found = certify_curriculum(tasks, model, W, B, tuple(other))
        assert other[0] == first and not found.passes and found.relative <= 1e-8
        assert found.gap_B is not None and found.gap_B > 1e-6 * found.objective


def test_another_price_or_coupling_is_rejected(learned: tuple[TaskSet, Model, Solution]) -> None:
    tasks, model, solution = learned
    for other in (replace(model, coupling=0.71), replace(model, transfer=LossWeightedL1(mu=0.0105))):
        assert not certify_curriculum(tasks, other, solution.W, solution.B, solution.order or ()).passes


def test_ties_go_to_the_smallest_index(rng: np.random.Generator) -> None:
    one = random_tasks(rng, counts=(9,))[0]
    tasks = TaskSet(tasks=tuple(replace(one, name=f"copy {t}") for t in range(3)))
    solution = curriculum(tasks, make_model(mu=0.05, coupling=0.7), Options())
    assert solution.order == (0, 1, 2) and solution.status is Status.CERTIFIED


def test_a_task_without_predictor_gives_nothing(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    tasks = TaskSet(tasks=(replace(tasks[0], y=np.zeros(9)), *tasks.tasks[1:]))
    solution = curriculum(tasks, make_model(mu=0.05, coupling=0.7), Options())
    assert solution.status is Status.CERTIFIED and not solution.B[0].any() and np.isfinite(solution.W).all()


@pytest.mark.parametrize("method", [curriculum, single_task])
def test_an_interruption_is_a_status(
    method: Callable[[TaskSet, Model, Options], Solution], rng: np.random.Generator
) -> None:
    def callback(record: Record) -> None:
        if record.step == "stl" or record.round == 2:
            raise KeyboardInterrupt

    solution = method(random_tasks(rng), make_model(mu=0.05, coupling=0.7), Options(callback=callback))
    assert solution.status is Status.INTERRUPTED and np.isfinite(solution.W).all()
    if method is curriculum:
        assert solution.order == () and not solution.certificate.passes


def test_an_order_that_is_none_is_bad_data(learned: tuple[TaskSet, Model, Solution]) -> None:
    tasks, model, solution = learned
    for order in ((0, 0, 1, 2), (0, 1, 2, 4)):
        with pytest.raises(DataError, match="order"):
            certify_curriculum(tasks, model, solution.W, solution.B, order)


def test_a_penalty_without_prices_is_refused(rng: np.random.Generator) -> None:
    model = Model(transfer=SourceGroupL2(mu=0.1), coupling=1.0)
    with pytest.raises(ModelError, match="linear transfer penalty.*SourceGroupL2"):
        curriculum(random_tasks(rng), model, Options())


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_single_task_is_scikit_learns_ridge(reduction: str, rng: np.random.Generator) -> None:
    """Ridge minimises ||y - X w||^2 + alpha ||w||^2, so alpha = coupling n_t (mean) or coupling (sum)."""
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    solution = single_task(tasks, make_model(mu=0.05, coupling=0.7, reduction=reduction), Options())
    assert solution.status is Status.CERTIFIED and not solution.B.any() and solution.method == "stl"
    for t, task in enumerate(tasks):
        alpha = 0.7 * len(task.y) if reduction == "mean" else 0.7
        w = Ridge(alpha=alpha, fit_intercept=False, solver="cholesky").fit(task.X, task.y).coef_
        assert solution.W[:, t] == pytest.approx(w, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_single_task_is_scikit_learns_logistic_regression(reduction: str, rng: np.random.Generator) -> None:
    """LogisticRegression minimises C sum_i log(1 + exp(-z_i)) + ||w||^2 / 2, C = 1 / (2 coupling n_t)."""
    tasks = random_tasks(rng, loss="logistic", counts=(14, 20, 9))
    model = make_model(loss="logistic", mu=0.05, coupling=0.1, reduction=reduction)
    solution = single_task(tasks, model, Options())
    assert solution.status is Status.CERTIFIED
    for t, task in enumerate(tasks):
        C = 1.0 / (0.2 * (len(task.y) if reduction == "mean" else 1))
        other = LogisticRegression(
            C=C, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200
        )
        assert solution.W[:, t] == pytest.approx(other.fit(task.X, task.y).coef_[0], rel=1e-6, abs=1e-8)


@every_loss
def test_single_task_is_the_minimum_of_every_task(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.05), coupling=0.3, task_weights="inverse-sqrt")
    solution = single_task(tasks, model, Options())
    assert solution.certificate.kind == "single-task" and solution.certificate.passes
    assert np.abs(solution.W - single_task_W(tasks, model)).max() <= 1e-8


def test_the_start_may_have_another_ridge_weight(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    solution = curriculum(tasks, model, Options(ridge=0.1))
    assert solution.history[0].step == "stl" and solution.certificate.passes
    first = solution.order[0] if solution.order else -1
    start = ridge(tasks, replace(model, coupling=0.1))
    costs = {
        t: outgoing(model, np.ones(4), model.losses(tasks, start), start, np.zeros((4, 4)), t, [])
        for t in range(4)
    }
    assert first == min(costs, key=lambda t: costs[t].cost)
    assert solution.B[first] == pytest.approx(costs[first].row, abs=1e-9)
    order = solution.order or ()
    assert not certify_curriculum(tasks, model, solution.W, solution.B, order).passes
    assert certify_curriculum(tasks, model, solution.W, solution.B, order, ridge=0.1).passes
