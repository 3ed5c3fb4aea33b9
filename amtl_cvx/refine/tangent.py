r"""Newton steps for a penalty that has a prox alone: on (W, tangent of B), found by differencing the prox.

At a point with W = W*(B), V = B - G/h and B+ = prox(V), G = -2 lam W'(W - W B): the derivative D of the prox
at V is symmetric with eigenvalues in [0, 1] (Moreau), its range the tangent space of what B+ keeps (its zero
rows, a spent budget). Along an eigenvector z of eigenvalue e > 0

    curvature of R   h (1/e - 1)                    slope of R   z'h (V - B+)
    d slope / d l    -h z'(d prox / d l) / e

so that Newton's method on (W, B+ + Z y) needs nothing else of the penalty. Entries of B+ that are 0 stay so
nearby: their rows of D are 0, and as D is symmetric their columns, so that it is found from differences in
the others alone. Where every move of these is a tangent (no budget is spent), R is smooth in them, and a step
minimises the model exactly over B >= 0, as for penalties with prices: what wants to enter is above 0 in B+,
and entries leave by the dozen. A step is taken only if J does not rise; what it leaves undone (a row that
enters, a budget that is met) the exact rounds of the alternation do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays.cholesky import solved
from amtl_cvx.problem import Point
from amtl_cvx.refine.variables import Variables, coupling_blocks, free_part
from amtl_cvx.subproblems.kinks import free_directions
from amtl_cvx.subproblems.numpy_steps import cholesky
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
    h = 2.0 * model.coupling * float(np.linalg.norm(point.W, 2)) ** 2 or 1.0  # no step raises J
    V = point.B - point.coupling_gradient_B / h
    after = transfer.prox(V, 1.0 / h, losses)
    places = np.flatnonzero(after)

    def found(move: Array | float, losses: Array) -> Array:
        return transfer.prox(V + move, 1.0 / h, losses).ravel()[places]

    size = _DIFFERENCE * np.maximum(np.abs(V).max(axis=1), 1e-300)
    D = np.empty((len(places), len(places)))
    for column, place in enumerate(places):
        move = np.zeros((T, T))
        move.flat[place] = step = size[place // T]
        D[:, column] = (found(move, losses) - found(-move, losses)) / (2.0 * step)
    values, vectors = np.linalg.eigh(0.5 * (D + D.T))
    free = values > _LEAST
    e, F = np.minimum(values[free], 1.0), vectors[:, free].T
    Z = np.zeros((len(F), T, T))
    Z.reshape(len(F), T * T)[:, places] = F  # also where there is none
    rates = np.empty((len(F), T))
    for u in range(T):
        shift = np.zeros(T)
        shift[u] = _DIFFERENCE * max(float(losses[u]), float(losses.mean()), 1e-300)
        low, high = np.maximum(losses - shift, 0.0), losses + shift
        rates[:, u] = -h * (F @ (found(0.0, high) - found(0.0, low))) / (high - low)[u] / e
    return Tangent(
        B=after,
        Z=Z,
        slope=h * np.einsum("kst,st->k", Z, V - after),
        curvature=h * (1.0 / e - 1.0),
        rates=rates,
    )


def tangent_variables(point: Point) -> Variables:
    """Moves of B+ along its tangent, with J to second order there; W is eliminated from the gradient.

    Where that is the space of all entries of B+ that are not 0, these are moved, down to 0 at most.
    """
    T, W, tangent = point.tasks.T, point.W, tangent_at(point)
    base, Z = point.at(B=tangent.B), tangent.Z
    places = np.flatnonzero(base.B)
    F = Z.reshape(len(Z), T * T)[:, places]
    WW, BW, BB, gradient = coupling_blocks(base, *np.divmod(places, T))
    BW = F @ BW + (tangent.rates[:, :, None] * gradient[None]).reshape(len(Z), W.size)
    WW, BW = free_part(base, WW, BW)
    slope = F @ base.coupling_gradient_B.ravel()[places] + tangent.slope
    BB = F @ BB @ F.T + np.diag(tangent.curvature)
    if point.model.smooth_in_W:
        slope = slope - BW @ solved(cholesky(WW.copy()), base.gradient_W.T.ravel())
    elif point.model.prox_omega is not None:  # at W its slope along these moves is as it was
        pull = free_directions(base)[0].T @ (base.smooth_gradient_W - point.smooth_gradient_W).T.ravel()
        slope = slope - BW @ solved(cholesky(WW.copy()), pull)
    if bounded := len(Z) == len(places) and not point.model.transfer.feasible(T).signed:
        slope, BW, BB = F.T @ slope, F.T @ BW, F.T @ BB @ F

    def graph(move: Array) -> Array:
        new = base.B.copy()
        new.flat[places] = move if bounded else new.flat[places] + move @ F
        return point.model.transfer.project(new)

    return Variables(
        value=base.B.flat[places] if bounded else np.full(len(Z), np.inf),
        graph=graph,
        base=base.B,
        gradient=slope,
        WW=WW,
        BW=BW,
        BB=BB,
        free=not bounded,
    )
