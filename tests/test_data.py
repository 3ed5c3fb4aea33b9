"""Readers and problems: every layout gives back the arrays that were written, every bad file one line."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse

from amtl_cvx import untrusted
from amtl_cvx.data import (
    Dataset,
    problem_names,
    problems,
    problems_folder,
    read,
    read_arrays,
    read_features,
)
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Logistic
from amtl_cvx.tasks import TaskSet

Arrays = dict[str, Any]


@pytest.fixture
def arrays(rng: np.random.Generator) -> Arrays:
    """Stacked rows of three tasks of 4, 3 and 5 rows."""
    task = np.repeat([0, 1, 2], [4, 3, 5])
    return {"X": rng.standard_normal((12, 2)), "y": rng.standard_normal(12), "task": task}


def refused(path: Path | str, said: str, **columns: str) -> None:
    """`read` raises a DataError whose message is one line and matches `said`."""
    with pytest.raises(DataError, match=said) as caught:
        read(path, **columns)
    assert "\n" not in str(caught.value)


def equal(tasks: TaskSet | None, X: Any, y: Any, task: Any) -> None:
    assert tasks is not None
    for got, expected in zip(tasks.stacked(), (X, y, task), strict=True):
        np.testing.assert_array_equal(got, expected)


def member(header: str, body: bytes = b"") -> bytes:
    """A .npy file with a header of one's own."""
    text = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1") + body


# files and names


def test_neither_a_problem_nor_a_file(tmp_path: Path) -> None:
    refused("no-such-thing", r"\.npz, \.csv, \.mat or \.parquet.*digits, paper-synthetic.*'no-such-thing'")
    refused("x" * 5000, "no file or problem")
    refused("\0", "no file or problem")
    refused(tmp_path, "is not a file")
    (tmp_path / "a.txt").write_text("1")
    refused(tmp_path / "a.txt", "ends in '.txt'")
    (tmp_path / "a").write_text("1")
    refused(tmp_path / "a", "ends in ''")
    for suffix in ("npz", "csv", "mat"):
        (tmp_path / f"a.{suffix}").touch()
        refused(tmp_path / f"a.{suffix}", "empty")


def test_a_problem_wins_over_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("not a data set")
    assert read("digits").train.T == 10
    refused("./digits", "ends in ''")


def test_columns_belong_to_csv_files(tmp_path: Path, arrays: Arrays) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", r"columns of a \.csv", task="task")
    refused("digits", r"columns of a \.csv", target="y")


@pytest.mark.parametrize("suffix", ["npz", "csv", "mat"])
def test_a_file_of_another_kind(tmp_path: Path, suffix: str, rng: np.random.Generator) -> None:
    for body in (b"\0" * 600, rng.bytes(700), b"hello\n", b"PK\x03\x04" + rng.bytes(50)):
        (tmp_path / f"a.{suffix}").write_bytes(body)
        refused(
            tmp_path / f"a.{suffix}",
            f"^a.{suffix}: ",
            **({"task": "t", "target": "y"} if suffix == "csv" else {}),
        )


def test_a_damaged_file_is_refused_or_read_but_nothing_else(tmp_path: Path, arrays: Arrays) -> None:
    """Truncations and single wrong bytes; MATLAB files have no checksum, so some damage must go unseen."""
    generator = np.random.default_rng(5)
    np.savez(tmp_path / "a.npz", **arrays)
    starts = {"trindex": [[1], [5], [8]], "train_x": arrays["X"], "train_y": arrays["y"][:, None]}
    scipy.io.savemat(tmp_path / "a.mat", starts, do_compression=True)
    scipy.io.savemat(tmp_path / "b.mat", starts)
    for name in ("a.npz", "a.mat", "b.mat"):
        whole = (tmp_path / name).read_bytes()
        broken = tmp_path / f"broken-{name}"
        for place in generator.integers(0, len(whole), 60):
            for body in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
                broken.write_bytes(body)
                try:
                    read(broken)
                except DataError as error:
                    assert "\n" not in str(error)


# .npz


