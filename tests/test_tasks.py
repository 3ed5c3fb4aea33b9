"""Task and TaskSet: what they accept, what they refuse, what they keep in order and share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amtl_cvx.arrays import check_features, check_weights
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.tasks import Task, TaskSet, task_index

X2 = np.arange(6.0).reshape(3, 2)
Y2 = np.array([1.0, -1.0, 1.0])


def test_a_task_holds_read_only_float64() -> None:
    task = Task(X=np.array([[200, 100]], dtype=np.uint8), y=np.array([[7]], dtype=np.uint8), name="a")
    assert task.X.dtype == task.y.dtype == np.float64
    assert task.y.shape == (1,) and task.n == 1
    assert (task.X - 201.0).min() == -101.0  # uint8 would wrap around
    with pytest.raises(ValueError, match="read-only"):
        task.X[0, 0] = 1.0


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (X2[0], Y2, "two dimensions"),
        (X2, X2, "one dimension"),
        (X2, Y2[:2], "3 rows in X, 2 in y"),
        (np.zeros((0, 2)), np.zeros(0), "empty"),
        (np.zeros((3, 0)), Y2, "empty"),
        (np.where(X2 > 4, np.nan, X2), Y2, r"entry \(2, 1\) is nan"),
        (X2, [1.0, np.inf, 0.0], r"entry \(1,\) is inf"),
        (X2.astype(str), Y2, "real numbers"),
        (X2 * 1j, Y2, "real numbers"),
        ([[1.0, 2.0], [3.0]], Y2, "rectangular"),
    ],
)
def test_a_bad_task_is_refused_in_one_line(X: Any, y: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        Task(X=X, y=y, name="a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: TaskSet(tasks=()), "at least one task"),
        (lambda: TaskSet.from_arrays([X2, X2[:, :1]], [Y2, Y2]), r"same features.*\[1, 2\]"),
        (lambda: TaskSet.from_arrays([X2, X2], [Y2]), "2 X and 1 y"),
        (lambda: TaskSet.from_arrays([X2, X2], [Y2, Y2], names=["a", "a"]), "'a' occurs more than once"),
        (lambda: TaskSet.from_arrays([X2], [Y2], names=["a", "b"]), "expected 1 task names, got 2"),
        (lambda: TaskSet.from_arrays([X2], [Y2], feature_names=["u"]), "expected 2 feature names"),
        (lambda: TaskSet.from_arrays([[[1.0, 2.0], [3.0]]], [Y2]), "rectangular"),
        (lambda: TaskSet.from_stacked(X2, Y2[:2], [0, 0, 1]), "expected X"),
        (lambda: TaskSet.from_stacked(X2, Y2, [-1, 0, 1]), "the smallest is -1"),
        (lambda: TaskSet.from_stacked(X2, Y2, [0.5, 0, 1]), "fractions"),
        (lambda: TaskSet.from_stacked(X2, Y2, [np.inf, 0, 1]), "infinities"),
        (lambda: TaskSet.from_stacked(X2, Y2, ["a", None, "b"]), "missing"),
        (lambda: TaskSet.from_stacked(np.zeros((0, 2)), [], np.zeros(0, dtype=int)), "at least one task"),
        (lambda: TaskSet.one_vs_rest(X2, [1, 1, 1]), "at least two classes"),
        (lambda: TaskSet.one_vs_rest(X2, [1.0, np.nan, 2.0]), "finite"),
        (lambda: TaskSet.one_vs_rest(X2, [1, 2, 3], classes=[1, 2]), "label 3 is none of the 2 classes"),
    ],
)
def test_a_bad_task_set_is_refused_in_one_line(build: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_stacking_and_splitting_are_inverse(rng: np.random.Generator) -> None:
    X, y = rng.standard_normal((30, 4)), rng.standard_normal(30)
    index = rng.permutation(np.arange(30) % 3)
    tasks = TaskSet.from_stacked(X, y[:, None], index[None, :].astype(np.uint8), names=["a", "b", "c"])
    assert (tasks.T, tasks.d, len(tasks)) == (3, 4, 3)
    assert tasks.counts.tolist() == [10, 10, 10]
    for t, task in enumerate(tasks):
        np.testing.assert_array_equal(task.X, X[index == t])
        np.testing.assert_array_equal(task.y, y[index == t])
    again = TaskSet.from_stacked(*tasks.stacked(), names=tasks.names)
    assert again.fingerprint() == tasks.fingerprint()


def test_the_fingerprint_sees_every_number_and_name(rng: np.random.Generator) -> None:
    X, y = rng.standard_normal((5, 2)), rng.standard_normal(5)
    tasks = TaskSet.from_arrays([X], [y], names=["a"])
    for other in (([X + 1e-15], [y], ["a"]), ([X], [y[::-1]], ["a"]), ([X], [y], ["b"])):
        assert TaskSet.from_arrays(other[0], other[1], names=other[2]).fingerprint() != tasks.fingerprint()
    assert TaskSet.from_arrays([np.asfortranarray(X)], [y], names=["a"]).fingerprint() == tasks.fingerprint()


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int16])
def test_one_vs_rest_tasks_share_their_rows(dtype: Any) -> None:
    tasks = TaskSet.one_vs_rest(X2.astype(dtype), np.array([[1], [10], [2]], dtype=np.uint8))
    assert tasks.names == ("1 vs rest", "2 vs rest", "10 vs rest")
    assert all(np.shares_memory(task.X, tasks[0].X) for task in tasks)
    np.testing.assert_array_equal([task.y for task in tasks], [[1, -1, -1], [-1, -1, 1], [-1, 1, -1]])


def test_tasks_that_share_whole_numbers_share_the_converted_rows() -> None:
    X = X2.astype(np.uint8)
    tasks = TaskSet.from_arrays([X, X, X.copy()], [Y2, Y2, Y2])
    assert np.shares_memory(tasks[0].X, tasks[1].X) and not np.shares_memory(tasks[0].X, tasks[2].X)


def test_one_vs_rest_keeps_the_classes_of_the_training_part() -> None:
    tasks = TaskSet.one_vs_rest(X2, ["b", "a", "b"], classes=["a", "b", "c"])
    assert tasks.names == ("a vs rest", "b vs rest", "c vs rest")
    np.testing.assert_array_equal([task.y.sum() for task in tasks], [-1, 1, -3])


def test_a_three_dimensional_array_is_one_task_per_slice(rng: np.random.Generator) -> None:
    X = rng.integers(0, 9, (4, 5, 2))
    tasks = TaskSet.from_arrays(X, rng.standard_normal((4, 5)))  # type: ignore[arg-type]
    for t in range(4):
        np.testing.assert_array_equal(tasks[t].X, X[t])


def test_tasks_are_found_by_number_and_name() -> None:
    names = ["a", "7", "b"]
    assert [task_index(names, key) for key in ("b", 1, "7", np.int64(0))] == [2, 1, 1, 0]
    for key in ("c", 3, -1, "12", "0", "²"):
        with pytest.raises(DataError):
            task_index(names, key)


def test_weights_and_features_are_checked() -> None:
    W, B = check_weights(np.ones((2, 3), dtype=int), np.zeros((3, 3)), d=2, T=3)
    assert W.dtype == B.dtype == np.float64
    with pytest.raises(DataError, match=r"W must have shape \(2, 3\)"):
        check_weights(np.ones((3, 2)), np.zeros((3, 3)), d=2, T=3)
    with pytest.raises(DataError, match="B must be finite"):
        check_weights(np.ones((2, 3)), np.full((3, 3), np.nan), d=2, T=3)
    with pytest.raises(DataError, match="3 features of the training data, it has 2"):
        check_features(X2, d=3)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "school": ["north", "east", "north", "west"],
            "age": np.array([11, 12, 13, 14], dtype=np.uint8),
            "score": [1.5, 2.5, 3.5, 4.5],
            "boarder": [True, False, False, True],
        }
    )


def test_a_frame_becomes_one_task_per_label(frame: pd.DataFrame) -> None:
    tasks = TaskSet.from_frame(frame, task="school", target="score")
    assert tasks.names == ("east", "north", "west")
    assert tasks.feature_names == ("age", "boarder")
    np.testing.assert_array_equal(tasks[1].X, [[11.0, 1.0], [13.0, 0.0]])
    np.testing.assert_array_equal(tasks[1].y, [1.5, 3.5])


def test_numeric_labels_are_sorted_as_numbers_and_column_names_need_not_be_text() -> None:
    frame = pd.DataFrame({0: [10, 9, 10], 1: [1.0, 2.0, 3.0], 2: [4.0, 5.0, 6.0]})
    tasks = TaskSet.from_frame(frame, task="0", target="2")
    assert tasks.names == ("9", "10") and tasks.feature_names == ("1",)
    np.testing.assert_array_equal(tasks[1].y, [4.0, 6.0])


@pytest.mark.parametrize(
    ("change", "names", "said"),
    [
        ({}, ("town", "score"), "no column 'town'; the columns are school, age, score, boarder"),
        ({}, ("school", "points"), "no column 'points'"),
        ({}, ("score", "score"), "both column 'score'"),
        ({"age": [11, None, 13, 14]}, ("school", "score"), "'age' has missing values"),
        ({"school": ["north", None, "west", "west"]}, ("school", "score"), "'school' has missing values"),
        ({"age": list("abcd")}, ("school", "score"), "'age' is not numeric"),
        ({"score": list("abcd")}, ("school", "score"), "'score' is not numeric"),
        ({"age": [1.0, np.inf, 2.0, 3.0]}, ("school", "score"), "finite"),
    ],
)
def test_a_bad_frame_is_refused(frame: pd.DataFrame, change: Any, names: tuple[str, str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        TaskSet.from_frame(frame.assign(**change), task=names[0], target=names[1])


def test_a_frame_with_one_name_twice_is_refused(frame: pd.DataFrame) -> None:
    twice = pd.concat([frame, frame[["age"]]], axis=1)
    with pytest.raises(DataError, match="'age' occurs more than once"):
        TaskSet.from_frame(twice, task="school", target="score")


def test_compressed_rows_have_the_same_mean_loss(rng: np.random.Generator) -> None:
    task = Task(X=rng.standard_normal((50, 4)), y=rng.standard_normal(50))
    small, loss, w = Squared().compress(task), Squared(), rng.standard_normal(4)
    assert len(small.y) == 5 and small.n == 50
    assert loss.value(small, w) == pytest.approx(np.mean((task.y - task.X @ w) ** 2), rel=1e-13)


@pytest.mark.parametrize(("labels", "said"), [([0.0, 2.0], "labels"), ([1.0, 1.0], "both classes")])
def test_the_logistic_loss_refuses_other_labels(labels: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Logistic().check(Task(X=np.eye(2), y=np.array(labels)))


@pytest.mark.parametrize("counts", [(4, 4), (3, 5)], ids=["one block", "one by one"])
def test_row_lengths_are_those_of_each_task(counts: tuple[int, int], rng: np.random.Generator) -> None:
    """Also where the rows of the tasks are parts of one array, or the same array."""
    whole = rng.normal(size=(8, 3))
    for parts in ([whole[: counts[0]], whole[counts[0] :]], [whole, whole]):
        tasks = TaskSet.from_arrays(parts, [part[:, 0] for part in parts])
        found = np.concatenate([lengths.ravel() for lengths in tasks.row_lengths])
        assert found == pytest.approx([math.hypot(*row) for part in parts for row in part], rel=1e-15)
        shapes = [lengths.shape for lengths in tasks.row_lengths]
        assert shapes == [stack.y.shape for stack in tasks.stacks]
