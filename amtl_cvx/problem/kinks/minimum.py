"""The minimum of a W-step with kinks by exchange of rows, and from inside where that goes in circles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.problem.kinks.interior import SMALL, Inside, begin, step
from amtl_cvx.problem.kinks.objective import NOISE, KinkedObjective
from amtl_cvx.problem.kinks.rows import CORRECTIONS, Held, KinkedRows
from amtl_cvx.tasks import Array, Indices, Mask

DENSE_LIMIT = 2000
"""Number of unknowns T d up to which the W-step is solved like this."""
_STEPS = 80
_GOALS = (1e-8, 1e-12, 1e-15)
"""Of the products, all together, relative to the value: where the rows on their kinks are tried."""
_FLOOR = 1e-24  # of the value at W = 0
_EXCHANGES, _FEW = 8, 3  # from the inside, and from the start
_CLOSE = 1e-7  # how near to its kink, of the farthest one of its task, a row is taken to be on it
_FIRM = 1e-5  # least pivot of a factor whose square is known to some digits
_SLACK, _SAME = 1e3, 1e-9


class KinkedMinimum(NamedTuple):
    """The minimum over W and what proves it."""

    W: Array
    """(d, T)"""
    multipliers: tuple[Array, ...]
    """u_t (n_t,) of every task, within the domain of phi*."""
    on: Mask
    """Rows on their kinks, all tasks stacked."""
    settled: bool
    """Whether it is proved to rounding."""


class _Candidate(NamedTuple):
    W: Array
    v: Array
    on: Mask
    value: float
    noise: float
    """Of the value: rounding."""
    miss: float
    """The largest entry of the gradient, of every task in units of its rows' largest pull, or the mismatch
    of v (`fenchel`) in units of the value; what is rounding counts as 0."""
    settled: bool
    """Whether every row is where its multiplier says."""


class KinkedProblem(KinkedObjective):
    """The W-step at one B and its minimum; see the package's essay."""

    @classmethod
    def at(cls, rows: KinkedRows, *, weight: Array, root: Array) -> KinkedProblem:
        """From the weights a_t (T,) of the losses and sqrt(2 coupling) K."""
        weight = (weight * rows.scale)[rows.task]
        return cls(
            rows=rows,
            weight=weight,
            low=weight * rows.low,
            high=weight * rows.high,
            root=root,
            P=root @ root.T,
        )

    def minimum(self, W: Array) -> KinkedMinimum:
        """From W (d, T), near or far."""
        off = self.off(W)
        near = np.abs(off) <= np.maximum(_CLOSE * self.farthest(off), self.rounding(W))
        v = np.where(near, 0.5 * (self.low + self.high), np.where(off > 0.0, self.high, self.low))
        best = self._exchanged(self._candidate(W, v, near, settled=False), _FEW)
        if not best.settled:
            best = self._from_inside(W, best)
        u = np.clip(best.v, self.low, self.high) / self.weight
        return KinkedMinimum(best.W, tuple(np.split(u, self.rows.starts[1:])), best.on, best.settled)

    def _from_inside(self, W: Array, best: _Candidate) -> _Candidate:
        """By interior points; the rows on their kinks are tried ever nearer to the minimum."""
        point, steps, floor = begin(self, W), 0, _FLOOR * abs(self.value(np.zeros_like(W)))
        for goal in _GOALS:
            following: Inside | None = point
            while steps < _STEPS and point.products > max(goal * abs(self.value(point.W)), floor):
                if (following := step(self, point)) is None:
                    break
                point, steps = following, steps + 1
            found = self._exchanged(self._guess(point), _EXCHANGES)
            best = found if self._better(found, best) else best
            if found.settled or following is None:
                break
        return best

    def _guess(self, inner: Inside) -> _Candidate:
        """The interior point, with the rows that are about to be on their kinks."""
        size = self.farthest(inner.above - inner.below)
        size = np.where(size > 0.0, size, 1.0)
        nearest = np.minimum(inner.to_high, inner.to_low) / (self.high - self.low)
        on = np.maximum(inner.above, inner.below) / size < nearest
        return self._candidate(inner.W, inner.v, on, settled=False)

    def _exchanged(self, best: _Candidate, most: int) -> _Candidate:
        """The best point of the exchange of rows that begins at its rows on kinks."""
        on, off, seen = best.on, self.off(best.W), set[bytes]()
        v = np.where(on, best.v, np.where(off > 0.0, self.high, self.low))
        for _ in range(most):
            if (mark := on.tobytes() + (v > self.low).tobytes()) in seen:
                break
            seen.add(mark)
            W, v = self._on_kinks(v, on)
            off = self.off(W)
            room = self.rounding(W)
            span = NOISE * (self.high - self.low)
            under, over = on & (v < self.low - span), on & (v > self.high + span)
            reached = ~on & np.where(v >= self.high, off < -room, off > room)
            strayed = on & (np.abs(off) > _SLACK * room)  # more rows than W can put on their kinks
            found = self._candidate(W, v, on, settled=not (under | over | reached | strayed).any())
            same = _SAME * abs(best.value) + self.nothing(best.W)
            level = found.settled and found.value <= best.value + same
            best = found if level or self._better(found, best) else best
            if best.settled:
                break
            left = under | over | strayed
            v = np.where(left, np.where(np.where(strayed, off > 0.0, over), self.high, self.low), v)
            on = (on & ~left) | reached
        return best

    def _candidate(self, W: Array, v: Array, on: Mask, *, settled: bool) -> _Candidate:
        v = np.clip(v, self.low, self.high)
        size = np.maximum.reduceat(np.abs(v) * np.abs(self.rows.X).max(axis=1), self.rows.starts)
        rounding = NOISE * (np.abs(W) @ np.abs(self.root) @ np.abs(self.root).T)
        off_by = np.maximum(np.abs(self.gradient(W, v)) - rounding, 0.0).max(axis=0)
        miss = float((off_by / np.where(size > 0.0, size, 1.0)).max())
        off, value = self.off(W), self.value(W)
        mismatch = float((np.where(off > 0.0, self.high, self.low) - v) @ off)
        nothing = self.nothing(W)
        if mismatch > nothing:
            miss = max(miss, mismatch / abs(value) if abs(value) > 0.0 else np.inf)
        noise = 1e-13 * abs(value) + self.noise(W)
        return _Candidate(W, v, on, value, noise, miss, settled and miss <= _SAME)

    def _better(self, new: _Candidate, old: _Candidate) -> bool:
        """The lower value wins; among values that differ by rounding, the smaller gradient."""
        noise = max(new.noise, old.noise)
        return new.value < old.value - noise or (new.value <= old.value + noise and new.miss < old.miss)

    def free_directions(self, on: Mask) -> tuple[Array, Array]:
        """N (T d, m), orthonormal moves of W that leave the rows `on` where they are, and N'(P (x) I) N."""
        held = self.rows.face(on)
        return sl.block_diag(*(each.free for each in held)), self._free(held)[2]

    def _free(self, held: Sequence[Held]) -> tuple[Array, Indices, Array]:
        """What rows held on their kinks leave free, (d, m) side by side, the tasks, and N'(P (x) I) N."""
        columns = np.hstack([each.free for each in held])
        task = np.repeat(np.arange(len(held)), [each.free.shape[1] for each in held])
        return columns, task, (columns.T @ columns) * self.P[np.ix_(task, task)]

    def _inverse(self, columns: Array, task: Indices, H: Array) -> Callable[[Array], Array]:
        """Solves with H of `_free`; where it has no factor of full rank for doubles, from its root's.

        What that does not see either does not move.
        """
        unit = 1.0 / np.sqrt(np.maximum(np.diag(H), np.finfo(np.float64).tiny))
        factor, failed = sl.lapack.dpotrf(unit[:, None] * H * unit, lower=True, clean=False)
        if not failed and (len(H) > SMALL or np.diag(factor).min() > _FIRM):
            return lambda right: np.asarray(unit * sl.lapack.dpotrs(factor, unit * right, lower=True)[0])
        root = (self.root[task].T[:, None, :] * (unit * columns)[None]).reshape(-1, len(H))
        _, s, V = np.linalg.svd(root, full_matrices=False)
        V = V[s > max(root.shape) * np.finfo(np.float64).eps * s[0]]
        half = V / s[: len(V), None]
        return lambda right: np.asarray(unit * ((half @ (unit * right)) @ half))

    def _on_kinks(self, v: Array, on: Mask) -> tuple[Array, Array]:
        """The minimum with the rows `on` held on their kinks and v fixed elsewhere: W, v with v[on] new."""
        fixed, held = self.pull(np.where(on, 0.0, v)), self.rows.face(on)
        W = np.column_stack([each.point(self.rows.X, self.rows.kink) for each in held])
        columns, task, H = self._free(held)
        if len(H):
            solve, own = self._inverse(columns, task, H), np.eye(len(self.P))[task]
            for _ in range(CORRECTIONS):
                gradient = W @ self.root @ self.root.T + fixed
                W = W - (columns * solve((columns * gradient[:, task]).sum(axis=0))) @ own
        v = v.copy()
        for _ in range(CORRECTIONS):  # the first leaves rounding of the largest row's pull
            pull = -self.gradient(W, v)  # what v[on] must still make; dependent rows share it out
            for t, each in enumerate(held):
                v[each.rows] += each.inverse @ pull[:, t]
        return W, v
