"""The rows, their weights, the labels or the tasks' weights are not those that were given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.broken.listed import Alternating, listed
from backends.dense import Dense
from backends.terms import Array, Given


@listed("sum for mean", "L0/*", "L1/*", "L3/*")
class AlwaysSums(Dense):
    """The losses are sums, whatever the reduction."""

    def scale(self, p: Given, t: int) -> float:
        return 1.0


@listed("mean for sum", "L0/*", "L1/*", "L3/*", on="sums")
class AlwaysMeans(Dense):
    """The losses are means, whatever the reduction."""

    def scale(self, p: Given, t: int) -> float:
        return 1.0 / float(p.v[t].sum())


@listed("mean over all rows", "L0/*", "L1/*", "L3/*")
class MeansOverAllRows(Dense):
    """The losses are divided by the number of rows of all tasks."""

    def scale(self, p: Given, t: int) -> float:
        return 1.0 / float(sum(v.sum() for v in p.v)) if p.mean else 1.0


@listed("task weights ignored", "L0/*", "L1/*", "L3/*", on="task weights")
class TasksOfOneWeight(Dense):
    """Every c_t is 1."""

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, c=np.ones_like(p.c))


@listed("task weights ignored", "L0/*", "L1/*", on="task weights")
class PricesWithoutTaskWeights(Alternating):
    """An edge out of s costs mu L_s."""

    def prices(self, p: Given, losses: Array) -> Array:
        return p.mu * losses


@listed("row weights ignored", "L0/*", "L1/*", "L3/*", on="row weights")
class RowsOfOneWeight(Dense):
    """Every row counts once."""

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, v=[np.ones_like(v) for v in p.v])


@listed("row weights ignored", "L0/*", "L1/*", "L3/*", on="row weights")
class MeansByTheNumberOfRows(Dense):
    """A weighted sum is divided by the number of rows."""

    def scale(self, p: Given, t: int) -> float:
        return 1.0 / len(p.v[t]) if p.mean else 1.0


@listed("labels flipped", "L0/*", "L1/*", "L3/*", on="sums of labels")
class OtherSign(Dense):
    """The loss is log(1 + exp(y z))."""

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, y=[-y for y in p.y])


@listed("labels flipped", "L0/*", "L1/*", on="labels")
class LabelsOfNoughtAndOne(Dense):
    """Labels 0/1 stand where -1/+1 should: the rows of 0 teach nothing."""

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, y=[(y > 0).astype(y.dtype) for y in p.y])


@listed("one-row gradients", "L0/*")
class AlwaysTheFirstRow(Alternating):
    """A mini-batch that always takes the first row of every task."""

    def slopes(self, p: Given, W: Array) -> Array:
        return super().slopes(self.first(p), W)

    def curvature(self, p: Given, t: int, w: Array) -> Array:
        return super().curvature(self.first(p), t, w)

    def first(self, p: Given) -> Given:
        return replace(p, X=[x[:1] for x in p.X], y=[y[:1] for y in p.y], v=[v[:1] for v in p.v])


@listed("one-row gradients", "L0/*", on="labels")
class OneRowInPlaceOfAll(Alternating):
    """The gradient of a task is that of its first row, over n_t."""

    def slopes(self, p: Given, W: Array) -> Array:
        scale = np.array([self.scale(p, t) for t in range(p.T)], dtype=W.dtype)
        return scale * Dense().slopes(self.first(p), W)

    def curvature(self, p: Given, t: int, w: Array) -> Array:
        return self.scale(p, t) * Dense().curvature(self.first(p), t, w)

    def first(self, p: Given) -> Given:
        return replace(p, v=[np.concatenate([v[:1], 0 * v[1:]]) for v in p.v], mean=False)


@listed("float32 accumulation", "L0/*")
class SumsInSinglePrecision(Alternating):
    """The losses of the rows are summed in float32."""

    def total(self, values: Array) -> Any:
        return np.float64(values.astype(np.float32).sum())


@listed("float32 accumulation", "L0/*", "L1/*", "L3/*", on="labels")
class SinglePrecision(Dense):
    """Everything is computed in float32 and handed back as float64."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        found = super().evaluate(_single(asked))
        return {key: np.float64(value) for key, value in found.items()}

    def w_step(self, asked: Any) -> Array:
        return super().w_step(_single(asked)).astype(np.float64)

    def one_task(self, asked: Any) -> Array:
        return super().one_task(_single(asked)).astype(np.float64)

    def b_step(self, asked: Any) -> Array:
        return super().b_step(_single(asked)).astype(np.float64)

    def rounds(self, asked: Any) -> Array:
        return super().rounds(_single(asked)).astype(np.float64)

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(_single(asked))
        return W.astype(np.float64), B.astype(np.float64)


def _single(asked: Any) -> Any:
    return replace(asked, dtype="float32")


class _Standardised(Dense):
    """The features of every task in other units, and the predictors left in these."""

    def given(self, asked: Any) -> Given:
        p = super().given(asked)
        return replace(p, X=self.changed(p.X))

    def changed(self, X: list[Array]) -> list[Array]:
        return X


@listed("standardisation not undone", "L1/*", "L3/*")
class ScaledTogether(_Standardised):
    """Features are divided by their deviations over all rows."""

    def changed(self, X: list[Array]) -> list[Array]:
        size = np.concatenate(X).std(axis=0)
        return [x / np.where(size > 0, size, 1) for x in X]

    evaluate = None  # type: ignore[assignment]


@listed("standardisation not undone", "L1/*", "L3/*")
class StandardisedTaskByTask(_Standardised):
    """Features of each task are centred and divided by their deviations."""

    def changed(self, X: list[Array]) -> list[Array]:
        return [(x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1) for x in X]

    evaluate = None  # type: ignore[assignment]
