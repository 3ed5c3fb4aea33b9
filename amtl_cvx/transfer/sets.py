"""Feasible sets of B: which graphs a transfer penalty allows.

    Orthant      B >= 0, diag(B) = 0: where nothing else is said
    Masked       some edges may not be
    AtLeast      B >= lo on some edges
    Mutual       B = B'
    AnySign      entries of any sign

and those of `budget_sets`. Every set is convex and closed, has a projection that leaves its own points
exactly as they are, and a start from which an alternation can begin: B = 0 where that is feasible.
`constraints` are those besides B >= 0 and a zero diagonal, which every problem has built in; a set with
`signed` has no B >= 0.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import ClassVar

import cvxpy as cp
import numpy as np

from amtl_cvx.arrays import Array, Mask


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

    def margin(self, V: Array) -> float | None:
        """How far V may move, entry by entry, before its projection is on another face; None: not known."""
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


def project_transfer(V: Array) -> Array:
    """The nearest matrix with B >= 0 and diag(B) = 0."""
    B = np.maximum(V, 0.0)
    np.fill_diagonal(B, 0.0)
    return B
