"""Proven digits: what is proved agrees with mpmath and closed forms, and what cannot be proved is refused."""

from __future__ import annotations

import functools
import types
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import Array, at
from flint import arb, arb_mat, ctx
from proved_digits import Affine, check_jacobian, every_loss, largest, proven
from proven import (
    exact_gradient,
    exact_objective,
    instance,
    solved,
    split_duplicates,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet, certify
from amtl_cvx.certificate import second_order
from amtl_cvx.digits import kinks, proof, prove, rows, system
from amtl_cvx.digits.boxes import Boxes
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Problem

pytestmark = pytest.mark.usefixtures("two_hundred_decimals")


def numbers(rows: tuple[tuple[str, ...], ...]) -> list[list[Any]]:
    return [[mpmath.mpf(text) for text in row] for row in rows]


# what is proved


@pytest.mark.sampled(4)
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
    H = Problem(tasks, model).at(np.zeros((tasks.d, tasks.T)), B).hessian_W()
    g = model.gradient_W(tasks, np.zeros((tasks.d, tasks.T)), B)
    return -np.linalg.solve(H, g.T.ravel()).reshape(tasks.T, tasks.d).T


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
        boxes = Boxes(system, functools.partial(proof._only_point, system))
        _, room = boxes.isolation(x, rough, [arb(1e-9), arb(0)], arb("1e-50"))
    assert room > 0.0


# planted faults: each must be caught by one of the checks above

FAULTS = {
    "coupling without its 2": ("pull = 2 * (self.coupling * (", "pull = 2 * (self.coupling / 2 * ("),
    "R M for R M'": ("(at.R * at.M.transpose())", "(at.R * at.M)"),
    "outgoing price dropped": ("gains[u] + rate", "gains[u]"),
    "sign of the price": ("gains[u] + rate", "gains[u] - rate"),
    "B transposed": ("M, W * M, values", "M, W * M.transpose(), values"),
    "incoming for outgoing": ("B[s][t] = B[s][t] + size", "B[t][s] = B[t][s] + size"),
    "r_s'w_t for w_s'r_t": ("(size * inner[s, t] for", "(size * inner[t, s] for"),
    "price of another atom": ("price(weighted, at.x[k], 1)", "price(weighted[::-1], at.x[k], 1)"),
    "price without its task weight": ("[c * value for c, value", "[value for c, value"),
    "sum for mean": ("1 / arb(exact_count(task)) if mean", "arb(1) if mean"),
    "a rounded square root": ("arb(exact_count(task)).rsqrt()", "arb(task.n**-0.5)"),
    "a rounded 1/n": ("1 / arb(exact_count(task)) if mean", "arb(1 / task.n) if mean"),
    "slope without its 2": (", 1) - 2 * self", ", 1) - 1 * self"),
    "diagonal leaks into the residual": ("(1 if s == t else 0) - B", "(0.999 if s == t else 0) - B"),
    "J: coupling block without its 2": ("P = twice *", "P = self.coupling *"),
    "J: loss weight dropped": ("(at.weights[t] * self.scales[t])", "(self.c[t] * self.scales[t])"),
    "J: residual term dropped": ("+= -twice * size * at.R[i, t]", "+= 0 * at.R[i, t]"),
    "J: sign of the price term": ("+= rate * self.c[u]", "-= rate * self.c[u]"),
    "J: sign of the mixed term": ("-twice * size * at.M[u, t]", "twice * size * at.M[u, t]"),
    "J: one column of B for all": ("if q == t:", "if True:"),
    "J: w_s'w_t for w_s'w_p": ("gram[s, p]", "gram[s, t]"),
    "objective without its edges": ("total += atom.cost", "total += 0 * atom.cost"),
    "objective: coupling halved": ("total + self.coupling * sum", "total + self.coupling / 2 * sum"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = FAULTS[fault]
    sources = {module: Path(str(module.__file__)).read_text() for module in (system, rows)}
    assert sum(source.count(old) for source in sources.values()) == 1
    faulty = {module: types.ModuleType("faulty") for module in sources}
    for module, source in sources.items():
        exec(compile(source.replace(old, new), "faulty", "exec"), faulty[module].__dict__)
    for name in ("TaskRows", "exact_task_weights"):
        setattr(faulty[system], name, getattr(faulty[rows], name))
    monkeypatch.setattr(kinks, "FirstOrderSystem", faulty[system].FirstOrderSystem)
    with pytest.raises((AssertionError, NotCertifiable)):
        for seed in (9, 7):
            test_mpmath_finds_the_same_point_stationary(seed)
            check_jacobian(faulty[system].FirstOrderSystem, seed)


def test_the_checks_that_catch_faults_pass_without_one() -> None:
    for seed in (9, 7):
        test_mpmath_finds_the_same_point_stationary(seed)
        check_jacobian(FirstOrderSystem, seed)
