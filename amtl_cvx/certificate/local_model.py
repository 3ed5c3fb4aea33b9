"""J around a point to second order, and what rounding and the distance from the true one can do to it."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from amtl_cvx.certificate.curvature import atom_blocks, block_hessian, lower_curvatures
from amtl_cvx.certificate.figures import rounded_up
from amtl_cvx.certificate.hessian import BlockHessian, Factor
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)


class LocalModel:
    """J around a point, to second order: gradient, reduced Hessian H, and S = D^-1/2 H D^-1/2.

    Beside W these are in the coefficients x of the penalty's atoms, entries of B for most; `free` are those
    above their bound. `loss_gradient` (d, T) stands for grad L_t where losses are linear near the point.
    """

    def __init__(self, point: Point, *, loss_gradient: Array | None = None) -> None:
        tasks, model, W, B = point.tasks, point.model, point.W, point.B
        self.point, self.tasks, self.model, self.W, self.B = point, tasks, model, W, B
        self.loss_gradient = loss_gradient
        atoms = point.problem.atoms
        assert atoms is not None
        self.atoms, self.x = atoms, point.coefficients
        self.free = self.x > atoms.lo
        self.fixed = ~self.free
        self.objective = point.objective
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
        self.hessian = self._hessian(point, self._rounding_of_scores())
        diagonal = self.hessian.diagonal()
        self.root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        self.scaled = self.hessian.scaled(self.root)
        self.norm = self.scaled.largest_sum()

    @cached_property
    def H(self) -> Array:
        """The reduced Hessian as one matrix."""
        return self.hessian.whole()

    @cached_property
    def S(self) -> Array:
        """S as one matrix."""
        return self.scaled.whole()

    @cached_property
    def factor(self) -> Factor | None:
        """That of S, None where S has none."""
        return self.scaled.factor()

    def _rounding_of_scores(self) -> list[Array]:
        """By how much z = X w may be off by rounding, (n_t,) each."""
        return [
            16.0 * _EPS * (np.abs(task.X) @ np.abs(w) + np.abs(task.y))
            for task, w in zip(self.tasks, self.W.T, strict=True)
        ]

    def _hessian(self, point: Point, spread: list[Array]) -> BlockHessian:
        """H at a point with the smaller curvature of every row that is within `spread` of a kink."""
        BW, BB = atom_blocks(point, np.flatnonzero(self.free), self.loss_gradient)
        if self.model.loss.quadratic or self.loss_gradient is not None:
            return block_hessian(point, BW, BB, None)
        curvatures = tuple(
            lower_curvatures(self.model.loss.on(task.sample_weight), task.X @ w, task.y, around)
            for task, w, around in zip(self.tasks, point.W.T, spread, strict=True)
        )
        return block_hessian(point, BW, BB, curvatures)

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

    def newton(self) -> Array:
        """The Newton step on the free set, in lengths; S has a factor."""
        gradient = np.r_[self.point.gradient_W.T.ravel(), self.multipliers[self.free]]
        assert self.factor is not None
        return -self.factor.solve(gradient / self.root)

    def farthest(self, step: Array) -> tuple[float, str]:
        """The largest part of its size (`residuals`) that a step takes an entry's gradient by, and the entry.

        Entries are those of the original features; alone, one moves its gradient by its curvature.
        """
        tasks, d = self.tasks, len(self.W)
        about_W, about_B, _ = misses(self.point)
        move_W, move_B = self.split(step)
        basis = np.eye(d) if tasks.basis is None else tasks.basis
        blocks = self.hessian.own_blocks()
        curved = np.column_stack([((basis @ block) * basis).sum(axis=1) for block in blocks])
        parts_W = about_W._replace(miss=curved * np.abs(tasks.lift(move_W))).parts()
        h = 2.0 * self.model.coupling * (self.W**2).sum(axis=0)
        parts_B = about_B._replace(miss=h[:, None] * np.abs(move_B)).parts()
        i, t = np.unravel_index(int(np.argmax(parts_W)), parts_W.shape)
        if parts_W[i, t] >= parts_B.max():
            return float(parts_W[i, t]), f"w of {tasks.names[t]!r} for feature {i}"
        s, t = np.unravel_index(int(np.argmax(parts_B)), parts_B.shape)
        return float(parts_B[s, t]), self._edge(int(s), int(t))

    def change(self, step: Array) -> float:
        """Frobenius norm of the change of S over a step, the rows that it takes to a kink included."""
        point = self.moved(step)
        spread = [
            np.abs(task.X @ move) + rounding
            for task, move, rounding in zip(
                self.tasks, (point.W - self.W).T, self._rounding_of_scores(), strict=True
            )
        ]
        return self._hessian(point, spread).scaled(self.root).distance(self.scaled)

    def gradient_rounding(self) -> float:
        """Norm of the rounding errors of D^-1/2 times the gradient: a few eps times the size of its terms."""
        weight = self.point.loss_weight
        pull = np.abs(weight * self.point.problem.slopes_at_zero).max(axis=0)
        K = np.abs(self.point.K)
        W = 2.0 * self.model.coupling * (np.abs(self.W) @ K) @ K.T + pull
        return 4.0 * _EPS * float(np.linalg.norm(np.r_[W.T.ravel(), self.sizes[self.free]] / self.root))

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
        return ("-" if column.data[0] < 0.0 else "") + self._edge(s, t)

    def _edge(self, s: int, t: int) -> str:
        return f"B[{s}, {t}] ({self.tasks.names[s]!r} helps {self.tasks.names[t]!r})"

    def moved(self, step: Array) -> Point:
        """The point after a step given in lengths, its B feasible."""
        move_W, move_x = self._moves(step)
        B = self.atoms.graph(np.maximum(self.x + move_x, self.atoms.lo))
        return self.point.at(W=self.W + move_W, B=B)

    def split(self, step: Array) -> tuple[Array, Array]:
        """A step given in lengths as moves of W and B."""
        move_W, move_x = self._moves(step)
        move_B: Array = (self.atoms.E @ move_x).reshape(self.B.shape)
        return move_W, move_B

    def _moves(self, step: Array) -> tuple[Array, Array]:
        """A step given in lengths as moves of W and x."""
        step = step / self.root
        move_x = np.zeros_like(self.x)
        move_x[self.free] = step[self.W.size :]
        return step[: self.W.size].reshape(self.W.shape[::-1]).T, move_x

    def descend(self, vector: Array) -> tuple[float | None, tuple[Array, Array] | None]:
        """The largest fall of J along +- `vector` among points with negative curvature, and that move.

        Shown means: the mean of J at both ends lies below J, beyond rounding.
        """
        _, move_x = self._moves(vector)
        shrinks, above = np.abs(move_x[self.free]), (self.x - self.atoms.lo)[self.free]
        room = float((above[shrinks > 0] / shrinks[shrinks > 0]).min(initial=math.inf))
        J = self.objective
        length, best = min(room, math.sqrt(abs(J)) or 1.0), (0.0, vector)
        for _ in range(40):
            ends = [(self.moved(x).objective, x) for x in (length * vector, -length * vector)]
            value, x = min(ends, key=lambda end: end[0])
            if J - 0.5 * (ends[0][0] + ends[1][0]) > 64.0 * _EPS * abs(J) and J - value > best[0]:
                best = J - value, x
            length /= 2.0
        return (best[0], self.split(best[1])) if best[0] > 0 else (None, None)
