"""Proven digits of every other loss: Huber and Poisson, and hinge and quantile with rows on their kinks."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import at, loss_id
from flint import arb, arb_mat, ctx
from oracle import first_order_root, judged, lowest_curvature
from proven import (
    KINK_DEGENERATE,
    Point,
    exact_objective,
    exact_row,
    other_instance,
    quantile_saddle,
    solved,
    support_vector,
    wide_instance,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet, fit
from amtl_cvx.commands.certify import _digit_lines
from amtl_cvx.digits import ProvenPoint, kinks, krawczyk, prove
from amtl_cvx.digits.losses import ROWS, WEDGES, Kink, row_function, seams, wedge_function
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.ladder import climb
from amtl_cvx.losses import Hinge, Huber, Loss, Poisson, Quantile, make_loss
from amtl_cvx.problem import Problem

LABELS = ("huber:0.8", "poisson", "hinge", "quantile:0.7")
INSTANCES = (
    ("huber:0.8", 3),
    ("poisson", 2),
    ("hinge", 0),
    ("hinge", 2),
    ("quantile:0.7", 2),
    ("quantile:0.7", 5),
)
KINKED = INSTANCES[2:]


@pytest.fixture(autouse=True)
def decimals() -> Iterator[None]:
    with mpmath.workdps(130):
        yield


@functools.cache
def fitted(label: str, seed: int) -> Point:
    tasks, model = other_instance(label, seed)
    found = solved(tasks, model)
    assert found.certificate.passes
    return Point(tasks, model, found.W, found.B)


@functools.cache
def proven(label: str, seed: int, digits: int = 100) -> ProvenPoint:
    return prove(*fitted(label, seed), digits=digits)


def numbers(rows: tuple[tuple[str, ...], ...]) -> list[list[Any]]:
    return [[mpmath.mpf(text) for text in row] for row in rows]


# what is proved


@pytest.mark.parametrize(("label", "seed"), INSTANCES)
def test_mpmath_finds_the_same_first_order_point(label: str, seed: int) -> None:
    tasks, model, W, B = fitted(label, seed)
    found = proven(label, seed)
    at = judged(tasks, model, numbers(found.W), numbers(found.B), mpmath.mpf(10) ** -95)
    assert at.violation < mpmath.mpf(10) ** -90 and not at.dependent
    for lower, true in (
        (found.min_multiplier, at.multiplier),
        (found.min_positive_B, at.edge),
        (found.min_row_distance, at.away),
        (found.min_row_multiplier, at.inside),
    ):
        assert (
            true > 0 and lower <= true and (true == mpmath.inf or lower >= true * (1 - mpmath.mpf(10) ** -12))
        )
    assert found.rows.get("kink", ((),) * tasks.T) == at.kinks
    assert any(at.kinks) == (not model.loss.smooth)
    J = exact_objective(tasks, model, numbers(found.W), numbers(found.B))
    assert abs(J - mpmath.mpf(found.objective)) < abs(J) * mpmath.mpf(10) ** -95
    assert found.strict_local_min and found.radius <= 1e-30
    assert found.isolation > found.distance
    assert found.unknowns == W.size + (B > 0).sum() + sum(map(len, at.kinks))


@pytest.mark.parametrize(("label", "seed"), [INSTANCES[0], *KINKED[1:3]])
def test_every_row_is_on_the_piece_that_is_named(label: str, seed: int) -> None:
    tasks, model, W, _ = fitted(label, seed)
    found = proven(label, seed)
    for t, task in enumerate(tasks):
        z = task.X @ W[:, t]
        names = np.full(len(z), "-", dtype="<U7")
        for piece, rows in found.rows.items():
            names[list(rows[t])] = piece
        if model.loss.name == "huber":
            r, K = z - task.y, model.loss.threshold  # type: ignore[attr-defined]
            expected = np.where(r < -K, "below", np.where(r > K, "above", "within"))
        elif model.loss.name == "hinge":
            m = 1.0 - task.y * z
            expected = np.where(np.abs(m) < 1e-6, "kink", np.where(m > 0, "inside", "outside"))
        else:
            r = z - task.y
            expected = np.where(np.abs(r) < 1e-6, "kink", np.where(r < 0, "below", "above"))
        assert names.tolist() == expected.tolist()
    active = {"huber": "within", "hinge": "inside"}.get(model.loss.name)
    assert found.active_rows == (found.rows[active] if active else ())


@pytest.mark.parametrize(("label", "seed"), [("hinge", 0), ("quantile:0.7", 5)])
def test_the_curvature_along_the_kinks_is_positive_by_differences(label: str, seed: int) -> None:
    tasks, model, _, _ = fitted(label, seed)
    found = proven(label, seed)
    lowest = lowest_curvature(
        tasks, model, numbers(found.W), numbers(found.B), found.rows["kink"], mpmath.mpf(10) ** -30
    )
    assert lowest > 0 and found.strict_local_min


def scalar(loss: Loss, x: list[float], y: list[float], coupling: float) -> tuple[TaskSet, Model]:
    """One task with one feature: sum_i phi(x_i w; y_i) + coupling w^2."""
    tasks = TaskSet.from_arrays([np.array(x)[:, None]], [np.array(y)])
    return tasks, Model(loss=loss, transfer=LossWeightedL1(mu=1.0), coupling=coupling)


def prove_scalar(problem: tuple[TaskSet, Model], w: float, **options: Any) -> ProvenPoint:
    return prove(*problem, np.array([[w]]), np.zeros((1, 1)), **options)


def test_a_support_vector_by_hand() -> None:
    # at w = 1 the first row has v = -(w/2 - 1/4) = -1/4 and J = 0 + 3/4 + 1/4
    point = support_vector(0.25)
    found = prove(*point._replace(W=point.W + 1e-9))
    assert found.W[0][0] == "1." + 39 * "0" and found.objective == "1." + 39 * "0"
    assert found.rows == {"inside": ((1,),), "kink": ((0,),), "outside": ((),)}
    assert found.min_row_multiplier == pytest.approx(0.25) and found.min_row_distance == pytest.approx(0.75)
    assert found.strict_local_min and found.unknowns == 2


def test_a_median_by_hand() -> None:
    # |w - y_i|/2 over 1, 2, 4 and w^2/32: at w = 2 the slopes are 1/2 - 1/2 + v + 2/16 = 0
    problem = scalar(Quantile(tau=0.5, reduction="sum"), [1.0] * 3, [1.0, 2.0, 4.0], 1 / 32)
    found = prove_scalar(problem, 2.0)
    assert found.W[0][0] == "2." + 39 * "0" and found.rows["kink"] == ((1,),)
    assert found.rows["above"] == ((0,),) and found.rows["below"] == ((2,),)
    assert found.min_row_multiplier == pytest.approx(0.375) and found.min_row_distance == pytest.approx(1.0)
    assert mpmath.mpf(found.objective) == mpmath.mpf("0.5") + 1 + mpmath.mpf(4) / 32


def test_a_huber_mean_by_hand() -> None:
    # rows 0, 1, 10 with threshold 1: 2 w + 2 (w - 1) - 2 + 2 w coupling = 0
    problem = scalar(Huber(threshold=1.0, reduction="sum"), [1.0] * 3, [0.0, 1.0, 10.0], 0.5)
    found = prove_scalar(problem, 0.8)
    assert found.W[0][0] == "0.8" + 39 * "0"
    assert found.active_rows == ((0, 1),) and found.rows["below"] == ((2,),) and found.rows["above"] == ((),)
    assert found.min_row_distance == pytest.approx(0.2)


def test_a_poisson_rate_by_hand() -> None:
    # e^w - 3 w twice, coupling 1: the root of e^w - 3 + w, by mpmath; y = 0 has no y log y
    problem = scalar(Poisson(), [1.0, 1.0], [0.0, 6.0], 0.5)
    w = mpmath.findroot(lambda w: mpmath.exp(w) - 3 + w, 0.8)
    found = prove_scalar(problem, float(w))
    assert abs(mpmath.mpf(found.W[0][0]) - w) < mpmath.mpf(10) ** -39
    J = mpmath.exp(w) - 3 * w + (6 * mpmath.log(6) - 6) / 2 + w * w / 2
    assert abs(mpmath.mpf(found.objective) - J) < mpmath.mpf(10) ** -38


def test_tasks_that_rebuild_each_other_are_a_minimum_where_rows_hold_them() -> None:
    """mu = 0, W = (2, 3) on kinks, B = (3/2, 2/3): J = 0 and I - B is singular, and so is W-W."""
    tasks = TaskSet.from_arrays([[[1.0]], [[1.0]]], [[2.0], [3.0]])
    model = Model(loss=Quantile(tau=0.5), transfer=LossWeightedL1(mu=0.0), coupling=1.0)
    found = prove(tasks, model, np.array([[2.0, 3.0]]), np.array([[0.0, 1.5], [2.0 / 3.0, 0.0]]))
    assert found.strict_local_min and found.rows["kink"] == ((0,), (0,))
    assert found.B[1][0] == "0." + 39 * "6" + "7" and abs(mpmath.mpf(found.objective)) < 1e-38


@pytest.mark.parametrize("label", ["huber:0.5", "poisson", "hinge", "quantile:0.3"])
def test_weights_of_zero_are_proved(label: str) -> None:
    """Features that are 0 leave coupling w^2: w = 0, which has no size to be near to."""
    loss = make_loss(label)
    found = prove_scalar(scalar(loss, [0.0, 0.0], [1.0, -1.0 if loss.classification else 2.0], 0.3), 0.0)
    assert found.strict_local_min and abs(mpmath.mpf(found.W[0][0])) < 1e-38
    with pytest.raises(NotCertifiable, match="refine it first"):
        prove_scalar(scalar(loss, [0.0, 0.0], [1.0, -1.0 if loss.classification else 2.0], 0.3), 1e-30)


def test_rows_on_kinks_are_named_in_what_is_printed_and_stored() -> None:
    point = support_vector(0.25)
    found = prove(*point)
    assert _digit_lines(found, point.tasks)[-1] == "rows of task 0 on their kinks: 0"
    stored = json.loads(json.dumps(found.named(point.tasks)))
    assert stored["rows"] == {"inside": [[1]], "kink": [[0]], "outside": [[]]}
    assert stored["min_multiplier"] is None and stored["min_row_distance"] == pytest.approx(0.75)


@pytest.mark.slow
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("seed", [0, 3, 9])
def test_fits_at_any_scale_reach_c4_where_an_oracle_finds_a_strict_minimum(label: str, seed: int) -> None:
    """Newton's method of the oracle in 50 digits, from the stored point; a refusal needs its word."""
    tasks, model = wide_instance(label, seed)
    fitted = fit(tasks, model)
    assert fitted.certificate.passes
    climbed = climb(fitted.certificate, tasks, model, fitted.W, fitted.B, level="C4")
    with mpmath.workdps(50):
        stored = [[[mpmath.mpf(x) for x in row] for row in block.tolist()] for block in (fitted.W, fitted.B)]
        root = first_order_root(tasks, model, *stored, 1e-6)
        assert root is not None
        at = judged(tasks, model, *root, mpmath.mpf(10) ** -30)
        assert (climbed.certificate.level == "C4") == at.strict(mpmath.mpf(10) ** -12)
        assert climbed.proven is not None
        decimals = zip(
            sum((*climbed.proven.W, *climbed.proven.B), ()), sum((*root[0], *root[1]), []), strict=True
        )
        assert max(abs(mpmath.mpf(a) - b) / (1 + abs(b)) for a, b in decimals) < mpmath.mpf(10) ** -37


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
    support = [(int(s), int(t)) for s, t in np.argwhere(B > 0)]
    with ctx.workdps(120):
        system, x, _ = kinks.near_point(Problem(tasks, model).at(W, B), support, arb(10) ** -60)
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
        places = [[seams(model.loss, y) for y in task.y.tolist()] for task in tasks]
        distance = kinks.row_distance(system, box, places)
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
