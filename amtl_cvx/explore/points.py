"""Points: what the starts reached, and which results are the same first-order point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from amtl_cvx.explore.base import exploration_of
from amtl_cvx.solution import Solution


class Reached(NamedTuple):
    """What one start led to."""

    start: str
    solution: Solution


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstOrderPoint:
    """One first-order point and the starts that reached it.

    Attributes
    ----------
    solution : Solution
        The result with the smallest residual.
    starts : tuple of str
        Names of the starts, in their order.
    spread : float
        Largest distance between two results of this point.
    second_order : str or None
        "strict local minimum", "saddle" or "degenerate"; None where the second order is not available.
    error : float or None
        On the validation rows.
    """

    solution: Solution
    starts: tuple[str, ...]
    spread: float
    second_order: str | None = None
    error: float | None = None

    @property
    def hits(self) -> int:
        return len(self.starts)

    @property
    def objective(self) -> float:
        """J."""
        return self.solution.objective

    @property
    def level(self) -> str:
        """C3 for a strict local minimum, else the level of the certificate."""
        strict = self.second_order == "strict local minimum"
        return "C3" if strict else str(self.solution.certificate.level)


def distance(first: Solution, second: Solution) -> float:
    """The relative distance of two results of one problem, as their family measures it."""
    return exploration_of(first.model).distance(first, second)


def same_value(first: Solution, second: Solution) -> bool:
    """Whether two J agree within the certificates."""
    limit = sum(each.certificate.tol * abs(each.objective) for each in (first, second))
    return abs(first.objective - second.objective) <= limit


def same_point(first: Solution, second: Solution) -> bool:
    """Whether two results are one point within what their certificates leave open; see the module essay."""
    limit = math.sqrt(first.certificate.tol) + math.sqrt(second.certificate.tol)
    return same_value(first, second) and distance(first, second) <= limit


def connected(certified: Sequence[Reached]) -> list[list[Reached]]:
    """The connected parts of "same point"; results come sorted by J, so only near ones are compared."""
    part = list(range(len(certified)))
    for i, later in enumerate(certified):
        for j in range(i - 1, -1, -1):
            if not same_value(certified[j].solution, later.solution):
                break
            if part[j] != part[i] and same_point(certified[j].solution, later.solution):
                part = [part[j] if p == part[i] else p for p in part]
    return [[r for r, p in zip(certified, part, strict=True) if p == number] for number in sorted(set(part))]


def by_objective(reached: Reached) -> tuple[float, str]:
    """What results are sorted by: J, then the name of the start."""
    return reached.solution.objective, reached.start
