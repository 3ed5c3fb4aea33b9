r"""L4: answers to a problem, and to the same problem seen otherwise (`turned`), belong together.

Two answers of the back end are held against each other, one of them carried over:

    values    J, losses and gradients at a point in general position: within the limits of both
    w-step    the W of one W-step: within 32 kappa eps of both, in units of the curvature
    b-step    what the B of one B-step makes of J, which is convex in B: within the room of both gaps
    fit       what the final points, begun near the reference answer, make of J

Nothing here needs the right answer; it is asked for only where the two disagree, to tell which of them is
wrong and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.asked import Asked, doubles
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.compared import compare
from amtl_cvx.reference.judge.checks.edges import best_B, several
from amtl_cvx.reference.judge.checks.evaluate import QUANTITIES, right_values
from amtl_cvx.reference.judge.checks.held import distance
from amtl_cvx.reference.judge.checks.registry import check
from amtl_cvx.reference.judge.checks.steps import best_W
from amtl_cvx.reference.judge.checks.turned import RELATIONS, Relation, Turn, amtl
from amtl_cvx.reference.judge.failure import Failure, Quantity
from amtl_cvx.reference.judge.misses import misses_B, misses_W
from amtl_cvx.reference.judge.points import draws
from amtl_cvx.reference.judge.tolerance import ANSWERS, SOLVABLE, Limits

_MOST = {"values": 3, "w-step": 2, "b-step": 2, "fit": 1}


def turn_of(case: Case, relation: Relation) -> Turn | None:
    """The problem seen otherwise; kept. None where the dtype does not hold it."""
    key = f"turned {relation.name}"
    if key not in case.kept:
        case.kept[key] = relation.turn(case)
    found: Turn | None = case.kept[key]
    return found


def _pair(case: Case, turn: Turn, asked: Asked, **given: Array) -> tuple[Asked, Mapping[str, Array]]:
    """The same question there, and its answer; `NoAnswer` says that it is the turned one."""
    other = turn.case.asked(asked.ask, task=asked.task, count=asked.count, **given)
    try:
        return other, turn.case.answer(other)
    except NoAnswer as error:
        raise NoAnswer(error.kind, f"{error} (of the problem seen otherwise)") from error


# --------------------------------------------------------------------------------------------- values


def _values(relation: Relation) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        turn = turn_of(case, relation)
        assert turn is not None
        W, B = case.W["generic"], case.B["generic"]
        asked = case.asked("evaluate", W=W, B=B)
        here = case.answer(asked)
        other, there = _pair(case, turn, asked, W=turn.W(W), B=turn.B(B))
        limits, limits_there = case.limits(case.point(asked)), turn.case.limits(turn.case.point(other))
        seen = []
        for name in QUANTITIES:
            if name not in here or name not in there or (name == "gradient_B" and case.T == 1):
                continue
            right, right_there = right_values(name, limits), right_values(name, limits_there)
            answer = _off(name, there[name])
            expected = turn.value(name, _off(name, here[name]))
            limit = right_there[2] + turn.limit(name, right[2])
            held = compare(f"{name} {relation.words}", answer, expected, expected, limit)
            seen.append(held)
            if held.within:
                continue
            worse = _worse(name, (here, right), (there, right_there))
            failure = _failure(
                *((case, asked, here) if worse == 0 else (turn.case, other, there)),
                name,
                {name: (right, right_there)[worse][0]},
                (right, right_there)[worse][2],
            )
            evidence = {"answer": answer, "right": expected, "limit": np.broadcast_to(limit, answer.shape)}
            return Outcome("failed", held.words, {"ratio": held.ratio, "off": held.off}, evidence, failure)
        if not seen:
            return Outcome("skipped", "evaluate gives nothing to compare")
        most = max(each.ratio for each in seen)
        return Outcome(
            "passed", f"{len(seen)} values agree, off by {most:.1g} of their limits", {"ratio": most}
        )

    return run


def _off(name: str, value: Array) -> Array:
    return value - np.diag(np.diag(value)) if name == "gradient_B" else value


def _worse(name: str, *sides: tuple[Mapping[str, Array], tuple[Array, Array, Array]]) -> int:
    """Which of the answers is farther from what is right, in units of its limit."""
    ratios = [compare(name, _off(name, answer[name]), *right).ratio for answer, right in sides]
    return int(np.argmax(ratios))


def _failure(
    case: Case,
    asked: Asked,
    answer: Mapping[str, Array],
    quantity: Quantity,
    right: Mapping[str, Array],
    limit: Array | float,
) -> Failure:
    return Failure(
        check="",
        asked=asked,
        problem=case.problem,
        quantity=quantity,
        answer=answer,
        right=right,
        limit=limit,
        pack=case.pack,
    )


# ---------------------------------------------------------------------------------------------- steps


def apart(limits: Limits) -> float:
    """The largest ||D (W - W*)|| / ||D W*|| of an answer of a W-step, D^2 the curvature."""
    return limits.kappa_W * max(ANSWERS * limits.eps, limits.accuracy or 0.0)


def _w_step(relation: Relation) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        turn = turn_of(case, relation)
        assert turn is not None
        B = case.B["generic"]
        asked = case.asked("w-step", B=B)
        here = case.answer(asked)
        other, there = _pair(case, turn, asked, B=turn.B(B))
        best = best_W(case, doubles(asked.B))
        best_there = best_W(turn.case, doubles(other.B))
        limits, limits_there = case.limits(best), turn.case.limits(best_there)
        limit = apart(limits) + apart(limits_there)
        if not limit <= SOLVABLE:
            return Outcome("skipped", f"{case.dtype} does not resolve it: the limit would be {limit:.1e}")
        root = np.sqrt(limits_there.curvature_W)
        found = distance(root * there["W"], root * turn.W(here["W"]))
        figures = {"distance": found, "limit": limit}
        if found <= limit:
            return Outcome("passed", f"they agree to {found:.1e}, the limit is {limit:.1e}", figures)
        points = case.point(asked, W=here["W"]), turn.case.point(other, W=there["W"])
        worse = int(np.argmax([misses_W(point).relative for point in points]))
        failure = _failure(
            *((case, asked, here) if worse == 0 else (turn.case, other, there)),
            "w_step",
            {"W": (best, best_there)[worse].W},
            (limits, limits_there)[worse].step,
        )
        words = f"W {relation.words} differs by {found:.2e} of it, the limit is {limit:.1e}"
        return Outcome("failed", words, figures, {"answer": there["W"], "right": turn.W(here["W"])}, failure)

    return run


def _b_step(relation: Relation) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        turn = turn_of(case, relation)
        assert turn is not None
        W = case.W["generic"]
        asked = case.asked("b-step", W=W)
        here = case.answer(asked)
        other, there = _pair(case, turn, asked, W=turn.W(W))
        best, best_there = best_B(case, doubles(asked.W)), best_B(turn.case, doubles(other.W))
        limits, limits_there = case.limits(best), turn.case.limits(best_there)
        room = turn.f * limits.gap_B(limits.step, best.B)
        room += limits_there.gap_B(limits_there.step, best_there.B)
        points = case.point(asked, B=here["B"]), turn.case.point(other, B=there["B"])
        carried = turn.case.point(other, B=turn.B(here["B"]))
        found = abs(float(points[1].objective) - float(carried.objective))
        figures = {"difference": found, "limit": room}
        if found <= room:
            return Outcome("passed", f"they agree in J to {found:.1e}, the limit is {room:.1e}", figures)
        worse = int(np.argmax([misses_B(point).relative for point in points]))
        failure = _failure(
            *((case, asked, here) if worse == 0 else (turn.case, other, there)),
            "b_step",
            {"B": (best, best_there)[worse].B},
            (limits, limits_there)[worse].step,
        )
        words = f"B {relation.words} is another: J differs by {found:.2e}, the limit is {room:.1e}"
        return Outcome("failed", words, figures, {"answer": there["B"], "right": turn.B(here["B"])}, failure)

    return run


def _near_answer(case: Case) -> tuple[Array, Array]:
    """The start near the reference answer."""
    W, B = (
        block * (1.0 + 2.0**-7 * draws(case.name, f"{name} near", block.shape))
        for name, block in (("W", case.W["answer"]), ("B", case.B["answer"]))
    )
    return W, case.problem.model.transfer.project(B)


def _fit(relation: Relation) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        turn = turn_of(case, relation)
        assert turn is not None
        W, B = _near_answer(case)
        asked = case.asked("fit", W=W, B=B)
        here = case.answer(asked)
        other, there = _pair(case, turn, asked, W=turn.W(W), B=turn.B(B))
        limits = turn.case.limits(turn.case.point(other, W=turn.W(here["W"]), B=turn.B(here["B"])))
        room = 2.0 * (limits.rounding_of_J + limits.final * limits.terms)
        points = case.point(asked, **here), turn.case.point(other, **there)
        found = abs(float(points[1].objective) - float(limits.point.objective))
        figures = {"difference": found, "limit": room}
        if found <= room:
            return Outcome("passed", f"they agree in J to {found:.1e}, the limit is {room:.1e}", figures)
        ratios = [max(misses_W(point).relative, misses_B(point).relative) for point in points]
        worse = int(np.argmax(ratios))
        failure = _failure(
            *((case, asked, here) if worse == 0 else (turn.case, other, there)), "fit", {}, limits.final
        )
        words = f"the point {relation.words} is another: J differs by {found:.2e}, the limit is {room:.1e}"
        return Outcome("failed", words, figures, {"answer": there["B"], "right": turn.B(here["B"])}, failure)

    return run


# ------------------------------------------------------------------------------------------- registry


def _applies(relation: Relation, what: str) -> Callable[[Case], str]:
    def why_not(case: Case) -> str:
        why = amtl(case) or relation.applies(case) or (several(case) if what == "b-step" else "")
        if why:
            return why
        return "" if turn_of(case, relation) is not None else f"{case.dtype} does not hold it turned"

    return why_not


for _relation in RELATIONS:
    for _what, _needs, _made in (
        ("values", "evaluate", _values),
        ("w-step", "w-step", _w_step),
        ("b-step", "b-step", _b_step),
        ("fit", "fit", _fit),
    ):
        check(
            "L4",
            f"{_relation.name}-{_what}",
            needs=_needs,
            title=f"{_what} {_relation.words}",
            most=_MOST[_what],
            applies=_applies(_relation, _what),
        )(_made(_relation))
