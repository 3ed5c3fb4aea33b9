"""A joint answer of AMTL, and predictors by themselves (single-task): facts from the ladder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import certify
from amtl_cvx.certificate.figures import double_above, double_below
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.ladder import Climb, climb_from
from amtl_cvx.ladder.climbed import refused
from amtl_cvx.ladder.steps import digits_proven, global_verified, strict_local
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.condition import joint_response, weight_response
from amtl_cvx.reference.claims.degenerate import unique_where_degenerate
from amtl_cvx.reference.claims.facts import Facts, finite
from amtl_cvx.reference.claims.response import Response
from amtl_cvx.reference.claims.terms import ROUNDING, Terms, first_order_tolerance
from amtl_cvx.reference.claims.tolerances import largest_share

LIMIT = 600.0
"""Seconds for the rungs of one answer."""
WITHOUT_EXTRAS = "the extra [verify] is not used"


def joint_facts(point: Point, *, extras: bool, proof: Mapping[str, Any] | None, kind: str = "joint") -> Facts:
    """Of W and B; digits are proved with the extras, a stored proof is checked."""
    terms = Terms(point)
    tol, climbed = _climbed(point, terms, kind=kind, extras=extras, proof=proof)
    certificate = climbed.certificate
    response, why = _response(point, kind)
    isolated = certificate.has("C3") if kind == "joint" else None
    unique, unique_why = _unique(point, certificate, response, kind, isolated)
    bound = bound_of(climbed.bounds) if climbed.bounds is not None else _duality(certificate)
    support = [[int(s), int(t)] for s, t in np.argwhere(point.B != 0.0)]
    proven = climbed.proven
    return Facts(
        objective=point.objective,
        terms=terms.objective,
        certificate=certificate.to_dict(),
        passes=certificate.passes,
        level=certificate.level,
        tol=tol,
        gap=(certificate.gain_W or 0.0) + (certificate.gap_B or 0.0),
        shares=terms.shares(),
        curved=curved_share(point, response),
        response=response,
        no_response=why,
        unique=unique,
        unique_why=unique_why,
        support=support,
        min_positive_B=finite(certificate.min_positive_B),
        min_multiplier=finite(certificate.min_multiplier),
        digits=None if proven is None else proven.named(point.tasks),
        no_digits=_no_digits(certificate, extras),
        bound=bound,
        no_bound="" if bound else certificate.reasons.get("C5", "no proof of a lower bound is kept"),
        figures={
            name: value
            for name in ("condition_W", "condition_B", "sigma_min", "reduced_hessian_min")
            if (value := finite(getattr(certificate, name))) is not None
        },
    )


def _climbed(
    point: Point, terms: Terms, *, kind: str, extras: bool, proof: Mapping[str, Any] | None
) -> tuple[float, Climb]:
    """What the point is held to, and how far up it comes."""
    tol = first_order_tolerance(point)
    certificate = certify(point, tol=tol, kind=kind)
    if not certificate.passes and certificate.relative <= tol:  # a gap is known to the rounding of J
        rounding = ROUNDING * terms.objective / (abs(point.objective) or 1.0)
        if tol < rounding < 1e-3:
            tol = rounding
            certificate = certify(point, tol=tol, kind=kind)
    climbed = Climb(certificate=certificate)
    if kind == "single-task":
        climbed = climb_from(certificate, point, level="C5", limit=LIMIT)
    elif certificate.passes:
        steps: dict[str, Callable[..., Climb]] = {"C3": strict_local} | (
            {"C4": digits_proven} if extras else {}
        )
        steps |= {} if proof is None else {"C5": global_verified}
        stored = None if proof is None else dict(proof)
        climbed = climbed if extras else refused(climbed, "C4", WITHOUT_EXTRAS)
        climbed = climb_from(climbed.certificate, point, level="C5", limit=LIMIT, proof=stored, steps=steps)
    return tol, climbed


def _response(point: Point, kind: str) -> tuple[Response | None, str]:
    try:
        return (joint_response(point) if kind == "joint" else weight_response(point)), ""
    except NotCertifiable as refusal:
        return None, str(refusal)


def _unique(
    point: Point, certificate: Any, response: Response | None, kind: str, isolated: bool | None
) -> tuple[dict[str, bool | None], str]:
    """What is unique, and why it is or what is not known."""
    if kind == "single-task":
        strict = point.least_of_K > 0.0 or response is not None
        why = (
            "J is strictly convex in W, and B = 0"
            if strict
            else "the Hessian in W is singular up to rounding"
        )
        return {"W": True if strict else None, "B": True}, why
    product = point.model.coupled
    if isolated:
        return {"W": True, "B": True, "W B": product}, (
            "a strict local minimum: the only first-order point near it; elsewhere there may be others"
        )
    if certificate.passes and (found := unique_where_degenerate(point)) is not None:
        return found
    why = certificate.reasons.get("C3", "not known to be a strict local minimum")
    return {"W": None, "B": None, "W B": None}, str(why)


def _no_digits(certificate: Any, extras: bool) -> str:
    if not extras:
        return WITHOUT_EXTRAS
    below, own = (certificate.reasons.get(code) for code in ("C3", "C4"))
    return str(own if own and not own.startswith("needs") else below or "the point does not pass")


def bound_of(found: Any) -> dict[str, Any]:
    """Of an `Enclosure`."""
    return {
        "lower": max(double_below(Fraction(found.lower)), 0.0),
        "upper": double_above(Fraction(found.upper)),
        "width": float(found.width),
        "method": str(found.method),
    }


def _duality(certificate: Any) -> dict[str, Any] | None:
    """The bound of a convex problem."""
    if certificate.global_lower is None:
        return None
    return {
        "lower": certificate.global_lower,
        "upper": certificate.global_upper,
        "width": certificate.global_width,
        "method": certificate.global_method,
    }


def curved_share(point: Point, response: Response | None, *, blocks: tuple[str, ...] = ("W", "B")) -> float:
    """The largest (|H| |x|)_i / size_i; 0 where H is not known."""
    if response is None:
        return 0.0
    moved = response.curve(response.values)
    about_W, about_B, _ = misses(point)
    found = 0.0
    if "W" in response.blocks and "W" in blocks:
        found = largest_share(moved[response.blocks["W"]], about_W.size.T.ravel())
    if "B" in response.blocks and "B" in blocks and (free := _single_edges(point)) is not None:
        found = max(found, largest_share(moved[response.blocks["B"]], about_B.size[free]))
    return found


def _single_edges(point: Point) -> tuple[Array, Array] | None:
    """Source and target of the free coordinates, where each is one edge."""
    atoms = point.problem.atoms
    if atoms is None or (np.diff(atoms.E.indptr) != 1).any():
        return None
    places = atoms.E.indices[np.flatnonzero(point.coefficients > atoms.lo)]
    s, t = np.divmod(places, point.tasks.T)
    return s, t
