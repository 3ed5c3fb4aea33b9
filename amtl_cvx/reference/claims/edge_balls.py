r"""The best B for a W to any number of digits, for penalties with prices by rows.

Prices are exact or balls; on the support P of the stored B

    2 coupling A_P'A_P b_P = 2 coupling A_P'w - p_P,    b_P > 0,    q = p - 2 coupling A'(w - A b) > 0 off P

in balls: b is the only minimiser. Where some q is 0 exactly the rationals say so (`exact_transfer`), if B is
unique all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import arb, arb_mat

from amtl_cvx.digits.decimals import at_most, decimal
from amtl_cvx.digits.krawczyk import Undecided
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.balls import DIGITS, DPS, ball, named, stacked


def best_edges(point: Point) -> dict[str, Any]:
    """The b-step of a penalty with prices by rows."""
    from amtl_cvx.digits.prices import linear_prices

    pairs = linear_prices(point.model.transfer, point.tasks.T)
    try:
        B, radius, method = _support_edges(point, pairs), 0.0, "balls on the support"
    except Undecided as undecided:
        B, method = _rational_edges(point, undecided), "exact rationals"
    width = max((entry.rad() for row in B for entry in row), default=arb(0))
    radius = at_most(arb(width))
    T = point.tasks.T
    free = [(s, t) for t in range(T) for s in range(T) if s != t and not B[s][t].is_zero()]
    place = {(s, t): k for k, (s, t) in enumerate((s, t) for s in range(T) for t in range(T) if s != t)}
    system = FirstOrderSystem(point.tasks, point.model, [place[pair] for pair in free], _sides(point))
    W = arb_mat(point.W.tolist())
    J = _objective_at(system, W, [B[s][t] for s, t in free])
    return named(
        point,
        {
            "B": [["0" if entry.is_zero() else decimal(entry, DIGITS) for entry in row] for row in B],
            "objective": decimal(J, DIGITS),
            "radius": radius,
            "method": method,
            "dps": DPS,
        },
    )


def _sides(point: Point) -> Any:
    """On which side of its kink every row is, of a loss with kinks; exact at the doubles of W."""
    if point.model.loss.smooth:
        return None
    from amtl_cvx.digits.pieces import exact

    sides = []
    for task, w in zip(point.tasks, point.W.T, strict=True):
        kinks = point.model.loss.kinks(task.y).tolist()
        z = [
            sum((exact(a) * exact(b) for a, b in zip(x, w.tolist(), strict=True)), exact(0))
            for x in task.X.tolist()
        ]
        sides.append(tuple(1 if value > exact(k) else -1 for value, k in zip(z, kinks, strict=True)))
    return tuple(sides)


def _objective_at(system: FirstOrderSystem, W: arb_mat, edges: Sequence[arb]) -> arb:
    """J, whose system may hold multipliers of rows beside the edges."""
    more = system.size - W.nrows() * W.ncols() - len(edges)
    found: arb = system.objective(stacked(W, [*edges, *[arb(0)] * more]))
    return found


def _prices(point: Point, pairs: Sequence[tuple[float, float]]) -> list[arb]:
    """p_s at W."""
    system = FirstOrderSystem(point.tasks, point.model, (), _sides(point))
    weighted = system.weighted(system.losses(arb_mat(point.W.tolist())))
    return [
        arb(fixed) + (arb(unit) - arb(fixed)) * each
        for (fixed, unit), each in zip(pairs, weighted, strict=True)
    ]


def _support_edges(point: Point, pairs: Sequence[tuple[float, float]]) -> list[list[arb]]:
    """B by rows, zeros exact; `Undecided` where a multiplier or an edge may be 0."""
    T, W = point.tasks.T, arb_mat(point.W.tolist())
    gram, twice = W.transpose() * W, 2 * arb(float(point.model.coupling))
    p = _prices(point, pairs)
    B = [[arb(0)] * T for _ in range(T)]
    for t in range(T):
        P = [s for s in range(T) if point.B[s, t] > 0.0 and s != t]
        if P:
            A = arb_mat([[twice * gram[s, u] for u in P] for s in P])
            right = arb_mat(len(P), 1, [twice * gram[s, t] - p[s] for s in P])
            try:
                found = A.solve(right).entries()
            except ZeroDivisionError:
                raise Undecided("the predictors of a support are linearly dependent, or nearly so") from None
            for s, value in zip(P, found, strict=True):
                if not value > 0:
                    raise Undecided("an edge of the support may be 0")
                B[s][t] = value
        for s in range(T):
            if s == t or s in P:
                continue
            q = p[s] - twice * (gram[s, t] - sum((gram[s, u] * B[u][t] for u in P), arb(0)))
            if not q > 0:
                raise Undecided("a multiplier off the support may be 0")
    return B


def _rational_edges(point: Point, undecided: Exception) -> list[list[arb]]:
    """The same over the rationals, where B is unique."""
    from amtl_cvx.digits import exact_prices, exact_transfer

    prices = exact_prices(point.tasks, point.model, point.W)
    found = exact_transfer(point.W, prices, point.model.coupling, support=point.B)
    if not found.unique:
        raise NotCertifiable(f"{undecided}, and B is not unique by the rationals")
    if found.gap != 0:
        raise NotCertifiable("the exact B-step did not end at a gap of 0")
    return [[ball(value) for value in row] for row in found.B]
