r"""L2: the objective after each half-step from a stated start, beside that of exact ones; and that it falls.

Half-steps in NumPy (`subproblems.numpy_steps`, `problem.active_set`) from the same B give J_1, J_2, ... How
far those of a back end may be from them is measured: the same half-steps once more, every block moved by a
relative 1e-6 after it was found, tell how much J_k moves for that, c_k = |J_k' - J_k| / 1e-6. An answer of
a step is known to 32 kappa eps, so

    limit_k = (rounding of J) + 4 c_k 32 kappa eps        kappa the largest condition of the W-steps so far

From the first half-step whose B is not the only best one (no bound on its distance) nothing is compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import transfer_evidence
from amtl_cvx.problem.active_set import best_edges
from amtl_cvx.reference.judge.asked import Asked, doubles
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.compared import compare
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.failure import Failure
from amtl_cvx.reference.judge.points import draws
from amtl_cvx.reference.judge.tolerance import ANSWERS
from amtl_cvx.subproblems.numpy_steps import minimised

COUNT = 3
"""Rounds that are asked for."""
_MOVED = 1e-6
_SAFE = 4.0
_LINEAR = 1e-3  # of J: beyond that sensitivities say nothing
_PLACES = {"zero": "the empty graph", "generic": "a graph in general position"}


class Exact(NamedTuple):
    """Objectives of exact half-steps, (2 count,), their limits, and how many of them are determined."""

    objectives: Array
    limits: Array
    determined: int
    falls: Array
    """By how much J may rise with each half-step: rounding."""


def exact_rounds(case: Case, B: Array) -> Exact:
    """Half-steps from B: W-step, B-step, W-step, ...; kept."""
    key = f"rounds {B.tobytes().hex()}"
    if key not in case.kept:
        case.kept[key] = _exact(case, B)
    found: Exact = case.kept[key]
    return found


def _exact(case: Case, B: Array) -> Exact:
    points, determined = _half_steps(case, B, 0.0)
    moved, _ = _half_steps(case, B, _MOVED)
    J = np.array([point.objective for point in points])
    sensitive = np.abs(np.array([point.objective for point in moved]) - J) / _MOVED
    kappa, limits, falls = 1.0, list[float](), list[float]()
    for k, point in enumerate(points):
        known = case.limits(point)
        if k % 2 == 0:
            kappa = max(kappa, known.kappa_W)
        each = kappa * max(ANSWERS * known.eps, known.accuracy or 0.0)
        rounding = known.objective + known.rounding_of_J
        grown = _SAFE * float(sensitive[: k + 1].max()) * each
        limits.append(rounding + (grown if math.isfinite(grown) else math.inf))
        falls.append(2.0 * rounding + known.gap_W(known.step))
    return Exact(J, np.array(limits), determined, np.array(falls))


def _half_steps(case: Case, B: Array, moved: float) -> tuple[list[Any], int]:
    """The points after each half-step, blocks moved by a relative amount; and how many are determined."""
    point = case.problem.at(np.zeros((case.problem.tasks.d, case.T)), B)
    found, determined, unique = list[Any](), 0, True
    for k in range(COUNT):
        point = minimised(point)
        point = point.at(W=point.W * (1.0 + moved * draws(case.name, f"W{k}", point.W.shape)))
        found.append(point)
        determined += unique
        prices = point.edge_prices
        assert prices is not None
        point = point.at(B=best_edges(point.W, prices, point.model.coupling, point.B)[0])
        determined += unique
        if not moved and unique:
            unique = transfer_evidence(point).error is not None
        point = point.at(B=point.B * (1.0 + moved * draws(case.name, f"B{k}", point.B.shape)))
        found.append(point)
    return found, determined


def _values(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        asked = case.asked("rounds", B=case.B[place], count=COUNT)
        answer = case.answer(asked)
        exact = exact_rounds(case, doubles(asked.B))
        n = exact.determined
        if not (exact.limits[:n] <= _LINEAR * np.abs(exact.objectives[:n])).all():
            worst = float(exact.limits[:n].max())
            return Outcome("skipped", f"{case.dtype} does not resolve it: the limit would be {worst:.1e}")
        given, right, limit = answer["objectives"][:n], exact.objectives[:n], exact.limits[:n]
        seen = compare("objectives", given, right, right, limit)
        figures = {"ratio": seen.ratio, "off": seen.off, "half_steps": float(n)}
        if seen.within:
            return Outcome("passed", seen.words, figures)
        failure = _failure(case, asked, answer, exact, figures)
        k = int(np.argmax(np.abs(given - right) > limit))
        step = "W-step" if k % 2 == 0 else "B-step"
        words = (
            f"after the {step} of round {k // 2 + 1} J is {given[k]:.8g}, of an exact one {right[k]:.8g}:"
            f" off by {abs(given[k] - right[k]):.1e}, the limit is {limit[k]:.1e}"
        )
        evidence = {"answer": given, "right": right, "limit": limit}
        return Outcome("failed", words, figures, evidence, failure)

    return run


def _failure(case: Case, asked: Asked, answer: Any, exact: Exact, figures: dict[str, float]) -> Failure:
    """What is handed to the search for causes."""
    return Failure(
        check="",
        asked=asked,
        problem=case.problem,
        quantity="rounds",
        answer=answer,
        right={"objectives": exact.objectives},
        limit=exact.limits,
        pack=case.pack,
        figures=figures,
    )


def _falls(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        asked = case.asked("rounds", B=case.B[place], count=COUNT)
        answer = case.answer(asked)
        given, exact = answer["objectives"], exact_rounds(case, doubles(asked.B))
        rises, room = np.diff(given), exact.falls[1:]
        k = int(np.argmax(rises - room))
        figures = {"rise": float(rises[k]), "limit": float(room[k])}
        if (rises <= room).all():
            return Outcome("passed", "J falls with every half-step", figures)
        step = "B-step" if k % 2 == 0 else "W-step"
        words = f"J rises by {rises[k]:.2e} with the {step} of round {(k + 1) // 2 + 1}, exact steps lower it"
        failure = _failure(case, asked, answer, exact, figures)
        evidence = {"answer": given, "right": exact.objectives}
        return Outcome("failed", words, figures, evidence, failure)

    return run


def _exactly(case: Case) -> str:
    model = case.problem.model
    if case.T == 1:
        return "one task has no edges"
    linear = model.transfer.edge_prices(np.ones(case.T)) is not None
    return "" if model.smooth_in_W and linear else "its half-steps are no systems of equations"


for _place, _where in _PLACES.items():
    check(
        "L2",
        f"rounds-{_place}",
        needs="rounds",
        title=f"J after each half-step from {_where}",
        applies=_exactly,
    )(_values(_place))
    check(
        "L2",
        f"rounds-fall-{_place}",
        needs="rounds",
        title=f"J falls with each half-step from {_where}",
        applies=_exactly,
    )(_falls(_place))
