"""The two convex steps: closed forms of SPEC section 3, scikit-learn, a second solver, one compilation."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    TOLERANCE,
    WEIGHT_CASES,
    Array,
    SourceGroupL2,
    loss_id,
    mu_max,
    random_tasks,
    random_transfer,
    ridge,
    task_weights,
    tasks_for,
    weight_id,
)
from cvxpy.reductions.solvers.solving_chain import SolvingChain
from sklearn.linear_model import Lasso

from amtl_cvx.certificate import certify, residuals, transfer_gap
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.solvers import Backend
from amtl_cvx.subproblems import (
    TaskWeightStep,
    WeightStep,
    compile_transfer_step,
    joint_step,
    task_step,
    weights,
)
from amtl_cvx.subproblems.balance import unbalanced
from amtl_cvx.subproblems.transfer import LinearTransferStep
from amtl_cvx.tasks import TaskSet

every_weight = pytest.mark.parametrize("weights", WEIGHT_CASES, ids=weight_id)
both_reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])
both_losses = pytest.mark.parametrize("loss", ["squared", "logistic"])
every_solver = pytest.mark.parametrize("solver", list(TOLERANCE))
shapes = pytest.mark.parametrize(
    ("d", "counts"), [(6, (9, 14, 20, 8)), (3, (9, 2, 20, 8, 5)), (12, (5, 30, 8))]
)


def close(found: Array, expected: Array, tol: float) -> bool:
    return bool(np.abs(found - expected).max() <= tol * np.abs(expected).max())


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


def lasso_columns(tasks: TaskSet, model: Model, W: Array) -> Array:
    """B by scikit-learn: (1/2n) ||y - X b||^2 + alpha |b|_1 after scaling column s of W by 1/p_s, n = d."""
    prices = model.mu * model.weighted_losses(tasks, W)
    B = np.zeros((tasks.T, tasks.T))
    for t in range(tasks.T):
        others = np.arange(tasks.T) != t
        scaled = W[:, others] / prices[others]
        alpha = 1.0 / (2.0 * model.coupling * tasks.d)
        lasso = Lasso(alpha=alpha, positive=True, fit_intercept=False, tol=1e-14, max_iter=1_000_000)
        B[others, t] = lasso.fit(scaled, W[:, t]).coef_ / prices[others]
    return B


def correlated(rng: np.random.Generator, d: int, T: int) -> Array:
    return rng.normal(size=(d, 1)) @ np.ones((1, T)) + 0.5 * rng.normal(size=(d, T))


@both_losses
@shapes
@pytest.mark.parametrize("columns", [False, True])
def test_b_step_is_scikit_learns_lasso(
    loss: str, d: int, counts: tuple[int, ...], columns: bool, rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, loss=loss, d=d, counts=counts)
    W = correlated(rng, d, tasks.T)
    model = make_model(loss=loss, mu=0.05, coupling=1.5, task_weights="inverse-sqrt")
    step = compile_transfer_step(tasks, model, columns=columns)
    B = step.solve(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T)))).value
    assert (B > 0).sum() >= 2
    assert np.abs(B - lasso_columns(tasks, model, W)).max() <= 1e-6


def test_b_step_by_column_is_the_whole_b_step(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    model, W = make_model(mu=0.05, coupling=1.5), correlated(rng, tasks.d, tasks.T)
    zero = np.zeros((tasks.T, tasks.T))
    whole, columns = (
        compile_transfer_step(tasks, model, columns=flag).solve(Problem(tasks, model).at(W, zero)).value
        for flag in (False, True)
    )
    assert np.abs(whole - columns).max() <= 1e-8
    assert np.array_equal(whole > 0, columns > 0)


def test_b_step_of_two_tasks_is_the_one_coordinate_formula(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(9, 14))
    model, W = make_model(mu=0.05, coupling=1.5), correlated(rng, tasks.d, 2)
    B = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((2, 2)))).value
    prices = model.mu * model.losses(tasks, W)
    for s, t in ((0, 1), (1, 0)):
        b = max(0.0, (W[:, s] @ W[:, t] - prices[s] / (2 * model.coupling)) / (W[:, s] @ W[:, s]))
        assert B[s, t] == pytest.approx(b, abs=1e-9)
    assert np.array_equal(np.diag(B), [0.0, 0.0])


def test_every_entry_of_the_b_step_obeys_the_one_coordinate_formula(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(9, 14, 3, 20, 8))
    model, W = make_model(mu=0.02, coupling=1.5), correlated(rng, tasks.d, 5)
    B = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((5, 5)))).value
    prices = model.mu * model.losses(tasks, W)
    for j in range(5):
        for t in range(5):
            if j != t:
                r = W[:, t] - sum(B[u, t] * W[:, u] for u in range(5) if u != j)
                b = max(0.0, (W[:, j] @ r - prices[j] / (2 * model.coupling)) / (W[:, j] @ W[:, j]))
                assert B[j, t] == pytest.approx(b, abs=1e-8)


@both_losses
def test_the_graph_is_empty_from_mu_max_on(loss: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss=loss)
    zero = np.zeros((4, 4))
    start = make_model(loss=loss, mu=0.0, coupling=0.3)
    W = WeightStep.compile(tasks, start).solve(Problem(tasks, start).at(np.zeros((6, 4)), zero)).value
    limit = mu_max(tasks, start)
    for factor, edges in ((1.001, 0), (0.999, 1)):
        model = make_model(loss=loss, mu=factor * limit, coupling=0.3)
        B = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, zero)).value
        assert np.count_nonzero(B) == edges


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


@both_losses
def test_a_step_is_compiled_once(
    loss: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = random_tasks(rng, loss=loss)
    compiled = []
    original = SolvingChain.apply

    def counted(self: SolvingChain, problem: cp.Problem, *rest: object) -> object:
        compiled.append(problem)
        return original(self, problem, *rest)

    monkeypatch.setattr(SolvingChain, "apply", counted)
    model = make_model(loss=loss, mu=0.05, coupling=0.7)
    steps = [
        WeightStep.compile(tasks, model),
        TaskWeightStep.compile(tasks, model),
        compile_transfer_step(tasks, model),
        compile_transfer_step(tasks, model, columns=True),
    ]
    for _ in range(3):  # and along a grid of tuning values: no point recompiles anything
        grid = make_model(loss=loss, mu=0.05 * rng.uniform(0.5, 2), coupling=rng.uniform(0.5, 2))
        for step in steps:
            step.solve(Problem(tasks, grid).at(correlated(rng, 6, 4), random_transfer(rng, 4)))
    assert len(compiled) == len(steps)


def parameter_sizes(step: WeightStep) -> list[tuple[int, ...]]:
    return [p.shape for p in step.problem.compiled.problem.parameters()]  # type: ignore[attr-defined]


@both_losses
def test_no_problem_grows_with_the_number_of_rows(loss: str, rng: np.random.Generator) -> None:
    model = make_model(loss=loss, mu=0.05, coupling=0.7)
    small, large = (random_tasks(rng, loss=loss, counts=(n, n)) for n in (10, 1000))
    assert parameter_sizes(WeightStep.compile(small, model)) == parameter_sizes(
        WeightStep.compile(large, model)
    )


@pytest.mark.parametrize(("d", "shape"), [(2, (2, 6)), (3, (6, 6)), (12, (6, 6))])
def test_a_column_problem_is_of_the_smaller_data(
    d: int, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    """Seven tasks: six predictors by their features or, from half as many features on, by their products."""
    step = LinearTransferStep.compile(random_tasks(rng, d=d, counts=(5,) * 7), columns=True)
    assert step.problem.data.shape == shape


def test_an_executor_gets_the_hessians_from_a_number_of_multiplications_on(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven rows in all, 2 x 2 products each: 28."""
    tasks, model = (
        random_tasks(rng, loss="logistic", d=2, counts=(3, 4)),
        make_model(loss="logistic", mu=1, coupling=1),
    )
    with ThreadPoolExecutor(1) as executor:
        for least, sent in ((28, True), (29, False)):
            monkeypatch.setattr(weights, "SPREAD_SIZE", least)
            assert (WeightStep.compile(tasks, model, executor=executor).spread is not None) is sent


