"""Small problems of shared features with everything that may vary, and first-order points of the oracle."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from feature_oracle import Blocks, Oracle

from amtl_cvx import TaskSet
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.features.proven import ProvenFeatures, prove_features

LOSSES = ("squared", "logistic", "huber:0.8", "squared-hinge")


def problem(seed: int, *, T: int = 3, d: int = 3, k: int = 2, **settings: Any) -> FeatureProblem:
    """Loss, signs, gamma per row, price floor, weights of tasks and rows go round with the seed."""
    rng = np.random.default_rng([14, seed])
    loss, counts = LOSSES[seed % 4], rng.integers(8, 14, size=T)
    W = rng.normal(size=(d, k)) @ (rng.normal(size=(k, T)) * (rng.random(size=(k, T)) < 0.7))
    X = [rng.normal(size=(n, d)) for n in counts]
    y = [x @ W[:, t] + 0.3 * rng.normal(size=len(x)) for t, x in enumerate(X)]
    if loss in ("logistic", "squared-hinge"):
        y = [np.where(v > 0.0, 1.0, -1.0) for v in y]
    weights = [rng.uniform(0.5, 2.0, size=n) for n in counts] if seed % 5 == 1 else None
    tasks = TaskSet.from_arrays(X, y, sample_weight=weights)
    given = {
        "features": k,
        "loss": loss,
        "mu": float(10.0 ** rng.uniform(-2.0, -1.3)),
        "decay": float(10.0 ** rng.uniform(-2.0, -1.3)),
        "task_weights": ("equal", "inverse-sqrt", tuple(rng.uniform(0.5, 2.0, size=T)))[seed % 3],
    }
    if settings.pop("go_mtl", False):
        return FeatureProblem(tasks, GoMtlModel(**given | settings))
    per_row = seed % 2 == 1
    given |= {
        "alpha": float(10.0 ** rng.uniform(-1.0, -0.3)),
        "gamma": float(10.0 ** rng.uniform(-2.0, -1.0)) * (counts.sum() / 2 if per_row else 1.0),
        "feedback": ("signed", "nonnegative")[seed // 2 % 2],
        "gamma_per": ("total", "row")[per_row],
        "price_floor": (0.0, 0.2)[seed % 3 == 2],
    }
    return FeatureProblem(tasks, FeatureModel(**given | settings))


@functools.cache
def solved(seed: int, **sizes: Any) -> tuple[FeatureProblem, Oracle, Blocks]:
    """A problem, its oracle and one of its first-order points in many digits."""
    found = problem(seed, **sizes)
    oracle = Oracle.of(found.tasks, found.model)
    return found, oracle, oracle.first_order_point(seed)


def rounded(found: FeatureProblem, point: Blocks, **some: Any) -> FeaturePoint:
    """The point in doubles, some blocks replaced."""
    blocks = {name: np.asarray(block, dtype=float) for name, block in {**point._asdict(), **some}.items()}
    return found.at(**{name: blocks[name] for name in found.model.blocks})


@functools.cache
def proven(seed: int, **sizes: Any) -> ProvenFeatures:
    found, _, point = solved(seed, **sizes)
    return prove_features(rounded(found, point))
