"""L1: one B-step: feasible, its gap, its residual; the answer where a pack of one step has it.

The gap and the residual of a B that is not feasible are those of its projection, so that each check tells one
thing. Where T - 1 > d, or predictors depend on each other, the best B need not be the only one: then W B is
compared, which is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import transfer_gap
from amtl_cvx.problem.active_set import best_edges
from amtl_cvx.reference.judge.asked import doubles
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.held import Step, distance
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.checks.steps import asked_about
from amtl_cvx.reference.judge.misses import misses_B


def best_B(case: Case, W: Array) -> Any:
    """The point with the best B for some W, B = 0 for a penalty that is not linear in B; kept."""
    key = f"best B {W.tobytes().hex()}"
    if key not in case.kept:
        point = case.problem.at(W, np.zeros((case.T, case.T)))
        prices = point.edge_prices
        B = point.B if prices is None else best_edges(W, prices, point.model.coupling, point.B)[0]
        case.kept[key] = point.at(B=B)
    return case.kept[key]


def gap_B(point: Any, best: Any) -> float | None:
    """What B can gain at most: as proved, or beside the best B that is known and what that can gain.

    None for a penalty of which no gap is known.
    """
    with np.errstate(all="ignore"):
        gap, _ = transfer_gap(point)
        prices = point.row_prices
        if prices is None:
            return gap
        left, _ = transfer_gap(best)
        less = point.B - best.B
        moved = (2.0 * point.W - point.W @ (point.B + best.B)) * (point.W @ less)
        gains = prices @ less - point.model.coupling * moved.sum(axis=0)
        other = float(np.maximum(gains, 0.0).sum()) + (math.inf if left is None else left)
        return min(math.inf if gap is None else gap, other)


def _step(case: Case, place: str) -> tuple[Step, Any, Any]:
    """The step, the point of the projected answer, and the right one."""
    asked = case.asked("b-step", W=asked_about(case, "W", place))
    answer = case.answer(asked)
    best = best_B(case, doubles(asked.W))
    right = {} if best.edge_prices is None else {"B": best.B}
    step = Step(
        case=case, quantity="b_step", asked=asked, answer=answer, right=right, limits=case.limits(best)
    )
    return step, case.point(asked, B=case.problem.model.transfer.project(answer["B"])), best


def _feasible(place: str) -> Callable[[Case], Outcome]:
    return lambda case: _step(case, place)[0].feasible()


def _gap(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point, best = _step(case, place)
        gap = gap_B(point, best)
        if gap is None:
            return Outcome("skipped", "no gap is known for this penalty")
        return step.held("gap", gap, step.limits.gap_B(step.residual, best.B))

    return run


def _residual(place: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point, _ = _step(case, place)
        return step.held("residual", misses_B(point).relative, step.residual)

    return run


def _answer(case: Case) -> Outcome:
    step, point, _ = _step(case, "answer")
    B, right = step.answer["B"], case.pack.solution["B"]
    found = distance(B, right) if case.unique("B") else distance(point.W @ B, point.W @ right)
    return step.held("distance", found, step.distance)


def several(case: Case) -> str:
    """Why there is no graph."""
    return "one task has no edges" if case.T == 1 else ""


def priced(case: Case) -> str:
    """Why there is no gradient in B."""
    prices = case.problem.model.transfer.row_prices(np.ones(case.T))
    return several(case) or ("" if prices is not None else "edges have no prices")


def _known(case: Case) -> str:
    if not case.exact:
        return f"{case.dtype} does not hold the data"
    return "" if case.unique("B") or case.unique("W B") else "the answer is not the only one"


_PLACES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "generic": (("joint",), "in general position"),
    "answer": (("joint", "b-step"), "of the pack"),
}
for _place, (_asks, _where) in _PLACES.items():
    check(
        "L1",
        f"b-step-feasible-{_place}",
        needs="b-step",
        title=f"B >= 0, diag(B) = 0 after the B-step, W {_where}",
        asks=_asks,
        applies=several,
    )(_feasible(_place))
    check(
        "L1",
        f"b-step-gap-{_place}",
        needs="b-step",
        title=f"gap of the B-step, W {_where}",
        asks=_asks,
        applies=several,
    )(_gap(_place))
    check(
        "L1",
        f"b-step-residual-{_place}",
        needs="b-step",
        title=f"gradient after the B-step, W {_where}",
        asks=_asks,
        applies=priced,
    )(_residual(_place))
check("L1", "b-step-answer", needs="b-step", title="the B of one B-step", asks=("b-step",), applies=_known)(
    _answer
)
