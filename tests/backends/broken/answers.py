"""The answer is found, and handed back in another order, another layout or other units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backends.broken.listed import listed
from backends.dense import Dense
from backends.terms import Array


@listed("transposed B", "L3/*")
class AnswerTransposed(Dense):
    """The fit hands B back with row and column exchanged."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W, B.T


@listed("transposed B", "L1/*")
class StepTransposed(Dense):
    """The B-step alone hands B back with row and column exchanged."""

    def b_step(self, asked: Any) -> Array:
        return super().b_step(asked).T


@listed("B rescaled", "L1/*")
class RowsOfOne(Dense):
    """The rows of B are brought to a sum of 1."""

    def b_step(self, asked: Any) -> Array:
        B = super().b_step(asked)
        sums = B.sum(axis=1, keepdims=True)
        return B / np.where(sums > 0, sums, 1)


@listed("B rescaled", "L3/*")
class SumOfTheNumberOfTasks(Dense):
    """B is brought to a sum of T at the end."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W, B * (len(B) / max(float(B.sum()), 1e-30))


@listed("diagonal leak", "L3/*")
class AlmostNoDiagonal(Dense):
    """What an interior-point solver leaves on the diagonal is not put to 0."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W, B + 1e-9 * np.eye(len(B))


@listed("tasks permuted", "L3/*", on="sums")
class LastTaskFirst(Dense):
    """The fit sorts the tasks by name, descending, and hands them back so."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W[:, ::-1].copy(), B[::-1, ::-1].copy()


@listed("tasks permuted", "L1/*")
class PredictorsTurned(Dense):
    """The W-step hands the predictor of task 0 back last."""

    def w_step(self, asked: Any) -> Array:
        return np.roll(super().w_step(asked), -1, axis=1)


@listed("tasks permuted", "L0/*")
class LossesReversed(Dense):
    """The losses are those of the tasks in the other order."""

    def evaluate(self, asked: Any) -> dict[str, Any]:
        return {"losses": super().evaluate(asked)["losses"][::-1].copy()}


@listed("features permuted", "L1/*", "L3/*")
class FeaturesReversed(Dense):
    """The rows of W stand in the other order."""

    def w_step(self, asked: Any) -> Array:
        return super().w_step(asked)[::-1].copy()

    def one_task(self, asked: Any) -> Array:
        return super().one_task(asked)[::-1].copy()

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return W[::-1].copy(), B


@listed("W transposed", "L1/*", "L3/*")
class ColumnsInMemory(Dense):
    """W lies in memory column after column and is handed back as if row after row."""

    def w_step(self, asked: Any) -> Array:
        return self.laid_out(super().w_step(asked))

    def fit(self, asked: Any) -> tuple[Array, Array]:
        W, B = super().fit(asked)
        return self.laid_out(W), B

    def laid_out(self, W: Array) -> Array:
        return np.ascontiguousarray(W.T).reshape(W.shape)


@listed("standardisation not undone", "L3/*", on="labels")
class FitInOtherUnits(Dense):
    """The fit divides every feature by its deviation, penalises there, and never goes back."""

    def fit(self, asked: Any) -> tuple[Array, Array]:
        size = np.concatenate(asked.X).std(axis=0)
        return super().fit(replace(asked, X=[x / np.where(size > 0, size, 1) for x in asked.X]))
