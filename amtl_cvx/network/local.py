"""J around a point of a network to second order, along its kinks, and what rounding does (`second_order`)."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array, Indices, Mask, frozen
from amtl_cvx.certificate.curvature import lower_curvatures
from amtl_cvx.network.hessian import feedback_signs, products
from amtl_cvx.network.kinks import Kinks, dead_units, kinks
from amtl_cvx.network.multipliers import multipliers
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.residuals import misses
from amtl_cvx.network.spread import PART, Spread, rounding_of_hessian
from amtl_cvx.network.tangent import Tangent
from amtl_cvx.network.vertex import vertex

_EPS = float(np.finfo(np.float64).eps)
_HALVINGS = 40
_CORRECTIONS = 4


class Local:
    """J around a point, to second order, in the entries that move while kinks and zeros stay."""

    def __init__(self, point: NetworkPoint) -> None:
        self.point, found = point, multipliers(point)
        every = kinks(point)
        self.weighted = _weighted(point, every.active)
        shares = every.pooled_layers([held.astype(float) for held in self.weighted])
        held = tuple(at & (share > 0.0) for at, share in zip(every.active, shares, strict=True))
        self.active = Kinks(point, held)
        self.masks, self.gradient, self.weights = found.masks, found.gradient, self.at_kinks(found.weights)
        self.mask, self.at_bound = _entries(point)
        self.free: Indices = np.flatnonzero(self.mask)
        signs = feedback_signs(point)
        self.signs = np.where(signs == 0.0, 1.0, signs)
        self.rounded = Spread(point, self.gradient)
        self.H = self._hessian(point, self.rounded)
        diagonal = np.diag(self.H)
        self.root = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        self.whole: Array = self.H / np.outer(self.root, self.root)
        self.tangent = Tangent.of((self.active.normals[:, self.free] / self.root).T)
        self.S: Array = self.tangent.Q.T @ self.whole @ self.tangent.Q
        theta = self.at_kinks(found.theta)
        self.theta = self.tangent.centred(theta, self.weights) if self.regular else theta

    @property
    def regular(self) -> bool:
        """Whether the point has one near to it that is on all kinks: independent normals, or one layer.

        Kinks that are one (`pools`) count once.
        """
        return len(self.point.V) == 1 or len(self.tangent.s) + self.active.copies >= len(self.active)

    @property
    def loose(self) -> int:
        """How many entries without a price are pulled at by kinks of the reconstruction."""
        taken, T = vertex(self.point), self.point.tasks.T
        S, A = np.maximum(*taken.S) > 0.0, np.maximum(*taken.A) > 0.0
        priced = np.vstack([self.point.A == 0.0, np.zeros_like(A[T:], dtype=bool)])
        return int((S & (self.point.S != 0.0)).sum() + (A & ~priced).sum())

    def _hessian(self, point: NetworkPoint, spread: Spread) -> Array:
        """H in the free entries, of the multipliers as they are."""
        directions = np.eye(self.point.problem.size)[self.free]
        there, gradient = lower(point, spread.F), point.gradient(self.masks)
        H = products(there, directions, masks=there.on, signs=self.signs, gradient=gradient)[:, self.free]
        return 0.5 * (H + H.T)

    def at_kinks(self, values: tuple[Array, ...]) -> Array:
        found: Array = np.concatenate([each[at] for each, at in zip(values, self.active.active, strict=True)])
        return found

    def on_units(self, values: Array) -> list[Array]:
        """Values of the active kinks as arrays of all units."""
        found = [np.zeros_like(u) for u in self.point.U]
        for each, at, place in zip(found, self.active.active, self.active.parts, strict=True):
            each[at] = values[place]
        return found

    # rounding

    @cached_property
    def noise(self) -> float:
        """What rounding does to the eigenvalues of S, through H and through the tangent space."""
        size = float(np.linalg.norm(self.whole))
        own = rounding_of_hessian(self.point, self.gradient, free=self.free, root=self.root)
        turned = len(self.active) * PART / self.tangent.nearest()
        return own + (len(self.free) * _EPS + 2.0 * turned) * size

    def least_curvature(self, smallest: float) -> float:
        """No more than the smallest eigenvalue of H along kinks and zeros; `smallest` is that of S."""
        if not len(self.S):
            return math.inf
        beyond = smallest - self.noise
        return beyond * float(self.root.min() if beyond > 0.0 else self.root.max()) ** 2

    # first order

    @cached_property
    def slopes(self) -> Array:
        """The gradient of J in the free entries, each on its side of 0, with the multipliers."""
        point, gradient = self.point, self.gradient
        A = gradient.A.copy()
        A[: point.tasks.T] += point.prices[:, None] * np.sign(point.A)
        parts = (*gradient.V, gradient.S + point.model.mu * np.sign(point.S), A)
        extra = (self.theta - self.at_kinks(self.gradient.slopes)) @ self.active.normals
        found: Array = (np.concatenate([part.ravel() for part in parts]) + extra)[self.free]
        return found

    @cached_property
    def margins(self) -> Array:
        """The room of the entries that are held at 0: their prices less what pulls at them, either way."""
        return self.boxes()[self.at_bound]

    def boxes(self, off: Spread | None = None) -> Array:
        """The same of all entries, less `off`."""
        point, T, concave = self.point, self.point.tasks.T, vertex(self.point)
        g_S, g_A = self.gradient.S, self.gradient.A[:T]
        price_A, both = point.prices[:, None], point.model.signed
        S = point.model.mu - np.maximum(concave.S[0] - g_S, concave.S[1] + g_S)
        up, down = concave.A[0][:T] - g_A, concave.A[1][:T] + g_A
        A = price_A - (np.maximum(up, down) if both else up)
        if off is not None:
            pulls_S, pulls_A, _ = off.pulls
            S = S - off.G_S - pulls_S - off.part * point.model.mu
            A = A - off.G_A[:T] - pulls_A[:T] - off.prices[:, None]
        return self._stacked(S, A)

    def _stacked(self, S: Array, A: Array) -> Array:
        """One number for each entry, infinite for those of the layers and of the bias of the feedback."""
        found, layout = np.full(self.point.problem.size, math.inf), self.point.problem.layout
        found[layout.S] = S.ravel()
        found[layout.A][: A.size] = A.ravel()
        return found

    @property
    def least_margin(self) -> float:
        """The smallest room of an entry that is held at 0, less rounding."""
        return float(self.boxes(self.rounded)[self.at_bound].min(initial=math.inf))

    @property
    def least_multiplier(self) -> float:
        """The smallest room of theta in (0, w), less rounding."""
        return float((self.rooms - self.at_kinks(self.rounded.weights)).min(initial=math.inf))

    @property
    def rooms(self) -> Array:
        """min(theta, w - theta) of the active kinks, (m,)."""
        return np.minimum(self.theta, self.weights - self.theta)

    @cached_property
    def sizes(self) -> Array:
        """The sizes of the free entries of S and A, infinite for the others."""
        found = self._stacked(np.abs(self.point.S), np.abs(self.point.A))[self.free]
        return np.where(found > 0.0, found, math.inf)

    @property
    def least_entry(self) -> float:
        """The smallest entry of S or A that is not 0."""
        return float(self.sizes.min(initial=math.inf))

    # moves

    @cached_property
    def step(self) -> Array:
        """Newton's step onto the kinks and along them, in units of S, (free,)."""
        onto = -self.at_kinks(self.point.U) @ self.tangent.inverse
        g, Q = self.slopes / self.root + self.whole @ onto, self.tangent.Q
        found: Array = onto - Q @ np.linalg.solve(self.S, Q.T @ g)
        return found

    def moved(self, step: Array) -> NetworkPoint:
        """The point after a move of the free entries (in units of S), those of S and A stopping at 0."""
        point, x = self.point, self.point.vector.copy()
        x[self.free] += step / self.root
        held, ends = np.isfinite(self.sizes), x[self.free]
        crossed = held & (ends * point.vector[self.free] < 0.0)
        x[self.free] = np.where(crossed, 0.0, ends)
        return point.problem.from_vector(x)

    def change(self, step: Array) -> float:
        """By how much S may change over a step, rows taken to a jump and turned normals included."""
        move = np.zeros(len(self.mask))
        move[self.free] = np.abs(step) / self.root
        far = self.moved(step)
        H = self._hessian(far, Spread(self.point, self.gradient, entries=move))
        found = float(np.linalg.norm((H - self.H) / np.outer(self.root, self.root)))
        if len(self.active) and len(self.point.V) > 1:
            before, after = (Kinks(at, self.active.active).normals[:, self.free] for at in (self.point, far))
            turned = np.linalg.norm((after - before) / self.root / self.tangent.lengths[:, None])
            found += 2.0 * float(turned / self.tangent.nearest() * np.linalg.norm(self.whole))
        return found

    def farthest(self, step: Array) -> float:
        """The largest part of its size (`residuals`) that the gradient of an entry moves by over its step."""
        found = misses(self.point)
        *layers, bias = (each.size for each in found["weights"])
        size = [each.ravel() for each in (*layers, found["S"][0].size, found["A"][0].size, bias)]
        parts = np.diag(self.H) * np.abs(step / self.root), np.concatenate(size)[self.free]
        return float(np.divide(*parts, out=np.zeros_like(step), where=parts[0] > 0.0).max(initial=0.0))

    def fall(self) -> float | None:
        """By how much J falls along the eigenvector of S, in the mean of both directions beyond rounding."""
        J = self.point.objective
        vector = self.tangent.Q @ sl.eigh(self.S, subset_by_index=[0, 0], check_finite=False)[1][:, 0]
        with np.errstate(divide="ignore"):
            fits = np.where(vector != 0.0, self.sizes * self.root / np.abs(vector), math.inf).min()
        length, best = min(float(fits), math.sqrt(abs(J)) or 1.0), 0.0
        for _ in range(_HALVINGS):
            ends = [self.along(way * length * vector).objective for way in (1.0, -1.0)]
            if J - 0.5 * sum(ends) > 4.0 * self.rounded.objective:
                best = max(best, J - min(ends))
            length /= 2.0
        return best or None

    def along(self, step: Array) -> NetworkPoint:
        """The point after a step, brought back onto the kinks."""
        for _ in range(_CORRECTIONS if len(self.point.V) > 1 and len(self.active) else 0):
            step = step - self.at_kinks(self.moved(step).U) @ self.tangent.inverse
        return self.moved(step)


