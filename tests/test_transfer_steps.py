"""The B-step against scikit-learn, closed forms and second solvers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    Array,
    SourceGroupL2,
    mu_max,
    random_tasks,
    ridge,
)
from sklearn.linear_model import Lasso
from step_cases import both_losses, close, correlated

from amtl_cvx.certificate import transfer_gap
from amtl_cvx.errors import ModelError
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.subproblems import (
    WeightStep,
    compile_transfer_step,
)
from amtl_cvx.subproblems.transfer import LinearTransferStep
from amtl_cvx.tasks import TaskSet

shapes = pytest.mark.parametrize(
    ("d", "counts"), [(6, (9, 14, 20, 8)), (3, (9, 2, 20, 8, 5)), (12, (5, 30, 8))]
)


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


@pytest.mark.parametrize(("d", "shape"), [(2, (2, 6)), (3, (6, 6)), (12, (6, 6))])
def test_a_column_problem_is_of_the_smaller_data(
    d: int, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    """Seven tasks: six predictors by their features or, from half as many features on, by their products."""
    step = LinearTransferStep.compile(random_tasks(rng, d=d, counts=(5,) * 7), columns=True)
    assert step.problem.data.shape == shape


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
