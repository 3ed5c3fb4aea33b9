"""Figures in words, rounded so that what the words claim holds: up behind "at most", down behind "at least".

Two digits to nearest turn 6.04e-21 into "at most 6.0e-21", which is false. A bound that is itself an exact
rational becomes a double on its own side first (`double_below`, `double_above`).
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from fractions import Fraction


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
