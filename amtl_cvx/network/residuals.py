r"""First-order residuals of a network: how far each entry, and each active kink, is from its condition.

    layers   |G_V[i, j]| with the masks theta / w of the active kinks (`multipliers`)
    S, A     max over s = 1, -1 of phi(s) - p - s g at an entry that is 0, of phi(s) - s (g + p sign) at one
             that is not, where that is above 0; at a zero of A that must not be negative s = 1 alone
    bias of the feedback   the same with p = 0
    kinks    -w of an active kink with w < 0; what w of a feature jumps by across a kink of the
             reconstruction that is not protected (`vertex`)

g is the slope of the smooth part, p the price (mu, or p_t), phi what kinks of the reconstruction take from it
(`vertex`), which is 0 at almost every point: then the lines of S and A are those of `features.residuals`.

J'(x; d) >= 0 for every d where all of these are 0 (`kinks`, `vertex`): the point is directionally stationary,
for all cells around it at once. With several layers, too, theta in [0, w] is enough; that the normals are
independent is only needed to say that a point without such a theta is none.

`stationarity` is the largest of a part, `parts` has the largest ratio to the size of that entry (0/0 = 0):

    layers   the terms that it is summed from (`sizes`)        S    mu + room        A    p_t + room
    kinks    the terms that w is summed from, what is taken from it included

and where feedback is free (alpha = 0) 2 gamma sum_i times_i |F_it| |E_ij| [R_ij > 0] for A.

Source: Oettli, Prager 1964, as in `certificate.residuals`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.certificate.misses import ROOM, Misses
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.multipliers import Multipliers, multipliers
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.vertex import vertex


class Residuals(NamedTuple):
    """First-order residuals by part, absolute and relative."""

    stationarity: Mapping[str, float]
    """Of "weights" (layers and biases), "S", "A" and "kinks"."""
    parts: Mapping[str, float]

    @property
    def relative(self) -> float:
        """The worst of `parts`."""
        return max(self.parts.values())


def residuals(point: NetworkPoint) -> Residuals:
    """The first-order residuals of a point."""
    found = point.kept("misses", lambda: misses(point))
    return Residuals(
        {name: max(float(each.miss.max(initial=0.0)) for each in of) for name, of in found.items()},
        {name: max(float(each.parts().max(initial=0.0)) for each in of) for name, of in found.items()},
    )


def misses(point: NetworkPoint) -> dict[str, list[Misses]]:
    """What every entry is off by, and what that is held against, by part."""
    found, T = multipliers(point), point.tasks.T
    taken, gradient, size = vertex(point), found.gradient, found.sizes
    prices = np.repeat(point.prices[:, None], len(point.S), axis=1)
    if point.model.alpha > 0.0:
        held = prices + ROOM * size.prices[:, None]
    else:
        held = np.abs(point.F.T) @ np.abs(gradient.R)
    bias = _off(point.A_plus[T:], gradient.A[T:], 0.0, (taken.A[0][T:], taken.A[1][T:]), signed=True)
    layers = [Misses(np.abs(g), s) for g, s in zip(gradient.V, size.V, strict=True)]
    A = _off(point.A, gradient.A[:T], prices, (taken.A[0][:T], taken.A[1][:T]), signed=point.model.signed)
    return {
        "weights": [*layers, Misses(bias, size.bias)],
        "S": [
            Misses(_off(point.S, gradient.S, point.model.mu, taken.S, signed=True), point.model.mu + size.S)
        ],
        "A": [Misses(A, held + size.A[:T])],
        "kinks": _kinks(point, found),
    }


def concave_kinks(point: NetworkPoint) -> list[Mask]:
    """Which active kinks of the layers have w < 0, by layer: J falls on one side of each.

    Hollow ones are not among them: they take from the weights below, which say it.
    """
    active, found = kinks(point), multipliers(point).weights
    return [
        at & (w < 0.0) & ~hollow for at, w, hollow in zip(active.active, found, active.hollow, strict=True)
    ]


def beside_concave(point: NetworkPoint, width: float) -> float | None:
    """How near to a concave kink a unit is, relative, where that is within `width`; None where none is.

    On its own side of the kink J is smooth, and its slope may be 0 there: but beyond it J falls.
    """
    found, nearest = multipliers(point), math.inf
    for below, V, u, at, w, size in zip(
        point.below, point.V, point.U, point.touching, found.gradient.kinks, found.sizes.kinks, strict=True
    ):
        lengths = np.linalg.norm(below, axis=1)[:, None] * np.linalg.norm(V, axis=0)
        near = ~at & (w < -width * size) & (np.abs(u) <= width * lengths)
        if near.any():
            nearest = min(nearest, float((np.abs(u[near]) / lengths[near]).min()))
    return nearest if math.isfinite(nearest) else None


def _kinks(point: NetworkPoint, found: Multipliers) -> list[Misses]:
    """What concave kinks are off by, and kinks of the reconstruction that are not protected."""
    below = [
        Misses(np.where(at, -w, 0.0), size + np.abs(whole - w))
        for at, w, whole, size in zip(
            concave_kinks(point), found.weights, found.gradient.kinks, found.sizes.kinks, strict=True
        )
    ]
    return [*below, Misses(vertex(point).jumps, found.sizes.kinks[-1])]


def _off(
    block: Array, slope: Array, price: Array | float, taken: tuple[Array, Array], *, signed: bool
) -> Array:
    """How far entries with a price |.| are from their conditions, `taken` being phi up and down."""
    held = np.where(block == 0.0, price, 0.0)
    whole = slope + price * np.sign(block)
    up, down = taken[0] - whole - held, taken[1] + whole - held
    if not signed:
        down = np.where(block == 0.0, -np.inf, down)
    return np.maximum(np.maximum(up, down), 0.0)
