# More than 300 lines: one check after another.
"""The global enclosure: box, polynomials, rounding against fractions, closed forms and the checker."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any
from unittest import mock

import literal
import mpmath
import numpy as np
from cases import (
    random_tasks,
    random_transfer,
)

from amtl_cvx.certificate import figures
from amtl_cvx.enclosure import (
    Enclosure,
    cells,
    check_box,
    checker,
    cuts,
    derive_box,
    enclose,
    polynomial,
    relaxation,
    rounding,
)
from amtl_cvx.enclosure import box as box_module
from amtl_cvx.enclosure import exact as exact_module
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix, sqrt_above
from amtl_cvx.enclosure.relaxation import Block
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.errors import AMTLError
from amtl_cvx.losses import Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1
from checks.points import NUMBERS, Point, amtl, close, refused
from checks.rational import exact_J, exact_slopes


@functools.cache
def instance() -> Point:
    """Two tasks, one feature, squared loss, task weights that are not 1; with its first-order point."""
    tasks = random_tasks(np.random.default_rng(4), d=1, counts=(5, 7))
    model = amtl(Squared(), mu=0.1, coupling=1.0, c=(0.5, 2.0))
    found = fit(tasks, model, options=Options(engine="fast"))
    assert found.certificate.passes
    return Point(tasks, model, found.W, found.B)


def exact_problem_is_J() -> None:
    rng = np.random.default_rng(16)
    for reduction in ("mean", "sum"):
        tasks, model = random_tasks(rng, d=2, counts=(4, 5, 6)), amtl(Squared(reduction=reduction))  # type: ignore[arg-type]
        W, B = rng.normal(size=(2, 3)), random_transfer(rng, 3)
        problem, point = ExactProblem.read(tasks, model), (exact_matrix(W), exact_matrix(B))
        # c_t / n_t is exact in both: NUMBERS are dyadic
        assert problem.objective(*point) == exact_J(tasks, model, W, B)
        G_W, G_B = problem.gradients(*point)
        slopes_W, slopes_B = exact_slopes(tasks, model, W, B)
        assert [slope for row in G_W for slope in row] == slopes_W
        assert all(G_B[s][t] == slope for (s, t), slope in slopes_B.items())


def scaled_polynomial_is_J() -> None:
    """J, the inequalities and the sublevel function as polynomials, evaluated exactly in the box."""
    rng = np.random.default_rng(17)
    tasks, model = random_tasks(rng, d=2, counts=(5, 6)), amtl(Squared(), c=(0.5, 2.0))
    W, B = exact_matrix(rng.normal(size=(2, 2))), exact_matrix(np.array([[0.0, 0.25], [0.5, 0.0]]))
    upper = exact_J(tasks, model, W, B)
    box = derive_box(tasks, model, upper)
    found = polynomial.scale_problem(ExactProblem.read(tasks, model), box, W, B)
    for _ in range(4):
        x = [Fraction(int(k), 8) for k in rng.integers(-8, 9, size=6)]
        w = [[W[i][t] + found.radius[2 * i + t] * x[2 * i + t] for t in range(2)] for i in range(2)]
        b = [[Fraction(0), B[0][1] + found.radius[4] * x[4]], [B[1][0] + found.radius[5] * x[5], Fraction(0)]]
        assert evaluate(found.objective, x) == exact_J(tasks, model, w, b)
        given = [w[0], w[1]], [[Fraction(0)] * 2] * 2
        free = exact_J(tasks, replace(model, coupling=1e-300), *given)
        slack = upper - sum(box.minima)
        assert abs(evaluate(found.sublevel, x) - (upper - free) / slack) < Fraction(1, 10**200)
        budget = 1 - Fraction(model.mu) * sum(box.minima[s] * b[s][1 - s] for s in range(2)) / slack
        assert list(found.linear) == [0, 1, 2] and evaluate(found.linear[2], x) == budget
        assert [evaluate(found.linear[i], x) > 0 for i in (0, 1)] == [b[0][1] > 0, b[1][0] > 0]
    for k, (low, high) in enumerate(
        (box.W_low[i][t], box.W_high[i][t]) for i in range(2) for t in range(2)
    ):  # the box in abs(x) <= 1
        centre = W[k // 2][k % 2]
        assert centre + found.radius[k] >= high and centre - found.radius[k] <= low
    assert all(found.radius[4 + s] >= box.B_high[s][1 - s] - B[s][1 - s] for s in range(2))
    assert all(found.radius[4 + s] >= B[s][1 - s] for s in range(2))


def evaluate(p: Any, x: list[Fraction]) -> Fraction:
    terms = (value * math.prod((x[k] for k in monomial), start=Fraction(1)) for monomial, value in p.items())
    return sum(terms, Fraction(0))


def box_reaches_the_ends_of_its_ellipsoids() -> None:
    """The point of the ellipsoid c_t L_t <= m_t + Delta furthest in one coordinate, in closed form."""
    rng = np.random.default_rng(18)
    for c in (NUMBERS, (0.01, 40.0, 1.0)):
        for reduction in ("mean", "sum"):
            tasks = random_tasks(rng, d=2, counts=(4, 9, 25))
            model = amtl(Squared(reduction=reduction), mu=0.2, c=c)  # type: ignore[arg-type]
            at_zero = exact_J(tasks, model, np.zeros((2, 3)), np.zeros((3, 3)))
            box = derive_box(tasks, model, at_zero)
            fits = [np.linalg.lstsq(task.X, task.y)[0] for task in tasks]
            rate = literal.price_weights(tasks, model) * [
                literal.row_scale(model.loss, len(k.y)) for k in tasks
            ]
            minima = [rate[t] * float(((k.X @ fits[t] - k.y) ** 2).sum()) for t, k in enumerate(tasks)]
            slack = float(at_zero) - sum(minima)
            assert close([float(m) for m in box.minima], minima, 1e-9)
            for t, task in enumerate(tasks):
                inverse = np.linalg.inv(task.X.T @ task.X)
                for i in range(2):
                    far = inverse[:, i] * math.sqrt(slack / rate[t] / inverse[i, i])
                    loss = rate[t] * float(((task.X @ (fits[t] + far) - task.y) ** 2).sum())
                    assert close(loss, minima[t] + slack, 1e-9)
                    for side, bound in ((1, box.W_high[i][t]), (-1, box.W_low[i][t])):
                        reach = fits[t][i] + side * far[i]
                        assert side * (float(bound) - reach) >= -1e-13 * (abs(fits[t][i]) + far[i])
                        assert side * (float(bound) - reach) <= 1e-6 * far[i]
                most = slack / (model.mu * minima[t])
                assert most * (1 - 1e-12) <= float(box.row_sum[t]) <= most * (1 + 1e-6)
                assert all(box.B_high[t][u] >= box.row_sum[t] for u in range(3) if u != t)
            assert close(float(box.residual), slack / model.coupling, 1e-9)


def roots_lie_above() -> None:
    for value in (
        Fraction(2),
        Fraction(1, 3),
        Fraction(4),
        Fraction(1, 10**18 + 3),
        Fraction(12345678901, 7),
    ):
        for bits in (1, 3, 40):
            root = sqrt_above(value, bits)
            assert root**2 >= value and root**2 <= value * (1 + Fraction(4, 2**bits)) ** 2
    for value in (Fraction(1, 3), Fraction(-1, 3), Fraction(10, 7)):
        assert (
            box_module._round(value, abs(value), math.floor)
            < value
            < box_module._round(value, abs(value), math.ceil)
        )
        assert Fraction(figures.double_below(value)) <= value <= Fraction(figures.double_above(value))


def boxes_by_hand_and_free_tasks_are_refused() -> None:
    """B <= 2 cuts the derived box; a task fitted perfectly, too few rows and mu = 0 have none."""
    tasks, model, W, B = instance()
    box = derive_box(tasks, model, exact_J(tasks, model, W, B))
    two = Fraction(2)
    assert max(map(max, box.B_high)) > two
    cuts = {
        "B_high": tuple(tuple(min(two, value) for value in row) for row in box.B_high),
        "W_high": tuple(tuple(value - Fraction(1, 1000) for value in row) for row in box.W_high),
        "W_low": tuple(tuple(value + Fraction(1, 1000) for value in row) for row in box.W_low),
    }
    for name, value in cuts.items():
        refused(lambda name=name, value=value: check_box(replace(box, **{name: value}), box))
    assert check_box(box, box) is box
    perfect = TaskSet.from_arrays([k.X for k in tasks], [tasks[0].X[:, 0] / 3, tasks[1].y])
    rank = TaskSet.from_arrays([np.ones((3, 2)), np.eye(2)], [np.arange(3.0), np.ones(2)])
    for bad, settings in (
        (perfect, model),
        (rank, model),
        (tasks, replace(model, transfer=LossWeightedL1(mu=0.0))),
    ):
        refused(lambda bad=bad, settings=settings: derive_box(bad, settings, Fraction(1000)))


def roots_of_weights_are_enclosed() -> None:
    """1/sqrt(n) between two rationals 2^-128 apart, in the producer and in the checker."""
    for n in (2, 3, 7, 10**6 + 3):
        for low, high in (exact_module._inverse_root(n)[1:], checker.ends(f"1/sqrt({n})")):
            assert low**2 * n < 1 < high**2 * n and high - low == Fraction(1, 2**128)


def enclosure_of_the_real_roots_holds() -> None:
    """J of weights 1/sqrt(5) and 1/sqrt(7), in 50 digits, between the bounds and at the upper one."""
    tasks, model, W, B = instance()
    model = replace(model, task_weights="inverse-sqrt")
    found = enclosed(Point(tasks, model, W, B), starts=1)
    with mpmath.workdps(50):
        ends = {"lower": found.lower, "upper": found.upper, "at": found.at}
        low, high, at = (mpmath.mpf(end.numerator) / end.denominator for end in ends.values())
        best = _real_J(tasks, model, found.W, found.B)
        asked = _real_J(tasks, model, exact_matrix(W), exact_matrix(B))
        assert low <= best <= high <= best * (1 + mpmath.mpf(10) ** -36)
        assert asked <= at <= asked * (1 + mpmath.mpf(10) ** -36)


def _real_J(tasks: TaskSet, model: Model, W: Any, B: Any) -> Any:
    """J of one feature with the real 1/sqrt(n), at the precision of mpmath."""
    total, T = mpmath.mpf(0), range(tasks.T)
    w, b = ([[mpmath.mpf(v.numerator) / v.denominator for v in row] for row in part] for part in (W, B))
    for t, task in enumerate(tasks):
        rows = zip(task.X[:, 0].tolist(), task.y.tolist(), strict=True)
        loss = mpmath.fsum((mpmath.mpf(y) - mpmath.mpf(x) * w[0][t]) ** 2 for x, y in rows) / task.n
        total += (1 + mpmath.mpf(model.mu) * sum(b[t])) * loss / mpmath.sqrt(task.n)
        total += mpmath.mpf(model.coupling) * (w[0][t] - sum(w[0][s] * b[s][t] for s in T)) ** 2
    return total


def rounding_bounds_polynomials() -> None:
    """Below a polynomial at all corners and at the centre of the box; sums of squares expanded exactly."""
    rng = np.random.default_rng(19)
    for _ in range(20):
        p = {
            tuple(sorted(rng.integers(0, 3, size=int(rng.integers(0, 4))).tolist())): Fraction(
                int(rng.integers(-9, 9))
            )
            for _ in range(5)
        }
        corners = [
            [Fraction(a), Fraction(b), Fraction(c)] for a in (-1, 0, 1) for b in (-1, 1) for c in (-1, 1)
        ]
        assert all(rounding.value_below(p) <= evaluate(p, x) for x in corners)
    assert rounding.value_below({(): Fraction(3), (0,): Fraction(1, 2)}) == Fraction(5, 2)
    weight = {(): Fraction(1, 3), (0,): Fraction(1)}
    basis, factor = ((), (0,), (1, 2)), [[3], [-2, 5], [1, 4, -7]]
    found = rounding.expand([Block(of=(0,), weight=weight, basis=basis)], [factor], bits=2)
    x = [Fraction(1, 2), Fraction(-2, 3), Fraction(5)]
    m = [Fraction(1), x[0], x[1] * x[2]]
    squares = [sum(factor[i][k] * m[i] for i in range(k, 3)) / 4 for k in range(3)]
    assert evaluate(found, x) == evaluate(weight, x) * sum(square**2 for square in squares)


def enclosure_holds() -> None:
    """The stand-alone checker finds the same bounds; they enclose the lowest J of a grid of B with best W."""
    tasks, model, W, B = instance()
    found = enclosed(instance(), starts=1)
    assert checked(found.proof) == (found.lower, found.upper)
    assert found.at == exact_J(tasks, model, W, B) and found.upper == exact_J(tasks, model, found.W, found.B)
    assert found.lower < found.upper <= found.at and found.width < 1e-9
    assert found.method == "exact" and close(
        found.width, float((found.upper - found.lower) / found.upper), 1e-9
    )
    lowest = least_on_a_grid()
    assert float(found.lower) <= lowest * (1 + 1e-12) and float(found.upper) <= lowest * (1 + 1e-9)


def enclosed(point: Point, *, starts: int) -> Enclosure:
    """The enclosure; its proof must be accepted by the checker that it meets on the way."""
    try:
        return enclose(*point, starts=starts)
    except AMTLError:
        raise
    except ValueError as rejection:
        raise AssertionError(f"rejected: {rejection}") from None


def checked(stored: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """The bounds of a proof that must be accepted, read back from JSON."""
    try:
        return checker.check(json.loads(json.dumps(stored)))
    except ValueError as rejection:
        raise AssertionError(f"rejected: {rejection}") from None


@functools.cache
def least_on_a_grid() -> float:
    tasks, model, _, _ = instance()
    grid, values = np.linspace(0, 3, 31), []
    for b in grid:
        for e in grid:
            B = np.array([[0.0, b], [e, 0.0]])
            values.append(literal.J(tasks, model, literal.best_W(tasks, model, B), B))
    return min(values)


def loose_bound_holds() -> None:
    """Where no relaxation is tight the answer rests on rounded factors of the solver's Gram matrices."""
    with mock.patch.object(cells.Prover, "_proof", lambda *_: None):
        found = enclosed(instance(), starts=0)
    assert checked(found.proof) == (found.lower, found.upper)
    assert not found.tight and float(found.lower) <= least_on_a_grid() * (1 + 1e-12)


