r"""A convex function that CVXPY writes as a cone program, and lower bounds of it that trust no solver.

CVXPY's canonicalisation of f(v; l), v (n,), at fixed parameters l, is

    f(v) = min over x with x_v = v  of  x'P x / 2 + q'x + d     subject to   b - A x = s in K

with K a product of zero, nonnegative and second-order cones. For any y in the dual cone K*, any x0, and any
S (n,) every x of the program with lo <= x <= hi has

    f(v) - <S, v>  >=  -x0'P x0 / 2 - b'y + d + sum_i min(r_i lo_i, r_i hi_i),     r = P x0 + q - S + A'y

by (x - x0)'P (x - x0) >= 0 and s'y >= 0. Where x0 and y are those of a minimum, r is a solver's rounding and
the bound is sharp; whatever they are, it holds. The box is that of the level set f(v) <= level: the rows of
the program, and q'x + d <= level, are tightened against each other from what is known of v
(`Cone.box`). A side that stays infinite costs nothing where r_i has the other sign, and everything else.

What is trusted is that the program is f, and that P is positive semidefinite: CVXPY's canonicalisation, no
solver. Exponential, power and semidefinite cones are refused: there y would be held against a cone whose
dual is known to rounding only.

Sources: Nesterov, Nemirovskii, Interior-point polynomial algorithms, 1994 (duality); Jansson, Chaykin, Keil,
Rigorous error bounds for the optimal value in semidefinite programming, 2007 (bounds from a box).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import clarabel  # type: ignore[import-untyped]
import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.errors import NotCertifiable

_EPS = float(np.finfo(np.float64).eps)
_ROUNDS = 30  # of tightening; a program is a few atoms deep
_SLACK = 1e-9  # by which a side of the box is let out, far more than rounding
_ACCURACIES = (1e-12, 1e-10, 1e-8)
"""What is asked of the solver, one after the other where it does not get there."""
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

        The last is the best: to 1e-12; where that is not reached, to 1e-10 or 1e-8 as well.
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
        found: list[Dual] = []
        for accuracy in _ACCURACIES:
            settings = clarabel.DefaultSettings()
            asked = dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), accuracy)
            for name, value in {**_SETTINGS, **asked}.items():
                setattr(settings, name, value)
            answer = clarabel.DefaultSolver(upper, q, self.A, self.b, cones, settings).solve()
            x, y = np.array(answer.x, dtype=float), unit * np.array(answer.z, dtype=float)
            if np.isfinite(x).all() and np.isfinite(y).all():
                found.append(Dual(x, y))
            if answer.status == clarabel.SolverStatus.Solved:
                break
        return tuple(found or [Dual(np.zeros(len(q)), np.zeros(len(self.b)))])

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
        """Bounds (N,) of every x of the program with lo <= v <= hi (n,) and f(v) <= level."""
        low, high = np.full(len(self.q), -np.inf), np.full(len(self.q), np.inf)
        low[self.columns], high[self.columns] = lo, hi
        G, h = self._inequalities(level)
        for _ in range(_ROUNDS):
            before = low.copy(), high.copy()
            _tighten(G, h, low, high)
            self._square_sides(level, low, high)
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
        sums, sides = _opposite_sums(G, h)
        G = sp.csr_array(sp.vstack([G, sums, sp.csr_array(self.q[None])], format="csr"))
        return G, np.r_[h, sides, level - self.d]

    def _square_sides(self, level: float, low: Array, high: Array) -> None:
        """What the squares in f leave of the variables that stand alone in one, in place."""
        with np.errstate(invalid="ignore"):
            least = np.where(self.q > 0.0, self.q * low, np.where(self.q < 0.0, self.q * high, 0.0))
        left = level - self.d - float(least.sum())
        left += _SLACK * (abs(level) + abs(self.d) + float(np.abs(least).sum()))
        P = sp.csc_array(self.P)
        diagonal = P.diagonal()
        alone = (np.diff(P.indptr) == 1) & (diagonal > 0.0)
        if not np.isfinite(left) or not alone.any():
            return
        side = np.sqrt(2.0 * max(left, 0.0) / diagonal[alone]) * (1.0 + _SLACK)
        high[alone], low[alone] = np.minimum(high[alone], side), np.maximum(low[alone], -side)

    def _soc_places(self) -> list[tuple[int, int]]:
        starts = self.zero + self.nonneg + np.r_[0, np.cumsum(self.soc)]
        return [(int(start), size) for start, size in zip(starts[:-1], self.soc, strict=True)]


def _tighten(G: sp.csr_array, h: Array, low: Array, high: Array) -> None:
    """Every bound that a row of G x <= h gives by the bounds of its other entries, in place."""
    entries = sp.coo_array(G)
    kept = entries.data != 0.0
    row, column, a = entries.coords[0][kept], entries.coords[1][kept], entries.data[kept]
    least = np.where(a > 0.0, a * low[column], a * high[column])
    open_ = ~np.isfinite(least)
    finite = np.where(open_, 0.0, least)
    counts = np.bincount(row, open_, minlength=len(h))
    sums = np.bincount(row, finite, minlength=len(h))
    sizes = np.bincount(row, np.abs(finite), minlength=len(h)) + np.abs(h)
    known = counts[row] - open_ <= 0.0
    with np.errstate(over="ignore"):
        side = (h[row] - (sums[row] - finite)) / a
        room = _SLACK * (sizes[row] / np.abs(a))
    up, down = known & (a > 0.0), known & (a < 0.0)
    np.minimum.at(high, column[up], (side + room)[up])
    np.maximum.at(low, column[down], (side - room)[down])


def _opposite_sums(G: sp.csr_array, h: Array) -> tuple[sp.csr_array, Array]:
    """Sums of two rows of two entries that are opposite in one: of |s| <= t that t >= 0, (k, N) and (k,)."""
    short = np.flatnonzero(np.diff(G.indptr) == 2)
    places: dict[tuple[int, int], list[int]] = {}
    for i in short:
        first, second = G.indices[G.indptr[i] : G.indptr[i] + 2]
        places.setdefault((min(first, second), max(first, second)), []).append(int(i))
    pairs = [(i, j) for rows in places.values() for i in rows for j in rows if i < j]
    if not pairs:
        return sp.csr_array((0, G.shape[1])), np.zeros(0)
    one, other = (np.array(each) for each in zip(*pairs, strict=True))
    sums = sp.csr_array(G[one] + G[other])
    return sums, h[one] + h[other]


@dataclass(frozen=True, eq=False)
class ConeForm:
    """The compiled program of f(v; losses), for all losses >= 0.

    Attributes
    ----------
    problem : cvxpy.Problem
        ``min f(v; losses) - marks'v``; the marks tell the places of v and are 0 from then on.
    losses : cvxpy.Parameter or None
    columns : (n,)
    """

    problem: cp.Problem
    losses: cp.Parameter | None
    columns: Indices

    @classmethod
    def of(
        cls, expression: Callable[[cp.Variable], cp.Expression], v: cp.Variable, losses: cp.Parameter | None
    ) -> ConeForm:
        """The program of an expression in v (n,); `NotCertifiable` for cones that are not checked here."""
        marks = cp.Parameter(v.size, value=np.zeros(v.size))
        problem = cp.Problem(cp.Minimize(expression(v) - marks @ v))
        if losses is not None:
            losses.value = np.ones(losses.size)
        plain = _parts(problem)
        cones = plain.dims
        odd = [
            words
            for words, there in (
                ("exponential", cones.exp),
                ("power", cones.p3d or cones.pnd),
                ("semidefinite", cones.psd),
            )
            if there
        ]
        if odd:
            raise NotCertifiable(
                f"CVXPY writes it with {' and '.join(odd)} cones: only linear, quadratic and second-order"
                " ones are checked without trust in a solver"
            )
        marks.value = -np.arange(1.0, v.size + 1.0)
        moved = np.rint(_parts(problem).q - plain.q).astype(np.int64)
        marks.value = np.zeros(v.size)
        columns = np.array([np.flatnonzero(moved == i + 1) for i in range(v.size)])
        if columns.shape != (v.size, 1) or np.count_nonzero(moved) != v.size:
            raise NotCertifiable("CVXPY's program of it does not hold its variable by itself")
        return cls(problem, losses, columns[:, 0])

    def at(self, losses: Array | None = None) -> Cone:
        """The program at these losses (T,)."""
        if self.losses is not None:
            self.losses.value = losses
        parts = _parts(self.problem)
        dims = parts.dims
        return Cone(
            parts.P, parts.q, parts.A, parts.b, parts.d, self.columns, dims.zero, dims.nonneg, tuple(dims.soc)
        )


class _Parts(NamedTuple):
    P: sp.csc_array
    q: Array
    A: sp.csc_array
    b: Array
    d: float
    dims: Any


def _parts(problem: cp.Problem) -> _Parts:
    """CVXPY's data for Clarabel, with the constant that the data for the solver lack."""
    data, _, _ = problem.get_problem_data("CLARABEL", enforce_dpp=True)
    compiled = data[cp.settings.PARAM_PROB]
    quadratic = compiled.P is not None
    found = compiled.apply_parameters(quad_obj=quadratic)
    P, (q, d, A, b) = (found[0], found[1:]) if quadratic else (None, found)
    n = len(q)
    P = sp.csc_array((n, n)) if P is None else sp.csc_array(P)
    return _Parts(P, np.asarray(q, dtype=float), sp.csc_array(-A), np.asarray(b), float(d), data["dims"])
