"""The NumPy steps against the CVXPY problems that define them, and against closed forms."""

from __future__ import annotations

import time

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, Array, loss_id, random_tasks, random_transfer, tasks_for
from scipy.optimize import minimize_scalar, nnls

from amtl_cvx.arrays.cholesky import factored, halved, solved
from amtl_cvx.certificate import residuals, transfer_gap, weight_evidence
from amtl_cvx.errors import SolveError
from amtl_cvx.losses import Huber, Loss
from amtl_cvx.problem import Model, Problem, make_model
from amtl_cvx.problem.active_set import nonnegative_columns
from amtl_cvx.subproblems import WeightStep, compile_transfer_step, numpy_steps
from amtl_cvx.subproblems.numpy_steps import (
    DirectTransferStep,
    DirectWeightStep,
    WeightSystem,
    cholesky,
    minimal_weights,
)
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


@every_loss
def test_the_weight_step_is_that_of_the_cvxpy_problem(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=0.7, task_weights="inverse-sqrt")
    B, start = random_transfer(rng, 4), rng.normal(size=(6, 4))
    fast = DirectWeightStep().solve(Problem(tasks, model).at(start, B))
    slow = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(start, B))
    assert np.abs(fast.value - slow.value).max() <= 1e-9 * np.abs(slow.value).max()
    assert residuals(Problem(tasks, model).at(fast.value, B)).relative_W <= 1e-12
    assert fast.solved.solver == "cholesky" and fast.solved.status == "optimal"


@pytest.mark.parametrize("T, d", [(4, 6), (12, 5), (9, 9)])
def test_the_transfer_step_is_that_of_the_cvxpy_problem(T: int, d: int, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng, d=d, counts=(d + 5,) * T), make_model(mu=0.03, coupling=0.7)
    W = rng.normal(size=(d, T)) + rng.normal(size=(d, 1))
    fast = DirectTransferStep().solve(Problem(tasks, model).at(W, np.zeros((T, T))))
    slow = compile_transfer_step(tasks, model).solve(Problem(tasks, model).at(W, np.zeros((T, T))))
    assert model.objective(tasks, W, fast.value) <= model.objective(tasks, W, slow.value) * (1 + 1e-13)
    assert np.abs(fast.value - slow.value).max() <= 1e-7
    gap, _ = transfer_gap(Problem(tasks, model).at(W, fast.value))
    assert gap is not None and gap <= 1e-12 * model.objective(tasks, W, fast.value)
    assert residuals(Problem(tasks, model).at(W, fast.value)).relative_B <= 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_the_columns_are_nonnegative_least_squares(seed: int) -> None:
    """With prices 0, and with prices folded into one more row, scipy's nnls solves each column."""
    rng = np.random.default_rng(seed)
    T, d = int(rng.integers(2, 25)), int(rng.integers(2, 40))
    W = rng.normal(size=(d, T)) + rng.normal(size=(d, 1))
    K = W.T @ W
    B, settled = nonnegative_columns(K, K, np.zeros((T, T)))
    assert settled and (B >= 0).all() and not np.diag(B).any()
    for t in range(T):
        others = np.arange(T) != t
        truth = nnls(W[:, others], W[:, t])[0]
        residual = W[:, t] - W[:, others] @ B[others, t]
        assert np.linalg.norm(residual) <= np.linalg.norm(W[:, t] - W[:, others] @ truth) + 1e-10
        if d >= T - 1:
            assert np.abs(B[others, t] - truth).max() <= 1e-8


def test_a_warm_start_and_a_cold_one_end_alike(rng: np.random.Generator) -> None:
    W = rng.normal(size=(8, 20)) + rng.normal(size=(8, 1))
    K = W.T @ W
    Q = K - 0.05
    cold, _ = nonnegative_columns(K, Q, np.zeros((20, 20)))
    warm, settled = nonnegative_columns(K, Q, random_transfer(rng, 20))
    assert settled and np.abs(cold - warm).max() <= 1e-10
    assert np.array_equal(nonnegative_columns(K, Q, cold)[0] > 0, cold > 0)


