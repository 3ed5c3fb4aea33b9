r"""What J loses where both blocks move together along a valley, measured.

Where I - B is nearly singular J has directions of almost no curvature that cross both blocks. A residual that
is small beside its terms can then be large beside the curvature: neither block alone gains anything, and J
falls by far more than the tolerance where both move. In B the valley is bent; W goes straight, and the best B
for it stays within (columns of nonnegative least squares). So W moves as in a Newton step of both,

    x(tau) = -(S + tau I)^-1 D^-1/2 g        S, D as in `second_order`, tau from rounding upwards

on the rows that stand on kinks (`held`), as far or farther or less far, and B follows. Where the predictor
of a task can grow tenfold at hardly a cost, the same is tried from there: on its way to infinity J may be
flat to second order, and its neighbours fall. What counts is J at the end, nothing that is predicted, so that
a wrong Hessian can hide a fall and never make one up.

A point that is first-order to the tolerance may lie far more than tol J above the floor of a valley: tol J is
what a block gains, this is what both do. It then passes, the fall is told with it, and a fit goes on while it
can; where J falls by more than a thousandth the point does not pass, nor where it falls as long as predictors
grow tenfold: there J need not have a minimum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.second_order import WHOLE_LIMIT, held_at
from amtl_cvx.problem import Point
from amtl_cvx.problem.active_set import best_edges
from amtl_cvx.problem.coupling import NEARLY_SINGULAR
from amtl_cvx.problem.squares import least_singular

_SHIFTS = 10.0 ** np.arange(-15.0, -2.0, 2.0)
_LENGTHS = (64.0, 16.0, 4.0, 1.0, 0.25, 0.0625)
_PART = 1e-2  # of the limit: what no step is tried for
_CURE = "use a penalty on W (--omega ridge:1), or give such tasks more rows or fewer features, or drop them"
_GROWN = 10.0
_COST = 1e-3  # of J: what growing may cost before W and B move
_DEEP = 1e-3  # of J: a fall with which no point passes


class Valley(NamedTuple):
    """A fall of J beyond the limit of the gains."""

    words: str
    deep: bool
    """Whether it is beyond what a point that passes may leave."""


def valley(point: Point, *, limit: float) -> Valley | None:
    """By how much J falls in a valley; None where that is within `limit` or cannot be measured."""
    model, W, B = point.model, point.W, point.B
    small = W.size + np.count_nonzero(B) <= WHOLE_LIMIT
    linear = model.transfer.row_prices(np.zeros(point.tasks.T)) is not None
    if not (small and linear):
        return None
    if (sigma := least_singular(point.singular_values)) > NEARLY_SINGULAR:
        return None
    lowest, far = _lowest(point, least=_PART * limit)
    fall, there = point.objective - lowest.objective, point.objective - far.objective
    if not fall > limit:
        return None
    endless = there > max(limit, fall - limit)
    if endless:
        growth = far.longest / point.longest
        return Valley(
            f"J may have no minimum here: it falls by {there:.1e}, more than the limit {limit:.1e}, where the"
            f" longest predictor grows {growth:.2g}-fold and edges follow, and I - B is nearly singular"
            f" ({sigma:.1e}); {_CURE}",
            deep=True,
        )
    return Valley(
        f"J falls by {fall:.1e} when W takes a Newton step and B follows, more than the limit {limit:.1e},"
        f" though neither gains that alone: I - B is nearly singular ({sigma:.1e}), and a residual within the"
        " tolerance is not yet near a minimum; go on with a smaller tolerance (fit --start RUN --tol 1e-12)",
        deep=fall > _DEEP * point.objective,
    )


def _lowest(point: Point, *, least: float) -> tuple[Point, Point]:
    """The lowest point that was found, and the lowest whose longest predictor has grown tenfold."""
    lowest = far = point
    starts = [] if _promised(point) <= least else [point]
    for start in (*starts, *_grown(point)):
        for found in (start, *_steps(start, least=least)):
            lowest = min(lowest, found, key=lambda each: each.objective)
            if found.longest >= _GROWN * point.longest:
                far = min(far, found, key=lambda each: each.objective)
    return lowest, far


def down_the_valley(point: Point) -> Point:
    """The lowest point of the steps of the module essay: where J falls by what `valley` tells."""
    return _lowest(point, least=0.0)[0]


def _grown(point: Point) -> Iterator[Point]:
    """One task's predictor ten times as long, where its loss allows it, with the best edges for it."""
    losses = point.model.losses(point.tasks, _GROWN * point.W)
    room = _COST * point.objective
    cheap = point.problem.task_weight * (losses - point.losses) <= room
    for t in np.flatnonzero(cheap & point.B.any(axis=1)):
        W = point.W.copy()
        W[:, t] *= _GROWN
        found = _followed(point, W)
        if found.objective <= point.objective + room:
            yield found


def _followed(point: Point, W: Array) -> Point:
    """At W with the best edges."""
    moved = point.at(W=W)
    prices = moved.edge_prices
    assert prices is not None
    return moved.at(B=best_edges(W, prices, point.model.coupling, point.B)[0])


def _promised(point: Point) -> float:
    """What no step of the essay promises more than, where S >= 0: g'D^-1 g over the least shift.

    Infinite where rows may stand beside a jump of their curvature, or W on a kink, which D then has not.
    """
    model = point.model
    if model.prox_omega is not None or not (model.loss.quadratic or model.loss.concordant):
        return math.inf
    double = 2.0 * model.coupling
    curved = np.einsum("tii->it", point.loss_hessians) + double * (point.K**2).sum(axis=1)
    own = double * (point.W**2).sum(axis=0)[:, None]
    parts = ((point.gradient_W, curved), (np.where(point.B > 0.0, point.gradient_B, 0.0), own))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = [np.where(slope != 0.0, slope * slope / size, 0.0).sum() for slope, size in parts]
    total = float(sum(squares)) / float(_SHIFTS[0])
    return total if math.isfinite(total) else math.inf


def _steps(point: Point, *, least: float) -> Iterator[Point]:
    """Where W goes by the steps of the module essay, B behind it.

    g'(S + shift)^-1 g, twice what a whole step gains to second order, falls as the shift grows: where one
    promises no more than `least`, and J does not fall by more, larger shifts are not tried.
    """
    local, N, S, gradient = _expanded(point)
    for shift in _SHIFTS:
        try:
            factor = sl.cho_factor(S + shift * np.eye(len(gradient)), check_finite=False)
        except sl.LinAlgError:
            continue
        step = -sl.cho_solve(factor, gradient, check_finite=False)
        move, _ = local.split(step if N is None else N @ step)
        fell = 0.0
        for length in _LENGTHS:
            W = point.W + length * move
            if np.isfinite(W).all():
                found = _followed(point, W)
                fell = max(fell, point.objective - found.objective)
                yield found
        if max(-float(gradient @ step), fell) <= least:
            break


def _expanded(point: Point) -> tuple[AtomModel, Array | None, Array, Array]:
    """J around the point in lengths: N where W is held to it, S and the gradient there."""
    held = held_at(point)
    if held is None:
        local = AtomModel(point)
        gradient = np.r_[point.gradient_W.T.ravel(), local.multipliers[local.free]] / local.root
        return local, None, local.S, gradient
    return held.local, held.N, held.S, held.N.T @ held.gradient
