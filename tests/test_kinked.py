"""W-steps of losses with kinks: against linear programs and closed forms, I - B nearly singular too."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cases import NONSMOOTH_CASES, Array, loss_id, random_transfer, tasks_for
from scipy.optimize import linprog

from amtl_cvx.certificate import residuals, weight_gap
from amtl_cvx.certificate.fenchel import kinked_multipliers
from amtl_cvx.losses import Hinge, Loss, Quantile
from amtl_cvx.problem import Model, Problem
from amtl_cvx.problem.kinks import KinkedProblem, minimum
from amtl_cvx.problem.kinks.interior import begin
from amtl_cvx.subproblems import kinks
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_kinked = pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)


def shared_predictor(tasks: TaskSet, model: Model, B: Array) -> Array:
    """argmin over w of sum_t a_t L_t(w), one predictor for all tasks, by a linear program."""
    X, y, task = tasks.stacked()
    scale = [1.0 / len(each.y) if model.loss.reduction == "mean" else 1.0 for each in tasks]
    weight = ((1.0 + model.mu * B.sum(axis=1)) * scale)[task]
    eye = np.eye(len(y))
    if isinstance(model.loss, Hinge):  # s >= 1 - y z
        A, b = np.hstack([-y[:, None] * X, -eye]), -np.ones(len(y))
    else:  # s >= tau (y - z), s >= (tau - 1)(y - z)
        assert isinstance(model.loss, Quantile)
        slopes = (model.loss.tau, model.loss.tau - 1.0)
        A = np.vstack([np.hstack([-slope * X, -eye]) for slope in slopes])
        b = np.concatenate([-slope * y for slope in slopes])
    bounds = [(None, None)] * X.shape[1] + [(0.0, None)] * len(y)
    found = linprog(np.concatenate([np.zeros(X.shape[1]), weight]), A_ub=A, b_ub=b, bounds=bounds)
    assert found.status == 0
    return np.asarray(found.x[: X.shape[1]])


@every_kinked
@pytest.mark.parametrize("apart", [1e-3, 1e-6, 1e-9])
def test_a_nearly_singular_graph_shares_one_predictor(
    loss: Loss, apart: float, rng: np.random.Generator
) -> None:
    """B = (1 - apart) of a cycle: J is at most that of the linear program's predictor in both columns."""
    tasks, model = (
        tasks_for(loss, rng, d=5, counts=(12, 9)),
        Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=1e3),
    )
    B = (1.0 - apart) * (np.ones((2, 2)) - np.eye(2))
    w = shared_predictor(tasks, model, B)
    known = model.objective(tasks, np.column_stack([w, w]), B)
    for start in (np.zeros((5, 2)), rng.normal(size=(5, 2))):
        W = kinked_minimum(Problem(tasks, model).at(start, B))
        J = model.objective(tasks, W, B)
        assert known * (1.0 + 1e-12) >= J
        gap, _, _ = weight_gap(Problem(tasks, model).at(W, B))
        assert gap is not None and gap <= max(1e-12, 1e-26 / apart**2) * J


@every_kinked
def test_tasks_of_unequal_size_each_get_their_own_minimum(loss: Loss, rng: np.random.Generator) -> None:
    tasks = tasks_for(loss, rng, d=4, counts=(9, 11, 7))
    B, weights = random_transfer(rng, 3, 0.3), (1e-4, 1.0, 1e4)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=0.5, task_weights=weights)
    W = kinked_minimum(Problem(tasks, model).at(np.zeros((4, 3)), B))
    assert residuals(Problem(tasks, model).at(W, B)).relative_W <= 1e-10


