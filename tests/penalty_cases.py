"""Every transfer penalty with its formula as it is printed, written apart from the package.

One `Case` is enough to join the battery, `battery.BATTERY`, and what else goes through all of them. A formula
is made of CVXPY's own atoms; mu, losses and rows of the tasks are given, so that a case holds for any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp
import numpy as np
from cases import Array
from cases import SourceGroupL2 as Own

from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import (
    L1,
    DegreeCap,
    ElasticNet,
    Forbidden,
    LossWeightedL1,
    Ordered,
    Required,
    RowBudget,
    SignedL1,
    SizePricedL1,
    SourceGroupL2,
    SquaredTransfer,
    Symmetric,
    TargetGroupL2,
    TotalBudget,
    TransferPenalty,
)

COUNTS = (9, 14, 20, 8, 12, 17)
"""Rows of the tasks where a penalty asks for them."""
BARRED = ((0, 1), (2, 0))
NEEDED = ((0, 1, 0.2), (2, 0, 0.3))


@dataclass(frozen=True)
class Case:
    """A penalty, its formula and what is particular about it.

    Attributes
    ----------
    rule : callable(B, loss, n, mu)
        R, a CVXPY expression of B (T, T); losses and rows n (T,).
    limits : callable(B)
        Its set.
    turned : callable(penalty, places, n)
        The same penalty where task t is called places[t], with the rows n in the new order.
    proportional : bool
        Whether R is mu times something.
    dear : {"empty", "start", ""}
        What a high mu gives: B = 0, the start, something else.
    """

    penalty: TransferPenalty
    rule: Callable[[cp.Expression, Array, Array, float], cp.Expression]
    limits: Callable[[cp.Expression], list[cp.Constraint]]
    turned: Callable[[Any, Array, Array], TransferPenalty] = lambda penalty, places, n: penalty
    proportional: bool = True
    dear: str = "empty"

    @property
    def id(self) -> str:
        return penalty_id(self.penalty)

    def at(self, T: int, mu: float | None = None) -> TransferPenalty:
        """The penalty for T tasks of `COUNTS` rows."""
        priced = self.penalty if mu is None else replace(self.penalty, mu=mu)  # type: ignore[type-var]
        return replace(priced, counts=COUNTS[:T]) if isinstance(priced, SizePricedL1) else priced

    def written(self, B: cp.Expression, losses: Array, mu: float | None = None) -> cp.Expression:
        """R at B by the formula; tasks of `COUNTS` rows."""
        rows = np.array(COUNTS[: len(losses)], dtype=float)
        return self.rule(B, losses, rows, self.penalty.mu if mu is None else mu)

    def feasible(self, rng: np.random.Generator, T: int, size: float = 0.4) -> Array:
        """A point of the set with some entries at 0, by the penalty's own projection."""
        B = size * rng.random((T, T)) * (rng.random((T, T)) < 0.6)
        if self.penalty.feasible(T).signed:
            B *= rng.choice([-1.0, 1.0], size=(T, T))
        return self.at(T).project(B)


def penalty_id(penalty: TransferPenalty) -> str:
    return type(penalty).__name__


def rows_of(T: int) -> TaskSet:
    """Tasks of `COUNTS` rows."""
    return TaskSet.from_arrays([np.ones((n, 1)) for n in COUNTS[:T]], [np.ones(n) for n in COUNTS[:T]])


def priced(B: cp.Expression, loss: Array, n: Array, mu: float) -> cp.Expression:
    return mu * sum(loss[s] * cp.sum(B[s, :]) for s in range(len(loss)))


def orthant(B: cp.Expression) -> list[cp.Constraint]:
    return [B >= 0, cp.diag(B) == 0]


def needed(count: int) -> Array:
    """The least B that is required."""
    lowest = np.zeros((count, count))
    for s, t, least in NEEDED:
        lowest[s, t] = least
    return lowest


def _edges(penalty: Any, places: Array, n: Array) -> TransferPenalty:
    edges = [(int(places[s]), int(places[t]), *rest) for s, t, *rest in penalty.edges]
    return replace(penalty, edges=edges)  # type: ignore[no-any-return]


