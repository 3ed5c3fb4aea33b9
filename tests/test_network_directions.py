"""C3 of networks against J itself: second differences along the kinks, 3,000 directions from each point."""

from __future__ import annotations

import numpy as np
import pytest
from network_directions import DEEP, LONG, STRICT, directions, drawn, least_rise, objective, on_kinks
from network_points import planted

from amtl_cvx.network.local import Local
from amtl_cvx.network.second_order import second_order


@pytest.mark.parametrize("how", [{}, DEEP, {"layers": (3, 2), "fit_bias": True, "held": 1}])
def test_hessian_along_the_kinks_is_that_of_J(rng, how) -> None:
    """Second differences of J along curves that stay on the kinks, at a stationary point."""
    point = planted(np.random.default_rng(3), **how).point
    local, h = Local(point), LONG(1e-5)
    assert len(local.active) > 4
    for _ in range(5):
        y = local.tangent.Q @ rng.standard_normal(local.S.shape[0])
        d = np.zeros(point.problem.size)
        d[local.free] = y / local.root
        scale = np.linalg.norm(d)
        ends = [on_kinks(point, point.vector + way * h * d / scale, local) for way in (-1, 0, 1)]
        J = objective(point, np.stack(ends))
        expected = float((J[0] - 2 * J[1] + J[2]) / h**2)
        assert y @ local.whole @ y / scale**2 == pytest.approx(expected, rel=1e-4, abs=1e-4)


POINTS = [(0, {}), (1, {}), (2, {"N": 40}), (0, {"dead": 1}), (1, {"weights": (0.05, 0.3, 0.05, 0.5)})]
POINTS += [
    (0, {"signed": False, "feedback": 0}),
    (0, {"feedback": 2}),
    (0, {"fit_bias": True, "feedback": 0}),
]
POINTS += [(3, DEEP), (7, DEEP)]


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "how"), POINTS)
def test_J_rises_in_all_directions(seed: int, how) -> None:
    point = drawn(STRICT, seed, **how)
    found = second_order(point)
    assert found.kinks >= 5
    moves = directions(point, np.random.default_rng(seed), 3000)
    for length in (1e-4, 1e-5):
        assert least_rise(point, moves, length) > 0.25 * found.reduced_hessian_min > 0.0
