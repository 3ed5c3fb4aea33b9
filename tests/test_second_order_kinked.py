# More than 300 lines: the tests of one verdict, beside its closed forms.
"""Second order where the loss has kinks: verdicts known by hand, figures by mpmath, rejections."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import Array, at
from oracle import lowest_curvature
from proven import (
    KINK_DEGENERATE,
    Point,
    exact_objective,
    other_instance,
    quantile_saddle,
    solved,
    support_vector,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
from amtl_cvx.certificate import SecondOrder, rungs, second_order
from amtl_cvx.certificate.held import HeldRows
from amtl_cvx.digits import prove
from amtl_cvx.losses import Quantile
from amtl_cvx.problem import Problem

STRICT = "strict local minimum"
INSTANCES = (("hinge", 2), ("quantile:0.7", 2))


@functools.cache
def fitted(label: str, seed: int) -> Point:
    tasks, model = other_instance(label, seed)
    found = solved(tasks, model)
    assert found.certificate.passes and (found.B > 0).any()
    return Point(tasks, model, found.W, found.B)


def exact(block: Array) -> list[list[Any]]:
    return [[mpmath.mpf(x) for x in row] for row in block.tolist()]


def test_a_support_vector_is_a_strict_minimum_without_curvature() -> None:
    found = second_order(at(*support_vector(0.25)))
    assert found.verdict == STRICT and found.held == 1 and found.free == 1
    assert found.reduced_hessian_min == found.scaled_hessian_min == np.inf
    off = second_order(at(*support_vector(0.75)._replace(W=np.array([[5.0 / 6.0]]))))
    assert off.verdict == STRICT and off.held == 0 and off.reduced_hessian_min == pytest.approx(1.5)


@pytest.mark.parametrize("name", KINK_DEGENERATE)
def test_degenerate_rows_are_said_to_be(name: str) -> None:
    found = second_order(at(*KINK_DEGENERATE[name][0]))
    assert found.verdict == "degenerate"
    assert ("linearly independent" if name == "a row twice" else "row 0 of 'task 0'") in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize("gap", [1e-5, 1e-11, -1e-5, -1e-11])
def test_a_multiplier_near_its_end_is_told_from_one_at_it(gap: float) -> None:
    """v = 1/4 - 2 coupling is `gap` from 0 or -1: the point itself is exact, to rounding."""
    point = support_vector(0.125 + gap / 2.0 if gap > 0 else 0.625 + gap / 2.0)
    found = second_order(at(*point))
    if abs(gap) > 1e-9:
        assert found.verdict == STRICT and found.held == 1
    else:
        assert found.verdict == "degenerate" and "strict complementarity is not certain" in found.reason


@pytest.mark.parametrize(("gap", "verdict"), [(1e-6, STRICT), (1e-15, "degenerate")])
def test_a_row_that_can_reach_its_kink_is_degenerate(gap: float, verdict: str) -> None:
    found = second_order(at(*support_vector(0.25, -0.25, 1.0 + gap)))
    assert found.verdict == verdict
    assert verdict == STRICT or "row 2 of 'task 0'" in found.reason or "independent" in found.reason


def test_what_a_newton_step_may_reach_counts() -> None:
    """The stored W is 1e-6 off: a row 1e-7 from its kink, or a multiplier that near, is not certain."""
    near = support_vector(0.25, -0.25, 1.0 + 1e-7)
    assert second_order(at(*near)).verdict == STRICT
    moved = second_order(at(*near._replace(W=near.W * (1.0 - 1e-6))))
    assert moved.verdict == "degenerate"
    plain = support_vector(0.25)
    assert second_order(at(*plain._replace(W=plain.W * (1.0 - 1e-6)))).verdict == STRICT


@pytest.mark.parametrize(("off", "verdict"), [((0.0, 1e-6), STRICT), ((2e-9, 0.0), "degenerate")])
def test_rows_that_are_held_keep_others_of_their_task(off: tuple[float, float], verdict: str) -> None:
    """Row 2 is 1e-9 beyond its kink; w_1 may be 1e-6 off, w_0 is held by row 0.

    w_1 = -1/2 is the minimum of (1 + max(0, 1 + w)) / 4 + w^2 / 4.
    """
    X, y = [[[1.0], [-0.25], [1.0 + 1e-9]], [[-1.0], [0.0]]], [[1.0, -1.0, 1.0], [1.0, -1.0]]
    model = replace(support_vector(0.25).model, task_weights=(1.0, 0.25))
    W = np.array([[1.0, -0.5]]) + np.array([off])
    found = second_order(Problem(TaskSet.from_arrays(X, y), model).at(W, np.zeros((2, 2))))
    assert found.verdict == verdict and found.held == 1
    assert verdict == STRICT or "row 2 of 'task 0'" in found.reason


def test_a_saddle_along_the_kinks_has_a_fall() -> None:
    tasks, model, W, B = quantile_saddle()
    found = second_order(Problem(tasks, model).at(W, B))
    assert found.verdict == "saddle" and found.held == 2 and found.direction is not None
    with mpmath.workdps(40):
        J = exact_objective(tasks, model, exact(W), exact(B))
        lower = exact_objective(tasks, model, exact(W + found.direction[0]), exact(B + found.direction[1]))
        assert mpmath.mpf("11.125") == J and lower < J
        assert float(J - lower) == pytest.approx(found.fall, rel=1e-9)
        lowest = lowest_curvature(tasks, model, exact(W), exact(B), ((0,), (0,), ()), mpmath.mpf(10) ** -15)
    assert found.reduced_hessian_min == pytest.approx(float(lowest), rel=1e-9)


@pytest.mark.parametrize(("label", "seed"), INSTANCES)
def test_the_curvature_is_that_of_J_along_the_kinks(label: str, seed: int) -> None:
    """Against second differences of J in mpmath at the proven point, along an own basis of the kernel."""
    point = fitted(label, seed)
    proven, found = prove(*point), second_order(at(*point))
    assert found.verdict == STRICT and proven.strict_local_min
    assert found.held == sum(map(len, proven.rows["kink"]))
    with mpmath.workdps(60):
        W, B = ([[mpmath.mpf(x) for x in row] for row in block] for block in (proven.W, proven.B))
        lowest = lowest_curvature(point.tasks, point.model, W, B, proven.rows["kink"], mpmath.mpf(10) ** -15)
    assert found.reduced_hessian_min == pytest.approx(float(lowest), rel=1e-6)


@pytest.mark.parametrize(("label", "seed"), INSTANCES)
def test_small_moves_raise_J(label: str, seed: int, rng: np.random.Generator) -> None:
    tasks, model, W, B = fitted(label, seed)
    J = model.objective(tasks, W, B)
    for _ in range(200):
        size = 10.0 ** rng.uniform(-5, -4)
        moved = np.maximum(B + size * rng.normal(size=B.shape) * (rng.random(B.shape) < 0.5), 0.0)
        np.fill_diagonal(moved, 0.0)
        assert model.objective(tasks, W + size * np.abs(W).max() * rng.normal(size=W.shape), moved) > J


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
@pytest.mark.parametrize(("label", "seed"), INSTANCES)
def test_nothing_depends_on_units(label: str, seed: int, factor: float) -> None:
    """Features times k, W over k, coupling times k^2: the same J. Quantile: y, W times k, coupling over k."""
    point = fitted(label, seed)
    before = second_order(at(*point))
    tasks, model, W, B = point
    same = Point(
        TaskSet.from_arrays([factor * task.X for task in tasks], [task.y for task in tasks]),
        replace(model, coupling=model.coupling * factor**2),
        W / factor,
        B,
    )
    scaled = [same]
    if not model.loss.classification:
        larger = TaskSet.from_arrays([task.X for task in tasks], [factor * task.y for task in tasks])
        scaled.append(Point(larger, replace(model, coupling=model.coupling / factor), factor * W, B))
    for other in scaled:
        found = second_order(at(*other))
        assert (found.verdict, found.held) == (before.verdict, before.held) == (STRICT, before.held)
        assert found.scaled_hessian_min == pytest.approx(before.scaled_hessian_min, rel=1e-9)


@pytest.mark.parametrize(("label", "seed"), INSTANCES)
def test_a_point_that_is_no_first_order_point_is_no_minimum(label: str, seed: int) -> None:
    point = fitted(label, seed)
    assert second_order(at(*point._replace(W=point.W * 1.1))).verdict != STRICT
    for s, t in np.argwhere(point.B > 0).tolist():
        fewer = point.B.copy()
        fewer[s, t] = 0.0
        assert second_order(at(*point._replace(B=fewer))).verdict != STRICT


def test_relabelling_the_tasks_changes_nothing() -> None:
    tasks, model, W, B = fitted("hinge", 2)
    order = np.array([2, 0, 1])
    weights = model.task_weights
    assert not isinstance(weights, str)
    moved = second_order(
        Problem(
            TaskSet(tasks=tuple(tasks[int(t)] for t in order)),
            replace(model, task_weights=tuple(weights[int(t)] for t in order)),
        ).at(W[:, order], B[np.ix_(order, order)]),
    )
    found = second_order(Problem(tasks, model).at(W, B))
    for name in ("reduced_hessian_min", "reduced_hessian_max", "scaled_hessian_min", "min_multiplier"):
        assert getattr(moved, name) == pytest.approx(getattr(found, name), rel=1e-9)


def test_a_row_of_zeros_is_no_row_on_a_kink() -> None:
    """Its prediction is 0 whatever W: a target of 0 costs nothing and holds nothing."""
    X, y = [[1.0], [1.0], [1.0]], [1.0, 2.0, 4.0]
    model = Model(loss=Quantile(reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=1 / 32)
    W, B = np.array([[2.0]]), np.zeros((1, 1))
    for extra in ([], [0.0], [0.0, 3.0]):
        tasks = TaskSet.from_arrays([[*X, *([0.0] for _ in extra)]], [[*y, *extra]])
        found, proven = second_order(Problem(tasks, model).at(W, B)), prove(tasks, model, W, B)
        assert found.verdict == STRICT and found.held == 1
        assert proven.strict_local_min and proven.W == (("2." + 39 * "0",),)


def test_the_ladder_reaches_c4_and_says_what_is_held() -> None:
    for point, held in ((fitted(*INSTANCES[0]), None), (support_vector(0.25), 1)):
        found = certify(*point, level="C4")
        assert found.level == "C4" and found.held_rows == (held or second_order(at(*point)).held)
        words = rungs(found)[3].words
        assert "on its kink" in words if held else f"along the {found.held_rows} rows on their kinks" in words
    assert found.reduced_hessian_min is None and "kink" in found.reasons["reduced_hessian_min"]


# the bounds, in closed form


EPS = np.finfo(float).eps


@pytest.mark.parametrize(("weight", "x"), [(1.0, 1.0), (8.0, 1.0), (1.0, 4.0), (0.25, 0.5)])
def test_the_multiplier_of_a_support_vector_moves_as_its_coupling_pulls(weight: float, x: float) -> None:
    """One feature, coupling l: |g| = sqrt(2 l) d, reach 2 sqrt(2 l) d, v moves by 3 * 2 l d; units cancel."""

    def scaled(coupling: float, off: float) -> Point:
        tasks, model, W, B = support_vector(coupling * weight * x**2)
        tasks = TaskSet.from_arrays([x * task.X for task in tasks], [task.y for task in tasks])
        return Point(tasks, replace(model, task_weights=(weight,)), (W + off) / x, B)

    off, lam = 1e-3, 0.25
    held = HeldRows(at(*scaled(lam, off)))
    step = held.newton()
    assert np.abs(step) == pytest.approx([np.sqrt(2 * lam * weight) * off])
    assert held.row_moves(2.0 * float(np.linalg.norm(step))) == pytest.approx([6 * lam * off])
    assert held.row_moves(0.0) == pytest.approx([2 * lam * off])
    # v = 1/4 - 2 l is 1e-4 from 0: a way of 1e-4 = 6 l d and no more is safe
    lam = 0.125 + 0.5e-4
    for part, verdict in ((0.98, STRICT), (1.02, "degenerate")):
        assert second_order(at(*scaled(lam, part * 1e-4 / (6 * lam)))).verdict == verdict


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("part", "verdict"), [(0.98, "degenerate"), (1.02, STRICT)])
def test_a_row_beside_its_kink_is_safe_up_to_the_newton_step(part: float, verdict: str, sign: float) -> None:
    """W is d too large: a row at 1 + part d is (1 + part) d away and can move by 2 d; mirrored too."""
    off = 1e-4
    beside = support_vector(0.25, -0.25, 1.0 + part * off)
    mirrored = [(sign * task.X, sign * task.y) for task in beside.tasks]
    beside = beside._replace(tasks=TaskSet.from_arrays(*zip(*mirrored, strict=True)))
    found = second_order(at(*beside._replace(W=beside.W + off)))
    assert found.verdict == verdict
    assert verdict == STRICT or "row 2" in found.reason


def test_rounding_is_that_of_the_terms() -> None:
    """quantile_saddle: z of (1, 0) and (1/2, 1/2) at (1, 1), the targets 1, 9/4; a_0 = 2."""
    tasks, model, W, B = quantile_saddle()
    signs = TaskSet.from_arrays(
        [[[-1.0, 0.0], [-0.5, 0.5]], tasks[1].X, tasks[2].X], [[-1.0, 2.25], tasks[1].y, tasks[2].y]
    )
    held = HeldRows(Problem(tasks, model).at(W, B))
    for each in (held, HeldRows(Problem(signs, model).at(W, B))):
        assert each.z_rounding(0) == pytest.approx(16 * EPS * np.array([2.0, 1.0 + 2.25]))
    # a_t changes by mu reach / sqrt(2 coupling |w|^2) for its one edge: 4 / sqrt(2) over 2
    assert held.weight_change(0, 1e-3) == pytest.approx(np.sqrt(2.0) * 1e-3)
    assert held.weight_change(2, 1e-3) == 0.0
    vector = HeldRows(at(*support_vector(0.25)))
    # |2 coupling w| + 1 + 1/4 over sqrt(2 coupling), four roundings; z: 16 (1 + 1) over lengths 1 / sqrt(1/2)
    assert vector.gradient_rounding() == pytest.approx(4 * EPS * (0.5 + 1.25) / np.sqrt(0.5))
    assert vector.rounding(np.inf) == pytest.approx(32 * EPS * np.sqrt(0.5))


def test_rounding_of_a_plane_adds_both_ways() -> None:
    """One row (3, 4) on its kink: across it 16 (2 |z|) over 5 / sqrt(2 l), along it over S."""
    tasks = TaskSet.from_arrays([[[3.0, 4.0]]], [[25.0]])
    model = Model(loss=Quantile(tau=0.25, reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=1 / 128)
    W, B = np.array([[3.0], [4.0]]), np.zeros((1, 1))
    held = HeldRows(Problem(tasks, model).at(W, B))
    assert [(row.t, row.k, row.miss) for row in held.rows] == [(0, 0, 0.0)]
    assert held.rows[0].v == pytest.approx(-1 / 64)  # v (3, 4) + 2 coupling (3, 4) = 0
    root = np.sqrt(1 / 64)
    across = 16 * EPS * 50.0 * root / 5.0
    gradient = 4 * EPS * np.linalg.norm([3.0 / 64 + 0.75 * 3.0, 4.0 / 64 + 0.75 * 4.0]) / root
    assert held.gradient_rounding() == pytest.approx(gradient)
    assert held.rounding(0.5) == pytest.approx(across + (gradient + across) / 0.5)
    assert pytest.approx(np.ones((1, 1))) == held.S and pytest.approx(np.full((1, 1), 1 / 64)) == held.H
    moved = HeldRows(Problem(tasks, model).at(W + np.array([[1e-3], [0.0]]), B))
    after = moved.local.moved(moved.newton()).W
    assert after.ravel() == pytest.approx([3.0, 4.0], abs=1e-12)


def test_two_rows_that_lean_on_each_other_move_more() -> None:
    """Units (1, 0) and (3/5, 4/5): singular values sqrt(1 -+ 3/5), (A A')^-1 has 1 / (1 - 9/25) = 1.25^2."""
    tasks = TaskSet.from_arrays([[[1.0, 0.0], [3.0, 4.0]]], [[1.0, 7.0]])
    model = Model(loss=Quantile(tau=0.25, reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=1 / 32)
    held = HeldRows(Problem(tasks, model).at(np.ones((2, 1)), np.zeros((1, 1))))
    # v_1 (1, 0) + v_2 (3, 4) + 2 coupling (1, 1) = 0, lengths |x| / sqrt(2 coupling) = 4 and 20
    assert [row.v for row in held.rows] == pytest.approx([-1 / 64, -1 / 64])
    assert held.sigma == pytest.approx(np.sqrt(0.4)) and held.rank == 2 and held.N.shape == (2, 0)
    assert held.row_moves(1e-3) == pytest.approx([1.25e-3 / 4, 1.25e-3 / 20], rel=1e-9)
    assert held.rounding(np.inf) == pytest.approx(16 * EPS * np.hypot(2.0 / 4, 14.0 / 20) / np.sqrt(0.4))
    assert second_order(Problem(tasks, model).at(np.ones((2, 1)), np.zeros((1, 1)))).verdict == STRICT


def test_without_rows_on_kinks_rounding_is_that_of_the_hessian() -> None:
    off = HeldRows(at(*support_vector(0.75)._replace(W=np.array([[5.0 / 6.0]]))))
    assert not off.rows and off.noise() == off.local.noise()
    on = HeldRows(at(*quantile_saddle()))
    assert on.sigma == pytest.approx(1.0) and on.noise() == pytest.approx(3.0 * on.local.noise())


# planted faults: each must be caught by a verdict above


def judged(point: Point) -> SecondOrder:
    return second_order(at(*point))


@pytest.mark.parametrize("fault", ["_leaving", "_reaching", "dependent"])
def test_each_of_the_three_conditions_decides_somewhere(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "_leaving": support_vector(0.125 + 5e-7)._replace(W=np.array([[1.0 + 1e-5]])),  # v 1e-6 from its end
        "_reaching": support_vector(0.125),
        "dependent": KINK_DEGENERATE["a row twice"][0],
    }
    assert judged(points[fault]).verdict == "degenerate"
    monkeypatch.setattr(HeldRows, fault, lambda *_: "")
    assert judged(points[fault]).verdict == STRICT
