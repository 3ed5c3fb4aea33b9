"""How far a point is from first order with masks that are given: kink Newton goes by it where J is rounding.

The lines of `residuals` with the masks of the last step in the place of those that are best, and without what
kinks of the reconstruction take. But for these it is never below the residual, and costs one backward pass.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.certificate.misses import ROOM
from amtl_cvx.network.entries import entry_prices, feedback_entries
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.sizes import sizes
from amtl_cvx.network.units import flat, layered


def shortfall(point: NetworkPoint, fractions: Array) -> float:
    """The worst entry, or kink, over the size of its terms.

    Parameters
    ----------
    point : NetworkPoint
        Where.
    fractions : (U,) array
        Masks of the units that are held, no number elsewhere.
    """
    held = ~np.isnan(fractions) & flat(point.touching).astype(bool)
    masks = layered(np.where(held, fractions, flat(point.on)), point.U)
    gradient, size = point.gradient(masks), sizes(point, masks)
    price, x, g = entry_prices(point), point.vector, gradient.vector
    excess = np.maximum(np.abs(g) - price, 0.0)
    if not point.model.signed:
        at = feedback_entries(point)
        excess[at] = np.maximum(-g[at] - price[at], 0.0)
    off = np.where(x == 0.0, excess, np.abs(g + price * np.sign(x)))
    A = size.A.copy()
    A[: point.tasks.T] += ROOM * size.prices[:, None]
    A[point.tasks.T :] = size.bias
    scale = price + point.problem.layout.joined(*size.V, size.S, A)
    concave = [
        np.where(at, np.maximum(-w, 0.0), 0.0)
        for at, w in zip(kinks(point).active, gradient.kinks, strict=True)
    ]
    return max(_ratio(off, scale), _ratio(flat(concave), flat(size.kinks)))


def _ratio(off: Array, size: Array) -> float:
    parts: Array = np.divide(off, size, out=np.where(off > 0.0, np.inf, 0.0), where=size > 0.0)
    return float(parts.max(initial=0.0))
