r"""B brought to some sum: the answer is k times the best B, by rows, by columns or as a whole.

The factors k that make the residual of every edge that is there 0,

    p_s - 2 coupling w_s'(w_t - sum_u k_u w_u B[u, t]) = 0      where B[s, t] > 0

are a least-squares problem (k_u of rows; k_t of columns or one k alike). They are believed where they make
the whole point stationary and the sums of the B that was answered are alike, which no accident makes them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.reference.judge.causes.case import CLEAR, Case, Match
from amtl_cvx.reference.judge.causes.residual import ratio_B
from amtl_cvx.reference.judge.causes.variation import Point


def rescaled(case: Case, point: Point, misses: Callable[[Point], float]) -> list[Match]:
    """Whether B was rescaled, in the step in B or in a whole method."""
    if case.quantity not in ("b_step", "fit") or len(point.B) == 1 or not point.B.max() > 0.0:
        return []
    B, worst = point.B, misses(point)
    for words, factors in (
        ("rows", _rows(case, point)),
        ("columns", _columns(case, point)),
        ("", _whole(case, point)),
    ):
        if factors is None or not _told_by_sums(case, B, words, factors):
            continue
        best = Point(point.W, factors * B)
        residual = ratio_B(case.right, best)
        if (best.B >= 0.0).all() and residual <= case.small and residual * CLEAR <= worst:
            said = f"your B is the best one with its {words} divided by their sums"
            if not words:
                times = 1.0 / float(factors.flat[0])
                said = f"your B is the best one times {times:.6g}: it sums to {float(B.sum()):.6g}"
            return [Match(name="B rescaled", words=said)]
    return []


def _told_by_sums(case: Case, B: Array, words: str, factors: Array) -> bool:
    """Whether the sums are alike, and the factors are no 1s."""
    there = factors[np.isfinite(factors) & (factors != 1.0)]
    if not len(there) or not float(np.abs(there - 1.0).max()) > 1e-4:
        return False
    if not words:
        return int((B > 0.0).sum()) > 1
    sums = B.sum(axis=1 if words == "rows" else 0)
    sums = sums[sums > 0.0]
    return len(sums) > 1 and float(np.ptp(sums)) <= (1e-4 if case.single else 1e-8) * float(sums.max())


def _parts(case: Case, point: Point) -> tuple[Mask, Array, Array]:
    """Where edges are, what their residuals lack, and K = W'W."""
    right = case.right
    K = point.W.T @ point.W
    lack = K - right.price_matrix(point.W) / (2.0 * right.coupling)
    return point.B > 0.0, lack, K


def _whole(case: Case, point: Point) -> Array | None:
    there, lack, K = _parts(case, point)
    given = (K @ point.B)[there]
    size = float(given @ given)
    return np.full((1, 1), float(given @ lack[there]) / size) if size > 0.0 else None


def _columns(case: Case, point: Point) -> Array | None:
    there, lack, K = _parts(case, point)
    given = np.where(there, K @ point.B, 0.0)
    size = (given * given).sum(axis=0)
    above = (given * np.where(there, lack, 0.0)).sum(axis=0)
    factors: Array = np.divide(above, size, out=np.ones_like(size), where=size > 0.0)[None, :]
    return factors


def _rows(case: Case, point: Point) -> Array | None:
    there, lack, K = _parts(case, point)
    s, t = np.nonzero(there)
    matrix = K[s] * point.B[:, t].T
    if len(s) < len(K):
        return None
    factors = np.linalg.lstsq(matrix, lack[s, t], rcond=1e-12)[0]
    gives = point.B.sum(axis=1) > 0.0
    found: Array = np.where(gives, factors, 1.0)[:, None]
    return found
