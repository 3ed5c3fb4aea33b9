r"""The W-step: what a move of W alone can gain, and how far W is from the best one (B fixed).

With g the gradient G_W, H the Hessian of J in W, M = I - B, sigma its smallest singular value

    gap_W        squared loss: (1/2) g'H^-1 g, exact; smooth losses: ||g M^-T||_F^2 / (4 coupling), a bound
                 (CERTIFICATES section 1 at u = phi'(z)); losses with a kink: `fenchel`
    gain_W       (1/2) g'H^-1 g for every smooth loss: exact for the squared one, else to second order; gap_W
                 for losses with kinks
    error_W      ||W - W*||_F, W* = argmin J(., B), is ||H^-1 g|| for the squared loss, else at most
                 sqrt(2 gap_W / m), m = 2 coupling sigma^2, the modulus of strong convexity; sharper near W*
    condition_W  of H, in the 1-norm, from its Cholesky factor (LAPACK pocon)

Near W*: let nu = sqrt(g'H^-1 g) and kappa <= 1 such that the Hessian is at least kappa H wherever
||V - W||_H <= 2 nu. For kappa > 1/2 the slope away from W is positive on the border of that ellipsoid, so W*
lies in it and ||W - W*||_H <= nu / kappa. In it z_i moves by at most 2 nu ||x_i|| / sqrt(smallest eigenvalue
of H), and each smooth loss here has a phi'' with one peak or plateau, so the ends of that interval bound it
from below.

error_W has room for rounding: g is known up to about eps times the norms of what it is summed from, and what
that does is added. The bound solves with M, it never forms M M'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet

DENSE_LIMIT = 6000
"""Largest T*d for which the Hessian of the W-step is factored (288 MB)."""

_EPS = float(np.finfo(np.float64).eps)
_TOO_LARGE = f"T d is above {DENSE_LIMIT}, too many unknowns for a dense factorisation"


class WeightEvidence(NamedTuple):
    """What is known about W for this B; None where not available, with the reason in `reasons`."""

    gap: float | None
    exact: bool
    gain: float | None
    error: float | None
    condition: float | None
    sigma_min: float
    reasons: dict[str, str]


class _Newton(NamedTuple):
    """H^-1 g and what comes with it; `gain` is infinite where H is singular along g."""

    gain: float
    step: float
    condition: float
    smallest: float
    """About the smallest eigenvalue of H, from below."""


def weight_evidence(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, multipliers: Sequence[Array] | None = None
) -> WeightEvidence:
    """What is known about W for this B.

    Parameters
    ----------
    tasks, model, W, B
        As in `certify`; B feasible.
    multipliers : sequence of T arrays (n_t,), optional
        Dual points of the rows (`fenchel`), from any source; clipped into the domain of phi*. Without them
        those of least gap are found. They bound the gap, so they cannot make a bad W look good.
    """
    M = np.eye(tasks.T) - B
    singular = np.linalg.svd(M, compute_uv=False)
    sigma = float(singular[-1])
    if (model.loss_weight(tasks, B) <= 0.0).any():
        names = ("gap_W", "gain_W", "error_W", "condition_W")
        why = "a negative B makes the weight of a loss negative, the W-step is not convex"
        return WeightEvidence(None, False, None, None, None, sigma, dict.fromkeys(names, why))
    reasons: dict[str, str] = {}
    regular = sigma > tasks.T * _EPS * float(singular[0])
    newton = None
    if not model.loss.smooth:
        reasons["condition_W"] = f"the {model.loss.name} loss has kinks, hence no Hessian"
    elif W.size > DENSE_LIMIT:
        reasons["gain_W"] = reasons["condition_W"] = _TOO_LARGE
    else:
        newton = _newton(tasks, model, W, B)
        if not math.isfinite(newton.gain):
            reasons["gain_W"] = "infinite: the Hessian is singular along the gradient"
        if not math.isfinite(newton.condition):
            reasons["condition_W"] = "infinite: the Hessian is numerically singular"
    exact = model.loss.quadratic and multipliers is None and newton is not None and math.isfinite(newton.gain)
    gap: float | None = None
    if exact and newton is not None:
        gap = newton.gain
    elif regular:
        gap = _bound(tasks, model, W, B, multipliers)
    else:
        reasons["gap_W"] = f"I - B is singular (smallest singular value {sigma:.1e}), the bound is infinite"
    rounding = gradient_rounding(tasks, model, W, B)
    bounds = [] if newton is None else [_newton_error(tasks, model, W, newton, rounding)]
    if gap is not None and regular:
        modulus = 2.0 * model.coupling * sigma * sigma
        bounds.append(math.sqrt(2.0 * gap / modulus) + rounding / modulus)
    error = min(bounds, default=math.inf)
    if not math.isfinite(error):
        reasons["error_W"] = reasons.get("gap_W", "the Hessian is numerically singular: W is not determined")
    gain = None if newton is None else newton.gain
    if not model.loss.smooth:
        gain = math.inf if gap is None else gap
    return WeightEvidence(
        gap=gap,
        exact=exact,
        gain=gain,
        error=_finite(error),
        condition=_finite(math.inf if newton is None else newton.condition),
        sigma_min=sigma,
        reasons=reasons,
    )


def weight_gap(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, multipliers: Sequence[Array] | None = None
) -> tuple[float | None, bool, str]:
    """How much a move of W alone can gain: the gap, whether it is exact, the reason where there is none."""
    found = weight_evidence(tasks, model, W, B, multipliers=multipliers)
    return found.gap, found.exact, found.reasons.get("gap_W", "")


def weight_gain(tasks: TaskSet, model: Model, W: Array, B: Array) -> float | None:
    """(1/2) g'H^-1 g: what a move of W alone gains, exact for a quadratic loss, else to second order.

    Infinite where H is numerically singular along g; None above `DENSE_LIMIT` and for a loss with kinks.
    """
    if W.size > DENSE_LIMIT or not model.loss.smooth:
        return None
    return _newton(tasks, model, W, B).gain


def gradient_rounding(tasks: TaskSet, model: Model, W: Array, B: Array) -> float:
    """About how much of ||G_W||_F can be rounding: eps times the sizes of what it is summed from."""
    loss, M = model.loss, np.eye(len(B)) - B
    total = 2.0 * model.coupling * float(np.linalg.norm(W)) * float((M * M).sum())
    for task, a, w in zip(tasks, model.loss_weight(tasks, B), W.T, strict=True):
        z, length = task.X @ w, row_lengths(task.X)
        moved = loss.curvatures(z, task.y) * length * float(np.linalg.norm(w))  # by the rounding of z
        sizes = np.abs(loss.slopes(z, task.y)) + np.abs(task.y) + moved
        total += float(a * loss.scale(task) * (length @ sizes))
    return _EPS * total


def row_lengths(X: Array) -> Array:
    """||x_i|| of every row, (n,)."""
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", X, X))
    return lengths


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _newton_error(tasks: TaskSet, model: Model, W: Array, newton: _Newton, rounding: float) -> float:
    """The bound on ||W - W*||_F from the Newton step; infinite where W is not near enough to W*."""
    if not (math.isfinite(newton.gain) and newton.smallest > 0.0):
        return math.inf
    if model.loss.quadratic:
        return newton.step + rounding / newton.smallest
    root = math.sqrt(newton.smallest)
    nu, kappa = math.sqrt(max(0.0, 2.0 * newton.gain)) + rounding / root, 1.0
    for task, w in zip(tasks, W.T, strict=True):
        z, room = task.X @ w, 2.0 * nu / root * row_lengths(task.X)
        here = model.loss.curvatures(z, task.y)
        least = np.minimum(*(model.loss.curvatures(z + side * room, task.y) for side in (-1.0, 1.0)))
        kappa = min(kappa, float(np.divide(least, here, out=np.ones_like(z), where=here > 0).min()))
    return nu / (kappa * root) if kappa > 0.5 else math.inf


def _bound(tasks: TaskSet, model: Model, W: Array, B: Array, multipliers: Sequence[Array] | None) -> float:
    """F - D at the multipliers given, at phi' for a smooth loss, at those of least gap for one with kinks."""
    M, mismatch = np.eye(tasks.T) - B, 0.0
    if multipliers is None and model.loss.smooth:
        Q = model.gradient_W(tasks, W, B)
    else:
        chosen = kinked_multipliers(tasks, model, W, B) if multipliers is None else multipliers
        pull, mismatch = fenchel(tasks, model, W, B, chosen)
        Q = pull + model.coupling_gradient_W(W, B)
    return float((np.linalg.solve(M, Q.T) ** 2).sum()) / (4.0 * model.coupling) + mismatch


