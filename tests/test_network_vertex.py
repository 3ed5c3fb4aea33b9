"""The kinks of the reconstruction: what they take from J, against its one-sided differences."""

from __future__ import annotations

import numpy as np
import pytest
from network_points import planted

from amtl_cvx.network.vertex import vertex


def slope(point, move, h):
    """By how much gamma ||E||^2 rises along a move, over h."""
    new = point.problem.from_vector(point.vector + h * move)
    return (new.terms.reconstruction - point.terms.reconstruction) / h


@pytest.mark.parametrize("fit_bias", [False, True])
def test_takes_what_one_sided_slopes_lack(rng, fit_bias):
    point = planted(rng, fit_bias=fit_bias, feedback=2).point
    found, layout, h = vertex(point), point.problem.layout, 1e-6
    back = point.gradient()
    own = {"S": point.features.T @ (back.R @ point.A.T), "A": back.A}
    checked = 0
    for name, at in (("S", layout.S), ("A", layout.A)):
        taken = getattr(found, name)
        for side, sign in ((0, 1.0), (1, -1.0)):
            for place in range(taken[side].size):
                move = np.zeros(point.problem.size)
                move[at.start + place] = sign
                expected = sign * own[name].flat[place] - taken[side].flat[place]
                assert slope(point, move, h) == pytest.approx(expected, abs=2e-4)
                checked += abs(taken[side].flat[place]) > 1e-2
    assert found.unprotected == 0 and found.protected > 0 and checked > 5
