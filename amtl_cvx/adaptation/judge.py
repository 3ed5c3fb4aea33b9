r"""The judge of a new task: first-order residuals, the gap of each block, and the gap of both together.

Formulas: theory.md section 19.

F(w, b) = c L(w) + rho ||w||^2 + coupling ||w - W b||^2 + p'b is jointly convex over b >= 0, so that a bound
from below over all w and b is to be had. With a multiplier u_i in the domain of phi* for every row, zeta, and

    theta = -(c/n) X'u - zeta,      W'theta <= p

weak duality gives, r = w - W b, z = X w,

    F(w, b) - min F  <=  (c/n) sum_i [phi(z_i) + phi*(u_i) - u_i z_i]  +  rho ||w - zeta / (2 rho)||^2
                         + ||2 coupling r - theta||^2 / (4 coupling)  +  b'(p - W'theta),

a sum of terms >= 0: F less the value of the dual, -(c/n) sum phi*(u) - ||zeta||^2 / (4 rho) -
||theta||^2 / (4 coupling). Multipliers are the slopes at a point w~, u = phi'(X w~), zeta = 2 rho w~: they
lie in the domain, and theta = -grad(c L + rho ||.||^2)(w~). At w~ = w the first two terms are 0, but rounding
may miss W'theta <= p. Two points are tried, and the lesser gap is kept:

    scaled    s u, s zeta, s theta with s <= 1 as large as can be: 0 is in every domain
    moved     w~ = w + W_S x with W_S'theta = p_S, a little less, on the edges S: those of b, and whatever is
              missed; x = (W_S'H W_S)^+ (W_S'theta - p_S), H the Hessian of c L + rho ||.||^2, twice or more

Products are known to (d + T + 4) eps of the sizes of their factors; the rows of S are asked for twice that
below p, a theta counts only if every row holds with its room, and the room is added to what is reported.

The block of w alone: strongly convex with modulus 2 (coupling + rho), ||grad_w F||^2 / (4 (coupling + rho)),
or the Newton decrement (`certificate.gains`). The block of b alone: that of a column of the B-step
(`certificate.duals`), the rest of F standing still.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from amtl_cvx.adaptation.arrival import Arrival
from amtl_cvx.adaptation.dual import Dual, edges_gap, value_room
from amtl_cvx.arrays import Array
from amtl_cvx.certificate import Certificate, Residuals, check_tolerance, conclude, task_gain
from amtl_cvx.certificate.alone import bounded
from amtl_cvx.certificate.misses import ROOM, Misses
from amtl_cvx.certificate.room import rounding

_EPS = float(np.finfo(np.float64).eps)
_MOVES = 8
_SMOOTH = 2.0**16 * _EPS  # of the targets: what the scores are known to
_CONVEX = "the level is about a local minimum; the problem of a new task is convex, see C5"


def judged(arrival: Arrival, w: Array, b: Array, *, tol: float, B: Array) -> Certificate:
    """The certificate of w (d,) and b (T,) from any source; `B` (T + 1, T + 1) is the graph with the task."""
    check_tolerance(tol)
    value, feasibility = arrival.value(w, b), float(max(0.0, -b.min(initial=0.0)))
    held = np.maximum(b, 0.0)
    found = _residuals(arrival, w, held)
    gap_w = float((arrival.slope_w(w, held) ** 2).sum()) / (4.0 * (arrival.coupling + arrival.rho))
    gain, by = _gain(arrival, w, held)
    gap_b = edges_gap(arrival, w, held)
    zero = np.zeros_like(w), np.zeros_like(b)
    certificate = conclude(
        kind="adaptation",
        objective=value,
        found=found,
        relative=found.relative,
        joint_relative=found.relative,
        feasibility=feasibility,
        gaps=(gap_w, gap_b),
        gap_W_exact=False,
        gain_W=gain,
        gain_W_by=by,
        resolution=arrival.value(*zero) * _SMOOTH**2,
        B=B,
        tol=tol,
        reasons={"feasibility": "b >= 0"} if feasibility > 0.0 else {},
        unknown="the problem of a new task has the gaps of its blocks and that of the whole",
    )
    return _with_bound(certificate, value_room(arrival, w, held), global_gap(arrival, w, held))


def _with_bound(certificate: Certificate, room: float, gap: float) -> Certificate:
    """With the bound over all w and b, and C5 where the point is close to it; as `certificate.alone`."""
    reasons = {**certificate.reasons, "C3": _CONVEX, "C4": _CONVEX}
    certificate = replace(certificate, reasons=reasons, refused=("C3", "C4"))
    if certificate.level is None or not math.isfinite(gap):
        return replace(certificate, reasons={**reasons, "C5": "no bound over all w and b is proved"})
    return bounded(certificate, gap, room, above="the objective is above its bound")


def _residuals(arrival: Arrival, w: Array, b: Array) -> Residuals:
    """The gradient in w, entry by entry, and the prox residual of every edge, as those of a fit."""
    slope_w, slope_b, size = arrival.slope_w(w, b), arrival.slope_b(w, b), np.abs(w)
    h = 2.0 * arrival.coupling * (arrival.W**2).sum(axis=0)
    steps = np.where(h > 0.0, h, float(h.max()) or float(arrival.prices.max()) or 1.0)
    miss = np.abs(np.minimum(steps * b, slope_b))
    sizes = np.abs(arrival.W)
    inner = np.abs(arrival.W.T @ w) + ROOM * (sizes.T @ size)
    inner = inner + (np.abs(arrival.W.T @ arrival.W) + ROOM * (sizes.T @ sizes)) @ b
    held_against = arrival.prices + 2.0 * arrival.coupling * inner
    return Residuals(
        float(np.abs(slope_w).max()),
        float(miss.max()),
        arrival.step(b).relative(w[:, None]),
        Misses(miss[:, None], held_against[:, None]).relative(),
    )


def _gain(arrival: Arrival, w: Array, b: Array) -> tuple[float, str]:
    """What a move of w alone can gain, and by which bound."""
    total = arrival.coupling + arrival.rho
    share, noise = arrival.coupling / total, rounding(arrival.W)
    return task_gain(
        arrival.loss,
        arrival.task,
        w,
        arrival.weight,
        coupling=total,
        target=share * (arrival.W @ b),
        room=noise * share * (np.abs(arrival.W) @ b),
        turned=False,
    )


@np.errstate(over="ignore", invalid="ignore")  # at a point far away, which is then none
def global_gap(arrival: Arrival, w: Array, b: Array) -> float:
    """What any move of w and b >= 0 can gain, rounding included; infinite where nothing is proved."""
    natural = Dual.of(arrival, w)
    best = min(natural.gap(w, b), natural.scaled(natural.reach()).gap(w, b))
    moved, chosen = w, b > 0.0
    for _ in range(_MOVES):
        dual = Dual.of(arrival, moved)
        if not np.isfinite(dual.theta).all():
            break
        best = min(best, dual.gap(w, b))
        slack, room = dual.slack()
        chosen = chosen | (slack < room)
        if not chosen.any():
            break
        W = arrival.W[:, chosen]
        curvature = W.T @ arrival.own_hessian(moved) @ W
        asked = 2.0 * room[chosen] - slack[chosen]
        unit = 1.0 / np.sqrt(np.maximum(np.diag(curvature), 1e-300))
        scaled = curvature * np.outer(unit, unit)
        x = unit * np.linalg.lstsq(scaled, unit * asked, rcond=len(scaled) * _EPS)[0]
        moved = moved + W @ x
    return best
