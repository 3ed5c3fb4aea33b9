# More than 300 lines: one model, from its masks to the step onto its kinks.
r"""J around a point as a quadratic with kinks, and where that is least: the step of kink Newton.

    model(d) = g'd + d'H d / 2   + sum over units of w [max(v, 0) - M v]
                                 + sum over entries of price_e [|x_e + d_e| - s_e d_e]

g and H are the gradient and the Hessian with the masks M of all units and the sides s of all entries of S and
A; v = u + (normal)'d. A unit with w >= 0 whose v changes its side is kept as the convex kink that it is, one
with w < 0 stays on its side to first order, which is no less than what it is. A unit that is held on its kink
has for M the fraction theta / w of its last multiplier: g is then 0 at a first-order point, H the Hessian of
the Lagrangian, and the normals of units above go through it. Its bounds are -M w and (1 - M) w.

Units and entries that no step crosses do not count: the QP (`kink_qp`) begins with those on their kinks and
the entries that want to leave 0, and what its answer crosses is added until it crosses nothing new.

H need not be positive definite but along the kinks that are held. Multiples of the squares of their normals
change nothing there, and are tried first; what is still negative is shifted (`refine.local.Trust`). All
entries are counted in the unit in which their own curvature is 1.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.arrays.cholesky import factored
from amtl_cvx.network.entries import entry_prices, feedback_entries, movable
from amtl_cvx.network.hessian import hessian
from amtl_cvx.network.kink_qp import KinkQP, Minimum
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.masks import fitted_masks, upward_weights
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.units import flat, layered, unit_normals, unit_slopes
from amtl_cvx.refine.local import Trust, shifted

_ROUNDS = 12  # of kinks that are added
_MOST = 1500  # kinks that one round adds: those that weigh the most
_FLAT = 1e-6  # part of the largest curvature that every entry counts with
_AGAIN = 3
_CROWD, _TIMES = 200, 2  # most kinks of a step: so many, and so many for every entry
_STIFF = 1e4  # of the largest slope: what no multiplier of a kink that is kept reaches
_LEAST_SHIFT = 1e-13
_SQUARES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)
"""Multiples of the squares of the normals that are held."""


class Move(NamedTuple):
    """A step, and the kinks that it ends on."""

    direction: Array
    """d, (n,)"""
    foretold: float
    """By how much the model falls."""
    zeros: Indices
    """Entries that are 0 at its end."""
    units: Indices
    """Units that are on their kinks at its end."""
    shares: Array
    """theta / w of all units in the problem, (U,), no number elsewhere."""


class Piecewise:
    """The model of the essay at a point.

    Parameters
    ----------
    point : NetworkPoint
    masks : (U,) array, optional
        Of all units; by default those of the multipliers that fit best (`multipliers`).
    H : (n, n) array, optional
        The Hessian, where it is known.
    near : (U,) bool array, optional
        Units that count as being on their kinks beside those that are.
    kept : (U,) bool array, optional
        Units that stay on their kinks whatever their multipliers are.
    """

    def __init__(
        self,
        point: NetworkPoint,
        masks: Array | None = None,
        H: Array | None = None,
        near: Mask | None = None,
        kept: Mask | None = None,
    ) -> None:
        self.point = point
        self.flat_masks = fitted_masks(point) if masks is None else masks
        self.masks = layered(self.flat_masks, point.U)
        self.gradient = point.gradient(self.masks)
        self.weights = flat(kinks(point).pooled_layers(upward_weights(point, self.masks, self.gradient)))
        self.kept = np.zeros(len(self.weights), dtype=bool) if kept is None else kept
        self.x, self.price, self.free = point.vector, entry_prices(point), movable(point)
        self.g = self.gradient.vector
        self.base = self.g + self.price * np.sign(self.x)
        self.zero = (self.x == 0.0) & self.bounded
        if H is not None:
            self.__dict__["H"] = H
        self._work(self.free & ~(self.zero & self._at_rest(self.g)))
        self.near = flat(kinks(point).active).astype(bool)
        if near is not None:
            self.near = self.near | near
        self.units = np.flatnonzero(self.near & ((self.weights > 0.0) | self.kept))
        self.normals = unit_normals(point, self.units, self.masks)

    @cached_property
    def H(self) -> Array:
        """The Hessian with the masks, (n, n)."""
        A = self.gradient.A[: self.point.tasks.T]
        sides = np.where(self.point.A != 0.0, np.sign(self.point.A), -np.sign(A))
        return hessian(
            self.point,
            masks=self.masks,
            signs=sides if self.point.model.signed else np.ones_like(sides),
        )

    @cached_property
    def bounded(self) -> Mask:
        """Which entries have a kink, or a bound, at 0."""
        point, layout = self.point, self.point.problem.layout
        found = self.price > 0.0
        if not point.model.signed:
            found = found | feedback_entries(point)
        found[: layout.S.start] = False
        return found

    @cached_property
    def one_sided(self) -> Mask:
        """Which entries must not be negative."""
        signed = self.point.model.signed
        return np.zeros(len(self.x), dtype=bool) if signed else feedback_entries(self.point)

    def _at_rest(self, slope: Array) -> Mask:
        """Which zeros stay where they are at this slope."""
        slack = 1e-12 * self.price
        found: Mask = (slope >= -self.price - slack) & (self.one_sided | (slope <= self.price + slack))
        return found

    def _work(self, which: Mask) -> None:
        """Take these entries to move, the others to stand still."""
        self.entries = np.flatnonzero(which)
        self.leaving = np.flatnonzero(which & self.zero)
        self._convex: Array | None = None

    # the quadratic

    def convex(self, trust: Trust) -> tuple[Array, Array]:
        """H of the entries that move, made positive semidefinite, and the unit of each of them."""
        if self._convex is None:
            H = self.H[np.ix_(self.entries, self.entries)]
            diagonal = np.abs(np.diag(H))
            self._unit = 1.0 / np.sqrt(np.maximum(diagonal, _FLAT * float(diagonal.max(initial=1e-300))))
            H = H * np.outer(self._unit, self._unit)
            inside = (self.flat_masks > 0.0) & (self.flat_masks < 1.0)
            held = (inside | self.kept)[self.units]
            normals = self.normals[held][:, self.entries] * self._unit
            lengths = np.linalg.norm(normals, axis=1, keepdims=True)
            normals = normals / np.where(lengths > 0.0, lengths, 1.0)
            squares, zeros = normals.T @ normals, np.flatnonzero(self.zero[self.entries])
            squares[zeros, zeros] += 1.0
            for many in _SQUARES if squares.any() else _SQUARES[:1]:
                if _definite(H + many * squares):
                    self._convex = H + many * squares
                    break
            else:
                self._convex = trust.convex(H + _SQUARES[2] * squares)
        return self._convex, self._unit

    # the step

    def move(self, trust: Trust) -> Move | None:
        """Where the model with the trust term is least; None where there is no factor of it."""
        for _ in range(_ROUNDS):
            convex, unit = self.convex(trust)
            try:
                qp = KinkQP(shifted(convex, max(trust.value, _LEAST_SHIFT)), self.base[self.entries] * unit)
                self._ids = np.empty(0, dtype=int)
                self._add(qp, self.leaving + len(self.weights))
                self._add(qp, self.units)
                found, d = self._settled(qp)
            except np.linalg.LinAlgError:
                return None
            wanted = self._entering(d)
            if not wanted.any():
                break
            moving = np.zeros(len(self.x), dtype=bool)
            moving[self.entries] = True
            self._work(moving | wanted)
        self._qp = qp
        return self._told(found, d, convex)

    def _settled(self, qp: KinkQP) -> tuple[Minimum, Array]:
        """The least of the model when all that it crosses is there, and the direction to it."""
        d = np.zeros(len(self.x))
        for last in range(_ROUNDS):
            found = qp.minimum()
            d[self.entries] = found.step * self._unit
            new = self._crossed(d)
            if not len(new) or last == _ROUNDS - 1:
                break
            if len(qp) + len(new) > _CROWD + _TIMES * len(self.entries):
                raise np.linalg.LinAlgError("a step that crosses so many kinks is none")
            self._add(qp, new)
        return found, d

    def _crossed(self, d: Array) -> Indices:
        """Kinks that a step crosses and that are not there, by their numbers; entries follow the units."""
        point = self.point
        u, move = flat(point.U), flat(unit_slopes(point, d, self.masks))
        off = (u > 0.0) != (u + move > 0.0)
        off &= (self.weights > 0.0) & ~flat(point.touching).astype(bool)
        entries = self.bounded & (self.x * (self.x + d) < 0.0)
        every = np.concatenate([off, entries])
        every[self._ids] = False
        new = np.flatnonzero(every)
        if len(new) > _MOST:
            weight = np.concatenate([self.weights * np.abs(u + move), np.full(len(self.x), np.inf)])[new]
            new = np.sort(new[np.argsort(-weight, kind="stable")[:_MOST]])
        return new

    def _add(self, qp: KinkQP, kinks: Indices) -> None:
        """Put kinks into the problem, by their numbers."""
        U = len(self.weights)
        units, entries = kinks[kinks < U], kinks[kinks >= U] - U
        if len(units):
            point = self.point
            known = len(units) == len(self.units) and np.array_equal(units, self.units)
            normals = self.normals if known else unit_normals(point, units, self.masks)
            masks, w = self.flat_masks[units], self.weights[units]
            u = np.where(flat(point.touching)[units], 0.0, flat(point.U)[units])
            stiff = np.where(self.kept[units], _STIFF * float(np.abs(self.weights).max()), 0.0)
            lower, upper = np.minimum(-masks * w, -stiff), np.maximum((1.0 - masks) * w, stiff)
            qp.add(normals[:, self.entries] * self._unit, u, lower, upper)
        if len(entries):
            at = np.searchsorted(self.entries, entries)
            normals = np.zeros((len(entries), len(self.entries)))
            normals[np.arange(len(entries)), at] = self._unit[at]
            side, price = np.sign(self.x[entries]), self.price[entries]
            wall = -_STIFF * float(np.abs(self.base).max() + price.max())
            lower = np.where(self.one_sided[entries], wall, -price * (1.0 + side))
            qp.add(normals, self.x[entries], lower, price * (1.0 - side))
        self._ids = np.concatenate([self._ids, units, entries + U])

    def _entering(self, d: Array) -> Mask:
        """Zeros that stand still and want to move after the step."""
        slope = self.g + self.H[:, self.entries] @ d[self.entries]
        still = self.free & self.zero
        still[self.entries] = False
        found: Mask = still & ~self._at_rest(slope)
        return found

    def _told(self, found: Minimum, d: Array, convex: Array) -> Move:
        U, ids = len(self.weights), self._ids[found.held]
        self._held = found.held
        self._last = self._shares(found.multipliers)
        fall = -float(self.base[self.entries] @ d[self.entries] + 0.5 * found.step @ convex @ found.step)
        fall -= self._qp.rise(found.values)
        return Move(d, fall, ids[ids >= U] - U, ids[ids < U], np.clip(self._last, 0.0, 1.0))

    def _shares(self, theta: Array) -> Array:
        """theta / w of all units that are in the problem, (U,), no number elsewhere."""
        at, found = self._ids < len(self.weights), np.full(len(self.weights), np.nan)
        units = self._ids[at]
        w = np.where(self.weights[units] == 0.0, 1.0, self.weights[units])
        found[units] = self.flat_masks[units] + theta[at] / w
        return found

    @property
    def met(self) -> Mask:
        """Units that are on their kinks or that the last step meets or crosses, (U,)."""
        found = self.near.copy()
        found[self._ids[self._ids < len(found)]] = True
        return found

    @property
    def nested(self) -> Mask:
        """Those of them on rows on which there are such units of several layers, (U,)."""
        on = layered(self.met.astype(float), self.point.U)
        many = np.sum([layer.any(axis=1) for layer in on], axis=0) > 1
        return flat([layer * many[:, None] for layer in on]).astype(bool)

    def remade(self) -> Piecewise:
        """The model with the masks that the last step gives the units that it meets."""
        own = self.met & ~np.isnan(self._last)
        masks = np.where(own, np.clip(self._last, 0.0, 1.0), self.flat_masks)
        return Piecewise(self.point, masks, self.H, self.met)

    def guarded(self, trust: Trust) -> Piecewise:
        """The model in which all but one of the kinks of a row are kept where several layers are on theirs.

        The one that may go is that whose multiplier is farthest out of its bounds when all are kept.
        """
        whole, nested, near = self, self.nested, self.met
        for _ in range(_AGAIN):  # masks of kinks that are kept are any numbers, and w is that with them
            whole = Piecewise(self.point, whole.flat_masks, self.H, near, nested)
            if whole.move(trust) is None:
                return self
            whole.flat_masks = np.where(nested, whole._last, whole.flat_masks)
        w = np.where(whole.weights == 0.0, 1.0, whole.weights)
        theta = np.where(nested, whole.flat_masks * w, 0.0)
        up, down = np.where(nested, theta - whole.weights, 0.0), np.where(nested, -theta, 0.0)
        beyond = layered(np.maximum(np.maximum(up, down), 0.0), self.point.U)
        worst = np.max([part.max(axis=1) for part in beyond], axis=0)
        free = flat([(part > 0.0) & (part == worst[:, None]) for part in beyond]).astype(bool)
        masks = np.where(free, (up > down).astype(float), whole.flat_masks)
        return Piecewise(self.point, masks, self.H, near, nested & ~free)

    def corrected(self, move: Move, point: NetworkPoint, onto: Mask) -> Array:
        """What brings those units of a move onto their kinks from its end, to first order, (n,)."""
        held = np.flatnonzero(self._held)
        units = self._ids[held] < len(self.weights)
        off = np.zeros(len(held))
        off[units] = flat(point.U)[move.units]
        chosen = np.ones(len(held), dtype=bool)
        chosen[units] = onto
        which = np.zeros(len(self._ids), dtype=bool)
        which[held[chosen]] = True
        d = np.zeros(len(self.x))
        d[self.entries] = self._qp.correction(which, off[chosen]) * self._unit
        return d


def _definite(H: Array) -> bool:
    try:
        factored(shifted(H, 1e-10))
    except np.linalg.LinAlgError:
        return False
    return True
