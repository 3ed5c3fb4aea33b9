"""What a step does after its solver: exact zeros, exact columns, prox steps to rounding, where Newton ends.

Expected values come from all supports one by one, and from the closed form for one source.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import literal
import numpy as np
import pytest
from cases import LOSS_CASES, Array, SourceGroupL2, loss_id, random_tasks, random_transfer, tasks_for
from scipy.optimize import brentq

from amtl_cvx.digits import exact_weights
from amtl_cvx.losses import Logistic, Loss, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.problem.active_set import nonnegative_columns
from amtl_cvx.subproblems import (
    Problems,
    TransferStep,
    WeightStep,
    compile_transfer_step,
    exactly_feasible,
    joint_step,
)
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.subproblems.polish import polished, prox_polished
from amtl_cvx.subproblems.roots import root_step
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def slopes(W: Array, b: Array, t: int, prices: Array, coupling: float) -> Array:
    """q_s = p_s - 2 coupling w_s'(w_t - W b) of one column, by loops."""
    rest = [W[i, t] - sum(W[i, s] * b[s] for s in range(len(b))) for i in range(len(W))]
    return np.array(
        [prices[s] - 2.0 * coupling * sum(W[i, s] * rest[i] for i in range(len(W))) for s in range(len(b))]
    )


def miss(W: Array, B: Array, t: int, prices: Array, coupling: float) -> float:
    """max_s |min(h_s b_s, q_s)| of column t, h_s = 2 coupling ||w_s||^2."""
    q = slopes(W, B[:, t], t, prices, coupling)
    h = 2.0 * coupling * (W**2).sum(axis=0)
    return max(abs(min(h[s] * B[s, t], q[s])) for s in range(len(B)) if s != t)


def best(W: Array, prices: Array, coupling: float) -> Array:
    """The B-step by trying every support of every column: the one with b > 0 on it and q >= 0 off it."""
    T = W.shape[1]
    B = np.zeros((T, T))
    for t in range(T):
        others, found = [s for s in range(T) if s != t], 0
        for size in range(T):
            for P in map(list, combinations(others, size)):
                A, b = W[:, P], np.zeros(T)
                if P:
                    b[P] = np.linalg.solve(A.T @ A, A.T @ W[:, t] - prices[P] / (2.0 * coupling))
                q = slopes(W, b, t, prices, coupling)
                if (b[P] > 0).all() and all(q[s] > 0 for s in set(others) - set(P)):
                    B[:, t], found = b, found + 1
        assert found == 1
    return B


