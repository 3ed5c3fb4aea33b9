r"""Dual points of the columns of the B-step: bounds of what a move of B alone can gain (W fixed).

Column t: w = w_t, A = W without it, b = B[:, t] >= 0, p the prices, r = w - A b, P its objective,

    P(b) = coupling ||r||^2 + p'b,     D(theta) = theta'w - ||theta||^2 / (4 coupling),     A'theta <= p
    P(b) - D(theta) = ||delta||^2 / (4 coupling) + b's,   delta = 2 coupling r - theta,   s = p - A'theta >= 0

(theory.md section 6): for every theta a sum of non-negative terms. Two points are tried and the lesser gap
is kept with its theta:

    scaled     theta = s 2 coupling r, s the best that is feasible; 0 where a useful task is free (p_j = 0)
    polished   on a set S of rows A_j'theta = p_j is asked for: delta is the shortest with A_S'delta = -q_S,
               q = p - 2 coupling A'r the gradient at the b that is 0 off S

The second is theta = 2 coupling (w - A_S x), x the minimum of P over S alone, so with the support of the best
b for S it is the best theta there is. S begins with the rows for which the best change of b_j alone leaves
b_j > 0; then a row whose s_j turns negative joins it and one whose x_j does leaves (block pivoting: Portugal,
Judice, Vicente, Math. Comp. 63, 1994). Pivoting can cycle; then S is the support of the best b by
non-negative least squares in the least-distance form, which minds neither dependent columns nor free tasks
(Lawson, Hanson, Solving Least Squares Problems, chapter 23: theta is the point nearest to 2 coupling w with
A'theta <= p). How S was found proves nothing: a theta counts only if s >= 0 holds on every row, as computed
and less its rounding.

Rounding. u = (features + T + 4) eps is above what n <= features, T products and sums can lose, relative to
norms, turned coordinates (`rowspace`) included; prices are known to within their room (`price_room`). So

    s_j is known to within    u (p_j + ||A_j|| ||theta||) + room of p_j
    delta to within           u 2 coupling (||w|| + sum_j ||A_j|| b_j)

The rows of S are asked for twice that above 0, which costs b_j times it, and what is reported is the gap with
both added: no rounding is left that could make it less than the gain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.certificate.weights import row_lengths
from amtl_cvx.problem import Model
from amtl_cvx.problem.coupling import residual
from amtl_cvx.tasks import Array, Mask, TaskSet

_EPS = float(np.finfo(np.float64).eps)
_TIGHT = 1e-12
"""A gap below this part of P(b), or all but rounding, is not improved any more."""
_PIVOTS = 12
SUMMED = 24.0 * _EPS
"""What a pairwise sum over any number of rows, a row function and the factors lose of it."""


class ColumnDuals(NamedTuple):
    """The best dual point found for every column."""

    gaps: Array
    """P - D and what rounding can hide from it, (T,)"""
    theta: Array
    """(d, T); A'theta <= p."""
    room: Array
    """What rounding can do to p - W'theta, (T, T)."""
    price_room: Array | float = 0.0
    """What rounding can have done to p, (T,)."""
    noise: float = 0.0
    """u of the essay."""
    best: Array | None = None
    """The best B that was met, (T, T): what it gains is attained."""


