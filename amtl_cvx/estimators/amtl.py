"""AMTL as estimators: predictors, and the graph of who helps whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from amtl_cvx.estimators.base import Recipe, TaskEstimator
from amtl_cvx.estimators.classification import Classification
from amtl_cvx.estimators.compiled import compiled
from amtl_cvx.estimators.regression import Regression
from amtl_cvx.estimators.units import in_units_of_X
from amtl_cvx.families import Method
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.solution import Solution
from amtl_cvx.transfer import TransferPenalty, make_transfer
from amtl_cvx.weights import WeightPenalty

_MU = 0.5
"""The price of transfer where neither `mu` nor `transfer` says one."""


class AmtlEstimator(TaskEstimator):
    """The parameters of AMTL, and the graph that a fit leaves."""

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

    def _recipe(self) -> Recipe:
        standardize, intercept = self._switches("standardize", "intercept")
        options = Options(
            tol=self.tol,
            max_rounds=self.max_rounds,
            engine=self.engine,
            solver=self.solver,
            problems=compiled(),
        )
        return Recipe(self._model(), self.method, options, standardize, intercept)

    def _model(self) -> Model:
        """The model that the parameters describe."""
        loss = self._loss()
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

    def _keep(self, solution: Solution) -> None:
        assert solution.preparation is not None
        self.B_, self.graph_ = solution.B, solution.graph
        self.coef_, self.intercept_ = in_units_of_X(solution.predictors, solution.preparation)


class AMTLRegressor(Regression, AmtlEstimator):
    """Asymmetric multi-task regression for scikit-learn, with the graph of who helps whom.

    Parameters
    ----------
    loss : str or Loss
        ``"squared"``, ``"huber:1.5"``, ``"quantile:0.9"``, ``"poisson"`` or an object.
    mu : float, optional
        Price of transfer. None: what `transfer` says, else 0.5.
    coupling : float
        Weight of ||W - W B||_F^2, > 0.
    transfer : str or TransferPenalty
        The price of edges, as a term of the command line (``"row-budget:budget=1"``) or an object.
    omega : str or WeightPenalty, optional
        A penalty on W (``"mean:rho=1"``). The default is a ridge so small that it only gives J a minimum;
        None is the J of the paper, whose predictors can grow without end where tasks help each other.
    task_weights : {"equal", "inverse-sqrt"} or tuple of floats
        Weights of the tasks, in their order.
    standardize : bool
        Centre and scale the features, by the training rows of all tasks.
    intercept : bool
        Append a column of ones, penalised and transferred like any feature.
    method : {"alternating", "curriculum", "stl"} or Method
        As in `fit`; "curriculum" takes no penalty on W.
    engine : {"cvxpy", "fast"}
        Who solves the two steps: CVXPY problems, or NumPy.
    solver, tol, max_rounds
        As in `Options`.
    task_column : str, optional
        The column of a frame X that has the task of each row; it is no feature.

    Attributes
    ----------
    solution_ : Solution
        The fit, with its preparation: what `runfolder.save` and reports take.
    certificate_ : Certificate
        How good the fit is; one that does not pass is told by a `ConvergenceWarning`.
    tasks_ : (T,) array of str
        Names of the tasks, "all" where none is given: rows of `coef_`, rows and columns of `B_`.
    B_ : (T, T) array
        ``B_[s, t]`` is the edge s -> t, "task s helps task t".
    graph_ : TransferGraph
        The same with names and losses.
    coef_, intercept_ : (T, d) and (T,) arrays
        The predictors in the units of X.
    n_iter_ : int
        Rounds of alternation.
    n_features_in_, feature_names_in_
        As in scikit-learn, without the column of the tasks.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.estimators import AMTLRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, shop = rng.normal(size=(60, 3)), np.repeat(["north", "south"], 30)
    >>> y = X @ [1.0, 2.0, 0.0] + rng.normal(size=60) * np.where(shop == "north", 0.1, 2.0)
    >>> model = AMTLRegressor(mu=0.1, coupling=0.1, engine="fast").fit(X, y, task=shop)
    >>> model.tasks_.tolist(), model.certificate_.level, model.coef_.shape
    (['north', 'south'], 'C2', (2, 3))
    >>> model.predict([[0.0, 1.0, 0.0]], task=["north"]).round()
    array([2.])
    """


class AMTLClassifier(Classification, AmtlEstimator):
    """Asymmetric multi-task classification for scikit-learn, with the graph of who helps whom.

    With two classes each task has one predictor, of the second one. With more, each class of a task has one
    that tells it from the rest, and the graph is between these: ``B_[s, t] > 0`` says that what tells s from
    the rest helps to tell t from the rest.

    Parameters
    ----------
    loss : str or Loss
        ``"logistic"``, ``"squared-hinge"``, ``"hinge"`` or an object.
    coupling : float
        Weight of ||W - W B||_F^2, > 0. The default is a tenth of that of `AMTLRegressor`: the logistic loss
        curves an eighth as much as the squared one at most.
    mu, transfer, omega, task_weights, standardize, intercept, method
        As in `AMTLRegressor`.
    engine, solver, tol, max_rounds, task_column
        As in `AMTLRegressor`.
    class_weight : mapping or "balanced", optional
        Weights of the classes, which those of the rows are multiplied by. "balanced": in each task every
        class weighs as much as the others.

    Attributes
    ----------
    classes_ : (K,) array
        The classes, sorted.
    tasks_ : (P,) array of str
        Names of the predictors: of the tasks, or "cat vs rest" and "north: cat vs rest" with more than two
        classes.
    solution_, certificate_, B_, graph_, coef_, intercept_, n_iter_, n_features_in_, feature_names_in_
        As in `AMTLRegressor`, with a predictor in the place of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.estimators import AMTLClassifier
    >>> X = np.repeat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], 10, axis=0)
    >>> X = X + np.random.default_rng(0).normal(size=(30, 2))
    >>> model = AMTLClassifier(coupling=0.01, engine="fast").fit(X, np.repeat(["cat", "dog", "owl"], 10))
    >>> model.tasks_.tolist(), model.B_.shape
    (['cat vs rest', 'dog vs rest', 'owl vs rest'], (3, 3))
    >>> model.predict([[0.0, 5.0]])
    array(['owl'], dtype='<U3')
    >>> model.predict_proba([[0.0, 5.0]]).round(1), model.certificate_.level
    (array([[0.1, 0. , 0.9]]), 'C2')
    """

    def __init__(
        self,
        *,
        loss: str | Loss = "logistic",
        mu: float | None = None,
        coupling: float = 0.01,
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
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__(
            loss=loss,
            mu=mu,
            coupling=coupling,
            transfer=transfer,
            omega=omega,
            task_weights=task_weights,
            standardize=standardize,
            intercept=intercept,
            method=method,
            engine=engine,
            solver=solver,
            tol=tol,
            max_rounds=max_rounds,
            task_column=task_column,
        )
        self.class_weight = class_weight
