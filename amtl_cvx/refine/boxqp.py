"""A convex quadratic over lower bounds: a primal-dual active-set method, with projected Newton behind it."""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from amtl_cvx.tasks import Array, Indices

_GUESSES = 20
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
    x, slope, active = np.zeros_like(g), g, np.zeros(len(g), dtype=bool)
    for count in range(_GUESSES):
        guess = (x - lower) * np.diag(H) < slope
        if count and np.array_equal(guess, active):
            return np.maximum(x, lower)
        active, free = guess, np.flatnonzero(~guess)
        x = np.where(active, lower, 0.0)
        x[free] = -_solve(H, free, (g + H[:, active] @ lower[active])[free])
        slope = np.where(active, g + H @ x, 0.0)
    return None


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
    factor = sl.cho_factor(H[np.ix_(free, free)], lower=True, overwrite_a=True, check_finite=False)
    solution: Array = sl.cho_solve(factor, right, check_finite=False)
    return solution
