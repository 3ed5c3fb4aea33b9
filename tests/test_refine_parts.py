# More than 300 lines: many small parts, one test each.
"""Parts of refinement: its trust, which of two points is kept, plain rounds, bursts, what is carried on."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import literal
import numpy as np
import pytest
from cases import random_tasks, random_transfer, ridge

from amtl_cvx.certificate import certify, residuals
from amtl_cvx.problem import Point, Problem, make_model
from amtl_cvx.refine import Carried, _enough, kept_apart, local, plain_rounds, refine, shortened, valley
from amtl_cvx.refine.boxqp import _by_projected_newton, _FewActive
from amtl_cvx.refine.local import Trust
from amtl_cvx.refine.newton import _lower, _step, newton_steps
from amtl_cvx.refine.quasi import Units, quasi_newton_steps
from amtl_cvx.refine.valley import _line, _newton_moves, along_valley
from amtl_cvx.subproblems.numpy_steps import minimal_weights
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
    assert 0.0 < seen[1] < seen[0]
    trust.value = 0.5
    for ratio in (0.5, 0.3):
        trust.adapt(ratio)
        assert trust.value == 0.5


@pytest.mark.parametrize("limit", [400, 0], ids=["eigenvalue", "brackets"])
def test_the_shift_is_the_negative_curvature_or_up_to_twice_as_much(
    limit: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any curvature of before, found by few factors."""
    definite, asked = local._definite, []

    def counted(S: np.ndarray) -> bool:
        asked.append(S)
        assert len(asked) <= 40
        return definite(S)

    monkeypatch.setattr(local, "_DENSE_EIGENVALUE", limit)
    monkeypatch.setattr(local, "_definite", counted)
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    S = (Q * [-0.7, -0.1, 0.3, 2.0, 5.0]) @ Q.T
    S = (S + S.T) / 2
    for before in 0.1 * 2.0 ** np.arange(-12, 12):
        asked.clear()
        shift = Trust(curvature=before).convex(S) - S
        assert 0.7 < shift[0, 0] <= 1.4 * (1 + 1e-12)
        np.testing.assert_allclose(shift, shift[0, 0] * np.eye(5), rtol=0, atol=1e-14)
        np.testing.assert_allclose(Trust(curvature=before).convex(S + np.eye(5)) - S, np.eye(5), atol=1e-14)


def test_a_minimum_with_held_entries_has_slopes_there_alone(rng: np.random.Generator) -> None:
    """(1/2) x'H x + g'x over x[held] = lower[held]: H x + g is 0 elsewhere."""
    A, g, lower = rng.normal(size=(9, 6)), rng.normal(size=6), -rng.uniform(0.5, 1.0, size=6)
    few = _FewActive(A.T @ A, g)
    for held in ([1], [4, 1], [], [0, 1, 5]):
        x, slope = few.solve(np.array(held, dtype=int), lower)
        np.testing.assert_allclose(A.T @ A @ x + g, slope, rtol=0, atol=1e-12)
        assert (x[held] == lower[held]).all() and not np.delete(slope, held).any()


def test_projected_newton_steps_end_at_the_minimum_by_hand() -> None:
    """From a corner; and where the whole first step, cut off at x_0 = -a, raises the value by 2e-5.

    H = [[1, .9], [.9, 1]] and g = (1.2, .7) have their free minimum at (-3, 2). At (-a, 2) the value is
    a^2/2 - 3 a + 3.4, which is 0 at a = 3 - sqrt(2.2); over x_0 >= -a the minimum has x_1 = .9 a - .7.
    """
    assert _by_projected_newton(np.eye(1), np.array([-1.0]), np.zeros(1)) == 1.0
    H, g, a = np.array([[1.0, 0.9], [0.9, 1.0]]), np.array([1.2, 0.7]), 3.0 - 2.2**0.5 - 1.4e-5
    assert 1e-5 < a * a / 2 - 3 * a + 3.4 < 3e-5
    found = _by_projected_newton(H, g, np.array([-a, -9.0]))
    np.testing.assert_allclose(found, [-a, 0.9 * a - 0.7], rtol=0, atol=1e-12)


