"""A cone program at fixed parameters: solved, and bounded from below without trust in the solver."""

from __future__ import annotations

from typing import NamedTuple

import clarabel  # type: ignore[import-untyped]
import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.cones.box import SLACK, lower_epigraphs, most, opposite_sums, priced_sums, tighten

_EPS = float(np.finfo(np.float64).eps)
_ROUNDS = 30  # of tightening; a program is a few atoms deep
_ACCURACIES = (1e-14, 1e-11, 1e-8)
"""What is asked of the solver, in turn where it ends beyond `_NEAR`; the first is out of reach."""
_NEAR = 1e-10
_SETTINGS = {"verbose": False, "max_threads": 1, "presolve_enable": False, "time_limit": 600.0}


class Dual(NamedTuple):
    """What a bound is made from: any x0 (N,) and y (m,), those of a solver as a rule."""

    x: Array
    y: Array


class Cone(NamedTuple):
    """The program at fixed parameters; `columns` (n,) are the places of v in x, `soc` the sizes of cones."""

    P: sp.csc_array
    q: Array
    A: sp.csc_array
    b: Array
    d: float
    columns: Indices
    zero: int
    nonneg: int
    soc: tuple[int, ...]

    def scaled(self, factor: float) -> Cone:
        """That of factor f."""
        return self._replace(P=factor * self.P, q=factor * self.q, d=factor * self.d)

    def solved(self, H: sp.csc_array, slope: Array) -> tuple[Dual, ...]:
        """Clarabel's answers to ``min over v of v'H v / 2 + slope'v + f(v)``, never trusted.

        As near as it comes, with other tolerances where that is not within `_NEAR`; the best one is the last.
        """
        place = sp.csc_array(
            (np.ones(len(self.columns)), (self.columns, np.arange(len(self.columns)))),
            shape=(len(self.q), len(self.columns)),
        )
        P, q = self.P + place @ H @ place.T, self.q + place @ slope
        unit = float(np.abs(q).max(initial=0.0)) or 1.0
        upper, q = sp.csc_array(sp.triu(P / unit, format="csc")), q / unit
        cones = [clarabel.ZeroConeT(self.zero)] * (self.zero > 0)
        cones += [clarabel.NonnegativeConeT(self.nonneg)] * (self.nonneg > 0)
        cones += [clarabel.SecondOrderConeT(size) for size in self.soc]
        found: list[tuple[float, Dual]] = []
        for accuracy in _ACCURACIES:
            settings = clarabel.DefaultSettings()
            asked = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), accuracy)
            for name, value in {**_SETTINGS, **asked}.items():
                setattr(settings, name, value)
            answer = clarabel.DefaultSolver(upper, q, self.A, self.b, cones, settings).solve()
            x, y = np.array(answer.x, dtype=float), unit * np.array(answer.z, dtype=float)
            off = abs(answer.obj_val - answer.obj_val_dual) / max(1.0, abs(answer.obj_val))
            off = max(off, answer.r_prim, answer.r_dual)
            if np.isfinite(x).all() and np.isfinite(y).all():
                found.append((off, Dual(x, y)))
            if off <= _NEAR:
                break
        found.sort(key=lambda each: -each[0])
        none = Dual(np.zeros(len(q)), np.zeros(len(self.b)))
        return tuple(dual for _, dual in found) or (none,)

    def near(self, V: Array, step: float) -> tuple[Dual, ...]:
        """The answers to ``min over v of f(v) + ||v - V||^2 / (2 step)``, V by columns."""
        v = np.ravel(V, order="F")
        return self.solved(sp.csc_array(sp.eye_array(len(v), format="csc") / step), -v / step)

    def at_zero(self, dual: Dual) -> Array:
        """The multipliers (n,) of v >= 0, 0 where the program has no such row."""
        A, found = sp.csr_array(self.A), np.zeros(len(self.columns))
        where = np.full(len(self.q), -1)
        where[self.columns] = np.arange(len(self.columns))
        for i in range(self.zero, self.zero + self.nonneg):
            entries = A.indices[A.indptr[i] : A.indptr[i + 1]]
            if len(entries) == 1 and where[entries[0]] >= 0 and self.b[i] == 0.0:
                found[where[entries[0]]] -= A.data[A.indptr[i]] * dual.y[i]
        return np.maximum(found, 0.0)

    def dual_cone(self, y: Array) -> Array:
        """The nearest point of K*, (m,), or one within rounding of it that is in K* for certain."""
        found = y.copy()
        found[self.zero : self.zero + self.nonneg] = np.maximum(y[self.zero : self.zero + self.nonneg], 0.0)
        for start, size in self._soc_places():
            head, tail = y[start], y[start + 1 : start + size]
            length = float(np.linalg.norm(tail))
            if head <= -length:
                found[start : start + size] = 0.0
                continue
            if head < length:
                part = 0.5 * (head + length)
                found[start + 1 : start + size] = tail * (part / length)
            length = float(np.linalg.norm(found[start + 1 : start + size]))
            found[start] = max(head, length * (1.0 + 4.0 * (size + 2) * _EPS))
        return found

    def least(self, dual: Dual, S: Array, box: tuple[Array, Array]) -> float:
        """The bound of the essay on f(v) - <S, v>, rounding included; -inf where the box is not enough."""
        x, y = dual.x, self.dual_cone(dual.y)
        slope = self.q.copy()
        slope[self.columns] -= S
        Px = self.P @ x
        r = Px + slope + self.A.T @ y
        terms = abs(self.P) @ np.abs(x) + np.abs(slope) + abs(self.A).T @ np.abs(y)
        counts = np.diff(sp.csc_array(self.P).indptr) + np.diff(sp.csc_array(self.A).indptr)
        room = (counts + 8.0) * _EPS * terms
        with np.errstate(invalid="ignore"):
            ends = [np.where(part == 0.0, 0.0, part * side) for part in (r - room, r + room) for side in box]
        worst = np.minimum.reduce(ends)
        value = -0.5 * float(x @ Px) - float(self.b @ y) + self.d + float(worst.sum())
        size = float(np.abs(x) @ (abs(self.P) @ np.abs(x))) + float(np.abs(self.b) @ np.abs(y)) + abs(self.d)
        total = size + float(np.abs(worst).sum())
        found = value - (len(x) + len(y) + 16.0) * _EPS * total
        return found if np.isfinite(found) else -np.inf

    def box(self, lo: Array, hi: Array, level: float) -> tuple[Array, Array]:
        """Bounds (N,) of an x of least cost for every v with lo <= v <= hi (n,) and f(v) <= level."""
        low, high = np.full(len(self.q), -np.inf), np.full(len(self.q), np.inf)
        low[self.columns], high[self.columns] = lo, hi
        G, h = self._inequalities(level)
        for _ in range(_ROUNDS):
            before = low.copy(), high.copy()
            tighten(G, h, low, high)
            self._square_sides(level, low, high)
            self._lowered(low, high)
            if all(np.allclose(new, old, rtol=0.1) for new, old in zip((low, high), before, strict=True)):
                break
        return low, high

    def _inequalities(self, level: float) -> tuple[sp.csr_array, Array]:
        """G x <= h: what the cones, and the level, say by single rows."""
        A, k = sp.csr_array(self.A), self.zero + self.nonneg
        rows, right = [A[:k], -A[: self.zero]], [self.b[:k], -self.b[: self.zero]]
        for start, size in self._soc_places():
            head = A[start : start + 1]
            tail = A[start + 1 : start + size]
            heads = sp.csr_array(np.ones((size - 1, 1))) @ head
            rows += [head, heads - tail, heads + tail]
            ends = self.b[start + 1 : start + size]
            right += [self.b[start : start + 1], self.b[start] - ends, self.b[start] + ends]
        G, h = sp.csr_array(sp.vstack(rows, format="csr")), np.concatenate(right)
        sums, sides = opposite_sums(G, h)
        priced, ends = priced_sums(G, h, self.q, level - self.d)
        G = sp.csr_array(sp.vstack([G, sums, priced], format="csr"))
        return G, np.r_[h, sides, ends]

    def _lowered(self, low: Array, high: Array) -> None:
        """What lowering epigraph variables as far as their rows allow leaves of them, in place."""
        A, b, k = sp.csr_array(self.A), self.b, self.zero + self.nonneg
        heads = np.array([start for start, _ in self._soc_places()], dtype=np.int64)
        tails = np.setdiff1d(np.arange(k, len(b)), heads)
        rows = np.r_[self.zero : k, heads].astype(np.int64)
        beside = np.zeros(len(rows))  # the norm of the tail, at most
        reach = most(A[tails], low, high) if len(tails) else np.zeros(0)
        back = most(-A[tails], low, high) if len(tails) else np.zeros(0)
        size = np.zeros(len(b))
        size[tails] = np.maximum(reach - b[tails], back + b[tails])
        for i, (start, length) in enumerate(self._soc_places()):
            beside[self.nonneg + i] = size[start + 1 : start + length].sum()
        fixed = np.r_[0 : self.zero, tails].astype(np.int64)
        free = (self.q >= 0.0) & (np.diff(sp.csc_array(self.P).indptr) == 0) & np.isfinite(low)
        free[self.columns] = False
        free &= np.asarray(abs(A[fixed]).sum(axis=0)).ravel() == 0.0
        lower_epigraphs(A[rows], b[rows] - beside, free, low, high)

    def _square_sides(self, level: float, low: Array, high: Array) -> None:
        """What the squares in f leave of the variables that stand alone in one, in place."""
        with np.errstate(invalid="ignore"):
            least = np.where(self.q > 0.0, self.q * low, np.where(self.q < 0.0, self.q * high, 0.0))
        left = level - self.d - float(least.sum())
        left += SLACK * (abs(level) + abs(self.d) + float(np.abs(least).sum()))
        P = sp.csc_array(self.P)
        diagonal = P.diagonal()
        alone = (np.diff(P.indptr) == 1) & (diagonal > 0.0)
        if not np.isfinite(left) or not alone.any():
            return
        side = np.sqrt(2.0 * max(left, 0.0) / diagonal[alone]) * (1.0 + SLACK)
        high[alone], low[alone] = np.minimum(high[alone], side), np.maximum(low[alone], -side)

    def _soc_places(self) -> list[tuple[int, int]]:
        starts = self.zero + self.nonneg + np.r_[0, np.cumsum(self.soc)]
        return [(int(start), size) for start, size in zip(starts[:-1], self.soc, strict=True)]
