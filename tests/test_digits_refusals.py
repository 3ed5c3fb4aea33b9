"""What is not certifiable: degenerate points, wrong supports, problems without a proof."""

from __future__ import annotations

import sys
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from cases import Array, SourceGroupL2
from proved_digits import Affine, every_loss, largest, proven
from proven import (
    DEGENERATE,
    exact_gradient,
)

from amtl_cvx import LossWeightedL1, Squared, Task, TaskSet
from amtl_cvx.digits import proof, prove
from amtl_cvx.digits.losses import ROWS
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import LOSSES

pytestmark = pytest.mark.usefixtures("two_hundred_decimals")


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
