r"""The rank of rows as the doubles they are, not up to rounding.

Without decay a move of L that no row sees changes nothing, and one that rows see as little as rounding does
can still gain, by its length. Singular values do not tell the one from the other. So the rows, integers times
powers of two, are brought to echelon form modulo a prime p. That rank is never above the exact one, and below
it only where p divides all minors of its size that are not 0: by chance one time in p.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array

PRIME = 2_147_483_629
"""Below 2^31, so that products fit into 64 bits."""
MOST = 10**9
"""Rows times columns squared beyond which it is not computed: some seconds."""


def exact_rank(rows: Array) -> int | None:
    """The rank of rows (n, d); None where that is too much work."""
    n, d = rows.shape
    if n * d * d > MOST:
        return None
    left, rank = residues(rows), 0
    for j in range(d):
        there = np.flatnonzero(left[rank:, j])
        if not len(there):
            continue
        pivot = rank + int(there[0])
        left[[rank, pivot]] = left[[pivot, rank]]
        head = left[rank] * pow(int(left[rank, j]), -1, PRIME) % PRIME
        rest = left[rank + 1 :]
        rest[:, j:] = (rest[:, j:] - rest[:, j : j + 1] * head[j:] % PRIME) % PRIME
        rank += 1
        if rank == n:
            break
    return rank


def residues(rows: Array) -> np.ndarray:
    """The doubles modulo `PRIME`, 1/2 being the inverse of 2, (n, d) whole numbers."""
    parts, exponents = np.frexp(rows)
    whole = np.ldexp(parts, 53).astype(np.int64) % PRIME
    low = int(exponents.min(initial=0))
    powers = np.array([pow(2, e - 53, PRIME) for e in range(low, int(exponents.max(initial=0)) + 1)])
    found: np.ndarray = whole * powers[exponents - low] % PRIME
    return found