class Column(NamedTuple):
    """One column with what rounding can do to it."""

    A: Array
    w: Array
    b: Array
    low: Array
    high: Array
    """Between them lie the prices."""
    pull: Array
    """2 coupling r"""
    coupling: float
    noise: float
    length: Array
    """||A_j||"""
    blur: float
    """How far rounding can be off in 2 coupling r."""

    def slack(self, theta: Array) -> tuple[Array, Array]:
        """p - A'theta at the low prices, and its room."""
        room = self.noise * (self.low + self.length * float(np.linalg.norm(theta)))
        return self.low - self.A.T @ theta, room

    def gap(self, theta: Array) -> float:
        """P(b) - D(theta) with what rounding can hide; infinite unless A'theta <= p is certain."""
        slack, room = self.slack(theta)
        if (slack < room).any():
            return np.inf
        away = float(np.linalg.norm(self.pull - theta)) + self.blur
        rest = float(self.b @ (slack + room + (self.high - self.low)))
        return float(away**2 / (4.0 * self.coupling) + rest) * (1.0 + self.noise)

    def cost(self, x: Array) -> float:
        """P(x)."""
        r = self.w - self.A @ x
        return self.coupling * float(r @ r) + float(self.low @ x)

    def best_alone(self) -> Mask:
        """Rows for which the best b_j, the others as they are, is positive."""
        q = self.low - self.A.T @ self.pull
        chosen: Mask = 2.0 * self.coupling * self.length**2 * self.b > q
        return chosen

    def nearest(self) -> Mask:
        """The support of the best b, by non-negative least squares (Lawson, Hanson, section 23.4)."""
        from scipy.optimize import nnls

        unit = 2.0 * self.coupling * float(np.linalg.norm(self.w))
        if unit <= 0.0:
            return np.zeros(len(self.b), dtype=bool)
        length = np.where(self.length > 0.0, self.length, 1.0)
        ask = (2.0 * self.coupling * (self.A.T @ self.w) - self.low) / (unit * length)
        rows = np.vstack([self.A / length, ask])
        try:
            found, _ = nnls(rows, np.eye(len(rows))[-1])
        except RuntimeError:  # it did not end within its iterations
            return np.zeros(len(self.b), dtype=bool)
        support: Mask = found > 0.0
        return support

    def on(self, chosen: Mask) -> tuple[Array, Array]:
        """theta that asks for A_j'theta = p_j on the chosen rows, a little less; b that belongs to it."""
        x = np.where(chosen, self.b, 0.0)
        theta = 2.0 * self.coupling * (self.w - self.A @ x)
        length = self.length[chosen]
        U, values, V = np.linalg.svd(self.A[:, chosen] / length, full_matrices=False)
        kept = values > self.noise * values.max(initial=0.0)
        for _ in range(2):  # again with the room of the theta found
            slack, room = self.slack(theta)
            part = (V[kept] @ ((2.0 * room - slack)[chosen] / length)) / values[kept]
            x[chosen] += V[kept].T @ (part / values[kept]) / (2.0 * self.coupling * length)
            theta = theta - U[:, kept] @ part
        return theta, x


def column_duals(
    W: Array,
    B: Array,
    prices: Array,
    coupling: float,
    *,
    price_room: Array | float = 0.0,
    features: int | None = None,
) -> ColumnDuals:
    """The better of the two dual points for every column, from prices p (T,) and a feasible B.

    `price_room` (T,) is what rounding can have done to the prices, `features` how many products a product of
    two columns of W was summed from, where the rows of W are coordinates.
    """
    noise = rounding(W, features)
    low, high = np.maximum(prices - price_room, 0.0), prices + price_room
    pull = 2.0 * coupling * residual(W, B)
    length, size = np.linalg.norm(W, axis=0), np.linalg.norm(pull, axis=0)
    blur = 2.0 * coupling * noise * (length + length @ B)
    slope = W.T @ pull
    np.fill_diagonal(slope, 0.0)
    reach = slope + noise * np.outer(length, size)
    np.fill_diagonal(reach, 0.0)
    along = (pull * W).sum(axis=0) * 2.0 * coupling
    scale = np.maximum(0.0, np.divide(along, size**2, out=np.zeros_like(size), where=size > 0))
    with np.errstate(over="ignore"):
        best = np.divide(low[:, None], reach, out=np.full_like(reach, np.inf), where=reach > 0)
    scale = np.minimum(scale, best.min(axis=0))
    theta = scale * pull
    room = noise * (low[:, None] + np.outer(length, scale * size)) + (high - low)[:, None]
    lost = blur**2 / (4.0 * coupling) + (B * room).sum(axis=0)
    gaps = (np.abs(1.0 - scale) * size + blur) ** 2 / (4.0 * coupling)
    gaps += (B * (np.maximum(low[:, None] - scale * slope, 0.0) + room)).sum(axis=0)
    loose = gaps > _TIGHT * (size**2 / (4.0 * coupling) + low @ B) + 4.0 * lost
    met = B.copy()
    for t in np.flatnonzero(loose):
        others = np.arange(len(B)) != t
        column = Column(
            A=W[:, others],
            w=W[:, t],
            b=B[others, t],
            low=low[others],
            high=high[others],
            pull=pull[:, t],
            coupling=coupling,
            noise=noise,
            length=length[others],
            blur=float(blur[t]),
        )
        gap, polished, met[others, t] = _polished(column)
        if gap < gaps[t]:
            gaps[t], theta[:, t] = gap, polished
            room[others, t] = column.slack(polished)[1] + column.high - column.low
    return ColumnDuals(gaps, theta, room, price_room, noise, met)


