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

With a penalty on W its terms are of the same kind: in G_W and size_W the K of `problem.squares` stands for M.

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

A penalty without row prices, or on another set than B >= 0, has the prox residual in place of m, and no p.

Sources: Oettli, Prager, Compatibility of approximate solution of linear equations with given error bounds,
1964; Arioli, Demmel, Duff, Solving sparse linear systems with sparse backward error, 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers, mismatches
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import Array, Task

ROOM = 1e-5
"""Part of the sizes that rounding is relative to; 1e-16 of them is far below the tolerance of any size."""
SLOPES = 1e-4
"""The same of the sizes of slopes: 1e-12 of what the scores are summed from, at the tolerance 1e-8."""
_EPS = float(np.finfo(np.float64).eps)


class Residuals(NamedTuple):
    """First-order residuals of a feasible point."""

    stationarity_W: float
    stationarity_B: float
    relative_W: float
    relative_B: float

    @property
    def relative(self) -> float:
        return max(self.relative_W, self.relative_B)


class Misses(NamedTuple):
    """What an entry of a block is off by, and what it is held against; (d, T) or (T, T)."""

    miss: Array
    size: Array
    terms: Array | None = None
    """What an entry is summed from, where `size` is less than that."""

    def parts(self) -> Array:
        """The ratios, with 0/0 = 0 and x/0 = inf."""
        none = np.where(self.miss > 0, np.inf, 0.0)
        parts: Array = np.divide(self.miss, self.size, out=none, where=self.size > 0)
        return parts

    def relative(self) -> float:
        """The largest ratio."""
        return float(self.parts().max())


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
    kinks = 0.0 if found.kinks is None else found.kinks.relative()
    return Residuals(
        stationarity_W=float(found.W.miss.max()),
        stationarity_B=float(found.B.miss.max()),
        relative_W=max(found.W.relative(), kinks),
        relative_B=found.B.relative(),
    )


class AllMisses(NamedTuple):
    """What the entries of both blocks are off by; `kinks` as in `Slopes`."""

    W: Misses
    B: Misses
    kinks: Misses | None


def misses(
    point: Point,
    *,
    multipliers: Sequence[Array] | None = None,
) -> AllMisses:
    """What every entry is off by; parameters as in `residuals`."""
    part = weight_part(point, multipliers=multipliers)
    return AllMisses(part.misses, _transfer_misses(point, part.shift), part.kinks)


class WeightPart(NamedTuple):
    """G_W and what comes with it."""

    gradient: Array
    """(d, T), in the coordinates of the tasks."""
    misses: Misses
    """Of the original features."""
    shift: Array
    """What l moves by where z moves by all its terms, (T,); phi' is known up to eps of its own."""
    kinks: Misses | None
    """As in `Slopes`."""


def weight_part(
    point: Point,
    *,
    multipliers: Sequence[Array] | None = None,
) -> WeightPart:
    """The W-step's part of `residuals`."""
    if multipliers is None:
        return point.kept("weight_part", lambda: _weight_part(point, None))
    return _weight_part(point, multipliers)


def _weight_part(point: Point, multipliers: Sequence[Array] | None) -> WeightPart:
    tasks, model, W = point.tasks, point.model, point.W
    V, Q = tasks.lift(W), np.sqrt(model.coupling) * point.K
    reach, R = (tasks.lengths * np.abs(V)).sum(axis=0), W @ Q
    slopes = _slopes(point, reach, multipliers)
    weight, scale = point.loss_weight, point.problem.loss_scales
    gradient = weight * slopes.pull + 2.0 * R @ Q.T
    found = weight_misses(
        slopes=slopes,
        gradient=tasks.lift(gradient),
        rows=tasks.lengths,
        rates=weight * scale,
        residual=tasks.lift(R),
        terms=np.abs(V) @ np.abs(Q),
        Q=Q,
        own=np.sqrt(np.abs(weight) * point.problem.losses_at_zero),
    )
    shift = scale * (slopes.norm + _EPS * slopes.terms) * (reach + tasks.target_lengths)
    return WeightPart(gradient, found, shift, slopes.kinks)


class Slopes(NamedTuple):
    """The losses' part of G_W without a_t, and the norms over the rows that bound it."""

    pull: Array
    """grad L_t(w_t), (d, T)"""
    norm: Array
    """||phi'|| or ||u||, (T,)"""
    terms: Array
    """What phi' is summed from, or ||D||, (T,)"""
    kinks: Misses | None = None
    """What multipliers are off by, of every task, (T,)."""


def task_slopes(loss: Loss, tasks: Sequence[Task], W: Array, reach: Array) -> Slopes:
    """Those of a smooth loss, task by task; `reach` (T,) is sum_i ||x_ti|| |w_it|."""
    slopes = [loss.slopes(task.X @ w, task.y) for task, w in zip(tasks, W.T, strict=True)]
    rows = list(zip(slopes, tasks, strict=True))
    return Slopes(
        pull=np.column_stack([loss.scale(task) * (task.X.T @ each) for each, task in rows]),
        norm=np.array([np.linalg.norm(each) for each in slopes]),
        terms=np.array(
            [loss.slope_terms(*row) for row in zip(slopes, (t.y for t in tasks), reach, strict=True)]
        ),
    )


def _slopes(point: Point, reach: Array, multipliers: Sequence[Array] | None) -> Slopes:
    tasks, loss = point.tasks, point.model.loss
    if not loss.smooth:
        known = kinked_multipliers(point) if multipliers is None else multipliers
        weight, pull = point.loss_weight, fenchel(point, known).pull
        ends = [np.linalg.norm(np.maximum(*np.abs(loss.domain(task.y)))) for task in tasks]
        parts, sizes = mismatches(point, known)
        room = weight * point.problem.loss_scales * ends * (reach + tasks.target_lengths)
        return Slopes(
            pull=np.divide(pull, weight, out=np.zeros_like(pull), where=weight > 0),
            norm=np.array(
                [np.linalg.norm(loss.clip(u, task.y)) for u, task in zip(known, tasks, strict=True)]
            ),
            terms=np.array(ends),
            kinks=Misses(parts, sizes + ROOM * room),
        )
    return Slopes(
        pull=point.loss_gradient,
        norm=np.concatenate([np.linalg.norm(each.slopes, axis=1) for each in point.scores]),
        terms=np.concatenate(
            [loss.slope_terms(each.slopes, each.y, reach[each.at]) for each in point.scores]
        ),
    )


def weight_misses(
    *,
    slopes: Slopes,
    gradient: Array,
    rows: Array,
    rates: Array,
    residual: Array,
    terms: Array,
    Q: Array,
    own: Array,
) -> Misses:
    """G_W of sum_t a_t L_t(w_t) + ||R||_F^2, R = W Q - O, entry by entry.

    Parameters
    ----------
    slopes : Slopes
        Those of the losses at W.
    gradient : (d, T)
        G_W.
    rows, rates : (d, T), (T,)
        ||x_ti|| and a_t/n_t.
    residual, terms : (d, k)
        R, and the sizes it is summed from.
    Q : (T, k)
        As in R.
    own : (T,)
        Root of what a task can gain at most, for entries that only R holds.
    """
    pulled = np.abs(rates) * rows * (slopes.norm + SLOPES * slopes.terms)
    coupled = 2.0 * (np.abs(residual) + ROOM * terms) @ np.abs(Q.T)
    least = np.where(rows > 0.0, 0.0, ROOM * np.sqrt(2.0) * np.linalg.norm(Q, axis=1) * own)
    return Misses(np.abs(gradient), pulled + coupled + least)


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
