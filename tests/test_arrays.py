"""The gate for arrays: every way in takes the same things, refuses the same things, and honours names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from amtl_cvx.certificate import certify
from amtl_cvx.data import ChunkedRows, Dataset, factor
from amtl_cvx.data.stream import gather
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.graph import TransferGraph
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.runfolder import save
from amtl_cvx.scoring import score
from amtl_cvx.solution import Solution
from amtl_cvx.tasks import Task, TaskSet, task_index
from amtl_cvx.transfer import LossWeightedL1

N, NAMES = 12, ("a", "b", "c")
RNG = np.random.default_rng(3)
ROWS, Y = RNG.normal(size=(N, 3)), RNG.normal(size=N)
HALVES = np.repeat([0, 1], N // 2)
MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@pytest.fixture(scope="module")
def solution() -> Solution:
    return fit(TaskSet.from_stacked(ROWS, Y, HALVES, feature_names=NAMES), MODEL)


def frame(order: str = "abc") -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=list(NAMES))[list(order)]


WAYS_IN: dict[str, Callable[[Any, Solution], object]] = {
    "Task": lambda X, s: Task(X=X, y=Y),
    "from_arrays": lambda X, s: TaskSet.from_arrays([ROWS, X], [Y, Y]),
    "from_stacked": lambda X, s: TaskSet.from_stacked(X, Y, HALVES),
    "from_matrix": lambda X, s: TaskSet.from_matrix(X, np.column_stack([Y, -Y])),
    "one_vs_rest": lambda X, s: TaskSet.one_vs_rest(X, HALVES),
    "predict": lambda X, s: s.predict(0, X),
    "scores": lambda X, s: s.scores(X),
    "apply": lambda X, s: Preparation(center=np.zeros(3), scale=np.ones(3), intercept=True).apply(X),
    "stream": lambda X, s: factor(ChunkedRows(make=lambda: [(X, Y, HALVES)])),
}
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
