r"""A convex quadratic with kinks, by its dual: a box problem with two-sided bounds.

    min over d of   g'd + d'H d / 2 + sum_m max(lower_m v_m, upper_m v_m),      v = offsets + N d

with H positive definite and lower <= 0 <= upper. A kink w max(v, 0) has the bounds 0 and w, a price |v| has
-price and price, and a piece of it that the gradient already holds is taken off both. Its multiplier theta_m
is in [lower_m, upper_m]: at the upper end where v_m > 0, at the lower one where v_m < 0, anything between
where v_m = 0, the kink being held. With H = L L' and P = L^-1 N' the step is d = -H^-1 (g + N'theta), with

    theta = argmin over lower <= theta <= upper of   theta'P'P theta / 2 + theta'(P'L^-1 g - offsets)

whose slopes are -v. Kinks are added as they turn out to matter: a step that crosses one that is not there
asks for it, and what has been factored stays.

A primal-dual active set guesses from the last multipliers which kinks are held, and is done in a few guesses
where that is nearly known. Where many kinks are crossed P'P is singular and guesses run in a circle; then one
kink after the other is held: from a point that holds some, to the least of the quadratic that goes on holding
them, up to where the whole is least on that line. It ends on a new kink, which is held from there on, or
between kinks. Where nothing moves the kinks with multipliers beyond their bounds are let go. The normals of
held kinks stay independent, for a line along which they are held meets no kink that depends on them.

Sources: Hintermueller, Ito, Kunisch, The primal-dual active set strategy as a semismooth Newton method, 2002;
Conn, Sinclair, Quadratic programming via a nondifferentiable penalty function, 1975 (lines across kinks).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.arrays.cholesky import factored, halved, solved

_GUESSES = 8
_LINES = 1000
_STILL = 1e-12  # length of a line that is none
_SHORT = 1.0 - 1e-15  # of a line that crosses kinks
_ROOM = 1e-12  # part of its range by which a multiplier may be beyond its bounds
_NOISE = 1e-13  # part of its size below which the slope of a kink is rounding
_JAMMED = 200  # lines of no length in a row
_APART = 1e-10  # of the largest normal, squared, that each has beside the ones before it
_RIDGE = 1e-13  # of the diagonal of P'P


class Minimum(NamedTuple):
    """Where the quadratic with its kinks is least."""

    step: Array
    """d, (n,)"""
    multipliers: Array
    """theta, (m,)"""
    values: Array
    """v, (m,), 0 where a kink is held"""
    held: Mask
    """Which kinks are held, (m,): their multipliers are inside of their bounds."""


class KinkQP:
    """The problem of the module essay, which kinks can be added to.

    Parameters
    ----------
    H : (n, n) ndarray
        Symmetric; it is copied.
    g : (n,) ndarray

    Raises
    ------
    LinAlgError
        Where H is not positive definite in doubles.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.network.kink_qp import KinkQP
    >>> problem = KinkQP(np.eye(2), np.array([-3.0, -0.5]))  # d^2 / 2 - 3 d + 2 |d|, d^2 / 2 - d / 2 + |d|
    >>> problem.add(np.eye(2), np.zeros(2), np.array([-2.0, -1.0]), np.array([2.0, 1.0]))
    >>> found = problem.minimum()
    >>> found.step.round(12), found.multipliers.round(12), found.held
    (array([1., 0.]), array([2. , 0.5]), array([False,  True]))
    """

    def __init__(self, H: Array, g: Array) -> None:
        n = len(g)
        self._factor = factored(H.copy())
        self._pull = halved(self._factor, g)
        self._normals: Array = np.empty((0, n))
        self._half: Array = np.empty((n, 0))
        self._gram: Array = np.empty((0, 0))
        self._offsets: Array = np.empty(0)
        self._lower: Array = np.empty(0)
        self._upper: Array = np.empty(0)
        self._theta: Array = np.empty(0)
        self._held: Mask = np.empty(0, dtype=bool)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, normals: Array, offsets: Array, lower: Array, upper: Array) -> None:
        """Kinks with these normals (m, n), values at d = 0, and bounds lower <= 0 <= upper, (m,) each."""
        new = halved(self._factor, np.asfortranarray(normals.T))
        cross, old = self._half.T @ new, len(self)
        gram = np.empty((old + len(normals),) * 2)
        gram[:old, :old], gram[:old, old:], gram[old:, :old] = self._gram, cross, cross.T
        gram[old:, old:] = new.T @ new
        self._gram = gram
        self._half = np.hstack([self._half, new])
        self._normals = np.vstack([self._normals, normals])
        self._offsets = np.concatenate([self._offsets, offsets])
        self._lower = np.concatenate([self._lower, lower])
        self._upper = np.concatenate([self._upper, upper])
        side = np.where(offsets > 0.0, upper, np.where(offsets < 0.0, lower, 0.0))
        self._theta = np.concatenate([self._theta, side])
        self._held = np.concatenate([self._held, (offsets == 0.0) & (lower < 0.0) & (upper > 0.0)])

    def minimum(self) -> Minimum:
        """Where the value is least; from where the last one was, if there was one."""
        box = _Box(self._gram, self._half.T @ self._pull - self._offsets, self._lower, self._upper)
        found = box.guessed(self._theta) or self._by_lines()
        self._theta, self._held = found
        half = -self._pull - self._half @ self._theta
        step = self._back(half)
        held = self._held
        if held.any():  # to the last digits
            step = step + self.correction(held, self._offsets[held] + self._normals[held] @ step)
        values = np.where(held, 0.0, self._offsets + self._normals @ step)
        return Minimum(step, self._theta.copy(), values, held.copy())

    def rise(self, values: Array) -> float:
        """By how much the kinks alone are higher at these values, (m,), than at d = 0."""
        return _support(self._lower, self._upper, values) - _support(self._lower, self._upper, self._offsets)

    def correction(self, held: Mask, off: Array) -> Array:
        """The shortest d in the metric H with N d = -off for the kinks that are held; off (number held,)."""
        theta = _solve(self._gram[np.ix_(held, held)], off)
        return self._back(-self._half[:, held] @ theta)

    def _by_lines(self) -> tuple[Array, Mask]:
        lines = _Lines(self._half, self._gram, self._pull, self._offsets, self._lower, self._upper)
        return lines.minimum(self._theta, self._held)

    def _back(self, half: Array) -> Array:
        """L'^-1 times it."""
        if not len(half):
            return half
        return np.asarray(solve_triangular(self._factor, half, lower=True, trans=1, check_finite=False))


