"""Penalties as atoms: B = base + E x, x >= lo, with prices of x and of x^2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Indices, Mask

if TYPE_CHECKING:
    from amtl_cvx.transfer.base import TransferPenalty


@dataclass(frozen=True, kw_only=True, eq=False)
class Atoms:
    """``B = base + E x, x >= lo``, ``R = (P l + p0)'x + (Q l + q0)'x^2``: what has second derivatives.

    Attributes
    ----------
    E : (T T, k) sparse array
        Every column a graph, its entries by rows (s T + t); two columns that share an entry are each
        other's negative.
    P, Q : (k, T)
        How the prices of x and x^2 depend on the weighted losses.
    p0, q0, lo : (k,)
    base : (T, T)
    """

    E: sp.csc_array
    P: Array
    p0: Array
    Q: Array
    q0: Array
    lo: Array
    base: Array

    @cached_property
    def entries(self) -> bool:
        """Whether every column is one entry of B, or its negative, and a source's squares cost the same.

        Then J(W, .) splits into columns of B with one quadratic form.
        """
        if (np.diff(self.E.indptr) != 1).any() or (np.abs(self.E.data) != 1.0).any():
            return False
        sources = self.E.indices // len(self.base) + len(self.base) * (self.E.data < 0.0)
        _, first, each = np.unique(sources, return_index=True, return_inverse=True)
        alike = first[each]
        return bool((self.Q[alike] == self.Q).all() and (self.q0 == self.q0[alike]).all())

    @cached_property
    def opposite(self) -> Indices:
        """For each column the number of the one that is its negative, (k,); -1 where there is none."""
        shared = (self.E.T @ self.E).tocoo()
        found, apart = np.full(len(self.lo), -1), shared.row != shared.col
        found[shared.row[apart]] = shared.col[apart]
        return found

    def prices(self, losses: Array) -> tuple[Array, Array]:
        """What x and x^2 cost at the weighted losses (T,), (k,) each."""
        return self.P @ losses + self.p0, self.Q @ losses + self.q0

    def rates(self, x: Array, chosen: Indices) -> Array:
        """Derivatives of the slopes of R in some x in the weighted losses, (len(chosen), T)."""
        rates: Array = self.P[chosen] + 2.0 * x[chosen, None] * self.Q[chosen]
        return rates

    def graph(self, x: Array) -> Array:
        """B (T, T) of x (k,)."""
        B: Array = self.base + (self.E @ x).reshape(self.base.shape)
        return B

    def coefficients(self, B: Array) -> Array:
        """x (k,) of a B that is such a sum; of two opposite columns one is at its bound."""
        weight = np.asarray((self.E**2).sum(axis=0)).ravel()
        x: Array = np.maximum(self.E.T @ (B - self.base).ravel() / weight, self.lo)
        return x


def atoms_of(transfer: TransferPenalty, T: int) -> Atoms | None:
    """The penalty as atoms, its own or single entries at row prices; None where it is no such sum.

    Atoms that a class inherits and that reach beyond its own feasible set are none.
    """
    atoms = transfer.atoms(T)
    if atoms is not None:
        ramp = np.linspace(1.0, 2.0, len(atoms.lo))
        inside = (atoms.graph(atoms.lo + x) for x in (ramp, ramp[::-1]))
        return atoms if all(np.array_equal(transfer.project(B), B) for B in inside) else None
    fixed = transfer.row_prices(np.zeros(T))
    if fixed is None:
        return None
    priced = [transfer.row_prices(unit) for unit in np.eye(T)]
    rates = np.column_stack([prices - fixed for prices in priced if prices is not None])
    entries = entry_atoms(~np.eye(T, dtype=bool), rates=np.zeros(T), fixed=fixed)
    return replace(entries, P=rates[entries.E.indices // T])


def entry_atoms(
    allowed: Mask,
    *,
    rates: Array,
    fixed: Array | float = 0.0,
    square: float = 0.0,
    square_rates: Array | None = None,
    lowest: Array | None = None,
    split: bool = False,
) -> Atoms:
    """One atom for each allowed entry of B, by rows; with `split` another one for its negative part.

    x costs ``rates[s] l_s + fixed[s]``, x^2 ``square_rates[s] l_s + square``, and x >= `lowest` (T, T).
    """
    T = len(allowed)
    sources = np.nonzero(allowed)[0]
    places, k = np.flatnonzero(allowed), len(sources)
    E = sp.csc_array((np.ones(k), (places, np.arange(k))), shape=(T * T, k))
    P, Q, each = np.zeros((k, T)), np.zeros((k, T)), np.arange(k)
    P[each, sources] = rates[sources]
    if square_rates is not None:
        Q[each, sources] = square_rates[sources]
    p0, q0 = np.broadcast_to(fixed, T)[sources], np.full(k, square)
    lo = np.zeros(k) if lowest is None else lowest.ravel()[places]
    if split:
        E, P, Q = sp.hstack([E, -E], format="csc"), np.vstack([P, P]), np.vstack([Q, Q])
        p0, q0, lo = np.tile(p0, 2), np.tile(q0, 2), np.tile(lo, 2)
    return Atoms(E=E, P=P, p0=p0, Q=Q, q0=q0, lo=lo, base=np.zeros((T, T)))
