"""What the judges of both curricula share: the sums over the steps, and the certificate made of them."""

from __future__ import annotations

import math

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, Residuals, conclude, residuals, resolution
from amtl_cvx.errors import DataError
from amtl_cvx.problem import Point, Problem


class Sums:
    """Gaps and gains of the steps so far, and the worst residuals."""

    def __init__(self) -> None:
        self.gap_W = self.gap_B = self.gain_W = self._most = 0.0
        self.by = "none"
        self.worst: Array = np.zeros(4)

    def add_gain(self, gain: float, by: str) -> None:
        """Add what the step of a task can gain; the bound that is named is that of the largest."""
        self.gain_W += gain
        if not gain <= self._most:
            self._most, self.by = gain, by

    @property
    def residuals(self) -> Residuals:
        """The worst of every step."""
        return Residuals(*(float(value) for value in self.worst))


def in_few_rows(point: Point, order: tuple[int, ...]) -> Point:
    """The point from few rows a task; `DataError` for an order that is no list of different tasks."""
    T = point.tasks.T
    if len(set(order)) < len(order) or not set(order) <= set(range(T)):
        raise DataError(f"order must list different tasks out of 0..{T - 1}, got {order}")
    reduced = point.reduced
    return Problem(point.model.compress(reduced.tasks), point.model).at(reduced.W, point.B)


def concluded(
    kind: str,
    point: Point,
    small: Point,
    sums: Sums,
    order: tuple[int, ...],
    *,
    feasibility: float,
    tol: float,
    demands: str = "",
) -> Certificate:
    """The certificate; one of an order that lacks tasks does not pass. `demands` is what B misses."""
    T = point.tasks.T
    reasons = {} if len(order) == T else {"order": f"{len(order)} of {T} tasks were learned"}
    relative = sums.residuals.relative if not reasons else math.inf
    if demands and feasibility > 0.0:
        reasons["feasibility"] = demands
    return conclude(
        kind=kind,
        objective=point.objective,
        found=sums.residuals,
        relative=relative,
        joint_relative=residuals(small).relative,
        feasibility=feasibility,
        gaps=(sums.gap_W, sums.gap_B),
        gap_W_exact=False,
        gain_W=sums.gain_W,
        gain_W_by=sums.by,
        resolution=resolution(small.problem),
        B=point.B,
        tol=tol,
        reasons=reasons,
    )