class _Box(NamedTuple):
    """x'Q x / 2 + c'x over lower <= x <= upper, by a primal-dual active set."""

    Q: Array
    c: Array
    lower: Array
    upper: Array

    def guessed(self, start: Array) -> tuple[Array, Mask] | None:
        """x and which of its entries are inside, once two guesses agree; None where they do not."""
        Q, c, lower, upper = self
        if not len(c):
            return start, np.zeros(0, dtype=bool)
        weight = 1.0 / np.maximum(np.diag(Q), 1e-300)
        x, slope, inside = start, Q @ start + c, np.zeros(len(c), dtype=bool)
        for count in range(_GUESSES):
            aim = x - slope * weight
            low, high = aim <= lower, aim >= upper
            same = count and np.array_equal(~(low | high), inside)
            if same and (x[high] == upper[high]).all() and (x[low] == lower[low]).all():
                return x, inside
            inside = ~(low | high)
            x = np.where(low, lower, np.where(high, upper, 0.0))
            try:
                x[inside] = -_solve(Q[np.ix_(inside, inside)], (Q @ x + c)[inside])
            except np.linalg.LinAlgError:
                return None
            slope = np.where(inside, 0.0, Q @ x + c)
        return None


class _Lines(NamedTuple):
    """The same in z = L'd, of pull'z + z'z / 2 + the kinks of v = offsets + P'z, one held after the other."""

    half: Array
    gram: Array
    pull: Array
    offsets: Array
    lower: Array
    upper: Array

    def minimum(self, theta: Array, held: Mask) -> tuple[Array, Mask]:
        """theta and which kinks are held, from those multipliers that some point has."""
        held, z, v = self._begun(theta, held)
        up, jammed, lengths = v > 0.0, 0, np.sqrt(np.diag(self.gram))
        for _ in range(_LINES):
            theta, end = self._least(held, up)
            slopes = self._slopes(end - z, held, lengths)
            length, crossed, met = self._search(z, end - z, theta, v, slopes, up)
            z, v, up = z + length * (end - z), np.where(held, 0.0, v + length * slopes), up ^ crossed
            if met >= 0:
                held[met], v[met] = True, 0.0
            jammed = 0 if length > _STILL else jammed + 1
            if length < 1.0:
                continue
            beyond = self._beyond(theta, held)
            if not beyond.any() or jammed > _JAMMED:
                break
            gone = beyond > 0.0 if not jammed else np.arange(len(v)) == int(np.argmax(beyond))
            held, up = held & ~gone, np.where(gone, theta > self.upper, up)
        return np.clip(theta, self.lower, self.upper), held

    def _slopes(self, move: Array, held: Mask, lengths: Array) -> Array:
        """How v moves; 0, not rounding, where a kink has the normal of one that is held: else both cycle."""
        slopes = self.half.T @ move
        size = lengths * float(np.linalg.norm(move))
        return np.where(held | (np.abs(slopes) <= _NOISE * size), 0.0, slopes)

    def _begun(self, theta: Array, held: Mask) -> tuple[Mask, Array, Array]:
        """The kinks that are held at first, as far as these are independent, with z and v there."""
        z = -self.pull - self.half @ theta
        independent = np.zeros_like(held)
        if held.any():
            try:
                factor = factored(self.gram[np.ix_(held, held)].copy())
            except np.linalg.LinAlgError:
                factor = np.zeros((1, 1))
            if np.diag(factor).min() ** 2 > _APART * float(np.diag(self.gram)[held].max()):
                independent = held.copy()
                v = self.offsets[held] + self.half[:, held].T @ z
                z = z - self.half[:, held] @ solved(factor, v)
        return independent, z, np.where(independent, 0.0, self.offsets + self.half.T @ z)

    def _least(self, held: Mask, up: Mask) -> tuple[Array, Array]:
        """theta and the least z that holds these kinks, the others being on their sides."""
        theta = np.where(up, self.upper, self.lower)
        theta[held] = 0.0
        z = -self.pull - self.half @ theta
        if held.any():
            half = self.half[:, held]
            found = _solve(self.gram[np.ix_(held, held)], self.offsets[held] + half.T @ z)
            theta[held], z = found, z - half @ found
        return theta, z

    def _beyond(self, theta: Array, held: Mask) -> Array:
        """By how much of its range the multiplier of a held kink is beyond its bounds, (m,)."""
        size = np.maximum(np.minimum(self.upper - self.lower, np.abs(theta) + self.upper), 1e-300)
        off = np.maximum(theta - self.upper, self.lower - theta) / size
        return np.where(held & (off > _ROOM), off, 0.0)

    def _search(
        self, z: Array, move: Array, theta: Array, v: Array, slopes: Array, up: Mask
    ) -> tuple[float, Mask, int]:
        """How far a line is lowest, the kinks that it crosses before, and the one it ends on or -1."""
        bend = max(float(move @ move), 1e-300)
        slope = float((self.pull + z) @ move + theta @ slopes)
        off = np.flatnonzero(np.where(up, slopes < 0.0, slopes > 0.0))
        at = np.maximum(-v[off] / slopes[off], 0.0)
        order = np.argsort(at, kind="stable")
        order = order[at[order] < 1.0]
        off, at = off[order], at[order]
        jumps = np.cumsum((self.upper[off] - self.lower[off]) * np.abs(slopes[off]))
        passed = np.concatenate([[0.0], jumps[:-1]])[: len(at)]
        before = slope + bend * at + passed
        stops = np.flatnonzero(before + jumps - passed >= 0.0)
        crossed = np.zeros(len(v), dtype=bool)
        first = int(stops[0]) if len(stops) else len(at)
        crossed[off[:first]] = True
        if first < len(at) and before[first] < 0.0:
            return float(at[first]), crossed, int(off[first])
        if not first:
            return 1.0, crossed, -1
        return min(max(-(slope + float(jumps[first - 1])) / bend, 0.0), _SHORT), crossed, -1


def _support(lower: Array, upper: Array, v: Array) -> float:
    """sum_m max(lower_m v_m, upper_m v_m); a bound at infinity is one that v keeps."""
    ends = np.where(v > 0.0, upper, np.where(v < 0.0, lower, 0.0))
    kept = np.isfinite(ends)
    return float(ends[kept] @ v[kept])


def _solve(Q: Array, right: Array) -> Array:
    """Q^-1 right, with the ridge of the essay, which is raised where that is not enough."""
    if not len(right):
        return right
    diagonal = np.diag(Q)
    ridge = _RIDGE * float(diagonal.max())
    for _ in range(3):
        shifted = Q.copy()
        shifted.flat[:: len(Q) + 1] += ridge
        try:
            factor = factored(shifted)
        except np.linalg.LinAlgError:
            ridge *= 100.0
            continue
        found = solved(factor, right)
        found = found + solved(factor, right - Q @ found)
        return np.asarray(found)
    raise np.linalg.LinAlgError("the normals of the kinks are too near to each other")
