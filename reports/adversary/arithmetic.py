"""Real numbers of 120 digits as balls (python-flint), in NumPy arrays of objects; nothing of the package.

A ball encloses the true value, so `a < b` is true only if it is certain. `mid` drops the radii: what comes
out of an iteration is a new point of its own, and what is said about it is computed from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx, fmpq
from numpy.typing import NDArray

Reals = NDArray[np.object_]

ctx.prec = 400
ZERO, ONE = arb(0), arb(1)
LARGEST = arb(2) ** 20000
"""Of rational numbers; e to a large score has more digits than memory holds."""


def reals(A: Any) -> Reals:
    """The doubles of A, exactly."""
    A = np.asarray(A)
    if A.dtype == object:
        return A
    found: Reals = np.empty(A.shape, dtype=object)
    flat = found.reshape(-1)
    for i, value in enumerate(np.asarray(A, dtype=float).reshape(-1)):
        flat[i] = arb(float(value))
    return found


def zeros(*shape: int) -> Reals:
    return np.full(shape, ZERO, dtype=object)


def mid(A: Reals) -> Reals:
    """The midpoints, without radii."""
    found = np.empty(A.shape, dtype=object)
    for index in np.ndindex(*A.shape):
        found[index] = arb(A[index]).mid()
    return found


def doubles(A: Reals) -> NDArray[np.float64]:
    """The nearest doubles."""
    found = np.empty(A.shape)
    for index in np.ndindex(*A.shape):
        found[index] = float(A[index])
    return found


def rational(value: arb) -> fmpq:
    """The midpoint, exactly, 0 below 1 / LARGEST; `ArithmeticError` beyond LARGEST: digits take memory."""
    middle = value.mid()
    if not abs(middle) < LARGEST:
        raise ArithmeticError("no number that rationals are made for")
    return middle.fmpq() if abs(middle) > 1 / LARGEST else fmpq(0)


def total(A: Reals) -> arb:
    """The sum of all entries, 0 of none."""
    return sum(A.reshape(-1).tolist(), ZERO)


def size(A: Reals) -> arb:
    """The largest absolute value, 0 of none."""
    return max((abs(a).mid() for a in A.reshape(-1).tolist()), default=ZERO)


def solve(A: Reals, b: Reals) -> Reals:
    """A^-1 b of a square A, in its own diagonal scaling; `ZeroDivisionError` where A is singular."""
    n = len(b)
    if n == 0:
        return b
    root = [abs(A[i, i]).mid().sqrt() for i in range(n)]
    scale = np.array([1 / r if r > 0 else ONE for r in root], dtype=object)
    scaled = mid(A * np.outer(scale, scale))
    right = mid(b * scale)
    found = arb_mat(n, n, scaled.reshape(-1).tolist()).solve(arb_mat(n, 1, right.tolist()))
    return mid(np.array(found.entries(), dtype=object) * scale)


def positive_definite(H: Reals) -> tuple[bool, Reals]:
    """Whether the symmetric H is positive definite, and if not a v with v'H v <= 0.

    Elimination without pivoting: the first pivot that is not positive is v'H v of v = (-H11^-1 h, 1, 0).
    """
    n = len(H)
    A = mid(H)
    for k in range(n):
        if not A[k, k] > 0:
            v = zeros(n)
            v[k] = ONE
            if k:
                v[:k] = -solve(H[:k, :k], H[:k, k])
            return False, v
        for i in range(k + 1, n):
            factor = A[i, k] / A[k, k]
            A[i, k + 1 :] = mid(A[i, k + 1 :] - factor * A[k, k + 1 :])
    return True, zeros(n)


def null_space(A: Reals) -> Reals:
    """A basis of the kernel of A (m, n), by columns, (n, n - rank)."""
    m, n = A.shape
    A, pivots = mid(A), list[int]()
    largest = [size(A[:, j]) for j in range(n)]
    for row in range(m):
        rest = [
            (abs(A[i, j]) / largest[j], i, j)
            for i in range(row, m)
            for j in range(n)
            if j not in pivots and largest[j] > 0
        ]
        best = max(rest, key=lambda each: each[0].mid(), default=None)
        if best is None or not best[0] > arb("1e-60"):
            break
        _, i, j = best
        A[[row, i]] = A[[i, row]]
        A[row] = mid(A[row] / A[row, j])
        for other in range(m):
            if other != row:
                A[other] = mid(A[other] - A[other, j] * A[row])
        pivots.append(j)
    free = [j for j in range(n) if j not in pivots]
    Z = zeros(n, len(free))
    for k, j in enumerate(free):
        Z[j, k] = ONE
        for r, pivot in enumerate(pivots):
            Z[pivot, k] = -A[r, j]
    return Z