def test_npz(tmp_path: Path, arrays: Arrays) -> None:
    order = np.random.default_rng(0).permutation(12)
    shuffled = {key: value[order] for key, value in arrays.items()}
    np.savez_compressed(
        tmp_path / "a.npz", **shuffled, task_names=["u", "v", "w"], feature_names=np.array([b"p", b"q"])
    )
    dataset = read(str(tmp_path / "a.npz"))
    assert dataset.name == "a" and dataset.source == "file a.npz" and dataset.settings == {}
    assert dataset.train.names == ("u", "v", "w") and dataset.train.feature_names == ("p", "q")
    assert dataset.validation is None and dataset.test is None and dataset.classes is None
    assert dataset.train.counts.tolist() == [4, 3, 5]
    for t, task in enumerate(dataset.train):
        np.testing.assert_array_equal(task.X, shuffled["X"][shuffled["task"] == t])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": None}, "the file has X, y: add task"),
        ({"X": None, "y": None}, "the file has task: add X, y"),
        ({"task": np.repeat([1, 2, 3], 4)}, "no row has task 0"),
        ({"task": np.array(list("abc") * 4)}, "integers"),
        ({"X": np.full((12, 2), None)}, "X holds Python objects"),
        ({"X": np.full((12, 2), np.nan)}, "finite"),
        ({"X": np.zeros(12)}, "expected X"),
        ({"y": np.zeros(11)}, "expected X"),
        ({"task_names": np.array(["a"])}, "expected 3 task names"),
        ({"task_names": np.array(["a", "b", "a"])}, "'a' occurs more than once"),
        ({"feature_names": np.array([["a"], ["b"]])}, "feature_names must have one dimension"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: Arrays, change: Arrays, said: str) -> None:
    content = {key: value for key, value in (arrays | change).items() if value is not None}
    np.savez(tmp_path / "a.npz", **content)
    refused(tmp_path / "a.npz", said)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 100), }", "expected at most 8 GiB"),
        ("{'descr': '|i1', 'fortran_order': False, 'shape': (4000000000, 2), }", "expected at most 8 GiB"),
        ("{'descr': '<U100000000', 'fortran_order': False, 'shape': (120,), }", "expected at most 8 GiB"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 1000), }", "claims 8000000 bytes"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 2), }", "claims the shape"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "Python objects"),
        ("{'descr': '<f8'", "readable"),
    ],
)
def test_headers_are_checked_before_memory_is_taken(
    tmp_path: Path, arrays: Arrays, header: str, said: str
) -> None:
    np.savez(tmp_path / "a.npz", y=arrays["y"], task=arrays["task"])
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("X.npy", member(header, bytes(100)))
    refused(tmp_path / "a.npz", said)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "a.npz")


def test_a_member_of_the_right_name_that_is_no_array(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        for key in ("X", "y", "task"):
            archive.writestr(f"{key}.npy", b"cos\nsystem\n(S'true'\ntR.")
    refused(tmp_path / "a.npz", "readable .npz")


# .csv


@pytest.fixture
def frame(arrays: Arrays) -> pd.DataFrame:
    names = np.array(["u", "v", "w"])[arrays["task"]]
    columns = {"p": arrays["X"][:, 0], "score": arrays["y"], "q": arrays["X"][:, 1], "school": names}
    return pd.DataFrame(columns)


def test_csv(tmp_path: Path, frame: pd.DataFrame, arrays: Arrays, caplog: pytest.LogCaptureFixture) -> None:
    for name, index in (("plain.csv", False), ("indexed.csv", True)):
        frame.to_csv(tmp_path / name, index=index)
        dataset = read(tmp_path / name, task="school", target="score")
        assert dataset.train.names == ("u", "v", "w") and dataset.train.feature_names == ("p", "q")
        equal(dataset.train, **arrays)
    assert caplog.messages == [
        "indexed.csv: the first column has no name and counts the rows: left out, a saved index"
    ]


def test_csv_without_columns_says_which_there_are(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "--task COLUMN and --target COLUMN; its columns are p, score, q, school")
    refused(tmp_path / "a.csv", "--target", task="school")
    refused(tmp_path / "a.csv", "no column 'x'", task="x", target="score")
    frame.assign(q="text").to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "'q' is not numeric", task="school", target="score")
    frame.assign(p=[np.nan, *range(11)]).to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "'p' has missing values", task="school", target="score")
    frame.iloc[:0].to_csv(tmp_path / "a.csv", index=False)
    refused(tmp_path / "a.csv", "at least one row", task="school", target="score")
    (tmp_path / "a.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    refused(tmp_path / "a.csv", "add a feature", task="a", target="b")  # Latin-1
    (tmp_path / "a.csv").write_bytes(b"a,b,c\n\x81\x8d,1,2\n")
    refused(tmp_path / "a.csv", "say --encoding", task="a", target="b")
    (tmp_path / "a.csv").write_text('a,b\n1,2,3,4\n1\n"')
    refused(tmp_path / "a.csv", "^a.csv: ", task="a", target="b")


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


# features


def test_features_of_a_npz(tmp_path: Path, arrays: Arrays) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path,
        X=(arrays["X"] * 10).astype(np.int8),
        task=np.array([[2, 0] * 6], dtype=np.uint8),
        feature_names=["p", "q"],
    )
    table = read_features(path)
    assert table.X.dtype == np.float64 and table.X.shape == (12, 2) and table.feature_names == ("p", "q")
    assert isinstance(table.task, np.ndarray) and table.task.dtype == np.int64
    np.testing.assert_array_equal(table.task, [2, 0] * 6)
    np.savez(path, X=arrays["X"])
    assert read_features(str(path)).task is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"y": np.ones(2)}, "add X"),
        ({"X": np.ones(2)}, "two dimensions"),
        ({"X": np.eye(2), "task": np.ones(3)}, "one integer per row of X, 2"),
        ({"X": np.eye(2), "task": np.array(["a", "b"])}, "one integer per row"),
        ({"X": np.eye(2), "task": np.array([0, -1])}, "negative"),
        ({"X": np.eye(2), "task": np.array([0, np.nan])}, "NaN"),
        ({"X": np.eye(2), "feature_names": np.array(["a"])}, "expected 2 feature names"),
    ],
)
def test_bad_features_of_a_npz(tmp_path: Path, content: Arrays, said: str) -> None:
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "a.npz")


