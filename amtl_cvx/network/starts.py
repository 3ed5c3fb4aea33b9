r"""Where a fit of a network begins: at the linear predictors of single tasks, or at random weights.

    W = L S of ridge by task        V_1 = [L, -L],   S = [S; -S]        max(x'l, 0) - max(-x'l, 0) = x'l

With "svd" the first pairs of units pass W on, through layers that are the identity on them (what is not
negative passes a ReLU as it is) and a tenth of what is drawn: with the identity alone a unit would rest on
its kink on every row on which its one input is off. r pairs hold the nearest matrix of rank r. What units
there are beside them, and all units with "random", have weights that are drawn as He does, N(0, 2 / inputs).
S follows from ridge by task on what comes out of the last layer, so that no unit is without a use at first;
A is 0, or least squares of the features on the scores where J would be above that of the zero point
without it; biases are 0.

The scale of every unit is that of the D-step (`balance`).

Source: He, Zhang, Ren, Sun, Delving deep into rectifiers, 2015.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.features import FeatureModel, FeatureProblem
from amtl_cvx.features.starts import Init, factors, single_task_weights
from amtl_cvx.network.balance import balanced
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.problem import NetworkProblem

_RIDGE = 1e-2  # of the mean curvature


def start_of(problem: NetworkProblem, init: Init = "svd", *, seed: int = 0) -> NetworkPoint:
    """Where a fit begins: `seed` is for what is drawn."""
    rng = np.random.default_rng(seed)
    widths = (problem.tasks.d, *problem.model.layers)
    layers = [
        rng.normal(size=(rows, columns)) * np.sqrt(2.0 / rows)
        for rows, columns in zip(widths, widths[1:], strict=False)
    ]
    if init == "svd":
        _pass_on(layers, problem, rng)
    if problem.model.fit_bias:
        layers = [np.vstack([W, np.zeros(W.shape[1])]) for W in layers]
    zero = problem.zero
    joined = problem.layout.joined
    point = problem.from_vector(joined(*layers, zero.S, zero.A_plus))
    point = balanced(problem.from_vector(joined(*layers, _predictors(point), zero.A_plus)))
    if point.objective < zero.objective:
        return point
    rebuilt = balanced(point.at(A=_feedback(point)))  # from above the zero point a fit would end there
    return rebuilt if rebuilt.objective < point.objective else point


def _pass_on(layers: list[Array], problem: NetworkProblem, rng: np.random.Generator) -> None:
    """Put pairs of units that hold the linear predictors into the layers."""
    model, r = problem.model, min(problem.model.layers) // 2
    if not r:
        return
    linear = FeatureModel(loss=model.loss, features=r, mu=model.mu, decay=model.decay)
    L, _ = factors(single_task_weights(FeatureProblem(problem.tasks, linear)), r, rng=rng)
    size = float(np.linalg.norm(L, axis=0).max()) or 1.0
    layers[0][:, : 2 * r] = np.hstack([L, -L]) / size * np.sqrt(2.0)
    for W in layers[1:]:
        W[:, : 2 * r] *= 0.1
        W[: 2 * r, : 2 * r] += np.eye(2 * r)


def _feedback(point: NetworkPoint) -> Array:
    """A (T, k) of least squares of the features on the scores, with a ridge."""
    times, F = point.problem.rows.times[:, None], point.F
    gram = F.T @ (times * F)
    ridge = _RIDGE * max(float(np.diag(gram).mean()), 1e-300)
    A = np.linalg.solve(gram + ridge * np.eye(len(gram)), F.T @ (times * point.features))
    return np.asarray(A if point.model.signed else np.maximum(A, 0.0), dtype=np.float64)


def _predictors(point: NetworkPoint) -> Array:
    """S (k, T) of least squares by task on the features, with a ridge."""
    rows, Z = point.problem.rows, point.features
    S = np.zeros_like(point.S)
    for t in range(S.shape[1]):
        own = rows.task == t
        X, y = Z[rows.row[own]], rows.y[own]
        gram = X.T @ X
        ridge = _RIDGE * max(float(np.diag(gram).mean()), 1e-300)
        S[:, t] = np.linalg.solve(gram + ridge * np.eye(len(gram)), X.T @ y)
    return S
