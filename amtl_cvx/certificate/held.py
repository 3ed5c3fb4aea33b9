r"""Second order where the loss has kinks (hinge, quantile): the rows that are held on them.

At a first-order point some rows K stand on the kink of phi(z) = max(low (z - kink), high (z - kink)), each
with a v_k in [low, high]; every other row has z_i off its kink and is linear near the point. Let v_k lie
strictly inside, A hold the rows x_k in the place of w_t, and eta_k = a_t s_t v_k (s_t = 1/n_t or 1). Then

    J - J* >= L - L* + delta sum over K |x_k'w_t - kink_k|,   delta > 0,    L = J without K + sum eta_k c_k

near the point, c_k = x_k'w_t - kink_k, and along A dw = 0 J is as smooth as L, so that strict local minimum
means: the Hessian H of L, restricted to the kernel of A and to the edges, is positive definite, beside strict
complementarity of rows and edges. H has no part from phi: it is that of the coupling and of the prices.

In lengths (`atom_model`), A with unit rows and singular values from sigma up, N a basis of its kernel:

    Newton step    dy = p + N q,    p = -A^+ c,    q = -(N'S N)^-1 N'(g + S p)
    v_k            moves by at most |row k of (A A')^-1 A| (|g| + |S| reach) over a_t s_t |x_k|, and by the
                   relative change of a_t
    z_i            moves by at most |p| |x_i| + reach |N'x_i|, rounding on top: c is affine, so that the true
                   point is off the stored one by p across the kernel, whatever J does along it

Rows that depend on each other have no unique v, a v at the end of its interval or a row that may reach its
kink is no strict complementarity: degenerate, with the reason.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.atom_model import AtomModel
from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.problem import Point

_EPS = float(np.finfo(np.float64).eps)
_INSIDE = 1e-7
"""Share of its interval by which a multiplier keeps away from both ends if its row is held."""


class _Row(NamedTuple):
    """A row that is held: row k of task t, its c_k, v_k and a_t s_t."""

    t: int
    k: int
    miss: float
    v: float
    weight: float
    low: float
    high: float


class HeldRows:
    """The rows on a kink at a point, and J around it with these rows held; see the module essay."""

    def __init__(self, point: Point) -> None:
        tasks, model, W = point.tasks, point.model, point.W
        self.tasks, self.model, self.W = tasks, model, W
        u = kinked_multipliers(point)
        self.rows: list[_Row] = []
        self.away: list[tuple[Array, Array]] = []
        """Per task: the side of every row that is off its kink and can move, else 0; the kinks of all."""
        slopes = np.empty_like(W)
        weights = point.loss_weight
        for t, (task, v) in enumerate(zip(tasks, u, strict=True)):
            low, high = model.loss.on(task.sample_weight).domain(task.y)
            share = (v - low) / (high - low)
            kinks = model.loss.kinks(task.y)
            moves = task.X.any(axis=1)
            held = moves & (share > _INSIDE) & (share < 1.0 - _INSIDE)
            self.away.append((np.where(moves & ~held, np.where(share > 0.5, 1.0, -1.0), 0.0), kinks))
            scale = model.loss.scale(task)
            miss = task.X @ W[:, t] - kinks
            self.rows += [
                _Row(
                    t, int(k), float(miss[k]), float(v[k]), weights[t] * scale, float(low[k]), float(high[k])
                )
                for k in np.flatnonzero(held)
            ]
            ends = np.where(share > 0.5, high, low)
            slopes[:, t] = scale * (task.X.T @ np.where(held, 0.0, ends))
        self.local = AtomModel(point, loss_gradient=slopes)
        self._restrict()
        pull = fenchel(point, u).pull + point.square_gradient_W
        self.gradient = np.r_[pull.T.ravel(), self.local.multipliers[self.local.free]] / self.local.root

    def _restrict(self) -> None:
        """H and S on the kernel of A, in units and in lengths."""
        local, d = self.local, len(self.W)
        n = len(local.root)
        A = np.zeros((len(self.rows), n))
        for i, row in enumerate(self.rows):
            A[i, row.t * d : (row.t + 1) * d] = self.tasks[row.t].X[row.k]
        raw, _, _ = _kernel(A)
        self.H = raw.T @ local.H @ raw
        scaled = A / local.root
        self.lengths = np.linalg.norm(scaled, axis=1)
        self.A = scaled / self.lengths[:, None]
        self.N, self.sigma, self.rank = _kernel(self.A)
        self.S = self.N.T @ local.S @ self.N

    @property
    def count(self) -> int:
        """Rows that are held."""
        return len(self.rows)

    @property
    def along(self) -> str:
        """The moves that are left, in words."""
        return f" along the {len(self.rows)} rows on their kinks"

    @property
    def kept(self) -> str:
        """What was found of the rest, in words."""
        return ", every row keeps its kink or its side of it"

    def change(self, step: Array) -> float:
        """By how much S changes over a step."""
        return self.local.change(step)

    def noise(self) -> float:
        """What rounding can do to an eigenvalue of N'S N: that of S, and that of N."""
        return self.local.noise() * (1.0 + 2.0 / self.sigma)

    def dependent(self) -> str:
        """That the rows depend on each other, in words; "" where they do not."""
        if self.rank == len(self.rows):
            return ""
        return (
            f"{len(self.rows)} rows stand on their kinks and only {self.rank} of them are linearly"
            " independent: their multipliers are not unique"
        )

    def newton(self) -> Array:
        """The Newton step in lengths; N'S N is definite, A has full rank."""
        p = self._onto_kinks()
        if not self.N.shape[1]:
            return p
        right = self.N.T @ (self.gradient + self.local.S @ p)
        step: Array = p - self.N @ sl.solve(self.S, right, assume_a="pos", check_finite=False)
        return step

    def rounding(self, smallest: float) -> float:
        """How far the point of the Newton step can be off by rounding, in lengths."""
        across = self._rounding_across()
        along = self.gradient_rounding() + self._norm() * across
        return across + (along / smallest if self.N.shape[1] else 0.0)

    def _rounding_across(self) -> float:
        """The part of it that leads off the kinks."""
        across = float(np.linalg.norm([self.z_rounding(row.t)[row.k] for row in self.rows] / self.lengths))
        return across / self.sigma

    def touching(self, reach: float) -> str:
        """Which row can leave its kink or reach it within `reach`, in words; "" where none."""
        return self._leaving(reach) or self._reaching(reach)

    def row_moves(self, reach: float) -> list[float]:
        """By how much the v of each row that is held can move within reach."""
        inverse = sl.pinvh(self.A @ self.A.T) if self.rows else np.zeros((0, 0))
        spread = float(np.linalg.norm(self.gradient)) + self.gradient_rounding() + self._norm() * reach
        moved = np.sqrt(np.diag(inverse)) * spread / self.lengths
        return [
            float(move) / row.weight + max(-row.low, row.high) * self.weight_change(row.t, reach)
            for row, move in zip(self.rows, moved, strict=True)
        ]

    def _leaving(self, reach: float) -> str:
        for row, change in zip(self.rows, self.row_moves(reach), strict=True):
            if min(row.v - row.low, row.high - row.v) <= change:
                return (
                    f"{self._name(row.t, row.k)} is on its kink with the multiplier {row.v:.3g} in"
                    f" [{row.low:g}, {row.high:g}], which can be at its end within twice the Newton step (it"
                    f" moves by up to {rounded_up(change, 1)}): strict complementarity is not certain"
                )
        return ""

    def _reaching(self, reach: float) -> str:
        """The same of a row off its kink; across the rows that are held there is p alone to move it."""
        d, across = len(self.W), 2.0 * (float(np.linalg.norm(self._onto_kinks())) + self._rounding_across())
        for t, (task, (side, kinks)) in enumerate(zip(self.tasks, self.away, strict=True)):
            own = slice(t * d, (t + 1) * d)
            rows = task.X / self.local.root[own]
            moves = across * np.linalg.norm(rows, axis=1) + reach * np.linalg.norm(rows @ self.N[own], axis=1)
            distances = side * (task.X @ self.W[:, t] - kinks)
            close = (side != 0.0) & (distances <= moves + self.z_rounding(t))
            if close.any():
                k = int(np.flatnonzero(close)[0])
                distance = float(abs(distances[k]))
                return (
                    f"{self._name(t, k)} is {distance:.1g} away from its kink with a multiplier at the end of"
                    " its interval, and can reach it within twice the Newton step: strict complementarity is"
                    " not certain"
                )
        return ""

    def _onto_kinks(self) -> Array:
        """p of the module essay, (n,)."""
        return -self._raised([row.miss / length for row, length in zip(self.rows, self.lengths, strict=True)])

    def _raised(self, right: list[float]) -> Array:
        """A^+ right, (n,)."""
        found: Array = np.linalg.lstsq(self.A, np.array(right), rcond=None)[0]
        return found

    def _norm(self) -> float:
        """A bound of |S|."""
        return self.local.norm

    def z_rounding(self, t: int) -> Array:
        """By how much z - kink may be off by rounding, (n_t,)."""
        task = self.tasks[t]
        return 16.0 * _EPS * (np.abs(task.X) @ np.abs(self.W[:, t]) + np.abs(self.away[t][1]))

    def gradient_rounding(self) -> float:
        """Norm of the rounding errors of g: a few eps times the size of its terms."""
        weight = self.model.loss_weight(self.tasks, self.local.B)
        K = np.abs(self.local.point.K)
        terms = 2.0 * self.model.coupling * (np.abs(self.W) @ K) @ K.T
        for t, task in enumerate(self.tasks):
            low, high = self.model.loss.on(task.sample_weight).domain(task.y)
            size = np.maximum(-low, high)
            terms[:, t] += weight[t] * self.model.loss.scale(task) * (np.abs(task.X).T @ size)
        sizes = np.r_[terms.T.ravel(), self.local.sizes[self.local.free]]
        return 4.0 * _EPS * float(np.linalg.norm(sizes / self.local.root))

    def weight_change(self, t: int, reach: float) -> float:
        """Largest relative change of a_t within reach."""
        local = self.local
        rates = local.atoms.rates(local.x, np.flatnonzero(local.free))[:, t] / local.root[self.W.size :]
        total = float(self.model.loss_weight(self.tasks, self.local.B)[t])
        return float(self.model.task_weight(self.tasks)[t] * np.linalg.norm(rates)) * reach / total

    def _name(self, t: int, k: int) -> str:
        return f"row {k} of {self.tasks.names[t]!r}"


def _kernel(A: Array) -> tuple[Array, float, int]:
    """An orthonormal basis (n, n - rank) of the kernel, the least singular value above rounding, the rank."""
    m, n = A.shape
    if not m:
        return np.eye(n), math.inf, 0
    _, singular, V = sl.svd(A, full_matrices=True, check_finite=False)
    rank = int((singular > 32.0 * max(m, n) * _EPS * singular[0]).sum())
    return V[rank:].T, float(singular[rank - 1]) if math.isfinite(singular[0]) else 0.0, rank
