r"""What a Newton step moves besides W: entries of B, or the coefficients of its atoms.

A penalty that is linear over B >= 0 moves entries of B. One with `atoms`, B = base + E x, x >= lo and
R = (P l + p0)'x + (Q l + q0)'x^2, moves x: with G_B, BW and BB the coupling's derivatives in entries of B,

    slope_x   E'G_B + p + 2 q x                  p = P l + p0, q = Q l + q0
    x-W       E'BW + (P + 2 x Q) (x) c grad l    row by row
    x-x       E'BB E + 2 diag(q)

Any other penalty with an exact prox is refined by `tangent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from amtl_cvx.certificate.curvature import atom_blocks, edge_blocks
from amtl_cvx.problem import Model, Point
from amtl_cvx.subproblems.kinks import free_directions, loss_slopes
from amtl_cvx.tasks import Array, Indices
from amtl_cvx.transfer import atoms_of

Engine = Literal["entries", "atoms", "prox"]


def engine_of(model: Model, T: int) -> Engine | None:
    """What refines this penalty: Newton on entries of B, on atoms, on tangents of its prox; or nothing."""
    transfer = model.transfer
    if transfer.row_prices(np.zeros(T)) is not None:
        return "entries"
    if atoms_of(transfer, T) is not None:
        return "atoms"
    return "prox" if transfer.row_steps or transfer.exact_prox else None


class Variables(NamedTuple):
    """The chosen variables: where they are above their bounds, and what B is for other values."""

    value: Array
    """(k,), >= 0; infinite where `free`"""
    graph: Callable[[Array], Array]
    """B (T, T) for other values of these (for moves where `free`), the rest as it is."""
    base: Array
    """B (T, T) where the derivatives are taken."""
    gradient: Array
    WW: Array
    BW: Array
    BB: Array
    free: bool = False
    """Whether they have no bounds."""


def loss_blocks(point: Point) -> tuple[Array, Array]:
    """WW and what stands for the gradients of the losses (d, T); WW comes with `free_part` at kinks."""
    return point.hessian_W() if point.model.smooth_in_W else np.empty((0, 0)), loss_slopes(point)


def coupling_blocks(point: Point, sources: Indices, targets: Indices) -> tuple[Array, Array, Array, Array]:
    """WW, BW and BB without what the penalty adds to them, and c grad l (T, d) by tasks.

    Where J has kinks in W it stands for its moves along which J is smooth: BW is for all of W then, and WW
    comes with them (see `free_part`).
    """
    WW, gradient = loss_blocks(point)
    none = np.zeros((len(sources), point.tasks.T))
    BW, BB = edge_blocks(point, sources, targets, gradient, rates=none)
    return WW, BW, BB, (point.problem.task_weight * gradient).T


def free_part(point: Point, WW: Array, BW: Array) -> tuple[Array, Array]:
    """WW and BW in the directions in which W moves: all of them unless J has kinks in W."""
    if point.model.smooth_in_W:
        return WW, BW
    N, WW = free_directions(point)
    return WW, BW @ N


def atom_variables(point: Point, *, most: int) -> Variables:
    """The atoms that are above their bound or want to leave it, the steepest first up to about `most`."""
    atoms, x, slope = point.problem.atoms, point.coefficients, point.gradient_x
    assert atoms is not None
    above = x > atoms.lo
    enters = ~above & (slope < 0.0)
    paired = atoms.opposite >= 0
    enters[paired] &= ~above[atoms.opposite[paired]]  # an entry passes through 0
    room = max(most - int(above.sum()), 100)
    if int(enters.sum()) > room:
        enters &= slope <= np.partition(slope[enters], room - 1)[room - 1]
    chosen = np.flatnonzero(above | enters)
    WW, gradient = loss_blocks(point)
    BW, BB = atom_blocks(point, chosen, gradient)
    WW, BW = free_part(point, WW, BW)

    def graph(value: Array) -> Array:
        new = x.copy()
        new[chosen] = atoms.lo[chosen] + value
        return atoms.graph(new)

    return Variables(
        value=x[chosen] - atoms.lo[chosen],
        graph=graph,
        base=point.B,
        gradient=slope[chosen],
        WW=WW,
        BW=BW,
        BB=BB,
    )
