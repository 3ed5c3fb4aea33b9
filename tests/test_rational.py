"""The half-steps over the rationals: the conditions hold exactly, and other solvers agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from cases import Array, mu_max, random_tasks, random_transfer, ridge, task_weights
from scipy.optimize import nnls

from amtl_cvx import Logistic, LossWeightedL1, Model, Options, Task, TaskSet, fit
from amtl_cvx.digits import exact_prices, exact_transfer, exact_weights, rational
from amtl_cvx.errors import DataError, NotCertifiable, SolveError

Rows = Sequence[Sequence[Fraction]]


def fractions(array: Array) -> list[list[Fraction]]:
    return [[Fraction(x) for x in row] for row in array.tolist()]


def floats(rows: Rows) -> Array:
    return np.array([[float(x) for x in row] for row in rows])


def column_conditions(W: Rows, B: Rows, prices: Sequence[Fraction], coupling: Fraction) -> None:
    """B >= 0, diag(B) = 0, G_B >= 0, B * G_B = 0 by Python's fractions alone."""
    d, T = len(W), len(W[0])
    for t in range(T):
        assert B[t][t] == 0
        r = [W[i][t] - sum(W[i][s] * B[s][t] for s in range(T)) for i in range(d)]
        for s in range(T):
            q = prices[s] - 2 * coupling * sum(W[i][s] * r[i] for i in range(d))
            assert s == t or (B[s][t] >= 0 and q >= 0 and B[s][t] * q == 0)


def lasso_by_nnls(W: Array, prices: Array, coupling: float) -> Array:
    """The same step by scipy: sqrt(coupling) [A; row] b ~ target with p'b completed to a square, per column.

    coupling |w - A b|^2 + p'b is a least-squares problem in the coordinates A = Q R of independent columns:
    |R b - (Q'w - R'^-1 p / (2 coupling))|^2.
    """
    T = W.shape[1]
    B = np.zeros((T, T))
    for t in range(T):
        others = np.arange(T) != t
        Q, R = np.linalg.qr(W[:, others])
        aim = Q.T @ W[:, t] - np.linalg.solve(R.T, prices[others]) / (2.0 * coupling)
        B[others, t] = nnls(R, aim)[0]
    return B


@pytest.mark.parametrize("T, d", [(2, 1), (4, 6), (9, 12), (6, 2), (12, 3)])
def test_transfer_step_is_exact_and_that_of_nnls(T: int, d: int, rng: np.random.Generator) -> None:
    W = rng.normal(size=(d, 2)) @ rng.normal(size=(2, T)) + 0.4 * rng.normal(size=(d, T))
    prices = rng.uniform(0.01, 0.3, size=T)
    found = exact_transfer(W, prices.tolist(), 0.7)
    assert found.gap == 0 and found.unique
    column_conditions(fractions(W), found.B, [Fraction(p) for p in prices], Fraction(0.7))
    if d >= T - 1:
        assert floats(found.B) == pytest.approx(lasso_by_nnls(W, prices, 0.7), abs=1e-10)


def test_thirty_tasks_from_the_support_of_a_fit(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=8, counts=rng.integers(10, 20, size=30))
    bare = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    model = replace(bare, transfer=LossWeightedL1(mu=0.3 * mu_max(tasks, bare)))
    solution = fit(tasks, model, options=Options(tol=1e-9))
    prices = exact_prices(tasks, model, solution.W)
    found = exact_transfer(solution.W, prices, model.coupling, support=solution.B)
    assert found.gap == 0 and found.exchanges == 0
    assert floats(found.B) == pytest.approx(solution.B, abs=1e-6) and (solution.B > 0).any()
    column_conditions(fractions(solution.W), found.B, prices, Fraction(model.coupling))


