"""All sentences of a certificate of a network: verdict, headline, what is known, every level."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.certificate.figures import rounded_down, rounded_up
from amtl_cvx.certificate.levels import LEVELS, Rung, sentence
from amtl_cvx.features import telling
from amtl_cvx.features.telling import against_zero, dead, live
from amtl_cvx.network.known import NetworkKnown

NO_GAPS = (
    "the signs of Z S A couple L, S and A: the best of one block in its cell is none of J, and no block by"
    " itself has a gap"
)
"""Why there is no C1, and no gap of a block."""
NO_DIGITS = "no enclosure in ball arithmetic is built for a point on kinks of a network"
NO_BOUND = "no way is known to a lower bound of J of a network over all weights"
NO_FEEDBACK = "J does not depend on A (alpha = gamma = 0): what is said is said of the layers and S"
AS_GIVEN = "the point is judged as it is given, nothing is moved onto kinks"
_CONDITIONS = "conditions of a directionally stationary point"
_QUIET = ("gap_", "snap_", "kink_width", "balance_lower")


def verdict(found: NetworkKnown) -> str:
    """One line: level, word and the figures that decide."""
    if found.level is None:
        return f"not feasible: A must not be negative, an entry of it is {-found.feasibility:.2g}"
    proven = "".join(
        f", {rung.figure}" for rung in rungs(found) if rung.code > "C2" and rung.state == "reached"
    )
    passes = "passes" if found.passes else "does not pass"
    if found.live_features == 0:
        passes += ": the zero point, nothing is learned"
    return (
        f"{found.level} {LEVELS[found.level]}: relative residual {rounded_up(found.relative)},"
        f" {_kinks(found)}, {live(found)}{against_zero(found)}{_moved(found)}{proven},"
        f" tolerance {found.tol:g} ({passes})"
    )


def headline(found: NetworkKnown) -> str:
    """The verdict in a few words, without claiming more than was shown."""
    infeasible, nothing = "Not feasible: A must not be negative", "The zero point: nothing is learned"
    point = "directionally stationary point"
    return telling.headline(found, infeasible=infeasible, nothing=nothing, point=point)


def sentences(found: NetworkKnown) -> list[str]:
    """The certificate in plain words, up to C2; `rungs` goes on from there."""
    if found.level is None:
        return [f"{verdict(found)}."]
    lines = [
        f"The point is {'' if found.passes else 'not shown to be '}a directionally stationary point of J, in"
        " which it falls in no direction to first order, kinks and all. J is not convex, other such points"
        " can exist, and the zero point always is one.",
        f"The objective is {found.objective:.6g}; that of the zero point is {found.zero_objective:.6g}.",
        f"{live(found)[0].upper()}{live(found)[1:]}.{dead(found)}",
        f"{_kinks(found)[0].upper()}{_kinks(found)[1:]}; {_normals(found)}.",
    ]
    if found.snap_distance is not None:
        lines.append(_snapped(found))
    lower = found.balance_lower
    units = "" if lower is None else f", units of lower layers to {rounded_up(lower)}"
    lines += [
        telling.residual(found),
        "What each feature costs in its weights, E and A balances what it costs in S to"
        f" {rounded_up(found.balance)}{units}.",
    ]
    others = {
        name: why for name, why in found.reasons.items() if name not in LEVELS and not name.startswith(_QUIET)
    }
    return [*lines, *(f"{name}: {why}." for name, why in others.items())]


def _kinks(found: NetworkKnown) -> str:
    one = found.active_kinks == 1
    told = f"{found.active_kinks} unit{'' if one else 's'} on {'its' if one else 'their'} kink"
    return f"{told}, {found.concave_kinks} of them concave" if found.concave_kinks else told


def _normals(found: NetworkKnown) -> str:
    protected = f"{found.protected_kinks} kinks of the reconstruction are held by prices of S and A"
    if found.likq is None:
        return f"whether their normals are independent is not known; {protected}"
    words = "independent" if found.likq else f"dependent ({found.rank_deficiency} on others)"
    return f"their normals are {words}; {protected}"


def _moved(found: NetworkKnown) -> str:
    if not found.snap_distance:
        return ""
    return f", snapped by {rounded_up(found.snap_distance)}"


def _snapped(found: NetworkKnown) -> str:
    if not found.snap_distance:
        return f"Nothing had to be moved onto kinks (kink width {found.kink_width:g})."
    change = found.snap_change or 0.0
    return (
        f"What is judged is the given point with {found.snap_units} units moved onto their kinks and"
        f" {found.snap_entries} entries put to 0 (kink width {found.kink_width:g}): the weights moved by"
        f" {rounded_up(found.snap_distance)} ({rounded_up(found.snap_relative or 0.0)} of their length), J by"
        f" {change:.2g}."
    )


def rungs(found: NetworkKnown) -> tuple[Rung, ...]:
    """Every level of the ladder as the certificate sees it, lowest first: six `Rung`."""
    return telling.rungs(found, _known)


def _known(found: NetworkKnown, code: str) -> tuple[str, str]:
    """The figure of a level, and the sentence of who reached it."""
    curvature = found.reduced_hessian_min
    known: Mapping[str, tuple[str, str]] = {
        "C0": (f"J {found.objective:.12g}", _evaluated(found)),
        "C2": (f"relative residual {rounded_up(found.relative)}", telling.first_order(found, _CONDITIONS)),
        "C3": ("" if curvature is None else f"curvature {rounded_down(curvature)}", _strict(found)),
    }
    return known.get(code, ("", ""))


def _evaluated(found: NetworkKnown) -> str:
    if found.level is None:
        return sentence(verdict(found))
    return f"J, its gradients, kinks and residuals are known, and J of the zero point; {live(found)}."


def _strict(found: NetworkKnown) -> str:
    curvature = found.reduced_hessian_min
    if curvature is None:
        return ""
    moved = ", A aside," if NO_FEEDBACK in found.reasons.values() else ""
    rooms = telling.rooms(found, "a multiplier or of a zero of S or A")
    return (
        f"A strict local minimum: every small move of all weights{moved} raises J. Curvature at least"
        f" {rounded_down(curvature)} along the {found.free} free directions{rooms}."
    )
