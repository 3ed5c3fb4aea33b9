"""The proof of one point: Newton, Krawczyk, signs of B, rows, multipliers, inertia (the package's essay)."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

from amtl_cvx.arrays import Array
from amtl_cvx.certificate import infeasibility
from amtl_cvx.digits.atoms import exact_atoms
from amtl_cvx.digits.decimals import at_least, at_most, decimal
from amtl_cvx.digits.kinks import near_point, row_distance, row_margin
from amtl_cvx.digits.krawczyk import (
    Root,
    Undecided,
    contract,
    exact_inverse,
    inertia,
    largest,
)
from amtl_cvx.digits.losses import PIECEWISE, ROWS, seams
from amtl_cvx.digits.point import ProvenPoint
from amtl_cvx.digits.system import FirstOrderSystem, unknowns
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.limits import check_time
from amtl_cvx.losses import LOSSES
from amtl_cvx.problem import Model, Point
from amtl_cvx.tasks import TaskSet

MAX_UNKNOWNS = 500
"""Unknowns up to which a proof is tried: it takes some seconds there and grows as their cube."""
MAX_NUMBERS = 10**6
"""Numbers in all X up to which a proof is tried."""
ISOLATION = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12)
"""Half-widths of boxes in which the point is shown to be the only one, the first that can be proved."""
GUARD = 20
"""Decimals between the precision and the radius, that is in units of the largest unknown above 1."""


def prove_point(point: Point, *, dps: int, digits: int, within: float) -> ProvenPoint:
    """`digits.prove` without its defaults."""
    tasks, B = point.tasks, point.B
    start = time.perf_counter()
    point.problem.check()
    _check(tasks, point.model, B)
    free = free_atoms(point)
    _check_size(tasks, len(free))
    undecided: Undecided | None = None
    for precision in (dps, 2 * dps, 4 * dps):
        check_time(f"digits were proved with {precision} decimals")
        with ctx.workdps(precision):
            try:
                found = _prove(point, free=free, digits=digits, within=within)
                return replace(found, seconds=time.perf_counter() - start)
            except Undecided as failure:
                undecided = failure
    raise NotCertifiable(f"{undecided} ({4 * dps} decimals tried)")


def _check(tasks: TaskSet, model: Model, B: Array) -> None:
    """`NotCertifiable` where no proof is possible whatever the point."""
    if model.loss.name not in ROWS or type(model.loss) is not LOSSES[model.loss.name]:
        raise NotCertifiable(f"the {model.loss.name} loss has no proof: those of {', '.join(ROWS)} have one")
    for task in tasks:
        if task.compressed:
            raise NotCertifiable(
                f"{task.name!r} holds a factor of its rows, rounded: a proof needs the rows (keep_rows=True)"
            )
    if infeasibility(model, B) > 0.0:
        raise NotCertifiable(f"B is not feasible ({model.transfer.demands(tasks.T)}): clip it first")


def _check_size(tasks: TaskSet, edges: int) -> None:
    size, numbers = tasks.T * tasks.d + edges, sum(task.X.size for task in tasks)
    if size > MAX_UNKNOWNS or numbers > MAX_NUMBERS:
        raise NotCertifiable(
            f"too large to prove: {size} unknowns and {numbers} numbers in X, the limits are {MAX_UNKNOWNS}"
            f" and {MAX_NUMBERS}"
        )


def _prove(point: Point, free: Sequence[int], digits: int, within: float) -> ProvenPoint:
    """The proof at the precision of `ctx`; seconds are left to the caller."""
    tasks, dps = point.tasks, ctx.dps
    stored, unit = unknowns(point.W, point.coefficients, free), arb(10) ** (GUARD - dps)
    system, x, inverse = near_point(point, free, unit / 10**5)
    radius = (unit * largest(x).max(arb(1))).abs_upper()
    inverse, root, least = _first_box(system, x, inverse, radius)
    distance, apart = _distance(system, root, stored, within, at_most(radius))
    isolation, room = _isolation(system, x, inverse, apart, radius)
    if not (radius < least.edge and radius < least.multiplier):
        raise Undecided("the radius is not below the smallest positive B and the smallest multiplier")
    negative = inertia(system.eliminated_first(root.jacobian)) - len(system.kinks)
    entries = root.enclosure.entries()
    B, support = system.state(root.enclosure).B, edges_of(system)
    rows = system.losses(system.state(root.box).W)
    pieces = {piece: rows.on(piece) for piece in PIECEWISE.get(point.model.loss.name, ())}
    return ProvenPoint(
        radius=at_most(radius),
        isolation=isolation,
        room=room,
        distance=distance,
        strict_local_min=negative == 0,
        W=tuple(
            tuple(decimal(entries[t * tasks.d + i], digits) for t in range(tasks.T)) for i in range(tasks.d)
        ),
        B=tuple(
            tuple("0" if B[s, t].is_zero() else decimal(B[s, t], digits) for t in range(tasks.T))
            for s in range(tasks.T)
        ),
        objective=decimal(system.objective(root.enclosure), digits),
        support=support,
        min_multiplier=_finite(least.multiplier),
        min_positive_B=_finite(least.edge),
        active_rows=pieces.get("inside", pieces.get("within", ())),
        rows=pieces,
        min_row_distance=_finite(least.distance),
        min_row_multiplier=_finite(least.margin),
        unknowns=system.size,
        dps=dps,
        seconds=0.0,
    )


def free_atoms(point: Point) -> list[int]:
    """The atoms above their bound, by the target and the source of their first edge.

    Raises
    ------
    NotCertifiable
        For a penalty that is no sum of atoms.
    """
    atoms, _ = exact_atoms(point.model.transfer, point.tasks.T)
    found = point.problem.atoms
    assert found is not None
    free = np.flatnonzero(point.coefficients > found.lo).tolist()
    return sorted(free, key=lambda k: atoms[k].entries[0][1::-1])


def edges_of(system: FirstOrderSystem) -> tuple[tuple[int, int], ...]:
    """The edges of the free atoms, by target."""
    pairs = {(s, t) for k in system.free for s, t, _ in system.atoms[k].entries}
    return tuple(sorted(pairs, key=lambda pair: pair[::-1]))


class _Least(NamedTuple):
    """What is nearest to another active set on a box: lower bounds, infinite for a minimum over nothing."""

    edge: arb
    multiplier: arb
    distance: arb
    """Of a row from the seam of its loss."""
    margin: arb
    """Of the multiplier of a row on its kink from the ends of its interval."""


def _only_point(
    system: FirstOrderSystem, x: arb_mat, inverse: arb_mat, radii: Sequence[arb]
) -> tuple[Root, _Least]:
    """Exactly one first-order point in x +- radii; what is nearest to another active set there.

    Entries of B off the support go up to the smallest of the radii.
    """
    root = contract(system, x, inverse, radii, linear=len(system.kinks))
    around = arb(0, _smallest(radii))
    places = [[seams(system.loss, y) for y in task.y.tolist()] for task in system.tasks]
    return root, _Least(
        edge=_smallest_edge(system, root),
        distance=row_distance(system, root.box, places),
        margin=row_margin(system, root.box, around),
        multiplier=_smallest_multiplier(system, root, around),
    )


def _first_box(
    system: FirstOrderSystem, x: arb_mat, inverse: arb_mat, radius: arb
) -> tuple[arb_mat, Root, _Least]:
    """The smallest box: the same half-width for all, or where units differ too much that of `_lengths`."""
    try:
        return inverse, *_only_point(system, x, inverse, [radius] * x.nrows())
    except Undecided:
        inverse, lengths = exact_inverse(system, x), _lengths(system, x)
        longest = max(lengths)
        return inverse, *_only_point(system, x, inverse, [radius * part / longest for part in lengths])


def _lengths(system: FirstOrderSystem, x: arb_mat) -> list[arb]:
    """By how much each unknown moves where J gains the whole of itself by its curvature."""
    jacobian, J = system.jacobian(x).mid(), system.objective(x).mid()
    found = []
    for i in range(x.nrows()):
        curvature = jacobian[i, i]
        found.append((J / curvature).sqrt().mid() if curvature > 0 and J > 0 else arb(1))
    return found


def _smallest(radii: Sequence[arb]) -> arb:
    return min(radii)


def _finite(smallest: arb) -> float:
    return at_least(smallest) if smallest.is_finite() else math.inf


def _isolation(
    system: FirstOrderSystem, x: arb_mat, inverse: arb_mat, apart: Sequence[arb], radius: arb
) -> tuple[float, float]:
    """Half-width of the widest box proved, and how far one reaches beyond the stored point in every entry.

    `apart` is the distance of the stored entries, by which boxes are stretched where an even one that holds
    the stored point is not proved.
    """
    isolation = at_least(radius)
    for even in ISOLATION:
        with contextlib.suppress(NotCertifiable):
            _only_point(system, x, inverse, [arb(even)] * x.nrows())
            isolation = even
            break
    room = arb(isolation) - max(apart)
    if room > 0:
        return isolation, at_least(room)
    lengths = _lengths(system, x)
    for part in (*ISOLATION, 1e-16, 1e-24, 1e-36):
        radii = [(2 * away + part * length).upper() for away, length in zip(apart, lengths, strict=False)]
        free = [part * length for length in lengths[len(radii) :]]
        with contextlib.suppress(NotCertifiable):
            _only_point(system, x, inverse, [*radii, *free])
            rooms = [half - away for half, away in zip(radii, apart, strict=True)]
            return max(isolation, at_least(min(radii))), at_least(min(rooms))
    return isolation, at_least(room)


def _smallest_edge(system: FirstOrderSystem, root: Root) -> arb:
    """How far the free atoms stay above their bounds over the box; proved positive."""
    smallest = arb.pos_inf()
    for k, value in zip(system.free, _above(system, root.box), strict=True):
        edge = system.name(k)
        if value < 0:
            raise NotCertifiable(
                f"the edge {edge} does not belong to this support: it would be {float(value.mid()):.2g}"
            )
        if not value > 0:
            raise Undecided(f"the edge {edge} is 0 to all digits: degenerate, the active set is not unique")
        smallest = smallest.min(value.lower())
    return smallest


def _above(system: FirstOrderSystem, x: arb_mat) -> list[arb]:
    """x_k - lo_k of the free atoms: an edge itself where its bound is 0."""
    values = zip(system.free, system.coefficients(x), strict=True)
    return [value - system.atoms[k].lo for k, value in values]


def _smallest_multiplier(system: FirstOrderSystem, root: Root, around: arb) -> arb:
    """The smallest G_B off the support, on the box and entries of B in `around`; proved positive."""
    smallest = arb.pos_inf()
    for k, value in system.multipliers(root.box, around):
        edge = system.name(k)
        if value < 0:
            raise NotCertifiable(
                f"the edge {edge} is missing: its multiplier is {float(value.mid()):.2g}, adding it lowers J"
            )
        if not value > 0:
            raise Undecided(
                f"the multiplier of the edge {edge} is 0 to all digits: strict complementarity fails"
            )
        smallest = smallest.min(value.lower())
    return smallest


def _distance(
    system: FirstOrderSystem, root: Root, stored: arb_mat, within: float, radius: float
) -> tuple[float, list[arb]]:
    """The largest distance of a stored entry from the root, rounded up and within the limit; that of each.

    The limit is never below the radius: a block that is 0 has no size.
    """
    split, count = system.T * system.d, stored.nrows()
    pairs = list(zip(root.enclosure.entries()[:count], stored.entries(), strict=True))
    apart = []
    for name, block in (("W", pairs[:split]), ("B", pairs[split:])):
        furthest = max((at_most(abs(a - b)) for a, b in block), default=0.0)
        size = max((at_most(abs(a)) for a, _ in block), default=0.0)
        if furthest > max(within * size, radius):
            raise NotCertifiable(
                f"the stored {name} is {furthest:.1e} away from the first-order point found near it, more"
                f" than {within:.0e} of its size: refine it first, or give within="
            )
        apart.append(furthest)
    return max(apart), [abs(a - b).upper() for a, b in pairs]
