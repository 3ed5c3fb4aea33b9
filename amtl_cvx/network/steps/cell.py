r"""The activation cell of a point, and what one block does in it.

In a cell every unit keeps its side of 0: with the masks M^l (N, k_l) and D (N, k) of the point

    (2 M^l - 1) u^l >= 0,    (2 D - 1) R >= 0        z^l = M^l u^l,    E = Z - D R

While the other blocks stand still, all of u^l, F, R, E are affine in one block X of them, and J is convex
in it (quadratic for the squared loss). Row i of the data meets a block as p_i'X, p_i what enters it; from
there on the masks make it linear. A move Y of the block, with C^l = 1 and C^(m+1) = C^m M_i^m V_(m+1), moves

    block        p_i
    V_l          z^(l-1)_i   u^m_i by p_i'Y C^m (m >= l), Z_i by p_i'Y C^h M_i^h, F_i by that S, R_i by that A
    S            Z_i         F_i by p_i'Y, R_i by that A
    column of A  F_i         R_ij by p_i'Y

(with a 1 at the end of p_i where there is a bias). So a derivative of any of them is p_i times a row of such
a C, and one class serves all blocks.

A unit on its kink may take either side, but not any two any sides: the cells around a point are those of its
directions. Taken is that of the block's steepest descent, units off where w = dJ/dz >= 0 and on where w < 0:
with one kink, c u + w max(u, 0), J falls there if it falls at all. An empty column of A leaves all R_ij at 0;
it takes the cell of the one entry whose first move gains most, and stays 0 where none gains (`vertex`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.network.point import NetworkPoint

_UNDECIDED = 1e-3  # of the gradient, for units that nothing but entries held at 0 by their prices would move
_BEYOND = 1e-10  # part of the largest of a layer's scores, by which a unit may be on the wrong side


class Outputs(NamedTuple):
    """What a move of a block changes, row by row: some scores of the network, linear in the move."""

    reach: Array
    """C (N, q, m), or (1, q, m) where it is the same for all rows."""
    at: Array
    """What they are at the point, (N, m)."""

    def moved(self, first: Array) -> Array:
        """By how much, of p_i'Y (N, q): (N, m)."""
        found: Array = (first[:, None, :] @ self.reach)[:, 0, :]
        return found


class Held(NamedTuple):
    """Units whose sides are kept."""

    units: Outputs
    side: Array
    """1 for those that are kept >= 0, -1 for those kept <= 0, 0 for those that count nowhere, (N, m)."""


@dataclass(frozen=True, eq=False)
class Cell:
    """The sides of all units at a point.

    Parameters
    ----------
    point : NetworkPoint
    on : tuple of (N, k_l) masks
        M^l.
    met : (N, k) mask
        D.
    """

    point: NetworkPoint
    on: tuple[Mask, ...]
    met: Mask

    @classmethod
    def of(cls, point: NetworkPoint, block: str) -> Cell:
        """The cell for a step of W1, W2, ..., S or A: of those around the point that into which J falls."""
        *layers, dS, dA = point.problem.layout.split(_descent(point, block))
        on, dz = [], np.zeros((len(point.F), 0))
        for V, dV, below, above, at in zip(
            point.V, layers, point.below, point.on, point.touching, strict=True
        ):
            du = below @ dV + dz @ V[: dz.shape[1]]
            on.append((above > 0.0) | (at & (du > 0.0)))
            dz = np.where(on[-1], du, 0.0)
        dR = (dz @ point.S + point.features @ dS) @ point.A + point.F_plus @ dA
        met = (point.rebuilding > 0.0) | (point.meeting & (dR > 0.0))
        for j in np.flatnonzero(~point.A_plus.any(axis=0)) if block == "A" else ():
            met[:, j] = _leaving(point, int(j))
        return cls(point, tuple(on), met)

    def layer(self, number: int) -> BlockCell:
        """V_l in the cell, number = l - 1."""
        point = self.point
        q = point.V[number].shape[1]
        C: Array = np.eye(q)[None]
        held: list[Held] = []
        for m in range(number, len(point.V)):
            if m > number:
                C = C @ point.V[m][: C.shape[2]]
            held.append(Held(Outputs(C, point.U[m]), np.where(self.on[m], 1.0, -1.0)))
            C = C * self.on[m][:, None, :]
        return self._made(point.below[number], C, C @ point.S, held)

    def sparse(self) -> BlockCell:
        """S in the cell."""
        T = self.point.S.shape[1]
        return self._made(self.point.features, None, np.eye(T)[None], [])

    def feedback(self, j: int) -> BlockCell:
        """Column j of A, with its bias, in the cell."""
        point = self.point
        R = Outputs(np.ones((1, 1, 1)), point.R[:, [j]])
        side = self._rebuilt_sides()[:, [j]]
        missed = Outputs(-self.met[:, None, [j]].astype(float), point.E[:, [j]])
        return BlockCell(self, point.F_plus, [Held(R, side)], None, missed)

    def _made(self, p: Array, Z: Array | None, F: Array, held: list[Held]) -> BlockCell:
        """A block that F depends on, from the C of Z and of F."""
        point = self.point
        if point.problem.gamma == 0.0:
            return BlockCell(self, p, held, Outputs(F, point.F), None)
        R = F @ point.A
        missed = (0.0 if Z is None else Z) - self.met[:, None, :] * R
        held = [*held, Held(Outputs(R, point.R), self._rebuilt_sides())]
        return BlockCell(self, p, held, Outputs(F, point.F), Outputs(missed, point.E))

    def _rebuilt_sides(self) -> Array:
        """Those of R; 0 on rows that are not rebuilt."""
        counts = (self.point.problem.rows.times > 0.0) & (self.point.problem.gamma > 0.0)
        return np.where(self.met, 1.0, -1.0) * counts[:, None]


