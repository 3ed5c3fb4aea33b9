"""Edge stability: which edges of a learned graph are there on every part, and how alike two graphs are.

For graphs B_1, ..., B_P of the same tasks on P parts

    share[s, t]     of the parts on which s -> t is an edge
    agreement       mean over pairs of parts of |edges of both| / |edges of either| (Jaccard)
    likeness        the same with weights: sum min(B, B') / sum max(B, B'), of sizes where edges are signed

Two empty graphs agree. With one part there is nothing to compare, and both are None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array


@dataclass(frozen=True, eq=False)
class Stability:
    """What P graphs of T tasks have in common.

    Parameters
    ----------
    graphs : (P, T, T) array
    """

    graphs: Array

    @property
    def parts(self) -> int:
        """How many graphs."""
        return len(self.graphs)

    @property
    def share(self) -> Array:
        """Of the parts on which each edge is there, (T, T)."""
        return np.asarray((self.graphs != 0.0).mean(axis=0))

    @property
    def mean(self) -> Array:
        """The mean graph, (T, T)."""
        return np.asarray(self.graphs.mean(axis=0))

    @property
    def always(self) -> int:
        """Edges that are there on every part."""
        return int((self.graphs != 0.0).all(axis=0).sum())

    @property
    def ever(self) -> int:
        """Edges that are there on some part."""
        return int((self.graphs != 0.0).any(axis=0).sum())

    @property
    def agreement(self) -> float | None:
        """Mean Jaccard index of the edges of two parts."""
        return self._pairs(lambda a, b: ((a & b).sum(), (a | b).sum()), self.graphs != 0.0)

    @property
    def likeness(self) -> float | None:
        """The same of their weights."""
        sizes = np.abs(self.graphs)
        return self._pairs(lambda a, b: (np.minimum(a, b).sum(), np.maximum(a, b).sum()), sizes)

    @property
    def words(self) -> str:
        """In a line."""
        if self.parts < 2:
            return f"{self.ever} edges on the one part there is"
        return (
            f"{self.always} edges on all {self.parts} parts, {self.ever} on some; two parts share"
            f" {self.agreement:.0%} of their edges, {self.likeness:.0%} by weight"
        )

    def _pairs(self, of: Callable[[Any, Any], tuple[float, float]], what: Any) -> float | None:
        found = [of(a, b) for a, b in combinations(what, 2)]
        return float(np.mean([common / all_ if all_ else 1.0 for common, all_ in found])) if found else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "parts": self.parts,
            "always": self.always,
            "ever": self.ever,
            "agreement": self.agreement,
            "likeness": self.likeness,
            "share": self.share.tolist(),
        }
