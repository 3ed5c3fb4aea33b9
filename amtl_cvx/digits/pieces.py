r"""Rows whose loss is a polynomial by pieces, over the rationals.

Five losses are one form, with r = z - centre, q = 1 or 0 and u in [low, high] (None: no end),

    phi(z) = max over u of u r - q u^2 / 4           phi*(u) = centre u + q u^2 / 4

| loss | centre | low, high | q |
|---|---|---|---|
| squared | y | none | 1 |
| huber:K | y | -2 K, 2 K | 1 |
| squared-hinge | y (as a sign) | none, 0 for y = 1; 0, none for y = -1 | 1 |
| hinge | y (as a sign) | -1, 0 for y = 1; 0, 1 for y = -1 | 0 |
| quantile:tau | y | -tau, 1 - tau | 0 |

Where q = 1 the best u is 2 r, clipped; where q = 0 it is an end, and any u on the kink r = 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from flint import fmpq

from amtl_cvx.losses import Loss

NAMES = ("squared", "huber", "squared-hinge", "hinge", "quantile")


class Piecewise(NamedTuple):
    """One row of such a loss; see the module essay."""

    centre: fmpq
    low: fmpq | None
    high: fmpq | None
    curved: bool

    def slope(self, z: fmpq) -> fmpq:
        """The best u at z; on a kink the upper end."""
        r = z - self.centre
        return self.clipped(2 * r) if self.curved else self.end(-1 if r < 0 else 1)

    def end(self, side: int) -> fmpq:
        """The lower (side -1) or upper (1) end."""
        end = self.low if side < 0 else self.high
        assert end is not None
        return end

    def clipped(self, u: fmpq) -> fmpq:
        """u within its ends."""
        if self.low is not None and u < self.low:
            return self.low
        return self.high if self.high is not None and u > self.high else u

    def inside(self, u: fmpq) -> bool:
        """Whether u is strictly between its ends."""
        return (self.low is None or u > self.low) and (self.high is None or u < self.high)

    def value(self, z: fmpq) -> fmpq:
        """phi(z)."""
        u = self.slope(z)
        return u * (z - self.centre) - (u * u / 4 if self.curved else 0)

    def conjugate(self, u: fmpq) -> fmpq:
        """phi*(u)."""
        return self.centre * u + (u * u / 4 if self.curved else 0)


def piecewise(loss: Loss, y: float) -> Piecewise:
    """The row of one target."""
    if loss.name in ("squared", "huber", "quantile"):
        centre = exact(y)
        if loss.name == "squared":
            return Piecewise(centre, None, None, True)
        if loss.name == "huber":
            end = 2 * exact(loss.threshold)  # type: ignore[attr-defined]
            return Piecewise(centre, -end, end, True)
        tau = exact(loss.tau)  # type: ignore[attr-defined]
        return Piecewise(centre, -tau, 1 - tau, False)
    curved, none = loss.name == "squared-hinge", fmpq(0)
    if y > 0:
        return Piecewise(fmpq(1), None if curved else fmpq(-1), none, curved)
    return Piecewise(fmpq(-1), none, None if curved else fmpq(1), curved)


def exact(number: int | float | Fraction) -> fmpq:
    """A number as flint's rational."""
    return fmpq(*Fraction(number).as_integer_ratio())
