"""How far to go towards the minimum of a model of J, Omega included, so that J falls."""

from __future__ import annotations

from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_NOISE = 1e-14  # relative change of J that is rounding
_SHORTEST = 1e-10


def lower_towards(point: Point, W: Array) -> Point:
    """The farthest point towards W at which J falls by a part of what its model says."""
    omega, move = point.model.prox_omega, W - point.W
    assert omega is not None
    value = point.objective
    slope = float((point.smooth_gradient_W * move).sum()) + omega.value(W) - omega.value(point.W)
    length = point.model.loss.step_length(point.tasks, move)
    while length > _SHORTEST:
        new = point.at(W=W if length == 1.0 else point.W + length * move)
        if new.objective <= value + 1e-4 * length * slope + _NOISE * abs(value):
            return new
        length /= 2.0
    return point
