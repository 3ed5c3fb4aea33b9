"""What the pictures take of a network at a point: arrays and names.

weights   W_l (d_l, k_l) by layer, the first one for raw rows
graph     tasks and the units of the last layer (`bipartite`)
kinks     the active kinks, a row each: layer (from 0), row of the data, unit, theta, w
on        on how many rows each unit is on, (k_l,) by layer
near      how many units off their kinks have |u| within each decade of the terms it is summed from
labels    of each task its rows with a label, and those of its class
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.bipartite import FeatureGraph

DECADES = 16
"""Those of `near`: 1e-16 to 1e-15, ..., 1e-1 to 1."""
_STRICT = 1e-6
"""Part of w by which theta is inside of [0, w] where a kink counts as held."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """A network at a point, as its pictures need it; see the module essay."""

    weights: tuple[Array, ...]
    graph: FeatureGraph
    rows: int
    kinks: Array
    on: tuple[Array, ...]
    near: Array
    labels: Array | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        """The sizes of the layers."""
        return tuple(block.shape[1] for block in self.weights)

    def names(self, layer: int) -> tuple[str, ...]:
        """Of the units of a layer: 1.0, 1.1, ... of the first of several, z0, z1, ... of the last."""
        if layer == len(self.weights) - 1:
            return self.graph.names
        return tuple(f"{layer + 1}.{unit}" for unit in range(self.widths[layer]))

    def live(self, layer: int) -> Mask:
        """Which units of a layer are on somewhere and go on to something."""
        onward = self.graph.S if layer == len(self.weights) - 1 else self.weights[layer + 1]
        found: Mask = (self.on[layer] > 0) & (onward != 0.0).any(axis=1)
        return found

    def of_layer(self, layer: int) -> Array:
        """The active kinks of a layer."""
        found: Array = self.kinks[self.kinks[:, 0] == layer]
        return found


def states(kinks: Array) -> Indices:
    """Of each kink: 0 held inside of [0, w], 1 at an end of it, 2 concave (w < 0), 3 not known."""
    theta, w = kinks[:, 3], kinks[:, 4]
    inside = (theta > _STRICT * w) & (theta < (1.0 - _STRICT) * w)
    known = np.where(w < 0.0, 2, np.where(inside, 0, 1))
    found: Indices = np.where(np.isnan(theta) | np.isnan(w), 3, known).astype(np.intp)
    return found