def test_any_first_support_gives_the_same_step(rng: np.random.Generator) -> None:
    W = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 5)) + 0.3 * rng.normal(size=(5, 5))
    prices = [0.1] * 5
    cold = exact_transfer(W, prices, 1.0)
    assert exact_transfer(W, prices, 1.0, support=floats(cold.B)).exchanges == 0
    for _ in range(10):
        tried = rng.random((5, 5)) < 0.5
        assert exact_transfer(W, prices, 1.0, support=tried).B == cold.B
    assert sum(x > 0 for row in cold.B for x in row) > 3


def test_one_coordinate_is_the_closed_form() -> None:
    # b = max(0, (w_s'w_t - p_s / (2 coupling)) / |w_s|^2), SPEC section 3
    W, prices, coupling = [[3, 1], [1, 2]], [Fraction(1, 3), 50], 2
    found = exact_transfer(W, prices, coupling)
    b = (Fraction(5) - Fraction(1, 12)) / 10
    first, second = found.B
    assert first == (0, b) and second == (0, 0)
    assert found.gap == 0 and found.unique


def test_collinear_tasks_are_solved_and_said_to_be() -> None:
    W = np.array([[1.0, 2.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5]])
    found = exact_transfer(W, [0.5, 1.0, 1.0, 0.25], 1.0)  # tasks 0, 1, 2 offer the same at the same price
    column_conditions(fractions(W), found.B, [Fraction(p) for p in (0.5, 1.0, 1.0, 0.25)], Fraction(1))
    assert found.gap == 0 and not found.unique
    dearer = exact_transfer(W, [0.5, 1.0, 2.0, 0.25], 1.0)
    assert dearer.gap == 0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_dependent_columns_reach_the_minimum_from_every_support(d: int) -> None:
    # small integers: many exact ties, zero columns and dependent supports
    draw = np.random.default_rng(d)
    for _ in range(40):
        W = draw.integers(-1, 3, size=(d, 5)).astype(float)
        prices = [Fraction(int(p), 4) for p in draw.integers(0, 4, size=5)]
        values = set()
        for support in (None, np.ones((5, 5)), draw.random((5, 5)) < 0.5):
            found = exact_transfer(W, prices, 1.0, support=support)
            assert found.gap == 0
            column_conditions(fractions(W), found.B, prices, Fraction(1))
            values.add(transfer_objective(fractions(W), found.B, prices))
        assert len(values) == 1


def transfer_objective(W: Rows, B: Rows, prices: Sequence[Fraction]) -> Fraction:
    d, T = len(W), len(W[0])
    total = sum((prices[s] * B[s][t] for s in range(T) for t in range(T)), Fraction(0))
    for i, t in itertools.product(range(d), range(T)):
        total += (W[i][t] - sum(W[i][s] * B[s][t] for s in range(T))) ** 2
    return total


def test_a_unique_step_has_no_other_support() -> None:
    # two collinear tasks at different prices: only the cheap one, and the optimum is one point
    W = [[1, 2, 4]]
    found = exact_transfer(W, [Fraction(1), Fraction(1), Fraction(100)], 1)
    assert found.B[0][2] == 0 and found.B[1][2] > 0 and found.unique


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weight_step_is_exact_and_that_of_numpy(reduction: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=4, counts=(9, 16, 4, 25))
    for weights in ("equal", "inverse-sqrt", (0.5, 2.0, 1.0, 0.25)):
        model = Model(
            loss=replace(Model(transfer=LossWeightedL1(mu=0.3), coupling=1.0).loss, reduction=reduction),
            transfer=LossWeightedL1(mu=0.3),
            coupling=0.8,
            task_weights=weights,
        )
        B = random_transfer(rng, 4)
        found = exact_weights(tasks, model, B)
        assert found.gradient == 0
        assert floats(found.W) == pytest.approx(joint_weights(tasks, model, B), rel=1e-9)
        single = exact_weights(tasks, model, np.zeros((4, 4)))
        assert floats(single.W) == pytest.approx(ridge(tasks, model), rel=1e-9)


