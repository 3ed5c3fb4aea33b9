"""Growth that no row speaks against: its cone, the fall of J along it in closed form, and how fits end."""

from __future__ import annotations

import numpy as np
import pytest
from cases import Array

from amtl_cvx.losses import Loss, Poisson, Squared
from amtl_cvx.problem import Point, Problem, make_model
from amtl_cvx.refine import Growth, outside
from amtl_cvx.refine.recession import _against, _move, recession_fall, recession_words
from amtl_cvx.tasks import TaskSet

SD, MU = 0.5, 0.2


def carried(K: float, sd: float = SD) -> Point:
    """Two tasks that see feature 0 carry feature 1 for a third: J = SD^2 (2 + 2 mu) + sd^2 + mu SD^2 / K."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [1, 0], [0, 1])]
    tasks = TaskSet.from_arrays(X, [[1.0 + s, 1.0 - s] for s in (SD, SD, sd)])
    W = [[1.0, 1.0, 1.0 / K], [K, K, 1.0]]
    B = [[0.0, 1.0, 1.0 / K], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    return Problem(tasks, make_model(mu=MU, coupling=1.0)).at(W, B)


def labelled(labels: list[float], K: float = 1e4) -> Point:
    """The same with labels: two tasks see feature 0 with both labels and feature 1 with these."""
    rows = np.array([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * len(labels))
    tasks = TaskSet.from_arrays(
        [rows, rows, np.array([[0.0, 1.0]] * 3)], [[1.0, -1.0, *labels]] * 2 + [[1.0, 1.0, -1.0]]
    )
    W = [[0.0, 0.0, 0.0], [K, K, 0.7]]
    B = [[0.0, 1.0, 0.7 / K], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    return Problem(tasks, make_model(loss="logistic", mu=MU, coupling=1.0)).at(W, B)


def lent(m: float) -> tuple[Array, Array]:
    return np.array([[1.0, m], [1.0 / m, 1.0]]), np.array([[0.0, m], [1.0 / m, 0.0]])


@pytest.mark.parametrize("K", [1e4, 1e6])
def test_the_fall_is_that_of_the_closed_form(K: float) -> None:
    point = carried(K)
    assert point.objective == pytest.approx(SD**2 * (3.0 + MU * (2.0 + 1.0 / K)), rel=1e-13)
    assert recession_fall(point) == pytest.approx(0.9 * MU * SD**2 / K, rel=2e-3)
    move = _move(point)
    assert move is not None and np.abs(move - [[0.0, 0.0, 0.0], [K, K, 0.0]]).max() <= 1e-3 * K
    assert np.abs(move[0]).max() <= 1e-12 * K


def test_one_row_that_speaks_against_it_is_enough() -> None:
    """Label +1 wants the feature to grow, and one label -1 beside it bounds it."""
    point = labelled([1.0])
    move = _move(point)
    assert move is not None and (move[1, :2] > 0.0).all() and recession_fall(point) > 0.0
    assert _move(labelled([1.0, -1.0])) is None and recession_fall(labelled([1.0, -1.0])) == 0.0


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [(Squared(), 3.0, [[0.5, 1.0], [-0.5, -1.0]]), (Poisson(), 0.0, [[-0.5, -1.0]])],
    ids=["squared", "poisson"],
)
def test_rows_stand_for_how_their_loss_rises(loss: Loss, y: float, expected: Array) -> None:
    """The squared loss rises both ways, a Poisson loss of the count 0 as the score grows."""
    tasks = TaskSet.from_arrays([np.array([[1.0, 2.0], [0.0, 0.0]])] * 2, [[y, y]] * 2)
    point = Problem(tasks, make_model(loss=loss.label, mu=1.0, coupling=1.0)).at(np.eye(2), np.zeros((2, 2)))
    assert np.array_equal(_against(point, 0, 1.0), expected)
    assert np.array_equal(_against(point, 0, -1.0), -np.array(expected))


def test_nothing_is_carried_where_I_minus_B_is_regular() -> None:
    point = carried(1e4)
    assert _move(point.at(B=0.5 * point.B)) is None and recession_fall(point.at(B=np.zeros((3, 3)))) == 0.0


@pytest.mark.parametrize("size", [0.0, 5e-324, 1e-200, 1e-16])
def test_rows_of_rounding_speak_against_nothing(size: float) -> None:
    """A compressed task may have such rows; their squares are 0."""
    point = carried(1e4)
    X = [np.vstack([task.X, [0.0, size]]) for task in point.tasks]
    tasks = TaskSet.from_arrays(X, [np.append(task.y, 1.0) for task in point.tasks])
    move = _move(Problem(tasks, point.model).at(*point))
    assert move is not None and np.abs(move - _move(point)).max() <= 1e-9 * np.abs(move).max()


def test_a_cycle_is_closed_or_J_may_rise_again() -> None:
    """Task 0 needs task 1 with a predictor 5e-4 long, and J falls tenfold on, to its minimum: no sign."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [0, 1])]
    tasks = TaskSet.from_arrays(X, [[1.0 + s, 1.0 - s] for s in (0.5, 5e-6)])
    m, problem = 5e-4, Problem(tasks, make_model(mu=0.1, coupling=1.0))
    point = problem.at(*lent(m))
    assert problem.at(*lent(m / 10.0)).objective < point.objective and recession_fall(point) == 0.0


def test_it_is_looked_for_after_slow_steps_and_told() -> None:
    growth, point = Growth(), carried(1e4)
    for _ in range(outside.OFTEN - 1):
        growth.see(point, tol=1e-8)
    assert not growth.endless
    growth.see(point, tol=1e-8)
    assert growth.endless and growth.fall == recession_fall(point)
    words = growth.words(point)
    assert words == recession_words(point, recession_fall(point))
    assert "no row of 'task 0', 'task 1' speaks against" in words and "1.0e+04 long" in words
    growth = Growth()
    for _ in range(outside.OFTEN):
        growth.see(point, tol=1e-3)  # it is within that
    assert growth.fall is None