def _descent(point: NetworkPoint, block: str) -> Array:
    """The direction of steepest descent (n,) in a block and its bias, units on kinks with w < 0 on."""
    layout, T = point.problem.layout, point.tasks.T
    weights = point.gradient().kinks
    masks = [on + (at & (w < 0.0)) for on, at, w in zip(point.on, point.touching, weights, strict=True)]
    g, prices = point.gradient(masks).vector, np.zeros(layout.size)
    at = {"S": layout.S, "A": layout.A}.get(block) or layout.V[int(block[1:]) - 1]
    prices[layout.S] = point.model.mu
    prices[layout.A][: point.A.size] = np.repeat(point.prices, point.A.shape[1])
    x = point.vector
    pulled = np.where(x != 0.0, g + prices * np.sign(x), np.sign(g) * np.maximum(np.abs(g) - prices, 0.0))
    first = slice(layout.A.start, layout.A.start + T * point.A.shape[1])
    found = np.zeros(layout.size)
    found[at] = -(pulled + _UNDECIDED * g)[at]
    if block == "A" and not point.model.signed:
        found[first] = np.where(x[first] > 0.0, found[first], np.maximum(found[first], 0.0))
    return found


def _leaving(point: NetworkPoint, j: int) -> Mask:
    """The signs of R_.j as an empty column j of A is left along the entry that gains most, or loses least."""
    rows, model = point.problem.rows, point.model
    pull = 2.0 * point.problem.gamma * rows.times * point.features[:, j]
    up, down = (pull @ np.maximum(sign * point.F, 0.0) - point.prices for sign in (1.0, -1.0))
    gains = np.stack([up, down if model.signed else np.full_like(down, -np.inf)])
    side, t = np.unravel_index(int(gains.argmax()), gains.shape)
    found: Mask = (1.0 - 2.0 * side) * point.F[:, t] > 0.0
    return found


@dataclass(frozen=True, eq=False)
class BlockCell:
    """One block of a cell: the signs it has to keep, and J as its second-order model.

    Parameters
    ----------
    cell : Cell
    p : (N, r) array
        What enters the block on every row.
    held : list of Held
    scores : Outputs or None
        F, where the losses depend on the block.
    missed : Outputs or None
        E, where anything is rebuilt.
    """

    cell: Cell
    p: Array
    held: list[Held]
    scores: Outputs | None
    missed: Outputs | None

    @cached_property
    def starts(self) -> Indices:
        """Where the units of each of `held` begin in the row of all units."""
        return np.cumsum([0, *(each.side.size for each in self.held)])

    def slack(self, move: Array) -> Array:
        """How far inside its side every unit is after a move (r, q), all units in a row."""
        first = self.p @ move
        parts = [(h.side * (h.units.at + h.units.moved(first))).ravel() for h in self.held]
        return np.concatenate([np.zeros(0), *parts])

    def outside(self, move: Array) -> Indices:
        """The places of the units that a move takes to the other side, those that cross first in front."""
        before, after = self.slack(np.zeros_like(move)), self.slack(move)
        size = np.repeat(
            [np.abs(h.units.at).max(initial=0.0) for h in self.held], [h.side.size for h in self.held]
        )
        places = np.flatnonzero(after < -_BEYOND * size)
        when = np.maximum(before[places], 0.0) / (np.maximum(before[places], 0.0) - after[places])
        return places[np.argsort(when, kind="stable")]

    def normals(self, places: Indices) -> Array:
        """The derivatives of the slacks of some units in the block, (len(places), r q), row by row."""
        found = np.empty((len(places), self.p.shape[1] * self.q))
        which = np.searchsorted(self.starts, places, side="right") - 1
        for number, each in enumerate(self.held):
            here = which == number
            row, unit = np.divmod(places[here] - self.starts[number], each.side.shape[1])
            reach = np.broadcast_to(each.units.reach, (len(self.p), *each.units.reach.shape[1:]))
            sides = each.side[row, unit][:, None] * reach[row, :, unit]
            found[here] = (self.p[row][:, :, None] * sides[:, None, :]).reshape(len(row), found.shape[1])
        return found

    @property
    def q(self) -> int:
        """The columns of the block."""
        first = self.scores if self.scores is not None else self.missed
        assert first is not None
        return int(first.reach.shape[1])

    def derivatives(self) -> tuple[Array, Array]:
        """Half the Hessian of the losses and the reconstruction in the block, and half their gradient."""
        n, point = self.p.shape[1] * self.q, self.cell.point
        H, g = np.zeros((n, n)), np.zeros(n)
        parts = []
        if self.scores is not None:
            given = 1.0 + point.model.alpha * np.abs(point.A).sum(axis=1)
            parts.append(
                (self.scores.reach, 0.5 * given * point.loss_curvatures, 0.5 * given * point.loss_slopes)
            )
        if self.missed is not None:
            weight = np.outer(
                point.problem.gamma * point.problem.rows.times, np.ones(self.missed.at.shape[1])
            )
            parts.append((self.missed.reach, weight, weight * self.missed.at))
        for reach, curved, slopes in parts:
            for unit in range(reach.shape[2]):
                J = (self.p[:, :, None] * reach[:, None, :, unit]).reshape(len(self.p), n)
                root = np.sqrt(curved[:, unit])[:, None] * J
                H += root.T @ root
                g += slopes[:, unit] @ J
        return H, g
