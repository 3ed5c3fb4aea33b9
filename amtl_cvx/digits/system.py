r"""The first-order system of J on its free variables, in balls.

Unknowns: W, one task after the other, then B_st of every edge of the support. With M = I - B, R = W M and
beta_s = sum_t B_st, prices p_s = p0_s + k_s c_s l_s (AMTL: p0 = 0, k = mu) and a_t = c_t (1 + k_t beta_t),

    J           = sum_t c_t l_t + sum_s p_s beta_s + coupling ||R||_F^2 + rho tr(W Gamma W')
    G_W[:, t]   = a_t grad L_t(w_t) + 2 coupling (R M')_t + 2 rho (W Gamma)_t
    G_B[s, t]   = p_s - 2 coupling w_s'r_t
    d G_W[:, t] / dw_u     = [u = t] a_t Hess L_t + 2 coupling (M M')_tu I + 2 rho Gamma_tu I
    d G_B[s, t] / dw_u     = [u = s] (k_s c_s grad l_s - 2 coupling r_t) - 2 coupling M_ut w_s
    d G_B[s, t] / dB_pq    = [q = t] 2 coupling w_s'w_p

where the terms in rho are those of a quadratic penalty on W, so the Jacobian of the system is the reduced
Hessian of J (theory.md section 7). Every number that enters is exact or a ball around a real number, and
Arb's products enclose: a value at balls holds for all their
points. The precision is that of `flint.ctx` when a method is called.

A loss with a kink (hinge, quantile) comes with a side for each row: below its kink, above it, or on it, K.
On these sides J is a polynomial. The rows of K cost nothing and hold their task instead, with one unknown
more each, eta_k = a_t s_t u_k, u_k the subgradient of the row, s_t = 1/n_t or 1 (a row that counts v times
has v phi for phi, and n_t is the sum of the v, exact):

    G_W[:, t]   + sum of eta_k x_k over the rows k of K in task t
    c_k         = x_k'w_t - kink_k

so that the Jacobian is the bordered Hessian [[H, A'], [A, 0]] of the Lagrangian, A with the rows x_k in the
place of w_t. It does not depend on eta. `kinks` proves that the sides are the true ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from flint import arb, arb_mat

from amtl_cvx.digits.counts import exact_count
from amtl_cvx.digits.gram import exact_gram
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.losses import Kink, Row, Wedge, row_function, wedge_function
from amtl_cvx.digits.prices import linear_prices
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Array, TaskSet

Edge = tuple[int, int]
Part = TypeVar("Part", Row, Wedge)
Sides = tuple[tuple[int, ...], ...]
"""Of every task and row: -1 below its kink, 0 on it, 1 above it."""


class State(NamedTuple):
    """W (d, T), M = I - B (T, T), R = W M (d, T), beta (T,), a (T,)."""

    W: arb_mat
    M: arb_mat
    R: arb_mat
    outgoing: list[arb]
    weights: list[arb]


class Losses(NamedTuple):
    """L_t, grad L_t (as (d, 1)) and the rows, by task; rows on a kink with nothing."""

    values: list[arb]
    gradients: list[arb_mat]
    rows: list[list[Row]]

    def on(self, piece: str) -> tuple[tuple[int, ...], ...]:
        """The rows of every task on a piece of its loss."""
        return tuple(tuple(i for i, row in enumerate(rows) if row.piece == piece) for rows in self.rows)


class FirstOrderSystem:
    """The system of one problem and one support, for a loss with a kink of one choice of sides as well."""

    def __init__(
        self, tasks: TaskSet, model: Model, support: Sequence[Edge], sides: Sides | None = None
    ) -> None:
        self.tasks, self.loss, self.support = tasks, model.loss, tuple(support)
        self.T, self.d = tasks.T, tasks.d
        self.sides = sides
        self.kinks = [
            (t, k)
            for t, side in enumerate(sides or ())
            for k, s in enumerate(side)
            if s == 0 and tasks[t].X[k].any()  # a row of zeros is where it is whatever W
        ]
        self.size = self.T * self.d + len(self.support) + len(self.kinks)
        self.coupling = arb(float(model.coupling))
        self.gram = arb_mat(exact_gram(model, self.T))
        prices = linear_prices(model.transfer, self.T)
        self.fixed_prices = [arb(at_zero) for at_zero, _ in prices]
        self.price_rates = [arb(at_unit) - arb(at_zero) for at_zero, at_unit in prices]
        self.c = _task_weights(tasks, model)
        mean = model.loss.reduction == "mean"
        self.scales = [1 / arb(exact_count(task)) if mean else arb(1) for task in tasks]
        self.v = [
            None if task.sample_weight is None else [arb(v) for v in task.sample_weight.tolist()]
            for task in tasks
        ]
        self.X = [arb_mat(task.X.tolist()) for task in tasks]
        wedge = wedge_function(model.loss)
        self.wedges: list[list[Wedge]] = (
            []
            if wedge is None
            else [
                _counted([wedge(y) for y in task.y.tolist()], v)
                for task, v in zip(tasks, self.v, strict=True)
            ]
        )

    def state(self, x: arb_mat, around: arb | None = None) -> State:
        """W and B of the unknowns; the entries off the support are 0, or the ball `around`."""
        entries, T, d = x.entries(), self.T, self.d
        W = arb_mat([[entries[t * d + i] for t in range(T)] for i in range(d)])
        B = [[arb(0) if around is None or s == t else around for t in range(T)] for s in range(T)]
        for (s, t), value in zip(self.support, self.edges(x), strict=True):
            B[s][t] = value
        M = arb_mat([[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)])
        outgoing = [sum(row, arb(0)) for row in B]
        weights = [c * (1 + k * beta) for c, k, beta in zip(self.c, self.price_rates, outgoing, strict=True)]
        return State(W, M, W * M, outgoing, weights)

    def edges(self, x: arb_mat) -> list[arb]:
        """The unknowns B_st, by the support."""
        start = self.T * self.d
        return list(x.entries()[start : start + len(self.support)])

    def predictions(self, W: arb_mat, t: int) -> list[arb]:
        """x_ti'w_t of every row."""
        return list((self.X[t] * _columns(W, t)).entries())

    def losses(self, W: arb_mat) -> Losses:
        """The losses of all tasks; `NotCertifiable` where a row reaches the seam of two pieces."""
        found = Losses([], [], [])
        for t, task in enumerate(self.tasks):
            try:
                rows = self._rows(W, t)
            except Kink:
                raise Undecided(
                    f"a row of {task.name!r} lies at the kink of the {self.loss.name} loss to all digits:"
                    " J has no second derivative there"
                ) from None
            slopes = arb_mat([[r.slope for r in rows]])
            found.values.append(self.scales[t] * sum((r.value for r in rows), arb(0)))
            found.gradients.append((slopes * self.X[t] * self.scales[t]).transpose())
            found.rows.append(rows)
        return found

    def _rows(self, W: arb_mat, t: int) -> list[Row]:
        predictions = self.predictions(W, t)
        if self.sides is not None:
            return [
                wedge.row(z, side)
                for wedge, z, side in zip(self.wedges[t], predictions, self.sides[t], strict=True)
            ]
        row = row_function(self.loss)
        rows = [row(z, y) for z, y in zip(predictions, self.tasks[t].y.tolist(), strict=True)]
        return _counted(rows, self.v[t])

    def prices(self, losses: Losses) -> list[arb]:
        """p_s, what an edge out of s costs."""
        terms = zip(self.fixed_prices, self.price_rates, self.c, losses.values, strict=True)
        return [fixed + k * c * value for fixed, k, c, value in terms]

    def edge_name(self, s: int, t: int) -> str:
        """The edge s -> t in words."""
        return f"{self.tasks.names[s]} -> {self.tasks.names[t]}"

    def objective(self, x: arb_mat) -> arb:
        """J."""
        at = self.state(x)
        losses = self.losses(at.W)
        total = sum((c * value for c, value in zip(self.c, losses.values, strict=True)), arb(0))
        for price, beta in zip(self.prices(losses), at.outgoing, strict=True):
            total += price * beta
        pairs = zip((at.W * self.gram).entries(), at.W.entries(), strict=True)
        omega = sum((left * w for left, w in pairs), arb(0))
        return total + self.coupling * sum((r * r for r in at.R.entries()), arb(0)) + omega

    def gradient(self, x: arb_mat) -> arb_mat:
        """g, (size, 1): G_W, the G_B of the support, c of the rows on a kink."""
        at = self.state(x)
        losses = self.losses(at.W)
        entries = [value for column in self.slopes_W(at, losses) for value in column]
        for (t, k), eta in zip(self.kinks, x.entries()[self.size - len(self.kinks) :], strict=True):
            for i in range(self.d):
                entries[t * self.d + i] += eta * self.X[t][k, i]
        inner, prices = at.W.transpose() * at.R, self.prices(losses)
        entries += [prices[s] - 2 * self.coupling * inner[s, t] for s, t in self.support]
        entries += [self.predictions(at.W, t)[k] - self.wedges[t][k].kink for t, k in self.kinks]
        return arb_mat(self.size, 1, entries)

    def slopes_W(self, at: State, losses: Losses) -> list[list[arb]]:
        """G_W by columns, without the rows on a kink."""
        pull = 2 * (self.coupling * (at.R * at.M.transpose()) + at.W * self.gram)
        return [
            [at.weights[t] * losses.gradients[t][i, 0] + pull[i, t] for i in range(self.d)]
            for t in range(self.T)
        ]

    def multipliers(self, x: arb_mat, around: arb) -> Iterator[tuple[Edge, arb]]:
        """G_B[s, t] of every pair off the support and the diagonal, whose entries of B are `around`."""
        at = self.state(x, around)
        inner, prices = at.W.transpose() * at.R, self.prices(self.losses(at.W))
        present = set(self.support)
        for s in range(self.T):
            for t in range(self.T):
                if s != t and (s, t) not in present:
                    yield (s, t), prices[s] - 2 * self.coupling * inner[s, t]

    def jacobian(self, x: arb_mat) -> arb_mat:
        """g', (size, size), the reduced Hessian of J, bordered by the rows on a kink; symmetric."""
        at = self.state(x)
        losses = self.losses(at.W)
        T, d, twice = self.T, self.d, 2 * self.coupling
        H = [[arb(0)] * self.size for _ in range(self.size)]
        P = twice * (at.M * at.M.transpose()) + 2 * self.gram
        for t in range(T):
            block = self._hessian(t, losses.rows[t]) * (at.weights[t] * self.scales[t])
            for i in range(d):
                H[t * d + i][t * d : (t + 1) * d] = [block[i, j] for j in range(d)]
                for u in range(T):
                    H[t * d + i][u * d + i] += P[t, u]
        gram = twice * (at.W.transpose() * at.W)
        for e, (s, t) in enumerate(self.support, start=T * d):
            for u in np.flatnonzero([not at.M[u, t].is_zero() for u in range(T)]).tolist():
                for i in range(d):
                    H[e][u * d + i] = -twice * at.M[u, t] * at.W[i, s]
            rate = self.price_rates[s] * self.c[s]
            for i in range(d):
                H[e][s * d + i] += rate * losses.gradients[s][i, 0] - twice * at.R[i, t]
            for f, (p, q) in enumerate(self.support, start=T * d):
                if q == t:
                    H[e][f] = gram[s, p]
            for j in range(T * d):
                H[j][e] = H[e][j]
        for c, (t, k) in enumerate(self.kinks, start=self.size - len(self.kinks)):
            for i in range(d):
                H[c][t * d + i] = H[t * d + i][c] = self.X[t][k, i]
        return arb_mat(H)

    def eliminated_first(self, jacobian: arb_mat) -> arb_mat:
        """The Jacobian with W first, then eta, then B.

        In this order every leading block is regular at a strict local minimum where I - B is: W-W is
        definite, its Schur complement in eta is -A (W-W)^-1 A', what is left is the curvature in B.
        """
        split, edges, rows = self.T * self.d, len(self.support), jacobian.tolist()
        order = [*range(split), *range(split + edges, self.size), *range(split, split + edges)]
        return arb_mat([[rows[i][j] for j in order] for i in order])

    def _hessian(self, t: int, rows: Sequence[Row]) -> arb_mat:
        """X_t' diag(phi'') X_t over the rows that curve."""
        curved = [[row.curvature * x for x in xs] for row, xs in zip(rows, self.X[t].tolist(), strict=True)]
        return self.X[t].transpose() * arb_mat(curved)


def _task_weights(tasks: TaskSet, model: Model) -> list[arb]:
    """c_t: 1, the real number n_t^-1/2 in a ball, or the doubles given."""
    if model.task_weights == "inverse-sqrt":
        return [arb(exact_count(task)).rsqrt() for task in tasks]
    return [arb(float(c)) for c in model.task_weight(tasks)]


def _counted(rows: list[Part], v: list[arb] | None) -> list[Part]:
    """Rows or wedges of a task as often as they count."""
    return rows if v is None else [row.times(weight) for row, weight in zip(rows, v, strict=True)]


def unknowns(W: Array, B: Array, support: Sequence[Edge], multipliers: Sequence[float] = ()) -> arb_mat:
    """The stored point as exact unknowns, (size, 1)."""
    entries = [*W.T.ravel().tolist(), *(float(B[edge]) for edge in support), *multipliers]
    return arb_mat(len(entries), 1, entries)


def _columns(matrix: arb_mat, column: int) -> arb_mat:
    return arb_mat(matrix.nrows(), 1, [matrix[i, column] for i in range(matrix.nrows())])
