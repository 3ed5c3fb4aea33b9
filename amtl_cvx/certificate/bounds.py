r"""Bounds of what a move of W alone can gain, from the two sources there are.

    gap         F - D at multipliers u of the rows (`fenchel`): ||Q M^-T||_F^2 / (4 coupling) + mismatch, with
                Q = G(u) + 2 coupling W M M', for a smooth loss the gradient. Loose where M = I - B is nearly
                singular, and where the rows are so large that Q is rounding
    decrement   g'H^-1 g (`gains`). Valid where a Newton step stays where the curvature is known

Both are given with room for rounding. ||Q M^-T|| is off by at most || |M^-1| dQ' ||_F, dQ what `slope` says,
the part of W M with sqrt(2 coupling) drift, since M' M^-T = I.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.factor import LOST, Factor, cholesky_factor, inverse_roots, root_factor
from amtl_cvx.certificate.fenchel import fenchel, kinked_multipliers, mismatch_room
from amtl_cvx.certificate.gains import Decrement, Proved, proved_gain
from amtl_cvx.certificate.slope import EPS, Pull, Slope, slope_at
from amtl_cvx.model import Model, stacked_hessian
from amtl_cvx.tasks import Array, TaskSet

_QR_LIMIT = 1000  # T d up to which a near-singular Hessian is factored by its root
_NOTHING = 1e-14  # of J: what is not worth a sharper bound


class Newton(NamedTuple):
    """H^-1 g and what comes with it; `gain` is infinite where H is singular along g."""

    gain: float
    step: float
    condition: float
    smallest: float
    """About the smallest eigenvalue of H, from below."""
    factor: Factor | None


class Gap(NamedTuple):
    """F - D, infinite where there is no bound, and the same with room for rounding."""

    value: float
    safe: float


class WeightProblem(NamedTuple):
    """The W-step at a point: M = I - B, a_t, and the coupling's part of the gradient."""

    tasks: TaskSet
    model: Model
    W: Array
    B: Array
    M: Array
    a: Array
    pull: Pull

    def slope(self, multipliers: Sequence[Array] | None = None) -> Slope:
        """The gradient, at multipliers in the domain of phi* where they are given."""
        tasks = self.tasks
        return slope_at(
            self.model.loss,
            tasks.tasks,
            self.W,
            self.a,
            self.pull,
            turned=tasks.basis is not None,
            multipliers=multipliers,
        )

    def gap(self, slope: Slope | None, multipliers: Sequence[Array] | None) -> Gap:
        """F - D at given multipliers, else at phi' (the `slope`) or, with kinks, at those of least gap."""
        tasks, model, M, mismatch, room = self.tasks, self.model, self.M, 0.0, 0.0
        if slope is None or multipliers is not None:
            chosen = kinked_multipliers(tasks, model, self.W, self.B) if multipliers is None else multipliers
            mismatch = fenchel(tasks, model, self.W, self.B, chosen).mismatch
            inside = [model.loss.clip(u, task.y) for u, task in zip(chosen, tasks, strict=True)]
            slope = self.slope(inside)
            room = mismatch_room(model.loss, tasks, slope, inside)
        E, N = np.linalg.solve(M, slope.gradient.T), np.abs(np.linalg.inv(M))
        off = float(np.linalg.norm(N @ slope.entries().T)) + math.sqrt(2.0 * model.coupling) * slope.drift
        off += len(M) * EPS * float(np.linalg.norm(N @ (np.abs(M) @ np.abs(E))))
        length, most = float(np.linalg.norm(E)), 4.0 * model.coupling
        safe = (length + off) * (length + off) / most + mismatch + room
        return Gap(length * length / most + mismatch, safe)

    def root(self, slope: Slope) -> Factor | None:
        """The factor of H by QR."""
        loss = self.model.loss
        rows = zip(self.tasks, slope.rows, strict=True)
        roots = [
            np.sqrt(at.weight * loss.curvatures(at.scores, task.y))[:, None] * task.X for task, at in rows
        ]
        return root_factor(roots, self.M, self.model.coupling)

    def decrement_bound(self, slope: Slope, cheap: Decrement, newton: Newton | None) -> Proved:
        """The bound of `gains`: reach from the blocks `cheap` of H, from its factor if they do not decide."""
        loss, tasks = self.model.loss, self.tasks.tasks
        factor, g = None if newton is None else newton.factor, slope.gradient.T.ravel()
        if newton is not None and (factor is None or factor.lost > LOST):
            factor = self.root(slope) if g.size <= _QR_LIMIT else None
        if factor is None:
            return proved_gain(loss, tasks, slope, cheap)
        length = float(np.linalg.norm(sl.solve_triangular(factor.lower, g, lower=True, check_finite=False)))
        found = proved_gain(loss, tasks, slope, Decrement(length, cheap.roots, factor.lost))
        if found.gain <= 2.0 * length * length or found.gain <= _NOTHING * self._objective():
            return found
        roots = inverse_roots(factor, len(self.M))
        return proved_gain(loss, tasks, slope, Decrement(length, roots, factor.lost))

    def _objective(self) -> float:
        return self.model.objective(self.tasks, self.W, self.B)


def newton_step(blocks: Array, M: Array, coupling: float, gradient: Array, W: Array) -> Newton:
    """The Newton step of the W-step and the condition of its system."""
    H, g = stacked_hessian(blocks, M, coupling), gradient.T.ravel()
    if not (np.isfinite(g).all() and np.isfinite(H).all()):
        return Newton(math.inf, math.inf, math.inf, 0.0, None)
    factor = cholesky_factor(H)
    if factor is None:
        singular = _singular_gain(stacked_hessian(blocks, M, coupling), g, W)
        return Newton(singular, math.inf, math.inf, 0.0, None)
    step = sl.cho_solve((factor.lower, True), g, check_finite=False)
    gain = 0.5 * float(g @ step)
    return Newton(gain, float(np.linalg.norm(step)), factor.condition, factor.smallest, factor)


def _singular_gain(H: Array, g: Array, W: Array) -> float:
    """(1/2) g'H^+ g of a numerically singular H; infinite where g has a part in its kernel."""
    values, vectors = np.linalg.eigh(H)
    parts = vectors.T @ g
    kept = values > len(g) * EPS * values[-1]
    noise = len(g) * EPS * float(np.abs(H @ W.T.ravel()).max())
    if np.abs(parts[~kept]).max(initial=0.0) > noise:
        return math.inf
    return 0.5 * float((parts[kept] ** 2 / values[kept]).sum())
