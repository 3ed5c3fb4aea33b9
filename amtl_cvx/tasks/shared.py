"""Tasks of the same rows: they keep sharing those where they leave out the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from amtl_cvx.arrays import Array, Mask, frozen
from amtl_cvx.tasks.pool import Links, Source, links_of
from amtl_cvx.tasks.task import Task
from amtl_cvx.tasks.weights import check_labelled, checked_weights, whole_weights


@dataclass(frozen=True, eq=False)
class Shared:
    """Arrays of features by a key each, and the parts of them that tasks have."""

    rows: Mapping[object, Array]
    parts: dict[tuple[object, bytes], Array] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)

    def task(self, key: object, y: Array, name: str, weights: Any, there: Mask | None) -> Task:
        """The task of the rows under a key, without those of weight 0; `y` has the labels that are there."""
        X, missing, present = self.rows[key], 0, None
        if there is not None:
            missing = check_labelled(there, len(X), name)
            X = self._part(key, there)
            if weights is not None:
                weights = whole_weights(weights, len(there), name)
                weights, present = weights[there], weights > 0.0
        self.sources.append(Source(self.rows[key], there, present))
        if weights is None or X.ndim != 2 or y.shape != (len(X),):
            return Task(X=X, y=y, name=name, sample_weight=weights, missing=missing)  # it says what is wrong
        known, kept = checked_weights(weights, len(y), name)
        if kept is not None:
            whole = kept
            if there is not None:
                whole = there.copy()
                whole[there] = kept
            else:
                self.sources[-1] = Source(self.rows[key], None, kept)
            X, y = self._part(key, whole), frozen(y[kept])
        return Task(X=X, y=y, name=name, sample_weight=known, missing=missing)

    def links(self) -> Links | None:
        """Which rows of the tasks are one, where their arrays do not say it."""
        return links_of(self.sources)

    def _part(self, key: object, kept: Mask) -> Array:
        part = key, kept.tobytes()
        if part not in self.parts:
            self.parts[part] = frozen(self.rows[key][kept])
        return self.parts[part]
