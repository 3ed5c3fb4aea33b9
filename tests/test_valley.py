"""Valleys: residuals and gaps of the blocks within the tolerance, and J far above its floor (50 digits)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Array

from amtl_cvx.certificate import certify
from amtl_cvx.refine import plain_rounds, refine
from amtl_cvx.subproblems.direct import minimal_weights

FOLDER = Path(__file__).resolve().parents[1] / "reports" / "random"
Point = tuple[Array, Array]


@pytest.fixture(scope="module")
def random_problems() -> Any:
    """`problems` and `oracle` of the report, by themselves."""
    sys.path.insert(0, str(FOLDER))
    try:
        return [importlib.import_module(name) for name in ("problems", "oracle")]
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def case(random_problems: Any) -> Any:
    """Two tasks of which one is separable, each rebuilt from the other."""
    return random_problems[0].problem(225)


def on_the_slope(case: Any, k: float) -> Point:
    """Where the alternation comes to rest, from near the floor at k = 1, along which it hardly moves."""
    B = np.array([[0.0, 0.32194 / k], [3.10614 * k, 0.0]])
    W = minimal_weights(case.tasks, case.model, np.zeros((case.tasks.d, 2)), B)
    *_, last = plain_rounds(case.tasks, case.model, (W, B), most=3)
    return last


def test_a_point_on_the_slope_of_a_valley_does_not_pass(case: Any, random_problems: Any) -> None:
    high, low = (on_the_slope(case, k) for k in (0.9, 1.0))
    J, further = (random_problems[1].objective(case, *point) for point in (high, low))
    found = certify(case.tasks, case.model, *high)
    assert found.relative <= found.tol and found.gain_W + found.gap_B <= found.limit
    assert J - further > 1e4 * found.limit  # J is no minimum there, to any accuracy that was asked for
    assert not found.passes and found.level == "C1" and "Newton step together" in found.reasons["valley"]


def test_refinement_goes_down_a_valley(case: Any, random_problems: Any) -> None:
    objective = random_problems[1].objective
    point = refine(case.tasks, case.model, on_the_slope(case, 0.99), tol=1e-8)
    assert certify(case.tasks, case.model, *point).passes
    floor = min(objective(case, *on_the_slope(case, k)) for k in (0.9999, 1.0, 1.0001))
    assert objective(case, *point) <= floor * (1 + 1e-8)


def test_the_floor_of_a_valley_passes(case: Any) -> None:
    found = certify(case.tasks, case.model, *on_the_slope(case, 1.0))
    assert found.passes and found.sigma_min < 1e-6 and "valley" not in found.reasons
