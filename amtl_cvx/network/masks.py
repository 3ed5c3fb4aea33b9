"""The masks that a step of kink Newton is made with: those that fit best, or what the last step said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.arrays import Array, Mask
from amtl_cvx.network.backward import Gradient
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.multipliers import multipliers
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.units import flat, layered


def fitted_masks(point: NetworkPoint) -> Array:
    """Those of the multipliers that fit best, (U,); 1 where a kink is concave, for up is where J falls."""
    found = multipliers(point)
    return _lifted(point, flat(found.masks), flat(kinks(point).active).astype(bool))


def carried_masks(point: NetworkPoint, held: Array) -> Array:
    """Those that the last step gave the units that it held, else of the cell, (U,); 1 as above."""
    own = flat(kinks(point).active).astype(bool) & ~np.isnan(held)
    return _lifted(point, np.where(own, held, flat(point.on)), own)


def _lifted(point: NetworkPoint, masks: Array, on: Mask) -> Array:
    """With 1 for those units whose kinks are concave."""
    w = flat(kinks(point).pooled_layers(point.gradient(layered(masks, point.U)).kinks))
    return np.where(on & (w < 0.0), 1.0, masks)


def upward_weights(point: NetworkPoint, masks: Sequence[Array], gradient: Gradient) -> tuple[Array, ...]:
    """w^l, what J gains as a unit turns on, (N, k_l) of each layer.

    It is dJ/dz^l but on a row on which all units of a layer are off, above which, without biases, u is 0 to
    the last bit: one unit that turns on lifts those above to which its weight is positive, and no others.

        w^l_im = sum_j w^(l+1)_ij max(V_(l+1)[m, j], 0)
    """
    w, found = gradient.kinks[-1], [gradient.kinks[-1]]
    for number in reversed(range(1, len(point.V))):
        V = point.V[number][: point.Z[number - 1].shape[1]]
        lifted = w @ np.maximum(V, 0.0).T
        w = (masks[number] * w) @ V.T
        if not point.model.fit_bias:
            w = np.where(point.Z[number - 1].any(axis=1, keepdims=True), w, lifted)
        found.append(w)
    return tuple(found[::-1])
