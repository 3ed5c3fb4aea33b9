"""Where refinement ends without a certificate: it never ends above the alternation's own continuation."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
from cases import Array, random_tasks, tasks_for

from amtl_cvx.coordinator import Options
from amtl_cvx.losses import Hinge
from amtl_cvx.methods import fit
from amtl_cvx.model import Model, make_model
from amtl_cvx.refine import plain_rounds
from amtl_cvx.refine.newton import Trust, newton_steps
from amtl_cvx.solution import Solution
from amtl_cvx.subproblems.kinks import kinked_minimum
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1


def separable() -> tuple[TaskSet, Model]:
    """Tasks of 7, 2 and 3 rows with 4 features: two can be fitted without loss, I - B turns singular."""
    rng = np.random.default_rng(3)
    tasks = tasks_for(Hinge(), rng, d=4, counts=rng.integers(2, 9, size=3))
    mu, coupling = 10.0 ** rng.uniform(-3, -1), 10.0 ** rng.uniform(-2, 1)
    return tasks, Model(loss=Hinge(), transfer=LossWeightedL1(mu=mu), coupling=coupling)


def objectives(solution: Solution) -> Array:
    return np.array([record.objective for record in solution.history])


def test_refinement_never_ends_above_the_alternation() -> None:
    tasks, model = separable()
    plain = fit(tasks, model, options=Options(engine="fast", refine=False, max_rounds=100))
    refined = fit(tasks, model, options=Options(engine="fast", max_rounds=100))
    assert refined.objective <= plain.objective * (1.0 + 1e-10)
    assert (np.diff(objectives(refined)) <= 1e-12 * refined.objective).all()


def test_targets_of_very_unequal_size_do_not_stop_refinement_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes from 60 to 2e9: what the small tasks gain is below 1e-10 of J, and beyond rounding."""
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "reports" / "random")
    found = importlib.import_module("problems").problem(285)
    tasks, model, B = found.tasks, found.model, np.zeros((8, 8))
    W = kinked_minimum(tasks, model, np.zeros((5, 8)), B)
    point = next(newton_steps(tasks, model, W, B, trust=Trust()))
    assert model.objective(tasks, *point) < model.objective(tasks, W, B) * (1.0 - 1e-12)


@pytest.mark.parametrize("most", [0, 1, 7])
def test_plain_rounds_descend_to_their_limit(most: int, rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    start = np.zeros((6, 4)), np.zeros((4, 4))
    points = list(plain_rounds(tasks, model, start, most=most))
    values = [model.objective(tasks, *point) for point in (start, *points)]
    assert len(points) == most and (np.diff(values) < 0.0).all()


def test_plain_rounds_end_where_j_falls_no_more() -> None:
    tasks, model = separable()
    points = list(plain_rounds(tasks, model, (np.zeros((4, 3)), np.zeros((3, 3))), most=10**4))
    assert not list(plain_rounds(tasks, model, points[-1], most=1))
