r"""First-order residuals: how far a point is from stationarity, entry by entry.

With M = I - B, R = W M, P = M M', h_s = 2 coupling ||w_s||^2, x_ti feature i of task t over its n_t rows and
phi'_t the slopes of these rows (1/n_t -> 1 for reduction "sum")

    G_W[i, t] = a_t/n_t x_ti'phi'_t + 2 coupling (R M')[i, t]
    m[s, t]   = min(h_s B[s, t], G_B[s, t])           G_B[s, t] = p_s - 2 coupling w_s'(w_t - W b_t)

`stationarity_W`, `stationarity_B` are the largest |G_W| and |m|; `relative_W`, `relative_B` the largest
ratios to the sizes of what that very entry is summed from (0/0 = 0):

    size_W[i, t] = a_t/n_t ||x_ti|| ||phi'_t|| + 2 coupling (|R| |M'|)[i, t] + room
    size_B[s, t] = p_s + 2 coupling (|w_s'w_t| + sum_u |w_s'w_u| B[u, t]) + room

    size_B[s, t] at most 2 h_s own_st / G_B[s, t] where h_s B[s, t] < G_B[s, t]
    own_st       = coupling r_t^2 + p_s r_t / ||w_s||,   r_t = ||w_t|| + sum_u ||w_u|| B[u, t]

The last is for an edge whose price is far above what the coupling is summed from: beside p_s h_s B[s, t] is
small, however much of column t the edge makes. Removing it gains at least G_B B / 2, own_st is what an edge
of the size of the whole column costs. Where G_B is the lesser one it changes nothing, as size_B (without
room) is at most 2 own_st / B[s, t] for every B[s, t] <= r_t / ||w_s||, and none is larger.

No entry can hide behind another: not behind a feature, a task or an edge in larger units. By Cauchy-Schwarz a
ratio is at most 1, and one of eps means that changes of eps in each of its terms make the entry exactly 0
(the backward error of Oettli and Prager). A flipped sign moves G_W by 2 H_ii w_i, a lost edge moves G_B by
h_s B[s, t], and both are among the terms. The norms are over rows, so that triangular factors of the rows,
which turn them, have the same sizes. Factors k in J, in all y (squared loss; Huber with its threshold) or in
a feature that only its own data hold cancel.

A loss with kinks has multipliers u in the place of slopes (`fenchel`), between ends |u| <= D, and every task
one condition more: that u be subgradients. What they are off by, and what it is held against:

    a_t/n_t sum_i [phi(z_i) + phi*(u_i) - u_i z_i]     a_t/n_t sum_i [phi(z_i) + |phi*(u_i) - u_i z_i|] + room

The ratio, again at most 1, is part of `relative_W`. Beside gap_W, which is held against J as a whole, it
judges a task with a small share in J by its own loss.

With a quadratic penalty on W its terms are of the same kind: in G_W and size_W the K of `problem.squares`
stands for M. One with kinks has a subgradient Z at W+ = prox(W - G_W / h) instead, h = `Point.prox_rate`:
what is missing is h (W - W+) = G_W + Z, entry by entry, and |Z| with room is added to size_W (theory.md
section 13).

Room. G is known up to rounding: eps times what phi', R and w_s'w_t are themselves summed from, which can be
far larger than they are, where a fit is nearly perfect or w_t nearly W b_t. `ROOM` = 1e-5 of these sizes is
added, so that eps stays below 1e-10 of every size, and `SLOPES` = 1e-4 of those of phi' and u: solvers leave
in the scores z a multiple of eps that grows with the condition of X_t (off-centre features, for one):

    phi'_t      phi''(z) (sum_i ||x_ti|| |w_it| + ||y_t||) (`Loss.slope_terms`)
    u_t         ||D||; for the condition on u, ||D|| (sum_i ||x_ti|| |w_it| + ||y_t||)
    R           |W| |M|
    w_s'w_t     |w_s|'|w_t|

An entry of a feature that is 0 in its task has no terms but those of the coupling, and where this holds it at
0 none but its own error. Its curvature is at least 2 coupling P_tt, so G^2 / (4 coupling P_tt) bounds what it
can gain; it has the room `ROOM` sqrt(2 coupling P_tt a_t l_t(0)): at the tolerance 1e-8 a part 1e-26 of its
task's own loss. For a task without loss at 0 (y = 0) only the exact w = 0 will do where no edge comes in.

A penalty without row prices, or on another set than B >= 0, has the prox residual in place of m, and no p;
one without a prox has none: its residual is infinite, as is that of W with a penalty on W without one.

Sources: Oettli, Prager, Compatibility of approximate solution of linear equations with given error bounds,
1964; Arioli, Demmel, Duff, Solving sparse linear systems with sparse backward error, 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.misses import ROOM, Misses
from amtl_cvx.certificate.weight_residuals import weight_part
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import Array


class Residuals(NamedTuple):
    """First-order residuals of a feasible point."""

    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float

    @property
    def relative(self) -> float:
        return max(self.relative_W, self.relative_B)


def residuals(
    point: Point,
    *,
    multipliers: Sequence[Array] | None = None,
) -> Residuals:
    """The first-order residuals of theory.md section 4, absolute and relative.

    Entries are those of the original features, also where the tasks are in coordinates.

    `multipliers` are those of a loss with kinks, where they are known.
    """
    if multipliers is None:
        return point.kept("residuals", lambda: _residuals(point, None))
    return _residuals(point, multipliers)


def _residuals(point: Point, multipliers: Sequence[Array] | None) -> Residuals:
    found = misses(point, multipliers=multipliers)
    omega = point.model.prox_omega
    known = omega is None or omega.has_prox
    return Residuals(
        stationarity_W=float(found.W.miss.max()) if known else np.inf,
        stationarity_B=float(found.B.miss.max()),
        relative_W=found.largest_W() if known else np.inf,
        relative_B=found.B.relative(),
    )


def progress(point: Point) -> float:
    """How far a fit is: the largest ratio that can be had, of W by a solver's prox where it has no other."""
    found = misses(point)
    return max(found.largest_W(), found.B.relative() if point.model.transfer.has_prox else 0.0)


