r"""Points from elsewhere, moved onto the kinks that they are near to by the smallest change of the weights.

A trainer leaves u_ij at 1e-9 where the stationary point has u_ij = 0; its residual is then that of a cell, of
order 1, however near the point is. `snap` finds

    units       |u_ij| <= kink_width ||x_i|| ||V_j||, x_i being what enters the layer on row i, V_j the column
    entries     of S and A, |.| <= kink_width times the largest of the block, that the price holds at 0
    dead units  without use (S_j. and A_.j, or the row of W_(l+1), are 0 or as small), ||V_j|| <= kink_width
                times the longest column

and moves them to 0: of a layer, column by column, V_j to the nearest V_j with x_i'V_j = 0 for all its units
(orthogonal projection), nearest units first, as long as none by itself moves V_j by more than `REACH`
kink_width ||V_j|| (there are d conditions at most: more cannot be held). In a network of several layers all
weights first move together by Newton's method on u = 0, each step the shortest one (what one layer cannot
hold a lower one may); layer by layer from below where that does not converge to a small move.

Which units. One that is near its kink and is not on it at the true point would be moved for nothing, but by
less than kink_width, and its mask, where it may be anything, then comes out as the 0 or 1 that it is there
(`multipliers.unbounded`). So three points are made: entries alone; all units; all units but those whose mask
is not between b and 1 - b, b the root of kink_width. The one with the smallest residuals is
taken, the one given included: where nothing gets better nothing is moved, and a point that passes is returned
as it is, bit by bit. How far the point was moved and how J changed is always told, and it is the new point
that is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array, Mask, frozen, is_number
from amtl_cvx.errors import ModelError
from amtl_cvx.network.kinks import Kinks, kinks
from amtl_cvx.network.multipliers import multipliers, unbounded
from amtl_cvx.network.point import ROUNDING, NetworkPoint
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.vertex import vertex

KINK_WIDTH = 1e-6
"""Of the lengths that a sum is made of, below which it is taken for one that should be 0."""
REACH = 100.0
"""Most, in kink widths of its length, that one unit may move its column, or all units all weights."""
_STEPS = 8
_ZERO = 4.0 * float(np.finfo(np.float64).eps)


class Snapped(NamedTuple):
    """A point on the kinks that another one is near to."""

    point: NetworkPoint
    distance: float
    """Between the two, over all entries (Euclidean)."""
    relative: float
    """The same over the length of the one given."""
    change: float
    """J here less J there."""
    units: int
    """How many units were moved onto their kink."""
    entries: int
    """How many entries were put to 0."""


def snap(point: NetworkPoint, *, kink_width: float = KINK_WIDTH, tol: float = 1e-8) -> Snapped:
    """The point moved onto the kinks that it is near to, where that makes its residual smaller.

    Parameters
    ----------
    point : NetworkPoint
        From anywhere.
    kink_width : float
        How near is near, relative; between 0 and 1.
    tol : float
        A point whose relative residual is at most that is returned as it is.

    Raises
    ------
    ModelError
        For a width that is none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.snap import snap
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))] * 2, [[1.0], [0.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(features=1, mu=0.5, decay=0.5))
    >>> found = snap(problem.at(W1=[[1.0]], S=[[1.0, 1e-9]], A=[[0.0], [0.0]]))
    >>> found.point.S, found.entries, found.units
    (array([[1., 0.]]), 1, 0)
    """
    if not is_number(kink_width) or not 0.0 < float(kink_width) < 1.0:
        raise ModelError(f"kink_width must be a number between 0 and 1, got {kink_width!r}")
    width = float(kink_width)
    if residuals(point).relative <= tol and _feasible(point):
        return Snapped(point, 0.0, 0.0, 0.0, 0, 0)
    best, before = point, _merit(point)
    for candidate in _candidates(point, width):
        if (after := _merit(candidate)) < before:
            best, before = candidate, after
    return _told(point, best)


def _told(point: NetworkPoint, new: NetworkPoint) -> Snapped:
    if new is point:
        return Snapped(point, 0.0, 0.0, 0.0, 0, 0)
    distance, length = (float(sl.norm(x)) for x in (new.vector - point.vector, point.vector))
    units = sum(
        int(np.count_nonzero(now & ~was & (V != 0.0).any(axis=0)))
        for now, was, V in zip(new.touching, point.touching, new.V, strict=True)
    )
    entries = int(np.count_nonzero((new.vector == 0.0) & (point.vector != 0.0)))
    return Snapped(new, distance, distance / length, new.objective - point.objective, units, entries)


def _merit(point: NetworkPoint) -> tuple[bool, float]:
    """What is compared: feasible first, then the residuals of all parts together."""
    return not _feasible(point), sum(residuals(point).parts.values())


def _feasible(point: NetworkPoint) -> bool:
    return point.model.signed or not (point.A < 0.0).any()


def _candidates(point: NetworkPoint, width: float) -> list[NetworkPoint]:
    """Entries alone, all units, and all but those whose multiplier comes out at a bound."""
    near = _near(point, width)
    found = [_clipped(point, width)]
    if not any(mask.any() for mask in near):
        return found
    whole = _on_kinks(point, near, width)
    found.append(_clipped(whole, width))
    held = _between(whole, near, width**0.5)
    if any((mask & ~other).any() for mask, other in zip(near, held, strict=True)):
        fewer = _on_kinks(point, held, width) if any(mask.any() for mask in held) else point
        found.append(_clipped(fewer, width))
    return found


def _between(point: NetworkPoint, near: Sequence[Mask], bound: float) -> list[Mask]:
    """Those of the units whose mask comes out between 0 and 1, and not as near, where it may be anything."""
    held = [np.zeros_like(mask) for mask in near]
    for mask, place, shares in zip(held, kinks(point).places, unbounded(point), strict=True):
        mask[place] = (shares > bound) & (shares < 1.0 - bound)
    return [mask & own for mask, own in zip(held, near, strict=True)]


def _near(point: NetworkPoint, width: float) -> list[Mask]:
    """Units that are near to their kink and not on it, by layer."""
    found = []
    for below, V, u, at in zip(point.below, point.V, point.U, point.touching, strict=True):
        size = np.linalg.norm(below, axis=1)[:, None] * np.linalg.norm(V, axis=0)
        found.append((np.abs(u) <= width * size) & ~at)
    return found


# units


def _on_kinks(point: NetworkPoint, near: Sequence[Mask], width: float) -> NetworkPoint:
    """The point with these units, and those that are there, on their kinks, as far as they can be held."""
    if len(point.V) > 1 and (found := _together(point, near, width)) is not None:
        return found
    return _by_layer(point, near, width)


def _by_layer(point: NetworkPoint, near: Sequence[Mask], width: float) -> NetworkPoint:
    """Layer by layer from below, each column by itself."""
    for number, mask in enumerate(near):
        V, held = point.V[number].copy(), mask | point.touching[number]
        for unit in np.flatnonzero(mask.any(axis=0)):
            rows = point.below[number][held[:, unit]]
            V[:, unit] = _projected(V[:, unit], rows, width)
        layers = [*point.V]
        layers[number] = V
        point = _with(point, layers, point.S, point.A_plus)
    return point


def _projected(v: Array, rows: Array, width: float) -> Array:
    """The nearest to v with x'v = 0 for the rows, nearest first, that can be held."""
    length, kept = np.linalg.norm(v), np.zeros((0, len(v)))
    basis = np.zeros((0, len(v)))
    sizes = np.linalg.norm(rows, axis=1)
    rows = rows[sizes > 0.0] / sizes[sizes > 0.0, None]
    new = v
    for x in rows[np.argsort(np.abs(rows @ v))]:
        across = x - basis.T @ (basis @ x)
        across -= basis.T @ (basis @ across)
        size = np.linalg.norm(across)
        if size <= 1e-10:
            continue  # on its kink with those before it, or never
        step = float(x @ new) / size
        if abs(step) > REACH * width * length:
            continue
        basis, kept = np.vstack([basis, across / size]), np.vstack([kept, x])
        new = new - step * basis[-1]
    for _ in range(2):
        new = _settled(new - np.linalg.lstsq(kept, kept @ new, rcond=None)[0])
    return np.asarray(new)


def _settled(V: Array) -> Array:
    """Columns with 0 for entries that are rounding: a row with one number holds its entry at 0 exactly."""
    return np.where(np.abs(V) <= _ZERO * np.linalg.norm(V, axis=0), 0.0, V)


def _together(point: NetworkPoint, near: Sequence[Mask], width: float) -> NetworkPoint | None:
    """All weights of the layers at once, Newton's method on u = 0; None where that is no small move."""
    held = [mask | (at & (V != 0.0).any(axis=0)) for mask, at, V in _three(point, near)]
    held = [mask & (below != 0.0).any(axis=1)[:, None] for mask, below in zip(held, point.below, strict=True)]
    start = point.vector
    for _ in range(_STEPS):
        active = Kinks(point, tuple(held))
        if not active.feasible or len(active) > point.problem.size:
            return None
        u = np.concatenate([each[place] for each, place in zip(point.U, active.places, strict=True)])
        terms = np.concatenate(
            [
                (np.abs(below) @ np.abs(V))[place]
                for below, V, place in zip(point.below, point.V, active.places, strict=True)
            ]
        )
        if (np.abs(u) <= ROUNDING * terms).all():
            return point
        scale = np.where(terms > 0.0, terms, 1.0)
        step = np.linalg.lstsq(active.normals / scale[:, None], u / scale, rcond=1e-12)[0]
        *layers, S, A = point.problem.layout.split(point.vector - step)
        point = _with(point, list(map(_settled, layers)), S.copy(), A.copy())
        if not np.linalg.norm(point.vector - start) <= REACH * width * np.linalg.norm(start):
            return None
    return None


def _three(point: NetworkPoint, near: Sequence[Mask]) -> list[tuple[Mask, Mask, Array]]:
    return list(zip(near, point.touching, point.V, strict=True))


# entries


def _clipped(point: NetworkPoint, width: float) -> NetworkPoint:
    """The point with entries of S and A, and units without use, at 0 where they are near to it."""
    model, T, slopes, taken = point.model, point.tasks.T, multipliers(point).gradient, vertex(point)
    S = _zeroed(point.S, slopes.S, np.full_like(point.S, model.mu), taken.S, width)
    rates = np.repeat(point.prices[:, None], len(point.S), axis=1)
    A = point.A_plus.copy()
    A[:T] = _zeroed(A[:T], slopes.A[:T], rates, (taken.A[0][:T], taken.A[1][:T]), width)
    if not model.signed:
        A[:T][(A[:T] < 0.0) & (A[:T] >= -width * np.abs(A[:T]).max(initial=0.0))] = 0.0
    layers = [V.copy() for V in point.V]
    for number, V in enumerate(layers):
        last = number == len(layers) - 1
        out = np.hstack([S, A.T]) if last else layers[number + 1][: V.shape[1]]
        used, own = np.linalg.norm(out, axis=1), np.linalg.norm(V, axis=0)
        dead = (used <= width * used.max(initial=0.0)) & (own <= width * own.max(initial=0.0))
        V[:, dead] = 0.0
        out = S if last else layers[number + 1][: V.shape[1]]
        out[dead] = 0.0
        if last:
            A[:, dead] = 0.0
    same = (S == point.S).all() and (point.A_plus == A).all()
    if same and all((new == V).all() for new, V in zip(layers, point.V, strict=True)):
        return point
    return _with(point, layers, S, A)


def _zeroed(block: Array, slope: Array, price: Array, taken: tuple[Array, Array], width: float) -> Array:
    """The block with 0 where it is near to 0 and the price holds it there."""
    small = np.abs(block) <= width * np.abs(block).max(initial=0.0)
    held = (taken[0] - slope <= price) & (taken[1] + slope <= price)
    return np.where(small & held, 0.0, block)


def _with(point: NetworkPoint, layers: Sequence[Array], S: Array, A: Array) -> NetworkPoint:
    return NetworkPoint(point.problem, tuple(map(frozen, layers)), frozen(S), frozen(A))
