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

from amtl_cvx.certificate.room import rounding
from amtl_cvx.problem.coupling import residual
from amtl_cvx.tasks import Array, Indices, Mask

_TIGHT = 1e-12
"""A gap below this part of P(b), or all but rounding, is not improved any more."""
_PIVOTS = 12
_DEPENDENT = 1e-6  # what a column may have beside those before it, and not be taken to depend on them
_STACK = 500_000  # numbers in the predictors of the columns that are polished together


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
    """One column with what rounding can do to it, or a stack of them: arrays then have one axis before."""

    A: Array
    """(d, T - 1)"""
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
    blur: Array | float
    """How far rounding can be off in 2 coupling r."""

    def of(self, which: Indices | int) -> Column:
        """Some of a stack, in their order, or one."""
        if not isinstance(which, int) and len(which) == len(self.b):
            return self
        found = {name: getattr(self, name)[which] for name in _STACKED}
        return Column(coupling=self.coupling, noise=self.noise, **found)

    def slack(self, theta: Array) -> tuple[Array, Array]:
        """p - A'theta at the low prices, and its room."""
        room = self.noise * (self.low + self.length * _size(theta)[..., None])
        return self.low - _times(theta, self.A), room

    def gap(self, theta: Array, known: tuple[Array, Array] | None = None) -> Array:
        """P(b) - D(theta) with what rounding can hide; infinite unless A'theta <= p is certain.

        `known` is the slack of theta.
        """
        slack, room = self.slack(theta) if known is None else known
        away = _size(self.pull - theta) + self.blur
        rest = (self.b * (slack + room + (self.high - self.low))).sum(axis=-1)
        gap: Array = (away**2 / (4.0 * self.coupling) + rest) * (1.0 + self.noise)
        return gap + np.where((slack < room).any(axis=-1), np.inf, 0.0)

    def cost(self, x: Array) -> Array:
        """P(x)."""
        r = self.w - (self.A @ x[..., None])[..., 0]
        cost: Array = self.coupling * (r * r).sum(axis=-1) + (self.low * x).sum(axis=-1)
        return cost

    def best_alone(self) -> Mask:
        """Rows for which the best b_j, the others as they are, is positive."""
        q = self.low - _times(self.pull, self.A)
        chosen: Mask = 2.0 * self.coupling * self.length**2 * self.b > q
        return chosen

    def nearest(self) -> Mask:
        """The support of the best b, by non-negative least squares (Lawson, Hanson, section 23.4)."""
        if self.b.ndim > 1:
            return np.stack([self.of(one).nearest() for one in range(len(self.b))])
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
        """theta that asks for A_j'theta = p_j on the chosen rows of a stack, a little less; b of it."""
        x = np.where(chosen, self.b, 0.0)
        theta = 2.0 * self.coupling * (self.w - (self.A @ x[..., None])[..., 0])
        first = np.argsort(~chosen, axis=1, kind="stable")[:, : int(chosen.sum(axis=1).max(initial=0))]
        taken, length = np.take_along_axis(chosen, first, 1), np.take_along_axis(self.length, first, 1)
        unit = np.divide(taken, length, out=np.zeros_like(length), where=length > 0.0)
        directions = np.take_along_axis(self.A, first[:, None, :], 2) * unit[:, None, :]
        Q, inverse = _split(directions, taken, self.noise)
        for _ in range(2):  # again with the room of the theta found
            slack, room = self.slack(theta)
            part = _times(unit * np.take_along_axis(2.0 * room - slack, first, 1), inverse)
            moved = unit * _times(part, inverse.swapaxes(1, 2)) / (2.0 * self.coupling)
            np.put_along_axis(x, first, np.take_along_axis(x, first, 1) + moved, 1)
            theta = theta - _times(part, Q.swapaxes(1, 2))
        return theta, x


_STACKED = ("A", "w", "b", "low", "high", "pull", "length", "blur")


