"""Bounds of variables from rows of inequalities, tightened against each other."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Mask

_SHORT, _FEW = 6, 4  # entries of a row, and rows of the same entries or of one variable, that are summed
SLACK = 1e-9
"""By which a side of the box is let out, far more than rounding."""


def tighten(G: sp.csr_array, h: Array, low: Array, high: Array) -> None:
    """Every bound that a row of G x <= h gives by the bounds of its other entries, in place."""
    entries = sp.coo_array(G)
    kept = entries.data != 0.0
    row, column, a = entries.coords[0][kept], entries.coords[1][kept], entries.data[kept]
    least = np.where(a > 0.0, a * low[column], a * high[column])
    open_ = ~np.isfinite(least)
    finite = np.where(open_, 0.0, least)
    counts = np.bincount(row, open_, minlength=len(h))
    sums = np.bincount(row, finite, minlength=len(h))
    sizes = np.bincount(row, np.abs(finite), minlength=len(h)) + np.abs(h)
    known = counts[row] - open_ <= 0.0
    with np.errstate(over="ignore"):
        side = (h[row] - (sums[row] - finite)) / a
        room = SLACK * (sizes[row] / np.abs(a))
    up, down = known & (a > 0.0), known & (a < 0.0)
    np.minimum.at(high, column[up], (side + room)[up])
    np.maximum.at(low, column[down], (side - room)[down])


def most(A: sp.csr_array, low: Array, high: Array) -> Array:
    """The largest that the rows of A x can be in the box, (m,), let out by `SLACK`."""
    entries = sp.coo_array(A)
    row, column = entries.coords
    with np.errstate(invalid="ignore"):
        ends = np.where(entries.data > 0.0, entries.data * high[column], entries.data * low[column])
    ends = np.where(entries.data == 0.0, 0.0, ends)
    return np.bincount(row, ends + SLACK * np.abs(ends), minlength=A.shape[0]).astype(np.float64)


def lower_epigraphs(A: sp.csr_array, b: Array, free: Mask, low: Array, high: Array) -> None:
    """The upper sides, in place, of variables that cost nothing less the higher they are.

    Of all x of least cost take one in which such a variable (`free`: of cost >= 0, with entries < 0 in rows
    of A x <= b alone) is as low as its rows allow: it is no more than the largest that one of them asks for.
    """
    entries = sp.coo_array(A)
    kept = entries.data != 0.0
    row, column, a = entries.coords[0][kept], entries.coords[1][kept], entries.data[kept]
    free = free.copy()
    np.logical_and.at(free, column, a < 0.0)
    total = most(A, low, high)
    chosen = free[column]
    row, column, a = row[chosen], column[chosen], a[chosen]
    own = a * low[column]
    asked = (total[row] - own - b[row] + SLACK * (np.abs(own) + np.abs(b[row]))) / -a
    asked[~np.isfinite(total[row])] = np.inf
    found = np.full(len(low), -np.inf)
    np.maximum.at(found, column, asked)
    placed = np.unique(column)
    high[placed] = np.minimum(high[placed], np.maximum(found[placed], low[placed]))


def opposite_sums(G: sp.csr_array, h: Array) -> tuple[sp.csr_array, Array]:
    """Sums of two short rows of the same entries: of |s| <= t that t >= 0, (k, N) and (k,)."""
    places: dict[tuple[int, ...], list[int]] = {}
    for i in np.flatnonzero((np.diff(G.indptr) >= 2) & (np.diff(G.indptr) <= _SHORT)):
        entries = sorted(G.indices[G.indptr[i] : G.indptr[i + 1]].tolist())
        places.setdefault(tuple(entries), []).append(int(i))
    pairs = [(i, j) for rows in places.values() for i in rows[:_FEW] for j in rows[:_FEW] if i < j]
    if not pairs:
        return sp.csr_array((0, G.shape[1])), np.zeros(0)
    one, other = (np.array(each) for each in zip(*pairs, strict=True))
    sums = sp.csr_array(G[one] + G[other])
    return sums, h[one] + h[other]


def priced_sums(G: sp.csr_array, h: Array, q: Array, level: float) -> tuple[sp.csr_array, Array]:
    """q'x <= level with variables of cost > 0 that have a bound replaced by what a row puts them above.

    The first row of each, then the second, and so on: of a sum of t_i >= 0, t_i >= v_i - s that s is bounded.
    """
    entries = sp.coo_array(G)
    alone = np.diff(G.indptr)[entries.coords[0]] == 1
    bounded = np.isin(entries.coords[1], entries.coords[1][alone & (entries.data < 0.0)])
    held = (entries.data < 0.0) & (q[entries.coords[1]] > 0.0) & bounded
    row, column, a = entries.coords[0][held], entries.coords[1][held], entries.data[held]
    order = np.lexsort((row, column))
    row, column, a = row[order], column[order], a[order]
    starts = np.searchsorted(column, column)
    turn = np.arange(len(column)) - starts
    rows, sides = [q[None]], [level]
    for number in range(min(int(turn.max(initial=-1)) + 1, _FEW)):
        taken = turn == number
        share = q[column[taken]] / -a[taken]
        rows.append((q + sp.csr_array(G[row[taken]]).T @ share)[None])
        sides.append(level + float(h[row[taken]] @ share))
    return sp.csr_array(np.vstack(rows)), np.array(sides)
