r"""Bounds of what a move of W alone can gain, from the two sources there are.

    gap         F - D at multipliers u of the rows (`fenchel`): ||Q L^-T||_F^2 / (4 coupling) + mismatch, with
                Q = G(u) + 2 coupling W K K', for a smooth loss the gradient, K = L = I - B, or with a penalty
                on W those of `problem.squares`. Loose where I - B is nearly singular and no penalty makes up
                for it, and where the rows are so large that Q is rounding
    decrement   g'H^-1 g (`gains`). Valid where a Newton step stays where the curvature is known

Both are given with room for rounding. ||Q L^-T|| is off by at most || |L^-1| dQ' ||_F, dQ what `slope` says,
the part of W K with sqrt(2 coupling) drift, since K' L^-T has orthonormal columns. L itself is off by a part
of K K' that is known (`Squares.lost`).

A penalty on W with kinks is at least <Z, V> - Omega*(Z): with such a linear term in its place both bounds
hold, and what that leaves open, Omega(W) + Omega*(Z) - <Z, W>, is added (`OmegaDual`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.certificate.factor import LOST, Factor, cholesky_factor, inverse_roots, root_factor
from amtl_cvx.certificate.fenchel import fenchel_terms, mismatch_room
from amtl_cvx.certificate.gains import Decrement, Proved, block_decrement, proved_gain
from amtl_cvx.certificate.newton import ROUGH_SIZE, Newton, newton_step, rough_newton
from amtl_cvx.certificate.slope import EPS, Pull, Slope, coupling_pull, slope_at
from amtl_cvx.losses import Loss
from amtl_cvx.problem.coupling import stacked_hessian
from amtl_cvx.problem.scores import Scores, squares
from amtl_cvx.problem.squares import Squares, least_singular
from amtl_cvx.tasks import Array, Task
from amtl_cvx.weights import WeightPenalty

ENOUGH = 1e-9
"""Of F: a bound that is not made sharper."""
_QR_LIMIT = 1000  # T d up to which a near-singular Hessian is factored by its root
_NOTHING = 1e-14  # of F: what is not worth a sharper bound
_RIGID = 1.0  # of the largest curvature of the losses: what is left of a coupling that hides it
_COSTLESS = 1e-14  # of F: what a task may cost and be left out


class Gap(NamedTuple):
    """F - D, infinite where there is no bound, and the same with room for rounding."""

    value: float
    safe: float


class OmegaDual(NamedTuple):
    """A penalty on W with kinks at a point of its dual, Omega(V) >= <Z, V> - Omega*(Z) for every V."""

    Z: Array
    """(d, T)"""
    off: float
    """By how much its entries may be off from one where Omega* is what it is said to be."""
    mismatch: float
    """Omega(W) + Omega*(Z) - <Z, W>, >= 0"""
    room: float
    """What rounding can hide of that."""

    @classmethod
    def at(cls, omega: WeightPenalty, W: Array, Z: Array) -> OmegaDual:
        """At the subgradient Z, or at one near it where Omega* is finite."""
        Z = omega.clip(Z)
        share = 16.0 * max(W.shape) * EPS
        parts = (omega.value(W), omega.conjugate(Z), -float((Z * W).sum()))
        off = share * float(np.abs(Z).max(initial=0.0))
        size = sum(map(abs, parts)) + float((np.abs(Z) * np.abs(W)).sum())
        return cls(Z, off, max(sum(parts), 0.0), share * size + off * float(np.abs(W).sum()))

    def added_to(self, pull: Pull) -> Pull:
        """The gradient with Z, and its room."""
        return pull._replace(gradient=pull.gradient + self.Z, room=pull.room + self.off)


class Judged(NamedTuple):
    """The least bound that is proved, infinite where none is; where it comes from."""

    gain: float
    by: str
    """"decrement", "gap" or "none"."""
    reason: str
    """What keeps the decrement from being a bound, "" where it is one."""
    gap: Gap
    newton: Newton | None


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightProblem:
    """The W-step at a point: sum_t a_t L_t(w_t) + coupling ||W K||_F^2.

    Parameters
    ----------
    loss, tasks, turned, scores
        `turned` as in `slope_at`, `scores` those at W where they are known.
    W, squares, a : (d, T), Squares, (T,)
        `squares` has K (T, k).
    coupling : float
    multipliers : T arrays (n_t,), optional
        In the domain of phi*; for the gap.
    dense : bool
        Whether the Hessian may be factored.
    value : float
        F at this point, what bounds are compared with.
    sigma : float
        The smallest singular value of K, 0 where it is rounding.
    enough : float
        A gap that no sharper bound is looked for.
    omega : OmegaDual, optional
        Of a penalty on W with kinks, which then stands for it: linear in W, and what that leaves open.
    """

    loss: Loss
    tasks: tuple[Task, ...]
    turned: bool
    scores: tuple[Scores, ...] | None
    W: Array
    squares: Squares
    a: Array
    coupling: float
    multipliers: tuple[Array, ...] | None
    dense: bool
    value: float
    sigma: float
    enough: float = 0.0
    omega: OmegaDual | None = None

    def judged(self, *, rounded: bool = True) -> Judged:
        """What a move of W can gain; `rounded` is whether there is rounding."""
        slope = self.slope(None if self.loss.smooth else self.multipliers, rounded)
        if self.loss.smooth:
            gap, _ = self.gap(slope, rounded, sharp=True)
            proved, newton = self._by_decrement(slope, known=gap.safe <= self.enough)
        else:
            proved, newton = Proved(math.inf, ""), None
            gap, mismatch = self.gap(slope, rounded, sharp=True)
            if not gap.safe <= ENOUGH * self.value:
                proved = self._by_decrement(slope, known=False)[0]
                proved = proved._replace(gain=proved.gain + 2.0 * mismatch)
        if self.omega is not None:
            open_ = self.omega.mismatch + (self.omega.room if rounded else 0.0)
            proved = proved._replace(gain=proved.gain + open_)
            gap = Gap(gap.value + self.omega.mismatch, gap.safe + open_)
        gain, by = min((proved.gain, "decrement"), (gap.safe, "gap"))
        if not math.isfinite(gain):
            gain, by = math.inf, "none"
        return Judged(gain, by, proved.reason, gap, newton)

    def without_costless(self) -> tuple[WeightProblem, float] | None:
        """The W-step without tasks whose terms are all but 0 and which give only to each other; those terms.

        F is at least the other terms, so it gains at most what they can and the terms left out. This is what
        a cycle of tasks that are fitted without loss needs: along it W moves at no cost, and H is singular.
        A penalty on W is no sum of terms of the tasks: none is left out then.
        """
        if not self.squares.plain or self.omega is not None:
            return None
        (values, room), M = self._terms(), self.squares.K
        left = values <= _COSTLESS * self.value
        for _ in range(len(left)):
            left = left & ~(M[:, ~left] != 0.0).any(axis=1)
        if not left.any() or left.all():
            return None
        kept = np.flatnonzero(~left)
        rest_of = Squares(M[np.ix_(kept, kept)], True, self.coupling)
        multipliers = None if self.multipliers is None else tuple(self.multipliers[t] for t in kept)
        rest = replace(
            self,
            tasks=tuple(self.tasks[t] for t in kept),
            scores=None,
            W=self.W[:, kept],
            squares=rest_of,
            a=self.a[kept],
            multipliers=multipliers,
            value=float(values[kept].sum()),
            sigma=least_singular(rest_of.values),
        )
        return rest, float((values + room)[left].sum())

    def _terms(self) -> tuple[Array, Array]:
        """a_t L_t + coupling ||(W M)_t||^2 of every task, and what rounding can add to it, (T,) each."""
        slope, M = self.slope(self.multipliers, True), self.squares.K
        R, off = self.W @ M, (len(M) + 2.0) * EPS * (np.abs(self.W) @ np.abs(M))
        values, most = (self.coupling * (at * at).sum(axis=0) for at in (R, np.abs(R) + off))
        for t, (task, rows) in enumerate(zip(self.tasks, slope.rows, strict=True)):
            phi = self.loss.on(task.sample_weight)
            at = [phi.rows(rows.scores + move, task.y) for move in (0.0, -rows.moves, rows.moves)]
            values[t] += rows.weight * float(at[0].sum())
            most[t] += rows.weight * float(np.max(at, axis=0).sum())
        return values, most - values

    def _blocks(self, slope: Slope) -> Array:
        """a_t Hess L_t or, with kinks, what takes its place, (T, d, d)."""
        if self.scores is None:
            rows = zip(self.tasks, slope.rows, strict=True)
            return np.concatenate([squares(task.X[None], at.stiff[None]) for task, at in rows])
        stiff = ((each, np.stack([at.stiff for at in slope.rows[each.at]])) for each in self.scores)
        return np.concatenate([squares(each.X, weight) for each, weight in stiff])

    def slope(self, multipliers: Sequence[Array] | None, rounded: bool) -> Slope:
        pull = coupling_pull(self.W, self.squares.K, self.coupling)
        pull = pull if self.omega is None else self.omega.added_to(pull)
        slope = slope_at(
            self.loss,
            self.tasks,
            self.W,
            self.a,
            pull,
            turned=self.turned,
            known=self.scores,
            multipliers=multipliers,
        )
        return slope if rounded else slope.exact()

    def gap(self, slope: Slope, rounded: bool, *, sharp: bool) -> tuple[Gap, float]:
        """F - D at the multipliers, else at phi' (the `slope`), and its mismatch with room for rounding.

        Not `sharp` does without that room, and so without a bound.
        """
        L, lost, mismatch, room = self.squares.L, self.squares.lost, 0.0, 0.0
        if self.multipliers is not None:
            mismatch = fenchel_terms(self.loss, self.tasks, self.a, self.W, self.multipliers).mismatch
            slope = self.slope(self.multipliers, rounded) if self.loss.smooth else slope
            room = mismatch_room(self.loss, self.tasks, slope, self.multipliers) if rounded else 0.0
        if not self.sigma > 0.0 or lost > LOST:
            return Gap(math.inf, math.inf), mismatch + room
        E, most = np.linalg.solve(L, slope.gradient.T), 4.0 * self.coupling
        length, safe = float(np.linalg.norm(E)), math.inf
        if sharp:
            N = np.abs(np.linalg.inv(L))
            off = float(np.linalg.norm(N @ slope.entries().T)) + math.sqrt(2.0 * self.coupling) * slope.drift
            off += len(L) * EPS * float(np.linalg.norm(N @ (np.abs(L) @ np.abs(E)))) if rounded else 0.0
            safe = (length + off) * (length + off) / (most * (1.0 - lost)) + mismatch + room
        return Gap(length * length / most + mismatch, safe), mismatch + room

    def _root(self, slope: Slope) -> Factor | None:
        """The factor of H by QR."""
        rows = zip(self.tasks, slope.rows, strict=True)
        roots = [np.sqrt(at.stiff)[:, None] * task.X for task, at in rows]
        return root_factor(roots, self.squares.K, self.coupling)

    def _by_decrement(self, slope: Slope, *, known: bool) -> tuple[Proved, Newton | None]:
        """The bound of `gains`: reach from the blocks of H, from its factor if they do not decide.

        None where the gap is `known` to be nothing; then the Newton step is all that is asked for.
        """
        loss, tasks, blocks = self.loss, self.tasks, self._blocks(slope)
        if known and (not self.dense or self.W.size < ROUGH_SIZE):
            return Proved(math.inf, ""), self._newton(slope, blocks) if self.dense else None
        cheap = block_decrement(slope.gradient, blocks, 2.0 * self.coupling * self.sigma * self.sigma)
        if known:
            rough = rough_newton(blocks, self.squares.K, self.coupling, slope.gradient, cheap.roots)
            return Proved(math.inf, ""), rough or self._newton(slope, blocks)
        if not self.dense:
            return proved_gain(loss, tasks, slope, cheap), None
        newton = self._newton(slope, blocks)
        factor, g = newton.factor, slope.gradient.T.ravel()
        if factor is None or factor.lost > LOST:
            factor = self._root(slope) if g.size <= _QR_LIMIT else None
        if factor is None:
            found = proved_gain(loss, tasks, slope, cheap)
            return (found if math.isfinite(found.gain) else self._by_less(slope, blocks) or found), newton
        length = float(np.linalg.norm(sl.solve_triangular(factor.lower, g, lower=True, check_finite=False)))
        found = proved_gain(loss, tasks, slope, Decrement(length, cheap.roots, factor.lost))
        if not (found.gain <= 2.0 * length * length or found.gain <= _NOTHING * self.value):
            roots = inverse_roots(factor, len(self.squares.K))
            found = proved_gain(loss, tasks, slope, Decrement(length, roots, factor.lost))
        return found, newton

    def _by_less(self, slope: Slope, blocks: Array) -> Proved | None:
        """The same with so little of the coupling that H_0 <= H has a factor; None where it has none either.

        Where a penalty on W joins tasks all but rigidly H holds nothing else in doubles. In the metric of H_0
        the rounding of W K weighs sqrt(coupling / less of it) times as much.
        """
        joined = float(np.linalg.norm(self.squares.K, axis=1).max()) ** 2
        own = float(np.einsum("tii->ti", blocks).max())
        share = _RIGID * own / (2.0 * self.coupling * joined) if joined > 0.0 else 1.0
        if self.sigma > 0.0 or not share < 1.0:  # K K' holds all directions itself
            return None
        H, g = stacked_hessian(blocks, self.squares.K, share * self.coupling), slope.gradient.T.ravel()
        factor = cholesky_factor(H) if np.isfinite(H).all() and np.isfinite(g).all() else None
        if factor is None or factor.lost > LOST:
            return None
        length = float(np.linalg.norm(sl.solve_triangular(factor.lower, g, lower=True, check_finite=False)))
        decrement = Decrement(length, inverse_roots(factor, len(self.squares.K)), factor.lost)
        return proved_gain(self.loss, self.tasks, slope._replace(drift=slope.drift / share**0.5), decrement)

    def _newton(self, slope: Slope, blocks: Array) -> Newton:
        return newton_step(blocks, self.squares.K, self.coupling, slope.gradient, self.W)
