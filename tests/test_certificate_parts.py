# More than 300 lines: many small parts, one test each.
"""Parts of the certificate by hand: rows against factors, rounding of J and prices, whose cause is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import cvxpy as cp
import literal
import numpy as np
import pytest
from cases import NONSMOOTH_CASES, Array, SourceGroupL2, loss_id, random_tasks, random_transfer, tasks_for
from checks.points import amtl, anywhere, solved
from checks.rational import fractions
from scipy.optimize import lsq_linear

from amtl_cvx.certificate import RowSums, certify, fenchel, residuals, w_step
from amtl_cvx.certificate.b_step import transfer_evidence
from amtl_cvx.certificate.bounds import WeightProblem
from amtl_cvx.certificate.conjugate import _Judge
from amtl_cvx.certificate.duals import Column, column_duals
from amtl_cvx.certificate.escape import _names
from amtl_cvx.certificate.factor import cholesky_factor
from amtl_cvx.certificate.fenchel import _box_minimum
from amtl_cvx.certificate.held import HeldRows, _kernel
from amtl_cvx.certificate.newton import Newton, newton_step
from amtl_cvx.certificate.room import price_room, rounding
from amtl_cvx.certificate.streamed import disagreement
from amtl_cvx.certificate.verdict import resolution
from amtl_cvx.losses import Hinge, Logistic, Loss, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import RowBudget
from amtl_cvx.weights import Ridge

ALONE = np.zeros((2, 2))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rows_of_a_perfect_fit_are_held_against_what_their_slopes_are_summed_from(scale: float) -> None:
    """x = 3, 4, y = 2 x s, w = 2 s: no slope is left, 1e-4 of 2 (||x|| w + ||y||) = 40 s is its room."""
    x = np.array([[3.0], [4.0]])
    tasks, w = TaskSet.from_arrays([x], [2.0 * scale * x[:, 0]]), np.array([[2.0 * scale]])
    losses = np.array([[0.0], [100.0 * scale**2]])  # sums over the rows, at w and at 0
    gradients = np.array([[[0.0]], [[-100.0 * scale]]])
    sums = RowSums(W=w, counts=tasks.counts, losses=losses, gradients=gradients)
    assert disagreement(tasks, Squared(), sums)[0] <= 1e-10
    for off in (1e-9, 1e-6, 1e-3):
        moved = sums._replace(gradients=gradients + np.array([[[off * scale]], [[0.0]]]))
        expected = off / (5.0 * 1e-4 * 40.0)  # both in means over the two rows
        assert disagreement(tasks, Squared(), moved)[0] == pytest.approx(expected, rel=1e-6)
        moved = sums._replace(losses=losses + np.array([[0.0], [off * scale**2]]))
        steep = 20.0  # of the slopes 2 y at 0, norm
        expected = 0.5 * off / (0.5 * (100.0 + off) + 1e-5 * 0.5 * steep * 10.0)
        assert disagreement(tasks, Squared(), moved)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "share"),
    [(Squared(), (2**16 * 2.0**-52) ** 2), (Hinge(), 16 * 2.0**-52), (Quantile(tau=0.5), 16 * 2.0**-52)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_j_of_0_leaves_by_rounding(loss: Loss, share: float, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, loss="logistic", d=3, counts=(5, 7, 4))
    model = amtl(loss)
    at_zero = literal.J(tasks, model, np.zeros((3, 3)), np.zeros((3, 3)))
    assert resolution(Problem(tasks, model)) == pytest.approx(share * at_zero, rel=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e4, 1e8])
def test_prices_are_known_to_within_their_room_where_scores_cancel(size: float) -> None:
    """w = size (1, -1) on nearly equal features: the price in fractions, of the rows and w as they are."""
    rng = np.random.default_rng(37)
    for _ in range(20):
        x = rng.normal(size=(8, 1))
        X, y = np.hstack([x, x * (1 + rng.normal(size=(8, 1)) / size)]), rng.normal(size=8)
        tasks = TaskSet.from_arrays([X, X[:3]], [y, y[:3]])
        model = amtl(Squared(), mu=0.3, c=(0.5, 2.0))
        W = size * np.array([[1.0, 0.5], [-1.0, -0.5]])
        prices = model.transfer.prices(model.weighted_losses(tasks, W))
        assert prices is not None
        room = price_room(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))), prices)
        for t, (task, c) in enumerate(zip(tasks, (0.5, 2.0), strict=True)):
            (a, b), total = fractions(W[:, t : t + 1].T)[0], Fraction(0)
            for (u, v), target in zip(fractions(task.X), task.y.tolist(), strict=True):
                total += (u * a + v * b - Fraction(target)) ** 2
            exact = Fraction(model.mu) * Fraction(c) * total / len(task.y)
            away = abs(exact - Fraction(prices[t]))
            assert away <= Fraction(room[t])
            assert room[t] <= 1e-13 * (prices[t] + size * np.sqrt(prices[t]) + size**2 * 1e-13)


def test_a_cause_is_told_of_gaps_that_are_too_large_only() -> None:
    tasks, model, W, B = solved()[0]
    assert "gap_B" not in certify(Problem(tasks, model).at(W, B), tol=1e-8).reasons
    far = certify(Problem(tasks, model).at(W, 1.5 * B), tol=1e-8)
    assert far.gap_B is not None and far.gap_B > 1e-8 * far.objective and "gap_B" in far.reasons


def test_three_tasks_are_named_and_more_are_hinted_at(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(4,) * 5)
    names = [repr(name) for name in tasks.names]
    assert _names(tasks, np.array([1, 0, 1, 0, 0], dtype=bool)) == f"{names[0]}, {names[2]}"
    assert _names(tasks, np.array([1, 1, 1, 0, 0], dtype=bool)) == ", ".join(names[:3])
    assert _names(tasks, np.ones(5, dtype=bool)) == ", ".join(names[:3]) + ", ..."


def test_the_price_of_a_model_is_in_its_room_for_every_reduction(rng: np.random.Generator) -> None:
    """Sums weigh every row by 1, means by 1/n: the room of a sum is n times that of the mean."""
    tasks = random_tasks(rng, d=3, counts=(6, 9))
    W, rooms = rng.normal(size=(3, 2)), []
    for reduction in ("mean", "sum"):
        model: Model = amtl(Squared(reduction=reduction), mu=0.3, c=(0.5, 2.0))  # type: ignore[arg-type]
        prices = model.transfer.prices(model.weighted_losses(tasks, W))
        assert prices is not None
        rooms.append(price_room(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))), prices))
    np.testing.assert_allclose(rooms[1], rooms[0] * tasks.counts, rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_in_a_box_are_those_of_bounded_least_squares(seed: int) -> None:
    """(1/2) |A x - b|^2 over a box, with and without a regular matrix, in any unit."""
    rng = np.random.default_rng(seed)
    n, rank = int(rng.integers(2, 12)), int(rng.integers(1, 15))
    A, b = rng.normal(size=(rank, n)), rng.normal(size=rank) * 3.0
    low = -rng.uniform(0.1, 1.0, size=n)
    high = low + rng.uniform(0.2, 2.0, size=n)
    for unit in (1e-8, 1.0, 1e8):
        x = _box_minimum(unit * A.T @ A, -unit * A.T @ b, low, high)
        best = lsq_linear(A, b, (low, high), tol=1e-14, method="bvls").x
        assert (low <= x).all() and (x <= high).all()
        value, least = (0.5 * float(((A @ each - b) ** 2).sum()) for each in (x, best))
        assert least * (1 - 1e-12) <= value <= least + 1e-9 * (1.0 + least)


def test_the_newton_step_says_where_it_has_none() -> None:
    """Diagonal Hessians by hand: what g'H^-1 g is, where H is singular, and where a number is not finite."""
    M, W = np.zeros((1, 1)), np.ones((2, 1))

    def at(diagonal: tuple[float, float], g: tuple[float, float]) -> Newton:
        return newton_step(np.diag(diagonal)[None], M, 1.0, np.array(g)[:, None], W)

    whole = at((2.0, 8.0), (2.0, 8.0))
    assert whole.gain == pytest.approx(5.0) and whole.step == pytest.approx(np.sqrt(2.0))
    assert whole.condition == pytest.approx(4.0)
    assert at((2.0, 0.0), (2.0, 0.0)).gain == pytest.approx(1.0)
    assert at((2.0, 0.0), (2.0, 1e-3)).gain == np.inf
    for diagonal, g in (
        ((np.inf, 1.0), (1.0, 1.0)),
        ((1.0, 1.0), (np.inf, 1.0)),
        ((np.nan, 1.0), (1.0, 1.0)),
    ):
        found = at(diagonal, g)
        assert (found.gain, found.condition, found.smallest) == (np.inf, np.inf, 0.0)


