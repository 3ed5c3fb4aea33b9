"""The ladder of shared features above C2: C3 in floating point, C4 in balls; for C5 there is no bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from amtl_cvx.features.certificate import FeatureCertificate
from amtl_cvx.features.certificate import strict_local as judged
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.ladder import Climb, climb_from
from amtl_cvx.ladder.steps import proven_by


def climb_features(
    certificate: FeatureCertificate,
    point: FeaturePoint,
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


def strict_local(climbed: Climb, point: FeaturePoint, **_: Any) -> Climb:
    """C3."""
    found: Any = climbed.certificate
    found = judged(found, point)
    return replace(climbed, certificate=found)


def digits_proven(climbed: Climb, point: FeaturePoint, *, digits: int, **_: Any) -> Climb:
    """C4."""
    from amtl_cvx.digits import require_flint

    def proof() -> Any:
        require_flint()
        from amtl_cvx.features.proven import prove_features

        return prove_features(point, digits=digits)

    return proven_by(climbed, point.tasks, proof, margins=("min_multiplier", "min_entry"))


STEPS: Mapping[str, Callable[..., Climb]] = {"C3": strict_local, "C4": digits_proven}
