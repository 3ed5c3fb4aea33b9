"""AMTFL as estimators: predictors by way of learned features, and which task shapes which feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from amtl_cvx.estimators.classification import Classification
from amtl_cvx.estimators.learned import AmtflEstimator
from amtl_cvx.estimators.regression import Regression
from amtl_cvx.losses import Loss


class AMTFLRegressor(Regression, AmtflEstimator):
    """Multi-task regression for scikit-learn by features that all tasks use and the reliable ones shape.

    Source: Lee, Yang, Hwang, Deep Asymmetric Multi-task Feature Learning, ICML 2018.

    Parameters
    ----------
    features : int, optional
        How many features are learned, 8 unless `layers` says it.
    layers : sequence of int, optional
        The sizes of the hidden layers, the last one being the features: (25, 15).
    activation : {"relu", "identity"}
        Features max(X L, 0), or X L.
    loss : str or Loss
        A smooth one: ``"squared"``, ``"huber:1.5"`` or an object.
    mu : float
        Price of ||S||_1, what tasks use, > 0.
    alpha : float
        Price of feedback, >= 0, in units of the loss of its task.
    gamma : float
        Weight of the reconstruction of the features from the predictions, >= 0. Every row counts once in it:
        weights of rows are those of the losses.
    gamma_per : {"row", "total"}
        "row": gamma is divided by the number of rows.
    decay : float
        Weight of the squares of all layers and biases, > 0 with "relu".
    feedback : {"signed", "nonnegative"}
        Whether feedback may be negative.
    price_floor : float
        What feedback costs beside the loss, times sqrt(mean n / n_t), >= 0.
    fit_bias : bool
        Whether layers have biases, which count in `decay`.
    task_weights : {"equal", "inverse-sqrt"} or tuple of floats
        Weights of the tasks, in their order.
    standardize : bool
        Centre and scale the columns of X, by the training rows of all tasks.
    solver, tol, max_rounds
        As in `Options`.
    seed : int
        Of what is drawn for the start.
    task_column : str, optional
        The column of a frame X that has the task of each row; it is no feature.

    Attributes
    ----------
    solution_ : Solution
        The fit, with its preparation: what `runfolder.save` and reports take.
    certificate_ : Certificate
        How good the fit is; one that does not pass is told by a `ConvergenceWarning`.
    tasks_ : (T,) array of str
        Names of the tasks, "all" where none is given: columns of `S_`, rows of `A_`.
    layers_, biases_ : lists of (d_l, k_l) and (k_l,) arrays
        What makes the features (`transform`), the first layer in the units of X.
    S_ : (k, T) array
        What each task uses of the features: scores are ``transform(X) @ S_``.
    A_ : (T, k) array
        The feedback of each task to the features.
    graph_ : FeatureGraph
        Both with names and losses.
    n_iter_ : int
        Rounds of the fit.
    n_features_in_, feature_names_in_
        As in scikit-learn, without the column of the tasks.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.estimators import AMTFLRegressor
    >>> rng = np.random.default_rng(0)
    >>> X, shop = rng.normal(size=(60, 3)), np.repeat(["north", "south"], 30)
    >>> y = np.maximum(X @ [1.0, 2.0, 0.0], 0.0) + rng.normal(size=60) * np.where(shop == "north", 0.1, 1.0)
    >>> model = AMTFLRegressor(features=2).fit(X, y, task=shop)
    >>> model.certificate_.level, model.S_.shape, model.transform(X).shape
    ('C2', (2, 2), (60, 2))
    >>> model.predict([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], task=["north", "north"]).round()
    array([2., 0.])
    """


class AMTFLClassifier(Classification, AmtflEstimator):
    """Multi-task classification for scikit-learn by features that all tasks use and the reliable ones shape.

    With two classes each task has one predictor, of the second one. With more, each class of a task has one
    that tells it from the rest; they use the same features, and give back to them.

    Parameters
    ----------
    loss : str or Loss
        ``"logistic"``, ``"squared-hinge"`` or an object.
    features, layers, activation, mu, alpha, gamma, gamma_per, decay, feedback, price_floor
        As in `AMTFLRegressor`; decay is a tenth of its, as the logistic loss curves less.
    fit_bias, task_weights, standardize, solver, tol, max_rounds, seed, task_column
        As in `AMTFLRegressor`.
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
    solution_, certificate_, layers_, biases_, S_, A_, graph_, n_iter_, n_features_in_, feature_names_in_
        As in `AMTFLRegressor`, with a predictor in the place of a task.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.estimators import AMTFLClassifier
    >>> X = np.repeat([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], 10, axis=0)
    >>> X = X + np.random.default_rng(0).normal(size=(30, 2))
    >>> model = AMTFLClassifier(features=3).fit(X, np.repeat(["cat", "dog", "owl"], 10))
    >>> model.predict([[0.0, 5.0]]), model.S_.shape
    (array(['owl'], dtype='<U3'), (3, 3))
    """

    def __init__(
        self,
        *,
        features: int | None = None,
        layers: Sequence[int] | None = None,
        activation: Literal["relu", "identity"] = "relu",
        loss: str | Loss = "logistic",
        mu: float = 0.01,
        alpha: float = 1.0,
        gamma: float = 0.01,
        gamma_per: Literal["row", "total"] = "row",
        decay: float = 0.001,
        feedback: Literal["signed", "nonnegative"] = "signed",
        price_floor: float = 0.0,
        fit_bias: bool = True,
        task_weights: str | tuple[float, ...] = "equal",
        standardize: bool = True,
        solver: str = "auto",
        tol: float = 1e-8,
        max_rounds: int = 500,
        seed: int = 0,
        task_column: str | None = None,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__(
            features=features,
            layers=layers,
            activation=activation,
            loss=loss,
            mu=mu,
            alpha=alpha,
            gamma=gamma,
            gamma_per=gamma_per,
            decay=decay,
            feedback=feedback,
            price_floor=price_floor,
            fit_bias=fit_bias,
            task_weights=task_weights,
            standardize=standardize,
            solver=solver,
            tol=tol,
            max_rounds=max_rounds,
            seed=seed,
            task_column=task_column,
        )
        self.class_weight = class_weight
