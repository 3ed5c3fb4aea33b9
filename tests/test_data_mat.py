"""The .mat files: MALSAR cells, the layout of the AMTL authors, and files of other projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from data_files import Arrays, equal, refused

from amtl_cvx import untrusted
from amtl_cvx.data import (
    read,
)

# .mat


def save_cells(path: Path, X: list[Any], Y: list[Any]) -> Path:
    cells = {}
    for key, values in (("X", X), ("Y", Y)):
        cells[key] = np.empty((1, len(values)), dtype=object)
        cells[key][0, :] = values
    scipy.io.savemat(path, cells)
    return path


@pytest.mark.parametrize("transposed", [False, True])
def test_malsar_cells(tmp_path: Path, transposed: bool) -> None:
    X = [np.array([[200, 3], [100, 4], [7, 5]], dtype=np.uint8), np.array([[1, 2]], dtype=np.uint8)]
    Y = [np.array([[250], [1], [0]], dtype=np.uint8), np.array([[9]], dtype=np.uint8)]
    path = save_cells(tmp_path / "a.mat", [x.T for x in X] if transposed else X, Y)
    if transposed:
        path = save_cells(path, [X[0].T, X[1].T], [Y[0].T, Y[1]])
    tasks = read(path).train
    equal(tasks, [[200, 3], [100, 4], [7, 5], [1, 2]], [250, 1, 0, 9], [0, 0, 0, 1])
    assert tasks[0].X.dtype == np.float64


def test_malsar_sparse_cells(tmp_path: Path) -> None:
    X = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    path = save_cells(tmp_path / "a.mat", [scipy.sparse.csc_matrix(X)] * 2, [np.ones((3, 1))] * 2)
    np.testing.assert_array_equal(read(path).train[1].X, X)


@pytest.mark.parametrize(
    ("X", "Y", "said"),
    [
        ([np.eye(2)], [np.ones((3, 1))], "'task 0' has 2 rows in X, 3 in y"),
        ([np.eye(2)] * 2, [np.ones((2, 1))], "expected cell arrays X and Y with one cell per task"),
        ([np.eye(2), np.ones((2, 3))], [np.ones((2, 1))] * 2, "same features"),
        ([np.eye(2), np.zeros((0, 2))], [np.ones((2, 1)), np.zeros((0, 1))], "'task 1' is empty"),
        ([np.array(["text"])], [np.ones((1, 1))], "."),
    ],
)
def test_bad_cells(tmp_path: Path, X: list[Any], Y: list[Any], said: str) -> None:
    refused(save_cells(tmp_path / "a.mat", X, Y), said)


@pytest.fixture
def authors(rng: np.random.Generator) -> Arrays:
    """Two tasks with 3 + 4 training, 2 + 3 validation and 1 + 2 test rows."""
    content: Arrays = {}
    for part, index, sizes in (
        ("train", "trindex", (3, 4)),
        ("val", "valindex", (2, 3)),
        ("test", "teindex", (1, 2)),
    ):
        content[f"{part}_x"] = rng.standard_normal((sum(sizes), 2))
        content[f"{part}_y"] = rng.standard_normal((sum(sizes), 1))
        content[index] = np.array([[1], [1 + sizes[0]]], dtype=np.uint16)
    return content


def save(path: Path, content: Arrays) -> Path:
    scipy.io.savemat(path, {key: value for key, value in content.items() if value is not None})
    return path


def test_authors_layout(tmp_path: Path, authors: Arrays) -> None:
    content = authors | {"param": {"lambda": 1.0}, "B_cell": np.array([None, 1], dtype=object)[:0]}
    dataset = read(save(tmp_path / "a.mat", content))
    equal(dataset.train, authors["train_x"], authors["train_y"][:, 0], [0] * 3 + [1] * 4)
    equal(dataset.validation, authors["val_x"], authors["val_y"][:, 0], [0] * 2 + [1] * 3)
    equal(dataset.test, authors["test_x"], authors["test_y"][:, 0], [0] + [1] * 2)
    assert dataset.classes is None


def test_authors_layout_with_training_rows_only(tmp_path: Path, authors: Arrays) -> None:
    content = {key: authors[key] for key in ("train_x", "train_y", "trindex")} | {"val_x": np.zeros((0, 0))}
    dataset = read(save(tmp_path / "a.mat", content))
    assert dataset.validation is dataset.test is None


def test_a_part_of_another_width_is_dropped(
    tmp_path: Path, authors: Arrays, caplog: pytest.LogCaptureFixture
) -> None:
    wide = {key: np.column_stack([authors[key], np.ones(len(authors[key]))]) for key in ("train_x", "test_x")}
    dataset = read(save(tmp_path / "a.mat", authors | wide))
    assert dataset.validation is None and dataset.test is not None and dataset.test.d == 3
    assert caplog.messages == ["no validation part: val_x has 2 columns, train_x 3"]
    read(save(tmp_path / "a.mat", authors | {"teindex": None}))
    assert caplog.messages[1:] == ["no test part: the file has no teindex"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train_y": None}, "the file has train_x"),
        ({"trindex": np.array([[0], [3]])}, "1-based starts that begin with 1, it has 0, 3"),
        ({"trindex": np.array([[2], [3]])}, "begin with 1"),
        ({"trindex": np.array([[1], [1]])}, "increasing"),
        ({"trindex": np.array([[1], [2.5]])}, "1-based"),
        ({"trindex": np.array([[1], [np.nan]])}, "1-based"),
        ({"trindex": np.array([[1], [8]])}, "starts the last task at row 8, there are only 7 rows"),
        ({"trindex": "abc"}, "first row of each task"),
        ({"train_y": np.ones((6, 1))}, "one target per row of train_x, 7"),
        ({"train_y": np.ones((7, 2))}, "one target per row of train_x, 7"),
        ({"train_x": "abc"}, "real numbers"),
        ({"valindex": np.array([[1], [2], [3]])}, "validation part must have 2 tasks"),
        ({"trindex": None}, "7 different values that are not class labels: add trindex"),
        ({"trindex": None, "train_y": np.ones((7, 1))}, "1 different values"),
        ({"trindex": None, "train_y": "abcdefg"}, "number the classes"),
    ],
)
def test_bad_authors_layout(tmp_path: Path, authors: Arrays, change: Arrays, said: str) -> None:
    refused(save(tmp_path / "a.mat", authors | change), said)


def test_class_labels_become_one_vs_rest_tasks(tmp_path: Path, authors: Arrays) -> None:
    labels = {
        "train_y": np.array([[1, 2, 10, 2, 1, 10, 1]], dtype=np.uint8).T,
        "val_y": np.full((5, 1), 2, np.uint8),
    }
    content = {key: value for key, value in (authors | labels).items() if "index" not in key}
    dataset = read(save(tmp_path / "a.mat", content | {"test_x": None, "test_y": None}))
    assert dataset.classes == ("1", "2", "10") and dataset.train.T == 3
    np.testing.assert_array_equal(dataset.train[2].y, [-1, -1, 1, -1, -1, 1, -1])
    assert np.shares_memory(dataset.train[0].X, dataset.train[2].X)
    assert dataset.validation is not None
    np.testing.assert_array_equal([task.y[0] for task in dataset.validation], [-1, 1, -1])
    refused(
        save(tmp_path / "a.mat", content | {"val_y": np.full((5, 1), 3)}),
        "label 3.0 is none of the 3 classes",
    )


def test_matlab_7_3_is_named(tmp_path: Path) -> None:
    hdf5 = b"\x89HDF\r\n\x1a\n" + bytes(100)
    for body in (hdf5, b"MATLAB 7.3 MAT-file".ljust(512) + hdf5):
        (tmp_path / "a.mat").write_bytes(body)
        refused(tmp_path / "a.mat", "v7.3.*-v7'")


def test_mat_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, authors: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(untrusted, "MAX_BYTES", 8 * 13)
    refused(save(tmp_path / "a.mat", authors), r"train_x claims the shape \(7, 2\)")
    huge = scipy.sparse.csc_matrix(np.eye(2)[:, :1] @ np.ones((1, 7)))
    refused(
        save_cells(tmp_path / "a.mat", [huge], [np.ones((2, 1))]), r"X of task 0 claims the shape \(2, 7\)"
    )


# the real files


def test_authors_files(shared_data: Path) -> None:
    dataset = read(shared_data / "amtl_reference" / "synthetic_inbalance_1.mat")
    assert dataset.train.counts.tolist() == [500, 500, 500, 5, 5, 5] * 2
    assert dataset.validation is not None and dataset.test is not None
    assert set(dataset.validation.counts) == set(dataset.test.counts) == {50}


def test_saved_workspace_reproduces_its_single_task_weights(shared_data: Path) -> None:
    """W_old is (X'X + 10 I)^-1 X'y with the ones column in X (PROVENANCE.md)."""
    path = shared_data / "amtl_reference" / "result_synthetic_dataset.mat"
    dataset = read(path)
    assert (
        dataset.validation is None
        and dataset.test is not None
        and (dataset.train.d, dataset.train.T) == (21, 12)
    )
    W = np.column_stack([np.linalg.solve(t.X.T @ t.X + 10 * np.eye(21), t.X.T @ t.y) for t in dataset.train])
    np.testing.assert_allclose(W, scipy.io.loadmat(path, variable_names=["W_old"])["W_old"], atol=1e-11)
    errors = [np.sqrt(np.mean((t.y - t.X @ W[:, i]) ** 2)) for i, t in enumerate(dataset.test)]
    assert np.mean(errors) == pytest.approx(19.668, abs=5e-4)


def test_class_files(shared_data: Path) -> None:
    dataset = read(shared_data / "amtl_reference" / "usps1.mat")
    assert (
        dataset.classes == tuple(str(label) for label in range(1, 11))
        and dataset.train.names[9] == "10 vs rest"
    )
    assert dataset.validation is not None and dataset.test is not None
    assert [len(part[0].y) for part in (dataset.train, dataset.validation, dataset.test)] == [1000, 500, 500]


def test_school(shared_data: Path) -> None:
    """The two published layouts hold the same numbers, the last row included (PROVENANCE.md)."""
    tasks = read(shared_data / "school" / "school_malsar.mat").train
    raw = scipy.io.loadmat(shared_data / "school" / "school_b.mat")
    assert (tasks.T, tasks.d) == (139, 28)
    X, y, task = tasks.stacked()
    np.testing.assert_array_equal(X, raw["x"].T.astype(float))
    np.testing.assert_array_equal(y, raw["y"][:, 0].astype(float))
    np.testing.assert_array_equal(np.flatnonzero(np.diff(task, prepend=-1)) + 1, raw["task_indexes"][:, 0])


def test_bench_files(shared_data: Path) -> None:
    tasks = read(shared_data / "bench" / "pilot15.npz").train
    assert (tasks.T, tasks.d) == (15, 20) and set(tasks.counts) == {40}
