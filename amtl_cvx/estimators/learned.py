"""What the estimators of AMTFL share: parameters, learned features of rows, layers in the units of X."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.estimators.base import Recipe, TaskEstimator
from amtl_cvx.estimators.compiled import compiled
from amtl_cvx.estimators.given import divided
from amtl_cvx.estimators.units import in_units_of_X
from amtl_cvx.features.methods import AmtflLinear
from amtl_cvx.features.model import FeatureModel
from amtl_cvx.losses import Loss
from amtl_cvx.network.methods import Amtfl, DeepAmtfl
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution

FEATURES = 8
"""How many features are learned where neither `features` nor `layers` says it."""
_ACTIVATIONS = ("relu", "identity")


class AmtflEstimator(TransformerMixin, TaskEstimator):  # type: ignore[misc]
    """The parameters of AMTFL, the learned features of rows, and the blocks that a fit leaves."""

    def __init__(
        self,
        *,
        features: int | None = None,
        layers: Sequence[int] | None = None,
        activation: Literal["relu", "identity"] = "relu",
        loss: str | Loss = "squared",
        mu: float = 0.01,
        alpha: float = 1.0,
        gamma: float = 0.01,
        gamma_per: Literal["row", "total"] = "row",
        decay: float = 0.01,
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
    ) -> None:
        self.features = features
        self.layers = layers
        self.activation = activation
        self.loss = loss
        self.mu = mu
        self.alpha = alpha
        self.gamma = gamma
        self.gamma_per = gamma_per
        self.decay = decay
        self.feedback = feedback
        self.price_floor = price_floor
        self.fit_bias = fit_bias
        self.task_weights = task_weights
        self.standardize = standardize
        self.solver = solver
        self.tol = tol
        self.max_rounds = max_rounds
        self.seed = seed
        self.task_column = task_column

    def transform(self, X: Any) -> Array:
        """The learned features of rows, (N, k), the same for every task.

        Raises
        ------
        ValueError
            For other columns than those of the fit.
        """
        check_is_fitted(self)
        found, _ = divided(X, None, self.task_column)
        z: Array = validate_data(self, found, reset=False, dtype=np.float64)
        model: Any = self.solution_.model
        for W, bias in zip(self.layers_, self.biases_, strict=True):
            u = z @ W + bias
            z = u if model.activation == "identity" else np.maximum(u, 0.0)
        return z

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names of the learned features, z0, z1, ..., as in `graph_`."""
        check_is_fitted(self)
        return np.array(self.graph_.names, dtype=object)

    def _recipe(self) -> Recipe:
        standardize, fit_bias = self._switches("standardize", "fit_bias")
        options = Options(tol=self.tol, max_rounds=self.max_rounds, solver=self.solver, problems=compiled())
        if self.activation not in _ACTIVATIONS:
            raise ModelError(f"activation must be one of {_ACTIVATIONS}, got {self.activation!r}")
        model = self._model(fit_bias)
        if isinstance(model, NetworkModel):
            by_depth = Amtfl if len(model.layers) == 1 else DeepAmtfl
            return Recipe(model, by_depth(seed=self.seed), options, standardize, False)
        return Recipe(model, AmtflLinear(seed=self.seed), options, standardize, fit_bias)

    def _model(self, fit_bias: bool) -> FeatureModel:
        """The model that the parameters describe; a linear one has its bias in a column of ones."""
        names = ("mu", "alpha", "gamma", "gamma_per", "decay", "feedback", "price_floor", "task_weights")
        shared: Mapping[str, Any] = {"loss": self._loss(), **{name: getattr(self, name) for name in names}}
        if self.activation == "relu":
            return NetworkModel(**self._sizes(), fit_bias=fit_bias, **shared)
        if self.layers is not None:
            raise ModelError("layers are of the activation relu: give features")
        return FeatureModel(features=FEATURES if self.features is None else self.features, **shared)

    def _sizes(self) -> dict[str, Any]:
        """What is said of the layers of a network."""
        if self.layers is None:
            return {"features": FEATURES if self.features is None else self.features}
        return {"layers": self.layers, "features": self.features}

    def _keep(self, solution: Solution) -> None:
        assert solution.preparation is not None
        self.layers_, self.biases_ = _layers(solution)
        self.S_, self.A_ = solution.S, solution.A
        self.graph_ = solution.family.learned(solution)  # type: ignore[attr-defined]
        self._n_features_out = len(self.S_)


def _layers(solution: Solution) -> tuple[list[Array], list[Array]]:
    """The weights (d_l, k_l) and biases (k_l,) of the layers, those of the first one for raw rows."""
    blocks, preparation = solution.blocks, solution.preparation
    assert preparation is not None
    if "L" in blocks:
        weights, bias = in_units_of_X(blocks["L"], preparation)
        return [weights.T], [bias]
    model: Any = solution.model
    layers = [blocks[f"W{number}"] for number in range(1, len(model.layers) + 1)]
    biases = [blocks.get(f"bias{number}", np.zeros(W.shape[1])) for number, W in enumerate(layers, start=1)]
    weights, shift = in_units_of_X(layers[0], preparation)
    return [weights.T, *layers[1:]], [biases[0] + shift, *biases[1:]]
