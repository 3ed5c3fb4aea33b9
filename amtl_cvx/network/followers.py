r"""Units on their kink that follow kinks below: of these u is 0 and moves one way only, so they have no kink.

Where all that enters a unit is 0, which takes layers without a bias, u = sum_m V_m max(u_m, 0) over the units
below that are on their kink there, the others being off and staying so. With V_m >= 0 for all of them u
cannot fall below 0: near the point z = u, the unit is on. With V_m <= 0 it cannot rise: the unit is off. Only
with both signs it has a kink of its own, whose normal is 0, so that normals are dependent there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.arrays import Mask

if TYPE_CHECKING:
    from amtl_cvx.network.point import NetworkPoint


def followers(point: NetworkPoint) -> tuple[tuple[Mask, ...], tuple[Mask, ...]]:
    """Which units are on for that reason, (N, k_l) of each layer, and which are on their kink and not fixed.

    The latter are those whose u has a normal, or units below with both signs of V.
    """
    inputs = (point.below[0] != 0.0).any(axis=1, keepdims=True)
    on, moving = [np.zeros_like(point.touching[0])], [point.touching[0] & inputs]
    for number, V in enumerate(point.V[1:], start=1):
        rises = on[-1] | moving[-1]
        up, down = (rises.astype(float) @ (way * V[: rises.shape[1]] > 0.0) > 0.0 for way in (1.0, -1.0))
        at, silent = point.touching[number], ~(point.below[number] != 0.0).any(axis=1, keepdims=True)
        on.append(at & silent & up & ~down)
        moving.append(at & (~silent | (up & down)))
    return tuple(on), tuple(moving)
