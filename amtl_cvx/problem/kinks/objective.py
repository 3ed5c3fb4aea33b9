"""What the W-step of a loss with kinks minimises at one B."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amtl_cvx.problem.kinks.rows import KinkedRows
from amtl_cvx.tasks import Array

NOISE = 1e-14  # of the terms of a score, or of an interval: rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class KinkedObjective:
    """The objective of the package's essay, rows of all tasks stacked."""

    rows: KinkedRows
    weight: Array
    """(N,), a_t times the scale of the loss."""
    low: Array
    high: Array
    """The ends of v = weight u, (N,)."""
    root: Array
    """sqrt(2 coupling) K, (T, k)"""
    P: Array
    """2 coupling K K', (T, T)"""

    def off(self, W: Array) -> Array:
        """How far the rows are beyond their kinks, (N,)."""
        off: Array = self.scores(W) - self.rows.kink
        return off

    def value(self, W: Array) -> float:
        off = self.off(W)
        rows = np.where(off > 0.0, self.high, self.low) @ off
        return 0.5 * float(((W @ self.root) ** 2).sum()) + float(rows)

    def scores(self, W: Array) -> Array:
        scores: Array = np.einsum("ij,ij->i", self.rows.X, W.T[self.rows.task])
        return scores

    def rounding(self, W: Array) -> Array:
        """By how much a row on its kink may seem off it."""
        sizes: Array = np.abs(self.rows.kink) + np.einsum(
            "ij,ij->i", np.abs(self.rows.X), np.abs(W.T[self.rows.task])
        )
        return NOISE * sizes

    def farthest(self, off: Array) -> Array:
        """The largest |off| among the rows of the same task, (N,): tasks have units of their own."""
        farthest: Array = np.maximum.reduceat(np.abs(off), self.rows.starts)[self.rows.task]
        return farthest

    def noise(self, W: Array) -> float:
        """Differences of J between two W beside each other that are rounding of the scores."""
        return 0.1 * self.nothing(W)

    def nothing(self, W: Array) -> float:
        """Values that are rounding: all there is where the rows are interpolated."""
        return float((self.high - self.low) @ self.rounding(W))

    def pull(self, v: Array) -> Array:
        """sum_i v_i x_i e_t(i)', (d, T)."""
        pull: Array = np.add.reduceat(v[:, None] * self.rows.X, self.rows.starts, axis=0).T
        return pull

    def gradient(self, W: Array, v: Array) -> Array:
        gradient: Array = W @ self.root @ self.root.T + self.pull(v)
        return gradient