def _polished(column: Column) -> tuple[float, Array, Array]:
    """The least gap that pivoting finds and its theta; the best b that it meets."""
    least, best, met, cost = np.inf, column.w, column.b, column.cost(column.b)
    for start in (column.best_alone, column.nearest):
        chosen, seen = start(), set[bytes]()
        while len(seen) < _PIVOTS and chosen.tobytes() not in seen:
            seen.add(chosen.tobytes())
            theta, x = column.on(chosen)
            gap, value = column.gap(theta), column.cost(np.maximum(x, 0.0))
            if gap < least:
                least, best = gap, theta
            if value < cost:
                met, cost = np.maximum(x, 0.0), value
            slack, room = column.slack(theta)
            after = np.where(chosen, x > 0.0, slack < room)
            if np.array_equal(after, chosen) and (slack[chosen] <= 4.0 * room[chosen]).all():
                return least, best, met  # x is the best b
            chosen = after
    return least, best, met


def rounding(W: Array, features: int | None = None) -> float:
    """u of the essay."""
    d, T = W.shape
    terms: int = (features or d) + T + 4
    return terms * _EPS


def price_room(tasks: TaskSet, model: Model, W: Array, prices: Array) -> Array:
    """What rounding can have done to the prices at W, (T,), the rows as they are stored."""
    found = loss_room(tasks, model, W)
    linear = model.transfer.row_prices(model.task_weight(tasks) * found)
    fixed = model.transfer.row_prices(np.zeros(tasks.T))
    assert linear is not None and fixed is not None
    room: Array = (linear - fixed) * (1.0 + SUMMED) + SUMMED * prices
    return room


def loss_room(tasks: TaskSet, model: Model, W: Array) -> Array:
    """What rounding can have done to the losses at W, (T,), but for that of their sums.

    z_i is known to within u |x_i|'|w|, in turned coordinates within u ||x_i|| ||w||, which a feature in other
    units makes far larger; and phi, which is convex, changes in that interval by at most the slope at its
    steeper end times that.
    """
    loss, noise, found = model.loss, rounding(W, features(tasks)), np.empty(tasks.T)
    for t, (task, w) in enumerate(zip(tasks, W.T, strict=True)):
        z = task.X @ w
        turned = tasks.basis is not None
        sizes = float(np.linalg.norm(w)) * row_lengths(task.X) if turned else np.abs(task.X) @ np.abs(w)
        off = noise * sizes
        ends = np.abs(loss.subgradients(z - off, task.y)[0]), np.abs(loss.subgradients(z + off, task.y)[1])
        found[t] = loss.scale(task) * float(np.maximum(*ends) @ off)
    return found


def features(tasks: TaskSet) -> int:
    """d, of the features that coordinates stand for where the tasks are in coordinates."""
    return tasks.d if tasks.basis is None else len(tasks.basis)
