"""AMTL of numbers as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from amtl_cvx.arrays import Array
from amtl_cvx.estimators.base import Estimator, Predictor


class AMTLRegressor(RegressorMixin, Estimator):  # type: ignore[misc]
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

    def fit(self, X: Any, y: Any, *, task: Any = None, sample_weight: Any = None) -> AMTLRegressor:
        """Learn the predictors of all tasks and the graph between them.

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
