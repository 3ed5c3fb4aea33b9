"""What all estimators share: rows with their tasks in, one predictor for each, scores of rows out.

An estimator of a model is one class with its parameters, which says what they describe (`Recipe`) and which
attributes a fit leaves beside those of all; what it learns are numbers (`regression`) or classes
(`classification`).
"""

from __future__ import annotations

import abc
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from amtl_cvx.arrays import Array, Labels, check_aligned, frozen
from amtl_cvx.errors import ModelError
from amtl_cvx.estimators.given import Rows, codes_of, divided, grouped
from amtl_cvx.experiment.jobs import fitted
from amtl_cvx.families import Method
from amtl_cvx.losses import LOSSES, Loss, make_loss
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.tasks.weights import stacked_weights


class Predictor(NamedTuple):
    """What one column of the predictors is to learn."""

    name: str
    task: int
    """Whose rows it has."""
    targets: Array
    """Of all rows, (N,)."""
    answer: int = 0
    """Which of the scores of a row it gives: the class, where there are more than two."""


class Recipe(NamedTuple):
    """What the parameters of an estimator describe."""

    model: Any
    method: str | Method | None
    options: Options
    standardize: bool
    intercept: bool


class TaskEstimator(BaseEstimator, abc.ABC):  # type: ignore[misc]
    """The base of all estimators; parameters are kept as given and read by `fit`."""

    loss: str | Loss
    task_column: str | None
    _classification: ClassVar[bool] = False
    """Which losses it takes."""
    __metadata_request__fit: ClassVar[Mapping[str, bool]] = {"task": True}
    __metadata_request__predict: ClassVar[Mapping[str, bool]] = {"task": True}
    __metadata_request__score: ClassVar[Mapping[str, bool]] = {"task": True}

    @abc.abstractmethod
    def _recipe(self) -> Recipe:
        """What the parameters describe; `ModelError` for those out of range."""

    @abc.abstractmethod
    def _keep(self, solution: Solution) -> None:
        """Set the attributes that are not those of all."""

    def _read(self, X: Any, y: Any, task: Any, weights: Any, *, numeric: bool) -> Rows:
        """The rows as arrays; sets `n_features_in_` and `feature_names_in_`."""
        features, task = divided(X, task, self.task_column)
        check_aligned(features, y, "X and y")
        check_aligned(y, task, "y and task")
        check_aligned(y, weights, "y and sample_weight")
        found, targets = validate_data(self, features, y, dtype=np.float64, y_numeric=numeric)
        codes, names = grouped(task, len(found))
        rows = Rows(found, targets, codes, names, stacked_weights(weights, features, len(found)))
        return rows.that_count()

    def _learn(self, rows: Rows, predictors: Sequence[Predictor], *, labels: Labels | None = None) -> None:
        """Fit one predictor for each of `predictors`, and set the attributes."""
        recipe, tasks = self._recipe(), self._tasks(rows, predictors)
        tasks = replace(tasks, labels=tasks.labels if labels is None else labels)
        preparation = Preparation.learn(tasks, standardize=recipe.standardize, intercept=recipe.intercept)
        solution = fitted(preparation.apply_tasks(tasks), recipe.model, recipe.method, recipe.options)
        self.solution_ = replace(solution, preparation=preparation)
        self.certificate_ = solution.certificate
        self.tasks_ = np.array(solution.task_names)
        self.n_iter_ = max((record.round for record in solution.history), default=0)
        self._keep(self.solution_)
        self._known = rows.names
        self._places = np.full((len(rows.names), 1 + max(each.answer for each in predictors)), -1)
        for place, each in enumerate(predictors):
            self._places[each.task, each.answer] = place
        if not self.certificate_.passes:
            warnings.warn(_uncertified(self.solution_), ConvergenceWarning, stacklevel=3)

    def _tasks(self, rows: Rows, predictors: Sequence[Predictor]) -> TaskSet:
        """The data of every predictor; those of one task share its rows and weights."""
        parts = [np.flatnonzero(rows.codes == t) for t in range(len(rows.names))]
        shared = [rows.X[part] for part in parts]
        weights = [None if rows.weights is None else frozen(rows.weights[part]) for part in parts]
        return TaskSet.from_arrays(
            [shared[each.task] for each in predictors],
            [each.targets[parts[each.task]] for each in predictors],
            names=[each.name for each in predictors],
            feature_names=getattr(self, "feature_names_in_", None),
            sample_weight=[weights[each.task] for each in predictors],
        )

    def _loss(self) -> Any:
        """The loss; `ModelError` for one of the other kind."""
        loss = make_loss(self.loss) if isinstance(self.loss, str) else self.loss
        if isinstance(loss, Loss) and loss.classification != self._classification:
            raise ModelError(
                f"{type(self).__name__} takes the losses {_losses(self._classification)}, got {loss.label!r}"
            )
        return loss

    def _switches(self, *names: str) -> list[bool]:
        """Parameters that are True or False; `ModelError` for anything else."""
        for name in names:
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ModelError(f"{name} must be True or False, got {getattr(self, name)!r}")
        return [bool(getattr(self, name)) for name in names]

    def _scores(self, X: Any, task: Any) -> Array:
        """The scores of each row by the predictors of its task, (N, predictors of a task), -inf for none."""
        check_is_fitted(self)
        features, task = divided(X, task, self.task_column)
        rows = validate_data(self, features, reset=False, dtype=np.float64)
        places = self._places[codes_of(task, len(rows), self._known)]
        scores = np.take_along_axis(self.solution_.scores(rows), np.maximum(places, 0), axis=1)
        return np.where(places >= 0, scores, -np.inf)


def _losses(classification: bool) -> str:
    """The names of the losses of one kind."""
    return ", ".join(name for name, cls in LOSSES.items() if cls.classification == classification)


def _uncertified(solution: Solution) -> str:
    """Why a fit does not pass, in the words of its certificate."""
    certificate = solution.certificate
    of_blocks = [f"relative_{name}" for name in solution.blocks]
    named = ("growth", "minimum", "relative", *of_blocks)
    why = [certificate.reasons[name] for name in named if name in certificate.reasons]
    status = f"not certified, {solution.status.value}: {solution.status.text}"
    return "; ".join([status, certificate.verdict(), *why[:1]])
