"""What steers a fit and the search for the minimum: limits, shifts, held-out rows, the better point."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import literal
import numpy as np

from amtl_cvx import coordinator
from amtl_cvx.amtl import Alternating
from amtl_cvx.certificate import transfer_gap, weight_gap
from amtl_cvx.coordinator import Part, start_run
from amtl_cvx.enclosure import cells, enclose
from amtl_cvx.enclosure.exact import ExactProblem
from amtl_cvx.enclosure.point import polish
from amtl_cvx.errors import SolveError
from amtl_cvx.experiment import Choice, tune
from amtl_cvx.holdout import draw, hold_out
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.refine.local import Trust
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems.numpy_steps import DirectWeightStep
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1
from checks.enclosure import instance, least_on_a_grid
from checks.points import close
from checks.rational import exact_J


def models_of_newton_are_convex() -> None:
    """S + c I, eigenvalues prescribed, by either way: positive, c at most twice what it must be."""
    rng = np.random.default_rng(31)
    for n in (6, 420):
        Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
        for least in (-3.0, -1e-3, 2.0):
            S = (Q * np.linspace(least, 5.0, n)) @ Q.T
            S = (S + S.T) / 2
            trust = Trust()
            for _ in range(3):  # the second and third model begin at the shift of the one before
                moved = trust.convex(S) - S
                shift = float(np.diag(moved).mean())
                assert np.abs(moved - shift * np.eye(n)).max() <= 1e-12
                assert -least < shift <= -2.05 * least if least < 0 else 0.0 <= shift <= 1e-4
                trust.curvature *= 64.0


def rises_beyond_the_gap_are_errors() -> None:
    """What a step may raise J by where the gap is known in closed form.

    W with hardly any loss: J is the coupling, which moves of W bring to 0. B = 0 with one useful source: the
    best edge b gains coupling ||w_s||^2 b^2.
    """
    rng = np.random.default_rng(32)
    X, y = rng.normal(size=(2, 6, 3)), rng.normal(size=(2, 6))
    tasks = TaskSet.from_arrays(list(X), list(y))
    W = np.array([[1.0, 2.0], [0.5, 1.0], [-1.0, 1.0]])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.0), coupling=0.7, task_weights=(1e-14, 1e-14))
    B = np.array([[0.0, 0.5], [0.25, 0.0]])
    whole = 0.7 * float(((W - W @ B) ** 2).sum())
    pull, length = float(W[:, 0] @ W[:, 1]), (W**2).sum(axis=0)
    edges = sum(0.7 * pull**2 / length[s] for s in (0, 1))  # b = w_s'w_t / ||w_s||^2, at no price
    problem = Problem(tasks, model)
    gaps = {"W": lambda at: weight_gap(at)[0], "B": lambda at: transfer_gap(at)[0]}
    for name, point, gap in (("W", problem.at(W, B), whole), ("B", problem.at(W, 0 * B), edges)):
        for part, allowed in ((0.99, True), (1.01, False), (1.6, False)):
            run = start_run(problem, Options(), method=Alternating())
            step = Part(block=name, step=DirectWeightStep(), gap=gaps[name])
            try:
                coordinator._check_rise(run, step, point, part * gap, Solved.none())
                assert allowed, (name, part)
            except SolveError:
                assert not allowed, (name, part)


def held_out_losses_are_means() -> None:
    """Of the held-out rows of each task and then of the tasks, whatever the loss of the fit sums."""
    rng = np.random.default_rng(33)
    X, y = [rng.normal(size=(n, 2)) for n in (1, 4, 9)], [rng.normal(size=n) for n in (1, 4, 9)]
    held, W = TaskSet.from_arrays([X[0], X[2]], [y[0], y[2]]), rng.normal(size=(2, 3))
    whole = TaskSet.from_arrays(X, y)
    expected = np.mean([np.mean((X[t] @ W[:, t] - y[t]) ** 2) for t in (0, 2)])
    for reduction in ("mean", "sum"):
        model = Model(loss=Squared(reduction=reduction), transfer=LossWeightedL1(mu=0.1), coupling=1.0)  # type: ignore[arg-type]
        path = tune._Path((whole, held, (0, 2)), model, False, Options())
        assert close(tune.held_out_loss(path, W), expected, 1e-12)
    twice = TaskSet.from_arrays([np.vstack([x, x]) for x in X], [np.r_[t, t] for t in y])
    found: list[Choice] = [
        tune.choose(
            whole,
            Model(loss=Squared(reduction="sum"), transfer=LossWeightedL1(mu=0.1), coupling=1.0),
            coupling=True,
            mu=False,
            rng=rng,
            split=lambda tasks, loss, rng, part=part: (tasks, part, (0, 1, 2)),
        )
        for part in (whole, twice)
    ]
    once, again = ([trial.held_out_loss for trial in choice.trials] for choice in found)
    assert close(again, once, 1e-9)  # rows that are there twice change no mean


def held_out_rows_are_of_every_class() -> None:
    """A fifth of each class, one at least, never all of it: counted by hand."""
    rng = np.random.default_rng(34)
    sizes = ((10, 5), (3, 2), (1, 6), (25, 15), (2, 1))
    expected = ((2, 1), (1, 1), (0, 1), (5, 3), (1, 0))
    targets = [rng.permutation(np.r_[np.ones(a), -np.ones(b)]) for a, b in sizes]
    tasks = TaskSet.from_arrays([rng.normal(size=(len(y), 2)) for y in targets], targets)
    for seed in range(3):
        train, held, index = hold_out(tasks, Logistic(), np.random.default_rng(seed))
        assert held is not None and index == (0, 1, 2, 3, 4)
        for task, rest, counts, whole in zip(held, train, expected, sizes, strict=True):
            assert tuple(int((task.y == sign).sum()) for sign in (1, -1)) == counts
            assert tuple(int((rest.y == sign).sum()) for sign in (1, -1)) == tuple(np.subtract(whole, counts))
    X, classes = rng.normal(size=(30, 2)), np.repeat([0, 1, 2], 10)
    shared = TaskSet.from_arrays([X] * 3, [np.where(classes == k, 1.0, -1.0) for k in range(3)])
    _, drawn = draw(shared, 0.3, np.random.default_rng(0))
    assert [int((task.y > 0).sum()) for task in drawn] == [3, 3, 3]
    assert all(np.array_equal(task.X, drawn[0].X) for task in drawn)


def polished_points_are_no_higher() -> None:
    """An edge of 5e-11 that lowers J, which polishing takes for 0: the point itself is the better one."""
    tasks, model, _, _ = instance()
    W, B = literal.best_W(tasks, model, np.zeros((2, 2))), np.zeros((2, 2))
    slope = literal.gradients(tasks, model, W, B)[1]
    problem = ExactProblem.read(tasks, model)
    for edge in ((0, 1), (1, 0)):
        assert slope[edge] < -0.1
        tiny = B.copy()
        tiny[edge] = 5e-11
        given, bare = exact_J(tasks, model, W, tiny), exact_J(tasks, model, W, B)
        assert bare - given > Fraction(1, 10**12)
        found = polish(problem, W, tiny, bits=96)
        assert found.objective <= given and exact_J(tasks, model, found.W, found.B) == found.objective


def lower_points_are_taken_up() -> None:
    """Asked about W = 0, B = 0 and told to fit from nowhere, the cells lead to the global minimum."""
    tasks, model, W, B = instance()
    found = enclose(tasks, model, 0 * W, 0 * B, starts=0, cells=4)
    assert float(found.upper) <= least_on_a_grid() * (1 + 1e-9)
    assert found.tight and found.width < 1e-9 and found.beaten > 0.2


def open_cells_are_not_tight() -> None:
    """Where no lower point is looked for and no cut is allowed a gap is left, and is said."""
    tasks, model, W, B = instance()
    look: Any = cells.Prover._look_lower
    cells.Prover._look_lower = lambda *_: None  # type: ignore[method-assign]
    try:
        found = enclose(tasks, model, 0 * W, 0 * B, starts=0, cells=1)
    finally:
        cells.Prover._look_lower = look  # type: ignore[method-assign]
    assert found.width > 0.1 and not found.tight
    assert float(found.lower) <= least_on_a_grid() * (1 + 1e-12)
