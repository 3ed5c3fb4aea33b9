"""The proof of one point: Newton, Krawczyk, signs of B, rows, multipliers, inertia (the package's essay)."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

from amtl_cvx.certificate import infeasibility
from amtl_cvx.digits.atoms import exact_atoms
from amtl_cvx.digits.boxes import GUARD, Boxes, decided, distance
from amtl_cvx.digits.decimals import at_least, at_most, decimal
from amtl_cvx.digits.kinks import near_point, row_margin
from amtl_cvx.digits.krawczyk import Root, Undecided, contract, inertia, largest
from amtl_cvx.digits.losses import PIECEWISE, ROWS
from amtl_cvx.digits.point import ProvenPoint
from amtl_cvx.digits.rows import row_distance
from amtl_cvx.digits.system import FirstOrderSystem, unknowns
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.losses import LOSSES, Loss
from amtl_cvx.problem import Point
from amtl_cvx.tasks import TaskSet

MAX_UNKNOWNS = 500
"""Unknowns up to which a proof is tried: it takes some seconds there and grows as their cube."""
MAX_NUMBERS = 10**6
"""Numbers in all X up to which a proof is tried."""


def prove_point(point: Point, *, dps: int, digits: int, within: float) -> ProvenPoint:
    """`digits.prove` without its defaults."""
    tasks, B = point.tasks, point.B
    start = time.perf_counter()
    point.problem.check()
    check_rows(tasks, point.model.loss)
    if infeasibility(point.model, B) > 0.0:
        demands = point.model.transfer.demands(tasks.T)
        raise NotCertifiable(f"B is not feasible ({demands}): clip it first")
    free = free_atoms(point)
    check_size(tasks, tasks.T * tasks.d + len(free))
    found = decided(functools.partial(_prove, point, free=free, digits=digits, within=within), dps)
    return replace(found, seconds=time.perf_counter() - start)


def check_rows(tasks: TaskSet, loss: Loss) -> None:
    """`NotCertifiable` where no proof is possible whatever the point."""
    if loss.name not in ROWS or type(loss) is not LOSSES[loss.name]:
        raise NotCertifiable(f"the {loss.name} loss has no proof: those of {', '.join(ROWS)} have one")
    for task in tasks:
        if task.compressed:
            raise NotCertifiable(
                f"{task.name!r} holds a factor of its rows, rounded: a proof needs the rows (keep_rows=True)"
            )


def check_size(tasks: TaskSet, unknowns: int) -> None:
    """`NotCertifiable` where a proof would take too long."""
    numbers = sum(task.X.size for task in tasks)
    if unknowns > MAX_UNKNOWNS or numbers > MAX_NUMBERS:
        raise NotCertifiable(
            f"too large to prove: {unknowns} unknowns and {numbers} numbers in X, the limits are"
            f" {MAX_UNKNOWNS} and {MAX_NUMBERS}"
        )


def _prove(point: Point, free: Sequence[int], digits: int, within: float) -> ProvenPoint:
    """The proof at the precision of `ctx`; seconds are left to the caller."""
    tasks, dps = point.tasks, ctx.dps
    stored, unit = unknowns(point.W, point.coefficients, free), arb(10) ** (GUARD - dps)
    system, x, inverse = near_point(point, free, unit / 10**5)
    radius = (unit * largest(x).max(arb(1))).abs_upper()
    boxes = Boxes(system, functools.partial(_only_point, system))
    inverse, root, least = boxes.first(x, inverse, radius)
    split = tasks.T * tasks.d
    blocks = {"W": slice(split), "B": slice(split, None)}
    furthest, apart = distance(root, stored, blocks, within=within, radius=at_most(radius))
    isolation, room = boxes.isolation(x, inverse, apart, radius)
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
        distance=furthest,
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
        min_multiplier=finite(least.multiplier),
        min_positive_B=finite(least.edge),
        active_rows=pieces.get("inside", pieces.get("within", ())),
        rows=pieces,
        min_row_distance=finite(least.distance),
        min_row_multiplier=finite(least.margin),
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
    around = arb(0, min(radii))
    return root, _Least(
        edge=_smallest_edge(system, root),
        distance=row_distance(system.rows, system.state(root.box).W, system.sides),
        margin=row_margin(system, root.box, around),
        multiplier=_smallest_multiplier(system, root, around),
    )


def finite(smallest: arb) -> float:
    """A lower bound as a double; infinite for a minimum over nothing."""
    return at_least(smallest) if smallest.is_finite() else math.inf


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
