r"""The certificate: how good a point (W, B) is, judged from the data alone.

Nothing here comes from a solver: no status, dual, residual or gap. NumPy recomputes, on the original rows,

first-order residuals (theory.md section 4), with P = (I - B)(I - B)', h_s = 2 coupling ||w_s||^2, c*l the
weighted losses and p the prices of edges (p_s = mu c_s l_s for AMTL)

    stationarity_W = max |G_W|                    G_W[:, t] = a_t grad L_t(w_t) + 2 coupling (W P)_t
    stationarity_B = max |min(h_s B, G_B)|        G_B[s, t] = p_s - 2 coupling w_s'(w_t - W b_t)
    relative_W, relative_B                        the same over the size of its terms, entry by entry

duality gaps (theory.md sections 5 and 6)

    gap_W  squared loss: (1/2) g'H^-1 g, the exact sub-optimality of W; otherwise the Fenchel bound
           ||G_W M^-T||_F^2 / (4 coupling), M = I - B, with a sum over rows for a loss with kinks
    gain_W the least bound of what W alone can gain that is proved, with room for rounding: gap_W, or that of
           the Newton decrement where the curvature is known along the way (`gains`); judged
    gap_B  per column at the better of two dual points, a sum of non-negative terms (no cancellation)

so J(W, B) - gain_W <= min over W of J(., B) and J(W, B) - gap_B <= min over B of J(W, .), and what follows:
`error_W`, `error_B`, how far each block can be from its best given the other; `zeros_proven`, how many absent
edges are absent from every best B for this W; `condition_W`, `condition_B`, `sigma_min` (see `w_step` and
`b_step`). J is biconvex: a point that passes is a first-order point and a partial optimum, never "the
optimum". Where the rows of all tasks span few dimensions, the gaps are computed in coordinates of these and
of W (`rowspace`). Where J falls along growing predictors (`escape`, `outward`) a point does not pass, however
small its residuals and gaps, nor where a move of both blocks along a valley lowers J by a thousandth
(`valley`).

Levels: C0 evaluated; C1 eps-partial-optimum (both gaps small); C2 first-order-verified (`passes`). `ladder`
goes on from there: C3 by the curvature of J (`second_order`), C4 by interval arithmetic, C5 by an exact lower
bound. `rungs` says of every level what is known, in words.

Gains are held against tol J. J >= 0, so where J is no more than what rounding leaves of J(0, 0) nothing can
gain more: the limit is not below that (`verdict.resolution`).

Two choices. For w_s = 0 the residual of row s uses max h instead of h_s = 0: with h_s = 0 the minimum is 0
for every B[s, t] > 0 although lowering it saves p_s B[s, t]. And what W can gain is judged by
a bound, never by (1/2) g'H^-1 g, which is of second order only: a large row makes H large, and a move that
leaves its curvature behind gains any multiple of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from amtl_cvx.arrays import Array, numbers
from amtl_cvx.certificate.alone import alone_evidence, kinked_parts, with_bound
from amtl_cvx.certificate.b_step import (
    TransferEvidence,
    no_evidence,
    transfer_evidence,
    transfer_gap,
    why_gap,
    why_loose,
)
from amtl_cvx.certificate.escape import escape
from amtl_cvx.certificate.fenchel import kinked_multipliers
from amtl_cvx.certificate.gains import task_gain
from amtl_cvx.certificate.levels import LEVELS, Rung, check_level
from amtl_cvx.certificate.outward import outward
from amtl_cvx.certificate.residuals import Residuals, infeasibility, progress, prox_steps, residuals
from amtl_cvx.certificate.rules import rule_that_changed
from amtl_cvx.certificate.second_order import SecondOrder, second_order
from amtl_cvx.certificate.streamed import RowSums, confirm
from amtl_cvx.certificate.valley import valley
from amtl_cvx.certificate.verdict import Certificate, check_tolerance, conclude, resolution
from amtl_cvx.certificate.w_step import WeightEvidence, refusal, weight_evidence, weight_gap
from amtl_cvx.certificate.words import rungs
from amtl_cvx.certificate.worst import worst_entries
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.problem import Point

__all__ = [
    "LEVELS",
    "Certificate",
    "Residuals",
    "RowSums",
    "Rung",
    "SecondOrder",
    "TransferEvidence",
    "WeightEvidence",
    "certify",
    "check_level",
    "check_tolerance",
    "conclude",
    "confirm",
    "infeasibility",
    "progress",
    "prox_steps",
    "residuals",
    "resolution",
    "rule_that_changed",
    "rungs",
    "second_order",
    "task_gain",
    "transfer_evidence",
    "transfer_gap",
    "weight_evidence",
    "weight_gap",
]

_UNDERFLOW = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)
"""Where J and all that it is compared with are below this, differences of doubles are lost."""

_NOTHING = 1e-4  # of the limit: a gain that is not made out any better


@np.errstate(all="warn", under="ignore")  # NumPy's own, whatever the caller has set
def certify(
    point: Point,
    *,
    tol: float = 1e-8,
    kind: str = "joint",
    multipliers: Sequence[Array] | None = None,
) -> Certificate:
    """Judge a point from any source, up to C2: parameters and errors of `ladder.certify`, which goes on."""
    if kind not in ("joint", "single-task"):
        raise ModelError(f"kind must be 'joint' or 'single-task', got {kind!r}")
    check_tolerance(tol)
    point.problem.check()
    if kind == "joint":
        point.model.check_coupled("the joint objective J(W, B)")
    _check_size(point)
    small, feasibility = point.reduced, infeasibility(point.model, point.B)
    floor = resolution(small.problem)
    limit = max(tol * abs(point.objective), floor)
    if multipliers is not None:
        multipliers = [numbers(u, f"the multipliers of task {t}") for t, u in enumerate(multipliers)]
    elif not point.model.loss.smooth:
        joint = point.model.coupled or small.least_of_K > 0.0
        multipliers = kinked_multipliers(small) if joint else kinked_parts(small)[1]
    found = residuals(point, multipliers=multipliers)
    if kind == "single-task":
        about_B = no_evidence("B is fixed at 0 in this problem")
        feasibility = float(np.abs(point.B).max())
    elif feasibility > 0.0:
        about_B = no_evidence("B is not feasible")
        about_B.reasons["feasibility"] = point.model.transfer.demands(len(point.B))
    else:
        about_B = transfer_evidence(small, enough=limit if found.relative <= tol else math.inf)
    about_W = weight_evidence(small, multipliers=multipliers, enough=_NOTHING * limit)
    if not point.model.coupled:
        about_W = alone_evidence(point, about_W, multipliers=multipliers)
    reasons = {**about_W.reasons, **about_B.reasons}
    if limit < about_W.judged < math.inf and (why := refusal(small, limit, multipliers=multipliers)):
        reasons["gain_W"] = why
    if about_B.gap is not None and about_B.gap > limit:
        if about_B.duals is not None:
            reasons["gap_B"] = why_gap(small, about_B.duals)
        elif why := why_loose(point.W, about_W.sigma_min, about_B.gap):
            reasons["gap_B"] = why
    if kind == "joint" and feasibility <= 0.0 and (why := escape(small, floor=floor)):
        reasons["minimum"] = why
    relative = found.relative if kind == "joint" else found.relative_W
    if relative > tol:
        why_not = worst_entries(point, tol=tol, multipliers=multipliers)
        reasons |= {name: words for name, words in why_not.items() if kind == "joint" or name != "relative_B"}
    certificate = conclude(
        kind=kind,
        objective=point.objective,
        found=found,
        relative=relative,
        joint_relative=found.relative,
        feasibility=feasibility,
        gaps=(about_W.gap, about_B.gap),
        gap_W_exact=about_W.exact,
        gain_W=about_W.judged,
        gain_W_by=about_W.by,
        resolution=floor,
        others={**about_W.figures, **about_B.figures},
        B=point.B,
        tol=tol,
        reasons=reasons,
    )
    if kind == "single-task":
        return with_bound(certificate, point)
    if certificate.passes and kind == "joint" and (why := outward(small, limit=limit)):
        reasons = {**certificate.reasons, "growth": why}
        return replace(certificate, reasons=reasons, passes=False, level="C1")
    if certificate.passes and kind == "joint" and (fall := valley(small, limit=limit)):
        certificate = replace(certificate, reasons={**certificate.reasons, "valley": fall.words})
        return replace(certificate, passes=False, level="C1") if fall.deep else certificate
    return certificate


def _check_size(point: Point) -> None:
    """Raise `DataError` where the losses overflow or J underflows."""
    tasks, W = point.tasks, point.W
    if not np.isfinite(point.losses).all():
        worst = tasks.names[int(np.argmin(np.isfinite(point.losses)))]
        raise DataError(
            f"W must have finite losses, the {point.model.loss.name} loss of {worst!r} overflows: check W, or"
            " standardize the features"
        )
    if point.objective < _UNDERFLOW and 0.0 < float(np.abs(W).max()) < math.sqrt(_UNDERFLOW):
        raise DataError(
            f"the squares of W must be above {_UNDERFLOW:.0e}, its largest entry is {np.abs(W).max():.1g} and"
            " J underflows: give y in larger units"
        )
