"""The two convex steps: closed forms of SPEC section 3, scikit-learn, a second solver, one compilation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    TOLERANCE,
    WEIGHT_CASES,
    Array,
    loss_id,
    random_tasks,
    random_transfer,
    ridge,
    task_weights,
    tasks_for,
    weight_id,
)
from step_cases import both_losses, close, correlated

from amtl_cvx.certificate import certify, residuals
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.solvers import Backend
from amtl_cvx.subproblems import (
    TaskWeightStep,
    WeightStep,
    compile_transfer_step,
    joint_step,
    task_step,
)
from amtl_cvx.subproblems.balance import unbalanced
from amtl_cvx.subproblems.coupled import LossModel
from amtl_cvx.subproblems.polish import prox_polished
from amtl_cvx.subproblems.weights import BlockForm
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import RowBudget

every_weight = pytest.mark.parametrize("weights", WEIGHT_CASES, ids=weight_id)


both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])


every_solver = pytest.mark.parametrize("solver", list(TOLERANCE))


def literal_joint(tasks: TaskSet, model: Model, B: Array) -> Array:
    """The Kronecker system of SPEC section 3 for the squared loss, entry by entry."""
    d, T = tasks.d, tasks.T
    c = task_weights(tasks, model)
    P = (np.eye(T) - B) @ (np.eye(T) - B).T
    H, right = model.coupling * np.kron(P, np.eye(d)), np.zeros(T * d)
    for t, task in enumerate(tasks):
        a = c[t] * (1.0 + model.mu * B[t].sum()) / (len(task.y) if model.loss.reduction == "mean" else 1)
        H[t * d : (t + 1) * d, t * d : (t + 1) * d] += a * task.X.T @ task.X
        right[t * d : (t + 1) * d] = a * task.X.T @ task.y
    return np.linalg.solve(H, right).reshape(T, d).T


def literal_task(tasks: TaskSet, model: Model, W: Array, B: Array, t: int) -> Array:
    """The one-task closed form of SPEC section 3 with its sums written out."""
    T, task = tasks.T, tasks[t]
    a = task_weights(tasks, model)[t] * (1.0 + model.mu * B[t].sum())
    a /= len(task.y) if model.loss.reduction == "mean" else 1
    kappa = 1.0 + sum(B[t, u] ** 2 for u in range(T))
    pull = W @ B[:, t]
    for s in range(T):
        if s != t:
            pull = pull + B[t, s] * (W[:, s] - sum(B[u, s] * W[:, u] for u in range(T) if u != t))
    A = a * task.X.T @ task.X + model.coupling * kappa * np.eye(tasks.d)
    return np.linalg.solve(A, a * task.X.T @ task.y + model.coupling * pull)


@both_reductions
@every_weight
def test_w_step_at_the_empty_graph_is_ridge(
    reduction: str, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.3, coupling=0.7, reduction=reduction, task_weights=weights)
    zero = np.zeros((tasks.T, tasks.T))
    W = (
        WeightStep.compile(tasks, model)
        .solve(Problem(tasks, model).at(np.zeros((tasks.d, tasks.T)), zero))
        .value
    )
    assert close(W, ridge(tasks, model), 1e-10)


@both_reductions
@every_weight
@pytest.mark.parametrize("compress", [False, True])
def test_w_step_is_the_kronecker_system(
    reduction: str, weights: str | tuple[float, ...], compress: bool, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.3, coupling=0.7, reduction=reduction, task_weights=weights)
    B = random_transfer(rng, tasks.T)
    used = model.compress(tasks) if compress else tasks
    W = WeightStep.compile(used, model).solve(Problem(used, model).at(np.zeros((tasks.d, tasks.T)), B)).value
    assert close(W, literal_joint(tasks, model, B), 1e-9)


@both_reductions
@every_weight
def test_one_task_step_is_its_closed_form(
    reduction: str, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=(4, 14, 20, 8))
    model = make_model(mu=0.3, coupling=0.7, reduction=reduction, task_weights=weights)
    W, B = rng.normal(size=(tasks.d, tasks.T)), random_transfer(rng, tasks.T)
    step = TaskWeightStep.compile(tasks, model)
    for t in range(tasks.T):
        w = step.solve_task(Problem(tasks, model).at(W, B), t).value
        assert close(w, literal_task(tasks, model, W, B, t), 1e-9)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_the_joint_minimum_is_a_fixed_point_of_the_sweep(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=make_model(mu=0.3, coupling=1.0).transfer, coupling=0.7)
    B = random_transfer(rng, tasks.T)
    W = (
        WeightStep.compile(tasks, model)
        .solve(Problem(tasks, model).at(np.zeros((tasks.d, tasks.T)), B))
        .value
    )
    assert close(TaskWeightStep.compile(tasks, model).solve(Problem(tasks, model).at(W, B)).value, W, 1e-8)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_the_step_data_is_the_model(loss: Loss, rng: np.random.Generator) -> None:
    """`Coupled` of the joint step is J; that of one task differs from J by a constant."""
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=make_model(mu=0.3, coupling=1.0).transfer, coupling=0.7)
    W, V, B = rng.normal(size=(6, 4)), rng.normal(size=(6, 4)), random_transfer(rng, 4)
    joint = joint_step(Problem(tasks, model).at(np.zeros((tasks.d, tasks.T)), B))
    assert joint.value(W) == pytest.approx(model.objective(tasks, W, B), rel=1e-12)
    gradient = joint.pull(W) + joint.coupling(W)
    assert gradient == pytest.approx(model.gradient_W(tasks, W, B), rel=1e-11, abs=1e-12)
    for t in range(4):
        one, moved = task_step(Problem(tasks, model).at(W, B), t), W.copy()
        moved[:, t] = V[:, t]
        rise = model.objective(tasks, moved, B) - model.objective(tasks, W, B)
        assert one.value(V[:, t : t + 1]) - one.value(W[:, t : t + 1]) == pytest.approx(rise, rel=1e-10)


@both_losses
@every_solver
@pytest.mark.parametrize("kind", ["joint", "task", "whole", "columns"])
def test_solvers_agree(loss: str, solver: str, kind: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss=loss)
    model = make_model(loss=loss, mu=0.05, coupling=0.7)
    W, B = correlated(rng, 6, 4), random_transfer(rng, 4)
    build: dict[str, Callable[[str], object]] = {
        "joint": lambda name: WeightStep.compile(tasks, model, backend=Backend(solver=name)),
        "task": lambda name: TaskWeightStep.compile(tasks, model, backend=Backend(solver=name)),
        "whole": lambda name: compile_transfer_step(
            tasks, model, backend=Backend(solver=name), columns=False
        ),
        "columns": lambda name: compile_transfer_step(
            tasks, model, backend=Backend(solver=name), columns=True
        ),
    }
    steps: list[Any] = [build[kind](name) for name in (solver, "CLARABEL")]
    found, reference = (step.solve(Problem(tasks, model).at(W, B)) for step in steps)
    assert solver in found.solved.solver
    assert close(found.value, reference.value, TOLERANCE[solver])


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_the_definition_of_the_w_step_agrees_with_the_fast_path(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=make_model(mu=0.3, coupling=1.0).transfer, coupling=0.7)
    B, start = random_transfer(rng, 4), np.zeros((6, 4))
    fast = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(start, B))
    defined = WeightStep.definition(tasks, model).solve(Problem(tasks, model).at(start, B))
    assert close(defined.value, fast.value, 1e-6 if isinstance(loss, Logistic) else 1e-8)
    assert np.abs(model.gradient_W(tasks, fast.value, B)).max() <= 1e-9


def test_the_newton_path_does_not_depend_on_its_start(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss="logistic")
    model, B = make_model(loss="logistic", mu=0.1, coupling=0.05), random_transfer(rng, 4)
    step = WeightStep.compile(tasks, model)
    first = step.solve(Problem(tasks, model).at(np.zeros((6, 4)), B)).value
    far = step.solve(Problem(tasks, model).at(20.0 * rng.normal(size=(6, 4)), B)).value
    assert close(far, first, 1e-8)


def test_a_gradient_is_held_against_the_terms_it_is_summed_from() -> None:
    """One row x = y = 1 at w = 0: |u| = 1/2 of the logistic loss, weight 2 and 3 of the coupling are 4."""
    (task,), W, value = (
        TaskSet.from_arrays([np.ones((1, 1))], [np.ones(1)]),
        np.zeros((1, 1)),
        2.0 * np.log(2.0),
    )

    def whether(loss: Loss, gradient: float) -> bool:
        a, coupling, terms = np.array([2.0]), np.array([[-3.0]]), np.zeros((1, 1))
        given = {"coupling": coupling, "terms": terms, "gradient": np.array([[gradient]]), "value": value}
        return unbalanced(loss, [task], W, a, **given)

    for sign in (-1.0, 1.0):
        assert not whether(Logistic(), 0.9 * sign * 4e-6) and whether(Logistic(), 1.1 * sign * 4e-6)
        assert not whether(Squared(), sign)  # one step is exact whatever the rows


@pytest.mark.parametrize("scale", [1e-5, 1e5])
@pytest.mark.parametrize("columns", [False, True])
def test_the_scale_of_y_changes_neither_B_nor_the_verdict(
    scale: float, columns: bool, rng: np.random.Generator
) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    scaled = TaskSet(tasks=tuple(replace(task, y=scale * task.y) for task in tasks))
    zero, found = np.zeros((4, 4)), []
    for data in (tasks, scaled):
        W = WeightStep.compile(data, model).solve(Problem(data, model).at(np.zeros((6, 4)), zero)).value
        B = compile_transfer_step(data, model, columns=columns).solve(Problem(data, model).at(W, zero)).value
        found.append(
            (
                W,
                B,
                residuals(Problem(data, model).at(W, B)),
                certify(Problem(data, model).at(W, zero), kind="single-task").passes,
            )
        )
    (W, B, before, passes), (V, C, after, verdict) = found
    assert np.count_nonzero(B) > 0 and passes and verdict
    assert close(V / scale, W, 1e-10)
    assert np.abs(B - C).max() <= 1e-6
    assert before.relative_W == pytest.approx(after.relative_W, rel=1e-4)


def test_squared_compresses_and_logistic_keeps_its_rows(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(30, 5))
    assert [len(task.y) for task in Model(loss=Squared(), transfer=make_model(mu=0, coupling=1).transfer,
                                          coupling=1.0).compress(tasks)] == [7, 5]  # fmt: skip


@pytest.mark.parametrize("most", [2, 3, 60])
def test_the_polish_by_the_prox_is_accelerated_as_its_source_says(
    most: int, rng: np.random.Generator
) -> None:
    """FISTA with restarts by the gradient, from the two papers, written here."""
    model = Model(transfer=RowBudget(mu=0.01, budget=0.5), coupling=1.0)
    W, losses = rng.normal(size=(4, 4)) + 2.0 * rng.normal(size=(4, 1)), np.ones(4)
    L = 2.0 * np.linalg.eigvalsh(W.T @ W)[-1]
    x = y = np.full((4, 4), 0.1) - 0.1 * np.eye(4)
    start, t, restarts = x, 1.0, 0
    for _ in range(most):
        new = model.transfer.prox(y + 2.0 * W.T @ (W - W @ y) / L, 1.0 / L, losses)
        if ((y - new) * (new - x)).sum() > 0.0:
            t, restarts = 1.0, restarts + 1
        after = (1.0 + np.sqrt(1.0 + 4.0 * t * t)) / 2.0
        x, y, t = new, new + (t - 1.0) / after * (new - x), after
    assert restarts or most < 60
    found = prox_polished(model, W, start, losses, most=most)
    assert found == pytest.approx(x, abs=1e-9 if most < 60 else 1e-7)


def test_a_model_of_a_wrong_shape_is_not_taken(rng: np.random.Generator) -> None:
    """Of what a worker sends back, h must be (d, d) and r (d,), of finite numbers."""
    tasks, model = random_tasks(rng, d=3, counts=(5, 6)), make_model(mu=1.0, coupling=1.0)
    accepted = list[bool]()

    def spread(function: Any, items: Any, *, accept: Any) -> Any:
        for h, r in (((3, 3), (3,)), ((2, 2), (3,)), ((3, 3), (2,))):
            accepted.append(accept(0, (np.ones(h), np.ones(r))) is not None)
        accepted.append(accept(0, (np.full((3, 3), np.nan), np.ones(3))) is not None)
        return [(np.eye(3), np.zeros(3)) for _ in items]

    step = joint_step(Problem(tasks, model).at(np.zeros((3, 2)), np.zeros((2, 2))))._replace(spread=spread)
    LossModel.at(step, np.zeros((3, 2)))
    assert accepted == [True, False, False, False]


@pytest.mark.parametrize("T, d", [(1, 3), (4, 1), (3, 4)])
def test_the_entries_of_the_w_problem_stand_in_their_places(T: int, d: int, rng: np.random.Generator) -> None:
    form, n = BlockForm.of(T, d), T * d
    C, G, unit = rng.normal(size=(T, T, d)), rng.normal(size=(T, d, d)), rng.uniform(1.0, 2.0, (T, d))
    C, G = C + C.transpose(1, 0, 2), G + G.transpose(0, 2, 1)
    H = np.zeros((T, d, T, d))
    for t in range(T):
        H[t, :, t, :] += G[t]
        for u in range(T):
            H[t, :, u, :] += np.diag(C[t, u])
    H = H.reshape(n, n) * np.outer(unit.ravel(), unit.ravel())
    found = (form.places(n) @ form.entries(C, G, unit)).reshape(n, n, order="F")
    np.testing.assert_allclose(found, H, rtol=1e-15, atol=1e-15)
