"""The pool: every row once, whichever tasks share it, with a label or without, from memory and from files."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from amtl_cvx.commands.setup import data_words
from amtl_cvx.data import ChunkedRows, Dataset, export, factor, read
from amtl_cvx.data.stream import gather
from amtl_cvx.errors import DataError
from amtl_cvx.holdout import draw, split_off
from amtl_cvx.losses import Squared
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import Links, Task, TaskSet, distinct_rows, row_words
from amtl_cvx.transfer import LossWeightedL1

NAN = float("nan")
X = np.random.default_rng(5).normal(size=(6, 2))
Y = np.array([[1.0, NAN], [NAN, 2.0], [3.0, 4.0], [NAN, NAN], [5.0, NAN], [NAN, NAN]])
MODEL = Model(transfer=LossWeightedL1(mu=0.1), coupling=0.3)


def rows_of(tasks: TaskSet, *, labelled: bool = False) -> list[bytes]:
    """The rows of the pool, sorted."""
    pool = tasks.pool(labelled=labelled)
    assert pool.rows == sum(map(len, pool.parts))
    return sorted(row.tobytes() for part in pool.parts for row in np.ascontiguousarray(part))


def given(rows: Any) -> list[bytes]:
    return sorted(row.tobytes() for row in np.ascontiguousarray(rows, dtype=float))


def test_a_row_of_a_matrix_counts_once_whichever_tasks_have_its_label() -> None:
    tasks = TaskSet.from_matrix(X, Y)
    assert rows_of(tasks) == given(X) and rows_of(tasks, labelled=True) == given(X[[0, 1, 2, 4]])
    weights = [1.0, 2.0, 0.0, 0.5, 1.0, 0.0]  # row 2 is absent, and row 5, which has no label either
    weighted = TaskSet.from_matrix(X, Y, sample_weight=weights)
    assert rows_of(weighted) == given(X[[0, 1, 3, 4]])
    assert rows_of(weighted, labelled=True) == given(X[[0, 1, 4]])


def test_tasks_without_gaps_keep_nothing_beside_their_arrays() -> None:
    shared = TaskSet.one_vs_rest(X, list("abcabc"))
    assert shared.links is None and shared.pool().parts == (shared[0].X,)
    arrays = [X, X.copy(), X[:3], X[:3] + 0.0, -X[:3]]
    copies = TaskSet.from_arrays(arrays, [np.arange(len(each)) for each in arrays])
    assert copies.links is None and rows_of(copies) == given(np.vstack([X, X[:3], -X[:3]]))
    zeros = np.array([[0.0], [1.0]]), np.array([[-0.0], [1.0]])  # equal, and yet not the same
    assert TaskSet.from_arrays(zeros, [[1.0, 2.0], [1.0, 2.0]]).pool().rows == 4
    pupils = np.ones((3, 2))  # equal rows of one task are so many rows
    assert TaskSet.from_arrays([pupils, pupils[:2]], [[1, 2, 3], [1, 2]]).pool().rows == 5


def test_a_shared_row_is_said_once() -> None:
    shared = TaskSet.one_vs_rest(X, list("abcabc"))
    assert row_words(shared) == "6 shared rows" and "6 shared rows" in repr(shared)
    assert row_words(TaskSet.from_arrays([X, X[:2]], [Y[:, 0] * 0 + 1 for Y in (X, X[:2])])) == "8 rows"
    gaps = TaskSet.from_matrix(X, Y)  # labels of rows 0, 2, 4 and of 1, 2
    assert row_words(gaps) == "4 partly shared rows" and distinct_rows(gaps) == 4
    train, held = draw(shared, 0.5, np.random.default_rng(0))
    assert distinct_rows(train) + distinct_rows(held) == 6
    said = data_words(Dataset(name="letters", train=train, test=held, source="made", settings={}))
    assert said == "letters: 3 tasks, 2 features, 3 shared rows to train on (3 for test)"


def test_rows_of_long_form_are_those_of_their_tasks() -> None:
    task, y, v = [0, 1, 1, 0, 1, 0], Y[:, 0], [1.0, 1.0, 1.0, 2.0, 1.0, 0.0]
    tasks = TaskSet.from_stacked(X, y, task, missing="drop", sample_weight=v)
    assert rows_of(tasks) == given(X[:5]) and rows_of(tasks, labelled=True) == given(X[[0, 2, 4]])
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "y": y, "t": task, "v": v})
    framed = TaskSet.from_frame(frame, task="t", target="y", sample_weight="v", missing="drop")
    assert rows_of(framed) == given(X[:5])
    whole = TaskSet.from_stacked(np.vstack([X, X]), Y.T.ravel(), np.repeat([0, 1], 6), missing="drop")
    assert rows_of(whole) == given(X)  # each task was given the same rows
    assert TaskSet.from_stacked(X, np.arange(6.0), task, sample_weight=v).links is None


def test_weights_of_0_differ_by_task() -> None:
    v = [[1.0, 0.0, 1.0, 1.0, 0.0, 3.0], [1.0, 1.0, 0.0, 1.0, 0.0, 2.0]]
    tasks = TaskSet.from_arrays([X, X], [np.arange(6.0)] * 2, sample_weight=v)
    assert rows_of(tasks) == rows_of(tasks, labelled=True) == given(X[[0, 1, 2, 3, 5]])


def test_what_is_held_out_of_all_tasks_is_gone() -> None:
    tasks = TaskSet.from_matrix(X, Y)
    masks = [np.array([True, False, False]), np.array([False, True])]  # rows 0 and 2, of which one has row 2
    train, held = split_off(tasks, masks)
    assert held is not None and rows_of(held) == given(X[[0, 2]])
    assert rows_of(train) == given(X[1:]) and rows_of(train, labelled=True) == given(X[[1, 2, 4]])
    train, held = split_off(tasks, [masks[0], np.array([False, False])])
    assert held is not None and held.T == 1 and rows_of(held) == given(X[:1])
    full = TaskSet.from_matrix(X, np.arange(12.0).reshape(6, 2))
    mask = np.arange(6) < 2
    same, _ = split_off(full, [mask, mask])
    assert same.links is None and rows_of(same) == given(X[2:])
    apart, rest = split_off(full, [mask, np.arange(6) > 4])
    assert rest is not None and rows_of(apart) == given(X) and rows_of(rest) == given(X[[0, 1, 5]])
    train, held = draw(full, 0.34, np.random.default_rng(0))
    assert train.links is not None and train.pool().rows <= 6


def test_the_pool_goes_where_the_tasks_go() -> None:
    tasks = TaskSet.from_matrix(X, Y, names=["a", "b"], feature_names=["u", "v"])
    preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    labelled = np.vstack([task.X for task in tasks])  # the statistics are those of the labelled rows
    np.testing.assert_allclose(preparation.center, labelled.mean(axis=0), rtol=1e-13)
    assert rows_of(preparation.apply_tasks(tasks)) == given(preparation.apply(X))
    assert rows_of(tasks.in_order(["b", "a"], ["v", "u"])) == given(X[:, ::-1])
    sent = pickle.loads(pickle.dumps(tasks))  # as workers get it
    assert rows_of(sent) == given(X) and sent.fingerprint(pool=True) == tasks.fingerprint(pool=True)
    assert tasks.in_order(["b", "a"], None).pool().parts[0].tobytes() == tasks.pool().parts[0].tobytes()
    turned = tasks.in_basis(np.array([[0.6], [0.8]])).pool()
    np.testing.assert_allclose(np.sort(turned.parts[0][:, 0]), np.sort(X @ [0.6, 0.8]), rtol=1e-13)
    classes = TaskSet.from_matrix(X, np.where(np.isnan(Y), NAN, Y > 2.5)).balanced()
    assert rows_of(classes) == given(X)


def test_the_fingerprint_of_the_pool_sees_what_that_of_the_tasks_does_not() -> None:
    tasks, moved = TaskSet.from_matrix(X, Y), X.copy()
    moved[5] += 1.0
    other = TaskSet.from_matrix(moved, Y)
    apart = TaskSet.from_arrays([task.X for task in tasks], [task.y for task in tasks])
    assert len({each.fingerprint() for each in (tasks, other, apart)}) == 1
    assert len({each.fingerprint(pool=True) for each in (tasks, other, apart)}) == 3
    assert apart.fingerprint(pool=True) == apart.fingerprint()
    turned = TaskSet.from_matrix(X[::-1][[1, 0, 2, 3, 4, 5]], Y[::-1][[1, 0, 2, 3, 4, 5]])
    again = TaskSet.from_matrix(X[::-1], Y[::-1])  # rows 3 and 5, without a label, the other way round
    assert turned.fingerprint(pool=True) == again.fingerprint(pool=True)
    swapped = TaskSet.from_matrix(X, Y[:, ::-1], names=["task 1", "task 0"]).in_order(
        ["task 0", "task 1"], None
    )
    assert swapped.fingerprint(pool=True) == tasks.fingerprint(pool=True)


KINDS: dict[str, Callable[[], TaskSet]] = {
    "matrix": lambda: TaskSet.from_matrix(X, Y),
    "all labelled": lambda: TaskSet.from_matrix(X[:3], Y[:3]),
    "stacked": lambda: TaskSet.from_stacked(X, Y[:, 0], [0, 1, 1, 0, 1, 0], missing="drop"),
    "held out": lambda: draw(TaskSet.from_matrix(X, np.ones((6, 3))), 0.4, np.random.default_rng(0))[0],
    "weights": lambda: TaskSet.from_matrix(X, Y, sample_weight=[1.0, 2.0, 0.0, 3.0, 1.0, 1.0]),
    "not in a row": lambda: TaskSet.from_arrays([X, -X, X.copy()], [X[:, 0], X[:, 0], X[:, 1]]),
    "coordinates": lambda: TaskSet.from_matrix(X, Y).in_basis(np.array([[0.6], [0.8]])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_pool_comes_back_bit_for_bit(kind: str, tmp_path: Path) -> None:
    tasks = KINDS[kind]()
    Problem(tasks, MODEL).save(tmp_path / "p")
    found = [Problem.load(tmp_path / "p").tasks]
    if kind != "coordinates":
        found += [
            read(tmp_path / "p", keep_rows=keep).train for keep in (True, *([None] if tasks.links else []))
        ]
    for back in found:
        for labelled in (False, True):
            one, other = tasks.pool(labelled=labelled), back.pool(labelled=labelled)
            assert [part.tobytes() for part in one.parts] == [part.tobytes() for part in other.parts]
            assert one.rows == other.rows
        pool = tasks.basis is None  # in coordinates it is the one that was stored, of AMTL
        assert back.fingerprint(pool=pool) == tasks.fingerprint(pool=pool)
    assert (tmp_path / "p" / "pool.npy").exists() == (tasks.links is not None)


def _without_digests(folder: Path) -> None:
    about = json.loads((folder / "problem.json").read_text())
    del about["files"], about["sha256"]
    (folder / "problem.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("pool", np.array([0, 2, 3, 1, 1]), "do not fit"),  # one number twice in a task
        ("pool", np.array([0, 2, 10**15, 1, 2]), "do not fit"),
        ("pool", np.array([0, 2, -4, 1, 2]), "do not fit"),
        ("pool", np.array([0.0, 2.0, 4.0, 1.0, 2.0]), "must be int64|whole number"),
        ("pool", np.array([0, 2, 4, 1]), "must hold a whole number a row"),
        ("pool", np.array([2, 0, 4, 1, 2]), "rows that differ"),
        ("unlabelled", np.zeros((0, 2)), "do not fit"),
        ("unlabelled", np.zeros((2, 3)), "other tasks"),
        ("unlabelled", np.full((2, 2), NAN), "finite"),
        ("pool", None, "pool.npy|were not kept"),
    ],
)  # fmt: skip
def test_links_that_are_none_are_refused(name: str, array: Any, said: str, tmp_path: Path) -> None:
    export(TaskSet.from_matrix(X, Y), MODEL, tmp_path / "p")
    _without_digests(tmp_path / "p")
    path = tmp_path / "p" / f"{name}.npy"
    if array is None:
        path.unlink()
    else:
        np.save(path, array)
    for get in (lambda: Problem.load(tmp_path / "p").tasks, lambda: read(tmp_path / "p").train):
        with pytest.raises(DataError, match=said) as told:
            get().pool()
        assert "\n" not in str(told.value)


def test_a_stream_that_is_gathered_keeps_the_rows_without_a_label() -> None:
    stacked, task = np.vstack([X, X]), np.repeat([0, 1], 6)
    v = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0] * 2)

    def parts() -> Any:
        for part in (slice(0, 5), slice(5, 9), slice(9, 12)):
            yield stacked[part], Y.T.ravel()[part], task[part], v[part]

    found = gather(ChunkedRows(make=parts, missing="drop"))
    assert rows_of(found) == given(X[[0, 1, 3, 4]]) and found.missing == {"task 0": 3, "task 1": 4}
    whole = TaskSet.from_stacked(stacked, Y.T.ravel(), task, missing="drop", sample_weight=v)
    assert found.fingerprint(pool=True) == whole.fingerprint(pool=True)


def chunked(tasks: TaskSet, *, weight: float | None = None, gap: bool = False) -> ChunkedRows:
    rows, y, task = tasks.stacked()
    y = np.where(np.arange(len(y)) == 1, NAN, y) if gap else y
    weights = () if weight is None else (np.full(len(y), weight),)
    return ChunkedRows(make=lambda: [(rows, y, task, *weights)], missing="drop")


def test_factors_tell_what_they_can() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(n, 2)) for n in (9, 9, 3)]
    tasks = TaskSet.from_arrays(parts, [rng.normal(size=len(part)) for part in parts])
    folded = factor(chunked(tasks))
    assert folded[0].compressed and not folded[2].compressed and folded.pool().rows == 21
    made = np.vstack(folded.pool().parts)
    np.testing.assert_allclose(made.T @ made, sum(part.T @ part for part in parts), rtol=1e-12)
    shared = TaskSet.from_arrays([parts[0]] * 2, [parts[0][:, 0], parts[1][:, 0]])
    for each, said in (
        (factor(chunked(tasks, weight=2.0)), "without their weights"),
        (factor(chunked(tasks, gap=True)), "were not kept"),
        (factor(chunked(shared)), "may have the same rows"),
        (
            Preparation.learn(shared, standardize=True, intercept=True).apply_tasks(factor(chunked(shared))),
            "same",
        ),
        (Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=1.0).compress(shared), "same rows"),
        (MODEL.compress(draw(shared, 0.3, rng)[0]), "were not kept"),
        (TaskSet(tasks=TaskSet.from_matrix(X, Y).tasks[:1]), "were not kept"),
    ):
        with pytest.raises(DataError, match=said) as told:
            each.pool()
        assert "keep_rows=True" in str(told.value) and "\n" not in str(told.value)


def test_a_folder_of_links_that_is_streamed_does_not_forget_that_rows_are_shared(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows, targets = rng.normal(size=(40, 2)), rng.normal(size=(40, 3))
    targets[rng.random(size=targets.shape) < 0.3] = NAN
    export(TaskSet.from_matrix(rows, targets), MODEL, tmp_path / "p")
    with pytest.raises(DataError, match="were not kept"):
        read(tmp_path / "p", keep_rows=False).train.pool()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_without_a_label_can_be_marked_as_held_out(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"u": X[:, 0], "v": X[:, 1], "y": [1.5, NAN, 3.0, NAN, 5.0, 2.0], "t": list("aabbba")}
    )
    frame["part"] = ["train", "test", "train", "", "test", "train"]
    place = tmp_path / f"d.{suffix}"
    frame.to_csv(place, index=False, float_format="%.17g") if suffix == "csv" else frame.to_parquet(
        place, index=False
    )
    found = read(place, task="t", target="y", missing="drop", aside=["part"], keep_rows=True)
    assert rows_of(found.train) == given(X[[0, 2, 3, 4, 5]])  # row 1 is marked, row 3 has no label
    assert found.train.missing == {"a": 1, "b": 1}
    twice = pd.concat([frame.assign(t="a"), frame.assign(t="b")])
    twice.to_csv(place, index=False) if suffix == "csv" else twice.to_parquet(place, index=False)
    unsure = read(place, task="t", target="y", missing="drop", aside=["part"], keep_rows=True).train
    with pytest.raises(
        DataError, match="were not kept"
    ):  # which entry is that of a row that both tasks have?
        unsure.pool()


def test_links_of_other_tasks_are_refused() -> None:
    links = Links((np.arange(3),), np.zeros((0, 2)))
    with pytest.raises(DataError, match="of other tasks"):
        TaskSet(tasks=(Task(X=X, y=X[:, 0]),), links=links)
    assert replace(TaskSet.from_matrix(X, Y), links=None).links is None
