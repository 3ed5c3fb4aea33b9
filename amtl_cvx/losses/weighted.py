"""A loss on rows that count v times: v phi, and all that follows from it.

    value v phi(z)    slope v phi'(z)    curvature v phi''(z)    conjugate v phi*(u/v)    domain v [low, high]

phi keeps its kinks and how far its curvature holds, and |phi'''| <= phi'' holds for v phi too. So whatever
is computed from the row functions of a loss is computed from those of `Loss.on(v)` in the same words; v > 0,
since rows of weight 0 are not there (`Task`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from amtl_cvx.tasks import Array

if TYPE_CHECKING:
    from amtl_cvx.losses.base import Loss


@dataclass(frozen=True, eq=False)
class Weighted:
    """The row functions of `of`, row i times weight[i]; weight has the shape of y, or broadcasts to it."""

    of: Loss
    weight: Array

    @property
    def concordant(self) -> bool:
        """As that of the loss."""
        return self.of.concordant

    def rows(self, z: Array, y: Array) -> Array:
        return self.weight * self.of.rows(z, y)

    def slopes(self, z: Array, y: Array) -> Array:
        return self.weight * self.of.slopes(z, y)

    def curvatures(self, z: Array, y: Array) -> Array:
        return self.weight * self.of.curvatures(z, y)

    def conjugate(self, v: Array, y: Array) -> Array:
        low, high = self.domain(y)
        own = self.of.clip(v / self.weight, y)  # the quotient of an end may lie an ulp beyond it
        return np.where((low <= v) & (v <= high), self.weight * self.of.conjugate(own, y), np.inf)

    def domain(self, y: Array) -> tuple[Array, Array]:
        low, high = self.of.domain(y)
        return self.weight * low, self.weight * high

    def clip(self, v: Array, y: Array) -> Array:
        return np.clip(v, *self.domain(y))

    def subgradients(self, z: Array, y: Array) -> tuple[Array, Array]:
        low, high = self.of.subgradients(z, y)
        return self.weight * low, self.weight * high

    def kinks(self, y: Array) -> Array:
        return self.of.kinks(y)

    def steady(self, z: Array, y: Array) -> Array:
        return self.of.steady(z, y)

    def norm(self, v: Array) -> Array:
        """The norm over the rows of phi' = v / weight, a row counted weight times (see `Loss.norm`)."""
        norm: Array = np.linalg.norm(v / np.sqrt(self.weight), axis=-1)
        return norm

    def slope_terms(self, slopes: Array, y: Array, reach: float | Array) -> Array:
        """As that of the loss, rows counted by weight: what a row is summed from is affine in its reach."""
        each, own = (slopes / self.weight)[..., None], y[..., None]
        fixed = self.of.slope_terms(each, own, 0.0)
        steep = self.of.slope_terms(each, own, 1.0) - fixed
        terms: Array = steep.max(axis=-1, initial=0.0) * reach + np.linalg.norm(
            np.sqrt(self.weight) * fixed, axis=-1
        )
        return terms
