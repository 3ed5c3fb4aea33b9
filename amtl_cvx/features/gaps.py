r"""What a move of one block alone can gain: bounds that are never below it, and equal to it at 0.

With H_t = a task's Hessian in its predictor, G the gradients of `point`, phi the loss of a row, h_t = Z s_t

L   by the curvature   nu^2 / (2 kappa),  nu^2 = g'H^-1 g,  H = sum_t e_t s_t s_t' (x) H_t
                                                               + 2 gamma M M' (x) X'X + 2 decay I
    by duality         (1/4) sum_ij (V'G_L U)_ij^2 / (gamma s_i m_j + decay),
                       X'X = V diag(s) V',  M M' = U diag(m) U'
S   theta_t = s phi'(z_t), Theta = s 2 gamma E,  s = min(1, mu / max |G_S|)
    sum_t e_t/n_t sum_i [phi(z) + phi*(s phi') - s phi' z] + (1 - s)^2 gamma ||E||^2 + mu ||S||_1 + s <S, G_S>
A   column j at theta = s 2 gamma E_j, s the best with |h_t'theta| <= p_t (h_t'theta <= p_t where A >= 0)
    ||2 gamma E_j - theta||^2 / (4 gamma) + sum_t (p_t |A_tj| - A_tj h_t'theta)

The first is exact for the squared loss (kappa = 1). For another one kappa = 1/2 where no score moves so far,
within 4 nu in the metric of H, that its phi'' falls below half of what it is; J then rises on the border of
that ellipsoid. The second drops the losses' own curvature. Both are computed, and the lesser one counts. The
others are sums of terms that are not negative, none of which cancels (`theory.md`, sections 5 and 6).

Tasks that give for free (p_t = 0) would force s = 0. They can take any A_tj: what their h_t span is projected
out of E_j and of the other h_t, and gamma ||P E_j||^2 is part of the gap. For signed A that is exact where
the h_t are certain to span as much as they seem to, and no less than exact where rounding leaves that open;
where A >= 0 it forgets a condition. Then the multipliers of non-negative least squares are tried as well: by
them each h_t'theta is above p_t by rounding only, which costs at most that times what A_tj can be at a
minimum, gamma ||z_j||^2 / p_t or 2 ||z_j|| / sigma, sigma the least singular value of all h_t.

Rounding. Room of u = (4 sqrt(rows) + d + k + T + 8) eps times what a figure is summed from (`Long`) is added,
so that no gap comes out below what it bounds. Dual points may be anything: theirs is exactly phi'(z) and E as
computed, so that only products with these are off, by u times their lengths, which is what enters S and A to
first order; what z, E and G_L themselves are off by enters squared. Sums over rows
are off by 4 sqrt(rows) eps of their terms but with a probability of 1e-3 for each were every rounding as bad
as it can be (Higham, Mary 2019), and far less in fact.

Sources: CERTIFICATES sections 1 to 3; Higham, Mary, A new approach to probabilistic rounding error analysis,
SIAM J. Sci. Comput. 41, 2019.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl
from scipy.optimize import nnls

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.certificate.factor import LOST, cholesky_factor
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.residuals import Long, long
from amtl_cvx.features.words import NO_FEEDBACK
from amtl_cvx.tasks import triangular_factor

DENSE_LIMIT = 3000
"""Largest d k for which the Hessian of the L-step is factored (72 MB)."""
_EPS = float(np.finfo(np.float64).eps)
_FALLS = math.log(2.0)  # how far a score of a concordant loss may move until phi'' is half of it
_KAPPA = 0.5
_TURNED = 1e-3  # of a sine: what is turned by more is not known
_FORGETS = "feedback is free, and what it can gain is bounded as if A might be negative, or by rounding"


class Gap(NamedTuple):
    """What a block can gain; None where not available, with the reason."""

    value: float | None
    reason: str = ""
    by: str = ""
    """Of L: "curvature" or "duality"."""


def unit(point: FeaturePoint) -> float:
    """u of the essay."""
    rows, (d, k) = max(len(task.y) for task in point.tasks), point.L.shape
    return (4.0 * math.sqrt(rows) + float(d + k + point.tasks.T + 8)) * _EPS


def gap(block: str, point: FeaturePoint) -> Gap:
    """That of a block by its name."""
    return {"L": gap_L, "S": gap_S, "A": gap_A}[block](point)


def gap_L(point: FeaturePoint) -> Gap:
    """What L can gain while S and A stand still."""
    room = unit(point) * long(point).gradients()["L"]
    known = {"curvature": _by_curvature(point, room), "duality": _by_duality(point, room)}
    by, value = min(known.items(), key=lambda found: found[1])
    if math.isfinite(value):
        return Gap(value, by=by)
    return Gap(
        None,
        "decay is 0, and losses and reconstruction leave moves of L without curvature: what they gain has no"
        " bound",
    )


# L, by the curvature


def hessian_L(point: FeaturePoint) -> Array:
    """The Hessian of J in L, feature by feature, (k d, k d)."""
    (d, k), S = point.L.shape, point.S
    H = np.einsum("jt,lt,tab->jalb", point.loss_weight * S, S, point.loss_curvature, optimize=True)
    both = 2.0 * point.problem.gamma * (point.M @ point.M.T)
    H += both[:, None, :, None] * point.problem.reconstruction.gram[None, :, None, :]
    whole: Array = H.reshape(k * d, k * d)
    whole.flat[:: k * d + 1] += 2.0 * point.model.decay
    return whole


def _by_curvature(point: FeaturePoint, room: Array) -> float:
    """nu^2 / (2 kappa); infinite where H is singular or a score may move too far."""
    if point.L.size > DENSE_LIMIT:
        return math.inf
    into = np.kron(np.eye(point.L.shape[1]), point.kept("seen", lambda: _seen(point)))
    H = into.T @ hessian_L(point) @ into
    g, off = into.T @ point.gradient_L.T.ravel(), np.abs(into.T) @ room.T.ravel()
    bent = np.diag(H) > 0.0
    if (off[~bent] > 0.0).any():  # what pulls there has no bound
        return math.inf
    if not bent.any():
        return 0.0
    scale = np.sqrt(np.diag(H)[bent])
    into, g, off = into[:, bent] / scale, g[bent] / scale, off[bent] / scale
    factor = cholesky_factor(H[np.ix_(bent, bent)] / np.outer(scale, scale))
    if factor is None or factor.lost >= LOST:
        return math.inf
    half = sl.solve_triangular(factor.lower, g, lower=True, check_finite=False)
    inverse = sl.solve_triangular(factor.lower, np.eye(len(g)), lower=True, check_finite=False)
    nu = float(np.linalg.norm(half) + np.linalg.norm(np.abs(inverse) @ off)) / math.sqrt(1.0 - factor.lost)
    steady = point.model.loss.quadratic or _steady(point, into @ inverse.T, nu)
    return nu * nu / (2.0 * (1.0 if point.model.loss.quadratic else _KAPPA)) if steady else math.inf


def assumed(point: FeaturePoint) -> bool:
    """Whether, without a decay, columns of X depend on others up to rounding and not for certain."""
    if point.model.decay > 0.0:
        return False
    return bool(point.problem.rank != point.kept("seen", lambda: _seen(point)).shape[1])


def _seen(point: FeaturePoint) -> Array:
    """Columns for the moves of a column of L that J sees beyond rounding, (d, r); beside a decay all."""
    if point.model.decay > 0.0:
        return np.eye(len(point.L))
    rows = triangular_factor(
        np.vstack([*(task.X for task in point.tasks), point.problem.reconstruction.factor])
    )
    length = np.linalg.norm(rows, axis=0)
    unit_of = np.where(length > 0.0, length, 1.0)
    _, values, V = np.linalg.svd(rows / unit_of, full_matrices=False)
    kept = values > unit(point) * values.max(initial=0.0)
    columns: Array = V[kept].T / unit_of[:, None]
    return columns


def _steady(point: FeaturePoint, into: Array, nu: float) -> bool:
    """Whether phi'' stays above half of itself within 4 nu; `into` (k d, r) has moves of length 1."""
    (d, k), loss = point.L.shape, point.model.loss
    moves = into.reshape(k, d, -1)
    for each in point.scores:
        root = np.einsum("jt,jdr->tdr", point.S[:, each.at], moves)
        longest = ((each.X @ (root @ root.swapaxes(1, 2))) * each.X).sum(axis=2)
        far = 4.0 * nu * np.sqrt(np.maximum(longest, 0.0))
        size = np.abs(each.X) @ (np.abs(point.L) @ np.abs(point.S[:, each.at])).T[:, :, None]
        room = _FALLS if loss.concordant else loss.steady(each.z, each.y) - unit(point) * size[:, :, 0]
        if ((far > room) & (each.curvatures > 0.0)).any():
            return False
    return True


# L, by duality


def _by_duality(point: FeaturePoint, room: Array) -> float:
    """The closed form; infinite where gamma s_i m_j + decay is 0 for moves that J may see."""
    gamma, decay, noise = point.problem.gamma, point.model.decay, unit(point)
    s, V = point.problem.reconstruction.spectrum
    U, values, _ = np.linalg.svd(point.M)
    longest = long(point).M
    m = np.maximum(values - noise * float(np.linalg.norm(longest)), 0.0) ** 2
    off = noise * (np.abs(V.T) @ np.abs(point.gradient_L) @ np.abs(U)) + np.abs(V.T) @ room @ np.abs(U)
    pull = np.abs(V.T @ point.gradient_L @ U) + off
    below = np.maximum(s - noise * float(s.max(initial=0.0)), 0.0)
    bent = gamma * np.outer(below, m) + decay
    if decay == 0.0:  # no row has a part in the other directions
        pull, bent = pull[below > 0.0], bent[below > 0.0]
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(pull > 0.0, pull**2 / bent, 0.0)
    return 0.25 * float(parts.sum()) if gamma > 0.0 or decay > 0.0 else math.inf


# S


def gap_S(point: FeaturePoint) -> Gap:
    """What S can gain while L and A stand still."""
    size, noise, mu = long(point), unit(point), point.model.mu
    lengths, G = np.linalg.norm(point.E, axis=0), point.gradient_S
    room = noise * (size.pulls(size.slopes)["S"] + size.couplings(lengths, size.M)["S"])
    s = 1.0 / max(1.0, float((np.abs(G) + room).max()) / mu)
    total = _fenchel(point, size, s)
    sparse = np.maximum(mu * np.abs(point.S) + s * point.S * G, 0.0) + s * np.abs(point.S) * room
    missed = (1.0 - s) * float(np.linalg.norm(point.E)) + noise * float(np.linalg.norm(size.E))
    value = total + float(sparse.sum()) + point.problem.gamma * missed**2
    return Gap(value * (1.0 + noise))


def _fenchel(point: FeaturePoint, size: Long, s: float) -> float:
    """sum_t e_t/n_t sum_i [phi(z) + phi*(s phi') - s phi' z] with what rounding can hide of it."""
    parts, noise = np.zeros(point.tasks.T), unit(point)
    for each in point.scores:
        z, y, dual = each.z, each.y, each.loss.clip(s * each.slopes, each.y)
        value, conjugate, product = each.loss.rows(z, y), each.loss.conjugate(dual, y), dual * z
        terms = np.maximum(value + conjugate - product, 0.0)
        terms += 8.0 * _EPS * (value + np.abs(conjugate) + np.abs(product))
        moved = noise * size.reach[each.at]
        bent = each.curvatures.max(axis=1, initial=0.0)
        parts[each.at] = terms.sum(axis=1) + (1.0 - s) * size.slopes[each.at] * moved + bent * moved**2
    return float(size.rate @ parts)


# A


def gap_A(point: FeaturePoint) -> Gap:
    """What A can gain while L and S stand still, column by column."""
    if not point.model.has_feedback:
        return Gap(None, NO_FEEDBACK)
    size, noise, gamma = long(point), unit(point), point.problem.gamma
    known = noise * (size.prices() + point.prices)
    low, high, given = point.prices - known, point.prices + known, np.abs(point.A)
    paid = float(high @ given.sum(axis=1))
    if gamma == 0.0:
        return Gap(paid * (1.0 + noise))
    H, free = point.Z @ point.S, low <= 0.0
    span, turned = _span(point, H, free, noise)
    off = noise * size.E + turned * np.linalg.norm(point.E, axis=0)
    pulled = noise * size.H + turned * np.linalg.norm(H, axis=0)
    inside, outside = span.T @ point.E, point.E - span @ (span.T @ point.E)
    H = H - span @ (span.T @ H)
    pull, length = H.T @ outside, np.linalg.norm(outside, axis=0)
    room = np.outer(pulled, length)
    slope = 2.0 * gamma * ((np.abs(pull) if point.model.signed else pull) + room)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # 0 / 0 is not asked
        tops = np.where((slope > 0.0) & ~free[:, None], low[:, None] / slope, np.inf).min(axis=0)
    along = np.einsum("rj,rj->j", outside, point.Z)
    best = np.divide(along, length**2, out=np.zeros_like(length), where=length > off)
    s = np.minimum(np.maximum(best, 0.0), np.maximum(tops, 0.0))
    missed = (np.abs(1.0 - s) * length + off) ** 2 + (np.linalg.norm(inside, axis=0) + off) ** 2
    priced = np.maximum(high[:, None] * given - 2.0 * gamma * s * point.A * pull, 0.0)
    priced = priced + 2.0 * gamma * s * given * room
    rest = np.where(free[:, None], high[:, None] * given, priced).sum(axis=0)
    value, why = float((gamma * missed + rest).sum()) * (1.0 + noise), ""
    if free.any() and not point.model.signed:
        value, why = min(value, _without_prices(point, free)), _FORGETS
    return Gap(value, why)


def _span(point: FeaturePoint, H: Array, free: Mask, noise: float) -> tuple[Array, float]:
    """An orthonormal basis (r, m) of what the h_t of free tasks span, or of more, and how far it may be off.

    However small a part of them is, a large A makes use of it. So none is left out as rounding: they are in
    what their features span, which is taken unless there are fewer tasks; and all directions are taken where
    it is not known for certain what spans. The second is the sine of the angle by which rounding turns it.
    """
    used = point.S[:, free].any(axis=1) & point.L.any(axis=0)
    tasks = free & point.S[used].any(axis=0)
    if not tasks.any():
        return np.zeros((len(H), 0)), 0.0
    size, fewer = long(point), tasks.sum() < used.sum()
    for columns, summed in [(H[:, tasks], size.H[tasks])] * bool(fewer) + [(point.Z[:, used], size.Z[used])]:
        length = np.linalg.norm(columns, axis=0)
        if columns.shape[1] < len(H) and length.all():
            U, values, _ = np.linalg.svd(columns / length, full_matrices=False)
            rounding = noise * float(np.linalg.norm(summed / length))
            if rounding < _TURNED * values[-1]:
                return U, rounding / (float(values[-1]) - rounding)
    return np.eye(len(H)), 0.0


def _without_prices(point: FeaturePoint, free: Mask) -> float:
    """The gap by non-negative least squares where all feedback is free; infinite where Z S is singular."""
    size, noise, gamma, H = long(point), unit(point), point.problem.gamma, point.Z @ point.S
    length = np.linalg.norm(H, axis=0)
    if not free.all() or not (length > 0.0).all() or H.shape[1] > H.shape[0]:
        return math.inf
    least = float(np.linalg.svd(H / length, compute_uv=False)[-1]) - noise * H.shape[1]
    if not least > 0.0:
        return math.inf
    total = 0.0
    for j, z in enumerate(point.Z.T):
        found = nnls(H / length, z)[0] / length
        missed = z - H @ found
        above = np.maximum(H.T @ missed, 0.0) + noise * size.H * (size.Z[j] + float(size.H @ found))
        most = 2.0 * float(np.linalg.norm(z)) / (least * length)
        away = float(np.linalg.norm(point.E[:, j] - missed)) + noise * size.E[j]
        rest = float((point.A[:, j] * np.maximum(-(H.T @ missed), 0.0)).sum())
        total += gamma * (away**2 + 2.0 * rest + 2.0 * float(above @ (most + point.A[:, j])))
    return total * (1.0 + noise)
