"""Splits: which rows are trained on and held out, counted by hand and by scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import random_tasks
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from tuned_tasks import alike, classes

from amtl_cvx import TaskSet
from amtl_cvx.errors import DataError
from amtl_cvx.experiment.tuning import Splits, tune

TASKS = alike()


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_hold_every_row_out_once_that_can_be_spared(seed: int, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=2, counts=(1, 2, 7, 12))
    splits = Splits.folds(tasks, 4, seed=seed)
    for t, task in enumerate(tasks):
        held = [part.held[part.index.index(t)].y for part in splits if t in part.index]
        seen = sorted(np.concatenate([np.zeros(0), *held]).tolist())
        assert seen == ([] if len(task.y) == 1 else sorted(task.y.tolist()))
        for part in splits:
            rows = {*part.train[t].y.tolist()}
            judged = {*part.held[part.index.index(t)].y.tolist()} if t in part.index else set[float]()
            assert rows and not rows & judged and rows | judged == {*task.y.tolist()}
    sizes = [len(part.held[part.index.index(3)].y) for part in splits]
    assert sizes == [3, 3, 3, 3]
    other = Splits.folds(tasks, 4, seed=seed + 2)
    assert splits.fingerprint() == Splits.folds(tasks, 4, seed=seed).fingerprint() != other.fingerprint()


def test_folds_of_classes_are_of_every_class_and_shared_by_the_tasks() -> None:
    for part in Splits.folds(classes(), 5, seed=1):
        assert part.index == (0, 1, 2) and all(task.X is part.held[0].X for task in part.held)
        assert [int((task.y > 0).sum()) for task in part.held] == [2, 2, 2]
        assert [int((task.y > 0).sum()) for task in part.train] == [8, 8, 8]
    X, y, task = classes().stacked()
    copied = TaskSet.from_stacked(X, y, task)  # as a file holds them
    one, other = Splits.folds(copied, 5, seed=1), Splits.folds(classes(), 5, seed=1)
    for part, shared in zip(one, other, strict=True):
        np.testing.assert_array_equal(part.held[2].X, shared.held[2].X)
    assert tune(copied, "stl", {"coupling": [0.1]}, splits=one).measure == "class error"


def test_rows_without_a_label_are_in_no_fold(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(12, 2)), rng.normal(size=(12, 3))
    Y[:5, 0] = Y[3:6, 2] = np.nan
    tasks = TaskSet.from_matrix(X, Y)
    splits = Splits.folds(tasks, 3)
    for t in range(3):
        held = np.concatenate([part.held[part.index.index(t)].y for part in splits if t in part.index])
        assert sorted(held) == sorted(Y[~np.isnan(Y[:, t]), t])
    tuning = tune(tasks, "stl", {"coupling": [0.1, 1.0]}, splits=splits, widen=0)
    for trial in tuning.trials:
        for part, error in zip(splits, trial.errors, strict=True):
            squares = []
            for t, held in zip(part.index, part.held, strict=True):
                train, n = part.train[t], len(part.train[t].y)
                A = train.X.T @ train.X / n + float(trial.parameters["coupling"]) * np.eye(2)
                squares.append((held.y - held.X @ np.linalg.solve(A, train.X.T @ train.y / n)) ** 2)
            assert error == pytest.approx(np.sqrt(np.concatenate(squares).mean()), rel=1e-9)


def test_splitters_of_scikit_learn_split_each_task() -> None:
    splitter = KFold(4, shuffle=True, random_state=3)
    splits = Splits.given(TASKS, splitter)
    assert len(splits) == 4 and splits.words == "4 given splits by KFold"
    for t, task in enumerate(TASKS):
        for part, (train, held) in zip(splits, splitter.split(task.X), strict=True):
            np.testing.assert_array_equal(part.train[t].y, task.y[train])
            np.testing.assert_array_equal(part.held[t].y, task.y[held])
    labels = classes()
    positive = np.argmax([task.y for task in labels], axis=0)
    strata = StratifiedKFold(3)
    for part, (train, _) in zip(
        Splits.given(labels, strata), strata.split(labels[0].X, positive), strict=True
    ):
        np.testing.assert_array_equal(part.train[1].X, labels[1].X[train])
    with pytest.raises(DataError, match="KFold does not split 'task 2'"):
        Splits.given(TASKS, KFold(10))


def test_rows_are_numbered_within_tasks_or_through_all_of_them() -> None:
    X, y, task = TASKS.stacked()
    groups = np.arange(len(y)) % 3
    flat = Splits.given(TASKS, list(GroupKFold(3).split(X, groups=groups)))
    nested = [
        tuple([np.flatnonzero(wanted[task == t]) for t in range(4)] for wanted in (groups != g, groups == g))
        for g in range(3)
    ]
    shuffled = sorted(part.held[0].y.tolist() for part in flat)
    assert shuffled == sorted(part.held[0].y.tolist() for part in Splits.given(TASKS, nested))
    few = Splits.given(TASKS, [([[0, 1], [2], [0], [3]], [[4], [], [5, 6], []])]).parts[0]
    assert few.train.counts.tolist() == [2, 1, 1, 1] and few.index == (0, 2)
    np.testing.assert_array_equal(few.held[1].y, TASKS[2].y[[5, 6]])


@pytest.mark.parametrize(
    "splits, said",
    [
        ([([[0], [1], [9], [1]], [[1], [2], [3], [2]])], r"'task 2' are numbered 0 to 6"),
        ([([[0], [1], [2], [1]], [[0], [2], [3], [2]])], r"a row of 'task 0' in both parts"),
        ([([[], [1], [2], [1]], [[0], [2], [3], [2]])], r"no training row of 'task 0'"),
        ([([[0], [1], [2], [1]], [[], [], [], []])], "holds out no row"),
        ([([0.5, 1.0], [2, 3])], "lists of whole numbers"),
        ([5], "a split is a pair"),
        ([], "a split at least"),
        ([([[0, 0], [1], [2], [1]], [[1], [2], [3], [2]])], "a row of 'task 0' twice"),
    ],
)
def test_splits_that_do_not_fit_are_refused(splits: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Splits.given(TASKS, splits)


def test_prepared_splits_know_nothing_of_held_rows() -> None:
    for raw, part in zip(
        Splits.folds(TASKS, 3), Splits.folds(TASKS, 3).prepared(standardize=True, intercept=True), strict=True
    ):
        rows = np.vstack([task.X for task in raw.train])
        expected = (raw.held[0].X - rows.mean(axis=0)) / rows.std(axis=0)
        np.testing.assert_allclose(part.held[0].X, np.column_stack([expected, np.ones(len(expected))]))


def test_splits_of_other_rows_are_refused() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 2)), rng.normal(size=(12, 3))
    one, other = TaskSet.from_matrix(X, Y), TaskSet.from_matrix(X, Y[::-1])
    more = TaskSet.from_matrix(np.vstack([X, X]), np.vstack([Y, Y]))
    for splits in (Splits.folds(other, 2), Splits.held_out(more, 0.2), Splits.validation(other, other)):
        with pytest.raises(DataError, match="splits are of other rows"):
            tune(one, "stl", {"coupling": [0.1]}, splits=splits, widen=0)
    with pytest.raises(DataError, match="more rows than the tasks"):
        Splits(parts=Splits.folds(more, 2).parts[:1] * 2, words="").check(TaskSet.from_matrix(X[:5], Y[:5]))
    prepared = Splits.folds(one, 2).prepared(standardize=True, intercept=False)
    assert len(tune(one, "stl", {"coupling": [0.1]}, splits=prepared, widen=0).trials) == 1


def test_row_numbers_are_refused_where_rows_were_left_out() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 2)), rng.normal(size=(12, 3))
    Y[0, 0] = np.nan
    tasks = TaskSet.from_matrix(X, Y)
    with pytest.raises(DataError, match="1 of 'task 0' without a label"):
        Splits.given(tasks, [([range(6)] * 3, [range(6, 11)] * 3)])
    assert len(Splits.given(tasks, KFold(3))) == 3