def lower(point: NetworkPoint, spread: Array) -> NetworkPoint:
    """The point with the smaller curvature of labels whose scores are within `spread` of a jump of phi''."""
    if point.model.loss.quadratic:
        return point
    new, rows = point.problem.from_vector(point.vector), point.problem.rows
    around = spread[rows.row, rows.task] + PART * np.abs(rows.y)
    bent = lower_curvatures(point.row_loss, point.scores, rows.y, around)
    c = point.problem.task_weight * point.problem.loss_scales
    new.__dict__["loss_curvatures"] = frozen(rows.spread(c[rows.task] * bent, point.tasks.T))
    return new


def _entries(point: NetworkPoint) -> tuple[Mask, Indices]:
    """Which entries move while zeros and dead units stay, and which zeros of S and A there are."""
    dead, layout, has_A = dead_units(point), point.problem.layout, not without_feedback(point)
    masks = [np.ones_like(V, dtype=bool) for V in point.V]
    for number, off in enumerate(dead):
        masks[number][:, off] = False
        if number + 1 < len(masks):
            masks[number + 1][: len(off)][off] = False
    bias = np.broadcast_to(~dead[-1], point.A_plus[point.tasks.T :].shape)
    A = np.vstack([point.A != 0.0, bias]) & has_A
    free = np.concatenate([mask.ravel() for mask in (*masks, point.S != 0.0, A)])
    at_bound = np.zeros(point.problem.size, dtype=bool)
    at_bound[layout.S] = (point.S == 0.0).ravel()
    at_bound[layout.A][: point.A.size] = (point.A == 0.0).ravel() & has_A
    return free, np.asarray(np.flatnonzero(at_bound), dtype=np.intp)


def without_feedback(point: NetworkPoint) -> bool:
    """Whether J does not depend on A."""
    return point.model.alpha == 0.0 and point.problem.gamma == 0.0


def _weighted(point: NetworkPoint, active: tuple[Mask, ...]) -> tuple[Mask, ...]:
    """Whether the weight of a unit's kink has any term that is not 0 for good while zeros of S and A stay."""
    T, rebuilt = point.tasks.T, (point.problem.rows.times[:, None] * point.rebuilding) > 0.0
    labelled = point.problem.rows.spread(np.ones(len(point.problem.rows.row)), T) > 0.0
    F = labelled | (rebuilt.astype(float) @ (point.A.T != 0.0) > 0.0)
    w = (F.astype(float) @ (point.S.T != 0.0) > 0.0) | rebuilt | (vertex(point).kinks > 0.0)
    found = [w]
    for on, at in zip(reversed(point.on[1:]), reversed(active[1:]), strict=True):
        above = (w & ((on > 0.0) | at)).any(axis=1, keepdims=True)
        w = np.broadcast_to(above, point.U[len(point.V) - 1 - len(found)].shape)
        found.append(w)
    return tuple(found[::-1])
