"""Proven digits: what is proved agrees with mpmath and closed forms, and what cannot be proved is refused."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import Array, SourceGroupL2, at
from flint import arb, arb_mat, ctx
from proven import (
    DEGENERATE,
    PROVABLE,
    Point,
    exact_gradient,
    exact_objective,
    instance,
    solved,
    split_duplicates,
)

from amtl_cvx import LossWeightedL1, Model, Squared, Task, TaskSet, certify
from amtl_cvx.certificate import second_order
from amtl_cvx.digits import ProvenPoint, kinks, krawczyk, proof, prove, system
from amtl_cvx.digits.decimals import at_least, at_most, decimal
from amtl_cvx.digits.losses import PIECEWISE, ROWS, Kink
from amtl_cvx.digits.system import FirstOrderSystem, unknowns
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import LOSSES
from amtl_cvx.problem import Problem
from amtl_cvx.transfer import TransferPenalty

every_loss = pytest.mark.parametrize("seed", range(3), ids=PROVABLE[:3])
"""Instances 0, 1, 2 have the squared, the logistic and the squared hinge loss."""


@pytest.fixture(autouse=True)
def decimals() -> Iterator[None]:
    """200 decimals in mpmath, and the precision of flint as it was found."""
    before = ctx.prec
    with mpmath.workdps(200):
        yield
    assert ctx.prec == before


def numbers(rows: tuple[tuple[str, ...], ...]) -> list[list[Any]]:
    return [[mpmath.mpf(text) for text in row] for row in rows]


def largest(rows: list[list[Any]]) -> Any:
    return max(abs(value) for row in rows for value in row)


def proven(seed: int, **options: Any) -> tuple[Point, ProvenPoint]:
    point = fitted(seed)
    return point, prove(*point, **options)


@functools.cache
def fitted(seed: int) -> Point:
    tasks, model = instance(seed)
    found = solved(tasks, model)
    return Point(tasks, model, found.W, found.B)


# what is proved


@pytest.mark.parametrize("seed", range(20))
def test_twenty_random_problems_are_proved(seed: int) -> None:
    point, found = proven(seed)
    assert found.radius <= 1e-30 and found.strict_local_min and found.unknowns <= 30
    assert found.radius < min(found.min_positive_B, found.min_multiplier) and found.distance < 1e-9
    assert found.support == tuple((s, t) for t in range(point.tasks.T) for s in np.flatnonzero(point.B[:, t]))
    double = second_order(at(*point))
    assert double.verdict == "strict local minimum" and double.free == found.unknowns
    for proved, judged in (
        (found.min_multiplier, double.min_multiplier),
        (found.min_positive_B, double.min_positive_B),
    ):
        assert proved == pytest.approx(judged, rel=1e-6)
    W, B = np.array(numbers(found.W), dtype=float), np.array(numbers(found.B), dtype=float)
    assert max(np.abs(W - point.W).max(), np.abs(B - point.B).max()) <= found.distance * (1 + 1e-6) + 1e-15


@pytest.mark.parametrize("seed", [0, 2, 7, 9, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 4, 8))])
def test_mpmath_finds_the_same_point_stationary(seed: int) -> None:
    point, found = proven(seed, digits=100)
    W, B = numbers(found.W), numbers(found.B)
    tasks, model = point.tasks, point.model
    slope_W, slope_B = exact_gradient(tasks, model, W, B, mpmath.mpf(10) ** -60)
    assert largest(slope_W) < mpmath.mpf(10) ** -95
    assert all(abs(slope_B[s][t]) < mpmath.mpf(10) ** -95 for s, t in found.support)
    free = {(s, t) for s in range(tasks.T) for t in range(tasks.T) if s != t} - set(found.support)
    least = min((slope_B[s][t] for s, t in free), default=mpmath.inf)
    assert 0 < found.min_multiplier <= least and (not free or least - found.min_multiplier < 1e-15)
    objective = exact_objective(tasks, model, W, B)
    assert abs(objective - mpmath.mpf(found.objective)) < abs(objective) * mpmath.mpf(10) ** -98


def test_forty_digits_of_the_objective_are_those_of_a_hundred() -> None:
    short, long = proven(1)[1], proven(1, digits=100)[1]
    assert len(short.objective.replace("0.", "").replace(".", "")) == 40
    assert abs(mpmath.mpf(short.objective) - mpmath.mpf(long.objective)) <= mpmath.mpf(10) ** (
        -39 + int(mpmath.floor(mpmath.log10(mpmath.mpf(long.objective))))
    )


def test_one_task_is_ridge_in_rationals() -> None:
    # (x'x / n + coupling) w = x'y / n with x = (1, 2, 2), y = (1, 0, 1)
    tasks = TaskSet.from_arrays([[[1.0], [2.0], [2.0]]], [[1.0, 0.0, 1.0]])
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.25)
    w = Fraction(3, 3) / (Fraction(9, 3) + Fraction(1, 4))
    found = prove(tasks, model, np.array([[float(w)]]), np.zeros((1, 1)))
    scaled = round(w * 10**40)
    assert found.W[0][0] == f"0.{scaled}"
    loss = sum((x * w - y) ** 2 for x, y in ((1, 1), (2, 0), (2, 1))) / 3
    assert abs(Fraction(found.objective) - (loss + w * w / 4)) <= Fraction(1, 2 * 10**40)
    assert found.min_multiplier == found.min_positive_B == float("inf")
    assert found.to_dict()["min_multiplier"] is None


def test_the_inverse_square_root_is_the_real_number() -> None:
    # one row x = y = 1 three times: c l = 3^-1/2 (w - 1)^2, so w = 1 / (1 + coupling sqrt 3)
    tasks = TaskSet.from_arrays([np.ones((3, 1))], [np.ones(3)])
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5, task_weights="inverse-sqrt")
    w = 1 / (1 + mpmath.sqrt(3) / 2)
    found = prove(tasks, model, np.array([[float(w)]]), np.zeros((1, 1)))
    assert abs(mpmath.mpf(found.W[0][0]) - w) < mpmath.mpf(10) ** -39
    rounded = replace(model, task_weights=(3**-0.5,))
    other = prove(tasks, rounded, np.array([[float(w)]]), np.zeros((1, 1)))
    assert abs(mpmath.mpf(other.W[0][0]) - w) > mpmath.mpf(10) ** -20


def test_an_empty_graph_is_the_single_task_point() -> None:
    tasks, model = instance(0)
    model = replace(model, transfer=LossWeightedL1(mu=1e3))
    W = solved(tasks, model).W
    found = prove(tasks, model, W, np.zeros((tasks.T, tasks.T)))
    for t, task in enumerate(tasks):
        alone = TaskSet(tasks=(task,))
        single = replace(
            model, task_weights=model.task_weights if isinstance(model.task_weights, str) else (1.0,)
        )
        one = prove(alone, single, W[:, [t]], np.zeros((1, 1)))
        assert [row[t] for row in found.W] == [row[0] for row in one.W]
    assert found.support == () and found.strict_local_min


def test_squared_hinge_proves_its_active_rows() -> None:
    point, found = proven(2)
    for t, task in enumerate(point.tasks):
        margins = np.where(task.y > 0, 1.0, -1.0) * (task.X @ point.W[:, t])
        assert found.active_rows[t] == tuple(np.flatnonzero(margins < 1.0))
        assert (margins > 1.0).any()
    assert proven(0)[1].active_rows == ()


def test_a_saddle_is_proved_to_be_one() -> None:
    point = split_duplicates()
    found = prove(*point)
    assert not found.strict_local_min and found.support == ((0, 2), (1, 2))
    assert second_order(at(*point)).verdict == "saddle"
    J = exact_objective(point.tasks, point.model, numbers(found.W), numbers(found.B))
    # the edges may be shifted between the copies at no cost, and then a copy moved at a gain
    shift = np.zeros_like(point.B)
    shift[:2, 2] = 0.05, -0.05
    lower = solved_weights(point.tasks, point.model, point.B + shift)
    moved = exact_objective(point.tasks, point.model, lower.tolist(), (point.B + shift).tolist())
    assert moved < J - 1e-6


def solved_weights(tasks: TaskSet, model: Model, B: Array) -> Array:
    """The W-step of the squared loss in closed form."""
    H = model.hessian_W(tasks, np.zeros((tasks.d, tasks.T)), B)
    g = model.gradient_W(tasks, np.zeros((tasks.d, tasks.T)), B)
    return -np.linalg.solve(H, g.T.ravel()).reshape(tasks.T, tasks.d).T


@dataclass(frozen=True, kw_only=True)
class Affine(TransferPenalty):
    """``sum_s (flat + mu l_s) sum_t B[s, t]``: prices with a constant part, or crossed between tasks."""

    name = "affine"
    mu: float
    flat: float
    crossed: bool = False

    def expression(self, B: Any, losses: Any) -> Any:
        raise NotImplementedError

    def value(self, B: Array, losses: Array) -> float:
        return float(self.prices(losses) @ B.sum(axis=1))

    def prox(self, V: Array, step: float | Array, losses: Array) -> Array:
        raise NotImplementedError

    def prices(self, losses: Array) -> Array:
        return self.flat + self.mu * (losses[::-1] if self.crossed else losses)


def test_prices_may_have_a_constant_part() -> None:
    # d = 1, x = 1: J = (1 + mu b) (w - 4)^2 + (v - 1)^2 + 16 + flat b + w^2 + (v - b w)^2
    tasks = TaskSet.from_arrays([[[1.0]], [[1.0], [1.0]]], [[4.0], [5.0, -3.0]])
    model = Model(transfer=Affine(mu=0.25, flat=0.125), coupling=1.0)
    from scipy.optimize import minimize

    def J(x: Array) -> float:
        w, v, b = x
        return float((1 + 0.25 * b) * (w - 4) ** 2 + (v - 1) ** 2 + 0.125 * b + w * w + (v - b * w) ** 2)

    w, v, b = minimize(J, np.array([2.0, 0.5, 0.1]), options={"gtol": 1e-9}).x
    found = prove(tasks, model, np.array([[w, v]]), np.array([[0.0, b], [0.0, 0.0]]))
    W, B = numbers(found.W), numbers(found.B)
    w, v, b = W[0][0], W[0][1], B[0][1]
    slopes = [
        2 * (1 + b / 4) * (w - 4) + 2 * w - 2 * b * (v - b * w),
        2 * (v - 1) + 2 * (v - b * w),
        (w - 4) ** 2 / 4 + mpmath.mpf(1) / 8 - 2 * w * (v - b * w),
    ]
    assert max(abs(slope) for slope in slopes) < mpmath.mpf(10) ** -37


@every_loss
def test_ill_scaled_data_are_proved_too(seed: int) -> None:
    tasks, model = instance(seed)
    if model.loss.name != "squared":
        tasks = TaskSet.from_arrays([np.ldexp(task.X, -12) for task in tasks], [task.y for task in tasks])
        model = replace(model, coupling=float(np.ldexp(model.coupling, -24)))
        scale = 2.0**12
    else:
        tasks = TaskSet.from_arrays([task.X for task in tasks], [np.ldexp(task.y, 20) for task in tasks])
        scale = 2.0**20
    plain = proven(seed)[0]
    found = prove(tasks, model, plain.W * scale, plain.B)
    assert found.strict_local_min and found.B == proven(seed)[1].B


@pytest.mark.parametrize("power", [-60, 60])
def test_boxes_have_the_units_of_the_unknowns(power: int) -> None:
    """y in units of 2^60: W and J take them along, B does not, and the ladder goes as far."""
    tasks, model, W, B = proven(0)[0]
    scaled = TaskSet.from_arrays([task.X for task in tasks], [np.ldexp(task.y, power) for task in tasks])
    found = prove(scaled, model, np.ldexp(W, power), B)
    assert found.strict_local_min and found.B == proven(0)[1].B
    for row, plain in zip(numbers(found.W), numbers(proven(0)[1].W), strict=True):
        assert all(abs(a / mpmath.ldexp(b, power) - 1) < 1e-30 for a, b in zip(row, plain, strict=True))
    assert found.room > 0.0
    certificate = certify(scaled, model, np.ldexp(W, power), B, level="C4")
    assert certificate.level == "C4" and certificate.proven_isolation == found.room


def test_a_stretched_box_holds_a_stored_point_that_is_off_in_one_entry() -> None:
    """w_1 of one task is 1e-9 off and a row of another task 5e-13 from its kink: no even box holds both."""
    X, y = [[[1.0], [-0.25]], [[1.0], [-0.25], [1.0 + 0.5e-12]]], [[1.0, -1.0], [1.0, -1.0, 1.0]]
    tasks = TaskSet.from_arrays(X, y)
    hinge = Model(loss="hinge", transfer=LossWeightedL1(mu=8.0), coupling=0.25)
    hinge = replace(hinge, loss=replace(hinge.loss, reduction="sum"))
    exact = prove(tasks, hinge, np.ones((1, 2)), np.zeros((2, 2)))
    assert exact.isolation < 1e-12 and exact.room == pytest.approx(exact.isolation)
    off = prove(tasks, hinge, np.array([[1.0 + 1e-9, 1.0]]), np.zeros((2, 2)))
    assert off.isolation < 1e-12 < off.distance < 1.1e-9 and 0.0 < off.room < 1e-12
    assert prove(tasks, hinge, np.array([[1.0, 1.0 + 1e-9]]), np.zeros((2, 2))).room <= 0.0


def test_a_stretched_box_needs_no_exact_inverse() -> None:
    """The same with an inverse that is 1e-10 off: the width of the multipliers must not spoil the rest."""
    X, y = [[[1.0], [-0.25]], [[1.0], [-0.25], [1.0 + 0.5e-12]]], [[1.0, -1.0], [1.0, -1.0, 1.0]]
    hinge = Model(loss="hinge", transfer=LossWeightedL1(mu=8.0), coupling=0.25)
    hinge = replace(hinge, loss=replace(hinge.loss, reduction="sum"))
    tasks, W, B = TaskSet.from_arrays(X, y), np.ones((1, 2)), np.zeros((2, 2))
    with ctx.workdps(70):
        system, x, inverse = kinks.near_point(Problem(tasks, hinge).at(W, B), [], arb("1e-60"))
        rough = inverse + arb_mat(4, 4, [arb("1e-10").mid()] * 16)
        _, room = proof._isolation(system, x, rough, [arb(1e-9), arb(0)], arb("1e-50"))
    assert room > 0.0


# what is refused


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_points_are_not_certifiable(name: str) -> None:
    point, reason = DEGENERATE[name]
    with pytest.raises(NotCertifiable, match=reason) as refusal:
        prove(*point)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", sorted(set(DEGENERATE) - {"zero edge"}))
def test_degenerate_points_are_first_order_points(name: str) -> None:
    """By mpmath, and exactly so where W and B are exact: they are refused for their degeneracy alone."""
    tasks, model, W, B = DEGENERATE[name][0]
    tolerance = 1e-12 if name == "more tasks than features" else mpmath.mpf(10) ** -50
    slope_W, slope_B = exact_gradient(
        tasks,
        model,
        [[mpmath.mpf(x) for x in row] for row in W.tolist()],
        [[mpmath.mpf(x) for x in row] for row in B.tolist()],
        mpmath.mpf(10) ** -60,
    )
    assert largest(slope_W) < tolerance
    for s in range(tasks.T):
        for t in range(tasks.T):
            assert s == t or abs(slope_B[s][t]) < tolerance or (B[s, t] == 0.0 and slope_B[s][t] > 0)


def test_a_multiplier_of_1e_15_is_told_from_zero() -> None:
    tasks, model, W, B = DEGENERATE["zero multiplier"][0]
    above = replace(model, transfer=LossWeightedL1(mu=1.0 + 2.0**-50))
    assert prove(tasks, above, W, B).min_multiplier == pytest.approx(2.0**-50, rel=1e-9)
    below = replace(model, transfer=LossWeightedL1(mu=1.0 - 2.0**-50))
    with pytest.raises(NotCertifiable, match="edge task 0 -> task 1 is missing"):
        prove(tasks, below, W, B)


def test_isolation_counts_the_edges_off_the_support() -> None:
    # as above with w = (1, 0), (1/2, 3/2): over a box of half-width r the multiplier mu - 1 falls by up to
    # 8 r through W (|grad| = 3 + 3 + 2) and 2 r through B[0, 1]
    tasks, model, W, B = DEGENERATE["zero multiplier"][0]
    for multiplier, expected in ((11e-4, 1e-4), (9e-4, 1e-6), (7e-4, 1e-6)):
        found = prove(tasks, replace(model, transfer=LossWeightedL1(mu=1.0 + multiplier)), W, B)
        assert found.isolation == expected and found.min_multiplier == pytest.approx(multiplier)


def test_the_radius_stays_below_the_smallest_multiplier() -> None:
    # as above at mu = 2 and y times 2^-26: the multiplier is 2^-52, less than a radius of 1e-11, 31 decimals
    tasks, model, W, B = DEGENERATE["zero multiplier"][0]
    small = TaskSet.from_arrays([task.X for task in tasks], [np.ldexp(task.y, -26) for task in tasks])
    found = prove(
        small, replace(model, transfer=LossWeightedL1(mu=2.0)), np.ldexp(W, -26), B, dps=31, digits=1
    )
    assert found.min_multiplier == pytest.approx(2.0**-52) and found.dps == 62
    assert found.radius < found.min_multiplier


@every_loss
def test_a_moved_point_is_refused(seed: int, rng: np.random.Generator) -> None:
    point = proven(seed)[0]
    tasks, model, W, B = point
    for size in (1e-2, 1e-4):
        for moved in (
            point._replace(W=W + size * np.abs(W).max() * rng.choice([-1.0, 1.0], size=W.shape)),
            point._replace(B=B * (1 + size)),
        ):
            with pytest.raises(NotCertifiable):
                prove(*moved)
    assert prove(tasks, model, W * (1 + 1e-9), B).objective == prove(*point).objective


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 8])
def test_a_wrong_active_set_is_refused(seed: int) -> None:
    point, found = proven(seed)
    for s, t in found.support:
        fewer = point.B.copy()
        fewer[s, t] = 0.0
        with pytest.raises(NotCertifiable):
            prove(*point._replace(B=fewer))
    free = [(s, t) for s, t in np.argwhere(point.B == 0).tolist() if s != t]
    for s, t in free:
        more = point.B.copy()
        more[s, t] = 1e-12
        with pytest.raises(NotCertifiable, match="does not belong|away from|singular|converge"):
            prove(*point._replace(B=more))
    with pytest.raises(NotCertifiable):
        prove(*point._replace(B=point.B.T.copy()))


def test_infeasible_points_are_refused() -> None:
    point = proven(0)[0]
    for entry, value in (((0, 0), 0.1), ((0, 1), -0.1)):
        B = point.B.copy()
        B[entry] = value
        with pytest.raises(NotCertifiable, match="not feasible"):
            prove(*point._replace(B=B))


class Halved(Squared):
    """Another loss of the same name."""

    def rows(self, z: Array, y: Array) -> Array:
        return 0.5 * super().rows(z, y)


def test_problems_without_a_proof_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, model, W, B = proven(0)[0]
    assert set(LOSSES) == set(ROWS)  # what comes without one is refused by name and by class
    with pytest.raises(NotCertifiable, match="the squared loss has no proof"):
        prove(tasks, replace(model, loss=Halved()), W, B)
    with pytest.raises(NotCertifiable, match="SourceGroupL2 is not linear in B"):
        prove(tasks, replace(model, transfer=SourceGroupL2(mu=0.1)), W, B)
    crossed = replace(model, transfer=Affine(mu=0.1, flat=0.1, crossed=True))
    with pytest.raises(NotCertifiable, match="loss of another task"):
        prove(tasks, crossed, W, B)
    factor = TaskSet(tasks=tuple(Task(X=t.X, y=t.y, name=t.name, count=t.n + 1) for t in tasks))
    with pytest.raises(NotCertifiable, match="factor of its rows"):
        prove(factor, replace(model, task_weights="equal"), W, B)
    monkeypatch.setattr(proof, "MAX_UNKNOWNS", W.size)
    with pytest.raises(NotCertifiable, match=f"{W.size + (B > 0).sum()} unknowns.*the limits are {W.size}"):
        prove(tasks, model, W, B)


def test_without_flint_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    point = proven(0)[0]
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(NotCertifiable, match=r"pip install 'amtl-cvx\[verify\]'"):
        prove(*point)


# the parts


def test_every_row_loss_has_a_case() -> None:
    assert set(ROWS) == set(PROVABLE) and set(PIECEWISE) <= set(ROWS)


@pytest.mark.parametrize("name", PROVABLE[:3])
def test_rows_are_the_derivatives_of_phi(name: str, rng: np.random.Generator) -> None:
    def phi(z: Any, y: float) -> Any:
        if name == "squared":
            return (z - y) ** 2
        return mpmath.log1p(mpmath.exp(-y * z)) if name == "logistic" else max(0, 1 - y * z) ** 2

    h = mpmath.mpf(10) ** -60
    for z, y in zip([*rng.normal(size=20), 30.0, -40.0], rng.choice([-1.0, 1.0], size=22), strict=True):
        with ctx.workdps(100):
            row = [mpmath.mpf(value.mid().str(95, radius=False)) for value in ROWS[name](arb(z), y)[:3]]
        at = mpmath.mpf(z)
        values = [phi(at + k * h, y) for k in (-1, 0, 1)]
        expected = [
            values[1],
            (values[2] - values[0]) / (2 * h),
            (values[2] - 2 * values[1] + values[0]) / h**2,
        ]
        for found, aim, digits in zip(row, expected, (90, 90, 70), strict=True):
            assert abs(found - aim) <= mpmath.mpf(10) ** -digits * (1 + abs(aim))


def test_a_ball_over_the_kink_has_no_row() -> None:
    with ctx.workdps(70):
        for wide in (arb(1, 1e-30), arb(1)):
            with pytest.raises(Kink):
                ROWS["squared-hinge"](wide, 1.0)
        assert ROWS["squared-hinge"](arb(1, 1e-30) - arb(1e-20), 1.0).active
        assert not ROWS["squared-hinge"](arb(1, 1e-30) + arb(1e-20), 1.0).active


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 9])
def test_the_jacobian_encloses_the_differences_of_the_gradient(seed: int) -> None:
    check_jacobian(FirstOrderSystem, seed)


def check_jacobian(kind: Any, seed: int) -> None:
    """Central differences of `gradient`, and of the multipliers' and B's own derivatives through it."""
    tasks, model, W, B = fitted(seed)
    support = [(int(s), int(t)) for s, t in np.argwhere(B > 0)]
    with ctx.workdps(120):
        found = kind(tasks, model, support)
        x = unknowns(W, B, support)
        J, h, n = found.jacobian(x), arb(10) ** -40, x.nrows()
        wide = found.jacobian(x + arb_mat(n, 1, [arb(0, 1e-20)] * n))
        for j in range(n):
            e = arb_mat(n, 1, [h if i == j else 0 for i in range(n)])
            slope = (found.gradient(x + e) - found.gradient(x - e)) / (2 * h)
            for i in range(n):
                assert abs(slope[i, 0] - J[i, j]) < arb(10) ** -60 and wide[i, j].contains(J[i, j])


def test_inertia_is_that_of_the_eigenvalues(rng: np.random.Generator) -> None:
    for n in (1, 2, 6, 7, 13, 20):
        A = rng.normal(size=(n, n))
        A = A + A.T
        for H in (A, A @ A + np.eye(n)):
            assert krawczyk.negative_eigenvalues(arb_mat(H.tolist())) == (np.linalg.eigvalsh(H) < 0).sum()
    for singular in (np.ones((2, 2)), np.zeros((1, 1)), np.ones((9, 9))):
        with pytest.raises(krawczyk.Undecided):
            krawczyk.negative_eigenvalues(arb_mat(singular.tolist()))
    wide = arb_mat([[arb(1, 2), 0], [0, 1]])
    with pytest.raises(krawczyk.Undecided):
        krawczyk.negative_eigenvalues(wide)


@pytest.mark.parametrize("scale", [1.0, 2.0**-40])
def test_inertia_is_known_where_leading_blocks_are_singular(scale: float) -> None:
    """[[0, D], [D, 0]] has the eigenvalues +- D, of [[0, 0, 1], [0, 2, 0], [1, 0, 0]] one is negative."""
    for n in (1, 4, 9):
        zero, D = np.zeros((n, n)), np.diag(scale ** np.linspace(0.0, 1.0, n))
        H = arb_mat(np.block([[zero, D], [D, zero]]).tolist())
        with pytest.raises(krawczyk.Undecided):
            krawczyk.negative_eigenvalues(H)
        assert krawczyk.inertia(H) == n
    assert krawczyk.inertia(arb_mat([[0, 0, 1], [0, 2, 0], [1, 0, 0]])) == 1
    wide, large = ([[0, each], [each, 0]] for each in (arb(0, 1), arb("1e400")))
    for undecided in (np.ones((9, 9)).tolist(), np.zeros((2, 2)).tolist(), wide, large):
        with pytest.raises(krawczyk.Undecided):
            krawczyk.inertia(arb_mat(undecided))


class Polynomial:
    """x^2 - c, a system of one unknown."""

    def __init__(self, c: float, slope: float = 2.0) -> None:
        self.c, self.slope = c, slope

    def gradient(self, x: arb_mat) -> arb_mat:
        return arb_mat([[x[0, 0] ** 2 - self.c]])

    def jacobian(self, x: arb_mat) -> arb_mat:
        return arb_mat([[self.slope * x[0, 0]]])


def test_krawczyk_encloses_the_root_of_two() -> None:
    with ctx.workdps(70):
        x, _ = krawczyk.newton(Polynomial(2.0), arb_mat([[1.5]]), arb(10) ** -55)
        inverse = arb_mat([[arb("0.5").sqrt() / 2]]).mid()
        root = krawczyk.contract(Polynomial(2.0), x, inverse, arb(10) ** -50)
        assert decimal(root.enclosure[0, 0], 40) == mpmath.nstr(mpmath.sqrt(2), 40, strip_zeros=False)
        off = krawczyk.contract(Polynomial(2.0), x + arb_mat([[arb(10) ** -52]]), inverse, arb(10) ** -50)
        for enclosure in (root.enclosure[0, 0], off.enclosure[0, 0]):
            assert enclosure.contains(arb(2).sqrt()) and enclosure.rad() < arb(10) ** -60
        for far in (arb(10) ** -30, arb(2)):
            with pytest.raises(krawczyk.Undecided):  # no root within 1e-50 of a point that far off
                krawczyk.contract(Polynomial(2.0), x + arb_mat([[far]]), inverse, arb(10) ** -50)
        with pytest.raises(krawczyk.Undecided):  # the box holds both roots
            krawczyk.contract(Polynomial(2.0), x, inverse, arb(3))
        with pytest.raises(krawczyk.Undecided):
            krawczyk.contract(Polynomial(2.0), x, 3 * inverse, arb(10) ** -50)
    with ctx.workdps(70), pytest.raises(NotCertifiable, match="singular"):
        krawczyk.newton(Polynomial(0.0), arb_mat([[0.0]]), arb(10) ** -55)
    with ctx.workdps(70), pytest.raises(krawczyk.Undecided):
        krawczyk.contract(
            Polynomial(0.0), arb_mat([[arb(10) ** -60]]), arb_mat([[arb(10) ** 60]]), arb(10) ** -50
        )
    with ctx.workdps(70), pytest.raises(NotCertifiable, match="singular"):
        krawczyk.newton(Polynomial(-1.0), arb_mat([[0.5]]), arb(10) ** -55)


def test_decimals_claim_what_the_ball_proves() -> None:
    with ctx.workdps(80):
        third = arb(1) / 3
        assert decimal(third, 40) == "0." + 40 * "3"
        assert decimal(-200 * third, 10) == "-66.66666667"
        assert decimal(third + arb(0, 1e-12), 40) == "0.33333333333"
        assert decimal(arb(0, 1e-12), 40) == "0E-11" and decimal(arb(0), 40) == "0"
        assert decimal(arb(1) / 8, 40) == "0.125" + 37 * "0"
        assert decimal(arb(10) ** 50, 3) == "1.00E+50"
        # both ends of [0.5 - 1e-30, 0.5 + 1e-30] round to 0.50, not to one decimal of none
        assert decimal(arb("0.5") + arb(0, 1e-30), 40).startswith("0.5000")
        for ball in (third, -third, arb(2).sqrt(), arb(0, 1e-12), arb(1)):
            assert arb(at_least(ball)) <= ball.lower() and arb(at_most(ball)) >= ball.upper()
            assert at_most(ball) - at_least(ball) <= 2.1e-12
        assert at_least(arb(1)) == at_most(arb(1)) == 1.0


# planted faults: each must be caught by one of the checks above

FAULTS = {
    "coupling without its 2": ("pull = 2 * self.coupling", "pull = self.coupling"),
    "R M for R M'": ("(at.R * at.M.transpose())", "(at.R * at.M)"),
    "outgoing price dropped": ("c * (1 + k * beta)", "c * (1 + 0 * beta)"),
    "sign of the price": ("c * (1 + k * beta)", "c * (1 - k * beta)"),
    "B transposed": ("W, M, W * M,", "W, M, W * M.transpose(),"),
    "incoming for outgoing": ("sum(row, arb(0)) for row in B", "sum(row, arb(0)) for row in zip(*B)"),
    "r_s'w_t for w_s'r_t": ("inner[s, t] for s, t in", "inner[t, s] for s, t in"),
    "price of the target": (
        "prices[s] - 2 * self.coupling * inner[s, t] for s, t",
        "prices[t] - 2 * self.coupling * inner[s, t] for s, t",
    ),
    "price without its task weight": ("fixed + k * c * value", "fixed + k * value"),
    "sum for mean": ("1 / arb(task.n) if mean", "arb(1) if mean"),
    "a rounded square root": ("arb(task.n).rsqrt()", "arb(task.n**-0.5)"),
    "a rounded 1/n": ("1 / arb(task.n) if mean", "arb(1 / task.n) if mean"),
    "multiplier without its 2": (
        "yield (s, t), prices[s] - 2 * self",
        "yield (s, t), prices[s] - 1 * self",
    ),
    "multiplier of the other direction": ("* inner[s, t]\n\n", "* inner[t, s]\n\n"),
    "diagonal leaks into the residual": ("(1 if s == t else 0) - B", "(0.999 if s == t else 0) - B"),
    "J: coupling block without its 2": ("P = twice *", "P = self.coupling *"),
    "J: loss weight dropped": ("(at.weights[t] * self.scales[t])", "(self.c[t] * self.scales[t])"),
    "J: residual term dropped": (" - twice * at.R[i, t]", ""),
    "J: sign of the price term": ("rate * losses.gradients", "-rate * losses.gradients"),
    "J: sign of the mixed term": ("-twice * at.M[u, t]", "twice * at.M[u, t]"),
    "J: one column of B for all": ("if q == t:", "if True:"),
    "J: w_s'w_t for w_s'w_p": ("gram[s, p]", "gram[s, t]"),
    "objective without its edges": ("total += price * beta", "total += 0 * price * beta"),
    "objective: coupling halved": ("total + self.coupling * sum", "total + self.coupling / 2 * sum"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = FAULTS[fault]
    source = Path(str(system.__file__)).read_text()
    assert source.count(old) == 1
    module = types.ModuleType("faulty")
    exec(compile(source.replace(old, new), "faulty", "exec"), module.__dict__)
    monkeypatch.setattr(kinks, "FirstOrderSystem", module.FirstOrderSystem)
    with pytest.raises((AssertionError, NotCertifiable)):
        for seed in (9, 7):
            test_mpmath_finds_the_same_point_stationary(seed)
            check_jacobian(module.FirstOrderSystem, seed)


def test_the_checks_that_catch_faults_pass_without_one() -> None:
    for seed in (9, 7):
        test_mpmath_finds_the_same_point_stationary(seed)
        check_jacobian(FirstOrderSystem, seed)
