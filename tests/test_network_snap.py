"""Points from elsewhere: moved onto the kinks that they are near to, by little, and only where that helps."""

from __future__ import annotations

import numpy as np
import pytest
from network_designs import design
from network_slopes import slope

from amtl_cvx.errors import ModelError
from amtl_cvx.network import certify
from amtl_cvx.network.certificate import strict_local
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.snap import KINK_WIDTH, snap

PLANTED = ("wide", "wide, biases", "binary", "two feed back", "deep", "deep, biases")


def shaken(point, size, *, seed=1):
    """The point with every entry off by about `size` of it, and zeros of S and A by that of the largest."""
    rng = np.random.default_rng(seed)
    x = point.vector * (1.0 + size * rng.standard_normal(point.problem.size))
    zeros = (point.vector == 0.0) & (np.arange(len(x)) >= point.problem.layout.S.start)
    x[zeros] = size * np.abs(point.vector[point.vector != 0.0]).min() * rng.standard_normal(int(zeros.sum()))
    return point.problem.from_vector(x)


@pytest.mark.parametrize("name", PLANTED)
def test_a_shaken_point_is_put_back_onto_its_kinks(name):
    point = design(name).point
    given = shaken(point, 1e-10)
    as_it_is, found = certify(given, tol=1e-6), certify(given, tol=1e-6, snapped=True)
    assert not as_it_is.passes and as_it_is.relative > 1e-4 and as_it_is.snap_distance is None
    assert found.passes and found.active_kinks == len(kinks(point))
    new = snap(given, tol=1e-6)
    moved = np.linalg.norm(new.point.vector - given.vector)
    assert found.snap_distance == new.distance == pytest.approx(moved, rel=1e-12) and moved > 0.0
    assert found.snap_relative == pytest.approx(moved / np.linalg.norm(given.vector), rel=1e-12)
    assert found.snap_relative < 1e-8
    assert found.snap_change == new.point.objective - given.objective
    assert found.objective == new.point.objective and found.kink_width == KINK_WIDTH
    left = len(kinks(point)) - len(kinks(given))  # a row with one number stays on its kink
    assert found.snap_units == left > 0 and "moved onto" in " ".join(found.sentences())
    assert [(at & ~other).sum() for at, other in zip(point.touching, new.point.touching, strict=True)] == [
        0
    ] * len(point.V)
    assert ((new.point.S == 0.0) == (point.S == 0.0)).all()
    assert ((new.point.A == 0.0) == (point.A == 0.0)).all()


@pytest.mark.parametrize("name", PLANTED)
def test_a_point_that_passes_is_left_bit_by_bit(name):
    point = design(name).point
    assert snap(point).point is point
    with_it, without = certify(point, snapped=True).to_dict(), certify(point).to_dict()
    assert (with_it.pop("snap_distance"), with_it.pop("snap_units")) == (0.0, 0)
    same = {key for key in without if not key.startswith(("snap_", "kink_width", "reasons"))}
    assert {key: with_it[key] for key in same} == {key: without[key] for key in same}


def test_one_layer_moves_as_little_as_it_can():
    """The nearest columns with these units at 0: orthogonal projections."""
    point = design("wide").point
    given = shaken(point, 1e-10)
    found, active = snap(given, tol=1e-6).point, kinks(point).active[0]
    for unit in range(given.V[0].shape[1]):
        rows, v = point.problem.inputs[active[:, unit]], given.V[0][:, unit]
        nearest = v - np.linalg.pinv(rows) @ (rows @ v)
        assert found.V[0][:, unit] == pytest.approx(nearest, rel=1e-14, abs=1e-16)


def test_several_layers_move_less_together_than_one_by_one():
    given = shaken(design("deep").point, 1e-10)
    from amtl_cvx.network.snap import _by_layer, _near, _together

    near = _near(given, KINK_WIDTH)
    moved = [
        np.linalg.norm(way(given, near, KINK_WIDTH).vector - given.vector) for way in (_together, _by_layer)
    ]
    assert 0.0 < moved[0] < moved[1]


def test_what_is_farther_than_the_width_is_not_moved():
    given = shaken(design("wide").point, 1e-5)
    assert snap(given, kink_width=1e-9).units == 0
    assert not certify(given, tol=1e-3, snapped=True, kink_width=1e-9).passes
    assert certify(given, tol=1e-3, snapped=True, kink_width=1e-4).passes


def test_a_unit_that_is_near_its_kink_and_not_on_it_stays_off():
    """Unit 0 is at some 3e-8 on a row: its multiplier would be w, so it is let go."""
    point = design("near").point
    assert certify(point).passes and snap(point).point is point
    row = int(np.argmin(np.where(point.U[0][:, 0] > 1e-9, point.U[0][:, 0], np.inf)))
    assert point.U[0][row, 0] < 1e-7
    found = snap(shaken(point, 1e-11), tol=1e-9)
    assert found.units == len(kinks(point)) and not found.point.touching[0][row, 0]
    assert certify(found.point, tol=1e-8).passes


def test_no_more_units_are_held_than_a_column_can():
    """Two rows that all but agree: v can be on the kink of one, and not on that of the other."""
    from amtl_cvx.network.snap import _projected

    v = np.array([1.0, -1.0])
    rows = np.array([[1.0, 1.0 + 2e-9], [1.0, 1.0 + 1e-7]])
    new = _projected(v, rows, KINK_WIDTH)
    assert abs(rows[0] @ new) < 1e-15 and abs(rows[1] @ new) > 1e-8 and np.linalg.norm(new - v) < 1e-8