class AllMisses(NamedTuple):
    """What the entries of both blocks are off by; `kinks` as in `Slopes`."""

    W: Misses
    B: Misses
    kinks: Misses | None

    def largest_W(self) -> float:
        return max(self.W.relative(), 0.0 if self.kinks is None else self.kinks.relative())


def misses(
    point: Point,
    *,
    multipliers: Sequence[Array] | None = None,
) -> AllMisses:
    """What every entry is off by; parameters as in `residuals`."""
    if multipliers is None:
        return point.kept("misses", lambda: _misses(point, None))
    return _misses(point, multipliers)


def _misses(point: Point, multipliers: Sequence[Array] | None) -> AllMisses:
    part = weight_part(point, multipliers=multipliers)
    return AllMisses(part.misses, _transfer_misses(point, part.shift), part.kinks)


def _transfer_misses(point: Point, shift: Array) -> Misses:
    """The prox residual in gradient units, `shift` as in `WeightPart`."""
    model, W, B = point.model, point.W, point.B
    c, losses = point.problem.task_weight, point.losses
    prices = model.transfer.row_prices(c * losses)
    steps = prox_steps(model, W, 0.0 if prices is None else float(np.abs(prices).max()))
    smooth = point.coupling_gradient_B
    sizes, given = np.abs(point.tasks.lift(W)), np.abs(B)
    inner = np.abs(W.T @ W) + ROOM * (sizes.T @ sizes)
    size = 2.0 * model.coupling * (inner + inner @ given)
    if not model.transfer.has_prox:
        return Misses(np.full_like(B, np.inf), size)
    if prices is None:
        moved = model.transfer.prox(B - smooth / steps, 1.0 / steps, c * losses)
        return Misses(np.abs(steps * (B - moved)), size)
    roomy = model.transfer.row_prices(c * (losses + ROOM * shift))
    assert roomy is not None
    slope = prices[:, None] + smooth
    miss = np.abs(np.minimum(steps * B, slope))
    np.fill_diagonal(miss, 0.0)
    size = size + roomy[:, None]
    dear = (slope > 0.0) & (steps * B < slope)
    dearest = np.minimum(size, _dear_sizes(model, W, B, roomy, slope))
    return Misses(miss, np.where(dear, dearest, size), size)


@np.errstate(over="ignore")  # infinite: no edge of it is dear
def _dear_sizes(model: Model, W: Array, B: Array, prices: Array, slope: Array) -> Array:
    """2 h_s own_st / G_B where G_B > 0; infinite elsewhere and where w_s = 0."""
    lengths = np.linalg.norm(W, axis=0)
    inner = model.coupling * lengths[:, None] * (lengths + lengths @ np.abs(B))
    known = (slope > 0.0) & (lengths[:, None] > 0.0)
    parts = np.divide(inner + prices[:, None], slope, out=np.full_like(inner, np.inf), where=known)
    return np.where(known, 4.0 * inner * np.where(known, parts, 1.0), np.inf)


def prox_steps(model: Model, W: Array, fallback: float) -> float | Array:
    """h (T, 1): 2 coupling ||w_s||^2, for w_s = 0 the largest of them; for W = 0 `fallback`, 1 if that is 0.

    The largest alone, a number, for a penalty whose prox takes one step for all rows.
    """
    h = 2.0 * model.coupling * (W**2).sum(axis=0)
    largest = float(h.max()) or fallback or 1.0
    return np.where(h > 0, h, largest)[:, None] if model.transfer.row_steps else largest


def infeasibility(model: Model, B: Array) -> float:
    """Largest entry of B - project(B): max(0, -min B, max |diag B|) for B >= 0, diag(B) = 0."""
    return float(np.abs(B - model.transfer.project(B)).max())
