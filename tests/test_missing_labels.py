"""Missing labels: a row without one is left out of that task alone, and counted; balanced classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from amtl_cvx import Options, fit
from amtl_cvx.data import ChunkedRows, evaluate, factor
from amtl_cvx.errors import DataError
from amtl_cvx.estimators import AMTLRegressor
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

X4 = np.arange(8.0).reshape(4, 2)
NAN = float("nan")
Y = np.array([[1.0, NAN, 2.0], [NAN, 2.0, 3.0], [3.0, 4.0, 5.0], [5.0, 6.0, NAN]])


@pytest.mark.parametrize(
    "make",
    [
        lambda Y: Y,
        lambda Y: pd.DataFrame(Y, columns=list("abc")),
        lambda Y: pd.DataFrame(Y, columns=list("abc")).astype("Float64"),
        lambda Y: pl.DataFrame(Y, schema=list("abc")).fill_nan(None),
        lambda Y: [[None if y != y else y for y in row] for row in Y.tolist()],
    ],
    ids=["array", "pandas", "NA", "polars", "None"],
)
def test_a_matrix_of_targets_may_have_gaps(make: Any) -> None:
    tasks = TaskSet.from_matrix(X4, make(Y))
    for t, task in enumerate(tasks):
        there = ~np.isnan(Y[:, t])
        assert np.array_equal(task.y, Y[there, t]) and np.array_equal(task.X, X4[there])
    assert list(tasks.missing.values()) == [1, 1, 1] and tasks.rows.tolist() == [3, 3, 3]


def test_tasks_that_lack_the_same_labels_share_their_rows() -> None:
    tasks = TaskSet.from_matrix(X4, Y[:, [0, 0, 1]], sample_weight=[1.0, 2.0, 0.0, 1.0])
    assert tasks[0].X is tasks[1].X and len(tasks[0].X) == 2 and tasks[2].weights.tolist() == [2.0, 1.0]


def test_the_other_makers_leave_rows_out_where_they_are_told(rng: np.random.Generator) -> None:
    y, names = np.array([1.0, NAN, 3.0, 4.0]), ["b", "b", "a", "b"]
    stacked = TaskSet.from_stacked(X4, y, names, missing="drop", sample_weight=[1.0, 9.0, 2.0, 3.0])
    frame = pd.DataFrame({"who": names, "u": X4[:, 0], "w": X4[:, 1], "y": y})
    framed = TaskSet.from_frame(frame, task="who", target="y", missing="drop")
    listed = TaskSet.from_arrays([X4[2:3], X4[[0, 1, 3]]], [y[2:3], y[[0, 1, 3]]], missing="drop")
    for tasks in (stacked, framed, listed):
        assert [task.y.tolist() for task in tasks] == [[3.0], [1.0, 4.0]]
        assert list(tasks.missing.values()) == [1]
    assert stacked.missing == {"b": 1} and stacked[1].weights.tolist() == [1.0, 3.0]
    words = TaskSet.from_stacked(X4, ["yes", None, "no", "yes"], names, missing="drop")
    assert words.labels == ("no", "yes") and words[1].y.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: TaskSet.from_matrix(X4, np.full((4, 2), NAN)), "no row of 'task 0' has a label"),
        (lambda: TaskSet.from_matrix(X4, Y[:3]), "4 rows in X, 3 in y"),
        (lambda: TaskSet.from_stacked(X4, [1, NAN, 1, 1], list("abac"), missing="drop"), "no row of 'b' has"),
        (lambda: TaskSet.from_stacked(X4, Y[:, 0], [0, 0, 0, 0]), "must be finite"),
        (lambda: TaskSet.from_stacked(X4, Y[:, 0], [0, 0, 0, 0], missing="mean"), 'missing must be "drop"'),
        (lambda: TaskSet.from_matrix(X4, [[1.0, 2.0], [3.0], [1.0, 2.0], [1.0, 2.0]]), "rectangular"),
        (lambda: TaskSet.from_arrays([X4], [[0, 1, 2, 1]]).balanced(), "are no labels"),
        (lambda: TaskSet.from_arrays([X4], [[1, 1, 1, 1]]).balanced(), "need both classes"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(build: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_a_fit_of_gaps_is_that_of_the_rows_that_are_there(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(14, 2)), rng.normal(size=(14, 3))
    gaps = rng.random((14, 3)) < 0.3
    tasks = TaskSet.from_matrix(X, np.where(gaps, NAN, Y))
    there = list(~gaps.T)
    plain = TaskSet.from_arrays([X[t] for t in there], [Y[t, k] for k, t in enumerate(there)])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=0.5)
    found, known = (fit(each, model, options=Options(engine="fast")) for each in (tasks, plain))
    assert np.array_equal(found.W, known.W) and np.array_equal(found.B, known.B)
    assert tasks.fingerprint() == plain.fingerprint()


def test_balanced_weights_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    y = [np.r_[1.0, -1.0, rng.choice([-1.0, 1.0], p=[0.8, 0.2], size=n)] for n in (9, 12)]
    tasks = TaskSet.from_arrays([rng.normal(size=(len(each), 2)) for each in y], y).balanced()
    for task in tasks:
        expected = compute_sample_weight("balanced", task.y)
        np.testing.assert_allclose(task.weights, expected, rtol=1e-14)
        assert task.n == pytest.approx(len(task.y)) and task.rows == len(task.y)


def test_balanced_weights_multiply_those_of_the_rows() -> None:
    y, v = np.array([1.0, 1.0, 1.0, -1.0]), np.array([2.0, 1.0, 1.0, 3.0])
    found = TaskSet.from_arrays([X4], [y], sample_weight=[v]).balanced()[0].weights
    assert found.tolist() == pytest.approx((v * 7.0 / (2.0 * np.array([4.0, 4.0, 4.0, 3.0]))).tolist())


def test_a_part_without_a_label_adds_nothing_to_the_sums() -> None:
    """Rows that are too new to have labels stand together at the end of a stream."""
    parts = [(X4, np.arange(4.0), np.array([0, 1, 0, 1])), (X4, np.full(4, NAN), np.array([0, 0, 1, 1]))]
    W = np.ones((X4.shape[1], 2))
    found, whole = (
        evaluate(ChunkedRows(make=lambda some=some: some, missing="drop"), W, Squared())  # type: ignore[misc]
        for some in (parts, parts[:1])
    )
    assert found.counts.tolist() == [2, 2] and np.array_equal(found.losses, whole.losses)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_streamed_weights_have_the_range_of_others(size: float) -> None:
    part = (X4, np.arange(4.0), np.zeros(4, dtype=int), np.full(4, size))
    with pytest.raises(DataError, match="must be 0 or from 1e-100 to 1e100"):
        factor(ChunkedRows(make=lambda: [part]))


@pytest.mark.parametrize("given", ["X", "y"])
def test_weights_in_another_order_of_rows_are_refused(given: str) -> None:
    y, v = pd.Series([1.0, 2.0, 3.0, 4.0]), pd.Series([1.0, 2.0, 3.0, 4.0], index=[3, 2, 1, 0])
    X = pd.DataFrame(X4) if given == "X" else X4
    with pytest.raises(DataError, match="sample_weight"):
        TaskSet.from_stacked(X, y, np.zeros(4, dtype=int), sample_weight=v)
    with pytest.raises(DataError, match="sample_weight"):
        AMTLRegressor().fit(X, y, sample_weight=v)
    if given == "X":
        with pytest.raises(DataError, match="sample_weight"):
            Task(X=X, y=y, sample_weight=v)