def zoom_changes_variables() -> None:
    """x' = 2^e x: J, inequalities and sums of squares have the same values, exactly."""
    rng, (tasks, model, W, B) = np.random.default_rng(21), instance()
    problem, point = ExactProblem.read(tasks, model), (exact_matrix(W), exact_matrix(B))
    scale = polynomial.scale_problem(problem, derive_box(tasks, model, exact_J(tasks, model, W, B)), *point)
    zoom = Zoom(powers=(0, 0, 4, 6))
    near = zoom.inward(scale)
    for _ in range(4):
        x = [Fraction(int(k), 8) for k in rng.integers(-8, 9, size=4)]
        moved = [value * 2**power for value, power in zip(x, zoom.powers, strict=True)]
        assert evaluate(near.objective, moved) == evaluate(scale.objective, x)
        assert evaluate(near.sublevel, moved) == evaluate(scale.sublevel, x)
        for i, power in ((0, 4), (1, 6), (2, 0)):
            assert evaluate(near.linear[i], moved) == 2**power * evaluate(scale.linear[i], x)
        assert [c + r * v for c, r, v in zip(near.centre, near.radius, moved, strict=True)] == [
            c + r * v for c, r, v in zip(scale.centre, scale.radius, x, strict=True)
        ]
        for reduced in (False, True):
            blocks = relaxation.blocks_of(near, split=False, reduced=reduced)
            factors = [
                [[int(v) for v in rng.integers(-9, 10, size=i + 1)] for i in range(len(block.basis))]
                for block in blocks
            ]
            found = rounding.expand(blocks, factors, bits=3)
            back = rounding.expand(*zoom.outward(scale, blocks, factors), bits=3)
            assert evaluate(back, x) == evaluate(found, moved)
    wide = replace(scale, radius=(Fraction(900), Fraction(900), Fraction(3), Fraction(900)))
    assert Zoom.on(wide).powers[:3] == (0, 0, 0) and Zoom.on(wide).powers[3] % 2 == 0
    assert 8 <= 900 / 2 ** Zoom.on(wide).powers[3] <= 32


