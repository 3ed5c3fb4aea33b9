"""Cholesky factors straight from LAPACK, for symmetric positive definite matrices of doubles.

What `scipy.linalg` does around them takes as long as the small systems of refinement themselves. Nothing is
looked at for numbers that are not finite: an infinity on the diagonal may have a factor, nothing else.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl
from numpy.typing import NDArray

Array = NDArray[np.float64]


def factored(H: Array) -> Array:
    """The lower factor L (n, n) of H, in its memory, which is lost; what stands above L is nothing.

    Raises
    ------
    LinAlgError
        Where H has none in doubles.
    """
    if not len(H):
        return H
    lower, failed = sl.lapack.dpotrf(H.T, lower=1, clean=0, overwrite_a=1)
    if failed or not np.isfinite(lower[-1, -1]):  # what is no number reaches the last entry
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    return np.asarray(lower)


def solved(lower: Array, right: Array) -> Array:
    """H^-1 right, (n,) or (n, k), from the factor of H."""
    if not len(lower):
        return right
    return np.asarray(sl.lapack.dpotrs(lower, right, lower=1)[0])


def halved(lower: Array, right: Array) -> Array:
    """L^-1 right, (n,) or (n, k)."""
    if not len(lower):
        return right
    return np.asarray(sl.lapack.dtrtrs(lower, right, lower=1)[0])