def test_equal_and_zero_predictors_do_not_stop_the_columns(rng: np.random.Generator) -> None:
    w = rng.normal(size=5)
    W = np.column_stack([w, w, 2 * w, np.zeros(5), w, w + 1e-9])
    K = W.T @ W
    B, settled = nonnegative_columns(K, K - 1e-3, np.zeros((6, 6)))
    gradient = K @ B - (K - 1e-3)
    np.fill_diagonal(gradient, 0.0)
    assert settled and not B[3].any()
    assert np.abs(np.minimum(B, gradient)).max() <= 1e-9


def test_the_system_is_the_hessian_of_the_model(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = rng.normal(size=(6, 4)), random_transfer(rng, 4)
    system = WeightSystem.at(Problem(tasks, model).at(W, B))
    assert np.abs(system.dense() - Problem(tasks, model).at(W, B).hessian_W()).max() <= 1e-12
    V = rng.normal(size=(4, 6))
    assert np.abs(system.product(V).ravel() - system.dense() @ V.ravel()).max() <= 1e-10


@pytest.mark.parametrize("spread", [1.0, 1e-4])
def test_conjugate_gradients_solve_what_the_factor_solves(
    spread: float, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, model = random_tasks(rng, d=6, counts=(12,) * 10), make_model(mu=0.05, coupling=5.0)
    B = random_transfer(rng, 10)
    B *= (1.0 - spread / 2) / np.abs(np.linalg.eigvals(B)).max()  # I - B nearly singular for a small spread
    W = rng.normal(size=(6, 10))
    dense = minimal_weights(Problem(tasks, model).at(W, B))
    monkeypatch.setattr(numpy_steps, "DENSE_SIZE", 0)
    assert (
        np.abs(minimal_weights(Problem(tasks, model).at(W, B)) - dense).max() <= 1e-10 * np.abs(dense).max()
    )
    gain = weight_evidence(Problem(tasks, model).at(dense, B)).gain
    assert gain is not None and gain <= 1e-20 * model.objective(tasks, W, B)


def test_a_singular_hessian_gets_a_factor(rng: np.random.Generator) -> None:
    A = rng.normal(size=(3, 8))
    factor = cholesky(A.T @ A)
    assert np.abs(np.tril(factor) @ np.tril(factor).T - A.T @ A).max() <= 1e-9
    for number in (np.nan, np.inf):
        for place in ((0, 0), (5, 2)):
            H = np.eye(8)
            H[place] = H[place[::-1]] = number
            with pytest.raises(SolveError, match="no Cholesky factor"):
                cholesky(H)


def test_a_factor_in_whole_numbers() -> None:
    L, x = np.array([[2.0, 0.0, 0.0], [1.0, 3.0, 0.0], [-2.0, 4.0, 5.0]]), np.array([[1.0, 2.0, -3.0]] * 2).T
    factor = factored(L @ L.T)
    assert np.array_equal(np.tril(factor), L)
    assert np.array_equal(halved(factor, L @ x), x) and np.array_equal(halved(factor, L @ x[:, 0]), x[:, 0])
    assert solved(factor, L @ L.T @ x) == pytest.approx(x, rel=1e-14)
    assert solved(factored(np.empty((0, 0))), np.empty(0)).shape == (0,)
    for H in (-np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 2), np.nan)):
        with pytest.raises(np.linalg.LinAlgError):
            factored(H.copy())