def test_features_of_a_csv(tmp_path: Path, frame: pd.DataFrame, arrays: Arrays) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = read_features(tmp_path / "a.csv", task="school", target="score")
    np.testing.assert_array_equal(table.X, arrays["X"])
    assert table.feature_names == ("p", "q") and table.task == tuple(frame["school"])
    frame.drop(columns=["score", "school"]).to_csv(tmp_path / "a.csv", index=False)
    table = read_features(tmp_path / "a.csv", target="score")
    assert table.task is None and table.X.shape == (12, 2)
    with pytest.raises(DataError, match="no column 'school'; the columns are p, q"):
        read_features(tmp_path / "a.csv", task="school")
    (tmp_path / "a.mat").write_text("x")
    with pytest.raises(DataError, match=r"\.npz with X"):
        read_features(tmp_path / "a.mat")


def test_task_names_of_new_rows_are_those_of_training(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.assign(school=[10, 9] * 6).to_csv(tmp_path / "a.csv", index=False)
    train = read(tmp_path / "a.csv", task="school", target="score").train
    labels = read_features(tmp_path / "a.csv", task="school", target="score").task
    assert isinstance(labels, tuple) and set(labels) == set(train.names) and train.names == ("9", "10")


# Dataset


def test_parts_must_fit_each_other(arrays: Arrays) -> None:
    train = TaskSet.from_stacked(**arrays)
    other = TaskSet.from_arrays([np.eye(3)] * 3, [np.ones(3)] * 3)
    for wrong, said in (
        ({"validation": other}, "validation part must have 3 tasks with 2 features"),
        ({"test": other}, "test part"),
        ({"truth_W": np.zeros((3, 3))}, "W must have shape"),
        ({"truth_B": np.zeros((2, 2))}, "B must have shape"),
        ({"classes": ("a",)}, "1 classes for 3 tasks"),
    ):
        with pytest.raises(DataError, match=said):
            Dataset(name="a", train=train, **wrong)


# problems


def test_every_problem_is_complete() -> None:
    assert {"digits", "paper-synthetic"} <= set(problem_names())
    for name in problem_names():
        dataset = read(name)
        assert dataset.name == name and dataset.source and dataset.settings["coupling"] > 0
        assert set(dataset.settings) == {"loss", "standardize", "intercept", "coupling", "mu"}
        assert read(name).train.fingerprint() == dataset.train.fingerprint()


def test_an_installed_package_has_its_problems_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "__file__", str(tmp_path / "amtl_cvx" / "data" / "problems.py"))
    assert problem_names() == ()
    folder = tmp_path / "amtl_cvx" / "problems" / "mine"
    folder.mkdir(parents=True)
    about = '{"name": "mine", "title": "", "source": "here", "settings": {"mu": 2}, "seed": 41}'
    (folder / "problem.json").write_text(about)
    assert problems_folder() == folder.parent and problem_names() == ()
    (folder / "make.py").write_text(
        "import numpy as np\nfrom amtl_cvx.data import Dataset\nfrom amtl_cvx.tasks import TaskSet\n"
        "def make(seed):\n    train = TaskSet.from_arrays([np.eye(2)], [[seed, seed + 1]])\n"
        "    return Dataset(name='x', train=train, settings={'mu': 1})\n"
    )
    assert problem_names() == ("mine",)
    dataset = read("mine")
    assert (dataset.name, dataset.source, dataset.settings) == ("mine", "here", {"mu": 2})
    np.testing.assert_array_equal(dataset.train[0].y, [41, 42])


