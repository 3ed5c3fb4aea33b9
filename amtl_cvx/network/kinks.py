r"""The active kinks of a point: units at u = 0 that a move can lift; are their normals independent?

Number the active kinks m = (l, i, j): unit j of layer l on row i. With every one of them off, u_m has the
gradient a_m (its normal) and J the gradient g0; c_mm' is the derivative of u_m in z_m' of an active unit
below, w0_m that of J in z_m. Along d, with y_m = u_m'(x; d) and c_mm' = 0 unless m' stands below m,

    y_m = a_m'd + sum_m' c_mm' max(y_m', 0)        J'(x; d) = g0'd + sum_m w0_m max(y_m, 0)

Hence for any theta with g0 + sum_m theta_m a_m = 0, whether or not the normals are independent,

    J'(x; d) = sum_m w_m(theta) max(y_m, 0) - theta_m y_m          w_m(theta) = w0_m + sum_m" theta_m" c_m"m

which is >= 0 for every d if 0 <= theta <= w(theta): that suffices in a network of any depth. Where the
normals are independent (LIKQ) the y_m can be anything, theta is unique, and the condition is necessary too.
With one hidden layer there is no c, J'(x; .) is convex where w >= 0, and it is necessary without LIKQ (by
Farkas' lemma). w(theta) is what the backward pass gives with the masks theta / w (`point.Gradient.kinks`).

A hollow kink has a_m = 0: y_m = sum_m' c_mm' max(y_m', 0), all units below it being off or on their kinks. If
w_m < 0 it is concave in these max(y_m', 0) >= 0, homogeneous, and so not below its values at each of them,

    w_m max(y_m, 0) >= sum_m' w_m max(c_mm', 0) max(y_m', 0)

with equality where one alone moves: its theta is 0, and it takes -w_m max(c_mm', 0) from the weights below.

Kinks of which one moves as another one does are one kink (`pools`): their w and theta are sums.

No kinks are: units on rows whose whole input is 0 and stays it (strictly off above the bias-free inputs), for
no move of any weight lifts them to first order; units that follow kinks below, up or not at all
(`followers`); and dead units, with no weight in and none out, for w = 0.

Source: Griewank, Walther, First- and second-order optimality conditions for piecewise smooth objective
functions, Optimization Methods and Software 2016 (LIKQ).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.network.followers import followers
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.pools import Pool, pool_of

JOINT_LIMIT = 2**26
"""Most numbers in the matrix of the normals of a network with several layers (512 MB)."""


class Place(NamedTuple):
    """Where the kinks of a layer stand: rows and units, (m,) each."""

    rows: Indices
    units: Indices


@dataclass(frozen=True, eq=False)
class Kinks:
    """The active kinks of a point, by layer from below, row by row.

    Parameters
    ----------
    point : NetworkPoint
    active : tuple of (N, k_l) bool arrays
    """

    point: NetworkPoint
    active: tuple[Mask, ...]

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Where they stand, by layer."""
        return tuple(Place(*np.nonzero(mask)) for mask in self.active)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many there are in each layer."""
        return tuple(len(place.rows) for place in self.places)

    @property
    def parts(self) -> tuple[slice, ...]:
        """Where each layer stands in a list of all."""
        ends = np.cumsum([0, *self.counts])
        return tuple(slice(int(a), int(b)) for a, b in zip(ends, ends[1:], strict=False))

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def feasible(self) -> bool:
        """Whether the normals are few enough to be formed."""
        return len(self) * (self.point.problem.size + len(self)) <= JOINT_LIMIT

    @cached_property
    def system(self) -> tuple[Array, Array]:
        """The normals a_m, (m, n) in the order of the problem's layout, and c, (m, m)."""
        normals = np.zeros((len(self), self.point.problem.size))
        crossed = np.zeros((len(self), len(self)))
        for number, (place, at) in enumerate(zip(self.places, self.parts, strict=True)):
            self._fill(normals[at], crossed[at], number, place)
        return normals, crossed

    def _fill(self, normals: Array, crossed: Array, number: int, place: Place) -> None:
        """The rows of the kinks of a layer."""
        point, layout = self.point, self.point.problem.layout
        m, (rows, units) = len(place.rows), place
        block = np.zeros((m, *point.V[number].shape))
        block[np.arange(m), :, units] = point.below[number][rows]
        normals[:, layout.V[number]] = block.reshape(m, point.V[number].size)
        slope = point.V[number][:, units].T
        for lower in reversed(range(number)):
            slope = slope[:, : point.Z[lower].shape[1]]
            kinks, at = self.places[lower], self.parts[lower]
            same = rows[:, None] == kinks.rows
            crossed[:, at] = np.where(same, slope[:, kinks.units], 0.0)
            slope = slope * point.on[lower][rows]
            moved = point.below[lower][rows][:, :, None] * slope[:, None, :]
            normals[:, layout.V[lower]] = moved.reshape(m, point.V[lower].size)
            slope = slope @ point.V[lower].T

    @cached_property
    def hollow(self) -> tuple[Mask, ...]:
        """Active kinks whose normal is 0: on their row nothing is on in the layer below, only on its kink."""
        return tuple(
            mask & ~(below != 0.0).any(axis=1)[:, None]
            for mask, below in zip(self.active, self.point.below, strict=True)
        )

    @cached_property
    def pools(self) -> tuple[Pool, ...]:
        """Which of them are one kink (`pools`), by layer."""
        lower = (None, *self.active[:-1])
        return tuple(
            pool_of(self.point, number, active, below)
            for number, (active, below) in enumerate(zip(self.active, lower, strict=True))
        )

    @cached_property
    def copies(self) -> int:
        """How many there are more than kinks that differ."""
        return sum(pool.copies for pool in self.pools)

    def pooled(self, values: Array) -> Array:
        """Values of all of them (m,), or rows of values, those of one kink replaced by their mean."""
        if not self.copies:
            return values
        return np.concatenate(
            [pool.mean(values[at]) for pool, at in zip(self.pools, self.parts, strict=True)]
        )

    def pooled_layers(self, values: Sequence[Array]) -> tuple[Array, ...]:
        """The same of values of all units, (N, k_l) by layer."""
        found = tuple(value.copy() for value in values)
        for value, place, pool in zip(found, self.places, self.pools, strict=True):
            value[place] = pool.mean(value[place])
        return found

    @property
    def normals(self) -> Array:
        """The gradient of every u_m in all entries, other active kinks off, (m, n)."""
        return self.system[0]

    @property
    def crossed(self) -> Array:
        """c_mm', how u_m moves with z_m' below it, (m, m)."""
        return self.system[1]

    @cached_property
    def deficiency(self) -> int | None:
        """By how much the rank of the normals falls short of their number; None where they are too many.

        Each is taken at length 1. With one hidden layer those of different units stand in different entries.
        """
        point = self.point
        if len(self.active) == 1:
            own = [point.below[0][self.active[0][:, unit]] for unit in range(len(point.S))]
            return sum(len(normals) - _rank(normals) for normals in own)
        differ = len(self) - self.copies
        if differ > point.problem.size:
            return differ - point.problem.size  # at least
        return differ - _rank(self.normals) if self.feasible else None

    @property
    def likq(self) -> bool:
        """Whether the normals are known to be independent."""
        return self.deficiency == 0


def kinks(point: NetworkPoint) -> Kinks:
    """The active kinks of a point, found once."""
    return point.kept("kinks", lambda: Kinks(point, _active(point)))


def dead_units(point: NetworkPoint) -> tuple[Mask, ...]:
    """Which units have no weight in and none out, (k_l,) of each layer."""
    used = [(V[: len(below.T)] != 0.0).any(axis=1) for V, below in zip(point.V[1:], point.Z, strict=False)]
    used.append((point.S != 0.0).any(axis=1) | (point.A_plus != 0.0).any(axis=0))
    return tuple(~(V != 0.0).any(axis=0) & ~out for V, out in zip(point.V, used, strict=True))


def _active(point: NetworkPoint) -> tuple[Mask, ...]:
    """Units on their kinks that are not dead, have an input and do not follow others."""
    moving = followers(point)[1]
    return tuple(at & ~dead for at, dead in zip(moving, dead_units(point), strict=True))


def _rank(rows: Array) -> int:
    """The rank of rows at length 1; a row of zeros has none."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0.0)
    return int(np.linalg.matrix_rank(scaled)) if scaled.size else 0