@pytest.mark.parametrize("extra", [0, 5, 12])
def test_exact_data_are_met_exactly(extra: int, rng: np.random.Generator) -> None:
    """y = X w0 and little coupling: w0 itself is the minimum, with more rows on kinks than unknowns."""
    X = [rng.normal(size=(6 + extra, 6)) for _ in range(2)]
    truth = rng.normal(size=(6, 2))
    tasks = TaskSet.from_arrays(X, [x @ w for x, w in zip(X, truth.T, strict=True)])
    model = Model(loss=Quantile(tau=0.3), transfer=LossWeightedL1(mu=0.2), coupling=1e-6)
    B = random_transfer(rng, 2, 0.3)
    W = kinked_minimum(Problem(tasks, model).at(np.zeros((6, 2)), B))
    assert np.abs(W - truth).max() <= 1e-12
    for u in kinked_multipliers(Problem(tasks, model).at(W, B)):
        assert (u >= -0.3).all() and (u <= 0.7).all()
    gap, _, _ = weight_gap(Problem(tasks, model).at(W, B))
    assert gap is not None and gap <= 1e-14 * model.objective(tasks, 0.0 * W, B)


def test_above_the_limit_a_singular_graph_leaves_w_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """I - B = [[1, -1/3], [-3, 1]]: its second pivot is 0, its singular values are 10/3 and rounding."""
    monkeypatch.setattr(kinks, "DENSE_LIMIT", 0)
    tasks = TaskSet.from_arrays([np.ones((1, 1))] * 2, [np.ones(1), -np.ones(1)])
    model = Model(loss=Quantile(tau=0.3), transfer=LossWeightedL1(mu=0.2), coupling=0.5)
    B = np.array([[0.0, 1.0 / 3.0], [3.0, 0.0]])
    point = Problem(tasks, model).at(np.array([[0.3, 0.7]]), B)
    assert kinked_minimum(point) is point.W


def test_multipliers_of_a_task_in_small_units_are_those_of_its_own_rows(rng: np.random.Generator) -> None:
    """Without edges a task's multipliers are its own affair: 0.7 | u | -0.3 -0.3 around w = 2 s.

    With the 0.3-quantile of s (1, 2, 4, 8) and one constant feature u = -0.1 - 8 coupling w. Beside it a task
    whose rows are up to 1e10 farther from their kinks.
    """
    coupling, far, small = 1e-3, np.sort(rng.normal(size=9)), 1e-9
    X = [rng.normal(size=(9, 1)), np.ones((4, 1))]
    tasks = TaskSet.from_arrays(X, [10.0 * far, small * np.array([1.0, 2.0, 4.0, 8.0])])
    model = Model(loss=Quantile(tau=0.3), transfer=LossWeightedL1(mu=1.0), coupling=coupling)
    alone = kinked_minimum(
        Problem(TaskSet.from_arrays(X[:1], [10.0 * far]), model).at(np.zeros((1, 1)), np.zeros((1, 1)))
    )
    W = np.array([[float(alone[0, 0]), 2.0 * small]])
    u = kinked_multipliers(Problem(tasks, model).at(W, np.zeros((2, 2))))[1]
    assert u == pytest.approx([0.7, -0.1 - 8.0 * coupling * 2.0 * small, -0.3, -0.3], abs=1e-14)


@pytest.mark.parametrize("size", [1e4, 1e10, 1e15])
def test_multipliers_of_nearly_parallel_rows_keep_their_digits(size: float) -> None:
    """Two rows on their kinks, u = -4 coupling X'^-1 w by Cramer's rule in rationals."""
    X, w, coupling = np.array([[1.0, 300.5], [size, 300.0 * size]]), np.array([1e-3, 2e-3]), 1e-3
    tasks = TaskSet.from_arrays([X], [X @ w])
    model = Model(loss=Quantile(tau=0.3), transfer=LossWeightedL1(mu=1.0), coupling=coupling)
    (found,) = kinked_multipliers(Problem(tasks, model).at(w[:, None], np.zeros((1, 1))))
    (a, b), (c, d) = [[Fraction(x) for x in row] for row in X.tolist()]
    p, q = (-4 * Fraction(coupling) * Fraction(x) for x in w.tolist())
    exact = (p * d - q * c) / (a * d - b * c), (a * q - b * p) / (a * d - b * c)
    np.testing.assert_allclose(found, [float(u) for u in exact], rtol=1e-9)


