"""Symmetric matrices (p, p) as vectors, in the orthonormal basis e_ii and (e_ij + e_ji) / sqrt(2), i < j."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.tasks import Indices


@dataclass(frozen=True)
class Symmetric:
    """Those of p rows."""

    p: int

    @cached_property
    def places(self) -> tuple[Indices, Indices]:
        """Where the coordinates stand, i <= j."""
        return np.triu_indices(self.p)

    @cached_property
    def _lengths(self) -> Array:
        i, j = self.places
        return np.where(i == j, 1.0, np.sqrt(2.0))

    def vector(self, M: Array) -> Array:
        """The coordinates of a symmetric M."""
        i, j = self.places
        found: Array = self._lengths * M[i, j]
        return found

    def matrix(self, x: Array) -> Array:
        """The matrix of these coordinates."""
        (i, j), M = self.places, np.zeros((self.p, self.p))
        M[i, j] = M[j, i] = x / self._lengths
        return M

    def form(self, F: Array) -> Array:
        """``sum X_ij F[i, j, k, l] Y_kl`` of symmetric X and Y, in coordinates: (n, n)."""
        (i, j), flat = self.places, F.reshape(self.p**2, self.p**2)
        first, second = i * self.p + j, j * self.p + i
        rows = flat[first] + flat[second]
        size = 0.5 * self._lengths
        both = np.take(rows, first, axis=1)
        both += np.take(rows, second, axis=1)
        both *= size[:, None] * size
        found: Array = 0.5 * (both + both.T)
        return found

    def product(self, A: Array, B: Array) -> Array:
        """``tr(X A Y B)`` of symmetric X and Y, in coordinates, for symmetric A and B."""
        (i, j), size = self.places, 0.5 * self._lengths
        across = A[i][:, j] * B[i][:, j].T
        both = A[i][:, i] * B[j][:, j] + A[j][:, j] * B[i][:, i] + across + across.T
        found: Array = both * size[:, None] * size
        return found

    def basis(self, V: Array, i: Indices, j: Indices) -> Array:
        """The coordinates of v_i v_j' + v_j v_i' (over sqrt(2); of v_i v_i' where i = j), one a column."""
        a, b = self.places
        pairs = V[a][:, i] * V[b][:, j] + V[a][:, j] * V[b][:, i]
        found: Array = self._lengths[:, None] * pairs * np.where(i == j, 0.5, np.sqrt(0.5))
        return found
