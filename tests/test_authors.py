"""The AMTL authors' data and a saved run of their code: a regression test for STL, a rejection for AMTL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io as sio

from amtl_cvx import LossWeightedL1, Model, Squared, TaskSet, certify, fit, read
from amtl_cvx.problem import Problem
from amtl_cvx.subproblems import WeightStep

Saved = dict[str, np.ndarray]


@pytest.fixture
def saved(shared_data: Path) -> tuple[TaskSet, Saved]:
    """The training rows with their column of ones, and the workspace of the authors' regression script."""
    path = shared_data / "amtl_reference" / "result_synthetic_dataset.mat"
    return read(path).train, sio.loadmat(path)


def test_single_task_learning_is_their_ridge(saved: tuple[TaskSet, Saved]) -> None:
    tasks, workspace = saved
    model = Model(loss=Squared(reduction="sum"), transfer=LossWeightedL1(mu=1.0), coupling=10.0)
    W = fit(tasks, model, method="stl").W
    np.testing.assert_allclose(W, workspace["W_old"], rtol=0.0, atol=1e-10)


def test_their_final_point_is_rejected_and_its_exact_step_is_lower(saved: tuple[TaskSet, Saved]) -> None:
    tasks, workspace = saved
    model = Model(transfer=LossWeightedL1(mu=1.0), coupling=10.0)
    W, B = workspace["W_cell"][-1, 0], workspace["B_cell"][-1, 0]
    found = certify(tasks, model, W, B)
    assert found.objective == pytest.approx(6707.0501, abs=5e-5)  # SPEC's figures, not ours
    assert not found.passes and found.relative > 0.5
    assert by_columns(tasks, model, W, B) == pytest.approx(0.83, abs=5e-3)
    exact, _ = WeightStep.compile(tasks, model).solve(Problem(tasks, model).at(W, B))
    assert model.objective(tasks, exact, B) == pytest.approx(4607.8073, abs=5e-5)


def by_columns(tasks: TaskSet, model: Model, W: np.ndarray, B: np.ndarray) -> float:
    """The residual of W as SPEC's figure has it, relative to the largest terms of a column."""
    a, problem = model.loss_weight(tasks, B), Problem(tasks, model)
    coupling = 2.0 * model.coupling * W @ (np.eye(tasks.T) - B) @ (np.eye(tasks.T) - B).T
    terms = a * problem.at(W, B).loss_gradient, a * problem.slopes_at_zero, coupling
    sizes = np.max([np.abs(term).max(axis=0) for term in terms], axis=0)
    return float((np.abs(terms[0] + coupling).max(axis=0) / sizes).max())
