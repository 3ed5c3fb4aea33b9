"""Estimators of classes: one predictor for each task, or for each class of it against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from amtl_cvx.arrays import Array, Indices, Labels, Mask
from amtl_cvx.errors import DataError
from amtl_cvx.estimators.base import Predictor, TaskEstimator
from amtl_cvx.estimators.given import ALL, Rows
from amtl_cvx.losses import Logistic


def _has_probabilities(classifier: Classification) -> bool:
    """Whether the loss gives probabilities; else the attribute `predict_proba` is missing."""
    loss = classifier.loss
    if loss == Logistic.name or isinstance(loss, Logistic):
        return True
    raise AttributeError(f"probabilities are those of the logistic loss, this one is {loss!r}")


class Classification(ClassifierMixin, TaskEstimator):  # type: ignore[misc]
    """One predictor a task of two classes, else one for each class of it."""

    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    _classification: ClassVar[bool] = True
    __metadata_request__predict_proba: ClassVar[dict[str, bool]] = {"task": True}
    __metadata_request__decision_function: ClassVar[dict[str, bool]] = {"task": True}

    def fit(self, X: Any, y: Any, *, task: Any = None, sample_weight: Any = None) -> Self:
        """Learn the predictors of all tasks, or of all classes, and what they share.

        Parameters
        ----------
        X : (N, d) array_like or frame
            Features; with `task_column` a frame that has that column too.
        y : (N,) array_like
            Classes, text or numbers; every task has two of them at least.
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
        rows = self._read(X, y, task, sample_weight, numeric=False)
        check_classification_targets(rows.y)
        self.classes_, classes = np.unique(rows.y, return_inverse=True)
        present = np.zeros((len(rows.names), len(self.classes_)), dtype=bool)
        present[rows.codes, classes] = True
        _check_present(present, rows.names, self.classes_)
        rows = rows._replace(weights=self._weights(rows, classes))
        signs = [np.where(classes == k, 1.0, -1.0) for k in range(len(self.classes_))]
        if len(self.classes_) == 2:
            predictors = [Predictor(name, t, signs[1]) for t, name in enumerate(rows.names)]
        else:
            predictors = [
                Predictor(self._against_rest(rows.names[t], k), t, signs[k], k)
                for t, k in np.argwhere(present)
            ]
        self._learn(rows, predictors, labels=_pair(self.classes_))
        return self

    def decision_function(self, X: Any, *, task: Any = None) -> Array:
        """Scores of the classes: (N,) for two, above 0 for the second one, else (N, K).

        A class that the fit has not seen in a task has -inf there.

        Raises
        ------
        ValueError
            For a task that the fit has not seen, and other features than those of the fit.
        """
        scores = self._scores(X, task)
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any, *, task: Any = None) -> NDArray[Any]:
        """The class of each row, (N,), by the predictors of its task.

        Raises
        ------
        ValueError
            As `decision_function`.
        """
        scores = self.decision_function(X, task=task)
        best = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        decided: NDArray[Any] = self.classes_[best]
        return decided

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, *, task: Any = None) -> Array:
        """Probabilities of the classes, (N, K), of the logistic loss.

        Of more than two classes each is that of its own predictor, divided by their sum.

        Raises
        ------
        ValueError
            As `decision_function`.
        """
        scores = self.decision_function(X, task=task)
        logs = log_expit(np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        probabilities: Array = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def score(self, X: Any, y: Any, *, task: Any = None, sample_weight: Any = None) -> float:
        """The share of rows whose class is predicted, over the rows of all tasks."""
        return float(accuracy_score(y, self.predict(X, task=task), sample_weight=sample_weight))

    def _weights(self, rows: Rows, classes: Indices) -> Array | None:
        """The weights of the rows times those of their classes."""
        if self.class_weight is None or (rows.weights is not None and rows.weights.min() < 0.0):
            return rows.weights  # those below 0 are refused with the tasks
        given = np.ones(len(classes)) if rows.weights is None else rows.weights
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            sums = np.zeros((len(rows.names), len(self.classes_)))
            np.add.at(sums, (rows.codes, classes), given)
            shares = sums.sum(axis=1) / (sums > 0.0).sum(axis=1)
            of_row = shares[rows.codes] / sums[rows.codes, classes]
        else:
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=rows.y)
            of_row = of_class[classes]
        weighted: Array = given * of_row
        return weighted

    def _against_rest(self, task: str, k: int) -> str:
        """The name of the predictor that tells a class of a task from the rest."""
        label = self.classes_[k]
        against = f"{label:g} vs rest" if isinstance(label, float) else f"{label} vs rest"
        return against if task == ALL else f"{task}: {against}"


def _check_present(present: Mask, names: Sequence[str], classes: NDArray[Any]) -> None:
    """`DataError` for a task with rows of a single class."""
    few = np.flatnonzero(present.sum(axis=1) < 2)
    if len(few):
        only, name = classes[present[few[0]].argmax()], names[few[0]]
        raise DataError(
            f"every task needs rows of two classes, those of {name!r} have one class, {only}: drop the task,"
            " or merge it with another one"
        )


def _pair(classes: NDArray[Any]) -> Labels | None:
    """The two classes as the labels of a solution, where they can be: texts, bools, 0 and 1."""
    found = tuple(classes.tolist())
    legal = len(found) == 2 and (all(isinstance(label, str | bool) for label in found) or found == (0, 1))
    return found if legal else None
