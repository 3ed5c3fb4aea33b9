"""Feasible sets of B that say how much may be given.

    RowBudgets   sum_t B[s, t] <= limit: what a task may give
    DegreeHull   B <= cap, sum_t B[s, t] <= degree cap: the hull of rows with `degree` entries up to `cap`
    TotalSum     sum B = total

all of them in {B >= 0, diag(B) = 0}. Projections find their thresholds from sorted entries, all rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.transfer.sets import FeasibleSet, project_transfer

_EPS = float(np.finfo(np.float64).eps)
_KNOWN = 1e-9  # what the threshold of a projection is known to
_NEAR = 0.05  # smallest singular value of I - B with which a fit may start


@dataclass(frozen=True)
class RowBudgets(FeasibleSet):
    """``{B >= 0, diag(B) = 0, sum_t B[s, t] <= limit}``."""

    words: ClassVar[str] = "B >= 0, diag(B) = 0, row sums within the budget"
    limit: float

    def project(self, V: Array) -> Array:
        B = project_transfer(V)
        over = B.sum(axis=1) > self.limit
        if over.any():
            B[over] = capped_rows(B[over], self.limit)
        return B

    def margin(self, V: Array) -> float:
        return face_margin(V, self.project(V), self.limit)

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [cp.sum(B, axis=1) <= self.limit]


@dataclass(frozen=True)
class DegreeHull(FeasibleSet):
    """``{0 <= B <= cap, diag(B) = 0, sum_t B[s, t] <= degree cap}``.

    The convex hull of the rows with at most `degree` entries, each at most `cap`: its own rows can have more.
    """

    words: ClassVar[str] = "B >= 0, diag(B) = 0, entries within the cap, row sums within degree times the cap"
    degree: int
    cap: float

    @property
    def most(self) -> int:
        return self.degree

    def project(self, V: Array) -> Array:
        B = np.minimum(project_transfer(V), self.cap)
        limit = self.degree * self.cap
        over = B.sum(axis=1) > limit
        if over.any():
            B[over] = capped_rows(project_transfer(V)[over], limit, cap=self.cap)
        return B

    def margin(self, V: Array) -> float:
        return face_margin(V, self.project(V), self.degree * self.cap, cap=self.cap)

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [self.cap >= B, cp.sum(B, axis=1) <= self.degree * self.cap]


@dataclass(frozen=True)
class TotalSum(FeasibleSet):
    """``{B >= 0, diag(B) = 0, sum B = total}``, T if `total` is None; the sum to within its rounding."""

    words: ClassVar[str] = "B >= 0, diag(B) = 0, entries that sum to the total"
    total: float | None

    def limit(self, T: int) -> float:
        """The sum of all entries."""
        return float(T) if self.total is None else self.total

    def project(self, V: Array) -> Array:
        return self.nearest(V, 1.0)

    def nearest(self, V: Array, step: float | Array) -> Array:
        """The point B of the set with the least ``sum (B - V)^2 / step``, `step` a number or (T, 1).

        It is max(V - step tau, 0), whose sum falls with tau: breakpoints V / step, sorted.
        """
        limit, B = self.limit(len(V)), project_transfer(V)
        if np.array_equal(B, V) and self._within(B, limit):
            return B
        off = ~np.eye(len(V), dtype=bool)
        steps = np.broadcast_to(step, V.shape)[off]
        breaks = V[off] / steps
        breaks -= breaks.max()  # of large V only the differences count
        order = np.argsort(-breaks)
        taus = (np.cumsum((steps * breaks)[order]) - limit) / np.cumsum(steps[order])
        tau = taus[np.count_nonzero(breaks[order] > taus) - 1]
        B[off] = steps * np.maximum(breaks - tau, 0.0)
        for _ in range(3):
            if self._within(B, limit):
                break
            B *= limit / B.sum()
        return B

    def margin(self, V: Array) -> float:
        B, off = self.project(V), ~np.eye(len(V), dtype=bool)
        tau = float((V - B)[B > 0.0].mean())
        if np.abs(np.maximum(V - tau, 0.0) - B)[off].max() > _KNOWN * B.max():
            return 0.0
        return 0.5 * float(np.abs(V - tau)[off].min())  # tau moves no farther than V

    @staticmethod
    def _within(B: Array, limit: float) -> bool:
        return abs(float(B.sum()) - limit) <= 4.0 * _EPS * limit

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [cp.sum(B) == self.limit(B.shape[0])]

    def start(self, T: int) -> Array:
        """A cycle of at most .5 an edge, the rest from earlier to later tasks; I - B is not singular.

        Rows that all sum to total / T, as in the point nearest to 0 or in a cycle with the rest spread
        evenly, have the vector of ones in the kernel of I - B for total = T. Where the cycle makes I - B
        nearly singular, all of the total goes from earlier to later tasks: det(I - B) = 1.
        """
        limit, earlier = self.limit(T), np.triu(np.ones((T, T)), 1)
        earlier /= max(earlier.sum(), 1.0)
        share = min(0.5, limit / T)
        B = share * np.roll(np.eye(T), 1, axis=1) + (limit - share * T) * earlier
        if np.linalg.svd(np.eye(T) - B, compute_uv=False)[-1] < _NEAR:
            B = limit * earlier
        return self.project(B)


def capped_rows(P: Array, limit: float, *, cap: float = np.inf) -> Array:
    """The nearest rows in [0, cap] with sum `limit` to rows P >= 0 (k, T) that sum to more when cut at `cap`.

    B = min(max(P - tau, 0), cap): an entry begins to count at tau = P and stops at tau = P - cap. The sums as
    computed are at most the limit. Source: Held, Wolfe, Crowder, Validation of subgradient optimization, 1974
    (thresholds from the sorted entries).
    """
    breaks, signs = P, np.ones_like(P)
    if np.isfinite(cap):
        breaks, signs = np.hstack([P, P - cap]), np.hstack([signs, -signs])
    order = np.argsort(-breaks, axis=1, kind="stable")
    ordered, signs = np.take_along_axis(breaks, order, axis=1), np.take_along_axis(signs, order, axis=1)
    counts, sums = np.cumsum(signs, axis=1), np.cumsum(signs * ordered, axis=1)
    slack = 4.0 * _EPS * (limit + P.max(axis=1, keepdims=True))  # where as many entries as fit are at the cap
    last = np.count_nonzero(sums - counts * ordered < limit - slack, axis=1) - 1
    each = np.arange(len(P))
    few, tau = counts[each, last], ordered[each, last]
    tau = np.divide(sums[each, last] - limit, few, out=tau, where=few > 0.0)
    B: Array = np.clip(P - tau[:, None], 0.0, cap)
    for _ in range(3):  # rounding may leave a sum above the limit
        sums = B.sum(axis=1)
        above = sums > limit
        if not above.any():
            break
        B[above] *= (limit / sums[above] * (1.0 - 2.0 * _EPS))[:, None]
    return B


def face_margin(V: Array, B: Array, limit: float, *, cap: float = np.inf) -> float:
    """How far V may move before its projection B on rows in [0, cap] of sums <= limit leaves its face.

    B = min(max(V - tau, 0), cap) with tau > 0 where a row is spent, which moves no farther than V does; where
    entries are 0 or `cap` alone, any tau between them will do. In other rows what is between grows with V.
    """
    T, off = len(V), ~np.eye(len(V), dtype=bool)
    full = (cap * (1.0 - 4.0 * _EPS) <= B) & np.isfinite(cap)
    free = (B > 0.0) & ~full
    count = free.sum(axis=1)
    spent = np.minimum(project_transfer(V), cap).sum(axis=1) > limit
    low = np.where(off & (B <= 0.0), V, 0.0).max(axis=1, initial=0.0)
    high = np.where(full, V - cap, np.inf).min(axis=1, initial=np.inf)
    between = np.where(np.isfinite(high), 0.5 * (low + high), low)
    tau = np.where(count > 0, np.where(free, V - B, 0.0).sum(axis=1) / np.maximum(count, 1), between)
    tau = np.where(spent, tau, 0.0)[:, None]
    if np.abs(np.clip(V - tau, 0.0, cap) - B)[off].max(initial=0.0) > _KNOWN * B.max(initial=0.0):
        return 0.0
    ends = np.minimum(np.abs(V - tau), np.abs(V - tau - cap))
    ends = np.where(off, ends, np.inf).min(axis=1)
    slack = np.where(count > 0, (limit - B.sum(axis=1)) / np.maximum(count, 1), np.inf)
    rows = np.where(spent, np.minimum(0.5 * ends, tau[:, 0]), np.minimum(ends, slack))
    return max(float(rows.min()), 0.0) if T > 1 else np.inf
