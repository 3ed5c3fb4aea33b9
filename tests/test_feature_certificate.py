"""The certificate of shared features: what passes, what never may, and what it says of dead features."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import Array
from feature_points import drawn_problem, first_order, solved

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features import FEATURES, FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel, certify
from amtl_cvx.features.balance import balanced
from amtl_cvx.features.certificate import FeatureCertificate, strict_local
from amtl_cvx.features.second_order import second_order
from amtl_cvx.tasks import TaskSet

POINTS: tuple[dict[str, Any], ...] = ({}, {"loss": "logistic", "feedback": "nonnegative"}, {"go_mtl": True})


def climbed(point: FeaturePoint) -> FeatureCertificate:
    return strict_local(certify(point), point)


def with_dead(point: FeaturePoint) -> FeaturePoint:
    """The same J with one feature more, which is 0."""
    (d, k), T = point.L.shape, point.tasks.T
    problem = FeatureProblem(point.tasks, replace(point.model, features=k + 1))
    blocks = {
        "L": np.column_stack([point.L, np.zeros(d)]),
        "S": np.vstack([point.S, np.zeros(T)]),
        "A": np.column_stack([point.A, np.zeros(T)]),
    }
    return problem.at(**{name: blocks[name] for name in point.blocks})


def scalar(length: float) -> FeaturePoint:
    """(l s - a)^2 + |s| + l^2 / 2 at a first-order point: l^2 = s, 2 (l s - a) l + 1 = 0."""
    s, a = length * length, length**3 + 0.5 / length
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [[a]])
    return FeatureProblem(tasks, GoMtlModel(features=1, mu=1.0, decay=0.5)).at(L=[[length]], S=[[s]])


@pytest.mark.parametrize("options", POINTS, ids=str)
def test_first_order_points_pass_and_are_strict_local_minima(options: dict[str, Any]) -> None:
    point = first_order(**options)
    found = climbed(point)
    assert found.passes and found.level == "C3" and found.has("C3") and not found.has("C4")
    assert found.relative < 1e-11 and found.balance < 1e-10 and found.reduced_hessian_min > 0.0
    assert found.objective < found.zero_objective == point.problem.zero.objective
    assert [rung.state for rung in found.rungs()] == [*["reached"] * 4, "not tried", "cannot be had"]
    stored = json.loads(json.dumps(found.to_dict()))
    assert (
        stored["rungs"]["C5"]["state"] == "cannot be had" and stored["live_features"] == found.live_features
    )
    assert (found.gap_A is None) is (found.relative_A is None) is ("go_mtl" in options)
    assert "passes" in found.verdict() and "features are live" in found.verdict()


@pytest.mark.parametrize("options", POINTS, ids=str)
def test_the_scale_of_a_feature_has_nothing_left_to_do(options: dict[str, Any]) -> None:
    """At a certified point the D-step is neutral; with another scale it is not, nor is that certified."""
    point = first_order(**options)
    assert certify(point).passes and balanced(point) is point
    d = np.array([1.0 + 1e-4, *[1.0] * (len(point.S) - 1)])
    blocks = {"L": point.L * d, "S": point.S / d[:, None], "A": point.A * d}
    other = point.at(**{name: blocks[name] for name in point.blocks})
    if point.S[0].any():
        assert not certify(other).passes and balanced(other).objective < other.objective


@pytest.mark.parametrize("options", POINTS, ids=str)
def test_the_zero_point_meets_the_conditions_and_is_no_success(options: dict[str, Any]) -> None:
    zero = drawn_problem(**options).zero
    found = certify(zero)
    assert found.relative == 0.0 and found.level == "C1" and not found.passes and not found.has("C2")
    assert found.live_features == 0 and found.objective == found.zero_objective
    assert "the zero point, nothing is learned" in found.verdict()
    assert found.headline() == "The zero point: nothing is learned"
    assert "whatever the data say" in found.rungs()[2].words and found.rungs()[2].state == "not reached"
    assert second_order(zero).verdict == "strict local minimum"  # which is why no step leaves it


def test_dead_features_are_counted_and_are_no_obstacle() -> None:
    point = with_dead(first_order())
    found = climbed(point)
    assert found.level == "C3" and (found.live_features, found.features) == (2, 3)
    assert "2 of 3 features are live" in found.verdict()
    assert any("1 is dead" in line for line in found.sentences())
    assert "dead features included" in found.rungs()[3].words


def test_the_zero_point_is_flat_along_what_neither_decay_nor_rows_hold() -> None:
    """decay = 0: a column of X twice leaves moves of L that J does not see."""
    base = drawn_problem(decay=0.0)
    twice = TaskSet.from_arrays(
        [task.X[:, [0, 1, 1]] for task in base.tasks], [task.y for task in base.tasks]
    )
    assert second_order(base.zero).verdict == "strict local minimum"
    assert second_order(FeatureProblem(twice, base.model).zero).verdict == "degenerate"
    held = replace(base.model, decay=0.1)
    assert second_order(FeatureProblem(twice, held).zero).verdict == "strict local minimum"


@pytest.mark.parametrize("options", [{}, {"go_mtl": True}], ids=str)
def test_j_rises_around_a_point_with_a_dead_feature(options: dict[str, Any]) -> None:
    """Straight from J: all entries at random, those of the dead one alone, and along its steepest pull."""
    point, rng = with_dead(first_order(**options)), np.random.default_rng(0)
    for trial in range(60):
        size = 10.0 ** rng.uniform(-5, -2)
        moves = {name: size * rng.normal(size=block.shape) for name, block in point.blocks.items()}
        if trial % 3:
            moves["L"][:, :-1], moves["S"][:-1] = 0.0, 0.0
            moves |= {"A": moves["A"] * [0, 0, 1]} if "A" in moves else {}
        if trial % 3 == 2:  # the direction in which the losses would have it
            pull = np.linalg.svd(point.weighted_gradient)
            moves["L"][:, -1], moves["S"][-1] = size * pull[0][:, 0], -(size**1.5) * pull[2][0]
        moved = point.at(**{name: block + moves[name] for name, block in point.blocks.items()})
        assert moved.objective > point.objective


def test_a_point_above_the_zero_point_is_said_to_be() -> None:
    """a = 1.5: l = s = 1 has J = .25 + 1 + .5, the zero point 2.25; with a = 1.41 a minimum lies above it."""
    assert climbed(scalar(1.0)).level == "C3"
    found = certify(scalar(0.66))
    assert found.passes and found.objective > found.zero_objective
    assert "J is not below that of the zero point" in found.verdict()
    assert found.headline() == "A verified first-order point, no better than the zero point"


def test_a_saddle_is_first_order_and_no_strict_local_minimum() -> None:
    """a(l) = l^3 + 1/(2 l) falls where 6 l^4 < 1: first-order points there are saddles."""
    found = climbed(scalar(0.5))
    assert found.passes and found.level == "C2" and found.reasons["C3"].startswith("saddle")
    assert second_order(scalar(0.5)).fall > 0.0


def test_feedback_without_a_price_is_not_unique_where_tasks_are_more_than_features() -> None:
    point = first_order()
    free = FeatureProblem(point.tasks, replace(point.model, alpha=0.0))
    passing = replace(certify(point), objective=0.0)
    found = strict_local(passing, free.at(**point.blocks))
    assert "A is not unique" in found.reasons["C3"] and "C3" in found.refused
    assert found.rungs()[3].state == "cannot be had"


# what must not pass


def scaled(point: FeaturePoint, y: float = 1.0, column: float = 1.0) -> FeaturePoint:
    """The same point where all y are `y` times as large and column 0 of X is in other units (decay 0)."""
    m = point.model
    model = FeatureModel(
        features=m.features, mu=m.mu * y, alpha=m.alpha * y, gamma=m.gamma * y**2, decay=m.decay * y**2
    )
    units = np.array([column, *[1.0] * (point.tasks.d - 1)])
    tasks = TaskSet.from_arrays([t.X * units for t in point.tasks], [t.y * y for t in point.tasks])
    return FeatureProblem(tasks, model).at(L=point.L / units[:, None], S=point.S * y, A=point.A / y)


@pytest.mark.parametrize("y", [1.0, 1e-5, 1e5])
def test_the_scale_of_y_changes_no_verdict(y: float) -> None:
    point, other = first_order(), scaled(first_order(), y)
    a, b = climbed(point), climbed(other)
    assert b.level == a.level == "C3" and b.objective == pytest.approx(y**2 * a.objective, rel=1e-12)
    refused = flawed(other)
    assert len(refused) > 12 and not any(certify(each).passes for each in refused)


@pytest.mark.parametrize("column", [1e-6, 1.0, 1e6])
def test_the_units_of_a_column_change_no_verdict(column: float) -> None:
    other = scaled(first_order(decay=0.0, gamma=0.02, alpha=1.0), column=column)
    assert climbed(other).level == "C3"
    assert not any(certify(each).passes for each in flawed(other))


def flawed(point: FeaturePoint) -> list[FeaturePoint]:
    """One entry of S or A of the other sign, lost, or there where it should not be; a wrong sign in L."""
    found = []
    for name in ("S", "A"):
        block = point.blocks[name]
        for place in np.ndindex(block.shape):
            least = np.abs(block[block != 0.0]).min()
            values = (-block[place], 0.0) if block[place] else (1e-3 * least, -1e-9 * least)
            found += [point.at(**{name: changed(block, place, value)}) for value in values]
    L = point.L
    return [*found, *(point.at(L=changed(L, place, -L[place])) for place in zip(*np.nonzero(L), strict=True))]


def changed(block: Array, place: tuple[int, ...], value: float) -> Array:
    other = block.copy()
    other[place] = value
    return other


def test_a_task_in_small_units_hides_nothing() -> None:
    """Task 1 with y a thousandth, a million times as heavy: its S is a thousandth of the others'."""
    base = drawn_problem(alpha=0.0, gamma=0.0, features=1)
    small = [task.y * (1e-3 if t == 1 else 1.0) for t, task in enumerate(base.tasks)]
    tasks = TaskSet.from_arrays([task.X for task in base.tasks], small)
    point = solved(
        FeatureProblem(tasks, GoMtlModel(features=1, mu=0.05, decay=0.02, task_weights=(1.0, 1e4, 1.0)))
    )
    assert certify(point).passes and 0 < abs(point.S[0, 1]) < 1e-2 * np.abs(point.S).max()
    assert not certify(point.at(S=changed(point.S, (0, 1), 0.0))).passes
    assert not certify(point.at(S=changed(point.S, (0, 1), -point.S[0, 1]))).passes