def test_a_newton_step_that_is_far_too_long_is_cut_short() -> None:
    """All rows far from W = 0, I - B nearly singular: along W = (v, 2 v) J is all but linear, then convex."""
    X = [np.array([[1.0], [2.0], [1.5]]), np.array([[1.0], [1.0], [3.0]])]
    tasks = TaskSet.from_arrays(X, [np.array([10.0, 21.0, 14.0]), np.array([22.0, 19.0, 61.0])])
    model = Model(loss=Huber(threshold=0.5), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    B = np.array([[0.0, 2.0], [0.5 * (1.0 - 1e-7), 0.0]])
    W = minimal_weights(Problem(tasks, model).at(np.zeros((1, 2)), B))
    along = minimize_scalar(lambda v: model.objective(tasks, np.array([[v, 2.0 * v]]), B), bounds=(0, 30))
    assert 9.0 < along.x < 11.0
    assert model.objective(tasks, W, B) <= along.fun * (1 + 1e-9)
    assert residuals(Problem(tasks, model).at(W, B)).relative_W < 1e-10


def test_the_logistic_step_matches_the_exponential_cones(rng: np.random.Generator) -> None:
    """A third formulation, written here: one task, B = 0, is a ridge-penalised logistic regression."""
    tasks = random_tasks(rng, loss="logistic", d=3, counts=(40,))
    model = make_model(loss="logistic", mu=0.1, coupling=0.5)
    w = cp.Variable(3)
    losses = cp.sum(cp.logistic(cp.multiply(-np.where(tasks[0].y > 0, 1.0, -1.0), tasks[0].X @ w))) / 40
    cp.Problem(cp.Minimize(losses + 0.5 * cp.sum_squares(w))).solve(
        solver="CLARABEL", tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13
    )
    found: Array = minimal_weights(Problem(tasks, model).at(np.zeros((3, 1)), np.zeros((1, 1))))
    assert np.abs(found[:, 0] - w.value).max() <= 1e-6


def test_at_the_limit_of_a_factor_it_is_still_taken(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Conjugate gradients that do not settle leave T d of exactly the limit to the factor."""
    blocks = np.stack([np.eye(2), 2.0 * np.eye(2)])
    system, R = WeightSystem(blocks=blocks, K=np.eye(2), coupling=0.5), rng.normal(size=(2, 2))
    monkeypatch.setattr(numpy_steps, "DENSE_SIZE", 0)
    monkeypatch.setattr(numpy_steps, "DENSE_LIMIT", R.size)
    monkeypatch.setattr(WeightSystem, "_conjugate_gradients", lambda _, R, accuracy: (0.0 * R, False))
    V, factored = system.solve(R, accuracy=np.full((2, 2), 1e-14))
    assert factored and pytest.approx(R / [[2.0], [3.0]], abs=1e-14) == V


def test_the_seconds_of_a_step_are_its_own(rng: np.random.Generator) -> None:
    problem, began = (
        Problem(random_tasks(rng, d=2, counts=(4, 5)), make_model(mu=1.0, coupling=1.0)),
        time.perf_counter(),
    )
    found = DirectWeightStep().solve(problem.at(np.zeros((2, 2)), np.zeros((2, 2))))
    assert 0.0 < found.solved.seconds <= time.perf_counter() - began


def test_the_distance_from_singular_is_that_of_the_least_value() -> None:
    assert numpy_steps._distance(np.diag([1.0, 1e-8])) == pytest.approx(1e-8)
    assert numpy_steps._distance(np.zeros((2, 2))) == 0.0


@every_loss
def test_the_factor_of_the_hessian_is_that_of_the_point(loss: Loss, rng: np.random.Generator) -> None:
    """After W or B moved too, however much is kept of the point before."""
    tasks = tasks_for(loss, rng)
    point = Problem(tasks, Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=0.7)).at(
        rng.normal(size=(6, 4)), random_transfer(rng, 4)
    )
    for B in (None, random_transfer(rng, 4), None):
        a, P = point.model.loss_weight(tasks, point.B), (np.eye(4) - point.B) @ (np.eye(4) - point.B).T
        H = np.kron(2.0 * 0.7 * P, np.eye(6))
        for t, task in enumerate(tasks):
            part = slice(6 * t, 6 * t + 6)
            H[part, part] += a[t] * loss.hessian(task, point.W[:, t])
        L = np.tril(numpy_steps.hessian_factor(point))
        np.testing.assert_allclose(L @ L.T, H, rtol=1e-12, atol=1e-12 * np.abs(H).max())
        point = point.at(W=point.W + rng.normal(size=(6, 4)), B=B)
