"""By which rules a point was judged, and what changed since: an old run that no longer passes is told why.

certificate.json holds their number as `rules`; one without it is of version 1. Version 2 judges more strictly
in these places, each after a point was found that passed and should not have:

    residual   every entry of W and B is held against the size of its own terms, no longer against the largest
               of its column of W or row of B: an entry in small units hid behind one in large units; and
               what removing a small edge gains against what its column costs: it hid behind its price
    gain       what W alone can gain is judged by a proved bound, no longer to second order, which far from
               the minimum understates it without limit
    growth     a point from which J goes on falling while its predictors grow does not pass
    valley     a point from which a move of both blocks along a valley lowers J by a thousandth, or as long as
               predictors grow tenfold, does not pass
    C3         the Newton step may move the gradient of no entry by a thousandth of that entry's own terms
    C5         J may lie above a point known to be lower by min(tol, 1e-3) of J, no longer by tol
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amtl_cvx.certificate.verdict import Certificate

RULES = 2
"""The version of the rules by which this package judges."""

_RESIDUAL = (
    "every entry of W and B is now held against the size of its own terms, before against the largest of its"
    " column of W or row of B"
)
_GAIN = "what W alone can gain is now judged by a proved bound, before to second order"
_GROWTH = "a point from which J goes on falling while its predictors grow no longer passes"
_VALLEY = (
    "a point from which a move of both blocks along a valley lowers J by a thousandth, or as predictors"
    " grow tenfold, no longer passes"
)
_LOCAL = (
    "of level C3, the Newton step may now move the gradient of no entry by a thousandth of that entry's own"
    " terms"
)
_GLOBAL = (
    "of level C5, J may now lie above a point known to be lower by min(tol, 1e-3) of J, before by tol of J"
)


def rule_that_changed(stored: Mapping[str, Any], found: Certificate) -> str:
    """Which rule refuses what the stored certificate of the same point passed; "" where none does.

    `stored` is the content of a certificate.json that anyone may have written.
    """
    if stored.get("rules", 1) == RULES or stored.get("passes") is not True:
        return ""
    if not found.passes:
        if found.feasibility > 0.0:
            return ""
        if found.relative > found.tol:
            return _RESIDUAL
        if "minimum" in found.reasons or "growth" in found.reasons:
            return _GROWTH
        return _VALLEY if "valley" in found.reasons else _GAIN
    level = str(stored.get("level"))
    if level >= "C3" and "of the terms of its gradient" in found.reasons.get("C3", ""):
        return _LOCAL
    beaten = found.reasons.get("C5", "").startswith("a lower point")
    return _GLOBAL if level == "C5" and beaten else ""
