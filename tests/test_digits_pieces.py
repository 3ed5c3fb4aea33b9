"""Pieces of losses and their rows in ball arithmetic: derivatives, kinks, margins, bordered systems."""

from __future__ import annotations

from collections.abc import Iterator

import mpmath
import numpy as np
import pytest
from cases import at, loss_id
from digit_instances import KINKED, fitted, numbers, proven
from flint import arb, arb_mat, ctx
from oracle import judged, lowest_curvature
from proven import (
    KINK_DEGENERATE,
    exact_row,
    quantile_saddle,
    support_vector,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet
from amtl_cvx.digits import kinks, krawczyk, prove
from amtl_cvx.digits.losses import ROWS, WEDGES, Kink, row_function, seams, wedge_function
from amtl_cvx.digits.proof import free_atoms
from amtl_cvx.digits.rows import row_distance
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import Hinge, Huber, Loss, Poisson, Quantile
from amtl_cvx.problem import Problem


@pytest.fixture(autouse=True)
def decimals() -> Iterator[None]:
    with mpmath.workdps(130):
        yield


# what is refused


@pytest.mark.parametrize("name", KINK_DEGENERATE)
def test_degenerate_rows_are_not_certifiable(name: str) -> None:
    point, reason = KINK_DEGENERATE[name]
    with pytest.raises(NotCertifiable, match=reason) as refusal:
        prove(*point)
    assert "\n" not in str(refusal.value)
    with mpmath.workdps(50):
        at = judged(point.tasks, point.model, [[mpmath.mpf(1)]], [[mpmath.mpf(0)]], mpmath.mpf(10) ** -40)
    assert at.dependent or (at.violation == 0 and abs(at.inside) < mpmath.mpf(10) ** -40)


@pytest.mark.parametrize(("coupling", "kept"), [(0.125, 1), (0.125, -1), (0.625, -1), (0.625, 1)])
def test_a_multiplier_of_1e_9_is_told_from_its_end(coupling: float, kept: int) -> None:
    point = support_vector(coupling * (1 + kept * 2.0**-30))
    v = 0.25 - 2.0 * point.model.coupling
    found = prove(*point)
    if -1.0 < v < 0.0:
        assert found.rows["kink"] == ((0,),)
        assert found.min_row_multiplier == pytest.approx(min(-v, 1.0 + v), rel=1e-6)
    else:  # the row is off its kink: w = 1/(8 coupling) > 1 or 5/(8 coupling) < 1
        assert found.rows["outside" if v >= 0.0 else "inside"][0][0] == 0
        w = (mpmath.mpf(1) if v >= 0.0 else mpmath.mpf(5)) / (8 * mpmath.mpf(point.model.coupling))
        assert abs(mpmath.mpf(found.W[0][0]) - w) < mpmath.mpf(10) ** -38


def test_isolation_ends_where_a_row_moves_onto_its_kink() -> None:
    """Row 2 is a quarter of 1e-5 beyond its kink: no box of 1e-4 is proved, one of 1e-6 is. And so on."""
    for gap, isolation in ((0.25e-5, 1e-6), (0.25e-7, 1e-8), (0.25e-9, 1e-10)):
        found = prove(*support_vector(0.25, -0.25, 1.0 + gap))
        assert found.rows["kink"] == ((0,),) and found.rows["outside"] == ((2,),)
        assert found.isolation == isolation and found.min_row_distance == pytest.approx(gap, rel=1e-6)


def test_isolation_ends_where_a_multiplier_reaches_its_end() -> None:
    """v of row 0 is 5e-5 from 0; over w +- r it changes by 2 coupling r, a quarter of r."""
    found = prove(*support_vector(0.125 * (1 + 2e-4)))
    assert found.min_row_multiplier == pytest.approx(0.5e-4, rel=1e-3)
    assert found.isolation == 1e-4


def test_dependent_rows_of_a_plane_are_degenerate() -> None:
    plane = TaskSet.from_arrays([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]], [[1.0, 1.0, 2.0]])
    model = Model(loss=Quantile(reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=0.125)
    with pytest.raises(NotCertifiable, match=r"degenerate: row \d of 'task 0'.* linearly dependent"):
        prove(plane, model, np.ones((2, 1)), np.zeros((1, 1)))


def test_a_line_of_first_order_points_is_refused() -> None:
    """One row on its kink, mu 3/4 = 3/10: J is flat along w_1 - b w_0 = const, w_0 = 1 on its kink."""
    tasks = TaskSet.from_arrays([[[1.0], [-0.25]], [[0.1], [-0.2]]], [[1.0, -1.0], [1.0, -1.0]])
    g = float(tasks[1].X[0, 0] - tasks[1].X[1, 0])
    model = Model(loss=Hinge(reduction="sum"), transfer=LossWeightedL1(mu=g / 0.75), coupling=0.25)
    b = 0.5
    W = np.array([[1.0, b + g / 0.5]])
    with pytest.raises(NotCertifiable, match="singular|does not converge|away from"):
        prove(tasks, model, W, np.array([[0.0, b], [0.0, 0.0]]))


@pytest.mark.parametrize(("label", "seed"), KINKED[1:3])
def test_a_wrong_support_is_refused(label: str, seed: int) -> None:
    point, found = fitted(label, seed), proven(label, seed)
    assert found.support and any(found.rows["kink"])
    for s, t in found.support:
        fewer = point.B.copy()
        fewer[s, t] = 0.0
        with pytest.raises(NotCertifiable):
            prove(*point._replace(B=fewer))
    s, t = next((s, t) for s, t in np.argwhere(point.B == 0).tolist() if s != t)
    more = point.B.copy()
    more[s, t] = 1e-12
    with pytest.raises(NotCertifiable):
        prove(*point._replace(B=more))
    for moved in (point._replace(W=point.W * (1 + 1e-4)), point._replace(B=point.B * (1 + 1e-4))):
        with pytest.raises(NotCertifiable):
            prove(*moved)


@pytest.mark.parametrize(("label", "seed"), KINKED[1:3])
def test_forged_sides_are_refused(label: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is said about the rows is proved: a kink left out, added, or taken for the other side."""
    point, found = fitted(label, seed), proven(label, seed)
    true = kinks._first_sides(point.tasks, point.model, kinks.kinked_multipliers(at(*point)))
    monkeypatch.setattr(kinks, "_sides_at", lambda system, x: system.sides)
    monkeypatch.setattr(kinks, "_independent", lambda tasks, model, W, sides: (sides, []))
    t = next(t for t, rows in enumerate(found.rows["kink"]) if rows)
    k = found.rows["kink"][t][0]
    off = next(i for i in range(len(true[t])) if i not in found.rows["kink"][t])
    forged = [(k, -1), (k, 1), (off, 0), (off, -true[t][off])]
    for row, side in forged:
        sides = [list(each) for each in true]
        sides[t][row] = side
        monkeypatch.setattr(kinks, "_first_sides", lambda *_, s=sides: tuple(map(tuple, s)))
        with pytest.raises(NotCertifiable):
            prove(*point, within=1e9)
    monkeypatch.setattr(kinks, "_first_sides", lambda *_: true)
    assert prove(*point).objective == proven(label, seed, 40).objective


def test_wrong_first_sides_are_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the sides of another point the roots lead to the true ones, or the proof says no."""
    monkeypatch.setattr(kinks, "_first_sides", lambda *_: ((-1, 1),))  # row 0 inside: w = 5/2 by that
    found = prove(*support_vector(0.25))
    assert found.rows["kink"] == ((0,),)


def test_a_saddle_along_a_kink_is_no_minimum() -> None:
    point = quantile_saddle()
    found = prove(*point, within=1e-2)
    assert not found.strict_local_min and any(found.rows["kink"])
    at = judged(point.tasks, point.model, numbers(found.W), numbers(found.B), mpmath.mpf(10) ** -35)
    assert at.violation < mpmath.mpf(10) ** -30
    lowest = lowest_curvature(
        point.tasks, point.model, numbers(found.W), numbers(found.B), at.kinks, mpmath.mpf(10) ** -15
    )
    assert lowest < 0


# the parts


@pytest.mark.parametrize("loss", [Huber(threshold=0.8), Poisson(), Hinge(), Quantile(tau=0.3)], ids=loss_id)
def test_rows_are_the_derivatives_of_phi(loss: Loss, rng: np.random.Generator) -> None:
    h = mpmath.mpf(10) ** -40
    y = (
        rng.poisson(2.0, size=40).astype(float)
        if loss.name == "poisson"
        else rng.choice([-1.0, 1.0], size=40)
    )
    for z, target in zip(2.0 * rng.normal(size=40), y.tolist(), strict=True):
        with ctx.workdps(110):
            row = row_function(loss)(arb(z), target)
            found = [mpmath.mpf(value.mid().str(105, radius=False)) for value in row[:3]]
        values = [exact_row(loss, mpmath.mpf(z) + k * h, target) for k in (-1, 0, 1)]
        expected = [
            values[1],
            (values[2] - values[0]) / (2 * h),
            (values[2] - 2 * values[1] + values[0]) / h**2,
        ]
        for a, b, digits in zip(found, expected, (100, 70, 40), strict=True):
            assert abs(a - b) <= mpmath.mpf(10) ** -digits * (1 + abs(b))


def test_a_ball_over_a_seam_has_no_row() -> None:
    with ctx.workdps(70):
        for loss, y, inside in (
            (Hinge(), 1.0, 1),
            (Quantile(tau=0.3), 2.0, 2),
            (Huber(threshold=0.5), 2.0, 2.5),
        ):
            for z in (arb(inside), arb(inside, 1e-30)):
                with pytest.raises(Kink):
                    row_function(loss)(z, y)
            below, above = (row_function(loss)(arb(inside, 1e-30) + arb(s), y).piece for s in (-1e-20, 1e-20))
            assert below != above
            assert any(place.contains(arb(inside)) for place in seams(loss, y))
        with pytest.raises(Kink):
            ROWS["huber"](arb(1.5), 2.0, 0.5)
    assert wedge_function(Huber()) is None and set(WEDGES) == {"hinge", "quantile"}


@pytest.mark.parametrize(
    ("label", "seed"), [("huber:0.8", 3), ("poisson", 2), ("hinge", 2), ("quantile:0.7", 2)]
)
def test_the_jacobian_encloses_the_differences_of_the_gradient(label: str, seed: int) -> None:
    tasks, model, W, B = fitted(label, seed)
    point = Problem(tasks, model).at(W, B)
    with ctx.workdps(120):
        system, x, _ = kinks.near_point(point, free_atoms(point), arb(10) ** -60)
        J, h, n = system.jacobian(x), arb(10) ** -40, x.nrows()
        for j in range(n):
            e = arb_mat(n, 1, [h if i == j else 0 for i in range(n)])
            slope = (system.gradient(x + e) - system.gradient(x - e)) / (2 * h)
            assert all(abs(slope[i, 0] - J[i, j]) < arb(10) ** -60 for i in range(n))
            assert all(bool(J[i, j].overlaps(J[j, i])) for i in range(n))


def test_margins_are_those_of_the_worst_point_of_a_box() -> None:
    """w = 1 +- r of a support vector: v is 1/4 - 2 coupling w, the other row 3/4 +- r/4 from its kink.

    With a second task and its edges up to e, a_0 = 1 + B_01 and 2 coupling (W P)_0 weaken or strengthen v.
    """
    tasks, model, W, B = support_vector(0.25)
    with ctx.workdps(70):
        system, x, _ = kinks.near_point(Problem(tasks, model).at(W, B), [], arb(10) ** -60)
        box = x + arb_mat([[arb(0, 1e-2)], [arb(0)]])
        margin, none = kinks.row_margin(system, box, arb(0)), arb(0)
        assert 0.25 - 0.5e-2 - 1e-9 <= float(margin) <= 0.25 - 0.5e-2 + 1e-15
        distance = row_distance(system.rows, system.state(box).W, system.sides)
        assert 0.75 - 0.25e-2 - 1e-9 <= float(distance) <= 0.75 - 0.25e-2 + 1e-15
        pair = TaskSet.from_arrays(
            [task.X for task in (*tasks, *tasks)], [task.y for task in (*tasks, *tasks)]
        )
        system, x, _ = kinks.near_point(
            at(pair, model, np.ones((1, 2)), np.zeros((2, 2))), [], arb(10) ** -60
        )
        exact = kinks.row_margin(system, x, none)
        wide = kinks.row_margin(system, x, arb(0, 1e-2))
        assert float(exact) == pytest.approx(0.25) and float(wide) < 0.25
        # at B_01 = e, B_10 = 0: 2 coupling (W P)_0 = (1 + e^2 - e) / 2, so v = 1/4 - that / (1 + e)
        for e in (1e-2, 0.5e-2):
            v = 0.25 - 0.5 * (1 + e * e - e) / (1 + e)
            assert float(wide) <= min(-v, 1.0 + v) + 1e-15


def test_multipliers_of_a_bordered_system_have_their_own_width() -> None:
    """x^2 + y = 2, x = 1 with y in the border: y may need more room than x, and gets it."""

    class Bordered:
        def gradient(self, x: arb_mat) -> arb_mat:
            return arb_mat([[1000 * x[0, 0] ** 2 + x[1, 0] - 2], [x[0, 0] - 1]])

        def jacobian(self, x: arb_mat) -> arb_mat:
            return arb_mat([[2000 * x[0, 0], 1], [1, 0]])

    with ctx.workdps(50):
        x, inverse = arb_mat([[1], [-998]]), arb_mat([[0, 1], [1, -2000]])
        with pytest.raises(krawczyk.Undecided):
            krawczyk.contract(Bordered(), x, inverse, arb(0.25))
        root = krawczyk.contract(Bordered(), x, inverse, arb(0.25), linear=1)
        assert root.enclosure[1, 0].contains(arb(-998)) and root.box[0, 0].rad() <= arb(0.2500001)
        with pytest.raises(krawczyk.Undecided):
            krawczyk.contract(Bordered(), x + arb_mat([[arb(0.3)], [0]]), inverse, arb(0.25), linear=1)
