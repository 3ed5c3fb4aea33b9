"""Answers held against right ones, entry by entry, and what is said of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array


class Compared(NamedTuple):
    """How far an answer is from an interval of right ones, in units of its limit."""

    ratio: float
    off: float
    words: str

    @property
    def within(self) -> bool:
        """Whether every entry is within its limit."""
        return self.ratio <= 1.0


def compare(name: str, answer: Array, low: Array, high: Array, limit: Array | float) -> Compared:
    """An answer beside right ones from `low` to `high`, each entry with its limit."""
    given = np.atleast_1d(answer)
    below, above = np.atleast_1d(low) - given, given - np.atleast_1d(high)
    miss = np.maximum(np.maximum(below, above), 0.0)
    most = np.broadcast_to(np.atleast_1d(limit), miss.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.where(miss > 0.0, miss / most, 0.0)
    ratios = np.where(np.isnan(ratios), np.inf, ratios)
    place = np.unravel_index(int(np.argmax(ratios)), ratios.shape)
    ratio, off = float(ratios[place]), float(miss[place])
    if ratio <= 1.0:
        return Compared(ratio, off, f"{name} is right: off by {ratio:.1g} of its limit")
    where = f"[{', '.join(str(int(k)) for k in place)}]" if np.ndim(answer) else ""
    right = float(np.atleast_1d(low)[place] if below[place] > 0.0 else np.atleast_1d(high)[place])
    count = int((ratios > 1.0).sum())
    many = f"; {count} of {ratios.size} entries are off" if ratios.size > 1 else ""
    return Compared(
        ratio,
        off,
        f"{name}{where} is {float(given[place]):.8g}, right is {right:.8g}: off by {off:.1e}, the limit is"
        f" {float(most[place]):.1e}{many}",
    )