@pytest.mark.parametrize("case", range(4))
def test_the_terms_of_every_task_are_those_of_j(case: int) -> None:
    """a_t L_t + coupling ||w_t - W b_t||^2 by loops: what a task can gain at most, and their sum is J."""
    tasks, model, W, B = [each for each in anywhere() if each.model.loss.smooth][3 * case]
    values, room = w_step.weight_problem(Problem(tasks, model).at(W, B), None)._terms()
    a, T = literal.loss_weights(tasks, model, B), tasks.T
    for t, task in enumerate(tasks):
        loss = float(model.loss.rows(task.X @ W[:, t], task.y).sum()) * literal.row_scale(
            model.loss, len(task.y)
        )
        r = [W[i, t] - sum(W[i, s] * B[s, t] for s in range(T)) for i in range(tasks.d)]
        assert values[t] == pytest.approx(a[t] * loss + model.coupling * sum(v * v for v in r), rel=1e-12)
        assert 0.0 < room[t] <= 1e-10 * values[t] + 1e-12
    assert values.sum() == pytest.approx(literal.J(tasks, model, W, B), rel=1e-12)


def test_the_distance_from_a_kink_is_known_to_the_digits_of_the_kink() -> None:
    """W = 0 on a quantile loss: the kinks are the targets, known to half a unit of their last digit."""
    y = np.array([1.0, -3e5, 7e-9])
    tasks = TaskSet.from_arrays([np.ones((3, 1))], [y])
    held = HeldRows(Problem(tasks, amtl(Quantile(tau=0.5), c=(1.0,))).at(np.zeros((1, 1)), np.zeros((1, 1))))
    found = held.z_rounding(0)
    assert (found >= 2.0**-53 * np.abs(y)).all() and (found <= 1e-13 * np.abs(y)).all()


@pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)
@pytest.mark.parametrize("limit", [0, fenchel.DENSE_LIMIT])
def test_multipliers_at_the_minimum_close_the_gap_with_and_without_a_matrix(
    loss: Loss, limit: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F - D at the W-step's minimum, by loops over the rows and a dense solve."""
    tasks = tasks_for(loss, rng, d=3, counts=(9, 12, 7))
    model, B = amtl(loss, mu=0.1, coupling=0.2), 0.5 * random_transfer(rng, 3)
    W = minimal_weights(Problem(tasks, model).at(np.zeros((3, 3)), B))
    monkeypatch.setattr(fenchel, "DENSE_LIMIT", limit)
    u = fenchel.kinked_multipliers(Problem(tasks, model).at(W, B))
    J, dual = literal.J(tasks, model, W, B), literal.dual_W(tasks, model, B, list(u))
    assert -1e-12 * J <= J - dual <= 1e-8 * J


@pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)
def test_rows_on_their_kinks_are_free_from_the_first_pivot_on(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So one is enough at the W-step's minimum; F - D by loops over the rows and a dense solve."""
    tasks = tasks_for(loss, rng, d=3, counts=(9, 12, 7))
    model, B = amtl(loss, mu=0.1, coupling=0.2), 0.5 * random_transfer(rng, 3)
    W = minimal_weights(Problem(tasks, model).at(np.zeros((3, 3)), B))
    for name, value in (("DENSE_LIMIT", 0), ("_PIVOTS", 1), ("_WIDENINGS", 0)):
        monkeypatch.setattr(fenchel, name, value)
    u = fenchel.kinked_multipliers(Problem(tasks, model).at(W, B))
    J, dual = literal.J(tasks, model, W, B), literal.dual_W(tasks, model, B, list(u))
    assert -1e-12 * J <= J - dual <= 1e-12 * J


def test_prices_of_rows_on_their_kink_have_the_room_of_the_steeper_side(rng: np.random.Generator) -> None:
    """Hinge rows whose score is 1 up to rounding, one a task: their loss in fractions."""
    X = rng.normal(size=(60, 2))
    first = rng.normal(size=60)
    W = np.array([first, (1.0 - X[:, 0] * first) / X[:, 1]])
    tasks = TaskSet.from_arrays([x[None] for x in X], [np.ones(1)] * 60)
    model = amtl(Hinge(), mu=0.5, c="equal")
    prices = model.transfer.prices(model.weighted_losses(tasks, W))
    assert prices is not None
    room, hidden = price_room(Problem(tasks, model).at(W, np.zeros((tasks.T, tasks.T))), prices), 0
    for t in range(60):
        score = sum((Fraction(a) * Fraction(b) for a, b in zip(X[t], W[:, t], strict=True)), Fraction(0))
        away = abs(max(Fraction(0), 1 - score) / 2 - Fraction(prices[t]))
        assert away <= Fraction(room[t])
        hidden += away > 0
    assert hidden > 5


def test_a_singular_value_counts_where_it_is_known_to_a_hundredth(rng: np.random.Generator) -> None:
    """Two rows that nearly agree: the lesser singular value is |det| over the larger, det in fractions."""
    counted = 0
    for size in np.geomspace(2.0**-52, 2.0**-40, 200):
        row = rng.normal(size=2)
        A = np.array([row, row + size * rng.normal(size=2)])
        (a, b), (c, d) = fractions(A)
        _, sigma, rank = _kernel(A)
        if rank == 2:
            counted += 1
            assert sigma == pytest.approx(abs(float(a * d - b * c)) / np.linalg.norm(A, 2), rel=0.01, abs=0)
    assert 20 < counted < 180


def test_a_gap_has_room_for_the_rounding_of_itself(rng: np.random.Generator) -> None:
    """b = 0 and numbers of few digits: P - D is ||2 coupling w - theta||^2 / (4 coupling), in fractions."""
    for _ in range(50):
        w, theta = rng.integers(-(2**20), 2**20, size=(2, 5)).astype(float)
        column = Column(
            A=np.zeros((5, 1)),
            w=w,
            b=np.zeros(1),
            low=np.ones(1),
            high=np.ones(1),
            pull=3.0 * w,
            coupling=1.5,
            noise=rounding(np.zeros((5, 2))),
            length=np.zeros(1),
            blur=0.0,
        )
        exact = sum(Fraction(3 * u - v) ** 2 for u, v in zip(w.tolist(), theta.tolist(), strict=True)) / 6
        assert exact <= Fraction(column.gap(theta)) <= exact * Fraction(1 + 1e-14)


def test_the_residual_of_edges_of_nothing_is_that_of_a_step_of_1() -> None:
    """W = 0 and a group penalty: the prox takes mu from the length of a row of B, or all of it."""
    tasks = TaskSet.from_arrays([np.ones((2, 1))] * 2, [np.ones(2)] * 2)
    for edge, expected in ((0.25, 0.25), (40.0, 3.0)):
        model = Model(loss=Squared(), transfer=SourceGroupL2(mu=3.0), coupling=1.0)
        found = residuals(Problem(tasks, model).at(np.zeros((1, 2)), np.array([[0.0, edge], [0.0, 0.0]])))
        assert found.stationarity_B == pytest.approx(expected, rel=1e-14)


def test_a_gap_at_no_multiplier_is_that_of_the_residual_and_its_rounding() -> None:
    """Coupling 1/2, mu = 0: ||W - W B||^2 / 2 with every product off by 1/64 of it.

    W = (3, 4) and B_12 = 1/2: the residuals 3 and 5/2 are off by 3/64 and (4 + 3/2) / 64.
    """
    model = Model(loss=Squared(), transfer=RowBudget(mu=0.0, budget=1.0), coupling=0.5)
    W, B = np.array([[3.0, 4.0]]), np.array([[0.0, 0.5], [0.0, 0.0]])
    judge = _Judge(model, W, B, np.ones(2), np.zeros(2), 1.0 / 64.0)
    away = (3.0 + 3.0 / 64.0) ** 2 + (2.5 + 5.5 / 64.0) ** 2
    assert judge.gap(np.zeros((1, 2))) == pytest.approx(away / 2.0 * (1.0 + 1.0 / 64.0), rel=1e-14)


def test_a_hessian_is_factored_in_its_own_memory(rng: np.random.Generator) -> None:
    """And L L' is what it was."""
    A = rng.normal(size=(6, 6))
    H = A @ A.T
    whole = H.copy()
    factor = cholesky_factor(H)
    assert factor is not None and np.shares_memory(factor.lower, H)
    lower = np.tril(factor.lower)
    np.testing.assert_allclose(lower @ lower.T, whole, rtol=1e-12, atol=1e-14)


def test_a_root_that_is_mostly_rounding_bounds_no_gain(rng: np.random.Generator) -> None:
    """K K' >= (1 - lost) L L' says nothing of W from lost = 1 on, and little before."""
    tasks = random_tasks(rng, d=2, counts=(4, 5))
    point = Problem(tasks, replace(amtl(Squared(), c=(1.0, 1.0)), omega=Ridge(rho=0.1))).at(
        np.ones((2, 2)), ALONE
    )
    problem = w_step.weight_problem(point, None)
    slope = problem.slope(None, True)
    assert problem.gap(slope, True, sharp=True)[0].safe < np.inf
    for lost in (0.6, 1.0):
        squares = replace(problem.squares)
        squares.__dict__["_factor"] = (problem.squares.L, lost)
        gap, _ = replace(problem, squares=squares).gap(slope, True, sharp=True)
        assert (gap.value, gap.safe) == (np.inf, np.inf)


def test_tasks_without_cost_that_give_to_others_are_not_left_out() -> None:
    """Tasks 1 and 2 cost nothing and copy each other; where 2 gives to 0 as well, 1 does by way of 2."""
    X = [np.array([[1.0, 0.5], [-1.0, 0.25], [0.5, -1.0]]), np.eye(2), np.eye(2)]
    tasks = TaskSet.from_arrays(X, [np.array([1.0, -1.0, 1.0]), np.ones(2), np.ones(2)])
    model = amtl(SquaredHinge(), c=(1.0, 1.0, 1.0))
    W = np.array([[0.1, 4.0, 8.0], [0.1, 4.0, 8.0]])
    B = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.5, 0.0]])

    def rest(B: Array) -> WeightProblem | None:
        found = w_step.weight_problem(Problem(tasks, model).at(W, B), None).without_costless()
        return None if found is None else found[0]

    alone = rest(B)
    assert alone is not None and alone.W.tolist() == [[0.1], [0.1]]
    assert rest(B + [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]]) is None


