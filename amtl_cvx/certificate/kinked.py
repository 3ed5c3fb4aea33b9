r"""The W-step of a loss with one kink per row (hinge, quantile), solved exactly with its multipliers.

With v_i = weight_i u_i in [low_i, high_i], the kink at k_i, z_i = x_i'w_t(i), P = K K', K = I - B or that of
`problem.squares`, the W-step

    min over W of  coupling tr(W P W') + sum_i high_i max(0, z_i - k_i) + low_i min(0, z_i - k_i)

has its minimum where 2 coupling W P + sum_i v_i x_i e_t(i)' = 0 and, with z - k = p - q, p, q >= 0,
p (high - v) = 0, q (v - low) = 0. The multipliers v do not depend on where W stands: they are the dual
optimum, of least gap at every W.

1. Active sets: rows K are held on their kinks, v is at one end or the other elsewhere. On K
   W = W0 + N y, N a basis of what X_K leaves free, task by task; the minimum over y leaves a gradient in the
   span of X_K', which gives v_K. Rows that leave K (v beyond an end) or reach it (on the wrong side of the
   kink) are exchanged, as in the primal-dual active-set method. No row to exchange: that is the minimum. From
   a W that is nearly right this takes a step or two; from elsewhere it may go in circles.
2. Interior points then (Mehrotra's predictor and corrector), in W alone: with D = p/(high - v) + q/(v - low)
   the Newton step for a target of both products has the matrix 2 coupling P (x) I + X'D^-1 X. No inverse of
   I - B is taken: where that is nearly singular, rows near their kinks (D -> 0) hold W. Rows with p and q
   small beside v's distances from its ends begin step 1 anew.

Source: Wright, Primal-Dual Interior-Point Methods, 1997, chapter 5; theory.md section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.problem import Model
from amtl_cvx.problem.coupling import difference
from amtl_cvx.problem.squares import Squares
from amtl_cvx.tasks import Array, Indices, Mask, TaskSet

DENSE_LIMIT = 2000
"""Number of unknowns T d up to which the W-step is solved like this."""
_STEPS = 80
_SMALL = 400  # unknowns up to which a singular matrix is factored from its roots
_GOALS = (1e-8, 1e-12, 1e-15)
"""Of the products, all together, relative to the value: where the rows on their kinks are tried."""
_FLOOR = 1e-24  # of the value at W = 0
_SHORTEST = 1e-6
_BORDER = 0.995
_EXCHANGES, _FEW = 8, 3  # from the inside, and from the start
_CLOSE = 1e-7  # how near to its kink, of the farthest one of its task, a row is taken to be on it
_CORRECTIONS = 3
_FIRM = 1e-5  # least pivot of a factor whose square is known to some digits
_RANK = 1e-12  # relative singular value from which on rows on their kinks count as independent
_NOISE, _SLACK, _SAME = 1e-14, 1e3, 1e-9


class KinkedMinimum(NamedTuple):
    """The minimum over W and what proves it."""

    W: Array
    """(d, T)"""
    multipliers: tuple[Array, ...]
    """u_t (n_t,) of every task, within the domain of phi*."""
    on: Mask
    """Rows on their kinks, all tasks stacked."""


class _Point(NamedTuple):
    """Of the interior: W, v, and the four distances that stay positive."""

    W: Array
    v: Array
    above: Array
    """p"""
    below: Array
    """q"""
    to_high: Array
    to_low: Array

    @property
    def products(self) -> float:
        return float(self.above @ self.to_high + self.below @ self.to_low)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class KinkedProblem:
    """The W-step at one B, rows of all tasks stacked; see the module's essay."""

    X: Array
    task: Indices
    starts: Indices
    place: Indices
    padded: Array
    """X by tasks, (T, most rows, d)."""
    weight: Array
    low: Array
    high: Array
    kink: Array
    root: Array
    """sqrt(2 coupling) K, (T, k)"""
    P: Array
    """2 coupling K K', (T, T)"""
    held: dict[tuple[int, bytes], _Held] = field(default_factory=dict)
    """Those that were needed so far."""

    @classmethod
    def at(cls, tasks: TaskSet, model: Model, B: Array) -> KinkedProblem:
        squares = Squares.of(difference(B), model.omega, model.coupling)
        loss, root = model.loss, np.sqrt(2.0 * model.coupling) * squares.K
        X, y, task = tasks.stacked()
        scale = np.array([loss.scale(each) for each in tasks])
        weight = (model.loss_weight(tasks, B) * scale)[task]
        low, high = loss.domain(y)
        starts = np.searchsorted(task, np.arange(tasks.T))
        place = np.arange(len(y)) - starts[task]
        padded = np.zeros((tasks.T, int(place.max()) + 1, tasks.d))
        padded[task, place] = X
        return cls(
            X=X,
            task=task,
            starts=starts,
            place=place,
            padded=padded,
            weight=weight,
            low=weight * low,
            high=weight * high,
            kink=(loss.conjugate(high, y) - loss.conjugate(low, y)) / (high - low),
            root=root,
            P=root @ root.T,
        )

    def minimum(self, W: Array) -> KinkedMinimum:
        """From W (d, T), near or far."""
        off = self._scores(W) - self.kink
        near = np.abs(off) <= np.maximum(_CLOSE * self._farthest(off), self._rounding(W))
        v = np.where(near, 0.5 * (self.low + self.high), np.where(off > 0.0, self.high, self.low))
        best = self._exchanged(self._candidate(W, v, near, settled=False), _FEW)
        if not best.settled:
            best = self._from_inside(W, best)
        u = np.clip(best.v, self.low, self.high) / self.weight
        return KinkedMinimum(best.W, tuple(np.split(u, self.starts[1:])), best.on)

    def _from_inside(self, W: Array, best: _Candidate) -> _Candidate:
        """By interior points; the rows on their kinks are tried ever nearer to the minimum."""
        point, steps, floor = self._begin(W), 0, _FLOOR * abs(self.value(np.zeros_like(W)))
        for goal in _GOALS:
            following: _Point | None = point
            while steps < _STEPS and point.products > max(goal * abs(self.value(point.W)), floor):
                if (following := self._step(point)) is None:
                    break
                point, steps = following, steps + 1
            found = self._exchanged(self._guess(point), _EXCHANGES)
            best = found if self._better(found, best) else best
            if found.settled or following is None:
                break
        return best

    def value(self, W: Array) -> float:
        off = self._scores(W) - self.kink
        rows = np.where(off > 0.0, self.high, self.low) @ off
        return 0.5 * float(((W @ self.root) ** 2).sum()) + float(rows)

    def _scores(self, W: Array) -> Array:
        scores: Array = np.einsum("ij,ij->i", self.X, W.T[self.task])
        return scores

    def _rounding(self, W: Array) -> Array:
        """By how much a row on its kink may seem off it."""
        sizes: Array = np.abs(self.kink) + np.einsum("ij,ij->i", np.abs(self.X), np.abs(W.T[self.task]))
        return _NOISE * sizes

    def _farthest(self, off: Array) -> Array:
        """The largest |off| among the rows of the same task, (N,): tasks have units of their own."""
        farthest: Array = np.maximum.reduceat(np.abs(off), self.starts)[self.task]
        return farthest

    def noise(self, W: Array) -> float:
        """Differences of J between two W beside each other that are rounding of the scores."""
        return 0.1 * self._nothing(W)

    def _nothing(self, W: Array) -> float:
        """Values that are rounding: all there is where the rows are interpolated."""
        return float((self.high - self.low) @ self._rounding(W))

    def _pull(self, v: Array) -> Array:
        """sum_i v_i x_i e_t(i)', (d, T)."""
        pull: Array = np.add.reduceat(v[:, None] * self.X, self.starts, axis=0).T
        return pull

    def _gradient(self, W: Array, v: Array) -> Array:
        gradient: Array = W @ self.root @ self.root.T + self._pull(v)
        return gradient

    def _begin(self, W: Array) -> _Point:
        off = self._scores(W) - self.kink
        away = 0.1 * float(np.maximum(np.abs(off), np.abs(self.kink)).max()) or 1.0
        above, half = np.maximum(off, 0.0) + away, 0.5 * (self.high - self.low)
        return _Point(W, self.low + half, above, above - off, half, half)

    def _step(self, at: _Point) -> _Point | None:
        """The next point, None where there is no matrix or no way to go."""
        pull = self._gradient(at.W, at.v)
        D = at.above / at.to_high + at.below / at.to_low
        solve = self._solver(1.0 / D)
        if solve is None:
            return None
        mean = at.products / (2 * len(D))
        aim_above, aim_below = np.zeros_like(D), np.zeros_like(D)
        for corrected in (False, True):
            over, under = aim_above / at.to_high - at.above, aim_below / at.to_low - at.below
            rest = (under - over) / D
            right = -(pull + self._pull(rest))
            dW = solve(right.T.ravel()).reshape(right.T.shape).T
            dv = self._scores(dW) / D + rest
            up, down = over + at.above / at.to_high * dv, under - at.below / at.to_low * dv
            changes = ((at.above, up), (at.below, down), (at.to_high, -dv), (at.to_low, dv))
            length = min(_room(value, change) for value, change in changes)
            if not corrected:
                after = (at.above + length * up) @ (at.to_high - length * dv)
                after += (at.below + length * down) @ (at.to_low + length * dv)
                wish = mean * (float(after) / (2 * len(D)) / mean) ** 3
                aim_above, aim_below = wish + up * dv, wish - down * dv
        if not (length > _SHORTEST and np.isfinite(dW).all()):
            return None
        moved = [value + length * change for value, change in changes]
        return _Point(at.W + length * dW, at.v + length * dv, *moved)

    def _solver(self, stiffness: Array) -> Callable[[Array], Array] | None:
        """Solves with P (x) I + X' diag(stiffness) X; None where it is singular for doubles."""
        T, d = len(self.P), self.X.shape[1]
        weights = np.zeros(self.padded.shape[:2])
        weights[self.task, self.place] = stiffness
        H = np.zeros((T, d, T, d))
        H[:, np.arange(d), :, np.arange(d)] = self.P
        H[np.arange(T), :, np.arange(T), :] += (
            self.padded.transpose(0, 2, 1) * weights[:, None, :]
        ) @ self.padded
        factor, failed = sl.lapack.dpotrf(
            H.reshape(T * d, T * d).T, lower=True, overwrite_a=True, clean=False
        )
        if failed or not np.isfinite(factor[-1, -1]):
            return self._by_orthogonal_factor(stiffness) if T * d <= _SMALL else None
        return lambda right: np.asarray(sl.lapack.dpotrs(factor, right, lower=True)[0])

    def _by_orthogonal_factor(self, stiffness: Array) -> Callable[[Array], Array] | None:
        """The same from a factor of the roots, which sees what the squares of small numbers hide."""
        T, d = len(self.P), self.X.shape[1]
        rows = np.zeros((len(self.X), T, d))
        rows[np.arange(len(self.X)), self.task] = np.sqrt(stiffness)[:, None] * self.X
        A = np.vstack([np.kron(self.root.T, np.eye(d)), rows.reshape(len(rows), T * d)])
        R = np.linalg.qr(A, mode="r")
        if not (np.isfinite(R).all() and np.abs(np.diag(R)).min() > 0.0):
            return None

        def solve(right: Array) -> Array:
            found: Array = np.zeros_like(right)
            for _ in range(2):
                rest = right - A.T @ (A @ found)
                half = sl.solve_triangular(R, rest, trans="T", check_finite=False)
                found = found + sl.solve_triangular(R, half, check_finite=False)
            return found

        return solve

    def _guess(self, inner: _Point) -> _Candidate:
        """The interior point, with the rows that are about to be on their kinks."""
        size = self._farthest(inner.above - inner.below)
        size = np.where(size > 0.0, size, 1.0)
        nearest = np.minimum(inner.to_high, inner.to_low) / (self.high - self.low)
        on = np.maximum(inner.above, inner.below) / size < nearest
        return self._candidate(inner.W, inner.v, on, settled=False)

    def _exchanged(self, best: _Candidate, most: int) -> _Candidate:
        """The best point of the exchange of rows that begins at its rows on kinks."""
        on, off, seen = best.on, self._scores(best.W) - self.kink, set[bytes]()
        v = np.where(on, best.v, np.where(off > 0.0, self.high, self.low))
        for _ in range(most):
            if (mark := on.tobytes() + (v > self.low).tobytes()) in seen:
                break
            seen.add(mark)
            W, v = self._on_kinks(v, on)
            off = self._scores(W) - self.kink
            room = self._rounding(W)
            span = _NOISE * (self.high - self.low)
            under, over = on & (v < self.low - span), on & (v > self.high + span)
            reached = ~on & np.where(v >= self.high, off < -room, off > room)
            strayed = on & (np.abs(off) > _SLACK * room)  # more rows than W can put on their kinks
            found = self._candidate(W, v, on, settled=not (under | over | reached | strayed).any())
            same = _SAME * abs(best.value) + self._nothing(best.W)
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
        size = np.maximum.reduceat(np.abs(v) * np.abs(self.X).max(axis=1), self.starts)
        rounding = _NOISE * (np.abs(W) @ np.abs(self.root) @ np.abs(self.root).T)
        off_by = np.maximum(np.abs(self._gradient(W, v)) - rounding, 0.0).max(axis=0)
        miss = float((off_by / np.where(size > 0.0, size, 1.0)).max())
        off, value = self._scores(W) - self.kink, self.value(W)
        mismatch = float((np.where(off > 0.0, self.high, self.low) - v) @ off)
        nothing = self._nothing(W)
        miss = max(miss, mismatch / abs(value) if mismatch > nothing else 0.0)
        noise = 1e-13 * abs(value) + self.noise(W)
        return _Candidate(W, v, on, value, noise, miss, settled and miss <= _SAME)

    def _better(self, new: _Candidate, old: _Candidate) -> bool:
        """The lower value wins; among values that differ by rounding, the smaller gradient."""
        noise = max(new.noise, old.noise)
        return new.value < old.value - noise or (new.value <= old.value + noise and new.miss < old.miss)

    def free_directions(self, on: Mask) -> tuple[Array, Array]:
        """N (T d, m), orthonormal moves of W that leave the rows `on` where they are, and N'(P (x) I) N."""
        held = self._held(on)
        return sl.block_diag(*(each.free for each in held)), self._free(held)[2]

    def _free(self, held: Sequence[_Held]) -> tuple[Array, Indices, Array]:
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
        if not failed and (len(H) > _SMALL or np.diag(factor).min() > _FIRM):
            return lambda right: np.asarray(unit * sl.lapack.dpotrs(factor, unit * right, lower=True)[0])
        root = (self.root[task].T[:, None, :] * (unit * columns)[None]).reshape(-1, len(H))
        _, s, V = np.linalg.svd(root, full_matrices=False)
        V = V[s > max(root.shape) * np.finfo(np.float64).eps * s[0]]
        half = V / s[: len(V), None]
        return lambda right: np.asarray(unit * ((half @ (unit * right)) @ half))

    def _held(self, on: Mask) -> list[_Held]:
        return [self._held_by(t, rows) for t, rows in enumerate(np.split(on, self.starts[1:]))]

    def _held_by(self, t: int, on: Mask) -> _Held:
        key = t, on.tobytes()
        if key not in self.held:
            self.held[key] = _Held.at(self.X, self.starts[t] + np.flatnonzero(on))
        return self.held[key]

    def _on_kinks(self, v: Array, on: Mask) -> tuple[Array, Array]:
        """The minimum with the rows `on` held on their kinks and v fixed elsewhere: W, v with v[on] new."""
        fixed, held = self._pull(np.where(on, 0.0, v)), self._held(on)
        W = np.column_stack([each.point(self.X, self.kink) for each in held])
        columns, task, H = self._free(held)
        if len(H):
            solve, own = self._inverse(columns, task, H), np.eye(len(self.P))[task]
            for _ in range(_CORRECTIONS):
                gradient = W @ self.root @ self.root.T + fixed
                W = W - (columns * solve((columns * gradient[:, task]).sum(axis=0))) @ own
        v = v.copy()
        for _ in range(_CORRECTIONS):  # the first leaves rounding of the largest row's pull
            pull = -self._gradient(W, v)  # what v[on] must still make; dependent rows share it out
            for t, each in enumerate(held):
                v[each.rows] += each.inverse @ pull[:, t]
        return W, v


