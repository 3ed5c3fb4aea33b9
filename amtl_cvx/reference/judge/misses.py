"""What every entry of a gradient is off by, beside the size of its terms (`Limits.size_W`, `size_B`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.tolerance import Limits


class Misses(NamedTuple):
    """What the entries of a block are off by, and what they are held against."""

    miss: Array
    size: Array

    @property
    def ratios(self) -> Array:
        """Entry by entry; 0/0 is 0."""
        nothing = self.miss <= 0.0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found: Array = np.where(nothing, 0.0, self.miss / self.size)
        return np.where(np.isnan(found), np.inf, found)

    @property
    def relative(self) -> float:
        """The largest ratio."""
        return float(self.ratios.max(initial=0.0))


def misses_W(point: Any) -> Misses:
    """The relative residuals of W at a point of a smooth J, entry by entry, (d, T)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return Misses(np.abs(point.smooth_gradient_W), Limits(point).size_W)


def misses_B(point: Any) -> Misses:
    """The relative residuals of B at a point of a J with prices, entry by entry, (T, T)."""
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(point.W, axis=0)
        h = 2.0 * point.model.coupling * length**2
        h = np.where(h > 0.0, h, float(h.max(initial=0.0)))[:, None]
        miss = np.abs(np.minimum(h * point.B, point.gradient_B))
        np.fill_diagonal(miss, 0.0)
        return Misses(miss, Limits(point).size_B)
