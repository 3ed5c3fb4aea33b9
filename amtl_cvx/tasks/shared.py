"""Tasks of the same rows: they keep sharing them where they leave out the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amtl_cvx.arrays import Array, frozen
from amtl_cvx.tasks.task import Task
from amtl_cvx.tasks.weights import checked_weights


@dataclass(frozen=True, eq=False)
class Shared:
    """Arrays of features by a key each, and the parts of them that tasks have."""

    rows: Mapping[object, Array]
    parts: dict[tuple[object, bytes], Array] = field(default_factory=dict)

    def task(self, key: object, y: Array, name: str, weights: Any) -> Task:
        """The task of the rows under a key, without those of weight 0."""
        X = self.rows[key]
        if weights is None or X.ndim != 2 or y.shape != (len(X),):
            return Task(X=X, y=y, name=name, sample_weight=weights)  # which says what does not fit
        known, kept = checked_weights(weights, len(y), name)
        if kept is not None:
            part = key, kept.tobytes()
            if part not in self.parts:
                self.parts[part] = frozen(X[kept])
            X, y = self.parts[part], frozen(y[kept])
        return Task(X=X, y=y, name=name, sample_weight=known)