def test_negative_feedback_is_infeasible_where_it_must_not_be() -> None:
    point = first_order(feedback="nonnegative", loss="logistic")
    found = certify(point.at(A=changed(point.A, (0, 0), -1e-9)))
    assert found.level is None and not found.passes and not found.has("C0") and found.feasibility == 1e-9
    assert found.verdict().startswith("not feasible") and found.headline().startswith("Not feasible")
    assert found.rungs()[0].state == "not reached" and found.to_dict()["level"] is None


@pytest.mark.parametrize("options", POINTS, ids=str)
def test_the_order_of_tasks_and_features_changes_nothing(options: dict[str, Any]) -> None:
    point = first_order(**options)
    T, k = point.tasks.T, len(point.S)
    tasks, features = np.roll(np.arange(T), 1), np.arange(k)[::-1]
    turned = TaskSet(tasks=tuple(point.tasks[t] for t in tasks))
    blocks = {
        "L": point.L[:, features],
        "S": point.S[np.ix_(features, tasks)],
        "A": point.A[np.ix_(tasks, features)],
    }
    other = FeatureProblem(turned, point.model).at(**{name: blocks[name] for name in point.blocks})
    a, b = climbed(point).to_dict(), climbed(other).to_dict()
    for name in ("level", "passes", "live_features", "used", "fed_back", "free"):
        assert a[name] == b[name]
    for name in ("objective", "limit", "min_entry", "min_multiplier", "reduced_hessian_min"):
        assert b[name] == pytest.approx(a[name], rel=1e-8)


def test_what_cannot_be_judged_is_refused() -> None:
    point = first_order()
    for tol in (0.0, 1.0, float("nan"), "1e-8"):
        with pytest.raises(ModelError, match="tol"):
            certify(point, tol=tol)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="overflows"):
        certify(point.at(L=point.L * 1e200))


def test_the_family_knows_residuals_and_what_was_not_judged() -> None:
    point = first_order()
    evidence = FEATURES.evidence(point)
    assert set(evidence.stationarity) == {"L", "S", "A"} and evidence.relative == certify(point).relative
    found = FEATURES.unjudged(point, kind="joint", tol=1e-8, reason="an interrupt came")
    assert not found.passes and found.level == "C0" and found.reasons["gap_L"] == "an interrupt came"
    assert FEATURES.headline(found) == "The certificate does not pass"
