"""A convex quadratic over lower bounds: a primal-dual active-set method, with projected Newton behind it."""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays.cholesky import factored, solved
from amtl_cvx.tasks import Array, Indices

_GUESSES = 20
_FEW = 0.2  # share of active entries up to which columns of H^-1 are cheaper than a new factor
_STEPS = 60
_ACCURACY = 1e-13  # of the largest entry of g


def box_minimum(H: Array, g: Array, lower: Array) -> Array:
    """argmin over x >= lower of (1/2) x'H x + g'x.

    Parameters
    ----------
    H : (n, n) ndarray
        Positive definite.
    g, lower : (n,) ndarray
        lower <= 0.

    Returns
    -------
    x : (n,) ndarray
        With x >= lower and a value <= 0; exact up to rounding unless the limit of steps is reached first.

    The primal-dual method guesses the whole active set anew from the last multipliers; it needs a handful of
    factorisations and may cycle, projected Newton steps need many and always descend.

    Sources: Hintermueller, Ito, Kunisch, The primal-dual active set strategy as a semismooth Newton method,
    2002; Bertsekas, Projected Newton methods for optimization problems with simple constraints, 1982.
    """
    x = _by_active_sets(H, g, lower)
    return _by_projected_newton(H, g, lower) if x is None else x


def _by_active_sets(H: Array, g: Array, lower: Array) -> Array | None:
    """The minimum once two active sets in a row agree, None where they do not."""
    few = _FewActive(H, g)
    x, slope, active = np.zeros_like(g), g, np.zeros(len(g), dtype=bool)
    for count in range(_GUESSES):
        guess = (x - lower) * np.diag(H) < slope
        if count and np.array_equal(guess, active):
            return np.maximum(x, lower)
        active = guess
        if np.count_nonzero(active) <= _FEW * len(g):
            x, slope = few.solve(np.flatnonzero(active), lower)
            continue
        free = np.flatnonzero(~active)
        x = np.where(active, lower, 0.0)
        x[free] = -_solve(H, free, (g + H[:, active] @ lower[active])[free])
        slope = np.where(active, g + H @ x, 0.0)
    return None


class _FewActive:
    """Minima with a few entries held at their bound, all from one factor of H.

    With V = H^-1 E, E the columns of the identity that belong to the held entries, x = -H^-1 g + V s and
    the slopes s solve E'V s = lower - E'(-H^-1 g). Columns of H^-1 are kept for the next guess.
    """

    def __init__(self, H: Array, g: Array) -> None:
        self._factor = factored(H.copy())
        self._unheld = -solved(self._factor, g)
        self._columns: Array = np.empty((len(g), 0))
        self._place = np.full(len(g), -1)

    def solve(self, held: Indices, lower: Array) -> tuple[Array, Array]:
        """x with x[held] = lower[held], and the slopes there (zero elsewhere)."""
        x, slope = self._unheld.copy(), np.zeros_like(lower)
        if len(held):
            V = self._inverse(held)
            slope[held] = np.linalg.solve(V[held], lower[held] - x[held])
            x += V @ slope[held]
            x[held] = lower[held]
        return x, slope

    def _inverse(self, held: Indices) -> Array:
        """Columns `held` of H^-1."""
        new = held[self._place[held] < 0]
        if len(new):
            self._place[new] = self._columns.shape[1] + np.arange(len(new))
            E = np.zeros((len(self._place), len(new)), order="F")
            E[new, np.arange(len(new))] = 1.0
            self._columns = np.column_stack([self._columns, solved(self._factor, E)])
        columns: Array = self._columns[:, self._place[held]]
        return columns


def _by_projected_newton(H: Array, g: Array, lower: Array) -> Array:
    """Newton steps on the free variables with a projected line search, from x = 0."""
    x, slope, value = np.zeros_like(g), g, 0.0
    limit = _ACCURACY * float(np.abs(g).max(initial=0.0))
    for _ in range(_STEPS):
        if float(np.abs(np.minimum(x - lower, slope)).max(initial=0.0)) <= limit:
            break
        free = np.flatnonzero((x > lower) | (slope <= 0.0))
        step = np.zeros_like(g)
        step[free] = -_solve(H, free, slope[free])
        length = 1.0
        while length > 1e-8:
            trial = np.maximum(x + length * step, lower)
            product = H @ trial
            new = float(g @ trial + 0.5 * trial @ product)
            if new <= value + 1e-4 * float(slope @ (trial - x)):
                break
            length /= 2.0
        if not new < value:
            break
        x, slope, value = trial, g + product, new
    return x


def _solve(H: Array, free: Indices, right: Array) -> Array:
    return solved(factored(H[np.ix_(free, free)]), right)
