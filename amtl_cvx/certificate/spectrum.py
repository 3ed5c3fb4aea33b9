"""The extreme eigenvalues of a reduced Hessian: of the whole matrix, or in Schur form (`hessian`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.hessian import extremes, proof_noise
from amtl_cvx.certificate.local_model import LocalModel

DENSE = 1000
"""Number of unknowns up to which all eigenvalues of the whole matrix are computed."""


class Eigenvalues(NamedTuple):
    """Those of H, the least one of S, what rounding can do to that, and how its vector is found."""

    least: float
    largest: float
    scaled: float
    noise: float
    lowest: Callable[[], Array]


def local_eigenvalues(local: LocalModel) -> Eigenvalues:
    """Those around a point where nothing is held."""
    n, noise = local.scaled.n, local.noise()
    if n <= DENSE:
        return whole_eigenvalues(local.H, local.S, noise)
    found = extremes(local.hessian, local.scaled, local.root, local.factor)
    vector = np.zeros(n) if found.scaled.vector is None else found.scaled.vector
    return Eigenvalues(found.least, found.largest, found.scaled.value, noise + proof_noise(n), lambda: vector)


def whole_eigenvalues(H: Array, S: Array, noise: float) -> Eigenvalues:
    """Those of whole matrices."""
    raw = sl.eigvalsh(H, check_finite=False) if len(H) else [math.inf]
    if not len(S):
        return Eigenvalues(math.inf, math.inf, math.inf, noise, lambda: np.empty(0))
    smallest = float(sl.eigvalsh(S, check_finite=False)[0])

    def lowest() -> Array:
        vectors: Array = sl.eigh(S, subset_by_index=[0, 0], check_finite=False)[1]
        return vectors[:, 0]

    return Eigenvalues(float(raw[0]), float(raw[-1]), smallest, noise, lowest)
