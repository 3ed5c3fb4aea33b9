"""The masks that a step of kink Newton is made with: those that fit best, or what the last step said."""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array, Mask
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
    w = flat(point.gradient(layered(masks, point.U)).kinks)
    return np.where(on & (w < 0.0), 1.0, masks)
