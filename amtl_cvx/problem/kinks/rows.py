"""Rows with one kink each, and faces of the W-step: what rows held on their kinks leave free."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, Indices, Mask, TaskSet

CORRECTIONS = 3
_RANK = 1e-12  # relative singular value from which on rows on their kinks count as independent
_MOST = 4_000_000  # numbers in the faces that are kept, 32 MB: each has d^2 of them and more


@dataclass(frozen=True, kw_only=True, eq=False)
class KinkedRows:
    """The rows of all tasks stacked, whatever B is."""

    X: Array
    task: Indices
    starts: Indices
    scale: Array
    """Of the sum over rows, (T,)."""
    low: Array
    high: Array
    """Between which phi' lies."""
    kink: Array
    held: dict[tuple[int, bytes], Held] = field(default_factory=dict)
    """Those that were needed so far."""

    @classmethod
    def of(cls, tasks: TaskSet, loss: Loss) -> KinkedRows:
        X, y, task = tasks.stacked()
        low, high = loss.on(tasks.stacked_weights()).domain(y)
        starts = np.searchsorted(task, np.arange(tasks.T))
        return cls(
            X=X,
            task=task,
            starts=starts,
            scale=np.array([loss.scale(each) for each in tasks]),
            low=low,
            high=high,
            kink=loss.kinks(y),
        )

    @cached_property
    def place(self) -> Indices:
        """The number of a row within its task, (N,)."""
        place: Indices = np.arange(len(self.task)) - self.starts[self.task]
        return place

    @cached_property
    def padded(self) -> Array:
        """X by tasks, (T, most rows, d)."""
        padded = np.zeros((len(self.starts), int(self.place.max()) + 1, self.X.shape[1]))
        padded[self.task, self.place] = self.X
        return padded

    def face(self, on: Mask) -> list[Held]:
        """The rows `on` (N,) held on their kinks, task by task."""
        if len(self.held) * self.X.shape[1] ** 2 > _MOST:
            self.held.clear()
        return [self._held_by(t, rows) for t, rows in enumerate(np.split(on, self.starts[1:]))]

    def _held_by(self, t: int, on: Mask) -> Held:
        key = t, on.tobytes()
        if key not in self.held:
            self.held[key] = Held.at(self.X, self.starts[t] + np.flatnonzero(on))
        return self.held[key]


class Held(NamedTuple):
    """Rows of one task held on their kinks."""

    rows: Indices
    inverse: Array
    """(X')^+, from a pull to multipliers; its transpose leads from kinks to the shortest w."""
    free: Array
    """An orthonormal basis of what X does not see."""

    @classmethod
    def at(cls, X: Array, rows: Indices) -> Held:
        length = np.linalg.norm(X[rows], axis=1)
        length = np.where(length > 0.0, length, 1.0)
        U, s, V = np.linalg.svd(X[rows] / length[:, None], full_matrices=True)
        rank = int((s > _RANK * s.max(initial=0.0)).sum())
        return cls(rows, (U[:, :rank] / s[:rank]) @ V[:rank] / length[:, None], V[rank:].T)

    def point(self, X: Array, kink: Array) -> Array:
        """The shortest w that puts the rows on their kinks, (d,); in the least squares sense."""
        w = np.zeros(X.shape[1])
        for _ in range(CORRECTIONS):  # rows that are nearly parallel lose digits to the first
            w = w + self.inverse.T @ (kink[self.rows] - X[self.rows] @ w)
        return w
