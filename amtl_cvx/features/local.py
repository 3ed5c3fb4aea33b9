"""J around a point of shared features to second order, and what rounding does to it (`second_order`)."""

from __future__ import annotations

import math
from functools import cached_property
from types import SimpleNamespace
from typing import cast

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array, Mask, frozen
from amtl_cvx.certificate.curvature import lower_curvatures
from amtl_cvx.features.curvature import Entries, feedback_signs, hessian
from amtl_cvx.features.gaps import unit
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.residuals import long, misses
from amtl_cvx.problem.scores import squares

_SUMMED = 4.0 * float(np.finfo(np.float64).eps)  # of sums of absolute values, as in `certificate.local_model`
_SHARE = 1e-6
_HALVINGS = 40


class Local:
    """J around a point, to second order, in the free entries."""

    def __init__(self, point: FeaturePoint) -> None:
        self.point, model = point, point.model
        self.signs = np.where(feedback_signs(point) == 0.0, 1.0, feedback_signs(point))
        costless = model.signed & (point.prices <= 0.0)[:, None] & np.ones_like(point.A, dtype=bool)
        masks = (np.ones_like(point.L, dtype=bool), point.S != 0.0, (point.A != 0.0) | costless)
        there = (masks[0], masks[1], masks[2] & model.has_feedback)
        self.mask: Mask = np.concatenate([mask.ravel() for mask in there])
        at = (np.zeros_like(point.L), ~masks[1], ~masks[2] & model.has_feedback)
        self.at_bound = np.flatnonzero(np.concatenate([mask.ravel() for mask in at]))
        self.free = np.flatnonzero(self.mask)
        self.whole = hessian(lower(point, self._spread(0.0)), self.signs)
        diagonal = np.diag(self.whole)[self.free]
        self.root = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        self.H: Array = self.whole[np.ix_(self.free, self.free)]
        self.S: Array = self.H / np.outer(self.root, self.root)

    def _spread(self, moved: Array | float) -> list[Array]:
        """By how much the scores of each task may be off where the predictors are by `moved` (d, T)."""
        W, noise = np.abs(self.point.L) @ np.abs(self.point.S), unit(self.point)
        far = noise * W + np.abs(moved)
        return [
            np.abs(task.X) @ far[:, t] + noise * np.abs(task.y) for t, task in enumerate(self.point.tasks)
        ]

    # rounding

    @cached_property
    def _rounding(self) -> Array:
        """What rounding can do to H, entry by entry."""
        signs = np.abs(self.signs)
        whole, moved = (hessian(_absolute(self.point, share), signs) for share in (0.0, _SHARE))
        found: Array = _SUMMED * (whole + (moved - whole) / _SHARE)
        return found

    @property
    def noise(self) -> float:
        """The same to the eigenvalues of S."""
        scaled = self._rounding[np.ix_(self.free, self.free)] / np.outer(self.root, self.root)
        return float(np.linalg.norm(scaled)) + _eigen(self.S)

    def least_curvature(self, smallest: float) -> float:
        """No more than the smallest eigenvalue of H, rounding included; `smallest` is that of S."""
        rounding = float(np.linalg.norm(self._rounding[np.ix_(self.free, self.free)])) + _eigen(self.H)
        raw = float(sl.eigvalsh(self.H, check_finite=False)[0]) - rounding
        if smallest <= self.noise:
            return raw
        return max(raw, (smallest - self.noise) * float(self.root.min()) ** 2)  # H = D^1/2 S D^1/2

    # first order

    @cached_property
    def slopes(self) -> Array:
        """The gradient of J in the free entries, each on its side of 0."""
        point = self.point
        whole = Entries(
            point.gradient_L,
            point.gradient_S + point.model.mu * np.sign(point.S),
            point.gradient_A + point.prices[:, None] * np.sign(point.A),
        )
        found: Array = whole.stacked[self.free]
        return found

    @cached_property
    def slope_rounding(self) -> Array:
        """What rounding can do to the gradient, in all entries."""
        size, noise = long(self.point), _SUMMED
        found = size.gradients()
        priced = found["A"] + size.prices()[:, None] + self.point.prices[:, None]
        return noise * Entries(found["L"], found["S"] + self.point.model.mu, priced).stacked

    @cached_property
    def margins(self) -> Array:
        """The room in their boxes of the entries that are held at 0."""
        point, model = self.point, self.point.model
        pull = np.abs(point.gradient_A) if model.signed else -point.gradient_A
        rooms = Entries(
            np.zeros_like(point.L), model.mu - np.abs(point.gradient_S), point.prices[:, None] - pull
        )
        found: Array = rooms.stacked[self.at_bound]
        return found

    @property
    def least_margin(self) -> float:
        """The smallest of them less rounding."""
        return float((self.margins - self.slope_rounding[self.at_bound]).min(initial=math.inf))

    @cached_property
    def sizes(self) -> Array:
        """The sizes of the free entries of S and A, infinite for those of L and what has no price."""
        point = self.point
        found = Entries(np.full_like(point.L, math.inf), np.abs(point.S), np.abs(point.A)).stacked[self.free]
        return np.where(found > 0.0, found, math.inf)

    @property
    def least_entry(self) -> float:
        """The smallest entry of S or A that is not 0."""
        return float(self.sizes.min(initial=math.inf))

    # moves

    def moved(self, step: Array) -> FeaturePoint:
        """The point after a move of the free entries, which stops at 0."""
        move = np.zeros(len(self.mask))
        move[self.free] = step
        parts, point = Entries.parts(move, self.point), self.point
        blocks = {"L": point.L + parts.L, "S": _held(point.S, parts.S), "A": _held(point.A, parts.A)}
        return point.at(**{name: blocks[name] for name in point.blocks})

    def change(self, step: Array) -> float:
        """Frobenius norm of the change of S over a step, the rows that it takes to a jump included."""
        point = self.moved(step)
        far = lower(point, self._spread(point.W - self.point.W))
        H = hessian(far, self.signs)[np.ix_(self.free, self.free)]
        return float(np.linalg.norm((H - self.H) / np.outer(self.root, self.root)))

    def farthest(self, step: Array) -> float:
        """The largest part of its size (`residuals`) that the gradient of an entry moves by over its step."""
        found, point = misses(self.point), self.point
        size = Entries(found["L"].size, found["S"].size, found["A"].size if "A" in found else point.A)
        parts = np.diag(self.H) * np.abs(step), size.stacked[self.free]
        return float(np.divide(*parts, out=np.zeros_like(step), where=parts[0] > 0.0).max(initial=0.0))

    def touching(self, step: Array) -> str:
        """What may be 0, or leave it, within twice the Newton step (in units of S) and what rounding of the
        gradient can do to that; "" where nothing.
        """
        inverse, off = np.linalg.inv(self.S), self.slope_rounding[self.free] / self.root
        near = self.sizes * self.root <= 2.0 * (np.abs(step) + np.abs(inverse) @ off)
        if near.any():
            return f"an entry of S or A, {self.sizes[near].min():.1g}, may be 0 that near to the point"
        pulls = self.whole[np.ix_(self.at_bound, self.free)] / self.root
        moved = np.abs(pulls @ step) + np.abs(pulls @ inverse) @ off
        close = self.margins <= 2.0 * moved + self.slope_rounding[self.at_bound]
        if close.any():
            room = self.margins[close].min()
            return f"a zero of S or A has room {room:.1g} in its box, no more than the point is known to"
        return ""

    def fall(self) -> float | None:
        """By how much J falls along the eigenvector of S, in the mean of both directions beyond rounding."""
        J = self.point.objective
        vector = sl.eigh(self.S, subset_by_index=[0, 0], check_finite=False)[1][:, 0] / self.root
        with np.errstate(divide="ignore"):
            fits = np.where(vector != 0.0, self.sizes / np.abs(vector), math.inf).min()
        length, best = min(float(fits), math.sqrt(abs(J)) or 1.0), 0.0
        for _ in range(_HALVINGS):
            ends = [self.moved(way * length * vector).objective for way in (1.0, -1.0)]
            if J - 0.5 * sum(ends) > 64.0 * unit(self.point) * abs(J):
                best = max(best, J - min(ends))
            length /= 2.0
        return best or None


