"""J around a point to second order, and what rounding and the distance from the true one can do to it."""

from __future__ import annotations

import abc
import math
from functools import cached_property

import numpy as np

from amtl_cvx.certificate.curvature import block_hessian, lower_curvatures
from amtl_cvx.certificate.hessian import BlockHessian, Factor
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)


class LocalModel(abc.ABC):
    """J around a point, to second order: gradient, reduced Hessian H, and S = D^-1/2 H D^-1/2.

    Beside vec(W), by tasks, these are in k coordinates in which B can move: coefficients of atoms
    (`atom_model`), or moves along the tangent of a prox (`tangent_model`). `loss_gradient` (d, T) stands for
    grad L_t where losses are linear near the point.
    """

    slopes: Array
    """Derivative of J in the coordinates of B, (k,)."""
    slope_sizes: Array
    """What each is summed from, (k,)."""
    least_multiplier: float
    """By how much a slope of J off the coordinates can change before B moves there too."""
    relative_multiplier: float
    """The least of these over the size of its terms."""
    least_distance: float
    """How far B is from its bounds where it can move."""

    def __init__(self, point: Point, *, loss_gradient: Array | None = None) -> None:
        self.point, self.tasks, self.model = point, point.tasks, point.model
        self.W, self.B = point.W, point.B
        self.loss_gradient = loss_gradient
        self.objective = point.objective
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

    @abc.abstractmethod
    def blocks(self, point: Point) -> tuple[Array, Array]:
        """Second derivatives in the coordinates of B and W (k, T d), and in those of B (k, k)."""

    @abc.abstractmethod
    def noise(self) -> float:
        """What rounding can do to an eigenvalue of S."""

    @abc.abstractmethod
    def pushed_to_zero(self) -> str:
        """Which entry of B that can move a prox step sends to its bound, in words; "" where none."""

    @abc.abstractmethod
    def touching(self, reach: float) -> str:
        """What can be at its bound, or leave it, within `reach`, in words; "" where nothing."""

    @abc.abstractmethod
    def move_of_B(self, move: Array) -> Array:
        """The move of B (T, T) that one of its coordinates (k,) is."""

    @abc.abstractmethod
    def moved(self, step: Array) -> Point:
        """The point after a step given in lengths, its B feasible."""

    @abc.abstractmethod
    def room(self, move: Array) -> float:
        """How many times a move of the coordinates of B fits either way."""

    def _rounding_of_scores(self) -> list[Array]:
        """By how much z = X w may be off by rounding, (n_t,) each."""
        return [
            16.0 * _EPS * (np.abs(task.X) @ np.abs(w) + np.abs(task.y))
            for task, w in zip(self.tasks, self.W.T, strict=True)
        ]

    def _hessian(self, point: Point, spread: list[Array]) -> BlockHessian:
        """H at a point with the smaller curvature of every row that is within `spread` of a kink."""
        BW, BB = self.blocks(point)
        if self.model.loss.quadratic or self.loss_gradient is not None:
            return block_hessian(point, BW, BB, None)
        curvatures = tuple(
            lower_curvatures(self.model.loss.on(task.sample_weight), task.X @ w, task.y, around)
            for task, w, around in zip(self.tasks, point.W.T, spread, strict=True)
        )
        return block_hessian(point, BW, BB, curvatures)

    def newton(self) -> Array:
        """The Newton step on the free set, in lengths; S has a factor."""
        gradient = np.r_[self.point.gradient_W.T.ravel(), self.slopes]
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
        return float(parts_B[s, t]), self.edge(int(s), int(t))

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
        return 4.0 * _EPS * float(np.linalg.norm(np.r_[W.T.ravel(), self.slope_sizes] / self.root))

    def edge(self, s: int, t: int) -> str:
        return f"B[{s}, {t}] ({self.tasks.names[s]!r} helps {self.tasks.names[t]!r})"

    def split(self, step: Array) -> tuple[Array, Array]:
        """A step given in lengths as moves of W and B."""
        move_W, move = self.moves(step)
        return move_W, self.move_of_B(move)

    def moves(self, step: Array) -> tuple[Array, Array]:
        """A step given in lengths as moves of W and of the coordinates of B."""
        step = step / self.root
        return step[: self.W.size].reshape(self.W.shape[::-1]).T, step[self.W.size :]

    def descend(self, vector: Array) -> tuple[float | None, tuple[Array, Array] | None]:
        """The largest fall of J along +- `vector` among points with negative curvature, and that move.

        Shown means: the mean of J at both ends lies below J, beyond rounding.
        """
        J = self.objective
        length, best = min(self.room(self.moves(vector)[1]), math.sqrt(abs(J)) or 1.0), (0.0, vector)
        for _ in range(40):
            ends = [(self.moved(x).objective, x) for x in (length * vector, -length * vector)]
            value, x = min(ends, key=lambda end: end[0])
            if J - 0.5 * (ends[0][0] + ends[1][0]) > 64.0 * _EPS * abs(J) and J - value > best[0]:
                best = J - value, x
            length /= 2.0
        return (best[0], self.split(best[1])) if best[0] > 0 else (None, None)
