r"""What J loses where both blocks move together along a valley, measured.

Where I - B is nearly singular J has directions of almost no curvature that cross both blocks. A residual that
is small beside its terms can then be large beside the curvature: neither block alone gains anything, and J
falls by far more than the tolerance along a Newton step of both,

    x(tau) = -(S + tau I)^-1 D^-1/2 g        S, D as in `second_order`, tau from rounding upwards

cut where an entry of B would turn negative, or shorter. What counts is J at its end, nothing that is
predicted, so that a wrong Hessian can hide a fall and never make one up.

A point that is first-order to the tolerance tol may so lie sqrt(tol) J above the floor: tol J is what a block
gains, this is what both do. It then passes, the fall is told with it, and a fit goes on while it can; where
J falls by more the point does not pass.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.curvature import LocalModel
from amtl_cvx.certificate.second_order import UNKNOWNS_LIMIT
from amtl_cvx.problem import Point
from amtl_cvx.problem.coupling import NEARLY_SINGULAR
from amtl_cvx.problem.squares import least_singular

_SHIFTS = 10.0 ** np.arange(-15.0, -2.0, 2.0)
_LENGTHS = (1.0, 0.25, 0.0625)
_PART = 1e-2  # of the limit: what no step is tried for


class Valley(NamedTuple):
    """A fall of J beyond the limit of the gains."""

    words: str
    deep: bool
    """Whether it is beyond what a point that passes may leave."""


def valley(point: Point, *, limit: float, tol: float) -> Valley | None:
    """By how much J falls in a valley; None where that is within `limit` or cannot be measured."""
    model, W, B = point.model, point.W, point.B
    small = W.size + np.count_nonzero(B) <= UNKNOWNS_LIMIT
    linear = model.transfer.row_prices(np.zeros(point.tasks.T)) is not None
    if not (small and linear and model.loss.smooth):
        return None
    if (sigma := least_singular(point.singular_values)) > NEARLY_SINGULAR:
        return None
    if _promised(point) <= (least := _PART * limit):
        return None
    fall = valley_fall(point, least=least)
    if not fall > limit:
        return None
    return Valley(
        f"J falls by {fall:.1e} when W and B take a Newton step together, more than the limit {limit:.1e},"
        f" though neither gains that alone: I - B is nearly singular ({sigma:.1e}), and a residual within the"
        " tolerance is not yet near a minimum; go on with a smaller tolerance (fit --start RUN --tol 1e-12)",
        deep=fall > math.sqrt(tol) * point.objective,
    )


def _promised(point: Point) -> float:
    """What no step of the essay promises more than, where S >= 0: g'D^-1 g over the least shift.

    Infinite where rows may stand beside a jump of their curvature, which D then has not.
    """
    model = point.model
    if not (model.loss.quadratic or model.loss.concordant):
        return math.inf
    double = 2.0 * model.coupling
    curved = np.einsum("tii->it", point.loss_hessians) + double * (point.K**2).sum(axis=1)
    own = double * (point.W**2).sum(axis=0)[:, None]
    parts = ((point.gradient_W, curved), (np.where(point.B > 0.0, point.gradient_B, 0.0), own))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = [np.where(slope != 0.0, slope * slope / size, 0.0).sum() for slope, size in parts]
    total = float(sum(squares)) / float(_SHIFTS[0])
    return total if math.isfinite(total) else math.inf


def valley_fall(point: Point, *, least: float = 0.0) -> float:
    """The largest fall of J over the steps of the module essay, 0 where there is none.

    g'(S + shift)^-1 g, twice what a whole step gains to second order, falls as the shift grows: where the
    first one promises no more than `least`, and J does not fall by more, larger shifts are not tried.
    """
    local = LocalModel(point)
    gradient = np.r_[point.gradient_W.T.ravel(), local.multipliers[local.free]] / local.root
    lowest = local.objective
    for shift in _SHIFTS:
        try:
            factor = sl.cho_factor(local.S + shift * np.eye(len(gradient)), check_finite=False)
        except sl.LinAlgError:
            continue
        step = -sl.cho_solve(factor, gradient, check_finite=False)
        _, move = local.split(step)
        shrinks = move < 0.0
        room = min(1.0, float((point.B[shrinks] / -move[shrinks]).min(initial=math.inf)))
        for length in _LENGTHS:
            lowest = min(lowest, local.moved(length * room * step).objective)
        if max(-float(gradient @ step), local.objective - lowest) <= least:
            break
    return local.objective - lowest
