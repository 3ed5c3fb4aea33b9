r"""The best B for a W to any number of digits, for penalties that are sums of atoms (`digits.atoms`).

B = base + E x, x >= lo. Prices are balls around what W says; on the support P of the stored B the slopes

    G_k = p_k + 2 q_k x_k - 2 coupling sum of E_k[s, t] w_s'(w_t - W b_t)     0 in P, x_P > lo,  > 0 off P

are affine in x and solved in balls: x is the only minimiser, as the step is convex. Where some G is 0 exactly
the rationals say so for prices by rows (`exact_transfer`), if B is unique all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat

from amtl_cvx.digits.atoms import Atom, exact_atoms
from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.balls import DIGITS, DPS, ball, named, stacked


class Edges(NamedTuple):
    """B by rows, zeros exact, and the coefficients of its atoms."""

    B: list[list[arb]]
    x: list[arb]
    free: list[int]


def best_edges(point: Point) -> dict[str, Any]:
    """What digits.json holds of a b-step."""
    try:
        found, method = support_edges(point), "balls on the support"
    except Undecided as undecided:
        found, method = _rational_edges(point, undecided), "exact rationals"
    width = max((arb(entry.rad()) for row in found.B for entry in row), default=arb(0))
    system = FirstOrderSystem(point.tasks, point.model, found.free, sides_of(point))
    more = system.size - point.W.size - len(found.free)
    unknowns = [*(found.x[k] for k in found.free), *[arb(0)] * more]
    J = system.objective(stacked(arb_mat(point.W.tolist()), unknowns))
    return named(
        point,
        {
            "B": [["0" if entry.is_zero() else decimal(entry, DIGITS) for entry in row] for row in found.B],
            "objective": decimal(J, DIGITS),
            "radius": at_most(width),
            "method": method,
            "dps": DPS,
        },
    )


def sides_of(point: Point) -> Any:
    """On which side of its kink every row is, exactly; None for a smooth loss."""
    if point.model.loss.smooth:
        return None
    from amtl_cvx.digits.pieces import exact

    sides = []
    for task, w in zip(point.tasks, point.W.T, strict=True):
        kinks, weights = point.model.loss.kinks(task.y).tolist(), w.tolist()
        z = [
            sum((exact(a) * exact(b) for a, b in zip(x, weights, strict=True)), exact(0))
            for x in task.X.tolist()
        ]
        sides.append(tuple(1 if value > exact(k) else -1 for value, k in zip(z, kinks, strict=True)))
    return tuple(sides)


def support_edges(point: Point) -> Edges:
    """B on the support of the stored one; `Undecided` where a multiplier or an edge may be at its bound."""
    atoms, base = exact_atoms(point.model.transfer, point.tasks.T)
    known = point.problem.atoms
    assert known is not None
    free = np.flatnonzero(point.coefficients > known.lo).tolist()
    system = FirstOrderSystem(point.tasks, point.model, (), sides_of(point))
    W, twice = arb_mat(point.W.tolist()), 2 * arb(float(point.model.coupling))
    weighted = system.weighted(system.losses(W))
    gram = (W.transpose() * W).tolist()
    x = [atom.lo for atom in atoms]
    for k in free:
        x[k] = arb(0)
    right = [-_slope(atoms[k], x[k], weighted, gram, _graph(atoms, base, x), twice) for k in free]
    if free:
        A = arb_mat([[_curved(atoms, j, k, weighted, gram, twice) for k in free] for j in free])
        try:
            found = A.solve(arb_mat(len(free), 1, right)).entries()
        except ZeroDivisionError:
            raise Undecided("the predictors of a support are linearly dependent, or nearly so") from None
        for k, value in zip(free, found, strict=True):
            if not value > atoms[k].lo:
                raise Undecided("an edge of the support may be at its bound")
            x[k] = value
    B = _graph(atoms, base, x)
    for k in sorted(set(range(len(atoms))) - set(free)):
        if not _slope(atoms[k], x[k], weighted, gram, B, twice) > 0:
            raise Undecided("a multiplier off the support may be 0")
    return Edges(B, x, free)


def _graph(atoms: Sequence[Atom], base: arb_mat, x: Sequence[arb]) -> list[list[arb]]:
    """base + E x."""
    B = base.tolist()
    for atom, value in zip(atoms, x, strict=True):
        for s, t, size in () if value.is_zero() else atom.entries:
            B[s][t] = B[s][t] + size * value
    return B


def _slope(
    atom: Atom,
    x: arb,
    weighted: Sequence[arb],
    gram: Sequence[Sequence[arb]],
    B: Sequence[Sequence[arb]],
    twice: arb,
) -> arb:
    """G_k."""
    found = atom.price(weighted, x, 1)
    for s, t, size in atom.entries:
        pull = gram[s][t] - sum((gram[s][u] * B[u][t] for u in range(len(B))), arb(0))
        found = found - twice * size * pull
    return found


def _curved(
    atoms: Sequence[Atom],
    j: int,
    k: int,
    weighted: Sequence[arb],
    gram: Sequence[Sequence[arb]],
    twice: arb,
) -> arb:
    """d G_j / dx_k."""
    found = atoms[j].price(weighted, arb(0), 2) if j == k else arb(0)
    for s, t, size in atoms[j].entries:
        for p, q, other in atoms[k].entries:
            if q == t:
                found += twice * size * other * gram[s][p]
    return found


def _rational_edges(point: Point, undecided: Exception) -> Edges:
    """The same over the rationals, where B is unique."""
    from amtl_cvx.digits import exact_prices, exact_transfer

    prices = exact_prices(point.tasks, point.model, point.W)
    found = exact_transfer(point.W, prices, point.model.coupling, support=point.B)
    if not found.unique:
        raise NotCertifiable(f"{undecided}, and B is not unique by the rationals")
    if found.gap != 0:
        raise NotCertifiable("the exact B-step did not end at a gap of 0")
    B = [[ball(value) for value in row] for row in found.B]
    T = point.tasks.T
    pairs = [(s, t) for s in range(T) for t in range(T) if s != t]
    x = [B[s][t] for s, t in pairs]
    return Edges(B, x, [k for k, value in enumerate(x) if not value.is_zero()])
