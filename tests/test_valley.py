"""Valleys: residuals and gaps of the blocks within the tolerance, and J far above its floor (50 digits)."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from cases import Array
from proven import exact_objective

from amtl_cvx.certificate import certify
from amtl_cvx.certificate.valley import _lowest, down_the_valley, valley
from amtl_cvx.problem import Problem
from amtl_cvx.refine import plain_rounds, refine
from amtl_cvx.subproblems.numpy_steps import minimal_weights

PROBLEMS = Path(__file__).resolve().parents[1] / "reports" / "random" / "problems.py"
Point = tuple[Array, Array]


@pytest.fixture(scope="module")
def case() -> Any:
    """Two tasks of which one is separable, each rebuilt from the other; from the report's random problems."""
    return runpy.run_path(str(PROBLEMS))["problem"](225)


def objective(case: Any, W: Array, B: Array) -> Any:
    """J in 50 digits."""
    with mpmath.workdps(50):
        return exact_objective(case.tasks, case.model, W.tolist(), B.tolist())


def on_the_slope(case: Any, k: float) -> Point:
    """Where the alternation comes to rest, from near the floor at k = 1, along which it hardly moves."""
    B = np.array([[0.0, 0.32194 / k], [3.10614 * k, 0.0]])
    W = minimal_weights(Problem(case.tasks, case.model).at(np.zeros((case.tasks.d, 2)), B))
    *_, last = plain_rounds(Problem(case.tasks, case.model).at(W, B), most=3)
    return last


def test_a_point_on_the_slope_of_a_valley_does_not_pass(case: Any) -> None:
    high, low = (on_the_slope(case, k) for k in (0.3, 1.0))
    J, further = (objective(case, *point) for point in (high, low))
    found = certify(Problem(case.tasks, case.model).at(*high), tol=2e-7)
    assert found.relative <= found.tol and found.gain_W + found.gap_B <= found.limit
    assert J - further > 1e4 * found.limit  # J is no minimum there, to any accuracy that was asked for
    assert (
        not found.passes
        and found.level == "C1"
        and "when W takes a Newton step and B follows" in found.reasons["valley"]
    )


def test_a_shallow_valley_passes_with_a_word_and_a_fit_goes_on(case: Any) -> None:
    found = certify(Problem(case.tasks, case.model).at(*on_the_slope(case, 0.995)))
    high, low = (objective(case, *on_the_slope(case, k)) for k in (0.995, 1.0))
    assert found.limit < high - low < 1e-4 * high
    assert found.passes and not found.settled
    assert (
        "when W takes a Newton step and B follows" in found.reasons["valley"]
        and "J falls on in a valley" in found.verdict()
    )


def test_refinement_goes_down_a_valley(case: Any) -> None:
    point = refine(Problem(case.tasks, case.model).at(*on_the_slope(case, 0.99)), tol=1e-8)
    assert certify(Problem(case.tasks, case.model).at(*point)).passes
    floor = min(objective(case, *on_the_slope(case, k)) for k in (0.9999, 1.0, 1.0001))
    assert objective(case, *point) <= floor * (1 + 1e-8)


def test_the_floor_of_a_valley_passes(case: Any) -> None:
    found = certify(Problem(case.tasks, case.model).at(*on_the_slope(case, 1.0)))
    assert found.passes and found.sigma_min < 1e-6 and "valley" not in found.reasons


def test_a_hinge_fit_on_its_way_to_infinity_is_told_from_a_minimum() -> None:
    """Task 5 has two rows and no loss: its predictor grows for ever; J falls by the oracle's 3e-6."""
    case = runpy.run_path(str(PROBLEMS))["problem"](79)
    W = np.array(
        [
            [0.75217, 34.554, 1.0636, 0.081652, -2.3511, 13841.0],
            [-1.7219, 11.624, -1.7772, 0.91277, 0.35507, -3452.7],
        ]
    )
    B = np.zeros((6, 6))
    B[1, 3], B[1, 5], B[2, 0], B[2, 5], B[3, 1], B[5, 1], B[5, 2] = (
        0.010106,
        283.67,
        0.89988,
        3798.1,
        9.9715,
        2.252e-3,
        1.0249e-4,
    )
    *_, point = plain_rounds(Problem(case.tasks, case.model).at(W, B), most=20)
    lower = down_the_valley(point)
    fall = objective(case, *point) - objective(case, *lower)
    assert 1e-6 * point.objective < fall < 4e-6 * point.objective
    told = valley(point, limit=1e-8 * point.objective)
    assert told is not None and not told.deep
    assert valley(point, limit=float(fall) * 1.01) is None
    assert valley(point, limit=float(fall) * 0.9) is not None


def test_a_fall_that_goes_on_as_a_predictor_grows_tenfold_does_not_pass() -> None:
    """Two tasks of a cycle cost nothing: J is lower, in 50 digits, where the first is ten times as long."""
    case = runpy.run_path(str(PROBLEMS))["problem"](206)
    grown = [-14182.0, -52236.0, -9915.7, 35305.0, 5632.3, -56140.0, -137120.0]
    others = [
        [0.9042, -1.5631, -0.82806, 1.0011, 2.7970, -2.3466, -5.2007],
        [-1.8088, -2.7972, -0.11131, 1.9343, -1.7744, -2.4797, -6.4759],
    ]
    B = np.array([[0.0, 3.7053e-5, 4.7920e-5], [10233.0, 0.0, 0.0], [12956.0, 0.0, 0.0]])
    *_, point = plain_rounds(Problem(case.tasks, case.model).at(np.array([grown, *others]).T, B), most=1)
    lower = down_the_valley(point)
    fall = objective(case, *point) - objective(case, *lower)
    assert fall > 1e-6 * point.objective and lower.longest > 9.9 * point.longest
    told = valley(point, limit=1e-8 * point.objective)
    assert told is not None and told.deep and "J may have no minimum" in told.words
    assert "longest predictor grows 10-fold" in told.words


def test_a_predictor_of_exactly_ten_times_its_length_has_grown(
    case: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lengths 5/2048 and 50/2048 are exact, and J falls from W = 0 on that way."""
    problem = Problem(case.tasks, case.model)
    short, long = np.zeros((case.tasks.d, 2)), np.zeros((case.tasks.d, 2))
    short[:2, 0], long[:2, 0] = np.array([3.0, 4.0]) / 2048, np.array([30.0, 40.0]) / 2048
    point, grown = problem.at(short, np.zeros((2, 2))), problem.at(long, np.zeros((2, 2)))
    assert grown.longest == 10.0 * point.longest and grown.objective < point.objective
    module = sys.modules[down_the_valley.__module__]
    monkeypatch.setattr(module, "_grown", lambda _: [grown])
    monkeypatch.setattr(module, "_steps", lambda *_, **__: ())
    assert _lowest(point, least=0.0) == (grown, grown)


@pytest.mark.parametrize("k, least, most", [(0.86, 5e-4, 1e-3), (0.8, 1e-3, 2e-3)])
def test_a_fall_of_a_thousandth_of_j_is_deep(case: Any, k: float, least: float, most: float) -> None:
    point = Problem(case.tasks, case.model).at(*on_the_slope(case, k))
    high, low = (objective(case, *each) for each in (point, down_the_valley(point)))
    assert least * high < high - low < most * high
    told = valley(point, limit=1e-8 * point.objective)
    assert told is not None and told.deep == (least >= 1e-3)