def _newton(tasks: TaskSet, model: Model, W: Array, B: Array) -> _Newton:
    """The Newton step of the W-step and the condition of its system."""
    H, g = model.hessian_W(tasks, W, B), model.gradient_W(tasks, W, B).T.ravel()
    if not (np.isfinite(g).all() and np.isfinite(H).all()):
        return _Newton(math.inf, math.inf, math.inf, 0.0)
    norm = float(sl.lapack.dlange("1", H.T))
    try:
        factor = sl.cho_factor(H.T, lower=True, overwrite_a=True, check_finite=False)  # in the memory of H
    except sl.LinAlgError:
        return _Newton(_singular_gain(model.hessian_W(tasks, W, B), g, W), math.inf, math.inf, 0.0)
    step = sl.cho_solve(factor, g, check_finite=False)
    inverse, _ = sl.lapack.dpocon(factor[0], norm, uplo="L")
    condition = 1.0 / inverse if inverse > 0.0 else math.inf
    return _Newton(0.5 * float(g @ step), float(np.linalg.norm(step)), condition, norm * inverse)


def _singular_gain(H: Array, g: Array, W: Array) -> float:
    """(1/2) g'H^+ g of a numerically singular H; infinite where g has a part in its kernel."""
    values, vectors = np.linalg.eigh(H)
    parts = vectors.T @ g
    kept = values > len(g) * _EPS * values[-1]
    noise = len(g) * _EPS * float(np.abs(H @ W.T.ravel()).max())
    if np.abs(parts[~kept]).max(initial=0.0) > noise:
        return math.inf
    return 0.5 * float((parts[kept] ** 2 / values[kept]).sum())
