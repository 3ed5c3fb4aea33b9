"""The transfer penalty as exact atoms: B = base + sum of x_k graphs, R = sum of prices of x_k and x_k^2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat

from amtl_cvx.digits.prices import linear_prices
from amtl_cvx.transfer import TransferPenalty, atoms_of


@dataclass(frozen=True)
class Atom:
    """x >= lo: x times `entries` in B, and (rates'l + fixed) x + (square_rates'l + square) x^2 in R.

    Every number is that of its double; `rates` by task.
    """

    entries: tuple[tuple[int, int, arb], ...]
    lo: arb
    fixed: arb
    rates: Mapping[int, arb]
    square: arb
    square_rates: Mapping[int, arb]

    def price(self, losses: Sequence[arb], x: arb, power: int) -> arb:
        """Derivative of R in x at the weighted losses: the first one, with `power` 2 the second."""
        p, q = self.fixed, 2 * self.square
        p = p + sum((rate * losses[t] for t, rate in self.rates.items()), arb(0))
        q = q + sum((2 * rate * losses[t] for t, rate in self.square_rates.items()), arb(0))
        return p + q * x if power == 1 else q

    def cost(self, losses: Sequence[arb], x: arb) -> arb:
        """What x adds to R."""
        p, q = self.price(losses, arb(0), 1), self.price(losses, x, 2)
        return p * x + q * x * x / 2

    def loss_rates(self, x: arb, power: int) -> Iterator[tuple[int, arb]]:
        """d R / d l_t of every task t that it depends on; with `power` 1 the derivative of that in x."""
        for t, rate in self.rates.items():
            yield t, rate * x if power == 0 else rate
        for t, rate in self.square_rates.items():
            yield t, rate * x * x if power == 0 else 2 * rate * x


def exact_atoms(transfer: TransferPenalty, T: int) -> tuple[list[Atom], arb_mat]:
    """The atoms in the order of those of the penalty, and the base (T, T).

    Row prices are taken as `linear_prices` has them: p_s = p_s(0) + (p_s(1) - p_s(0)) l_s.

    Raises
    ------
    NotCertifiable
        If the penalty is no such sum, or row prices depend on another task's loss.
    """
    found = atoms_of(transfer, T)
    none = arb(0)
    if found is None or transfer.row_prices(np.zeros(T)) is not None:
        prices = [(arb(fixed), arb(at_unit) - arb(fixed)) for fixed, at_unit in linear_prices(transfer, T)]
        pairs = [(s, t) for s in range(T) for t in range(T) if s != t]
        atoms = [Atom(((s, t, arb(1)),), none, prices[s][0], {s: prices[s][1]}, none, {}) for s, t in pairs]
        return atoms, arb_mat(T, T)
    atoms = []
    for k in range(len(found.lo)):
        column = found.E[:, [k]]
        places = zip(column.indices.tolist(), column.data.tolist(), strict=True)
        atoms.append(
            Atom(
                tuple((*divmod(place, T), arb(size)) for place, size in places),
                arb(float(found.lo[k])),
                arb(float(found.p0[k])),
                {int(t): arb(float(found.P[k, t])) for t in np.flatnonzero(found.P[k])},
                arb(float(found.q0[k])),
                {int(t): arb(float(found.Q[k, t])) for t in np.flatnonzero(found.Q[k])},
            )
        )
    return atoms, arb_mat(found.base.tolist())
