"""What the tests of enclosures share: small problems, and a proof of one."""

from __future__ import annotations

from typing import Any

import numpy as np

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet


def amtl(mu: float = 0.1, coupling: float = 1.0, **settings: Any) -> Model:
    return Model(loss=Squared(**settings), transfer=LossWeightedL1(mu=mu), coupling=coupling)


def zeros(tasks: TaskSet) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T))
