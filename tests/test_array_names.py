"""Names and labels of arrays: columns, rows and tasks in any order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from array_cases import HALVES, MODEL, NAMES, ROWS, WAYS_IN, N, Y, a_solution, frame

from amtl_cvx.data import ChunkedRows, Dataset, factor
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.graph import TransferGraph
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.runfolder import save
from amtl_cvx.scoring import score
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Task, TaskSet


@pytest.fixture
def solution() -> Solution:
    return a_solution()


def test_frames_of_one_set_are_put_into_one_order() -> None:
    right = TaskSet.from_arrays([frame(), frame()], [Y, Y])
    moved = TaskSet.from_arrays([frame(), frame("cab")], [Y, Y])
    assert right.feature_names == moved.feature_names == NAMES
    assert moved.fingerprint() == right.fingerprint()
    stacked = TaskSet.from_stacked(frame("bca"), Y, HALVES, feature_names=NAMES)
    np.testing.assert_array_equal(stacked[0].X, ROWS[HALVES == 0])
    with pytest.raises(DataError, match="no 'c'"):
        TaskSet.from_arrays([frame(), frame().rename(columns={"c": "z"})], [Y, Y])
    chunks = ChunkedRows(make=lambda: [(frame("cab"), Y, HALVES)], feature_names=NAMES)
    np.testing.assert_array_equal(next(chunks.chunks()).X, ROWS)


def test_rows_to_predict_on_have_the_columns_of_the_fit(solution: Solution) -> None:
    expected = ROWS @ solution.W[:, 1]
    np.testing.assert_allclose(solution.predict(1, frame()), expected, rtol=1e-13)
    np.testing.assert_allclose(solution.predict(1, frame().iloc[2]), expected[2:3], rtol=1e-14)
    np.testing.assert_allclose(solution.predict(1, ROWS[2]), expected[2:3], rtol=1e-14)
    for moved in (frame("cab"), frame("cab").iloc[2], frame().rename(columns={"a": "z"})):
        with pytest.raises(DataError, match="columns of X"):
            solution.predict(1, moved)


def test_tasks_and_features_are_found_by_name_when_a_solution_is_scored() -> None:
    a, b, c = (frame().assign(a=shift + frame()["a"]) for shift in (0.0, 1.0, 2.0))
    tasks = TaskSet.from_arrays([a, b, c], [Y, 2 * Y, -Y], names=NAMES)
    moved = TaskSet.from_arrays([each[list("cab")] for each in (c, a, b)], [-Y, Y, 2 * Y], names=list("cab"))
    found = fit(tasks, MODEL)
    assert score(found, moved) == score(found, tasks)
    data = Dataset(name="x", train=tasks, test=moved)
    assert data.test is not None and data.test.fingerprint() == tasks.fingerprint()
    other = TaskSet.from_arrays([a, b, c], [Y, Y, Y], names=list("abz"))
    for wrong in (lambda: score(found, other), lambda: Dataset(name="x", train=tasks, test=other)):
        with pytest.raises(DataError, match="the tasks.*'z' is none"):
            wrong()
    with pytest.raises(DataError, match="another order"):
        save(found, "nowhere", tasks=tasks.with_features(("c", "a", "b")))
    with pytest.raises(ValueError, match="read-only"):
        (tasks.block or (ROWS,))[0][0] = 0.0


def test_a_preparation_knows_its_columns() -> None:
    tasks = TaskSet.from_arrays([frame()], [Y])
    learned = Preparation.learn(tasks, standardize=True, intercept=True)
    moved = learned.apply_tasks(TaskSet.from_arrays([frame("bca")], [Y]))
    assert moved.fingerprint() == learned.apply_tasks(tasks).fingerprint()
    assert moved.feature_names == (*NAMES, "intercept")
    with pytest.raises(DataError, match="columns of X"):
        learned.apply(frame("bca"))


def test_rows_that_are_labelled_in_another_order_are_not_mixed_up() -> None:
    y = pd.Series(Y)
    for wrong in (
        lambda: TaskSet.from_arrays([frame()], [y[::-1]]),
        lambda: TaskSet.from_stacked(frame(), y[::-1], HALVES),
        lambda: TaskSet.from_stacked(frame(), y, pd.Series(HALVES)[::-1]),
        lambda: TaskSet.from_matrix(frame(), pd.DataFrame({"u": Y, "v": Y})[::-1]),
    ):
        with pytest.raises(DataError, match="row labels in another order"):
            wrong()
    TaskSet.from_arrays([frame()[6:]], [y[:6]])  # other labels: a split that was made by place


def test_labels_of_tasks_are_names() -> None:
    text = TaskSet.from_stacked(ROWS, Y, np.where(HALVES, "north", "east"))
    assert text.names == ("east", "north")
    gaps = TaskSet.from_stacked(ROWS, Y, [10, 9, 10, 9] * 3)
    assert gaps.names == ("9", "10")
    np.testing.assert_array_equal(gaps[1].X, ROWS[::2])
    assert TaskSet.from_stacked(ROWS, Y, ["1", "01"] * 6).names == ("01", "1")
    with pytest.raises(DataError, match="leave names out"):
        TaskSet.from_stacked(ROWS, Y, [3, 5] * 6, names=["a", "b"])


def test_a_matrix_of_targets_is_one_task_per_column() -> None:
    targets = pd.DataFrame({"up": Y, "down": -Y})
    tasks = TaskSet.from_matrix(ROWS, targets)
    assert tasks.names == ("up", "down") and np.shares_memory(tasks[0].X, tasks[1].X)
    np.testing.assert_array_equal([task.y for task in tasks], [Y, -Y])
    for wrong in (
        lambda: TaskSet.from_stacked(ROWS, targets, HALVES),
        lambda: TaskSet.from_arrays(ROWS, targets.to_numpy()),  # type: ignore[arg-type]
        lambda: TaskSet.from_arrays(frame(), targets),  # type: ignore[arg-type]
    ):
        with pytest.raises(DataError, match="from_matrix"):
            wrong()


def test_tasks_made_of_frames_are_put_into_one_order() -> None:
    tasks = TaskSet(tasks=(Task(X=frame(), y=Y, name="p"), Task(X=frame("cab"), y=Y, name="q")))
    assert tasks.feature_names == NAMES
    np.testing.assert_array_equal(tasks[0].X, tasks[1].X)
    given = TaskSet(tasks=(Task(X=frame("cab"), y=Y),), feature_names=NAMES)
    np.testing.assert_array_equal(given[0].X, ROWS)
    with pytest.raises(DataError, match="must be those of the fit"):
        TaskSet(tasks=(Task(X=frame(), y=Y, name="p"), Task(X=frame().add_prefix("z"), y=Y, name="q")))


SHUFFLED = np.random.default_rng(0).permutation(N)


MISALIGNED: dict[str, Callable[[], object]] = {
    "Task": lambda: Task(X=frame(), y=pd.Series(Y)[SHUFFLED]),
    "y and task": lambda: TaskSet.from_stacked(ROWS, pd.Series(Y), pd.Series(HALVES)[SHUFFLED]),
    "labels": lambda: TaskSet.one_vs_rest(frame(), pd.Series(HALVES)[SHUFFLED]),
    "stream": lambda: factor(ChunkedRows(make=lambda: [(frame(), pd.Series(Y)[SHUFFLED], HALVES)])),
    "repeated": lambda: TaskSet.from_arrays(
        [frame().set_axis(HALVES)], [pd.Series(Y, index=HALVES[::-1].copy())]
    ),
}


@pytest.mark.parametrize("way", MISALIGNED)
def test_rows_that_are_labelled_in_another_order_are_refused(way: str) -> None:
    with pytest.raises(DataError, match="same row labels in another order"):
        MISALIGNED[way]()


@pytest.mark.parametrize("way", WAYS_IN)
def test_rows_whose_names_would_be_lost_are_refused(way: str, solution: Solution) -> None:
    arrow = pytest.importorskip("pyarrow")
    table = arrow.table({name: frame()[name].to_numpy() for name in "cba"})
    rows = [row for _, row in frame("cba").iterrows()]
    for X, said in ((table, "table"), (table.to_batches()[0], "table"), (rows, "rows with names")):
        with pytest.raises(DataError, match=said):
            WAYS_IN[way](X, solution)


def test_features_have_different_names() -> None:
    with pytest.raises(DataError, match="'a' occurs more than once"):
        TaskSet.from_arrays([ROWS], [Y], feature_names=["a", "a", "b"])


def test_the_arrays_of_a_solution_are_what_was_judged(solution: Solution) -> None:
    for array in (solution.W, solution.B, solution.losses):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
    W = np.zeros_like(solution.W)
    changed = replace(solution, blocks={**solution.blocks, "W": W})
    W += 1.0
    assert not changed.W.any()


def test_a_graph_reads_the_names_of_a_frame() -> None:
    B = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0], [5.0, 6.0, 0.0]])
    named = pd.DataFrame(B, index=list(NAMES), columns=list(NAMES))
    graph = TransferGraph(B=named.loc[list("cab"), list("bca")], names=NAMES)
    np.testing.assert_array_equal(graph.B, B)
    with pytest.raises(DataError, match="the rows of B"):
        TransferGraph(B=named.rename(index={"a": "z"}), names=NAMES)


def test_vectors_with_names_are_refused_where_only_their_order_is_known() -> None:
    named = pd.Series([1.0, 2.0, 3.0], index=list("cab"))
    with pytest.raises(DataError, match="center is a Series with names"):
        Preparation(center=named, scale=np.ones(3), intercept=False)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="task_weights is a Series with names"):
        replace(MODEL, task_weights=named)
    assert replace(MODEL, task_weights=named.reset_index(drop=True)).task_weights == (1.0, 2.0, 3.0)
