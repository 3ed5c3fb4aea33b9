"""Preparation: against the textbook mean and deviation of the assembled rows, and its own algebra."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import amtl_cvx.preparation as preparation_module
from amtl_cvx.data import ChunkedRows
from amtl_cvx.data import factor as stream
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Squared
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.solution import Status
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

EPS = float(np.finfo(np.float64).eps)


@pytest.fixture
def tasks(rng: np.random.Generator) -> TaskSet:
    """Three tasks of different sizes and places, the last column constant."""
    X = [rng.normal(shift, 1 + shift, (n, 4)) for shift, n in ((0, 7), (3, 40), (5, 11))]
    for block in X:
        block[:, 3] = 0.1
    y = [rng.standard_normal(len(block)) for block in X]
    return TaskSet.from_arrays(X, y, names=["a", "b", "c"], feature_names=["p", "q", "r", "one"])


def test_statistics_are_those_of_the_pooled_rows(tasks: TaskSet, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tasks.stacked()[0][:, :3]
    for block in (1 << 20, 12):  # all at once, and three rows at a time
        monkeypatch.setattr(preparation_module, "_BLOCK", block)
        learned = Preparation.learn(tasks, standardize=True, intercept=False)
        np.testing.assert_allclose(learned.center[:3], rows.mean(axis=0), rtol=0, atol=20 * EPS)
        np.testing.assert_allclose(learned.scale[:3], rows.std(axis=0), rtol=20 * EPS)


def test_prepared_training_rows_have_mean_zero_and_deviation_one(tasks: TaskSet) -> None:
    learned = Preparation.learn(tasks, standardize=True, intercept=True)
    rows = learned.apply_tasks(tasks).stacked()[0]
    np.testing.assert_allclose(rows[:, :3].mean(axis=0), 0.0, atol=20 * EPS)
    np.testing.assert_allclose(rows[:, :3].std(axis=0), 1.0, rtol=20 * EPS)
    np.testing.assert_array_equal(rows[:, 3], 0.0)  # constant: centred beside the ones
    np.testing.assert_array_equal(rows[:, 4], 1.0)  # ones, last, not standardised


def test_new_rows_get_the_map_of_the_training_rows(tasks: TaskSet, rng: np.random.Generator) -> None:
    learned = Preparation.learn(tasks, standardize=True, intercept=True)
    new = rng.integers(0, 255, (6, 4)).astype(np.uint8)
    expected = np.column_stack([(new.astype(float) - learned.center) / learned.scale, np.ones(6)])
    np.testing.assert_array_equal(learned.apply(new), expected)
    assert learned.apply(np.zeros((0, 4))).shape == (0, 5)


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
def test_a_large_offset_costs_no_accuracy(offset: float, rng: np.random.Generator) -> None:
    noise = np.round(rng.standard_normal((1000, 1)) * 2**10)  # integers: offset + noise is exact
    tasks = TaskSet.from_arrays([noise[:300] + offset, noise[300:] + offset], [np.zeros(300), np.zeros(700)])
    learned = Preparation.learn(tasks, standardize=True, intercept=False)
    assert learned.scale[0] == pytest.approx(noise.std(), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e300, 1e-300])
def test_constant_columns_are_centred_beside_an_intercept_only(
    value: float, caplog: pytest.LogCaptureFixture
) -> None:
    X = np.full((1001, 2), value)
    X[:, 1] = np.linspace(0, 1, 1001)
    X[::2, 0] *= 1 + EPS  # constant up to rounding
    tasks = TaskSet.from_arrays([X[:500], X[500:]], [np.zeros(500), np.zeros(501)])
    learned = Preparation.learn(tasks, standardize=True, intercept=False)
    assert (learned.center[0], learned.scale[0]) == (0.0, max(1.0, np.abs(X[:, 0]).max()))
    assert learned.scale[1] < 1 and not caplog.records
    learned = Preparation.learn(tasks, standardize=True, intercept=True)
    assert not learned.apply(X)[:, 0].any() and learned.scale[0] == 1.0
    assert [record.args for record in caplog.records] == [("feature 0",)] * (value != 0)


def test_a_column_constant_in_every_task_but_not_overall_is_standardised() -> None:
    X = [np.full((4, 1), 1.0), np.full((4, 1), 3.0)]
    learned = Preparation.learn(TaskSet.from_arrays(X, [np.zeros(4)] * 2), standardize=True, intercept=False)
    assert (learned.center[0], learned.scale[0]) == (2.0, 1.0)


def test_the_scale_of_the_data_does_not_matter(rng: np.random.Generator) -> None:
    X = rng.standard_normal((50, 3))
    for factor in (2.0**-900, 2.0**900):
        tasks = TaskSet.from_arrays([X * factor], [np.zeros(50)])
        learned = Preparation.learn(tasks, standardize=True, intercept=False)
        expected = (X - X.mean(axis=0)) / X.std(axis=0)
        np.testing.assert_allclose(learned.apply(X * factor), expected, atol=1e-13)


def test_a_range_beyond_float64_is_refused() -> None:
    tasks = TaskSet.from_arrays([[[1e308, 0.0], [-1e308, 1.0]]], [[0.0, 1.0]])
    with pytest.raises(DataError, match="feature 0 is too large"):
        Preparation.learn(tasks, standardize=True, intercept=False)


def test_shared_rows_stay_shared_and_weigh_like_copies(rng: np.random.Generator) -> None:
    X, other = rng.standard_normal((20, 3)), rng.standard_normal((5, 3)) + 4
    y = rng.standard_normal(20)
    shared = TaskSet.from_arrays([X, X, other], [y, -y, y[:5]])
    copies = TaskSet.from_arrays([X.copy(), X.copy(), other], [y, -y, y[:5]])
    learned, reference = (Preparation.learn(t, standardize=True, intercept=True) for t in (shared, copies))
    np.testing.assert_allclose(learned.center, reference.center, atol=20 * EPS)
    np.testing.assert_allclose(learned.scale, reference.scale, rtol=20 * EPS)
    prepared = learned.apply_tasks(shared)
    assert np.shares_memory(prepared[0].X, prepared[1].X)
    assert not np.shares_memory(prepared[0].X, prepared[2].X)


def test_overlapping_but_different_rows_are_not_mixed_up(rng: np.random.Generator) -> None:
    X = rng.standard_normal((20, 3))
    tasks = TaskSet.from_arrays([X, X[:10], X[::2], X[:10]], [np.zeros(20), *[np.zeros(10)] * 3])
    learned = Preparation.learn(tasks, standardize=True, intercept=False)
    for before, after in zip(tasks, learned.apply_tasks(tasks), strict=True):
        np.testing.assert_array_equal(after.X, learned.apply(before.X))


def test_names_targets_and_counts_are_kept(tasks: TaskSet) -> None:
    prepared = Preparation.learn(tasks, standardize=False, intercept=True).apply_tasks(tasks)
    assert prepared.feature_names == ("p", "q", "r", "one", "intercept")
    assert prepared.names == tasks.names and prepared.counts.tolist() == tasks.counts.tolist()
    np.testing.assert_array_equal(prepared.stacked()[0][:, :4], tasks.stacked()[0])
    unnamed = TaskSet(tasks=tasks.tasks)
    assert (
        Preparation.learn(unnamed, standardize=True, intercept=True).apply_tasks(unnamed).feature_names
        is None
    )


def test_the_identity_is_one(tasks: TaskSet) -> None:
    identity = Preparation.learn(tasks, standardize=False, intercept=False)
    assert identity.is_identity and identity.apply_tasks(tasks) is tasks
    assert np.shares_memory(identity.apply(tasks[0].X), tasks[0].X)
    for standardize, intercept in ((True, False), (False, True)):
        assert not Preparation.learn(tasks, standardize=standardize, intercept=intercept).is_identity


def test_json_round_trip_is_exact(tasks: TaskSet) -> None:
    learned = Preparation.learn(tasks, standardize=True, intercept=True)
    again = Preparation.from_dict(json.loads(json.dumps(learned.to_dict())))
    np.testing.assert_array_equal(again.center, learned.center)
    np.testing.assert_array_equal(again.scale, learned.scale)
    assert again.intercept is True


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"center": [0.0], "scale": [1.0]},
        {"center": [0.0], "scale": [1.0], "intercept": "no"},
        {"center": [0.0], "scale": [0.0], "intercept": True},
        {"center": [0.0], "scale": [float("nan")], "intercept": True},
        {"center": [0.0, 1.0], "scale": [1.0], "intercept": True},
        {"center": 0.0, "scale": 1.0, "intercept": True},
        {"center": ["a"], "scale": [1.0], "intercept": True},
        [],
    ],
)
def test_a_damaged_description_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(DataError) as caught:
        Preparation.from_dict(value)
    assert "\n" not in str(caught.value)


def test_other_widths_and_missing_values_are_refused(tasks: TaskSet) -> None:
    for standardize in (True, False):
        learned = Preparation.learn(tasks, standardize=standardize, intercept=False)
        with pytest.raises(DataError, match="4 features of the training data, it has 3"):
            learned.apply(np.zeros((2, 3)))
        with pytest.raises(DataError, match="it has 2"):
            learned.apply_tasks(TaskSet.from_arrays([np.zeros((2, 2))], [np.zeros(2)]))
        with pytest.raises(DataError, match="finite"):
            learned.apply([[0.0, 1.0, np.nan, 2.0]])
        with pytest.raises(DataError, match="two dimensions"):
            learned.apply(np.zeros(4))


def test_compressed_tasks_are_refused(tasks: TaskSet) -> None:
    small = TaskSet(tasks=tuple(Squared().compress(task) for task in tasks))
    with pytest.raises(DataError, match="compressed"):
        Preparation.learn(small, standardize=True, intercept=True)


def test_the_arrays_cannot_be_changed(tasks: TaskSet) -> None:
    center = np.zeros(4)
    frozen = Preparation(center=center, scale=np.ones(4), intercept=False)
    center[0] = 5.0
    assert frozen.center[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        frozen.scale[0] = 2.0


@pytest.mark.parametrize("intercept", [False, True])
def test_a_constant_column_changes_no_fit(intercept: bool, rng: np.random.Generator) -> None:
    """As 1 beside the other features it would be a ridge-like intercept; as a year or a time stamp too."""
    X = [rng.normal(size=(20, 3)) for _ in range(3)]
    y = [x @ [1.0, 2.0, 3.0] + 5 + 0.1 * rng.normal(size=20) for x in X]
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    fits = []
    for constant in (1.0, 2024.0, 1e9):
        raw = TaskSet.from_arrays([np.column_stack([x, np.full(20, constant)]) for x in X], y)
        learned = Preparation.learn(raw, standardize=True, intercept=intercept)
        solution = replace(fit(learned.apply_tasks(raw), model), preparation=learned)
        assert solution.status is Status.CERTIFIED
        fits.append(solution.predict(0, raw[0].X))
    for found in fits[1:]:
        np.testing.assert_allclose(found, fits[0], rtol=1e-7)


def test_what_numpy_raises_for_its_caller_stops_nothing() -> None:
    X, y, task = np.random.default_rng(0).normal(size=(12, 2)) * 1e-300, np.ones(12), np.repeat([0, 1], 6)
    with np.errstate(all="raise"):
        for tasks in (TaskSet.from_stacked(X, y, task), stream(ChunkedRows(make=lambda: [(X, y, task)]))):
            prepared = Preparation.learn(tasks, standardize=True, intercept=True).apply_tasks(tasks)
            assert np.isfinite(prepared[0].X).all()
        tiny = TaskSet.from_stacked(X.astype(np.longdouble) * np.longdouble("1e-400"), y, task)
    assert not tiny[0].X.any()
