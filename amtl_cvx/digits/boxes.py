"""Boxes around an approximate root: the smallest that is proved, the widest, where the stored point is.

`only_point(x, inverse, radii)` is what a family proves of the box x +- radii, a first-order point and no
other one, with what it tells of it; `Undecided` where the balls are too wide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from flint import arb, arb_mat, ctx

from amtl_cvx.digits.decimals import at_least, at_most
from amtl_cvx.digits.krawczyk import Root, System, Undecided, exact_inverse
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.limits import check_time

ISOLATION = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
"""Half-widths of boxes in which the point is shown to be the only one, the first that can be proved."""
GUARD = 20
"""Decimals between the precision and the radius, that is in units of the largest unknown above 1."""
Told = TypeVar("Told")
Proved = TypeVar("Proved")


class Objective(System, Protocol):
    """A system that is the gradient of J."""

    def objective(self, x: arb_mat) -> arb:
        """J."""
        ...


@dataclass(frozen=True)
class Boxes(Generic[Told]):
    """Of one system."""

    system: Objective
    only_point: Callable[[arb_mat, arb_mat, Sequence[arb]], tuple[Root, Told]]

    def first(self, x: arb_mat, inverse: arb_mat, radius: arb) -> tuple[arb_mat, Root, Told]:
        """The smallest box: the same half-width for all, or where units differ too much that of `lengths`."""
        try:
            return inverse, *self.only_point(x, inverse, [radius] * x.nrows())
        except Undecided:
            inverse, lengths = exact_inverse(self.system, x), self.lengths(x)
            longest = max(lengths)
            return inverse, *self.only_point(x, inverse, [radius * part / longest for part in lengths])

    def lengths(self, x: arb_mat) -> list[arb]:
        """By how much each unknown moves where J gains the whole of itself by its curvature."""
        jacobian, J = self.system.jacobian(x).mid(), self.system.objective(x).mid()
        found = []
        for i in range(x.nrows()):
            curvature = jacobian[i, i]
            found.append((J / curvature).sqrt().mid() if curvature > 0 and J > 0 else arb(1))
        return found

    def isolation(
        self, x: arb_mat, inverse: arb_mat, apart: Sequence[arb], radius: arb
    ) -> tuple[float, float]:
        """Half-width of the widest box proved, and how far one reaches beyond the stored point everywhere.

        `apart` is the distance of the stored entries, by which boxes are stretched where an even one that
        holds the stored point is not proved.
        """
        isolation = at_least(radius)
        for even in ISOLATION:
            with contextlib.suppress(NotCertifiable):
                self.only_point(x, inverse, [arb(even)] * x.nrows())
                isolation = even
                break
        room = arb(isolation) - max(apart)
        if room > 0:
            return isolation, at_least(room)
        lengths = self.lengths(x)
        for part in (*ISOLATION, 1e-16, 1e-24, 1e-36):
            radii = [(2 * away + part * length).upper() for away, length in zip(apart, lengths, strict=False)]
            free = [part * length for length in lengths[len(radii) :]]
            with contextlib.suppress(NotCertifiable):
                self.only_point(x, inverse, [*radii, *free])
                rooms = [half - away for half, away in zip(radii, apart, strict=True)]
                return max(isolation, at_least(min(radii))), at_least(min(rooms))
        return isolation, at_least(room)


def distance(
    root: Root, stored: arb_mat, blocks: Mapping[str, slice], *, within: float, radius: float
) -> tuple[float, list[arb]]:
    """The largest distance of a stored entry from the root, rounded up and within the limit; that of each.

    The limit is never below the radius: a block that is 0 has no size.
    """
    pairs = list(zip(root.enclosure.entries()[: stored.nrows()], stored.entries(), strict=True))
    apart = []
    for name, place in blocks.items():
        block = pairs[place]
        furthest = max((at_most(abs(a - b)) for a, b in block), default=0.0)
        size = max((at_most(abs(a)) for a, _ in block), default=0.0)
        if furthest > max(within * size, radius):
            raise NotCertifiable(
                f"the stored {name} is {furthest:.1e} away from the first-order point found near it, more"
                f" than {within:.0e} of its size: refine it first, or give within="
            )
        apart.append(furthest)
    return max(apart), [abs(a - b).upper() for a, b in pairs]


def decided(prove: Callable[[], Proved], dps: int) -> Proved:
    """What is proved with `dps` decimals, doubled up to twice where they do not suffice."""
    undecided: Undecided | None = None
    for precision in (dps, 2 * dps, 4 * dps):
        check_time(f"digits were proved with {precision} decimals")
        with ctx.workdps(precision):
            try:
                return prove()
            except Undecided as failure:
                undecided = failure
    raise NotCertifiable(f"{undecided} ({4 * dps} decimals tried)")
