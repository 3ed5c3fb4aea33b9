"""Proven digits of every other loss: Huber and Poisson, and hinge and quantile with rows on their kinks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from digit_instances import INSTANCES, KINKED, fitted, numbers, proven
from oracle import first_order_root, judged, lowest_curvature
from proven import (
    exact_objective,
    support_vector,
    wide_instance,
)

from amtl_cvx import LossWeightedL1, Model, TaskSet, fit
from amtl_cvx.digits import ProvenPoint, prove
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.ladder import climb
from amtl_cvx.losses import Huber, Loss, Poisson, Quantile, make_loss

LABELS = ("huber:0.8", "poisson", "hinge", "quantile:0.7")


@pytest.fixture(autouse=True)
def decimals() -> Iterator[None]:
    with mpmath.workdps(130):
        yield


# what is proved


@pytest.mark.sampled(2)
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
    assert found.lines(point.tasks)[-1] == "rows of task 0 on their kinks: 0"
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
