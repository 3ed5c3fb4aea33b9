r"""Where a fit of shared features begins: at the predictors of single tasks, or at random.

    W = U diag(s) V'  of ridge by task      L = U diag(s)^(1/2) Q'      S = Q diag(s)^(1/2) V'

Q (k, r) is the identity where k is at most the rank of W, L S then being the nearest product of rank k. With
more features than that it has orthonormal columns that are drawn: L S is W all the same, and every feature is
live. Filled up with zeros the rest would be dead for good (dead features are first-order points), with small
numbers they would die in the first steps, which price them before they are of use.

The scale of each feature is that of the D-step, and A begins at 0. Where A must not be negative, -L_j and
-S_j are not as good as L_j and S_j: the sign is that with which some task can give to the feature, for which
z_j'(Z S)_t > 0.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.features.balance import balanced
from amtl_cvx.features.point import FeaturePoint
from amtl_cvx.features.problem import FeatureProblem
from amtl_cvx.problem import Model, Problem
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.transfer import LossWeightedL1

Init = Literal["svd", "random"]
_LEAST_RIDGE = 1e-3  # of the curvature of the losses at 0: separable classes have no predictors without it


def start_of(problem: FeatureProblem, init: Init = "svd", *, seed: int = 0) -> FeaturePoint:
    """Where a fit begins: `seed` is for what is drawn, with "svd" only where k is above the rank of W."""
    rng = np.random.default_rng(seed)
    W, k = single_task_weights(problem), problem.model.features
    if init == "svd":
        L, S = factors(W, k, rng=rng)
    else:
        L, S = rng.normal(size=(len(W), k)), rng.normal(size=(k, W.shape[1]))
        L = L * float(np.linalg.norm(W)) / float(np.linalg.norm(L @ S))
    point = balanced(problem.zero.at(L=L, S=S))
    return point if problem.model.signed else _turned(point)


def _turned(point: FeaturePoint) -> FeaturePoint:
    """With the sign of each feature for which z_j'(Z S)_t is the larger at its largest."""
    pull = point.Z.T @ (point.Z @ point.S)
    sign = np.where(pull.max(axis=1) >= -pull.min(axis=1), 1.0, -1.0)
    return point.at(L=point.L * sign, S=point.S * sign[:, None])


def factors(W: Array, k: int, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """L (d, k) and S (k, T) whose product is W (d, T), or the nearest matrix of rank k."""
    U, s, V = np.linalg.svd(W, full_matrices=False)
    rank = int((s > max(W.shape) * np.finfo(np.float64).eps * s[0]).sum())
    r, root = min(k, rank), np.sqrt(s)
    Q = np.eye(k, r) if k <= rank else np.linalg.qr(rng.normal(size=(k, r)))[0]
    return (U[:, :r] * root[:r]) @ Q.T, Q @ (root[:r, None] * V[:r])


def single_task_weights(problem: FeatureProblem) -> Array:
    """W (d, T) = argmin of sum_t c_t L_t(w_t) + ridge ||W||_F^2; the ridge is the model's decay, or more."""
    tasks, model = problem.tasks, problem.model
    curvature = problem.task_weight[:, None] * np.einsum("tii->ti", problem.zero.loss_curvature)
    ridge = max(model.decay, _LEAST_RIDGE * float(curvature.mean())) or 1.0
    alone = Model(
        loss=model.loss,
        transfer=LossWeightedL1(mu=1.0),
        coupling=ridge,
        task_weights=model.task_weights,
    )
    T = tasks.T
    return minimal_weights(Problem(tasks, alone).at(np.zeros((tasks.d, T)), np.zeros((T, T))))