def _split(S: Array, taken: Mask, noise: float) -> tuple[Array, Array]:
    """Q (k, d, r), orthonormal, and (Q'S)^+ (k, m, r) of columns of length 1, those not `taken` being 0.

    By QR; where some columns depend on others by their singular values, those of rounding left out.
    """
    if S.shape[2] <= S.shape[1]:
        Q, R = np.linalg.qr(S)
        R = R + np.eye(S.shape[2]) * ~taken[:, None, :]
        if (np.abs(np.einsum("kii->ki", R)) > _DEPENDENT).all():
            return Q, np.linalg.inv(R)
    U, values, V = np.linalg.svd(S, full_matrices=False)
    kept = values > noise * values.max(axis=1, initial=0.0, keepdims=True)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    return U, V.swapaxes(1, 2) * inverse[:, None, :]


def _size(vectors: Array) -> Array:
    """Their lengths, along the last axis."""
    size: Array = np.sqrt((vectors * vectors).sum(axis=-1))
    return size


def _times(vectors: Array, matrices: Array) -> Array:
    """A'v of one or of each in a stack."""
    product: Array = (vectors[..., None, :] @ matrices)[..., 0, :]
    return product


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
    for chosen in _shares(np.flatnonzero(loose), W.size):
        places, own = _others(chosen, len(B)), chosen[:, None]
        columns = Column(
            A=W.T[places].swapaxes(1, 2),
            w=W.T[chosen],
            b=B[places, own],
            low=low[places],
            high=high[places],
            pull=pull.T[chosen],
            coupling=coupling,
            noise=noise,
            length=length[places],
            blur=blur[chosen],
        )
        found, points, met[places, own] = polished(columns)
        better = np.flatnonzero(found < gaps[chosen])
        to, columns, points = chosen[better], columns.of(better), points[better]
        gaps[to], theta[:, to] = found[better], points.T
        room[places[better], to[:, None]] = columns.slack(points)[1] + columns.high - columns.low
    return ColumnDuals(gaps, theta, room, price_room, noise, met)


def _shares(columns: Indices, size: int) -> list[Indices]:
    """The columns in parts whose predictors, `size` numbers a column, are a few MB."""
    return np.array_split(columns, max(1, -(-len(columns) * size // _STACK))) if len(columns) else []


def _others(columns: Indices, T: int) -> Indices:
    """The other tasks of each, (k, T - 1)."""
    others = np.arange(T - 1)
    return others + (others >= columns[:, None])


def polished(columns: Column) -> tuple[Array, Array, Array]:
    """The least gaps that pivoting finds and their theta; the best b that it meets; of a stack."""
    least, best, met = np.full(len(columns.b), np.inf), columns.w.copy(), columns.b.copy()
    cost, left = columns.cost(columns.b), np.ones(len(columns.b), dtype=bool)
    for start in (Column.best_alone, Column.nearest):
        if not left.any():
            break
        at, seen = np.flatnonzero(left), set[tuple[int, bytes]]()
        chosen = start(columns.of(at))
        for _ in range(_PIVOTS):
            marks = [(t, on.tobytes()) for t, on in zip(at.tolist(), chosen, strict=True)]
            new = np.array([mark not in seen for mark in marks], dtype=bool)
            seen.update(marks)
            at, chosen = at[new], chosen[new]
            if not len(at):
                break
            column = columns.of(at)
            theta, x = column.on(chosen)
            slack, room = column.slack(theta)
            gap, x_held = column.gap(theta, (slack, room)), np.maximum(x, 0.0)
            value = column.cost(x_held)
            better, lower = gap < least[at], value < cost[at]
            least[at[better]], best[at[better]] = gap[better], theta[better]
            met[at[lower]], cost[at[lower]] = x_held[lower], value[lower]
            after = np.where(chosen, x > 0.0, slack < room)
            done = (after == chosen).all(axis=1) & ~(chosen & (slack > 4.0 * room)).any(axis=1)  # the best b
            left[at[done]] = False
            at, chosen = at[~done], after[~done]
    return least, best, met
