r"""The first-order system of J on its free variables, in balls.

Unknowns: W, one task after the other, then the coefficients x_k of the atoms that are free, entries B_st of
the support for AMTL. With B = base + sum_k x_k E_k, M = I - B, R = W M, the weighted losses c l, prices
p_k = P_k'(c l) + p0_k, q_k = Q_k'(c l) + q0_k (AMTL: P_k = mu at the source) and
a_t = c_t (1 + sum_k (P_kt x_k + Q_kt x_k^2)) over all atoms,

    J           = sum_t c_t l_t + sum_k (p_k x_k + q_k x_k^2) + coupling ||R||_F^2 + rho tr(W Gamma W')
    G_W[:, t]   = a_t grad L_t(w_t) + 2 coupling (R M')_t + 2 rho (W Gamma)_t
    G_k         = p_k + 2 q_k x_k - 2 coupling sum of E_k[s, t] w_s'r_t
    d G_W[:, t] / dw_u  = [u = t] a_t Hess L_t + 2 coupling (M M')_tu I + 2 rho Gamma_tu I
    d G_k / dw_u        = (P_ku + 2 x_k Q_ku) c_u grad l_u
                          - 2 coupling sum of E_k[s, t] ([u = s] r_t + M_ut w_s)
    d G_k / dx_j        = [k = j] 2 q_k + 2 coupling sum of E_k[s, t] E_j[p, t] w_s'w_p

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
from typing import NamedTuple

from flint import arb, arb_mat

from amtl_cvx.digits.atoms import exact_atoms
from amtl_cvx.digits.gram import exact_gram
from amtl_cvx.digits.rows import Losses, Sides, TaskRows, exact_task_weights
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Array, TaskSet


class State(NamedTuple):
    """W (d, T), B (T, T), M = I - B, R = W M (d, T), the coefficients of all atoms, a (T,)."""

    W: arb_mat
    B: arb_mat
    M: arb_mat
    R: arb_mat
    x: list[arb]
    weights: list[arb]


class FirstOrderSystem:
    """The system of one problem and its free atoms, for a loss with a kink of one choice of sides as well."""

    def __init__(self, tasks: TaskSet, model: Model, free: Sequence[int], sides: Sides | None = None) -> None:
        self.tasks, self.loss, self.free = tasks, model.loss, tuple(free)
        self.T, self.d = tasks.T, tasks.d
        self.sides = sides
        self.kinks = [
            (t, k)
            for t, side in enumerate(sides or ())
            for k, s in enumerate(side)
            if s == 0 and tasks[t].X[k].any()  # a row of zeros is where it is whatever W
        ]
        self.size = self.T * self.d + len(self.free) + len(self.kinks)
        self.coupling = arb(float(model.coupling))
        self.gram = arb_mat(exact_gram(model, self.T))
        self.atoms, self.base = exact_atoms(model.transfer, self.T)
        self.c = exact_task_weights(tasks, model.task_weights, model.task_weight(tasks))
        self.rows = TaskRows(tasks, model.loss)
        self.scales, self.X, self.wedges = self.rows.scales, self.rows.X, self.rows.wedges

    def state(self, x: arb_mat, around: arb | None = None) -> State:
        """W and B of the unknowns; atoms that are not free are at their bound, up to the ball `around`."""
        entries, T, d = x.entries(), self.T, self.d
        W = arb_mat([[entries[t * d + i] for t in range(T)] for i in range(d)])
        values = [atom.lo if around is None else atom.lo + around for atom in self.atoms]
        for k, value in zip(self.free, self.coefficients(x), strict=True):
            values[k] = value
        B, gains = self.base.tolist(), [arb(1)] * T
        for atom, value in zip(self.atoms, values, strict=True):
            for s, t, size in () if value.is_zero() else atom.entries:
                B[s][t] = B[s][t] + size * value
            for u, rate in atom.loss_rates(value, 0):
                gains[u] = gains[u] + rate
        M = arb_mat([[(1 if s == t else 0) - B[s][t] for t in range(T)] for s in range(T)])
        weights = [c * gain for c, gain in zip(self.c, gains, strict=True)]
        return State(W, arb_mat(B), M, W * M, values, weights)

    def coefficients(self, x: arb_mat) -> list[arb]:
        """The unknowns x_k, of the free atoms."""
        start = self.T * self.d
        return list(x.entries()[start : start + len(self.free)])

    def predictions(self, W: arb_mat, t: int) -> list[arb]:
        """x_ti'w_t of every row."""
        return self.rows.predictions(W, t)

    def losses(self, W: arb_mat) -> Losses:
        """The losses of all tasks; `Undecided` where a row reaches the seam of two pieces."""
        return self.rows.losses(W, self.sides)

    def weighted(self, losses: Losses) -> list[arb]:
        """c_t l_t, what prices see."""
        return [c * value for c, value in zip(self.c, losses.values, strict=True)]

    def name(self, k: int) -> str:
        """The first edge of an atom in words."""
        s, t, size = self.atoms[k].entries[0]
        return f"{self.tasks.names[s]} -> {self.tasks.names[t]}" + (" (below 0)" if size < 0 else "")

    def objective(self, x: arb_mat) -> arb:
        """J."""
        at = self.state(x)
        losses = self.losses(at.W)
        weighted = self.weighted(losses)
        total = sum(weighted, arb(0))
        for atom, value in zip(self.atoms, at.x, strict=True):
            total += atom.cost(weighted, value)
        pairs = zip((at.W * self.gram).entries(), at.W.entries(), strict=True)
        omega = sum((left * w for left, w in pairs), arb(0))
        return total + self.coupling * sum((r * r for r in at.R.entries()), arb(0)) + omega

    def gradient(self, x: arb_mat) -> arb_mat:
        """g, (size, 1): G_W, G_k of the free atoms, c of the rows on a kink."""
        at = self.state(x)
        losses = self.losses(at.W)
        entries = [value for column in self.slopes_W(at, losses) for value in column]
        for (t, k), eta in zip(self.kinks, x.entries()[self.size - len(self.kinks) :], strict=True):
            for i in range(self.d):
                entries[t * self.d + i] += eta * self.X[t][k, i]
        entries += self._slopes(self.free, at, losses)
        entries += [self.predictions(at.W, t)[k] - self.wedges[t][k].kink for t, k in self.kinks]
        return arb_mat(self.size, 1, entries)

    def slopes_W(self, at: State, losses: Losses) -> list[list[arb]]:
        """G_W by columns, without the rows on a kink."""
        pull = 2 * (self.coupling * (at.R * at.M.transpose()) + at.W * self.gram)
        return [
            [at.weights[t] * losses.gradients[t][i, 0] + pull[i, t] for i in range(self.d)]
            for t in range(self.T)
        ]

    def multipliers(self, x: arb_mat, around: arb) -> Iterator[tuple[int, arb]]:
        """G_k of every atom that is not free, whose coefficients are up to `around` from their bounds."""
        at = self.state(x, around)
        held = sorted(set(range(len(self.atoms))) - set(self.free))
        yield from zip(held, self._slopes(held, at, self.losses(at.W)), strict=True)

    def _slopes(self, chosen: Sequence[int], at: State, losses: Losses) -> list[arb]:
        """G_k of some atoms."""
        inner, weighted = at.W.transpose() * at.R, self.weighted(losses)
        found = []
        for k in chosen:
            pulls = (size * inner[s, t] for s, t, size in self.atoms[k].entries)
            found.append(self.atoms[k].price(weighted, at.x[k], 1) - 2 * self.coupling * sum(pulls, arb(0)))
        return found

    def jacobian(self, x: arb_mat) -> arb_mat:
        """g', (size, size), the reduced Hessian of J, bordered by the rows on a kink; symmetric."""
        at = self.state(x)
        losses = self.losses(at.W)
        T, d, twice = self.T, self.d, 2 * self.coupling
        H = [[arb(0)] * self.size for _ in range(self.size)]
        P = twice * (at.M * at.M.transpose()) + 2 * self.gram
        for t in range(T):
            block = self.rows.hessian(t, losses.rows[t]) * (at.weights[t] * self.scales[t])
            for i in range(d):
                H[t * d + i][t * d : (t + 1) * d] = [block[i, j] for j in range(d)]
                for u in range(T):
                    H[t * d + i][u * d + i] += P[t, u]
        gram, weighted = twice * (at.W.transpose() * at.W), self.weighted(losses)
        for e, k in enumerate(self.free, start=T * d):
            self._mixed(H[e], k, at, losses)
            H[e][e] += self.atoms[k].price(weighted, at.x[k], 2)
            for f, j in enumerate(self.free, start=T * d):
                for s, t, size in self.atoms[k].entries:
                    for p, q, other in self.atoms[j].entries:
                        if q == t:
                            H[e][f] += size * other * gram[s, p]
            for j in range(T * d):
                H[j][e] = H[e][j]
        for c, (t, k) in enumerate(self.kinks, start=self.size - len(self.kinks)):
            for i in range(d):
                H[c][t * d + i] = H[t * d + i][c] = self.X[t][k, i]
        return arb_mat(H)

    def _mixed(self, row: list[arb], k: int, at: State, losses: Losses) -> None:
        """Add d G_k / dw to a row of the Jacobian."""
        d, twice = self.d, 2 * self.coupling
        for s, t, size in self.atoms[k].entries:
            for u in [u for u in range(self.T) if not at.M[u, t].is_zero()]:
                for i in range(d):
                    row[u * d + i] += -twice * size * at.M[u, t] * at.W[i, s]
            for i in range(d):
                row[s * d + i] += -twice * size * at.R[i, t]
        for u, rate in self.atoms[k].loss_rates(at.x[k], 1):
            for i in range(d):
                row[u * d + i] += rate * self.c[u] * losses.gradients[u][i, 0]

    def eliminated_first(self, jacobian: arb_mat) -> arb_mat:
        """The Jacobian with W first, then eta, then B.

        In this order every leading block is regular at a strict local minimum where I - B is: W-W is
        definite, its Schur complement in eta is -A (W-W)^-1 A', what is left is the curvature in B.
        """
        split, edges, rows = self.T * self.d, len(self.free), jacobian.tolist()
        order = [*range(split), *range(split + edges, self.size), *range(split, split + edges)]
        return arb_mat([[rows[i][j] for j in order] for i in order])


def unknowns(W: Array, x: Array, free: Sequence[int], multipliers: Sequence[float] = ()) -> arb_mat:
    """The stored point as exact unknowns, (size, 1)."""
    entries = [*W.T.ravel().tolist(), *(float(x[k]) for k in free), *multipliers]
    return arb_mat(len(entries), 1, entries)