def cuts_cover_the_box() -> None:
    """Every point of a cell is above or below its cut; the inequality that a cut implies is dropped."""
    tasks, model, W, B = instance()
    problem, point = ExactProblem.read(tasks, model), (exact_matrix(W), exact_matrix(B))
    scale = polynomial.scale_problem(problem, derive_box(tasks, model, exact_J(tasks, model, W, B)), *point)
    first, second = Fraction(3, 8), Fraction(1, 4)
    above, below = cuts.halves(scale, 1, first)
    again = cuts.halves(below, 1, second)
    assert list(above.linear) == [0, 2, 3] and list(below.linear) == [0, 1, 2, 3]
    assert list(again[0].linear) == [0, 2, 3, 4] and list(again[1].linear) == [0, 1, 2, 4]
    for k in range(-8, 9):
        x = [Fraction(1), Fraction(-1), Fraction(1, 3), Fraction(k, 8)]
        b = evaluate(scale.linear[1], x)
        assert evaluate(above.linear[3], x) == b - first == -evaluate(below.linear[3], x)
        assert evaluate(again[0].linear[4], x) == b - second == -evaluate(again[1].linear[4], x)
        for part in (above, *again):
            assert all(part.linear[i] == scale.linear[i] for i in part.linear if i < 3)


def cut_box_holds() -> None:
    """The relaxation of the whole box thrown away: the same enclosure from a proof in two cells."""
    whole = enclosed(instance(), starts=1)
    prove = cells.Prover._proof

    def not_whole(prover: cells.Prover, scale: polynomial.Scaled, *rest: Any) -> Any:
        return prove(prover, scale, *rest) if max(scale.linear) > len(scale.edges) else None

    with (
        mock.patch.object(cells.Prover, "_proof", not_whole),
        mock.patch.object(cells.Prover, "_below", lambda *_: True),
        mock.patch.object(cells, "place", lambda *_: (0, Fraction(3, 8))),
    ):
        found = enclose(*instance(), starts=1, cells=2)
    assert (found.cells, whole.cells) == (2, 1) and found.tight
    assert checked(found.proof) == (found.lower, found.upper)
    assert found.upper == whole.upper and found.width < 1e-9
    assert float(found.lower) <= least_on_a_grid() * (1 + 1e-12)