def lower(point: FeaturePoint, spread: list[Array]) -> FeaturePoint:
    """The point with the smaller curvature of every row that is within `spread` of a jump of phi''."""
    if point.model.loss.quadratic:
        return point
    new, scale = point.at(), point.problem.loss_scales
    found = []
    for each in point.scores:
        around = np.stack(spread[each.at])
        weight = scale[each.at, None] * lower_curvatures(each.loss, each.z, each.y, around)
        found.append(squares(each.X, weight))
    new.__dict__["loss_curvature"] = frozen(np.concatenate(found))
    return new


def _absolute(point: FeaturePoint, share: float) -> FeaturePoint:
    """What `hessian` asks of a point, such that every term of every entry is there in absolute value.

    Factors have their own sizes and a share of those that they are summed from (`Long`).
    """
    size, problem, tasks = long(point), point.problem, point.tasks
    pull = tasks.lengths * problem.loss_scales * (size.slopes + share * size.slope_terms)
    Z, E = (np.linalg.norm(block, axis=0) for block in (point.Z, point.E))
    bent = np.einsum("tii->ti", point.loss_curvature)
    if not point.model.loss.quadratic:  # phi'' is off with the scores
        bent = bent * (1.0 + size.reach[:, None])
    reconstruction = SimpleNamespace(gram=np.outer(size.across, size.across))
    found = SimpleNamespace(
        model=point.model,
        problem=SimpleNamespace(
            gamma=problem.gamma, task_weight=problem.task_weight, reconstruction=reconstruction
        ),
        L=np.abs(point.L),
        S=np.abs(point.S),
        A=np.abs(point.A),
        Z=(Z + share * size.Z)[None],
        M=-(np.abs(point.M) + share * size.M),  # it and K have a minus sign wherever they stand alone
        K=-np.outer(size.across, E + share * size.E),
        loss_weight=point.loss_weight,
        loss_gradient=pull,
        weighted_gradient=point.loss_weight * pull,
        loss_curvature=np.sqrt(bent[:, :, None] * bent[:, None, :]),
    )
    return cast(FeaturePoint, found)


def _held(block: Array, move: Array | Mask) -> Array:
    """The block after a move that takes no entry across 0."""
    moved = block + move
    return np.where(block * moved < 0.0, 0.0, moved)


def _eigen(matrix: Array) -> float:
    """What the eigenvalues of a symmetric matrix can be off by."""
    return len(matrix) * float(np.finfo(np.float64).eps) * float(np.linalg.norm(matrix))
