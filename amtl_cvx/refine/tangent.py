r"""Newton steps for a penalty that has a prox alone: on (W, tangent of B), found by differencing the prox.

At a point with W = W*(B), V = B - G/h and B+ = prox(V), G = -2 lam W'(W - W B): the derivative D of the prox
at V is symmetric with eigenvalues in [0, 1] (Moreau), its range the tangent space of what B+ keeps (its zero
rows, a spent budget). Along an eigenvector z of eigenvalue e > 0

    curvature of R   h (1/e - 1)                    slope of R   z'h (V - B+)
    d slope / d l    -h z'(d prox / d l) / e

so that Newton's method on (W, B+ + Z y) needs nothing else of the penalty. The prox acts row by row, so D is
a block a row and takes T differences. A step is taken only if J does not rise; what it leaves undone (a row
that enters, a budget that is met) the exact rounds of the alternation do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.problem import Point
from amtl_cvx.refine.variables import Variables, coupling_blocks, free_part
from amtl_cvx.tasks import Array

_DIFFERENCE = 1e-6  # relative step of differences
_LEAST = 1e-5  # eigenvalues of the prox below which a direction is not free


class Tangent(NamedTuple):
    """Directions in which B+ may move, and the penalty along them."""

    B: Array
    """B+ (T, T)"""
    Z: Array
    """(k, T, T), orthonormal."""
    slope: Array
    """Derivative of R along each, (k,)."""
    curvature: Array
    """(k,), >= 0"""
    rates: Array
    """Derivative of the slopes in the weighted losses, (k, T)."""


def tangent_at(point: Point) -> Tangent:
    """The tangent space at a point, from differences of the prox."""
    model = point.model
    transfer, T = model.transfer, point.tasks.T
    losses = point.weighted_losses
    h = np.full(
        (T, 1), 2.0 * model.coupling * float(np.linalg.norm(point.W, 2)) ** 2 or 1.0
    )  # no step raises J
    V = point.B - point.coupling_gradient_B / h
    after = transfer.prox(V, 1.0 / h, losses)
    size = _DIFFERENCE * np.maximum(np.abs(V).max(axis=1, keepdims=True), 1e-300)
    D = np.zeros((T, T, T))
    for t in range(T):
        move = np.zeros((T, T))
        move[:, t] = size[:, 0]
        D[:, :, t] = (transfer.prox(V + move, 1.0 / h, losses) - transfer.prox(V - move, 1.0 / h, losses)) / (
            2.0 * size
        )
    values, vectors = np.linalg.eigh(0.5 * (D + D.transpose(0, 2, 1)))
    rows, which = np.nonzero(values > _LEAST)
    e = np.minimum(values[rows, which], 1.0)
    Z = np.zeros((len(rows), T, T))
    Z[np.arange(len(rows)), rows] = vectors[rows, :, which]
    rates = np.zeros((len(rows), T))
    for u in range(T):
        shift = np.zeros(T)
        shift[u] = _DIFFERENCE * max(float(losses[u]), float(losses.mean()), 1e-300)
        low = np.maximum(losses - shift, 0.0)
        changed = transfer.prox(V, 1.0 / h, losses + shift) - transfer.prox(V, 1.0 / h, low)
        along = np.einsum("kst,st->k", Z, changed) / (losses[u] + shift[u] - low[u])
        rates[:, u] = -h[rows, 0] * along / e
    return Tangent(
        B=after,
        Z=Z,
        slope=np.einsum("kst,st->k", Z, h * (V - after)),
        curvature=h[rows, 0] * (1.0 / e - 1.0),
        rates=rates,
    )


def tangent_variables(point: Point) -> Variables:
    """Moves of B+ along its tangent, with J to second order there; W is eliminated from the gradient."""
    T, W, tangent = point.tasks.T, point.W, tangent_at(point)
    base, Z = point.at(B=tangent.B), tangent.Z
    places = np.flatnonzero(np.abs(Z).max(axis=0, initial=0.0).ravel() > 0.0)
    F = Z.reshape(len(Z), T * T)[:, places]
    WW, BW, BB, gradient = coupling_blocks(base, *np.divmod(places, T))
    BW = F @ BW + (tangent.rates[:, :, None] * gradient[None]).reshape(len(Z), W.size)
    WW, BW = free_part(base, WW, BW)
    slope = F @ base.coupling_gradient_B.ravel()[places] + tangent.slope
    if point.model.loss.smooth:
        slope = slope - BW @ np.linalg.solve(WW, base.gradient_W.T.ravel())
    return Variables(
        value=np.full(len(Z), np.inf),
        graph=lambda move: point.model.transfer.project(base.B + np.einsum("k,kst->st", move, Z)),
        base=base.B,
        gradient=slope,
        WW=WW,
        BW=BW,
        BB=F @ BB @ F.T + np.diag(tangent.curvature),
        free=True,
    )
