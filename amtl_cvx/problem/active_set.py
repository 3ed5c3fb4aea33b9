r"""Columns of B by the active-set method of Lawson and Hanson, all at once.

Each sweep solves every open column on its support in one batch. Exact up to rounding, zeros are zeros.

Source: Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23.
"""

from __future__ import annotations

import contextlib

import numpy as np

from amtl_cvx.tasks import Array, Indices, Mask

_RIDGE = 1e-14  # relative; keeps a dependent support from an exactly singular matrix


def best_edges(W: Array, prices: Array, coupling: float, start: Array) -> tuple[Array, bool]:
    """argmin over B >= 0, diag(B) = 0 of coupling ||W - W B||_F^2 + sum of prices times B, (T, T).

    And whether that was reached; the support of `start` is where the search begins.
    """
    K = W.T @ W
    return nonnegative_columns(K, K - prices / (2.0 * coupling), start)


def nonnegative_columns(K: Array, Q: Array, start: Array) -> tuple[Array, bool]:
    """Column t: argmin over b >= 0, b_t = 0 of (1/2) b'K b - Q[:, t]'b.

    Parameters
    ----------
    K : (n, n) ndarray
        Symmetric positive semidefinite, n >= k.
    Q, start : (n, k) ndarray
        Linear terms, -inf where b is 0; a start >= 0 (its support is where the search begins).

    Returns
    -------
    B : (n, k) ndarray
    settled : bool
        False if the limit of sweeps was reached first.
    """
    n, k = Q.shape
    barred = np.eye(n, k, dtype=bool) | (-np.inf == Q)  # what cannot enter, that which left at once as well
    B = np.where(barred, 0.0, np.maximum(start, 0.0))
    support = B > 0.0
    limit = 1e-14 * (np.abs(Q) + np.sqrt(np.outer(np.diag(K), np.diag(K)[:k])))
    entered = np.full(k, -1)
    open_, fresh = np.arange(k), np.zeros(k, dtype=bool)
    for _ in range(20 * n + 100):
        if not len(open_):
            return B, True
        Z = on_supports(K, Q[:, open_], support[:, open_], ridge=_RIDGE)
        infeasible = (Z <= 0.0) & support[:, open_]
        bad = infeasible.any(axis=0)
        moved = open_[bad]
        if len(moved):
            _retreat(B, support, barred, entered, moved, Z[:, bad], infeasible[:, bad])
        good = open_[~bad]
        if len(good):
            B[:, good] = Z[:, ~bad]
            gain = Q[:, good] - K @ B[:, good]
            gain[support[:, good] | barred[:, good] | (gain <= limit[:, good])] = 0.0
            scaled = gain / np.sqrt(np.maximum(np.diag(K), 1e-300))[:, None]
            best = scaled.argmax(axis=0)
            enters = scaled[best, np.arange(len(good))] > 0.0
            fresh[:] = False
            support[best[enters], good[enters]] = True
            entered[good[enters]] = best[enters]
            open_ = np.concatenate([moved, good[enters]])
        else:
            open_ = moved
    return B, False


def _retreat(
    B: Array,
    support: np.ndarray,
    barred: np.ndarray,
    entered: Indices,
    columns: Indices,
    Z: Array,
    infeasible: np.ndarray,
) -> None:
    """Move the columns towards Z up to the first bound, and drop what reached it from their supports."""
    b = B[:, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.where(infeasible, b / (b - Z), np.inf)
    length = lengths.min(axis=0)
    gone = infeasible & (lengths <= length)
    b = np.where(gone, 0.0, np.maximum(b + length * (Z - b), 0.0))
    each = np.arange(len(columns))
    last = entered[columns]
    at_once = (last >= 0) & gone[last, each] & (length <= 0.0)
    barred[last[at_once], columns[at_once]] = True  # rounding: its gain was none
    B[:, columns] = b
    support[:, columns] &= ~gone


def on_supports(K: Array, Q: Array, support: Mask, *, ridge: float = 0.0) -> Array:
    """Every column z of Q (n, k) with K_PP z_P = Q_P on its support P, 0 elsewhere, in one batch.

    K is (n, n), `support` (n, k), `ridge` a part of K's diagonal that is added to it. Zeros all over if a
    column's matrix is singular.
    """
    order = np.argsort(~support, axis=0, kind="stable")[: support.sum(axis=0).max(initial=0)].T
    inside = np.take_along_axis(support.T, order, axis=1)
    both = inside[:, :, None] & inside[:, None, :]
    blocks = np.where(both, K[order[:, :, None], order[:, None, :]], np.eye(order.shape[1]))
    if ridge:
        each = np.arange(order.shape[1])
        blocks[:, each, each] *= np.where(inside, 1.0 + ridge, 1.0)
    right = np.where(inside, np.take_along_axis(Q.T, order, axis=1), 0.0)
    result = np.zeros_like(Q)
    with contextlib.suppress(np.linalg.LinAlgError):
        np.put_along_axis(result.T, order, np.linalg.solve(blocks, right[:, :, None])[:, :, 0], axis=1)
    return result
