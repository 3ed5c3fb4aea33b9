"""How far up a climb came: its certificate, what was found on the way, and how a rung changes both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from amtl_cvx.certificate import Certificate, SecondOrder
from amtl_cvx.certificate.levels import UNDECIDED

if TYPE_CHECKING:
    from amtl_cvx.digits import ProvenPoint
    from amtl_cvx.enclosure import Enclosure
    from amtl_cvx.enclosure.scip import Claim


@dataclass(frozen=True, kw_only=True, eq=False)
class Climb:
    """How far up, and what was found on the way; None for a rung that was not come to.

    Another family than AMTL has its own certificate and proof here, and no curvature.

    Attributes
    ----------
    certificate : Certificate
        With the level reached and the figures and reasons of every rung tried.
    curvature : SecondOrder or None
        Of C3.
    proven : ProvenPoint or None
        Of C4: W, B and J as decimals.
    bounds : Enclosure, Claim or None
        Of C5.
    interrupted : bool
        Whether Ctrl-C ended the climb; the certificate says at which rung.
    """

    certificate: Certificate
    curvature: SecondOrder | None = None
    proven: ProvenPoint | None = None
    bounds: Enclosure | Claim | None = None
    interrupted: bool = False


def changed(
    climbed: Climb, level: str | None, *, reasons: dict[str, str] | None = None, **figures: Any
) -> Climb:
    """With another level, reasons and figures."""
    certificate = climbed.certificate
    found = replace(
        certificate,
        level=level or certificate.level,
        reasons={**certificate.reasons, **(reasons or {})},
        **figures,
    )
    return replace(climbed, certificate=found)


def missed(climbed: Climb, code: str, reason: str) -> Climb:
    """The rung was tried and this point does not reach it."""
    return changed(climbed, None, reasons={code: reason})


def undecided(climbed: Climb, code: str, reason: str) -> Climb:
    """The work on the rung ended without an answer."""
    return missed(climbed, code, f"{UNDECIDED}: {reason}")


def refused(climbed: Climb, code: str, reason: str) -> Climb:
    """The rung cannot be had."""
    return changed(climbed, None, reasons={code: reason}, refused=(*climbed.certificate.refused, code))
