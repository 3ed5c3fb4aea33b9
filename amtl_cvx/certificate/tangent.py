r"""The tangent space of a penalty that has a prox alone, found by differencing the prox.

With V = B - G/h and B+ = prox(V), G = -2 lam W'(W - W B): the derivative D of the prox at V is symmetric with
eigenvalues in [0, 1] (Moreau), its range the tangent space of what B+ keeps (its zero rows, a spent budget).
Along an eigenvector z of eigenvalue e > 0

    curvature of R   h (1/e - 1)                    slope of R   z'h (V - B+)
    d slope / d l    -h z'(d prox / d l) / e

Entries of B+ that are 0 stay so nearby: their rows of D are 0, and as D is symmetric their columns, so that
it is found from differences in the others alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_DIFFERENCE = 1e-6  # relative step of differences
LEAST = 1e-5
"""Eigenvalues of the prox below which a direction is not free."""


class Tangent(NamedTuple):
    """Directions in which B+ may move, and the penalty along them."""

    h: float
    V: Array
    """(T, T)"""
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
    blur: float
    """What rounding leaves of a difference in V, relative to a derivative of 1."""
    blur_rates: Array
    """The same in the losses, for the rates times the eigenvalue, (T,)."""


def prox_point(point: Point) -> tuple[float, Array, Array]:
    """h, V (T, T) and B+ = prox(V) (T, T) of the module essay."""
    model = point.model
    h = 2.0 * model.coupling * float(np.linalg.norm(point.W, 2)) ** 2 or 1.0  # no step raises J
    V = point.B - point.coupling_gradient_B / h
    return h, V, model.transfer.prox(V, 1.0 / h, point.weighted_losses)


def tangent_at(point: Point, *, room: float = np.inf) -> Tangent:
    """The tangent space at a point, from differences of the prox; V and prices move less than `room`."""
    transfer, T, losses = point.model.transfer, point.tasks.T, point.weighted_losses
    h, V, after = prox_point(point)
    places = np.flatnonzero(after)

    def found(move: Array | float, losses: Array) -> Array:
        return transfer.prox(V + move, 1.0 / h, losses).ravel()[places]

    known = np.where(after, np.abs(V), 0.0)
    scale = np.minimum(known.max(axis=1, keepdims=True), known.max(axis=0))  # no group is shorter than that
    size = np.minimum(_DIFFERENCE * scale.ravel()[places], 0.5 * room)
    D = np.empty((len(places), len(places)))
    for column, (place, step) in enumerate(zip(places, size, strict=True)):
        move = np.zeros((T, T))
        move.flat[place] = step
        D[:, column] = (found(move, losses) - found(-move, losses)) / (2.0 * step)
    values, vectors = np.linalg.eigh(0.5 * (D + D.T))
    free = values > LEAST
    e, F = np.minimum(values[free], 1.0), vectors[:, free].T
    Z = np.zeros((len(F), T, T))
    Z.reshape(len(F), T * T)[:, places] = F  # also where there is none
    rates = np.empty((len(F), T))
    shifts = _DIFFERENCE * np.maximum(np.maximum(losses, float(losses.mean())), 1e-300)
    shifts = np.minimum(shifts, 0.5 * room * h / max(transfer.mu, 1e-300))
    for u, shift in enumerate(np.diag(shifts)):
        low, high = np.maximum(losses - shift, 0.0), losses + shift
        rates[:, u] = -h * (F @ (found(0.0, high) - found(0.0, low))) / (high - low)[u] / e
    lost = 2.0 * float(np.finfo(np.float64).eps) * float(known.max(initial=0.0))
    return Tangent(
        h=h,
        V=V,
        B=after,
        Z=Z,
        slope=h * np.einsum("kst,st->k", Z, V - after),
        curvature=h * (1.0 / e - 1.0),
        rates=rates,
        blur=lost / float(size.min(initial=np.inf)),
        blur_rates=h * lost / shifts,
    )
