"""The interior-point method for min g(D), tr D = 1: D, S > 0 with g'(D) + level I = S, D S = share I.

Newton's method on these conditions, the last one as S = share D^-1, as Helmberg and others have it: with Y
the move of D and Z that of the level, sym the symmetric part,

    g''(D) Y + sym(D^-1 Y S) + Z I  =  share D^-1 - g'(D) - level I,    tr Y = 1 - tr D
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.arrays.cholesky import factored, halved, solved
from amtl_cvx.subproblems.covariance.sides import Ridge, Side
from amtl_cvx.subproblems.covariance.symmetric import Symmetric

_STEPS = 100
_BACK = 0.95  # of the way to the border
_SHARES = (0.05, 0.6)  # of the complementarity, the next share at least and at most


class Inside(NamedTuple):
    """D, S > 0 (p, p) and the level, with D S near to a multiple of I."""

    D: Array
    S: Array
    level: float


def inner_minimum(side: Side, *, accuracy: float) -> Inside:
    """D up to a gap of `accuracy` times the level, or as far as the factors of D and S have digits."""
    p = side.space.p
    D = np.eye(p) / p
    found = side.at(_root(D))
    level = -1.5 * float(np.linalg.eigvalsh(found.gradient)[0])
    inside, share = Inside(D, found.gradient + level * np.eye(p), level), 0.3
    for _ in range(_STEPS):
        if not (inside.level > 0.0 and float((inside.D * inside.S).sum()) > accuracy * inside.level):
            break
        try:
            after, length = _after_step(side.space, inside, found, share)
            found = side.at(_root(after.D))
            _root(after.S)
        except np.linalg.LinAlgError:
            break
        inside, share = after, float(np.clip((1.0 - length) ** 2, *_SHARES))
    return inside


def _after_step(space: Symmetric, inside: Inside, found: Ridge, share: float) -> tuple[Inside, float]:
    """D, S and the level after a Newton step, and how much of it was taken."""
    (D, S, level), eye = inside, np.eye(space.p)
    trace, inverse = space.vector(eye), _symmetric(np.asarray(np.linalg.inv(D), dtype=np.float64))
    lower = factored(found.curvature + space.product(inverse, S))
    aim = share * float((D * S).sum()) / space.p * inverse
    right = space.vector(aim - found.gradient - level * eye)
    first, second = solved(lower, np.column_stack([right, trace])).T
    rise = float((trace @ first - (1.0 - np.trace(D))) / (trace @ second))
    Y = space.matrix(first - rise * second)
    down = aim - S - _symmetric(inverse @ Y @ S)
    length = min(_room(D, Y), _room(S, down))
    return Inside(D + length * Y, S + length * down, level + length * rise), length


def _room(A: Array, move: Array) -> float:
    """How much of the move keeps A > 0, at most 1."""
    lower = _root(A)
    inner = halved(lower, halved(lower, move).T)
    low = float(np.linalg.eigvalsh(_symmetric(inner))[0])
    return min(1.0, -_BACK / low) if low < 0.0 else 1.0


def _root(A: Array) -> Array:
    return np.asarray(np.linalg.cholesky(A), dtype=np.float64)


def _symmetric(A: Array) -> Array:
    return np.asarray(0.5 * (A + A.T), dtype=np.float64)
