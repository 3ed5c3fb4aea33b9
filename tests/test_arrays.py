"""The gate for arrays: every way in takes the same things, refuses the same things, and honours names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from array_cases import HALVES, MODEL, NAMES, ROWS, WAYS_IN, N, Y, a_solution, frame

from amtl_cvx.certificate import certify
from amtl_cvx.data import ChunkedRows, factor
from amtl_cvx.data.stream import gather
from amtl_cvx.errors import DataError
from amtl_cvx.graph import TransferGraph
from amtl_cvx.losses import Logistic
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Task, TaskSet, task_index
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture
def solution() -> Solution:
    return a_solution()


REFUSED: dict[str, Any] = {
    "masked": (np.ma.masked_less(ROWS, 0.0), "masked"),
    "masked rows": ([np.ma.masked_less(row, 0.0) for row in ROWS], "masked"),
    "csr": (sp.csr_array(ROWS), "sparse"),
    "coo matrix": (sp.coo_matrix(ROWS), "sparse"),
    "complex": (ROWS + 1j, "complex"),
    "text": (ROWS.astype(str), "text"),
    "objects": (ROWS.astype(object), "object"),
    "ragged": ([[1.0, 2.0, 3.0], [1.0]], "rectangular"),
    "None": (None, "None"),
    "a None inside": ([[None, 1.0, 2.0]] * N, "missing"),
    "NaN": (np.where(ROWS > 1.0, np.nan, ROWS), "nan"),
    "infinity": (np.where(ROWS > 1.0, np.inf, ROWS), "inf"),
    "dates": (np.full((N, 3), "2026-01-01", dtype="datetime64[D]"), "datetime64"),
    "a dict": ({"a": 1.0}, "dict"),
    "NaN in a frame": (frame().mask(ROWS > 1.0), "missing"),
    "text in a frame": (frame().assign(b="x"), "'b' is not numeric"),
    "one name twice": (frame().set_axis(["a", "b", "a"], axis=1), "'a' occurs more than once"),
}


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (way, kind)
        for way in WAYS_IN
        for kind in REFUSED
        if kind != "one name twice" or way not in ("Task", "apply")  # without names
    ],
)
def test_every_way_in_refuses_what_is_no_table_of_numbers(way: str, kind: str, solution: Solution) -> None:
    value, word = REFUSED[kind]
    with pytest.raises(DataError, match=word) as caught:
        WAYS_IN[way](value, solution)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_takes_the_same_numbers_in_other_clothes(way: str, solution: Solution) -> None:
    polars = pytest.importorskip("polars")
    for value in (
        ROWS.tolist(),
        np.asfortranarray(ROWS),
        np.ma.masked_invalid(ROWS),
        frame(),
        frame().convert_dtypes(),
        polars.DataFrame(ROWS, schema=list(NAMES)),
        polars.DataFrame(ROWS),
        pd.DataFrame(ROWS),
    ):
        assert WAYS_IN[way](value, solution) is not None


@pytest.mark.parametrize("y", [np.ma.masked_less(Y, 0.0), sp.csr_array(Y[:, None]), Y + 1j, Y.astype(object)])
def test_targets_and_tasks_pass_the_gate_too(y: Any) -> None:
    with pytest.raises(DataError):
        TaskSet.from_arrays([ROWS], [y])
    with pytest.raises(DataError):
        TaskSet.from_stacked(ROWS, y, HALVES)
    with pytest.raises(DataError):
        TaskSet.from_stacked(ROWS, Y, np.ma.masked_equal(HALVES, 1))
    with pytest.raises(DataError):
        TaskSet.one_vs_rest(ROWS, np.ma.masked_equal(HALVES, 1))
    with pytest.raises(DataError):
        factor(ChunkedRows(make=lambda: [(ROWS, y, HALVES)]))


def test_points_pass_the_gate_and_frames_of_them_are_put_in_order(solution: Solution) -> None:
    tasks = TaskSet.from_stacked(ROWS, Y, HALVES, names=["n", "s"], feature_names=NAMES)
    W, B = solution.W, solution.B
    for bad in (np.ma.masked_less(W, 9.0), W + 0j, sp.csr_array(W), None):
        with pytest.raises(DataError):
            certify(Problem(tasks, MODEL).at(bad, B))
    with pytest.raises(DataError):
        TransferGraph(B=B + 1j, names=("n", "s"))
    moved = pd.DataFrame(W, index=list(NAMES), columns=["n", "s"]).loc[["c", "a", "b"], ["s", "n"]]
    assert (
        certify(Problem(tasks, MODEL).at(moved, B)).objective
        == certify(Problem(tasks, MODEL).at(W, B)).objective
    )
    with pytest.raises(DataError, match="rows of W"):
        certify(Problem(tasks, MODEL).at(moved.rename(index={"a": "z"}), B))


@pytest.mark.parametrize("task", [1.0, 1.5, None, True, np.bool_(1), b"task 1", [1], np.array([1]), "1"])
def test_a_task_is_a_name_or_a_whole_number(task: Any, solution: Solution) -> None:
    with pytest.raises(DataError):
        solution.predict(task, ROWS)
    assert task_index(solution.task_names, np.int8(1)) == 1


ALIASES: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda X: X,
    "read-only view": lambda X: np.broadcast_to(X, X.shape),
    "Fortran": lambda X: X.T.copy().T,
    "frame": lambda X: pd.DataFrame(X, copy=False),
    "masked": lambda X: np.ma.masked_invalid(X, copy=False),
}


@pytest.mark.parametrize("alias", ALIASES)
def test_a_task_set_is_a_snapshot(alias: str) -> None:
    X, y = ROWS.copy(), Y.copy()
    given = ALIASES[alias](X)
    sets = [
        TaskSet.from_arrays([given, given], [y, y]),
        TaskSet.from_stacked(given, y, np.zeros(N, dtype=int)),
        TaskSet.from_matrix(given, y[:, None]),
        TaskSet.one_vs_rest(given, HALVES),
        TaskSet(tasks=(Task(X=given, y=y),)),
    ]
    before = [tasks.fingerprint() for tasks in sets]
    X *= 3.0
    y -= 1.0
    if isinstance(given, np.ndarray) and given.flags.writeable:
        given += 1.0
    assert [tasks.fingerprint() for tasks in sets] == before
    assert np.shares_memory(sets[0][0].X, sets[0][1].X) and np.shares_memory(sets[3][0].X, sets[3][1].X)
    assert not any(np.shares_memory(task.X, X) for tasks in sets for task in tasks)


def test_views_of_the_same_rows_are_copied_once() -> None:
    X = ROWS.copy()
    tasks = TaskSet.from_arrays([X[:], X[:], X[::-1]], [Y, Y, Y])
    assert np.shares_memory(tasks[0].X, tasks[1].X) and not np.shares_memory(tasks[0].X, tasks[2].X)
    again = TaskSet(tasks=tuple(Task(X=task.X, y=task.y, name=task.name) for task in tasks))
    assert again[0].X is tasks[0].X  # nobody can write it: no second copy


def test_a_polars_frame_is_a_frame() -> None:
    polars = pytest.importorskip("polars")
    table = frame().assign(site=["n", "s"] * 6, y=Y)
    ours = TaskSet.from_frame(polars.DataFrame(table.to_dict("list")), task="site", target="y")
    theirs = TaskSet.from_frame(table, task="site", target="y")
    assert ours.fingerprint() == theirs.fingerprint() and ours.feature_names == theirs.feature_names
    with pytest.raises(DataError, match="collect"):
        TaskSet.from_frame(polars.LazyFrame({"a": [1]}), task="a", target="b")
    with pytest.raises(DataError, match="'a' has missing values"):
        TaskSet.from_arrays([polars.DataFrame({"a": [1.0, None]})], [Y[:2]])


def test_a_name_that_is_no_utf8_is_written_with_a_question_mark() -> None:
    name = os.fsdecode(b"caf\xe9")
    tasks = TaskSet.from_arrays([ROWS], [Y], names=[name], feature_names=[name, "b", "c"])
    assert tasks.names == ("caf?",) and tasks.feature_names == ("caf?", "b", "c")
    assert tasks.index(name) == 0 and len(tasks.fingerprint()) == 64
    with pytest.raises(DataError, match="list of 2 task names"):
        TaskSet.from_arrays([ROWS, ROWS], [Y, Y], names="ab")


def test_one_pair_of_labels_serves_all_tasks() -> None:
    mixed = TaskSet.from_arrays([ROWS, ROWS], [HALVES, 2 * HALVES - 1])
    with pytest.raises(DataError, match="same labels in every task"):
        Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.1), coupling=1.0).check(mixed)


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (
            np.array([2**63 + 1, 2**63 + 3] * 6, dtype=np.uint64),
            ("9223372036854775809", "9223372036854775811"),
        ),
        (np.array(["2026-01-02", "2025-01-02"] * 6, dtype="datetime64[D]"), ("2025-01-02", "2026-01-02")),
        (np.array([3, 7] * 6, dtype=object), ("3", "7")),
        ([1.0, 2.0] * 6, ("1", "2")),
        ([1, "1"] * 6, None),
        ([1e300, 1.0] * 6, None),
        (np.array(["NaT", "2025-01-02"] * 6, dtype="datetime64[D]"), None),
    ],
)
def test_no_two_labels_become_one(task: Any, names: tuple[str, ...] | None) -> None:
    if names is not None:
        assert TaskSet.from_stacked(ROWS, Y, task).names == names
        return
    with pytest.raises(DataError):
        TaskSet.from_stacked(ROWS, Y, task)


def test_an_array_that_its_owner_locked_can_be_unlocked_again() -> None:
    own = ROWS.copy()
    own.flags.writeable = False
    tasks = TaskSet.from_arrays([own], [Y])
    own.flags.writeable = True
    own *= 2.0
    np.testing.assert_array_equal(tasks[0].X, ROWS)


def pieces(*columns: str) -> ChunkedRows:
    """The rows in as many chunks as there are orders of their columns."""
    step = N // len(columns)
    parts = [slice(k * step, (k + 1) * step) for k in range(len(columns))]
    cut = list(zip(columns, parts, strict=True))
    return ChunkedRows(make=lambda: [(frame(order)[part], Y[part], HALVES[part]) for order, part in cut])


def test_chunks_are_put_into_the_order_of_the_first_frame() -> None:
    mixed, plain = factor(pieces("abc", "cab")), factor(ChunkedRows(make=lambda: [(ROWS, Y, HALVES)]))
    assert mixed.feature_names == NAMES
    np.testing.assert_array_equal(mixed.stacked()[0], plain.stacked()[0])


def test_rows_in_memory_that_is_filled_again_are_kept() -> None:
    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        X, y, task = np.empty((3, 3)), np.empty(3), np.empty(3, dtype=np.int64)
        for k in range(0, N, 3):
            X[:], y[:], task[:] = ROWS[k : k + 3], Y[k : k + 3], HALVES[k : k + 3]
            yield X, y, task

    tasks = TaskSet.from_stacked(ROWS, Y, HALVES)
    assert gather(ChunkedRows(make=chunks)).fingerprint() == tasks.fingerprint()