def twice_cut_box_holds() -> None:
    """Both halves thrown away too, and cut again along the same edge: four cells, inequalities dropped."""
    prove = cells.Prover._proof

    def if_cut_twice(prover: cells.Prover, scale: polynomial.Scaled, *rest: Any) -> Any:
        return prove(prover, scale, *rest) if max(scale.linear) > len(scale.edges) + 1 else None

    def place(scale: polynomial.Scaled, *_: Any) -> tuple[int, Fraction]:
        side = scale.linear.get(3, {})
        return 0, Fraction(3 + 2 * int(side[(2,)]) if side else 3, 8)

    with (
        mock.patch.object(cells.Prover, "_proof", if_cut_twice),
        mock.patch.object(cells.Prover, "_below", lambda *_: True),
        mock.patch.object(cells, "place", place),
    ):
        found = enclose(*instance(), starts=1, cells=4)
    assert found.cells == 4 and found.tight and found.width < 1e-9
    assert checked(found.proof) == (found.lower, found.upper)
    assert [part["cut"] for part in (found.proof, found.proof["above"], found.proof["below"])] == [
        [0, "3/8"],
        [0, "5/8"],
        [0, "1/8"],
    ]


def level_above_J() -> None:
    """The box is derived for a level at or above J of its own point."""
    module = __import__("sys").modules[enclose.__module__]
    for value in (Fraction(1), Fraction(1, 3), Fraction(123456789, 1000), Fraction(2) ** -30):
        assert value < module._level(value) <= value * (1 + Fraction(1, 2**30))
