"""A convex quadratic over lower bounds, by projected Newton steps on the free variables."""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from amtl_cvx.tasks import Array

_STEPS = 60
_ACCURACY = 1e-13  # of the largest entry of g


def box_minimum(H: Array, g: Array, lower: Array) -> Array:
    """argmin over x >= lower of (1/2) x'H x + g'x, from x = 0.

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

    Raises
    ------
    scipy.linalg.LinAlgError
        If H is not positive definite on the free variables.

    Source: Bertsekas, Projected Newton methods for optimization problems with simple constraints, 1982.
    """
    x, slope, value = np.zeros_like(g), g, 0.0
    limit = _ACCURACY * float(np.abs(g).max(initial=0.0))
    for _ in range(_STEPS):
        if float(np.abs(np.minimum(x - lower, slope)).max(initial=0.0)) <= limit:
            break
        free = np.flatnonzero((x > lower) | (slope <= 0.0))
        step = np.zeros_like(g)
        factor = sl.cho_factor(H[np.ix_(free, free)], lower=True, overwrite_a=True, check_finite=False)
        step[free] = -sl.cho_solve(factor, slope[free], check_finite=False)
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