class _Held(NamedTuple):
    """Rows of one task held on their kinks."""

    rows: Indices
    inverse: Array
    """(X')^+, from a pull to multipliers; its transpose leads from kinks to the shortest w."""
    free: Array
    """An orthonormal basis of what X does not see."""

    @classmethod
    def at(cls, X: Array, rows: Indices) -> _Held:
        length = np.linalg.norm(X[rows], axis=1)
        length = np.where(length > 0.0, length, 1.0)
        U, s, V = np.linalg.svd(X[rows] / length[:, None], full_matrices=True)
        rank = int((s > _RANK * s.max(initial=0.0)).sum())
        return cls(rows, (U[:, :rank] / s[:rank]) @ V[:rank] / length[:, None], V[rank:].T)

    def point(self, X: Array, kink: Array) -> Array:
        """The shortest w that puts the rows on their kinks, (d,); in the least squares sense."""
        w = np.zeros(X.shape[1])
        for _ in range(_CORRECTIONS):  # rows that are nearly parallel lose digits to the first
            w = w + self.inverse.T @ (kink[self.rows] - X[self.rows] @ w)
        return w


def _room(value: Array, change: Array) -> float:
    """The longest step up to 1 that leaves value + step change clearly positive."""
    falls = change < 0
    return min(1.0, _BORDER * float((-value[falls] / change[falls]).min(initial=np.inf)))
