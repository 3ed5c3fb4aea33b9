"""Row losses in balls: phi(z; y), phi' and phi'' over every z of a ball.

A loss that is smooth by pieces has no derivative phi'' at the seam: a ball that reaches it has no row here
(`Kink`), so whatever is computed from rows holds on one smooth piece.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from flint import arb


class Kink(ArithmeticError):
    """A prediction whose ball reaches the seam between two pieces of its loss."""


class Row(NamedTuple):
    """phi, phi', phi'' of one row, and on which piece of its loss it is."""

    value: arb
    slope: arb
    curvature: arb
    active: bool


def squared(z: arb, y: float) -> Row:
    """(z - y)^2."""
    u = z - arb(y)
    return Row(u * u, 2 * u, arb(2), True)


def logistic(z: arb, y: float) -> Row:
    """log(1 + exp(-y z)), y read as its sign."""
    sign = 1 if y > 0 else -1
    m = -sign * z
    share = 1 / (1 + (-m).exp())
    return Row(m.exp().log1p(), -sign * share, share / (1 + m.exp()), True)


def squared_hinge(z: arb, y: float) -> Row:
    """max(0, 1 - y z)^2, y read as its sign; active where 1 - y z > 0."""
    sign = 1 if y > 0 else -1
    m = 1 - sign * z
    if m > 0:
        return Row(m * m, -2 * sign * m, arb(2), True)
    if m < 0:
        return Row(arb(0), arb(0), arb(0), False)
    raise Kink


ROWS: Mapping[str, Callable[[arb, float], Row]] = {
    "squared": squared,
    "logistic": logistic,
    "squared-hinge": squared_hinge,
}
"""The losses with a proof, by their names in `losses.LOSSES`."""

PIECEWISE = ("squared-hinge",)
"""Those of them whose active rows are part of what is proved."""
