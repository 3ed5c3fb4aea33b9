"""Where a fit of shared features begins: ridge by task, its factors, and more features than its rank."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from feature_draws import LOSSES, drawn_problem, without_feedback
from test_feature_steps import ROWS

from amtl_cvx.features.balance import balance, balanced
from amtl_cvx.features.starts import factors, single_task_weights, start_of


@pytest.mark.parametrize("loss", LOSSES)
def test_it_begins_at_ridge_by_task(loss: str) -> None:
    problem = drawn_problem(loss, 1, T=2, task_weights=(0.5, 2.0), decay=0.3)
    W = single_task_weights(problem)
    for t, (task, c) in enumerate(zip(problem.tasks, (0.5, 2.0), strict=True)):
        w = cp.Variable(problem.tasks.d)
        J = c * cp.sum(ROWS[loss](task.X @ w, task.y)) / task.n + 0.3 * cp.sum_squares(w)
        cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL")
        np.testing.assert_allclose(W[:, t], w.value, atol=1e-5)


def test_separable_classes_have_a_start_without_decay() -> None:
    problem = drawn_problem("logistic", T=2, n=4, decay=0.0)
    W = single_task_weights(problem)  # 4 and 5 rows of 5 columns: any labels can be separated
    assert 0.1 < np.abs(W).max() < 1e3


@pytest.mark.parametrize("k", [1, 3, 4, 7])
def test_the_factors_are_the_nearest_product_and_every_feature_is_live(k: int) -> None:
    W = np.random.default_rng(0).normal(size=(5, 4))
    L, S = factors(W, k, rng=np.random.default_rng(1))
    assert L.shape == (5, k) and S.shape == (k, 4)
    dropped = np.linalg.svd(W, compute_uv=False)[k:]  # Eckart, Young
    assert np.linalg.norm(W - L @ S) == pytest.approx(np.linalg.norm(dropped), abs=1e-13)
    assert (np.linalg.norm(L, axis=0) > 1e-3).all() and (np.linalg.norm(S, axis=1) > 1e-3).all()
    low, _ = factors(W[:, :1] @ np.ones((1, 4)), k, rng=np.random.default_rng(1))  # of rank 1
    assert np.linalg.matrix_rank(low) == 1 and low.any(axis=0).all()
    L, S = factors(np.zeros((5, 4)), k, rng=np.random.default_rng(1))
    assert not L.any() and not S.any() and L.shape == (5, k)


@pytest.mark.parametrize("k", [3, 7])
def test_starts_are_balanced_and_seeded(k: int) -> None:
    for problem in (drawn_problem(k=k), without_feedback(drawn_problem(k=k))):
        svd, random = start_of(problem), start_of(problem, "random", seed=1)
        W = single_task_weights(problem)
        np.testing.assert_allclose(np.linalg.norm(random.W), np.linalg.norm(W), rtol=1e-12)
        if k > 4:
            np.testing.assert_allclose(svd.W, W, atol=1e-12)
        for point in (svd, random):
            assert point.live.all() and not point.A.any() and balanced(point) is point
            assert balance(point).relative.max() < 1e-13
        again, other = start_of(problem, "random", seed=1), start_of(problem, "random", seed=2)
        np.testing.assert_array_equal(again.S, random.S)
        assert not np.array_equal(other.S, random.S)


def test_where_feedback_must_not_be_negative_every_feature_can_be_given_to() -> None:
    for seed in range(5):
        problem = drawn_problem(seed=seed, feedback="nonnegative", d=3, T=3, k=4)
        for init in ("svd", "random"):
            point = start_of(problem, init, seed=seed)  # type: ignore[arg-type]
            free = start_of(drawn_problem(seed=seed, d=3, T=3, k=4), init, seed=seed)  # type: ignore[arg-type]
            np.testing.assert_allclose(point.W, free.W, atol=1e-13)
            X = np.vstack([task.X for task in problem.tasks])
            pull = (X @ point.L).T @ (X @ point.W)
            assert (pull.max(axis=1) >= np.abs(pull.min(axis=1))).all()
            np.testing.assert_allclose(np.abs(point.S), np.abs(free.S), atol=1e-14)