def test_the_point_of_lower_j_is_kept_and_where_j_is_the_same_that_of_smaller_residual(
    rng: np.random.Generator,
) -> None:
    tasks, model = random_tasks(rng, d=3, counts=(9,)), make_model(mu=0.05, coupling=0.7)
    point = Problem(tasks, model).at(ridge(tasks, model), np.zeros((1, 1)))
    near, far = point.at(W=point.W * (1 + 1e-9)), point.at(W=point.W * 1.1)
    values = [literal.J(tasks, model, *each) for each in (point, near, far)]
    assert abs(values[1] / values[0] - 1) < 1e-14 and values[2] > values[0] * (1 + 1e-6)
    for other in (near, far):
        assert _lower(point, other) is point
        assert _lower(other, point) is point
    assert _lower(far, near) is near and _lower(near, far) is near


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_plain_rounds_are_those_of_second_methods_in_every_unit_of_y(
    scale: float, rng: np.random.Generator
) -> None:
    """J(k y, k W, B) = k^2 J: the rounds are the same ones, and end where J falls no more."""
    plain = random_tasks(rng)
    tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
    model = make_model(mu=0.05, coupling=0.7)
    W, B = ridge(tasks, model), np.zeros((4, 4))
    found = list(plain_rounds(Problem(tasks, model).at(W, B), most=12))
    assert len(found) == 12
    for V, C in found:
        B = literal.best_B(W, literal.prices(tasks, model, W), 0.7)
        W = literal.best_W(tasks, model, B)
        np.testing.assert_allclose(C, B, rtol=0, atol=1e-7)
        np.testing.assert_allclose(V, W, rtol=0, atol=1e-7 * np.abs(W).max())
    values = [model.objective(tasks, *point) for point in found]
    assert all(later < value for value, later in pairwise(values))
    end = refine(Problem(tasks, model).at(*found[-1]), tol=1e-12)
    assert len(list(plain_rounds(Problem(tasks, model).at(*end), most=12))) <= 1


@pytest.mark.parametrize("moved", [1e-3, -1e-3])
def test_near_the_end_j_falls_as_newtons_model_predicts(moved: float, rng: np.random.Generator) -> None:
    """The first trial is taken, and its fall is the predicted one up to third order."""

    class Heard(Trust):
        def adapt(self, ratio: float) -> None:
            heard.append(ratio)

    tasks, model, heard = random_tasks(rng), make_model(mu=0.05, coupling=0.7), list[float]()
    W, B = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-10)
    B = B * (1 + moved)
    trust = Heard(value=0.0)
    point = Problem(tasks, model).at(W, B)
    found = _step(point.at(W=minimal_weights(point)), trust)
    assert found is not None and trust.value == 0.0
    assert heard == [pytest.approx(1.0, abs=0.02)]


def test_where_J_is_rounding_the_residual_decides(rng: np.random.Generator) -> None:
    """J is flat: moved by 1e-8 it rises by less than eps of it. Where the residual is 0 there is no step."""
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    end = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-12)
    point = end.at(B=end.B * (1 + 1e-8))
    point = point.at(W=minimal_weights(point))
    found = _step(point, Trust(value=0.0))
    assert found is not None and residuals(found).relative < 0.1 * residuals(point).relative
    nothing = TaskSet.from_arrays([np.ones((1, 1))] * 2, [np.zeros(1)] * 2)
    least = Problem(nothing, make_model(mu=1.0, coupling=1.0)).at(np.zeros((1, 2)), 1.0 - np.eye(2))
    assert residuals(least).relative == 0.0 and _step(least, Trust()) is None


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_bursts_of_l_bfgs_lower_j_and_keep_b_feasible_in_every_unit_of_y(
    scale: float, rng: np.random.Generator
) -> None:
    plain = random_tasks(rng)
    tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
    model = make_model(mu=0.05, coupling=0.7)
    start = ridge(tasks, model), np.zeros((4, 4))
    units = Units.at(Problem(tasks, model).at(*start))
    assert np.frexp(units.W)[0] == 0.5 and 0.7 < units.W / np.abs(start[0]).max() < 1.5
    values = [model.objective(tasks, *start)]
    steps = quasi_newton_steps(Problem(tasks, model).at(*start), units=units)
    for _, (W, B) in zip(range(8), steps, strict=False):
        assert (B >= 0).all() and not np.diag(B).any()
        values.append(model.objective(tasks, W, B))
        assert values[-1] < values[-2]
    assert len(values) > 1
    end = refine(Problem(tasks, model).at(*start), tol=1e-10)
    assert values[-1] == pytest.approx(model.objective(tasks, *end), rel=1e-6)


