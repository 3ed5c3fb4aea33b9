"""Bounds of variables from rows of inequalities, tightened against each other."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Mask

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
    """Sums of two rows of two entries that are opposite in one: of |s| <= t that t >= 0, (k, N) and (k,)."""
    short = np.flatnonzero(np.diff(G.indptr) == 2)
    places: dict[tuple[int, int], list[int]] = {}
    for i in short:
        first, second = G.indices[G.indptr[i] : G.indptr[i] + 2]
        places.setdefault((min(first, second), max(first, second)), []).append(int(i))
    pairs = [(i, j) for rows in places.values() for i in rows for j in rows if i < j]
    if not pairs:
        return sp.csr_array((0, G.shape[1])), np.zeros(0)
    one, other = (np.array(each) for each in zip(*pairs, strict=True))
    sums = sp.csr_array(G[one] + G[other])
    return sums, h[one] + h[other]
