r"""The common row space: J in few coordinates where the rows of all tasks span few of the d dimensions.

Let the columns of Q (d, r) be an orthonormal basis of what all rows of all tasks span, and W = Q Z + V with
Q'V = 0. Then X_t w_t = (X_t Q) z_t, and with M = I - B

    J(W, B) = sum_t a_t L_t(X_t Q z_t) + coupling ||Z M||_F^2 + coupling ||V M||_F^2

because the cross term 2 <Q Z M, V M> is 0: V only costs. So min over V is at V = 0 whatever B is, every
minimiser over W for a B with I - B regular has V = 0, and for W = Q Z each half-step, eq. 5 and 6 of the
curriculum (which see W through W'W = Z'Z and X_t w_t) and every later one are those of the tasks (X_t Q,
y_t) in Z. At V = 0 the gradient in V, 2 coupling V M M', is 0 and the second derivatives of J in V and Z, and
in V and B, are 0: what is left on V is 2 coupling M M' (x) I.

Judging any W takes its own directions beside Q: with the columns of V in the basis the tasks (X_t Q, y_t)
have the same J, gradient, curvature and gaps in coordinates as the given ones at W, and one more direction,
which no row and no column of W sees, stands for all the rest (the eigenvalues of 2 coupling M M'). The
residuals, whose scales are largest entries, are taken in the original coordinates (`TaskSet.lift`).

All of it needs a penalty that turns with W (`Model.rotation_invariant`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array

SMALL = 100
"""Number of features up to which fewer coordinates save nothing worth having."""
_CHUNK = 256
_EPS = float(np.finfo(np.float64).eps)
_CLEAR = 1e-8  # ratio of squares of singular values: rows see every direction, far from rounding
_ROUNDING = 1e-13
"""Length of what is left of a unit vector that counts as nothing: 500 times the rounding of doubles."""


def row_basis(rows: Iterable[Array]) -> Array | None:
    """An orthonormal basis (d, r) of what all `rows` (n_t, d) span.

    None where d is at most `SMALL` or r is not below d / 2: there it would save little. Block Gram-Schmidt
    on rows of length 1, so that neither a small task nor the order of the rows decides.
    """
    arrays = list({id(X): X for X in rows}.values())
    d = arrays[0].shape[1]
    if d <= SMALL:
        return None
    basis = np.empty((d, 0))
    for X in arrays:
        for first in range(0, len(X), _CHUNK):
            basis = np.hstack([basis, _beyond(basis, X[first : first + _CHUNK].T)])
            if 2 * (basis.shape[1] + 1) > d:
                return None
    return basis


def spanning(basis: Array, W: Array) -> Array:
    """The basis with what the columns of W (d, T) have beside it, and one direction more if there is one."""
    basis = np.hstack([basis, _beyond(basis, W)])
    if basis.shape[1] == len(basis):
        return basis
    farthest = np.zeros((len(basis), 1))
    farthest[np.argmin((basis**2).sum(axis=1))] = 1.0
    return np.hstack([basis, _beyond(basis, farthest)])


def _beyond(basis: Array, vectors: Array) -> Array:
    """An orthonormal basis of the part of the `vectors` (d, n) orthogonal to the `basis`."""
    largest = np.abs(vectors).max(axis=0)
    scaled = vectors[:, largest > 0.0] / largest[largest > 0.0]
    rest = _orthogonal(basis, scaled / np.linalg.norm(scaled, axis=0))
    rest = rest[:, np.linalg.norm(rest, axis=0) > _ROUNDING]
    if not rest.size:
        return np.empty((len(basis), 0))
    found, R, _ = sl.qr(rest, mode="economic", pivoting=True, check_finite=False)
    found = found[:, np.abs(np.diag(R)) > _ROUNDING]
    return np.asarray(np.linalg.qr(_orthogonal(basis, found))[0])


def _orthogonal(basis: Array, vectors: Array) -> Array:
    """What the basis leaves of the vectors; twice is enough (Kahan, Parlett)."""
    for _ in range(2):
        vectors = vectors - basis @ (basis.T @ vectors)
    return vectors


@dataclass(frozen=True)
class OwnSpaces:
    """The row space of every task by itself: orthonormal bases (d, r_t)."""

    bases: tuple[Array, ...]

    @classmethod
    def of(cls, rows: Iterable[Array]) -> OwnSpaces | None:
        """From the rows (n_t, d) of the tasks; None where each space is that of all rows."""
        rows = list(rows)
        squares = np.linalg.eigvalsh(np.stack([X.T @ X for X in rows]))
        if (squares[:, 0] > _CLEAR * squares[:, -1]).all():
            return None
        bases = tuple(span(X) for X in rows)
        everything = span(np.vstack([Q.T for Q in bases])).shape[1]
        return cls(bases) if any(Q.shape[1] < everything for Q in bases) else None

    def seen(self, W: Array) -> Array:
        """What of each predictor the rows of its own task see: X_t w_t = X_t seen_t, (d, T)."""
        return np.column_stack([Q @ (Q.T @ w) for Q, w in zip(self.bases, W.T, strict=True)])


def span(rows: Array) -> Array:
    """An orthonormal basis (d, r) of the span of the rows (n, d)."""
    n, d = rows.shape
    if n > d:
        rows = np.asarray(np.linalg.qr(rows, mode="r"))
    _, values, V = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(V[values > values.max(initial=0.0) * max(n, d) * _EPS].T)
