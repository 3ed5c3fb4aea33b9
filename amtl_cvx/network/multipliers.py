r"""Multipliers of the active kinks: theta in [0, w] with which the gradient of J in the layers is 0.

    one layer   by unit j: min over 0 <= theta <= w_.j of ||D_j (g_j + X_j' theta)||, X_j its rows on a kink
    several     min over theta of ||D (g0 + sum_m theta_m a_m)|| subject to 0 <= theta <= w(theta) (`kinks`)

D divides each entry by its size (`sizes`). The second is solved without its bounds first, which the answer
meets if the normals are independent and the point is stationary; otherwise with slacks s = w(theta) - theta
>= 0, as bounded least squares again, which is exact.

What is judged does not depend on how theta was found: masks theta / w, clipped to [0, 1] from the last layer
down, where w is that of the clipped masks above, go into `NetworkPoint.gradient`, so that 0 <= theta <= w
holds by construction and any theta whatever gives a residual that is valid (`residuals`). w is what the kinks
of the reconstruction leave of it (`vertex`); where it is not above 0 the mask is 0.

Source: bounded least squares (BVLS), Stark and Parker, Computational Statistics 1995.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import lsq_linear

from amtl_cvx.arrays import Array
from amtl_cvx.network.backward import Gradient
from amtl_cvx.network.kinks import Kinks, kinks
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.sizes import Sizes, sizes
from amtl_cvx.network.vertex import vertex

_INSIDE = 1e-9  # of w, by which theta of the unbounded problem may leave its bounds
_BOUNDED = 3000  # most kinks of several layers for which bounded least squares are tried


@dataclass(frozen=True, eq=False)
class Multipliers:
    """Masks of all units, with what follows from them."""

    masks: tuple[Array, ...]
    """1 where a unit is on, theta / w on an active kink, else 0; (N, k_l) by layer."""
    theta: tuple[Array, ...]
    """Of active kinks, else 0."""
    weights: tuple[Array, ...]
    """w with these masks, less what kinks of the reconstruction take from it."""
    gradient: Gradient
    """With these masks."""
    sizes: Sizes
    """The same."""


def multipliers(point: NetworkPoint) -> Multipliers:
    """Those of a point, found once."""
    return point.kept("multipliers", lambda: _multipliers(point))


def _multipliers(point: NetworkPoint) -> Multipliers:
    active = kinks(point)
    if not len(active):
        return _with(point, active, [np.zeros((0,))] * len(point.V))
    if len(point.V) == 1:
        return _with(point, active, [_one_layer(point, active)])
    if not active.feasible:
        return _with(point, active, [np.zeros(count) for count in active.counts])
    return _several(point, active)


def _with(point: NetworkPoint, active: Kinks, theta: Sequence[Array]) -> Multipliers:
    """The masks of theta, clipped from the last layer down to what w is there."""
    masks = [on.astype(float) for on in point.on]
    weights, found = list(masks), [np.zeros_like(mask) for mask in masks]
    w, taken = point.gradient().kinks[-1], vertex(point).kinks
    for number in reversed(range(len(masks))):
        (rows, units), pool = active.places[number], active.pools[number]
        weights[number] = w - taken
        weights[number][rows, units] = pool.mean(weights[number][rows, units])
        kept = np.clip(pool.mean(theta[number]), 0.0, np.maximum(weights[number][rows, units], 0.0))
        share = np.divide(kept, pool.mean(w[rows, units]), out=np.zeros_like(kept), where=kept > 0.0)
        masks[number][rows, units], found[number][rows, units] = share, kept
        if number:
            taken = _taken_below(point, active, number, weights[number])
            w = (masks[number] * w) @ point.V[number][: point.Z[number - 1].shape[1]].T
    kept_masks = tuple(masks)
    return Multipliers(
        kept_masks, tuple(found), tuple(weights), point.gradient(kept_masks), sizes(point, kept_masks)
    )


def _taken_below(point: NetworkPoint, active: Kinks, number: int, weights: Array) -> Array:
    """What hollow kinks with a weight below 0 take from the weights of the layer below, (N, k_(l-1))."""
    concave = np.where(active.hollow[number], np.maximum(-weights, 0.0), 0.0)
    return concave @ np.maximum(point.V[number][: point.Z[number - 1].shape[1]], 0.0).T


def _one_layer(point: NetworkPoint, active: Kinks) -> Array:
    """theta of the kinks of one hidden layer, unit by unit, (m,)."""
    gradient, (rows, units) = point.gradient(), active.places[0]
    room = np.maximum(gradient.kinks[0] - vertex(point).kinks, 0.0)[rows, units]
    scale = _scales(point, active)[0]
    theta = np.zeros(len(rows))
    for unit in np.unique(units):
        at = np.flatnonzero((units == unit) & (room > 0.0))
        D = scale[:, unit]
        normals = point.below[0][rows[at]].T
        theta[at] = room[at] * _within(D[:, None] * (normals * room[at]), -D * gradient.V[0][:, unit])
    return theta


def _scales(point: NetworkPoint, active: Kinks) -> tuple[Array, ...]:
    """D: one over the sizes where all kinks are on, by layer; 0 where there is no size."""
    full = [np.where(at, 1.0, on) for at, on in zip(active.active, point.on, strict=True)]
    found = sizes(point, full).V
    return tuple(np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0) for size in found)


def _within(A: Array, b: Array) -> Array:
    """argmin ||A t - b|| over 0 <= t <= 1."""
    if not A.shape[1]:
        return np.zeros(0)
    free = np.linalg.lstsq(A, b, rcond=None)[0]
    if ((free >= 0.0) & (free <= 1.0)).all():
        return np.asarray(free)
    return np.clip(_bounded(A, b, 1.0), 0.0, 1.0)


def _bounded(A: Array, b: Array, high: float) -> Array:
    """argmin ||A t - b|| over 0 <= t <= high."""
    found = lsq_linear(A, b, bounds=(0.0, high), method="bvls", tol=1e-15, max_iter=20 * A.shape[1])
    return np.asarray(found.x, dtype=np.float64)


def unbounded(point: NetworkPoint) -> tuple[Array, ...]:
    """theta / w of the active kinks where theta has no bounds and w any sign, (m_l,) by layer.

    At a stationary point that was moved onto kinks where it is not, this is 1 or 0 at such a kink: the mask
    of a unit that is on, or off, whatever the sign of its weight.
    """
    active = kinks(point)
    if len(point.V) == 1:
        gradient, scale, (rows, units) = point.gradient(), _scales(point, active)[0], active.places[0]
        theta = np.zeros(len(rows))
        for unit in np.unique(units):
            at, D = np.flatnonzero(units == unit), scale[:, unit]
            normals = D[:, None] * point.below[0][rows[at]].T
            theta[at] = np.linalg.lstsq(normals, -D * gradient.V[0][:, unit], rcond=None)[0]
        w = gradient.kinks[0][rows, units]
    elif active.feasible:
        system = _system(point, active)
        theta, w = system.free, system.w0 + system.crossed @ system.free
    else:
        return tuple(np.full(count, np.nan) for count in active.counts)
    shares = np.divide(theta, w, out=np.zeros_like(w), where=w != 0.0)
    return tuple(shares[at] for at in active.parts)


class _System(NamedTuple):
    """The conditions of several layers on theta, (m,): A theta = b, 0 <= theta <= w0 + crossed theta."""

    A: Array
    b: Array
    D: Array
    crossed: Array
    w0: Array
    size: Array
    """Of w."""
    free: Array
    """argmin ||A theta - b||."""


def _system(point: NetworkPoint, active: Kinks) -> _System:
    layers = point.problem.layout.V
    normals, crossed = active.system
    D = np.concatenate([scale.ravel() for scale in _scales(point, active)])
    g0 = np.concatenate([part.ravel() for part in point.gradient().V])
    A, b = (normals[:, : layers[-1].stop] * D).T, -D * g0
    size = np.concatenate(
        [w[place] for w, place in zip(_kink_sizes(point, active), active.places, strict=True)]
    )
    size = np.where(size > 0.0, size, 1.0)
    free = size * np.linalg.lstsq(A * size, b, rcond=None)[0]
    own = point.gradient().kinks
    w0 = np.concatenate([w[place] for w, place in zip(own, active.places, strict=True)])
    last, (rows, units) = active.parts[-1], active.places[-1]
    w0[last] -= vertex(point).kinks[rows, units]
    return _System(A, b, D, active.pooled(crossed.T), active.pooled(w0), size, active.pooled(free))


def _several(point: NetworkPoint, active: Kinks) -> Multipliers:
    """Those of several layers: without bounds where the normals are independent, else within them."""
    A, b, D, crossed, w0, size, free = _system(point, active)
    room = w0 + crossed @ free
    if _empty(active, room, w0, crossed):
        room = w0 + crossed @ free
    if ((free >= -_INSIDE * size) & (free <= room + _INSIDE * size)).all() or len(active) > _BOUNDED:
        return _with(point, active, [free[at] for at in active.parts])
    theta = _with_slacks(A, b, crossed, w0, size)
    best = (_with(point, active, [each[at] for at in active.parts]) for each in (free, theta))
    return min(best, key=lambda found: _miss(found, D))


def _empty(active: Kinks, room: Array, w0: Array, crossed: Array) -> bool:
    """Take from w0 what hollow kinks with a weight below 0 take, and leave them no room; whether any do."""
    found = False
    hollow = np.concatenate([mask[at] for mask, at in zip(active.hollow, active.places, strict=True)])
    for number in reversed(range(1, len(active.parts))):
        at = np.arange(*active.parts[number].indices(len(w0)))
        for m in at[hollow[at] & (room[at] < 0.0)]:
            taken = np.maximum(crossed[:, m], 0.0) * -room[m]
            w0 -= taken
            room -= taken
            w0[m], crossed[m], found = 0.0, 0.0, True
    return found


def _with_slacks(A: Array, b: Array, crossed: Array, w0: Array, size: Array) -> Array:
    """argmin ||A theta - b|| over theta >= 0, s = w0 + crossed theta - theta >= 0, in units of `size`."""
    m = len(w0)
    Q, R = np.linalg.qr(A * size)
    held = (np.eye(m) - crossed) * size / size[:, None]
    top = np.hstack([R, np.zeros((len(R), m))])
    whole = np.vstack([top, np.hstack([held, np.eye(m)])])
    found = _bounded(whole, np.concatenate([Q.T @ b, w0 / size]), np.inf)
    return np.asarray(size * found[:m])


def _kink_sizes(point: NetworkPoint, active: Kinks) -> tuple[Array, ...]:
    """The sizes of w where all kinks are on."""
    full = [np.where(at, 1.0, on) for at, on in zip(active.active, point.on, strict=True)]
    return sizes(point, full).kinks


def _miss(found: Multipliers, D: Array) -> float:
    """The worst entry of the gradient in the layers, in units of the sizes."""
    whole = np.concatenate([part.ravel() for part in found.gradient.V])
    return float(np.abs(D * whole).max(initial=0.0))