@pytest.mark.parametrize("seed", range(4))
def test_polishing_ends_at_the_column_that_all_supports_agree_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    W, prices, coupling = rng.normal(size=(6, 5)) + 1.0, rng.uniform(0.2, 4.0, size=5), 0.7
    exact = best(W, prices, coupling)
    assert 0 < (exact > 0).sum() < 20
    start = exact * rng.uniform(1.0, 1.0 + 1e-4, size=(5, 5))
    np.testing.assert_allclose(polished(W, start, prices, coupling), exact, rtol=0, atol=1e-12)
    K = W.T @ W
    for begin in (np.zeros((5, 5)), start, np.ones((5, 5))):
        B, settled = nonnegative_columns(K, K - prices[:, None] / (2.0 * coupling), begin)
        assert settled
        np.testing.assert_allclose(B, exact, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_polishing_raises_the_residual_of_no_column(seed: int) -> None:
    """From anywhere, more predictors than features: what is solved on a support must be better all over."""
    rng = np.random.default_rng(seed)
    W, prices, coupling = rng.normal(size=(4, 6)), rng.uniform(0.1, 2.0, size=6), 0.7
    start = rng.uniform(size=(6, 6)) * (rng.random((6, 6)) < 0.7) * (1.0 - np.eye(6))
    near, _ = nonnegative_columns(W.T @ W, W.T @ W - prices[:, None] / (2.0 * coupling), start)
    for begin in (start, near, near + 1e-9 * (start > 0), np.where(near > 0, near, 1e-3 * start)):
        found = polished(W, begin, prices, coupling)
        assert (found >= 0).all() and not np.diag(found).any()
        for t in range(6):
            old, new = (miss(W, B, t, prices, coupling) for B in (begin, found))
            assert new <= old + 1e-13


def test_polishing_solves_a_support_of_equal_predictors(rng: np.random.Generator) -> None:
    """Two sources with the same w: their matrix is singular, their sum is what counts."""
    W = rng.normal(size=(5, 3))
    W[:, 1] = W[:, 0]
    W[:, 2] = 2.0 * W[:, 0] + 0.1 * rng.normal(size=5)
    prices = np.array([0.3, 0.3, 9.0])
    total = (W[:, 0] @ W[:, 2] - 0.3 / (2.0 * 0.7)) / (W[:, 0] @ W[:, 0])
    start = np.zeros((3, 3))
    start[:2, 2] = 0.4 * total, 0.6 * total + 1e-5
    found = polished(W, start, prices, 0.7)
    assert found[:2, 2].sum() == pytest.approx(total, rel=1e-13) and (found[:2, 2] > 0).all()
    assert miss(W, found, 2, prices, 0.7) <= 1e-13


def test_polishing_lets_an_edge_leave_that_comes_out_negative() -> None:
    """Unit w_1 and w_2, w_1'w_2 = 1/2, w_1'w_0 = 1, w_2'w_0 = 1/10: both are (6/5, -3/5), one alone 9/10."""
    high = 0.75**0.5
    W = np.array([[1.0, 1.0, 0.5], [-0.4 / high, 0.0, high]])
    start = np.zeros((3, 3))
    start[1:, 0] = 0.9 + 1e-6, 1e-6
    found = polished(W, start, np.full(3, 0.14), 0.7)
    np.testing.assert_allclose(found[:, 0], [0.0, 0.9, 0.0], rtol=0, atol=1e-15)


def test_of_equal_predictors_the_cheaper_one_teaches() -> None:
    """One feature, w = 1: b_1 = 1 - p_1 / 2, and the other edge, p_1 < p_2 < 2 p_1, is exactly 0."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))] * 3, [[3.0], [0.0], [1.0 - 1.5**0.5]])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    B = np.zeros((3, 3))
    B[1:, 0] = 1.0 - 0.1 / 2.0, 1e-10
    found = exactly_feasible(Problem(tasks, model).at(np.ones((1, 3)), B))
    assert found[1, 0] == pytest.approx(1.0 - 0.1 / 2.0, rel=1e-14) and found[2, 0] == 0.0


def test_features_that_a_predictor_does_not_use_leave_its_edges(rng: np.random.Generator) -> None:
    """w with entries that are exactly 0: only a w that is 0 all over helps nobody."""
    W = rng.normal(size=(6, 4)) + 1.0
    W[[0, 3, 5], [0, 1, 2]] = 0.0
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.02), coupling=0.7)
    tasks = random_tasks(rng, d=6, counts=(9, 9, 9, 9))
    prices = model.mu * model.weighted_losses(tasks, W)
    exact = best(W, prices, model.coupling)
    assert (exact[:3] > 0).any(axis=1).all()
    for columns in (False, True):
        step = compile_transfer_step(tasks, model, columns=columns)
        np.testing.assert_allclose(
            step.solve(Problem(tasks, model).at(W, 0 * exact)).value, exact, rtol=0, atol=1e-12
        )
    nothing = np.column_stack([W[:, :3], np.zeros(6)])
    B = exactly_feasible(Problem(tasks, model).at(nothing, np.ones((4, 4))))
    assert not B[3].any() and not B[:, 3].any()


def one_source(W: Array, mu: float, coupling: float) -> Array:
    """The B-step of mu sum_s ||B[s, :]|| for two tasks: a row has one entry, its norm is the value."""
    B = np.zeros((2, 2))
    for s in (0, 1):
        pull = W[:, s] @ W[:, 1 - s] - mu / (2.0 * coupling)
        B[s, 1 - s] = max(0.0, pull) / (W[:, s] @ W[:, s])
    return B


@pytest.mark.parametrize("mu", [1e-3, 0.4, 3.0])
def test_a_penalty_on_groups_has_its_closed_form_for_two_tasks(mu: float, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=4, counts=(9, 12))
    W = np.ones((4, 2)) + 0.5 * rng.normal(size=(4, 2))
    model = Model(loss=Squared(), transfer=SourceGroupL2(mu=mu), coupling=0.7)
    exact = one_source(W, mu, 0.7)
    assert (exact > 0).any()
    step = compile_transfer_step(tasks, model)
    assert isinstance(step, TransferStep)
    np.testing.assert_allclose(
        step.solve(Problem(tasks, model).at(W, 0 * exact)).value, exact, rtol=0, atol=1e-13
    )
    raw = np.asarray(step.problem.B.value)  # of the solver, before it is made exact
    np.testing.assert_allclose(raw, exact, rtol=0, atol=1e-5)
    losses = model.weighted_losses(tasks, W)
    for start in (0 * exact, 2.0 * exact, 5.0 * (1.0 - np.eye(2))):
        np.testing.assert_allclose(prox_polished(model, W, start, losses), exact, rtol=0, atol=1e-13)


def test_prox_steps_end_where_they_no_longer_move(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, prox = [], SourceGroupL2.prox

    def counted(self: SourceGroupL2, *given: Any) -> Array:
        calls.append(given)
        return prox(self, *given)

    tasks, W = random_tasks(rng, d=4, counts=(9, 12)), np.ones((4, 2)) + 0.5 * rng.normal(size=(4, 2))
    model = Model(loss=Squared(), transfer=SourceGroupL2(mu=0.4), coupling=0.7)
    exact = one_source(W, 0.4, 0.7)
    monkeypatch.setattr(SourceGroupL2, "prox", counted)
    found = prox_polished(model, W, exact, model.weighted_losses(tasks, W))
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-14)
    assert 0 < len(calls) < 20


def test_one_problem_serves_every_mu_of_a_proportional_penalty(rng: np.random.Generator) -> None:
    tasks, problems = random_tasks(rng, d=4, counts=(9, 12)), Problems()
    steps = [
        TransferStep.compile(
            tasks,
            Model(loss=Squared(), transfer=SourceGroupL2(mu=mu), coupling=0.7),
            problems=problems,
        )
        for mu in (0.1, 0.2, 3.0)
    ]
    assert len({id(step.problem) for step in steps}) == 1


def test_prox_steps_of_a_singular_gram_matrix_end_where_j_is_least(rng: np.random.Generator) -> None:
    """More tasks than features, B not unique: J there is not above that of any point tried, W B is one."""
    W = rng.normal(size=(2, 4)) + 1.0
    tasks: TaskSet = random_tasks(rng, d=2, counts=(9, 8, 7, 9))
    model = Model(loss=Squared(), transfer=SourceGroupL2(mu=0.1), coupling=0.7)
    losses = model.weighted_losses(tasks, W)
    ends = [prox_polished(model, W, start, losses) for start in (np.zeros((4, 4)), 1.0 - np.eye(4))]
    values = [model.objective(tasks, W, B) for B in ends]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    for _ in range(200):
        move = ends[0] + 10.0 ** rng.uniform(-6, 0) * rng.normal(size=(4, 4))
        assert model.objective(tasks, W, model.transfer.project(move)) >= values[0] * (1.0 - 1e-13)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_newton_holds_an_entry_that_only_the_coupling_holds_against_its_own_loss(scale: float) -> None:
    """A feature that is 0 in the task: 2 coupling w over that and 1e-5 sqrt(2 coupling a L(0)), by hand."""
    x, y, coupling, a = np.array([1.0, 2.0, -1.0]), scale * np.array([1.0, -1.0, 0.5]), 0.7, 2.0
    tasks = TaskSet.from_arrays([np.column_stack([x, 0 * x])], [y])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=coupling, task_weights=(a,))
    best = (a * x @ y / 3) / (a * x @ x / 3 + coupling)
    for w in (1e-9 * scale, 1e-6 * scale, scale):
        room = 1e-5 * np.sqrt(2 * coupling * a * (y @ y) / 3) + 1e-5 * 2 * coupling * w
        expected = 2 * coupling * w / (2 * coupling * w + room)
        found = joint_step(Problem(tasks, model).at(np.zeros((2, 1)), np.zeros((1, 1)))).relative(
            np.array([[best], [w]])
        )
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("long", [1.0, 1e5, 1e9])
def test_newton_goes_on_where_a_long_row_hides_a_short_one(long: float) -> None:
    """log(1 + e^-w) beside a row of 1e9 that is satisfied at once: the minimum by bisection."""
    tasks = TaskSet.from_arrays([np.array([[long], [1.0]])], [np.ones(2)])
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.1), coupling=1e-4)

    def slope(w: float) -> float:
        rows = (long * np.exp(-min(long * w, 700.0)), 1.0 / (1.0 + np.exp(w)))
        return 2e-4 * w - 0.5 * sum(rows) if long > 1.0 else 2e-4 * w - rows[1]

    best = brentq(slope, 1e-3 if long > 1.0 else 0.0, 50.0, xtol=1e-14)
    start, B = np.zeros((1, 1)), np.zeros((1, 1))
    assert minimal_weights(Problem(tasks, model).at(start, B))[0, 0] == pytest.approx(best, rel=1e-6)
    solved = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(start, B)).value
    assert solved[0, 0] == pytest.approx(best, rel=1e-6)


def test_a_problem_that_is_kept_takes_the_rows_and_the_loss_of_every_fit(rng: np.random.Generator) -> None:
    """Ridge in closed form, one registry for means, sums and other rows of the same shape."""
    problems = Problems()
    first, second = (random_tasks(rng, d=3, counts=(5, 7)) for _ in range(2))
    for tasks, reduction in ((first, "mean"), (first, "sum"), (second, "sum"), (second, "mean")):
        loss = Squared(reduction=reduction)  # type: ignore[arg-type]
        model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.7)
        step = WeightStep.compile(tasks, model, problems=problems)
        found = step.solve(Problem(tasks, model).at(np.zeros((3, 2)), np.zeros((2, 2)))).value
        for t, task in enumerate(tasks):
            scale = 1.0 / len(task.y) if reduction == "mean" else 1.0
            H = scale * task.X.T @ task.X + 0.7 * np.eye(3)
            ridge = np.linalg.solve(H, scale * task.X.T @ task.y)
            np.testing.assert_allclose(found[:, t], ridge, rtol=0, atol=1e-7)


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_a_step_from_roots_is_newtons(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng, d=3, counts=(9, 12, 7))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.7, task_weights=(0.5, 2.0, 1.25))
    W, B = rng.normal(size=(3, 3)), random_transfer(rng, 3)
    g = literal.gradients(tasks, model, W, B)[0].T.ravel()
    expected = -np.linalg.solve(literal.hessian_W(tasks, model, W, B), g).reshape(3, 3).T
    found = root_step(Problem(tasks, model).at(W, B))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_a_step_from_roots_ends_at_the_rational_minimum_where_i_minus_b_is_nearly_singular(
    scale: float, rng: np.random.Generator
) -> None:
    """Two rows a task, six features, two tasks that rebuild each other but for 2^-28: W in fractions."""
    B = (1.0 - 2.0**-28) * np.array([[0.0, 1.0], [1.0, 0.0]])
    tasks = random_tasks(rng, d=6, counts=(2, 2))
    tasks = TaskSet.from_arrays([scale * task.X for task in tasks], [task.y for task in tasks])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.25), coupling=0.75 * scale**2)
    exact = np.array(exact_weights(tasks, model, B).W, dtype=float)
    for start in (np.zeros((6, 2)), 2.0 * exact, exact + np.abs(exact).max() * rng.normal(size=(6, 1))):
        W = start
        for _ in range(3):
            W = W + root_step(Problem(tasks, model).at(W, B))
        np.testing.assert_allclose(W, exact, rtol=0, atol=1e-6 * np.abs(exact).max())
