"""Networks that are drawn for tests: models of one to three layers, tasks, and blocks of any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.network import NetworkProblem

D, T = 5, 3
Blocks = dict[str, Any]
WEIGHTS: Mapping[str, Any] = {"mu": 0.1, "alpha": 0.5, "gamma": 0.2, "decay": 0.05}
MODELS = [
    NetworkModel(features=4, **WEIGHTS),
    NetworkModel(layers=(4, 6), **WEIGHTS, fit_bias=True),
    NetworkModel(layers=(4, 6, 2), **WEIGHTS, feedback_bias=True),
    NetworkModel(layers=(1, 7), **WEIGHTS, fit_bias=True, feedback_bias=True),
]


def sizes(model: NetworkModel) -> str:
    return "-".join(map(str, model.layers))


def made(seed: int = 0, *, counts: tuple[int, ...] = (9, 8, 7), d: int = D) -> TaskSet:
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(n, d)) for n in counts]
    names = [f"x{j}" for j in range(d)]
    return TaskSet.from_arrays(rows, [rng.normal(size=n) for n in counts], feature_names=names)


def drawn(model: NetworkModel, seed: int = 1, tasks: TaskSet | None = None) -> Blocks:
    rng = np.random.default_rng(seed)
    shapes_of = NetworkProblem(tasks or made(), model).shapes
    return {name: rng.normal(size=shape) for name, shape in shapes_of.items()}
