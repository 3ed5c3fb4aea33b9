"""What the tests of certificates share: the model of AMTL, and a point that passes."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    Array,
    loss_id,
    tasks_for,
)

from amtl_cvx import certificate
from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import (
    Certificate,
    conclude,
)
from amtl_cvx.losses import Loss
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

every_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)


Point = tuple[TaskSet, Model, Array, Array]


def amtl(loss: Loss, mu: float = 0.05, coupling: float = 0.7) -> Model:
    return Model(
        loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling, task_weights=(0.5, 2.0, 1.0, 0.25)
    )


@functools.cache
def certified_point(loss: Loss) -> Point:
    """A first-order point with edges."""
    tasks = tasks_for(loss, np.random.default_rng(7))
    mu, coupling = (0.02, 0.7) if loss.name == "squared" else (0.003, 0.2)
    model = Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=coupling)
    solution = alternate(tasks, model, Options(tol=1e-8, max_rounds=25))
    assert solution.certificate.passes and solution.certificate.edges >= 2
    return tasks, model, solution.W, solution.B


def concluded(**changed: object) -> Certificate:
    figures = {
        "kind": "joint", "objective": 10.0, "tol": 1e-8, "reasons": {}, "B": np.zeros((2, 2)),
        "found": certificate.Residuals(0.0, 0.0, 1e-9, 1e-9), "relative": 1e-9,
        "joint_relative": 1e-9, "feasibility": 0.0, "gaps": (1e-9, 1e-9), "gap_W_exact": True,
        "gain_W": 1e-9,
    }  # fmt: skip
    return conclude(**(figures | changed))  # type: ignore[arg-type]
