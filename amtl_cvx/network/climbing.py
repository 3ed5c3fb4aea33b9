"""The ladder of networks above C2: C3 in floating point; there are no proofs above it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from amtl_cvx.ladder import Climb, climb_from
from amtl_cvx.network.certificate import NetworkCertificate
from amtl_cvx.network.certificate import strict_local as judged
from amtl_cvx.network.point import NetworkPoint


def climb_network(
    certificate: NetworkCertificate,
    point: NetworkPoint,
    *,
    level: str,
    limit: float,
    digits: int = 40,
    observe: Callable[[str], None] | None = None,
) -> Climb:
    """Go up from a certificate of a point until `level`, as far as the rungs bear; see `ladder.climb`."""
    found: Any = certificate
    at: Any = point
    return climb_from(found, at, level=level, limit=limit, digits=digits, observe=observe, steps=STEPS)


def strict_local(climbed: Climb, point: NetworkPoint, **_: Any) -> Climb:
    """C3."""
    found: Any = climbed.certificate
    found = judged(found, point)
    return replace(climbed, certificate=found)


STEPS: Mapping[str, Callable[..., Climb]] = {"C3": strict_local}
