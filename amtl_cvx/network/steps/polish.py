r"""A solver's answer to a convex quadratic with prices and rows, made exact.

    min over x of   x'H x - 2 g'x + p'|x|      subject to   G x + c >= 0

With the signs s of x, and the rows that are active, the conditions are one linear system

    2 (H x - g) + p s - G'y = 0  on the entries that are not 0,     G x + c = 0  on the active rows

Its solution tells which entries change their sign, which rows have y < 0, which are violated and which 0 has
a slope beyond its price. A few such turns from the answer of a solver end at the minimum to rounding. Where
they do not, the solver's answer stands.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from amtl_cvx.arrays import Array, Mask

_NEAR = 1e-6  # of the largest entry: below it an entry, or a slack, is taken for 0 at first
_TURNS = 12  # supports and sets of rows that are tried
_EXACT = 1e-9  # how far the conditions may be missed, in units of max |g| = 1
_ROUNDING = 1e-13  # of a slack and a multiplier, in the same units


class Conditions(NamedTuple):
    """The problem in the solver's units: unit diagonal of H, max |g| = 1, rows of length 1."""

    H: Array
    g: Array
    p: Array
    G: Array
    c: Array
    priced: int
    signed: bool


class _Guess(NamedTuple):
    """Signs of the entries, 0 for those that are 0 (1 without a price), and which rows are active."""

    sign: Array
    active: Mask


def polished(problem: Conditions, x: Array) -> Array:
    """The minimum to rounding from a solver's answer (n,), or that answer."""
    size = max(1.0, float(np.abs(x).max(initial=0.0)))
    sign = np.where(np.abs(x) > _NEAR * size, np.sign(x), 0.0)
    if not problem.signed:
        sign[: problem.priced] = np.maximum(sign[: problem.priced], 0.0)
    sign[problem.priced :] = 1.0
    guess = _Guess(sign, _active(problem, x, sign, _NEAR * size))
    best, least = x, _EXACT
    for _ in range(_TURNS):
        found, y = _solution(problem, guess)
        new, miss = _judged(problem, guess, found, y)
        if miss < least:
            best, least = found, miss
        if np.array_equal(new.sign, guess.sign) and np.array_equal(new.active, guess.active):
            break
        guess = new
    return best


def _active(problem: Conditions, x: Array, sign: Array, near: float) -> Mask:
    """Which rows are active: of those that x meets, enough to carry its slope, and independent."""
    on, rows = np.flatnonzero(sign), np.flatnonzero(problem.G @ x + problem.c <= near)
    slope = 2.0 * (problem.H @ x - problem.g) + np.where(
        np.arange(len(x)) < problem.priced, problem.p * sign, 0.0
    )
    active = np.zeros(len(problem.c), dtype=bool)
    if len(rows) and len(on):
        active[rows] = nnls(problem.G[np.ix_(rows, on)].T, slope[on])[0] > 0.0
    return active


def _solution(problem: Conditions, guess: _Guess) -> tuple[Array, Array]:
    """x (n,) and y (m,) of the linear system."""
    on, rows = np.flatnonzero(guess.sign), np.flatnonzero(guess.active)
    slopes = np.where(np.arange(len(guess.sign)) < problem.priced, problem.p * guess.sign, 0.0)
    G = problem.G[np.ix_(rows, on)]
    system = np.block([[2.0 * problem.H[np.ix_(on, on)], -G.T], [G, np.zeros((len(rows), len(rows)))]])
    right = np.concatenate([(2.0 * problem.g - slopes)[on], -problem.c[rows]])
    found = _solve(system, right)
    x, y = np.zeros(len(problem.g)), np.zeros(len(problem.c))
    x[on], y[rows] = found[: len(on)], found[len(on) :]
    return x, y


def _judged(problem: Conditions, guess: _Guess, x: Array, y: Array) -> tuple[_Guess, float]:
    """The signs and rows that the conditions ask for at a solution, and the largest miss of one."""
    slope = 2.0 * (problem.H @ x - problem.g) - problem.G.T @ y
    slack = problem.G @ x + problem.c
    priced = np.arange(len(x)) < problem.priced
    beyond = np.abs(slope) > problem.p if problem.signed else slope < -problem.p
    stays = np.where(np.sign(x) == guess.sign, guess.sign, 0.0)
    sign = np.where(priced, np.where(guess.sign != 0.0, stays, -np.sign(slope) * beyond), 1.0)
    at_zero = np.maximum((np.abs(slope) if problem.signed else -slope) - problem.p, 0.0)
    miss = np.where(priced & (x == 0.0), at_zero, np.abs(slope + priced * problem.p * np.sign(x)))
    below = x[: problem.priced] if not problem.signed else np.zeros(0)
    worst = max(*(float(part.max(initial=0.0)) for part in (miss, -slack, -y, -below)), 0.0)
    return _Guess(sign, np.where(guess.active, y > -_ROUNDING, slack < -_ROUNDING)), worst


def _solve(system: Array, right: Array) -> Array:
    """The solution; of least length where rows depend on one another."""
    try:
        found = np.asarray(np.linalg.solve(system, right), dtype=np.float64)
        if np.abs(system @ found - right).max(initial=0.0) <= _EXACT:
            return found
    except np.linalg.LinAlgError:
        pass
    return np.asarray(np.linalg.lstsq(system, right, rcond=None)[0], dtype=np.float64)
