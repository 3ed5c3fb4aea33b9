r"""Multipliers of the rows of a loss: dual points of the W-step (theory.md section 5).

With S = coupling K K', K = I - B or that of `problem.squares`, and one multiplier u_ti in the domain of phi*
for every row,

    F(W) - D(u) = (1/4) tr(Q S^-1 Q') + sum_t a_t/n_t sum_i [phi(z_ti) + phi*(u_ti) - u_ti z_ti]
    Q = G(u) + 2 W S,    G(u)_t = (a_t/n_t) X_t'u_t,    z_t = X_t w_t         (1/n_t -> 1 for reduction "sum")

a sum of non-negative terms. For a smooth loss u = phi'(z) makes the second term 0 and Q the gradient. A loss
with a kink (hinge, quantile) leaves u free at rows on the kink, and rounding puts no row exactly there, so
`kinked_multipliers` takes the u of least gap: phi* is linear on a bounded domain, which leaves a box QP, the
dual of the W-step (`kinked`). Any u is a bound, so nothing hangs on how well that QP is solved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.slope import EPS, Slope
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Loss
from amtl_cvx.problem import Point
from amtl_cvx.problem.kinks import DENSE_LIMIT
from amtl_cvx.tasks import Array, Indices, Task, TaskSet

_STEPS = 60
_ACCURACY = 1e-14
_WIDENINGS = 8
_MOST = 1000  # rows from which on the box QP is not widened
_MARGIN = 1e-4  # share of its box by which a multiplier keeps away from both ends if its row is on the kink
_PIVOTS = 20
_CLOSE = 1e-7  # how near to its kink, of the farthest one, a row is taken to be on it
_CORRECTIONS = 3


class Fenchel(NamedTuple):
    """The W-step at one choice of multipliers."""

    pull: Array
    """G(u), (d, T)"""
    mismatch: float
    """The sum over rows, >= 0."""


def fenchel(point: Point, multipliers: Sequence[Array]) -> Fenchel:
    """G(u) and the mismatch of u (T arrays (n_t,)), each clipped into the domain of phi*."""
    tasks, model = point.tasks, point.model
    inside = within_domain(model.loss, tasks, multipliers)
    return fenchel_terms(model.loss, tasks.tasks, point.loss_weight, point.W, inside)


def within_domain(loss: Loss, tasks: TaskSet, multipliers: Sequence[Array]) -> tuple[Array, ...]:
    """The multipliers, clipped into the domain of phi*.

    Raises
    ------
    DataError
        Unless there is one finite multiplier per row of every task.
    """
    if [np.shape(u) for u in multipliers] != [task.y.shape for task in tasks]:
        raise DataError("expected one multiplier per row of every task: T arrays of n_t numbers")
    for task, u in zip(tasks, multipliers, strict=True):
        if not np.isfinite(u).all():
            raise DataError(f"the multipliers of {task.name!r} must be finite")
    return tuple(
        loss.on(task.sample_weight).clip(u, task.y) for u, task in zip(multipliers, tasks, strict=True)
    )


def fenchel_terms(loss: Loss, tasks: Sequence[Task], a: Array, W: Array, inside: Sequence[Array]) -> Fenchel:
    """The same for weights a (T,) and multipliers in the domain of phi*."""
    pull, mismatch = np.empty_like(W), 0.0
    for t, (task, v) in enumerate(zip(tasks, inside, strict=True)):
        z, weight, phi = task.X @ W[:, t], a[t] * loss.scale(task), loss.on(task.sample_weight)
        terms = phi.rows(z, task.y) + phi.conjugate(v, task.y) - v * z
        pull[:, t] = weight * (task.X.T @ v)
        mismatch += float(weight * np.maximum(terms, 0.0).sum())
    return Fenchel(pull, mismatch)


def mismatch_room(loss: Loss, tasks: Sequence[Task], slope: Slope, multipliers: Sequence[Array]) -> float:
    """What rounding can hide of the mismatch at multipliers in the domain.

    A row's term changes by at most |phi' - u| times the move of its score; where that is 0 the term is 0.
    """
    room = 0.0
    for task, rows, u in zip(tasks, slope.rows, multipliers, strict=True):
        z, y, phi = rows.scores, task.y, loss.on(task.sample_weight)
        steep = np.maximum(
            u - phi.subgradients(z - rows.moves, y)[0], phi.subgradients(z + rows.moves, y)[1] - u
        )
        terms = phi.rows(z, y) + np.abs(phi.conjugate(u, y)) + np.abs(u * z)
        hidden = np.where(steep > 0.0, rows.moves * steep + 4.0 * EPS * terms, 0.0)
        room += rows.weight * float(hidden.sum())
    return room


def mismatches(point: Point, multipliers: Sequence[Array]) -> tuple[Array, Array]:
    """The part of every task in the mismatch, and the sum of the sizes of its two terms, (T,) each."""
    tasks = point.tasks
    loss, weights = point.model.loss, point.loss_weight
    parts, sizes = np.zeros(tasks.T), np.zeros(tasks.T)
    for t, (task, u) in enumerate(zip(tasks, multipliers, strict=True)):
        phi, z, weight = loss.on(task.sample_weight), task.X @ point.W[:, t], weights[t] * loss.scale(task)
        v = phi.clip(u, task.y)
        value, dual = phi.rows(z, task.y), phi.conjugate(v, task.y) - v * z
        parts[t] = weight * np.maximum(value + dual, 0.0).sum()
        sizes[t] = weight * (value + np.abs(dual)).sum()
    return parts, sizes


def kinked_multipliers(point: Point) -> tuple[Array, ...]:
    """The multipliers of (nearly) least gap for a loss with one kink, linear on both sides, T arrays (n_t,).

    Away from the kink the sign of kink - z decides. Where that leads to no consistent set of rows on the kink
    (`settled`), the box QP is solved on the rows nearest to it, and on more of them while others want to
    move: so above `DENSE_LIMIT` unknowns, below the W-step is solved with its multipliers. Where I - B
    is singular there is no bound: the QP then makes Q itself small, as the residual wants it.
    """
    return point.kept("multipliers", lambda: _kinked_multipliers(point))


def _kinked_multipliers(point: Point) -> tuple[Array, ...]:
    tasks, W = point.tasks, point.W
    if W.size <= DENSE_LIMIT:
        return point.kinked.multipliers
    problem = _RowProblem.at(point)
    v = np.where(problem.c > 0, problem.low, problem.high)
    close = np.abs(problem.c) <= _CLOSE * float(np.abs(problem.c).max())
    v, done = problem.settled(np.where(close, 0.5 * (problem.low + problem.high), v))
    if not done:
        near = np.argsort(np.abs(problem.c))[: 2 * W.size + 20]
        for _ in range(_WIDENINGS):
            v[near] = problem.minimum(v, near)
            slope = problem.slope(v)
            moves = ((v > problem.low) & (slope > 0)) | ((v < problem.high) & (slope < 0))
            moves[near] = False
            if not moves.any() or len(near) > _MOST:
                break
            steepest = np.argsort(np.where(moves, -np.abs(slope), 0.0))[: len(near)]
            near = np.union1d(near, steepest[moves[steepest]])
        v, _ = problem.settled(v)
    ends = np.cumsum([len(each.y) for each in tasks])[:-1]
    return tuple(np.split(v / problem.weight, ends))


@dataclass(frozen=True, kw_only=True, eq=False)
class _RowProblem:
    """min over low <= v <= high of ||E(v)||_F^2 / (4 coupling) + c'v, in v = weight u, all rows stacked.

    E(v) = Q L^-T = sum_i v_i x_i (N e_t(i))' + 2 coupling W L with N = L^-1, L L' = K K', and
    c_i = kink_i - z_i, because phi*(u) = kink u + constant. E(v) = Q, N = I, where K is singular.
    """

    X: Array
    task: Indices
    weight: Array
    low: Array
    high: Array
    c: Array
    N: Array
    pull: Array
    coupling: float

    @classmethod
    def at(cls, point: Point) -> _RowProblem:
        tasks, W = point.tasks, point.W
        rows = point.problem.kinked_rows
        weight = (point.loss_weight * rows.scale)[rows.task]
        L = point.squares.L
        if point.least_of_K > 0.0:
            N, pull = np.asarray(np.linalg.inv(L)), 2.0 * point.square_weight * (W @ L)
        else:
            N, pull = np.eye(tasks.T), point.square_gradient_W
        return cls(
            X=rows.X,
            task=rows.task,
            weight=weight,
            low=weight * rows.low,
            high=weight * rows.high,
            c=rows.kink - (rows.X * W.T[rows.task]).sum(axis=1),
            N=N,
            pull=pull,
            coupling=point.square_weight,
        )

    def settled(self, v: Array) -> tuple[Array, bool]:
        """v with the last digits that an interior point lacks: the gap is what they leave.

        A primal-dual active-set method from the rows clearly inside their box: slope 0 on these, the others
        at an end; rows that leave the box are put at its end, rows whose slope points inwards are let go.
        Also whether no row was left to move.
        """
        share = (v - self.low) / (self.high - self.low)
        free, upper = (share > _MARGIN) & (share < 1.0 - _MARGIN), share > 0.5
        best, least = v, self._gap(v)
        for _ in range(_PIVOTS):
            trial = np.where(free, v, np.where(upper, self.high, self.low))
            rows = np.flatnonzero(free)
            if len(rows) > 2 * self.pull.size + 20:
                break
            H = self._hessian(rows)
            for _ in range(_CORRECTIONS if len(rows) else 0):
                trial[rows] -= np.linalg.lstsq(H, self.slope(trial)[rows], rcond=None)[0]
            below, above, slope = trial < self.low, trial > self.high, self.slope(trial)
            trial = np.clip(trial, self.low, self.high)
            if (gap := self._gap(trial)) < least:
                best, least = trial, gap
            inwards = ~free & np.where(upper, slope > 0.0, slope < 0.0)
            if not (below | above | inwards).any():
                return trial, True
            upper = np.where(free, above, upper)
            free = (free & ~below & ~above) | inwards
        return best, False

    def _gap(self, v: Array) -> float:
        """F - D, a sum of non-negative terms."""
        ends = np.where(self.c > 0, self.low, self.high)
        return float((self._misfit(v) ** 2).sum()) / (4.0 * self.coupling) + float(self.c @ (v - ends))

    def _misfit(self, v: Array) -> Array:
        """E(v), (d, T)."""
        G = np.zeros((len(self.N), self.X.shape[1]))
        np.add.at(G, self.task, v[:, None] * self.X)
        return G.T @ self.N.T + self.pull

    def _hessian(self, rows: Indices) -> Array:
        X, task = self.X[rows], self.task[rows]
        return (X @ X.T) * (self.N.T @ self.N)[np.ix_(task, task)] / (2.0 * self.coupling)

    def slope(self, v: Array) -> Array:
        """The gradient in v, (N,)."""
        slopes: Array = (self.X * (self._misfit(v) @ self.N).T[self.task]).sum(axis=1) / (
            2.0 * self.coupling
        ) + self.c
        return slopes

    def minimum(self, v: Array, rows: Indices) -> Array:
        """The best v[rows], the other entries fixed."""
        H = self._hessian(rows)
        return (
            _box_minimum(H, self.slope(v)[rows], self.low[rows] - v[rows], self.high[rows] - v[rows])
            + v[rows]
        )


def _box_minimum(H: Array, g: Array, low: Array, high: Array) -> Array:
    """argmin over low <= x <= high of (1/2) x'H x + g'x, H positive semidefinite, by a primal-dual method.

    Strictly inside, so entries at a bound are left off it by about `_ACCURACY` of the box.
    Source: Wright, Primal-Dual Interior-Point Methods, 1997, chapter 5 (Mehrotra's choice of the target).
    """
    x, zl, zu = 0.5 * (low + high), np.full_like(g, 1.0), np.full_like(g, 1.0)
    size = max(float(np.abs(g).max(initial=0.0)), float(np.abs(H @ (high - low)).max(initial=0.0))) or 1.0
    zl, zu = size * zl, size * zu
    for _ in range(_STEPS):
        below, above = x - low, high - x
        target = float(zl @ below + zu @ above) / (2 * len(x))
        rest = H @ x + g - zl + zu
        if target <= _ACCURACY * size * float((high - low).max()) and np.abs(rest).max() <= _ACCURACY * size:
            break
        try:
            factor = sl.cho_factor(H + np.diag(zl / below + zu / above), lower=True, check_finite=False)
        except sl.LinAlgError:
            break  # I - B is all but singular; x is inside of the box and will do
        aim_l, aim_u = zl * below, zu * above
        for centre in (0.0, None):
            right = -rest - aim_l / below + aim_u / above
            dx = sl.cho_solve(factor, right, check_finite=False)
            dl, du = -(aim_l + zl * dx) / below, (zu * dx - aim_u) / above
            step = min(_room(below, dx), _room(above, -dx), _room(zl, dl), _room(zu, du))
            if centre is not None:
                after = float((zl + step * dl) @ (below + step * dx) + (zu + step * du) @ (above - step * dx))
                wish = target * (after / (2 * len(x)) / target) ** 3
                aim_l, aim_u = zl * below + dl * dx - wish, zu * above - du * dx - wish
        x, zl, zu = x + 0.99 * step * dx, zl + 0.99 * step * dl, zu + 0.99 * step * du
    return x


def _room(value: Array, change: Array) -> float:
    """The longest step up to 1/0.99 along which value + step change stays >= 0."""
    falls = change < 0
    return min(1.0 / 0.99, float((-value[falls] / change[falls]).min(initial=np.inf)))