def one_row(*, x: float, y: float) -> KinkedProblem:
    """(1/2) |y - x w| + w^2: least at w = y/x, v = -2 y/x^2, if that is in [-1/2, 1/2], else at +-x/4."""
    tasks = TaskSet.from_arrays([np.array([[x]])], [np.array([y])])
    model = Model(loss=Quantile(tau=0.5), transfer=LossWeightedL1(mu=1.0), coupling=1.0)
    return Problem(tasks, model).at(np.zeros((1, 1)), np.zeros((1, 1))).kinked_problem


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exchange of rows has to end at the minimum: no interior points come to help."""
    monkeypatch.setattr(KinkedProblem, "_from_inside", lambda self, W, best: pytest.fail("not settled"))


@pytest.mark.usefixtures("exchanged")
def test_a_row_is_exchanged_from_one_side_to_the_other_by_way_of_its_kink() -> None:
    for y, w in ((-10.0, -0.25), (10.0, 0.25)):
        found = one_row(x=1.0, y=y).minimum(np.array([[2.0 * y]]))
        assert found.W[0, 0] == pytest.approx(w, rel=1e-14) and not found.on.any()


@pytest.mark.usefixtures("exchanged")
def test_a_row_whose_multiplier_is_at_its_end_by_rounding_stays_on_its_kink(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """|2 y/x^2| = 1/2: one exchange is all there is, a second would let the row go."""
    monkeypatch.setattr(minimum, "_FEW", 1)
    for x, side in zip(rng.normal(size=20), (-1.0, 1.0) * 10, strict=True):
        y = side * x * x / 4.0
        found = one_row(x=x, y=y).minimum(np.array([[y / x]]))
        assert found.on.all() and found.multipliers[0][0] == pytest.approx(-0.5 * side, rel=1e-14)


@every_kinked
def test_rows_that_no_exchange_has_reached_have_the_multipliers_of_their_sides(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minimum, "_FEW", 0)
    monkeypatch.setattr(KinkedProblem, "_from_inside", lambda self, W, best: best)
    tasks, W = tasks_for(loss, rng, d=3, counts=(9, 6)), rng.normal(size=(3, 2))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=0.5)
    found = kinked_multipliers(Problem(tasks, model).at(W, random_transfer(rng, 2, 0.3)))
    for task, w, u in zip(tasks, W.T, found, strict=True):
        z = task.X @ w
        slopes = loss.rows(z + 1e-4, task.y) - loss.rows(z - 1e-4, task.y)
        np.testing.assert_allclose(u, slopes / 2e-4, atol=1e-9)


@every_kinked
def test_the_interior_begins_where_no_row_is_far_nearer_to_its_border(
    loss: Loss, rng: np.random.Generator
) -> None:
    """p - q = z - kink with p, q > 0, the least a tenth of the largest distance of all, in any unit of W."""
    tasks = tasks_for(loss, rng, d=3, counts=(9, 6))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.2), coupling=0.5)
    problem = Problem(tasks, model).at(np.zeros((3, 2)), np.zeros((2, 2))).kinked_problem
    for size in (1e-6, 1.0, 1e6):
        W = size * rng.normal(size=(3, 2))
        z = np.concatenate([task.X @ w for task, w in zip(tasks, W.T, strict=True)])
        kinks = np.concatenate([task.y for task in tasks])  # of a hinge 1/y = y
        begun = begin(problem, W)
        np.testing.assert_allclose(begun.above - begun.below, z - kinks, rtol=1e-12, atol=1e-15 * size)
        far = max(np.abs(z - kinks).max(), np.abs(kinks).max())
        assert min(begun.above.min(), begun.below.min()) >= 0.1 * far * (1.0 - 1e-6)
        assert max(begun.above.max(), begun.below.max()) <= 2.0 * far


def test_a_singular_graph_does_not_keep_W_from_its_minimum() -> None:
    """Two tasks that rebuild each other, x = 1, label 1: J = 0 at w = 1 and beyond, J = 2 at W = 0."""
    tasks = TaskSet.from_arrays([np.ones((2, 1))] * 2, [np.ones(2)] * 2)
    model = Model(loss=Hinge(), transfer=LossWeightedL1(mu=0.0), coupling=0.7)
    W = kinked_minimum(Problem(tasks, model).at(np.zeros((1, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])))
    assert (W >= 1.0 - 1e-12).all() and abs(W[0, 0] - W[0, 1]) <= 1e-12
