r"""Coupling and a quadratic Omega as one square of W: coupling ||W K||_F^2.

    coupling ||W M||_F^2 + rho ||W G||_F^2 = coupling ||W K||_F^2,   K = [M, sqrt(rho/coupling) G],  M = I - B

so that P = K K' = M M' + (rho/coupling) Gamma. Without Omega K is M. At coupling 0, where W alone is asked
for, the square is weight ||W K||_F^2 with weight = rho, K = G, else weight is the coupling. Where K is to be
inverted L (T, T) with L L' = P takes its place: M, or the triangular factor of K' by QR. M M' is never formed
for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as sl

from amtl_cvx.tasks import Array
from amtl_cvx.weights import WeightPenalty, as_quadratic

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Squares:
    """K (T, k) and the `weight` of ||W K||_F^2, and what follows from them; `plain` says that K is M."""

    K: Array
    plain: bool
    weight: float

    @classmethod
    def of(cls, M: Array, omega: WeightPenalty | None, coupling: float) -> Squares:
        """K of I - B (T, T) and a penalty on W, if there is one."""
        if not coupling > 0.0:
            return cls._alone(len(M), omega)
        if omega is None:
            return cls(M, True, coupling)
        K = np.hstack([M, np.sqrt(omega.rho / coupling) * as_quadratic(omega).root(len(M))])
        K.flags.writeable = False
        return cls(K, False, coupling)

    @classmethod
    def _alone(cls, T: int, omega: WeightPenalty | None) -> Squares:
        """That of Omega by itself: G with at least T columns; 0 where there is no Omega either."""
        G = np.zeros((T, 0)) if omega is None else as_quadratic(omega).root(T)
        K = np.hstack([G, np.zeros((T, max(T - G.shape[1], 0)))])
        K.flags.writeable = False
        return cls(K, False, 1.0 if omega is None else float(omega.rho))

    @cached_property
    def values(self) -> Array:
        """The singular values of K, (T,), the largest first."""
        return np.asarray(np.linalg.svd(self.K, compute_uv=False), dtype=np.float64)

    @property
    def L(self) -> Array:
        """L (T, T) with L L' = K K' but for what rounding takes (`lost`)."""
        return self._factor[0]

    @property
    def lost(self) -> float:
        """K K' >= (1 - lost) L L'; 1 where that says nothing."""
        return self._factor[1]

    @cached_property
    def _factor(self) -> tuple[Array, float]:
        """By QR of K' in columns of length 1: it loses at most 16 T eps ||L^-1|| of L L' in these units."""
        if self.plain:
            return self.K, 0.0
        T, unit = len(self.K), np.linalg.norm(self.K, axis=1)
        scaled = self.K / np.where(unit > 0.0, unit, 1.0)[:, None]
        lower: Array = np.asarray(np.linalg.qr(scaled.T, mode="r"), dtype=np.float64).T
        if not np.abs(np.diag(lower)).min() > 0.0:
            return unit[:, None] * lower, 1.0
        inverse = sl.solve_triangular(lower, np.eye(T), lower=True, check_finite=False)
        return unit[:, None] * lower, min(16.0 * T * _EPS * float(np.linalg.norm(inverse)), 1.0)


def least_singular(values: Array, *, more: float = 0.0) -> float:
    """The smallest of the singular values less its rounding; 0 where that is all.

    `more` is what the entries of the matrix are themselves off by, in eps of the largest value.
    """
    return max(float(values[-1]) - (len(values) + more) * _EPS * float(values[0]), 0.0)
