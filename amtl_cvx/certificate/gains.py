r"""What a move of W alone can gain, proved by the Newton decrement where that is valid.

F is J in W for a fixed B; g and H are its gradient and Hessian at W. A row is kept if its curvature is known
to stay at least phi''(z_i) exp(-rate |m|) while its score moves by |m| <= unit_i: rate 1 for logistic and
Poisson, where |phi'''| <= phi''; rate 0 up to the kink for squared hinge and Huber; of the other rows only
convexity is used. With

    reach_i = sqrt(x_i'(H^-1)_tt x_i)      how far a move of length 1 in the metric H takes the score
    lever_i = weight_i phi''_i reach_i^2   the row's share of H: without the rows D, H_D >= (1 - eta) H, where
                                           eta is the sum of their levers
    lam     = sqrt(g'H^-1 g / (1 - eta))   the Newton decrement
    s       = lam R,   R = (largest reach_i / unit_i of the rows kept) / sqrt(1 - eta)

integrating the curvature twice along V, r = ||V|| in H_D, gives F(W + V) >= F(W) - lam r + omega(r) with
omega = (exp(-R r) + R r - 1) / R^2, or r^2 / 2 as long as R r <= 1. The least value over r is

    gain <= [s + (1 - s) log(1 - s)] / R^2 = lam^2/2 (1 + s/3 + s^2/6 + ...)     rate 1, s < 1
    gain <= lam^2 / 2                                                            rate 0, s <= 1

(rate 0: on the border r = lam the slope outwards is not negative, so beyond it F is not lower either). All D
in the order of reach_i / unit_i are tried and the least bound is taken; where s >= 1 for each there is none.

A loss with kinks has multipliers u of the rows in place of phi' (`fenchel`), with a mismatch. A row whose u
keeps a distance m_i from both ends of its domain costs more as soon as its score moves, weight_i m_i |m|,
which is at least stiff_i m^2 / 2 for |m| <= 2 unit_i, stiff_i = weight_i m_i / unit_i, whatever unit_i. So
with Q for g, stiff_i for weight_i phi''_i and s <= 1

    gain <= lam^2 / 2 + 2 mismatch

(on the border r = 2 lam nothing is gained, and what is gained is concave; one mismatch for phi* and one for a
score beside its kink). Rows on their kinks hold W where I - B is singular, or where they are so large that Q
is rounding; the duality gap sees neither.

Any H_0 <= H gives bounds too. blockdiag(a_t Hess L_t) + 2 coupling sigma^2 I, sigma the smallest singular
value of I - B, costs T d^3; its inverse bounds the blocks of H^-1, so reach is taken from there as long as
that decides. Rounding (`slope`) moves sqrt(g'H^-1 g) by at most

    sum_i weight_i slips_i reach_i + sum_jt room_jt sqrt((H^-1)_jt,jt) + drift

Sources: Nesterov, Nemirovskii, Interior-point polynomial algorithms, 1994; Bach, Self-concordant analysis for
logistic regression, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.factor import LOST, lost_digits
from amtl_cvx.certificate.slope import EPS, Pull, Slope, slope_at
from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Task

_SINGULAR = "the Hessian is numerically singular"


class Decrement(NamedTuple):
    """sqrt(g'H_0^-1 g) and K (T, d, d), K_t'K_t >= (H_0^-1)_tt; H >= (1 - lost) H_0, because of rounding."""

    length: float
    roots: Array
    lost: float


class Proved(NamedTuple):
    """A bound on the gain, infinite with the reason where there is none."""

    gain: float
    reason: str


def block_decrement(gradient: Array, blocks: Array, floor: float) -> Decrement:
    """For H_0 = blocks (T, d, d) + floor I; its length is infinite where a block is singular."""
    H = blocks + floor * np.eye(blocks.shape[1])
    try:
        roots = _roots(H)
    except np.linalg.LinAlgError:
        return Decrement(math.inf, np.full_like(H, np.inf), 0.0)
    return Decrement(float(np.linalg.norm(roots @ gradient.T[:, :, None])), roots, 0.0)


def _roots(H: Array) -> Array:
    """K (T, d, d) with H_t^-1 <= K_t'K_t beyond rounding; `LinAlgError` where one is singular."""
    unit = np.sqrt(np.einsum("tii->ti", H))
    if not (unit > 0.0).all():
        raise np.linalg.LinAlgError
    K: Array = np.linalg.inv(np.linalg.cholesky(H / (unit[:, :, None] * unit[:, None, :])))
    lost = np.array([lost_digits(H.shape[1], float(inverse)) for inverse in (K * K).sum(axis=(1, 2))])
    if not (lost < LOST).all():
        raise np.linalg.LinAlgError
    roots: Array = K / (np.sqrt(1.0 - lost)[:, None] * unit)[:, None, :]
    return roots


def proved_gain(loss: Loss, tasks: Sequence[Task], slope: Slope, decrement: Decrement) -> Proved:
    """The bound of the module essay, with room for rounding."""
    roots, lost = decrement.roots, decrement.lost
    if not (math.isfinite(decrement.length) and np.isfinite(roots).all()):
        return Proved(math.inf, _SINGULAR)
    noise = slope.drift + float((slope.room * np.sqrt((roots**2).sum(axis=1)).T).sum())
    paces, levers = [np.zeros(1)], [np.zeros(1)]
    for task, rows, K in zip(tasks, slope.rows, roots, strict=True):
        reach = np.sqrt(((task.X @ K.T) ** 2).sum(axis=1))
        noise += rows.weight * float(rows.slips @ reach)
        if not loss.quadratic:
            lever = rows.stiff * reach * reach
            lost += float(lever @ -np.expm1(-rows.moves)) if loss.concordant else 0.0
            with np.errstate(divide="ignore", over="ignore"):
                paces.append(np.divide(reach, rows.unit, out=np.zeros_like(reach), where=reach > 0.0))
            levers.append(lever)
    if not lost < 1.0:
        return Proved(math.inf, _SINGULAR)
    length = decrement.length + noise
    if loss.quadratic:
        return Proved(length * length / (2.0 * (1.0 - lost)), "")
    return _least(length, np.concatenate(paces), np.concatenate(levers), lost, loss.concordant)


def task_gain(
    loss: Loss, task: Task, w: Array, a: float, *, coupling: float, target: Array, room: Array, turned: bool
) -> tuple[float, str]:
    """What a move of w (d,) can gain in a L(w) + coupling ||w - target||^2, and by which bound.

    `room` (d,) is what rounding did to the target, `turned` as in `slope_at`.
    """
    away = 2.0 * coupling * (w - target)
    off = 2.0 * coupling * (room + 4.0 * EPS * (np.abs(w) + np.abs(target)))
    pull = Pull(away[:, None], off[:, None], 0.0)
    slope = slope_at(loss, (task,), w[:, None], np.array([a]), pull, turned=turned)
    blocks = a * loss.hessian(task, w)[None]
    proved = proved_gain(loss, (task,), slope, block_decrement(slope.gradient, blocks, 2.0 * coupling))
    length = float(np.linalg.norm(slope.gradient) + np.linalg.norm(slope.entries()))
    return min((proved.gain, "decrement"), (length * length / (4.0 * coupling), "gap"))


def _least(length: float, pace: Array, lever: Array, lost: float, concordant: bool) -> Proved:
    """The least bound over the rows left out, fastest first."""
    order = np.argsort(-pace)
    left = 1.0 - lost - np.r_[0.0, np.cumsum(lever[order])]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        s = length * np.r_[pace[order], 0.0] / left
        valid = (left > 0.0) & ((s < 1.0) if concordant else (s <= 1.0))
    if not valid.any():
        return Proved(
            math.inf,
            f"a Newton step can take the score of a row {length * float(pace.max()):.1g} times as far as its"
            " curvature is known",
        )
    growth = _growth(s[valid]) if concordant else 1.0
    return Proved(float((length * length / (2.0 * left[valid]) * growth).min()), "")


def _growth(s: Array) -> Array:
    """2 [s + (1 - s) log(1 - s)] / s^2, not below it."""
    small = s < 1e-2
    x = np.where(small, 0.5, s)
    return np.where(small, 1.0 + s / 3.0 + s * s / 5.0, 2.0 * (x + (1.0 - x) * np.log1p(-x)) / (x * x))
