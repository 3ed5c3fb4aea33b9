"""From a point to the minimum over W, by the second-order models of the losses."""

from __future__ import annotations

import contextlib

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.w_step import DENSE_LIMIT
from amtl_cvx.certificate.weight_residuals import weight_part
from amtl_cvx.problem import Point
from amtl_cvx.subproblems.covariance.path import inner_minimum
from amtl_cvx.subproblems.covariance.ranked import Found, Ranked, ranked_minimum, split
from amtl_cvx.subproblems.covariance.rows import Rows
from amtl_cvx.subproblems.covariance.sides import OfFeatures, OfTasks, Side
from amtl_cvx.subproblems.lowering import lower_towards
from amtl_cvx.weights import TraceNormSquared

LARGEST = 64
"""Most features or tasks of a covariance: its curvature has LARGEST^4 entries."""
_DEAR = 77
"""Most features where prox steps would go on by Newton's method in all of W, which takes longer still."""
_STEPS = 60
_FAR, _NEAR = 1e-3, 1e-11  # accuracy of a model's minimum, of its level
_CLOSE = 1e-3  # relative fall of J from which models are minimised to the end
_NOISE = 1e-13  # relative change of J that is rounding
_ENOUGH = 1e-11  # of the terms: a residual with nothing to gain
_RANK = 1e-12  # of the largest singular value: what is rounding
_RIGHT = 1e-9  # of the level: what S may lack, and miss, at the minimum of one rank


def has_covariance(point: Point) -> bool:
    """Whether the minimum over W is found here: MTFL at coupling 0, a smooth loss, not too many of both."""
    model, (d, T) = point.model, point.W.shape
    if model.coupled or not model.loss.smooth or not isinstance(model.omega, TraceNormSquared):
        return False
    return bool(d <= LARGEST or ((T <= LARGEST or d <= _DEAR) and d * T <= DENSE_LIMIT))


def covariance_minimum(point: Point) -> Point:
    """The point with W = argmin of J(., 0), from W; the last digits are those of the smallest residual."""
    known: Found | None = None
    near, previous, quadratic = point.model.loss.quadratic, np.inf, point.model.loss.quadratic
    for _ in range(_STEPS):
        W, known = _model_minimum(_side(point), known, near=near)
        new = lower_towards(point, W)
        fall = point.objective - new.objective
        miss = weight_part(new).misses.relative()
        if new is point or (fall <= _NOISE * abs(point.objective) and miss > previous):
            break
        near, settled = fall <= _CLOSE * abs(point.objective), fall <= _NOISE * abs(point.objective)
        previous, point = miss if settled else np.inf, new
        if quadratic:
            break
    return point


def last_digits(point: Point) -> Point:
    """The minimum of one rank next to W, from the rows themselves, where its residual is smaller."""
    side, miss = _side(point, Rows(point)), weight_part(point).misses.relative()
    turned = point.W if isinstance(side, OfFeatures) else point.W.T
    U, values, _ = np.linalg.svd(turned)
    kept = int((values > _RANK * values.max(initial=0.0)).sum())
    if not (kept and miss > _ENOUGH):
        return point
    D = Ranked(U[:, :kept], values[:kept] / values[:kept].sum(), U[:, kept:])
    with contextlib.suppress(np.linalg.LinAlgError):
        found = ranked_minimum(side, D, 0.0)
        if found is not None and weight_part(near := point.at(W=found.W)).misses.relative() < miss:
            return near
    return point


def _side(point: Point, rows: Rows | None = None) -> Side:
    """The second-order model at W."""
    H, (d, T) = point.loss_hessians, point.W.shape
    pull = (H @ point.W.T[:, :, None])[:, :, 0].T - point.smooth_gradient_W
    assert point.model.omega is not None
    of = OfFeatures if d <= min(T, LARGEST) or T > LARGEST else OfTasks
    return of(blocks=H, pull=pull, rho=point.model.omega.rho, rows=rows)


def _model_minimum(side: Side, known: Found | None, *, near: bool) -> tuple[Array, Found | None]:
    """W of the model's minimum, and its covariance where that is known to the last digits."""
    if not side.pull.any():  # W = 0, whatever the covariance
        return np.zeros_like(side.pull), None
    with contextlib.suppress(np.linalg.LinAlgError):
        found = None if known is None or not near else ranked_minimum(side, known.D, 0.0)
        if found is not None and _is_minimum(found):
            return found.W, found
    inside = inner_minimum(side, accuracy=_NEAR if near else _FAR)
    values, vectors = np.linalg.eigh(inside.D)
    shares = np.einsum("ij,ij->j", vectors, inside.S @ vectors) / inside.level
    kept = np.flatnonzero(values > shares)
    if near and len(kept):
        found = ranked_minimum(side, split(inside.D, kept), inside.level)
        if found is not None and _is_minimum(found):
            return found.W, found
    return side.at(np.asarray(np.linalg.cholesky(inside.D), dtype=np.float64)).W, None


def _is_minimum(found: Found) -> bool:
    return found.miss <= _RIGHT and found.low >= -_RIGHT