CASES: tuple[Case, ...] = (
    Case(LossWeightedL1(mu=0.3), priced, orthant),
    Case(
        Own(mu=0.3),
        lambda B, loss, n, mu: mu * sum(cp.norm(B[s, :], 2) for s in range(len(loss))),
        orthant,
    ),
    Case(
        SourceGroupL2(mu=0.3),
        lambda B, loss, n, mu: mu * sum(loss[s] * cp.norm(B[s, :], 2) for s in range(len(loss))),
        orthant,
    ),
    Case(
        SourceGroupL2(mu=0.3, weighted=False),
        lambda B, loss, n, mu: mu * sum(cp.norm(B[s, :], 2) for s in range(len(loss))),
        orthant,
    ),
    Case(
        ElasticNet(mu=0.3, rho=0.4),
        lambda B, loss, n, mu: priced(B, loss, n, mu) + 0.4 * cp.sum(cp.square(B)),
        orthant,
        proportional=False,
    ),
    Case(
        Forbidden(mu=0.3, edges=BARRED),
        priced,
        lambda B: [*orthant(B), *(B[s, t] == 0 for s, t in BARRED)],
        turned=_edges,
    ),
    Case(Symmetric(mu=0.3), priced, lambda B: [*orthant(B), B == B.T]),
    Case(
        RowBudget(mu=0.3, budget=0.4),
        priced,
        lambda B: [*orthant(B), *(cp.sum(B[s, :]) <= 0.4 for s in range(B.shape[0]))],
    ),
    Case(
        TargetGroupL2(mu=0.3),
        lambda B, loss, n, mu: mu * sum(cp.norm(B[:, t], 2) for t in range(len(loss))),
        orthant,
    ),
    Case(
        DegreeCap(mu=0.3, degree=2, cap=0.3),
        priced,
        lambda B: [*orthant(B), B <= 0.3, *(cp.sum(B[s, :]) <= 0.6 for s in range(B.shape[0]))],
    ),
    Case(
        TotalBudget(mu=0.3, total=3.0),
        priced,
        lambda B: [*orthant(B), cp.sum(B) == 3.0],
        dear="",
    ),
    Case(L1(mu=0.3), lambda B, loss, n, mu: mu * cp.sum(B), orthant),
    Case(
        SizePricedL1(mu=0.3, power=0.5),
        lambda B, loss, n, mu: (
            mu * sum(loss[s] * (n.max() / n[s]) ** 0.5 * cp.sum(B[s, :]) for s in range(len(loss)))
        ),
        orthant,
        turned=lambda penalty, places, n: replace(penalty, counts=tuple(n)),
    ),
    Case(
        SignedL1(mu=0.3),
        lambda B, loss, n, mu: mu * sum(loss[s] * cp.norm1(B[s, :]) for s in range(len(loss))),
        lambda B: [cp.diag(B) == 0],
    ),
    Case(
        SquaredTransfer(mu=0.3),
        lambda B, loss, n, mu: mu * sum(loss[s] * cp.sum_squares(B[s, :]) for s in range(len(loss))),
        orthant,
        dear="",
    ),
    Case(
        Required(mu=0.3, edges=NEEDED),
        priced,
        lambda B: [needed(B.shape[0]) <= B, cp.diag(B) == 0],
        turned=_edges,
        dear="start",
    ),
    Case(
        Ordered(mu=0.3),
        priced,
        lambda B: [*orthant(B), *(B[s, t] == 0 for s in range(B.shape[0]) for t in range(s))],
        turned=lambda penalty, places, n: replace(penalty, order=[int(place) for place in places]),
    ),
)
PENALTY_CASES: tuple[TransferPenalty, ...] = tuple(case.penalty for case in CASES)


ATOMS: tuple[Case, ...] = tuple(case for case in CASES if case.at(3).atoms(3) is not None)
"""Those that are sums of prices and squares of edges: second order, and digits."""


def directions(case: Case, B: Array) -> tuple[list[Array], list[Array]]:
    """The moves of B that are free at a point, and those that its set and its price hold, one graph each."""
    T, penalty, lowest = len(B), case.at(len(B)), case.at(len(B)).project(np.full_like(B, -9.0))
    free, held = [], []
    for s in range(T):
        for t in range(T):
            unit = np.zeros((T, T))
            unit[s, t] = 1.0
            if isinstance(penalty, Symmetric):
                unit = unit + unit.T if s < t else 0.0 * unit
            if not np.array_equal(penalty.project(B + unit), B + unit) or not unit.any():
                continue
            if isinstance(penalty, SignedL1):
                side = np.sign(B[s, t])
                free += [unit] if side else []
                held += [-side * unit] if side else [unit, -unit]
            else:
                (free if B[s, t] > lowest[s, t] else held).append(unit)
    return free, held


@dataclass(frozen=True, kw_only=True)
class Blind(Own):
    """A penalty whose conjugate is not known."""

    name = "blind"

    def conjugate(self, S: Array, losses: Array) -> None:  # type: ignore[override]
        return None
