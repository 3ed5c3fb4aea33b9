"""What the entries of a block are off by, and what each is held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.tasks import Array

ROOM = 1e-5
"""Part of the sizes that rounding is relative to; 1e-16 of them is far below the tolerance of any size."""
SLOPES = 1e-4
"""The same of the sizes of slopes: 1e-12 of what the scores are summed from, at the tolerance 1e-8."""


class Misses(NamedTuple):
    """What an entry of a block is off by, and what it is held against; (d, T) or (T, T)."""

    miss: Array
    size: Array
    terms: Array | None = None
    """What an entry is summed from, where `size` is less than that."""

    def parts(self) -> Array:
        """The ratios, with 0/0 = 0 and x/0 = inf."""
        none = np.where(self.miss > 0, np.inf, 0.0)
        parts: Array = np.divide(self.miss, self.size, out=none, where=self.size > 0)
        return parts

    def relative(self) -> float:
        """The largest ratio."""
        return float(self.parts().max())
