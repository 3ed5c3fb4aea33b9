r"""Active kinks that are one: units of a layer whose only input, on several rows, is one unit below.

Without a bias a row has, above the first layer, often a single unit a that is on below. A unit j is on its
kink there where V_aj = 0, and so it is on all such rows at once: u_ij = z_ia V_aj, to first order z_ia times
the move v of that one weight. What they add to J along d is a single kink, whatever the signs of their w,

    sum_i w_ij max(u'_ij, 0) = W max(v, 0)          W = sum_i z_ia w_ij

with one multiplier Theta = sum_i z_ia theta_ij in [0, W]. So all of them get the same mask Theta / W, and the
same weight W / sum_i z_ia and multiplier Theta / sum_i z_ia: the sums stay what they are. The same holds for
rows on which all is off below a layer with a bias, whose only input is the 1.

A row counts only if no unit below that is on its kink there has a weight into j.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask

if TYPE_CHECKING:
    from amtl_cvx.network.point import NetworkPoint


class Pool(NamedTuple):
    """Which of the active kinks of a layer are one, those in the order of rows and units."""

    one: Indices
    """The number of the kink that each is, (m,)."""
    inputs: Array
    """z_ia of those that are one with others, else 1, (m,)."""

    @property
    def copies(self) -> int:
        """How many there are more than kinks that differ."""
        return len(self.one) - len(np.unique(self.one))

    def mean(self, values: Array) -> Array:
        """Values (m,), or rows of them, those of one kink replaced by their mean by inputs."""
        if not self.copies:
            return values
        sums = np.zeros((int(self.one.max()) + 1, *values.shape[1:]))
        np.add.at(sums, self.one, (self.inputs * values.T).T)
        whole = np.bincount(self.one, weights=self.inputs)
        found: Array = (sums.T / np.where(whole > 0.0, whole, 1.0)).T[self.one]
        return found


def pool_of(point: NetworkPoint, number: int, active: Mask, lower: Mask | None) -> Pool:
    """That of the active kinks of a layer; `lower` are those of the layer below it, if there is one."""
    rows, units = np.nonzero(active)
    one, inputs = np.arange(len(rows)), np.ones(len(rows))
    if lower is None or not len(rows):
        return Pool(one, inputs)
    below, V = point.below[number], point.V[number]
    alone = np.count_nonzero(below, axis=1)[rows] == 1
    nested = (lower.astype(float) @ (V[: lower.shape[1]] != 0.0) > 0.0)[rows, units]
    at = np.flatnonzero(alone & ~nested)
    source = below[rows[at]].argmax(axis=1)
    _, first, same = np.unique(source * V.shape[1] + units[at], return_index=True, return_inverse=True)
    one[at], inputs[at] = at[first][same], below[rows[at], source]
    return Pool(one, inputs)
