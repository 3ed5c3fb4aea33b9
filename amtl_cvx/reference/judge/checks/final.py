r"""L3: the final point of a fit, begun at the empty graph, and begun near the reference answer.

    feasible     B >= 0 and diag(B) = 0, exactly
    stationary   relative residuals of both blocks, at most sqrt(eps) (`tolerance`)
    gap          what a move of one block can gain
    objective    J is not above the reference, or it is that of a listed minimum; and not below what is proved
    answer       W and B are those of the reference, or of a listed minimum, where the pack says they are the
                 only ones there: B, or W B where only that is unique

J has many first-order points. From near the answer a fit has to come back to it, or to fall below it. Of a
fit from the empty graph no basin is declared: where it ends at a first-order point that is neither the
reference nor listed, and higher, nothing is said for or against it, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import certify
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.edges import best_B, gap_B, several
from amtl_cvx.reference.judge.checks.held import Step, distance, kappa_of
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.checks.steps import best_W, gap_W
from amtl_cvx.reference.judge.misses import misses_B, misses_W
from amtl_cvx.reference.judge.points import draws

_NEAR = 2.0**-7  # of every entry
_STARTS = {"zero": "the empty graph", "near": "near the reference answer"}


def _fit(case: Case, start: str) -> tuple[Step, Any]:
    """The fit, and its point with B projected."""
    W, B = case.W["zero"], case.B["zero"]
    if start == "near":
        W, B = (
            block * (1.0 + _NEAR * draws(case.name, name, block.shape))
            for name, block in (("W near", case.W["answer"]), ("B near", case.B["answer"]))
        )
        B = case.problem.model.transfer.project(B)
    asked = case.asked("fit", W=W, B=B)
    answer = case.answer(asked)
    right = {name: case.pack.solution[name] for name in ("W", "B")}
    limits = case.limits(case.problem.at(right["W"], right["B"]))
    step = Step(case=case, quantity="fit", asked=asked, answer=answer, right=right, limits=limits, final=True)
    B = case.problem.model.transfer.project(answer["B"])
    return step, case.problem.at(answer["W"], B)


def _feasible(start: str) -> Callable[[Case], Outcome]:
    return lambda case: _fit(case, start)[0].feasible()


def _stationary(start: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point = _fit(case, start)
        return step.held("residual", _residual(step, point), step.residual)

    return run


def _residual(step: Step, point: Any) -> float:
    """The largest relative residual of a final point."""
    if point.model.smooth_in_W and point.row_prices is not None:
        return max(misses_W(point).relative, misses_B(point).relative)
    with np.errstate(all="ignore"):
        return float(certify(point, tol=min(step.residual, 0.5)).relative)


def _elsewhere(step: Step, point: Any, start: str) -> str:
    """What is said of a fit from the empty graph that ends at a first-order point of another basin; or ""."""
    above = float(point.objective) - float(step.limits.point.objective)
    listed = min(abs(float(point.objective) - float(other.objective)) for other in _known_points(step))
    if start == "near" or min(above, listed) <= _room(step) or _residual(step, point) > step.residual:
        return ""
    return f"another basin: a first-order point that the pack does not list, J {above:.2e} above it"


def _gap(start: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point = _fit(case, start)
        W = gap_W(point, best_W(case, point.B))
        best = best_B(case, point.W)
        B = gap_B(point, best)
        limit = _room(step)
        if B is None:
            return step.held("gap", W, limit)
        return step.held("gap", W + B, limit)

    return run


def _room(step: Step) -> float:
    """How far J of a final point may be from that of the reference."""
    return step.limits.rounding_of_J + step.residual * step.limits.terms


def _objective(start: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point = _fit(case, start)
        room, J = _room(step), float(point.objective)
        reference = float(step.limits.point.objective)
        listed = [float(other.objective) for other in _known_points(step)]
        lower = lower_bound(case)
        figures = {"objective": J, "reference": reference, "limit": room}
        if lower is not None and lower - room > J:
            words = (
                f"J is {J:.10g}, below {lower:.10g}, which is proved to be below all points: the point is not"
                " feasible, or of other data"
            )
            return step.failed(words, {**figures, "lower": lower})
        above = J - reference
        if above <= room:
            below = f", {-above:.1e} below it" if -above > room else ""
            return Outcome("passed", f"J is {J:.10g}, the reference {reference:.10g}{below}", figures)
        if min(abs(J - other) for other in listed) <= room:
            return Outcome("passed", f"J is {J:.10g}, that of another minimum of the pack", figures)
        if words := _elsewhere(step, point, start):
            return Outcome("skipped", words, figures)
        words = (
            f"J is {J:.10g}, above the reference {reference:.10g} by {above:.2e} (a part"
            f" {above / abs(reference):.1e}), and that of no minimum of the pack; the limit is {room:.1e}"
        )
        return step.failed(words, figures)

    return run


def _answer(start: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        step, point = _fit(case, start)
        nearest = min(_known_points(step), key=lambda each: distance(point.W, each.W))
        first = nearest is step.limits.point
        if float(point.objective) < float(nearest.objective) - _room(step):
            return Outcome("skipped", "J is below that of the pack: another minimum")
        if words := _elsewhere(step, point, start):
            return Outcome("skipped", words)
        found = distance(point.W, nearest.W) if case.unique("W") else 0.0
        if case.unique("B"):
            found = max(found, distance(point.B, nearest.B))
        elif case.unique("W B"):
            found = max(found, distance(point.W @ point.B, nearest.W @ nearest.B))
        outcome = step.held("distance", found, step.distance)
        digits = -math.log10(max(found, 1e-17))
        if outcome.status != "passed":
            return outcome
        which = "the reference" if first else "another minimum of the pack"
        words = f"it is {which} to {digits:.1f} digits, the limit is {step.distance:.1e}"
        return Outcome("passed", words, {**outcome.figures, "digits": digits})

    return run


def _known_points(step: Step) -> tuple[Any, ...]:
    """The reference, and the points of the other minima of the pack."""
    case = step.case
    if "minima" not in case.kept:
        case.kept["minima"] = tuple(case.problem.at(each["W"], each["B"]) for each in case.pack.minima)
    return (step.limits.point, *case.kept["minima"])


def lower_bound(case: Case) -> float | None:
    """What is proved to be below J everywhere; None where nothing is."""
    bound: Mapping[str, Any] | None = case.pack.claims.get("bound")
    lower = None if bound is None or not case.exact else bound.get("lower")
    if lower is None:
        return None
    return float.fromhex(lower) if isinstance(lower, str) and "x" in lower else float(lower)


def _exact(case: Case) -> str:
    return "" if case.exact else f"{case.dtype} does not hold the data of the pack"


def _known(case: Case) -> str:
    unique: Array = np.array([case.unique(block) for block in ("W", "B", "W B")])
    if not math.isfinite(kappa_of(case)):
        return "the pack has no condition number of its answer"
    return _exact(case) or ("" if unique.any() else "the answer is not the only one")


for _start, _where in _STARTS.items():
    check(
        "L3",
        f"fit-feasible-{_start}",
        needs="fit",
        title=f"B >= 0, diag(B) = 0 of a fit from {_where}",
        applies=several,
    )(_feasible(_start))
    check("L3", f"fit-stationary-{_start}", needs="fit", title=f"residuals of a fit from {_where}")(
        _stationary(_start)
    )
    check("L3", f"fit-gap-{_start}", needs="fit", title=f"gaps of a fit from {_where}")(_gap(_start))
    check(
        "L3",
        f"fit-objective-{_start}",
        needs="fit",
        title=f"J of a fit from {_where}",
        applies=_exact,
    )(_objective(_start))
    check("L3", f"fit-answer-{_start}", needs="fit", title=f"W and B of a fit from {_where}", applies=_known)(
        _answer(_start)
    )
