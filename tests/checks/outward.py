"""Growth outside the tasks' own rows: falls of J in closed form, and points far out."""

from __future__ import annotations

import numpy as np

from amtl_cvx.certificate import certify
from amtl_cvx.problem import Point, Problem, make_model
from amtl_cvx.refine.outside import farther
from amtl_cvx.refine.recession import recession_fall
from amtl_cvx.rowspace import OwnSpaces
from amtl_cvx.tasks import TaskSet


def _tasks(features: list[int], sd: list[float]) -> TaskSet:
    """Task t sees one feature alone and has L_t = sd_t^2 + (its entry - 1)^2."""
    X = [np.tile(np.eye(2)[feature], (2, 1)) for feature in features]
    return TaskSet.from_arrays(X, [[1.0 + s, 1.0 - s] for s in sd])


def _lent(m: float, sd: list[float]) -> Point:
    """J = sd_0^2 (1 + mu m) + sd_1^2 (1 + mu / m)."""
    problem = Problem(_tasks([0, 1], sd), make_model(mu=0.1, coupling=1.0))
    return problem.at([[1.0, m], [1.0 / m, 1.0]], [[0.0, m], [1.0 / m, 0.0]])


def points_from_which_J_falls_for_ever_do_not_pass() -> None:
    """J = 1/4 (1 + mu m) falls to 1/4 as m -> 0; with two noisy tasks it is least at m = sd_1 / sd_0."""
    endless = _lent(1e-6, [0.5, 0.0])
    found = certify(endless)
    assert not found.passes and "falls by 9.0e-08 of itself" in found.reasons["growth"]
    assert certify(endless, tol=1e-6).passes
    assert "growth" not in certify(_lent(1e-2, [0.5, 0.005]), tol=1e-3).reasons


def cycles_carry_what_no_row_speaks_against() -> None:
    """Two tasks that see feature 0 carry feature 1, K long: a tenth of K saves 0.9 mu sd^2 / K."""
    problem, K = Problem(_tasks([0, 0, 1], [0.5] * 3), make_model(mu=0.2, coupling=1.0)), 1e4
    W, B = [[1.0, 1.0, 1.0 / K], [K, K, 1.0]], [[0.0, 1.0, 1.0 / K], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    fall = 0.9 * 0.2 * 0.25 / K
    assert abs(recession_fall(problem.at(W, B)) - fall) <= 1e-2 * fall
    assert recession_fall(_lent(5e-4, [0.5, 5e-6])) == 0.0  # it falls tenfold farther, to its minimum
    rows = np.array([[1.0, 0.0]] * 2 + [[0.0, 1.0]] * 2)
    W, B = [[0.0] * 3, [K, K, 0.7]], [[0.0, 1.0, 0.7 / K], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    for last, carries in ((1.0, True), (-1.0, False)):
        labels = [[1.0, -1.0, 1.0, last]] * 2 + [[1.0, 1.0, -1.0]]
        tasks = TaskSet.from_arrays([rows, rows, np.array([[0.0, 1.0]] * 3)], labels)
        labelled = Problem(tasks, make_model(loss="logistic", mu=0.2, coupling=1.0))
        assert (recession_fall(labelled.at(W, B)) > 0.0) == carries


def far_points_are_lower_and_far() -> None:
    """Two tasks carry what the third needs: J falls to sd^2 (3 + 2 mu), and is never 3 sd^2."""
    problem = Problem(_tasks([0, 0, 1], [0.5] * 3), make_model(mu=0.2, coupling=1.0))
    spaces = OwnSpaces.of(task.X for task in problem.tasks)
    assert spaces is not None
    W = np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 1.0]])
    assert np.abs(spaces.seen(W) - [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]).max() <= 1e-14
    near, below = problem.at(W, np.zeros((3, 3))), 0.25 * (3.0 + 2.02 * 0.2)
    found = farther(near, spaces, below=below)
    assert found is not None and 0.75 < found.objective < below
    assert farther(near, spaces, below=0.75) is None
    assert farther(near.at(W=1e6 * W), spaces, below=below) is None
