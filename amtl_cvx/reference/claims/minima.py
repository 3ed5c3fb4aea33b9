"""Other first-order points that a pack lists: each of first order, and each another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.families import family_of

APART = 1e-6
"""By which part of the largest entry of a block two points differ at least."""


def minima_claims(
    problem: Any, ask: str, solution: Mapping[str, Array], minima: Sequence[Mapping[str, Array]]
) -> list[dict[str, Any]]:
    """J of each, its relative residual, what that is held to, and how far it is from the answer."""
    return [
        {
            "objective": float(at.objective).hex(),
            "relative": float(relative),
            "tol": tol,
            "distance": distance(solution, blocks),
        }
        for blocks in minima
        for at, relative, tol in [_judged(problem, blocks)]
    ]


def minima_hold(
    problem: Any,
    solution: Mapping[str, Array],
    minima: Sequence[Mapping[str, Array]],
    listed: Sequence[Mapping[str, Any]],
) -> bool:
    """Whether each is feasible and of first order, and no two, nor one and the answer, are the same."""
    points = [solution, *minima]
    apart = all(distance(one, other) >= APART for k, one in enumerate(points) for other in points[k + 1 :])
    kept = all(_feasible(problem, blocks) for blocks in minima)
    return apart and kept and all(each["relative"] <= each["tol"] for each in listed)


def _feasible(problem: Any, blocks: Mapping[str, Array]) -> bool:
    """Whether B of AMTL is in its set: exactly where that is B >= 0 without a diagonal."""
    if family_of(problem.model).name != "amtl":
        return True
    from amtl_cvx.certificate import infeasibility

    B, transfer = np.asarray(blocks["B"]), problem.model.transfer
    plain = transfer.row_prices(np.ones(len(B))) is not None
    room = 0.0 if plain else B.size * float(np.finfo(np.float64).eps) * max(1.0, float(np.abs(B).max()))
    return infeasibility(problem.model, B) <= room


def distance(one: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    """The largest difference of two answers, of the largest entry of each block."""
    found = 0.0
    for name in one:
        if name not in other or np.shape(one[name]) != np.shape(other[name]):
            continue
        a, b = np.asarray(one[name]), np.asarray(other[name])
        size = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)))
        if size > 0.0:
            found = max(found, float(np.abs(a - b).max()) / size)
    return found


def _judged(problem: Any, blocks: Mapping[str, Array]) -> tuple[Any, float, float]:
    """The point, its relative residual, and what that is held to."""
    family = family_of(problem.model).name
    if family == "amtl":
        from amtl_cvx.certificate import residuals
        from amtl_cvx.reference.claims.terms import first_order_tolerance

        point = problem.at(blocks["W"], blocks["B"])
        return point, residuals(point).relative, first_order_tolerance(point)
    from amtl_cvx.reference.claims.learned import learned_residual

    return learned_residual(problem, blocks, family)
