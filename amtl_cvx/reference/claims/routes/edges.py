"""The best B again, from the empty graph: over the rationals, or by accelerated proximal steps."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import numpy as np

from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.routes.again import Again

_STEPS = 200_000
_LARGEST = 4000
"""T^2 d up to which prices that are doubles are solved over the rationals."""


def edges_again(point: Point) -> Again:
    """B of a b-step."""
    small = point.tasks.T**2 * point.tasks.d <= _LARGEST
    if small and point.row_prices is not None and point.problem.atoms is not None:
        return _rational(point)
    return _proximal(point)


def _rational(point: Point) -> Again:
    """Columns over the rationals, without a support to begin with; prices exact or the doubles of NumPy."""
    from amtl_cvx.digits import exact_prices, exact_transfer, require_flint

    require_flint()
    try:
        prices, told = exact_prices(point.tasks, point.model, point.W), "exact prices"
    except NotCertifiable:
        assert point.row_prices is not None
        prices, told = tuple(Fraction(p) for p in point.row_prices.tolist()), "the prices of doubles"
    found = exact_transfer(point.W, prices, point.model.coupling)
    B = [[_text(value) for value in row] for row in found.B]
    near = np.array([[float(value) for value in row] for row in found.B])
    return Again(
        {"B": B},
        point.at(B=near).objective,
        f"the active-set method over the rationals from the empty graph, {told}",
    )


def _text(value: Fraction) -> str:
    from flint import arb, ctx

    from amtl_cvx.digits.decimals import decimal

    if not value:
        return "0"
    with ctx.workdps(100):
        return decimal(arb(value.numerator) / value.denominator, 45)


def _proximal(point: Point) -> Again:
    """Accelerated proximal steps that begin anew where J rises (O'Donoghue, Candes 2015)."""
    model, W = point.model, point.W
    if not model.transfer.has_prox:
        raise NotCertifiable(f"{type(model.transfer).__name__} has no prox, and nothing else derives B again")
    gram, losses = W.T @ W, point.weighted_losses
    h = 2.0 * model.coupling * float(np.linalg.eigvalsh(gram)[-1]) or 1.0
    B = model.transfer.project(np.zeros_like(point.B))
    V, momentum = B, 1.0
    for _ in range(_STEPS):
        slope = -2.0 * model.coupling * (gram - gram @ V)
        new = model.transfer.prox(V - slope / h, 1.0 / h, losses)
        if float(((V - new) * (new - B)).sum()) > 0.0:
            V, momentum = B, 1.0
            continue
        further = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        V = new + (momentum - 1.0) / further * (new - B)
        moved = float(np.abs(new - B).max())
        B, momentum = new, further
        if moved <= 1e-16 * float(np.abs(B).max(initial=0.0)):
            break
    return _ended(point.at(B=B), "accelerated proximal steps from the empty graph")


def _ended(point: Point, how: str) -> Again:
    """The end of the steps, to 45 digits on its support where the penalty has a system in balls."""
    from flint import ctx

    from amtl_cvx.digits.decimals import decimal
    from amtl_cvx.reference.claims.edge_balls import support_edges

    if point.problem.atoms is not None:
        with contextlib.suppress(NotCertifiable), ctx.workdps(100):
            found = support_edges(point).B
            B = [["0" if v.is_zero() else decimal(v, 45) for v in row] for row in found]
            near = point.at(B=np.array([[float(v.mid()) for v in row] for row in found]))
            return Again({"B": B}, near.objective, f"{how}, and balls on their support")
    return Again({"B": point.B}, point.objective, how)