def test_what_is_carried_on_is_the_residual_and_the_steps(rng: np.random.Generator) -> None:
    tasks, model, carried = random_tasks(rng), make_model(mu=0.05, coupling=0.7), Carried()
    seen: list[float] = []

    def observe(point: Point, name: str) -> None:
        seen.append(residuals(point).relative)

    start = ridge(tasks, model), np.zeros((4, 4))
    end = refine(Problem(tasks, model).at(*start), tol=1e-8, observe=observe, carried=carried)
    assert carried.steps == len(seen) > 1
    assert carried.relative == seen[-1] == residuals(Problem(tasks, model).at(*end)).relative
    assert Carried.from_dict(carried.to_dict()) == carried
    carried = replace(carried, idle=3, turn=1, rounds=9, trust=Trust(5.0, 6.0), units=Units(2.0, 3.0))
    carried.begin_anew()
    assert carried == Carried(steps=len(seen), turn=2)


def test_within_the_tolerance_steps_go_on_while_the_residual_falls_tenfold(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-8)
    point = Problem(tasks, model).at(W * (1 + 1e-9), B)
    relative = residuals(point).relative
    assert 1e-11 < relative < 1e-7 and certify(point, tol=1e-7).passes
    for times, enough in ((2.0, True), (9.0, True), (11.0, False), (100.0, False)):
        carried = Carried(steps=1, relative=times * relative)
        assert _enough(point, carried, tol=1e-7, max_steps=300, trial=False) == enough


@pytest.mark.parametrize("seed", range(2))
def test_every_step_of_newton_stands_at_the_best_w_and_none_is_higher(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tasks, model = random_tasks(rng, d=3, counts=(6, 9, 7, 8)), make_model(mu=1e-3, coupling=5.0)
    W, B = rng.normal(size=(3, 4)), 3.0 * random_transfer(rng, 4)
    value = model.objective(tasks, minimal_weights(Problem(tasks, model).at(W, B)), B)
    for _, (V, C) in zip(
        range(40), newton_steps(Problem(tasks, model).at(W, B), trust=Trust()), strict=False
    ):
        new = literal.J(tasks, model, V, C)
        assert new <= value * (1 + 1e-12)
        assert literal.J(tasks, model, literal.best_W(tasks, model, C), C) >= new * (1 - 1e-10)
        value = new


def test_a_point_that_is_kept_apart_passes_and_is_no_higher(rng: np.random.Generator) -> None:
    """B is shorter by a part of the tolerance; where that costs more than rounding there is no such point."""
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    W, B = refine(Problem(tasks, model).at(ridge(tasks, model), np.zeros((4, 4))), tol=1e-10)
    value = literal.J(tasks, model, W, B)
    found = kept_apart(Problem(tasks, model).at(W, B), tol=1e-8)
    assert found is not None and certify(Problem(tasks, model).at(*found), tol=1e-8).passes
    assert literal.J(tasks, model, *found) <= value * (1 + 2e-12)
    assert (found.B <= B).all() and (found.B[B > 0] < B[B > 0]).all()
    assert kept_apart(Problem(tasks, model).at(W, B), tol=0.3) is None


def test_the_best_W_beside_a_singular_B_is_the_closed_form() -> None:
    """Two equal tasks that rebuild each other, x = y = 1: for B (1 - s) w = 1 / (1 + coupling s^2)."""
    tasks = TaskSet.from_arrays([np.ones((1, 1))] * 2, [np.ones(1)] * 2)
    B = np.array([[0.0, 1.0], [1.0, 0.0]])
    start = Problem(tasks, make_model(mu=0.0, coupling=3e9)).at(np.zeros((1, 2)), B)
    for W, C in shortened(start, tol=1e-6):
        np.testing.assert_allclose(W, 1.0 / (1.0 + 3e9 * (1.0 - C[0, 1]) ** 2), rtol=1e-7)


def test_b_is_shortened_in_small_steps_and_by_less_than_half(rng: np.random.Generator) -> None:
    """By k tol: the bounds divide by it, and J pays for its square."""
    tasks = random_tasks(rng, d=2, counts=(3, 3))
    start = Problem(tasks, make_model(mu=0.0, coupling=1.0)).at(np.zeros((2, 2)), 1.0 - np.eye(2))
    for tol, first in ((1e-6, 100.0), (0.04, 10.0), (0.1, 3.0)):
        shares = [(1.0 - B[0, 1]) / tol for _, B in shortened(start, tol=tol)]
        assert shares[0] == pytest.approx(first) and shares[-1] == pytest.approx(0.1)
        assert all(less < more <= 4.01 * less for more, less in pairwise(shares) if more < 50.0)


@pytest.mark.parametrize("part", [1 / 8, 1 / 1024, 3.9, 60.0])
def test_a_line_is_followed_as_long_as_J_falls(part: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """J(w) = (w - 1)^2 + w^2 has its minimum at 1/2: from 0 it falls up to there, by doubles or quarters."""
    monkeypatch.setattr(valley, "exact_round", lambda moved: moved)
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [np.ones(1)])
    start = Problem(tasks, make_model(mu=1.0, coupling=1.0)).at(np.zeros((1, 1)), np.zeros((1, 1)))
    W = _line(start, np.full((1, 1), part / 2)).W
    ends = {1 / 8: 1.0, 1 / 1024: 1.0, 3.9: 3.9 / 4, 60.0: 60.0 / 64}
    assert W.item() == ends[part] / 2


def test_newton_moves_are_the_same_in_every_unit_of_y(rng: np.random.Generator) -> None:
    """J(k y, k W, B) = k^2 J; where the bounds of B hold the step too."""
    plain, model = random_tasks(rng), make_model(mu=0.05, coupling=0.7)
    B = random_transfer(rng, 4)
    found = []
    for scale in (1.0, 2.0**-13, 2.0**13):
        tasks = TaskSet.from_arrays([task.X for task in plain], [scale * task.y for task in plain])
        point = Problem(tasks, model).at(np.zeros((6, 4)), B)
        point = point.at(W=minimal_weights(point))
        found.append([move / scale for move in _newton_moves(point, Trust())])
    assert found[0]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-6, atol=1e-8 * np.abs(found[0]).max())


