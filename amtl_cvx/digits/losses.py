"""Row losses in balls: phi(z; y), phi' and phi'' over every z of a ball.

A loss that is smooth by pieces has no derivative phi'' at the seam: a ball that reaches it has no row here
(`Kink`), so whatever is computed from rows holds on one smooth piece. The hinge and the quantile loss have no
phi' there either: they are a `Wedge`, two half-lines from one point.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from flint import arb

from amtl_cvx.losses import Loss


class Kink(ArithmeticError):
    """A prediction whose ball reaches the seam between two pieces of its loss."""


class Row(NamedTuple):
    """phi, phi', phi'' of one row, and on which piece of its loss it is."""

    value: arb
    slope: arb
    curvature: arb
    piece: str = "smooth"

    @property
    def active(self) -> bool:
        """Whether its piece is the one that fits: within the margin, within the threshold."""
        return self.piece in ("smooth", "inside", "within")

    def times(self, v: arb) -> Row:
        """The same of a row that counts v times."""
        return Row(v * self.value, v * self.slope, v * self.curvature, self.piece)


class Wedge(NamedTuple):
    """phi(z) = max(low (z - kink), high (z - kink)) of one row, low <= 0 <= high."""

    kink: arb
    low: arb
    high: arb
    names: tuple[str, str]
    """Of the pieces below and above the kink."""

    def row(self, z: arb, side: int) -> Row:
        """The piece below (side -1) or above (1) the kink, continued to every z; on the kink (0) nothing."""
        if side == 0:
            return Row(arb(0), arb(0), arb(0), "kink")
        slope = self.low if side < 0 else self.high
        return Row(slope * (z - self.kink), slope, arb(0), self.names[side > 0])

    def times(self, v: arb) -> Wedge:
        """The same of a row that counts v times."""
        return Wedge(self.kink, v * self.low, v * self.high, self.names)

    def side(self, z: arb) -> int:
        """On which side of the kink all of z lies."""
        if z < self.kink:
            return -1
        if z > self.kink:
            return 1
        raise Kink


def squared(z: arb, y: float) -> Row:
    """(z - y)^2."""
    u = z - arb(y)
    return Row(u * u, 2 * u, arb(2))


def logistic(z: arb, y: float) -> Row:
    """log(1 + exp(-y z)), y read as its sign."""
    sign = 1 if y > 0 else -1
    m = -sign * z
    share = 1 / (1 + (-m).exp())
    return Row(m.exp().log1p(), -sign * share, share / (1 + m.exp()))


def poisson(z: arb, y: float) -> Row:
    """e^z - y z + (y log y - y)."""
    mean, count = z.exp(), arb(y)
    least = count * count.log() - count if y > 0 else arb(0)
    return Row(mean - count * z + least, mean - count, mean)


def squared_hinge(z: arb, y: float) -> Row:
    """max(0, 1 - y z)^2, y read as its sign; active where 1 - y z > 0."""
    sign = 1 if y > 0 else -1
    m = 1 - sign * z
    if m > 0:
        return Row(m * m, -2 * sign * m, arb(2), "inside")
    if m < 0:
        return Row(arb(0), arb(0), arb(0), "outside")
    raise Kink


def huber(z: arb, y: float, threshold: float = 1.0) -> Row:
    """r^2 for |r| < K, 2 K |r| - K^2 for |r| > K, r = z - y."""
    r, K = z - arb(y), arb(threshold)
    if abs(r) < K:
        return Row(r * r, 2 * r, arb(2), "within")
    if r > K:
        return Row(2 * K * r - K * K, 2 * K, arb(0), "above")
    if r < -K:
        return Row(-2 * K * r - K * K, -2 * K, arb(0), "below")
    raise Kink


def hinge_wedge(y: float) -> Wedge:
    """max(0, 1 - y z), y read as its sign."""
    if y > 0:
        return Wedge(arb(1), arb(-1), arb(0), ("inside", "outside"))
    return Wedge(arb(-1), arb(0), arb(1), ("outside", "inside"))


def quantile_wedge(y: float, tau: float = 0.5) -> Wedge:
    """max(tau (y - z), (tau - 1) (y - z))."""
    return Wedge(arb(y), -arb(tau), 1 - arb(tau), ("below", "above"))


def hinge(z: arb, y: float) -> Row:
    """max(0, 1 - y z), away from its kink."""
    wedge = hinge_wedge(y)
    return wedge.row(z, wedge.side(z))


def quantile(z: arb, y: float, tau: float = 0.5) -> Row:
    """max(tau (y - z), (tau - 1) (y - z)), away from its kink."""
    wedge = quantile_wedge(y, tau)
    return wedge.row(z, wedge.side(z))


ROWS: Mapping[str, Callable[..., Row]] = {
    "squared": squared,
    "logistic": logistic,
    "squared-hinge": squared_hinge,
    "huber": huber,
    "poisson": poisson,
    "hinge": hinge,
    "quantile": quantile,
}
"""The losses with a proof, by their names in `losses.LOSSES`: (z, y, parameter of the loss if it has one)."""

WEDGES: Mapping[str, Callable[..., Wedge]] = {"hinge": hinge_wedge, "quantile": quantile_wedge}
"""Those of them with a kink: (y, parameter)."""

PIECEWISE: Mapping[str, tuple[str, ...]] = {
    "squared-hinge": ("inside", "outside"),
    "huber": ("below", "within", "above"),
    "hinge": ("inside", "kink", "outside"),
    "quantile": ("below", "kink", "above"),
}
"""Those of them whose rows' pieces are part of what is proved, and the names of the pieces."""


def row_function(loss: Loss) -> Callable[[arb, float], Row]:
    """The rows of a loss with its parameter."""
    return functools.partial(ROWS[loss.name], **_parameter(loss))


def wedge_function(loss: Loss) -> Callable[[float], Wedge] | None:
    """The wedges of a loss with a kink, None for another one."""
    wedge = WEDGES.get(loss.name)
    return None if wedge is None else functools.partial(wedge, **_parameter(loss))


def seams(loss: Loss, y: float) -> list[arb]:
    """Where the pieces of one row meet."""
    if loss.name == "huber":
        K = arb(loss.threshold)  # type: ignore[attr-defined]
        return [arb(y) - K, arb(y) + K]
    if loss.name == "quantile":
        return [arb(y)]
    return [arb(1 if y > 0 else -1)] if loss.name in PIECEWISE else []


def _parameter(loss: Loss) -> dict[str, float]:
    return {} if loss.parameter is None else {loss.parameter: float(getattr(loss, loss.parameter))}
