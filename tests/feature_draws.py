"""Small random problems and points of shared features, for tests that hold of any."""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.losses import make_loss
from amtl_cvx.tasks import TaskSet

LOSSES = ("squared", "logistic", "huber:0.5", "squared-hinge")
SETTINGS: dict[str, Any] = {"mu": 0.1, "alpha": 0.3, "gamma": 0.02, "decay": 0.05}


def drawn_tasks(loss: str, seed: int = 0, *, T: int = 4, d: int = 5, n: int = 12, rank: int = 2) -> TaskSet:
    """Tasks whose predictors have a low rank; more noise in later ones."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(d, rank)) @ rng.normal(size=(rank, T))
    X = [rng.normal(size=(n + t, d)) for t in range(T)]
    y = [part @ W[:, t] + (0.3 + t) * rng.normal(size=len(part)) for t, part in enumerate(X)]
    if make_loss(loss).classification:
        y = [np.where(part > np.median(part), 1.0, -1.0) for part in y]
    return TaskSet.from_arrays(X, y)


def drawn_problem(loss: str = "squared", seed: int = 0, *, k: int = 3, **other: Any) -> FeatureProblem:
    """A problem of AMTFL; `other` are settings of the model or sizes of `drawn_tasks`."""
    sizes = {name: other.pop(name) for name in ("T", "d", "n", "rank") if name in other}
    model = FeatureModel(loss=make_loss(loss), features=k, **{**SETTINGS, **other})
    return FeatureProblem(drawn_tasks(loss, seed, **sizes), model)


def without_feedback(problem: FeatureProblem) -> FeatureProblem:
    """The problem of GO-MTL on the same tasks."""
    model = problem.model
    go = GoMtlModel(loss=model.loss, features=model.features, mu=model.mu, decay=model.decay)
    return FeatureProblem(problem.tasks, go)


def drawn_point(problem: FeatureProblem, seed: int = 1, *, share: float = 0.6) -> FeaturePoint:
    """A point with normal entries, a share of those of S and A."""
    rng = np.random.default_rng(seed)
    blocks = {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}
    for name in set(blocks) & {"S", "A"}:
        blocks[name] *= rng.random(blocks[name].shape) < share
    if "A" in blocks and not problem.model.signed:
        blocks["A"] = np.abs(blocks["A"])
    return problem.at(**blocks)
