"""The rungs above C2, one function each: what it asks, and what it makes of the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from amtl_cvx.certificate import second_order
from amtl_cvx.certificate.figures import double_above, double_below, rounded_down, rounded_up
from amtl_cvx.certificate.levels import EXCESS, FACTORS
from amtl_cvx.errors import LimitReached, NotCertifiable
from amtl_cvx.ladder.climbed import Climb, changed, missed, refused, undecided
from amtl_cvx.limits import check_time, seconds_left
from amtl_cvx.problem import Point
from amtl_cvx.tasks import TaskSet

if TYPE_CHECKING:
    from amtl_cvx.digits import ProvenPoint
    from amtl_cvx.enclosure import Enclosure
    from amtl_cvx.enclosure.scip import Claim

SECONDS = 60.0
"""How long SCIP is asked where there is no exact bound."""
LONGER = "--limit SECONDS (limit= in Python) allows more"
PHASES = {
    "C3": "judging the curvature",
    "C4": "proving digits in ball arithmetic",
    "C5": "bounding the global minimum",
}


def strict_local(climbed: Climb, point: Point, **_: Any) -> Climb:
    """C3."""
    try:
        found = second_order(point)
    except NotCertifiable as refusal:
        return refused(climbed, "C3", str(refusal))
    climbed = replace(climbed, curvature=found)
    if found.verdict != "strict local minimum":
        climbed = missed(climbed, "C3", f"{found.verdict}: {found.reason}")
    figures = {
        "reduced_hessian_min": (found.reduced_hessian_min, "every move leaves the kink of some row"),
        "min_multiplier": (found.min_multiplier, "every entry of B is positive"),
        "min_positive_B": (found.min_positive_B, "no entry of B is positive"),
    }
    known = {name: value for name, (value, _) in figures.items() if math.isfinite(value)}
    empty = {name: why for name, (value, why) in figures.items() if not math.isfinite(value)}
    return changed(
        climbed,
        "C3" if found.verdict == "strict local minimum" else None,
        reasons=empty,
        held_rows=found.held,
        **known,
    )


def digits_proven(climbed: Climb, point: Point, *, digits: int, **_: Any) -> Climb:
    """C4."""
    from amtl_cvx.digits import prove

    def proof() -> ProvenPoint:
        return prove(point.tasks, point.model, point.W, point.B, digits=digits)

    return proven_by(climbed, point.tasks, proof, margins=("min_multiplier", "min_positive_B"))


def proven_by(climbed: Climb, tasks: TaskSet, proof: Callable[[], Any], *, margins: tuple[str, ...]) -> Climb:
    """C4 of any family: what its proof, a `ProvenPoint` or the like, makes of the certificate.

    `margins` are the figures that the proof bounds where floating point could not tell C3.
    """
    if any(task.compressed for task in tasks):
        return refused(climbed, "C4", FACTORS)
    try:
        found = proof()
    except LimitReached:
        raise
    except NotCertifiable as refusal:
        return refused(climbed, "C4", str(refusal))
    climbed = replace(climbed, proven=found)
    if not found.strict_local_min:
        return missed(climbed, "C4", "the first-order point that was enclosed is not a strict local minimum")
    if not found.room > 0.0:
        return missed(
            climbed,
            "C4",
            f"the proven first-order point is up to {rounded_up(found.distance)} away from the stored one,"
            " and nothing excludes another in between: refine the point",
        )
    if not climbed.certificate.has("C3"):
        climbed = _decided_by(climbed, {name: getattr(found, name) for name in margins})
    return changed(
        climbed,
        "C4",
        proven_radius=found.radius,
        proven_distance=found.distance,
        proven_isolation=found.room,
    )


def _decided_by(climbed: Climb, margins: Mapping[str, float]) -> Climb:
    """C3 without what floating point could not tell, and with the margins that are proved."""
    certificate = climbed.certificate
    known: dict[str, Any] = {name: value for name, value in margins.items() if math.isfinite(value)}
    reasons = {code: reason for code, reason in certificate.reasons.items() if code != "C3"}
    decided = replace(certificate, reasons=reasons, **known)
    return replace(climbed, certificate=decided)


def global_verified(
    climbed: Climb,
    point: Point,
    *,
    width: float,
    proof: dict[str, Any] | None,
    observe: Callable[[str], None] | None,
    **_: Any,
) -> Climb:
    """C5."""
    tasks = point.tasks
    from amtl_cvx.enclosure import enclose, stored_enclosure

    if any(task.compressed for task in tasks):
        return refused(climbed, "C5", FACTORS)

    def cut(words: str) -> None:
        if observe is not None:
            observe(f"{PHASES['C5']}: {words}")

    try:
        if proof is None:
            found = enclose(tasks, point.model, point.W, point.B, observe=cut)
        else:
            found = stored_enclosure(proof, point)
    except LimitReached:
        raise
    except NotCertifiable as refusal:
        return _claimed(climbed, point, refusal=str(refusal))
    climbed = _bounded(replace(climbed, bounds=found), found)
    lower = Fraction(climbed.certificate.global_lower or 0.0)
    climbed = changed(climbed, None, global_excess=double_above(found.at - lower))
    if beaten := _lower_point(climbed, found.at):
        return missed(climbed, "C5", beaten)
    if not found.width <= width:
        stopped = f"; what ended the search: {found.stopped}" if found.stopped else ""
        return undecided(
            climbed,
            "C5",
            f"not proven global, the minimum lies in {_interval(climbed)}, of relative width"
            f" {rounded_up(found.width)}, more than {width:g}{stopped}",
        )
    return changed(climbed, "C5")


def _claimed(climbed: Climb, point: Point, *, refusal: str) -> Climb:
    """What SCIP says where there is no exact bound: reported, never a level."""
    from amtl_cvx.enclosure.scip import claim

    try:
        check_time("SCIP was to be asked")
        found = claim(point, seconds=min(SECONDS, seconds_left()))
    except LimitReached as stop:
        return refused(climbed, "C5", f"{refusal}; {stop}; {LONGER}")
    except NotCertifiable as second:
        return refused(climbed, "C5", f"{refusal}; SCIP is no help: {second}")
    climbed = _bounded(replace(climbed, bounds=found), found)
    if beaten := _lower_point(climbed, Fraction(climbed.certificate.objective)):
        return missed(climbed, "C5", beaten)
    words = f"a solver claims, and nothing proves, that the minimum lies in {_interval(climbed)}"
    return refused(climbed, "C5", f"{refusal}; {words}")


def _lower_point(climbed: Climb, at: Fraction) -> str:
    """That a point is known whose J lies below J of this one, `at`, by too much; "" otherwise."""
    certificate = climbed.certificate
    assert certificate.global_upper is not None
    above = at - Fraction(certificate.global_upper)
    if above <= Fraction(min(certificate.tol, EXCESS)) * abs(at):
        return ""
    share = rounded_down(double_below(above / at))
    return (
        f"a lower point exists: J is at most {certificate.global_upper!r} there, and this one lies at least"
        f" {share} of its J above that"
    )


def _interval(climbed: Climb) -> str:
    return f"[{climbed.certificate.global_lower!r}, {climbed.certificate.global_upper!r}]"


def _bounded(climbed: Climb, found: Enclosure | Claim) -> Climb:
    """The certificate with the bounds, rounded outward; J >= 0 whatever the lower one is worth."""
    return changed(
        climbed,
        None,
        global_lower=max(double_below(Fraction(found.lower)), 0.0),
        global_upper=double_above(Fraction(found.upper)),
        global_width=found.width,
        global_method=found.method,
    )
