"""Feasible sets of B: which graphs a transfer penalty allows.

    Orthant      B >= 0, diag(B) = 0: where nothing else is said
    Masked       some edges may not be
    Mutual       B = B'
    RowBudgets   sum_t B[s, t] <= limit: what a task may give

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


def project_transfer(V: Array) -> Array:
    """The nearest matrix with B >= 0 and diag(B) = 0."""
    B = np.maximum(V, 0.0)
    np.fill_diagonal(B, 0.0)
    return B


def capped_rows(P: Array, limit: float) -> Array:
    """The nearest rows >= 0 with sum `limit` to rows P >= 0 (k, T) whose sums are above it.

    The sums as computed are at most the limit. Source: Held, Wolfe, Crowder, Validation of subgradient
    optimization, 1974 (thresholds from the sorted entries).
    """
    ordered = -np.sort(-P, axis=1)
    excess = np.cumsum(ordered, axis=1) - limit
    counts = np.arange(1, P.shape[1] + 1)
    last = np.count_nonzero(ordered * counts > excess, axis=1) - 1
    each = np.arange(len(P))
    B: Array = np.maximum(P - (excess[each, last] / counts[last])[:, None], 0.0)
    for _ in range(3):  # rounding may leave a sum above the limit
        sums = B.sum(axis=1)
        above = sums > limit
        if not above.any():
            break
        B[above] *= (limit / sums[above] * (1.0 - 2.0 * _EPS))[:, None]
    return B
