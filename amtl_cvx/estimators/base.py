"""What both estimators share: parameters, the fit, scores by row, and the learned attributes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from amtl_cvx.arrays import Array, Labels, check_aligned, frozen
from amtl_cvx.errors import ModelError
from amtl_cvx.estimators.compiled import compiled
from amtl_cvx.estimators.given import Rows, codes_of, divided, grouped
from amtl_cvx.experiment.jobs import fitted
from amtl_cvx.families import Method
from amtl_cvx.losses import LOSSES, Loss, make_loss
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import TaskSet
from amtl_cvx.tasks.weights import stacked_weights
from amtl_cvx.transfer import TransferPenalty, make_transfer
from amtl_cvx.weights import WeightPenalty

_MU = 0.5
"""The price of transfer where neither `mu` nor `transfer` says one."""


class Predictor(NamedTuple):
    """What one column of W is to learn."""

    name: str
    task: int
    """Whose rows it has."""
    targets: Array
    """Of all rows, (N,)."""
    answer: int = 0
    """Which of the scores of a row it gives: the class, where there are more than two."""


class Estimator(BaseEstimator):  # type: ignore[misc]
    """The base of both estimators; parameters are kept as given and read by `fit`."""

    _classification: ClassVar[bool] = False
    """Which losses it takes."""
    __metadata_request__fit: ClassVar[Mapping[str, bool]] = {"task": True}
    __metadata_request__predict: ClassVar[Mapping[str, bool]] = {"task": True}
    __metadata_request__score: ClassVar[Mapping[str, bool]] = {"task": True}

    def __init__(
        self,
        *,
        loss: str | Loss = "squared",
        mu: float | None = None,
        coupling: float = 0.1,
        transfer: str | TransferPenalty = "loss-weighted-l1",
        omega: str | WeightPenalty | None = "ridge:1e-4",
        task_weights: str | tuple[float, ...] = "equal",
        standardize: bool = True,
        intercept: bool = True,
        method: str | Method = "alternating",
        engine: Literal["cvxpy", "fast"] = "cvxpy",
        solver: str = "auto",
        tol: float = 1e-8,
        max_rounds: int = 500,
        task_column: str | None = None,
    ) -> None:
        self.loss = loss
        self.mu = mu
        self.coupling = coupling
        self.transfer = transfer
        self.omega = omega
        self.task_weights = task_weights
        self.standardize = standardize
        self.intercept = intercept
        self.method = method
        self.engine = engine
        self.solver = solver
        self.tol = tol
        self.max_rounds = max_rounds
        self.task_column = task_column

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
        model, options, tasks = self._model(), self._options(), self._tasks(rows, predictors)
        tasks = replace(tasks, labels=tasks.labels if labels is None else labels)
        preparation = Preparation.learn(tasks, standardize=self.standardize, intercept=self.intercept)
        solution = fitted(preparation.apply_tasks(tasks), model, self.method, options)
        self.solution_ = replace(solution, preparation=preparation)
        self.certificate_ = solution.certificate
        self.tasks_ = np.array(solution.task_names)
        self.B_, self.graph_ = solution.B, solution.graph
        self.n_iter_ = max((record.round for record in solution.history), default=0)
        self.coef_, self.intercept_ = _in_units_of_X(solution.predictors, preparation)
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

    def _model(self) -> Model:
        """The model that the parameters describe."""
        for name in ("standardize", "intercept"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ModelError(f"{name} must be True or False, got {getattr(self, name)!r}")
        loss = make_loss(self.loss) if isinstance(self.loss, str) else self.loss
        if isinstance(loss, Loss) and loss.classification != self._classification:
            raise ModelError(
                f"{type(self).__name__} takes the losses {_losses(self._classification)}, got {loss.label!r}"
            )
        transfer = self.transfer
        if isinstance(transfer, str):
            transfer = make_transfer(transfer, mu=_MU if self.mu is None else self.mu)
        if self.mu is not None and isinstance(transfer, TransferPenalty):
            transfer = replace(transfer, mu=self.mu)  # type: ignore[type-var]
        return Model(
            loss=loss,
            transfer=transfer,
            coupling=self.coupling,
            omega=self.omega,  # type: ignore[arg-type]  # a term will do
            task_weights=self.task_weights,
        )

    def _options(self) -> Options:
        return Options(
            tol=self.tol,
            max_rounds=self.max_rounds,
            engine=self.engine,
            solver=self.solver,
            problems=compiled(),
        )

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


def _in_units_of_X(W: Array, preparation: Preparation) -> tuple[Array, Array]:
    """Coefficients (P, d) and intercepts (P,) for raw rows, from the predictors for prepared ones."""
    coefficients = W[: preparation.d] / preparation.scale[:, None]
    ones = W[preparation.d :].sum(axis=0)  # the weight of the ones, 0 where there are none
    return coefficients.T, ones - preparation.center @ coefficients


def _uncertified(solution: Solution) -> str:
    """Why a fit does not pass, in the words of its certificate."""
    certificate = solution.certificate
    named = ("growth", "minimum", "relative_W", "relative_B")
    why = [certificate.reasons[name] for name in named if name in certificate.reasons]
    status = f"not certified, {solution.status.value}: {solution.status.text}"
    return "; ".join([status, certificate.verdict(), *why[:1]])
