r"""The normals of active kinks, and the tangent space in which none of them changes.

Entries are measured in units in which J curves alike: with the normals a_m as rows of N and D = diag(H) the
normals are the columns of B = D^-1/2 N'. Taken at length 1, B = U diag(s) R' diag(lengths).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg as sl
from scipy.optimize import linprog

from amtl_cvx.arrays import Array

_EPS = float(np.finfo(np.float64).eps)


class Tangent(NamedTuple):
    """B (n, m) by its singular values."""

    P: Array
    """An orthonormal basis of the span of the normals, (n, rank)."""
    Q: Array
    """The same of the tangent space, (n, n - rank)."""
    s: Array
    """(rank,)"""
    R: Array
    """(m, m)"""
    lengths: Array
    """(m,)"""

    @classmethod
    def of(cls, B: Array) -> Tangent:
        """That of these normals."""
        lengths = np.linalg.norm(B, axis=0)
        lengths = np.where(lengths > 0.0, lengths, 1.0)
        U, s, R = sl.svd(B / lengths, check_finite=False)
        rank = int(np.count_nonzero(s > 16.0 * max(B.shape) * _EPS * s.max(initial=0.0)))
        return cls(U[:, :rank], U[:, rank:], s[:rank], R.T, lengths)

    @property
    def independent(self) -> bool:
        """Whether the normals are."""
        return len(self.s) == len(self.R)

    @property
    def inverse(self) -> Array:
        """What a vector of entries (n,) is as a sum of normals, least squares, (m, n)."""
        found: Array = (self.R[:, : len(self.s)] / self.s / self.lengths[:, None]) @ self.P.T
        return found

    def nearest(self) -> float:
        """The smallest singular value; infinite where there is no kink."""
        return float(self.s.min(initial=np.inf))

    def centred(self, theta: Array, w: Array) -> Array:
        """The multipliers that make up the same sum of normals with the most room in (0, w), relative to w.

        Those that have room already, as independent normals, are as they are.
        """
        inside = (theta > 0.0) & (theta < w)
        if self.independent or inside.all() or (w <= 0.0).any():
            return theta
        free = self.R[:, len(self.s) :] / (self.lengths * w)[:, None]
        least, start = np.ones((len(theta), 1)), theta / w
        sides = np.vstack([np.hstack([-free, least]), np.hstack([free, least])])
        cost = np.r_[np.zeros(free.shape[1]), -1.0]
        found = linprog(cost, A_ub=sides, b_ub=np.r_[start, 1.0 - start], bounds=(None, None))
        return theta if found.x is None else w * (start + free @ found.x[:-1])
