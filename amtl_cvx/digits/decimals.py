"""Balls as decimals and doubles that claim no more than the ball proves."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from flint import arb


def rational(point: arb) -> Fraction:
    """The dyadic rational that an exact ball holds."""
    mantissa, exponent = (int(part) for part in point.man_exp())
    return Fraction(mantissa * 2**exponent) if exponent >= 0 else Fraction(mantissa, 2**-exponent)


def decimal(ball: arb, digits: int) -> str:
    """The number in `ball`, rounded correctly to `digits` significant digits, or to as many as are proved.

    Both ends of the ball must round to the same decimal. A ball with 0 in it has no significant digit: it is
    given as 0 with the number of decimals that both ends share, "0E-49".
    """
    low, high = rational(ball.lower()), rational(ball.upper())
    if low == high == 0:
        return "0"
    largest = max(abs(low), abs(high))
    places = digits - 1 - _exponent(largest) if low * high > 0 else 1 - _exponent(high - low)
    while (nearest := _nearest(low, places)) != _nearest(high, places):
        places -= 1
    sign, figures, _ = Decimal(nearest).as_tuple()
    return str(Decimal((sign, figures, -places)))


def at_most(ball: arb) -> float:
    """The least double not below the ball, up to one rounding."""
    value = float(rational(ball.upper()))
    return value if Fraction(value) >= rational(ball.upper()) else math.nextafter(value, math.inf)


def at_least(ball: arb) -> float:
    """The largest double not above the ball, up to one rounding."""
    return -at_most(-ball)


def _exponent(size: Fraction) -> int:
    """e with 10^e <= size < 10^(e+1)."""
    e = len(str(size.numerator)) - len(str(size.denominator))
    return e if size >= Fraction(10) ** e else e - 1


def _nearest(value: Fraction, places: int) -> int:
    return math.floor(value * Fraction(10) ** places + Fraction(1, 2))
