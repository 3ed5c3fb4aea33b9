"""Parts of refinement: its trust, which of two points is kept, plain rounds, bursts, what is carried on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import literal
import numpy as np
import pytest
from cases import random_tasks, random_transfer, ridge

from amtl_cvx.certificate import certify, residuals
from amtl_cvx.model import make_model
from amtl_cvx.refine import Carried, kept_apart, plain_rounds, refine
from amtl_cvx.refine.newton import Trust, _lower, newton_steps
from amtl_cvx.refine.quasi import Units, quasi_newton_steps
from amtl_cvx.subproblems.direct import minimal_weights
from amtl_cvx.tasks import TaskSet


def test_trust_rises_after_refusals_and_falls_to_nothing_after_successes() -> None:
    trust, seen = Trust(), [Trust().value]
    for _ in range(40):
        trust.adapt(1.0)
        seen.append(trust.value)
    assert all(later < value or later == value == 0.0 for value, later in pairwise(seen)) and seen[-1] == 0.0
    for rise in (trust.raise_, lambda: trust.adapt(0.1)):
        trust.value = 0.0
        rise()
        first = trust.value
        rise()
        assert 0.0 < first < 1e-6 and trust.value > first
    trust.value = 0.5
    trust.adapt(0.5)
    assert trust.value == 0.5


def test_the_point_of_lower_j_is_kept_and_where_j_is_the_same_that_of_smaller_residual(
    rng: np.random.Generator,
) -> None:
    tasks, model = random_tasks(rng, d=3, counts=(9,)), make_model(mu=0.05, coupling=0.7)
    point = ridge(tasks, model), np.zeros((1, 1))
    near, far = (point[0] * (1 + 1e-9), point[1]), (point[0] * 1.1, point[1])
    values = [literal.J(tasks, model, *each) for each in (point, near, far)]
    assert abs(values[1] / values[0] - 1) < 1e-14 and values[2] > values[0] * (1 + 1e-6)
    for other in (near, far):
        assert _lower(tasks, model, point, other) is point
        assert _lower(tasks, model, other, point) is point
    assert _lower(tasks, model, far, near) is near and _lower(tasks, model, near, far) is near


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_plain_rounds_are_those_of_second_methods_in_every_unit_of_y(
    scale: float, rng: np.random.Generator
) -> None:
    """J(k y, k W, B) = k^2 J: the rounds are the same ones, and end where J falls no more."""
    plain = random_tasks(rng)
    tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
    model = make_model(mu=0.05, coupling=0.7)
    W, B = ridge(tasks, model), np.zeros((4, 4))
    found = list(plain_rounds(tasks, model, (W, B), most=12))
    assert len(found) == 12
    for V, C in found:
        B = literal.best_B(W, literal.prices(tasks, model, W), 0.7)
        W = literal.best_W(tasks, model, B)
        np.testing.assert_allclose(C, B, rtol=0, atol=1e-7)
        np.testing.assert_allclose(V, W, rtol=0, atol=1e-7 * np.abs(W).max())
    values = [model.objective(tasks, *point) for point in found]
    assert all(later < value for value, later in pairwise(values))
    end = refine(tasks, model, found[-1], tol=1e-12)
    assert len(list(plain_rounds(tasks, model, end, most=12))) <= 1


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_bursts_of_l_bfgs_lower_j_and_keep_b_feasible_in_every_unit_of_y(
    scale: float, rng: np.random.Generator
) -> None:
    plain = random_tasks(rng)
    tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
    model = make_model(mu=0.05, coupling=0.7)
    start = ridge(tasks, model), np.zeros((4, 4))
    units = Units.at(tasks, model, *start)
    values = [model.objective(tasks, *start)]
    steps = quasi_newton_steps(tasks, model, *start, units=units)
    for _, (W, B) in zip(range(8), steps, strict=False):
        assert (B >= 0).all() and not np.diag(B).any()
        values.append(model.objective(tasks, W, B))
        assert values[-1] < values[-2]
    assert len(values) > 1
    end = refine(tasks, model, start, tol=1e-10)
    assert values[-1] == pytest.approx(model.objective(tasks, *end), rel=1e-6)


def test_what_is_carried_on_is_the_residual_and_the_steps(rng: np.random.Generator) -> None:
    tasks, model, carried = random_tasks(rng), make_model(mu=0.05, coupling=0.7), Carried()
    seen: list[float] = []

    def observe(W: np.ndarray, B: np.ndarray, name: str) -> None:
        seen.append(residuals(tasks, model, W, B).relative)

    start = ridge(tasks, model), np.zeros((4, 4))
    end = refine(tasks, model, start, tol=1e-8, observe=observe, carried=carried)
    assert carried.steps == len(seen) > 1
    assert carried.relative == seen[-1] == residuals(tasks, model, *end).relative
    assert Carried.from_dict(carried.to_dict()) == carried
    carried = replace(carried, idle=3, turn=1, rounds=9, trust=Trust(5.0, 6.0), units=Units(2.0, 3.0))
    carried.begin_anew()
    assert carried == Carried(steps=len(seen), turn=2)


@pytest.mark.parametrize("seed", range(2))
def test_every_step_of_newton_stands_at_the_best_w_and_none_is_higher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tasks, model = random_tasks(rng, d=3, counts=(6, 9, 7, 8)), make_model(mu=1e-3, coupling=5.0)
    W, B = rng.normal(size=(3, 4)), 3.0 * random_transfer(rng, 4)
    value = model.objective(tasks, minimal_weights(tasks, model, W, B), B)
    for _, (V, C) in zip(range(40), newton_steps(tasks, model, W, B, trust=Trust()), strict=False):
        new = literal.J(tasks, model, V, C)
        assert new <= value * (1 + 1e-12)
        assert literal.J(tasks, model, literal.best_W(tasks, model, C), C) >= new * (1 - 1e-10)
        value = new


def test_a_point_that_is_kept_apart_passes_and_is_no_higher(rng: np.random.Generator) -> None:
    """B is shorter by a part of the tolerance; where that costs more than rounding there is no such point."""
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = refine(tasks, model, (ridge(tasks, model), np.zeros((4, 4))), tol=1e-10)
    value = literal.J(tasks, model, W, B)
    found = kept_apart(tasks, model, (W, B), tol=1e-8)
    assert found is not None and certify(tasks, model, *found, tol=1e-8).passes
    assert literal.J(tasks, model, *found) <= value * (1 + 2e-12)
    assert (found[1] <= B).all() and (found[1][B > 0] < B[B > 0]).all()
    assert kept_apart(tasks, model, (W, B), tol=0.3) is None
