"""Feasible sets of B: which graphs a transfer penalty allows.

    Orthant      B >= 0, diag(B) = 0: where nothing else is said
    Masked       some edges may not be
    AtLeast      B >= lo on some edges
    Mutual       B = B'
    AnySign      entries of any sign
    RowBudgets   sum_t B[s, t] <= limit: what a task may give
    DegreeHull   B <= cap, sum_t B[s, t] <= degree cap: the hull of rows with `degree` entries up to `cap`
    TotalSum     sum B = total

Every set is convex and closed, has a projection that leaves its own points exactly as they are, and a start
from which an alternation can begin: B = 0 where that is feasible. `constraints` are those besides B >= 0 and
a zero diagonal, which every problem has built in; a set with `signed` has no B >= 0.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import Array, Mask

_EPS = float(np.finfo(np.float64).eps)
_NEAR = 0.05  # smallest singular value of I - B with which a fit may start


class FeasibleSet(abc.ABC):
    """A closed convex set of B (T, T) with a zero diagonal; see the module essay."""

    signed: ClassVar[bool] = False
    """Whether entries may be negative; the set (and the price) must not care about their sign."""
    words: ClassVar[str] = "B >= 0, diag(B) = 0"

    @abc.abstractmethod
    def project(self, V: Array) -> Array:
        """The nearest point of the set, (T, T)."""

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        """What holds besides B >= 0 (unless `signed`) and diag(B) = 0."""
        return []

    def start(self, T: int) -> Array:
        """A point from which an alternation can begin, (T, T)."""
        return self.project(np.zeros((T, T)))

    def allowed(self, T: int) -> Mask | None:
        """(T, T): the entries that are free, where the set is B >= 0 on these and 0 elsewhere; else None."""
        return None

    @property
    def most(self) -> int | None:
        """How many others a task should teach, where the set is the convex hull of that; else None."""
        return None

    def excluded(self, T: int) -> Mask | None:
        """(T, T): the edges that may not be; None for a set that is not told by these."""
        allowed = self.allowed(T)
        return None if allowed is None else ~allowed

    def infeasibility(self, B: Array) -> float:
        """Largest entry of B - project(B); exactly 0 in the set."""
        return float(np.abs(B - self.project(B)).max())


@dataclass(frozen=True)
class Orthant(FeasibleSet):
    """``{B >= 0, diag(B) = 0}``."""

    def project(self, V: Array) -> Array:
        return project_transfer(V)

    def allowed(self, T: int) -> Mask:
        return ~np.eye(T, dtype=bool)


@dataclass(frozen=True)
class Masked(FeasibleSet):
    """The orthant with ``B[s, t] = 0`` on some edges, pairs (source, target)."""

    words: ClassVar[str] = "B >= 0, diag(B) = 0, no forbidden edges"
    barred: tuple[tuple[int, int], ...]

    def project(self, V: Array) -> Array:
        return np.where(self.allowed(len(V)), np.maximum(V, 0.0), 0.0)

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        if not self.barred:
            return []
        barred = np.zeros(B.shape)
        barred[tuple(np.array(self.barred).T)] = 1.0
        return [cp.multiply(barred, B) == 0.0]

    def allowed(self, T: int) -> Mask:
        free = ~np.eye(T, dtype=bool)
        if self.barred:
            free[tuple(np.array(self.barred).T)] = False
        return free


@dataclass(frozen=True)
class AtLeast(FeasibleSet):
    """The orthant with ``B[s, t] >= least`` on some edges, (source, target, least)."""

    words: ClassVar[str] = "B >= 0, diag(B) = 0, the required edges"
    least: tuple[tuple[int, int, float], ...]

    def project(self, V: Array) -> Array:
        B = np.maximum(V, self.lowest(len(V)))
        np.fill_diagonal(B, 0.0)
        return B

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [B[s, t] >= least for s, t, least in self.least]

    def lowest(self, T: int) -> Array:
        """The least B of the set, (T, T)."""
        lowest = np.zeros((T, T))
        for s, t, least in self.least:
            lowest[s, t] = least
        return lowest


@dataclass(frozen=True)
class AnySign(FeasibleSet):
    """``{diag(B) = 0}``, entries of any sign."""

    signed: ClassVar[bool] = True
    words: ClassVar[str] = "diag(B) = 0"

    def project(self, V: Array) -> Array:
        return np.where(np.eye(len(V), dtype=bool), 0.0, V)


@dataclass(frozen=True)
class Mutual(FeasibleSet):
    """``{B = B', B >= 0, diag(B) = 0}``: what s is to t, t is to s."""

    words: ClassVar[str] = "B >= 0, diag(B) = 0, B = B'"

    def project(self, V: Array) -> Array:
        return project_transfer(0.5 * (V + V.T))

    def constraints(self, B: cp.Expression) -> list[cp.Constraint]:
        return [B == B.T]


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


def project_transfer(V: Array) -> Array:
    """The nearest matrix with B >= 0 and diag(B) = 0."""
    B = np.maximum(V, 0.0)
    np.fill_diagonal(B, 0.0)
    return B


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
