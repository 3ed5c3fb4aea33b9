r"""Kinks of the reconstruction: entries of R = F A that are exactly 0, and the l1 terms that hold them there.

With c_ij = 2 gamma times_i z_ij, R_ij = 0 adds -c_ij max(R_ij'(x; d), 0) to the directional derivative of J:
a concave kink, of which J falls on one side or the other unless the directions that move R_ij cost something.
R_ij is 0 to the last bit where A_.j = 0, and wherever every task t with A_tj != 0 has all its features off on
row i, so that F_it = 0. To first order, with q = S A,

    R_ij' = sum_t F_it dA_tj + sum_jt z_ij' A_tj dS_j't + sum_j' q_j'j z_ij''

The first two sums move entries of A and S, most of them zeros with a price. Take e any such entry, p_e its
price if it is 0, g_e the rest of the slope of J in it, s = 1 or -1, n_ije its factor above. max(., 0) being
sublinear, sum c max(R', 0) <= sum_e |d_e| phi_e(sign d_e), with equality where only one entry moves, hence

    J' >= 0 in these entries   <=>   p_e + s g_e >= phi_e(s) = sum_ij c_ij max(s n_ije, 0) for every e and s

which is the box of the l1 term where there is no such kink, and for an empty column of A is
max_t,s 2 gamma sum_i times_i z_ij max(s F_it, 0) <= p_t. The third sum moves features of the last layer. One
that is on its kink has its weight w_ij' less by sum_j c_ij max(q_j'j, 0), by the same argument exactly; one
that is on moves with entries of V that have no price: where its q is not 0 the kink is not protected, and the
weight w_ij' of that feature jumps by up to sum_j c_ij max(+-q_j'j, 0) across it. Where c_ij = 0, J is
differentiable there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.network.point import ROUNDING, NetworkPoint


class Vertex(NamedTuple):
    """What the kinks of the reconstruction take from J; all of it 0 where there is none."""

    S: tuple[Array, Array]
    """phi of the entries of S as they rise and as they fall, (k, T) each."""
    A: tuple[Array, Array]
    """The same of A, with the bias of the feedback as last row where there is one."""
    kinks: Array
    """By how much features that are on their kinks have less weight, (N, k)."""
    jumps: Array
    """By how much the weight of features that are on jumps, (N, k)."""
    protected: int
    """How many such kinks only move entries of S and A, and features on their kinks."""
    unprotected: int
    """How many others there are."""


def vertex(point: NetworkPoint) -> Vertex:
    """The kinks of the reconstruction at a point, found once."""
    return point.kept("vertex", lambda: _vertex(point))


def concave(point: NetworkPoint) -> Array:
    """c_ij = 2 gamma times_i z_ij where R_ij = 0, else 0, (N, k)."""
    pull = 2.0 * point.problem.gamma * point.problem.rows.times[:, None] * point.features
    return np.where(point.meeting, pull, 0.0)


def _vertex(point: NetworkPoint) -> Vertex:
    c, S, A = concave(point), point.S, point.A
    if not c.any():
        none, every = np.zeros_like(S), np.zeros_like(point.A_plus)
        return Vertex((none, none), (every, every), np.zeros_like(c), np.zeros_like(c), 0, 0)
    Z, F = point.features, point.F_plus
    q = S @ A
    q[np.abs(q) <= ROUNDING * (np.abs(S) @ np.abs(A))] = 0.0
    up, down = c @ _plus(q).T, c @ _plus(-q).T
    moved = (Z > 0.0).astype(float) @ (q != 0.0) > 0.0
    free: Mask = (c > 0.0) & moved
    return Vertex(
        (Z.T @ (c @ _plus(A).T), Z.T @ (c @ _plus(-A).T)),
        (_plus(F).T @ c, _plus(-F).T @ c),
        np.where(point.touching[-1], up, 0.0),
        np.where(Z > 0.0, np.maximum(up, down), 0.0),
        int(np.count_nonzero((c > 0.0) & ~free)),
        int(np.count_nonzero(free)),
    )


def _plus(values: Array) -> Array:
    """max(., 0)."""
    return np.maximum(values, 0.0)
