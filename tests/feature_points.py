"""First-order points of small problems of shared features, from the oracle, as the package has them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
from feature_oracle import Oracle

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.tasks import TaskSet

WEIGHTS: dict[str, Any] = {"features": 2, "mu": 0.05, "alpha": 0.1, "gamma": 0.02, "decay": 0.02}
"""At which some entries of S and A are 0 and some are not."""
OF_AMTFL = ("alpha", "gamma", "feedback", "gamma_per", "price_floor", "reconstruct")


def drawn_tasks(loss: str, *, seed: int = 3, T: int = 3, d: int = 3, rows: int = 8) -> TaskSet:
    """Tasks whose predictors are made of two features, of unequal noise."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(rows + t, d)) for t in range(T)]
    W = rng.normal(size=(d, 2)) @ rng.normal(size=(2, T))
    y = [x @ W[:, t] + 0.1 * (1 + t) * rng.normal(size=len(x)) for t, x in enumerate(X)]
    if loss == "poisson":
        y = [np.round(np.exp(np.clip(part, -2.0, 2.0))) for part in y]
    if loss in ("logistic", "squared-hinge"):
        y = [np.where(part > 0.0, 1.0, -1.0) for part in y]
    return TaskSet.from_arrays(X, y)


def drawn_problem(loss: str = "squared", *, go_mtl: bool = False, **options: Any) -> FeatureProblem:
    """A small problem; what is no setting of the model is one of `drawn_tasks`."""
    of_tasks = {name: options.pop(name) for name in ("seed", "T", "d", "rows") if name in options}
    weights = {**WEIGHTS, **options}
    if go_mtl:
        weights = {name: value for name, value in weights.items() if name not in OF_AMTFL}
    model = (GoMtlModel if go_mtl else FeatureModel)(loss=loss, **weights)
    return FeatureProblem(drawn_tasks(loss, **of_tasks), model)


def solved(problem: FeatureProblem, *, start: int = 1) -> FeaturePoint:
    """A first-order point of the problem, right but for rounding."""
    oracle = replace(Oracle.of(problem.tasks, problem.model), mp=mpmath.fp)
    blocks = oracle.first_order_point(start)._asdict()
    return problem.at(**{name: blocks[name] for name in problem.model.blocks})


def first_order(loss: str = "squared", *, start: int = 1, **options: Any) -> FeaturePoint:
    """`solved` of `drawn_problem`: found once, and a new point, which has kept nothing, every time."""
    return drawn_problem(loss, **options).at(**_first_order(loss, start=start, **options).blocks)


@cache
def _first_order(loss: str, *, start: int, **options: Any) -> FeaturePoint:
    return solved(drawn_problem(loss, **options), start=start)
