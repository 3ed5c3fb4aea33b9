"""Interior points for the W-step of a loss with kinks (step 2 of the package's essay)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.problem.kinks.objective import KinkedObjective
from amtl_cvx.tasks import Array

SMALL = 400
"""Unknowns up to which a singular matrix is factored from its roots."""
_SHORTEST = 1e-6
_BORDER = 0.995


class Inside(NamedTuple):
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


def begin(of: KinkedObjective, W: Array) -> Inside:
    """At W, with multipliers in the middle of their intervals."""
    off = of.off(W)
    away = 0.1 * float(np.maximum(np.abs(off), np.abs(of.rows.kink)).max()) or 1.0
    above, half = np.maximum(off, 0.0) + away, 0.5 * (of.high - of.low)
    return Inside(W, of.low + half, above, above - off, half, half)


def step(of: KinkedObjective, at: Inside) -> Inside | None:
    """The next point, None where there is no matrix or no way to go."""
    pull = of.gradient(at.W, at.v)
    D = at.above / at.to_high + at.below / at.to_low
    solve = _solver(of, 1.0 / D)
    if solve is None:
        return None
    mean = at.products / (2 * len(D))
    aim_above, aim_below = np.zeros_like(D), np.zeros_like(D)
    for corrected in (False, True):
        over, under = aim_above / at.to_high - at.above, aim_below / at.to_low - at.below
        rest = (under - over) / D
        right = -(pull + of.pull(rest))
        dW = solve(right.T.ravel()).reshape(right.T.shape).T
        dv = of.scores(dW) / D + rest
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
    return Inside(at.W + length * dW, at.v + length * dv, *moved)


def _solver(of: KinkedObjective, stiffness: Array) -> Callable[[Array], Array] | None:
    """Solves with P (x) I + X' diag(stiffness) X; None where it is singular for doubles."""
    T, d = len(of.P), of.rows.X.shape[1]
    weights = np.zeros(of.rows.padded.shape[:2])
    weights[of.rows.task, of.rows.place] = stiffness
    H = np.zeros((T, d, T, d))
    H[:, np.arange(d), :, np.arange(d)] = of.P
    H[np.arange(T), :, np.arange(T), :] += (
        of.rows.padded.transpose(0, 2, 1) * weights[:, None, :]
    ) @ of.rows.padded
    factor, failed = sl.lapack.dpotrf(H.reshape(T * d, T * d).T, lower=True, overwrite_a=True, clean=False)
    if failed or not np.isfinite(factor[-1, -1]):
        return _by_orthogonal_factor(of, stiffness) if T * d <= SMALL else None
    return lambda right: np.asarray(sl.lapack.dpotrs(factor, right, lower=True)[0])


def _by_orthogonal_factor(of: KinkedObjective, stiffness: Array) -> Callable[[Array], Array] | None:
    """The same from a factor of the roots, which sees what the squares of small numbers hide."""
    T, d = len(of.P), of.rows.X.shape[1]
    rows = np.zeros((len(of.rows.X), T, d))
    rows[np.arange(len(of.rows.X)), of.rows.task] = np.sqrt(stiffness)[:, None] * of.rows.X
    A = np.vstack([np.kron(of.root.T, np.eye(d)), rows.reshape(len(rows), T * d)])
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


def _room(value: Array, change: Array) -> float:
    """The longest step up to 1 that leaves value + step change clearly positive."""
    falls = change < 0
    return min(1.0, _BORDER * float((-value[falls] / change[falls]).min(initial=np.inf)))