def test_a_row_with_one_number_holds_its_entry_at_0_to_the_last_bit(rng):
    """Else u is 1e-33, which is all of its one term, and not 0 beside it."""
    from amtl_cvx.network.snap import _projected

    rows = np.array([[0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.7], [0.3, 0.3, 0.1, 0.4]])
    v = np.array([1.0, -1.0, 1e-9, 1e-9]) * (1.0 + 1e-9 * rng.standard_normal(4))
    assert _projected(v, rows, KINK_WIDTH)[3] == 0.0


def test_entries_go_to_0_where_their_price_holds_them_there():
    point = design("wide").point
    S = np.where(point.S == 0.0, 1e-9, point.S)
    assert (snap(point.at(S=S)).point.S == point.S).all() and certify(point.at(S=S), snapped=True).passes
    wrong = design("wide", wrong="S").point  # one zero of S is pulled by more than mu
    S = np.where(wrong.S == 0.0, 1e-9, wrong.S)
    found = snap(wrong.at(S=S))
    assert ((found.point.S == 0.0) != (wrong.S == 0.0)).sum() == 1
    assert not certify(wrong.at(S=S), snapped=True).passes


def test_dead_features_go_to_0():
    point = design("dead").point
    W = point.blocks["W1"].copy()
    W[:, -1] = 1e-9
    given = point.at(W1=W)
    assert not certify(given).passes
    found = certify(given, snapped=True)
    assert found.passes and found.snap_entries == len(W) and found.snap_units == 0


def test_rounding_below_0_in_a_positive_a_goes_to_0():
    point = design("positive").point
    given = point.at(A=np.where(point.A == 0.0, -1e-12, point.A))
    assert certify(given).level is None and certify(given, snapped=True).passes


def test_c3_is_about_the_snapped_point():
    given = shaken(design("wide, biases").point, 1e-12)
    found = strict_local(certify(given, snapped=True), given)
    assert found.level == "C3" and found.snap_distance > 0.0


@pytest.mark.parametrize("width", [0.0, 1.0, -1e-6, float("nan"), "wide"])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(ModelError, match="kink_width"):
        snap(design("wide").point, kink_width=width)


def damaged(name, way, seed):
    """A planted point with a damage of at least 100 kink widths."""
    rng = np.random.default_rng(seed)
    if way in ("mask", "weight", "S"):
        return design(name, wrong=way).point
    point = design(name).point
    x, layout = point.vector.copy(), point.problem.layout
    size = 10.0 ** rng.uniform(-3.9, -1.0)
    if way == "kink":
        active = kinks(point)
        m = int(rng.integers(len(active)))
        normal = active.normals[m]
        row, unit, number = next(
            (place.rows[m - at.start], place.units[m - at.start], number)
            for number, (place, at) in enumerate(zip(active.places, active.parts, strict=True))
            if at.start <= m < at.stop
        )
        length = np.linalg.norm(point.below[number][row]) * np.linalg.norm(point.V[number][:, unit])
        x += rng.choice([-1.0, 1.0]) * size * length * normal / (normal @ normal)
    elif way == "feedback":
        live = np.flatnonzero(point.A.any(axis=0))
        return point.at(A=np.where(np.arange(point.A.shape[1]) == rng.choice(live), 0.0, point.A))
    else:
        block = layout.parts[int(rng.integers(len(layout.parts)))]
        where = np.arange(block.start, block.stop)[x[block] != 0.0]
        e = int(rng.choice(where))
        x[e] += rng.choice([-1.0, 1.0]) * size * np.abs(x[block]).max()
    return point.problem.from_vector(x)


WAYS = (
    "kink",
    "kink",
    "kink",
    "weight moved",
    "weight moved",
    "weight moved",
    "feedback",
    "mask",
    "weight",
    "S",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ("wide", "wide, biases", "two feed back", "deep", "deep, biases"))
def test_no_damaged_point_is_accepted(name):
    """100 in all; of each a direction is shown in which J falls, of the given and of the snapped point."""
    for number, way in enumerate(WAYS * 2):
        point = damaged(name, way, number)
        for snapped in (False, True):
            found = certify(point, snapped=snapped)
            assert not found.passes and found.level == "C0"
            assert snapped == (found.snap_distance is not None)
        judged = snap(point).point
        for each in {id(point): point, id(judged): judged}.values():
            every = np.vstack([np.eye(point.problem.size), -np.eye(point.problem.size)])
            rng = np.random.default_rng(number)
            lines = np.vstack([every, rng.standard_normal((200, point.problem.size))])
            lines = np.vstack([lines, *falling(each)])
            assert min(slope(each, d / np.linalg.norm(d)) for d in lines) < 0.0


def falling(point):
    """Directions against the gradient with the masks found, and with each kink all on or all off."""
    from amtl_cvx.network.multipliers import multipliers

    found = multipliers(point)
    for masks in (found.masks, point.on, [mask > 0.5 for mask in found.masks]):
        gradient = point.gradient([np.asarray(mask, dtype=float) for mask in masks])
        V = -point.problem.layout.joined(*gradient.V, 0.0 * point.S, 0.0 * point.A_plus)
        yield V[None, :] + 1e-300
