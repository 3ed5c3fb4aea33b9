r"""The W-step: what a move of W alone can gain, and how far W is from the best one (B fixed).

With g the gradient G_W, H the Hessian of J in W, K and L those of `problem.squares` (both I - B without a
penalty on W), sigma the smallest singular value of K

    gap_W        squared loss: (1/2) g'H^-1 g, exact; smooth losses: ||g L^-T||_F^2 / (4 coupling), a bound
                 (theory.md section 5 at u = phi'(z)); losses with a kink: `fenchel`
    judged       the least bound that is proved with room for rounding: gap_W's with it, or that of the Newton
                 decrement (`gains`); it is what the verdict compares, and says which of the two it is
    gain         (1/2) g'H^-1 g for every smooth loss: exact for the squared one, else only to second order,
                 so it decides nothing
    error_W      ||W - W*||_F, W* = argmin J(., B), is ||H^-1 g|| for the squared loss, else at most
                 sqrt(2 gap_W / m), m = 2 coupling sigma^2, the modulus of strong convexity; sharper near W*
    condition_W  of H, in the 1-norm, from its Cholesky factor (LAPACK pocon)

Near W*: let nu = sqrt(g'H^-1 g) and kappa <= 1 such that the Hessian is at least kappa H wherever
||V - W||_H <= 2 nu. For kappa > 1/2 the slope away from W is positive on the border of that ellipsoid, so W*
lies in it and ||W - W*||_H <= nu / kappa. In it z_i moves by at most 2 nu ||x_i|| / sqrt(smallest eigenvalue
of H), and each smooth loss here has a phi'' with one peak or plateau, so the ends of that interval bound it
from below.

The decrement is that of the factor of H (`factor`) where there is one (T d up to `DENSE_LIMIT`), beyond that
of blockdiag(a_t Hess L_t) + 2 coupling sigma^2 I. The bound solves with L, it never forms K K'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.bounds import ENOUGH, WeightProblem
from amtl_cvx.certificate.by_cone import TRUSTED, omega_dual
from amtl_cvx.certificate.fenchel import kinked_multipliers, within_domain
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.newton import Newton
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import Array

DENSE_LIMIT = 6000
"""Largest T*d for which the Hessian of the W-step is factored (288 MB)."""

_EPS = float(np.finfo(np.float64).eps)
_TOO_LARGE = f"T d is above {DENSE_LIMIT}, too many unknowns for a dense factorisation"


class WeightEvidence(NamedTuple):
    """What is known about W for this B; None where not available, with the reason in `reasons`."""

    gap: float | None
    exact: bool
    gain: float | None
    judged: float
    """What a move of W alone can gain at most, proved; infinite where nothing is."""
    by: str
    """Which bound that is: "decrement", "gap" or "none"."""
    error: float | None
    condition: float | None
    sigma_min: float
    reasons: dict[str, str]

    @property
    def figures(self) -> dict[str, float | None]:
        """What a certificate reports of it and does not judge."""
        return {"sigma_min": self.sigma_min, "error_W": self.error, "condition_W": self.condition}


@np.errstate(over="ignore", invalid="ignore")  # what is not finite proves nothing
def weight_evidence(
    point: Point, *, multipliers: Sequence[Array] | None = None, enough: float = 0.0
) -> WeightEvidence:
    """What is known about W for this B.

    Parameters
    ----------
    point : Point
        With a feasible B.
    multipliers : sequence of T arrays (n_t,), optional
        Dual points of the rows (`fenchel`), from any source; clipped into the domain of phi*. Without them
        those of least gap are found. They bound the gap, so they cannot make a bad W look good.
    enough : float
        A gap beside which no sharper bound is looked for.
    """
    model = point.model
    sigma = point.sigma_min
    if (point.loss_weight <= 0.0).any():
        names = ("gap_W", "gain_W", "error_W", "condition_W")
        why = "a negative B makes the weight of a loss negative, the W-step is not convex"
        reasons = dict.fromkeys(names, why)
        return WeightEvidence(None, False, None, math.inf, "none", None, None, sigma, reasons)
    problem = replace(weight_problem(point, multipliers), enough=enough)
    found = problem.judged()
    newton, gap = found.newton, found.gap.value
    exact = model.loss.quadratic and multipliers is None and newton is not None and math.isfinite(newton.gain)
    if exact and newton is not None:
        gap = newton.gain + (0.0 if problem.omega is None else problem.omega.mismatch)
    exact = exact and problem.omega is None
    reasons = _missing(model, newton, None if math.isfinite(gap) else float(point.values_of_K[-1]))
    judged, by = found.gain, found.by
    if not judged <= ENOUGH * problem.value and (part := problem.without_costless()) is not None:
        rest = part[0].judged()
        judged, by = min((judged, by), (rest.gain + part[1], rest.by))
    if problem.omega is not None and not math.isfinite(problem.omega.mismatch):
        reasons["gap_W"] = (
            f"nothing is proved of {model.omega!r}: CVXPY's program of it has variables that J does not"
            " bound, or is not the function"
        )
    if not math.isfinite(judged):
        parts = ("no bound is proved", found.reason, reasons.get("gap_W"))
        reasons["gain_W"] = "; ".join(part for part in parts if part)
    elif model.prox_omega is not None and model.prox_omega.cone(point.W.shape) is not None:
        reasons["gain_W"] = TRUSTED
    near = newton if problem.omega is None else None  # it tells no distance beside kinks
    error = _error(point, gap=gap, sigma=problem.sigma, newton=near)
    if not math.isfinite(error):
        reasons["error_W"] = reasons.get("gap_W", "the Hessian is numerically singular: W is not determined")
    gain = gap if problem.omega is not None else None if newton is None else newton.gain
    return WeightEvidence(
        gap=_finite(gap),
        exact=exact,
        gain=gain if model.loss.smooth else gap,
        judged=judged,
        by=by,
        error=_finite(error),
        condition=_finite(math.inf if newton is None else newton.condition),
        sigma_min=sigma,
        reasons=reasons,
    )


def weight_problem(point: Point, multipliers: Sequence[Array] | None) -> WeightProblem:
    """The W-step at a point, as it is judged."""
    tasks, model, W = point.tasks, point.model, point.W
    if multipliers is None and not model.loss.smooth:
        multipliers = kinked_multipliers(point)
    return WeightProblem(
        loss=model.loss,
        tasks=tasks.tasks,
        turned=tasks.basis is not None,
        scores=point.scores,
        W=W,
        squares=point.squares,
        a=point.loss_weight,
        coupling=point.square_weight,
        multipliers=None if multipliers is None else within_domain(model.loss, tasks, multipliers),
        dense=W.size <= DENSE_LIMIT,
        value=point.objective,
        sigma=point.least_of_K,
        omega=None if model.prox_omega is None else omega_dual(point),
    )


@np.errstate(over="ignore", invalid="ignore")
def refusal(point: Point, limit: float, *, multipliers: Sequence[Array] | None) -> str:
    """Why what W can gain is not shown to be within the limit; "" where it is the gain."""
    found = (problem := weight_problem(point, multipliers)).judged()
    bare = problem.judged(rounded=False).gain
    if bare <= limit < found.gain:
        return (
            f"rounding leaves up to {rounded_up(found.gain)} open; {rounded_up(bare)} is computed, but rows,"
            " features or targets of this size are known to no more digits"
        )
    return found.reason


def _missing(model: Model, newton: Newton | None, singular: float | None) -> dict[str, str]:
    """Why there is no condition of W, and no gap where `singular` is the singular value to blame."""
    reasons = {}
    if not model.loss.smooth:
        reasons["condition_W"] = f"the {model.loss.name} loss has kinks, hence no Hessian"
    elif newton is None:
        reasons["condition_W"] = _TOO_LARGE
    elif not math.isfinite(newton.condition):
        reasons["condition_W"] = "infinite: the Hessian is numerically singular"
    if singular is not None:
        bare = model.omega is None or model.prox_omega is not None
        what = "I - B is" if bare else "I - B and the penalty on W together are"
        if not model.coupled:
            what = "at coupling 0 the penalty on W is"
        reasons["gap_W"] = f"{what} singular (smallest singular value {singular:.1e}), the bound is infinite"
    return reasons


def weight_gap(point: Point, *, multipliers: Sequence[Array] | None = None) -> tuple[float | None, bool, str]:
    """How much a move of W alone can gain: the gap, whether it is exact, the reason where there is none."""
    found = weight_evidence(point, multipliers=multipliers)
    return found.gap, found.exact, found.reasons.get("gap_W", "")


def gradient_rounding(point: Point) -> float:
    """About how much of ||G_W||_F can be rounding: eps times the sizes of what it is summed from."""
    W, K = point.W, point.K
    total = 2.0 * point.square_weight * float(np.linalg.norm(W)) * float((K * K).sum())
    weights = point.loss_weight * point.problem.loss_scales
    for each, length in zip(point.scores, point.tasks.row_lengths, strict=True):
        moved = each.curvatures * length * np.linalg.norm(each.W, axis=1)[:, None]  # by the rounding of z
        sizes = np.abs(each.slopes) + each.weights * np.abs(each.y) + moved
        total += float(weights[each.at] @ (length * sizes).sum(axis=1))
    return _EPS * total


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _error(point: Point, *, gap: float, sigma: float, newton: Newton | None) -> float:
    """The bound on ||W - W*||_F: the better of strong convexity (where sigma > 0) and the Newton step."""
    rounding, bounds = gradient_rounding(point), []
    if newton is not None:
        bounds.append(_newton_error(point, newton, rounding))
    if sigma > 0.0:
        modulus = 2.0 * point.square_weight * sigma * sigma
        bounds.append(math.sqrt(2.0 * gap / modulus) + rounding / modulus)
    return min(bounds, default=math.inf)


def _newton_error(point: Point, newton: Newton, rounding: float) -> float:
    """The bound on ||W - W*||_F from the Newton step; infinite where W is not near enough to W*."""
    if not (math.isfinite(newton.gain) and newton.smallest > 0.0):
        return math.inf
    loss = point.model.loss
    if loss.quadratic:
        return newton.step + rounding / newton.smallest
    root = math.sqrt(newton.smallest)
    nu, kappa = math.sqrt(max(0.0, 2.0 * newton.gain)) + rounding / root, 1.0
    for each, length in zip(point.scores, point.tasks.row_lengths, strict=True):
        room, here = 2.0 * nu / root * length, each.curvatures
        least = np.minimum(*(each.loss.curvatures(each.z + side * room, each.y) for side in (-1.0, 1.0)))
        kappa = min(kappa, float(np.divide(least, here, out=np.ones_like(here), where=here > 0).min()))
    return nu / (kappa * root) if kappa > 0.5 else math.inf
