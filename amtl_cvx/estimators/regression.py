"""Estimators of numbers: `fit`, `predict` and `score` of a regression, whatever its model."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from amtl_cvx.arrays import Array
from amtl_cvx.estimators.base import Predictor, TaskEstimator


class Regression(RegressorMixin, TaskEstimator):  # type: ignore[misc]
    """One predictor a task, which gives numbers in the units of y."""

    def fit(self, X: Any, y: Any, *, task: Any = None, sample_weight: Any = None) -> Self:
        """Learn the predictors of all tasks and what they share.

        Parameters
        ----------
        X : (N, d) array_like or frame
            Features; with `task_column` a frame that has that column too.
        y : (N,) array_like
            Numbers.
        task : (N,) array_like, optional
            The task of each row, text or whole numbers. None: one task, "all".
        sample_weight : (N,) array_like, optional
            How often each row counts, >= 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For rows that cannot be used (`DataError`, or scikit-learn's own) and parameters that are out of
            range (`ModelError`).
        SolveError
            For a subproblem that no solver answers.
        """
        rows = self._read(X, y, task, sample_weight, numeric=True)
        targets = np.asarray(rows.y, dtype=np.float64)
        self._learn(rows, [Predictor(name, t, targets) for t, name in enumerate(rows.names)])
        return self

    def predict(self, X: Any, *, task: Any = None) -> Array:
        """Numbers in the units of y, (N,), each by the predictor of its row's task.

        Raises
        ------
        ValueError
            For a task that the fit has not seen, and other features than those of the fit.
        """
        scores = self._scores(X, task)[:, 0]
        return self.solution_.model.loss.decide(scores)

    def score(self, X: Any, y: Any, *, task: Any = None, sample_weight: Any = None) -> float:
        """R^2 of the predictions, over the rows of all tasks."""
        return float(r2_score(y, self.predict(X, task=task), sample_weight=sample_weight))
