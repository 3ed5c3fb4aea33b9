"""The local model in W and the coefficients of a penalty's atoms: entries of B, for most."""

from __future__ import annotations

import math

import numpy as np

from amtl_cvx.certificate.curvature import atom_blocks
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.local_model import LocalModel
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)


class AtomModel(LocalModel):
    """B = base + E x, x >= lo: the coordinates are the coefficients x above their bound, `free`."""

    def __init__(self, point: Point, *, loss_gradient: Array | None = None) -> None:
        tasks, model, W = point.tasks, point.model, point.W
        atoms = point.problem.atoms
        assert atoms is not None
        self.atoms, self.x = atoms, point.coefficients
        self.free = self.x > atoms.lo
        self.fixed = ~self.free
        self.multipliers = point.gradient_x
        inner = 2.0 * model.coupling * np.abs(W.T @ W)
        np.fill_diagonal(inner, 0.0)
        p, q = atoms.prices(point.weighted_losses)
        self.weight = abs(atoms.E).T
        """(k, T T): the entries of every atom, by size."""
        largest = np.repeat(inner.max(axis=1), tasks.T)
        self.sizes = p + 2.0 * q * np.abs(self.x) + self.weight @ largest
        gram = np.repeat(2.0 * model.coupling * (W**2).sum(axis=0), tasks.T)
        self.curved = (self.weight**2) @ gram + 2.0 * q
        """Second derivative of J in each x, but for atoms with several entries of one column."""
        self.slopes, self.slope_sizes = self.multipliers[self.free], self.sizes[self.free]
        self.least_multiplier = float(self.multipliers[self.fixed].min(initial=math.inf))
        self.relative_multiplier = float(self.relative_multipliers().min(initial=math.inf))
        self.least_distance = float((self.x - atoms.lo)[self.free].min(initial=math.inf))
        LocalModel.__init__(self, point, loss_gradient=loss_gradient)

    def blocks(self, point: Point) -> tuple[Array, Array]:
        return atom_blocks(point, np.flatnonzero(self.free), self.loss_gradient)

    def noise(self) -> float:
        """What rounding can do to an eigenvalue of S: that of the eigenvalue, and that of r_t in B-W."""
        norms = np.linalg.norm(self.W, axis=0)
        parts = np.linalg.norm(np.abs(self.W) + np.abs(self.W) @ np.abs(self.B), axis=0)
        each = np.divide(parts[None], norms[:, None], out=np.zeros_like(self.B), where=norms[:, None] > 0)
        cancelled = (self.weight @ each.ravel())[self.free]
        return _EPS * (self.scaled.n * self.norm + float(np.linalg.norm(cancelled)))

    def relative_multipliers(self) -> Array:
        """The multipliers over the size of their terms, of what is at its bound; 0/0 = 0."""
        q, sizes = self.multipliers[self.fixed], self.sizes[self.fixed]
        relative: Array = np.divide(q, sizes, out=np.zeros_like(q), where=sizes > 0)
        return relative

    def pushed_to_zero(self) -> str:
        """Which positive entry of B a prox step sends to its bound, in words; "" where none."""
        free = np.flatnonzero(self.free)
        room = (self.x - self.atoms.lo)[free]
        excess = self.multipliers[free] - self.root[self.W.size :] ** 2 * room
        if not len(free) or excess.max() < 0.0:
            return ""
        i = int(np.argmax(excess))
        return (
            f"{self._above(free[i])} and its gradient, {self.multipliers[free[i]]:.1g}, pushes it"
            f" {self._to_bound(free[i])}, then judge again"
        )

    def touching(self, reach: float) -> str:
        """Which positive entry of B or multiplier can be 0 within `reach`, in words; "" where none."""
        free, fixed = np.flatnonzero(self.free), np.flatnonzero(self.fixed)
        lengths = (self.x - self.atoms.lo)[free] * self.root[self.W.size :]
        if len(free) and lengths[i := int(np.argmin(lengths))] <= reach:
            return (
                f"{self._above(free[i])}, but can be {self._bound(free[i])} at the true"
                " point, which is a Newton step away: refine the point"
            )
        q, sizes, root = self.multipliers[fixed], self.sizes[fixed], np.sqrt(self.curved[fixed])
        moved = self.norm * reach * root + 4.0 * _EPS * sizes
        if not len(fixed) or (q > moved).all():
            return ""
        i = int(np.argmin(np.divide(q - moved, sizes, out=np.zeros_like(q), where=sizes > 0)))
        return (
            f"{self._atom(fixed[i])} = {self._bound(fixed[i])} has the multiplier {q[i]:.1g}, which can be 0"
            f" within twice the Newton step (up to {rounded_up(moved[i], 1)}): strict complementarity is not"
            " certain"
        )

    def _above(self, k: int) -> str:
        lo, x = self.atoms.lo[k], self.x[k]
        above = "positive" if lo == 0.0 else f"above its least, {lo:.1g},"
        return f"{self._atom(k)} = {x:.1g} is {above}"

    def _bound(self, k: int) -> str:
        return f"{self.atoms.lo[k]:.3g}"

    def _to_bound(self, k: int) -> str:
        return f"to {self._bound(k)}: set it to {self._bound(k)}"

    def _atom(self, k: int) -> str:
        """The first entry of an atom in words; what an opposite one is at 0 counts below 0."""
        column = self.atoms.E[:, [k]]
        s, t = divmod(int(column.indices[0]), self.tasks.T)
        return ("-" if column.data[0] < 0.0 else "") + self.edge(s, t)

    def move_of_B(self, move: Array) -> Array:
        move_x = np.zeros_like(self.x)
        move_x[self.free] = move
        moved: Array = (self.atoms.E @ move_x).reshape(self.B.shape)
        return moved

    def moved(self, step: Array) -> Point:
        move_W, move = self.moves(step)
        x = self.x.copy()
        x[self.free] = np.maximum(x[self.free] + move, self.atoms.lo[self.free])
        return self.point.at(W=self.W + move_W, B=self.atoms.graph(x))

    def room(self, move: Array) -> float:
        shrinks, above = np.abs(move), (self.x - self.atoms.lo)[self.free]
        return float((above[shrinks > 0] / shrinks[shrinks > 0]).min(initial=math.inf))
