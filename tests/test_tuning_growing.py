"""Trials on separable labels end as growing, those at their bound say so, others end where a fit does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import amtl_cvx.amtl.refining as refining
from amtl_cvx import LossWeightedL1, Model, Options, Solution, TaskSet, fit, tune
from amtl_cvx.experiment.tuning import Trial
from amtl_cvx.solution import Status

TRIAL = Options(engine="fast", judged=False)
GRID = {"mu": [0.001, 0.1], "coupling": [1e-3]}


def tasks(*, separable: bool, seed: int = 0) -> TaskSet:
    """Four tasks of 8 rows and 8 features, or of 40 rows with labels that contradict each other."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(8, 1)) + 0.3 * rng.normal(size=(8, 4))
    X = [rng.normal(size=(8 if separable else 40, 8)) for _ in range(4)]
    scores = [
        x @ w + (0.0 if separable else 3.0) * rng.normal(size=len(x)) for x, w in zip(X, W.T, strict=True)
    ]
    return TaskSet.from_arrays(X, [np.where(z > 0.0, 1.0, -1.0) for z in scores])


def fitted(rows: TaskSet, options: Options, *, loss: str = "logistic") -> Solution:
    return fit(rows, Model(loss=loss, transfer=LossWeightedL1(mu=0.01), coupling=1e-3), options=options)


def test_a_trial_on_separable_labels_ends_as_growing() -> None:
    rows = tasks(separable=True)
    found = fitted(rows, TRIAL)
    assert found.status is Status.GROWING and len(found.history) < 20
    scores = [task.y * (task.X @ w) for task, w in zip(rows, found.W.T, strict=True)]
    assert min(map(np.min, scores)) > 10.0  # every label is met, far from 0
    assert not found.certificate.passes


def test_a_trial_with_a_minimum_ends_there() -> None:
    rows = tasks(separable=False)
    trial, judged = fitted(rows, TRIAL), fitted(rows, replace(TRIAL, judged=True))
    assert trial.status is not Status.GROWING and judged.status is Status.CERTIFIED
    np.testing.assert_allclose(trial.W, judged.W, rtol=1e-6, atol=1e-8)
    hinge = fitted(tasks(separable=True), TRIAL, loss="squared-hinge")  # 0 at margins of 1
    assert hinge.status is not Status.GROWING and np.abs(hinge.losses).max() < 1e-6


def test_a_tuning_tells_how_many_points_grow(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    rows = tasks(separable=True)
    tuning = tune(rows, "amtl", GRID, splits=2, widen=0, journal=journal)
    assert [trial.growing for trial in tuning.trials] == [2, 2]
    assert {row["ended"] for row in tuning.rows()} == {"growing on 2 of 2 splits"}
    assert "2 of 2 points ended as growing" in tuning.sentence()
    assert "the chosen point is a growing one: --grid rounds=1:10" in tuning.sentence()
    again = tune(rows, "amtl", GRID, splits=2, widen=0, journal=journal)
    assert again.trials == tuning.trials
    early = tune(rows, "amtl", {**GRID, "rounds": [1, 2]}, splits=2, widen=0)
    assert "growing" not in early.sentence() and not any(trial.ended for trial in early.trials)


def test_a_trial_at_its_bound_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "TRIAL_STEPS", 1)
    rows = tasks(separable=False)
    assert fitted(rows, TRIAL).status is Status.ROUND_LIMIT
    tuning = tune(rows, "amtl", {"mu": [0.01], "coupling": [1e-3]}, splits=2, widen=0)
    assert tuning.chosen.ended == "at its bound of steps on 2 of 2 splits"
    assert "1 of 1 points ended at the bound of their steps" in tuning.sentence()
    assert Trial(parameters={}, errors=(0.1,), growing=1).ended == "growing on 1 split"