def test_a_checkout_has_its_problems_beside_the_package() -> None:
    assert problems_folder() == Path(__file__).resolve().parents[1] / "problems"


def test_digits() -> None:
    from sklearn.datasets import load_digits

    dataset = read("digits")
    assert dataset.test is not None and dataset.classes == tuple("0123456789")
    assert dataset.train.names[3] == "digit 3" and dataset.train.feature_names is not None
    assert dataset.train.feature_names[9] == "pixel 1,1"
    X, labels = load_digits(return_X_y=True)
    for tasks in (dataset.train, dataset.test):
        signs = np.array([task.y for task in tasks])
        np.testing.assert_array_equal((signs > 0).sum(axis=0), 1)  # every row has one digit
        assert all(np.shares_memory(task.X, tasks[0].X) for task in tasks)
        for task in tasks:
            Logistic().check(task)
    rows = np.vstack([part[0].X for part in (dataset.train, dataset.test)])
    digits = np.hstack(
        [np.argmax([task.y for task in part], axis=0) for part in (dataset.train, dataset.test)]
    )
    got, expected = (np.column_stack(pair) for pair in ((rows, digits), (X, labels)))
    np.testing.assert_array_equal(got[np.lexsort(got.T)], expected[np.lexsort(expected.T)])


def test_paper_synthetic() -> None:
    dataset = read("paper-synthetic")
    W, B = dataset.truth_W, dataset.truth_B
    assert W is not None and B is not None and dataset.validation is not None and dataset.test is not None
    assert W.shape == (20, 12) and not W[10:, :6].any() and np.count_nonzero(W) == 20 * 12 - 60
    noise = [
        np.hstack(
            [part[t].y - part[t].X @ W[:, t] for part in (dataset.train, dataset.validation, dataset.test)]
        )
        for t in range(12)
    ]
    expected = np.where(np.isin(np.arange(12), [0, 1, 2, 6, 7, 8]), 5.0, 25.0)
    # the standard error of a deviation from 90 rows is 7.5 %; 4 of them
    np.testing.assert_allclose([values.std() for values in noise], expected, rtol=0.3)
    teachers = {t: set(np.flatnonzero(B[:, t])) for t in range(12)}
    assert (
        teachers[0] == {1, 2}
        and teachers[5] == {0, 1, 2}
        and teachers[8] == {6, 7}
        and teachers[9] == {6, 7, 8}
    )
    assert not np.array_equal(dataset.train[0].X, dataset.test[0].X)


def test_nothing_slow_is_imported_with_the_module() -> None:
    code = "import sys, amtl_cvx.data; print(sorted({'pandas', 'scipy.io', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# arrays of any .npz


