"""Figures in words, rounded so that what the words claim holds: up behind "at most", down behind "at least".

Two digits to nearest turn 6.04e-21 into "at most 6.0e-21", which is false. A bound that is itself an exact
rational becomes a double on its own side first (`double_below`, `double_above`). `facts` are all figures of a
certificate as a table shows them, each by its row of `known`.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from fractions import Fraction
from typing import Any, NamedTuple

from amtl_cvx.certificate.levels import LEVELS
from amtl_cvx.known import Figure, Known, figures, grouped


class Fact(NamedTuple):
    """One line of the table of a certificate; `missing` says why there is no value."""

    name: str
    value: str
    meaning: str
    missing: str | None


def facts(found: Known) -> list[tuple[str, list[Fact]]]:
    """Every figure, by group; last what `reasons` says of anything else."""
    groups = [(group.title, [fact(found, figure) for figure in members]) for group, members in grouped(found)]
    told = {figure.name for figure in figures(found)} | set(LEVELS)
    others = [Fact(name, "", "", why) for name, why in found.reasons.items() if name not in told]
    return groups + ([("Remarks", others)] if others else [])


def fact(found: Known, figure: Figure) -> Fact:
    """A figure of the certificate; where it has no value, the reason."""
    value, level = getattr(found, figure.name), figure.group.level
    if value is not None:
        return Fact(figure.name, _shown(value, figure), figure.words, None)
    reason = found.reasons.get(figure.name) or found.reasons.get(level)
    return Fact(figure.name, "", figure.words, reason or ("not asked for" if level else "not available"))


def _shown(value: Any, figure: Figure) -> str:
    if figure.holds:
        return (rounded_up if figure.holds == "at most" else rounded_down)(value, figure.digits)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.{figure.digits}g}"
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def rounded_up(value: float, digits: int = 2) -> str:
    """At most `digits` significant digits, not below `value`: what holds at most."""
    return _rounded(value, Context(prec=digits, rounding=ROUND_CEILING))


def rounded_down(value: float, digits: int = 2) -> str:
    """At most `digits` significant digits, not above `value`: what holds at least."""
    return _rounded(value, Context(prec=digits, rounding=ROUND_FLOOR))


def double_below(value: Fraction) -> float:
    """The largest double that is not above `value`."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


def double_above(value: Fraction) -> float:
    """The least double that is not below `value`."""
    return -double_below(-value)


def _rounded(value: float, context: Context) -> str:
    return f"{float(context.create_decimal(value)):.{context.prec}g}"
