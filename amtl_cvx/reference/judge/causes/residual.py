r"""How far a point is from being stationary for a formula, right or mistaken, as a ratio to its terms.

    ratio_W = max over t of max_i |G_W[i, t]| / max_i size_W[i, t]
    ratio_B = max over s of max_t |min(h B, G_B)[s, t]| / max_t size_B[s, t]       off the diagonal

An edge that h B says is to be removed is held against h times the largest edge: beside a high price any edge
is small. Where B may be negative, or a task may help itself, by mistake, the minimum is G_B itself, or the
diagonal counts. A ratio of a mistaken formula that vanishes, where the right one does not, is what names the
mistake.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.reference.judge.causes.formula import TINY, Formula
from amtl_cvx.reference.judge.causes.variation import Point


def ratio_W(formula: Formula, point: Point, *, tasks: tuple[int, ...] | None = None) -> float:
    """Of the predictors, or of those of some tasks."""
    G, size = formula.gradient_W(*point), formula.size_W(*point)
    miss, own = np.abs(G).max(axis=0), size.max(axis=0)
    ratios = miss / np.maximum(own, TINY)
    found = ratios if tasks is None else ratios[list(tasks)]
    return _number(float(found.max()))


def ratio_B(formula: Formula, point: Point, *, free: bool = False, leak: bool = False) -> float:
    """Of the graph."""
    W, B = point
    if not leak and np.abs(np.diag(B)).max() > 1e-12 * max(1.0, float(np.abs(B).max())):
        return np.inf
    G, size = formula.gradient_B(W, B), formula.size_B(W, B)
    barred = np.eye(formula.T, dtype=bool) & (not leak)
    steps, largest = formula.steps_B(W), max(float(np.abs(B).max()), TINY)
    steps = np.where(steps > 0.0, steps, size / largest)  # coupling 0, or w_s = 0: B[s, t] has to be 0
    removed = (steps * B <= G) & (not free)
    miss = np.abs(np.where(barred, 0.0, np.where(removed, steps * B, G)))
    own = _of_rows(size, barred)
    ratios = miss / np.where(removed, np.minimum(own, _of_rows(steps * largest, barred)), own)
    blind = (own <= TINY) & (np.where(barred, 0.0, np.abs(B)).max(axis=1, keepdims=True) > 0.0)
    return np.inf if blind.any() else _number(float(ratios.max()))  # any B would do: that explains none


def _of_rows(size: Array, barred: Mask) -> Array:
    """The largest of each row, (T, 1)."""
    largest: Array = np.maximum(np.where(barred, 0.0, size).max(axis=1, keepdims=True), TINY)
    return largest


def difference(answer: Array, other: Array, size: Array) -> float:
    """The largest difference of columns, relative to the largest size in each; of numbers, to the size."""
    miss, own = np.abs(np.atleast_1d(answer - other)), np.atleast_1d(size)
    if miss.ndim == 2:
        miss, own = miss.max(axis=0), np.broadcast_to(own, miss.shape).max(axis=0)
    return _number(float((miss / np.maximum(own, TINY)).max()))


def _number(value: float) -> float:
    return value if np.isfinite(value) else np.inf