def arrays_refused(path: Path | str, said: str) -> None:
    """`read_arrays` raises a DataError whose message is one line and matches `said`."""
    with pytest.raises(DataError, match=said) as caught:
        read_arrays(path, required=("W", "B"), optional=("losses",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["solution.npz", "solution"])
def test_arrays_come_back_as_they_were_written(tmp_path: Path, rng: np.random.Generator, name: str) -> None:
    content: Arrays = {
        "W": np.asfortranarray(rng.standard_normal((3, 2)).astype(np.float32)),
        "B": np.array([[0, 1], [0, 0]], dtype=np.uint8),
        "objective": np.float64(1.5),
        "names": np.array(["u", "vw"]),
        "bytes": np.array([b"p", b"qr"]),
        "empty": np.zeros((0, 4)),
    }
    for write in (np.savez, np.savez_compressed):
        with (tmp_path / name).open("wb") as stream:
            write(stream, **content, unasked=np.ones(3))
        got = read_arrays(
            tmp_path / name, required=("W", "B"), optional=("objective", "names", "bytes", "empty", "order")
        )
        assert set(got) == set(content)
        for key, value in content.items():
            np.testing.assert_array_equal(got[key], value, strict=True)
    assert set(read_arrays(tmp_path / name, required=["B"])) == {"B"}
    assert read_arrays(str(tmp_path / name), required=(), optional=("order",)) == {}


def test_arrays_of_no_file(tmp_path: Path) -> None:
    arrays_refused(tmp_path / "a.npz", r"expected a \.npz file with W, B, there is no file '.*a\.npz'")
    arrays_refused("x" * 5000, "there is no file")
    arrays_refused("\0", "there is no file")
    arrays_refused(tmp_path, "is not a file: give the file itself")
    (tmp_path / "a.npz").touch()
    arrays_refused(tmp_path / "a.npz", r"'a\.npz' is empty \(0 bytes\)")


def test_arrays_of_another_file(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.npz"
    for body in (b"hello\n", b"\0" * 600, rng.bytes(700), b"PK\x03\x04" + rng.bytes(50)):
        path.write_bytes(body)
        arrays_refused(path, r"^a\.npz: expected a \.npz archive.*numpy\.savez\(file, W=W, B=B\)$")
    np.save(tmp_path / "a.npy", np.eye(2))
    arrays_refused(tmp_path / "a.npy", r"^a\.npy: expected a \.npz archive")
    np.savez(path, W=np.eye(2), losses=np.ones(2))
    arrays_refused(path, r"^a\.npz: expected the arrays W, B, the file has W, losses: add B$")
    np.savez(path, **{"two\nlines": np.eye(2)})  # type: ignore[arg-type]
    arrays_refused(path, "the file has two lines: add W, B")


def test_arrays_of_objects_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.array([{"a": 1}], dtype=object))
    arrays_refused(tmp_path / "a.npz", r"^a\.npz: B holds Python objects")
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.eye(2), losses=np.array([None]))
    arrays_refused(tmp_path / "a.npz", r"^a\.npz: losses holds Python objects")
    np.savez(tmp_path / "a.npz", W=np.eye(2), B=np.eye(2), other=np.array([None]))
    assert set(read_arrays(tmp_path / "a.npz", required=("W", "B"))) == {"W", "B"}


def test_arrays_of_a_damaged_file(tmp_path: Path) -> None:
    """Every truncation is refused; a wrong byte is refused or changes nothing that was asked for."""
    content = {"W": np.arange(6.0).reshape(3, 2), "B": np.eye(2)}
    np.savez(tmp_path / "a.npz", **content)  # type: ignore[arg-type]
    whole, broken = (tmp_path / "a.npz").read_bytes(), tmp_path / "broken.npz"
    for place in range(0, len(whole), 7):
        broken.write_bytes(whole[:place])
        arrays_refused(broken, "truncated" if place else "empty")
        broken.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            got = read_arrays(broken, required=("W", "B"))
        except DataError as error:
            assert str(error).startswith("broken.npz: ") and "\n" not in str(error)
        else:
            for key, value in content.items():
                np.testing.assert_array_equal(got[key], value)


def test_arrays_claim_no_more_than_is_there(tmp_path: Path) -> None:
    for shape, said in (
        ("(10000000000, 100)", "expected at most 8 GiB"),
        ("(1000, 1000)", "claims 8000000 bytes"),
    ):
        np.savez(tmp_path / "a.npz", B=np.eye(2))
        with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
            header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}"
            archive.writestr("W.npy", member(header, bytes(100)))
        arrays_refused(tmp_path / "a.npz", rf"^a\.npz: W .*{said}")


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


def test_pickles_are_never_read(tmp_path: Path, arrays: Arrays) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", **arrays)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("task_names.npy", stream.getvalue())
    refused(tmp_path / "a.npz", "task_names holds Python objects")
