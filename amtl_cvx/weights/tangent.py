r"""The tangent of a prox: the moves of W that keep what a penalty with kinks has made of it.

At V the derivative of W = prox(V, step) is symmetric with eigenvalues e in [0, 1] (Moreau). Its range, the
tangent, are the moves along which the penalty is smooth at W (weights that are not 0, singular values that
are not, groups of equal tasks), and along an eigenvector its curvature is (1/e - 1) / step. A penalty that
knows neither has both from differences of its prox.

Source: Lewis, Active sets, nonsmoothness, and sensitivity, 2002 (partly smooth functions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from amtl_cvx.tasks import Array

_DIFFERENCE = 1e-6  # of the largest entry
_LEAST = 1e-5  # eigenvalues below are differences of nothing


class Tangent(NamedTuple):
    """Orthonormal moves (T d, m), tasks stacked, and the eigenvalues of the prox along them, (m,)."""

    moves: Array
    values: Array

    @classmethod
    def of(cls, matrices: Array, values: Array) -> Tangent:
        """From moves as matrices (m, d, T)."""
        m, d, T = matrices.shape
        return cls(np.ascontiguousarray(matrices.transpose(2, 1, 0).reshape(d * T, m)), values)


def by_differences(prox: Callable[[Array], Array], V: Array) -> Tangent:
    """The tangent at V (d, T) from central differences of the prox."""
    size = _DIFFERENCE * (float(np.abs(V).max(initial=0.0)) or 1.0)
    D = np.empty((V.size, V.size))
    for place in range(V.size):
        move = np.zeros(V.size)
        move[place] = size
        along = move.reshape(V.shape[::-1]).T
        D[:, place] = ((prox(V + along) - prox(V - along)) / (2.0 * size)).T.ravel()
    values, vectors = np.linalg.eigh(0.5 * (D + D.T))
    kept = values > _LEAST
    return Tangent(vectors[:, kept], np.minimum(values[kept], 1.0))