@pytest.mark.parametrize("sent", [False, True])
def test_a_step_takes_the_rows_and_the_loss_that_it_is_given(
    sent: bool, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled for other rows of the same shapes, or for means instead of sums: the gradient vanishes."""
    monkeypatch.setattr(weights, "SPREAD_SIZE", 1)
    first, second = (random_tasks(rng, loss="logistic", counts=(9, 14)) for _ in range(2))
    mean, total = (
        make_model(loss="logistic", mu=0.1, coupling=0.7, reduction=each) for each in ("mean", "sum")
    )
    B = random_transfer(rng, 2)
    with ThreadPoolExecutor(1) as executor:
        step = WeightStep.compile(first, mean, executor=executor if sent else None)
        for tasks, model in ((first, mean), (second, mean), (first, total)):
            W = step.solve(Problem(tasks, model).at(np.zeros((6, 2)), B)).value
            assert np.abs(model.gradient_W(tasks, W, B)).max() <= 1e-9


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


def test_free_transfer_works(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.0, coupling=0.7)
    W = correlated(rng, 6, 4)
    for columns in (False, True):
        step = compile_transfer_step(tasks, model, columns=columns)
        B = step.solve(Problem(tasks, model).at(W, np.zeros((4, 4)))).value
        for t in range(4):
            from scipy.optimize import nnls

            others = np.arange(4) != t
            assert B[others, t] == pytest.approx(nnls(W[:, others], W[:, t])[0], abs=1e-7)


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


@shapes
def test_wide_and_tall_b_steps_have_no_gap(d: int, counts: tuple[int, ...], rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=d, counts=counts), make_model(mu=0.05, coupling=0.7)
    W = correlated(rng, d, tasks.T)
    B = (
        compile_transfer_step(tasks, model)
        .solve(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))))
        .value
    )
    gap, _ = transfer_gap(Problem(tasks, model).at(W, B))
    assert gap is not None and gap <= 1e-9 * model.objective(tasks, W, B)


def test_a_task_without_targets_or_weights_is_solved(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    tasks = TaskSet(tasks=(*tasks.tasks[:3], replace(tasks[3], y=np.zeros(8))))
    model, zero = make_model(mu=0.05, coupling=0.7), np.zeros((4, 4))
    W = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(np.zeros((6, 4)), zero)).value
    assert close(W, ridge(tasks, model), 1e-10) and not np.abs(W[:, 3]).max() > 0
    for columns in (False, True):
        B = (
            compile_transfer_step(tasks, model, columns=columns)
            .solve(Problem(tasks, model).at(W, zero))
            .value
        )
        assert not B[:, 3].any() and not B[3].any()


def test_one_task_has_no_transfer(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, counts=(9,)), make_model(mu=0.05, coupling=0.7)
    step = compile_transfer_step(tasks, model)
    assert np.array_equal(
        step.solve(Problem(tasks, model).at(np.ones((6, 1)), np.zeros((1, 1)))).value, [[0.0]]
    )


def test_a_b_step_refuses_a_model_it_was_not_compiled_for(rng: np.random.Generator) -> None:
    tasks, linear = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    group = Model(transfer=SourceGroupL2(mu=0.05), coupling=0.7)
    others = Model(transfer=SourceGroupL2(mu=0.06), coupling=0.7), group
    for compiled_for, other in zip((group, linear), others, strict=True):
        step = compile_transfer_step(tasks, compiled_for)
        with pytest.raises(ModelError, match="compile another"):
            step.solve(Problem(tasks, other).at(correlated(rng, 6, 4), np.zeros((4, 4))))


def test_squared_compresses_and_logistic_keeps_its_rows(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(30, 5))
    assert [len(task.y) for task in Model(loss=Squared(), transfer=make_model(mu=0, coupling=1).transfer,
                                          coupling=1.0).compress(tasks)] == [7, 5]  # fmt: skip
