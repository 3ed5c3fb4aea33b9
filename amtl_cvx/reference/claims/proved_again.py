"""Whether stored digits are those that are proved again next to the stored blocks.

Every decimal of every block of the answer, and J, must be the same text; so must what digits.json says of
places, tasks and features be, and whether the point is a strict local minimum. The radius of the ball may
differ by a factor of 2, what was found on the way (how far the doubles were, how far no other point is) by
more: both go with roundings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array

BESIDE = 1e-9
"""How far stored doubles may be from proven decimals, of the largest entry of the block."""
_SAME = (
    *("objective", "order", "strict_local_min", "task_names", "feature_names", "support", "active_rows"),
    *("live", "method"),
)
_RADIUS, _ROUGH = 2.0, 1e4


def proved_again(
    solution: Mapping[str, Array], digits: Mapping[str, Any], again: Mapping[str, Any] | None
) -> bool:
    """Whether digits of an answer are those that are found now, and its doubles beside them."""
    if again is None:
        return False
    names = [name for name in solution if name != "order"]
    if not names or any(name not in digits for name in names):
        return False
    if any(_texts(again.get(name)) != _texts(digits.get(name)) for name in (*names, *_SAME)):
        return False
    if not _near(digits.get("radius"), again.get("radius"), _RADIUS):
        return False
    if not _near(digits.get("isolation"), again.get("isolation"), _ROUGH):
        return False
    return all(_beside(solution[name], digits[name]) for name in names)


def _texts(value: Any) -> Any:
    """Nested rows as lists, mappings aside."""
    if isinstance(value, list | tuple):
        return [_texts(part) for part in value]
    return value


def _near(stored: Any, found: Any, factor: float) -> bool:
    """Whether two positive figures differ by a factor at most; or both are 0, or both are not there."""
    if stored is None or found is None or not found:
        return bool(stored == found)
    known = isinstance(stored, float) and math.isfinite(stored) and stored > 0.0
    return known and max(stored / found, found / stored) <= factor


def _beside(block: Array, decimals: Any) -> bool:
    other = np.array(_texts(decimals), dtype=object).astype(np.float64)
    if other.shape != block.shape:
        return False
    return float(np.abs(other - block).max(initial=0.0)) <= BESIDE * float(np.abs(other).max(initial=0.0))
