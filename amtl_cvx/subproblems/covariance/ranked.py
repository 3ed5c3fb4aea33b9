r"""Newton's method for min g(D), tr D = 1, among the matrices D >= 0 of one rank r.

D = U diag(m) U'. The moves that keep the rank are U K U' + V L U' + U L'V', V what U leaves, and D itself
goes to second order by V L diag(m)^-1 L'V'. With S = g'(D) + level I the conditions are U'S U = 0 and
V'S U = 0,

    Hessian[K, L]  =  g'' on these moves  +  V'S V (x) diag(m)^-1 on L (in an orthonormal basis of the moves)

and the multiplier of the trace is the level. At a minimum V'S V >= 0, all of S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.subproblems.covariance.sides import Side
from amtl_cvx.tasks import Indices

_STEPS = 12
_ROUNDING = 1e-15  # of the level
_FALLS = 0.3  # of the last miss: what is worth a further step


class Ranked(NamedTuple):
    """D = U diag(m) U' with m > 0, and the rest of an orthonormal basis."""

    U: Array
    """(p, r)"""
    m: Array
    V: Array
    """(p, p - r)"""


class Found(NamedTuple):
    """The best D of one rank."""

    D: Ranked
    W: Array
    miss: float
    """The largest entry of U'S U and V'S U, of the level."""
    low: float
    """The smallest eigenvalue of V'S V, of the level; 0 without V."""


def split(D: Array, kept: Indices | int) -> Ranked:
    """The eigenvectors of D that are `kept`: their places, or how many of the largest."""
    values, vectors = np.linalg.eigh(D)
    places = np.arange(len(D) - kept, len(D)) if isinstance(kept, int) else kept
    rest = np.setdiff1d(np.arange(len(D)), places)
    m = values[places]
    return Ranked(vectors[:, places], m / m.sum(), vectors[:, rest])


def ranked_minimum(side: Side, D: Ranked, level: float) -> Found | None:
    """The minimum from D, or the point of the smallest miss before a step left the rank."""
    best: Found | None = None
    for _ in range(_STEPS):
        r, basis = len(D.m), np.hstack([D.U, D.V])
        ridge = side.at(D.U * np.sqrt(D.m))
        S = basis.T @ ridge.gradient @ basis
        level = level if best is None and level > 0.0 else -float(np.trace(S[:r, :r])) / r
        S = S + level * np.eye(len(S))
        miss = float(np.abs(S[:, :r]).max()) / level
        low = float(np.linalg.eigvalsh(S[r:, r:])[0]) / level if len(S) > r else 0.0
        falls = best is None or miss < _FALLS * best.miss
        if best is None or miss < best.miss:
            best = Found(D, ridge.W, miss, low)
        if not falls or miss <= _ROUNDING:
            break
        after = _after_newton(side, D, basis, S, ridge.curvature)
        if after is None:
            break
        D = after
    return best


def _after_newton(side: Side, D: Ranked, basis: Array, S: Array, curvature: Array) -> Ranked | None:
    """D after a Newton step; None where that has another rank, or where the system is singular."""
    r, p = len(D.m), len(S)
    i, j = np.triu_indices(p)
    i, j = i[moves := i < r], j[moves]
    N = side.space.basis(basis, i, j)
    H = N.T @ curvature @ N
    across = np.flatnonzero(j >= r)
    first, second = i[across], j[across]
    bent = S[np.ix_(second, second)] * np.where(first[:, None] == first, 1.0 / D.m[first], 0.0)
    H[np.ix_(across, across)] += bent
    slope, trace = np.where(i == j, 1.0, np.sqrt(2.0)) * S[i, j], (i == j).astype(float)
    system = np.block([[H, trace[:, None]], [trace, np.zeros(1)]])
    try:
        x = np.linalg.solve(system, -np.append(slope, 0.0))[:-1]
    except np.linalg.LinAlgError:
        return None
    move = np.zeros((p, p))
    move[i, j] = move[j, i] = np.where(i == j, 1.0, np.sqrt(0.5)) * x
    top = np.diag(D.m) + move[:r, :r]
    if not (np.isfinite(x).all() and np.linalg.eigvalsh(top)[0] > 0.0):
        return None
    Y = basis @ np.vstack([top, move[r:, :r]])
    after = Y @ np.linalg.solve(top, Y.T)
    return split(0.5 * (after + after.T), r)