def joint_weights(tasks: TaskSet, model: Model, B: Array) -> Array:
    """The closed form of SPEC section 3, in NumPy."""
    T, d = tasks.T, tasks.d
    M = np.eye(T) - B
    H, right = model.coupling * np.kron(M @ M.T, np.eye(d)), np.zeros(T * d)
    for t, (task, c) in enumerate(zip(tasks, task_weights(tasks, model), strict=True)):
        a = c * (1.0 + model.mu * B[t].sum()) / (len(task.y) if model.loss.reduction == "mean" else 1)
        part = slice(t * d, (t + 1) * d)
        H[part, part] += a * task.X.T @ task.X
        right[part] = a * task.X.T @ task.y
    return np.linalg.solve(H, right).reshape(T, d).T


def test_one_row_by_hand() -> None:
    # (x^2 + coupling) w = x y and, with w_0 fixed by it, B = 0
    tasks = TaskSet.from_arrays([[[3.0]], [[1.0]]], [[2.0], [5.0]])
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5)
    found = exact_weights(tasks, model, np.zeros((2, 2)))
    w, v = Fraction(12, 19), Fraction(10, 3)
    assert found.W[0] == (w, v)
    assert exact_prices(tasks, model, found.W) == ((3 * w - 2) ** 2, (v - 5) ** 2)


def test_exact_alternation_never_rises() -> None:
    rng = np.random.default_rng(8)
    tasks = random_tasks(rng, d=2, counts=(4, 6, 5))
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    B: Rows = fractions(np.zeros((3, 3)))
    values = []
    for _ in range(2):
        W = exact_weights(tasks, model, B).W
        prices = exact_prices(tasks, model, W)
        values.append(sum(prices) / Fraction(0.05) + transfer_objective(W, B, prices))
        B = exact_transfer(W, prices, 1.0).B
        values.append(sum(prices) / Fraction(0.05) + transfer_objective(W, B, prices))
    assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


def test_what_is_not_rational_is_refused(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(9, 10))
    model = Model(transfer=LossWeightedL1(mu=0.3), coupling=1.0, task_weights="inverse-sqrt")
    B = np.zeros((2, 2))
    with pytest.raises(NotCertifiable, match=r"1/sqrt\(10\) of 'task 1' is not rational"):
        exact_weights(tasks, model, B)
    labels = random_tasks(rng, loss="logistic", d=2, counts=(9, 10))
    with pytest.raises(NotCertifiable, match="polynomial pieces .*, this is logistic"):
        exact_prices(labels, replace(model, loss=Logistic()), np.zeros((2, 2)))
    factor = TaskSet(tasks=tuple(Task(X=t.X, y=t.y, name=t.name, count=99) for t in tasks))
    with pytest.raises(NotCertifiable, match="needs? the rows|rounded factor"):
        exact_weights(factor, replace(model, task_weights="equal"), B)
    flat = TaskSet.from_arrays([[[1.0, 0.0]]] * 2, [[1.0], [1.0]])
    with pytest.raises(NotCertifiable, match="no unique solution"):
        exact_weights(flat, replace(model, task_weights="equal"), np.eye(2)[:, ::-1])
    many = random_tasks(rng, d=rational.MAX_UNKNOWNS, counts=(3, 4))
    with pytest.raises(NotCertifiable, match="too large"):
        exact_weights(many, replace(model, task_weights="equal"), B)


def test_bad_prices_and_shapes_are_bad_data() -> None:
    W = np.eye(2)
    for prices in ([1.0], [1.0, -0.5]):
        with pytest.raises(DataError, match="prices >= 0"):
            exact_transfer(W, prices, 1.0)
    with pytest.raises(DataError, match="support must have shape"):
        exact_transfer(W, [1.0, 1.0], 1.0, support=np.zeros((3, 3)))


def test_a_column_that_is_not_dual_feasible_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two equal tasks at a price of 0.5: at the empty graph, where the search begins, q = 0.5 - 2."""
    monkeypatch.setattr(rational.Column, "minimise", lambda self: None)
    with pytest.raises(SolveError, match=r"multipliers >= 0, the least of column 0 is -1.5"):
        exact_transfer([[1, 1]], [0.5, 0.5], 1.0)
