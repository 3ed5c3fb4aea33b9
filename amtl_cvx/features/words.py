"""All sentences of a certificate of shared features: verdict, headline, what is known, every level."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.certificate.levels import LEVELS, Rung, sentence
from amtl_cvx.features import telling
from amtl_cvx.features.known import FeatureKnown
from amtl_cvx.features.telling import against_zero, dead, live

NO_FEEDBACK = "GO-MTL has no A"
"""Why a figure of A has no value."""


def verdict(found: FeatureKnown) -> str:
    """One line: level, word and the figures that decide."""
    if found.level is None:
        return f"not feasible: A must not be negative, an entry of it is {-found.feasibility:.2g}"
    gaps = "".join(f", gap_{name} {rounded_up(value)}" for name, value in _gaps(found) if value is not None)
    proven = "".join(
        f", {rung.figure}" for rung in rungs(found) if rung.code > "C2" and rung.state == "reached"
    )
    passes = "passes" if found.passes else "does not pass"
    if found.live_features == 0:
        passes += ": the zero point, nothing is learned"
    return (
        f"{found.level} {LEVELS[found.level]}: relative residual {rounded_up(found.relative)}{gaps}, limit"
        f" {rounded_down(found.limit)}, {live(found)}{against_zero(found)}{proven}, tolerance {found.tol:g}"
        f" ({passes})"
    )


def headline(found: FeatureKnown) -> str:
    """The verdict in a few words, without claiming more than was shown."""
    infeasible, nothing = "Not feasible: A must not be negative", "The zero point: nothing is learned"
    return telling.headline(found, infeasible=infeasible, nothing=nothing)


def sentences(found: FeatureKnown) -> list[str]:
    """The certificate in plain words, up to C2; `rungs` goes on from there."""
    if found.level is None:
        return [f"{verdict(found)}."]
    lines = [
        "The point is judged as a first-order point of the joint objective J; J is not convex, other such"
        " points can exist, and the zero point always is one.",
        f"The objective is {found.objective:.6g}; that of the zero point is {found.zero_objective:.6g}.",
        f"{live(found)[0].upper()}{live(found)[1:]}.{dead(found)}",
    ]
    lines += [
        f"No move of {name} alone can gain more than {rounded_up(value)}."
        for name, value in _gaps(found)
        if value is not None
    ]
    lines += [
        f"The limit for their sum is {rounded_down(found.limit)}.",
        telling.residual(found),
        f"What each feature costs in {_costs(found)} balances what it costs in S to"
        f" {rounded_up(found.balance)}.",
    ]
    others = {name: why for name, why in found.reasons.items() if name not in LEVELS and why != NO_FEEDBACK}
    return [*lines, *(f"{name}: {why}." for name, why in others.items())]


def _costs(found: FeatureKnown) -> str:
    return "L" if found.fed_back is None else "L, E and A"


def _blocks(found: FeatureKnown) -> str:
    return "L and S" if found.fed_back is None else "L, S and A"


def _gaps(found: FeatureKnown) -> list[tuple[str, float | None]]:
    return [("L", found.gap_L), ("S", found.gap_S), ("A", found.gap_A)]


def rungs(found: FeatureKnown) -> tuple[Rung, ...]:
    """Every level of the ladder as the certificate sees it, lowest first: six `Rung`."""
    return telling.rungs(found, _known)


def _known(found: FeatureKnown, code: str) -> tuple[str, str]:
    """The figure of a level, and the sentence of who reached it."""
    known: Mapping[str, tuple[str, str]] = {
        "C0": (f"J {found.objective:.12g}", _evaluated(found)),
        "C1": (
            ", ".join(f"gap_{name} {rounded_up(g)}" for name, g in _gaps(found) if g is not None),
            _partial(found),
        ),
        "C2": (f"relative residual {rounded_up(found.relative)}", telling.first_order(found)),
        "C3": (_figure("curvature", found.reduced_hessian_min, down=True), _strict(found)),
        "C4": (_figure("radius", found.proven_radius), _digits(found)),
        "C5": ("", ""),
    }
    return known[code]


def _figure(name: str, value: float | None, *, down: bool = False) -> str:
    return "" if value is None else f"{name} {(rounded_down if down else rounded_up)(value)}"


def _evaluated(found: FeatureKnown) -> str:
    if found.level is None:
        return sentence(verdict(found))
    return f"J, its gradients and residuals are known; {live(found)}, and J of the zero point is known."


def _partial(found: FeatureKnown) -> str:
    parts = [
        f"what a move of {name} alone can gain is not known ({_why(found, name)})"
        if value is None
        else f"no move of {name} alone can gain more than {rounded_up(value)}"
        for name, value in _gaps(found)
        if value is not None or _why(found, name) != NO_FEEDBACK
    ]
    return f"{sentence('; '.join(parts))[:-1]}; the limit for the sum is {rounded_down(found.limit)}."


def _why(found: FeatureKnown, name: str) -> str:
    return found.reasons.get(f"gap_{name}", "not available")


def _strict(found: FeatureKnown) -> str:
    curvature = found.reduced_hessian_min
    if curvature is None:
        return ""
    dead = ", dead features included" if found.live_features < found.features else ""
    rooms = telling.rooms(found, "a zero of S or A")
    return (
        f"A strict local minimum: every small move of {_blocks(found)} raises J{dead}. Curvature at least"
        f" {rounded_down(curvature)} along the {found.free} free entries{rooms}."
    )


def _digits(found: FeatureKnown) -> str:
    radius, distance, isolation = found.proven_radius, found.proven_distance, found.proven_isolation
    if radius is None or distance is None or isolation is None:
        return ""
    return (
        f"Exactly one first-order point lies within {rounded_down(isolation)} of the stored"
        f" one, at most {rounded_up(distance)} away from it; it is known to {rounded_up(radius)}, and it is a"
        " strict local minimum."
    )
