"""The certificate of a network: against linear programs over all cells, and what it says."""

from __future__ import annotations

import numpy as np
import pytest
from network_points import planted
from network_slopes import least, slope

from amtl_cvx.network import certify
from amtl_cvx.network.kinks import kinks

BARE, WHOLE = (0.05, 0.3, 0.0, 0.02), (0.05, 0.3, 0.05, 0.02)  # mu, alpha, gamma, decay
TINY = {
    "one layer": {"layers": (2,), "N": 14, "d": 2, "T": 2, "held": 1, "weights": BARE, "feedback": 0},
    "biases": {
        "layers": (2,),
        "N": 16,
        "d": 2,
        "T": 2,
        "held": 1,
        "weights": BARE,
        "feedback": 0,
        "fit_bias": True,
    },
    "feedback": {"layers": (2,), "N": 8, "d": 2, "T": 3, "held": 1, "weights": WHOLE, "feedback": 2},
    "one unit": {"layers": (1,), "N": 9, "d": 2, "T": 2, "held": 1, "weights": WHOLE, "feedback": 0},
    "positive": {"layers": (1,), "N": 9, "d": 2, "T": 2, "held": 1, "weights": WHOLE, "signed": False},
    "two layers": {"layers": (3, 2), "N": 40, "d": 3, "T": 2, "held": 1, "weights": BARE, "feedback": 0},
}


@pytest.mark.parametrize("wrong", ["", "mask", "weight", "S", "A"])
@pytest.mark.parametrize("name", [name for name in TINY if name != "two layers"])
def test_the_verdict_is_that_of_linear_programs_over_all_cells(rng, name, wrong):
    if wrong == "A" and TINY[name]["weights"] is BARE:
        wrong = ""  # nothing pulls at A where nothing is rebuilt
    point = planted(rng, **TINY[name], wrong=wrong).point
    found, falls = certify(point), least(point)
    assert found.passes == (not wrong) == (falls > -1e-12)
    assert found.passes or (falls < -1e-4 and found.relative > 1e-4)
    assert found.concave_kinks == (wrong == "weight")


@pytest.mark.parametrize("wrong", ["", "mask", "weight"])
def test_so_it_is_with_nested_kinks(rng, wrong):
    point = planted(rng, **TINY["two layers"], wrong=wrong).point
    assert kinks(point).counts == (3, 2) and kinks(point).likq
    found, falls = certify(point), least(point)
    assert found.passes == (not wrong) == (falls > -1e-12)
    assert found.passes or falls < -1e-4


def test_the_formula_of_the_slope_is_that_of_j(rng):
    point = planted(rng, layers=(4, 3), N=90, T=3, held=2).point
    for _ in range(100):
        d = rng.standard_normal(point.problem.size)
        d /= np.linalg.norm(d)
        rise = point.problem.from_vector(point.vector + 1e-7 * d).objective - point.objective
        assert rise / 1e-7 == pytest.approx(slope(point, d), rel=1e-4, abs=1e-5)
        assert slope(point, d) > 0.0