def test_the_error_of_a_newton_step_has_room_for_the_rounding_of_the_gradient(
    rng: np.random.Generator,
) -> None:
    """A gradient that is off by r moves the minimum by up to r over the smallest eigenvalue."""
    point = Problem(random_tasks(rng, d=2, counts=(4, 5)), amtl(Logistic(), c=(1.0, 1.0)))
    for smallest in (1e-2, 1e2):
        newton = Newton(0.0, 0.0, 1.0, smallest, None)
        found = w_step._newton_error(point.at(np.zeros((2, 2)), ALONE), newton, 1e-9)
        assert 1e-9 / smallest <= found <= 1.01e-9 / smallest


def test_a_condition_that_is_known_has_no_reason(rng: np.random.Generator) -> None:
    """One edge, so the condition is that of one column: 1."""
    tasks, B = random_tasks(rng, d=3, counts=(4, 5)), np.array([[0.0, 0.5], [0.0, 0.0]])
    found = transfer_evidence(Problem(tasks, amtl(Squared(), c=(1.0, 1.0))).at(rng.normal(size=(3, 2)), B))
    assert found.condition == pytest.approx(1.0) and "condition_B" not in found.reasons


def test_the_best_edges_are_found_without_least_squares(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are asked for a little above 0 are at the best b: pivoting ends there by itself."""
    monkeypatch.setattr(Column, "nearest", None)
    W, B = rng.normal(size=(6, 3)), np.array([[0.0, 0.3, 0.1], [0.2, 0.0, 0.4], [0.1, 0.2, 0.0]])
    found = column_duals(W, B, np.full(3, 1e-3), 1.0)
    exact = cp.Variable((3, 3), nonneg=True)
    J = cp.sum_squares(W - W @ exact) + 1e-3 * cp.sum(exact)
    least = cp.Problem(cp.Minimize(J), [cp.diag(exact) == 0.0]).solve(solver="CLARABEL")
    here = float(((W - W @ B) ** 2).sum() + 1e-3 * B.sum())
    assert found.gaps.sum() == pytest.approx(here - least, rel=1e-6)


def test_rows_at_their_ends_that_press_outwards_are_left_there(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One box QP on the rows nearest to their kinks is enough where all others stay: it is solved once."""
    asked = list[int]()
    minimum = fenchel._RowProblem.minimum

    def counted(problem: Any, v: Array, near: Array) -> Array:
        asked.append(len(near))
        return minimum(problem, v, near)

    tasks = tasks_for(Hinge(), rng, d=2, counts=(60, 70))
    point = Problem(tasks, amtl(Hinge(), c=(1.0, 1.0))).at(np.zeros((2, 2)), ALONE)
    best = point.at(W=minimal_weights(point))
    for name, value in (("minimum", counted), ("settled", lambda _, v: (v, False))):
        monkeypatch.setattr(fenchel._RowProblem, name, value)
    monkeypatch.setattr(fenchel, "DENSE_LIMIT", 0)
    fenchel._kinked_multipliers(best)
    assert asked == [2 * 4 + 20]
