r"""The Hessian of the W-step as a triangular factor, H = L L', and how well that is known.

    H = blockdiag(a_t Hess L_t) + 2 coupling K K' (x) I,   K = I - B, or that of `problem.squares`

A Cholesky factor is that of a matrix whose entries are off by some n eps sqrt(H_ii H_jj), so
H >= (1 - lost) L L' with lost = 8 n eps ||S^-1||, S = H in units with a unit diagonal. Near a singular I - B
that is too much: then A = [sqrt(weight phi'') X; sqrt(2 coupling) K' (x) I], A'A = H, is factored by QR,
which loses 16 n eps ||S^-1/2||, only the root of it, for K K' is never formed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.arrays.cholesky import factored
from amtl_cvx.certificate.slope import EPS

LOST = 0.5
"""Share of H that rounding may take from it before its factor counts as none."""
_KNOWN = 1e-3  # share below which the condition in other units is not asked for


class Factor(NamedTuple):
    """L (n, n), lower; 1-norm condition and about the smallest eigenvalue of L L'; H >= (1 - lost) L L'."""

    lower: Array
    condition: float
    smallest: float
    lost: float


def cholesky_factor(H: Array) -> Factor | None:
    """The factor of H, which is lost; None where H is numerically singular."""
    norm, unit = float(sl.lapack.dlange("1", H.T)), np.sqrt(np.diag(H))
    try:
        lower = factored(H)
    except np.linalg.LinAlgError:
        return None
    inverse, _ = sl.lapack.dpocon(lower, norm, uplo="L")
    condition = 1.0 / inverse if inverse > 0.0 else math.inf
    lost = lost_digits(len(H), condition)
    if not lost < _KNOWN:
        scaled, _ = sl.lapack.dpocon(lower / unit[:, None], 1.0, uplo="L")
        lost = lost_digits(len(H), 1.0 / scaled if scaled > 0.0 else math.inf)
    return Factor(lower, condition, norm * inverse, lost)


def lost_digits(n: int, inverse: float) -> float:
    """What a Cholesky factor loses, from ||S^-1||."""
    return 8.0 * n * EPS * inverse


def root_factor(rows: list[Array], K: Array, coupling: float) -> Factor | None:
    """The factor from sqrt(weight phi'') X of every task and K; None where H is singular for it too."""
    (T, k), d = K.shape, rows[0].shape[1]
    parts = np.zeros((T + k, d, T, d))
    for t, each in enumerate(rows):
        top = np.linalg.qr(each, mode="r")
        parts[t, : len(top), t] = top
    parts[T:][:, np.arange(d), :, np.arange(d)] = math.sqrt(2.0 * coupling) * K.T
    n = T * d
    A = parts.reshape((T + k) * d, n)
    unit = np.sqrt((A * A).sum(axis=0))
    if not (unit > 0.0).all():
        return None
    R = np.asarray(np.linalg.qr(A / unit, mode="r"))
    try:
        inverse = float(np.linalg.norm(sl.solve_triangular(R, np.eye(n), check_finite=False)))
    except sl.LinAlgError:
        return None
    lost = 16.0 * n * EPS * inverse
    return Factor(R.T * unit[:, None], math.nan, math.nan, lost) if lost < LOST else None


def inverse_roots(factor: Factor, T: int) -> Array:
    """K (T, d, d) with K_t'K_t = the blocks of (L L')^-1; the factor is lost."""
    inverse, _ = sl.lapack.dtrtri(factor.lower, lower=1, overwrite_c=1)
    d = len(inverse) // T
    parts = [np.tril(inverse[t * d :, t * d : (t + 1) * d]) for t in range(T)]
    return np.stack([np.linalg.qr(part, mode="r") for part in parts])