def test_along_a_valley_J_falls_and_W_is_the_best_for_its_B(rng: np.random.Generator) -> None:
    tasks, model = random_tasks(rng), make_model(mu=0.05, coupling=7.0)
    zero = Problem(tasks, model).at(np.zeros((6, 4)), np.zeros((4, 4)))
    old = zero.at(W=minimal_weights(zero))
    new = next(plain_rounds(old, most=1))
    W, B = along_valley(old, new, Trust())
    further = literal.J(tasks, model, *next(plain_rounds(new, most=1)))
    assert literal.J(tasks, model, W, B) < further < literal.J(tasks, model, *new)
    assert (B >= 0).all() and literal.residual(tasks, model, W, B).relative_W < 1e-9


def test_along_a_valley_nothing_moves_where_J_cannot_fall() -> None:
    """One row a task, y = 0: J = 0 at W = 0."""
    tasks, model = (
        TaskSet.from_arrays([np.ones((1, 1))] * 2, [np.zeros(1)] * 2),
        make_model(mu=1.0, coupling=1.0),
    )
    start = Problem(tasks, model).at(np.zeros((1, 2)), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert along_valley(start, start, Trust()) is start


def test_the_model_predicts_the_fall_of_j_near_a_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """To second order: from the second step on J falls by what was predicted, to a fifth."""
    ratios, adapt = list[float](), Trust.adapt
    monkeypatch.setattr(Trust, "adapt", lambda self, ratio: (ratios.append(ratio), adapt(self, ratio))[1])
    rng = np.random.default_rng(0)
    problem = Problem(random_tasks(rng, d=4, counts=(9, 12, 7)), make_model(mu=0.02, coupling=1.0))
    start = problem.at(rng.normal(size=(4, 3)), np.full((3, 3), 0.2) - 0.2 * np.eye(3))
    *_, last = newton_steps(start, trust=Trust())
    assert np.count_nonzero(last.B) > 3
    assert all(0.8 < ratio < 1.25 and ratio != 1.0 for ratio in ratios[1:6])
